"""The rows that a strategy host delivers as objects: ticks, external bars and threshold bars, in tag order.

Rows are made into objects a window at a time. A window never reaches the frontier, so nothing that is delivered from it
can be overtaken by data to come.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from nautilus_common.engine import INF, MAX_NS, PHASE_ROW, Tag
from nautilus_common.strategy.ticks import TickMaker

if TYPE_CHECKING:
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.streams import StreamView

    from services.strategy_host.bars import BarSource

WINDOW = 4096

Handlers = tuple[Callable[[Any], None], ...]
Item = tuple[int, int, int, int, Any, Handlers]
"""(ts, stream rank, row, 0 for a bar and 1 for a tick, object, its handlers)"""

_place = itemgetter(0, 1, 2, 3)


class RowStream:
    """One stream with somebody listening: to its rows, or to threshold bars built from them."""

    def __init__(self, view: StreamView, instrument: Instrument) -> None:
        self.view = view
        self.maker = TickMaker(view, instrument)
        self.handlers: Handlers = ()
        self.bar_sources: list[BarSource] = []

    @property
    def is_wanted(self) -> bool:
        return bool(self.handlers) or any(source.handlers for source in self.bar_sources)


class RowQueue:
    """The next rows of all wanted streams, as objects, in tag order."""

    def __init__(self) -> None:
        self.streams: list[RowStream] = []
        self.clear()

    def clear(self) -> None:
        """Forget the window; it is made again from where the views stand."""
        self.objects: list[Any] = []
        self.ts: list[int] | memoryview = []
        self.handlers: Handlers = ()  # of every row, when one stream alone is wanted
        self.each: list[Handlers] | None = None  # of each row otherwise
        self._rows: list[int] | None = None
        self._ranks: list[int] | None = None
        self._base = 0
        self._rank = 0
        self._step: tuple[int, ...] = ()
        self.pos = 0
        self.size = 0

    def __getstate__(self) -> dict[str, object]:
        """Kept without the window; the host brings its view to where the window stands first."""
        return {"streams": self.streams}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.streams = state["streams"]
        self.clear()

    def fill(self, frontier: Tag) -> bool:
        """Make the next window when this one is used up; False when no wanted row is visible below `frontier`."""
        if self.pos < self.size:
            return True
        wanted = [stream for stream in self.streams if stream.is_wanted]
        self.clear()
        if not wanted:
            return False
        ranges = []
        for stream in wanted:
            view = stream.view
            stop = view.stop(frontier) if view.pos < view.length else view.pos
            # Threshold bars are few: where only they are wanted, all visible rows make one window.
            cut = min(stop, view.pos + WINDOW) if stream.handlers else stop
            while cut < stop and view.ts[cut] == view.ts[cut - 1]:
                cut += 1  # rows of one instant stay together, so that other streams' rows of it come in their place
            ranges.append((stream, view.pos, cut, stop))
        if len(wanted) == 1 and not any(source.handlers for source in wanted[0].bar_sources):
            return self._fill_single(wanted[0], ranges[0][1], ranges[0][2])
        return self._fill_merged(ranges)

    def _fill_single(self, stream: RowStream, start: int, stop: int) -> bool:
        view = stream.view
        self.objects = stream.maker.many(start, stop)
        self.ts = view.ts[start:stop]
        self.handlers = stream.handlers
        self._base = view.first_row + start
        self._rank = view.spec.rank
        self._step = view.row_step
        self.size = stop - start
        return self.size > 0

    def _fill_merged(self, ranges: list[tuple[RowStream, int, int, int]]) -> bool:
        """Merge by (ts, stream rank, row, bars before ticks), up to the first stream end that hides what follows."""
        bound = min((s.view.ts[stop - 1] for s, _, stop, end in ranges if stop < end), default=MAX_NS)
        items: list[Item] = []
        for stream, start, stop, _ in ranges:
            stop = bisect_right(stream.view.ts, bound, start, stop)
            self._step = stream.view.row_step
            items += stream_items(stream, start, stop)
        items.sort(key=_place)
        self.ts = [item[0] for item in items]
        self._ranks = [item[1] for item in items]
        self._rows = [item[2] for item in items]
        self.objects = [item[4] for item in items]
        self.each = [item[5] for item in items]
        self.size = len(items)
        return self.size > 0

    def tag(self, index: int) -> Tag:
        """The tag at which the host takes row `index` of the window."""
        if self._rows is None or self._ranks is None:
            return (self.ts[index], PHASE_ROW, self._rank, self._base + index, *self._step)
        return (self.ts[index], PHASE_ROW, self._ranks[index], self._rows[index], *self._step)

    def is_same_row(self, index: int) -> bool:
        """True when what follows item `index` belongs to the same row: a bar that the row closed comes before it."""
        rows, ranks = self._rows, self._ranks
        if rows is None or ranks is None or index + 1 >= self.size:
            return False
        return rows[index + 1] == rows[index] and ranks[index + 1] == ranks[index]

    def next_tag(self) -> Tag:
        return self.tag(self.pos) if self.pos < self.size else INF

    def limit(self, until: Tag, timer_ns: int) -> int:
        """How far the window may be delivered: rows with tag <= `until`, and not later than a timer at `timer_ns`."""
        ts_until = until[0]
        if timer_ns < ts_until:
            return bisect_right(self.ts, timer_ns, self.pos, self.size)
        index = bisect_left(self.ts, ts_until, self.pos, self.size)
        while index < self.size and self.tag(index) <= until:
            index += 1
        return index


def stream_items(stream: RowStream, start: int, stop: int) -> list[Item]:
    """Rows [start, stop) of a stream and the threshold bars that they close: a bar comes before the tick that
    closed it.
    """
    view = stream.view
    first, rank, ts = view.first_row, view.spec.rank, view.ts
    items: list[Item] = []
    for source in stream.bar_sources:
        source.forget_before(first + start)
        handlers = (source.deliver_threshold, *source.handlers)
        for row, bar in source.pending:
            if row >= first + stop:
                break
            items.append((ts[row - first], rank, row, 0, bar, handlers))
    if stream.handlers:
        ticks = stream.maker.many(start, stop)
        items += [(ts[index], rank, first + index, 1, tick, stream.handlers) for index, tick in enumerate(ticks, start)]
    return items
