"""A control stream on a real server, fed with the records of a real run, and recorders beside it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psutil
from nautilus_common.bus.connection import Connection, connect
from nautilus_common.servers import NatsServer, Postgres, Server, Valkey
from nautilus_common.servers.children import start_child
from nautilus_common.settings import ProcessSettings

from services.recorder.audit import ChainReport, verify_chain
from services.recorder.config import RecorderConfig
from services.recorder.recorder import Recorder
from tests.integration.processes import ENVIRONMENT, ROOT

SECONDS = 30.0


class Servers:
    """One of each, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nats = NatsServer(folder / "nats")
        self.postgres = Postgres(folder / "postgres")
        self.valkey = Valkey(folder / "valkey")
        self.all = (self.nats, self.postgres, self.valkey)

    def start(self) -> Servers:
        for server in self.all:
            server.start()
        return self

    def stop(self) -> None:
        for server in self.all:
            server.stop()

    def settings(self, *, only: str | None = None, home: Path | None = None) -> ProcessSettings:
        return ProcessSettings(
            "recorder",
            ("recorder",),
            nats_control=self.nats.url,
            nats_data=self.nats.url,
            postgres=self.postgres.url if only in (None, "postgres") else None,
            valkey=self.valkey.url if only in (None, "valkey") else None,
            home=home or self.folder,
        )

    def environment(self, env: str, home: Path, **more: str) -> dict[str, str]:
        return {
            **ENVIRONMENT,
            "FLEET_NATS_CONTROL": self.nats.url,
            "FLEET_NATS_DATA": self.nats.url,
            "FLEET_POSTGRES": self.postgres.url,
            "FLEET_VALKEY": self.valkey.url,
            "FLEET_HOME": str(home),
            "FLEET_ENV": env,
            **more,
        }


def start_process(servers: Servers, env: str, home: Path, **more: str) -> Any:
    """The recorder as a process of its own, tied to this one."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "recorder.log").open("ab") as log:
        return start_child(
            [sys.executable, "-m", "services.recorder"],
            output=log,
            cwd=ROOT,
            environment=servers.environment(env, home, **more),
        )


async def recording(servers: Servers, env: str, home: Path, **more: str) -> Any:
    """The same, and it has begun to record."""
    log = home / "recorder.log"

    def times() -> int:
        return log.read_text().count(f"recording {env}") if log.exists() else 0

    before = times()
    process = start_process(servers, env, home, **more)
    await eventually(lambda: times() > before, "it records")
    return process


class World:
    """One environment: its control stream, and what is in it."""

    def __init__(self, servers: Servers, env: str) -> None:
        self.servers = servers
        self.env = env
        self.stream = f"CTL_{env}"
        self.client: Any = None

    async def __aenter__(self) -> World:
        self.client = await connect(self.servers.nats.url, "test")
        await self.make()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.client.close()

    async def make(self) -> None:
        await self.client.jetstream().add_stream(name=self.stream, subjects=[f"fleet.{self.env}.log.>"])

    async def publish(self, messages: list[tuple[str, bytes]]) -> int:
        """Put (channel, payload) into the stream, all of them; its last sequence."""
        for channel, payload in messages[:-1]:
            await self.client.publish(f"fleet.{self.env}.{channel}", payload)
        channel, payload = messages[-1]
        return (await self.client.jetstream().publish(f"fleet.{self.env}.{channel}", payload)).seq

    async def report(self, recorder: Recorder) -> ChainReport:
        assert recorder.postgres is not None
        async with recorder.postgres.connection() as connection:
            return await verify_chain(connection, self.env)


class Recording:
    """A recorder in this process, with `env` open."""

    def __init__(self, settings: ProcessSettings, *envs: str, **limits: Any) -> None:
        own = replace(settings, env=envs[0] if envs else settings.env)
        self.recorder = Recorder(own, RecorderConfig(**limits))
        self._url = settings.nats_control
        self._envs = envs
        self._client: Connection | None = None

    async def __aenter__(self) -> Recorder:
        self._client = await connect(self._url, "recorder")
        await self.recorder.start(self._client)
        for env in self._envs:
            await self.recorder.open(env)
        return self.recorder

    async def __aexit__(self, *failure: object) -> None:
        await self.recorder.stop()
        assert self._client is not None
        await self._client.close()


def forget(server: Server) -> None:
    """`rm -rf` of a server's data; its password and its log stay."""
    for path in server.folder.iterdir():
        if path.name in ("lock", "server.log") or "password" in path.name:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


async def eventually(holds: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = SECONDS) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + seconds
    while True:
        answer = holds()
        if isinstance(answer, bool):
            held = answer
        else:
            held = await answer
        if held:
            return
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.02)


def alive(process: Any) -> bool:
    return process.poll() is None and psutil.pid_exists(process.pid)


async def read_journal(connection: Any, env: str, process: str) -> list[dict[str, Any]]:
    """The entries of a process in order, without their records: `inputs` is what it has taken in a live session."""
    query = (
        "SELECT stream_seq, roles, process, epoch, number, ts, counts, records, inputs FROM fleet.entries "
        "WHERE env = $1 AND process = $2 ORDER BY stream_seq"
    )
    rows = await connection.fetch(query, env, process)
    return [
        {
            **dict(row),
            "counts": msgspec.json.decode(row["counts"], type=dict[int, int]),
            "inputs": msgspec.msgpack.decode(row["inputs"]),
        }
        for row in rows
    ]
