"""A burst of market data, then orders: nothing is lost, queues are bounded, and how long it takes to be through.

`python -m loadtests.burst [--ticks N] [--orders N] [--messages N] [--json]`

One row is a replay: quotes as fast as they go, then a market order on every quote; the digest must be that of the run
in one process. The other is the log of one process: all that it has to say at once, faster than any disk takes it.
Goals: no process grows by more than 200 MB in the replay, and what waits for the log stays within its bound.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from loadtests import program
from loadtests.fleet import TOPOLOGIES, Fleet, backtest_digest, plan, quotes
from loadtests.measure import Figures
from loadtests.program import Row
from loadtests.workloads import Goal

GROWTH_MB_MAX = 200
SAMPLE_SECONDS = 0.1
WARM_UP = 100
TURN = 100  # records of a turn in the log's burst


class Memory:
    """Samples the memory of every process of a fleet in a thread, as long as it is entered."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.before = fleet.rss_mb()
        self.peaks = dict(self.before)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()

    def growth_mb(self) -> dict[str, float]:
        """By how much each process was larger at its peak."""
        return {name: round(peak - self.before.get(name, 0.0), 1) for name, peak in self.peaks.items()}

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            for name, rss in self._fleet.rss_mb().items():
                self.peaks[name] = max(rss, self.peaks.get(name, 0.0))


def rows(options: argparse.Namespace) -> Iterator[Row]:
    replayed = _replay(options.ticks, options.orders)
    notes = ("seconds", "burst_s", "drain_s", "growth_mb_of")
    title = f"{options.ticks:,} quotes at once, then {options.orders:,} orders"
    yield Row("BURST", title, replayed, (Goal("growth_mb", GROWTH_MB_MAX),), notes)
    said = asyncio.run(_log(options.messages))
    title = f"{options.messages:,} messages said at once"
    yield Row("BURST_LOG", title, said, (Goal("waiting", said["waiting_max"]),), ("say_s", "drain_s"))


def _replay(ticks: int, orders: int) -> Figures:
    columns = quotes(ticks + orders)
    hosts = {"": [plan("Turn", first_quote=ticks)]}
    digest = backtest_digest(columns, hosts[""])
    times: list[tuple[float, int]] = []
    with Fleet(TOPOLOGIES["apart"]) as fleet:
        fleet.replay(quotes(WARM_UP), {"": [plan("Turn")]})
        with Memory(fleet) as memory:
            figures = fleet.replay(
                columns, hosts, lambda told: times.append((perf_counter(), int(told.get("rows", 0)))), block_rows=4_096
            )
    assert figures["filled"] == orders, f"{figures['filled']} of {orders} orders were filled"
    assert figures["digest"] == digest, "the digest is not that of the run in one process"
    began = next(at for at, rows in times if rows)
    burst_s = min(figures["seconds"], next((at for at, rows in times if rows >= ticks), times[-1][0]) - began)
    growth = memory.growth_mb()
    return {
        "ticks": ticks,
        "orders": orders,
        "seconds": figures["seconds"],
        "burst_s": round(burst_s, 3),
        "drain_s": round(figures["seconds"] - burst_s, 3),
        "growth_mb": max(growth.values()),
        "growth_mb_of": growth,
        "peak_mb_of": memory.peaks,
    }


async def _log(messages: int) -> Figures:
    from nautilus_common.bus.connection import connect
    from nautilus_common.bus.layout import apply_streams
    from nautilus_common.bus.publisher import WAITING_MAX, Publisher
    from nautilus_common.servers import NatsServer

    from loadtests.control_log import ENV, message, read_log, record

    with (
        tempfile.TemporaryDirectory(prefix="fleet-load-") as folder,
        NatsServer(Path(folder) / "control", sync_always=True) as control,
        NatsServer(Path(folder) / "data") as data,
    ):
        client, other = await connect(control.url, "load"), await connect(data.url, "load")
        await apply_streams(client, other, ENV)
        publisher = Publisher(client, ENV, ("risk",), "risk", "1")
        await publisher.start()
        payload = message()
        waiting, started = 0, perf_counter()
        for first in range(1, messages + 1, TURN):
            turn = range(first, min(first + TURN, messages + 1))
            publisher.say([record(seq, payload) for seq in turn], [], first)
            waiting = max(waiting, publisher.waiting)
            await publisher.drained()
        said = perf_counter()
        await publisher.flush()
        drained = perf_counter()
        await publisher.close()
        _, read = await read_log(client, messages)
        await client.close()
        await other.close()
    assert read == list(range(1, messages + 1)), f"the log holds {len(read)} of {messages} messages"
    return {
        "messages": messages,
        "seconds": round(drained - started, 6),
        "say_s": round(said - started, 3),
        "drain_s": round(drained - said, 3),
        "waiting": waiting,
        "waiting_max": WAITING_MAX + TURN,
    }


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ticks", type=program.positive, default=2_000_000, metavar="N")
    parser.add_argument("--orders", type=program.positive, default=2_000, metavar="N")
    parser.add_argument("--messages", type=program.positive, default=200_000, metavar="N")


def main(arguments: list[str] | None = None) -> int:
    return program.run(__doc__, rows, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
