"""Whoever dies - the recorder, PostgreSQL, Valkey, the bus - all that was said is there in the end, once."""

from __future__ import annotations

import asyncio
import signal
from random import Random
from typing import Any

import pytest
from nautilus_common.bus.connection import connect
from nautilus_common.bus.layout import apply_streams
from nautilus_common.bus.recorded import NotRecorded, wait_recorded

from services.recorder.recorder import Recorder
from tests.integration.bus.conftest import ConfiguredServer
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

RUN = Logs().write(recorded_run(seed=5, rows=150).payloads)
DIGEST = recorded_run(seed=5, rows=150).digest


async def check(world: World, recorder: Recorder, last: int) -> None:
    """Everything is in both databases, once."""
    await recorder.caught_up(world.env, last)
    report = await world.report(recorder)
    assert report.ok, report.problems
    assert report.records == len(RUN)
    assert (await recorder.digests(world.env))["digest"] == DIGEST
    lanes = recorder.status()["worlds"][world.env]
    assert lanes["valkey"]["records"] == lanes["postgres"]["records"] == len(RUN)


async def test_the_recorder_is_killed_again_and_again(shared: Servers, tmp_path: Any) -> None:
    random = Random(1)
    async with World(shared, "killed") as world:
        limits = {"FLEET_RECORDER_BATCH_MESSAGES": "25", "FLEET_RECORDER_MARKET": "0"}
        process = await recording(shared, "killed", tmp_path, **limits)
        try:
            for start in range(0, len(RUN), len(RUN) // 4):
                last = await world.publish(RUN[start : start + len(RUN) // 4])
                await asyncio.sleep(random.uniform(0.0, 0.15))
                process.kill()
                process.wait()
                process = await recording(shared, "killed", tmp_path, **limits)
        finally:
            process.kill()
            process.wait()
        async with Recording(shared.settings(), "killed") as recorder:
            await check(world, recorder, last)


async def test_postgres_away_then_back(own: Servers) -> None:
    async with World(own, "pg") as world:
        limits = {"batch_messages": 50, "backlog_messages": 500}
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
            assert 500 <= stopped["backlog_messages"] <= 550  # the bound, and what is being committed
            assert stopped["records"] == 1000
            assert lane(recorder, "valkey")["state"] == "ready"
            await recorder.look()
            assert recorder.status()["lag"] == len(RUN) - 1000
            own.postgres.start()
            await check(world, recorder, last)
            assert recorder.status()["state"] == "ready"


async def test_postgres_is_killed_while_it_writes(own: Servers) -> None:
    async with World(own, "pgkill") as world, Recording(own.settings(), "pgkill", batch_messages=20) as recorder:
        for start in range(0, len(RUN), 1500):
            last = await world.publish(RUN[start : start + 1500])
            await eventually(lambda start=start: lane(recorder, "postgres")["records"] > start, "it writes")
            own.postgres.kill()
            own.postgres.start()
        await check(world, recorder, last)


async def test_valkey_away_and_its_data_lost(own: Servers) -> None:
    limits = {"batch_messages": 50, "backlog_messages": 300}
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
    async with World(own, "bus") as world, Recording(own.settings(), "bus", batch_messages=100) as recorder:
        for start in range(0, len(RUN), 1000):
            last = await world.publish(RUN[start : start + 1000])
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


async def test_replays_are_found_and_let_go(shared: Servers, tmp_path: Any) -> None:
    """Beside FLEET_ENV, as streams come and go; SIGTERM commits what was read."""
    process = start_process(shared, "live", tmp_path, FLEET_RECORDER_MARKET="0")
    log = tmp_path / "recorder.log"
    try:
        async with World(shared, "r-first") as first, World(shared, "r-second") as second, World(shared, "other"):
            ends = await asyncio.gather(first.publish(RUN[:500]), second.publish(RUN))
            await wait_recorded(first.client, "r-first", ends[0], 20)
            await wait_recorded(first.client, "r-second", ends[1], 20)
            with pytest.raises(NotRecorded, match="recorder records live and replays"):
                await wait_recorded(first.client, "other", 1, 20)
            with pytest.raises(NotRecorded, match=r"postgres is at 500 \(ready\); valkey is at 500 \(ready\)"):
                await wait_recorded(first.client, "r-first", 501, 2.5)
            for world in (first, second):
                await first.client.jetstream().delete_stream(world.stream)
                await eventually(lambda world=world: f"closed {world.env}" in log.read_text(), "it is closed")
            with pytest.raises(NotRecorded, match="there is no stream CTL_r-first"):
                await wait_recorded(first.client, "r-first", 1, 0.5)
            assert "recording other" not in log.read_text()
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


async def test_the_recorders_own_permissions_are_enough(tmp_path: Any, shared: Servers) -> None:
    """The control server as it is shipped; each speaks as its own user."""
    with ConfiguredServer(tmp_path / "control", "control") as server:
        more = {"FLEET_NATS_CONTROL": server.url_of("recorder"), "FLEET_NATS_DATA": server.url_of("recorder")}
        process = start_process(shared, "live", tmp_path, FLEET_RECORDER_MARKET="0", **more)
        admin, replay = [await connect(server.url_of(role), "test") for role in ("fleet", "replay")]
        try:
            await apply_streams(admin, admin, "r-allowed")
            for channel, data in RUN[:50]:
                await admin.publish(f"fleet.r-allowed.{channel}", data)
            await admin.flush()
            await wait_recorded(replay, "r-allowed", 50, 20)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert "ermissions" not in (tmp_path / "recorder.log").read_text()
        finally:
            process.kill()
            process.wait()
            await admin.close()
            await replay.close()


def lane(recorder: Recorder, name: str) -> dict[str, Any]:
    (world,) = recorder.status()["worlds"].values()
    return world[name]


async def reached(recorder: Recorder, env: str, stream_seq: int) -> bool:
    assert recorder.postgres is not None
    place = await recorder.postgres.load(env)
    return place is not None and place.stream_seq >= stream_seq
