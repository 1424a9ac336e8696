"""The scheduler against the naive loop: the same digest, whatever the market, strategies, blocks and latencies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_runs import SECOND, START, Plan, build
from reference import NaiveRun

MILLISECOND = 1_000_000


def reference_of(plan: Plan) -> NaiveRun:
    wishes: list[int] = []
    owner = build(plan, wishes)
    instants = range(START - START % SECOND, START + 600 * SECOND, SECOND)
    naive = NaiveRun(owner, instants, wishes)
    naive.digest = naive.execute()
    return naive


def compare(plan: Plan, naive: NaiveRun) -> None:
    engine = build(plan)
    engine.run()
    run = engine._run
    if engine.digest != naive.digest:
        raise AssertionError(first_difference(plan, naive))
    assert run.log.engine_digests() == naive.log.engine_digests()


def first_difference(plan: Plan, naive: NaiveRun) -> str:
    """The first message in which the two runs differ."""
    ours = records(build(plan))
    theirs = sorted(naive.said)
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            return f"{plan}\nscheduler {mine}\nreference {other}"
    return f"{plan}\nscheduler said {len(ours)}, reference {len(theirs)}: {(ours[len(theirs) :] or theirs[len(ours) :])[:1]}"


def records(engine) -> list[str]:
    said = []
    engine._test_log = said
    from nautilus_common import journal

    class Recording(journal.EventLog):
        def extend(self, rank, items):
            said.extend((tag, channel, repr(message)) for tag, channel, message in items)
            super().extend(rank, items)

    import nautilus_fleet.backtest as module

    original, module.EventLog = module.EventLog, Recording
    try:
        engine.run()
    finally:
        module.EventLog = original
    return sorted(said)


PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**31),
    latency_ns=st.sampled_from((0, 0, MILLISECOND, 1_500 * MILLISECOND)),
    streams=st.integers(1, 3),
    instruments=st.integers(1, 2),
    venues=st.integers(1, 2),
    hedging=st.booleans(),
    probability=st.sampled_from((1.0, 0.5)),
    strategies=st.lists(
        st.sampled_from(("Maker", "Stopper", "Trader", "Changer")), min_size=1, max_size=4, unique=True
    ).map(tuple),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(PLANS)
def test_same_digest_as_the_naive_loop(plan):
    naive = reference_of(plan)
    for block_rows in (None, 1, 7, 100):
        compare(replace(plan, block_rows=block_rows), naive)


@pytest.mark.parametrize("latency_ns", [0, MILLISECOND, 1_500 * MILLISECOND])
@pytest.mark.parametrize("seed", range(4))
def test_fixed_seeds(seed, latency_ns):
    plan = Plan(seed, latency_ns=latency_ns, hedging=seed % 2 == 1, probability=0.5)
    naive = reference_of(plan)
    for block_rows in (None, 1, 7, 100):
        compare(replace(plan, block_rows=block_rows), naive)
