"""The bytes of a NATS server, in one piece and in every two pieces."""

from __future__ import annotations

import json

from nautilus_common.bus.protocol import Parser, Received, connect_line, header_block, public

BYTES = (
    b'INFO {"max_payload":8388608}\r\n'
    b"PING\r\n"
    b"MSG fleet.live.a 7 5\r\nhello\r\n"
    b"MSG fleet.live.b 7 _INBOX.x 2\r\n\r\n\r\n"
    b"HMSG fleet.live.c 8 _INBOX.y 16 19\r\nNATS/1.0 503\r\n\r\nabc\r\n"
    b"HMSG fleet.live.d 8 12 12\r\nNATS/1.0\r\n\r\n\r\n"
    b"-ERR 'Authorization Violation'\r\n"
    b"MSG e 9 0\r\n\r\n"
)
ITEMS = [
    b'INFO {"max_payload":8388608}',
    b"PING",
    Received("fleet.live.a", "", b"hello", 0),
    Received("fleet.live.b", "_INBOX.x", b"\r\n", 0),
    Received("fleet.live.c", "_INBOX.y", b"abc", 503),
    Received("fleet.live.d", "", b"", 0),
    b"-ERR 'Authorization Violation'",
    Received("e", "", b"", 0),
]


def read(parser: Parser) -> list[Received | bytes]:
    found = []
    while (item := parser.next()) is not None:
        found.append(item)
    return found


def test_all_at_once() -> None:
    parser = Parser()
    parser.take(BYTES)
    assert read(parser) == ITEMS


def test_cut_anywhere() -> None:
    for cut in range(len(BYTES) + 1):
        parser = Parser()
        parser.take(BYTES[:cut])
        before = read(parser)
        parser.take(BYTES[cut:])
        assert before + read(parser) == ITEMS, f"cut at {cut}"


def test_a_byte_at_a_time() -> None:
    parser = Parser()
    found: list[Received | bytes] = []
    for index in range(len(BYTES)):
        parser.take(BYTES[index : index + 1])
        found += read(parser)
    assert found == ITEMS


def test_the_user_of_the_url_is_told_and_not_shown() -> None:
    url = "nats://risk:p%40ss@host:4333"
    line = connect_line(url, "risk-trips")
    assert line.startswith(b"CONNECT {")
    options = json.loads(line.split(b"\r\n")[0].removeprefix(b"CONNECT "))
    assert (options["user"], options["pass"], options["name"]) == ("risk", "p@ss", "risk-trips")
    assert public(url) == "nats://host:4333"
    assert b"user" not in connect_line("nats://host:4333", "x")


def test_headers() -> None:
    assert header_block(("A", "1"), ("B", "2")) == b"NATS/1.0\r\nA: 1\r\nB: 2\r\n\r\n"
