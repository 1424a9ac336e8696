"""The catalogue: what is written is read, a change happens as a whole or not at all, errors say what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from nautilus_common.catalog.catalog import Catalog
from nautilus_common.catalog.columns import DataColumns, concat_columns
from nautilus_common.catalog.errors import CatalogError, DataError, OverlapError
from nautilus_common.catalog.manifest import MANIFEST_NAME, safe_name
from nautilus_common.catalog.validation import find_problems

BAR_TYPE = "USD/JPY.SIM-1-MINUTE-BID-EXTERNAL"


def quotes(start: int, count: int, *, seed: int = 0, delay: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    ts = np.arange(start, start + count, dtype=np.int64)
    bid = 150_000 + rng.integers(-5, 6, count).cumsum().astype(np.int64)
    size = np.arange(1, count + 1, dtype=np.int64)
    return {
        "ts_event": ts - delay if delay else ts,
        "ts_init": ts,
        "bid": bid,
        "ask": bid + 2,
        "bid_size": size,
        "ask_size": size,
    }


def bars(start: int, count: int) -> dict[str, Any]:
    ts = np.arange(start, start + count, dtype=np.int64)
    price = np.full(count, 150_000, dtype=np.int64)
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    return {"ts_event": ts, "ts_init": ts, **prices, "volume": price}


def read_all(catalog: Catalog, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return concat_columns(list(catalog.read(*args, **kwargs)))


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def test_instruments_round_trip(tmp_path: Path, usdjpy: Any, btcusdt_perp: Any) -> None:
    catalog = Catalog(tmp_path / "data")
    assert catalog.instruments() == [] and catalog.entries() == []
    catalog.write_instrument(usdjpy)
    catalog.write_instrument(btcusdt_perp)
    assert catalog.instruments() == [btcusdt_perp, usdjpy]
    assert catalog.instrument("USD/JPY.SIM").price_precision == 3
    with pytest.raises(CatalogError, match=r"unknown instrument USDJPY\.SIM: .* did you mean USD/JPY\.SIM\?"):
        catalog.instrument("USDJPY.SIM")


def test_write_then_read(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    entry = catalog.write("quote", usdjpy, quotes(100, 1000))
    assert (entry.kind, entry.instrument_id, entry.bar_type) == ("quote", "USD/JPY.SIM", None)
    assert (entry.rows, entry.start_ns, entry.end_ns, len(entry.files)) == (1000, 100, 1099, 1)
    assert [*catalog.entries()] == [entry] == [catalog.entry("quote", usdjpy.id)]
    chunks = list(catalog.read("quote", usdjpy.id, chunk_rows=300))
    assert [len(chunk["bid"]) for chunk in chunks] == [300, 300, 300, 100]
    for chunk in chunks:
        assert chunk["ts_event"] is chunk["ts_init"]
        assert all(a.dtype == np.int64 and a.flags.c_contiguous and a.flags.writeable for a in chunk.values())
    assert same(concat_columns(chunks), quotes(100, 1000))
    assert list(chunks[0]) == ["ts_event", "ts_init", "bid", "ask", "bid_size", "ask_size"]


def test_dates_filter_inclusively(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    catalog.write("quote", usdjpy, quotes(100, 1000))
    assert read_all(catalog, "quote", usdjpy.id, start=200, end=299)["ts_init"].tolist() == list(range(200, 300))
    assert list(catalog.read("quote", usdjpy.id, start="2024-01-01")) == []
    assert len(read_all(catalog, "quote", usdjpy.id, end="1970-01-01T00:00:01")["bid"]) == 1000
    with pytest.raises(CatalogError, match="not an ISO 8601"):
        catalog.read("quote", usdjpy.id, start="yesterday")


def test_file_is_delta_packed_with_its_metadata(tmp_path: Path, usdjpy: Any) -> None:
    entry = Catalog(tmp_path).write("bar", usdjpy, bars(5, 10), BAR_TYPE)
    assert entry.files[0].startswith("data/bar/USD%2FJPY.SIM-1-MINUTE-BID-EXTERNAL/5-14-")
    file = pq.ParquetFile(tmp_path / entry.files[0])
    assert file.schema_arrow.names == ["ts_init", "open", "high", "low", "close", "volume"]
    column = file.metadata.row_group(0).column(0)
    assert "DELTA_BINARY_PACKED" in column.encodings and column.compression == "UNCOMPRESSED"
    metadata = {k.decode(): v.decode() for k, v in file.metadata.metadata.items()}
    expected = {
        "schema_version": "1",
        "kind": "bar",
        "instrument_id": "USD/JPY.SIM",
        "bar_type": BAR_TYPE,
        "price_precision": "3",
        "size_precision": "0",
        "rows": "10",
        "start_ns": "5",
        "end_ns": "14",
        "sha256": entry.sha256,
    }
    assert expected.items() <= metadata.items()


def test_times_that_differ_are_stored_both(tmp_path: Path, usdjpy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog(tmp_path)
    catalog.write("quote", usdjpy, quotes(100, 50, delay=7))
    assert same(read_all(catalog, "quote", usdjpy.id), quotes(100, 50, delay=7))
    monkeypatch.setattr("nautilus_common.catalog.catalog.ROW_GROUP_ROWS", 20)
    mixed = concat_columns([quotes(0, 50), quotes(50, 50, delay=7), quotes(100, 30)])
    entry = catalog.write("quote", usdjpy, [mixed], mode="replace")
    assert entry.rows == 130 and len(entry.files) == 2
    assert same(read_all(catalog, "quote", usdjpy.id), mixed)


def test_digest_does_not_depend_on_the_batches(tmp_path: Path, usdjpy: Any) -> None:
    whole = Catalog(tmp_path / "a").write("quote", usdjpy, quotes(0, 1000))
    parts = [{n: a[i : i + 77] for n, a in quotes(0, 1000).items()} for i in range(0, 1000, 77)]
    cut = Catalog(tmp_path / "b").write("quote", usdjpy, iter(parts))
    assert whole == cut
    assert (tmp_path / "a" / whole.files[0]).read_bytes() == (tmp_path / "b" / cut.files[0]).read_bytes()


def test_writing_twice_is_writing_once(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    first = catalog.write("quote", usdjpy, quotes(0, 100))
    for mode in ("new", "append", "replace"):
        assert catalog.write("quote", usdjpy, quotes(0, 100), mode=mode) == first
    assert len(list(tmp_path.glob("data/*/*/*"))) == 1


def test_overlap_is_refused(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    catalog.write("quote", usdjpy, quotes(100, 100))
    for start, mode in ((150, "new"), (199, "new"), (50, "append"), (0, "append"), (150, "append")):
        with pytest.raises(OverlapError, match=r"USD/JPY\.SIM: quote data from .* overlaps .*mode='replace'"):
            catalog.write("quote", usdjpy, quotes(start, 60, seed=1), mode=mode)
    assert same(read_all(catalog, "quote", usdjpy.id), quotes(100, 100))
    assert len(list(tmp_path.glob("data/*/*/*"))) == 1


def test_new_append_and_replace(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    catalog.write("quote", usdjpy, quotes(100, 100))
    catalog.write("quote", usdjpy, quotes(0, 100), mode="new")
    catalog.write("quote", usdjpy, quotes(199, 10, seed=1), mode="append")  # one time, another row
    entry = catalog.write("quote", usdjpy, quotes(300, 10), mode="append")
    assert (entry.rows, entry.start_ns, entry.end_ns, len(entry.files)) == (220, 0, 309, 4)
    expected = concat_columns([quotes(0, 100), quotes(100, 100), quotes(199, 10, seed=1), quotes(300, 10)])
    assert same(read_all(catalog, "quote", usdjpy.id), expected)
    with pytest.raises(OverlapError, match="equals the last one stored"):
        last = {name: array[-1:] for name, array in quotes(300, 10).items()}
        catalog.write("quote", usdjpy, concat_columns([last, quotes(400, 1)]), mode="append")
    assert catalog.write("quote", usdjpy, quotes(5, 5), mode="replace").rows == 5
    assert len(list(tmp_path.glob("data/*/*/*"))) == 1
    catalog.delete("quote", usdjpy.id)
    catalog.delete("quote", usdjpy.id)
    assert catalog.entries() == [] and not list(tmp_path.glob("data/*/*/*"))


def test_bad_rows_are_not_stored(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    crossed = quotes(0, 10)
    crossed["bid"] = crossed["ask"] + 1
    with pytest.raises(DataError, match=r"mine.csv: row 1: crossed"):
        catalog.write("quote", usdjpy, crossed, source="mine.csv")
    with pytest.raises(DataError, match="row 11: ts_init"):
        catalog.write("quote", usdjpy, [quotes(100, 10), quotes(0, 10)])
    with pytest.raises(DataError, match="no rows"):
        catalog.write("quote", usdjpy, iter([]))
    assert catalog.entries() == [] and not list(tmp_path.glob("data/*/*/*"))
    assert catalog.write("quote", usdjpy, crossed, allow_crossed=True).allow_crossed
    for kind, bar_type in (("bar", None), ("quote", BAR_TYPE), ("quotes", None)):
        with pytest.raises(CatalogError):
            catalog.write(kind, usdjpy, quotes(0, 10), bar_type)
    with pytest.raises(CatalogError, match="mode"):
        catalog.write("quote", usdjpy, quotes(0, 10), mode="update")  # type: ignore[arg-type]


def test_other_precisions_than_the_stored_are_refused(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    catalog.write("quote", usdjpy, quotes(0, 10))
    other = msgspec.structs.replace(
        usdjpy, price_precision=4, price_increment=type(usdjpy.price_increment).from_str("0.0001")
    )
    with pytest.raises(CatalogError, match="price and size precision"):
        catalog.write("quote", other, quotes(100, 10))
    with pytest.raises(CatalogError, match="price and size precision"):
        catalog.write_instrument(other)


class Crash(BaseException):
    """Stands for the end of the process."""


STEPS = ["row group written", "file synced", "file named", "files written", "before swap"]


ENDS = ["after swap", "old files removed"]
CRASHES = [(change, step) for change in ("replace", "append") for step in [*STEPS, *ENDS]]


@pytest.mark.parametrize(("change", "step"), [*CRASHES, *(("delete", step) for step in ["before swap", *ENDS])])
def test_a_crash_leaves_the_old_or_the_new_state(step: str, change: str, tmp_path: Path, usdjpy: Any) -> None:
    Catalog(tmp_path).write("quote", usdjpy, quotes(0, 100))

    def crash(name: str) -> None:
        if name == step:
            raise Crash

    def act(catalog: Catalog) -> None:
        if change == "delete":
            catalog.delete("quote", usdjpy.id)
        else:
            catalog.write("quote", usdjpy, quotes(100, 50), mode=change)

    with pytest.raises(Crash):
        act(Catalog(tmp_path, on_step=crash))
    after = {"replace": [quotes(100, 50)], "append": [quotes(0, 100), quotes(100, 50)], "delete": []}[change]
    expected = [quotes(0, 100)] if step in STEPS else after
    catalog = Catalog(tmp_path)
    got = list(catalog.read("quote", usdjpy.id))
    assert len(got) == (1 if expected else 0)
    assert not expected or same(got[0], concat_columns(expected))
    act(catalog)  # and again: it goes through, and leaves no stray file
    got = list(catalog.read("quote", usdjpy.id))
    assert not after or same(concat_columns(got), concat_columns(after))
    alive = {path for entry in catalog.entries() for path in entry.files}
    strays = {p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("data/*/*/*")} - alive
    assert not strays or (change == "delete" and step == "after swap")


def test_a_crash_before_the_manifest_is_named(tmp_path: Path, usdjpy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog(tmp_path)
    catalog.write("quote", usdjpy, quotes(0, 100))
    replace = os.replace

    def crash(source: Path, target: Path) -> None:
        if Path(target).name == MANIFEST_NAME:
            raise Crash
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("nautilus_common.catalog.manifest.os.replace", crash)
        with pytest.raises(Crash):
            catalog.write("quote", usdjpy, quotes(100, 50), mode="replace")
    assert same(read_all(catalog, "quote", usdjpy.id), quotes(0, 100))
    assert catalog.write("quote", usdjpy, quotes(100, 50), mode="append").rows == 150


@pytest.mark.parametrize("step", ["file named", "after swap"])
def test_a_killed_process_leaves_no_lock(step: str, tmp_path: Path, usdjpy: Any) -> None:
    Catalog(tmp_path).write_instrument(usdjpy)
    code = f"""
import os, numpy as np
from nautilus_common.catalog.catalog import Catalog
catalog = Catalog({str(tmp_path)!r}, on_step=lambda name: os._exit(9) if name == {step!r} else None)
one = np.ones(5, dtype=np.int64)
columns = dict.fromkeys(("bid", "ask", "bid_size", "ask_size"), one)
columns |= dict.fromkeys(("ts_event", "ts_init"), one.cumsum())
catalog.write("quote", catalog.instrument("USD/JPY.SIM"), columns)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 9
    catalog = Catalog(tmp_path)
    assert [entry.rows for entry in catalog.entries()] == ([5] if step == "after swap" else [])
    assert catalog.write("quote", usdjpy, quotes(100, 5)).rows == (10 if step == "after swap" else 5)


def test_a_second_writer_is_told_to_wait(tmp_path: Path, usdjpy: Any) -> None:
    def second(name: str) -> None:
        if name == "files written":
            with pytest.raises(CatalogError, match="being changed by another process"):
                Catalog(tmp_path).write("quote", usdjpy, quotes(500, 5))

    Catalog(tmp_path, on_step=second).write("quote", usdjpy, quotes(0, 5))
    assert [entry.rows for entry in Catalog(tmp_path).entries()] == [5]


def test_damage_is_found(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    catalog.write_instrument(usdjpy)
    columns = quotes(0, 1000)
    columns["ts_event"] = columns["ts_init"] = np.arange(1000) + 100_000 * (np.arange(1000) >= 500)
    entry = catalog.write("quote", usdjpy, columns)
    assert [(p.code, p.row) for p in catalog.check()] == [("gap", 501)]
    assert catalog.check("trade") == []
    path = tmp_path / entry.files[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match="not a whole Parquet file") as raised:
        list(catalog.read("quote", usdjpy.id))
    assert str(path) in str(raised.value)
    assert [p.code for p in catalog.check()] == ["truncated"]
    other = Catalog(tmp_path / "other").write("quote", usdjpy, quotes(0, 1000, seed=3))
    path.write_bytes((tmp_path / "other" / other.files[0]).read_bytes())
    assert [p.code for p in catalog.check("quote", usdjpy.id)] == ["digest"]


def test_crossed_quotes_are_a_problem_unless_allowed(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    catalog.write_instrument(usdjpy)
    columns = quotes(0, 10)
    columns["bid"] = columns["ask"] + 1
    catalog.write("quote", usdjpy, DataColumns("quote", usdjpy.id, None, columns, allow_crossed=True))
    assert catalog.check() == []
    assert [p.code for p in find_problems("quote", columns, usdjpy, source="mine")] == ["crossed"]


def test_a_file_that_is_gone_while_reading(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    catalog.write("quote", usdjpy, quotes(0, 10))
    reading = catalog.read("quote", usdjpy.id)
    catalog.write("quote", usdjpy, quotes(0, 20), mode="replace")
    with pytest.raises(DataError, match="changed while it was read"):
        next(reading)


def test_a_lost_or_damaged_manifest_is_named(tmp_path: Path, usdjpy: Any) -> None:
    catalog = Catalog(tmp_path)
    catalog.write("quote", usdjpy, quotes(0, 10))
    manifest = tmp_path / MANIFEST_NAME
    whole = manifest.read_bytes()
    for damage in (b"{", b'{"version": 1, "other": 2}', b'{"version": 99}', None):
        manifest.unlink() if damage is None else manifest.write_bytes(damage)
        for act in (catalog.entries, lambda: catalog.write("quote", usdjpy, quotes(100, 5))):
            with pytest.raises(DataError, match=r"manifest\.json"):
                act()
    manifest.write_bytes(whole)
    assert same(read_all(catalog, "quote", usdjpy.id), quotes(0, 10))


def test_missing_data_is_described(tmp_path: Path, usdjpy: Any, btcusdt_perp: Any) -> None:
    catalog = Catalog(tmp_path)
    assert "is empty; import some" in catalog.describe_missing("quote", "USD/JPY.SIM")
    catalog.write("quote", usdjpy, quotes(0, 1000))
    catalog.write("bar", usdjpy, bars(0, 10), BAR_TYPE)
    text = catalog.describe_missing("quote", "USDJPY.SIM")
    assert "has bar USD/JPY.SIM-1-MINUTE-BID-EXTERNAL (10 rows), quote USD/JPY.SIM (1,000 rows)" in text
    assert "did you mean USD/JPY.SIM?" in text
    assert "did you mean bar USD/JPY.SIM-1-MINUTE" in catalog.describe_missing("trade", "USD/JPY.SIM")
    assert "has it from 1970-01-01" in catalog.describe_missing("quote", "USD/JPY.SIM", start="2024-01-01")


@pytest.mark.parametrize("name", ["USD/JPY.SIM", "..", "BRK.B.XNYS", "A\\B:C*?.X", "a b.X", "é.X", "x" * 400])
def test_names_of_files_are_safe(name: str, tmp_path: Path) -> None:
    made = safe_name(name)
    assert "/" not in made and "\\" not in made and made not in (".", "..") and len(made) < 200
    assert safe_name(name + "1") != made
    (tmp_path / made).mkdir()
