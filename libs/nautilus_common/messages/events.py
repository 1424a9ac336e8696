"""Order events and timer events; NautilusTrader's names and field order.

They differ from NautilusTrader's in two things. There is no `event_id` argument: the `id` property is computed from
the content. And `OrderInitialized` is flat: what NautilusTrader keeps in its `options` dictionary are fields with
defaults, so that a market order is small on the wire. All `ts_*` are UTC nanoseconds.

The events of positions and accounts are in `ledger.py` and can be imported from here too.
"""

from decimal import Decimal
from typing import Any

from nautilus_common.messages.base import Event
from nautilus_common.messages.ledger import (
    AccountAdjusted,
    AccountBalance,
    AccountState,
    MarginBalance,
    PositionAdjusted,
    PositionChanged,
    PositionClosed,
    PositionEvent,
    PositionOpened,
)
from nautilus_common.model.enums import (
    ContingencyType,
    LiquiditySide,
    OrderSide,
    OrderType,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
)
from nautilus_common.model.identifiers import (
    AccountId,
    ClientOrderId,
    ExecAlgorithmId,
    InstrumentId,
    OrderListId,
    PositionId,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_common.model.values import Currency, Money, Price, Quantity

__all__ = [
    "AccountAdjusted",
    "AccountBalance",
    "AccountState",
    "MarginBalance",
    "OrderAccepted",
    "OrderCancelRejected",
    "OrderCanceled",
    "OrderDenied",
    "OrderEmulated",
    "OrderEvent",
    "OrderExpired",
    "OrderFilled",
    "OrderInitialized",
    "OrderModifyRejected",
    "OrderPendingCancel",
    "OrderPendingUpdate",
    "OrderRejected",
    "OrderReleased",
    "OrderSubmitted",
    "OrderTriggered",
    "OrderUpdated",
    "PositionAdjusted",
    "PositionChanged",
    "PositionClosed",
    "PositionEvent",
    "PositionOpened",
    "TimeEvent",
]

# Looking a member up in its enum costs 50 ns in Python 3.11.
_BUY = OrderSide.BUY
_SELL = OrderSide.SELL


class OrderEvent(Event, frozen=True):
    """The base of the 16 order events. What an event does not carry reads as None, False, or `ts_init`."""

    trader_id: TraderId
    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId

    @property
    def venue_order_id(self) -> VenueOrderId | None:
        return None

    @property
    def account_id(self) -> AccountId | None:
        return None

    @property
    def reconciliation(self) -> bool:
        return False

    @property
    def ts_event(self) -> int:
        return self.ts_init

    @property
    def ts_init(self) -> int:
        raise NotImplementedError("every order event has a `ts_init` field")


class OrderInitialized(OrderEvent, frozen=True):
    """An order as the strategy made it: all that never changes, and the first values of what may."""

    order_side: OrderSide
    order_type: OrderType
    quantity: Quantity
    ts_init: int
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    quote_quantity: bool = False
    price: Price | None = None
    trigger_price: Price | None = None
    trigger_type: TriggerType = TriggerType.NO_TRIGGER
    expire_time_ns: int = 0
    display_qty: Quantity | None = None
    limit_offset: Decimal | None = None
    trailing_offset: Decimal | None = None
    trailing_offset_type: TrailingOffsetType = TrailingOffsetType.NO_TRAILING_OFFSET
    activation_price: Price | None = None
    emulation_trigger: TriggerType = TriggerType.NO_TRIGGER
    trigger_instrument_id: InstrumentId | None = None
    contingency_type: ContingencyType = ContingencyType.NO_CONTINGENCY
    order_list_id: OrderListId | None = None
    linked_order_ids: list[ClientOrderId] | None = None
    parent_order_id: ClientOrderId | None = None
    exec_algorithm_id: ExecAlgorithmId | None = None
    exec_algorithm_params: dict[str, Any] | None = None
    exec_spawn_id: ClientOrderId | None = None
    tags: list[str] | None = None
    reconciliation: bool = False

    @property
    def side(self) -> OrderSide:
        """NautilusTrader's attribute for what its constructor calls `order_side`."""
        return self.order_side


class OrderDenied(OrderEvent, frozen=True):
    """Pre-trade risk refused the order; `reason` says which check."""

    reason: str
    ts_init: int


class OrderEmulated(OrderEvent, frozen=True):
    """The order is held locally by the emulator."""

    ts_init: int


class OrderReleased(OrderEvent, frozen=True):
    """The emulator let the order go at `released_price`."""

    released_price: Price
    ts_init: int


class OrderSubmitted(OrderEvent, frozen=True):
    """The order has left for the venue."""

    account_id: AccountId
    ts_event: int
    ts_init: int


class OrderAccepted(OrderEvent, frozen=True):
    """The venue took the order and gave it its own id."""

    venue_order_id: VenueOrderId
    account_id: AccountId
    ts_event: int
    ts_init: int
    reconciliation: bool = False


class OrderRejected(OrderEvent, frozen=True):
    """The venue definitely refused the order."""

    account_id: AccountId
    reason: str
    ts_event: int
    ts_init: int
    reconciliation: bool = False
    due_post_only: bool = False


class OrderCanceled(OrderEvent, frozen=True):
    """The venue took the order off the book."""

    venue_order_id: VenueOrderId | None
    account_id: AccountId | None
    ts_event: int
    ts_init: int
    reconciliation: bool = False


class OrderExpired(OrderEvent, frozen=True):
    """The order's time in force ran out."""

    venue_order_id: VenueOrderId | None
    account_id: AccountId | None
    ts_event: int
    ts_init: int
    reconciliation: bool = False


class OrderTriggered(OrderEvent, frozen=True):
    """The order's trigger price was touched."""

    venue_order_id: VenueOrderId | None
    account_id: AccountId | None
    ts_event: int
    ts_init: int
    reconciliation: bool = False


class OrderPendingUpdate(OrderEvent, frozen=True):
    """A change of the order has left for the venue."""

    venue_order_id: VenueOrderId | None
    account_id: AccountId | None
    ts_event: int
    ts_init: int
    reconciliation: bool = False


class OrderPendingCancel(OrderEvent, frozen=True):
    """A cancel of the order has left for the venue."""

    venue_order_id: VenueOrderId | None
    account_id: AccountId | None
    ts_event: int
    ts_init: int
    reconciliation: bool = False


class OrderModifyRejected(OrderEvent, frozen=True):
    """The change was refused; the order stands as it was."""

    venue_order_id: VenueOrderId | None
    account_id: AccountId | None
    reason: str
    ts_event: int
    ts_init: int
    reconciliation: bool = False


class OrderCancelRejected(OrderEvent, frozen=True):
    """The cancel was refused; the order stands as it was."""

    venue_order_id: VenueOrderId | None
    account_id: AccountId | None
    reason: str
    ts_event: int
    ts_init: int
    reconciliation: bool = False


class OrderUpdated(OrderEvent, frozen=True):
    """The order now has this quantity, and these prices where they are not None."""

    venue_order_id: VenueOrderId | None
    account_id: AccountId | None
    quantity: Quantity
    price: Price | None
    trigger_price: Price | None
    ts_event: int
    ts_init: int
    reconciliation: bool = False
    is_quote_quantity: bool = False


class OrderFilled(OrderEvent, frozen=True):
    """One execution of the order. A trade id comes once for an order."""

    venue_order_id: VenueOrderId
    account_id: AccountId
    trade_id: TradeId
    position_id: PositionId | None
    order_side: OrderSide
    order_type: OrderType
    last_qty: Quantity
    last_px: Price
    currency: Currency
    commission: Money
    liquidity_side: LiquiditySide
    ts_event: int
    ts_init: int
    reconciliation: bool = False
    info: dict[str, Any] | None = None

    @property
    def is_buy(self) -> bool:
        return self.order_side is _BUY

    @property
    def is_sell(self) -> bool:
        return self.order_side is _SELL


class TimeEvent(Event, frozen=True):
    """A timer or an alert of a clock was due at `ts_event`."""

    name: str
    ts_event: int
    ts_init: int
