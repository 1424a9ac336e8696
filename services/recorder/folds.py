"""How each message changes orders, positions and accounts.

Records of one engine come in its own order, those of two engines in any: an order's first event may stand before the
command that made it. So what a command tells and what events tell are different fields, and either may be first.
Every value is checked before a state is touched: a message that cannot be folded leaves all as it was.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

from nautilus_common.messages import events
from nautilus_common.messages.commands import OrderApproved, SubmitOrder
from nautilus_common.messages.ledger import AccountState
from nautilus_common.model.enums import OrderSide, OrderStatus, PositionSide
from nautilus_common.model.order_states import IS_CLOSED, TRANSITIONS
from nautilus_common.model.values import PRECISION_MAX, FixedPoint

from services.recorder.records import INT64_MAX, Record
from services.recorder.state import AccountNow, OrderState, PositionState, Row

ID_LENGTH_MAX = 255
EXACT = Context(prec=400)
"""Wide enough for any sum of int64 at any precision: nothing here is ever rounded."""

_S = OrderStatus
_TARGETS: dict[type, OrderStatus] = {
    events.OrderDenied: _S.DENIED,
    events.OrderEmulated: _S.EMULATED,
    events.OrderReleased: _S.RELEASED,
    events.OrderSubmitted: _S.SUBMITTED,
    events.OrderAccepted: _S.ACCEPTED,
    events.OrderRejected: _S.REJECTED,
    events.OrderTriggered: _S.TRIGGERED,
    events.OrderPendingUpdate: _S.PENDING_UPDATE,
    events.OrderPendingCancel: _S.PENDING_CANCEL,
    events.OrderCanceled: _S.CANCELED,
    events.OrderExpired: _S.EXPIRED,
}
_SIGNS = {PositionSide.LONG: 1, PositionSide.SHORT: -1, PositionSide.FLAT: 0}


class FoldError(ValueError):
    """A message that could be read, and cannot be: names the order or field, and why."""


# -- values ----------------------------------------------------------------------------------------------------------


def exact(value: FixedPoint) -> Decimal:
    """The number with all its decimals: 1.50 stays 1.50."""
    precision = value.precision
    if not 0 <= precision <= PRECISION_MAX:
        raise FoldError(f"a number with {precision} decimals: 0 to {PRECISION_MAX} are possible")
    if not -INT64_MAX - 1 <= value.raw <= INT64_MAX:
        raise FoldError(f"the raw number {value.raw} does not fit int64")
    return Decimal(value.raw).scaleb(-precision, EXACT)


def is_key(text: str) -> bool:
    """Whether a text can be a key of a database."""
    return len(text) <= ID_LENGTH_MAX and "\0" not in text


def name_of(identifier: Any) -> str:
    """The text of an identifier that can be a key."""
    text = str(identifier)
    if not is_key(text):
        raise FoldError(f"{text[:40]!r}: an identifier has at most {ID_LENGTH_MAX} characters and no NUL")
    return text


def _name_or_none(identifier: Any) -> str | None:
    return None if identifier is None else name_of(identifier)


def _exact_or_none(value: FixedPoint | None) -> Decimal | None:
    return None if value is None else exact(value)


def time_of(ns: int) -> int:
    if not -INT64_MAX - 1 <= ns <= INT64_MAX:
        raise FoldError(f"the time {ns} does not fit int64")
    return ns


def text_of(value: str) -> str:
    return value.replace("\0", "\\0")[:2000]


# -- orders ----------------------------------------------------------------------------------------------------------


def order_key(message: Any) -> str | None:
    """The order that a message changes; None if it changes none."""
    if isinstance(message, events.OrderEvent):
        return message.client_order_id.value
    if isinstance(message, SubmitOrder):
        return message.order.client_order_id.value
    if isinstance(message, OrderApproved):
        return message.command.order.client_order_id.value
    return None


def fold_command(order: OrderState | None, command: SubmitOrder, stream_seq: int) -> OrderState:
    """The order as the strategy has sent it. What its events have told already stays."""
    init = command.order
    told = {
        "trader_id": name_of(init.trader_id),
        "side": init.order_side.name,
        "type": init.order_type.name,
        "time_in_force": init.time_in_force.name,
        "ts_init": time_of(init.ts_init),
    }
    quantity, price, trigger = exact(init.quantity), _exact_or_none(init.price), _exact_or_none(init.trigger_price)
    position_id = _name_or_none(command.position_id)
    if order is None:
        order = _new_order(init, stream_seq)
        order.status = _S.SUBMITTED.name
        order.ts_last = init.ts_init
    if order.ts_init is None:
        for field, value in told.items():
            setattr(order, field, value)
        if order.quantity is None:
            order.quantity = quantity
            _settle_status(order)
        order.price = price if order.price is None else order.price
        order.trigger_price = trigger if order.trigger_price is None else order.trigger_price
        order.position_id = position_id if order.position_id is None else order.position_id
    order.last_seq = stream_seq
    return order


def fold_event(order: OrderState | None, event: events.OrderEvent, stream_seq: int) -> OrderState:
    """The order after an event that is no fill."""
    venue_order_id, account_id = _name_or_none(event.venue_order_id), _name_or_none(event.account_id)
    ts_last = time_of(event.ts_event)
    updated: tuple[Decimal | None, ...] = (None, None, None)
    if isinstance(event, events.OrderUpdated):
        updated = (exact(event.quantity), _exact_or_none(event.price), _exact_or_none(event.trigger_price))
    # The checks are done; the status is the last of them.
    status = _status_after(order, event)
    if order is None:
        order = _new_order(event, stream_seq)
    _set_status(order, status)
    for field, value in zip(("quantity", "price", "trigger_price"), updated, strict=True):
        if value is not None:
            setattr(order, field, value)
    reason = getattr(event, "reason", None)
    if reason is not None:
        order.reason = text_of(reason)
    _learn(order, venue_order_id, account_id)
    order.ts_last = ts_last
    order.last_seq = stream_seq
    return order


def fold_fill(order: OrderState | None, fill: events.OrderFilled, stream_seq: int) -> OrderState:
    """The order after an execution."""
    quantity, price = exact(fill.last_qty), exact(fill.last_px)
    venue_order_id, account_id = name_of(fill.venue_order_id), name_of(fill.account_id)
    position_id, ts_last = _name_or_none(fill.position_id), time_of(fill.ts_event)
    filled = quantity if order is None else EXACT.add(order.filled, quantity)
    # Filled before its command is here: how much it was for is not known yet.
    whole = order is not None and order.quantity is not None and filled >= order.quantity
    status = _stepped(order, fill, _S.FILLED if whole else _S.PARTIALLY_FILLED)
    if order is None:
        order = _new_order(fill, stream_seq)
        order.side, order.type = fill.order_side.name, fill.order_type.name
    order.filled = filled
    order.notional = EXACT.add(order.notional, EXACT.multiply(quantity, price))
    _set_status(order, status)
    _learn(order, venue_order_id, account_id)
    order.position_id = position_id or order.position_id
    order.ts_last = ts_last
    order.last_seq = stream_seq
    return order


def _settle_status(order: OrderState) -> None:
    """The command of an order has come after its fills: now it is known whether they were all of it.

    Not so if its quantity was changed after them: then they were not.
    """
    if order.quantity is not None and order.status == _S.PARTIALLY_FILLED.name and order.filled >= order.quantity:
        _set_status(order, _S.FILLED)


def _new_order(event: events.OrderEvent, stream_seq: int) -> OrderState:
    return OrderState(
        name_of(event.client_order_id),
        name_of(event.strategy_id),
        name_of(event.instrument_id),
        _S.INITIALIZED.name,
        stream_seq,
        stream_seq,
    )


def _status_after(order: OrderState | None, event: events.OrderEvent) -> OrderStatus:
    target = _TARGETS.get(type(event))
    if target is not None:
        return _stepped(order, event, target)
    # Refused changes and updates leave an order as it was; pending ones are the strategy's own view.
    return _S.INITIALIZED if order is None else OrderStatus[order.status]


def _stepped(order: OrderState | None, event: events.OrderEvent, target: OrderStatus) -> OrderStatus:
    # Of an order whose command is not here yet any event may be the first that is seen.
    before = _S.INITIALIZED if order is None else OrderStatus[order.status]
    if before is _S.INITIALIZED:
        return target
    after = TRANSITIONS[before][target]
    if after is None:
        raise FoldError(f"order {event.client_order_id} is {before.name}: {type(event).__name__} is not possible")
    return after


def _set_status(order: OrderState, status: OrderStatus) -> None:
    order.status = status.name
    order.is_open = not IS_CLOSED[status]


def _learn(order: OrderState, venue_order_id: str | None, account_id: str | None) -> None:
    order.venue_order_id = venue_order_id or order.venue_order_id
    order.account_id = account_id or order.account_id


# -- positions and accounts ------------------------------------------------------------------------------------------


def position_key(message: Any) -> str | None:
    """The position that a message changes; None if it changes none."""
    if isinstance(message, events.PositionEvent):
        return message.position_id.value
    if isinstance(message, events.OrderFilled) and message.position_id is not None:
        return message.position_id.value
    return None


def fold_position_fill(position: PositionState | None, fill: events.OrderFilled, stream_seq: int) -> PositionState:
    """The position after one of its fills."""
    quantity = exact(fill.last_qty)
    signed = quantity if fill.order_side is OrderSide.BUY else quantity.copy_negate()
    ts_last = time_of(fill.ts_event)
    position = position or _new_position(fill, stream_seq)
    position.quantity = EXACT.add(position.quantity, signed)
    position.fills += 1
    position.ts_last = max(position.ts_last, ts_last)
    position.last_seq = stream_seq
    return position


def fold_position_event(position: PositionState | None, event: events.PositionEvent, stream_seq: int) -> PositionState:
    """The position as the portfolio says that it stands."""
    said = said_quantity(event)
    realized, currency = exact(event.realized_pnl), name_of(event.realized_pnl.currency.code)
    opened, closed = time_of(event.ts_opened), time_of(event.ts_closed)  # type: ignore[attr-defined]
    ts_last = time_of(event.ts_event)  # type: ignore[attr-defined]
    position = position or _new_position(event, stream_seq)
    position.said_quantity = said
    position.realized_pnl, position.currency = realized, currency
    position.avg_px_open = Decimal(repr(event.avg_px_open))  # type: ignore[attr-defined]
    position.ts_opened, position.ts_closed = opened, closed or None
    position.ts_last = max(position.ts_last, ts_last)
    position.last_seq = stream_seq
    return position


def said_quantity(event: events.PositionEvent) -> Decimal:
    """The signed quantity that the portfolio says."""
    return EXACT.multiply(exact(event.quantity), Decimal(_SIGNS[event.side]))  # type: ignore[attr-defined]


def _new_position(event: events.OrderFilled | events.PositionEvent, stream_seq: int) -> PositionState:
    return PositionState(
        name_of(event.position_id),
        name_of(event.strategy_id),
        name_of(event.instrument_id),
        name_of(event.account_id),
        stream_seq,
        stream_seq,
    )


def account_now(state: AccountState, stream_seq: int) -> AccountNow:
    """Balances and margins of an account as exact numbers."""
    balances = {
        name_of(balance.currency.code): {
            "total": exact(balance.total),
            "locked": exact(balance.locked),
            "free": exact(balance.free),
        }
        for balance in state.balances
    }
    margins = [
        {
            "instrument_id": _name_or_none(margin.instrument_id),
            "currency": name_of(margin.initial.currency.code),
            "initial": exact(margin.initial),
            "maintenance": exact(margin.maintenance),
        }
        for margin in state.margins
    ]
    base = None if state.base_currency is None else name_of(state.base_currency.code)
    account_id = name_of(state.account_id)
    return AccountNow(account_id, state.account_type.name, base, balances, margins, time_of(state.ts_event), stream_seq)


def fill_row(record: Record, fill: events.OrderFilled) -> Row:
    """A row of `fills`, in the order of its columns."""
    return (
        record.stream_seq,
        record.index,
        record.rank,
        record.seq,
        time_of(fill.ts_event),
        time_of(fill.ts_init),
        name_of(fill.trader_id),
        name_of(fill.strategy_id),
        name_of(fill.instrument_id),
        name_of(fill.client_order_id),
        name_of(fill.venue_order_id),
        name_of(fill.account_id),
        name_of(fill.trade_id),
        _name_or_none(fill.position_id),
        fill.order_side.name,
        fill.order_type.name,
        exact(fill.last_qty),
        exact(fill.last_px),
        name_of(fill.currency.code),
        exact(fill.commission),
        name_of(fill.commission.currency.code),
        fill.liquidity_side.name,
        fill.reconciliation,
    )
