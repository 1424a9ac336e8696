"""An engine's view of the market data streams: columns, a cursor per stream, and no objects.

Every engine has a view of its own, since each stands at its own tag; the columns themselves are shared.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

from nautilus_common.engine import INF, MAX_NS, PHASE_ROW, Tag
from nautilus_common.messages.blocks import Block
from nautilus_common.model.data import BarType
from nautilus_common.model.identifiers import InstrumentId

if TYPE_CHECKING:
    import numpy as np

HISTORY_ROWS = 10_000
"""Rows of the past that a strategy host keeps readable when a block is replaced (the depth of `cache.quote_ticks`)."""

NEWEST_ROW = 1  # who only asks for the newest row keeps no more of the past

VENUE_MICRO = 0  # the venue takes a row first, so that the fills of a row are seen before the row
OTHERS_MICRO = 1


PAST_ROWS_MIN = 64  # room for rows of the past is made for as many at once


class StreamSpec(msgspec.Struct, frozen=True):
    """One stream of a run: its rank is its place in the run's configuration."""

    rank: int
    kind: str
    instrument_id: InstrumentId
    bar_type: BarType | None = None


class StreamView:
    """The visible rows of one stream and how many of them its engine has taken."""

    __slots__ = (
        "_history_rows",
        "_past_rows",
        "_views",
        "columns",
        "end",
        "first_row",
        "length",
        "past",
        "pos",
        "row_step",
        "spec",
        "ts",
    )

    def __init__(self, spec: StreamSpec, micro: int, data_rank: int, history_rows: int = NEWEST_ROW) -> None:
        self.spec = spec
        self.row_step = (micro, data_rank, 0)
        self._history_rows = history_rows
        self.columns: dict[str, np.ndarray] = {}
        self._views: dict[str, memoryview] = {}
        self.ts: memoryview = memoryview(b"").cast("q")
        self.length = 0
        self.first_row = 0
        self.pos = 0
        self.end: Tag = (0, PHASE_ROW, spec.rank, 0)
        self.past: dict[str, np.ndarray] = {}
        self._past_rows = 0

    def feed(self, block: Block) -> None:
        """Replace the rows, all of which have been taken, by those of `block`."""
        if self.pos != self.length:
            left = self.length - self.pos
            raise AssertionError(f"stream {self.spec.rank}: {left} rows were not taken before the next block")
        if self.length:
            self._keep_past()
        self._show(block.columns)
        self.first_row = block.first_row
        self.pos = 0
        self.end = block.end

    def _show(self, columns: dict[str, np.ndarray]) -> None:
        self.columns = columns
        self._views = {name: memoryview(column) for name, column in columns.items()}  # type: ignore[arg-type]
        self.ts = self._views["ts_init"] if columns else memoryview(b"").cast("q")
        self.length = len(self.ts)

    def _keep_past(self) -> None:
        """Append the newest rows to those of the past, at a cost of what is appended: live, a block is a row or two."""
        import numpy as np

        wanted = self._history_rows
        count = min(self.length, wanted)
        rows = self._past_rows
        room = len(next(iter(self.past.values()))) if self.past else 0
        if rows + count > room:
            kept = min(rows, wanted - count)
            size = max(min(2 * wanted, 4 * (kept + count)), PAST_ROWS_MIN)
            for name in self.columns:
                buffer = np.empty(size, np.int64)
                if kept:
                    buffer[:kept] = self.past[name][rows - kept : rows]
                self.past[name] = buffer
            rows = kept
        start = self.length - count
        for name, column in self.columns.items():
            self.past[name][rows : rows + count] = column[start:]
        self._past_rows = rows + count

    def __getstate__(self) -> dict[str, object]:
        state = {name: getattr(self, name) for name in self.__slots__ if name not in ("_views", "length", "ts")}
        rows = self._past_rows
        kept = min(rows, self._history_rows)
        state["past"] = {name: column[rows - kept : rows].copy() for name, column in self.past.items()}
        state["_past_rows"] = kept
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._show(self.columns)

    def value(self, name: str, back: int = 0) -> int:
        """Column `name` of the row taken `back` rows ago; IndexError when there is none."""
        index = self.pos - 1 - back
        if index >= 0:
            return self._views[name][index]
        rows = self._past_rows
        if -index > min(rows, self._history_rows):
            raise IndexError(back)
        return int(self.past[name][rows + index])

    def at(self, name: str) -> memoryview:
        """Column `name` of the visible rows, as a memoryview (the fastest element access from Python)."""
        return self._views[name]

    @property
    def taken(self) -> int:
        """How many rows have been taken since the stream began."""
        return self.first_row + self.pos

    @property
    def has_row(self) -> bool:
        return self.first_row + self.pos > 0

    def stop(self, until: Tag) -> int:
        """Index of the first visible row whose tag is greater than `until`."""
        ts_until = until[0]
        ts = self.ts
        length = self.length
        lo = self._gallop(ts_until)
        if lo >= length or ts[lo] != ts_until:
            return lo
        phase = until[1]
        if phase > PHASE_ROW:
            return self._after(ts_until, lo)
        if phase < PHASE_ROW or len(until) < 4:
            return lo
        src = until[2]
        rank = self.spec.rank
        if rank > src:
            return lo
        if rank < src:
            return self._after(ts_until, lo)
        row = until[3]
        index = min(max(row - self.first_row, lo), self._after(ts_until, lo))
        if index < length and self.first_row + index == row and ts[index] == ts_until and until[4:] >= self.row_step:
            index += 1
        return index

    def _gallop(self, ts_ns: int) -> int:
        """Index of the first row not before `ts_ns`, looked for in doubling steps from the cursor."""
        ts = self.ts
        lo = self.pos
        length = self.length
        step = 8
        hi = lo
        while hi < length and ts[hi] < ts_ns:
            lo = hi + 1
            hi += step
            step += step
        return bisect_left(ts, ts_ns, lo, min(hi, length))

    def _after(self, ts_ns: int, lo: int) -> int:
        ts = self.ts
        length = self.length
        while lo < length and ts[lo] == ts_ns:
            lo += 1
        return lo

    def tag_of(self, index: int) -> Tag:
        """The tag at which this view takes visible row `index`."""
        return (self.ts[index], PHASE_ROW, self.spec.rank, self.first_row + index, *self.row_step)


class MarketView:
    """All streams as one engine sees them, at the tag it has reached."""

    def __init__(
        self, specs: list[StreamSpec], data_rank: int, micro: int = OTHERS_MICRO, history_rows: int = NEWEST_ROW
    ) -> None:
        self._made_of = (specs, data_rank, micro, history_rows)
        self.streams = [StreamView(spec, micro, data_rank, history_rows) for spec in specs]
        self._next_ns = MAX_NS  # time of the earliest row that was not taken
        self._quotes: dict[InstrumentId, list[StreamView]] = {}
        self._trades: dict[InstrumentId, list[StreamView]] = {}
        self._bars: dict[InstrumentId, list[StreamView]] = {}
        for stream in self.streams:
            by_kind = {"quote": self._quotes, "trade": self._trades, "bar": self._bars}[stream.spec.kind]
            by_kind.setdefault(stream.spec.instrument_id, []).append(stream)

    def another(self) -> MarketView:
        """A new view of the same streams, to be fed and advanced on its own."""
        return MarketView(*self._made_of)

    def feed(self, block: Block) -> None:
        """Show a block; a view that several engines share is shown it by each, and takes it once."""
        stream = self.streams[block.stream]
        if block.first_row >= stream.first_row + stream.length:
            stream.feed(block)
            self._next_ns = 0

    def advance(self, until: Tag) -> None:
        """Take every row with tag <= `until` without looking at it."""
        ts_until = until[0]
        if ts_until < self._next_ns:
            return
        nearest = MAX_NS
        for stream in self.streams:
            pos = stream.pos
            if pos < stream.length:
                ts = stream.ts
                if ts[pos] <= ts_until:
                    pos = stream.pos = stream.stop(until)
                    if pos == stream.length:
                        continue
                if ts[pos] < nearest:
                    nearest = ts[pos]
        self._next_ns = nearest

    def of_instrument(self, instrument_id: InstrumentId) -> list[StreamView]:
        return [stream for stream in self.streams if stream.spec.instrument_id == instrument_id]

    def last_of(self, kind: str, instrument_id: InstrumentId) -> StreamView | None:
        """The stream of `kind` whose newest taken row is the latest, or None before any row."""
        by_kind = {"quote": self._quotes, "trade": self._trades, "bar": self._bars}[kind]
        streams = by_kind.get(instrument_id)
        if streams is None:
            return None
        if len(streams) == 1:
            stream = streams[0]
            return stream if stream.has_row else None
        best = None
        for stream in streams:
            if stream.has_row and (best is None or stream.value("ts_init") >= best.value("ts_init")):
                best = stream
        return best

    def quote(self, instrument_id: InstrumentId) -> tuple[int, int] | None:
        """(bid, ask) of the newest quote, raw; None when there is none."""
        stream = self.last_of("quote", instrument_id)
        if stream is None:
            return None
        return stream.value("bid"), stream.value("ask")

    def frontier(self) -> Tag:
        """The smallest end over the streams: nothing at or above it may be taken."""
        return min((stream.end for stream in self.streams), default=INF)
