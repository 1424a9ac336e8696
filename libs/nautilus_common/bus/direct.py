"""A NATS client in an event loop for who answers requests: a message is taken, and answered, in the turn it comes in.

nats-py hands a message through a queue to a task, and what is published through another queue to another task. That is
130 us of a trip of a replay, of which an order needs three (docs/explain/processes.md). Here the bytes of the socket
become a call of `on_message`, and what it publishes goes to the socket. It subscribes to one subject, connects again
whenever the server was away, and can do nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from nautilus_common.bus.protocol import Disconnected, Parser, Received, WireError, connect_line, public

CONNECT_SECONDS = 5.0
RETRY_SECONDS = 0.05
PING_SECONDS = 5.0
PINGS_UNANSWERED_MAX = 2

log = logging.getLogger("fleet")


class DirectClient(asyncio.Protocol):
    """One connection with one subscription."""

    def __init__(self, url: str, name: str, subject: str, on_message: Callable[[Received], None]) -> None:
        self._url = url
        self._name = name
        self._subject = subject
        self._on_message = on_message
        self._parser = Parser()
        self._transport: asyncio.Transport | None = None
        self._greeting: asyncio.Future[bytes] | None = None  # the next line, while it connects
        self._task: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._pings = 0
        self.max_payload = 0

    async def start(self) -> None:
        """Connect, and stay connected until closed. Raises Disconnected or WireError when it cannot at first."""
        try:
            await self._connect()
        except (OSError, TimeoutError) as error:
            raise Disconnected(f"no NATS server answers at {public(self._url)}: {error}") from error
        self._task = asyncio.create_task(self._stay_connected())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
            await self._gone.wait()

    def publish(self, subject: str, payload: bytes) -> None:
        """Send a message, now. While the server is away it is lost: who waits for it asks again."""
        if self._transport is not None:
            self._transport.write(b"".join((f"PUB {subject} {len(payload)}\r\n".encode(), payload, b"\r\n")))

    # -- connection ----------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Raises OSError, TimeoutError, Disconnected, WireError."""
        parts = urlsplit(self._url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 4222
        loop = asyncio.get_running_loop()
        self._parser = Parser()
        self._greeting = loop.create_future()
        async with asyncio.timeout(CONNECT_SECONDS):
            made, _ = await loop.create_connection(lambda: self, host, port)
            try:
                info = json.loads((await self._line()).removeprefix(b"INFO "))
                if info.get("tls_required") or parts.scheme == "tls":
                    secured = await loop.start_tls(made, self, ssl.create_default_context(), server_hostname=host)
                    made = cast("asyncio.Transport", secured)
                made.write(connect_line(self._url, self._name))
                while (line := await self._line()) != b"PONG":
                    if line.startswith(b"-ERR"):
                        raise WireError(f"{public(self._url)}: {line[5:].decode(errors='replace')}")
            except BaseException:
                if not made.is_closing():
                    made.abort()
                raise
        self._greeting = None
        self._gone.clear()
        self.max_payload = int(info.get("max_payload", 1 << 20))
        self._pings = 0
        self._transport = made
        made.write(f"SUB {self._subject} 1\r\n".encode())

    async def _line(self) -> bytes:
        """A line of the greeting. Raises Disconnected."""
        assert self._greeting is not None
        line = await self._greeting
        self._greeting = asyncio.get_running_loop().create_future()
        self._read()
        return line

    async def _stay_connected(self) -> None:
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._gone.wait()
            except TimeoutError:
                self._ping()
                continue
            with contextlib.suppress(OSError, TimeoutError, Disconnected, WireError):
                await self._connect()
                continue
            await asyncio.sleep(RETRY_SECONDS)

    def _ping(self) -> None:
        assert self._transport is not None
        if self._pings >= PINGS_UNANSWERED_MAX:
            self._transport.abort()
            return
        self._pings += 1
        self._transport.write(b"PING\r\n")

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._parser.take(data)
        self._read()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._gone.set()
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_exception(Disconnected(f"{public(self._url)}: {error or 'closed'}"))
            self._greeting.exception()  # whoever waits is told; nobody may wait any more

    def _read(self) -> None:
        while True:
            if self._greeting is not None and self._greeting.done():
                return  # one line at a time: what follows is read when it was looked at
            item = self._parser.next()
            if item is None:
                return
            if isinstance(item, Received):
                self._on_message(item)
            elif self._greeting is not None:
                self._greeting.set_result(item)
            elif item == b"PING":
                assert self._transport is not None
                self._transport.write(b"PONG\r\n")
            elif item == b"PONG":
                self._pings = 0
            elif item.startswith(b"-ERR"):
                log.warning("NATS server: %s", item[5:].decode(errors="replace"))
