"""Internal bars of a strategy host: built ahead by kernels, delivered one by one as their timers fire.

Bars depend on market data only, so that all bars of the visible rows are built at once, whatever strategies do; what is
built is handed out when its time comes. Time bars fire as timers named ``TIME_BAR_<bar type>``; threshold bars belong
to
the row that closed them.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from nautilus_common.aggregation import NO_BARS, BarAggregator, BarColumns, BarOptions
from nautilus_common.engine import Tag
from nautilus_common.model.values import price_from_raw, quantity_from_raw
from nautilus_common.strategy.cache import CAPACITY
from nautilus_common.strategy.ticks import ValueTable, bar_columns, make_bars

if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_common.model.data import Bar, BarType
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.streams import StreamView

CHUNK = 512  # bars turned into objects at a time


class BarSource:
    """One internal bar type: its aggregator, what is built and not yet delivered, and who wants it."""

    def __init__(
        self, bar_type: BarType, instrument: Instrument, options: BarOptions, start_ns: int, view: StreamView | None
    ) -> None:
        self.bar_type = bar_type
        self.aggregator = BarAggregator(
            bar_type,
            instrument.price_precision,
            instrument.size_precision,
            options,
            start_ns,
            instrument.price_increment.raw,
        )
        self.timer_name = self.aggregator.timer_name
        self.is_timed = self.aggregator.next_close_ns is not None
        self.view = view
        self.is_fed = view is not None  # or made of a source that is
        self._row = view.pos if view is not None else 0
        self.children: list[BarSource] = []
        self.handlers: tuple[Callable[[Bar], None], ...] = ()
        self.history: deque[Bar] = deque(maxlen=CAPACITY)
        self._make_tables()
        self._columns: deque[BarColumns] = deque()
        self._offset = 0
        self.bars: list[Bar] = []
        self.fires: list[int] = []
        self.next = 0
        self.pending: deque[tuple[int, Bar]] = deque()  # threshold bars and the rows that closed them
        self.built_to = -1

    def __getstate__(self) -> dict[str, Any]:
        """What a snapshot keeps: bars as columns."""
        state = dict(self.__dict__)
        del state["_prices"], state["_sizes"]
        state["history"] = bar_columns(self.history)
        state["bars"] = bar_columns(self.bars)
        state["pending"] = [row for row, _ in self.pending], bar_columns([bar for _, bar in self.pending])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_tables()
        make = partial(make_bars, self.bar_type, prices=self._prices, sizes=self._sizes)
        self.history = deque(make(state["history"]), CAPACITY)
        self.bars = make(state["bars"])
        rows, columns = state["pending"]
        self.pending = deque(zip(rows, make(columns), strict=True))

    def _make_tables(self) -> None:
        self._prices = ValueTable(price_from_raw, self.aggregator.price_precision)
        self._sizes = ValueTable(quantity_from_raw, self.aggregator.size_precision)

    # -- building ----------------------------------------------------------------------------------------------------

    def on_feed(self) -> None:
        """The stream has a new block: all rows of the old one were consumed."""
        self._row = 0

    def build(self, frontier: Tag, until_ns: int) -> None:
        """Build every bar whose timer fires by `until_ns`, from the rows below `frontier`."""
        view = self.view
        if view is None or (until_ns <= self.built_to and self._row >= view.length):
            return
        stop = max(view.stop(frontier), self._row)
        columns = (
            self.aggregator.consume(view.columns, self._row, stop, until_ns, view.first_row)
            if view.length
            else (self.aggregator.consume({}, 0, 0, until_ns))
        )
        self._row = stop
        self._add(columns, until_ns)

    def _add(self, columns: BarColumns, until_ns: int) -> None:
        self.built_to = max(self.built_to, until_ns)
        if columns.size and self.is_timed:
            self._columns.append(columns)
        elif columns.size:
            self.pending.extend(zip(columns.row.tolist(), self._objects(columns, 0, columns.size), strict=True))
        for child in self.children:
            source = {
                "ts_init": columns.fire_ns,
                "open": columns.open,
                "high": columns.high,
                "low": columns.low,
                "close": columns.close,
                "volume": columns.volume,
            }
            built = (
                child.aggregator.consume(source, 0, columns.size, until_ns)
                if columns.size
                else (child.aggregator.consume({}, 0, 0, until_ns))
            )
            child._add(built if built is not None else NO_BARS, until_ns)

    # -- delivering --------------------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """True when there is a built bar that was not delivered; makes the next objects when they have run out."""
        if self.next < len(self.bars):
            return True
        if not self._columns:
            return False
        columns = self._columns[0]
        start = self._offset
        stop = min(start + CHUNK, columns.size)
        self.bars = self._objects(columns, start, stop)
        self.fires = columns.fire_ns[start:stop].tolist()
        self.next = 0
        if stop == columns.size:
            self._columns.popleft()
            self._offset = 0
        else:
            self._offset = stop
        return True

    def _objects(self, columns: BarColumns, start: int, stop: int) -> list[Bar]:
        part: dict[str, Any] = {
            name: getattr(columns, name)[start:stop]
            for name in ("open", "high", "low", "close", "volume", "ts_event", "ts_init")
        }
        return make_bars(self.bar_type, part, self._prices, self._sizes)

    def forget_before(self, row: int) -> None:
        """Drop threshold bars of rows before `row`: nobody listened when they closed."""
        while self.pending and self.pending[0][0] < row:
            self.pending.popleft()

    def deliver_threshold(self, bar: Bar) -> None:
        """The first handler of a threshold bar: it is told now, and can be looked up."""
        self.pending.popleft()
        self.history.append(bar)

    def next_fire_ns(self) -> int | None:
        """When the next time bar is due: of what is built, else of what will be."""
        if self.ready():
            return self.fires[self.next]
        return self.aggregator.next_close_ns
