"""The reports of a run as rows, with NautilusTrader's columns; quantities, prices and money are texts, times are ns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nautilus_common.messages.events import AccountState, OrderFilled
    from nautilus_common.model.orders import Order
    from nautilus_common.model.position import Position

Row = dict[str, Any]


class Report(list[Row]):
    """Rows of a report. `to_pandas()` gives a DataFrame where pandas is installed."""

    def to_pylist(self) -> list[Row]:
        return list(self)

    def to_pandas(self) -> Any:
        """A pandas DataFrame; raises ImportError that says how to get pandas."""
        try:
            import pandas as pd  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise ImportError("to_pandas() needs pandas, which is not installed: pip install pandas") from None
        return pd.DataFrame(list(self))


def orders_report(orders: Iterable[Order]) -> Report:
    return Report(_order_row(order) for order in orders)


def fills_report(orders: Iterable[Order]) -> Report:
    """One row a fill, in the order in which they happened."""
    fills = [fill for order in orders for fill in order.fills]
    return Report(_fill_row(fill) for fill in sorted(fills, key=lambda fill: fill.ts_init))


def positions_report(positions: Iterable[Position], snapshots: Iterable[Position]) -> Report:
    """One row a position, closed lives of netting positions included."""
    lives = [(position, True) for position in snapshots] + [(position, False) for position in positions]
    lives.sort(key=lambda item: item[0].ts_opened)
    return Report(_position_row(position, snapshot) for position, snapshot in lives)


def account_report(states: Iterable[AccountState]) -> Report:
    """One row an account state and currency."""
    return Report(row for state in states for row in _account_rows(state))


def _order_row(order: Order) -> Row:
    return {
        "client_order_id": order.client_order_id.value,
        "trader_id": order.trader_id.value,
        "strategy_id": order.strategy_id.value,
        "instrument_id": order.instrument_id.value,
        "venue_order_id": _text(order.venue_order_id),
        "position_id": _text(order.position_id),
        "account_id": _text(order.account_id),
        "last_trade_id": _text(order.last_trade_id),
        "type": order.order_type.name,
        "side": order.side.name,
        "quantity": str(order.quantity),
        "time_in_force": order.time_in_force.name,
        "is_reduce_only": order.is_reduce_only,
        "is_quote_quantity": order.is_quote_quantity,
        "filled_qty": str(order.filled_qty),
        "liquidity_side": order.liquidity_side.name,
        "avg_px": order.avg_px if order.fills else None,
        "slippage": order.slippage if order.fills else None,
        "commissions": [str(money) for money in order.commissions()],
        "status": order.status.name,
        "tags": list(order.tags) if order.tags else None,
        "price": _text(getattr(order, "price", None)),
        "trigger_price": _text(getattr(order, "trigger_price", None)),
        "expire_time_ns": order.init_event.expire_time_ns,
        "init_id": order.init_id,
        "ts_init": order.ts_init,
        "ts_last": order.ts_last,
    }


def _fill_row(fill: OrderFilled) -> Row:
    return {
        "client_order_id": fill.client_order_id.value,
        "trader_id": fill.trader_id.value,
        "strategy_id": fill.strategy_id.value,
        "instrument_id": fill.instrument_id.value,
        "venue_order_id": fill.venue_order_id.value,
        "account_id": fill.account_id.value,
        "trade_id": fill.trade_id.value,
        "position_id": _text(fill.position_id),
        "order_side": fill.order_side.name,
        "order_type": fill.order_type.name,
        "last_qty": str(fill.last_qty),
        "last_px": str(fill.last_px),
        "currency": fill.currency.code,
        "commission": str(fill.commission),
        "liquidity_side": fill.liquidity_side.name,
        "event_id": fill.id,
        "ts_event": fill.ts_event,
        "ts_init": fill.ts_init,
        "reconciliation": fill.reconciliation,
    }


def _position_row(position: Position, snapshot: bool) -> Row:
    return {
        "position_id": position.id.value,
        "trader_id": position.trader_id.value,
        "strategy_id": position.strategy_id.value,
        "instrument_id": position.instrument_id.value,
        "account_id": position.account_id.value,
        "opening_order_id": position.opening_order_id.value,
        "closing_order_id": _text(position.closing_order_id),
        "entry": position.entry.name,
        "side": position.side.name,
        "quantity": str(position.quantity),
        "peak_qty": str(position.peak_qty),
        "ts_init": position.ts_init,
        "ts_opened": position.ts_opened,
        "ts_last": position.ts_last,
        "ts_closed": position.ts_closed or None,
        "duration_ns": position.duration_ns or None,
        "avg_px_open": position.avg_px_open,
        "avg_px_close": position.avg_px_close or None,
        "commissions": [str(money) for money in position.commissions()],
        "realized_return": position.realized_return,
        "realized_pnl": str(position.realized_pnl),
        "is_snapshot": snapshot,
    }


def _account_rows(state: AccountState) -> list[Row]:
    return [
        {
            "ts": state.ts_event,
            "total": str(balance.total.as_decimal()),
            "locked": str(balance.locked.as_decimal()),
            "free": str(balance.free.as_decimal()),
            "currency": balance.currency.code,
            "account_id": state.account_id.value,
            "account_type": state.account_type.name,
            "base_currency": None if state.base_currency is None else state.base_currency.code,
            "margins": [f"{margin.instrument_id}: {margin.initial} {margin.maintenance}" for margin in state.margins],
            "reported": state.reported,
        }
        for balance in state.balances
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
