"""The recorder as a process: it tells how it stands, records every world there is, and ends in good order."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.recorder.worlds import Servers, World
from tests.recorded import Logs, recorded_run

ROOT = Path(__file__).parents[3]
RUN = Logs().write(recorded_run().payloads)


def eventually(holds: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


class Process:
    """`fleet serve recorder` with what it says of itself."""

    def __init__(self, servers: Servers, home: Path, **environ: str) -> None:
        self.home = home
        settings = servers.settings()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "libs"), str(ROOT)]),
            "FLEET_NATS_CONTROL": settings.nats_control,
            "FLEET_NATS_DATA": settings.nats_data,
            "FLEET_POSTGRES": settings.postgres or "",
            "FLEET_VALKEY": settings.valkey or "",
            "FLEET_HOME": str(home),
            "FLEET_ENV": "first",
            **environ,
        }
        self.log = home / "log"
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "nautilus_fleet", "serve", "recorder"]
            self.popen = subprocess.Popen(command, env=environment, stderr=log)

    def get(self, path: str) -> tuple[int, str]:
        """(status, text); (0, "") while it does not listen."""
        try:
            host, port = json.loads((self.home / "run/recorder.json").read_text())["http"].split(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=5)
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            return answer.status, text
        except OSError:
            return 0, ""

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/status")[1] or "{}")
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def make(servers: Servers, **environ: str) -> Process:
        home = tmp_path / f"home{len(started)}"
        home.mkdir()
        started.append(Process(servers, home, **environ))
        return started[-1]

    yield make
    for process in started:
        process.popen.kill()
        process.popen.wait()


async def test_it_records_every_world_and_says_so(shared: Servers, start: Callable[..., Process]) -> None:
    process = start(shared)
    eventually(lambda: process.get("/readyz")[0] == 200, "it is ready")
    async with World(shared, "first") as world:
        last = await world.publish(RUN)
        eventually(lambda: "first" in process.status()["envs"], "it has found the world")
        eventually(lambda: bool(process.status()["last_message_ns"]), "it has taken messages")
        eventually(lambda: process.status()["lag"] == 0, "it is at the end")
        assert last > 0
    assert process.status()["roles"] == ["recorder"]
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(20) == 0
    assert not (process.home / "run/recorder.json").exists()
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert any(line["event"] == "recording first" and line["process"] == "recorder" for line in lines)


async def test_while_a_database_is_away_it_is_not_ready(own: Servers, start: Callable[..., Process]) -> None:
    process = start(own, FLEET_ENV="away", FLEET_RECORDER_MARKET="0")
    async with World(own, "away") as world:
        await world.publish(RUN[:10])
        eventually(lambda: "away" in process.status().get("envs", []), "it has found the world")
        eventually(lambda: process.get("/readyz")[0] == 200, "it is ready")
        own.valkey.kill()
        await world.publish(RUN[10:])
        eventually(lambda: process.get("/readyz")[0] == 503, "it says that it waits")
        assert "hot" in process.get("/readyz")[1] or "Valkey" in process.get("/readyz")[1]
        assert process.get("/livez")[0] == 200
        own.valkey.start()
        eventually(lambda: process.get("/readyz")[0] == 200, "it is ready again")


def test_a_taken_port_is_told(shared: Servers, start: Callable[..., Process]) -> None:
    first = start(shared)
    eventually(lambda: first.get("/livez")[0] == 200, "it listens")
    address = json.loads((first.home / "run/recorder.json").read_text())["http"]
    second = start(shared, FLEET_HTTP=address)
    assert second.popen.wait(20) == 1
    (line,) = second.log.read_text().splitlines()
    assert f"cannot listen on {address}" in json.loads(line)["event"]


def test_it_has_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "nautilus_fleet", "serve", "recorder", "risk"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "libs"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the recorder is a process of its own" in done.stderr
