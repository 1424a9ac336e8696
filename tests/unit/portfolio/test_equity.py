"""The equity curve: positions and prices of its own times, whoever else looks at the market."""

from decimal import Decimal

import numpy as np
import pytest
from nautilus_common.catalog.columns import DataColumns
from nautilus_common.model.currencies import AUD, USD
from nautilus_fleet import (
    AccountType,
    BacktestEngine,
    BacktestEngineConfig,
    CurrencyPair,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    Strategy,
    Symbol,
    Venue,
)

SECOND = 10**9
ROWS = 600
AUDUSD = InstrumentId.from_str("AUD/USD.SIM")
PAIR = CurrencyPair(
    AUDUSD,
    Symbol("AUD/USD"),
    AUD,
    USD,
    5,
    0,
    Price.from_str("0.00001"),
    Quantity.from_int(1),
    0,
    0,
    margin_init=Decimal("0.03"),
    margin_maint=Decimal("0.03"),
)


class InAndOut(Strategy):
    """Buys at row 100 and sells at row 400."""

    def on_start(self) -> None:
        self.subscribe_quote_ticks(AUDUSD)
        self.rows = 0

    def on_quote_tick(self, tick: object) -> None:
        self.rows += 1
        if self.rows in (100, 400):
            side = OrderSide.BUY if self.rows == 100 else OrderSide.SELL
            self.submit_order(self.order_factory.market(AUDUSD, side, Quantity.from_int(100_000)))


def curve(block_rows: int | None) -> list[tuple[int, float, float]]:
    engine = BacktestEngine(BacktestEngineConfig(block_rows=block_rows, equity_interval_ns=10 * SECOND))
    engine.add_venue(Venue("SIM"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)], base_currency=USD)
    engine.add_instrument(PAIR)
    ts = np.arange(1, ROWS + 1, dtype=np.int64) * SECOND
    price = 70_000 + np.arange(ROWS, dtype=np.int64)
    size = np.full(ROWS, 10**6, dtype=np.int64)
    columns = {"ts_event": ts, "ts_init": ts, "bid": price, "ask": price, "bid_size": size, "ask_size": size}
    engine.add_data(DataColumns("quote", AUDUSD, None, columns))
    engine.add_strategy(InAndOut())
    engine.run()
    return engine.equity_points["SIM-001", "USD"]


def expected(ts: int) -> tuple[float, float]:
    """(balance, unrealised) just before the row at `ts`: one point a row, bought at 0.70099 and sold at 0.70399."""
    row = ts // SECOND - 1
    if row < 100:
        return 1_000_000.0, 0.0
    if row < 400:
        return 1_000_000.0, pytest.approx(row - 100)
    return 1_000_300.0, 0.0


@pytest.mark.parametrize("block_rows", [None, 7, 250])
def test_every_point_has_the_prices_and_positions_of_its_time(block_rows: int | None) -> None:
    points = curve(block_rows)
    grid = [ts for ts, _, _ in points[1:-1]]
    assert grid == [k * 10 * SECOND for k in range(1, ROWS // 10 + 1)]
    for ts, balance, unrealized in points[1:-1]:
        assert (balance, unrealized) == expected(ts), ts
    assert points[0] == (SECOND, 1_000_000.0, 0.0)
    assert points[-1] == (ROWS * SECOND, 1_000_300.0, 0.0)
