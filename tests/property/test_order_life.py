"""Whatever events come in whatever order: an order's sums hold, and closed means closed."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.messages.events import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderUpdated,
)
from nautilus_common.model.currencies import USD
from nautilus_common.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType
from nautilus_common.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_common.model.orders import LimitOrder, OrderError, order_from_events
from nautilus_common.model.values import Money, Price, Quantity, price_from_raw, quantity_from_raw

IDS = (TraderId("T-001"), StrategyId("S-001"), InstrumentId.from_str("EUR/USD.SIM"), ClientOrderId("O-1"))
ACCOUNT = AccountId("SIM-001")
VENUE_IDS = (*IDS, VenueOrderId("V-1"), ACCOUNT)
FEE = Money(1, USD)

QUANTITIES = st.builds(quantity_from_raw, st.integers(1, 60), st.integers(0, 2))
PRICES = st.builds(price_from_raw, st.integers(1, 10**6), st.integers(0, 5))


def fill(trade: int, quantity: Quantity, price: Price, ts: int) -> OrderFilled:
    side, liquidity = OrderSide.BUY, LiquiditySide.TAKER
    head = (*VENUE_IDS, TradeId(f"T-{trade}"), None, side, OrderType.LIMIT)
    return OrderFilled(*head, quantity, price, USD, FEE, liquidity, ts, ts)


TS = st.integers(1, 100)
PLAIN_KINDS = [OrderAccepted, OrderCanceled, OrderExpired, OrderTriggered, OrderPendingUpdate, OrderPendingCancel]
EVENTS: st.SearchStrategy[OrderEvent] = st.one_of(
    st.builds(lambda ts: OrderSubmitted(*IDS, ACCOUNT, ts, ts), TS),
    st.builds(lambda kind, ts: kind(*VENUE_IDS, ts, ts), st.sampled_from(PLAIN_KINDS), TS),
    st.builds(lambda ts: OrderDenied(*IDS, "no", ts), TS),
    st.builds(lambda ts: OrderRejected(*IDS, ACCOUNT, "no", ts, ts), TS),
    st.builds(
        lambda kind, ts: kind(*VENUE_IDS, "no", ts, ts), st.sampled_from([OrderModifyRejected, OrderCancelRejected]), TS
    ),
    st.builds(lambda quantity, ts: OrderUpdated(*VENUE_IDS, quantity, None, None, ts, ts), QUANTITIES, TS),
    st.builds(fill, st.integers(1, 6), QUANTITIES, PRICES, TS),
    st.builds(fill, st.integers(1, 6), QUANTITIES, PRICES, TS),
)


def values_of(order: LimitOrder) -> tuple[Any, ...]:
    return (
        order.status,
        order.quantity,
        order.filled_qty,
        order.leaves_qty,
        order.avg_px,
        order.event_count,
        order.trade_ids,
        order.ts_closed,
        order.ts_last,
        order.venue_order_id,
    )


@settings(max_examples=400)
@given(QUANTITIES, st.booleans(), st.lists(EVENTS, max_size=25), st.booleans())
def test_life_of_an_order(quantity: Quantity, submitted: bool, events: list[OrderEvent], overfills: bool) -> None:
    order = LimitOrder(*IDS, OrderSide.BUY, quantity, Price(1, 0), 1)
    first = [OrderSubmitted(*IDS, ACCOUNT, 1, 1), OrderAccepted(*VENUE_IDS, 1, 1)] if submitted else []
    taken: list[OrderFilled] = []
    for event in [*first, *events]:
        before, status, filled = values_of(order), order.status, order.filled_qty
        was_closed = order.is_closed
        try:
            order.apply(event, allow_overfills=overfills)
        except OrderError:
            assert values_of(order) == before
            continue
        if isinstance(event, OrderFilled):
            taken.append(event)
        assert order.filled_qty >= filled
        assert order.filled_qty + order.leaves_qty == order.quantity + order.overfill_qty
        assert overfills or order.overfill_qty == 0
        if was_closed and not order.is_closed:
            assert status is OrderStatus.CANCELED
            assert isinstance(event, OrderFilled)
        if was_closed and status is not OrderStatus.CANCELED:
            assert order.status is status
        assert bool(order.ts_closed) == order.is_closed
    check_sums(order, taken)
    again = order_from_events(order.events)
    assert values_of(again) == values_of(order)


def check_sums(order: LimitOrder, taken: list[OrderFilled]) -> None:
    total = sum(fill.last_qty.as_decimal() for fill in taken)
    assert order.filled_qty == total
    assert len({fill.trade_id for fill in taken}) == len(taken)
    if taken:
        notional = sum(fill.last_qty.as_decimal() * fill.last_px.as_decimal() for fill in taken)
        assert abs(order.avg_px - float(notional / total)) <= 1e-15 * order.avg_px
    assert len(order.commissions()) == (1 if taken else 0)
