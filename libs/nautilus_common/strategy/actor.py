"""Actor: what every component that users write has - data, clock, cache, portfolio, log - and no orders of its own.

Override the ``on_*`` methods. They are called only while the actor is running, in the order in which it subscribed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from nautilus_common.model.enums import ComponentState
from nautilus_common.model.identifiers import ComponentId, Identifier, InstrumentId, TraderId
from nautilus_common.strategy.config import ActorConfig, ComponentConfig
from nautilus_common.strategy.log import Logger

if TYPE_CHECKING:
    from nautilus_common.messages.base import Event, Message
    from nautilus_common.messages.events import TimeEvent
    from nautilus_common.model.account import Account
    from nautilus_common.model.data import Bar, BarType, QuoteTick, TradeTick
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.orders import Order
    from nautilus_common.strategy.cache import Cache
    from nautilus_common.strategy.clock import Clock
    from nautilus_common.strategy.indicators import Indicator
    from nautilus_common.strategy.portfolio import Portfolio

__all__ = ["Actor", "Host"]


class Host(Protocol):
    """What a component asks of the strategy host that runs it."""

    trader_id: TraderId

    def now_ns(self) -> int: ...

    def subscribe_rows(self, actor: Actor, kind: str, instrument_id: InstrumentId) -> None: ...

    def unsubscribe_rows(self, actor: Actor, kind: str, instrument_id: InstrumentId) -> None: ...

    def subscribe_bars(self, actor: Actor, bar_type: BarType) -> None: ...

    def unsubscribe_bars(self, actor: Actor, bar_type: BarType) -> None: ...

    def indicators_changed(self) -> None: ...

    def stop_component(self, actor: Actor) -> None: ...

    def say(self, channel: str, message: Message) -> None: ...

    def add_order(self, order: Order) -> None: ...

    def account_of(self, instrument_id: InstrumentId) -> Account: ...


class Actor:
    """The base of everything that users write. Its attributes are there from `on_start` on."""

    portfolio: Portfolio
    cache: Cache
    clock: Clock
    log: Logger
    trader_id: TraderId | None = None

    def __init__(self, config: ComponentConfig | None = None) -> None:
        self.config: Any = config if config is not None else self._default_config()
        chosen = getattr(self.config, "component_id", None)
        self.id: Identifier = chosen if chosen is not None else ComponentId(type(self).__name__)
        self.state = ComponentState.READY
        self._host: Host | None = None
        self._bar_indicators: dict[BarType, list[Indicator]] = {}
        self._quote_indicators: dict[InstrumentId, list[Indicator]] = {}
        self._trade_indicators: dict[InstrumentId, list[Indicator]] = {}
        self._requests = 0

    def _default_config(self) -> ComponentConfig:
        return ActorConfig()

    # -- to override -------------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """The run begins: subscribe, set timers, register indicators."""

    def on_stop(self) -> None:
        """The run ends, or the component was stopped."""

    def on_reset(self) -> None:
        """Forget everything, to be run again."""

    def on_resume(self) -> None:
        """Running again after a stop."""

    def on_dispose(self) -> None:
        """The last call of all."""

    def on_save(self) -> dict[str, bytes]:
        return {}

    def on_load(self, state: dict[str, bytes]) -> None:
        pass

    def on_instrument(self, instrument: Instrument) -> None:
        pass

    def on_quote_tick(self, tick: QuoteTick) -> None:
        pass

    def on_trade_tick(self, tick: TradeTick) -> None:
        pass

    def on_bar(self, bar: Bar) -> None:
        pass

    def on_data(self, data: object) -> None:
        pass

    def on_time_event(self, event: TimeEvent) -> None:
        """A timer without a callback of its own fired."""

    def on_event(self, event: Event) -> None:
        """Any event of this component, after its more specific handlers."""

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self.state == ComponentState.RUNNING

    @property
    def is_stopped(self) -> bool:
        return self.state == ComponentState.STOPPED

    @property
    def _clock(self) -> Clock:
        return self.clock

    @property
    def _log(self) -> Logger:
        return self.log

    def stop(self) -> None:
        """Stop this component now: `on_stop` runs, and no later data or events are delivered."""
        self._runtime("stop").stop_component(self)

    def reset(self) -> None:
        """Be as before the first start, to be run again: registered indicators are forgotten, `on_reset` is called."""
        self._bar_indicators.clear()
        self._quote_indicators.clear()
        self._trade_indicators.clear()
        self._requests = 0
        self.state = ComponentState.READY
        self.on_reset()

    # -- data --------------------------------------------------------------------------------------------------------

    def subscribe_quote_ticks(self, instrument_id: InstrumentId, client_id: object = None, **_: Any) -> None:
        """Have every quote of the instrument delivered to `on_quote_tick`."""
        self._runtime("subscribe_quote_ticks").subscribe_rows(self, "quote", instrument_id)

    def subscribe_trade_ticks(self, instrument_id: InstrumentId, client_id: object = None, **_: Any) -> None:
        """Have every trade of the instrument delivered to `on_trade_tick`."""
        self._runtime("subscribe_trade_ticks").subscribe_rows(self, "trade", instrument_id)

    def subscribe_bars(self, bar_type: BarType, client_id: object = None, **_: Any) -> None:
        """Have the bars of a type delivered to `on_bar`; an INTERNAL type is built here from its source."""
        self._runtime("subscribe_bars").subscribe_bars(self, bar_type)

    def subscribe_instrument(self, instrument_id: InstrumentId, client_id: object = None, **_: Any) -> None:
        """Instruments do not change within a run; accepted so that live strategies run unchanged."""

    def unsubscribe_quote_ticks(self, instrument_id: InstrumentId, client_id: object = None, **_: Any) -> None:
        self._runtime("unsubscribe_quote_ticks").unsubscribe_rows(self, "quote", instrument_id)

    def unsubscribe_trade_ticks(self, instrument_id: InstrumentId, client_id: object = None, **_: Any) -> None:
        self._runtime("unsubscribe_trade_ticks").unsubscribe_rows(self, "trade", instrument_id)

    def unsubscribe_bars(self, bar_type: BarType, client_id: object = None, **_: Any) -> None:
        self._runtime("unsubscribe_bars").unsubscribe_bars(self, bar_type)

    def request_bars(
        self,
        bar_type: BarType,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
        limit: int = 0,
        client_id: object = None,
        callback: Callable[[str], None] | None = None,
        **_: Any,
    ) -> str:
        """Ask for historical bars. A backtest has no history before its data: the callback is called at once.

        Returns the id of the request.
        """
        self._runtime("request_bars")
        self._requests += 1
        request_id = f"{self.id}-R-{self._requests}"
        if callback is not None:
            callback(request_id)
        return request_id

    # -- indicators --------------------------------------------------------------------------------------------------

    def register_indicator_for_bars(self, bar_type: BarType, indicator: Indicator) -> None:
        """Update `indicator` with every bar of the type, before `on_bar`."""
        self._register(self._bar_indicators, bar_type.standard(), indicator)

    def register_indicator_for_quote_ticks(self, instrument_id: InstrumentId, indicator: Indicator) -> None:
        """Update `indicator` with every quote of the instrument, before `on_quote_tick`."""
        self._register(self._quote_indicators, instrument_id, indicator)

    def register_indicator_for_trade_ticks(self, instrument_id: InstrumentId, indicator: Indicator) -> None:
        """Update `indicator` with every trade of the instrument, before `on_trade_tick`."""
        self._register(self._trade_indicators, instrument_id, indicator)

    def _register(self, table: dict[Any, list[Indicator]], key: object, indicator: Indicator) -> None:
        registered = table.setdefault(key, [])
        if indicator not in registered:
            registered.append(indicator)
        if self._host is not None:
            self._host.indicators_changed()

    @property
    def registered_indicators(self) -> list[Indicator]:
        tables: tuple[dict[Any, list[Indicator]], ...] = (
            self._bar_indicators,
            self._quote_indicators,
            self._trade_indicators,
        )
        found = [indicator for table in tables for group in table.values() for indicator in group]
        return list(dict.fromkeys(found))

    def indicators_initialized(self) -> bool:
        """True when there are registered indicators and each has had enough input."""
        tables = (self._bar_indicators, self._quote_indicators, self._trade_indicators)
        found = False
        for table in tables:
            for group in table.values():
                for indicator in group:
                    if not indicator.initialized:
                        return False
                    found = True
        return found

    # -- for the host ------------------------------------------------------------------------------------------------

    def attach(self, host: Host, clock: Clock, cache: Cache, portfolio: Portfolio, log: Logger) -> None:
        """Give the component what it works with; called by the host that runs it."""
        self._host = host
        self.trader_id = host.trader_id
        self.clock = clock
        self.cache = cache
        self.portfolio = portfolio
        self.log = log

    def _runtime(self, what: str) -> Host:
        if self._host is None:
            raise RuntimeError(
                f"{self.id}: {what}() works from on_start on; the component is not added to an engine yet"
            )
        return self._host

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id})"
