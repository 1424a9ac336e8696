"""The matrix of deploy/nats/README.md, tried cell by cell against the shipped configuration."""

from __future__ import annotations

import re

import msgspec
import pytest
from nautilus_common.bus.api import ask_jetstream
from nautilus_common.bus.connection import Connection, connect
from nautilus_common.bus.errors import BusError
from nautilus_common.bus.layout import apply_streams, layout_folder, remove_streams
from nautilus_common.bus.recorded import NotRecorded, Recorded, decode_question, wait_recorded
from nautilus_common.messages import subjects
from nautilus_common.model.identifiers import AccountId, StrategyId, Venue

from tests.integration.bus.conftest import ROLES, ConfiguredServer

Servers = tuple[ConfiguredServer, ConfiguredServer]

VENUE, STRATEGY, ACCOUNT = Venue("SIM"), StrategyId("EmaCross-BRK.B"), AccountId("SIM-001")
CHANNELS = {
    "cmd.risk": subjects.risk_commands(STRATEGY),
    "cmd.exec": subjects.execution_commands(VENUE),
    "cmd.venue": subjects.venue_commands(VENUE),
    "evt.order": subjects.order_events(VENUE, STRATEGY),
    "evt.position": subjects.position_events(STRATEGY),
    "evt.account": subjects.account_events(ACCOUNT),
    "evt.adjustment": subjects.adjustment_events(ACCOUNT),
    "md": subjects.market_data("SIM", "BRK.B", "quote"),
    "trip": subjects.trip("risk+portfolio"),
    "progress": "progress",
    "ctl": "ctl.replay",
    "recorded": subjects.RECORDED,
}
ENGINES = ("execution_gateway", "risk", "portfolio", "strategy_host")
STREAMS = ("CREATE", "UPDATE", "DELETE", "PURGE")


def table() -> dict[str, set[str]]:
    """role -> what it may say, read from the page that people read."""
    rows = {}
    page = (layout_folder() / "README.md").read_text("utf-8")
    for line in page.partition("## Who may say what")[2].splitlines():
        if match := re.match(r"\| `(\w+)` \| ([^|]*) \|", line):
            rows[match[1]] = set(re.findall(r"`([\w.]+)`", match[2]))
    return rows


async def denied(connection: Connection, subject: str) -> bool:
    before = connection.errors["Error"]
    await connection.publish(subject, b"")
    await connection.flush()  # a violation is told before the answer to a ping
    return connection.errors["Error"] > before


def test_the_page_has_every_role() -> None:
    assert set(table()) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
async def test_what_a_role_may_say(servers: Servers, role: str) -> None:
    allowed = set(CHANNELS) if role == "fleet" else table()[role]
    connection = await connect(servers[0].url_of(role), "test")
    said = {
        name for name, channel in CHANNELS.items() if not await denied(connection, subjects.subject("r-may", channel))
    }
    assert said == allowed & set(CHANNELS)
    logs = {
        owner
        for owner in ENGINES
        if not await denied(connection, subjects.subject("r-may", subjects.log((owner,), "some+name")))
    }
    assert logs == (set(ENGINES) if role in ("fleet", "engines") else {role} & set(ENGINES))
    assert ("log" in allowed) is (role in ("engines", *ENGINES)) or role == "fleet"
    assert await denied(connection, "other.subject")
    assert await denied(connection, "_INBOX.risk.forged") is (role != "fleet")
    assert not await denied(connection, "fleet.sys.who")
    await connection.close()


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_hears_its_world_and_only_its_own_answers(servers: Servers, role: str) -> None:
    connection = await connect(servers[0].url_of(role), "test")
    for subject in ("fleet.>", f"_INBOX.{role}.>"):
        await connection.subscribe(subject)
        await connection.flush()
    assert connection.errors.total() == 0
    await connection.subscribe("_INBOX.>")
    await connection.flush()
    assert connection.errors["Error"] == 1
    await connection.close()


async def test_everybody_reads_the_streams(servers: Servers) -> None:
    admin = [await connect(server.url_of("fleet"), "test") for server in servers]
    await apply_streams(admin[0], admin[1], "r-read")
    subject = subjects.subject("r-read", subjects.log(("risk",), "risk"))
    await admin[0].request(subject, b"record", timeout=2)
    for role in ROLES:
        connection = await connect(servers[0].url_of(role), "test")
        reader = await connection.jetstream().pull_subscribe(
            "fleet.r-read.log.>", stream="CTL_r-read", config=None, durable=None
        )
        (message,) = await reader.fetch(1, timeout=2)
        assert (message.subject, message.data) == (subject, b"record")
        await message.ack_sync(timeout=2)
        assert connection.errors.total() == 0
        await connection.close()
    await remove_streams(admin[0], admin[1], "r-read")
    for connection in admin:
        await connection.close()


async def test_only_the_administrator_and_replays_handle_streams(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nautilus_common.bus.api.API_SECONDS", 0.3)
    for role in ROLES:
        connections = [await connect(server.url_of(role), "test") for server in servers]
        if role in ("fleet", "replay"):
            await apply_streams(connections[0], connections[1], "r-own")
            await remove_streams(connections[0], connections[1], "r-own")
        else:
            with pytest.raises(BusError, match="JetStream said nothing"):
                await apply_streams(connections[0], connections[1], "r-own")
            assert connections[0].errors["Error"] > 0
        for connection in connections:
            await connection.close()


async def test_a_replay_cannot_touch_the_live_world(servers: Servers) -> None:
    for server in servers:
        connection = await connect(server.url_of("replay"), "test")
        for name in ("CTL_live", "MD_live"):
            for verb in STREAMS:
                assert await denied(connection, f"$JS.API.STREAM.{verb}.{name}"), (verb, name)
        assert await denied(connection, subjects.subject("live", CHANNELS["md"]))
        assert not await denied(connection, subjects.subject("r-1", CHANNELS["md"]))
        await connection.close()


async def test_a_call_of_a_replay_is_answered(servers: Servers) -> None:
    risk = await connect(servers[0].url_of("risk"), "risk")
    replay = await connect(servers[0].url_of("replay"), "replay")

    async def answer(message: object) -> None:
        await message.respond(b"spoken")  # type: ignore[attr-defined]

    await risk.subscribe("fleet.r-1.trip.risk", cb=answer)
    await risk.flush()
    assert (await replay.request("fleet.r-1.trip.risk", b"", timeout=2)).data == b"spoken"
    await risk.close()
    await replay.close()


async def test_a_replay_asks_the_recorder(servers: Servers) -> None:
    recorder = await connect(servers[0].url_of("recorder"), "recorder")
    replay = await connect(servers[0].url_of("replay"), "replay")
    told = [Recorded(False, "postgres is away"), Recorded(True), Recorded(False, "it has failed", is_final=True)]
    asked = []

    async def answer(message: object) -> None:
        asked.append(decode_question(message.data))  # type: ignore[attr-defined]
        await message.respond(msgspec.msgpack.encode(told.pop(0)))  # type: ignore[attr-defined]

    with pytest.raises(NotRecorded, match="no recorder is there"):
        await wait_recorded(replay, "r-1", 17, 1.0)
    await recorder.subscribe("fleet.*.recorded", cb=answer)
    await recorder.flush()
    await wait_recorded(replay, "r-1", 17, 10)
    with pytest.raises(NotRecorded, match="r-1 is not recorded up to message 18 of its control stream: it has failed"):
        await wait_recorded(replay, "r-1", 18, 10)
    assert asked == [17, 17, 18]
    await recorder.close()
    await replay.close()


async def test_jetstream_of_the_administrator(servers: Servers) -> None:
    connection = await connect(servers[1].url_of("fleet"), "test")
    info = await ask_jetstream(connection, "INFO")
    assert info is not None
    assert info["limits"]["max_streams"] == -1
    await connection.close()
