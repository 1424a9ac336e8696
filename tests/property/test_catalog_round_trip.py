"""Whatever is written is read back, however it is cut, filtered or spelled."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.catalog.catalog import Catalog
from nautilus_common.catalog.columns import KIND_COLUMNS, decimal_text, row_count
from nautilus_common.catalog.conversion import Where, to_raw
from nautilus_common.catalog.errors import DataError
from nautilus_common.catalog.loaders import load_all, load_csv, rechunk
from nautilus_common.catalog.schema import LoadSpec
from nautilus_common.catalog.validation import find_problems, validate_columns

INT64 = st.integers(-(2**63), 2**63 - 1)
POSITIVE = st.integers(1, 2**63 - 1)
SLOW = settings(max_examples=60, deadline=None)


def column(values: list[int]) -> Any:
    return np.array(values, dtype=np.int64)


@st.composite
def trades(draw: st.DrawFn) -> dict[str, Any]:
    """Valid trades, with times that repeat, extreme values, and `ts_event` equal to `ts_init` or not."""
    steps = draw(st.lists(st.integers(0, 3), min_size=1, max_size=60))
    count = len(steps)
    ts = draw(st.integers(0, 2**62)) + column(steps).cumsum()
    shared = draw(st.booleans())
    exact = {"min_size": count, "max_size": count}
    return {
        "ts_event": ts if shared else np.maximum(ts - column(draw(st.lists(st.integers(0, 2), **exact))), 0),
        "ts_init": ts,
        "price": column(draw(st.lists(POSITIVE, **exact))),
        "size": column(draw(st.lists(POSITIVE, **exact))),
        "aggressor": column(draw(st.lists(st.integers(0, 2), **exact))),
        "trade_id": np.arange(count, dtype=np.int64),
    }


@SLOW
@given(columns=trades(), group=st.integers(1, 20), batch=st.integers(1, 20), chunk=st.integers(1, 70), data=st.data())
def test_write_then_read(usdjpy: Any, columns: Any, group: int, batch: int, chunk: int, data: st.DataObject) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("nautilus_common.catalog.catalog.ROW_GROUP_ROWS", group),
        mock.patch("nautilus_common.catalog.parts.ROW_GROUP_ROWS", group),
    ):
        catalog = Catalog(folder)
        entry = catalog.write("trade", usdjpy, rechunk([columns], batch))
        ts = columns["ts_init"]
        assert (entry.rows, entry.start_ns, entry.end_ns) == (len(ts), ts[0], ts[-1])
        bound = st.none() | st.integers(int(ts[0]) - 2, int(ts[-1]) + 2)
        start, end = data.draw(bound), data.draw(bound)
        wanted = np.ones(len(ts), dtype=bool)
        wanted &= True if start is None else ts >= start
        wanted &= True if end is None else ts <= end
        chunks = list(catalog.read("trade", usdjpy.id, start=start, end=end, chunk_rows=chunk))
        assert all(row_count(c) == chunk for c in chunks[:-1])
        assert sum(map(row_count, chunks)) == wanted.sum()
        for name in KIND_COLUMNS["trade"]:
            assert [v for c in chunks for v in c[name].tolist()] == columns[name][wanted].tolist()
        assert all(a.flags.c_contiguous and a.dtype == np.int64 for c in chunks for a in c.values())


@SLOW
@given(columns=trades(), cut=st.integers(0, 60))
def test_checks_do_not_depend_on_the_cut(usdjpy: Any, columns: Any, cut: int) -> None:
    validate_columns("trade", columns, usdjpy, source="mine")
    spoilt = {**columns, "price": columns["price"].copy()}
    row = cut % row_count(columns)
    spoilt["price"][row] = -5
    with pytest.raises(DataError, match=f"mine: row {row + 1}: price -0.005 is negative"):
        validate_columns("trade", spoilt, usdjpy, source="mine")
    whole = find_problems("trade", spoilt, usdjpy, source="mine", gap_multiple=1e9)
    batches = list(rechunk([spoilt], max(1, cut)))
    assert find_problems("trade", batches, usdjpy, source="mine", gap_multiple=1e9) == whole


@given(values=st.lists(INT64, min_size=1), precision=st.integers(0, 18))
def test_decimal_text_is_exact(values: list[int], precision: int) -> None:
    texts = [decimal_text(value, precision) for value in values]
    where = Where("file", "column")
    assert to_raw(texts, precision, where).tolist() == values
    assert to_raw([Decimal(text) for text in texts], precision, where).tolist() == values
    assert [int(Decimal(text).scaleb(precision)) for text in texts] == values


@given(values=st.lists(st.integers(-(10**12), 10**12), min_size=1), precision=st.integers(0, 6))
def test_floats_come_back(values: list[int], precision: int) -> None:
    floats = np.array([value / 10**precision for value in values])
    assert to_raw(floats, precision, Where("file", "column")).tolist() == values


@SLOW
@given(columns=trades(), chunk=st.integers(1, 70))
def test_csv_round_trip(usdjpy: Any, columns: Any, chunk: int) -> None:
    lines = ["ts_event,ts_init,price,size,side,trade_id"]
    lines += [
        f"{event},{init},{decimal_text(price, 3)},{size},{side},{number}"
        for event, init, price, size, side, number in zip(*(columns[n].tolist() for n in columns), strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trades.csv"
        path.write_text("\n".join(lines))
        spec = LoadSpec(kind="trade", timestamp="ns")
        whole = load_all(path, spec, usdjpy)
        assert {n: a.tolist() for n, a in whole.items()} == {n: a.tolist() for n, a in columns.items()}
        chunks = list(load_csv(path, spec, usdjpy, chunk_rows=chunk))
        assert [v for c in chunks for v in c["price"].tolist()] == columns["price"].tolist()
        assert max(map(row_count, chunks)) <= chunk
