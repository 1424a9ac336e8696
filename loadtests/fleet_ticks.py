"""Replayed quotes through JetStream into a strategy host: with a strategy on bars, and with one on every quote.

`python -m loadtests.fleet_ticks [--topology apart three] [--ticks N] [--repeat N] [--json]`

Goals: 5 M ticks/s with bars, 1 M ticks/s with an empty `on_quote_tick` in Python. The CPU time of a tick over all
processes, servers included, says what a machine with nothing else to do would reach on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from loadtests import program
from loadtests.fleet import TOPOLOGIES, Fleet, plan, quotes
from loadtests.measure import Figures
from loadtests.program import Row
from loadtests.workloads import Goal

WARM_UP = 20_000
#: strategy -> (share of the ticks that are replayed, what it is, goal)
STRATEGIES = {
    "Bars": (1.0, "quotes to 1-minute bars, two averages in Python", 5e6),
    "Empty": (0.4, "quotes, empty on_quote_tick", 1e6),
}


def rows(options: argparse.Namespace) -> Iterator[Row]:
    for topology in options.topology:
        with Fleet(TOPOLOGIES[topology]) as fleet:
            for name, (share, title, goal) in STRATEGIES.items():
                count = max(1, int(options.ticks * share))
                fleet.replay(quotes(min(count, WARM_UP)), {"": [plan(name)]})  # compiles the kernels, and loads them
                figures = program.median([_measure(fleet, name, count) for _ in range(options.repeat)])
                goals = (Goal("ticks_per_s", goal, at_least=True),)
                notes = ("cpu_ns_per_tick", "ticks_per_s_of_two_cores")
                yield Row(
                    f"TICKS_{name.upper()}", f"{title}; {topology}", {**figures, "topology": topology}, goals, notes
                )


def _measure(fleet: Fleet, name: str, count: int) -> Figures:
    figures = fleet.replay(quotes(count), {"": [plan(name)]})
    assert figures["rows"] == count, f"{figures['rows']} of {count} quotes were replayed"
    cpu = figures["cpu_seconds"] / count
    return {
        "ticks": count,
        "seconds": figures["seconds"],
        "ticks_per_s": round(count / figures["seconds"]),
        "trips": figures["trips"],
        "cpu_ns_per_tick": round(cpu * 1e9),
        "cpu_ns_per_tick_of": {process: round(s / count * 1e9) for process, s in figures["cpu"].items()},
        "ticks_per_s_of_two_cores": round(2 / cpu),
    }


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topology", nargs="+", choices=TOPOLOGIES, default=["apart", "three"])
    parser.add_argument("--ticks", type=program.positive, default=5_000_000, metavar="N")
    parser.add_argument("--repeat", type=program.positive, default=3, metavar="N", help="the median of so many runs")


def main(arguments: list[str] | None = None) -> int:
    return program.run(__doc__, rows, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
