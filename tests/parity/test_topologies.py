"""One process, several, one each: the same bytes; also when processes and the loop die on the way."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nautilus_fleet.backtest import BacktestEngine
from random_runs import Plan, build
from topologies import run_over

import services.replay.link

MILLISECOND = 1_000_000


def spread(plan: Plan, hosts: int) -> BacktestEngine:
    """The engine of a plan, its strategies dealt out to hosts."""
    engine = build(plan)
    strategies = list(engine._actors)
    engine.clear_strategies()
    for number, strategy in enumerate(strategies):
        engine.add_strategy(strategy, "" if number % hosts == 0 else f"h{number % hosts}")
    return engine


def backtest_of(plan: Plan, hosts: int) -> BacktestEngine:
    engine = spread(plan, hosts)
    engine.run()
    return engine


def engines_of(engine: BacktestEngine) -> list[str]:
    venues = [f"execution.{venue}" for venue in engine._venues]
    hosts = [f"strategy_host.{name}" if name else "strategy_host" for name, _ in engine.named_hosts()]
    return [*venues, "portfolio", "risk", *hosts]


def partition(engines: list[str], random: Random) -> list[list[str]]:
    """Engines dealt out to processes, in any way."""
    groups: list[list[str]] = [[] for _ in range(random.randint(1, len(engines)))]
    for engine in engines:
        random.choice(groups).append(engine)
    return [group for group in groups if group]


plans = st.builds(
    Plan,
    seed=st.integers(0, 10_000),
    latency_ns=st.sampled_from([0, 0, MILLISECOND, 1_500 * MILLISECOND]),
    streams=st.integers(1, 4),
    instruments=st.integers(1, 2),
    venues=st.integers(1, 2),
    hedging=st.booleans(),
    probability=st.sampled_from([1.0, 0.5]),
    rows=st.integers(5, 60),
)
quick = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True)


@quick
@given(plan=plans, hosts=st.integers(1, 3), seed=st.integers(0, 1_000), block=st.sampled_from([1, 7, 100, None]))
def test_any_topology_gives_the_same_bytes(plan: Plan, hosts: int, seed: int, block: int | None) -> None:
    expected = backtest_of(plan, hosts)
    groups = partition(engines_of(expected), Random(seed))
    log, _ = run_over(lambda: spread(plan, hosts), groups, block)
    assert log.engine_digests() == expected._run.log.engine_digests(), groups  # type: ignore[union-attr]
    assert log.digest() == expected.digest


@quick
@given(plan=plans, seed=st.integers(0, 1_000))
def test_deaths_change_nothing(plan: Plan, seed: int) -> None:
    plan = replace(plan, rows=min(plan.rows, 30))
    expected = backtest_of(plan, 2)
    groups = partition(engines_of(expected), Random(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services.replay.link, "SNAPSHOT_EVERY", 9)
        log, link = run_over(lambda: spread(plan, 2), groups, 20, seed=seed, deaths=0.03, loop_deaths=0.003)
    assert log.digest() == expected.digest, (groups, link.deaths, link.loop_deaths)


def test_the_deaths_of_a_long_run_do_happen() -> None:
    """The test above would prove nothing if nobody died in it."""
    plan = Plan(seed=3, rows=60, latency_ns=MILLISECOND)
    expected = backtest_of(plan, 2)
    apart = [[engine] for engine in engines_of(expected)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services.replay.link, "SNAPSHOT_EVERY", 25)
        log, link = run_over(lambda: spread(plan, 2), apart, 10, seed=5, deaths=0.02, loop_deaths=0.004)
    assert log.digest() == expected.digest
    assert link.deaths > 10
    assert link.loop_deaths > 1
    assert link.snapshots


def test_only_who_hosts_strategies_keeps_closed_lives_of_positions() -> None:
    plan = Plan(seed=3, latency_ns=0, streams=2, instruments=1, venues=1, hedging=False, probability=1.0, rows=60)
    groups = [[engine] for engine in engines_of(build(plan))]
    _, link = run_over(lambda: build(plan), groups, None)
    kept = {
        engine.name: len(engine.ledger.snapshots)
        for host in link.hosts.values()
        for engine in host.group.engines
        if hasattr(engine, "ledger")
    }
    assert set(kept) == {"portfolio", "risk", "strategy_host"}
    assert kept["strategy_host"] > 0
    assert kept["portfolio"] == kept["risk"] == 0
