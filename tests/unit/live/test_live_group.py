"""The clock of a live process, the order in which it takes what has come, and what it takes of others' logs."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from nautilus_common.bus.publisher import Entry
from nautilus_common.engine import MAX_NS
from nautilus_common.live_log import LogGap, log_subject
from nautilus_common.live_run import LiveRun
from nautilus_common.messages.codec import AnyMessage
from nautilus_common.plan import HostPlan
from nautilus_common.retrace import Differs, JournalError

from tests.live_world import APART, BEGIN_NS, ENV, TOGETHER, World, builders, make_plan, pulse, quotes

MS = 1_000_000
_DECODE = msgspec.msgpack.Decoder(tuple[tuple[int, ...], str, AnyMessage]).decode


@cache
def made() -> dict[str, Any]:
    return builders()


def world(topology: Any = TOGETHER, latency_ns: int = 0) -> World:
    return World(make_plan([HostPlan("", [pulse()])], latency_ns), topology, 1, made())


def opened(of: World, name: str) -> LiveRun:
    run = of.new_run(name)
    item = of.log[0]
    assert run.take_log(1, item.subject, item.data, BEGIN_NS) is not None
    return run


def block(of: World, rows: slice, rank: int = 0) -> Any:
    columns = {name: column[rows] for name, column in quotes(20)[rank].items()}
    of.publish(rank, columns, rows.start)
    return of.data[-1]


def said(taken: Any) -> list[tuple[tuple[int, ...], str, Any]]:
    return [_DECODE(record[3]) for record in taken.records]


def test_the_clock_never_goes_back_and_moves_with_each_input() -> None:
    run = opened(world(), "+".join(TOGETHER[0]))
    before = run.live.clock
    for now in (BEGIN_NS - 5, BEGIN_NS - 5, BEGIN_NS + 1, BEGIN_NS):
        run.advance(now)
        assert run.live.clock > before
        before = run.live.clock


def test_rows_are_stamped_after_all_that_was_taken_and_not_after_now() -> None:
    of = world()
    run = opened(of, "+".join(TOGETHER[0]))
    run.advance(BEGIN_NS + 500 * MS)
    late = block(of, slice(0, 3))  # of 20, 40 and 60 ms
    run.take_data(1, late.subject, late.data, BEGIN_NS + 510 * MS)
    view = run.live.group.engines[0]._market_view.streams[0]
    assert list(view.columns["ts_init"]) == [BEGIN_NS + 500 * MS + 1] * 3
    columns = quotes(20)[0]
    columns["ts_init"] = columns["ts_init"] + 10**12  # a gateway whose clock is ahead
    of.publish(0, {name: column[3:5] for name, column in columns.items()}, 3)
    ahead = of.data[-1]
    run.take_data(2, ahead.subject, ahead.data, BEGIN_NS + 520 * MS)
    assert list(view.columns["ts_init"]) == [BEGIN_NS + 520 * MS] * 2
    assert view.first_row == 3


def test_a_timer_that_is_due_comes_before_what_has_come() -> None:
    of = world()
    run = opened(of, "+".join(TOGETHER[0]))
    assert run.live.wake_ns == BEGIN_NS + 40 * MS
    first = block(of, slice(0, 1))
    run.take_data(1, first.subject, first.data, BEGIN_NS + 20 * MS)
    second = block(of, slice(1, 2))
    taken = run.take_data(2, second.subject, second.data, BEGIN_NS + 50 * MS)
    tags = [tag for tag, _, message in said(taken) if type(message).__name__ == "SubmitOrder"]
    assert tags[0][:2] == (BEGIN_NS + 40 * MS, 2), "at its own time, as a timer"
    assert run.live.wake_ns == BEGIN_NS + 80 * MS, "the alert of 47 ms has rung, the next beat is due"


def test_a_command_with_latency_acts_when_it_arrives() -> None:
    of = world(latency_ns=3 * MS)
    run = opened(of, "+".join(TOGETHER[0]))
    first = block(of, slice(0, 1))
    run.take_data(1, first.subject, first.data, BEGIN_NS + 20 * MS)
    kinds = [type(message).__name__ for _, _, message in said(run.advance(BEGIN_NS + 40 * MS))]
    assert "OrderFilled" not in kinds
    assert run.live.wake_ns == BEGIN_NS + 43 * MS
    assert not run.live.is_idle
    filled = [
        tag for tag, _, message in said(run.advance(BEGIN_NS + 44 * MS)) if type(message).__name__ == "OrderFilled"
    ]
    assert filled[0][0] == BEGIN_NS + 43 * MS
    assert run.live.is_idle


def test_a_record_of_another_process_is_tagged_by_who_hears_it() -> None:
    of = world(APART)
    host, risk = opened(of, "strategy_host"), opened(of, "risk")
    order = host.advance(BEGIN_NS + 40 * MS)
    of.append_entry("strategy_host", [], order.records, host.live.clock)
    item = of.log[-1]
    taken = risk.take_log(item.sequence, item.subject, item.data, BEGIN_NS + 10 * MS)
    [(tag, channel, _)] = said(taken)
    assert channel.startswith(("cmd.exec.", "evt.order."))
    assert tag[:4] == (BEGIN_NS + 10 * MS, 9, 3, 1), "the hearer's clock, phase, rank and count"
    assert risk.take_log(item.sequence + 1, item.subject, item.data, BEGIN_NS + 11 * MS) is None
    assert risk.check.duplicates == 1


def test_a_process_without_timers_sleeps() -> None:
    assert opened(world(APART), "risk").live.wake_ns == MAX_NS


def entry(number: int, records: list[Any], process: str = "strategy_host") -> bytes:
    raw = [msgspec.Raw(msgspec.msgpack.encode(record)) for record in records]
    return msgspec.msgpack.encode(Entry(process, "e", number, {}, [], raw, 0))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "entry"),
        (b"\xc1\xc1", "entry"),
        (entry(1, [], process="risk"), "entry"),
        (entry(1, ["no record"]), "record"),
        (entry(1, [[[1, 2, 3], "cmd.risk.x", {}]]), "record"),
        (entry(1, [[[1, 2, 3, 4, 5, 2**64 - 1, 7], "cmd.risk.x", {}]]), "record"),
        (entry(1, [[[1, 0, 0, 0, 0, 0, 1], "cmd.risk.x", {}]]), "rank"),
        (entry(1, [[[1, 0, 0, 0, 0, 4, 1], "cmd.risk.x", {"type": "Unknown"}]]), "message"),
    ],
)
def test_what_cannot_be_taken_is_counted_and_told(data: bytes, reason: str) -> None:
    run = opened(world(APART), "risk")
    subject = log_subject(ENV, ("strategy_host",), "strategy_host")
    assert run.take_log(2, subject, data, BEGIN_NS) is None
    assert dict(run.check.rejected) == {reason: 1}
    assert run.check.rejections[0][0] == reason


def test_a_log_of_nobody_in_the_session_is_rejected() -> None:
    run = opened(world(APART), "risk")
    assert run.take_log(2, f"fleet.{ENV}.log.risk.stranger", entry(1, []), BEGIN_NS) is None
    assert dict(run.check.rejected) == {"subject": 1}


@pytest.mark.parametrize(
    "data", [entry(2, []), entry(1, [[[1, 0, 0, 0, 0, 4, 2], "cmd.risk.x", {"type": "CancelOrder"}]])]
)
def test_after_a_gap_nothing_is_taken(data: bytes) -> None:
    run = opened(world(APART), "risk")
    with pytest.raises(LogGap, match="comes after"):
        run.take_log(2, log_subject(ENV, ("strategy_host",), "strategy_host"), data, BEGIN_NS)


def test_blocks_that_are_none_are_rejected() -> None:
    of = world(APART)
    run = opened(of, "risk")
    good = block(of, slice(0, 3))
    backwards = {name: np.ascontiguousarray(column[::-1]) for name, column in quotes(3)[0].items()}
    of.publish(0, backwards, 3)
    unsorted = of.data[-1]
    wrong = [
        (good.subject, b""),
        (good.subject, good.data[:-8]),
        (good.subject.replace("BTC", "XXX"), good.data),
        (unsorted.subject, unsorted.data),
    ]
    for number, (subject, data) in enumerate(wrong, start=1):
        assert run.take_data(number, subject, data, BEGIN_NS) is None
    assert run.check.rejected["block"] == len(wrong)
    assert run.take_data(9, good.subject, good.data, BEGIN_NS) is not None
    assert run.take_data(10, good.subject, good.data, BEGIN_NS) is None
    assert run.check.duplicates == 1


def test_a_journal_that_says_otherwise_is_named() -> None:
    of = world(APART)
    of.live_through(20)
    of.settle()
    host = of.processes["strategy_host"]
    assert of.records("strategy_host")
    changed = list(of.log)
    for index, item in enumerate(changed):
        if item.subject == host.run.subject:
            changed[index] = item._replace(data=item.data.replace(b"TRADER-001", b"TRADER-002"))
    assert changed != of.log
    of.log = changed
    with pytest.raises(Differs, match=r"strategy_host, entry \d+, record \d+: logged"):
        of.retrace("strategy_host")


def test_a_journal_whose_inputs_are_gone_is_named() -> None:
    of = world(APART)
    of.live_through(20)
    of.settle()
    of.data = of.data[3:]
    with pytest.raises(JournalError, match="is not there any more"):
        of.retrace("execution_gateway")
