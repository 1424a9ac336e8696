"""Messages that are kept but seldom read, as MessagePack: how orders, positions and histories go into a snapshot.

An order has some four events and an event some ten fields, each an object of its own. Encoded they are a tenth of the
size and of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from nautilus_common.messages import events
from nautilus_common.messages.base import Message

M = TypeVar("M", bound=Message)

_ORDER_EVENTS = (
    events.OrderInitialized
    | events.OrderDenied
    | events.OrderEmulated
    | events.OrderReleased
    | events.OrderSubmitted
    | events.OrderAccepted
    | events.OrderRejected
    | events.OrderTriggered
    | events.OrderPendingUpdate
    | events.OrderPendingCancel
    | events.OrderModifyRejected
    | events.OrderCancelRejected
    | events.OrderUpdated
    | events.OrderCanceled
    | events.OrderExpired
    | events.OrderFilled
)

_encode = msgspec.msgpack.Encoder().encode
_decode_order_events = msgspec.msgpack.Decoder(list[_ORDER_EVENTS]).decode
_decode_orders = msgspec.msgpack.Decoder(list[list[_ORDER_EVENTS]]).decode
_decode_fills = msgspec.msgpack.Decoder(list[events.OrderFilled]).decode
_decode_positions = msgspec.msgpack.Decoder(list[tuple[list[events.OrderFilled], int]]).decode

Packed = bytes | list[Any]
"""MessagePack; or the messages as they are, where one holds objects that MessagePack would change."""


def pack_order_events(found: Sequence[events.OrderEvent]) -> Packed:
    """The events of one order, the first of them its `OrderInitialized`."""
    init: Any = found[0]
    return _encode(found) if init.exec_algorithm_params is None else list(found)


def unpack_order_events(packed: Packed) -> list[Any]:
    return _decode_order_events(packed) if isinstance(packed, bytes) else packed


def pack_orders(orders: Iterable[Sequence[events.OrderEvent]]) -> bytes:
    """Orders, each as its events; of none of them may `exec_algorithm_params` be set."""
    return _encode(list(orders))


def unpack_orders(packed: bytes) -> list[list[Any]]:
    return _decode_orders(packed)


def pack_fills(fills: Sequence[events.OrderFilled]) -> bytes:
    return _encode(fills)


def unpack_fills(packed: bytes) -> list[events.OrderFilled]:
    return _decode_fills(packed)


def pack_positions(positions: Iterable[tuple[Sequence[events.OrderFilled], int]]) -> bytes:
    """Positions, each as its fills and what was adjusted beside them, raw."""
    return _encode(list(positions))


def unpack_positions(packed: bytes) -> list[tuple[list[events.OrderFilled], int]]:
    return _decode_positions(packed)


class MessageHistory(Generic[M]):
    """Messages of one type in their order; only added to. Each is encoded once, by the first snapshot after it, and
    decoded again whenever somebody reads.
    """

    def __init__(self, kind: type[M]) -> None:
        self._kind = kind
        self._packed: list[bytes] = []
        self._packed_count = 0
        self._recent: list[M] = []

    def append(self, message: M) -> None:
        self._recent.append(message)

    def __len__(self) -> int:
        return self._packed_count + len(self._recent)

    def __iter__(self) -> Iterator[M]:
        decode = msgspec.msgpack.Decoder(list[self._kind]).decode  # type: ignore[name-defined]  # it is a value
        for packed in self._packed:
            yield from decode(packed)
        yield from self._recent

    def __getstate__(self) -> dict[str, object]:
        if self._recent:
            self._packed.append(_encode(self._recent))
            self._packed_count += len(self._recent)
            self._recent = []
        return self.__dict__
