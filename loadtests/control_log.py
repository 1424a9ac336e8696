"""Durable control messages: how fast a process's log takes what it says, through the publisher that services use.

`python -m loadtests.control_log [--messages N] [--one-by-one N] [--json]`

Goals: 15,000 messages/s on a server with the default sync, 1,500/s with `sync_interval: always`; the entries of the
publisher are the batches beyond. A message is durable when its entry is acknowledged. The latency is that of one that
is said alone and waited for. At the end the stream is read, and must hold every message once, in order.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, perf_counter_ns, process_time
from typing import Any

from loadtests import program
from loadtests.measure import Figures, percentile
from loadtests.program import Row
from loadtests.workloads import Goal

ENV = "r-log"
RANK = 2
CHANNEL = "evt.order.SIM.Turn-000"
BURST = 6  # messages of one turn, as of an order that is filled


def rows(options: argparse.Namespace) -> Iterator[Row]:
    for name, title, sync_always, goal in (
        ("LOG_DEFAULT", "durable messages, default sync", False, 15_000),
        ("LOG_ALWAYS", "durable messages, sync_interval: always", True, 1_500),
    ):
        figures = asyncio.run(_measure(sync_always, options.messages, options.one_by_one))
        notes = ("messages_per_entry", "alone_p50_ms", "alone_p99_ms")
        yield Row(name, title, figures, (Goal("messages_per_s", goal, at_least=True),), notes)


async def _measure(sync_always: bool, messages: int, alone: int) -> Figures:
    from nautilus_common.bus.connection import connect
    from nautilus_common.bus.layout import apply_streams
    from nautilus_common.bus.publisher import Publisher
    from nautilus_common.servers import NatsServer

    with (
        tempfile.TemporaryDirectory(prefix="fleet-load-") as folder,
        NatsServer(Path(folder) / "control", sync_always=sync_always) as control,
        NatsServer(Path(folder) / "data") as data,
    ):
        client, other = await connect(control.url, "load"), await connect(data.url, "load")
        await apply_streams(client, other, ENV)
        publisher = Publisher(client, ENV, ("risk",), "risk", "1")
        await publisher.start()
        figures = await _say_all(publisher, messages)
        latencies = [await _say_one(publisher, messages + number) for number in range(1, alone + 1)]
        await publisher.close()
        figures["entries"], read = await read_log(client, messages)
        figures["messages_per_entry"] = round(messages / figures["entries"], 1)
        await client.close()
        await other.close()
    assert read == list(range(1, messages + alone + 1)), f"the log holds {len(read)} of {messages + alone} messages"
    return {
        **figures,
        "alone_p50_ms": round(percentile(latencies, 0.5) / 1e6, 3),
        "alone_p99_ms": round(percentile(latencies, 0.99) / 1e6, 3),
    }


async def _say_all(publisher: Any, messages: int) -> Figures:
    payload = message()
    started, cpu = perf_counter(), process_time()
    for first in range(1, messages + 1, BURST):
        turn = range(first, min(first + BURST, messages + 1))
        publisher.say([record(seq, payload) for seq in turn], [], first)
        await publisher.drained()
        await asyncio.sleep(0)  # as a process does between two turns
    await publisher.flush()
    seconds = perf_counter() - started
    return {
        "messages": messages,
        "seconds": round(seconds, 6),
        "messages_per_s": round(messages / seconds),
        "cpu_us_per_message": round((process_time() - cpu) / messages * 1e6, 2),
    }


async def _say_one(publisher: Any, seq: int) -> int:
    started = perf_counter_ns()
    publisher.say([record(seq, message())], [], seq)
    await publisher.flush()
    return perf_counter_ns() - started


def message() -> dict[str, object]:
    """Something of the size of an order event."""
    return {"type": "OrderAccepted", "client_order_id": "O-1", "padding": "x" * 250}


def record(seq: int, message: dict[str, object]) -> tuple[int, int, str, bytes]:
    """Message number `seq` of an engine, as a publisher takes it."""
    import msgspec

    return RANK, seq, CHANNEL, msgspec.msgpack.encode(((seq, 0, 0, 0, 1, RANK, seq), CHANNEL, message))


async def read_log(client: Any, messages: int) -> tuple[int, list[int]]:
    """How many entries hold the first `messages`, and the numbers of all messages."""
    import msgspec
    from nautilus_common.bus.publisher import decode_entry
    from nautilus_common.bus.reader import StreamReader
    from nautilus_common.messages import subjects

    info = await client.jetstream().stream_info(subjects.control_stream(ENV))
    reader = StreamReader(client, subjects.control_stream(ENV))
    await reader.start()
    found: list[int] = []
    entries = 0
    for _ in range(info.state.messages):
        entry = decode_entry((await reader.take()).data)
        entries += not found or found[-1] < messages
        found += [msgspec.msgpack.decode(record)[0][6] for record in entry.records]
    await reader.close()
    return entries, found


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=program.positive, default=100_000, metavar="N")
    parser.add_argument("--one-by-one", type=program.positive, default=200, metavar="N", help="messages said alone")


def main(arguments: list[str] | None = None) -> int:
    return program.run(__doc__, rows, options, arguments)


if __name__ == "__main__":
    sys.exit(main())
