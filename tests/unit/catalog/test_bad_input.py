"""Every kind of bad data gives one DataError that names the file, the data row and the remedy."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_common.catalog.errors import CatalogError, DataError
from nautilus_common.catalog.loaders import load, load_all
from nautilus_common.catalog.schema import LoadSpec
from nautilus_common.catalog.validation import find_problems, validate_columns

QUOTE_HEADER = "timestamp,bid,ask,bid_size,ask_size"
GOOD_QUOTES = ["2024-01-02T00:00:00Z,150.001,150.003,1,1", "2024-01-02T00:00:01Z,150.002,150.004,1,1"]
BAR_HEADER = "timestamp,open,high,low,close,volume"


def quotes_with(row: str) -> list[str]:
    return [QUOTE_HEADER, *GOOD_QUOTES, row]


BAD_QUOTES = {
    "unsorted": ("2024-01-01T00:00:00Z,150.001,150.003,1,1", "unsorted", "2024-01-01", "Sort the file"),
    "duplicated": (GOOD_QUOTES[1], "duplicate", "equal in every column", 'on_duplicate="drop"'),
    "nan": ("2024-01-02T00:00:02Z,nan,150.003,1,1", "nan", "NaN", "remove the row"),
    "infinite": ("2024-01-02T00:00:02Z,150.001,inf,1,1", "nan", "inf", "remove the row"),
    "no number": ("2024-01-02T00:00:02Z,150.001,abc,1,1", "number", "'abc'", "Mend"),
    "no value": ("2024-01-02T00:00:02Z,,150.003,1,1", "number", "no value", "Mend"),
    "negative price": ("2024-01-02T00:00:02Z,-150.001,150.003,1,1", "price", "-150.001", "Mend"),
    "zero price": ("2024-01-02T00:00:02Z,0,150.003,1,1", "price", "0.000", "Mend"),
    "negative size": ("2024-01-02T00:00:02Z,150.001,150.003,-1,1", "size", "-1", "Mend"),
    "wrong precision": ("2024-01-02T00:00:02Z,150.0015,150.003,1,1", "precision", "150.0015", "precision of its data"),
    "crossed": ("2024-01-02T00:00:02Z,150.005,150.003,1,1", "crossed", "150.005", "exchanged"),
    "overflow": ("2024-01-02T00:00:02Z,9223372036854775.808,9223372036854775.808,1,1", "overflow", "int64", "Mend"),
    "huge": ("2024-01-02T00:00:02Z,1e60,1e60,1,1", "overflow", "int64", "Mend"),
    "bad time": ("2024-13-02T00:00:02Z,150.001,150.003,1,1", "time", "2024-13-02", "timestamp"),
    "short row": ("2024-01-02T00:00:02Z,150.001", "columns", "2 columns instead of 5", "delimiter"),
}


@pytest.mark.parametrize("case", BAD_QUOTES)
@pytest.mark.parametrize("compressed", [False, True])
def test_bad_quote_in_csv(case: str, compressed: bool, tmp_path: Path, usdjpy: Any) -> None:
    row, code, value, remedy = BAD_QUOTES[case]
    path = tmp_path / ("bad.csv.gz" if compressed else "bad.csv")
    data = "\n".join(quotes_with(row)).encode()
    path.write_bytes(gzip.compress(data) if compressed else data)
    with pytest.raises(DataError) as raised:
        load_all(path, LoadSpec(kind="quote"), usdjpy)
    message = str(raised.value)
    assert raised.value.code == code
    assert str(path) in message and "row 3" in message and value in message and remedy in message
    assert raised.value.row == 3


@pytest.mark.parametrize("case", [case for case in BAD_QUOTES if case not in ("short row", "no value", "no number")])
def test_bad_quote_in_parquet_of_floats(case: str, tmp_path: Path, usdjpy: Any) -> None:
    row, code, _, remedy = BAD_QUOTES[case]
    rows = [line.split(",") for line in quotes_with(row)[1:]]
    names = QUOTE_HEADER.split(",")
    columns = {name: [r[i] if i == 0 else float(r[i]) for r in rows] for i, name in enumerate(names)}
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError) as raised:
        load_all(path, LoadSpec(kind="quote"), usdjpy)
    assert raised.value.code == code
    assert str(path) in str(raised.value) and "row 3" in str(raised.value) and remedy in str(raised.value)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("2024-01-02T00:01:00Z,150.1,150.0,150.2,150.1,1", "high 150.000 is below its low 150.200"),
        ("2024-01-02T00:01:00Z,150.3,150.2,150.0,150.1,1", "high 150.200 is below its open 150.300"),
        ("2024-01-02T00:01:00Z,150.1,150.2,150.0,150.3,1", "high 150.200 is below its close 150.300"),
        ("2024-01-02T00:01:00Z,149.9,150.2,150.0,150.1,1", "low 150.000 is above its open 149.900"),
        ("2024-01-02T00:01:00Z,150.1,150.2,150.0,149.9,1", "low 150.000 is above its close 149.900"),
    ],
)
def test_bar_out_of_its_range(row: str, text: str, tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("\n".join([BAR_HEADER, "2024-01-02T00:00:00Z,150,150,150,150,1", row]))
    with pytest.raises(DataError) as raised:
        load_all(path, LoadSpec(kind="bar"), usdjpy)
    message = str(raised.value)
    assert f"{path}: row 2" in message and text in message and "check the column map" in message


def test_missing_column_names_the_nearest(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("timestamp,bidd,ask\n2024-01-02T00:00:00Z,1,2\n")
    with pytest.raises(DataError, match=r"missing column 'bid' .*nearest: bidd.*Map the file's names") as raised:
        load_all(path, LoadSpec(kind="quote"), usdjpy)
    assert str(path) in str(raised.value)


def test_mapped_column_that_the_file_has_not(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("timestamp,bid,ask\n2024-01-02T00:00:00Z,1,2\n")
    with pytest.raises(DataError, match=r"missing column 'bids'.*Mend the load spec"):
        load_all(path, LoadSpec(kind="quote", columns={"bid": "bids"}), usdjpy)


def test_truncated_parquet(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table({"timestamp": ["2024-01-02T00:00:00Z"], "bid": [1.0], "ask": [2.0]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"not a whole Parquet file.*copy or write it again") as raised:
        load_all(path, LoadSpec(kind="quote"), usdjpy)
    assert str(path) in str(raised.value)


def test_file_that_is_no_parquet(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "bad.parquet"
    path.write_text("timestamp,bid,ask\n")
    with pytest.raises(DataError, match="not a whole Parquet file"):
        load_all(path, LoadSpec(kind="quote"), usdjpy)


def test_truncated_gzip(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "bad.csv.gz"
    rows = [f"2024-01-02T00:00:00.{i:06d}Z,150.001,150.003,1,1" for i in range(20_000)]
    data = gzip.compress("\n".join([QUOTE_HEADER, *rows]).encode())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="truncated") as raised:
        load_all(path, LoadSpec(kind="quote"), usdjpy)
    assert str(path) in str(raised.value)


def test_missing_and_empty_files(tmp_path: Path, usdjpy: Any) -> None:
    (tmp_path / "there.csv").write_text("timestamp,bid,ask\n")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"no such file.*there\.csv"):
        load_all(tmp_path / "their.csv", LoadSpec(kind="quote"), usdjpy)
    for name in ("there.csv", "empty.csv"):
        with pytest.raises(DataError, match=name):
            load_all(tmp_path / name, LoadSpec(kind="quote"), usdjpy)


def test_row_is_named_in_a_later_chunk(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "bad.csv"
    rows = [f"2024-01-02T00:00:00.{i:06d}Z,150.001,150.003,{i},1" for i in range(200_000)]
    rows[150_000] = rows[150_000].replace("150.001", "150.0011")
    path.write_text("\n".join([QUOTE_HEADER, *rows]))
    with pytest.raises(DataError, match=r"row 150001: column 'bid': wrong precision: 150.0011"):
        for _ in load(path, LoadSpec(kind="quote"), usdjpy, chunk_rows=1_000):
            pass


def test_duplicates_are_dropped_on_demand(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("\n".join([QUOTE_HEADER, *GOOD_QUOTES, GOOD_QUOTES[1]]))
    columns = load_all(path, LoadSpec(kind="quote", on_duplicate="drop"), usdjpy)
    assert columns["bid"].tolist() == [150_001, 150_002]
    assert columns["ts_event"] is columns["ts_init"]


def test_locked_quotes_are_valid(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "locked.csv"
    path.write_text("\n".join([QUOTE_HEADER, "2024-01-02T00:00:00Z,150.001,150.001,1,1"]))
    assert load_all(path, LoadSpec(kind="quote"), usdjpy)["ask"].tolist() == [150_001]


def quote_columns(**changes: list[int]) -> dict[str, np.ndarray[Any, Any]]:
    values = {
        "ts_event": [1, 2, 3],
        "ts_init": [1, 2, 3],
        "bid": [5, 5, 5],
        "ask": [6, 6, 6],
        "bid_size": [1, 1, 1],
        "ask_size": [1, 1, 1],
    }
    return {name: np.array(column, dtype=np.int64) for name, column in {**values, **changes}.items()}


def test_columns_of_another_type_are_refused(usdjpy: Any) -> None:
    columns = quote_columns()
    columns["bid"] = columns["bid"].astype(np.float64)
    with pytest.raises(DataError, match=r"mine: column 'bid' is float64.*convert with a loader"):
        validate_columns("quote", columns, usdjpy, source="mine")
    del columns["bid"]
    with pytest.raises(DataError, match="missing column 'bid'"):
        validate_columns("quote", columns, usdjpy, source="mine")


def test_order_and_duplicates_across_batches(usdjpy: Any) -> None:
    with pytest.raises(DataError, match=r"mine: row 101: ts_init .* is before"):
        validate_columns("quote", quote_columns(), usdjpy, source="mine", first_row=100, previous_ts=2)
    columns = quote_columns()
    previous = {name: int(array[0]) for name, array in columns.items()}
    with pytest.raises(DataError, match="mine: row 101: duplicate"):
        validate_columns("quote", columns, usdjpy, source="mine", first_row=100, previous_row=previous)


def test_find_problems_lists_all_without_raising(usdjpy: Any) -> None:
    columns = quote_columns(
        ts_event=[1, 2, 3, 3, 2, 3, 500],
        ts_init=[1, 2, 3, 3, 2, 3, 500],
        bid=[5, 9, 5, 5, 5, 5, 9],
        ask=[6] * 7,
        bid_size=[1] * 7,
        ask_size=[1] * 7,
    )
    problems = find_problems("quote", columns, usdjpy, source="mine")
    assert [(p.code, p.row, p.count) for p in problems] == [
        ("unsorted", 5, 1),
        ("crossed", 2, 2),
        ("duplicate", 4, 1),
        ("gap", 7, 1),
    ]
    batches = [{n: c[:4] for n, c in columns.items()}, {n: c[4:] for n, c in columns.items()}]
    assert [(p.code, p.row, p.count) for p in find_problems("quote", batches, usdjpy, source="mine")] == [
        ("crossed", 2, 2),
        ("duplicate", 4, 1),
        ("unsorted", 5, 1),
        ("gap", 7, 1),
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kind": "quotes"}, "unknown kind"),
        ({"columns": {"bidd": "b"}}, "did you mean 'bid'"),
        ({"timestamp": "days"}, "iso, s, ms, us, ns"),
        ({"timestamp": "%Q"}, "unknown %Q"),
        ({"timezone": "Mars"}, "America/New_York"),
        ({"header": False}, "column_names"),
        ({"delimiter": ""}, "one character"),
        ({"default_size": "much"}, "not a number"),
    ],
)
def test_bad_load_spec(change: dict[str, Any], text: str) -> None:
    with pytest.raises(CatalogError, match=text):
        LoadSpec(**{"kind": "quote", **change})
