"""Two nats-servers for the tests of live sessions, a world of its own for each test, and processes in it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nautilus_common.bus.connection import connect
from nautilus_common.bus.layout import apply_streams, load_layout, remove_streams
from nautilus_common.servers import NatsServer
from nautilus_fleet.live import Servers

from tests.integration.live.processes import LiveProcess
from tests.live_world import builders


@pytest.fixture(scope="session")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Addresses of a control server that syncs each write, and a data server."""
    folder = tmp_path_factory.mktemp("live")
    control, data = NatsServer(folder / "control", sync_always=True), NatsServer(folder / "data")
    try:
        for server in (control, data):
            server.start()
        yield control.url, data.url
    finally:
        for server in (control, data):
            server.stop()


@pytest.fixture(scope="session")
def made() -> dict[str, Any]:
    """How each role makes its engines."""
    return builders()


@pytest_asyncio.fixture
async def world(urls: tuple[str, str]) -> AsyncIterator[Servers]:
    """A world that is gone after the test; its streams are small, since a server reserves what they may hold."""
    env = f"t{secrets.token_hex(4)}"
    control, data = await connect(urls[0], "test"), await connect(urls[1], "test")
    servers = Servers(control, data, env)
    try:
        yield servers
    finally:
        with contextlib.suppress(Exception):
            await remove_streams(control, data, env)
        await control.close()
        await data.close()


@pytest_asyncio.fixture
async def start(
    world: Servers, urls: tuple[str, str], made: dict[str, Any], tmp_path: Path
) -> AsyncIterator[Callable[..., Any]]:
    """Starts a process in the world; all are stopped at the end."""
    await apply_streams(world.control, world.data, world.env, layout=load_layout())
    started: list[LiveProcess] = []

    async def start_one(*roles: str, name: str = "") -> LiveProcess:
        process = LiveProcess(list(roles), tmp_path, made, name)
        started.append(process)
        await process.start(world, *urls)
        return process

    yield start_one
    for process in started:
        await process.stop()
