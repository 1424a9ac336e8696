"""Every step of an order's life, legal and illegal, against the table of the specification written again as text."""

import pytest
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
from nautilus_common.model.currencies import USD
from nautilus_common.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType, TriggerType
from nautilus_common.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_common.model.order_states import TRANSITIONS
from nautilus_common.model.orders import (
    DuplicateFill,
    InvalidStateTransition,
    LimitOrder,
    Order,
    OrderError,
    OverfillError,
    StopLimitOrder,
    order_from_events,
)
from nautilus_common.model.values import Money, Price, Quantity

# features.md 5b, with our additions at its end: risk answers after SUBMITTED, when the order may have been changed or
# canceled already; a stop triggers while its cancel travels.
SPECIFICATION = """
INITIALIZED: DENIED, EMULATED, RELEASED, SUBMITTED, REJECTED, ACCEPTED, CANCELED, EXPIRED, TRIGGERED
EMULATED: CANCELED, EXPIRED, RELEASED
RELEASED: DENIED, SUBMITTED, CANCELED
SUBMITTED: PENDING_UPDATE, PENDING_CANCEL, REJECTED, CANCELED, ACCEPTED, PARTIALLY_FILLED, FILLED
ACCEPTED: REJECTED, PENDING_UPDATE, PENDING_CANCEL, CANCELED, TRIGGERED, EXPIRED, PARTIALLY_FILLED, FILLED
CANCELED: PARTIALLY_FILLED, FILLED
PENDING_UPDATE: REJECTED, ACCEPTED, CANCELED, EXPIRED, TRIGGERED, SUBMITTED=PENDING_UPDATE, PENDING_UPDATE
PENDING_UPDATE: PENDING_CANCEL, PARTIALLY_FILLED, FILLED
PENDING_CANCEL: REJECTED, PENDING_CANCEL, CANCELED, EXPIRED, ACCEPTED, PARTIALLY_FILLED, FILLED
TRIGGERED: REJECTED, PENDING_UPDATE, PENDING_CANCEL, CANCELED, EXPIRED, PARTIALLY_FILLED, FILLED
PARTIALLY_FILLED: PENDING_UPDATE, PENDING_CANCEL, CANCELED, EXPIRED, PARTIALLY_FILLED, FILLED
SUBMITTED: DENIED
PENDING_UPDATE: DENIED
PENDING_CANCEL: DENIED, TRIGGERED=PENDING_CANCEL
"""

EXPECTED: dict[tuple[str, str], str] = {}
for line in SPECIFICATION.strip().splitlines():
    source, targets = line.split(": ")
    for target in targets.split(", "):
        pointed, _, result = target.partition("=")
        EXPECTED[source, pointed] = result or pointed

TRADER = TraderId("TESTER-001")
STRATEGY = StrategyId("S-001")
INSTRUMENT = InstrumentId.from_str("EUR/USD.SIM")
ORDER = ClientOrderId("O-1")
VENUE_ORDER = VenueOrderId("SIM-1-001")
ACCOUNT = AccountId("SIM-001")
IDS = (TRADER, STRATEGY, INSTRUMENT, ORDER)
VENUE_IDS = (*IDS, VENUE_ORDER, ACCOUNT)

STATUSES = [status for status in OrderStatus if status is not OrderStatus.VOIDED]


def limit_order(quantity: str = "10") -> LimitOrder:
    return LimitOrder(*IDS, OrderSide.BUY, Quantity.from_str(quantity), Price.from_str("1.50"), 1)


def fill(quantity: str, price: str = "1.50", trade: str = "T-1", side: OrderSide = OrderSide.BUY) -> OrderFilled:
    return OrderFilled(
        *VENUE_IDS,
        TradeId(trade),
        None,
        side,
        OrderType.LIMIT,
        Quantity.from_str(quantity),
        Price.from_str(price),
        USD,
        Money(0.5, USD),
        LiquiditySide.MAKER,
        9,
        9,
    )


def updated(quantity: str = "10", price: str | None = None) -> OrderUpdated:
    new_price = None if price is None else Price.from_str(price)
    return OrderUpdated(*VENUE_IDS, Quantity.from_str(quantity), new_price, None, 8, 8)


def event_to(status: OrderStatus) -> OrderEvent:
    """The event that points at `status`, for an order of 10."""
    match status:
        case OrderStatus.DENIED:
            return OrderDenied(*IDS, "too much", 9)
        case OrderStatus.EMULATED:
            return OrderEmulated(*IDS, 9)
        case OrderStatus.RELEASED:
            return OrderReleased(*IDS, Price.from_str("1.50"), 9)
        case OrderStatus.SUBMITTED:
            return OrderSubmitted(*IDS, ACCOUNT, 9, 9)
        case OrderStatus.ACCEPTED:
            return OrderAccepted(*VENUE_IDS, 9, 9)
        case OrderStatus.REJECTED:
            return OrderRejected(*IDS, ACCOUNT, "no", 9, 9)
        case OrderStatus.PARTIALLY_FILLED:
            return fill("1", trade="T-part")
        case OrderStatus.FILLED:
            return fill("10", trade="T-all")
    kinds = {
        OrderStatus.CANCELED: OrderCanceled,
        OrderStatus.EXPIRED: OrderExpired,
        OrderStatus.TRIGGERED: OrderTriggered,
        OrderStatus.PENDING_UPDATE: OrderPendingUpdate,
        OrderStatus.PENDING_CANCEL: OrderPendingCancel,
    }
    return kinds[status](*VENUE_IDS, 9, 9)


def order_in(status: OrderStatus) -> LimitOrder:
    order = limit_order()
    order.status = status
    return order


@pytest.mark.parametrize("target", [status for status in STATUSES if status is not OrderStatus.INITIALIZED])
@pytest.mark.parametrize("source", STATUSES)
def test_each_step_is_as_specified(source: OrderStatus, target: OrderStatus) -> None:
    order, event = order_in(source), event_to(target)
    expected = EXPECTED.get((source.name, target.name))
    if expected is None:
        with pytest.raises(InvalidStateTransition) as raised:
            order.apply(event)
        for part in ("O-1", source.name, type(event).__name__):
            assert part in str(raised.value)
        assert order.status is source
        assert order.event_count == 1
    else:
        order.apply(event)
        assert order.status is OrderStatus[expected]
        assert order.last_event is event


def test_table_holds_nothing_else() -> None:
    actual = {
        (source.name, target.name): result.name
        for source in OrderStatus
        for target in OrderStatus
        if (result := TRANSITIONS[source][target]) is not None
    }
    assert actual == EXPECTED


@pytest.mark.parametrize("status", STATUSES)
def test_status_groups(status: OrderStatus) -> None:
    order, name = order_in(status), status.name
    assert order.is_active_local == (name in ["INITIALIZED", "EMULATED", "RELEASED"])
    assert order.is_inflight == (name in ["SUBMITTED", "PENDING_UPDATE", "PENDING_CANCEL"])
    assert order.is_open == (name in ["ACCEPTED", "TRIGGERED", "PENDING_UPDATE", "PENDING_CANCEL", "PARTIALLY_FILLED"])
    assert order.is_closed == (name in ["DENIED", "REJECTED", "CANCELED", "EXPIRED", "FILLED"])


def applied(*events: OrderEvent) -> LimitOrder:
    order = limit_order()
    for event in events:
        order.apply(event)
    return order


SUBMITTED = event_to(OrderStatus.SUBMITTED)
ACCEPTED = event_to(OrderStatus.ACCEPTED)
TRIGGERED = event_to(OrderStatus.TRIGGERED)
PENDING_UPDATE = event_to(OrderStatus.PENDING_UPDATE)
PENDING_CANCEL = event_to(OrderStatus.PENDING_CANCEL)
CANCEL_REJECTED = OrderCancelRejected(*VENUE_IDS, "late", 9, 9)
MODIFY_REJECTED = OrderModifyRejected(*VENUE_IDS, "late", 9, 9)

BEFORE_PENDING = [
    ([SUBMITTED], OrderStatus.SUBMITTED),
    ([SUBMITTED, ACCEPTED], OrderStatus.ACCEPTED),
    ([SUBMITTED, ACCEPTED, TRIGGERED], OrderStatus.TRIGGERED),
    ([SUBMITTED, ACCEPTED, fill("1")], OrderStatus.PARTIALLY_FILLED),
]


@pytest.mark.parametrize(("events", "status"), BEFORE_PENDING)
@pytest.mark.parametrize(
    "pending",
    [
        [PENDING_CANCEL, CANCEL_REJECTED],
        [PENDING_CANCEL, PENDING_CANCEL, CANCEL_REJECTED],
        [PENDING_UPDATE, PENDING_CANCEL, CANCEL_REJECTED],
        [PENDING_UPDATE, MODIFY_REJECTED],
        [PENDING_UPDATE, PENDING_UPDATE, updated()],
        [PENDING_UPDATE, updated()],
    ],
)
def test_an_answer_gives_the_previous_status_back(
    events: list[OrderEvent], status: OrderStatus, pending: list[OrderEvent]
) -> None:
    assert applied(*events, *pending).status is status


@pytest.mark.parametrize("status", STATUSES)
def test_rejected_change_says_nothing_to_an_order_that_is_not_pending(status: OrderStatus) -> None:
    if status in (OrderStatus.PENDING_UPDATE, OrderStatus.PENDING_CANCEL):
        return
    order = order_in(status)
    order.apply(CANCEL_REJECTED)
    order.apply(MODIFY_REJECTED)
    assert order.status is status


@pytest.mark.parametrize("status", STATUSES)
def test_an_update_is_legal_wherever_the_order_is_alive(status: OrderStatus) -> None:
    order = order_in(status)
    if order.is_closed:
        with pytest.raises(InvalidStateTransition):
            order.apply(updated("7", "1.40"))
        assert order.quantity == 10
        return
    order._previous_status = OrderStatus.ACCEPTED
    order.apply(updated("7", "1.40"))
    assert (order.quantity, order.price) == (Quantity.from_str("7"), Price.from_str("1.40"))
    assert order.status is (OrderStatus.ACCEPTED if status is OrderStatus.PENDING_UPDATE else status)


def test_modify_as_measured_on_nautilus_trader() -> None:
    """porting.md A1 12: PendingUpdate, then Updated; PendingCancel, then Canceled."""
    order = applied(SUBMITTED, ACCEPTED, PENDING_UPDATE)
    assert order.is_pending_update
    order.apply(updated("7", "1.40"))
    assert (order.status_string(), str(order.quantity), str(order.price)) == ("ACCEPTED", "7", "1.40")
    order.apply(PENDING_CANCEL)
    assert order.is_pending_cancel
    order.apply(event_to(OrderStatus.CANCELED))
    assert order.is_canceled
    assert (order.ts_submitted, order.ts_accepted, order.ts_closed, order.ts_last) == (9, 9, 9, 9)


def test_update_below_what_is_filled_is_refused() -> None:
    order = applied(SUBMITTED, ACCEPTED, fill("4"))
    with pytest.raises(OrderError, match="4 is filled"):
        order.apply(updated("3"))
    order.apply(updated("6"))
    assert order.leaves_qty == 2


def test_fills_add_up_exactly() -> None:
    order = applied(SUBMITTED, ACCEPTED, fill("3", "1.50", "T-1"), fill("3", "1.499", "T-2"))
    assert (order.filled_qty, order.leaves_qty) == (Quantity(6, 0), Quantity(4, 0))
    assert order.avg_px == 1.4995
    assert order.slippage == -0.0005
    order.apply(fill("3.75", "1.50", "T-3"))
    assert (str(order.filled_qty), str(order.leaves_qty)) == ("9.75", "0.25")
    order.apply(fill("0.25", "1.50", "T-4"))
    assert order.status is OrderStatus.FILLED
    assert [str(trade_id) for trade_id in order.trade_ids] == ["T-1", "T-2", "T-3", "T-4"]
    assert order.commissions() == [Money(2, USD)]
    assert (order.liquidity_side, order.last_trade_id) == (LiquiditySide.MAKER, TradeId("T-4"))


def test_slippage_of_a_sell_is_positive_when_it_sold_lower() -> None:
    order = LimitOrder(*IDS, OrderSide.SELL, Quantity(1, 0), Price.from_str("2"), 1)
    order.apply(SUBMITTED)
    order.apply(fill("1", "1.75", side=OrderSide.SELL))
    assert order.slippage == 0.25


def test_duplicate_fills() -> None:
    order = applied(SUBMITTED, fill("3"))
    assert order.is_duplicate_fill(fill("3"))
    assert not order.is_duplicate_fill(fill("4"))
    assert not order.is_duplicate_fill(fill("3", "1.51"))
    assert not order.is_duplicate_fill(fill("3", trade="T-2"))
    for again in (fill("3"), fill("4")):
        with pytest.raises(DuplicateFill, match="T-1"):
            order.apply(again)
    assert order.filled_qty == 3


def test_overfill_is_refused_unless_allowed() -> None:
    order = applied(SUBMITTED, fill("8"))
    with pytest.raises(OverfillError, match="2 left of 10"):
        order.apply(fill("3", trade="T-2"))
    assert (order.filled_qty, order.status) == (8, OrderStatus.PARTIALLY_FILLED)
    order.apply(fill("3", trade="T-2"), allow_overfills=True)
    assert (order.filled_qty, order.leaves_qty, order.overfill_qty) == (11, 0, 1)
    assert order.status is OrderStatus.FILLED
    copy = order_from_events(order.events)
    assert (copy.overfill_qty, copy.status, copy.avg_px) == (1, OrderStatus.FILLED, order.avg_px)


def test_late_fill_reopens_a_canceled_order() -> None:
    order = applied(SUBMITTED, ACCEPTED, event_to(OrderStatus.CANCELED), fill("4"))
    assert order.is_open
    assert order.ts_closed == 0
    order.apply(fill("6", trade="T-2"))
    assert order.status is OrderStatus.FILLED


def test_event_of_another_order_is_refused() -> None:
    other = OrderSubmitted(TRADER, STRATEGY, INSTRUMENT, ClientOrderId("O-2"), ACCOUNT, 1, 1)
    with pytest.raises(OrderError, match="O-2"):
        limit_order().apply(other)
    with pytest.raises(OrderError, match="OrderInitialized"):
        limit_order().apply(limit_order().init_event)


def test_stop_limit_order() -> None:
    order = StopLimitOrder(
        *IDS, OrderSide.BUY, Quantity(10_000, 0), Price.from_str("1.51"), Price.from_str("1.50"), TriggerType.DEFAULT, 1
    )
    assert order.info() == "BUY 10_000 EUR/USD.SIM STOP_LIMIT @ 1.50-STOP[DEFAULT] 1.51-LIMIT GTC"
    for event in (SUBMITTED, ACCEPTED, TRIGGERED):
        order.apply(event)
    assert order.is_triggered
    assert order.ts_triggered == 9
    assert order.has_price
    assert order.has_trigger_price


def test_orders_are_one_when_their_ids_are() -> None:
    assert limit_order() == limit_order()
    assert {limit_order(): 1}[limit_order()] == 1
    assert Order.opposite_side(OrderSide.BUY) is OrderSide.SELL
