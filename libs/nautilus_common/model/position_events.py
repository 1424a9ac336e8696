"""The events of a position: what a fill made of it, as the portfolio publishes it and strategies are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_common.messages.events import PositionChanged, PositionClosed, PositionOpened
from nautilus_common.model.enums import PositionSide
from nautilus_common.model.ledger import CLOSED, OPENED, PositionChange
from nautilus_common.model.values import money_from_raw, quantity_from_raw

if TYPE_CHECKING:
    from nautilus_common.messages.events import PositionEvent


def position_event(change: PositionChange, ts_init: int) -> PositionEvent:
    """The event of one step of a position."""
    if change.kind == OPENED:
        return _opened(change, ts_init)
    if change.kind == CLOSED:
        return _closed(change, ts_init)
    return _changed(change, ts_init)


def _opened(change: PositionChange, ts_init: int) -> PositionOpened:
    position, fill = change.position, change.fill
    quantity = position.quantity
    return PositionOpened(
        position.trader_id,
        position.strategy_id,
        position.instrument_id,
        position.id,
        position.account_id,
        position.opening_order_id,
        position.entry,
        position.side,
        position.signed_qty,
        quantity,
        quantity,
        fill.last_qty,
        fill.last_px,
        position.settlement_currency,
        position.avg_px_open,
        position.realized_pnl,
        fill.ts_event,
        ts_init,
    )


def _changed(change: PositionChange, ts_init: int) -> PositionChanged:
    position, fill = change.position, change.fill
    currency = position.settlement_currency
    return PositionChanged(
        position.trader_id,
        position.strategy_id,
        position.instrument_id,
        position.id,
        position.account_id,
        position.opening_order_id,
        position.entry,
        position.side,
        position.signed_qty,
        position.quantity,
        position.peak_qty,
        fill.last_qty,
        fill.last_px,
        currency,
        position.avg_px_open,
        position.avg_px_close,
        position.realized_return,
        position.realized_pnl,
        money_from_raw(position.unrealized_raw(fill.last_px.raw), currency),
        position.ts_opened,
        fill.ts_event,
        ts_init,
    )


def _closed(change: PositionChange, ts_init: int) -> PositionClosed:
    position, fill = change.position, change.fill
    return PositionClosed(
        position.trader_id,
        position.strategy_id,
        position.instrument_id,
        position.id,
        position.account_id,
        position.opening_order_id,
        fill.client_order_id,
        position.entry,
        PositionSide.FLAT,
        0.0,
        quantity_from_raw(0, position.instrument.size_precision),
        position.peak_qty,
        fill.last_qty,
        fill.last_px,
        position.settlement_currency,
        position.avg_px_open,
        position.avg_px_close,
        position.realized_return,
        position.realized_pnl,
        position.ts_opened,
        fill.ts_event,
        fill.ts_event - position.ts_opened,
        ts_init,
    )
