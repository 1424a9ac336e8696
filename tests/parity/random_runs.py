"""Random markets and strategies, made from a seed: what the scheduler and the naive reference loop are run over."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random

import numpy as np
from nautilus_common.catalog.columns import DataColumns
from nautilus_common.model.currencies import AUD, USD, USDT
from nautilus_common.model.data import Bar, BarType
from nautilus_common.model.enums import AccountType, OmsType, OrderSide, TimeInForce, TriggerType
from nautilus_common.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_common.model.instruments import CryptoPerpetual, CurrencyPair, Instrument
from nautilus_common.model.values import Money, Price, Quantity
from nautilus_common.strategy.indicators import AverageTrueRange, ExponentialMovingAverage
from nautilus_common.strategy.strategy import Strategy
from nautilus_common.venues.simulated.models import FillModel, LatencyModel
from nautilus_fleet.backtest import BacktestEngine, BacktestEngineConfig

START = 1_704_239_985_000_000_000  # 2024-01-02T23:59:45Z: DAY orders expire within the run
SECOND = 1_000_000_000
TENTH = SECOND // 10
BAR_COLUMNS = ("ts_event", "ts_init", "open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Plan:
    """One run: everything follows from it."""

    seed: int
    block_rows: int | None = None
    latency_ns: int = 0
    streams: int = 3
    instruments: int = 2
    venues: int = 2
    hedging: bool = False
    probability: float = 1.0
    rows: int = 60
    strategies: tuple[str, ...] = ("Maker", "Stopper", "Trader", "Changer")


def instruments_of(plan: Plan) -> list[Instrument]:
    first = CurrencyPair(
        InstrumentId.from_str("AUD/USD.SIM"),
        Symbol("AUD/USD"),
        AUD,
        USD,
        4,
        0,
        Price.from_str("0.0001"),
        Quantity.from_int(1),
        0,
        0,
        margin_init=Decimal("0.03"),
        margin_maint=Decimal("0.03"),
        maker_fee=Decimal("0.00002"),
        taker_fee=Decimal("0.00005"),
    )
    second = CryptoPerpetual(
        InstrumentId.from_str("TST-PERP." + ("ALT" if plan.venues > 1 else "SIM")),
        Symbol("TST-PERP"),
        AUD,
        USD,
        USD,
        False,
        2,
        1,
        Price.from_str("0.01"),
        Quantity.from_str("0.1"),
        0,
        0,
        margin_init=Decimal("0.05"),
        margin_maint=Decimal("0.025"),
        maker_fee=Decimal("-0.0001"),
        taker_fee=Decimal("0.0005"),
    )
    return [first, second][: plan.instruments]


# -- market data -----------------------------------------------------------------------------------------------------


def times(random: Random, rows: int) -> list[int]:
    """Rising times on a grid of 100 ms, often equal, sometimes far apart."""
    now, result = START, []
    for _ in range(rows):
        now += random.choice((0, 0, 1, 1, 2, 3, 5, 10, 27)) * TENTH
        result.append(now)
    return result


def walk(random: Random, rows: int) -> list[int]:
    price, result = 10_000, []
    for _ in range(rows):
        price += random.choice((-3, -2, -1, -1, 0, 0, 0, 1, 1, 2, 3))
        result.append(price)
    return result


def quote_rows(random: Random, rows: int) -> dict[str, list[int]]:
    ts, bid = times(random, rows), walk(random, rows)
    ask = [price + random.choice((0, 1, 1, 2, 4)) for price in bid]
    sizes = [[random.choice((0, 1, 3, 10, 100)) * 10 for _ in range(rows)] for _ in range(2)]
    return {"ts_event": ts, "ts_init": ts, "bid": bid, "ask": ask, "bid_size": sizes[0], "ask_size": sizes[1]}


def trade_rows(random: Random, rows: int) -> dict[str, list[int]]:
    ts = times(random, rows)
    size = [random.choice((1, 2, 30)) * 10 for _ in range(rows)]
    side = [random.choice((0, 1, 2)) for _ in range(rows)]
    return {
        "ts_event": ts,
        "ts_init": ts,
        "price": walk(random, rows),
        "size": size,
        "aggressor": side,
        "trade_id": list(range(1, rows + 1)),
    }


def bar_rows(
    random: Random, rows: int, shift: int = 0, like: dict[str, list[int]] | None = None
) -> dict[str, list[int]]:
    """Bars; `like` gives those of the other side, at the same times and `shift` higher or more."""
    if like is not None:
        table = {name: list(column) for name, column in like.items()}
        for row in range(rows):
            more = [shift + random.choice((0, 1, 2)) for _ in range(4)]
            opened, high, low, close = (like[name][row] + m for name, m in zip(BAR_COLUMNS[2:6], more, strict=True))
            table["open"][row], table["close"][row] = opened, close
            table["high"][row], table["low"][row] = max(opened, high, low, close), min(opened, high, low, close)
        return table
    ts = [START + (index + 1) * SECOND for index in range(rows)]
    prices = walk(random, rows * 4)
    table = {name: [] for name in BAR_COLUMNS}
    for row in range(rows):
        opened, one, two, close = prices[4 * row : 4 * row + 4]
        four = (opened, one, two, close)
        values = (ts[row], ts[row], opened, max(four), min(four), close, random.choice((0, 7, 40, 400)))
        for name, value in zip(BAR_COLUMNS, values, strict=True):
            table[name].append(value)
    return table


def streams_of(plan: Plan, instruments: list[Instrument]) -> list[DataColumns]:
    """Quotes of the first instrument, then quotes, trades or bars of any."""
    random = Random(plan.seed)
    found: list[DataColumns] = []

    def add(kind: str, instrument: Instrument, rows: dict[str, list[int]], bar_type: str | None = None) -> None:
        columns = {name: np.array(column, np.int64) for name, column in rows.items()}
        name = None if bar_type is None else BarType.from_str(f"{instrument.id}-1-SECOND-{bar_type}-EXTERNAL")
        found.append(DataColumns(kind, instrument.id, name, columns))

    last = instruments[-1]
    add("quote", instruments[0], quote_rows(random, plan.rows))
    # The second instrument has one kind only, so that each rule of matching is met.
    choice = (
        random.choice(("quote", "trade", "bar", "bars")) if len(instruments) > 1 else random.choice(("trade", "none"))
    )
    if choice == "quote":
        add("quote", last, quote_rows(random, plan.rows))
    elif choice == "trade":
        add("trade", last, trade_rows(random, plan.rows))
    elif choice == "bar":
        add("bar", last, bar_rows(random, plan.rows // 2), "LAST")
    elif choice == "bars":
        bid = bar_rows(random, plan.rows // 2)
        sides = [("BID", bid), ("ASK", bar_rows(random, plan.rows // 2, 1, bid))]
        if random.random() < 0.5:
            sides.reverse()
        for price_type, rows in sides:
            add("bar", last, rows, price_type)
    if len(found) < plan.streams and random.random() < 0.7:
        add("trade", instruments[0], trade_rows(random, plan.rows))
    random.shuffle(found)
    return found[: max(plan.streams, 1)]


# -- strategies ------------------------------------------------------------------------------------------------------


class Base(Strategy):
    """A strategy that decides by chance; `wishes` records every instant at which a timer or an expiry may be due."""

    def __init__(self, plan: Plan, number: int, instruments: list[Instrument], wishes: list[int]) -> None:
        super().__init__()
        self.random = Random(plan.seed * 100 + number)
        self.instruments = instruments
        self.wishes = wishes
        self.prices: dict[InstrumentId, int] = {}
        self.sent = 0

    def pick(self) -> Instrument:
        return self.random.choice(self.instruments)

    def watch_all(self) -> None:
        for instrument in self.instruments:
            self.subscribe_quote_ticks(instrument.id)
            self.subscribe_trade_ticks(instrument.id)
            for price_type in ("LAST", "BID", "ASK"):
                self.subscribe_bars(BarType.from_str(f"{instrument.id}-1-SECOND-{price_type}-EXTERNAL"))

    def on_quote_tick(self, tick):
        self.prices[tick.instrument_id] = tick.bid_price.raw
        self.tick(tick.instrument_id)

    def on_trade_tick(self, tick):
        self.prices[tick.instrument_id] = tick.price.raw
        self.tick(tick.instrument_id)

    def on_bar(self, bar):
        if bar.close.precision == self.cache.instrument(bar.bar_type.instrument_id).price_precision:
            self.prices[bar.bar_type.instrument_id] = bar.close.raw
        self.tick(bar.bar_type.instrument_id)

    def tick(self, instrument_id: InstrumentId) -> None:
        """Something was seen in `instrument_id`."""

    def side(self) -> OrderSide:
        return self.random.choice((OrderSide.BUY, OrderSide.SELL))

    def quantity(self, instrument: Instrument) -> Quantity:
        return Quantity.from_raw(self.random.choice((1, 3, 10, 25, 60, 200)) * 10, instrument.size_precision)

    def near(self, instrument: Instrument, least: int, most: int) -> Price:
        return Price.from_raw(
            self.prices.get(instrument.id, 10_000) + self.random.randint(least, most), instrument.price_precision
        )

    def life(self) -> dict[str, object]:
        """A time in force, with its expiry."""
        choice = self.random.choice(
            (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK)
        )
        if choice != TimeInForce.GTD:
            return {"time_in_force": choice}
        expire = self.clock.timestamp_ns() + self.random.choice((1, 7, 20, 50)) * TENTH
        expire -= expire % 1000
        self.wishes.append(expire)
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=expire // 1000)
        return {"time_in_force": choice, "expire_time": moment}

    def on_stop(self):
        for instrument in self.instruments:
            self.cancel_all_orders(instrument.id)
            self.close_all_positions(instrument.id)


class Maker(Base):
    """Quotes both sides, re-quotes often, by cancel or by modify."""

    def on_start(self):
        self.watch_all()

    def tick(self, instrument_id):
        instrument = self.cache.instrument(instrument_id)
        if self.random.random() < 0.5:
            return
        working = self.cache.orders_open(instrument_id=instrument_id, strategy_id=self.id)
        if working and self.random.random() < 0.4:
            order = self.random.choice(working)
            self.modify_order(order, self.quantity(instrument), self.near(instrument, -3, 3))
            return
        if self.random.random() < 0.3:
            self.cancel_all_orders(instrument_id, self.random.choice((OrderSide.NO_ORDER_SIDE, OrderSide.BUY)))
        else:
            for order in working[:2]:
                self.cancel_order(order)
        for side, low, high in ((OrderSide.BUY, -3, 1), (OrderSide.SELL, 0, 4)):
            order = self.order_factory.limit(
                instrument_id,
                side,
                self.quantity(instrument),
                self.near(instrument, low, high),
                post_only=self.random.random() < 0.3,
                reduce_only=self.random.random() < 0.15,
                **self.life(),
            )
            self.submit_order(order)


class Stopper(Base):
    """Stops on both sides of the market; answers fills with more orders."""

    def on_start(self):
        self.watch_all()

    def tick(self, instrument_id):
        if self.random.random() < 0.7:
            return
        instrument = self.cache.instrument(instrument_id)
        side = self.side()
        sign = 1 if side == OrderSide.BUY else -1
        trigger = Price.from_raw(
            self.prices.get(instrument_id, 10_000) + sign * self.random.randint(-1, 5), instrument.price_precision
        )
        what = self.random.choice((TriggerType.DEFAULT, TriggerType.LAST_PRICE, TriggerType.BID_ASK))
        life = self.life()
        if self.random.random() < 0.5:
            order = self.order_factory.stop_market(
                instrument_id, side, self.quantity(instrument), trigger, what, **life
            )
        else:
            limit = Price.from_raw(trigger.raw + self.random.randint(-2, 2), instrument.price_precision)
            order = self.order_factory.stop_limit(
                instrument_id, side, self.quantity(instrument), limit, trigger, what, **life
            )
        self.submit_order(order)

    def on_order_filled(self, event):
        self.sent += 1
        if self.sent < 40 and self.random.random() < 0.3:
            instrument = self.cache.instrument(event.instrument_id)
            order = self.order_factory.limit(
                event.instrument_id,
                OrderSide.SELL if event.order_side == OrderSide.BUY else OrderSide.BUY,
                event.last_qty,
                self.near(instrument, -2, 2),
                reduce_only=self.random.random() < 0.5,
            )
            self.submit_order(order, position_id=event.position_id if self.random.random() < 0.5 else None)


class Trader(Base):
    """Market orders on internal bars and timers; averages; asks the portfolio."""

    def on_start(self):
        first, last = self.instruments[0].id, self.instruments[-1].id
        self.ema = ExponentialMovingAverage(3)
        self.atr = AverageTrueRange(3)
        kinds = [f"{first}-1-SECOND-BID-INTERNAL", f"{first}-2-SECOND-MID-INTERNAL", f"{first}-7-TICK-ASK-INTERNAL"]
        kinds += [f"{last}-400-VOLUME-LAST-INTERNAL", f"{first}-3-SECOND-BID-INTERNAL@1-SECOND-INTERNAL"]
        chosen = [kind for kind in kinds if self.random.random() < 0.6] or kinds[:1]
        for kind in chosen:
            bar_type = BarType.from_str(kind)
            self.register_indicator_for_bars(bar_type, self.ema)
            self.register_indicator_for_bars(bar_type, self.atr)
            self.subscribe_bars(bar_type)
        every = self.random.choice((3, 7, 10)) * TENTH
        self.wishes += [START + every * n for n in range(1, 2000)]
        self.clock.set_timer_ns("every", every, START, callback=self.on_timer if self.random.random() < 0.5 else None)
        if self.random.random() < 0.3:
            self.trade(self.instruments[0])  # before there is any price

    def on_bar(self, bar: Bar):
        if bar.close.precision == self.cache.instrument(bar.bar_type.instrument_id).price_precision:
            self.prices[bar.bar_type.instrument_id] = bar.close.raw
        if self.random.random() < 0.4:
            self.trade(self.cache.instrument(bar.bar_type.instrument_id))

    def on_timer(self, event):
        self.on_time_event(event)

    def on_time_event(self, event):
        if self.random.random() < 0.3:
            self.trade(self.pick())

    def trade(self, instrument):
        self.sent += 1
        if self.sent > 60:
            return
        if self.ema.initialized and self.ema.value % 1e-3 > 5e-4 and self.portfolio.is_net_long(instrument.id):
            self.close_all_positions(instrument.id)
            return
        tif = self.random.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK))
        self.submit_order(self.order_factory.market(instrument.id, self.side(), self.quantity(instrument), tif))


class Changer(Base):
    """Subscribes and unsubscribes, sets and cancels timers, in callbacks; the last alerts are for now."""

    def on_start(self):
        self.subscribe_quote_ticks(self.instruments[0].id)
        self.wishes.append(START + 25 * TENTH)
        self.clock.set_time_alert_ns("Begin", START + 25 * TENTH)

    def tick(self, instrument_id):
        self.sent += 1
        action = self.random.randrange(9)
        other = self.pick()
        bar_type = BarType.from_str(f"{other.id}-1-SECOND-BID-INTERNAL")
        ticks = BarType.from_str(f"{other.id}-{self.random.choice((2, 3))}-TICK-BID-INTERNAL")
        now = self.clock.timestamp_ns()
        if action == 0:
            self.subscribe_trade_ticks(other.id)
        elif action == 1:
            self.unsubscribe_trade_ticks(other.id)
        elif action == 2:
            self.subscribe_bars(bar_type)
        elif action == 3:
            self.unsubscribe_bars(bar_type)
        elif action == 4:
            self.subscribe_bars(ticks)
        elif action == 5:
            self.unsubscribe_bars(ticks)
        elif action == 6:
            when = now + self.random.choice((0, 0, 1, 13)) * TENTH
            self.wishes.append(when)
            self.clock.set_time_alert_ns(f"Z{self.sent}", when)
        elif action == 7 and self.clock.timer_names:
            self.clock.cancel_timer(self.clock.timer_names[0])
        elif self.random.random() < 0.3 and self.sent < 40:
            self.submit_order(
                self.order_factory.market(
                    instrument_id, self.side(), self.quantity(self.cache.instrument(instrument_id))
                )
            )

    def on_time_event(self, event):
        self.tick(self.instruments[0].id)


STRATEGIES = {cls.__name__: cls for cls in (Maker, Stopper, Trader, Changer)}


def build(plan: Plan, wishes: list[int] | None = None, event_log: Path | None = None) -> BacktestEngine:
    """A backtest engine with everything of `plan` added, not run."""
    wishes = [] if wishes is None else wishes
    engine = BacktestEngine(
        BacktestEngineConfig(block_rows=plan.block_rows, equity_interval_ns=3 * SECOND, event_log=event_log)
    )
    instruments = instruments_of(plan)
    for name in dict.fromkeys(instrument.id.venue.value for instrument in instruments):
        engine.add_venue(
            Venue(name),
            OmsType.HEDGING if plan.hedging else OmsType.NETTING,
            AccountType.MARGIN,
            [Money(1_000_000, USD)] if name == "SIM" else [Money(1_000_000, USD), Money(5, USDT)],
            base_currency=USD if name == "SIM" else None,
            fill_model=FillModel(plan.probability, 1.0 - plan.probability, plan.seed),
            latency_model=LatencyModel(plan.latency_ns) if plan.latency_ns else None,
            bar_adaptive_high_low_ordering=plan.seed % 2 == 0,
        )
    for instrument in instruments:
        engine.add_instrument(instrument)
    for data in streams_of(plan, instruments):
        engine.add_data(data)
    for number, name in enumerate(plan.strategies):
        engine.add_strategy(STRATEGIES[name](plan, number, instruments, wishes))
    return engine
