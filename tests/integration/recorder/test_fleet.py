"""The recorder in a fleet that runs: replays are recorded as they are, whatever server dies meanwhile."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from nautilus_common.bus.api import stream_facts
from nautilus_common.bus.connection import connect
from nautilus_common.bus.layout import remove_streams
from nautilus_common.bus.recorded import wait_recorded
from nautilus_fleet.config_source import load_config
from nautilus_fleet.replays import drive, prepare
from nautilus_fleet.runner import run_backtest
from nautilus_fleet.stack import LocalStack
from nautilus_fleet.stack.service import ask, ask_status
from nautilus_fleet.terminal import Progress

from services.recorder.audit import run_digest, verify_chain
from tests.integration.processes import ENVIRONMENT, ROOT, eventually

SAMPLE = ROOT / "examples" / "sample" / "backtest.toml"
CONFIG = ["data.sample.days=2", "output.tearsheet=false"]


class Fleet:
    """A stack, and what is done with it."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder

    def replay(self, env: str, kill: tuple[str, ...] = ()) -> dict[str, Any]:
        """Run a replay, while these servers are killed, and wait until all of it is recorded."""
        folder = self.folder / env
        prepare(load_config(SAMPLE, CONFIG), folder, ROOT, Progress(quiet=True), env=env, keep=True)
        with self.killing(kill):
            result = drive(folder, {**ENVIRONMENT, **self.stack.environment()}, lambda _: None)
        asyncio.run(self.wait(env))
        return result

    async def wait(self, env: str) -> None:
        control = await connect(self.stack.url("nats_control"), "test")
        try:
            facts = await stream_facts(control, f"CTL_{env}")
            assert facts is not None
            await wait_recorded(control, env, facts.last_seq, 30)
        finally:
            await control.close()

    async def report(self, env: str) -> tuple[Any, dict[str, Any]]:
        database = await asyncpg.connect(self.stack.url("postgres"))
        try:
            return await verify_chain(database, env), await run_digest(database, env)
        finally:
            await database.close()

    async def remove(self, env: str) -> None:
        control, data = [await connect(self.stack.url(f"nats_{name}"), "test") for name in ("control", "data")]
        await remove_streams(control, data, env)
        await control.close()
        await data.close()

    def status(self) -> dict[str, Any]:
        return ask_status(self.stack.http("recorder") or "") or {}

    @contextmanager
    def killing(self, servers: tuple[str, ...]) -> Iterator[None]:
        """Kill each of them again and again."""
        done = threading.Event()

        def kill() -> None:
            while not done.wait(0.5):
                for server in servers:
                    if server in self.stack.processes:
                        self.stack.kill(server)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            yield
        finally:
            done.set()
            killer.join()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the same run in one process."""
    runs = tmp_path_factory.mktemp("runs")
    return str(
        run_backtest(
            load_config(SAMPLE, [*CONFIG, f"output.folder={runs}"]), progress=Progress(quiet=True)
        ).result.digest
    )


def test_replays_are_recorded(tmp_path: Path, expected: str) -> None:
    with LocalStack(tmp_path / "stack", project=ROOT, together=[["all"]]) as stack:
        fleet = Fleet(stack, tmp_path)
        # No stream is there yet, not even that of `live`.
        status = fleet.status()
        assert (status["state"], status["roles"], status["envs"]) == ("ready", ["recorder"], [])
        check(fleet, fleet.replay("r-quiet"), expected)
        check(fleet, fleet.replay("r-killed", kill=("postgres", "valkey")), expected)
        status = fleet.status()
        assert status["worlds"]["r-killed"]["valkey"]["records"] == status["worlds"]["r-quiet"]["postgres"]["records"]
        figures = ask(stack.http("recorder") or "", "/metrics")[1].decode()
        assert 'fleet_recorder_records{database="valkey",env="r-killed"}' in figures
        asyncio.run(fleet.remove("r-quiet"))
        eventually(lambda: fleet.status()["envs"] == ["r-killed"], "it lets go of what is over")
        assert asyncio.run(fleet.report("r-quiet"))[1]["digest"] == expected  # its results stay
        stack.kill("recorder")
        stack.wait_ready()
        assert fleet.status()["envs"] == ["r-killed"]
    log = stack.log_path("recorder").read_text()
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines[-1]["event"] == "stopped"


def check(fleet: Fleet, result: dict[str, Any], expected: str) -> None:
    """The run, its digest, and the tables are one."""
    assert result["digest"] == expected
    report, digests = asyncio.run(fleet.report(result["env"]))
    assert report.ok, report.problems
    assert digests["digest"] == expected
    assert {str(rank): digest for rank, digest in digests["engines"].items()} == result["engine_digests"]
    assert report.records == result["events"]
