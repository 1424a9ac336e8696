"""A replayed order from the strategy to its fill, through risk, execution and portfolio, by topology.

`python -m loadtests.fleet_orders [--topology apart three one] [--orders N] [--repeat N] [--json]`

Goals: 1.5 ms an order in five processes, 0.8 ms with execution, portfolio and risk in one. Every order is a market
order that is filled at once, and the digest is that of the same run in one process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from loadtests import program
from loadtests.fleet import TOPOLOGIES, Fleet, backtest_digest, plan, quotes
from loadtests.measure import Figures
from loadtests.program import Row
from loadtests.workloads import Goal

QUOTES_PER_ORDER = 5
WARM_UP = 100
#: topology -> (what it is, goal in ms)
KINDS: dict[str, tuple[str, float | None]] = {
    "apart": ("five processes", 1.5),
    "three": ("execution, risk and portfolio in one process", 0.8),
    "one": ("all services in one process", None),
}


def rows(options: argparse.Namespace) -> Iterator[Row]:
    hosts = {"": [plan("Turn", every=QUOTES_PER_ORDER)]}
    digest = backtest_digest(quotes(options.orders * QUOTES_PER_ORDER), hosts[""])
    for topology in options.topology:
        title, goal = KINDS[topology]
        with Fleet(TOPOLOGIES[topology]) as fleet:
            fleet.replay(quotes(WARM_UP * QUOTES_PER_ORDER), hosts)
            runs = [_measure(fleet, hosts, options.orders, digest) for _ in range(options.repeat)]
        goals = () if goal is None else (Goal("ms_per_order", goal),)
        figures = {**program.median(runs), "topology": topology}
        notes = ("cpu_ms_per_order", "trips_per_order") if goals else ("ms_per_order", "cpu_ms_per_order")
        yield Row(f"ORDERS_{topology.upper()}", f"market order to fill; {title}", figures, goals, notes)


def _measure(fleet: Fleet, hosts: dict[str, Any], orders: int, digest: str) -> Figures:
    figures = fleet.replay(quotes(orders * QUOTES_PER_ORDER), hosts)
    assert figures["filled"] == orders, f"{figures['filled']} of {orders} orders were filled"
    assert figures["digest"] == digest, "the digest is not that of the run in one process"
    return {
        "orders": orders,
        "seconds": figures["seconds"],
        "ms_per_order": round(figures["seconds"] / orders * 1e3, 4),
        "trips_per_order": round(figures["trips"] / orders, 3),
        "cpu_ms_per_order": round(figures["cpu_seconds"] / orders * 1e3, 4),
        "cpu_us_per_order_of": {process: round(s / orders * 1e6) for process, s in figures["cpu"].items()},
        "digest": digest,
    }


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topology", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--orders", type=program.positive, default=5_000, metavar="N")
    parser.add_argument("--repeat", type=program.positive, default=3, metavar="N", help="the median of so many runs")


def main(arguments: list[str] | None = None) -> int:
    return program.run(__doc__, rows, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
