"""Bars over columns: time bars, threshold bars and Renko bricks, all in integers.

Theory of operation. An open bar is a small int64 array, `state`; a kernel folds rows into it and writes the bars that
close to a table, one row a field. Nothing else is remembered, so a stream may be cut anywhere between two calls.

- A *time bar* takes the rows up to and including its close time: data of an instant come before the timers of that
  instant. Where its rows end is found by galloping, so timestamps are hardly read; highs, lows and sizes are then
  folded in plain loops, which the compiler vectorises.
- A *threshold bar* closes inside a row. Volume and value are cut: a row fills the open bar to its threshold, then the
  next, and so on, always by whole lots of the size precision and never by none, so no bar is empty.
- A table that is full ends the call with `FULL`; the caller gives a new one and goes on from the row returned.

Overflow never wraps: volume is summed in two limbs or checked before it is added, values are compared by division
instead of multiplied, and the kernel stops with `OVERFLOW` at the row that would not fit.

Prices have four columns (open, high, low, close), so that bars are built from bars by the same code: for ticks the
caller passes the price column four times.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import BOOL, COLUMN, I64, TABLE, WORK, kernel

Column = NDArray[np.int64]

DONE, FULL, OVERFLOW = 0, 1, 2
"""Status of a call: all rows taken; table full, call again; the row returned does not fit int64."""

OPEN, HIGH, LOW, CLOSE, VOLUME, COUNT, SEEN, SUM, SIDE, PARTIAL, REST, BRICK_OPEN = range(12)
"""Fields of `state`. CLOSE outlives its bar (flat bars repeat it) once SEEN is 1. COUNT: rows in the open bar.
SUM: progress towards the threshold. SIDE: aggressor of the current run. PARTIAL and REST: the next row was begun, and
how much of its size is left. BRICK_OPEN: where the next Renko brick starts."""
STATE_SIZE = 12

ROW, BAR_OPEN, BAR_HIGH, BAR_LOW, BAR_CLOSE, BAR_VOLUME = range(6)
"""Rows of the result table. ROW is the closing row of a threshold bar, the index of the close time of a time bar."""
TABLE_FIELDS = 6

PLAIN, IMBALANCE, RUNS = 0, 1, 2
BY_TICK, BY_VOLUME, BY_VALUE = 0, 1, 2

_LIMIT = 2**63 - 1
_HALF = 2**62
_MASK = 2**32 - 1
_HIGH_LIMIT = 2**31 - 1


def new_state() -> Column:
    """The state of an aggregation that has seen nothing."""
    return np.zeros(STATE_SIZE, np.int64)


def new_table(capacity: int) -> NDArray[np.int64]:
    """An empty result table for `capacity` bars."""
    return np.empty((TABLE_FIELDS, capacity), np.int64)


@kernel(I64(COLUMN, I64, I64, I64))
def first_after(ts: Any, start: int, stop: int, when: int) -> int:
    """The first row in [start, stop) with ts > when, or stop. Gallops: costs the logarithm of what it passes."""
    low = start
    probe = start
    step = 1
    while probe < stop and ts[probe] <= when:
        low = probe + 1
        probe += step
        step *= 2
    high = min(probe, stop)
    while low < high:
        middle = (low + high) >> 1
        if ts[middle] <= when:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(BOOL(COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, I64, I64, WORK))
def fold(open_: Any, high: Any, low: Any, close: Any, size: Any, start: int, stop: int, state: Any) -> bool:
    """Take rows [start, stop), at least one, into the open bar; False, and nothing taken, if its volume overflows."""
    total = state[VOLUME]
    volume_low = total & _MASK
    volume_high = total >> 32
    first = state[COUNT] == 0
    top = high[start] if first else state[HIGH]
    bottom = low[start] if first else state[LOW]
    highs, lows, sizes = high[start:stop], low[start:stop], size[start:stop]
    for k in range(stop - start):
        top = max(top, highs[k])
        bottom = min(bottom, lows[k])
        volume_low += sizes[k] & _MASK
        volume_high += sizes[k] >> 32
    volume_high += volume_low >> 32
    if volume_high > _HIGH_LIMIT or volume_high < -_HIGH_LIMIT:
        return False
    if first:
        state[OPEN] = open_[start]
    state[HIGH] = top
    state[LOW] = bottom
    state[CLOSE] = close[stop - 1]
    state[VOLUME] = (volume_high << 32) | (volume_low & _MASK)
    state[COUNT] += stop - start
    state[SEEN] = 1
    return True


@kernel(I64(WORK, TABLE, I64, I64))
def _emit(state: Any, table: Any, n: int, row: int) -> int:
    """Write the open bar as bar `n` and begin the next; a bar without rows is flat at the last close."""
    flat = state[COUNT] == 0
    last = state[CLOSE]
    table[ROW, n] = row
    table[BAR_OPEN, n] = last if flat else state[OPEN]
    table[BAR_HIGH, n] = last if flat else state[HIGH]
    table[BAR_LOW, n] = last if flat else state[LOW]
    table[BAR_CLOSE, n] = last
    table[BAR_VOLUME, n] = state[VOLUME]
    state[VOLUME] = 0
    state[COUNT] = 0
    return n + 1


@kernel((COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, I64, I64, COLUMN, I64, BOOL, WORK, TABLE))
def time_bars(
    ts: Any,
    open_: Any,
    high: Any,
    low: Any,
    close: Any,
    size: Any,
    start: int,
    stop: int,
    closes: Any,
    due: int,
    build_empty: bool,
    state: Any,
    table: Any,
) -> tuple[int, int, int]:
    """Fold rows [start, stop) and close the bars that end at `closes[:due]`: (bars, next row, status).

    Rows up to `closes[-1]` are taken; later ones are left. Close times after the first `due` only bound what the open
    bar may take. Nothing is built before the first row ever; afterwards an interval without rows gives a flat bar if
    `build_empty`. The table needs room for `due` bars. After OVERFLOW the row returned is where that bar's rows begin.
    """
    row = start
    n = 0
    for k in range(closes.shape[0]):
        end = first_after(ts, row, stop, closes[k])
        if end > row and not fold(open_, high, low, close, size, row, end, state):
            return n, row, OVERFLOW
        row = end
        if k < due and state[SEEN] == 1 and (build_empty or state[COUNT] > 0):
            n = _emit(state, table, n, k)
    return n, row, DONE


@kernel(BOOL(I64, I64, I64, I64, I64, WORK))
def _update(open_: int, high: int, low: int, close: int, size: int, state: Any) -> bool:
    """Take one row, or a part of it, into the open bar; False, and nothing taken, if its volume overflows."""
    if size > _LIMIT - state[VOLUME]:
        return False
    if state[COUNT] == 0:
        state[OPEN] = open_
        state[HIGH] = high
        state[LOW] = low
    else:
        state[HIGH] = max(state[HIGH], high)
        state[LOW] = min(state[LOW], low)
    state[CLOSE] = close
    state[VOLUME] += size
    state[COUNT] += 1
    state[SEEN] = 1
    return True


@kernel((I64, I64, I64, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, I64, I64, WORK, TABLE))
def threshold_bars(
    family: int,
    measure: int,
    step: int,
    open_: Any,
    high: Any,
    low: Any,
    close: Any,
    size: Any,
    worth: Any,
    aggressor: Any,
    start: int,
    stop: int,
    state: Any,
    table: Any,
) -> tuple[int, int, int]:
    """Bars that close when ticks, volume or value since the last one reach `step`: (bars, next row, status).

    `step` (1 to 2**61) is a number of ticks, of size units, or of price units x size units; `worth` is the price that a
    row is valued at. PLAIN counts all rows; IMBALANCE the signed sum of buyer (+) and seller (-); RUNS the sum of one
    side, and begins a new bar when the side changes. A row without an aggressor (0) moves prices and volume only.
    Volume and value of one row may close several bars; a row of size 0 is ignored by them.
    """
    n = 0
    capacity = table.shape[1]
    for row in range(start, stop):
        if n >= capacity:
            return n, row, FULL
        side = aggressor[row] if family != PLAIN else 1
        if state[PARTIAL] == 1:
            rest = state[REST]
        else:
            rest = size[row]
            if family == RUNS and side != 0 and side != state[SIDE]:
                state[SIDE] = side
                state[SUM] = 0
                state[VOLUME] = 0
                state[COUNT] = 0
        sign = -1 if family == IMBALANCE and side == 2 else 1
        if measure == BY_TICK or (side == 0 and rest > 0):
            if not _update(open_[row], high[row], low[row], close[row], rest, state):
                return n, row, OVERFLOW
            if side != 0:
                state[SUM] += sign
            if abs(state[SUM]) >= step:
                state[SUM] = 0
                n = _emit(state, table, n, row)
            continue
        unit = abs(worth[row]) if measure == BY_VALUE else 1
        while rest > 0:
            if n >= capacity:
                state[PARTIAL] = 1
                state[REST] = rest
                return n, row, FULL
            # The lots still missing, rounded up. Fewer lots are worth less than `need`, so the product fits.
            need = step - sign * state[SUM]
            lots = _LIMIT if unit == 0 else need // unit + (1 if need % unit > 0 else 0)
            part = min(rest, lots)
            if not _update(open_[row], high[row], low[row], close[row], part, state):
                state[PARTIAL] = 1
                state[REST] = rest
                return n, row, OVERFLOW
            rest -= part
            if part < lots:
                state[SUM] += sign * part * unit
            else:
                state[SUM] = 0
                n = _emit(state, table, n, row)
        state[PARTIAL] = 0
    return n, stop, DONE


@kernel((I64, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, I64, I64, WORK, TABLE))
def renko_bars(
    brick: int,
    open_: Any,
    high: Any,
    low: Any,
    close: Any,
    size: Any,
    start: int,
    stop: int,
    state: Any,
    table: Any,
) -> tuple[int, int, int]:
    """Bricks of `brick` price units, each starting where the last ended: (bars, next row, status).

    The first row only sets where the first brick starts. One row may complete several bricks: each carries the volume
    since the brick before that row (as NautilusTrader's do). OVERFLOW: a price beyond +-2**62, or a volume.
    """
    n = 0
    capacity = table.shape[1]
    for row in range(start, stop):
        price = close[row]
        if state[PARTIAL] == 0:
            if price > _HALF or price < -_HALF:
                return n, row, OVERFLOW
            if state[SEEN] == 0:
                state[BRICK_OPEN] = price
            if not _update(open_[row], high[row], low[row], price, size[row], state):
                return n, row, OVERFLOW
        built = state[PARTIAL] == 1
        while abs(price - state[BRICK_OPEN]) >= brick:
            if n >= capacity:
                state[PARTIAL] = 1
                return n, row, FULL
            begin = state[BRICK_OPEN]
            end = begin + brick if price > begin else begin - brick
            table[ROW, n] = row
            table[BAR_OPEN, n] = begin
            table[BAR_HIGH, n] = max(begin, end)
            table[BAR_LOW, n] = min(begin, end)
            table[BAR_CLOSE, n] = end
            table[BAR_VOLUME, n] = state[VOLUME]
            state[BRICK_OPEN] = end
            built = True
            n += 1
        state[PARTIAL] = 0
        if built:
            state[VOLUME] = 0
            state[COUNT] = 0
    return n, stop, DONE


@kernel(BOOL(COLUMN, COLUMN, I64, I64, I64, WORK))
def mid(bid: Any, ask: Any, start: int, stop: int, limit: int, out: Any) -> bool:
    """The mid of two columns, exact, in units of one decimal more: (bid + ask) * 5; False if a value is beyond `limit`.

    `limit` is at most (2**63 - 1) // 10, so that the product fits.
    """
    fits = True
    for k in range(stop - start):
        one = bid[start + k]
        two = ask[start + k]
        if one > limit or one < -limit or two > limit or two < -limit:
            fits = False
            break
        out[k] = (one + two) * 5
    return fits
