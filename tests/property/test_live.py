"""A live session, whatever arrives when and whoever dies: gone through again it says the same bytes, and nothing is
lost or doubled.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.messages.commands import SubmitOrder
from nautilus_common.messages.events import OrderFilled, PositionChanged, PositionClosed, PositionOpened
from nautilus_common.model.enums import PositionSide
from nautilus_common.plan import HostPlan

from tests.live_world import APART, HALF, TOGETHER, World, builders, cross, make_plan, maker, pulse

PLANS = {
    "one host": [HostPlan("", [maker(), cross(), pulse()])],
    "two hosts": [HostPlan("", [maker()]), HostPlan("b", [cross(), pulse()])],
}


@cache
def made() -> dict[str, Any]:
    return builders()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    topology=st.sampled_from([APART, HALF, TOGETHER]),
    plan=st.sampled_from(list(PLANS)),
    latency_ns=st.sampled_from([0, 3_000_000]),
    deaths=st.integers(0, 4),
    block_rows=st.sampled_from([1, 3, 40]),
)
def test_a_session_gone_through_again_says_the_same_bytes(
    seed: int, topology: list[list[str]], plan: str, latency_ns: int, deaths: int, block_rows: int
) -> None:
    world = World(make_plan(PLANS[plan], latency_ns), topology, seed, made())
    world.live_through(60, deaths, block_rows)
    world.finish()
    for name in world.processes:
        way = world.retrace(name)
        assert way.records == len(world.records(name))
    messages = world.messages()
    assert_counted_without_a_gap(messages)
    assert_positions_are_the_sum_of_fills(messages)
    kinds = Counter(type(message).__name__ for _, _, message in messages)
    assert kinds["SubmitOrder"] > 0
    assert kinds["OrderFilled"] > 0


def assert_counted_without_a_gap(messages: list[Any]) -> None:
    by_rank = defaultdict(list)
    tags: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for tag, _, _ in messages:
        by_rank[tag[5]].append(tag[6])
        tags[tag[5]].append(tag[:4])
    for seqs in by_rank.values():
        assert seqs == list(range(1, len(seqs) + 1))
    for rank, turns in tags.items():
        clock = [turn[0] for turn in turns if turn[1] != 1]  # what is delayed is tagged with when it arrives
        assert clock == sorted(clock), f"the clock of engine {rank} went back"


def assert_positions_are_the_sum_of_fills(messages: list[Any]) -> None:
    filled: dict[str, Decimal] = defaultdict(Decimal)
    told: dict[str, Decimal] = {}
    trades = set()
    orders = Counter(m.order.client_order_id for _, _, m in messages if isinstance(m, SubmitOrder))
    assert max(orders.values()) == 1
    for _, _, message in messages:
        match message:
            case OrderFilled():
                trade = (message.client_order_id, message.trade_id)
                assert trade not in trades
                trades.add(trade)
                quantity = message.last_qty.as_decimal()
                assert message.position_id is not None
                filled[message.position_id.value] += quantity if message.is_buy else -quantity
            case PositionOpened() | PositionChanged() | PositionClosed():
                quantity = message.quantity.as_decimal()
                told[message.position_id.value] = -quantity if message.side is PositionSide.SHORT else quantity
    assert told == filled
