"""The bundled examples give the figures of the issue's table, through the command and its run folder."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_fleet.cli import main
from nautilus_fleet.config_source import default_data_folder

pytest.importorskip("nautilus_fleet.backtest", reason="the engine is not built yet")

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("FLEET_DATA") or default_data_folder(ROOT))
needs_data = pytest.mark.skipif(not (DATA / "fxcm").is_dir(), reason=f"no recorded market data at {DATA}")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run an example into a folder of its own; returns the JSON that the command prints, and its account states."""

    def run_example(name: str, *overrides: str) -> dict[str, Any]:
        arguments = ["backtest", str(ROOT / "examples" / name), "--json", "--set", f"output.folder={tmp_path}"]
        for override in overrides:
            arguments += ["--set", override]
        code = main(arguments)
        out, err = capsys.readouterr()
        assert code == 0, err
        answer: dict[str, Any] = json.loads(out)
        answer["states"] = account_states(Path(answer["folder"]))
        return answer

    return run_example


def account_states(folder: Path) -> list[dict[str, Any]]:
    from nautilus_common.analysis.run_folder import load_run

    return load_run(folder).account_states


def totals(answer: dict[str, Any], count: int) -> list[Decimal]:
    return [amounts(row, "total")[0] for row in answer["states"][:count]]


def amounts(row: dict[str, Any], *names: str) -> list[Decimal]:
    return [Decimal(str(row[name]).split()[0]) for name in names]


def balance(answer: dict[str, Any], account: str, currency: str) -> Decimal:
    return Decimal(answer["balances"][account][currency])


@needs_data
def test_usdjpy_ema_cross(run: Any) -> None:
    answer = run("usdjpy_ema_cross/backtest.toml")
    assert answer["data_points"] == 115_044
    assert answer["orders"] == 178
    assert answer["positions"] == 89
    assert len(answer["states"]) == 179
    assert totals(answer, 5) == [Decimal(t) for t in ("1000000", "999980", "998841.59", "998821.59", "998215.56")]
    assert balance(answer, "SIM-001", "USD") == Decimal("996754.88")


@needs_data
def test_usdjpy_ema_cross_with_rollover_interest(run: Any) -> None:
    answer = run("usdjpy_ema_cross/backtest_rollover.toml")
    assert len(answer["states"]) == 179 + 20
    assert balance(answer, "SIM-001", "USD") == Decimal("996746.84")


@needs_data
def test_usdjpy_two_strategies(run: Any) -> None:
    answer = run("usdjpy_two_strategies/backtest.toml")
    assert answer["orders"] == 1_308
    assert answer["positions"] == 654
    assert len(answer["states"]) == 1_309
    second = amounts(answer["states"][1], "total", "locked", "free")
    assert second == [Decimal("999980.00"), Decimal("3000.00"), Decimal("996980.00")]
    assert amounts(answer["states"][2], "total") == [Decimal("998841.59")]
    assert balance(answer, "SIM-001", "USD") == Decimal("1023111.29")


@needs_data
def test_btc_perp_round_trip(run: Any) -> None:
    answer = run("btc_perp_round_trip/backtest.toml")
    assert answer["data_points"] == 120
    assert len(answer["states"]) == 3
    assert amounts(answer["states"][0], "total") == [Decimal(1_000_000)]
    assert amounts(answer["states"][1], "total", "locked") == [Decimal("999768.115"), Decimal("1159.425")]
    assert balance(answer, "BINANCE-001", "USDT") == Decimal("1000245.875")


def test_audusd_parity(run: Any) -> None:
    assert balance(run("audusd_parity/backtest.toml"), "SIM-001", "USD") == Decimal("1000017.20")


def test_cash_and_margin_venues_in_one_run(run: Any) -> None:
    answer = run("cash_margin_parity/backtest.toml")
    assert answer["data_points"] == 10
    assert balance(answer, "SIM-001", "USD") == Decimal("1000017.20")
    assert balance(answer, "BINANCE-001", "USDT") == Decimal("100000.29995")
    assert balance(answer, "BINANCE-001", "ETH") == Decimal(10)


def test_the_sample_market_trades_both_instruments_and_repeats(run: Any) -> None:
    first = run("sample/backtest.toml", "data.sample.days=2")
    assert first["fills"] > 10
    assert run("sample/backtest.toml", "data.sample.days=2", "data.block_rows=1000")["digest"] == first["digest"]


@needs_data
@pytest.mark.parametrize("rows", [1_000, 10_007])
def test_block_sizes_change_nothing(run: Any, rows: int) -> None:
    whole = run("usdjpy_ema_cross/backtest.toml")
    assert run("usdjpy_ema_cross/backtest.toml", f"data.block_rows={rows}")["digest"] == whole["digest"]
