"""Messages to bytes and back: MessagePack maps, tagged with the class name under `type`.

One union names everything that crosses the control plane, so that one typed decoder checks all of it. Market-data
blocks have their own form (`blocks.py`).
"""

import msgspec

from nautilus_common.messages.commands import (
    CancelAllOrders,
    CancelOrder,
    CarryOutHeld,
    ModifyApproved,
    ModifyOrder,
    OrderApproved,
    QueryOrder,
    SubmitOrder,
)
from nautilus_common.messages.errors import DecodeError
from nautilus_common.messages.events import (
    AccountAdjusted,
    AccountState,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEmulated,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderReleased,
    OrderSubmitted,
    OrderTriggered,
    OrderUpdated,
    PositionAdjusted,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TimeEvent,
)

__all__ = ["AnyMessage", "DecodeError", "decode", "encode"]

AnyMessage = (
    SubmitOrder
    | ModifyOrder
    | CancelOrder
    | CancelAllOrders
    | QueryOrder
    | OrderApproved
    | ModifyApproved
    | CarryOutHeld
    | OrderInitialized
    | OrderDenied
    | OrderEmulated
    | OrderReleased
    | OrderSubmitted
    | OrderAccepted
    | OrderRejected
    | OrderTriggered
    | OrderPendingUpdate
    | OrderPendingCancel
    | OrderModifyRejected
    | OrderCancelRejected
    | OrderUpdated
    | OrderCanceled
    | OrderExpired
    | OrderFilled
    | PositionOpened
    | PositionChanged
    | PositionClosed
    | PositionAdjusted
    | AccountState
    | AccountAdjusted
    | TimeEvent
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)

#: `encode(message) -> bytes`
encode = _ENCODER.encode


def decode(data: bytes) -> AnyMessage:
    """The message that `data` holds; DecodeError if it is malformed, of an unknown type, or a field does not fit."""
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise DecodeError(f"cannot decode {_describe(data)}: {error}") from error


def _describe(data: bytes) -> str:
    """What the bytes seem to be, for the error's text."""
    try:
        content = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return f"{len(data)} bytes that are not MessagePack"
    if not isinstance(content, dict):
        return f"a MessagePack {type(content).__name__} where a message was expected"
    return f"a message of type {content.get('type')!r}" if "type" in content else "a message without a type"
