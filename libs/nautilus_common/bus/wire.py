"""A blocking NATS client for the one place that waits for every answer: the loop of a replay.

The loop has nothing to do until the answer is here, so an event loop between it and the socket only costs time: a trip
takes 45 us through this client and 180 us through an asyncio one (docs/explain/processes.md). It speaks what the loop
needs of the protocol: publish, subscribe, receive. Everything else is done with nats-py.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from nautilus_common.bus.protocol import (
    Disconnected,
    Parser,
    Received,
    WireError,
    connect_line,
    header_block,
    public,
)

__all__ = ["Disconnected", "Received", "WireClient", "WireError", "header_block"]

RECEIVE_BYTES = 1 << 18
CONNECT_SECONDS = 5.0
SEND_SECONDS = 30.0


class WireClient:
    """One connection to one server."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._socket: socket.socket | None = None
        self._parser = Parser()
        self._subscriptions = 0
        self.max_payload = 0

    # -- connection ----------------------------------------------------------------------------------------------------

    def connect(self, deadline: float) -> None:
        """Connect, again and again until `deadline` (monotonic seconds). Raises Disconnected or WireError."""
        while True:
            try:
                self._connect()
                return
            except (OSError, Disconnected) as error:
                self.close()
                if monotonic() >= deadline:
                    raise Disconnected(f"no NATS server answers at {public(self._url)}: {error}") from error
                select.select([], [], [], 0.02)

    def _connect(self) -> None:
        parts = urlsplit(self._url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 4222
        found = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = found
        self._parser = Parser()
        info = json.loads(self._line().removeprefix(b"INFO "))
        self.max_payload = int(info.get("max_payload", 1 << 20))
        if info.get("tls_required") or parts.scheme == "tls":
            self._socket = ssl.create_default_context().wrap_socket(found, server_hostname=host)
        self._send(connect_line(self._url, self._name))
        while (line := self._line()) != b"PONG":
            if line.startswith(b"-ERR"):
                raise WireError(f"{public(self._url)}: {line[5:].decode(errors='replace')}")

    def _line(self) -> bytes:
        """A line of the greeting."""
        deadline = monotonic() + CONNECT_SECONDS
        while True:
            item = self._parser.next()
            if isinstance(item, bytes):
                return item
            if item is None and not self._fill(deadline):
                raise Disconnected("the server said nothing in time")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    # -- what the loop needs -------------------------------------------------------------------------------------------

    def subscribe(self, subject: str) -> None:
        """Receive what is published on `subject`, as long as this connection lasts."""
        self._subscriptions += 1
        self._send(f"SUB {subject} {self._subscriptions}\r\n".encode())

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: bytes = b"") -> None:
        """Send a message. `headers` are the bytes of a header block. Raises WireError when it is too large."""
        if len(payload) > self.max_payload:
            raise WireError(f"a message of {len(payload)} bytes on {subject}; the server takes {self.max_payload}")
        to = f"{subject} {reply}" if reply else subject
        if headers:
            head = f"HPUB {to} {len(headers)} {len(headers) + len(payload)}\r\n".encode()
            self._send(b"".join((head, headers, payload, b"\r\n")))
        else:
            self._send(b"".join((f"PUB {to} {len(payload)}\r\n".encode(), payload, b"\r\n")))

    def receive(self, deadline: float) -> Received | None:
        """The next message; None when there is none before `deadline`. Raises Disconnected."""
        while True:
            item = self._parser.next()
            if isinstance(item, Received):
                return item
            if item is None:
                if not self._fill(deadline):
                    return None
            elif item == b"PING":
                self._send(b"PONG\r\n")
            elif item.startswith(b"-ERR"):
                text = item[5:].decode(errors="replace")
                if "stale connection" in text.lower():
                    self._lost(text)
                raise WireError(f"{public(self._url)}: {text}")

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def _fill(self, deadline: float) -> bool:
        """Read more; False when nothing came before the deadline."""
        if self._socket is None:
            raise Disconnected("not connected")
        wait = deadline - monotonic()
        try:
            self._socket.settimeout(max(wait, 0.000_001))
            data = self._socket.recv(RECEIVE_BYTES)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError as error:
            self._lost(str(error))
        if not data:
            self._lost("the server closed the connection")
        self._parser.take(data)
        return True

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            raise Disconnected("not connected")
        try:
            self._socket.settimeout(SEND_SECONDS)
            self._socket.sendall(data)
        except OSError as error:
            self._lost(str(error))

    def _lost(self, why: str) -> Any:
        self.close()
        raise Disconnected(f"{public(self._url)}: {why}")
