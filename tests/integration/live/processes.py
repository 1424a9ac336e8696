"""Processes of a live session inside the test's own event loop, on real servers: they start and die in milliseconds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

import msgspec
from nautilus_common.bus.connection import Connection, connect
from nautilus_common.bus.tasks import end_tasks
from nautilus_common.code import code_digest
from nautilus_common.health import Health
from nautilus_common.live_host import LiveHost
from nautilus_common.settings import ProcessSettings
from nautilus_common.who import WHO, Who
from nautilus_fleet.live import Servers

from services.data_gateway.shell import DataGateway
from tests.live_world import ROOT

FEED = {"kind": "sample", "seed": 7, "days": 1, "speed": 60.0, "jitter_us": 3_000}


async def until(holds: Callable[[], Any], what: str, seconds: float = 20.0) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.01)


class LiveProcess:
    """A process with some roles, as `nautilus_common.service` makes one, without its HTTP and signals."""

    def __init__(self, roles: list[str], home: Path, builders: dict[str, Any], name: str = "") -> None:
        self.roles = roles
        self.name = name or "+".join(roles)
        self.home = home
        self.fenced: list[str] = []
        self._builders = {role: builders[role] for role in roles if role != "data_gateway"}
        self._connections: list[Connection] = []
        self.starts = 0

    async def start(self, servers: Servers, control_url: str, data_url: str) -> None:
        """Start, or start again."""
        self.starts += 1
        self.health = Health(self.name, tuple(self.roles))
        control = await connect(control_url, self.name)
        data = await connect(data_url, self.name)
        self._connections = [control, data]
        feed = DataGateway(data, servers.env, ROOT) if "data_gateway" in self.roles else None
        epoch = f"{time_ns():x}"
        self.host = LiveHost(
            control,
            data,
            servers.env,
            self.name,
            epoch,
            self._builders,
            self.health,
            self.home,
            feed,
            self.fenced.append,
        )

        async def tell(message: Any) -> None:
            who = Who(self.name, self.roles, epoch, os.getpid(), "0", code_digest())
            await message.respond(msgspec.msgpack.encode(who))

        await control.subscribe(WHO, cb=tell)
        self.health.set("ready")
        await self.host.start()

    async def die(self) -> None:
        """Go without a word: nothing is drained, nothing kept, no answer waited for."""
        host = self.host
        if host.session is not None:
            host.session._paused = True
        await end_tasks(host._task, *host._parts)
        for connection in self._connections:
            await connection.close()
        self._connections = []

    async def stop(self) -> None:
        """Drain and close, as on SIGTERM."""
        await self.host.close()
        for connection in self._connections:
            await connection.close()
        self._connections = []

    @property
    def settings(self) -> ProcessSettings:
        return ProcessSettings(self.name, tuple(self.roles))
