"""The events of positions and accounts, as the portfolio says them. All `ts_*` are UTC nanoseconds."""

from decimal import Decimal
from typing import Any

from nautilus_common.messages.base import Event
from nautilus_common.model.balances import AccountBalance, MarginBalance
from nautilus_common.model.enums import AccountType, OrderSide, PositionAdjustmentType, PositionSide
from nautilus_common.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    TraderId,
)
from nautilus_common.model.values import Currency, Money, Price, Quantity, money_from_raw

__all__ = [
    "AccountAdjusted",
    "AccountBalance",
    "AccountState",
    "MarginBalance",
    "PositionAdjusted",
    "PositionChanged",
    "PositionClosed",
    "PositionEvent",
    "PositionOpened",
]


class PositionEvent(Event, frozen=True):
    """The base of opened, changed and closed. What one of them does not carry reads as in NautilusTrader."""

    trader_id: TraderId
    strategy_id: StrategyId
    instrument_id: InstrumentId
    position_id: PositionId
    account_id: AccountId
    opening_order_id: ClientOrderId

    @property
    def closing_order_id(self) -> ClientOrderId | None:
        return None

    @property
    def avg_px_close(self) -> float:
        return 0.0

    @property
    def realized_return(self) -> float:
        return 0.0

    @property
    def realized_pnl(self) -> Money:
        raise NotImplementedError("every position event has a `realized_pnl` field")

    @property
    def unrealized_pnl(self) -> Money:
        return money_from_raw(0, self.realized_pnl.currency)

    @property
    def ts_closed(self) -> int:
        return 0

    @property
    def duration_ns(self) -> int:
        return 0


class PositionOpened(PositionEvent, frozen=True):
    """A position began."""

    entry: OrderSide
    side: PositionSide
    signed_qty: float
    quantity: Quantity
    peak_qty: Quantity
    last_qty: Quantity
    last_px: Price
    currency: Currency
    avg_px_open: float
    realized_pnl: Money
    ts_event: int
    ts_init: int

    @property
    def ts_opened(self) -> int:
        return self.ts_event


class PositionChanged(PositionEvent, frozen=True):
    """A position grew or shrank and is still open."""

    entry: OrderSide
    side: PositionSide
    signed_qty: float
    quantity: Quantity
    peak_qty: Quantity
    last_qty: Quantity
    last_px: Price
    currency: Currency
    avg_px_open: float
    avg_px_close: float
    realized_return: float
    realized_pnl: Money
    unrealized_pnl: Money
    ts_opened: int
    ts_event: int
    ts_init: int


class PositionClosed(PositionEvent, frozen=True):
    """A position is flat. `ts_event` is `ts_closed`."""

    closing_order_id: ClientOrderId
    entry: OrderSide
    side: PositionSide
    signed_qty: float
    quantity: Quantity
    peak_qty: Quantity
    last_qty: Quantity
    last_px: Price
    currency: Currency
    avg_px_open: float
    avg_px_close: float
    realized_return: float
    realized_pnl: Money
    ts_opened: int
    ts_closed: int
    duration_ns: int
    ts_init: int

    @property
    def ts_event(self) -> int:
        return self.ts_closed


class PositionAdjusted(Event, frozen=True):
    """A position changed without a fill: a commission in the base currency, or funding."""

    trader_id: TraderId
    strategy_id: StrategyId
    instrument_id: InstrumentId
    position_id: PositionId
    account_id: AccountId
    adjustment_type: PositionAdjustmentType
    quantity_change: Decimal | None
    pnl_change: Money | None
    reason: str | None
    ts_event: int
    ts_init: int


class AccountState(Event, frozen=True):
    """All balances and margins of an account: it replaces what was known. `reported`: the venue said so itself."""

    account_id: AccountId
    account_type: AccountType
    base_currency: Currency | None
    reported: bool
    balances: list[AccountBalance]
    margins: list[MarginBalance]
    ts_event: int
    ts_init: int
    info: dict[str, Any] | None = None

    @property
    def is_reported(self) -> bool:
        """NautilusTrader's attribute for what its constructor calls `reported`."""
        return self.reported


class AccountAdjusted(Event, frozen=True):
    """Money came or went without a fill: rollover interest, funding. `amount` is negative if the account paid."""

    account_id: AccountId
    instrument_id: InstrumentId | None
    amount: Money
    reason: str
    position_id: PositionId | None
    ts_event: int
    ts_init: int
