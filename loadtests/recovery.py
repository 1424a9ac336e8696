"""A service that is killed late in a long replay: how long until the run goes on from where it was.

`python -m loadtests.recovery [--service NAME] [--orders N] [--json]`

Two rows. With the snapshots that a replay orders as it goes, a recovery is the start of a process, its snapshot, and
what came after, at most a sixteenth of the run: the goal is 5 s. Without any snapshot all that the service was ever
sent is carried out again: that row says what a million messages of log would cost, which is why nothing is ever that
far back. 210,000 orders are a million messages at the moment of the death.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from time import monotonic
from typing import Any

from loadtests import program
from loadtests.fleet import ROLES, TOPOLOGIES, Fleet, backtest_digest, plan, quotes
from loadtests.measure import Figures
from loadtests.program import Row
from loadtests.workloads import Goal

QUOTES_PER_ORDER = 5
MESSAGES_PER_ORDER = 6
BLOCK_ROWS = 25  # so that the progress of the run says to five orders where it is
KILL_AT = 0.8
MARGIN_ROWS = 200  # the run has gone on when it is that far beyond where it was
NO_SNAPSHOTS = {"FLEET_TEST_SNAPSHOT_EVERY": "1000000000"}


class Death:
    """Kills a service when the run has come to `row`, and sees when the run goes on."""

    def __init__(self, fleet: Fleet, service: str, row: int) -> None:
        self._fleet = fleet
        self._service = service
        self._row = row
        self._seen: list[tuple[float, int]] = []
        self.killed = (0.0, 0)
        self.seconds = 0.0

    def __call__(self, progress: dict[str, Any]) -> None:
        if progress.get("stage") != "run":
            return
        now, rows = monotonic(), int(progress["rows"])
        if not self.killed[0]:
            self._seen.append((now, rows))
            if rows >= self._row:
                self._fleet.stack.kill(self._service)
                self.killed = (monotonic(), rows)
        elif not self.seconds and rows >= self.killed[1] + MARGIN_ROWS:
            self.seconds = max(0.0, now - self.killed[0] - (rows - self.killed[1]) / self.rows_per_s())

    def rows_per_s(self) -> float:
        """How fast the run was before."""
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        assert last > first, "the run was over before it could be measured: more --orders"
        return (last - first) / (last_s - first_s)


def rows(options: argparse.Namespace) -> Iterator[Row]:
    count = options.orders * QUOTES_PER_ORDER
    digest = backtest_digest(quotes(count), [plan("Turn", every=QUOTES_PER_ORDER)])
    with Fleet(TOPOLOGIES["apart"]) as fleet:
        kept = _measure(fleet, options.service, count, digest, {})
        title = f"{options.service} killed; snapshots as they come"
        yield Row("RECOVERY", title, kept, (Goal("recovery_s", 5),), ("messages_of_log",))
        whole = _measure(fleet, options.service, count, digest, NO_SNAPSHOTS)
        more_s = max(0.0, whole["recovery_s"] - kept["recovery_s"])
        whole["s_per_million_messages"] = round(more_s / whole["messages_of_log"] * 1e6, 1)
        title = f"{options.service} killed; no snapshot, all from the log"
        yield Row("RECOVERY_LOG", title, whole, (), ("recovery_s", "messages_of_log", "s_per_million_messages"))


def _measure(fleet: Fleet, service: str, count: int, digest: str, environ: dict[str, str]) -> Figures:
    death = Death(fleet, service, int(count * KILL_AT))
    before = fleet.stack.restarts(service)
    hosts = {"": [plan("Turn", every=QUOTES_PER_ORDER)]}
    figures = fleet.replay(quotes(count), hosts, death, environ, block_rows=BLOCK_ROWS)
    assert death.killed[0], "the run was over before anybody was killed: more --orders"
    assert death.seconds, "the run was over before the service was back: more --orders"
    assert fleet.stack.restarts(service) == before + 1
    assert figures["digest"] == digest, "the digest is not that of the run in one process"
    return {
        "service": service,
        "orders": count // QUOTES_PER_ORDER,
        "seconds": figures["seconds"],
        "recovery_s": round(death.seconds, 3),
        "messages_of_log": death.killed[1] // QUOTES_PER_ORDER * MESSAGES_PER_ORDER,
        "rows_per_s": round(death.rows_per_s()),
    }


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", choices=ROLES, default="strategy_host")
    parser.add_argument("--orders", type=program.positive, default=20_000, metavar="N")


def main(arguments: list[str] | None = None) -> int:
    return program.run(__doc__, rows, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
