"""A small market and a scripted strategy, for tests of strategies and of the platform: what happened is read as text.

    run = (
        Scenario(BacktestEngine())
        .quotes((0, "0.70000", "0.70010"), (1, "0.70010", "0.70020"))
        .on_row(1, lambda s: s.market("BUY", 100_000))
        .run()
    )
    assert run.lines == ["0 row", "0 OrderInitialized 1", ...]

Times are seconds from 1970, prices are texts. The engine is given, not made, so that this package knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_common.messages.events import (
    OrderEvent,
    OrderFilled,
    OrderUpdated,
    PositionChanged,
    PositionClosed,
    PositionEvent,
    PositionOpened,
    TimeEvent,
)
from nautilus_common.model.currencies import AUD, USD
from nautilus_common.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_common.model.enums import AccountType, AggressorSide, OmsType, OrderSide, TimeInForce
from nautilus_common.model.identifiers import InstrumentId, PositionId, Symbol, TradeId, Venue
from nautilus_common.model.instruments import CurrencyPair
from nautilus_common.model.orders import Order
from nautilus_common.model.values import Currency, Money, Price, Quantity
from nautilus_common.strategy.config import StrategyConfig
from nautilus_common.strategy.strategy import Strategy

SECOND_NS = 1_000_000_000

Action = Callable[["ScriptedStrategy"], object]


def currency_pair(
    instrument_id: str = "AUD/USD.SIM",
    base: Currency = AUD,
    quote: Currency = USD,
    *,
    price_precision: int = 5,
    size_precision: int = 0,
    maker_fee: str = "0",
    taker_fee: str = "0",
    margin: str = "0.03",
    **more: Any,
) -> CurrencyPair:
    """A currency pair without fees, margin 3 %, unless said otherwise; `more` are further constructor arguments."""
    name = InstrumentId.from_str(instrument_id)
    return CurrencyPair(
        name,
        Symbol(name.symbol.value),
        base,
        quote,
        price_precision,
        size_precision,
        Price(10**-price_precision, price_precision),
        Quantity(10**-size_precision, size_precision),
        0,
        0,
        margin_init=Decimal(margin),
        margin_maint=Decimal(margin),
        maker_fee=Decimal(maker_fee),
        taker_fee=Decimal(taker_fee),
        **more,
    )


def seconds_ns(seconds: float) -> int:
    """Nanoseconds of a time in seconds, exact to the microsecond."""
    return round(seconds * 1_000_000) * 1_000


class ScriptedStrategy(Strategy):
    """Does what its script says at the n-th row, event or time, and writes down each callback as a line of text.

    With `levels` it also writes the general handlers (`on_order_event`, `on_event`) that follow the specific ones.
    """

    def __init__(self, instrument: Any, config: StrategyConfig | None = None, *, levels: bool = False) -> None:
        super().__init__(config)
        self.instrument = instrument
        self.lines: list[str] = []
        self.levels = levels
        self.orders: list[Order] = []
        self.row_actions: dict[int, list[Action]] = {}
        self.event_actions: dict[str, list[Action]] = {}
        self.time_actions: list[tuple[float, Action]] = []
        self.subscriptions: list[tuple[str, Any]] = []
        self.rows = 0
        self.last_event: Any = None

    # -- orders ------------------------------------------------------------------------------------------------------

    def market(self, side: str, quantity: float, *, position_id: str | None = None, **more: Any) -> Order:
        """Submit a market order."""
        order = self.order_factory.market(
            self.instrument.id, OrderSide[side], self.instrument.make_qty(quantity), **_options(more)
        )
        return self._submit(order, position_id)

    def limit(self, side: str, quantity: float, price: str, *, position_id: str | None = None, **more: Any) -> Order:
        """Submit a limit order."""
        order = self.order_factory.limit(
            self.instrument.id,
            OrderSide[side],
            self.instrument.make_qty(quantity),
            Price.from_str(price),
            **_options(more),
        )
        return self._submit(order, position_id)

    def stop_market(
        self, side: str, quantity: float, trigger: str, *, position_id: str | None = None, **more: Any
    ) -> Order:
        """Submit a stop-market order."""
        order = self.order_factory.stop_market(
            self.instrument.id,
            OrderSide[side],
            self.instrument.make_qty(quantity),
            Price.from_str(trigger),
            **_options(more),
        )
        return self._submit(order, position_id)

    def stop_limit(
        self, side: str, quantity: float, price: str, trigger: str, *, position_id: str | None = None, **more: Any
    ) -> Order:
        """Submit a stop-limit order."""
        order = self.order_factory.stop_limit(
            self.instrument.id,
            OrderSide[side],
            self.instrument.make_qty(quantity),
            Price.from_str(price),
            Price.from_str(trigger),
            **_options(more),
        )
        return self._submit(order, position_id)

    def _submit(self, order: Order, position_id: str | None) -> Order:
        self.orders.append(order)
        self.submit_order(order, None if position_id is None else PositionId(position_id))
        return order

    def write(self, text: str) -> None:
        """Write a line, headed by the time."""
        self.lines.append(f"{self.clock.timestamp_ns() / SECOND_NS:g} {text}")

    # -- callbacks ---------------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        for kind, what in self.subscriptions:
            getattr(self, f"subscribe_{kind}")(what)
        for number, (seconds, action) in enumerate(self.time_actions):
            self.clock.set_time_alert_ns(f"script-{number:03d}", seconds_ns(seconds), self._timed(action))
        self._do("on_start")

    def _timed(self, action: Action) -> Callable[[TimeEvent], None]:
        def act(_: TimeEvent) -> None:
            action(self)

        return act

    def on_stop(self) -> None:
        self.write("stop")
        self._do("on_stop")

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self._row("row", tick)

    def on_trade_tick(self, tick: TradeTick) -> None:
        self._row("trade", tick)

    def on_bar(self, bar: Bar) -> None:
        self._row(f"bar {bar.close}", bar)

    def on_time_event(self, event: TimeEvent) -> None:
        self.write(f"TimeEvent {event.name}")
        self._do("TimeEvent", event)

    def on_event(self, event: Any) -> None:
        name = type(event).__name__
        if isinstance(event, OrderEvent | PositionEvent):
            self.write(f"on_event {name}" if self.levels else describe(event))
            if not self.levels:
                self._do(name, event)
            return
        self._do("on_event", event)

    def on_order_event(self, event: OrderEvent) -> None:
        if self.levels:
            self.write(f"on_order_event {type(event).__name__}")

    def on_position_event(self, event: PositionEvent) -> None:
        if self.levels:
            self.write(f"on_position_event {type(event).__name__}")

    def _specific(self, event: Any) -> None:
        if self.levels:
            self.write(describe(event))
            self._do(type(event).__name__, event)

    on_order_initialized = on_order_denied = on_order_submitted = on_order_accepted = on_order_rejected = _specific
    on_order_canceled = on_order_expired = on_order_triggered = on_order_pending_update = _specific
    on_order_pending_cancel = on_order_modify_rejected = on_order_cancel_rejected = on_order_updated = _specific
    on_order_filled = on_position_opened = on_position_changed = on_position_closed = _specific

    def _row(self, text: str, row: Any) -> None:
        self.rows += 1
        self.write(text)
        self.last_event = row
        for action in self.row_actions.get(self.rows, ()):
            action(self)

    def _do(self, name: str, event: Any = None) -> None:
        self.last_event = event
        for action in self.event_actions.get(name, ()):
            action(self)


class Recording:
    """What a run left: the engine, the strategy and its lines."""

    def __init__(self, engine: Any, strategies: list[ScriptedStrategy]) -> None:
        self.engine = engine
        self.strategies = strategies
        self.strategy = strategies[0]
        self.lines = self.strategy.lines

    @property
    def orders(self) -> list[Order]:
        return self.strategy.orders

    @property
    def fills(self) -> list[str]:
        """Every fill as ``<time> <order> <side> <quantity> @ <price> <MAKER|TAKER>``, in the order in which they
        came.
        """
        return [line.replace("OrderFilled ", "") for line in self.lines if " OrderFilled " in line]

    def events(self, *names: str) -> list[str]:
        """The lines of events (rows and `stop` left out), of these types only when names are given."""
        found = [line for line in self.lines if line.split()[1][0].isupper()]
        return [line for line in found if not names or line.split()[1] in names]

    def life(self, number: int) -> list[str]:
        """The events of the order with this number, without `Order`, times and what follows."""
        parts = [line.split() for line in self.lines if " Order" in line]
        return [part[1].removeprefix("Order") for part in parts if part[2] == str(number)]


class Scenario:
    """Builds an engine's venue, instrument, data and one scripted strategy; every method returns the scenario."""

    def __init__(self, engine: Any, instrument: Any = None) -> None:
        self.engine = engine
        self.instrument = instrument if instrument is not None else currency_pair()
        self._strategies: list[ScriptedStrategy] = []
        self._venue_options: dict[str, Any] = {}
        self._more: list[Any] = []
        self._levels = False
        self._ready = False

    # -- what the run is made of -------------------------------------------------------------------------------------

    def venue(self, **options: Any) -> Scenario:
        """Options of `add_venue` that differ from: netting, margin account, 1,000,000 USD."""
        self._venue_options.update(options)
        return self

    def also(self, *instruments: Any) -> Scenario:
        """Further instruments of the same venue."""
        self._more += instruments
        return self

    def levels(self) -> Scenario:
        """Write all three levels of event handlers."""
        self._levels = True
        return self

    def quotes(self, *rows: Sequence[Any], instrument: Any = None) -> Scenario:
        """(seconds, bid, ask[, bid size, ask size]) each; sizes are 1,000,000 unless given."""
        self._prepare()
        target = instrument or self.instrument
        size = target.size_precision
        price = target.price_precision
        ticks = [
            QuoteTick(
                target.id,
                Price(Decimal(bid), price),
                Price(Decimal(ask), price),
                Quantity(sizes[0] if sizes else 1_000_000, size),
                Quantity(sizes[1] if sizes else 1_000_000, size),
                seconds_ns(time),
                seconds_ns(time),
            )
            for time, bid, ask, *sizes in rows
        ]
        return self._add("quote_ticks", target.id, ticks)

    def trades(self, *rows: Sequence[Any], instrument: Any = None) -> Scenario:
        """(seconds, price, size[, "BUYER" | "SELLER"]) each; no aggressor unless given."""
        self._prepare()
        target = instrument or self.instrument
        ticks = [
            TradeTick(
                target.id,
                Price(Decimal(price), target.price_precision),
                Quantity(size, target.size_precision),
                AggressorSide[aggressor[0]] if aggressor else AggressorSide.NO_AGGRESSOR,
                TradeId(str(number)),
                seconds_ns(time),
                seconds_ns(time),
            )
            for number, (time, price, size, *aggressor) in enumerate(rows, 1)
        ]
        return self._add("trade_ticks", target.id, ticks)

    def bars(self, *rows: Sequence[Any], spec: str = "1-MINUTE-LAST") -> Scenario:
        """(seconds of the close, open, high, low, close, volume) each, as EXTERNAL bars."""
        self._prepare()
        bar_type = BarType.from_str(f"{self.instrument.id}-{spec}-EXTERNAL")

        def price(text: str) -> Price:
            return Price(Decimal(text), self.instrument.price_precision)

        bars = [
            Bar(
                bar_type,
                price(opened),
                price(high),
                price(low),
                price(close),
                Quantity(volume, self.instrument.size_precision),
                seconds_ns(time),
                seconds_ns(time),
            )
            for time, opened, high, low, close, volume in rows
        ]
        return self._add("bars", bar_type, bars)

    def _add(self, kind: str, what: Any, ticks: list[Any]) -> Scenario:
        self.engine.add_data(ticks)
        for strategy in self._strategies:
            strategy.subscriptions.append((kind, what))
        return self

    def quiet(self) -> Scenario:
        """The strategy subscribes to nothing of what was added so far."""
        for strategy in self._strategies:
            strategy.subscriptions.clear()
        return self

    def strategy(self, strategy: ScriptedStrategy) -> Scenario:
        """One more strategy."""
        self._prepare()
        strategy.subscriptions = list(self._strategies[0].subscriptions) if self._strategies else []
        self._strategies.append(strategy)
        return self

    # -- what the (first) strategy does ------------------------------------------------------------------------------

    def on_row(self, number: int, *actions: Action) -> Scenario:
        """Do this in the callback of the n-th row, counted from 1."""
        self._first().row_actions.setdefault(number, []).extend(actions)
        return self

    def on(self, name: str, *actions: Action) -> Scenario:
        """Do this at each event of a type (`"OrderAccepted"`), at `"on_start"` or `"on_stop"`."""
        self._first().event_actions.setdefault(name, []).extend(actions)
        return self

    def at(self, seconds: float, *actions: Action) -> Scenario:
        """Do this at a time, after the rows of that time."""
        self._first().time_actions.extend((seconds, action) for action in actions)
        return self

    def run(self, start: float | None = None, end: float | None = None) -> Recording:
        self.add_strategies()
        self.engine.run(*(None if time is None else seconds_ns(time) for time in (start, end)))
        return Recording(self.engine, self._strategies)

    def add_strategies(self) -> list[ScriptedStrategy]:
        """Add the strategies to the engine; for tests that run it themselves."""
        self._first()
        for strategy in self._strategies:
            strategy.levels = self._levels
            self.engine.add_strategy(strategy)
        return self._strategies

    def _first(self) -> ScriptedStrategy:
        self._prepare()
        return self._strategies[0]

    def _prepare(self) -> None:
        if self._ready:
            return
        self._ready = True
        options: dict[str, Any] = {
            "oms_type": OmsType.NETTING,
            "account_type": AccountType.MARGIN,
            "starting_balances": [Money(1_000_000, USD)],
            "base_currency": USD,
        } | self._venue_options
        self.engine.add_venue(Venue(self.instrument.id.venue.value), **options)
        for instrument in (self.instrument, *self._more):
            self.engine.add_instrument(instrument)
        self._strategies.append(ScriptedStrategy(self.instrument))


def describe(event: Any) -> str:
    """An event as a short line: its type, the number of its order, and what matters of it."""
    name = type(event).__name__
    if isinstance(event, (PositionOpened, PositionChanged, PositionClosed)):
        return f"{name} {event.side.name} {event.quantity}"
    number = event.client_order_id.value.rpartition("-")[2]
    if isinstance(event, OrderFilled):
        side, liquidity = event.order_side.name, event.liquidity_side.name
        return f"{name} {number} {side} {event.last_qty} @ {event.last_px} {liquidity}"
    if isinstance(event, OrderUpdated):
        prices = [f"{what} {value}" for what, value in (("px", event.price), ("stop", event.trigger_price)) if value]
        return " ".join([name, number, str(event.quantity), *prices])
    reason = getattr(event, "reason", None)
    return f"{name} {number}" if reason is None else f"{name} {number} {reason}"


def _options(more: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the order factory; times in force may be given by name."""
    tif = more.get("time_in_force") or more.pop("tif", None)
    if tif is not None:
        more["time_in_force"] = TimeInForce[tif] if isinstance(tif, str) else tif
    return more
