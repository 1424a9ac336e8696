"""Reading a stream: all of it in order, once, in a bounded buffer; what it has lost is told from what we have."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from nats.aio.msg import Msg
from nautilus_common.bus.connection import Connection, connect
from nautilus_common.bus.reader import REQUEST_BYTES_MIN, Item, StreamBroken, StreamReader
from nautilus_common.servers import NatsServer

SECONDS = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect(server.url, "test")
    yield connection
    await connection.close()


async def make(client: Connection, name: str) -> Any:
    stream = client.jetstream()
    await stream.add_stream(name=name, subjects=[f"{name}.>"])
    return stream


async def fill(client: Connection, name: str, count: int, data: bytes = b"x") -> None:
    for number in range(count - 1):
        await client.publish(f"{name}.{number % 3}", data)
    await client.jetstream().publish(f"{name}.last", data)


async def take(reader: StreamReader, count: int) -> list[Item]:
    async with asyncio.timeout(SECONDS):
        return [await reader.take() for _ in range(count)]


async def eventually(holds: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    deadline = monotonic() + SECONDS
    while not (await found if not isinstance(found := holds(), bool) else found):
        assert monotonic() < deadline, what
        await asyncio.sleep(0.01)


async def test_all_of_it_from_a_place_on(client: Connection) -> None:
    await make(client, "all")
    await fill(client, "all", 500)
    reader = StreamReader(client, "all", 101, batch=32)
    await reader.start()
    found = await take(reader, 400)
    assert [item.sequence for item in found] == list(range(101, 501))
    assert all(item.ts_ns > 0 and not item.missing for item in found)
    assert (reader.restarts, reader.lag, reader.trouble) == (0, 0, "")
    await reader.close()


@pytest.mark.parametrize(("batch", "max_bytes", "size"), [(50, 1 << 30, 100), (100_000, 1 << 20, 100_000)])
async def test_the_buffer_is_bounded(client: Connection, batch: int, max_bytes: int, size: int) -> None:
    name = f"bound{batch}"
    await make(client, name)
    await fill(client, name, 300, bytes(size))
    reader = StreamReader(client, name, batch=batch, max_bytes=max_bytes)
    await reader.start()
    await eventually(lambda: reader.is_full, "it stops")
    messages, held = reader.buffered
    assert messages <= batch
    assert held <= max(max_bytes, REQUEST_BYTES_MIN)
    assert messages < 300
    await eventually(lambda: reader.lag == 300, "the rest is known of")
    assert [item.sequence for item in await take(reader, 300)] == list(range(1, 301))
    await reader.close()


async def test_what_the_stream_has_deleted(client: Connection) -> None:
    """A reader that wants all of it says so; another passes it and tells how much."""
    stream = await make(client, "deleted")
    await fill(client, "deleted", 20)
    for sequence in (1, 2, 8, 9, 15):
        await stream.delete_msg("deleted", sequence)
    reader = StreamReader(client, "deleted", whole=False)
    await reader.start()
    found = await take(reader, 15)
    assert {item.sequence: item.missing for item in found if item.missing} == {3: 2, 10: 2, 16: 1}
    await reader.close()
    for start, words in ((1, "begins at 3, and the next to read is 1"), (5, "messages 8 to 9 are deleted")):
        strict = StreamReader(client, "deleted", start)
        await strict.start()
        with pytest.raises(StreamBroken, match=words):
            await take(strict, 20)
        await strict.close()


async def deliver(reader: StreamReader, client: Connection, sequence: int, count: int) -> None:
    """As if the server had sent this message: it lets nobody else forge one."""
    reply = f"$JS.ACK.{reader.stream}.{reader._consumer}.1.{sequence}.{count}.1.0"
    await reader._on_message(Msg(client, reader.stream, reply, b"forged"))


async def test_a_message_that_is_lost_on_the_way_is_read_again(client: Connection) -> None:
    await make(client, "lost")
    reader = StreamReader(client, "lost")
    await reader.start()
    for after in (2, 1):  # by the consumer's count, then only by the stream's
        await fill(client, "lost", 5)
        await take(reader, 5)
        restarts = reader.restarts
        await deliver(reader, client, reader.position + 2, reader._delivered + after)
        await eventually(lambda restarts=restarts: reader.restarts > restarts, "it begins again")
    await fill(client, "lost", 5)
    assert all(item.data == b"x" for item in await take(reader, 5))
    assert reader.failure is None
    await deliver(reader, client, 3, reader._delivered + 1)
    with pytest.raises(StreamBroken, match="message 3 came after 15"):
        await take(reader, 1)
    await reader.close()


async def test_a_message_that_never_comes_is_not_waited_for_for_ever(client: Connection) -> None:
    await make(client, "never")
    await fill(client, "never", 3)
    reader = StreamReader(client, "never", 2)
    for _ in range(6):
        assert reader.failure is None
        await deliver(reader, client, 3, 1)
        reader._again.clear()  # what makes another consumer does not run here
    assert "message 2 is in never and does not come: 3 came instead, 5 times" in str(reader.failure)


async def test_a_stream_that_is_not_there_yet(client: Connection) -> None:
    patient, strict = StreamReader(client, "later", whole=False), StreamReader(client, "later")
    await patient.start()
    await strict.start()
    with pytest.raises(StreamBroken, match="there is no stream later"):
        await take(strict, 1)
    await eventually(lambda: patient.trouble == "there is no stream later", "it says what it waits for")
    await make(client, "later")
    await fill(client, "later", 3)
    assert len(await take(patient, 3)) == 3
    assert (patient.trouble, bool(patient.created)) == ("", True)
    await strict.close()
    await patient.close()


async def test_a_stream_made_anew_is_another(client: Connection) -> None:
    stream = await make(client, "anew")
    await fill(client, "anew", 5)
    reader = StreamReader(client, "anew", whole=False)
    await reader.start()
    await take(reader, 5)
    await stream.delete_stream("anew")
    await make(client, "anew")
    await fill(client, "anew", 9)
    with pytest.raises(StreamBroken, match=r"anew was made at .*, and what was read up to message 5 came from one"):
        await take(reader, 1)
    later = StreamReader(client, "anew", 3, created=reader.created)  # so it is at another start
    await later.start()
    with pytest.raises(StreamBroken, match="anew was made at"):
        await take(later, 1)
    shorter = StreamReader(client, "anew", 20)
    await shorter.start()
    with pytest.raises(StreamBroken, match="anew ends at 9, and 19 was read from it before"):
        await take(shorter, 1)
    for one in (reader, later, shorter):
        await one.close()


async def test_a_cancellation_that_is_swallowed_holds_nobody_up(client: Connection, monkeypatch: Any) -> None:
    """nats-py, and `wait_for` before Python 3.12, lose one that comes at the wrong moment."""
    await make(client, "swallowed")
    reader = StreamReader(client, "swallowed")
    request, inside = client.request, asyncio.Event()

    async def swallow(*arguments: Any, **named: Any) -> Any:
        inside.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(SECONDS)
        monkeypatch.setattr(client, "request", request)
        return await request(*arguments, **named)

    monkeypatch.setattr(client, "request", swallow)
    async with asyncio.timeout(SECONDS):
        await reader.start()
        await inside.wait()
        await reader.close()


async def test_a_consumer_that_is_gone_and_a_server_that_was(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "own") as own:
        client = await connect(own.url, "test")
        await make(client, "back")
        await fill(client, "back", 10)
        reader = StreamReader(client, "back")
        await reader.start()
        await take(reader, 10)
        request = json.dumps({}).encode()
        await client.request(f"$JS.API.CONSUMER.DELETE.back.{reader._consumer}", request, timeout=5)
        await fill(client, "back", 10)
        assert [item.sequence for item in await take(reader, 10)] == list(range(11, 21))
        own.kill()
        await eventually(lambda: "the connection is lost" in reader.trouble, "it says why nothing comes")
        own.start()
        await eventually(lambda: client.is_connected, "connected again")
        await fill(client, "back", 10)
        assert [item.sequence for item in await take(reader, 10)] == list(range(21, 31))
        assert reader.trouble == ""
        await reader.close()
        await client.close()
