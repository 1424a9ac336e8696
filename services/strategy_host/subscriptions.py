"""Who listens to what in a strategy host, in the order of subscription, actors first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from nautilus_common.aggregation import BarOptions
from nautilus_common.engine import INF, MAX_NS, Tag
from nautilus_common.model.enums import ComponentState, PriceType
from nautilus_common.model.identifiers import InstrumentId
from nautilus_common.strategy.strategy import Strategy

from services.strategy_host.bars import BarSource
from services.strategy_host.rows import RowQueue, RowStream

if TYPE_CHECKING:
    from nautilus_common.model.data import Bar, BarType
    from nautilus_common.strategy.actor import Actor
    from nautilus_common.strategy.indicators import Indicator
    from nautilus_common.streams import StreamView

    from services.strategy_host.engine import StrategyHostEngine

RowKey = tuple[str, InstrumentId]
ACTIVE = (ComponentState.STARTING, ComponentState.RUNNING)


class Subscriptions:
    """Subscriptions of all components, and the handlers that follow from them."""

    def __init__(self, host: StrategyHostEngine, rows: RowQueue, options: BarOptions) -> None:
        self._host = host
        self._options = options
        self._row_actors: dict[RowKey, list[Actor]] = {}
        self._bar_actors: dict[BarType, list[Actor]] = {}
        self._sources: dict[BarType, BarSource] = {}
        self._timed: list[BarSource] = []
        self._row_streams = [RowStream(view, host.instruments[view.spec.instrument_id]) for view in host.view.streams]
        rows.streams = self._row_streams
        self.unmet: list[str] = []

    # -- changes; the host calls `refresh` when the stimulus is over --------------------------------------------------

    def subscribe_rows(self, actor: Actor, kind: str, instrument_id: InstrumentId) -> None:
        if instrument_id not in self._host.instruments:
            what = f"{actor.id} subscribes to {instrument_id}, which is not an instrument of this run"
            raise ValueError(f"{what}; {self._known()}")
        if self._view(kind, instrument_id, None) is None:
            self._miss(actor, f"{kind}s of {instrument_id}")
        actors = self._row_actors.setdefault((kind, instrument_id), [])
        if actor not in actors:
            actors.append(actor)

    def unsubscribe_rows(self, actor: Actor, kind: str, instrument_id: InstrumentId) -> None:
        actors = self._row_actors.get((kind, instrument_id), [])
        if actor in actors:
            actors.remove(actor)

    def subscribe_bars(self, actor: Actor, bar_type: BarType, now_ns: int) -> None:
        if bar_type.instrument_id not in self._host.instruments:
            what = f"{actor.id} subscribes to {bar_type}, whose instrument is not in this run"
            raise ValueError(f"{what}; {self._known()}")
        key = bar_type.standard()
        if bar_type.is_internally_aggregated():
            is_fed = self._ensure_source(bar_type, now_ns).is_fed
        else:
            is_fed = self._view("bar", bar_type.instrument_id, bar_type) is not None
        if not is_fed:
            self._miss(actor, f"{bar_type}")
        actors = self._bar_actors.setdefault(key, [])
        if actor not in actors:
            actors.append(actor)

    def unsubscribe_bars(self, actor: Actor, bar_type: BarType) -> None:
        actors = self._bar_actors.get(bar_type.standard(), [])
        if actor in actors:
            actors.remove(actor)

    def _miss(self, actor: Actor, what: str) -> None:
        """Note a subscription that no data of the run can serve."""
        streams = self._host.view.streams
        known = ", ".join(f"{s.spec.kind}s of {s.spec.bar_type or s.spec.instrument_id}" for s in streams)
        self.unmet.append(f"{actor.id} subscribed to {what}, of which this run has no data; it has {known}")

    def _known(self) -> str:
        return f"it has {', '.join(str(i) for i in self._host.instruments) or 'none'}"

    def _ensure_source(self, bar_type: BarType, now_ns: int) -> BarSource:
        key = bar_type.standard()
        source = self._sources.get(key)
        if source is not None:
            return source
        parent: BarSource | None = None
        view: StreamView | None
        if bar_type.is_composite():
            inner = bar_type.composite()
            if inner.is_internally_aggregated():
                parent = self._ensure_source(inner, now_ns)
                view = None
            else:
                view = self._view("bar", bar_type.instrument_id, inner)
        else:
            kind = "trade" if bar_type.spec.price_type == PriceType.LAST else "quote"
            view = self._view(kind, bar_type.instrument_id, None)
        instrument = self._host.instruments[bar_type.instrument_id]
        source = BarSource(bar_type, instrument, self._options, now_ns, view)
        self._sources[key] = source
        if parent is not None:
            parent.children.append(source)
        source.is_fed = view is not None or (parent is not None and parent.is_fed)
        if source.is_timed and source.is_fed:  # without data no bar ever closes, and its timer would never move on
            self._timed.append(source)
        elif view is not None:
            self._row_streams[view.spec.rank].bar_sources.append(source)
        return source

    def _view(self, kind: str, instrument_id: InstrumentId, bar_type: BarType | None) -> StreamView | None:
        for view in self._host.view.streams:
            spec = view.spec
            if spec.kind == kind and spec.instrument_id == instrument_id and spec.bar_type == bar_type:
                return view
        return None

    def refresh(self) -> None:
        """Make the handlers again: of running components only, actors first, each after its registered indicators."""
        for stream in self._row_streams:
            spec = stream.view.spec
            if spec.kind == "bar":
                assert spec.bar_type is not None
                stream.handlers = self._bar_handlers(spec.bar_type)
            else:
                stream.handlers = self._row_handlers(spec.kind, spec.instrument_id)
        for bar_type, source in self._sources.items():
            source.handlers = self._bar_handlers(bar_type)

    def _row_handlers(self, kind: str, instrument_id: InstrumentId) -> tuple[Callable[[Any], None], ...]:
        handlers = []
        for actor in _ordered(self._row_actors.get((kind, instrument_id), [])):
            quote = kind == "quote"
            table = actor._quote_indicators if quote else actor._trade_indicators
            indicators = table.get(instrument_id, [])
            update: list[Callable[[Any], None]] = [
                i.handle_quote_tick if quote else i.handle_trade_tick for i in indicators
            ]
            handlers.append(_after(update, actor.on_quote_tick if quote else actor.on_trade_tick))
        return tuple(handlers)

    def _bar_handlers(self, bar_type: BarType) -> tuple[Callable[[Any], None], ...]:
        handlers = []
        for actor in _ordered(self._bar_actors.get(bar_type, [])):
            indicators: list[Indicator] = actor._bar_indicators.get(bar_type, [])
            handlers.append(_after([i.handle_bar for i in indicators], actor.on_bar))
        return tuple(handlers)

    # -- bars --------------------------------------------------------------------------------------------------------

    def on_feed(self, rank: int) -> None:
        for source in self._sources.values():
            if source.view is not None and source.view.spec.rank == rank:
                source.on_feed()

    def build_threshold_bars(self, frontier: Tag) -> None:
        for stream in self._row_streams:
            for source in stream.bar_sources:
                source.build(frontier, frontier[0] - 1)

    def next_bar_ns(self, frontier: Tag) -> int:
        """When the next time bar is due."""
        best = MAX_NS
        for source in self._timed:
            if not source.ready() and frontier < INF:
                self.build_until(source, frontier, frontier[0] - 1)
            ns = source.next_fire_ns()
            if ns is not None and ns < best:
                best = ns
        return best

    def build_until(self, source: BarSource, frontier: Tag, until_ns: int) -> None:
        """Build the bars of `source` (or of what it is made of) that are due by `until_ns`."""
        for candidate in self._sources.values():
            if candidate is source or source in candidate.children or candidate.children:
                candidate.build(frontier, until_ns)

    def due_sources(self, ts_ns: int) -> list[BarSource]:
        """The sources with a bar due at `ts_ns`, which is built if it was not."""
        due = []
        for source in self._timed:
            ns = source.next_fire_ns()
            if ns is not None and ns <= ts_ns and not source.ready():
                self.build_until(source, self._host._frontier, ts_ns)
        for source in self._timed:
            if source.ready() and source.fires[source.next] <= ts_ns:
                due.append(source)
        return due

    def only_source(self) -> BarSource | None:
        """The only source of time bars, if there is one only."""
        return self._timed[0] if len(self._timed) == 1 else None

    def history(self, bar_type: BarType) -> list[Bar] | None:
        source = self._sources.get(bar_type)
        return None if source is None else list(source.history)

    def bar_types(self) -> list[BarType]:
        return [source.bar_type for source in self._sources.values()]


def _ordered(actors: list[Actor]) -> list[Actor]:
    """Running actors before running strategies, each in the order of subscription."""
    active = [actor for actor in actors if actor.state in ACTIVE]
    return sorted(active, key=lambda actor: isinstance(actor, Strategy))


def _after(updates: list[Callable[[Any], None]], handler: Callable[[Any], None]) -> Callable[[Any], None]:
    """`handler`, after each of `updates` has taken the same object."""
    return partial(_update_then_handle, updates, handler) if updates else handler


def _update_then_handle(updates: list[Callable[[Any], None]], handler: Callable[[Any], None], item: Any) -> None:
    for update in updates:
        update(item)
    handler(item)
