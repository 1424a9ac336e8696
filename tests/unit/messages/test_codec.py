"""What the wire looks like, and what is refused."""

import msgspec
import pytest
from nautilus_common.messages.codec import DecodeError, decode, encode
from nautilus_common.messages.commands import OrderApproved, SubmitOrder
from nautilus_common.messages.events import OrderInitialized, OrderSubmitted, TimeEvent
from nautilus_common.model.enums import OrderSide, OrderType
from nautilus_common.model.identifiers import AccountId, ClientOrderId, InstrumentId, StrategyId, TraderId
from nautilus_common.model.values import Quantity

IDS = (TraderId("TESTER-001"), StrategyId("S-001"), InstrumentId.from_str("BRK.B.XNYS"), ClientOrderId("O-1"))
INIT = OrderInitialized(*IDS, OrderSide.BUY, OrderType.MARKET, Quantity(100, 0), 5)


def test_permission_holds_the_command() -> None:
    approved = OrderApproved(SubmitOrder(IDS[0], IDS[1], INIT, None, 6), 7)
    assert decode(encode(approved)) == approved
    assert approved.command.instrument_id == IDS[2]


def test_a_market_order_is_small() -> None:
    assert "tags" not in msgspec.msgpack.decode(encode(INIT))
    assert len(encode(INIT)) < 200


def test_ids_are_functions_of_the_content() -> None:
    assert INIT.id == decode(encode(INIT)).id
    assert INIT.id != msgspec.structs.replace(INIT, ts_init=6).id
    assert TimeEvent("T", 1, 1).id == "a157f6cd-955f-8716-89f5-3cc41b167654"


def test_events_without_a_field_read_its_default() -> None:
    assert (INIT.ts_event, INIT.venue_order_id, INIT.account_id, INIT.reconciliation) == (5, None, None, False)
    assert OrderSubmitted(*IDS, AccountId("A-1"), 3, 4).venue_order_id is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "0 bytes that are not MessagePack"),
        (b"\xc1\xc1", "not MessagePack"),
        (encode(INIT)[:-1], "not MessagePack"),
        (encode(INIT) + b"\x00", "not MessagePack"),
        (b"\x93\x01\x02\x03", "MessagePack list where a message was expected"),
        (msgspec.msgpack.encode({"name": "T"}), "without a type.*missing required field `type`"),
        (msgspec.msgpack.encode({"type": "OrderWished"}), "of type 'OrderWished'.*Invalid value 'OrderWished'"),
        (msgspec.msgpack.encode({"type": "TimeEvent", "name": "T"}), "TimeEvent.*missing required field `ts_event`"),
        (msgspec.msgpack.encode({"type": "TimeEvent", "name": 5, "ts_event": 1, "ts_init": 1}), "name"),
        (encode(INIT).replace(b"TESTER-001", b"TESTER_001"), "hyphen"),
        (b"\x91" * 5000, "not MessagePack"),
    ],
)
def test_bytes_that_are_no_message(data: bytes, text: str) -> None:
    with pytest.raises(DecodeError, match=f"(?s){text}"):
        decode(data)


def test_fields_of_a_later_version_are_passed_over() -> None:
    event = TimeEvent("T", 1, 2)
    later = msgspec.msgpack.decode(encode(event)) | {"added_later": 1}
    assert decode(msgspec.msgpack.encode(later)) == event
