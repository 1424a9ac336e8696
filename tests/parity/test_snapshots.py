"""A run whose engines are thrown away and loaded from snapshots says what the undisturbed run says, byte for byte; and
so does one whose engines share nothing, as in processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from case_runs import ROOT, build_case, run_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nautilus_common import snapshot
from nautilus_common.model.position import Position
from random_runs import Plan, build
from snapshot_runs import ALL, Staged, plan_of

MILLISECOND = 1_000_000
SCRIPT = Path(__file__).with_name("snapshot_runs.py")


def now_and_then(seed: int, probability: float):
    chance = Random(seed)
    return lambda call: chance.random() < probability


def never(call: int) -> bool:
    return False


def outcome(engine) -> list:
    """All that a user can ask a finished run for."""
    reports = [engine.generate_orders_report(), engine.generate_fills_report(), engine.generate_positions_report()]
    reports += [engine.generate_account_report(venue) for venue in engine._venues]
    return [*reports, engine.equity_points, engine.digest]


def undisturbed(plan: Plan) -> list:
    engine = build(plan)
    engine.run()
    return outcome(engine)


def disturbed(plan: Plan, when, **how) -> tuple[list, Staged]:
    engine = build(plan)
    staged = Staged(engine, when, **how)
    staged.execute()
    return outcome(engine), staged


def plan_for(seed: int, **more) -> Plan:
    blocks, latencies = (7, 1, 30, None), (0, MILLISECOND, 1_500 * MILLISECOND)
    return Plan(
        seed,
        block_rows=blocks[seed % 4],
        latency_ns=latencies[seed % 3],
        hedging=seed % 2 == 1,
        probability=0.5,
        strategies=ALL,
        **more,
    )


@pytest.mark.parametrize("seed", range(8))
def test_all_engines_at_random_calls(seed):
    plan = plan_for(seed)
    found, staged = disturbed(plan, now_and_then(seed, 0.008))
    assert staged.loads > 10
    assert found == undisturbed(plan)


def test_all_engines_between_every_two_calls():
    plan = plan_for(1, rows=8)
    found, staged = disturbed(plan, lambda call: True)
    assert staged.loads == staged.calls > 500
    assert found == undisturbed(plan)


@pytest.mark.parametrize("seed", range(8))
def test_one_engine_alone_at_random_calls(seed):
    plan = plan_for(seed)
    found, staged = disturbed(plan, now_and_then(seed, 0.02), apart=True, alone=seed)
    assert staged.loads > 10
    assert found == undisturbed(plan)


PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**31),
    block_rows=st.sampled_from((None, 1, 7, 100)),
    latency_ns=st.sampled_from((0, 0, MILLISECOND, 1_500 * MILLISECOND)),
    streams=st.integers(1, 3),
    instruments=st.integers(1, 2),
    venues=st.integers(1, 2),
    hedging=st.booleans(),
    probability=st.sampled_from((1.0, 0.5)),
    strategies=st.lists(st.sampled_from(ALL), min_size=1, max_size=len(ALL), unique=True).map(tuple),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(PLANS)
def test_engines_that_share_nothing(plan):
    found, _ = disturbed(plan, never, apart=True)
    assert found == undisturbed(plan)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(PLANS, st.integers(0, 2**31))
def test_any_plan_any_calls(plan, chance):
    plan = replace(plan, rows=30)
    found, _ = disturbed(plan, now_and_then(chance, 0.02))
    assert found == undisturbed(plan)


@pytest.mark.parametrize("seed", range(4))
def test_orders_and_positions_are_what_they_were(seed):
    """They are kept as their events and fills, which make them again to the last field."""
    engine = build(plan_for(seed))
    engine.run()
    ledger = engine._run.host.ledger
    orders, positions = engine.cache.orders(), [*ledger.positions.values(), *ledger.snapshots]
    assert len({order.status for order in orders}) > 3
    assert any(position.is_closed for position in positions)
    copies, others = snapshot.load(snapshot.dump((orders, positions)))
    assert [(type(order), vars(order)) for order in copies] == [(type(order), vars(order)) for order in orders]
    fields = [name for name in Position.__slots__ if name not in ("instrument", "terms")]
    for position, other in zip(positions, others, strict=True):
        assert [getattr(position, name) for name in fields] == [getattr(other, name) for name in fields]
        assert other.terms is others[0].terms or other.instrument_id != others[0].instrument_id
    assert len({id(position.instrument) for position in others}) == len({p.instrument_id for p in others})


@pytest.mark.parametrize("how", [{}, {"apart": True}, {"apart": True, "alone": 1}], ids=["all", "apart", "alone"])
@pytest.mark.parametrize("name", ["two", "rollover", "cash_margin"])
def test_examples(fleet_data, name, how):
    expected = run_case(name, fleet_data, block_rows=4_096)
    engine, start, end = build_case(name, fleet_data, block_rows=4_096)
    assert (start, end) == (None, None)
    staged = Staged(engine, now_and_then(5, 0.2 if name == "cash_margin" else 0.002), **how)
    staged.execute()
    assert staged.loads > 5
    assert outcome(engine) == outcome(expected)


def script(*arguments: object, hash_seed: int) -> str:
    paths = os.pathsep.join([str(ROOT / "libs"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize(("seed", "steps"), [(3, 150), (4, 700)])
def test_begun_in_one_process_finished_in_another(tmp_path, seed, steps):
    file = tmp_path / "snapshot"
    script("begin", seed, steps, file, hash_seed=1)
    assert script("finish", seed, file, hash_seed=4242) == undisturbed(plan_of(seed))[-1]
