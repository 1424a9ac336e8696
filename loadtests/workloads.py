"""What each workload runs, and what it is held against; `python -m loadtests` gives each a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests import market
from loadtests.measure import Figures, latency_us, peak_rss_mb, timed

if TYPE_CHECKING:
    from nautilus_fleet import BacktestEngine, Strategy

FOLDER = Path(os.environ.get("FLEET_BENCH") or Path(__file__).parents[1] / ".bench")
WARM_UP_ROWS = 2_000
RUNS = 20
FEW_ORDERS, MANY_ORDERS = 5_000, 50_000

INSTRUMENT = "EUR/USD.SIM"
INSIDE_BARS = f"{INSTRUMENT}-1-MINUTE-MID-INTERNAL"
OUTSIDE_BARS = f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL"


@dataclass(frozen=True)
class Goal:
    """What a figure must reach: at least `limit`, or at most it."""

    figure: str
    limit: float
    at_least: bool = False

    def ratio(self, figures: Figures) -> float:
        """1 or more is reached: measured / goal of a rate, goal / measured of a cost."""
        value = float(figures[self.figure])
        return value / self.limit if self.at_least else self.limit / value


@dataclass(frozen=True)
class Workload:
    """One line of the table. `orders` is how many market or limit orders it must send at its full size."""

    name: str
    title: str
    events: int
    run: Callable[[int], Figures]
    goals: tuple[Goal, ...]
    orders: int | None = None


def measure(workload: Workload, events: int | None = None) -> Figures:
    """Run it in this process. Raises AssertionError when it did not do the work it is measured by."""
    rows = events or workload.events
    figures: Figures = {"workload": workload.name, "events": rows, **workload.run(rows)}
    if rows == workload.events and workload.orders is not None:
        sent = figures["orders"]
        assert sent == workload.orders, f"{workload.name} sent {sent} orders, not {workload.orders}"
    figures.setdefault("events_per_s", round(rows / figures["seconds"]))
    figures.setdefault("peak_rss_mb", peak_rss_mb())
    return figures


# -- engines ---------------------------------------------------------------------------------------------------------


def empty_engine() -> BacktestEngine:
    """The venue and the instrument of the workloads, without data or strategies."""
    from nautilus_common.model.currencies import EUR, USD
    from nautilus_common.model.identifiers import Symbol
    from nautilus_common.model.instruments import CurrencyPair
    from nautilus_fleet import AccountType, BacktestEngine, InstrumentId, Money, OmsType, Price, Quantity, Venue

    instrument = CurrencyPair(
        instrument_id=InstrumentId.from_str(INSTRUMENT),
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
    engine = BacktestEngine()
    engine.add_venue(Venue("SIM"), OmsType.NETTING, AccountType.MARGIN, [Money(10_000_000, USD)], base_currency=USD)
    engine.add_instrument(instrument)
    return engine


def build(
    kind: str, rows: int, strategies: Callable[[Any], list[Strategy]], bar_type: str | None = None
) -> BacktestEngine:
    """An engine, loaded and ready: the first `rows` of the market, and what `strategies` makes for the instrument."""
    from nautilus_common.catalog.columns import DataColumns
    from nautilus_fleet import BarType, InstrumentId

    instrument_id = InstrumentId.from_str(INSTRUMENT)
    engine = empty_engine()
    columns = {name: column[:rows] for name, column in market.load(FOLDER, f"{kind}s").items()}
    ts = columns.pop("ts")
    parsed = None if bar_type is None else BarType.from_str(bar_type)
    engine.add_data(DataColumns(kind, instrument_id, parsed, {"ts_event": ts, "ts_init": ts, **columns}))
    engine.add_strategies(strategies(instrument_id))
    return engine


def run_engine(make: Callable[[int], BacktestEngine], rows: int) -> tuple[BacktestEngine, Figures]:
    """Warm up on few rows, which loads the compiled kernels; then load, and time the run alone."""
    make(min(rows, WARM_UP_ROWS)).run()
    engine = make(rows)
    figures = timed(engine.run)
    return engine, {"orders": engine.cache.orders_total_count(), **figures}


def check_filled(engine: BacktestEngine) -> None:
    """Every order must have been filled: a refused order is cheap, and would flatter the figure."""
    from nautilus_common.model.enums import OrderStatus

    other = [order for order in engine.cache.orders() if order.status != OrderStatus.FILLED]
    assert not other, f"{len(other)} orders were not filled, the first {other[0]}"


# -- workloads -------------------------------------------------------------------------------------------------------


def _empty(count: int) -> Callable[[int], Figures]:
    def run(rows: int) -> Figures:
        from loadtests.strategies import Empty

        return run_engine(lambda n: build("quote", n, lambda i: [Empty(i) for _ in range(count)]), rows)[1]

    return run


def _ema_cross(kind: str, outside: str | None = None, inside: str | None = None) -> Callable[[int], Figures]:
    def run(rows: int) -> Figures:
        from nautilus_fleet import BarType

        from loadtests.strategies import EmaCross

        on = outside or inside
        bar_type = None if on is None else BarType.from_str(on)
        engine, figures = run_engine(lambda n: build(kind, n, lambda i: [EmaCross(i, bar_type)], outside), rows)
        check_filled(engine)
        return figures

    return run


def _requote(rows: int) -> Figures:
    from loadtests.strategies import Requote

    made: list[Requote] = []

    def make(n: int) -> BacktestEngine:
        def strategies(instrument_id: Any) -> list[Strategy]:
            made.append(Requote(instrument_id))
            return [made[-1]]

        return build("quote", n, strategies)

    _, figures = run_engine(make, rows)
    latencies = made[-1].latencies_ns
    assert len(latencies) == rows, f"{rows} orders, but {len(latencies)} were accepted"
    return {**figures, **latency_us(latencies)}


def _cost_per_order(rows: int) -> Figures:
    """Cost per order in a run of few and in a run of many; and, in the latter, of its last orders over its first."""
    from loadtests.strategies import Churn

    made: list[Churn] = []

    def cost(orders: int) -> Figures:
        def strategies(instrument_id: Any) -> list[Strategy]:
            made.append(Churn(instrument_id))
            return [made[-1]]

        engine = build("quote", orders, strategies)
        figures = timed(engine.run)
        check_filled(engine)
        assert engine.cache.orders_total_count() == orders
        return figures

    few = max(1, rows * FEW_ORDERS // MANY_ORDERS)
    cost(min(few, WARM_UP_ROWS))
    small = min(cost(few)["cpu_seconds"] for _ in range(3)) / few * 1e6
    figures = min((cost(rows) for _ in range(2)), key=lambda f: f["cpu_seconds"])
    large = figures["cpu_seconds"] / rows * 1e6
    ticks = made[-1].ticks_ns
    return {
        "orders": rows,
        **figures,
        "us_per_order_few": round(small, 2),
        "us_per_order_many": round(large, 2),
        "growth": round(large / small, 3),
        "growth_inside": round((ticks[-1] - ticks[-1 - few]) / (ticks[few] - ticks[0]), 3) if rows > 2 * few else None,
    }


def _memory(rows: int) -> Figures:
    """Peak memory after the first and after the last of many runs, each with an engine of its own."""
    from loadtests.strategies import EmaCross

    peaks: list[float] = []
    orders = 0

    def run_all() -> None:
        for _ in range(RUNS):
            run_once()

    def run_once() -> None:
        nonlocal orders
        engine = build("quote", rows, lambda i: [EmaCross(i)])
        engine.run()
        orders = engine.cache.orders_total_count()
        engine.dispose()
        peaks.append(peak_rss_mb())

    figures = timed(run_all)
    growth = round(peaks[-1] / peaks[0], 4)
    return {
        "orders": orders,
        **figures,
        "events_per_s": round(rows * RUNS / figures["seconds"]),
        "peak_rss_mb_runs": peaks,
        "growth": growth,
    }


def _cold(rows: int) -> Figures:
    from loadtests.cold import cold_start

    return cold_start(rows, FOLDER)


_ALL = (
    Workload("W1", "quotes, empty on_quote_tick", 1_000_000, _empty(1), (Goal("events_per_s", 3e6, True),)),
    Workload(
        "W2",
        "quotes, EMA cross in Python",
        1_000_000,
        _ema_cross("quote"),
        (Goal("events_per_s", 0.5e6, True),),
        45_577,
    ),
    Workload(
        "W3",
        "quotes to 1-minute bars, EMA cross",
        1_000_000,
        _ema_cross("quote", inside=INSIDE_BARS),
        (Goal("events_per_s", 20e6, True),),
        449,  # of MID bars, as NautilusTrader; the peers that drop the first bar send 448. BID bars would give 443.
    ),
    Workload(
        "W4",
        "bars, EMA cross in Python",
        200_000,
        _ema_cross("bar", outside=OUTSIDE_BARS),
        (Goal("events_per_s", 0.3e6, True),),
        9_142,
    ),
    Workload(
        "W6",
        "limit order in, one out, each quote",
        100_000,
        _requote,
        (Goal("p50_us", 15), Goal("p99_us", 40)),
        100_000,
    ),
    Workload("S1000", "1,000 empty strategies, quotes", 100_000, _empty(1_000), (Goal("seconds", 10),)),
    Workload(
        "O_FLAT", "cost per order, 5,000 to 50,000", MANY_ORDERS, _cost_per_order, (Goal("growth", 1.2),), MANY_ORDERS
    ),
    Workload("MEM20", "peak memory, run 20 over run 1", 100_000, _memory, (Goal("growth", 1.05),), 4_655),
    Workload("COLD", "fleet backtest, fresh process", 1_000, _cold, (Goal("seconds", 1.5),)),
)
WORKLOADS = {workload.name: workload for workload in _ALL}
