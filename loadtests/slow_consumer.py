"""One of two strategy hosts is stopped (SIGSTOP) in the middle of a replay.

`python -m loadtests.slow_consumer [--orders N] [--stop-seconds S] [--json]`

The replay that it takes part in waits for it, and another replay, in an env of its own without that host, goes on as
if nothing were. Goals: the other one takes no longer than alone, and no process grows by more than 100 MB. After
SIGCONT the first ends with the digest that it has without a stop.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

from loadtests import program
from loadtests.burst import WARM_UP, Memory
from loadtests.fleet import Fleet, plan, quotes
from loadtests.measure import Figures
from loadtests.program import Row
from loadtests.workloads import Goal

GROUPS = [["execution_gateway"], ["risk"], ["portfolio"], ["strategy_host.a"], ["strategy_host.b"]]
STOPPED = "strategy_host.b"  # has the second host of a run, and nothing of a run with one host
QUOTES_PER_ORDER = 5
BLOCK_ROWS = 50
STOP_AT = 0.3
GROWTH_MB_MAX = 100
SLOWER_MAX = 1.2  # two runs of the same differ by that on a machine with other work


class Stop:
    """Stops a host when the run has come to `row`, and says so; the time of every progress is kept."""

    def __init__(self, fleet: Fleet, row: int) -> None:
        self._fleet = fleet
        self._row = row
        self.done = threading.Event()
        self.times: list[float] = []

    def __call__(self, progress: dict[str, Any]) -> None:
        if progress.get("stage") != "run":
            return
        self.times.append(monotonic())
        if not self.done.is_set() and int(progress["rows"]) >= self._row:
            self._fleet.stack.pause(STOPPED)
            self.done.set()

    def longest_s(self) -> float:
        """The longest time without progress."""
        return max(b - a for a, b in zip(self.times, self.times[1:], strict=False))


def rows(options: argparse.Namespace) -> Iterator[Row]:
    with Fleet(GROUPS) as fleet:
        figures = _measure(fleet, options.orders, options.stop_seconds)
    goals = (Goal("other_slower", SLOWER_MAX), Goal("growth_mb", GROWTH_MB_MAX))
    notes = ("other_s", "other_alone_s", "stood_s")
    yield Row("SLOW_CONSUMER", "one of two strategy hosts stopped", figures, goals, notes)


def _measure(fleet: Fleet, orders: int, stop_seconds: float) -> Figures:
    columns = quotes(orders * QUOTES_PER_ORDER)
    every = QUOTES_PER_ORDER * 2
    both = {"": [plan("Turn", every=every)], "second": [plan("Turn", "001", every=every)]}
    one = {"": [plan("Turn", every=QUOTES_PER_ORDER)]}
    fleet.replay(quotes(WARM_UP), both)
    digest = fleet.replay(columns, both, block_rows=BLOCK_ROWS)["digest"]
    alone = [fleet.replay(columns, one, block_rows=BLOCK_ROWS)]
    stop = Stop(fleet, int(len(columns["ts"]) * STOP_AT))
    outcome: list[Figures | BaseException] = []

    def run() -> None:
        try:
            outcome.append(fleet.replay(columns, both, stop, block_rows=BLOCK_ROWS))
        except BaseException as error:
            outcome.append(error)
            stop.done.set()

    thread = threading.Thread(target=run, daemon=True)
    with Memory(fleet) as memory:
        thread.start()
        stop.done.wait()
        stopped = monotonic()
        try:
            other = fleet.replay(columns, one, block_rows=BLOCK_ROWS)
            left = stop_seconds - (monotonic() - stopped)
            thread.join(max(0.0, left))
            was_waiting = thread.is_alive()
        finally:
            fleet.stack.resume(STOPPED)
        thread.join()
    alone.append(fleet.replay(columns, one, block_rows=BLOCK_ROWS))
    result = outcome[0]
    if isinstance(result, BaseException):
        raise RuntimeError(f"the replay with the stopped host failed: {result}") from result
    assert was_waiting, "the replay did not wait for the stopped host"
    assert result["digest"] == digest, "after the stop the digest is another one"
    assert other["digest"] == alone[0]["digest"], "beside the stopped one the digest is another one"
    growth = memory.growth_mb()
    alone_s = max(figures["seconds"] for figures in alone)  # before and after: the machine may have other work
    return {
        "orders": orders,
        "seconds": result["seconds"],
        "stood_s": round(stop.longest_s(), 3),
        "other_s": other["seconds"],
        "other_alone_s": alone_s,
        "other_slower": round(other["seconds"] / alone_s, 3),
        "growth_mb": max(growth.values()),
        "growth_mb_of": growth,
    }


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orders", type=program.positive, default=1_000, metavar="N")
    parser.add_argument(
        "--stop-seconds", type=float, default=10.0, metavar="S", help="at least; and until the other ends"
    )


def main(arguments: list[str] | None = None) -> int:
    return program.run(__doc__, rows, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
