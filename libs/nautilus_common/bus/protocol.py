"""What a NATS server says, out of its bytes; and what a client says to be let in. No socket is in here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class WireError(Exception):
    """The server refuses what was asked: credentials, permissions, sizes. The text is the server's."""


class Disconnected(Exception):
    """The server is away; what was under way may or may not have arrived."""


class Received(NamedTuple):
    """One message. `status` is the server's word on the message itself: 503 when nobody listens, 0 otherwise."""

    subject: str
    reply: str
    payload: bytes
    status: int


class Parser:
    """Takes bytes as they come; `next` gives what they say."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0

    def take(self, data: bytes) -> None:
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def next(self) -> Received | bytes | None:
        """A message, or a line of another kind without its end (INFO, PING, PONG, -ERR); None while it is not here."""
        buffer, start = self._buffer, self._start
        end = buffer.find(b"\r\n", start)
        if end < 0:
            return None
        line = bytes(buffer[start:end])
        if not line.startswith((b"MSG ", b"HMSG ")):
            self._start = end + 2
            return line
        parts = line.split()
        begin = end + 2
        stop = begin + int(parts[-1])
        if len(buffer) < stop + 2:
            return None
        self._start = stop + 2
        status = 0
        sizes = 1
        if line[0] == 72:  # H: headers, of which only the status is of use here
            sizes = 2
            body = begin + int(parts[-2])
            first = bytes(buffer[begin:body]).split(b"\r\n", 1)[0].split()
            status = int(first[1]) if len(first) > 1 and first[1].isdigit() else 0
            begin = body
        reply = parts[3].decode() if len(parts) == 4 + sizes else ""
        return Received(parts[1].decode(), reply, bytes(buffer[begin:stop]), status)


def connect_line(url: str, name: str) -> bytes:
    """What a client answers to the server's greeting; the server answers PONG, or why not."""
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "verbose": False,
        "pedantic": False,
        "name": name,
        "lang": "python",
        "version": "1",
        "protocol": 1,
        "headers": True,
        "no_responders": True,
    }
    if parts.username is not None:
        options |= {"user": unquote(parts.username), "pass": unquote(parts.password or "")}
    return b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n"


def header_block(*pairs: tuple[str, str]) -> bytes:
    """The bytes of message headers."""
    return b"NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs).encode() + b"\r\n"


def public(url: str) -> str:
    """The URL without its password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 4222}"
