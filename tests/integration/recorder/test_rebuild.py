"""`fleet rebuild`: what is folded can be dropped, and comes out of the log as it was."""

from __future__ import annotations

import asyncio
import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest
import redis
from nautilus_fleet.cli import main
from nautilus_fleet.errors import EXIT_DIFFERS, EXIT_NO_DATA, EXIT_USAGE

from tests.integration.recorder.worlds import Recording, Servers, World, forget
from tests.recorded import Logs, recorded_run

RUN = Logs().write(recorded_run().payloads)


async def record(servers: Servers, env: str, messages: list[tuple[str, bytes]] = RUN) -> None:
    async with World(servers, env) as world, Recording(servers.settings(), env) as recorder:
        await recorder.caught_up(env, await world.publish(messages))


@dataclass
class Done:
    """What the command did."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        assert self.stderr == ""
        return json.loads(self.stdout)


def rebuild(servers: Servers, *arguments: str, **environment: str) -> Done:
    """The command, in this process."""
    told, why = io.StringIO(), io.StringIO()
    settings = {**servers.environment("live", servers.folder), **environment}
    with patch.dict(os.environ, settings), redirect_stdout(told), redirect_stderr(why):
        code = main(["rebuild", *arguments])
    return Done(code, told.getvalue(), why.getvalue())


def test_both_come_out_as_they_were(shared: Servers) -> None:
    asyncio.run(record(shared, "again"))
    done = rebuild(shared, "--env", "again", "--json")
    assert done.returncode == 0
    for database in ("postgres", "valkey"):
        result = done.answer["again"][database]
        assert result["equal"] is True
        assert result["before"] == result["after"]
        assert result["after"]["records"] == result["stream_seq"] == len(RUN)
        assert result["after"]["orders"] > 0
    text = rebuild(shared, "--env", "again", "--only", "valkey").stdout
    assert text.startswith("again valkey: ")
    assert "as before" in text
    assert "postgres" not in text


def test_valkey_comes_back_after_its_data_are_gone(own: Servers) -> None:
    """The state after `rm -rf` and `fleet rebuild` equals the state before."""
    asyncio.run(record(own, "gone"))
    before = contents(own, "gone")
    own.valkey.kill()
    forget(own.valkey)
    own.valkey.start()
    assert not contents(own, "gone")
    done = rebuild(own, "--only", "valkey", "--json")
    assert done.returncode == 0, done.stderr
    assert done.answer["gone"]["valkey"]["equal"] is None  # there was nothing to compare with
    assert contents(own, "gone") == before
    assert len(before) > 10


def contents(servers: Servers, env: str) -> dict[bytes, Any]:
    with redis.Redis.from_url(servers.valkey.url) as client:
        read = {b"string": client.get, b"hash": client.hgetall, b"set": client.smembers}
        read[b"zset"] = lambda key: client.zrange(key, 0, -1, withscores=True)
        return {key: read[client.type(key)](key) for key in client.scan_iter(match=f"fleet:{env}:*")}


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ("UPDATE fleet.orders SET status = 'FILLED', filled = 1 WHERE env = $1", ["content"]),
        ("DELETE FROM fleet.fills WHERE env = $1", ["fills"]),
        ("UPDATE fleet.recorder_position SET head = decode(repeat('00', 32), 'hex') WHERE env = $1", ["head"]),
    ],
)
def test_what_was_changed_is_told_and_mended(shared: Servers, change: str, differs: list[str]) -> None:
    env = f"changed-{differs[0]}"

    async def tamper() -> None:
        await record(shared, env)
        owner = await asyncpg.connect(shared.postgres.url)
        try:
            await owner.execute(change, env)
        finally:
            await owner.close()

    asyncio.run(tamper())
    done = rebuild(shared, "--env", env, "--only", "postgres", "--json")
    assert done.returncode == EXIT_DIFFERS
    result = done.answer[env]["postgres"]
    assert (result["equal"], result["differs"]) == (False, differs)
    again = rebuild(shared, "--env", env, "--only", "postgres", "--json")
    assert again.returncode == 0
    assert again.answer[env]["postgres"]["equal"] is True


def test_it_goes_on_to_the_end_of_the_stream(shared: Servers) -> None:
    """Compared is what was there; what came since is folded as well."""

    async def prepare() -> None:
        await record(shared, "further", RUN[:100])
        async with World(shared, "further") as world:
            await world.publish(RUN[100:])

    asyncio.run(prepare())
    done = rebuild(shared, "--env", "further", "--json")
    assert done.returncode == 0
    for result in done.answer["further"].values():
        assert (result["before"]["stream_seq"], result["stream_seq"], result["equal"]) == (100, len(RUN), True)


def test_a_recorder_that_runs_meanwhile_begins_anew(shared: Servers) -> None:
    async def both() -> None:
        async with World(shared, "meanwhile") as world, Recording(shared.settings(), "meanwhile") as recorder:
            last = await world.publish(RUN)
            await recorder.caught_up("meanwhile", last)
            done = await asyncio.to_thread(rebuild, shared, "--env", "meanwhile")
            assert done.returncode == 0, done.stderr
            last = await world.publish([("log.risk.risk", b"rubbish")])
            await recorder.caught_up("meanwhile", last)
            report = await world.report(recorder)
            assert report.ok, report.problems
            assert report.records == len(RUN)

    asyncio.run(both())


def test_a_finished_replay_is_removed(shared: Servers) -> None:
    """Its results stay until somebody says that they are not needed; what is still on the bus is not removed."""

    async def finish() -> None:
        async with World(shared, "r-done") as world:
            await record(shared, "r-done")
            await world.client.jetstream().delete_stream(world.stream)

    asyncio.run(record(shared, "r-stays"))
    refused = rebuild(shared, "--drop", "r-stays")
    assert (refused.returncode, "r-stays still has its control stream" in refused.stderr) == (EXIT_USAGE, True)
    asyncio.run(finish())
    one = rebuild(shared, "--drop", "r-done", "--only", "valkey")
    assert one.stdout.startswith(f"r-done valkey: removed {len(RUN):,} records, ")
    assert not contents(shared, "r-done")
    rest = rebuild(shared, "--drop", "r-done", "--json")
    assert rest.answer["r-done"]["postgres"]["records"] == len(RUN)
    assert list(rest.answer["r-done"]) == ["postgres"]
    gone = rebuild(shared, "--drop", "r-done")
    assert gone.returncode == EXIT_NO_DATA
    assert "there are: " in gone.stderr
    assert "r-stays" in gone.stderr
    assert len(contents(shared, "r-stays")) > 10
    assert rebuild(shared, "--drop", "r-done", "--env", "live").returncode == EXIT_USAGE


def test_mistakes_are_told(
    shared: Servers, capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path
) -> None:
    asyncio.run(record(shared, "mistakes", RUN[:5]))
    done = rebuild(shared, "--env", "nobody")
    assert done.returncode == EXIT_NO_DATA
    assert "no environment 'nobody'" in done.stderr
    assert rebuild(shared, "--only", "sqlite").returncode == EXIT_USAGE
    away = rebuild(shared, "--env", "mistakes", FLEET_NATS_CONTROL="nats://127.0.0.1:1")
    assert (away.returncode, "no nats-server answers" in away.stderr) == (1, True)
    away = rebuild(shared, "--only", "valkey", FLEET_VALKEY="redis://127.0.0.1:1/0")
    assert (away.returncode, "error: Valkey: " in away.stderr) == (1, True)
    assert "Traceback" not in away.stderr
    monkeypatch.chdir(tmp_path)
    for name in ("FLEET_POSTGRES", "FLEET_VALKEY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["rebuild"]) == EXIT_USAGE
    assert "FLEET_POSTGRES and FLEET_VALKEY are both not set" in capsys.readouterr().err
