"""Makes the objects that strategies see - quotes, trades, bars - of columns, many at a time.

Prices and sizes take few distinct values within some thousand rows, so their objects are made once and shared: making a
quote then costs little more than its struct.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from nautilus_common.model.data import Bar, QuoteTick, TradeTick
from nautilus_common.model.enums import AggressorSide
from nautilus_common.model.identifiers import TradeId
from nautilus_common.model.values import Price, Quantity, price_from_raw, quantity_from_raw

if TYPE_CHECKING:
    from nautilus_common.model.data import BarType
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.streams import StreamView

V = TypeVar("V", Price, Quantity)

SPARSE_MAX = 100_000  # distinct values kept; beyond it the table is forgotten and begun again
DENSE_SPAN = 16_384
FEW = 8

_BAR_COLUMNS = ("open", "high", "low", "close", "volume", "ts_event", "ts_init")
_AGGRESSORS = [AggressorSide(value) for value in range(3)]


class ValueTable(dict[int, Any], Generic[V]):
    """Raw integer -> value object of one precision, made at first use."""

    def __init__(self, make: Callable[[int, int], V], precision: int) -> None:
        super().__init__()
        self._make: Callable[[int, int], V] = make
        self._precision = precision
        self._low = 0
        self._dense = np.empty(0, dtype=object)

    def __missing__(self, raw: int) -> V:
        value = self._make(raw, self._precision)
        self[raw] = value
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and kept without its values: they are made again at first use."""
        return _empty_table, (self._make is price_from_raw, self._precision)

    def take(self, column: np.ndarray) -> list[V]:
        """The value objects of a column."""
        if len(column) < FEW:  # as live: looking for the bounds would cost more than the objects
            return self._take_few(column)
        low, high = int(column.min()), int(column.max())
        if high - low < min(DENSE_SPAN, 4 * len(column)):
            if low < self._low or high >= self._low + len(self._dense):
                self._widen(low, high)
            return self._dense[column - self._low].tolist()  # type: ignore[no-any-return]
        return self._take_few(column)

    def _take_few(self, column: np.ndarray) -> list[V]:
        if len(self) > SPARSE_MAX:
            self.clear()
        return list(map(self.__getitem__, column.tolist()))

    def _widen(self, low: int, high: int) -> None:
        """Hold values for low..high and some more on both sides."""
        span = high - low + 1
        self._low = low - span
        precision, make = self._precision, self._make
        values = [
            make(raw, precision) if raw >= 0 or make is price_from_raw else None
            for raw in range(low - span, high + span)
        ]
        self._dense = np.empty(len(values), dtype=object)
        self._dense[:] = values


def _empty_table(of_prices: bool, precision: int) -> ValueTable[Any]:
    return ValueTable(price_from_raw if of_prices else quantity_from_raw, precision)


class TickMaker:
    """Makes the ticks of one stream."""

    def __init__(self, stream: StreamView, instrument: Instrument) -> None:
        self._stream = stream
        self._instrument = instrument
        spec = stream.spec
        self._instrument_id = spec.instrument_id
        self._bar_type = spec.bar_type
        self._prices = ValueTable(price_from_raw, instrument.price_precision)
        self._sizes = ValueTable(quantity_from_raw, instrument.size_precision)
        makers: dict[str, Callable[[dict[str, np.ndarray], bool], list[Any]]] = {
            "quote": self._quotes,
            "trade": self._trades,
            "bar": self._bars,
        }
        self._make = makers[spec.kind]

    def __reduce__(self) -> tuple[Any, ...]:
        return TickMaker, (self._stream, self._instrument)

    def many(self, start: int, stop: int) -> list[Any]:
        """The ticks of visible rows [start, stop)."""
        if start >= stop:
            return []
        columns = self._stream.columns
        return self._make({name: column[start:stop] for name, column in columns.items()}, _same_times(columns))

    def one(self, back: int) -> Any:
        """The tick taken `back` rows ago."""
        stream = self._stream
        names = stream.columns or stream.past
        return self._make({name: np.array([stream.value(name, back)]) for name in names}, False)[0]

    def _quotes(self, columns: dict[str, np.ndarray], same_times: bool) -> list[QuoteTick]:
        ts_init = columns["ts_init"].tolist()
        return list(
            map(
                QuoteTick,
                repeat(self._instrument_id),
                self._prices.take(columns["bid"]),
                self._prices.take(columns["ask"]),
                self._sizes.take(columns["bid_size"]),
                self._sizes.take(columns["ask_size"]),
                ts_init if same_times else columns["ts_event"].tolist(),
                ts_init,
            )
        )

    def _trades(self, columns: dict[str, np.ndarray], same_times: bool) -> list[TradeTick]:
        ts_init = columns["ts_init"].tolist()
        return list(
            map(
                TradeTick,
                repeat(self._instrument_id),
                self._prices.take(columns["price"]),
                self._sizes.take(columns["size"]),
                [_AGGRESSORS[side] for side in columns["aggressor"].tolist()],
                [TradeId(str(number)) for number in columns["trade_id"].tolist()],
                ts_init if same_times else columns["ts_event"].tolist(),
                ts_init,
            )
        )

    def _bars(self, columns: dict[str, np.ndarray], same_times: bool) -> list[Bar]:
        assert self._bar_type is not None
        return make_bars(self._bar_type, columns, self._prices, self._sizes)


def make_bars(
    bar_type: BarType, columns: dict[str, np.ndarray], prices: ValueTable[Price], sizes: ValueTable[Quantity]
) -> list[Bar]:
    """Bars of columns open, high, low, close, volume, ts_event, ts_init."""
    if not len(columns["ts_init"]):
        return []
    return list(
        map(
            Bar,
            repeat(bar_type),
            prices.take(columns["open"]),
            prices.take(columns["high"]),
            prices.take(columns["low"]),
            prices.take(columns["close"]),
            sizes.take(columns["volume"]),
            columns["ts_event"].tolist(),
            columns["ts_init"].tolist(),
        )
    )


def bar_columns(bars: Iterable[Bar]) -> dict[str, np.ndarray]:
    """The inverse of `make_bars`."""
    rows = [
        (b.open.raw, b.high.raw, b.low.raw, b.close.raw, b.volume.raw, b.ts_event, b.ts_init)  # as in `_BAR_COLUMNS`
        for b in bars
    ]
    table = np.array(rows, np.int64).reshape(-1, len(_BAR_COLUMNS))
    return {name: np.ascontiguousarray(table[:, index]) for index, name in enumerate(_BAR_COLUMNS)}


def _same_times(columns: dict[str, np.ndarray]) -> bool:
    return columns["ts_event"] is columns["ts_init"]
