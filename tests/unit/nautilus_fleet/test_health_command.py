"""`fleet health`: the answer of a process as an exit code."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from nautilus_fleet.cli import main


@contextmanager
def process(status: int, text: str) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/readyz"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_ready_is_zero_and_anything_else_is_one(status: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with process(status, "waiting: NATS control server\n") as address:
        assert main(["health", address]) == code
    assert capsys.readouterr().out == "waiting: NATS control server\n"


def test_the_address_is_that_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with process(200, "ready") as address:
        monkeypatch.setenv("FLEET_HTTP", address.replace("127.0.0.1", "0.0.0.0"))
        assert main(["health"]) == 0
    assert main(["health"]) == 1
    assert "nobody answers at 0.0.0.0:" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["", "8080", "host:", ":8080", "127.0.0.1:0", "127.0.0.1:99999"])
def test_no_address_is_a_usage_error(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEET_HTTP", address)
    assert main(["health"]) == 2
    assert "no address of a process" in capsys.readouterr().err
