"""The order types. NautilusTrader's names and constructor keywords, except `init_id`: ours is computed.

Market, limit, stop-market and stop-limit orders are executed today. The other five exist, so that their events can be
read and their orders shown, but nothing executes them yet; they are made from an `OrderInitialized` only.

`order_from_init` and `order_from_events` build an order without checking it again: whoever made the event did.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from nautilus_common.messages.events import OrderEvent, OrderInitialized
from nautilus_common.model.enums import (
    ContingencyType,
    OrderSide,
    OrderType,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
)
from nautilus_common.model.identifiers import (
    ClientOrderId,
    ExecAlgorithmId,
    InstrumentId,
    OrderListId,
    StrategyId,
    TraderId,
)
from nautilus_common.model.order_base import Order
from nautilus_common.model.order_states import DuplicateFill, InvalidStateTransition, OrderError, OverfillError
from nautilus_common.model.values import Price, Quantity

__all__ = [
    "DuplicateFill",
    "InvalidStateTransition",
    "LimitIfTouchedOrder",
    "LimitOrder",
    "MarketIfTouchedOrder",
    "MarketOrder",
    "MarketToLimitOrder",
    "Order",
    "OrderError",
    "OverfillError",
    "StopLimitOrder",
    "StopMarketOrder",
    "TrailingStopLimitOrder",
    "TrailingStopMarketOrder",
    "check_order",
    "order_from_events",
    "order_from_init",
]

# Looking a member up in its enum costs 50 ns in Python 3.11; these are for the hot paths.
_BUY = OrderSide.BUY
_SELL = OrderSide.SELL
_MARKET = OrderType.MARKET
_LIMIT = OrderType.LIMIT
_STOP_MARKET = OrderType.STOP_MARKET
_STOP_LIMIT = OrderType.STOP_LIMIT
_GTD = TimeInForce.GTD


def order_from_init(init: OrderInitialized) -> Order:
    """A new order of the type that `init` names."""
    kind = _KINDS[init.order_type]
    order = kind.__new__(kind)
    Order.__init__(order, init)
    return order


def order_from_events(events: Iterable[OrderEvent]) -> Order:
    """The order that these events, the first of them its `OrderInitialized`, have made; overfills are taken again."""
    iterator = iter(events)
    init = next(iterator)
    if not isinstance(init, OrderInitialized):
        raise OrderError(f"an order begins with OrderInitialized, not {type(init).__name__}")
    order = order_from_init(init)
    for event in iterator:
        order.apply(event, allow_overfills=True)
    return order


class _Expiring(Order):
    """What orders with a time in force of GTD share."""

    @property
    def expire_time_ns(self) -> int:
        return self.init_event.expire_time_ns

    @property
    def expire_time(self) -> datetime | None:
        """When the order expires, to the microsecond, or None."""
        if not self.expire_time_ns:
            return None
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.expire_time_ns // 1000)


class _Displayed(Order):
    """What orders that may show only a part of their quantity share."""

    @property
    def display_qty(self) -> Quantity | None:
        return self.init_event.display_qty


class _Triggered(Order):
    """What orders with a trigger share."""

    @property
    def trigger_type(self) -> TriggerType:
        return self.init_event.trigger_type


class _Trailing(Order):
    """What trailing orders share."""

    @property
    def trailing_offset(self) -> Decimal | None:
        return self.init_event.trailing_offset

    @property
    def trailing_offset_type(self) -> TrailingOffsetType:
        return self.init_event.trailing_offset_type

    @property
    def activation_price(self) -> Price | None:
        return self.init_event.activation_price

    @property
    def limit_offset(self) -> Decimal | None:
        return self.init_event.limit_offset


class MarketOrder(Order):
    """Executed at once at the best price there is."""

    def __init__(
        self,
        trader_id: TraderId,
        strategy_id: StrategyId,
        instrument_id: InstrumentId,
        client_order_id: ClientOrderId,
        order_side: OrderSide,
        quantity: Quantity,
        ts_init: int,
        time_in_force: TimeInForce = TimeInForce.GTC,
        reduce_only: bool = False,
        quote_quantity: bool = False,
        contingency_type: ContingencyType = ContingencyType.NO_CONTINGENCY,
        order_list_id: OrderListId | None = None,
        linked_order_ids: list[ClientOrderId] | None = None,
        parent_order_id: ClientOrderId | None = None,
        exec_algorithm_id: ExecAlgorithmId | None = None,
        exec_algorithm_params: dict[str, Any] | None = None,
        exec_spawn_id: ClientOrderId | None = None,
        tags: list[str] | None = None,
    ) -> None:
        init = OrderInitialized(
            trader_id,
            strategy_id,
            instrument_id,
            client_order_id,
            order_side,
            _MARKET,
            quantity,
            ts_init,
            time_in_force=time_in_force,
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            contingency_type=contingency_type,
            order_list_id=order_list_id,
            linked_order_ids=linked_order_ids,
            parent_order_id=parent_order_id,
            exec_algorithm_id=exec_algorithm_id,
            exec_algorithm_params=exec_algorithm_params,
            exec_spawn_id=exec_spawn_id,
            tags=tags,
        )
        check_order(init)
        Order.__init__(self, init)


class LimitOrder(_Expiring, _Displayed, Order):
    """Executed at `price` or better."""

    takes_price = True
    price: Price

    def __init__(
        self,
        trader_id: TraderId,
        strategy_id: StrategyId,
        instrument_id: InstrumentId,
        client_order_id: ClientOrderId,
        order_side: OrderSide,
        quantity: Quantity,
        price: Price,
        ts_init: int,
        time_in_force: TimeInForce = TimeInForce.GTC,
        expire_time_ns: int = 0,
        post_only: bool = False,
        reduce_only: bool = False,
        quote_quantity: bool = False,
        display_qty: Quantity | None = None,
        emulation_trigger: TriggerType = TriggerType.NO_TRIGGER,
        trigger_instrument_id: InstrumentId | None = None,
        contingency_type: ContingencyType = ContingencyType.NO_CONTINGENCY,
        order_list_id: OrderListId | None = None,
        linked_order_ids: list[ClientOrderId] | None = None,
        parent_order_id: ClientOrderId | None = None,
        exec_algorithm_id: ExecAlgorithmId | None = None,
        exec_algorithm_params: dict[str, Any] | None = None,
        exec_spawn_id: ClientOrderId | None = None,
        tags: list[str] | None = None,
    ) -> None:
        init = OrderInitialized(
            trader_id,
            strategy_id,
            instrument_id,
            client_order_id,
            order_side,
            _LIMIT,
            quantity,
            ts_init,
            time_in_force=time_in_force,
            post_only=post_only,
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            price=price,
            expire_time_ns=expire_time_ns,
            display_qty=display_qty,
            emulation_trigger=emulation_trigger,
            trigger_instrument_id=trigger_instrument_id,
            contingency_type=contingency_type,
            order_list_id=order_list_id,
            linked_order_ids=linked_order_ids,
            parent_order_id=parent_order_id,
            exec_algorithm_id=exec_algorithm_id,
            exec_algorithm_params=exec_algorithm_params,
            exec_spawn_id=exec_spawn_id,
            tags=tags,
        )
        check_order(init)
        Order.__init__(self, init)


class StopMarketOrder(_Expiring, _Triggered, Order):
    """A market order once `trigger_price` is touched."""

    takes_trigger_price = True
    trigger_price: Price

    def __init__(
        self,
        trader_id: TraderId,
        strategy_id: StrategyId,
        instrument_id: InstrumentId,
        client_order_id: ClientOrderId,
        order_side: OrderSide,
        quantity: Quantity,
        trigger_price: Price,
        trigger_type: TriggerType,
        ts_init: int,
        time_in_force: TimeInForce = TimeInForce.GTC,
        expire_time_ns: int = 0,
        reduce_only: bool = False,
        quote_quantity: bool = False,
        emulation_trigger: TriggerType = TriggerType.NO_TRIGGER,
        trigger_instrument_id: InstrumentId | None = None,
        contingency_type: ContingencyType = ContingencyType.NO_CONTINGENCY,
        order_list_id: OrderListId | None = None,
        linked_order_ids: list[ClientOrderId] | None = None,
        parent_order_id: ClientOrderId | None = None,
        exec_algorithm_id: ExecAlgorithmId | None = None,
        exec_algorithm_params: dict[str, Any] | None = None,
        exec_spawn_id: ClientOrderId | None = None,
        tags: list[str] | None = None,
    ) -> None:
        init = OrderInitialized(
            trader_id,
            strategy_id,
            instrument_id,
            client_order_id,
            order_side,
            _STOP_MARKET,
            quantity,
            ts_init,
            time_in_force=time_in_force,
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            trigger_price=trigger_price,
            trigger_type=trigger_type,
            expire_time_ns=expire_time_ns,
            emulation_trigger=emulation_trigger,
            trigger_instrument_id=trigger_instrument_id,
            contingency_type=contingency_type,
            order_list_id=order_list_id,
            linked_order_ids=linked_order_ids,
            parent_order_id=parent_order_id,
            exec_algorithm_id=exec_algorithm_id,
            exec_algorithm_params=exec_algorithm_params,
            exec_spawn_id=exec_spawn_id,
            tags=tags,
        )
        check_order(init)
        Order.__init__(self, init)


class StopLimitOrder(_Expiring, _Displayed, _Triggered, Order):
    """A limit order at `price` once `trigger_price` is touched."""

    takes_price = True
    takes_trigger_price = True
    price: Price
    trigger_price: Price

    def __init__(
        self,
        trader_id: TraderId,
        strategy_id: StrategyId,
        instrument_id: InstrumentId,
        client_order_id: ClientOrderId,
        order_side: OrderSide,
        quantity: Quantity,
        price: Price,
        trigger_price: Price,
        trigger_type: TriggerType,
        ts_init: int,
        time_in_force: TimeInForce = TimeInForce.GTC,
        expire_time_ns: int = 0,
        post_only: bool = False,
        reduce_only: bool = False,
        quote_quantity: bool = False,
        display_qty: Quantity | None = None,
        emulation_trigger: TriggerType = TriggerType.NO_TRIGGER,
        trigger_instrument_id: InstrumentId | None = None,
        contingency_type: ContingencyType = ContingencyType.NO_CONTINGENCY,
        order_list_id: OrderListId | None = None,
        linked_order_ids: list[ClientOrderId] | None = None,
        parent_order_id: ClientOrderId | None = None,
        exec_algorithm_id: ExecAlgorithmId | None = None,
        exec_algorithm_params: dict[str, Any] | None = None,
        exec_spawn_id: ClientOrderId | None = None,
        tags: list[str] | None = None,
    ) -> None:
        init = OrderInitialized(
            trader_id,
            strategy_id,
            instrument_id,
            client_order_id,
            order_side,
            _STOP_LIMIT,
            quantity,
            ts_init,
            time_in_force=time_in_force,
            post_only=post_only,
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            price=price,
            trigger_price=trigger_price,
            trigger_type=trigger_type,
            expire_time_ns=expire_time_ns,
            display_qty=display_qty,
            emulation_trigger=emulation_trigger,
            trigger_instrument_id=trigger_instrument_id,
            contingency_type=contingency_type,
            order_list_id=order_list_id,
            linked_order_ids=linked_order_ids,
            parent_order_id=parent_order_id,
            exec_algorithm_id=exec_algorithm_id,
            exec_algorithm_params=exec_algorithm_params,
            exec_spawn_id=exec_spawn_id,
            tags=tags,
        )
        check_order(init)
        Order.__init__(self, init)


class _FromInit(Order):
    """An order type that nothing executes yet: made from its event only."""

    @classmethod
    def create(cls, init: OrderInitialized) -> Self:
        return cls(init)


class MarketToLimitOrder(_Expiring, _Displayed, _FromInit):
    """A market order whose rest stays as a limit order at the price of its fill. Not executed yet."""

    takes_price = True


class MarketIfTouchedOrder(_Expiring, _Triggered, _FromInit):
    """A market order once the price comes as low (a buy) as `trigger_price`. Not executed yet."""

    takes_trigger_price = True


class LimitIfTouchedOrder(_Expiring, _Displayed, _Triggered, _FromInit):
    """A limit order once the price comes as low (a buy) as `trigger_price`. Not executed yet."""

    takes_price = True
    takes_trigger_price = True


class TrailingStopMarketOrder(_Expiring, _Triggered, _Trailing, _FromInit):
    """A stop order whose trigger follows the market. Not executed yet."""

    takes_trigger_price = True


class TrailingStopLimitOrder(_Expiring, _Displayed, _Triggered, _Trailing, _FromInit):
    """A stop-limit order whose prices follow the market. Not executed yet."""

    takes_price = True
    takes_trigger_price = True


#: Indexed by OrderType, whose first member is 1: hashing an enum member runs Python code.
_KINDS: tuple[type[Order], ...] = (
    Order,
    MarketOrder,
    LimitOrder,
    StopMarketOrder,
    StopLimitOrder,
    MarketToLimitOrder,
    MarketIfTouchedOrder,
    LimitIfTouchedOrder,
    TrailingStopMarketOrder,
    TrailingStopLimitOrder,
)


# -- what a hand-made order is checked for ---------------------------------------------------------------------------


def check_order(init: OrderInitialized) -> None:
    """Refuse an order that makes no sense whatever the instrument: TypeError or ValueError says what to do.

    Precision, size and notional limits are the instrument's, and are checked by pre-trade risk.
    """
    quantity = init.quantity
    if type(quantity) is not Quantity:
        raise TypeError(_wrong_type("quantity", quantity, "Quantity", "instrument.make_qty(...)"))
    if quantity.raw <= 0:
        raise ValueError(f"`quantity` must be positive, was {quantity}")
    side = init.order_side
    if side is not _BUY and side is not _SELL:
        raise ValueError(f"`order_side` must be OrderSide.BUY or OrderSide.SELL, was {side!r}")
    kind = init.order_type
    if kind is _MARKET:
        if init.time_in_force is _GTD:
            raise ValueError("`time_in_force` GTD is not possible for a market order")
        return
    _check_expiry(init)
    if kind is _LIMIT or kind is _STOP_LIMIT:
        if type(init.price) is not Price:
            raise TypeError(_wrong_type("price", init.price, "Price", "instrument.make_price(...)"))
        _check_display(init)
    if kind is _STOP_MARKET or kind is _STOP_LIMIT:
        if type(init.trigger_price) is not Price:
            raise TypeError(_wrong_type("trigger_price", init.trigger_price, "Price", "instrument.make_price(...)"))
        if not init.trigger_type:
            raise ValueError("`trigger_type` must not be NO_TRIGGER for a stop order; use TriggerType.DEFAULT")


def _wrong_type(name: str, value: object, expected: str, remedy: str) -> str:
    return f"`{name}` must be a {expected}, as made by {remedy}; was {type(value).__name__} {value!r}"


def _check_expiry(init: OrderInitialized) -> None:
    if init.time_in_force is _GTD:
        if init.expire_time_ns <= 0:
            raise ValueError("`time_in_force` GTD needs an `expire_time` after 1970-01-01")
    elif init.expire_time_ns:
        name = TimeInForce(init.time_in_force).name
        raise ValueError(f"`expire_time` is only possible with `time_in_force` GTD, which was {name}")


def _check_display(init: OrderInitialized) -> None:
    display = init.display_qty
    if display is None:
        return
    if type(display) is not Quantity:
        raise TypeError(_wrong_type("display_qty", display, "Quantity", "instrument.make_qty(...)"))
    if display > init.quantity:
        raise ValueError(f"`display_qty` {display} must not be greater than `quantity` {init.quantity}")
