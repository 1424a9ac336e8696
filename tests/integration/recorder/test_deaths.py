"""Whoever dies - the recorder, PostgreSQL, Valkey, the bus - all that was said is there in the end, once."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from nautilus_common.servers import NatsServer

from services.recorder.shell import Recorder
from tests.integration.recorder.worlds import (
    Recording,
    Servers,
    World,
    alive,
    eventually,
    forget,
    recording,
    start_process,
)
from tests.recorded import Logs, recorded_run

RUN = Logs().write(recorded_run(seed=4, rows=250).payloads)
DIGEST = recorded_run(seed=4, rows=250).digest


async def check(world: World, recorder: Recorder, last: int) -> None:
    """Everything is in both databases, once."""
    await recorder.caught_up(world.env, last)
    report = await world.report(recorder)
    assert report.ok, report.problems
    assert report.records == len(RUN)
    assert (await recorder.digests(world.env))["digest"] == DIGEST
    lanes = recorder.status()["worlds"][world.env]
    assert lanes["valkey"]["records"] == lanes["postgres"]["records"] == len(RUN)


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_recorder_is_killed_again_and_again(shared: Servers, seed: int, tmp_path: Any) -> None:
    random = Random(seed)
    env = f"killed-{seed}"
    async with World(shared, env) as world:
        limits = {"FLEET_RECORDER_BATCH_RECORDS": "25", "FLEET_RECORDER_MARKET": "0"}
        process = await recording(shared, env, tmp_path, **limits)
        kills = 0
        try:
            for start in range(0, len(RUN), 300):
                last = await world.publish(RUN[start : start + 300])
                await asyncio.sleep(random.uniform(0.0, 0.15))
                if random.random() < 0.6:
                    process.kill()
                    process.wait()
                    kills += 1
                    process = await recording(shared, env, tmp_path, **limits)
        finally:
            process.kill()
            process.wait()
        assert kills > 3
        async with Recording(shared.settings(), env) as recorder:
            await check(world, recorder, last)


async def test_postgres_away_then_back(own: Servers) -> None:
    async with World(own, "pg") as world:
        limits = {"batch_records": 50, "backlog_records": 500}
        async with Recording(own.settings(), "pg", **limits) as recorder:
            await recorder.caught_up("pg", await world.publish(RUN[:1000]))
            own.postgres.kill()
            last = await world.publish(RUN[1000:])
            told = "the backlog is full"
            await eventually(lambda: told in lane(recorder, "postgres")["detail"], told)
            await eventually(lambda: lane(recorder, "valkey")["records"] == len(RUN), "Valkey goes on")
            stopped = lane(recorder, "postgres")
            assert recorder.status()["state"] == "waiting"
            assert "PostgreSQL: " in stopped["detail"]
            assert stopped["backlog_full"]
            assert 500 <= stopped["backlog_records"] <= 1_500  # the bound, and at most one read beyond it
            assert stopped["records"] == 1000
            assert lane(recorder, "valkey")["state"] == "ready"
            await eventually(lambda: recorder.status()["lag"] == len(RUN) - 1000, "the lag shows it")
            own.postgres.start()
            await check(world, recorder, last)
            assert recorder.status()["state"] == "ready"


async def test_postgres_is_killed_while_it_writes(own: Servers) -> None:
    async with World(own, "pgkill") as world, Recording(own.settings(), "pgkill", batch_records=20) as recorder:
        for start in range(0, len(RUN), 500):
            last = await world.publish(RUN[start : start + 500])
            await eventually(lambda start=start: lane(recorder, "postgres")["records"] > start, "it writes")
            own.postgres.kill()
            own.postgres.start()
        await check(world, recorder, last)


async def test_valkey_away_and_its_data_lost(own: Servers) -> None:
    limits = {"batch_records": 50, "backlog_records": 300}
    async with World(own, "vk") as world, Recording(own.settings(), "vk", **limits) as recorder:
        await recorder.caught_up("vk", await world.publish(RUN[:1000]))
        own.valkey.kill()
        await world.publish(RUN[1000:1500])
        await eventually(lambda: lane(recorder, "valkey")["state"] == "waiting", "waiting for Valkey")
        await eventually(lambda: lane(recorder, "postgres")["records"] == 1500, "PostgreSQL goes on")
        assert "Valkey: " in lane(recorder, "valkey")["detail"]
        forget(own.valkey)
        own.valkey.start()
        await check(world, recorder, await world.publish(RUN[1500:]))


async def test_the_bus_is_killed_while_it_is_read(own: Servers) -> None:
    async with World(own, "bus") as world, Recording(own.settings(), "bus", batch_records=100) as recorder:
        for start in range(0, len(RUN), 700):
            last = await world.publish(RUN[start : start + 700])
            before = world.client.stats["reconnects"]
            own.nats.kill()
            own.nats.start()
            # The publisher here is no part of the test: it waits until it is connected again.
            await eventually(lambda before=before: world.client.stats["reconnects"] > before, "connected again")
        await check(world, recorder, last)
        own.nats.kill()
        await eventually(lambda: recorder.status()["state"] == "waiting", "a clear state while the bus is away")
        assert "NATS: " in recorder.status()["detail"]
        own.nats.start()
        await eventually(lambda: recorder.status()["state"] == "ready", "ready again")


async def test_the_recorder_starts_before_its_servers(own: Servers) -> None:
    async with World(own, "early") as world:
        last = await world.publish(RUN)
        own.postgres.kill()
        own.valkey.kill()
        async with Recording(own.settings(), "early", "later") as recorder:
            await eventually(lambda: recorder.status()["state"] == "waiting", "waiting for both")
            own.postgres.start()
            own.valkey.start()
            await check(world, recorder, last)
            # Its stream is not there yet.
            assert "there is no stream CTL_later" in recorder.status()["worlds"]["later"]["detail"]
            async with World(own, "later") as later:
                await recorder.caught_up("later", await later.publish(RUN[:10]))


async def test_every_environment_is_found_and_let_go(shared: Servers, tmp_path: Any) -> None:
    """FLEET_ENV=*: as streams come and go; SIGTERM commits what was read."""
    process = start_process(shared, "*", tmp_path, FLEET_RECORDER_MARKET="0")
    try:
        async with World(shared, "r-first") as first, World(shared, "r-second") as second:
            ends = await asyncio.gather(first.publish(RUN[:500]), second.publish(RUN))
            async with Recording(shared.settings(only="postgres"), batch_records=1) as reader:
                await eventually(lambda: reached(reader, "r-first", ends[0]), "the first is recorded")
                await eventually(lambda: reached(reader, "r-second", ends[1]), "the second is recorded")
                await first.client.jetstream().delete_stream(first.stream)
                log = tmp_path / "recorder.log"
                await eventually(lambda: "closed r-first" in log.read_text(), "the first is closed")
                await second.client.jetstream().delete_stream(second.stream)
                await eventually(lambda: "closed r-second" in log.read_text(), "the second is closed")
        assert alive(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


async def test_sigterm_commits_what_was_read(shared: Servers, tmp_path: Any) -> None:
    async with World(shared, "term") as world:
        process = await recording(shared, "term", tmp_path, FLEET_RECORDER_MARKET="0")
        try:
            last = await world.publish(RUN)
            async with Recording(shared.settings(only="postgres")) as reader:
                await eventually(lambda: reached(reader, "term", 1), "it has begun")
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
                place = await reader.postgres.load("term")
                assert place.stream_seq > 0
            async with Recording(shared.settings(), "term") as recorder:
                await check(world, recorder, last)
        finally:
            process.kill()
            process.wait()


async def test_a_bus_with_a_password(tmp_path: Any, shared: Servers) -> None:
    """The address may hold user and password."""
    secret = 'authorization { user: fleet, password: "s3cret" }'
    with NatsServer(tmp_path / "nats", config_extra=secret) as server:
        url = server.url.replace("nats://", "nats://fleet:s3cret@")
        settings = replace(shared.settings(only="valkey"), nats_control=url)
        async with Recording(settings, "secret") as recorder:
            await eventually(lambda: "there is no stream CTL_secret" in recorder.status()["detail"], "it is let in")


def lane(recorder: Recorder, name: str) -> dict[str, Any]:
    (world,) = recorder.status()["worlds"].values()
    return world[name]


async def reached(recorder: Recorder, env: str, stream_seq: int) -> bool:
    assert recorder.postgres is not None
    place = await recorder.postgres.load(env)
    return place is not None and place.stream_seq >= stream_seq
