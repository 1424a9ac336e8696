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
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

RECEIVE_BYTES = 1 << 18
CONNECT_SECONDS = 5.0
SEND_SECONDS = 30.0


class WireError(Exception):
    """The server refuses what was asked: credentials, permissions, sizes. The text is the server's."""


class Disconnected(Exception):
    """The server is away; what was under way may or may not have arrived."""


class Received(NamedTuple):
    """One message. `status` is the server's word on the message itself: 503 when nobody listens, 0 otherwise."""

    subject: str
    sid: int
    reply: str
    payload: bytes
    status: int


class WireClient:
    """One connection to one server."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._start = 0
        self._sid = 0
        self.max_payload = 0
        self.server_version = ""

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
                    raise Disconnected(f"no NATS server answers at {_public(self._url)}: {error}") from error
                select.select([], [], [], 0.02)

    def _connect(self) -> None:
        parts = urlsplit(self._url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 4222
        found = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = found
        self._buffer.clear()
        self._start = 0
        info = json.loads(self._line(monotonic() + CONNECT_SECONDS).removeprefix(b"INFO "))
        self.max_payload = int(info.get("max_payload", 1 << 20))
        self.server_version = str(info.get("version", ""))
        if info.get("tls_required") or parts.scheme == "tls":
            self._socket = ssl.create_default_context().wrap_socket(found, server_hostname=host)
        options: dict[str, Any] = {
            "verbose": False,
            "pedantic": False,
            "name": self._name,
            "lang": "python",
            "version": "1",
            "protocol": 1,
            "headers": True,
            "no_responders": True,
        }
        if parts.username is not None:
            options |= {"user": unquote(parts.username), "pass": unquote(parts.password or "")}
        self._send(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        line = self._line(monotonic() + CONNECT_SECONDS)
        while line != b"PONG":
            if line.startswith(b"-ERR"):
                raise WireError(f"{_public(self._url)}: {line[5:].decode(errors='replace')}")
            line = self._line(monotonic() + CONNECT_SECONDS)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    # -- what the loop needs -------------------------------------------------------------------------------------------

    def subscribe(self, subject: str) -> int:
        """Receive what is published on `subject`; returns the id that comes with each message."""
        self._sid += 1
        self._send(f"SUB {subject} {self._sid}\r\n".encode())
        return self._sid

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
            line = self._line_or_none(deadline)
            if line is None:
                return None
            if line.startswith((b"MSG ", b"HMSG ")):
                return self._message(line, deadline)
            if line == b"PING":
                self._send(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                text = line[5:].decode(errors="replace")
                if "stale connection" in text.lower():
                    self._lost(text)
                raise WireError(f"{_public(self._url)}: {text}")

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def _message(self, line: bytes, deadline: float) -> Received:
        parts = line.split()
        has_headers = parts[0] == b"HMSG"
        sizes = 2 if has_headers else 1
        reply = parts[3].decode() if len(parts) == 4 + sizes else ""
        total = int(parts[-1])
        body = self._take(total + 2, max(deadline, monotonic() + CONNECT_SECONDS))
        status, skip = 0, 0
        if has_headers:
            skip = int(parts[-2])
            first = body[:skip].split(b"\r\n", 1)[0].split()
            status = int(first[1]) if len(first) > 1 and first[1].isdigit() else 0
        return Received(parts[1].decode(), int(parts[2]), reply, bytes(body[skip:total]), status)

    def _line(self, deadline: float) -> bytes:
        line = self._line_or_none(deadline)
        if line is None:
            raise Disconnected("the server said nothing in time")
        return line

    def _line_or_none(self, deadline: float) -> bytes | None:
        searched = self._start
        while True:
            end = self._buffer.find(b"\r\n", searched)
            if end >= 0:
                line = bytes(self._buffer[self._start : end])
                self._start = end + 2
                return line
            searched = max(self._start, len(self._buffer) - 1)
            shift = self._start
            if not self._fill(deadline):
                return None
            searched -= shift - self._start

    def _take(self, size: int, deadline: float) -> bytearray:
        while len(self._buffer) - self._start < size:
            if not self._fill(deadline):
                self._lost("a message broke off")
        found = self._buffer[self._start : self._start + size]
        self._start += size
        return found

    def _fill(self, deadline: float) -> bool:
        """Read more; False when nothing came before the deadline."""
        if self._socket is None:
            raise Disconnected("not connected")
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
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
        self._buffer += data
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
        raise Disconnected(f"{_public(self._url)}: {why}")


def header_block(*pairs: tuple[str, str]) -> bytes:
    """The bytes of message headers."""
    return b"NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs).encode() + b"\r\n"


def _public(url: str) -> str:
    """The URL without its password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 4222}"
