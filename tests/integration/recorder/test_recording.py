"""A stream into both databases: complete, proved by the chain, and refused where it must be."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest
import redis.asyncio as redis
from nautilus_common.settings import SettingsError

from services.recorder.lane import LaneFailed
from services.recorder.migrations import Migration, MigrationError, load_migrations, migrate
from services.recorder.recorder import Recorder
from tests.integration.recorder.worlds import Recording, Servers, World, eventually, read_journal
from tests.recorded import Logs, entry, recorded_run

RUN = Logs().write(recorded_run().payloads)


async def hot(servers: Servers) -> redis.Redis:
    return redis.Redis.from_url(servers.valkey.url)


async def test_all_that_was_said_is_in_both(shared: Servers) -> None:
    async with World(shared, "whole") as world, Recording(shared.settings(), "whole") as recorder:
        last = await world.publish(RUN)
        await recorder.caught_up("whole", last)
        report = await world.report(recorder)
        assert report.ok, report.problems
        assert report.records == len(RUN) == last
        assert report.fills > 10
        digests = await recorder.digests("whole")
        assert digests["digest"] == recorded_run().digest
        assert digests["records"] == len(RUN)
        status = recorder.status()
        assert (status["state"], recorder.envs, list(status["worlds"])) == ("ready", ["whole"], ["whole"])
        assert status["last_message_ns"] > 0
        await check_hot(shared, recorder, "whole", last)


async def check_hot(servers: Servers, recorder: Recorder, env: str, last: int) -> None:
    """Valkey holds what PostgreSQL holds."""
    assert recorder.postgres is not None
    async with recorder.postgres.connection() as connection:
        orders = await connection.fetch("SELECT * FROM fleet.orders WHERE env = $1", env)
        positions = await connection.fetch("SELECT * FROM fleet.positions WHERE env = $1", env)
        balances = await connection.fetch(
            "SELECT DISTINCT ON (account_id) account_id, balances FROM fleet.account_states WHERE env = $1 "
            "ORDER BY account_id, stream_seq DESC",
            env,
        )
    client = await hot(servers)
    try:
        assert orders
        assert positions
        for row in orders:
            order = json.loads(await client.get(f"fleet:{env}:order:{row['client_order_id']}"))
            assert (order["status"], order["filled"]) == (row["status"], str(row["filled"]))
        opened = {name.decode() for name in await client.smembers(f"fleet:{env}:orders:open")}
        assert opened == {row["client_order_id"] for row in orders if row["is_open"]}
        found = {k.decode(): json.loads(v) for k, v in (await client.hgetall(f"fleet:{env}:positions")).items()}
        assert {k: v["quantity"] for k, v in found.items()} == {r["position_id"]: str(r["quantity"]) for r in positions}
        accounts = {k.decode(): json.loads(v) for k, v in (await client.hgetall(f"fleet:{env}:balances")).items()}
        assert {k: v["balances"] for k, v in accounts.items()} == {
            row["account_id"]: json.loads(row["balances"]) for row in balances
        }
        assert int(await client.hget(f"fleet:{env}:position", "stream_seq")) == last
    finally:
        await client.aclose()


async def test_the_recorders_role_cannot_change_what_was_said(shared: Servers) -> None:
    async with World(shared, "role") as world, Recording(shared.settings(only="postgres"), "role") as recorder:
        await recorder.caught_up("role", await world.publish(RUN[:50]))
        assert recorder.postgres is not None
        async with recorder.postgres.connection() as connection:
            for table in ("event_log", "fills", "account_states", "entries", "rejected"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"UPDATE fleet.{table} SET stream_seq = 0")
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"DELETE FROM fleet.{table}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("DELETE FROM fleet.orders")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE fleet.event_log SET payload = payload || 'x' WHERE env = $1 AND stream_seq = 20", "was changed"),
        ("DELETE FROM fleet.event_log WHERE env = $1 AND stream_seq = 20", "the hash before is"),
        ("DELETE FROM fleet.event_log WHERE env = $1 AND stream_seq > 40", "the recorder's head is"),
        ("DELETE FROM fleet.fills WHERE env = $1", "fills in their table"),
        ("UPDATE fleet.positions SET quantity = quantity + 1 WHERE env = $1", "(quantity, fills)"),
    ],
)
async def test_the_chain_shows_what_somebody_changed(shared: Servers, change: str, problem: str) -> None:
    env = f"forged-{abs(hash(change)) % 10**8}"
    async with World(shared, env) as world, Recording(shared.settings(only="postgres"), env) as recorder:
        await recorder.caught_up(env, await world.publish(RUN))
        assert (await world.report(recorder)).ok
        owner = await asyncpg.connect(shared.postgres.url)
        try:
            assert await owner.execute(change, env) != "UPDATE 0"
        finally:
            await owner.close()
        report = await world.report(recorder)
        assert any(problem in text for text in report.problems), report.problems


async def test_what_cannot_be_read_is_kept_apart_and_stops_nobody(shared: Servers) -> None:
    tag = [1, 0, 0, 0, 1, 7, 1]
    channel = "log.risk.risk"
    bad = [b"\xa7nothing", msgspec.msgpack.encode([tag, channel, {"type": "Unknown", "text": "\0"}])]
    bad += [msgspec.msgpack.encode([tag, "evt.order.SIM.\0", {"type": "Unknown"}])]
    bad += [msgspec.msgpack.encode([[2**64 - 1] * 7, "cmd.risk.S-1", {}])]
    hostile = [(channel, b""), (channel, b"\xff\xfe\0 nothing"), (channel, b"\x91" * 5_000)]
    hostile += [(channel, bytes(3 * 2**20)), ("log.risk.other", entry([], "risk")[1]), ("log.r.e.x", b"")]
    hostile += [entry(bad, "risk")]
    forged = entry([recorded_run().payloads[200]], "forger")
    mixed = [*hostile, *RUN[:100], forged, *hostile[:-1], *RUN[100:]]
    async with World(shared, "hostile") as world, Recording(shared.settings(), "hostile") as recorder:
        await recorder.caught_up("hostile", await world.publish(mixed))
        assert (await recorder.digests("hostile"))["digest"] == recorded_run().digest
        report = await world.report(recorder)
        assert report.ok, report.problems
        assert recorder.postgres is not None
        async with recorder.postgres.connection() as connection:
            rows = await connection.fetch(
                "SELECT * FROM fleet.rejected WHERE env = 'hostile' ORDER BY stream_seq, index"
            )
        assert len(rows) == 2 * (len(hostile) - 1) + len(bad) + 1
        assert {row["kind"] for row in rows} == {"subject", "process", "entry", "envelope", "message", "authority"}
        assert all(row["reason"] for row in rows)
        assert [row["size"] for row in rows[: len(hostile) - 1]] == [len(data) for _, data in hostile[:-1]]
        assert [(row["stream_seq"], row["index"]) for row in rows[len(hostile) - 1 :][: len(bad)]] == [
            (len(hostile), index) for index in range(len(bad))
        ]
        assert recorder.status()["state"] == "ready"


async def test_the_journal_of_a_process_can_be_read_back(shared: Servers) -> None:
    taken = [[["CTL", n], {"n": n}] for n in (1, 2, 3)]
    said = [entry([], "host", n, inputs=inputs) for n, inputs in enumerate(taken, 1)]
    async with World(shared, "journal") as world, Recording(shared.settings(), "journal") as recorder:
        await recorder.caught_up("journal", await world.publish([*said[:2], *RUN, said[2]]))
        assert recorder.postgres is not None
        async with recorder.postgres.connection() as connection:
            journal = await read_journal(connection, "journal", "host")
        assert [(row["number"], row["epoch"], row["inputs"]) for row in journal] == [
            (n, "e1", inputs) for n, inputs in enumerate(taken, 1)
        ]
        assert (await recorder.digests("journal"))["digest"] == recorded_run().digest


async def test_large_entries_are_the_same_run(shared: Servers) -> None:
    """However the records are cut into entries: one digest, one chain."""
    whole = Logs().write(recorded_run().payloads, size=4_000)
    assert len(whole) < len(RUN)
    async with World(shared, "large") as world, Recording(shared.settings(), "large") as recorder:
        await recorder.caught_up("large", await world.publish(whole))
        report = await world.report(recorder)
        assert (report.ok, report.records) == (True, len(RUN)), report.problems
        assert (await recorder.digests("large"))["digest"] == recorded_run().digest


async def test_a_jump_of_an_engine_is_named_and_nothing_beyond_it_is_recorded(shared: Servers) -> None:
    of_one = [payload for rank, _, payload in recorded_run().records if rank == 0]
    lost = Logs().write([*of_one[:3], *of_one[4:]])
    async with World(shared, "jump") as world, Recording(shared.settings(), "jump") as recorder:
        last = await world.publish(lost)
        with pytest.raises(LaneFailed, match="said message 5 after message 3"):
            await recorder.caught_up("jump", last)
        assert recorder.status()["state"] == "failed"
        await eventually(lambda: recorder.status()["worlds"]["jump"]["valkey"]["state"] == "failed", "valkey, too")
        assert (await world.report(recorder)).records == 3


async def test_a_stream_made_anew_is_quarantined(shared: Servers) -> None:
    async with World(shared, "anew") as world:
        async with Recording(shared.settings(), "anew") as recorder:
            await recorder.caught_up("anew", await world.publish(RUN[:50]))
            # While it runs ...
            await world.client.jetstream().delete_stream(world.stream)
            await eventually(lambda: recorder.status()["state"] == "waiting", "the stream is missed")
            assert "there is no stream CTL_anew" in recorder.status()["detail"]
            await world.make()
            await world.publish(RUN[:80])
            await eventually(lambda: recorder.status()["state"] == "failed", "quarantine")
            detail = recorder.status()["detail"]
            assert detail.count("quarantined: CTL_anew was made at") == 2
            assert "fleet rebuild --env anew" in detail
            assert (await world.report(recorder)).records == 50
        async with Recording(shared.settings(), "anew") as recorder:  # ... and at the next start
            await eventually(lambda: recorder.status()["state"] == "failed", "quarantine again")


async def test_what_the_stream_deleted_is_passed(shared: Servers) -> None:
    """Deleted records are a jump, if they were records; deleted rubbish is nothing."""
    async with World(shared, "deleted") as world:
        await world.publish([*RUN[:20], ("log.risk.risk", b"rubbish"), ("log.risk.risk", b"rubbish"), *RUN[20:]])
        for seq in (21, 22):
            await world.client.jetstream().delete_msg(world.stream, seq)
        async with Recording(shared.settings(), "deleted") as recorder:
            await recorder.caught_up("deleted", len(RUN) + 2)
            assert (await recorder.digests("deleted"))["digest"] == recorded_run().digest


async def test_two_recorders_of_one_environment_write_once(shared: Servers) -> None:
    async with World(shared, "two") as world:
        small = {"batch_messages": 20}
        async with (
            Recording(shared.settings(), "two", **small) as one,
            Recording(shared.settings(), "two", **small) as other,
        ):
            for start in range(0, len(RUN), 40):
                last = await world.publish(RUN[start : start + 40])
            await asyncio.gather(one.caught_up("two", last), other.caught_up("two", last))
            assert (await one.digests("two"))["digest"] == recorded_run().digest
            report = await world.report(other)
            assert report.ok, report.problems
            await check_hot(shared, one, "two", last)


async def test_environments_do_not_touch_each_other(shared: Servers) -> None:
    async with (
        World(shared, "left") as left,
        World(shared, "right") as right,
        Recording(shared.settings(), "left", "right") as recorder,
    ):
        ends = await asyncio.gather(left.publish(RUN), right.publish(RUN[:100]))
        await asyncio.gather(recorder.caught_up("left", ends[0]), recorder.caught_up("right", ends[1]))
        await recorder.close("left")
        assert recorder.envs == ["right"]
        with pytest.raises(LaneFailed, match="left is not being recorded"):
            await recorder.caught_up("left", 1)
        await recorder.caught_up("right", await right.publish(RUN[100:]))
        assert (await recorder.digests("left"))["digest"] == (await recorder.digests("right"))["digest"]


async def test_only_so_many_closed_orders_stay_in_valkey(shared: Servers) -> None:
    async with World(shared, "few") as world:
        settings = shared.settings(only="valkey")
        async with Recording(settings, "few", closed_orders=5, batch_messages=10) as recorder:
            await recorder.caught_up("few", await world.publish(RUN))
        client = await hot(shared)
        try:
            kept = [key.decode() for key in await client.zrange("fleet:few:orders:closed", 0, -1)]
            opened = await client.smembers("fleet:few:orders:open")
            keys = [key async for key in client.scan_iter(match="fleet:few:order:*")]
            assert len(kept) == 5
            assert len(keys) == 5 + len(opened)
        finally:
            await client.aclose()


async def owner_of(servers: Servers, database: str) -> Any:
    root = await asyncpg.connect(servers.postgres.url)
    try:
        await root.execute(f"CREATE DATABASE {database}")
    finally:
        await root.close()
    return servers.postgres.url.rpartition("/")[0] + f"/{database}"


async def test_migrations_are_applied_once_and_a_changed_one_is_refused(shared: Servers) -> None:
    url = await owner_of(shared, "fresh")
    connections = [await asyncpg.connect(url) for _ in range(4)]
    try:
        applied = await asyncio.gather(*[migrate(connection) for connection in connections])
        names = [migration.name for migration in load_migrations()]
        assert sorted(map(len, applied)) == [0, 0, 0, len(names)]
        assert max(applied, key=len) == names
        first, *rest = load_migrations()
        changed = [Migration(first.number, first.name, first.sql + " -- changed"), *rest]
        with pytest.raises(MigrationError, match=r"migration 0001_tables.sql was applied with other content"):
            await migrate(connections[0], changed)
        with pytest.raises(MigrationError, match=r"the database has migration 0002_roles.sql, which this release"):
            await migrate(connections[0], [first])
        broken = [*load_migrations(), Migration(3, "0003_broken.sql", "CREATE TABLE fleet.x (a int); SELECT nothing")]
        with pytest.raises(asyncpg.UndefinedColumnError):
            await migrate(connections[0], broken)
        assert await connections[1].fetchval("SELECT to_regclass('fleet.x')") is None
    finally:
        for connection in connections:
            await connection.close()


def test_a_recorder_without_a_database_is_a_mistake_of_settings(shared: Servers) -> None:
    with pytest.raises(SettingsError, match="FLEET_POSTGRES and FLEET_VALKEY are both not set"):
        Recorder(shared.settings(only="none"))


async def test_wrong_credentials_are_a_clear_state(shared: Servers) -> None:
    settings = shared.settings(only="postgres")
    bad = replace(settings, postgres=shared.postgres.url.replace("fleet:", "fleet:wrong"))
    async with World(shared, "wrong"), Recording(bad, "wrong") as recorder:
        await eventually(lambda: recorder.status()["state"] == "failed", "a clear state")
        assert "password" in recorder.status()["detail"]
