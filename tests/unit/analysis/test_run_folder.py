"""The run folder: whole or not at all, stable schemas, and the same run when read back."""

import json
import subprocess
import sys
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from nautilus_common.analysis.reports import summary_json
from nautilus_common.analysis.result import RunResult
from nautilus_common.analysis.run_folder import RunFolderError, load_run, write_run
from nautilus_common.analysis.toml_writer import toml_text

from tests.unit.analysis.sample_run import START_NS, empty_run, order_row, sample_run

ROOT = Path(__file__).parents[3]
TABLES = ("orders", "fills", "positions", "account", "equity", "prices")


def rich_run() -> RunResult:
    result = sample_run(days=5)
    result.account_states = [
        {"ts": START_NS, "total": "100000.00", "locked": "0.00", "free": "100000.00", "currency": "USDT",
         "account_id": "SIM-001", "account_type": "MARGIN", "base_currency": None, "margins": [], "reported": True,
         "info": {}}
    ]  # fmt: skip
    return result


def test_the_folder_has_everything(tmp_path: Path) -> None:
    log = tmp_path / "elsewhere.log"
    log.write_bytes(b"events")
    result = rich_run()
    result.event_log = str(log)
    folder = write_run(result, tmp_path / "runs")
    assert sorted(p.name for p in folder.iterdir()) == [
        "account.parquet", "config.lock.toml", "equity.parquet", "events", "fills.parquet", "orders.parquet",
        "positions.parquet", "prices.parquet", "stats.json", "summary.json", "tearsheet.html",
    ]  # fmt: skip
    assert (folder / "events").read_bytes() == b"events" and not log.exists()
    assert json.loads((folder / "summary.json").read_text())["digest"] == result.digest
    assert tomllib.loads((folder / "config.lock.toml").read_text()) == result.config
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["7f3a9c"], "no temporary folder stays"


def test_a_run_read_back_reports_the_same(tmp_path: Path) -> None:
    result = rich_run()
    loaded = load_run(write_run(result, tmp_path))
    assert summary_json(loaded) == summary_json(result)
    assert loaded.positions == result.positions
    assert loaded.orders[0]["commissions"] == ["0.02 USDT"] and loaded.orders[0]["ts_init"] == START_NS
    assert loaded.fills[0]["ts_event"] == result.fills[0]["ts_event"]
    for key, columns in result.equity.items():
        for name, values in columns.items():
            np.testing.assert_array_equal(loaded.equity[key][name], values)
    assert list(loaded.prices) == list(result.prices)
    folder = write_run(loaded, tmp_path / "again")
    assert (folder / "tearsheet.html").read_bytes() == (tmp_path / "7f3a9c" / "tearsheet.html").read_bytes()


def test_schemas_do_not_depend_on_the_rows(tmp_path: Path) -> None:
    empty, full = write_run(empty_run(), tmp_path / "a"), write_run(rich_run(), tmp_path / "b")
    for table in TABLES:
        assert pq.read_schema(empty / f"{table}.parquet").equals(pq.read_schema(full / f"{table}.parquet"))
    fills = pq.read_schema(full / "fills.parquet")
    assert str(fills.field("ts_event").type) == "timestamp[ns, tz=UTC]"
    assert str(fills.field("ts_event_ns").type) == "int64"
    assert str(pq.read_schema(full / "orders.parquet").field("ts_last").type) == "int64"
    assert load_run(empty).orders == [] and load_run(empty).equity == {}


def test_nulls_unicode_and_lists_survive(tmp_path: Path) -> None:
    rows = [order_row(f"Ö-{i}", START_NS, "BUY", tags=["ä", "b"] if i % 3 else None, avg_px=None) for i in range(10)]
    rows[3]["price"] = "1.5"
    loaded = load_run(write_run(empty_run(orders=rows), tmp_path)).orders
    assert [row["client_order_id"] for row in loaded] == [row["client_order_id"] for row in rows]
    assert [row["tags"] for row in loaded] == [row["tags"] for row in rows]
    assert [row["price"] for row in loaded] == [None] * 3 + ["1.5"] + [None] * 6
    assert "avg_px" not in loaded[0]


def test_a_failure_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    folder = write_run(rich_run(), tmp_path)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    broken = rich_run()
    broken.orders[0]["prise"] = "1"
    with pytest.raises(ValueError, match="orders row 0: unknown column 'prise'"):
        write_run(broken, tmp_path)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]


def test_writing_again_keeps_the_event_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"events")
    result = rich_run()
    result.event_log = str(log)
    folder = write_run(result, tmp_path / "runs")
    write_run(load_run(folder), tmp_path / "runs")
    assert (folder / "events").read_bytes() == b"events"


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden"])
def test_a_run_id_that_leaves_the_folder_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(ValueError, match="cannot name a folder"):
        write_run(empty_run(run_id=run_id), tmp_path)


def test_what_is_not_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no stats"):
        load_run(tmp_path)
    folder = write_run(empty_run(), tmp_path)
    (folder / "orders.parquet").write_bytes(b"PAR1 truncated")
    with pytest.raises(RunFolderError, match="cannot be read"):
        load_run(folder)


def test_pandas_is_never_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.unit.analysis.sample_run import sample_run; "
        "from nautilus_common.analysis.run_folder import load_run, write_run; "
        f"load_run(write_run(sample_run(days=2), Path({str(tmp_path)!r}))); print('pandas' in sys.modules)"
    )
    env = {"PYTHONPATH": f"{ROOT}/libs:{ROOT}", "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "False"


def test_toml_is_read_back_as_written() -> None:
    document = {
        "name": 'say "hi"\n\\', "none": None, "when": date(2024, 1, 1), "n": -3, "x": 0.1, "on": True, "e": [],
        "list": [1, 2], "a b": {"ü": 1, "deep": {"y": [["a"], ["b"]]}}, 
        "venue": [{"name": "SIM"}, {"fees": {"bps": "1.0"}}],
    }  # fmt: skip
    text = toml_text(document)
    expected = {key: value for key, value in document.items() if value is not None}
    assert tomllib.loads(text) == expected
    assert text == toml_text(document)
    assert tomllib.loads(toml_text({"d": Decimal("1.10"), "p": Path("a/b")})) == {"d": "1.10", "p": "a/b"}
    assert toml_text({}) == ""


@pytest.mark.parametrize("value", [object(), 2**63, {1, 2}])
def test_toml_refuses_what_it_cannot_hold(value: object) -> None:
    with pytest.raises(TypeError, match=r"a\.b"):
        toml_text({"a": {"b": value}})
