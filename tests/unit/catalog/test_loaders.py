"""Loaders: schemas, time formats, exact numbers, chunks."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_common.catalog.conversion import Where, to_raw
from nautilus_common.catalog.errors import DataError
from nautilus_common.catalog.loaders import load, load_all
from nautilus_common.catalog.schema import LoadSpec
from nautilus_common.catalog.timestamps import to_ns

HERE = Where("file", "column")
NEW_YEAR = 1_704_067_200_000_000_000  # 2024-01-01


@pytest.mark.parametrize(
    ("text", "fmt", "timezone", "ns"),
    [
        ("2024-01-01T00:00:00Z", "iso", "America/New_York", 0),
        ("2024-01-01 00:00:00.123456789", "iso", "UTC", 123_456_789),
        ("2024-01-01 01:00:00+01:00", "iso", "UTC", 0),
        ("2023-12-31 19:00:00", "iso", "America/New_York", 0),
        ("2024-01-01", "iso", "UTC", 0),
        ("1704067200.000000065", "s", "UTC", 65),
        ("1704067200065", "ms", "UTC", 65_000_000),
        ("1704067200000065", "us", "UTC", 65_000),
        ("1704067200000000065", "ns", "UTC", 65),
        ("20231231 190000065", "%Y%m%d %H%M%S%f", "America/New_York", 65_000_000),
        ("31.12.2023 7:00 PM", "%d.%m.%Y %I:%M %p", "America/New_York", 0),
        ("01Jan24 00:00:00+0000", "%d%b%y %H:%M:%S%z", "UTC", 0),
    ],
)
def test_time_formats(text: str, fmt: str, timezone: str, ns: int) -> None:
    assert to_ns([text], fmt, timezone, HERE).tolist() == [NEW_YEAR + ns]


@pytest.mark.parametrize("text", ["20240230 000000000", "20241301 000000000", "2024", "20240101 250000000"])
def test_dates_that_are_none(text: str) -> None:
    with pytest.raises(DataError, match=rf"row 2: column 'column': '{text}' is not a time of the format"):
        to_ns(["20240101 000000000", text], "%Y%m%d %H%M%S%f", "UTC", HERE)


def test_local_times_that_happen_twice_or_never() -> None:
    for text, kind in (("2024-11-03 01:30:00", "twice"), ("2024-03-10 02:30:00", "never")):
        with pytest.raises(DataError, match=f"row 2: .*{kind} in America/New_York.*UTC"):
            to_ns(["2024-01-01 00:00:00", text], "iso", "America/New_York", HERE)


def test_times_of_parquet_types() -> None:
    stamps = np.array([NEW_YEAR // 1_000_000], dtype="datetime64[ms]")
    assert to_ns(stamps, "iso", "UTC", HERE).tolist() == [NEW_YEAR]
    assert to_ns(pa.array([NEW_YEAR], pa.timestamp("ns", "UTC")), "iso", "Asia/Tokyo", HERE).tolist() == [NEW_YEAR]
    assert to_ns(np.array([NEW_YEAR / 1e9 + 0.25]), "s", "UTC", HERE).tolist() == [NEW_YEAR + 250_000_000]
    with pytest.raises(DataError, match="Say the unit"):
        to_ns(np.array([NEW_YEAR]), "iso", "UTC", HERE)
    assert to_ns(np.array([NEW_YEAR]), "iso", "UTC", Where("file", "ts_init")).tolist() == [NEW_YEAR]


@pytest.mark.parametrize(
    ("values", "precision", "raw"),
    [
        (["91.7170", "1e-3", " 2 ", "-0.001", "+1", "1E2"], 3, [91_717, 1, 2_000, -1, 1_000, 100_000]),
        (["9223372036854775.807"], 3, [2**63 - 1]),
        ([Decimal("1.50"), Decimal("2.25")], 2, [150, 225]),
        (np.array([1, 2], dtype=np.uint64), 2, [100, 200]),
        (np.array([91.717, 0.1 + 0.2, 1e15]), 3, [91_717, 300, 10**18]),
        (np.array([91.717], dtype=np.float32), 3, [91_717]),
        (pa.array(["1.5", "1.5"]).dictionary_encode(), 1, [15, 15]),
        ([], 2, []),
    ],
)
def test_numbers_are_exact(values: Any, precision: int, raw: list[int]) -> None:
    array = values if len(values) else pa.array([], pa.string())
    assert to_raw(array, precision, HERE).tolist() == raw


def test_half_of_a_unit_is_more_digits_however_large_the_price() -> None:
    with pytest.raises(DataError, match=r"row 1: .*wrong precision: 463191.23"):
        to_raw(np.array([463_191.23]), 1, HERE)


def test_scale_and_rounding() -> None:
    assert to_raw(np.array([91_717_000_000]), 3, HERE, scale=9).tolist() == [91_717]
    with pytest.raises(DataError, match="wrong precision"):
        to_raw(np.array([91_717_000_001]), 3, HERE, scale=9)
    for values in (["0.125", "0.135"], [Decimal("0.125"), Decimal("0.135")], np.array([0.125, 0.375])):
        raw = to_raw(values, 2, HERE, rounding="half_even").tolist()
        assert raw == ([12, 38] if isinstance(values, np.ndarray) else [12, 14])
    assert to_raw(np.array([125, 135, 136]), 2, HERE, scale=3, rounding="half_even").tolist() == [12, 14, 14]


def test_file_without_header_with_other_delimiter_and_names(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "ticks.txt"
    path.write_text("20240101 000000000;150.001;150.003;0\n20240101 000000500;150.002;150.004;0\n")
    names = ("when", "bid", "ask", "volume")
    spec = LoadSpec(
        kind="quote",
        columns={"ts_event": "when"},
        timestamp="%Y%m%d %H%M%S%f",
        delimiter=";",
        header=False,
        column_names=names,
        default_size="5",
        ts_init_delta_ns=7,
    )
    columns = load_all(path, spec, usdjpy)
    assert columns["ts_event"].tolist() == [NEW_YEAR, NEW_YEAR + 500_000_000]
    assert columns["ts_init"].tolist() == [NEW_YEAR + 7, NEW_YEAR + 500_000_007]
    assert columns["bid_size"].tolist() == [5, 5]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zst"])
def test_chunks_are_bounded_and_the_same_rows(suffix: str, tmp_path: Path, usdjpy: Any) -> None:
    rows = [f"{NEW_YEAR + i},150.{i % 1000:03d},151,{i},1" for i in range(30_000)]
    data = "\n".join(["ts,bid,ask,bid_size,ask_size", *rows]).encode()
    path = tmp_path / f"ticks{suffix}"
    packed = {".csv": lambda: data, ".csv.gz": lambda: gzip.compress(data)}.get(
        suffix, lambda: bytes(pa.compress(data, codec="zstd", asbytes=True))
    )()
    path.write_bytes(packed)
    chunks = list(load(path, LoadSpec(kind="quote", timestamp="ns"), usdjpy, chunk_rows=7_000))
    assert [len(chunk["bid"]) for chunk in chunks] == [7_000] * 4 + [2_000]
    assert np.array_equal(np.concatenate([chunk["bid_size"] for chunk in chunks]), np.arange(30_000))
    assert all(array.dtype == np.int64 and array.flags.c_contiguous for chunk in chunks for array in chunk.values())


def test_trades_sides_and_identifiers(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "trades.csv"
    sides = [("buy", 7), ("SELL", 9), ("", 11)]
    rows = [f"{NEW_YEAR + i},150,{i + 1},{side},{name}" for i, (side, name) in enumerate(sides)]
    path.write_text("\n".join(["timestamp,price,quantity,side,trade_id", *rows]))
    columns = load_all(path, LoadSpec(kind="trade", timestamp="ns"), usdjpy)
    assert columns["aggressor"].tolist() == [1, 2, 0]
    assert columns["trade_id"].tolist() == [7, 9, 11]
    path.write_text(f"timestamp,price,size,is_buyer_maker,id\n{NEW_YEAR},150,1,true,a-1\n{NEW_YEAR},150,1,true,a-2\n")
    columns = load_all(path, LoadSpec(kind="trade", timestamp="ns"), usdjpy)
    assert columns["aggressor"].tolist() == [2, 2]
    assert columns["trade_id"].tolist() == [1, 2]
    path.write_text(f"timestamp,price,size,side\n{NEW_YEAR},150,1,up\n")
    with pytest.raises(DataError, match="row 1: column 'side': 'up' is no side"):
        load_all(path, LoadSpec(kind="trade", timestamp="ns"), usdjpy)


def test_parquet_of_decimals_and_times(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "quotes.parquet"
    table = pa.table(
        {
            "ts_init": pa.array([NEW_YEAR, NEW_YEAR + 1]),
            "bid": pa.array([Decimal("150.00100"), Decimal("150.002")], pa.decimal128(20, 5)),
            "ask": pa.array([151, 152]),
            "other": ["x", "y"],
        }
    )
    pq.write_table(table, path)
    columns = load_all(path, LoadSpec(kind="quote"), usdjpy)
    assert columns["bid"].tolist() == [150_001, 150_002]
    assert columns["ask"].tolist() == [151_000, 152_000]
    assert columns["ts_event"] is columns["ts_init"]


def test_bars_stamped_at_their_open(tmp_path: Path, usdjpy: Any) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("date,open,high,low,close\n2024-01-01,1,2,1,2\n")
    columns = load_all(path, LoadSpec(kind="bar", timestamp_offset_ns=60_000_000_000), usdjpy)
    assert columns["ts_init"].tolist() == [NEW_YEAR + 60_000_000_000]


def test_real_quotes_without_header(fleet_data: Path, usdjpy: Any) -> None:
    spec = LoadSpec(
        kind="quote",
        timestamp="%Y%m%d %H%M%S%f",
        header=False,
        column_names=("timestamp", "bid", "ask", "volume"),
        on_duplicate="drop",
        price_scale=-3,  # six decimals, read with an instrument of three
    )
    columns = load_all(fleet_data / "eurusd-quotes-20200101.csv.gz", spec, usdjpy)
    assert columns["bid"][0] == 1_121_200
    assert columns["ts_init"][0] == 1_577_898_000_065_000_000
