"""What a strategy may ask for, and the permission of risk to do it.

Permission is a type: the execution gateway takes `OrderApproved`, `ModifyApproved`, `CancelOrder` and
`CancelAllOrders`, and nothing else. A cancel only ever lowers risk, so it needs none.
"""

from typing import Any

from nautilus_common.messages.base import Command
from nautilus_common.messages.events import OrderInitialized
from nautilus_common.model.enums import OrderSide
from nautilus_common.model.identifiers import (
    ClientId,
    ClientOrderId,
    ExecAlgorithmId,
    InstrumentId,
    PositionId,
    StrategyId,
    TraderId,
    VenueOrderId,
)
from nautilus_common.model.values import Price, Quantity


class TradingCommand(Command, frozen=True):
    """The base of what a strategy asks for."""

    trader_id: TraderId
    strategy_id: StrategyId


class SubmitOrder(TradingCommand, frozen=True):
    """Send this order. `position_id` names the position it belongs to where the strategy chooses (HEDGING)."""

    order: OrderInitialized
    position_id: PositionId | None
    ts_init: int
    client_id: ClientId | None = None
    params: dict[str, Any] | None = None

    @property
    def instrument_id(self) -> InstrumentId:
        return self.order.instrument_id

    @property
    def client_order_id(self) -> ClientOrderId:
        return self.order.client_order_id

    @property
    def exec_algorithm_id(self) -> ExecAlgorithmId | None:
        return self.order.exec_algorithm_id


class ModifyOrder(TradingCommand, frozen=True):
    """Change quantity or prices of an order; None leaves a value as it is."""

    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None
    quantity: Quantity | None
    price: Price | None
    trigger_price: Price | None
    ts_init: int
    client_id: ClientId | None = None
    params: dict[str, Any] | None = None


class CancelOrder(TradingCommand, frozen=True):
    """Take one order off the book."""

    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None
    ts_init: int
    client_id: ClientId | None = None
    params: dict[str, Any] | None = None


class CancelAllOrders(TradingCommand, frozen=True):
    """Take the strategy's orders in one instrument off the book; NO_ORDER_SIDE means both sides."""

    instrument_id: InstrumentId
    order_side: OrderSide
    ts_init: int
    client_id: ClientId | None = None
    params: dict[str, Any] | None = None


class QueryOrder(TradingCommand, frozen=True):
    """Ask the venue how an order stands."""

    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None
    ts_init: int
    client_id: ClientId | None = None
    params: dict[str, Any] | None = None


class OrderApproved(Command, frozen=True):
    """Risk lets the order pass to its venue."""

    command: SubmitOrder
    ts_init: int


class ModifyApproved(Command, frozen=True):
    """Risk lets the change pass to its venue."""

    command: ModifyOrder
    ts_init: int


class CarryOutHeld(Command, frozen=True):
    """The venue's note to itself: the instrument has its first price, carry out the market orders that waited for
    it.
    """

    instrument_id: InstrumentId
    ts_init: int
