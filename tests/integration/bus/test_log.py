"""The log of a process and who reads it: everything once and in order, whatever is killed, full, lost or doubled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_common.bus.connection import Connection, connect
from nautilus_common.bus.publisher import FencedError, Publisher, decode_entry
from nautilus_common.bus.reader import StreamBroken, StreamReader
from nautilus_common.servers import NatsServer

STREAM = "CTL_r-log"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[tuple[NatsServer, Connection]]:
    """A server of its own, with the one stream that these tests fill."""
    with NatsServer(tmp_path / "nats", sync_always=True) as server:
        client = await connect(server.url, "test")
        await make_stream(client)
        yield server, client
        await client.close()


async def make_stream(client: Connection, **more: Any) -> None:
    config = {
        "name": STREAM,
        "subjects": ["fleet.r-log.log.>"],
        "storage": "file",
        "discard": "new",
        "duplicate_window": 100_000_000,
        **more,
    }
    await ask(client, f"STREAM.CREATE.{STREAM}", config)


async def ask(client: Connection, what: str, body: object) -> Any:
    reply = await client.request(f"$JS.API.{what}", json.dumps(body).encode(), timeout=5)
    answer = json.loads(reply.data)
    assert "error" not in answer, answer
    return answer


def records(first: int, last: int, rank: int = 3) -> list[tuple[int, int, str, bytes]]:
    """Records `first` to `last` of an engine."""
    return [
        (
            rank,
            n,
            "evt.order.SIM.S-1",
            msgspec.msgpack.encode([[n, 0, 0, 0, 1, rank, n], "evt.order.SIM.S-1", {"n": n}]),
        )
        for n in range(first, last + 1)
    ]


def publisher(client: Connection, epoch: str = "1") -> Publisher:
    return Publisher(client, "r-log", ("risk",), "risk", epoch)


async def counts_in_stream(client: Connection, start: int = 1) -> list[int]:
    """The counts of all records in the stream, in its order."""
    info = await ask(client, f"STREAM.INFO.{STREAM}", {})
    reader = StreamReader(client, STREAM, start)
    await reader.start()
    found: list[int] = []
    while reader.position < info["state"]["last_seq"] or reader._buffer:
        async with asyncio.timeout(10):
            item = await reader.take()
        found += [msgspec.msgpack.decode(raw)[0][6] for raw in decode_entry(item.data).records]
    await reader.close()
    return found


async def test_everything_once_and_in_order_while_the_server_is_killed(bus: tuple[NatsServer, Connection]) -> None:
    server, client = bus
    log = publisher(client)
    await log.start()

    async def speak() -> None:
        for first in range(1, 6_001, 20):
            log.say(records(first, first + 19), [], first)
            await asyncio.sleep(0.002)

    speaking = asyncio.create_task(speak())
    for _ in range(5):
        await asyncio.sleep(0.1)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    await speaking
    await asyncio.wait_for(log.flush(), 30)
    assert await counts_in_stream(client) == list(range(1, 6_001))
    await log.close()


async def test_a_restart_says_only_what_is_not_in_the_log(bus: tuple[NatsServer, Connection]) -> None:
    _, client = bus
    first = publisher(client)
    assert await first.start() is None
    first.say(records(1, 500), [], 1)
    await first.flush()
    await first.close()
    second = publisher(client, "2")
    entry = await second.start()
    assert entry is not None
    assert entry.counts == {3: 500}
    second.say(records(300, 700), [], 2)  # a replay of its inputs says what is there already
    await second.flush()
    assert await counts_in_stream(client) == list(range(1, 701))
    await second.close()


async def test_a_second_process_of_the_same_name_is_fenced(bus: tuple[NatsServer, Connection]) -> None:
    _, client = bus
    first, second = publisher(client, "1"), publisher(client, "2")
    await first.start()
    first.say(records(1, 10), [], 1)
    await first.flush()
    await second.start()
    second.say(records(11, 20), [], 1)
    await second.flush()
    first.say(records(11, 20), [], 1)
    with pytest.raises(FencedError, match=r"another process speaks as 'risk' in r-log.*FLEET_NAME"):
        await first.flush()
    assert await counts_in_stream(client) == list(range(1, 21))
    await first.close()
    await second.close()


async def test_a_full_log_is_waited_for_and_loses_nothing(bus: tuple[NatsServer, Connection]) -> None:
    _, client = bus
    told: list[str] = []
    log = Publisher(client, "r-log", ("risk",), "risk", "1", on_trouble=told.append)
    await log.start()
    config = (await ask(client, f"STREAM.INFO.{STREAM}", {}))["config"]
    await ask(client, f"STREAM.UPDATE.{STREAM}", {**config, "max_bytes": 4_000})
    for first in range(1, 1_001, 10):
        log.say(records(first, first + 9), [], first)
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0.01)
    assert "stores nothing now" in told[0]
    assert log.failure is None
    await ask(client, f"STREAM.UPDATE.{STREAM}", {**config, "max_bytes": -1})
    await asyncio.wait_for(log.flush(), 10)
    assert told[-1] == ""
    assert await counts_in_stream(client) == list(range(1, 1_001))
    await log.close()


async def test_a_reader_that_falls_behind_sees_everything_in_bounded_memory(bus: tuple[NatsServer, Connection]) -> None:
    """nats-py's ordered consumer drops messages here without a word (measured: 2,685 of 12,000)."""
    _, client = bus
    other = await connect(bus[0].url, "writer")
    payload = bytes(64 * 1024)
    reader = StreamReader(client, STREAM, batch=32, max_bytes=1 << 20)
    await reader.start()
    for number in range(600):
        await other.request(f"fleet.r-log.log.risk.{number % 7}", payload, timeout=5)
    most = 0
    for expected in range(1, 601):
        async with asyncio.timeout(10):
            item = await reader.take()
        assert item.sequence == expected
        most = max(most, reader._buffered_bytes)
        if expected % 100 == 0:
            await asyncio.sleep(0.05)  # slow: the buffer fills, and no more than it is allowed to
    assert most <= (1 << 20) + 33 * len(payload)
    await reader.close()
    await other.close()


async def test_a_reader_resumes_at_once_after_the_server_was_killed(bus: tuple[NatsServer, Connection]) -> None:
    """nats-py's ordered consumer takes 17 s with its defaults (measured)."""
    server, client = bus
    reader = StreamReader(client, STREAM)
    await reader.start()
    for number in range(1, 6):
        await client.request("fleet.r-log.log.risk.a", str(number).encode(), timeout=5)
        assert (await asyncio.wait_for(reader.take(), 5)).sequence == number
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(10):
            while not client.is_connected:
                await asyncio.sleep(0.01)
    await client.request("fleet.r-log.log.risk.a", b"6", timeout=5)
    item = await asyncio.wait_for(reader.take(), 5)
    assert (item.sequence, item.data) == (6, b"6")
    await reader.close()


async def test_a_message_that_is_lost_on_the_way_is_read_again(bus: tuple[NatsServer, Connection]) -> None:
    """Sequence n + 2 after n: the reader stops and fetches from n + 1."""
    _, client = bus
    reader = StreamReader(client, STREAM)
    original = reader._on_message
    lost: list[str] = []

    async def lossy(message: Any) -> None:
        if message.data == b"30" and not lost:
            lost.append(message.reply)
            return
        await original(message)

    reader._on_message = lossy  # type: ignore[method-assign]
    await reader.start()
    for number in range(1, 51):
        await client.request("fleet.r-log.log.risk.a", str(number).encode(), timeout=5)
    async with asyncio.timeout(10):
        found = [(await reader.take()).data for _ in range(50)]
    assert found == [str(number).encode() for number in range(1, 51)]
    assert lost
    assert reader.restarts >= 1
    await reader.close()


async def test_a_stream_that_was_made_anew_is_not_read_on(bus: tuple[NatsServer, Connection]) -> None:
    """Sequences that go backwards: what was folded from the old stream does not go with the new one."""
    _, client = bus
    reader = StreamReader(client, STREAM)
    await reader.start()
    for number in range(1, 6):
        await client.request("fleet.r-log.log.risk.a", str(number).encode(), timeout=5)
        await asyncio.wait_for(reader.take(), 5)
    await ask(client, f"STREAM.DELETE.{STREAM}", {})
    await make_stream(client)
    await client.request("fleet.r-log.log.risk.a", b"new", timeout=5)
    with pytest.raises(StreamBroken, match=r"ends at 1, and 5 was read from it before: it was made anew|no stream"):
        await asyncio.wait_for(reader.take(), 20)
    await reader.close()
