"""A day of trading, simulated at speed: does memory stay flat, and does the replay keep up with its clock?

`python -m loadtests.soak [--minutes M] [--hours H] [--json]`

H hours of the market (24 unless said otherwise) are replayed in M minutes, with a strategy on every quote that trades
now and then and one on bars. The memory of every process is sampled. Goals: from the end of the first quarter to the
end the processes together, servers included, grow by no more than 5 %, and the replay is at no time later than one
second more than it was then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from time import monotonic
from typing import Any

from loadtests import program
from loadtests.fleet import TOPOLOGIES, Fleet, plan, quotes
from loadtests.measure import Figures
from loadtests.program import Row
from loadtests.workloads import Goal

GROWTH_MAX = 1.05
LATER_S_MAX = 1.0
BLOCK_ROWS = 256
QUOTES_PER_ORDER = 500  # one order in four and a half minutes of the market
WARM_UP = 2_000
ROWS_PER_HOUR = 6_546  # quotes are 0.55 s apart
SETTLED = 0.25  # the share of the run after which memory must be flat: caches of 10,000 rows are full then


class Samples:
    """What is seen at each progress of the run: how late it is, and the memory of every process."""

    def __init__(self, fleet: Fleet, ts: list[int], speed: float) -> None:
        self._fleet = fleet
        self._ts = ts
        self._speed = speed
        self._origin: tuple[float, int] | None = None
        self.late_s: list[float] = []
        self.rss_mb: list[dict[str, float]] = []

    def __call__(self, progress: dict[str, Any]) -> None:
        if progress.get("stage") != "run" or not progress["rows"]:
            return
        now, ts = monotonic(), self._ts[int(progress["rows"]) - 1]
        if self._origin is None:
            self._origin = (now, ts)
        self.late_s.append(now - self._origin[0] - (ts - self._origin[1]) / 1e9 / self._speed)
        self.rss_mb.append(self._fleet.rss_mb())

    def figures(self) -> Figures:
        assert len(self.late_s) >= 8, f"only {len(self.late_s)} samples: more --minutes"
        first = int(len(self.late_s) * SETTLED)
        early, last = self.rss_mb[first], self.rss_mb[-1]
        growth = {name: round(last[name] / early[name], 4) for name in last}
        return {
            "samples": len(self.late_s),
            "growth": round(sum(last.values()) / sum(early.values()), 4),
            "growth_of": growth,
            "rss_mb_of": last,
            "late_s": round(max(self.late_s[: first + 1]), 3),
            "later_s": round(max(0.0, max(self.late_s[first:]) - max(self.late_s[: first + 1])), 3),
        }


def rows(options: argparse.Namespace) -> Iterator[Row]:
    count = int(options.hours * ROWS_PER_HOUR)
    columns = quotes(count)
    ts = columns["ts"].tolist()
    speed = (ts[-1] - ts[0]) / 1e9 / (options.minutes * 60)
    strategies = [plan("Turn", every=QUOTES_PER_ORDER), plan("Bars")]
    with Fleet(TOPOLOGIES["apart"]) as fleet:
        fleet.replay(quotes(WARM_UP), {"": strategies})
        samples = Samples(fleet, ts, speed)
        figures = fleet.replay(columns, {"": strategies}, samples, speed=speed, block_rows=BLOCK_ROWS)
    assert figures["filled"] == count // QUOTES_PER_ORDER
    measured = {
        "hours": options.hours,
        "minutes": options.minutes,
        "speed": round(speed),
        "ticks": count,
        "orders": figures["filled"],
        "seconds": figures["seconds"],
        "cpu_seconds": figures["cpu_seconds"],
        **samples.figures(),
    }
    title = f"{options.hours:g} h of the market in {options.minutes:g} min"
    goals = (Goal("growth", GROWTH_MAX), Goal("later_s", LATER_S_MAX))
    yield Row("SOAK", title, measured, goals, ("late_s", "growth_of", "rss_mb_of"))


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=2.0, metavar="M")
    parser.add_argument("--hours", type=float, default=24.0, metavar="H")


def main(arguments: list[str] | None = None) -> int:
    return program.run(__doc__, rows, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
