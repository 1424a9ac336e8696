"""The configurations of the issue's table, run through the same path as `fleet backtest`; also a script that prints
digests, so that a fresh process with another hash seed, or without a compiler, can be compared.

    python case_runs.py DATA_FOLDER [BLOCK_ROWS] -> one JSON object {case: digest}
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

CASES = {
    "usdjpy": "usdjpy_ema_cross/backtest.toml",
    "rollover": "usdjpy_ema_cross/backtest_rollover.toml",
    "two": "usdjpy_two_strategies/backtest.toml",
    "btc": "btc_perp_round_trip/backtest.toml",
    "audusd": "audusd_parity/backtest.toml",
    "cash_margin": "cash_margin_parity/backtest.toml",
}


class Silent:
    """Progress that nobody sees."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def build_case(name: str, data: Path, event_log: Path | None = None, block_rows: int | None = None) -> Any:
    """(the `BacktestEngine` of a case, not run; the start and end of its run)."""
    from nautilus_fleet.config_source import load_config
    from nautilus_fleet.market import load_market
    from nautilus_fleet.runner import build_engine
    from nautilus_fleet.strategies import load_strategies

    overrides = [] if block_rows is None else [f"data.block_rows={block_rows}"]
    loaded = load_config(EXAMPLES / CASES[name], overrides, {**os.environ, "FLEET_DATA": str(data)})
    engine = build_engine(loaded, load_market(loaded, Silent()), load_strategies(loaded), event_log, Silent())
    return engine, loaded.model.run.start, loaded.model.run.end


def run_case(name: str, data: Path, event_log: Path | None = None, block_rows: int | None = None) -> Any:
    """The finished `BacktestEngine` of a case."""
    engine, start, end = build_case(name, data, event_log, block_rows)
    engine.run(start=start, end=end)
    return engine


def digests(data: Path, block_rows: int | None = None) -> dict[str, str]:
    return {name: run_case(name, data, block_rows=block_rows).digest for name in CASES}


if __name__ == "__main__":
    print(json.dumps(digests(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)))
