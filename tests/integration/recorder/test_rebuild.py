"""`fleet rebuild`: what is folded can be dropped, and comes out of the log as it was."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
from nautilus_fleet.cli import main
from nautilus_fleet.errors import EXIT_DIFFERS, EXIT_NO_DATA, EXIT_USAGE

from tests.integration.processes import ROOT
from tests.integration.recorder.worlds import Recording, Servers, World, forget
from tests.recorded import Logs, recorded_run

RUN = Logs().write(recorded_run(seed=5, rows=150).payloads)


async def record(servers: Servers, env: str, messages: list[tuple[str, bytes]] = RUN) -> None:
    async with World(servers, env) as world, Recording(servers.settings(), env) as recorder:
        await recorder.caught_up(env, await world.publish(messages))


def rebuild(servers: Servers, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nautilus_fleet", "rebuild", *arguments],
        cwd=ROOT,
        env={**servers.environment("live", servers.folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_both_come_out_as_they_were(shared: Servers) -> None:
    asyncio.run(record(shared, "again"))
    done = rebuild(shared, "--env", "again", "--json")
    assert done.returncode == 0
    for database in ("postgres", "valkey"):
        result = answer(done)["again"][database]
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
    assert answer(done)["gone"]["valkey"]["equal"] is None  # there was nothing to compare with
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
    result = answer(done)[env]["postgres"]
    assert (result["equal"], result["differs"]) == (False, differs)
    again = rebuild(shared, "--env", env, "--only", "postgres", "--json")
    assert again.returncode == 0
    assert answer(again)[env]["postgres"]["equal"] is True


def test_it_goes_on_to_the_end_of_the_stream(shared: Servers) -> None:
    """Compared is what was there; what came since is folded as well."""

    async def prepare() -> None:
        await record(shared, "further", RUN[:100])
        async with World(shared, "further") as world:
            await world.publish(RUN[100:])

    asyncio.run(prepare())
    done = rebuild(shared, "--env", "further", "--json")
    assert done.returncode == 0
    for result in answer(done)["further"].values():
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


def test_mistakes_are_told(
    shared: Servers, capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path
) -> None:
    asyncio.run(record(shared, "mistakes", RUN[:5]))
    done = rebuild(shared, "--env", "nobody")
    assert done.returncode == EXIT_NO_DATA
    assert "no environment 'nobody'" in done.stderr
    assert rebuild(shared, "--only", "sqlite").returncode == EXIT_USAGE
    away = rebuild(shared, "--env", "mistakes", FLEET_NATS_CONTROL="nats://127.0.0.1:1")
    assert (away.returncode, "NATS: cannot connect" in away.stderr) == (1, True)
    away = rebuild(shared, "--only", "valkey", FLEET_VALKEY="redis://127.0.0.1:1/0")
    assert (away.returncode, "error: Valkey: " in away.stderr) == (1, True)
    assert "Traceback" not in away.stderr
    monkeypatch.chdir(tmp_path)
    for name in ("FLEET_POSTGRES", "FLEET_VALKEY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["rebuild"]) == EXIT_USAGE
    assert "FLEET_POSTGRES and FLEET_VALKEY are both not set" in capsys.readouterr().err
