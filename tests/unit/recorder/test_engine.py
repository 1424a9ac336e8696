"""The counts that the recorder's engine holds against loss, and what it does with what it cannot read."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
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

from services.recorder.engine import UNREAD_MAX, RecorderEngine, StreamGap
from services.recorder.state import GENESIS, Batch, Entry, Place

INSTRUMENT = InstrumentId.from_str("AUD/USD.SIM")
CHANNEL = "cmd.venue.SIM"
IDS = (TraderId("T-1"), StrategyId("S-1"), INSTRUMENT, ClientOrderId("O-1"))


def payload(seq: int, rank: int = 0, message: Any = None, channel: str = CHANNEL) -> bytes:
    message = CarryOutHeld(INSTRUMENT, seq) if message is None else message
    return msgspec.msgpack.encode(((seq, 0, 0, 0, 1, rank, seq), channel, message))


def stream(*payloads: bytes, first: int = 1, channel: str = CHANNEL) -> list[Entry]:
    return [Entry(seq, f"fleet.t.{channel}", data) for seq, data in enumerate(payloads, first)]


def fold(engine: RecorderEngine, messages: list[Entry]) -> Batch:
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


def test_the_chain_is_over_every_record() -> None:
    payloads = [payload(1), payload(2), payload(1, rank=3)]
    batch = fold(RecorderEngine("t", Place()), stream(*payloads))
    head = GENESIS
    for row, data in zip(batch.events, payloads, strict=True):
        assert row[7] == head
        head = hashlib.sha256(head + data).digest()
        assert row[8] == head
    assert batch.after.head == head
    assert batch.after.ranks == {0: 2, 3: 1}


def test_a_missing_message_of_the_stream_is_a_gap_and_nothing_is_folded() -> None:
    engine = RecorderEngine("t", Place())
    with pytest.raises(StreamGap, match="message 3 of the stream came where 2 was expected"):
        fold(engine, [*stream(payload(1)), *stream(payload(3), first=3)])
    assert engine.place == Place()


def test_what_the_stream_has_deleted_is_passed_and_a_lost_record_still_found() -> None:
    engine = RecorderEngine("t", Place())
    fold(engine, [Entry(4, "", None), *stream(payload(1), first=5)])
    assert engine.place.stream_seq == 5
    batch = fold(engine, [Entry(7, "", None), *stream(payload(3), first=8)])
    assert batch.fault.startswith("engine 0 said message 3 after message 1 (stream sequence 8)")
    assert engine.place.stream_seq == 7


def test_a_repeated_record_is_counted_and_skipped() -> None:
    batch = fold(RecorderEngine("t", Place()), stream(payload(1), payload(2), payload(1), payload(2), payload(3)))
    assert (batch.duplicates, len(batch.events), batch.after.stream_seq) == (2, 3, 5)


def test_a_jump_ends_the_batch_before_it() -> None:
    engine = RecorderEngine("t", Place())
    batch = fold(engine, stream(payload(1), payload(2), payload(4), payload(5)))
    assert len(batch.events) == 2
    assert batch.after.stream_seq == 2
    assert "message 4 after message 2" in batch.fault
    assert "message 4 after message 2" in fold(engine, stream(payload(4), first=3)).fault  # and again after a restart


NEWER = {"type": "OrderOfNextYear", "ts_init": 1}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "envelope"),
        (b"\xc1 no msgpack", "envelope"),
        (msgspec.msgpack.encode("text"), "envelope"),
        (msgspec.msgpack.encode([[1, 2, 3], CHANNEL, NEWER]), "envelope"),
        (msgspec.msgpack.encode([[2**63, 0, 0, 0, 1, 0, 1], CHANNEL, NEWER]), "envelope"),
        (msgspec.msgpack.encode([[0, 0, 0, 0, 1, 0, 0], CHANNEL, NEWER]), "envelope"),
        (payload(1, message=NEWER), "message"),
        (payload(1, message={"type": "CarryOutHeld"}), "message"),
        (payload(1, channel="cmd.venue.ALT"), "channel"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_a_reason(data: bytes, kind: str) -> None:
    batch = fold(RecorderEngine("t", Place()), stream(data, payload(1)))
    assert [row[2] for row in batch.rejected] == [kind]
    assert batch.rejected[0][0] == 1
    assert batch.rejected[0][3]
    assert (len(batch.events), batch.fault, batch.after.rejected) == (1, "", 1)


def test_a_record_of_another_environment_is_rejected() -> None:
    batch = fold(RecorderEngine("t", Place()), [Entry(1, "fleet.u.cmd.venue.SIM", payload(1))])
    assert [row[2] for row in batch.rejected] == ["subject"]


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
    assert [row[2] for row in batch.events] == [1, 2]
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
    batch = fold(engine, stream(payload(1, message=message, channel=channel), channel=channel))
    assert (len(batch.events), batch.fills, batch.orders, batch.positions) == (1, [], {}, {})
    assert [row[2] for row in batch.rejected] == ["fold"]
    assert reason in batch.rejected[0][3]


def test_an_impossible_step_leaves_the_order_as_it_was() -> None:
    channel = "evt.order.SIM.S-1"
    accepted = OrderAccepted(*IDS, VenueOrderId("V-1"), AccountId("SIM-001"), 5, 5)
    fill = filled(Quantity.from_int(7), Price.from_str("1.50"))
    engine = RecorderEngine("t", Place())
    data = [payload(n, message=m, channel=channel) for n, m in enumerate((accepted, fill, accepted), 1)]
    batch = fold(engine, stream(*data, channel=channel))
    assert [row[3] for row in batch.rejected] == ["order O-1 is PARTIALLY_FILLED: OrderAccepted is not possible"]
    order = batch.orders["O-1"]
    assert (order.status, str(order.filled), str(order.notional)) == ("PARTIALLY_FILLED", "7", "10.50")


def test_marks_are_rows_of_their_own_and_not_in_the_chain() -> None:
    mark = {"process": "risk", "epoch": 2, "number": 9, "counts": {4: 17}, "inputs": [["CTL", 5]], "ts": 123}
    data = msgspec.msgpack.encode(mark)
    batch = fold(RecorderEngine("t", Place()), [Entry(1, "fleet.t.mark.risk", data)])
    assert batch.marks == [(1, "risk", 2, 9, 123, '{"4":17}', data)]
    assert (batch.events, batch.after.head, batch.after.marks) == ([], GENESIS, 1)
    broken = fold(RecorderEngine("t", Place()), [Entry(1, "fleet.t.mark.risk", b"\x80")])
    assert [row[2] for row in broken.rejected] == ["mark"]
