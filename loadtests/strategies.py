"""The strategies of the workloads, as a user of the platform writes them."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from nautilus_fleet import Bar, BarType, InstrumentId, OrderSide, Price, Quantity, QuoteTick, Strategy

FAST, SLOW = 10, 20


class Empty(Strategy):
    """W1, S1000: hears every quote and does nothing."""

    def __init__(self, instrument_id: InstrumentId) -> None:
        super().__init__()
        self.instrument_id = instrument_id

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        pass


class EmaCross(Strategy):
    """W2, W3, W4: two averages in plain Python; one market order a cross, the first of size s, then 2s to turn."""

    def __init__(self, instrument_id: InstrumentId, bar_type: BarType | None = None) -> None:
        super().__init__()
        self.instrument_id = instrument_id
        self.bar_type = bar_type
        self.size = Quantity.from_int(100_000)
        self.double = Quantity.from_int(200_000)
        self.fast = self.slow = 0.0
        self.fast_weight = 2.0 / (FAST + 1)
        self.slow_weight = 2.0 / (SLOW + 1)
        self.count = 0
        self.above: bool | None = None

    def on_start(self) -> None:
        if self.bar_type is None:
            self.subscribe_quote_ticks(self.instrument_id)
        else:
            self.subscribe_bars(self.bar_type)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.update((tick.bid_price.as_double() + tick.ask_price.as_double()) / 2)

    def on_bar(self, bar: Bar) -> None:
        self.update(bar.close.as_double())

    def update(self, price: float) -> None:
        self.count = count = self.count + 1
        if count == 1:
            self.fast = self.slow = price
            return
        self.fast = fast = self.fast + self.fast_weight * (price - self.fast)
        self.slow = slow = self.slow + self.slow_weight * (price - self.slow)
        if count >= SLOW and (above := fast >= slow) is not self.above:
            first = self.above is None
            self.above = above
            self.turn(self.size if first else self.double)

    def turn(self, size: Quantity) -> None:
        side = OrderSide.BUY if self.above else OrderSide.SELL
        self.submit_order(self.order_factory.market(self.instrument_id, side, size))


class Requote(Strategy):
    """W6: on each quote a limit order far from the market, and the one before it canceled; times each to acceptance."""

    def __init__(self, instrument_id: InstrumentId) -> None:
        super().__init__()
        self.instrument_id = instrument_id
        self.price = Price.from_str("0.50000")
        self.size = Quantity.from_int(100_000)
        self.order: Any = None
        self.sent_ns = 0
        self.latencies_ns: list[int] = []

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        previous = self.order
        self.order = self.order_factory.limit(self.instrument_id, OrderSide.BUY, self.size, self.price)
        self.sent_ns = perf_counter_ns()
        self.submit_order(self.order)
        if previous is not None:
            self.cancel_order(previous)

    def on_order_accepted(self, event: object) -> None:
        self.latencies_ns.append(perf_counter_ns() - self.sent_ns)


class Churn(Strategy):
    """O_FLAT: turns its position round on every quote, asking the portfolio which way it is."""

    def __init__(self, instrument_id: InstrumentId) -> None:
        super().__init__()
        self.instrument_id = instrument_id
        self.first = Quantity.from_int(1_000)
        self.size = Quantity.from_int(2_000)
        self.ticks_ns: list[int] = []

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.ticks_ns.append(perf_counter_ns())
        size = self.first if self.portfolio.is_flat(self.instrument_id) else self.size
        side = OrderSide.SELL if self.portfolio.is_net_long(self.instrument_id) else OrderSide.BUY
        self.submit_order(self.order_factory.market(self.instrument_id, side, size))
