"""An order: what it was made as (`OrderInitialized`), and what its events have made of it.

Theory of operation. `apply` finds the handler of the event's type; the handler looks the step up in the table of
`order_states.py` before it changes anything, so that an illegal event leaves the order untouched. Quantities are
summed as integers, and so is price times quantity: `filled_qty`, `leaves_qty`, `avg_px` and `slippage` are derived
from the sums when somebody asks.

Orders are made and changed by the million. What rarely differs from its first value is a class attribute until it
does; what never changes is read from `init_event`.
"""

from decimal import Decimal
from typing import Any

from nautilus_common.messages.events import OrderEvent, OrderFilled, OrderInitialized
from nautilus_common.messages.packed import Packed, pack_order_events, unpack_order_events
from nautilus_common.model.enums import (
    ContingencyType,
    LiquiditySide,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    TimeInForce,
    TriggerType,
)
from nautilus_common.model.identifiers import (
    AccountId,
    ClientOrderId,
    ExecAlgorithmId,
    InstrumentId,
    OrderListId,
    PositionId,
    Symbol,
    TradeId,
    TraderId,
    Venue,
    VenueOrderId,
)
from nautilus_common.model.order_apply import HANDLERS, apply_filled, total_raw_of
from nautilus_common.model.order_states import IS_ACTIVE_LOCAL, IS_CLOSED, IS_INFLIGHT, IS_OPEN, OrderError
from nautilus_common.model.values import (
    POWERS_OF_TEN,
    Currency,
    Money,
    Price,
    Quantity,
    money_from_raw,
    quantity_from_raw,
)

# Looking a member up in its enum costs 50 ns in Python 3.11; these are for the hot paths.
_BUY = OrderSide.BUY
_SELL = OrderSide.SELL
_CANCELED = OrderStatus.CANCELED
_EMULATED = OrderStatus.EMULATED
_PENDING_CANCEL = OrderStatus.PENDING_CANCEL
_PENDING_UPDATE = OrderStatus.PENDING_UPDATE


class Order:
    """The base of the nine order types. Attributes are to be read; only `apply` changes an order."""

    #: Whether this type of order has a limit price, and a trigger price.
    takes_price = False
    takes_trigger_price = False

    status = OrderStatus.INITIALIZED
    venue_order_id: VenueOrderId | None = None
    position_id: PositionId | None = None
    account_id: AccountId | None = None
    last_trade_id: TradeId | None = None
    liquidity_side = LiquiditySide.NO_LIQUIDITY_SIDE
    emulation_trigger = TriggerType.NO_TRIGGER
    is_quote_quantity = False
    is_triggered = False
    ts_triggered = 0
    ts_submitted = 0
    ts_accepted = 0
    ts_closed = 0
    ts_last = 0

    #: Present where the type of order has them.
    price: Price | None
    trigger_price: Price | None

    _previous_status = OrderStatus.INITIALIZED  # before the order was pending
    _fills: dict[TradeId, OrderFilled] | None = None
    _filled_raw = 0  # at _precision
    _notional_raw = 0  # sum of price * quantity, at _px_precision + _precision
    _px_precision = -1

    def __init__(self, init: OrderInitialized) -> None:
        quantity = init.quantity
        self.init_event = init
        self.client_order_id = init.client_order_id
        self.instrument_id = init.instrument_id
        self.strategy_id = init.strategy_id
        self.side = init.order_side
        self.quantity = quantity
        self._precision = quantity.precision
        self._events: list[OrderEvent] = [init]
        if init.price is not None or self.takes_price:
            self.price = init.price
        if init.trigger_price is not None or self.takes_trigger_price:
            self.trigger_price = init.trigger_price
        if init.quote_quantity:
            self.is_quote_quantity = True
        if init.emulation_trigger:
            self.emulation_trigger = init.emulation_trigger

    # -- events ----------------------------------------------------------------------------------------------------

    def apply(self, event: OrderEvent, allow_overfills: bool = False) -> None:
        """Let `event` happen to this order.

        Raises InvalidStateTransition, DuplicateFill or OverfillError (each an OrderError); the order is then as it
        was. With `allow_overfills` a fill for more than is left is taken, and `overfill_qty` says how much more.
        """
        if event.client_order_id != self.client_order_id:
            raise OrderError(f"{type(event).__name__} is for order {event.client_order_id}, not {self.client_order_id}")
        kind = type(event)
        if kind is OrderFilled:
            apply_filled(self, event, allow_overfills)  # type: ignore[arg-type]
        else:
            handler = HANDLERS.get(kind)
            if handler is None:
                raise OrderError(f"order {self.client_order_id} cannot apply a {kind.__name__}")
            handler(self, event)
        self._events.append(event)
        self.ts_last = event.ts_event

    def is_duplicate_fill(self, fill: OrderFilled) -> bool:
        """Whether this very fill (trade id, side, price and quantity) was applied before."""
        known = self._fills.get(fill.trade_id) if self._fills else None
        return known is not None and (
            known.order_side is fill.order_side and known.last_px == fill.last_px and known.last_qty == fill.last_qty
        )

    @property
    def events(self) -> list[OrderEvent]:
        return self._events.copy()

    @property
    def last_event(self) -> OrderEvent:
        return self._events[-1]

    @property
    def event_count(self) -> int:
        return len(self._events)

    @property
    def fills(self) -> list[OrderFilled]:
        return list(self._fills.values()) if self._fills else []

    @property
    def trade_ids(self) -> list[TradeId]:
        return list(self._fills) if self._fills else []

    @property
    def venue_order_ids(self) -> list[VenueOrderId]:
        """All ids that the venue has given the order, the oldest first."""
        return list(dict.fromkeys(event.venue_order_id for event in self._events if event.venue_order_id is not None))

    # -- quantities and prices -------------------------------------------------------------------------------------

    @property
    def filled_qty(self) -> Quantity:
        return quantity_from_raw(self._filled_raw, self._precision)

    @property
    def leaves_qty(self) -> Quantity:
        return quantity_from_raw(max(total_raw_of(self) - self._filled_raw, 0), self._precision)

    @property
    def overfill_qty(self) -> Quantity:
        return quantity_from_raw(max(self._filled_raw - total_raw_of(self), 0), self._precision)

    @property
    def avg_px(self) -> float:
        """Average fill price, the float nearest to the exact one; 0.0 before the first fill."""
        if not self._filled_raw:
            return 0.0
        return self._notional_raw / (self._filled_raw * POWERS_OF_TEN[self._px_precision])

    @property
    def slippage(self) -> float:
        """How much worse than asked for the average fill price is; 0.0 where there was no price to compare with."""
        reference = self._reference_price()
        if reference is None or not self._filled_raw:
            return 0.0
        precision = max(reference.precision, self._px_precision)
        asked = reference.raw * POWERS_OF_TEN[precision - reference.precision] * self._filled_raw
        paid = self._notional_raw * POWERS_OF_TEN[precision - self._px_precision]
        excess = paid - asked if self.side is _BUY else asked - paid
        return excess / (self._filled_raw * POWERS_OF_TEN[precision])

    def _reference_price(self) -> Price | None:
        if self.takes_price:
            return self.price
        return self.trigger_price if self.takes_trigger_price else None

    def signed_decimal_qty(self) -> Decimal:
        """What is left to fill, negative for a sell."""
        leaves = self.leaves_qty.as_decimal()
        return leaves if self.side is _BUY else -leaves

    def commissions(self) -> list[Money]:
        """The sum of the fills' commissions for each currency."""
        sums: dict[Currency, int] = {}
        for fill in self.fills:
            currency = fill.commission.currency
            sums[currency] = sums.get(currency, 0) + fill.commission.raw
        return [money_from_raw(raw, currency) for currency, raw in sums.items()]

    def would_reduce_only(self, position_side: PositionSide, position_qty: Quantity) -> bool:
        """Whether filling what is left could only make a position of this side and quantity smaller."""
        reducing = PositionSide.SHORT if self.side is _BUY else PositionSide.LONG
        return position_side == reducing and self.leaves_qty <= position_qty

    @staticmethod
    def opposite_side(side: OrderSide) -> OrderSide:
        if side == OrderSide.NO_ORDER_SIDE:
            raise ValueError("NO_ORDER_SIDE has no opposite side")
        return OrderSide.SELL if side == OrderSide.BUY else OrderSide.BUY

    @staticmethod
    def closing_side(position_side: PositionSide) -> OrderSide:
        if position_side not in (PositionSide.LONG, PositionSide.SHORT):
            raise ValueError(f"a position that is {PositionSide(position_side).name} has no closing side")
        return OrderSide.SELL if position_side == PositionSide.LONG else OrderSide.BUY

    # -- what the order was made as --------------------------------------------------------------------------------

    @property
    def trader_id(self) -> TraderId:
        return self.init_event.trader_id

    @property
    def symbol(self) -> Symbol:
        return self.instrument_id.symbol

    @property
    def venue(self) -> Venue:
        return self.instrument_id.venue

    @property
    def order_type(self) -> OrderType:
        return self.init_event.order_type

    @property
    def time_in_force(self) -> TimeInForce:
        return self.init_event.time_in_force

    @property
    def is_post_only(self) -> bool:
        return self.init_event.post_only

    @property
    def is_reduce_only(self) -> bool:
        return self.init_event.reduce_only

    @property
    def trigger_instrument_id(self) -> InstrumentId | None:
        return self.init_event.trigger_instrument_id

    @property
    def contingency_type(self) -> ContingencyType:
        return self.init_event.contingency_type

    @property
    def order_list_id(self) -> OrderListId | None:
        return self.init_event.order_list_id

    @property
    def linked_order_ids(self) -> list[ClientOrderId] | None:
        return self.init_event.linked_order_ids

    @property
    def parent_order_id(self) -> ClientOrderId | None:
        return self.init_event.parent_order_id

    @property
    def exec_algorithm_id(self) -> ExecAlgorithmId | None:
        return self.init_event.exec_algorithm_id

    @property
    def exec_algorithm_params(self) -> dict[str, Any] | None:
        return self.init_event.exec_algorithm_params

    @property
    def exec_spawn_id(self) -> ClientOrderId | None:
        return self.init_event.exec_spawn_id

    @property
    def tags(self) -> list[str] | None:
        return self.init_event.tags

    @property
    def init_id(self) -> str:
        return self.init_event.id

    @property
    def ts_init(self) -> int:
        return self.init_event.ts_init

    # -- how the order stands --------------------------------------------------------------------------------------

    @property
    def has_price(self) -> bool:
        return self.takes_price and self.price is not None

    @property
    def has_trigger_price(self) -> bool:
        return self.takes_trigger_price and self.trigger_price is not None

    @property
    def has_activation_price(self) -> bool:
        return self.init_event.activation_price is not None

    @property
    def is_buy(self) -> bool:
        return self.side is _BUY

    @property
    def is_sell(self) -> bool:
        return self.side is _SELL

    @property
    def is_passive(self) -> bool:
        return self.init_event.order_type is not OrderType.MARKET

    @property
    def is_aggressive(self) -> bool:
        return self.init_event.order_type is OrderType.MARKET

    @property
    def is_emulated(self) -> bool:
        return self.status is _EMULATED

    @property
    def is_active_local(self) -> bool:
        return IS_ACTIVE_LOCAL[self.status]

    @property
    def is_inflight(self) -> bool:
        return IS_INFLIGHT[self.status] and not self.emulation_trigger

    @property
    def is_open(self) -> bool:
        return IS_OPEN[self.status] and not self.emulation_trigger

    @property
    def is_closed(self) -> bool:
        return IS_CLOSED[self.status]

    @property
    def is_canceled(self) -> bool:
        return self.status is _CANCELED

    @property
    def is_pending_update(self) -> bool:
        return self.status is _PENDING_UPDATE

    @property
    def is_pending_cancel(self) -> bool:
        return self.status is _PENDING_CANCEL

    @property
    def is_primary(self) -> bool:
        return self.exec_algorithm_id is not None and self.exec_spawn_id == self.client_order_id

    @property
    def is_spawned(self) -> bool:
        return self.exec_algorithm_id is not None and self.exec_spawn_id != self.client_order_id

    @property
    def is_contingency(self) -> bool:
        return self.contingency_type is not ContingencyType.NO_CONTINGENCY

    @property
    def is_parent_order(self) -> bool:
        return self.contingency_type is ContingencyType.OTO

    @property
    def is_child_order(self) -> bool:
        return self.parent_order_id is not None

    # -- text ------------------------------------------------------------------------------------------------------

    def status_string(self) -> str:
        return self.status.name

    def side_string(self) -> str:
        return self.side.name

    def type_string(self) -> str:
        return self.order_type.name

    def tif_string(self) -> str:
        return self.time_in_force.name

    def info(self) -> str:
        """One line: `BUY 100_000 EUR/USD.SIM LIMIT @ 1.10000 GTC`."""
        quantity = self.quantity.to_formatted_str()
        return f"{self.side.name} {quantity} {self.instrument_id} {self._type_and_prices()} {self.time_in_force.name}"

    def _type_and_prices(self) -> str:
        trigger = self.init_event.trigger_type.name
        name = self.order_type.name
        if self.has_trigger_price and self.has_price:
            return f"{name} @ {self.trigger_price}-STOP[{trigger}] {self.price}-LIMIT"
        if self.has_trigger_price:
            return f"{name} @ {self.trigger_price}[{trigger}]"
        return f"{name} @ {self.price}" if self.has_price else name

    def to_dict(self) -> dict[str, object]:
        """The order as plain values, named and shaped as NautilusTrader's reports have them."""
        values: dict[str, object] = {name: _text(getattr(self, name)) for name in _IDENTITY_COLUMNS}
        values["type"] = self.order_type.name
        values.update((name, _text(getattr(self, name))) for name in _STATE_COLUMNS)
        values["commissions"] = [str(money) for money in self.commissions()]
        for name in ("price", "trigger_price", "trigger_type", "expire_time_ns", "display_qty"):
            if hasattr(self, name):
                values[name] = _text(getattr(self, name))
        return values

    @property
    def is_made_of_events(self) -> bool:
        """True when its events say all that it is: no user has put anything on it, and no event holds an object."""
        return self.__dict__.keys() <= _MADE_OF_EVENTS and self.init_event.exec_algorithm_params is None

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Copied and kept as its events, which have made it, and what a user has put beside that."""
        made = (_order_of, (type(self), pack_order_events(self._events)))
        if self.__dict__.keys() <= _MADE_OF_EVENTS:
            return made
        return *made, {name: value for name, value in self.__dict__.items() if name not in _MADE_OF_EVENTS}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and self.client_order_id == other.client_order_id

    def __hash__(self) -> int:
        return hash(self.client_order_id)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.info()}, status={self.status.name}, "
            f"client_order_id={self.client_order_id}, venue_order_id={self.venue_order_id}, "
            f"position_id={self.position_id}, tags={self.tags})"
        )


def _order_of(kind: type[Order], packed: Packed) -> Order:
    init, *events = unpack_order_events(packed)
    order = kind.__new__(kind)
    Order.__init__(order, init)
    for event in events:
        order.apply(event, allow_overfills=True)
    return order


#: The attributes that `__init__` and `apply` set.
_MADE_OF_EVENTS = frozenset(
    {name for name in vars(Order) if isinstance(vars(Order)[name], int | None)}
    | {"init_event", "client_order_id", "instrument_id", "strategy_id", "side", "quantity", "price", "trigger_price"}
    | {"_precision", "_events"}
)

_IDENTITY_COLUMNS = (
    "trader_id",
    "strategy_id",
    "instrument_id",
    "client_order_id",
    "venue_order_id",
    "position_id",
    "account_id",
    "last_trade_id",
)
_STATE_COLUMNS = (
    "side",
    "quantity",
    "time_in_force",
    "is_post_only",
    "is_reduce_only",
    "is_quote_quantity",
    "filled_qty",
    "liquidity_side",
    "avg_px",
    "slippage",
    "emulation_trigger",
    "status",
    "contingency_type",
    "order_list_id",
    "linked_order_ids",
    "parent_order_id",
    "exec_algorithm_id",
    "exec_algorithm_params",
    "exec_spawn_id",
    "tags",
    "init_id",
    "ts_init",
    "ts_last",
)


def _text(value: object) -> object:
    """Numbers, truths, None and dictionaries as they are; enum members by name; all else by its text."""
    if isinstance(value, OrderStatus | OrderSide | OrderType | TimeInForce | LiquiditySide | TriggerType):
        return value.name
    if isinstance(value, ContingencyType):
        return value.name
    if isinstance(value, list):
        return [str(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | dict) else str(value)
