"""How each event is applied to an order.

A handler looks its step up in the table of `order_states.py` and checks the event before it changes anything, so that
a refused event leaves the order as it was. This runs some times an order: it is written out flat, not in layers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nautilus_common.messages.events import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEmulated,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderReleased,
    OrderSubmitted,
    OrderTriggered,
    OrderUpdated,
)
from nautilus_common.model.enums import OrderStatus, TriggerType
from nautilus_common.model.order_states import (
    IS_PENDING,
    IS_UPDATABLE,
    DuplicateFill,
    InvalidStateTransition,
    OrderError,
    OverfillError,
    steps_to,
)
from nautilus_common.model.values import POWERS_OF_TEN

if TYPE_CHECKING:
    from nautilus_common.model.order_base import Order

_TO_DENIED = steps_to(OrderStatus.DENIED)
_TO_EMULATED = steps_to(OrderStatus.EMULATED)
_TO_RELEASED = steps_to(OrderStatus.RELEASED)
_TO_SUBMITTED = steps_to(OrderStatus.SUBMITTED)
_TO_ACCEPTED = steps_to(OrderStatus.ACCEPTED)
_TO_REJECTED = steps_to(OrderStatus.REJECTED)
_TO_CANCELED = steps_to(OrderStatus.CANCELED)
_TO_EXPIRED = steps_to(OrderStatus.EXPIRED)
_TO_TRIGGERED = steps_to(OrderStatus.TRIGGERED)
_TO_PENDING_UPDATE = steps_to(OrderStatus.PENDING_UPDATE)
_TO_PENDING_CANCEL = steps_to(OrderStatus.PENDING_CANCEL)
_TO_PARTIALLY_FILLED = steps_to(OrderStatus.PARTIALLY_FILLED)
_TO_FILLED = steps_to(OrderStatus.FILLED)

# Looking a member up in its enum costs 50 ns in Python 3.11; these are for the hot paths.
_FILLED = OrderStatus.FILLED
_PENDING_CANCEL = OrderStatus.PENDING_CANCEL
_PENDING_UPDATE = OrderStatus.PENDING_UPDATE
_NO_TRIGGER = TriggerType.NO_TRIGGER


def _illegal(order: "Order", event: OrderEvent) -> InvalidStateTransition:
    return InvalidStateTransition(
        f"order {order.client_order_id} is {order.status.name}: {type(event).__name__} is not possible"
    )


def _apply_submitted(order: "Order", event: OrderSubmitted) -> None:
    status = _TO_SUBMITTED[order.status]
    if status is None:
        raise _illegal(order, event)
    order.status = status
    order.account_id = event.account_id
    order.ts_submitted = event.ts_event


def _apply_accepted(order: "Order", event: OrderAccepted) -> None:
    status = _TO_ACCEPTED[order.status]
    if status is None:
        raise _illegal(order, event)
    order.status = status
    order.venue_order_id = event.venue_order_id
    order.account_id = event.account_id
    order.ts_accepted = event.ts_event


def _apply_triggered(order: "Order", event: OrderTriggered) -> None:
    status = _TO_TRIGGERED[order.status]
    if status is None:
        raise _illegal(order, event)
    if status is _PENDING_CANCEL:
        order._previous_status = OrderStatus.TRIGGERED  # what it is again if the cancel is rejected
    order.status = status
    order.is_triggered = True
    order.ts_triggered = event.ts_event
    _learn_venue_ids(order, event)


def _apply_emulated(order: "Order", event: OrderEmulated) -> None:
    status = _TO_EMULATED[order.status]
    if status is None:
        raise _illegal(order, event)
    order.status = status


def _apply_released(order: "Order", event: OrderReleased) -> None:
    status = _TO_RELEASED[order.status]
    if status is None:
        raise _illegal(order, event)
    order.status = status
    order.emulation_trigger = _NO_TRIGGER


def _closing(steps: tuple[OrderStatus | None, ...]) -> Callable[["Order", OrderEvent], None]:
    """The handler of an event after which the order is closed."""

    def apply_closing(order: "Order", event: OrderEvent) -> None:
        status = steps[order.status]
        if status is None:
            raise _illegal(order, event)
        order.status = status
        order.ts_closed = event.ts_event
        _learn_venue_ids(order, event)

    return apply_closing


def _pending(steps: tuple[OrderStatus | None, ...]) -> Callable[["Order", OrderEvent], None]:
    """The handler of an event after which the order waits for the venue's answer."""

    def apply_pending(order: "Order", event: OrderEvent) -> None:
        before = order.status
        status = steps[before]
        if status is None:
            raise _illegal(order, event)
        if not IS_PENDING[before]:
            order._previous_status = before
        order.status = status
        _learn_venue_ids(order, event)

    return apply_pending


def _apply_modify_rejected(order: "Order", event: OrderModifyRejected) -> None:
    if order.status is _PENDING_UPDATE:
        order.status = order._previous_status


def _apply_cancel_rejected(order: "Order", event: OrderCancelRejected) -> None:
    if order.status is _PENDING_CANCEL:
        order.status = order._previous_status


def _apply_updated(order: "Order", event: OrderUpdated) -> None:
    if not IS_UPDATABLE[order.status]:
        raise _illegal(order, event)
    if event.quantity < order.filled_qty:
        raise OrderError(
            f"order {order.client_order_id} cannot be updated to {event.quantity}: {order.filled_qty} is filled"
        )
    for name, value, taken in (
        ("price", event.price, order.takes_price),
        ("trigger_price", event.trigger_price, order.takes_trigger_price),
    ):
        if value is not None and not taken:
            raise OrderError(f"order {order.client_order_id} is a {order.order_type.name} order: it has no {name}")
    if order.status is _PENDING_UPDATE:
        order.status = order._previous_status
    order.quantity = event.quantity
    order.is_quote_quantity = event.is_quote_quantity
    if event.price is not None:
        order.price = event.price
    if event.trigger_price is not None:
        order.trigger_price = event.trigger_price
    _learn_venue_ids(order, event)


def _learn_venue_ids(order: "Order", event: OrderEvent) -> None:
    if event.venue_order_id is not None:
        order.venue_order_id = event.venue_order_id
    if event.account_id is not None:
        order.account_id = event.account_id


def apply_filled(order: "Order", event: OrderFilled, allow_overfills: bool) -> None:
    trade_id = event.trade_id
    fills = order._fills
    if fills is not None and trade_id in fills:
        raise DuplicateFill(f"order {order.client_order_id} already has a fill with the trade id {trade_id}")
    last_qty = event.last_qty
    total = order.quantity
    if last_qty.precision == order._precision == total.precision:
        total_raw = total.raw
        last_raw = last_qty.raw
        filled_raw = order._filled_raw + last_raw
        status = (_TO_FILLED if filled_raw >= total_raw else _TO_PARTIALLY_FILLED)[order.status]
    else:
        _rescale_quantities(order, last_qty.precision)
        total_raw = total_raw_of(order)
        last_raw = last_qty.raw * POWERS_OF_TEN[order._precision - last_qty.precision]
        filled_raw = order._filled_raw + last_raw
        status = (_TO_FILLED if filled_raw >= total_raw else _TO_PARTIALLY_FILLED)[order.status]
    if status is None:
        raise _illegal(order, event)
    if filled_raw > total_raw and not allow_overfills:
        raise OverfillError(
            f"order {order.client_order_id} has {order.leaves_qty} left of {total}: a fill of {last_qty} is too much"
        )
    last_px = event.last_px
    if last_px.precision != order._px_precision:
        _rescale_prices(order, last_px.precision)
    px_raw = last_px.raw * POWERS_OF_TEN[order._px_precision - last_px.precision]
    if fills is None:
        order._fills = {trade_id: event}
    else:
        fills[trade_id] = event
    order._filled_raw = filled_raw
    order._notional_raw += px_raw * last_raw
    order.status = status
    order.venue_order_id = event.venue_order_id
    order.account_id = event.account_id
    if event.position_id is not None:
        order.position_id = event.position_id
    order.last_trade_id = trade_id
    order.liquidity_side = event.liquidity_side
    if status is _FILLED:
        order.ts_closed = event.ts_event
    elif order.ts_closed:
        order.ts_closed = 0  # a late fill: the order that was canceled is open again


def total_raw_of(order: "Order") -> int:
    """The order's quantity at `_precision`, to which it is raised first if it is coarser."""
    quantity = order.quantity
    if quantity.precision == order._precision:
        return quantity.raw
    if quantity.precision > order._precision:
        _rescale_quantities(order, quantity.precision)
    return quantity.raw * POWERS_OF_TEN[order._precision - quantity.precision]


def _rescale_quantities(order: "Order", precision: int) -> None:
    """Let the sums be exact for quantities of this precision as well (a venue may answer with more decimals)."""
    precision = max(precision, order.quantity.precision)
    if precision > order._precision:
        factor = POWERS_OF_TEN[precision - order._precision]
        order._filled_raw *= factor
        order._notional_raw *= factor
        order._precision = precision


def _rescale_prices(order: "Order", precision: int) -> None:
    if precision > order._px_precision:
        if order._px_precision >= 0:
            order._notional_raw *= POWERS_OF_TEN[precision - order._px_precision]
        order._px_precision = precision


HANDLERS: dict[type[OrderEvent], Callable[["Order", Any], None]] = {
    OrderDenied: _closing(_TO_DENIED),
    OrderEmulated: _apply_emulated,
    OrderReleased: _apply_released,
    OrderSubmitted: _apply_submitted,
    OrderAccepted: _apply_accepted,
    OrderRejected: _closing(_TO_REJECTED),
    OrderCanceled: _closing(_TO_CANCELED),
    OrderExpired: _closing(_TO_EXPIRED),
    OrderTriggered: _apply_triggered,
    OrderPendingUpdate: _pending(_TO_PENDING_UPDATE),
    OrderPendingCancel: _pending(_TO_PENDING_CANCEL),
    OrderModifyRejected: _apply_modify_rejected,
    OrderCancelRejected: _apply_cancel_rejected,
    OrderUpdated: _apply_updated,
}
