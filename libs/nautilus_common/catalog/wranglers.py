"""Bars to quotes and trades, and NautilusTrader's wranglers by name.

A bar becomes four ticks O, H, L, C at 300, 200, 100 and 0 ms before its time stamp, each of a quarter of its volume
or of a default size. Bid and ask bars are joined on their time stamp; a bar without its partner makes no quote. As
they are recorded apart, the quotes of real bar files can be crossed: they are marked `allow_crossed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np

from nautilus_common.catalog.columns import (
    INT64_MAX,
    Columns,
    DataColumns,
    InstrumentLike,
    IntArray,
    row_count,
    take_columns,
)
from nautilus_common.catalog.conversion import size_to_raw
from nautilus_common.catalog.errors import CatalogError, DataError
from nautilus_common.catalog.loaders import column_names, load_all
from nautilus_common.catalog.schema import LoadSpec, TableConverter
from nautilus_common.catalog.validation import check_layout

DEFAULT_OFFSETS_MS = (300, 200, 100, 0)
BAR_PRICES = ("open", "high", "low", "close")
_MS = 1_000_000
# Volumes are often finer than the size precision: they are read with this many digits more before being quartered.
_EXTRA_VOLUME_DIGITS = 2


def quotes_from_bars(
    bid_bars: Mapping[str, IntArray],
    ask_bars: Mapping[str, IntArray],
    instrument: InstrumentLike,
    offsets_ms: Sequence[int] = DEFAULT_OFFSETS_MS,
    default_size: int | float | str | None = 1_000_000,
    *,
    volume_precision: int | None = None,
    ts_init_delta_ns: int = 0,
    random_seed: int | None = None,
    sort: bool = True,
) -> DataColumns:
    """Four quotes O, H, L, C a bar, `offsets_ms` before the bar's `ts_event`, from raw columns of kind "bar".

    The size is `default_size` of the instrument's units, or a quarter of the bar's volume if `default_size` is None
    (rounded half to even at the size precision, at least one size increment). `volume_precision` is that of the
    bars' volume if it is not the instrument's. With `random_seed` high and low change places in half of the bars,
    drawn as NautilusTrader draws them.
    """
    check_layout("bar", bid_bars, source="bid bars")
    check_layout("bar", ask_bars, source="ask bars")
    bid, ask = _join(bid_bars, ask_bars)
    times = _tick_times(bid["ts_event"], offsets_ms, random_seed)
    columns: Columns = {"ts_event": times, "ts_init": _plus(times, ts_init_delta_ns)}
    columns["bid"], columns["ask"] = _walk(bid), _walk(ask)
    columns["bid_size"] = _sizes(bid, instrument, default_size, volume_precision)
    columns["ask_size"] = _sizes(ask, instrument, default_size, volume_precision)
    return DataColumns("quote", instrument.id, None, _sorted(columns) if sort else columns, allow_crossed=True)


def trades_from_bars(
    bars: Mapping[str, IntArray],
    instrument: InstrumentLike,
    offsets_ms: Sequence[int] = DEFAULT_OFFSETS_MS,
    default_size: int | float | str | None = None,
    *,
    volume_precision: int | None = None,
    ts_init_delta_ns: int = 0,
    random_seed: int | None = None,
    sort: bool = True,
) -> DataColumns:
    """Four trades O, H, L, C a bar as in `quotes_from_bars`, without aggressor, numbered from 1."""
    check_layout("bar", bars, source="bars")
    times = _tick_times(bars["ts_event"], offsets_ms, random_seed)
    columns: Columns = {"ts_event": times, "ts_init": _plus(times, ts_init_delta_ns), "price": _walk(bars)}
    columns["size"] = _sizes(bars, instrument, default_size, volume_precision)
    columns["aggressor"] = np.zeros(len(times), dtype=np.int64)
    if sort:
        columns = _sorted(columns)
    columns["trade_id"] = np.arange(1, len(times) + 1, dtype=np.int64)
    return DataColumns("trade", instrument.id, None, columns)


def quotes_from_bar_files(
    bid_path: str | Path,
    ask_path: str | Path,
    instrument: InstrumentLike,
    spec: LoadSpec | None = None,
    **options: Any,
) -> DataColumns:
    """`quotes_from_bars` of two files (or one file twice); sizes are a quarter of the volume where both have one."""
    spec = _bar_spec(spec or LoadSpec(kind="bar"), instrument)
    bid = load_all(bid_path, spec, instrument)
    ask = bid if Path(ask_path) == Path(bid_path) else load_all(ask_path, spec, instrument)
    if "default_size" not in options and _has_volume(bid_path, spec) and _has_volume(ask_path, spec):
        options["default_size"] = None
    options.setdefault("default_size", spec.default_size)
    return quotes_from_bars(bid, ask, instrument, volume_precision=spec.size_precision, **options)


def trades_from_bar_file(
    path: str | Path, instrument: InstrumentLike, spec: LoadSpec | None = None, **options: Any
) -> DataColumns:
    """`trades_from_bars` of one file; the size is a quarter of the volume where the file has one."""
    spec = _bar_spec(spec or LoadSpec(kind="bar"), instrument)
    bars = load_all(path, spec, instrument)
    options.setdefault("default_size", None if _has_volume(path, spec) else spec.default_size)
    return trades_from_bars(bars, instrument, volume_precision=spec.size_precision, **options)


class QuoteTickDataWrangler:
    """NautilusTrader's wrangler of quotes; `process` and `process_bar_data` give columns instead of a list."""

    def __init__(self, instrument: InstrumentLike) -> None:
        self.instrument = instrument

    def process(
        self, data: Any, default_volume: float = 1_000_000.0, ts_init_delta: int = 0, *, is_raw: bool = False
    ) -> DataColumns:
        """Quotes of a table with timestamp, bid_price (or bid), ask_price (or ask) and, if it has them, sizes."""
        spec = LoadSpec(kind="quote", default_size=_plain(default_volume), ts_init_delta_ns=ts_init_delta)
        return _process(data, spec, self.instrument, None, "QuoteTickDataWrangler", is_raw)

    def process_bar_data(
        self,
        bid_data: Any,
        ask_data: Any,
        default_volume: float = 1_000_000.0,
        ts_init_delta: int = 0,
        offset_interval_ms: int = 100,
        timestamp_is_close: bool = True,
        random_seed: int | None = None,
        is_raw: bool = False,
        sort_data: bool = True,
    ) -> DataColumns:
        """Four quotes a bar, as `quotes_from_bars`; a volume in both tables goes before `default_volume`."""
        bid, bid_has, precision = _bars_of(bid_data, self.instrument, is_raw, "bid_data")
        ask, ask_has, precision = _bars_of(ask_data, self.instrument, is_raw, "ask_data")
        return quotes_from_bars(
            bid,
            ask,
            self.instrument,
            _offsets(offset_interval_ms, timestamp_is_close),
            None if bid_has and ask_has else default_volume,
            volume_precision=precision,
            ts_init_delta_ns=ts_init_delta,
            random_seed=random_seed,
            sort=sort_data,
        )


class TradeTickDataWrangler:
    """NautilusTrader's wrangler of trades; `process` and `process_bar_data` give columns instead of a list."""

    def __init__(self, instrument: InstrumentLike) -> None:
        self.instrument = instrument

    def process(self, data: Any, ts_init_delta: int = 0, is_raw: bool = False) -> DataColumns:
        """Trades of a table with timestamp, price, quantity (or size), side or buyer_maker, and trade_id."""
        spec = LoadSpec(kind="trade", ts_init_delta_ns=ts_init_delta)
        return _process(data, spec, self.instrument, None, "TradeTickDataWrangler", is_raw)

    def process_bar_data(
        self,
        data: Any,
        ts_init_delta: int = 0,
        offset_interval_ms: int = 100,
        timestamp_is_close: bool = True,
        random_seed: int | None = None,
        is_raw: bool = False,
        sort_data: bool = True,
    ) -> DataColumns:
        """Four trades a bar, as `trades_from_bars`."""
        bars, has_volume, precision = _bars_of(data, self.instrument, is_raw, "data")
        return trades_from_bars(
            bars,
            self.instrument,
            _offsets(offset_interval_ms, timestamp_is_close),
            None if has_volume else 1_000_000,
            volume_precision=precision,
            ts_init_delta_ns=ts_init_delta,
            random_seed=random_seed,
            sort=sort_data,
        )


class BarDataWrangler:
    """NautilusTrader's wrangler of bars; `process` gives columns instead of a list."""

    def __init__(self, bar_type: Any, instrument: InstrumentLike) -> None:
        self.bar_type = bar_type
        self.instrument = instrument

    def process(
        self, data: Any, default_volume: float = 1_000_000.0, ts_init_delta: int = 0, *, is_raw: bool = False
    ) -> DataColumns:
        """Bars of a table with timestamp, open, high, low, close and, if it has one, volume."""
        spec = LoadSpec(kind="bar", default_size=_plain(default_volume), ts_init_delta_ns=ts_init_delta)
        return _process(data, spec, self.instrument, self.bar_type, "BarDataWrangler", is_raw)


def _process(
    data: Any, spec: LoadSpec, instrument: InstrumentLike, bar_type: Any, source: str, is_raw: bool
) -> DataColumns:
    table = as_table(data, source)
    columns = TableConverter(spec, instrument, source, is_raw=is_raw).convert(table)
    return DataColumns(spec.kind, instrument.id, bar_type, columns)


def as_table(data: Any, source: str) -> Any:
    """A mapping or Arrow table of a mapping, an Arrow table or record batch, or a pandas frame with a time index."""
    if not isinstance(data, Mapping) and hasattr(data, "index") and hasattr(data, "columns"):
        import pyarrow as pa

        frame = pa.Table.from_pandas(data, preserve_index=True)
        if data.index.name is not None and str(data.index.name) in frame.column_names:
            names = ["__index_level_0__" if n == str(data.index.name) else n for n in frame.column_names]
            frame = frame.rename_columns(names) if "timestamp" not in frame.column_names else frame
        return frame
    if isinstance(data, Mapping) or hasattr(data, "column_names") or hasattr(data, "schema"):
        return data
    raise DataError(
        f"cannot take a {type(data).__name__}",
        source=source,
        code="type",
        remedy="Give a pyarrow table, a dict of arrays or a pandas frame",
    )


def _bars_of(data: Any, instrument: InstrumentLike, is_raw: bool, source: str) -> tuple[Columns, bool, int]:
    """Raw bars, whether they have a volume of their own, and the precision it was read at."""
    table = as_table(data, source)
    spec = LoadSpec(kind="bar") if is_raw else _bar_spec(LoadSpec(kind="bar"), instrument)
    columns = TableConverter(spec, instrument, source, is_raw=is_raw).convert(table)
    names = list(table) if isinstance(table, Mapping) else table.schema.names
    precision = instrument.size_precision if spec.size_precision is None else spec.size_precision
    return columns, any(name.strip().casefold() == "volume" for name in names), precision


def _bar_spec(spec: LoadSpec, instrument: InstrumentLike) -> LoadSpec:
    """The spec with the volume read finer than the instrument's sizes, so that its quarter is rounded once."""
    if spec.size_precision is not None:
        return spec
    precision = instrument.size_precision + _EXTRA_VOLUME_DIGITS
    return msgspec.structs.replace(spec, size_precision=precision, size_rounding="half_even")


def _has_volume(path: str | Path, spec: LoadSpec) -> bool:
    return "volume" in spec.resolve(column_names(Path(path), spec), str(path))


def _plain(size: float | int | str) -> str:
    return format(size, "f") if isinstance(size, float) else str(size)


def _offsets(interval_ms: int, timestamp_is_close: bool) -> tuple[int, ...]:
    return tuple(interval_ms * (3 - i if timestamp_is_close else -i) for i in range(4))


def _plus(times: IntArray, delta: int) -> IntArray:
    return times + np.int64(delta) if delta else times


def _join(bid: Mapping[str, IntArray], ask: Mapping[str, IntArray]) -> tuple[Columns, Columns]:
    """The bars of both sides whose time stamp both have."""
    for name, bars in (("bid bars", bid), ("ask bars", ask)):
        repeated = np.flatnonzero(bars["ts_event"][1:] <= bars["ts_event"][:-1])
        if len(repeated):
            what = "time stamps are not increasing"
            remedy = "Sort the bars and remove the second of two with one time stamp"
            raise DataError(what, source=name, row=int(repeated[0]) + 2, code="unsorted", remedy=remedy)
    if row_count(bid) == row_count(ask) and np.array_equal(bid["ts_event"], ask["ts_event"]):
        return dict(bid), dict(ask)
    _, left, right = np.intersect1d(bid["ts_event"], ask["ts_event"], assume_unique=True, return_indices=True)
    return take_columns(bid, left), take_columns(ask, right)


def _walk(bars: Mapping[str, IntArray]) -> IntArray:
    """open, high, low, close of each bar in turn."""
    return np.ascontiguousarray(np.stack([bars[name] for name in BAR_PRICES], axis=1).ravel())


def _tick_times(ts: IntArray, offsets_ms: Sequence[int], random_seed: int | None) -> IntArray:
    if len(offsets_ms) != 4:
        raise CatalogError(f"offsets_ms are four, of open, high, low and close, not {len(offsets_ms)}")
    times = ts[:, None] - np.array([ms * _MS for ms in offsets_ms], dtype=np.int64)[None, :]
    if random_seed is not None:
        random = Random(random_seed)
        swapped = np.array([random.getrandbits(1) for _ in range(len(ts))], dtype=np.bool_)
        times[swapped, 1:3] = times[swapped, 2:0:-1]
    return np.ascontiguousarray(times.ravel())


def _sizes(
    bars: Mapping[str, IntArray],
    instrument: InstrumentLike,
    default_size: int | float | str | None,
    volume_precision: int | None,
) -> IntArray:
    count = row_count(bars)
    if default_size is not None:
        one = size_to_raw(_plain(default_size), instrument.size_precision, "default_size")
        return np.full(4 * count, one, dtype=np.int64)
    extra = 0 if volume_precision is None else volume_precision - instrument.size_precision
    return np.repeat(_quarters(bars["volume"], extra, _least_size(instrument)), 4)


def _quarters(volume: IntArray, extra_digits: int, least: int) -> IntArray:
    """A quarter of each volume, rounded half to even after dropping `extra_digits`, at least `least`."""
    if extra_digits < 0:
        volume = volume * np.int64(10**-extra_digits)
    divisor = np.int64(4 * 10 ** max(extra_digits, 0))
    assert divisor < INT64_MAX
    quotient, rest = np.divmod(volume, divisor)
    half = divisor // 2
    up = (rest > half) | ((rest == half) & (quotient % 2 == 1))
    return np.asarray(np.maximum(quotient + up, least), dtype=np.int64)


def _least_size(instrument: InstrumentLike) -> int:
    """The raw size increment at the size precision."""
    return size_to_raw(str(instrument.size_increment), instrument.size_precision, "size_increment")


def _sorted(columns: Columns) -> Columns:
    """By `ts_init`, equal times in the order of the bars."""
    ts = columns["ts_init"]
    if (ts[1:] >= ts[:-1]).all():
        return columns
    return take_columns(columns, np.argsort(ts, kind="stable"))
