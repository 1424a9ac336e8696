"""The plain twin of internal bars: one row at a time, Python integers, no kernels. It is the specification."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000


@dataclass
class Row:
    """One update. For a tick the four prices are the same."""

    ts: int
    open: int
    high: int
    low: int
    close: int
    size: int
    side: int = 0


@dataclass
class Builder:
    """The open bar."""

    open: int | None = None
    high: int = 0
    low: int = 0
    close: int | None = None
    volume: int = 0

    def take(self, row: Row, size: int) -> None:
        if self.open is None:
            self.open, self.high, self.low = row.open, row.high, row.low
        self.high, self.low, self.close = max(self.high, row.high), min(self.low, row.low), row.close
        self.volume += size

    def build(self) -> tuple[int, int, int, int, int]:
        bar = (self.open, self.high, self.low, self.close, self.volume)
        if self.open is None:
            bar = (self.close,) * 4 + (0,)
        self.clear()
        return bar

    def clear(self) -> None:
        self.open, self.volume = None, 0


def months(time: datetime, count: int) -> datetime:
    index = time.year * 12 + time.month - 1 + count
    return time.replace(year=index // 12, month=index % 12 + 1)


def to_ns(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1) * 1_000


def boundaries(unit: str, step: int, start: int, until: int, offset: int, delay: int) -> list[int]:
    """Timer times, from the boundary before the last one not after `start` to the first one after `until`."""
    day = EPOCH + timedelta(seconds=start // SECOND // 86_400 * 86_400)
    if unit in ("MONTH", "YEAR"):
        count = step * (12 if unit == "YEAR" else 1)
        time = day.replace(month=1, day=1)
        while to_ns(time) + offset > start:
            time = months(time, -count)
        while to_ns(months(time, count)) + offset <= start:
            time = months(time, count)
        result = [to_ns(months(time, -count)) + offset + delay, to_ns(time) + offset + delay]
        while result[-1] <= until:
            time = months(time, count)
            result.append(to_ns(time) + offset + delay)
        return result
    seconds = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400, "WEEK": 7 * 86_400}
    interval = step * (1_000_000 if unit == "MILLISECOND" else seconds[unit] * SECOND)
    if unit == "WEEK":
        day -= timedelta(days=day.weekday())
    time = to_ns(day) + offset
    while time > start:
        time -= interval
    while time + interval <= start:
        time += interval
    result = [time - interval + delay, time + delay]
    while result[-1] <= until:
        result.append(result[-1] + interval)
    return result


def time_bars(
    rows: list[Row], times: list[int], start: int, until: int, *, flat: bool, skip: bool, opens: bool
) -> list:
    """(ts_event, ts_init, o, h, l, c, v, fire, -1) of the bars due by `until`."""
    builder, bars, position = Builder(), [], 0
    first = 1 if times[1] == start else 2
    for k in range(first, len(times)):
        if times[k] > until:
            break
        updates = 0
        while position < len(rows) and rows[position].ts <= times[k]:
            builder.take(rows[position], rows[position].size)
            position += 1
            updates += 1
        if builder.close is None or (updates == 0 and not flat):
            continue
        bar = builder.build()
        if skip and k == first:
            continue
        bars.append((times[k - 1] if opens else times[k], times[k], *bar, times[k], -1))
    return bars


def threshold_bars(rows: list[Row], family: str, measure: str, step: int) -> list:
    """As `time_bars`, but the last is the row at which the bar closed."""
    builder, bars = Builder(), []
    progress, run = 0, None
    for index, row in enumerate(rows):
        if family == "RUNS" and row.side and row.side != run:
            run, progress = row.side, 0
            builder.clear()
        sign = {"PLAIN": 1, "RUNS": min(row.side, 1), "IMBALANCE": (0, 1, -1)[row.side]}[family]
        pieces = [row.size] if measure == "TICK" or sign == 0 else [1] * row.size
        if measure != "TICK" and row.size == 0:
            continue
        unit = {"TICK": 1, "VOLUME": 1, "VALUE": abs(row.close)}[measure]
        for piece in pieces:  # lot by lot
            builder.take(row, piece)
            progress += sign * unit
            if abs(progress) >= step:
                progress = 0
                bars.append((row.ts, row.ts, *builder.build(), row.ts, index))
    return bars


def renko_bars(rows: list[Row], brick: int) -> list:
    builder, bars, last = Builder(), [], None
    for index, row in enumerate(rows):
        builder.take(row, row.size)
        last = row.close if last is None else last
        volume, count = builder.volume, abs(row.close - last) // brick
        for _ in range(count):
            end = last + (brick if row.close > last else -brick)
            bars.append((row.ts, row.ts, last, max(last, end), min(last, end), end, volume, row.ts, index))
            last = end
        if count:
            builder.clear()
    return bars
