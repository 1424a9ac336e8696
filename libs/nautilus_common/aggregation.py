"""Internal bars: one `BarAggregator` for each INTERNAL `BarType`, driven by whoever holds the rows and the clock.

Theory of operation. `consume(columns, start, stop, until_ns)` gives rows and a promise: every row with
`ts_init <= until_ns` has now been given. Time bars whose timer is due by `until_ns` are closed; later rows go to the
open bar, or wait if they are beyond its close. Cutting the rows or the times differently changes nothing: a million
rows at once and one row at a time give the same bars.

Time bars, as measured on NautilusTrader:
- The timer of a bar fires after all rows of its instant: a row at exactly the close time is inside the bar that closes
  there, for left-open and right-open intervals alike. The two differ in the stamp only.
- The first bar is built even if the aggregation began inside its interval, unless `skip_first_non_full_bar`. If it
  begins exactly on a boundary, a bar closes right there.
- An interval without rows gives a flat bar (volume 0), unless `build_with_no_updates` is False; but none before the
  first row.
- `build_delay_us` moves timers, intervals and stamps together.
Threshold bars close inside a row and need no promise: all rows given are taken at once.

A MID bar has one decimal more than its instrument, in prices and in volume, so that halves are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nautilus_common.model.enums import BarAggregation, PriceType

if TYPE_CHECKING:
    from nautilus_common.model.data import BarType

Column = NDArray[np.int64]

BARS_MAX = 10_000_000
"""Most bars that one call of `consume` builds (0.6 GB); ask for a shorter time or fewer rows at once instead."""

_NS_MAX = 2**63 - 1
_STEP_MAX = 2**61
_MID_LIMIT = _NS_MAX // 10
_CLOSES_AT_ONCE = 65_536
_SECOND_NS = 1_000_000_000
_DAY_NS = 86_400 * _SECOND_NS
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_YEAR_MAX = 2262  # int64 nanoseconds end in April of this year

_INTERVAL_NS = {
    BarAggregation.MILLISECOND: 1_000_000,
    BarAggregation.SECOND: _SECOND_NS,
    BarAggregation.MINUTE: 60 * _SECOND_NS,
    BarAggregation.HOUR: 3_600 * _SECOND_NS,
    BarAggregation.DAY: _DAY_NS,
    BarAggregation.WEEK: 7 * _DAY_NS,
}
_INTERVAL_MONTHS = {BarAggregation.MONTH: 1, BarAggregation.YEAR: 12}

# What the kernel is told: family (plain, imbalance, runs) and measure (ticks, volume, value).
_THRESHOLDS = {
    BarAggregation.TICK: (0, 0),
    BarAggregation.VOLUME: (0, 1),
    BarAggregation.VALUE: (0, 2),
    BarAggregation.TICK_IMBALANCE: (1, 0),
    BarAggregation.VOLUME_IMBALANCE: (1, 1),
    BarAggregation.VALUE_IMBALANCE: (1, 2),
    BarAggregation.TICK_RUNS: (2, 0),
    BarAggregation.VOLUME_RUNS: (2, 1),
    BarAggregation.VALUE_RUNS: (2, 2),
}


class BarOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How internal time bars are built. `origin_offset_ns` shifts the boundaries: one number, or one an aggregation."""

    interval_type: str = "left-open"
    timestamp_on_close: bool = True
    skip_first_non_full_bar: bool = False
    build_with_no_updates: bool = True
    origin_offset_ns: int | dict[BarAggregation, int] = 0
    build_delay_us: int = 0

    def __post_init__(self) -> None:
        if self.interval_type not in ("left-open", "right-open"):
            raise ValueError(f"interval_type must be 'left-open' or 'right-open', was {self.interval_type!r}")
        if self.build_delay_us < 0:
            raise ValueError(f"build_delay_us must not be negative, was {self.build_delay_us}")

    def offset_ns(self, aggregation: BarAggregation) -> int:
        """The origin offset that applies to an aggregation."""
        offset = self.origin_offset_ns
        return offset.get(aggregation, 0) if isinstance(offset, dict) else offset


class BarColumns(NamedTuple):
    """Closed bars, oldest first. `fire_ns`: when the bar becomes known. `row`: the closing row of a threshold bar
    (`first_row` + its index), -1 for time bars."""

    ts_event: Column
    ts_init: Column
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column
    fire_ns: Column
    row: Column

    @property
    def size(self) -> int:
        """How many bars there are."""
        return len(self.fire_ns)


_EMPTY: Column = np.empty(0, np.int64)
NO_BARS = BarColumns(*(_EMPTY,) * 9)


class _Rows(NamedTuple):
    """A slice of a source, in the form the kernels take. For ticks the four prices are one array."""

    ts: Column
    open: Column
    high: Column
    low: Column
    close: Column
    size: Column
    aggressor: Column
    start: int
    stop: int

    @classmethod
    def of(cls, columns: Sequence[Column], start: int, stop: int) -> _Rows:
        ts, open_, high, low, close, size, aggressor = columns
        return cls(ts, open_, high, low, close, size, aggressor, start, stop)

    def columns(self) -> tuple[Column, ...]:
        return self.ts, self.open, self.high, self.low, self.close, self.size, self.aggressor


class _State(msgspec.Struct, array_like=True):
    """A snapshot: the kernel's state, the index of the next boundary, and rows that wait for it."""

    bar_type: str
    kernel: list[int]
    boundary: int
    waiting: list[bytes]


class BarAggregator:
    """Builds the bars of one internal `bar_type`. Not for EXTERNAL types, which arrive as data.

    `start_ns` is the time of the subscription. `price_increment` is in units of the price precision; only RENKO needs
    it. `price_precision` and `size_precision` afterwards are those of the bars (one more for MID).
    Raises ValueError for a type that cannot be built, OverflowError if a volume does not fit int64.
    """

    def __init__(
        self,
        bar_type: BarType,
        price_precision: int,
        size_precision: int,
        options: BarOptions,
        start_ns: int,
        price_increment: int = 1,
    ) -> None:
        from nautilus_common.kernels import bars  # numba is heavy: not before bars are wanted

        self.bar_type = bar_type
        self.options = options
        self.timer_name = f"TIME_BAR_{bar_type}"
        self._kernels = bars
        self._state = bars.new_state()
        self._table = bars.new_table(64)
        self._waiting: list[_Rows] = []
        self._price_type = PriceType(bar_type.spec.price_type)
        self._composite = bool(bar_type.is_composite())
        is_mid = self._price_type is PriceType.MID and not self._composite
        self.price_precision = price_precision + is_mid
        self.size_precision = size_precision + is_mid
        _check_source(bar_type, self._price_type, self._composite)
        self._aggregation = BarAggregation(bar_type.spec.aggregation)
        self._grid = _grid(self._aggregation, int(bar_type.spec.step), start_ns, options)
        self._boundary = self._first_boundary = 0 if self._grid and self._grid.time(0) == start_ns else 1
        self._closes = _EMPTY
        self._step = 0 if self._grid else self._threshold(price_increment * (10 if is_mid else 1))

    @property
    def next_close_ns(self) -> int | None:
        """When the next time bar's timer fires, build delay included; None for threshold bars, which have no timer."""
        return min(self._grid.time(self._boundary), _NS_MAX) if self._grid else None

    def consume(
        self,
        columns: Mapping[str, NDArray[np.int64]],
        start_row: int,
        stop_row: int,
        until_ns: int,
        first_row: int = 0,
    ) -> BarColumns:
        """Take rows [start_row, stop_row) and close what is due by `until_ns` (module docstring).

        `columns` are those of the source's kind (quote, trade, or bar for a composite type). `first_row` is the
        number in the stream of the columns' row 0.
        """
        rows = self._rows(columns, start_row, stop_row) if stop_row > start_row else None
        if self._grid is None:
            return NO_BARS if rows is None else self._consume_threshold(rows, first_row + start_row - rows.start)
        if rows is not None:
            self._waiting.append(rows)
        return self._consume_time(self._grid, until_ns)

    def snapshot(self) -> bytes:
        """The whole state. `restore` it into an aggregator made with the same arguments."""
        rows = _join(self._waiting)
        waiting = [column[rows.start : rows.stop].tobytes() for column in rows.columns()] if self._waiting else []
        return msgspec.msgpack.encode(_State(str(self.bar_type), self._state.tolist(), self._boundary, waiting))

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot; ValueError if it is of another bar type."""
        state = msgspec.msgpack.decode(data, type=_State)
        if state.bar_type != str(self.bar_type):
            raise ValueError(f"the snapshot is of bar type {state.bar_type}, not {self.bar_type}")
        self._state[:] = state.kernel
        self._boundary = state.boundary
        self._closes = _EMPTY
        columns = [np.frombuffer(column, np.int64) for column in state.waiting]
        self._waiting = [_Rows.of(columns, 0, columns[0].shape[0])] if columns else []

    # -- time bars ----------------------------------------------------------------------------------------------------

    def _consume_time(self, grid: _Grid, until_ns: int) -> BarColumns:
        """Fold what waits and close what is due. Whatever the cuts: afterwards all rows up to the next close are in the
        open bar, later ones wait, and the next close is the first after `until_ns`."""
        end = max(self._boundary, grid.first_after(until_ns))
        if end == self._boundary and len(self._waiting) > 1:
            return NO_BARS  # the older rows wait for the next close, and so do the new ones
        built: list[BarColumns] = []
        while self._boundary < end:
            bars = self._close_until(grid, self._due_together(grid, end))
            if bars.size:
                built.append(bars)
        if self._waiting:
            self._close_until(grid, self._boundary)
        return _concatenate(built)

    def _due_together(self, grid: _Grid, end: int) -> int:
        """Pass boundaries at which nothing is built; the boundary before which the next kernel call closes bars."""
        state, kernels = self._state, self._kernels
        builds_empty = self.options.build_with_no_updates and state[kernels.SEEN] == 1
        waiting = self._waiting
        if state[kernels.COUNT] == 0 and not builds_empty:
            nearest = grid.first_after(int(waiting[0].ts[waiting[0].start]) - 1) if waiting else end
            self._boundary = max(self._boundary, min(nearest, end))
            self._closes = _EMPTY
        elif builds_empty and end - self._boundary > BARS_MAX:
            raise ValueError(f"{self.bar_type}: more than {BARS_MAX:,} bars at once; consume a shorter time at once")
        stop = min(end, self._boundary + _CLOSES_AT_ONCE)
        if not self.options.build_with_no_updates and waiting:
            last = waiting[-1]
            stop = min(stop, grid.first_after(int(last.ts[last.stop - 1]) - 1) + 1)
            stop = max(stop, min(end, self._boundary + 1))
        return stop

    def _close_until(self, grid: _Grid, stop: int) -> BarColumns:
        """One kernel call: bars at boundaries [self._boundary, stop); the open bar takes rows up to boundary `stop`."""
        first = self._boundary
        due = stop - first
        if due or not self._closes.shape[0]:
            times = grid.times(first - 1, stop)
            self._closes = np.append(times[1:], min(grid.time(stop), _NS_MAX))
        else:
            times = _EMPTY
        rows = _join(self._waiting)
        table = self._kernels.new_table(due) if due else self._table
        n, row, status = self._kernels.time_bars(
            *rows[:6],
            rows.start,
            rows.stop,
            self._closes,
            due,
            self.options.build_with_no_updates,
            self._state,
            table,
        )
        if status:
            raise self._overflow(int(rows.ts[row]))
        self._waiting = [rows._replace(start=row)] if row < rows.stop else []
        self._boundary = stop
        self._closes = self._closes[-1:]
        return self._stamped(table, n, first, times) if n else NO_BARS

    def _stamped(self, table: NDArray[np.int64], n: int, first: int, times: Column) -> BarColumns:
        """Bars of the table with their times; the first bar of all is left out if it is not full and not wanted."""
        indices = table[0, :n]
        skip = int(self.options.skip_first_non_full_bar and first + int(indices[0]) == self._first_boundary)
        closes = times[1:][indices[skip:]]
        on_close = self.options.timestamp_on_close and self.options.interval_type == "left-open"
        stamps = closes if on_close else times[indices[skip:]]
        return _bars(stamps, closes, table[1:, skip:n], np.full(n - skip, -1, np.int64))

    # -- threshold bars -----------------------------------------------------------------------------------------------

    def _consume_threshold(self, rows: _Rows, first_row: int) -> BarColumns:
        kernels = self._kernels
        built: list[BarColumns] = []
        table, row, status, count = self._table, rows.start, kernels.FULL, 0
        while status == kernels.FULL:
            n, row, status = self._close_thresholds(rows, row, table)
            if status == kernels.OVERFLOW:
                raise self._overflow(int(rows.ts[row]))
            if n:
                closing = table[0, :n]
                ts = rows.ts[closing]
                built.append(_bars(ts, ts, table[1:, :n].copy(), closing + first_row))
            count += n
            if count > BARS_MAX:
                raise ValueError(f"{self.bar_type}: more than {BARS_MAX:,} bars at once; consume fewer rows at once")
            if status == kernels.FULL:
                table = kernels.new_table(min(4 * table.shape[1], _CLOSES_AT_ONCE))
        return _concatenate(built)

    def _close_thresholds(self, rows: _Rows, row: int, table: NDArray[np.int64]) -> tuple[int, int, int]:
        prices = rows[1:6]
        if self._aggregation is BarAggregation.RENKO:
            return self._kernels.renko_bars(self._step, *prices, row, rows.stop, self._state, table)
        family, measure = _THRESHOLDS[self._aggregation]
        worth = rows.close if measure != 2 or not self._composite else self._typical(rows)
        return self._kernels.threshold_bars(
            family, measure, self._step, *prices, worth, rows.aggressor, row, rows.stop, self._state, table
        )

    def _typical(self, rows: _Rows) -> Column:
        """The price that a source bar's volume is valued at: (high + low + close) / 3, to the nearest unit."""
        for column in (rows.high, rows.low, rows.close):
            if np.abs(column).max() > _STEP_MAX:
                raise self._overflow(int(rows.ts[rows.start]))
        return (rows.high + rows.low + rows.close + 1) // 3

    def _threshold(self, price_increment: int) -> int:
        """The step in the kernel's units. ValueError if it does not fit."""
        step = int(self.bar_type.spec.step)
        if self._aggregation is BarAggregation.RENKO:
            step *= price_increment
        else:
            measure = _THRESHOLDS[self._aggregation][1]
            digits = (0, self.size_precision, self.size_precision + self.price_precision)[measure]
            step *= 10**digits
        if not 1 <= step <= _STEP_MAX:
            raise ValueError(
                f"{self.bar_type}: the step is {step:,} units, but 1 to {_STEP_MAX:,} is the range for bars"
            )
        return step

    # -- sources ------------------------------------------------------------------------------------------------------

    def _rows(self, columns: Mapping[str, NDArray[np.int64]], start: int, stop: int) -> _Rows:
        ts = _column(columns, "ts_init")
        if self._composite:
            prices = [_column(columns, name) for name in ("open", "high", "low", "close")]
            size = _column(columns, "volume")
            return _Rows.of([ts, *prices, size, size], start, stop)
        match self._price_type:
            case PriceType.LAST:
                price, size = _column(columns, "price"), _column(columns, "size")
                return _Rows(ts, price, price, price, price, size, _column(columns, "aggressor"), start, stop)
            case PriceType.BID:
                price, size = _column(columns, "bid"), _column(columns, "bid_size")
            case PriceType.ASK:
                price, size = _column(columns, "ask"), _column(columns, "ask_size")
            case _:
                price = self._mid(columns, "bid", "ask", start, stop)
                size = self._mid(columns, "bid_size", "ask_size", start, stop)
                ts, start, stop = ts[start:stop], 0, stop - start
        return _Rows(ts, price, price, price, price, size, size, start, stop)

    def _mid(self, columns: Mapping[str, NDArray[np.int64]], bid: str, ask: str, start: int, stop: int) -> Column:
        out: Column = np.empty(stop - start, np.int64)
        if not self._kernels.mid(_column(columns, bid), _column(columns, ask), start, stop, _MID_LIMIT, out):
            raise self._overflow(int(columns["ts_init"][start]))
        return out

    def _overflow(self, ts_ns: int) -> OverflowError:
        return OverflowError(
            f"{self.bar_type}: a price or the volume of a bar does not fit int64, in rows from ts_init {ts_ns}; "
            "use a smaller size precision or shorter bars"
        )


class _Grid:
    """Boundaries of intervals, numbered from the last one not after the subscription (0). Python integers."""

    def __init__(self, base: int, interval: int, months: bool) -> None:
        self._base = base  # ns of boundary 0; or its month since 1970
        self._interval = interval  # ns, or months
        self._months = months
        self._shift = 0  # ns from the calendar to the boundary (offset, delay); in `base` already for fixed intervals

    def shifted(self, shift_ns: int) -> _Grid:
        """The same grid, `shift_ns` later."""
        if self._months:
            self._shift += shift_ns
        else:
            self._base += shift_ns
        return self

    def time(self, k: int) -> int:
        """Nanoseconds of boundary `k` (may be beyond int64)."""
        value = self._base + k * self._interval
        return _month_ns(value) + self._shift if self._months else value

    def times(self, first: int, stop: int) -> Column:
        """Boundaries [first, stop) as a column; they are in int64, except perhaps the first, which is then clipped."""
        if self._months:
            return np.array([self.time(k) for k in range(first, stop)], np.int64)
        return self._base + self._interval * np.arange(first, stop, dtype=np.int64)

    def first_after(self, ns: int) -> int:
        """The first boundary later than `ns`."""
        value = _month_of(ns - self._shift) if self._months else ns
        return (value - self._base) // self._interval + 1


def _grid(aggregation: BarAggregation, step: int, start_ns: int, options: BarOptions) -> _Grid | None:
    """The grid of a time aggregation, None for a threshold one.

    Fixed intervals are counted from midnight UTC of the day of `start_ns` (weeks from its Monday), months from January,
    all plus the origin offset.
    """
    offset, delay = options.offset_ns(aggregation), options.build_delay_us * 1_000
    if aggregation in _INTERVAL_MONTHS:
        interval = step * _INTERVAL_MONTHS[aggregation]
        month = _month_of(start_ns - offset)
        january = month - month % 12
        return _Grid(january + (month - january) // interval * interval, interval, True).shifted(offset + delay)
    if aggregation not in _INTERVAL_NS:
        return None
    interval = step * _INTERVAL_NS[aggregation]
    if interval > _STEP_MAX:
        raise ValueError(f"an interval of {step}-{aggregation.name} is too long: at most {_STEP_MAX} ns")
    day = start_ns - start_ns % _DAY_NS
    if aggregation is BarAggregation.WEEK:
        day -= (date.fromordinal(_EPOCH_ORDINAL + day // _DAY_NS).weekday()) * _DAY_NS
    origin = day + offset
    return _Grid(origin + (start_ns - origin) // interval * interval, interval, False).shifted(delay)


def _month_ns(month: int) -> int:
    """UTC nanoseconds at which a month (counted from January 1970) begins; beyond int64 after `_YEAR_MAX`."""
    year = min(1970 + month // 12, _YEAR_MAX + 1)
    return (date(year, month % 12 + 1, 1).toordinal() - _EPOCH_ORDINAL) * _DAY_NS


def _month_of(ns: int) -> int:
    """The month of a UTC time, counted from January 1970."""
    day = date.fromordinal(_EPOCH_ORDINAL + ns // _DAY_NS)
    return (day.year - 1970) * 12 + day.month - 1


def _check_source(bar_type: BarType, price_type: PriceType, composite: bool) -> None:
    """ValueError if such bars cannot be built from their source."""
    aggregation = BarAggregation(bar_type.spec.aggregation)
    if not bar_type.is_internally_aggregated():
        raise ValueError(f"{bar_type}: only INTERNAL bars are aggregated here; EXTERNAL bars come from a data source")
    if price_type not in (PriceType.BID, PriceType.ASK, PriceType.MID, PriceType.LAST):
        raise ValueError(f"{bar_type}: bars are built from BID, ASK, MID or LAST prices, not {price_type.name}")
    if aggregation in _THRESHOLDS and _THRESHOLDS[aggregation][0] and (composite or price_type is not PriceType.LAST):
        raise ValueError(f"{bar_type}: {aggregation.name} needs the aggressor of trades; use LAST, and no '@' source")


def _column(columns: Mapping[str, NDArray[np.int64]], name: str) -> Column:
    """A column as the kernels take it. ValueError if it is missing or not int64."""
    try:
        column = columns[name]
    except KeyError:
        raise ValueError(f"bars need the column {name!r}; the source has {sorted(columns)}") from None
    if column.dtype != np.int64:
        raise ValueError(f"column {name!r} must be int64, was {column.dtype}")
    return column if column.flags.c_contiguous else np.ascontiguousarray(column)


def _join(parts: list[_Rows]) -> _Rows:
    """Slices one after the other as one; only several are copied."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _Rows.of([_EMPTY] * 7, 0, 0)
    columns = [np.concatenate([part.columns()[k][part.start : part.stop] for part in parts]) for k in range(7)]
    return _Rows.of(columns, 0, columns[0].shape[0])


def _bars(ts_event: Column, ts_init: Column, values: NDArray[np.int64], row: Column) -> BarColumns:
    """Bars of the five rows of `values`: open, high, low, close, volume."""
    return BarColumns(ts_event, ts_init, values[0], values[1], values[2], values[3], values[4], ts_init, row)


def _concatenate(parts: list[BarColumns]) -> BarColumns:
    if len(parts) == 1:
        return parts[0]
    return BarColumns(*(np.concatenate(columns) for columns in zip(*parts, strict=True))) if parts else NO_BARS
