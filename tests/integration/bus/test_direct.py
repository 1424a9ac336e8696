"""The connection on which a process answers requests: at once, and again whatever happens to the server."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic

import pytest
from nautilus_common.bus.direct import DirectClient
from nautilus_common.bus.protocol import Disconnected, Received, WireError
from nautilus_common.bus.wire import WireClient
from nautilus_common.servers import NatsServer
from nautilus_common.servers.ports import HOST, PortHold

USER = 'authorization { user: "risk", password: "right" }'


class Echo:
    """Answers each message with its own bytes."""

    def __init__(self, url: str) -> None:
        self.client = DirectClient(url, "echo", "ask.*", self.take)
        self.taken = 0

    def take(self, received: Received) -> None:
        self.taken += 1
        self.client.publish(received.reply, received.payload)


def ask(url: str, payload: bytes, seconds: float = 10.0) -> bytes:
    """Ask until it is answered: what is sent while the server is away is lost, as the asker knows."""
    client = WireClient(url, "asker")
    deadline = monotonic() + seconds
    client.connect(deadline)
    try:
        client.subscribe("answer.1")
        while monotonic() < deadline:
            client.publish("ask.1", payload, "answer.1")
            received = client.receive(monotonic() + 0.2)
            if received is not None and received.status == 0:
                return received.payload
        raise AssertionError(f"no answer within {seconds} s")
    finally:
        client.close()


@pytest.fixture
def server(tmp_path: Path) -> AbstractContextManager[NatsServer]:
    return NatsServer(tmp_path / "nats")


async def test_it_answers_small_and_large(server: AbstractContextManager[NatsServer]) -> None:
    with server as nats:
        echo = Echo(nats.url)
        await echo.client.start()
        assert echo.client.max_payload == 8 << 20
        for payload in (b"", b"\r\n", b"x" * 300, bytes(range(256)) * 16_384):
            assert await asyncio.to_thread(ask, nats.url, payload) == payload
        await echo.client.close()


async def test_it_comes_back_when_the_server_does(server: AbstractContextManager[NatsServer]) -> None:
    with server as nats:
        echo = Echo(nats.url)
        await echo.client.start()
        for death in range(3):
            nats.kill()
            echo.client.publish("nobody", b"lost, and no error")
            await asyncio.to_thread(nats.start)
            assert await asyncio.to_thread(ask, nats.url, b"%d" % death) == b"%d" % death
        await echo.client.close()


async def test_a_server_that_says_nothing_any_more_is_left(
    server: AbstractContextManager[NatsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nautilus_common.bus.direct.PING_SECONDS", 0.05)
    with server as nats:
        echo = Echo(nats.url)
        await echo.client.start()
        lost = asyncio.Event()
        was: Callable[[Exception | None], None] = echo.client.connection_lost

        def told(error: Exception | None) -> None:
            was(error)
            lost.set()

        monkeypatch.setattr(echo.client, "connection_lost", told)
        nats.signal(signal.SIGSTOP)
        try:
            await asyncio.wait_for(lost.wait(), 10)
        finally:
            nats.signal(signal.SIGCONT)
        assert await asyncio.to_thread(ask, nats.url, b"again") == b"again"
        await echo.client.close()


async def test_who_is_not_let_in_is_told(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", config_extra=USER) as nats:
        url = nats.url.replace("nats://", "nats://risk:wrong@")
        with pytest.raises(WireError, match="Authorization Violation") as failure:
            await Echo(url).client.start()
        assert "wrong" not in str(failure.value)
        right = Echo(nats.url.replace("nats://", "nats://risk:right@"))
        await right.client.start()
        await right.client.close()


async def test_nobody_there_is_told() -> None:
    hold = PortHold()
    try:
        with pytest.raises(Disconnected, match="no NATS server answers"):
            await Echo(f"nats://{HOST}:{hold.port}").client.start()
    finally:
        hold.release()
