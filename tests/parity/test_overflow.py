"""Numbers that do not fit int64 end in an error that names the instrument, and never wrap."""

from __future__ import annotations

import numpy as np
import pytest
from nautilus_common.catalog.columns import DataColumns
from nautilus_common.limits import RiskEngineConfig
from nautilus_common.model.currencies import USD
from nautilus_common.model.data import BarType
from nautilus_common.model.enums import AccountType, OmsType, OrderSide
from nautilus_common.model.identifiers import Venue
from nautilus_common.model.values import Money, Quantity
from nautilus_common.strategy.strategy import Strategy
from nautilus_fleet.backtest import BacktestEngine, BacktestEngineConfig
from random_runs import SECOND, START, Plan, instruments_of

INSTRUMENT = instruments_of(Plan(0))[0]
HUGE = 2**63 - 1


class Buyer(Strategy):
    """Buys `quantity` on the first quote and again on the second."""

    def __init__(self, quantity: int, bar_type: str | None = None) -> None:
        super().__init__()
        self.quantity = quantity
        self.bar_type = bar_type
        self.sent = 0

    def on_start(self):
        if self.bar_type is not None:
            self.subscribe_bars(BarType.from_str(self.bar_type))
        else:
            self.subscribe_quote_ticks(INSTRUMENT.id)

    def on_quote_tick(self, tick):
        self.sent += 1
        if self.sent <= 2:
            quantity = Quantity.from_raw(self.quantity, INSTRUMENT.size_precision)
            self.submit_order(self.order_factory.market(INSTRUMENT.id, OrderSide.BUY, quantity))


def run(strategy: Strategy, *, price: int = 10_000, size: int = HUGE, bypass: bool = True) -> BacktestEngine:
    engine = BacktestEngine(BacktestEngineConfig(risk_engine=RiskEngineConfig(bypass=bypass)))
    engine.add_venue(Venue("SIM"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)], base_currency=USD)
    engine.add_instrument(INSTRUMENT)
    ts = np.array([START + n * SECOND for n in range(4)], np.int64)
    values = {"bid": price, "ask": price, "bid_size": size, "ask_size": size}
    columns = {"ts_event": ts, "ts_init": ts} | {name: np.full(4, value, np.int64) for name, value in values.items()}
    engine.add_data(DataColumns("quote", INSTRUMENT.id, None, columns))
    engine.add_strategy(strategy)
    engine.run()
    return engine


def test_a_huge_order_is_refused_by_risk():
    engine = run(Buyer(HUGE), bypass=False)
    reasons = [order.last_event.reason for order in engine.cache.orders()]
    assert len(reasons) == 2
    assert all("MARGIN_EXCEEDS_FREE_BALANCE" in reason for reason in reasons)


@pytest.mark.parametrize("quantity", [HUGE, 2**62])
@pytest.mark.parametrize("price", [10_000, HUGE // 2])
def test_a_fill_beyond_int64_names_the_instrument(quantity, price):
    with pytest.raises((OverflowError, ValueError, ArithmeticError)) as caught:
        run(Buyer(quantity), price=price)
    assert str(INSTRUMENT.id) in str(caught.value) + " ".join(getattr(caught.value, "__notes__", []))


@pytest.mark.parametrize("kind", ["3-SECOND-BID", "3-TICK-BID"])
def test_the_volume_of_a_bar_names_the_bar_type(kind):
    with pytest.raises(OverflowError, match=r"AUD/USD\.SIM"):
        run(Buyer(1, f"{INSTRUMENT.id}-{kind}-INTERNAL"))
