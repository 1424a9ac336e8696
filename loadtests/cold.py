"""COLD: `fleet backtest` on few bars, as a user runs it: a fresh process each time, the machine's caches warm."""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from loadtests import market
from loadtests.measure import Figures
from loadtests.process import ROOT, Skipped, environment

RUNS = 5

CONFIG = """\
[run]
name = "cold"
strategy = "{strategy}:EmaCross"

[params]
bar_type = "EUR/USD.SIM-1-MINUTE-LAST-EXTERNAL"
trade_size = "100000"
fast = 10
slow = 20

[venue.SIM]
starting_balances = ["1000000 USD"]

[[instruments]]
type = "CurrencyPair"
instrument_id = "EUR/USD.SIM"
raw_symbol = "EUR/USD"
base_currency = "EUR"
quote_currency = "USD"
price_precision = 5
size_precision = 0
margin_init = "0.03"
margin_maint = "0.03"
maker_fee = "0.00002"
taker_fee = "0.00002"

[[data.files]]
kind = "bars"
instrument = "EUR/USD.SIM"
bar_type = "EUR/USD.SIM-1-MINUTE-LAST-EXTERNAL"
file = "bars.csv"
timestamp = "ns"

[stats]
periods_per_year = 260
"""


def cold_start(bars: int, folder: Path) -> Figures:
    """Median wall seconds of `RUNS` commands after a first one. Raises `Skipped` where there is no command yet."""
    if not (ROOT / "libs" / "nautilus_fleet" / "cli.py").exists():
        raise Skipped("the command `fleet` is not there yet (libs/nautilus_fleet/cli.py)")
    config = _project(bars, folder / "cold")
    first, _ = _run(config)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    runs = [_run(config) for _ in range(RUNS)]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(config.parent / "runs", ignore_errors=True)
    seconds = statistics.median(run[0] for run in runs)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / RUNS
    return {
        "orders": runs[-1][1],
        "seconds": seconds,
        "cpu_seconds": cpu,
        "first_seconds": round(first, 3),
        "peak_rss_mb": round(after.ru_maxrss * 1024 / 1e6, 1),
    }


def _command() -> list[str]:
    fleet = ROOT / ".venv" / "bin" / "fleet"
    return [str(fleet)] if fleet.exists() else [sys.executable, "-m", "nautilus_fleet"]


def _run(config: Path) -> tuple[float, int]:
    command = [*_command(), "backtest", str(config), "--json"]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[-1000:]}")
    orders = json.loads(done.stdout)["orders"]
    return seconds, orders if isinstance(orders, int) else len(orders)


def _project(bars: int, folder: Path) -> Path:
    """A project with the first `bars` bars of the market as CSV and the bundled strategy."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = market.load(folder.parent, "bars")
    lines = ["timestamp,open,high,low,close,volume"]
    for ts, *prices, volume in zip(*(column[:bars].tolist() for column in columns.values()), strict=True):
        lines.append(f"{ts},{','.join(f'{price / 1e5:.5f}' for price in prices)},{volume}")
    (folder / "bars.csv").write_text("\n".join(lines) + "\n")
    strategy = ROOT / "libs" / "nautilus_fleet" / "templates" / "strategies" / "ema_cross.py"
    config = folder / "backtest.toml"
    config.write_text(CONFIG.format(strategy=strategy))
    return config
