"""What is true of the simulated venue whatever the market and the orders are."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.messages.events import OrderFilled
from nautilus_common.model.enums import OmsType, OrderSide, OrderType
from nautilus_common.testkit.scenario import Scenario, ScriptedStrategy
from nautilus_common.venues.simulated.models import FillModel, LatencyModel
from nautilus_fleet.backtest import BacktestEngine

TICKS = st.integers(-8, 8)
CLOSED = {"OrderFilled", "OrderCanceled", "OrderExpired", "OrderRejected", "OrderDenied"}


def price(ticks: int) -> str:
    return f"{0.7 + ticks * 0.00001:.5f}"


action = st.tuples(
    st.sampled_from(["market", "limit", "stop", "stop_limit", "cancel", "modify", "cancel_all", "close"]),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(1, 30),
    TICKS,
    TICKS,
    st.sampled_from(["GTC", "IOC", "FOK", "DAY"]),
    st.booleans(),
    st.booleans(),
)
rows = st.lists(
    st.tuples(TICKS, st.integers(0, 3), st.integers(1, 20), st.integers(1, 20), st.lists(action, max_size=3)),
    min_size=2,
    max_size=25,
)


def act(s: ScriptedStrategy, what: tuple[Any, ...]) -> None:
    kind, side, quantity, first, second, tif, reduce_only, post_only = what
    if kind == "market":
        s.market(side, quantity, tif="GTC" if tif == "DAY" else tif, reduce_only=reduce_only)
    elif kind == "limit":
        post_only = post_only and tif in ("GTC", "DAY")
        s.limit(side, quantity, price(first), tif=tif, reduce_only=reduce_only, post_only=post_only)
    elif kind == "stop":
        s.stop_market(side, quantity, price(first), tif=tif, reduce_only=reduce_only)
    elif kind == "stop_limit":
        s.stop_limit(side, quantity, price(first), price(second), tif=tif, reduce_only=reduce_only)
    elif kind == "cancel" and s.orders:
        s.cancel_order(s.orders[quantity % len(s.orders)])
    elif kind == "modify" and s.orders:
        order = s.orders[quantity % len(s.orders)]
        if order.order_type == OrderType.LIMIT:
            s.modify_order(order, quantity=s.instrument.make_qty(quantity), price=s.instrument.make_price(price(first)))
    elif kind == "cancel_all":
        s.cancel_all_orders(s.instrument.id)
    elif kind == "close":
        s.close_all_positions(s.instrument.id)


class Watcher(ScriptedStrategy):
    """Checks each event as it comes."""

    def __init__(self, instrument: Any) -> None:
        super().__init__(instrument)
        self.fills: list[OrderFilled] = []
        self.limits: dict[Any, tuple[str, Any]] = {}
        self.closed: dict[Any, str] = {}

    def on_order_event(self, event: Any) -> None:
        name = type(event).__name__
        order = self.cache.order(event.client_order_id)
        if order is None:
            return
        assert order.client_order_id not in self.closed or name.endswith("Rejected"), (
            f"{name} after {self.closed[order.client_order_id]}"
        )
        assert order.filled_qty <= order.quantity
        assert order.filled_qty + order.leaves_qty == order.quantity
        if isinstance(event, OrderFilled):
            self.fills.append(event)
            limit = getattr(order, "price", None)
            if limit is not None:
                better = event.last_px <= limit if event.order_side == OrderSide.BUY else event.last_px >= limit
                assert better, f"{event.last_px} is worse than the limit {limit} of a {event.order_side.name}"
        if order.is_closed:
            self.closed[order.client_order_id] = name


@settings(max_examples=150, deadline=None)
@given(
    market=rows,
    hedging=st.booleans(),
    probability=st.sampled_from([0.0, 0.5, 1.0]),
    latency_ns=st.sampled_from([0, 700_000_000, 1_000_000_000]),
    kind=st.sampled_from(["quotes", "trades"]),
)
def test_invariants(market: Any, hedging: bool, probability: float, latency_ns: int, kind: str) -> None:
    engine = BacktestEngine()
    built = Scenario(engine).venue(
        oms_type=OmsType.HEDGING if hedging else OmsType.NETTING,
        fill_model=FillModel(prob_fill_on_limit=probability, prob_slippage=probability, random_seed=1),
        latency_model=LatencyModel(latency_ns) if latency_ns else None,
    )
    watcher = Watcher(built.instrument)
    built.strategy(watcher)
    built._strategies.pop(0)
    if kind == "quotes":
        built.quotes(*((t, price(bid), price(bid + gap), a, b) for t, (bid, gap, a, b, _) in enumerate(market, 1)))
    else:
        built.trades(*((t, price(bid), a) for t, (bid, _, a, _, _) in enumerate(market, 1)))
    for row, (*_, actions) in enumerate(market, 1):
        for what in actions:
            built.on_row(row, lambda s, what=what: act(s, what))
    built.run()

    fills = [f for order in engine.cache.orders() for f in order.fills]  # those after the stop, too
    assert len(fills) >= len(watcher.fills)
    signed = sum(f.last_qty.as_decimal() * (1 if f.order_side == OrderSide.BUY else -1) for f in fills)
    assert engine.portfolio.net_position(built.instrument.id) == signed
    positions = engine.cache.positions_open()
    assert sum(p.signed_decimal_qty() for p in positions) == signed
    if not hedging:
        assert len(positions) <= 1
    for order in watcher.orders:
        own = [f for f in fills if f.client_order_id == order.client_order_id]
        assert sum(f.last_qty.as_decimal() for f in own) == order.filled_qty.as_decimal()
        assert len({f.trade_id for f in own}) == len(own)
        if order.is_reduce_only:
            assert (
                order.order_type != OrderType.MARKET
                or order.is_closed
                or latency_ns
                or order.status.name == "SUBMITTED"
            )
    account = engine.portfolio.account(built.instrument.id.venue)
    for balance in account.balances().values():
        assert balance.total.raw == balance.locked.raw + balance.free.raw
    if not positions and not engine.cache.orders_open():
        assert all(balance.locked.raw == 0 for balance in account.balances().values())
