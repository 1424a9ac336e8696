"""The strategy host: runs actors and strategies, folds what happens for them to see, and says what they command.

It delivers rows in a tight loop up to the tag that it is given and stops at the first stimulus at which somebody spoke.
The clock is the time of the stimulus: while rows are delivered it is the row's, so that nothing has to be set for a
strategy that does not look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nautilus_common.aggregation import BarOptions
from nautilus_common.engine import INF, MAX_NS, PHASE_TIMER, EngineError, Outbox, Tag
from nautilus_common.messages.commands import CancelAllOrders, CancelOrder, ModifyOrder, SubmitOrder
from nautilus_common.messages.events import AccountAdjusted, OrderEvent, OrderSubmitted, TimeEvent
from nautilus_common.model.enums import ComponentState
from nautilus_common.model.identifiers import InstrumentId, StrategyId, TraderId
from nautilus_common.model.ledger import Ledger
from nautilus_common.model.order_states import DuplicateFill
from nautilus_common.model.orders import order_from_init
from nautilus_common.model.position_events import position_event
from nautilus_common.strategy.actor import Actor
from nautilus_common.strategy.cache import Cache
from nautilus_common.strategy.clock import Clock, Timer
from nautilus_common.strategy.log import Logger, LogSettings
from nautilus_common.strategy.order_index import OrderIndex
from nautilus_common.strategy.portfolio import Portfolio
from nautilus_common.strategy.strategy import Strategy
from nautilus_common.streams import HISTORY_ROWS, MarketView, StreamSpec

from services.strategy_host.bars import BarSource
from services.strategy_host.failure import describe_failure
from services.strategy_host.rows import RowQueue
from services.strategy_host.subscriptions import Subscriptions

if TYPE_CHECKING:
    from nautilus_common.messages.base import Message
    from nautilus_common.messages.blocks import Block
    from nautilus_common.model.account import Account
    from nautilus_common.model.data import Bar, BarType
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.orders import Order

RUNNING = ComponentState.RUNNING


class StrategyHostEngine:
    """`Engine` of the actors and strategies of one host."""

    reactive = False

    def __init__(
        self,
        trader_id: TraderId,
        instruments: dict[InstrumentId, Instrument],
        ledger: Ledger,
        specs: list[StreamSpec],
        rank: int,
        data_rank: int,
        bar_options: BarOptions | None = None,
        log: LogSettings | None = None,
        name: str = "strategy_host",
    ) -> None:
        self.name = name
        self.rank = rank
        self.trader_id = trader_id
        self.instruments = instruments
        self.view = MarketView(specs, data_rank, history_rows=HISTORY_ROWS)
        self.ledger = ledger
        self.order_index = OrderIndex()
        self.cache = Cache(self, self.order_index)
        self.portfolio = Portfolio(self)
        self.actors: list[Actor] = []
        self.log_settings = log or LogSettings()
        self._own: dict[StrategyId, Strategy] = {}
        self._clocks: list[tuple[Actor, Clock]] = []
        self._rows = RowQueue()
        self._subscriptions = Subscriptions(self, self._rows, bar_options or BarOptions())
        self._said: list[tuple[str, Message] | None] = []  # None only ends the loop over rows
        self._resubscribed = False
        self._ts = 0
        self._tag: Tag = (0,)
        self._index = -1  # of the row being delivered, within the window; -1: not delivering rows
        self._synced = True
        self._due: list[tuple[str, Actor | None, Clock | None, Any]] = []
        self._due_ns = -1
        self._ordinal = 0
        self._clock_ns: int | None = None
        self._ahead: tuple[Tag, Tag] | None = None  # what `horizon` has found, until something changes it
        self.failure: str | None = None

    # -- components --------------------------------------------------------------------------------------------------

    def add(self, actor: Actor, default_tag: str | None = None) -> None:
        """Take a component in; strategies get the id ``<class name>-<tag>``, unique within the run: the tag of their
        configuration, else `default_tag`, else their place in this host.

        Raises ValueError for an id that is in use.
        """
        if isinstance(actor, Strategy):
            actor.change_id(self._strategy_id(actor, default_tag))
            if actor.id in self._own:
                raise ValueError(f"strategy id {actor.id} is in use; give one of them another order_id_tag")
            self._own[actor.id] = actor  # type: ignore[index]  # change_id made it a StrategyId
        elif any(other.id == actor.id for other in self.actors):
            raise ValueError(f"actor id {actor.id} is in use; give one of them another component_id")
        clock = Clock(self)
        self._clocks.append((actor, clock))
        self.actors.append(actor)
        actor.attach(self, clock, self.cache, self.portfolio, self._logger(actor))

    def _strategy_id(self, strategy: Strategy, default_tag: str | None) -> StrategyId:
        chosen = getattr(strategy.config, "strategy_id", None)
        tag = getattr(strategy.config, "order_id_tag", None) or default_tag or f"{len(self._own):03d}"
        name = chosen.value.rpartition("-")[0] if chosen is not None else type(strategy).__name__
        return StrategyId(f"{name}-{tag}")

    def _logger(self, actor: Actor) -> Logger:
        name = type(actor).__name__ if isinstance(actor, Strategy) else actor.id.value
        return Logger(f"{self.trader_id}.{name}", self, self.log_settings)

    def start(self, tag: Tag, out: Outbox) -> None:
        """Start every component, actors first; what they say is caused by `tag`."""
        self._ahead = None
        self._enter(tag)
        ordered = sorted(self.actors, key=lambda actor: isinstance(actor, Strategy))
        for actor in ordered:
            actor.state = ComponentState.STARTING
            self._guard(actor.on_start)
            if actor.state is ComponentState.STARTING:
                actor.state = RUNNING
        self._subscriptions_changed()
        self._flush(tag, out)

    def stop(self, tag: Tag, out: Outbox) -> None:
        """Stop every running component; what they say is caused by `tag`."""
        self._ahead = None
        self._enter(tag)
        for actor in self.actors:
            self.stop_component(actor)
        self._flush(tag, out)

    def stop_component(self, actor: Actor) -> None:
        if actor.state not in (RUNNING, ComponentState.STARTING):
            return
        actor.state = ComponentState.STOPPING
        self._guard(actor.on_stop)
        actor.clock.cancel_timers()
        actor.state = ComponentState.STOPPED
        self._subscriptions_changed()

    # -- Engine ------------------------------------------------------------------------------------------------------

    def feed(self, block: Block) -> None:
        self._ahead = None
        self.view.feed(block)
        self.ledger.market.feed(block)
        self._rows.clear()
        self._subscriptions.on_feed(block.stream)

    def horizon(self, frontier: Tag) -> Tag:
        self._frontier = frontier
        row = self._next_row(frontier)
        timer = self._next_timer_tag()
        self._ahead = (row, timer)
        return row if row < timer else timer

    def run(self, until: Tag, out: Outbox) -> None:
        ahead, self._ahead = self._ahead, None
        while True:
            row, timer = ahead if ahead is not None else (self._next_row(self._frontier), self._next_timer_tag())
            ahead = None
            if min(row, timer) > until or (row >= INF and timer >= INF):
                break
            if row < timer:
                self._run_rows(until, timer[0], out)
            else:
                self._run_timers(timer[0], until, row, out)
            if out.pending:
                return
        self._index = -1
        self.view.advance(until)
        self.ledger.market.advance(until)  # it may be the host's own

    def handle(self, tag: Tag, message: Message, out: Outbox) -> None:
        self._ahead = None
        self._enter(tag)
        match message:
            case OrderEvent():
                self._on_order_event(tag, message)
            case SubmitOrder():
                self._on_foreign_order(message)
            case AccountAdjusted():
                self.ledger.fold(tag, message)
            case ModifyOrder() | CancelOrder() | CancelAllOrders():
                pass  # of a strategy of another host: what comes of it is an event
            case _:
                raise EngineError(f"{self.name} takes orders and their events, not {type(message).__name__}")
        if self._said:
            self._flush(tag, out)

    def __getstate__(self) -> dict[str, Any]:
        """What a snapshot keeps: rows made ahead and what was found ahead are made again."""
        self.view.advance(self._tag)  # the next window begins after the last row that was delivered
        return {**self.__dict__, "_ahead": None}

    def log_to(self, log: LogSettings) -> None:
        """Write the log of all components as `log` says: a host that was loaded from a snapshot has no sink."""
        self.log_settings.sink, self.log_settings.level = log.sink, log.level

    @property
    def unmet_subscriptions(self) -> list[str]:
        """Subscriptions that no data of the run can serve, in words."""
        return list(dict.fromkeys(self._subscriptions.unmet))

    @property
    def last_ns(self) -> int:
        """The time of the last stimulus that was delivered."""
        return self._ts

    # -- rows --------------------------------------------------------------------------------------------------------

    _frontier: Tag = (0,)

    def _next_row(self, frontier: Tag) -> Tag:
        rows = self._rows
        if rows.pos < rows.size:
            return rows.next_tag()
        if rows.size:
            self.view.advance(rows.tag(rows.size - 1))
        self._subscriptions.build_threshold_bars(frontier)
        return rows.next_tag() if rows.fill(frontier) else INF

    def _run_rows(self, until: Tag, timer_ns: int, out: Outbox) -> None:
        """Deliver rows until somebody speaks, the limit is reached, or the window ends."""
        rows = self._rows
        start = rows.pos
        stop = rows.limit(until, timer_ns)
        self._synced = False
        try:
            if rows.each is None:
                index = self._deliver_alike(rows.objects, rows.handlers, start, stop)
            else:
                index = self._deliver_each(rows.objects, rows.each, start, stop)
        except Exception as error:
            self._fail(error)
            raise
        rows.pos = index
        if index > start:
            tag = rows.tag(index - 1)
            self._enter(tag)
            if self._said:
                self._flush(tag, out)

    def _deliver_alike(
        self, objects: list[Any], handlers: tuple[Callable[[Any], None], ...], start: int, stop: int
    ) -> int:
        """Rows [start, stop) to the same handlers; returns the index after the row at which somebody spoke, or stop."""
        said = self._said
        if len(handlers) == 1:
            handler = handlers[0]
            for index in range(start, stop):
                self._index = index
                handler(objects[index])
                if said:
                    return index + 1
            return stop
        for index in range(start, stop):
            self._index = index
            row = objects[index]
            for handler in handlers:
                handler(row)
            if said:
                return index + 1
        return stop

    def _deliver_each(
        self, objects: list[Any], each: list[tuple[Callable[[Any], None], ...]], start: int, stop: int
    ) -> int:
        said = self._said
        rows = self._rows
        for index in range(start, stop):
            self._index = index
            row = objects[index]
            for handler in each[index]:
                handler(row)
            if said and not rows.is_same_row(index):  # a row is one stimulus: its bars and then itself
                return index + 1
        return stop

    # -- timers ------------------------------------------------------------------------------------------------------

    def _next_timer_tag(self) -> Tag:
        if self._due:
            return self._timer_tag(self._due_ns, self._ordinal)
        clock_ns = self._clock_ns
        if clock_ns is None:
            clock_ns = self._clock_ns = min(
                (ns for _, clock in self._clocks if (ns := clock.next_due_ns()) is not None), default=MAX_NS
            )
        bar_ns = self._subscriptions.next_bar_ns(self._frontier)
        ns = bar_ns if bar_ns < clock_ns else clock_ns
        if ns >= MAX_NS:
            return INF
        if ns == self._tag[0] and self._tag[1] > PHASE_TIMER:
            ns += 1  # set for now while an expiry of now was told: the timers of this instant are over
        return self._timer_tag(ns, self._ordinal if ns <= self._due_ns else 0)

    def _timer_tag(self, ts_ns: int, ordinal: int) -> Tag:
        rank = self.rank
        return (ts_ns, PHASE_TIMER, rank, ordinal, 0, rank, 0)

    def _run_timers(self, ts_ns: int, until: Tag, row: Tag, out: Outbox) -> None:
        """Fire what is due, in name order, until somebody speaks; bars of one source in a loop of their own."""
        if not self._due:
            source = self._subscriptions.only_source()
            if source is not None and self._clock_ns == MAX_NS and ts_ns > self._due_ns:
                self._run_bars(source, until, row, out)
                return
            self._collect_due(ts_ns)
        while self._due:
            tag = self._timer_tag(self._due_ns, self._ordinal)
            if tag > until:
                return
            _, actor, clock, what = self._due.pop(0)
            self._ordinal += 1
            self._enter(tag)
            self._synced = False
            if isinstance(what, BarSource):
                self._deliver_bar(what)
            elif clock is not None and actor is not None:
                self._fire(actor, clock, what, ts_ns)
            if self._said:
                self._flush(tag, out)
                return

    def _collect_due(self, ts_ns: int) -> None:
        """Everything that fires at `ts_ns`, in name order; what is set while it fires comes after, in name order."""
        if ts_ns > self._due_ns:
            self._due_ns = ts_ns
            self._ordinal = 0
        due: list[tuple[str, Actor | None, Clock | None, Any]] = []
        for actor, clock in self._clocks:
            due += [(timer.name, actor, clock, timer) for timer in clock.due(ts_ns)]
        due += [(source.timer_name, None, None, source) for source in self._subscriptions.due_sources(ts_ns)]
        due.sort(key=lambda item: item[0])
        self._due = due

    def _fire(self, actor: Actor, clock: Clock, timer: Timer, ts_ns: int) -> None:
        if clock._timers.get(timer.name) is not timer:
            return  # canceled by a timer that fired before it
        event = TimeEvent(timer.name, timer.next_ns, ts_ns)
        clock.fired(timer)
        if actor.state is not RUNNING:
            return
        if timer.callback is not None:
            callback = timer.callback
            self._guard(lambda: callback(event))
            return
        self._guard(lambda: actor.on_time_event(event))
        self._guard(lambda: actor.on_event(event))

    def _deliver_bar(self, source: BarSource) -> None:
        if not source.ready():
            return
        bar = source.bars[source.next]
        source.next += 1
        source.history.append(bar)
        try:
            for handler in source.handlers:
                handler(bar)
        except Exception as error:
            self._fail(error)
            raise

    def _run_bars(self, source: BarSource, until: Tag, row: Tag, out: Outbox) -> None:
        """The bars of the only source, one after another, until somebody speaks; nothing else is due between them."""
        bound = until if until < row else row
        said = self._said
        rank = self.rank
        append = source.history.append
        while source.ready():
            bars, fires = source.bars, source.fires
            for index in range(source.next, len(bars)):
                ts_ns = fires[index]
                tag = (ts_ns, PHASE_TIMER, rank, 0, 0, rank, 0)
                if tag > bound:
                    return
                self._tag = tag
                self._ts = ts_ns
                self._index = -1
                self._synced = False
                bar = bars[index]
                source.next = index + 1
                append(bar)
                try:
                    for handler in source.handlers:
                        handler(bar)
                except Exception as error:
                    self._fail(error)
                    raise
                if said:
                    self._due_ns, self._ordinal = ts_ns, 1
                    self._flush(tag, out)
                    return
        if source.aggregator.next_close_ns is not None and source.built_to < bound[0]:
            self._subscriptions.build_until(source, self._frontier, bound[0])

    # -- orders ------------------------------------------------------------------------------------------------------

    def _on_order_event(self, tag: Tag, event: OrderEvent) -> None:
        order = self.order_index.get(event.client_order_id)
        if order is None:
            raise EngineError(f"{self.name}: {type(event).__name__} for an unknown order {event.client_order_id}")
        try:
            order.apply(event)
        except DuplicateFill:
            return
        self.order_index.update(order)
        folded = self.ledger.fold(tag, event)
        strategy = self._own.get(event.strategy_id)
        if strategy is None:
            return
        handlers = strategy.event_handlers
        try:
            handlers.deliver(event)
            if folded.positions and handlers.wants_positions:
                for change in folded.positions:
                    handlers.deliver(position_event(change, event.ts_init))
        except Exception as error:
            self._fail(error)
            raise

    def _on_foreign_order(self, command: SubmitOrder) -> None:
        """An order of a strategy of another host: known, but nobody here is told."""
        if command.strategy_id in self._own:
            return
        init = command.order
        order = order_from_init(init)
        account_id = self.account_of(init.instrument_id).id
        now = command.ts_init
        order.apply(
            OrderSubmitted(
                init.trader_id, init.strategy_id, init.instrument_id, init.client_order_id, account_id, now, now
            )
        )
        self.order_index.add(order)
        self.ledger.on_submitted(init)

    # -- Host: what components ask -----------------------------------------------------------------------------------

    def now_ns(self) -> int:
        index = self._index
        return self._rows.ts[index] if index >= 0 else self._ts

    def sync(self) -> None:
        """Bring the view to the stimulus being delivered, so that look-ups see what the strategy has been told."""
        if not self._synced:
            index = self._index
            tag = self._rows.tag(index) if index >= 0 else self._tag
            self.view.advance(tag)
            self.ledger.market.advance(tag)
            self._synced = index < 0  # the next row of a window needs it again

    def timers_changed(self) -> None:
        self._clock_ns = None
        self._said.append(None)

    def say(self, channel: str, message: Message) -> None:
        self._said.append((channel, message))

    def add_order(self, order: Order) -> None:
        self.order_index.add(order)
        self.ledger.on_submitted(order.init_event)

    def account_of(self, instrument_id: InstrumentId) -> Account:
        account = self.ledger.by_venue.get(instrument_id.venue)
        if account is None:
            known = ", ".join(str(venue) for venue in self.ledger.by_venue) or "none"
            raise ValueError(f"no account for venue {instrument_id.venue} of {instrument_id}; the venues are {known}")
        return account

    def subscribe_rows(self, actor: Actor, kind: str, instrument_id: InstrumentId) -> None:
        self.sync()
        self._subscriptions.subscribe_rows(actor, kind, instrument_id)
        self._subscriptions_changed()

    def unsubscribe_rows(self, actor: Actor, kind: str, instrument_id: InstrumentId) -> None:
        self.sync()
        self._subscriptions.unsubscribe_rows(actor, kind, instrument_id)
        self._subscriptions_changed()

    def subscribe_bars(self, actor: Actor, bar_type: BarType) -> None:
        self.sync()
        self._subscriptions.subscribe_bars(actor, bar_type, self.now_ns())
        self._subscriptions_changed()

    def unsubscribe_bars(self, actor: Actor, bar_type: BarType) -> None:
        self.sync()
        self._subscriptions.unsubscribe_bars(actor, bar_type)
        self._subscriptions_changed()

    def indicators_changed(self) -> None:
        self._subscriptions_changed()

    def internal_bars(self, bar_type: BarType) -> list[Bar] | None:
        return self._subscriptions.history(bar_type)

    def internal_bar_types(self) -> list[BarType]:
        return self._subscriptions.bar_types()

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _enter(self, tag: Tag) -> None:
        self._tag = tag
        self._ts = tag[0]
        self._index = -1
        self._synced = False

    def _subscriptions_changed(self) -> None:
        """Handlers are made again, once, when the stimulus at hand has been told to everybody."""
        self._resubscribed = True
        self._said.append(None)

    def _flush(self, cause: Tag, out: Outbox) -> None:
        """Say what was said during the stimulus at `cause`; a change of subscriptions begins a new window."""
        for item in self._said:
            if item is not None:
                out.say(cause, item[0], item[1])
        self._said.clear()
        if self._resubscribed:
            self._resubscribed = False
            self._subscriptions.refresh()
            self.view.advance(cause)
            self._rows.clear()

    def _guard(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            self._fail(error)
            raise

    def _fail(self, error: Exception) -> None:
        """Say on the exception which component failed, where and when; it is raised unchanged."""
        if self.failure is None:
            self.failure = describe_failure(error, self.now_ns())
            error.add_note(self.failure)
