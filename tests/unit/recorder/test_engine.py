"""The counts that the recorder's engine holds against loss, and what it does with what it cannot read."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from nautilus_common.bus.reader import Item
from nautilus_common.messages.commands import CarryOutHeld
from nautilus_common.messages.events import OrderAccepted, OrderFilled
from nautilus_common.model.currencies import USD
from nautilus_common.model.enums import LiquiditySide, OrderSide, OrderType
from nautilus_common.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_common.model.values import Money, Price, Quantity

from services.recorder.counts import UNREAD_MAX
from services.recorder.engine import RecorderEngine, StreamGap
from services.recorder.records import RECORDS_MAX, WHOLE
from services.recorder.state import GENESIS, Batch, Place
from tests.recorded import entry, items

INSTRUMENT = InstrumentId.from_str("AUD/USD.SIM")
CHANNEL = "cmd.venue.SIM"
IDS = (TraderId("T-1"), StrategyId("S-1"), INSTRUMENT, ClientOrderId("O-1"))


def payload(seq: int, rank: int = 0, message: Any = None, channel: str = CHANNEL) -> bytes:
    message = CarryOutHeld(INSTRUMENT, seq) if message is None else message
    return msgspec.msgpack.encode(((seq, 0, 0, 0, 1, rank, seq), channel, message))


def stream(*payloads: bytes, first: int = 1, together: int = 1) -> list[Item]:
    """Entries of one process, each with `together` of the records."""
    groups = [list(payloads[start : start + together]) for start in range(0, len(payloads), together)]
    return items("t", [entry(group) for group in groups], first)


def fold(engine: RecorderEngine, messages: list[Item]) -> Batch:
    return engine.fold(engine.read(messages))


def filled(quantity: Quantity, price: Price, order: str = "O-1") -> OrderFilled:
    return OrderFilled(
        *IDS[:3],
        ClientOrderId(order),
        VenueOrderId("V-1"),
        AccountId("SIM-001"),
        TradeId("1"),
        PositionId("P-1"),
        OrderSide.BUY,
        OrderType.MARKET,
        quantity,
        price,
        USD,
        Money(0, USD),
        LiquiditySide.TAKER,
        1,
        1,
    )


@pytest.mark.parametrize("together", [1, 2, 3])
def test_the_chain_is_over_every_record(together: int) -> None:
    payloads = [payload(1), payload(2), payload(1, rank=3)]
    batch = fold(RecorderEngine("t", Place()), stream(*payloads, together=together))
    head = GENESIS
    for row, data in zip(batch.events, payloads, strict=True):
        assert row[8] == head
        head = hashlib.sha256(head + data).digest()
        assert row[9] == head
    assert batch.after.head == head
    assert batch.after.ranks == {0: 2, 3: 1}
    assert [row[:2] for row in batch.events] == [(1 + n // together, n % together) for n in range(3)]


def test_a_missing_message_of_the_stream_is_a_gap_and_nothing_is_folded() -> None:
    engine = RecorderEngine("t", Place())
    with pytest.raises(StreamGap, match="message 3 of the stream came where 2 was expected"):
        fold(engine, [*stream(payload(1)), *stream(payload(3), first=3)])
    assert engine.place == Place()


def test_what_the_stream_has_deleted_is_passed_and_a_lost_record_still_found() -> None:
    engine = RecorderEngine("t", Place())
    (item,) = stream(payload(1), first=5)
    fold(engine, [item._replace(missing=4)])
    assert engine.place.stream_seq == 5
    (item,) = stream(payload(3), first=8)
    batch = fold(engine, [item._replace(missing=2)])
    assert batch.fault.startswith("engine 0 said message 3 after message 1 (stream sequence 8, record 0)")
    assert engine.place.stream_seq == 5


@pytest.mark.parametrize("together", [1, 5])
def test_a_repeated_record_is_counted_and_skipped(together: int) -> None:
    said = [payload(1), payload(2), payload(1), payload(2), payload(3)]
    batch = fold(RecorderEngine("t", Place()), stream(*said, together=together))
    assert (batch.duplicates, len(batch.events), batch.after.stream_seq) == (2, 3, 5 // together)


def test_a_jump_ends_the_batch_before_its_entry() -> None:
    engine = RecorderEngine("t", Place())
    batch = fold(engine, stream(payload(1), payload(2), payload(3), payload(5), payload(6), payload(7), together=2))
    assert [row[3] for row in batch.events] == [1, 2]  # nothing of the entry with 3 and 5
    assert (batch.after.stream_seq, batch.after.ranks, len(batch.entries)) == (1, {0: 2}, 1)
    assert "message 5 after message 3 (stream sequence 2, record 1)" in batch.fault
    again = fold(engine, stream(payload(3), payload(5), first=2, together=2))  # and again after a restart
    assert "message 5 after message 3" in again.fault


NEWER = {"type": "OrderOfNextYear", "ts_init": 1}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (msgspec.msgpack.encode(None), "envelope"),
        (msgspec.msgpack.encode("text"), "envelope"),
        (msgspec.msgpack.encode([[1, 2, 3], CHANNEL, NEWER]), "envelope"),
        (msgspec.msgpack.encode([[2**63, 0, 0, 0, 1, 0, 1], CHANNEL, NEWER]), "envelope"),
        (msgspec.msgpack.encode([[0, 0, 0, 0, 1, 0, 0], CHANNEL, NEWER]), "envelope"),
        (payload(1, message=NEWER), "message"),
        (payload(1, message={"type": "CarryOutHeld"}), "message"),
        (payload(1, channel="cmd.venue.\0"), "channel"),
        (payload(1, channel="c" * 1_001), "envelope"),
    ],
)
def test_a_record_that_cannot_be_read_is_rejected_alone(data: bytes, kind: str) -> None:
    batch = fold(RecorderEngine("t", Place()), items("t", [entry([payload(1), data, payload(2)])]))
    assert [row[:2] + row[3:4] for row in batch.rejected] == [(1, 1, kind)]
    assert batch.rejected[0][2] == "fleet.t.log.engine-0.engine-0"
    assert batch.rejected[0][4]
    assert ([row[3] for row in batch.events], batch.fault, batch.after.rejected) == ([1, 2], "", 1)


GOOD = {"process": "risk", "epoch": "1f", "number": 1, "counts": {}, "inputs": [], "records": [], "ts": 1}


@pytest.mark.parametrize(
    ("channel", "data", "kind"),
    [
        ("log.risk.risk", b"", "entry"),
        ("log.risk.risk", b"\xc1 no msgpack", "entry"),
        ("log.risk.risk", payload(1), "entry"),
        ("log.engine-0.engine-0", entry([payload(1), b"\xc1", payload(2)])[1], "entry"),  # where would a record end?
        ("log.risk.risk", GOOD | {"inputs": 7}, "entry"),
        ("log.risk.risk", GOOD | {"number": 2**63}, "entry"),
        ("log.risk.risk", GOOD | {"counts": {70_000: 1}}, "entry"),
        ("log.risk.risk", GOOD | {"epoch": "\0"}, "entry"),
        ("log.risk.risk", GOOD | {"records": [1] * (RECORDS_MAX + 1)}, "entry"),
        ("log.risk.other", GOOD, "process"),
        ("log.risk", GOOD, "subject"),
        ("log.risk.risk.more", GOOD, "subject"),
        ("log.%72isk.risk", GOOD, "subject"),
        ("cmd.venue.SIM", GOOD, "subject"),
    ],
)
def test_what_is_no_entry_is_rejected_as_a_whole(channel: str, data: Any, kind: str) -> None:
    data = data if isinstance(data, bytes) else msgspec.msgpack.encode(data)
    batch = fold(RecorderEngine("t", Place()), items("t", [(channel, data), entry([payload(1)])]))
    assert [row[:4] for row in batch.rejected] == [(1, WHOLE, f"fleet.t.{channel}", kind)]
    assert batch.rejected[0][4]
    assert (len(batch.events), len(batch.entries), batch.after.stream_seq) == (1, 1, 2)


def test_an_entry_of_another_environment_is_rejected() -> None:
    batch = fold(RecorderEngine("t", Place()), items("u", [entry([payload(1)])]))
    assert [row[3] for row in batch.rejected] == ["subject"]


def test_a_field_that_a_newer_release_added_is_no_fault() -> None:
    message = msgspec.msgpack.decode(msgspec.msgpack.encode(CarryOutHeld(INSTRUMENT, 1))) | {"added_later": [1, 2]}
    batch = fold(RecorderEngine("t", Place()), stream(payload(1, message=message)))
    assert (len(batch.events), batch.rejected) == (1, [])


def test_an_unreadable_record_of_the_engine_itself_uses_up_its_count() -> None:
    engine = RecorderEngine("t", Place())
    fold(engine, stream(payload(1), payload(2, message=NEWER), payload(3, message=NEWER)))
    assert engine.place.unread == {0: [2, 3]}
    engine = RecorderEngine("t", engine.place)  # also over a restart
    batch = fold(engine, stream(payload(4), first=4))
    assert batch.fault == ""
    assert (engine.place.ranks, engine.place.unread) == ({0: 4}, {})
    assert "message 6 after message 4" in fold(engine, stream(payload(6), first=5)).fault


def test_a_forged_record_that_cannot_be_read_takes_nobodys_place() -> None:
    batch = fold(RecorderEngine("t", Place()), stream(payload(1, message=NEWER), payload(1), payload(2)))
    assert [row[3] for row in batch.events] == [1, 2]
    assert batch.duplicates == 0


def test_what_is_remembered_of_unreadable_records_is_bounded() -> None:
    forged = [payload(1_000_000, rank, NEWER) for rank in range(10)]
    forged += [payload(seq, rank, NEWER) for rank in range(200) for seq in (1, 2)]
    place = fold(RecorderEngine("t", Place()), stream(*forged)).after
    assert len(place.unread) == 64
    assert all(counts == [1, 2] for counts in place.unread.values())
    assert UNREAD_MAX < 1_000_000


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (filled(Quantity.from_int(1), Price.from_int(1), "O" * 300), "an identifier has at most 255 characters"),
        (filled(Quantity.from_int(1), Price.from_int(1), "O\0"), "an identifier has at most 255 characters"),
        ({"last_qty": [2**63, 0]}, "does not fit int64"),
        ({"last_px": [1, 60]}, "60 decimals"),
        ({"ts_event": 2**64 - 1}, "does not fit int64"),
    ],
)
def test_what_no_table_can_hold_is_recorded_and_not_folded(message: Any, reason: str) -> None:
    if isinstance(message, dict):
        base = msgspec.msgpack.decode(msgspec.msgpack.encode(filled(Quantity.from_int(1), Price.from_int(1))))
        message = base | message
    channel = "evt.order.SIM.S-1"
    engine = RecorderEngine("t", Place())
    batch = fold(engine, stream(payload(1, message=message, channel=channel)))
    assert (len(batch.events), batch.fills, batch.orders, batch.positions) == (1, [], {}, {})
    assert [row[3] for row in batch.rejected] == ["fold"]
    assert reason in batch.rejected[0][4]


def test_an_impossible_step_leaves_the_order_as_it_was() -> None:
    channel = "evt.order.SIM.S-1"
    accepted = OrderAccepted(*IDS, VenueOrderId("V-1"), AccountId("SIM-001"), 5, 5)
    fill = filled(Quantity.from_int(7), Price.from_str("1.50"))
    engine = RecorderEngine("t", Place())
    data = [payload(n, message=m, channel=channel) for n, m in enumerate((accepted, fill, accepted), 1)]
    batch = fold(engine, stream(*data, together=3))
    assert [row[4] for row in batch.rejected] == ["order O-1 is PARTIALLY_FILLED: OrderAccepted is not possible"]
    order = batch.orders["O-1"]
    assert (order.status, str(order.filled), str(order.notional)) == ("PARTIALLY_FILLED", "7", "10.50")


def test_an_entry_is_a_row_of_its_own_and_its_inputs_are_kept() -> None:
    taken = [["CTL", 5], {"n": 7}]
    channel, data = entry([payload(17, rank=4), payload(1)], "risk+portfolio", 9, ("risk", "portfolio"), taken)
    assert channel == "log.risk%2Bportfolio.risk%2Bportfolio"
    engine = RecorderEngine("t", Place(ranks={4: 16}))
    batch = fold(engine, items("t", [(channel, data)]))
    inputs = msgspec.msgpack.encode(taken)
    assert batch.entries == [
        (1, "risk+portfolio", "risk+portfolio", "e1", 9, 9, '{"4":17,"0":1}', 2, inputs),
    ]
    assert (len(batch.events), batch.after.entries) == (2, 1)
    without = fold(engine, items("t", [entry([], number=2, inputs=taken)], 2))
    assert (without.events, without.after.head, without.after.entries) == ([], batch.after.head, 2)


# -- who may speak for an engine


def said_by(engine: RecorderEngine, process: str, roles: tuple[str, ...], *payloads: bytes) -> Batch:
    return fold(engine, items("t", [entry(list(payloads), process, 1, roles)], engine.place.stream_seq + 1))


def test_an_engine_speaks_under_one_role() -> None:
    engine = RecorderEngine("t", Place())
    said_by(engine, "risk", ("risk",), payload(1, 4))
    forged = said_by(engine, "portfolio", ("portfolio",), payload(2, 4), payload(1, 3))
    assert [row[3:5] for row in forged.rejected] == [
        (
            "authority",
            "engine 4 has the role risk, by the logs in which it has spoken, and portfolio serves portfolio",
        )
    ]
    assert [row[2:4] for row in forged.events] == [(3, 1)]
    assert engine.place.ranks == {4: 1, 3: 1}  # the forged one did not use up the count
    far = said_by(engine, "portfolio", ("portfolio",), payload(99, 4), payload(3, 4, NEWER))
    assert (far.fault, engine.place.unread) == ("", {})  # nor can it stop the recording, or hold a place open
    assert said_by(engine, "risk", ("risk",), payload(2, 4)).rejected == []


def test_topology_may_change_while_the_engine_keeps_its_role() -> None:
    engine = RecorderEngine("t", Place())
    assert not said_by(engine, "risk+portfolio", ("risk", "portfolio"), payload(1, 4), payload(1, 3)).rejected
    assert not said_by(engine, "risk.b", ("risk",), payload(2, 4)).rejected  # another process of that role
    assert engine.place.roles == {4: ["risk"], 3: ["risk", "portfolio"]}
    assert said_by(engine, "portfolio", ("portfolio",), payload(3, 4)).rejected
    engine = RecorderEngine("t", engine.place)  # also over a restart
    assert said_by(engine, "portfolio", ("portfolio",), payload(3, 4)).rejected
    assert not said_by(engine, "all", ("portfolio", "risk"), payload(3, 4)).rejected
