"""Outbox, streams, bus and scheduler: the small parts that keep messages in tag order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.bus import memory
from nautilus_common.bus.base import matches
from nautilus_common.bus.memory import MemoryBus
from nautilus_common.engine import INF, MICRO_MAX, FeedbackLoopError, Outbox
from nautilus_common.journal import EventLog
from nautilus_common.messages.blocks import Block
from nautilus_common.messages.commands import CarryOutHeld
from nautilus_common.model.identifiers import InstrumentId
from nautilus_common.scheduler import Scheduler
from nautilus_common.streams import HISTORY_ROWS, StreamSpec, StreamView

INSTRUMENT = InstrumentId.from_str("AUD/USD.SIM")
DATA_RANK = 3


def note(number: int = 0) -> CarryOutHeld:
    return CarryOutHeld(INSTRUMENT, number)


# -- outbox ----------------------------------------------------------------------------------------------------------


def test_an_effect_is_the_next_step_of_its_turn():
    out = Outbox("risk", 4)
    out.say((10, 0, 1, 7, 1, 3, 0), "a", note())
    out.say((10, 0, 1, 7, 1, 3, 0), "b", note())
    assert [tag for tag, _, _ in out.pending] == [(10, 0, 1, 7, 2, 4, 1), (10, 0, 1, 7, 2, 4, 2)]


def test_a_delayed_effect_is_a_turn_of_its_own():
    out = Outbox("venue", 2)
    out.say((10, 0, 1, 7, 5, 3, 9), "a", note(), delay_ns=90)
    assert out.pending[0][0] == (100, 1, 2, 1, 0, 2, 1)


@given(
    st.tuples(*[st.integers(0, 50)] * 4, st.integers(0, MICRO_MAX - 1), st.integers(0, 9), st.integers(0, 99)),
    st.integers(0, 9),
)
def test_an_effect_is_greater_than_its_cause(cause, delay):
    out = Outbox("any", 1)
    out.say(cause, "a", note(), delay)
    # A delay of nothing stays in the turn; any other leaves the instant.
    assert out.pending[0][0] > cause


def test_a_feedback_loop_names_the_engine_and_the_message():
    out = Outbox("strategy_host", 5)
    out.say((10, 0, 0, 0, MICRO_MAX - 1, 5, 1), "cmd.risk.S-001", note())
    with pytest.raises(FeedbackLoopError, match=r"strategy_host answered step 1000 .* 'cmd.risk.S-001'.*CarryOutHeld"):
        out.say((10, 0, 0, 0, MICRO_MAX, 5, 1), "cmd.risk.S-001", note())


# -- streams ---------------------------------------------------------------------------------------------------------


def view_of(times: list[int], rank: int, micro: int, first_row: int = 0, history_rows: int = 1) -> StreamView:
    view = StreamView(StreamSpec(rank, "trade", INSTRUMENT), micro, DATA_RANK, history_rows)
    ts = np.array(times, np.int64)
    names = ("ts_event", "ts_init", "price", "size", "aggressor", "trade_id")
    view.feed(Block(rank, "trade", INSTRUMENT, None, first_row, dict.fromkeys(names, ts), INF))
    return view


TAG = st.tuples(
    st.integers(0, 8),
    st.integers(-1, 3),
    st.integers(0, 3),
    st.integers(0, 45),
    st.integers(0, 3),
    st.integers(0, 5),
    st.integers(0, 1),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.integers(0, 8), max_size=40),
    st.integers(0, 3),
    st.integers(0, 1),
    st.integers(0, 5),
    TAG,
    st.sampled_from((2, 4, 5, 6, 7)),
)
def test_stop_is_the_first_row_above_a_tag(times, rank, micro, first_row, tag, length):
    """Whatever prefix of a tag is given (time and phase, or a turn): a row is taken when its tag is not above it."""
    times.sort()
    view = view_of(times, rank, micro, first_row)
    until = tag[:length]
    expected = next((i for i in range(len(times)) if view.tag_of(i) > until), len(times))
    assert view.stop(until) == expected
    view.pos = expected // 2
    assert view.stop(until) == expected


def test_rows_of_the_past_stay_readable():
    view = view_of([1, 2, 3], 0, 1, history_rows=HISTORY_ROWS)
    with pytest.raises(AssertionError, match="3 rows were not taken"):
        view_of([1, 2, 3], 0, 1).feed(Block(0, "trade", INSTRUMENT, None, 3, view.columns, INF))
    view.pos = 3
    ts = np.array([7], np.int64)
    view.feed(Block(0, "trade", INSTRUMENT, None, 3, dict.fromkeys(view.columns, ts), INF))
    assert [view.value("price", back) for back in range(3)] == [3, 2, 1]
    assert (view.taken, view.has_row) == (3, True)
    view.pos = 1
    assert [view.value("price", back) for back in range(4)] == [7, 3, 2, 1]
    with pytest.raises(IndexError):
        view.value("price", 4)


def test_who_asks_for_the_newest_row_only_keeps_no_more():
    view = view_of([1, 2, 3], 0, 1)
    view.pos = 3
    view.feed(Block(0, "trade", INSTRUMENT, None, 3, dict.fromkeys(view.columns, np.array([7], np.int64)), INF))
    assert view.value("price") == 3
    with pytest.raises(IndexError):
        view.value("price", 1)


# -- bus -------------------------------------------------------------------------------------------------------------


class Listener:
    """An engine that takes what it is given, and answers with `answers`."""

    reactive = True

    def __init__(self, rank: int, answer: str | None = None) -> None:
        self.name, self.rank, self.answer = f"engine{rank}", rank, answer
        self.taken: list = []

    def feed(self, block):
        raise AssertionError("no data here")

    def horizon(self, frontier):
        return INF

    def run(self, until, out):
        pass

    def handle(self, tag, message, out):
        self.taken.append(tag)
        if self.answer is not None:
            out.say(tag, self.answer, message)


@pytest.mark.parametrize(
    ("pattern", "channel", "expected"),
    [
        ("evt.order.>", "evt.order.SIM.S-001", True),
        ("evt.order.>", "evt.order", False),
        ("evt.*.SIM", "evt.order.SIM", True),
        ("evt.*.SIM", "evt.order.SIM.X", False),
        ("evt.order", "evt.order", True),
        ("evt.order.x", "evt.order", False),
    ],
)
def test_channels_match_as_nats_subjects_do(pattern, channel, expected):
    assert matches(pattern, channel) is expected


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 5)), max_size=30))
def test_a_bus_delivers_in_tag_order_whatever_the_order_of_saying(causes):
    bus = MemoryBus(EventLog())
    bus.subscribe("a.>", Listener(1))
    outboxes = [Outbox(str(rank), rank) for rank in range(3)]
    for number, (ts, micro, delay) in enumerate(causes):
        out = outboxes[number % 3]
        out.say((ts, 0, 0, 0, micro, 0, 0), "a.b", note(), delay)
        bus.take(out)
    tags = []
    while bus.next_tag() < INF:
        tags.append(bus.pop()[0])
    assert tags == sorted(tags)
    assert len(tags) == len(causes)


def test_what_nobody_reads_is_logged_and_not_kept():
    log = EventLog()
    bus = MemoryBus(log)
    out = Outbox("a", 0)
    out.say((1, 0, 0, 0, 0, 0, 0), "nobody", note())
    bus.take(out)
    assert bus.next_tag() == INF
    log.flush()
    assert log.count == 1


def test_an_engine_that_listens_twice_receives_once():
    bus = MemoryBus(EventLog())
    engine = Listener(1)
    bus.subscribe("a.>", engine)
    bus.subscribe("a.b", engine)
    assert bus.receivers("a.b") == (engine,)


def test_too_many_undelivered_messages_are_an_error(monkeypatch):
    monkeypatch.setattr(memory, "MESSAGES_MAX", 3)
    bus = MemoryBus(EventLog())
    bus.subscribe("a", Listener(1))
    out = Outbox("loud", 0)
    for _ in range(4):
        out.say((1, 0, 0, 0, 0, 0, 0), "a", note())
    with pytest.raises(OverflowError, match=r"more than 3 undelivered messages.*'a'"):
        bus.take(out)


# -- scheduler -------------------------------------------------------------------------------------------------------


def test_engines_that_answer_each_other_for_ever_are_stopped():
    bus = MemoryBus(EventLog())
    ping, pong = Listener(0, "pong"), Listener(1, "ping")
    bus.subscribe("ping", ping)
    bus.subscribe("pong", pong)
    scheduler = Scheduler([ping, pong], bus, [])
    scheduler.call(ping, lambda out: out.say((1, 0, 0, 0, 0, 0, 0), "pong", note()))
    with pytest.raises(FeedbackLoopError, match=r"engine[01] answered step 1000 of one turn at ts 1"):
        scheduler.settle()
    assert len(ping.taken) + len(pong.taken) == MICRO_MAX


def test_a_message_reaches_each_receiver_at_one_tag():
    bus = MemoryBus(EventLog())
    engines = [Listener(rank) for rank in range(3)]
    for engine in engines:
        bus.subscribe("all", engine)
    scheduler = Scheduler(engines, bus, [])
    scheduler.call(engines[0], lambda out: out.say((1, 0, 0, 0, 0, 0, 0), "all", note()))
    scheduler.settle()
    assert [engine.taken for engine in engines] == [[(1, 0, 0, 0, 1, 0, 1)]] * 3
