"""Connections: what is wrong is told at once and without passwords; what breaks later mends itself."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from nats.errors import OutboundBufferLimitError
from nautilus_common.bus.connection import ERROR_LOG_SECONDS, PENDING_BYTES_MAX, Connection, connect
from nautilus_common.bus.errors import BusRefused, BusUnreachable, MessageTooLarge, ServerTooOld
from nautilus_common.servers import NatsServer
from nautilus_common.servers.ports import HOST, PortHold

from tests.integration.bus.conftest import ConfiguredServer

Servers = tuple[ConfiguredServer, ConfiguredServer]


async def eventually(holds: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def greeting(line: bytes) -> AsyncIterator[str]:
    """Something that listens, says `line` and no more."""

    left = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(greet, HOST, 0)
    async with server:
        yield f"nats://{HOST}:{server.sockets[0].getsockname()[1]}"
        await left.wait()


@pytest.mark.parametrize("version", ["2.9.10", "2.11.99", "1.4.1", ""])
async def test_an_old_server_is_told(version: str) -> None:
    info = {"server_id": "X", "version": version, "max_payload": 1048576}
    async with greeting(b"INFO " + json.dumps(info).encode() + b"\r\n") as url:
        with pytest.raises(ServerTooOld, match=r"is too old: the fleet needs 2\.12\.0 or newer"):
            await connect(url, "test")


@pytest.mark.parametrize("line", [b"SSH-2.0-OpenSSH_9.2\r\n", b"INFO {half\r\n", b"\xff" * 100_000])
async def test_what_is_no_nats_server_is_told(line: bytes) -> None:
    async with greeting(line) as url:
        with pytest.raises(BusUnreachable, match="no nats-server answers"):
            await connect(url, "test")


async def test_silence_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nautilus_common.bus.connection.CONNECT_SECONDS", 0.2)
    async with greeting(b"") as url:
        with pytest.raises(BusUnreachable, match=r"nothing said within 0\.2 s"):
            await connect(url, "test")


@pytest.mark.parametrize("url", ["", "localhost", "http://127.0.0.1:4222", "nats://"])
async def test_a_bad_address_is_told(url: str) -> None:
    with pytest.raises(BusUnreachable):
        await connect(url, "test")


async def test_where_nobody_listens_is_told_at_once() -> None:
    hold = PortHold()
    began = time.monotonic()
    with pytest.raises(BusUnreachable) as caught:
        await connect(f"nats://risk:secret@{HOST}:{hold.port}", "test")
    assert time.monotonic() - began < 2
    assert "secret" not in str(caught.value)
    assert f"nats://risk@{HOST}:{hold.port}" in str(caught.value)
    hold.release()


@pytest.mark.parametrize(("user", "told"), [("risk:wrong@", "the user 'risk'"), ("", "without user and password")])
async def test_wrong_credentials_are_told_at_once(servers: Servers, user: str, told: str) -> None:
    began = time.monotonic()
    with pytest.raises(BusRefused) as caught:
        await connect(f"nats://{user}{HOST}:{servers[0].port}", "test")
    assert time.monotonic() - began < 2
    assert told in str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_nine_megabytes_are_refused_before_they_are_sent(servers: Servers) -> None:
    connection = await connect(servers[0].url_of("risk"), "test")
    sent = connection.stats["out_bytes"]
    with pytest.raises(MessageTooLarge, match=r"9,000,000 bytes is more than the server takes \(8,388,608\)") as caught:
        await connection.publish("fleet.r-1.cmd.exec.SIM", bytes(9_000_000))
    assert caught.value.where == "fleet.r-1.cmd.exec.SIM"
    with pytest.raises(MessageTooLarge):
        await connection.request("fleet.r-1.cmd.exec.SIM", bytes(9_000_000))
    assert connection.stats["out_bytes"] == sent
    await connection.close()


async def test_headers_count_as_the_server_counts_them(servers: Servers) -> None:
    """Without that, nats-py sends what the server cuts the connection for."""
    states: list[str] = []
    connection = await connect(servers[0].url_of("risk"), "test", lambda state, _: states.append(state))
    headers = {"Nats-Batch-Id": "b"}
    fits = 8 * 1024 * 1024 - 14 - len("Nats-Batch-Id") - 1 - 4
    await connection.publish("fleet.r-1.cmd.exec.SIM", bytes(fits), headers=headers)
    with pytest.raises(MessageTooLarge):
        await connection.publish("fleet.r-1.cmd.exec.SIM", bytes(fits + 1), headers=headers)
    await connection.flush()
    assert states == ["connected"]
    await connection.close()


async def test_a_server_that_dies_and_returns_is_found_again_quickly(start_server: Callable[..., NatsServer]) -> None:
    server = start_server()
    states: list[str] = []
    connection = await connect(server.url, "test", lambda state, _: states.append(state))
    for _ in range(2):
        server.kill()
        await eventually(lambda: not connection.is_connected, "death is noticed")
        await eventually(lambda: states[-1] == "disconnected", "it is told")
        server.start()
        await eventually(lambda: states[-1] == "connected", "it is back")
    assert states == ["connected", "disconnected", "connected", "disconnected", "connected"]
    assert connection.errors["ConnectionRefusedError"] + connection.errors["UnexpectedEOF"] > 0
    await connection.close()
    assert states[-1] == "closed"


async def test_what_waits_for_a_dead_server_has_a_bound(start_server: Callable[..., NatsServer]) -> None:
    server = start_server()
    states: list[str] = []
    connection = await connect(server.url, "test", lambda state, _: states.append(state))
    server.kill()
    await eventually(lambda: not connection.is_connected, "death is noticed")
    megabyte = bytes(1 << 20)
    with pytest.raises(OutboundBufferLimitError):
        for _ in range(PENDING_BYTES_MAX // len(megabyte) + 1):
            await connection.publish("x", megabyte)
    await connection.close()
    assert states == ["connected", "disconnected", "closed"]


async def test_a_frozen_server_is_noticed(
    start_server: Callable[..., NatsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nautilus_common.bus.connection.PING_SECONDS", 0.1)
    server = start_server()
    connection = await connect(server.url, "test")
    server.signal(signal.SIGSTOP)
    await eventually(lambda: not connection.is_connected, "silence is noticed")
    server.signal(signal.SIGCONT)
    await eventually(lambda: connection.is_connected, "it is back")
    await connection.close()


async def test_a_flush_is_not_overtaken_by_its_ping(servers: Servers) -> None:
    connection = await connect(servers[0].url_of("observer"), "test")
    for count in range(1, 201):
        await connection.publish("fleet.r-1.cmd.exec.SIM", b"forbidden")
        await connection.flush()
        assert connection.errors["Error"] == count, "the server's refusal of what was published before"
    await connection.close()


async def test_errors_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection()
    connection.options["name"] = "risk"
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            await connection.note_error(ValueError("same"))
        await connection.note_error(KeyError("other"))
    assert connection.errors == {"ValueError": 100, "KeyError": 1}
    assert [record.message.split(": ")[0] for record in caplog.records] == ["bus risk", "bus risk"]
    assert ERROR_LOG_SECONDS > 1
