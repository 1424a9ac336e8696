"""What others may publish, and what must not be survived: nobody dies of another's bytes, and nobody goes on with a
world that never was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from nautilus_common.bus.errors import MessageTooLarge
from nautilus_common.bus.publisher import Entry
from nautilus_common.live_log import log_subject
from nautilus_common.messages import subjects
from nautilus_common.messages.codec import encode
from nautilus_common.messages.commands import CancelAllOrders
from nautilus_common.model.enums import OrderSide
from nautilus_common.model.identifiers import InstrumentId, StrategyId, TraderId
from nautilus_common.plan import HostPlan
from nautilus_common.session import words_subject
from nautilus_fleet.live import Servers, ask_progress, open_session
from nautilus_fleet.live_proof import verify_session

from tests.integration.live.processes import FEED, LiveProcess, until
from tests.integration.live.test_sessions import PLAN, ROLES, end_and_prove, orders, until_orders
from tests.live_world import ROOT, make_plan, pulse

__all__ = ["orders"]

Start = Callable[..., Any]
GARBAGE = [b"", b"\x00", b"\xc1" * 40, b"{}", msgspec.msgpack.encode({"process": "risk"}), b"\x93\x01\x02\x03"]


def rejections(process: LiveProcess) -> dict[str, float]:
    """How much a process has rejected, by reason."""
    found: dict[str, float] = {}
    for metric in process.health.rejected.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                found[sample.labels["reason"]] = sample.value
    return found


def engine_ranks(session: Any) -> dict[str, int]:
    return {"execution.SIM": 0, "portfolio": 2, "risk": 3, "strategy_host": 4}


async def test_garbage_on_every_subject_is_rejected_and_nobody_dies(
    world: Servers, start: Start, orders: list[bytes]
) -> None:
    processes = [await start(role) for role in ROLES]
    session = await open_session(world, PLAN, FEED)
    await until_orders(orders, 10)
    logs = [log_subject(world.env, tuple(p.roles), name) for name, p in session.placing.items()]
    markets = [
        subjects.subject(world.env, subjects.market_data("SIM", symbol, "quote")) for symbol in ("BTC/USDT", "EUR/USD")
    ]
    for data in GARBAGE:
        for subject in [*logs, words_subject(world.env), f"fleet.{world.env}.log.nobody.nobody"]:
            await world.control.request(subject, data)
        for subject in markets:
            await world.data.request(subject, data)
        for channel in ("cmd.risk.x", "cmd.exec.SIM", "evt.order.SIM.x", "trip.risk", "ctl.session.risk"):
            await world.control.publish(subjects.subject(world.env, channel), data)
    with pytest.raises(MessageTooLarge):
        await world.control.publish(logs[0], b"\x00" * 9_000_000)
    with pytest.raises(MessageTooLarge):
        await world.data.publish(markets[0], b"\x00" * 9_000_000)
    await until_orders(orders, 10)
    await until(lambda: rejections(processes[1]).get("entry", 0) >= len(GARBAGE), "the rejections to be counted")
    assert rejections(processes[0])["block"] >= len(GARBAGE)
    assert rejections(processes[0])["word"] >= len(GARBAGE)
    await end_and_prove(world, session)
    assert [p.health.state for p in processes] == ["ready"] * 5


async def test_records_of_a_newer_schema_are_read_and_unknown_ones_rejected(
    world: Servers, start: Start, urls: tuple[str, str], orders: list[bytes]
) -> None:
    """Risk speaks by hand here: a message with fields of tomorrow, one of an unknown kind, one of somebody else's."""
    session, others = await _with_silent_risk(world, start)
    rank = engine_ranks(session)
    names = (TraderId("TRADER-001"), StrategyId("Pulse-002"), InstrumentId.from_str("BTC/USDT.SIM"))
    command = CancelAllOrders(*names, OrderSide.NO_ORDER_SIDE, session.ts)
    newer = msgspec.msgpack.decode(encode(command)) | {"of_tomorrow": [1, 2]}
    ts = session.ts
    records = [
        [[ts, 0, 0, 1, 1, rank["risk"], 1], "cmd.exec.SIM", newer],
        [[ts, 0, 0, 1, 1, rank["risk"], 2], "cmd.exec.SIM", {"type": "OfTomorrow", "ts_init": 1}],
        [[ts, 0, 0, 1, 1, rank["portfolio"], 1], "cmd.exec.SIM", newer],
        [[ts, 0, 0, 1, 1, rank["risk"], 3], "evt.order.SIM.x", {"type": "OrderFilled"}, "a fourth element"],
    ]
    said = [msgspec.Raw(msgspec.msgpack.encode(record)) for record in records]
    entry = Entry("risk", "by hand", 1, {rank["risk"]: 3}, [], said, ts)
    data = msgspec.msgpack.encode(msgspec.to_builtins(entry, builtin_types=(bytes, msgspec.Raw)) | {"newer": True})
    await world.control.request(log_subject(world.env, ("risk",), "risk"), data)
    execution = others[0]
    await until(lambda: rejections(execution).get("rank", 0) == 1, "the record of another engine")
    assert rejections(execution)["message"] == 1
    progress = await ask_progress(world, "execution_gateway")
    assert progress is not None
    assert progress.passed["risk"] == 1
    assert [p.health.state for p in others] == ["ready"] * 4


async def test_a_gap_is_a_quarantine(world: Servers, start: Start) -> None:
    session, others = await _with_silent_risk(world, start)
    for number, expected in ((1, "ready"), (1, "ready"), (3, "failed")):
        entry = Entry("risk", "by hand", number, {}, [], [], session.ts)
        await world.control.request(log_subject(world.env, ("risk",), "risk"), msgspec.msgpack.encode(entry))
        await until(lambda expected=expected: others[0].health.state == expected, f"{expected} after entry {number}")
    assert "risk: entry 3 (message" in others[0].health.status()["detail"]
    assert "comes after entry 1" in others[0].health.status()["detail"]
    said = await ask_progress(world, "execution_gateway")
    assert said is not None
    assert "comes after entry 1" in said.failure


async def _with_silent_risk(world: Servers, start: Start) -> tuple[Any, list[LiveProcess]]:
    """A session whose risk has died before it said anything."""
    plan = make_plan([HostPlan("", [pulse(interval_ms=3_600_000)])])
    others = [await start(role) for role in ROLES if role != "risk"]
    risk = await start("risk")
    session = await open_session(world, plan, FEED)
    await until(lambda: risk.host.session is not None, "risk to take part")
    await risk.die()
    await until(lambda: others[0].host.session is not None and others[0].health.state == "ready", "the others")
    return session, others


async def test_of_two_processes_of_one_name_one_is_fenced(
    world: Servers, start: Start, urls: tuple[str, str], orders: list[bytes], made: dict[str, Any], tmp_path: Any
) -> None:
    processes = [await start(role) for role in ROLES]
    session = await open_session(world, PLAN, FEED)
    await until_orders(orders, 5)
    twin = LiveProcess(["strategy_host"], tmp_path / "twin", made)
    try:
        await twin.start(world, *urls)
        pair = (processes[3], twin)
        await until(lambda: any(process.fenced for process in pair), "one of the two to be fenced", 30)
        loser = next(process for process in pair if process.fenced)
        assert "another process speaks as 'strategy_host'" in loser.fenced[0]
        assert loser.health.state == "failed"
        winner = next(process for process in pair if process is not loser)
        await loser.stop()
        await until_orders(orders, 5)
        assert winner.health.state == "ready"
        await end_and_prove(world, session)
    finally:
        await twin.stop()


async def test_a_second_gateway_is_fenced(
    world: Servers, start: Start, urls: tuple[str, str], made: Any, tmp_path: Any
) -> None:
    processes = [await start(role) for role in ROLES]
    await open_session(world, PLAN, FEED)
    twin = LiveProcess(["data_gateway"], tmp_path / "twin", made)
    try:
        await twin.start(world, *urls)
        pair = (processes[4], twin)
        await until(lambda: any(process.fenced for process in pair), "one of the two gateways to be fenced", 30)
        assert "another gateway publishes on" in next(p.fenced[0] for p in pair if p.fenced)
    finally:
        await twin.stop()


@pytest.mark.parametrize("stream", ["CTL", "MD"])
async def test_a_stream_that_was_made_anew_is_a_quarantine(
    world: Servers, start: Start, orders: list[bytes], stream: str
) -> None:
    from nautilus_common.bus.layout import apply_streams

    processes = [await start(role) for role in ROLES]
    await open_session(world, PLAN, FEED)
    await until_orders(orders, 5)
    client = world.control if stream == "CTL" else world.data
    await client.request(f"$JS.API.STREAM.DELETE.{stream}_{world.env}", b"", timeout=5)
    await apply_streams(world.control, world.data, world.env)
    await until(lambda: all(p.health.state == "failed" for p in processes[:4]), "every process to stop", 30)
    for process in processes[:4]:
        detail = process.health.status()["detail"]
        assert f"{stream}_{world.env}" in detail
        assert "made anew" in detail or "there is no stream" in detail


async def test_a_strategy_that_fails_ends_its_process_s_part(world: Servers, start: Start) -> None:
    plan = make_plan([HostPlan("", [pulse("Raises", 30)])])
    processes = [await start(role) for role in ROLES]
    session = await open_session(world, plan, FEED)
    host = processes[3]
    await until(lambda: host.health.state == "failed", "the failure")
    assert "RuntimeError: the third beat" in host.health.status()["detail"]
    assert [p.health.state for p in processes[:3]] == ["ready"] * 3
    proof = await verify_session(world, session.id, ROOT)
    assert proof.equal
    assert not proof.ended
