"""Live sessions on real servers: opened, lived through with deaths, stopped, and gone through again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from nautilus_common.messages import subjects
from nautilus_common.plan import HostPlan
from nautilus_fleet.errors import FleetError
from nautilus_fleet.live import Servers, open_session, stop_session
from nautilus_fleet.live_proof import verify_session
from nautilus_fleet.live_summary import summarize

from tests.integration.live.processes import FEED, LiveProcess, until
from tests.live_world import ROOT, cross, make_plan, maker, pulse

ROLES = ("execution_gateway", "risk", "portfolio", "strategy_host", "data_gateway")
PLAN = make_plan([HostPlan("", [maker(), cross(), pulse(interval_ms=60)])], latency_ns=2_000_000)

Start = Callable[..., Any]


@pytest_asyncio.fixture
async def orders(world: Servers) -> AsyncIterator[list[bytes]]:
    """Orders as they are told for whoever listens: who must not miss one reads the log."""
    told: list[bytes] = []

    async def take(message: Any) -> None:
        told.append(message.data)

    await world.control.subscribe(subjects.subject(world.env, "cmd.exec.>"), cb=take)
    yield told


async def until_orders(orders: list[bytes], more: int) -> None:
    """Until so many more orders have passed risk."""
    wanted = len(orders) + more
    await until(lambda: len(orders) >= wanted, f"{more} orders", 60)


async def end_and_prove(world: Servers, session: Any) -> Any:
    """Stop, and see that nothing is lost, doubled or otherwise; the summary."""
    stopped, _ = await stop_session(world)
    assert stopped.id == session.id
    summary = await summarize(world, session, 1)
    assert summary.twice == 0
    assert summary.differing == []
    assert summary.fills > 0
    proof = await verify_session(world, session.id, ROOT)
    assert proof.ended
    assert [p.difference for p in proof.processes if not p.equal] == []
    assert sum(p.records for p in proof.processes) == sum(summary.kinds.values())
    return summary


async def test_each_service_apart_and_killed_at_random(
    world: Servers, start: Start, urls: tuple[str, str], orders: list[bytes]
) -> None:
    processes = [await start(role) for role in ROLES]
    session = await open_session(world, PLAN, FEED)
    assert set(session.placing) == set(ROLES[:4])
    draw = Random(4)
    for death in range(10):
        await until_orders(orders, 4)
        process: LiveProcess = processes[death % 5] if death < 5 else draw.choice(processes)
        await asyncio.sleep(draw.random() / 20)
        await process.die()
        await asyncio.sleep(draw.random() / 20)
        await process.start(world, *urls)
    await until_orders(orders, 4)
    await end_and_prove(world, session)
    assert [process.health.state for process in processes] == ["ready"] * 5


async def test_all_in_one_process_drained_and_killed(
    world: Servers,
    start: Start,
    urls: tuple[str, str],
    orders: list[bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    process = await start(*ROLES)
    session = await open_session(world, msgspec.structs.replace(PLAN, log_level="DEBUG"), FEED)
    await until(lambda: "Pulse: beat" in capsys.readouterr().err, "a strategy that logs", 10)
    await until_orders(orders, 10)
    await process.stop()
    capsys.readouterr()
    kept = list((process.home / "snapshots").iterdir())
    assert len(kept) == 1, "a drained process keeps a snapshot"
    await process.start(world, *urls)
    await until(lambda: "Pulse: beat" in capsys.readouterr().err, "a strategy that logs on after a snapshot", 10)
    await until_orders(orders, 10)
    await process.die()
    await process.start(world, *urls)
    await until_orders(orders, 10)
    await end_and_prove(world, session)
    assert not list((process.home / "snapshots").iterdir()), "a session that is over needs no snapshot"


async def test_a_world_has_one_session_at_a_time_and_counts_go_on(
    world: Servers, start: Start, orders: list[bytes]
) -> None:
    await start(*ROLES)
    first = await open_session(world, PLAN, FEED, "first")
    with pytest.raises(FleetError, match="session first is open in"):
        await open_session(world, PLAN, FEED, "second")
    await until_orders(orders, 10)
    await end_and_prove(world, first)
    with pytest.raises(FleetError, match="no session is open"):
        await stop_session(world)
    second = await open_session(world, PLAN, FEED, "second")
    assert second.counts
    assert second.numbers[next(iter(second.placing))] > 0
    await until_orders(orders, 10)
    stopped, _ = await stop_session(world)
    assert stopped.id == "second"
    for name in ("first", "second"):
        assert (await verify_session(world, name, ROOT)).equal


async def test_a_process_that_starts_late_finds_the_session(
    world: Servers, start: Start, urls: tuple[str, str], orders: list[bytes]
) -> None:
    early = [await start(role) for role in ROLES]
    session = await open_session(world, PLAN, FEED)
    late: LiveProcess = early[2]
    await late.die()
    await until_orders(orders, 10)
    await late.start(world, *urls)
    await end_and_prove(world, session)
