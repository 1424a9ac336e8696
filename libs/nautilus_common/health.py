"""What a process tells of itself over HTTP: /livez, /readyz, /metrics and /status."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from nautilus_common.errors import FleetError

REQUEST_BYTES_MAX = 8192
REQUEST_SECONDS = 5.0
TEXT = "text/plain; charset=utf-8"


class Health:
    """State and counters of one process. `state` is starting, ready, waiting, draining or failed.

    A process that is ready is asked how its work stands: `work` gives the state of that, and why.
    """

    def __init__(self, process: str, roles: tuple[str, ...]) -> None:
        self.process = process
        self.roles = roles
        self._own = ("starting", "")
        self.work: Callable[[], tuple[str, str]] = lambda: ("ready", "")
        self.envs: Callable[[], list[str]] = list
        self.more: Callable[[], dict[str, Any]] = dict  # what only this role tells
        self.lag: Callable[[], int] = lambda: 0
        self.last_message_ns: int | None = None
        self._started = monotonic()
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter("fleet_requests_total", "Requests of replays that were carried out", registry=own)
        self.messages = Counter("fleet_messages_total", "Messages taken by the engines here", registry=own)
        self.records = Counter("fleet_records_total", "Records said by the engines here", registry=own)
        self.rejected = Counter(
            "fleet_rejected_total", "Messages that could not be taken, by reason", ["reason"], registry=own
        )
        self.reconnects = Counter("fleet_reconnects_total", "Times that a server was lost", ["server"], registry=own)
        self.turn_seconds = Histogram(
            "fleet_turn_seconds",
            "Seconds from taking an input to having said what follows",
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0),
            registry=own,
        )
        Gauge("fleet_lag", "Messages that are there and were not taken", registry=own).set_function(self._lag)
        Gauge("fleet_ready", "1 when the process does its work", registry=own).set_function(self._is_ready)

    def _lag(self) -> float:
        return float(self.lag())

    def _is_ready(self) -> float:
        return float(self.state == "ready")

    def set(self, state: str, detail: str = "") -> None:
        self._own = (state, detail)

    @property
    def state(self) -> str:
        return self._now()[0]

    def _now(self) -> tuple[str, str]:
        return self.work() if self._own[0] == "ready" else self._own

    def trouble(self, detail: str) -> None:
        """Wait for the reason in `detail`, or, with none, be ready again; the end of a process is not overruled."""
        if self.state in ("ready", "waiting"):
            self.set("waiting" if detail else "ready", detail)

    def status(self) -> dict[str, Any]:
        """What /status says."""
        state, detail = self._now()
        return {
            "process": self.process,
            "roles": list(self.roles),
            "pid": os.getpid(),
            "state": state,
            "uptime_s": round(monotonic() - self._started, 1),
            "lag": self.lag(),
            "last_message_ns": self.last_message_ns,
            "envs": self.envs(),
            "detail": detail,
            **self.more(),
        }

    def page(self, path: str) -> tuple[int, str, bytes]:
        """(status, content type, body) of a path."""
        match path.partition("?")[0]:
            case "/livez":
                return (503, TEXT, b"failed\n") if self.state == "failed" else (200, TEXT, b"ok\n")
            case "/readyz":
                state, detail = self._now()
                if state == "ready":
                    return 200, TEXT, b"ready\n"
                return 503, TEXT, f"{state}: {detail}\n".encode()
            case "/metrics":
                return 200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(self.registry)
            case "/status":
                return 200, "application/json", msgspec.json.encode(self.status())
            case _:
                return 404, TEXT, b"there are /livez, /readyz, /metrics and /status\n"


async def serve_health(health: Health, http: tuple[str, int], run_file: Path) -> HealthServer:
    """Begin to tell of a process on `http` (FLEET_HTTP). Raises FleetError when that cannot be had."""
    server = HealthServer(health)
    try:
        await server.start(*http, run_file)
    except OSError as error:
        raise FleetError(
            f"cannot listen on {http[0]}:{http[1]}: {error.strerror or error}",
            where="FLEET_HTTP",
            remedy="stop what listens there, or choose another port (FLEET_HTTP=127.0.0.1:0 takes a free one)",
        ) from None
    return server


class HealthServer:
    """Serves the pages; one request a connection."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._server: asyncio.Server | None = None
        self.address = ""

    async def start(self, host: str, port: int, run_file: Path | None = None) -> None:
        """Listen; write where to `run_file`. Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"
        if run_file is not None:
            run_file.parent.mkdir(parents=True, exist_ok=True)
            text = {
                "process": self._health.process,
                "pid": os.getpid(),
                "http": self.address,
                "started_ns": time_ns(),
            }
            temporary = run_file.with_suffix(".tmp")
            temporary.write_bytes(msgspec.json.encode(text))
            temporary.replace(run_file)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                parts = head[:REQUEST_BYTES_MAX].split(b" ", 2)
                if len(parts) < 3 or parts[0] not in (b"GET", b"HEAD"):
                    status, kind, body = 405, TEXT, b"GET only\n"
                else:
                    status, kind, body = self._health.page(parts[1].decode("latin-1"))
                reason = {200: "OK", 404: "Not Found", 405: "Method Not Allowed"}.get(status, "Service Unavailable")
                writer.write(
                    f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                    "Connection: close\r\n\r\n".encode()
                    + (b"" if parts[0] == b"HEAD" else body)
                )
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or never asked
        finally:
            writer.close()
