"""The peer's side of the workloads: `python -m loadtests.peers.nautilus W1 [EVENTS]` in an environment that has it.

Same data, same strategies in its own names, same instrument, fees and account; logging is off and no statistics are
computed in the run, which is how it is fastest as it comes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import EUR, USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import QuoteTickDataWrangler
from nautilus_trader.trading.strategy import Strategy

from loadtests import market
from loadtests.measure import latency_us, peak_rss_mb, timed

FOLDER = Path(os.environ.get("FLEET_BENCH") or Path(__file__).parents[2] / ".bench")
WARM_UP_ROWS = 2_000
INSTRUMENT_ID = InstrumentId.from_str("EUR/USD.SIM")
INSIDE_BARS = BarType.from_str("EUR/USD.SIM-1-MINUTE-MID-INTERNAL")
OUTSIDE_BARS = BarType.from_str("EUR/USD.SIM-1-MINUTE-LAST-EXTERNAL")
FAST, SLOW = 10, 20


class Empty(Strategy):
    def on_start(self):
        self.subscribe_quote_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, tick):
        pass


class EmaCross(Strategy):
    def __init__(self, config, bar_type=None):
        super().__init__(config)
        self.bar_type = bar_type
        self.size = Quantity.from_int(100_000)
        self.double = Quantity.from_int(200_000)
        self.fast = self.slow = 0.0
        self.fast_weight = 2.0 / (FAST + 1)
        self.slow_weight = 2.0 / (SLOW + 1)
        self.count = 0
        self.above = None

    def on_start(self):
        if self.bar_type is None:
            self.subscribe_quote_ticks(INSTRUMENT_ID)
        else:
            self.subscribe_bars(self.bar_type)

    def on_quote_tick(self, tick):
        self.update((tick.bid_price.as_double() + tick.ask_price.as_double()) / 2)

    def on_bar(self, bar):
        self.update(bar.close.as_double())

    def update(self, price):
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

    def turn(self, size):
        side = OrderSide.BUY if self.above else OrderSide.SELL
        self.submit_order(self.order_factory.market(INSTRUMENT_ID, side, size))


class Requote(Strategy):
    def __init__(self, config):
        super().__init__(config)
        self.price = Price.from_str("0.50000")
        self.size = Quantity.from_int(100_000)
        self.order = None
        self.sent_ns = 0
        self.latencies_ns = []

    def on_start(self):
        self.subscribe_quote_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, tick):
        previous = self.order
        self.order = self.order_factory.limit(INSTRUMENT_ID, OrderSide.BUY, self.size, self.price)
        self.sent_ns = perf_counter_ns()
        self.submit_order(self.order)
        if previous is not None:
            self.cancel_order(previous)

    def on_order_accepted(self, event):
        self.latencies_ns.append(perf_counter_ns() - self.sent_ns)


def instrument() -> CurrencyPair:
    return CurrencyPair(
        instrument_id=INSTRUMENT_ID,
        raw_symbol=Symbol("EUR/USD"),
        base_currency=EUR,
        quote_currency=USD,
        price_precision=5,
        size_precision=0,
        price_increment=Price.from_str("0.00001"),
        size_increment=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal("0.03"),
        margin_maint=Decimal("0.03"),
        maker_fee=Decimal("0.00002"),
        taker_fee=Decimal("0.00002"),
    )


def quotes(rows: int) -> list[Any]:
    columns = {name: column[:rows] for name, column in market.load(FOLDER, "quotes").items()}
    frame = pd.DataFrame(
        {
            "bid_price": columns["bid"] / 1e5,
            "ask_price": columns["ask"] / 1e5,
            "bid_size": columns["bid_size"].astype(float),
            "ask_size": columns["ask_size"].astype(float),
        },
        index=pd.to_datetime(columns["ts"], utc=True),
    )
    return QuoteTickDataWrangler(instrument()).process(frame)


def bars(rows: int) -> list[Any]:
    columns = {name: column[:rows] for name, column in market.load(FOLDER, "bars").items()}
    prices = [columns[name] / 1e5 for name in ("open", "high", "low", "close")]
    ts = columns["ts"].astype(np.uint64)
    return Bar.from_raw_arrays_to_list(OUTSIDE_BARS, 5, 0, *prices, columns["volume"].astype(float), ts, ts)


def build(data: list[Any], strategies: list[Strategy]) -> BacktestEngine:
    config = BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False)
    engine = BacktestEngine(config=config)
    engine.add_venue(
        venue=Venue("SIM"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(10_000_000, USD)],
        default_leverage=Decimal(10),
    )
    engine.add_instrument(instrument())
    engine.add_data(data)
    engine.add_strategies(strategies)
    return engine


def config(number: int = 0) -> StrategyConfig:
    return StrategyConfig(order_id_tag=f"{number:03d}")


WORKLOADS: dict[str, tuple[Callable[[int], list[Any]], Callable[[], list[Strategy]]]] = {
    "W1": (quotes, lambda: [Empty(config())]),
    "W2": (quotes, lambda: [EmaCross(config())]),
    "W3": (quotes, lambda: [EmaCross(config(), INSIDE_BARS)]),
    "W4": (bars, lambda: [EmaCross(config(), OUTSIDE_BARS)]),
    "W6": (quotes, lambda: [Requote(config())]),
    "S1000": (quotes, lambda: [Empty(config(number)) for number in range(1_000)]),
}


def main() -> None:
    name, rows = sys.argv[1], int(sys.argv[2])
    load, make = WORKLOADS[name]
    warm = build(load(min(rows, WARM_UP_ROWS)), make())
    warm.run()
    warm.dispose()
    strategies = make()
    engine = build(load(rows), strategies)
    figures = {"workload": name, "events": rows, **timed(engine.run), "orders": engine.cache.orders_total_count()}
    figures["events_per_s"] = round(rows / figures["seconds"])
    figures["peak_rss_mb"] = peak_rss_mb()
    if name == "W6":
        figures |= latency_us(strategies[0].latencies_ns)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
