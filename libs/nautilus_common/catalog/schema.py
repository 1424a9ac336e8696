"""The declared schema of a file of market data, and the conversion of its tables to raw columns."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import numpy as np

from nautilus_common.catalog.columns import (
    KIND_COLUMNS,
    PRICE_COLUMNS,
    SIZE_COLUMNS,
    Columns,
    InstrumentLike,
    IntArray,
)
from nautilus_common.catalog.conversion import Rounding, Where, as_arrow, size_to_raw, to_raw
from nautilus_common.catalog.errors import CatalogError, nearest
from nautilus_common.catalog.timestamps import check_format, check_timezone, to_ns
from nautilus_common.catalog.validation import OnDuplicate, Validator, require_columns

# What sources call our columns, the first that a file has being taken; the load spec's `columns` goes before.
ALIASES: dict[str, tuple[str, ...]] = {
    "ts_event": ("ts_event", "timestamp", "time", "datetime", "date", "ts", "ts_init", "__index_level_0__"),
    "bid": ("bid", "bid_price"),
    "ask": ("ask", "ask_price"),
    "bid_size": ("bid_size", "bid_qty", "bid_quantity", "bid_volume"),
    "ask_size": ("ask_size", "ask_qty", "ask_quantity", "ask_volume"),
    "price": ("price",),
    "size": ("size", "quantity", "qty", "amount"),
    "aggressor": ("aggressor", "aggressor_side", "side"),
    "buyer_maker": ("buyer_maker", "is_buyer_maker"),
    "trade_id": ("trade_id", "id"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
}
_OPTIONAL = {"ts_init", "bid_size", "ask_size", "size", "volume", "aggressor", "buyer_maker", "trade_id"}
_BUYER_MAKER = {"TRUE": 2, "T": 2, "1": 2, "FALSE": 1, "F": 1, "0": 1}
_SIDES = {
    **dict.fromkeys(("0", "N", "NONE", "NO_AGGRESSOR", ""), 0),
    **dict.fromkeys(("1", "B", "BUY", "BUYER"), 1),
    **dict.fromkeys(("2", "-1", "A", "S", "SELL", "SELLER"), 2),
}


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to read a CSV or Parquet file of one instrument and kind.

    kind: "quote", "trade" or "bar". columns: our name -> the file's name, where they are not alike (`ALIASES`);
    "ts_event" is the file's time, "ts_init" optional, "buyer_maker" may stand for "aggressor".
    timestamp: "iso", an epoch's unit "s" "ms" "us" "ns", or a strptime format; timezone: of times without one.
    timestamp_offset_ns is added to each time (a bar file stamped at the open: the bar's length);
    ts_init = ts_event + ts_init_delta_ns where the file has no ts_init.
    delimiter, header, column_names (of a file without header): CSV only.
    price_scale, size_scale: decimals implied by the file's integers (value = number / 10**scale).
    default_size: decimal text, of each row where the file has no sizes.
    size_rounding "half_even" rounds sizes of more digits than the instrument instead of refusing them;
    size_precision reads them at another precision than the instrument's (to make ticks of bars).
    max_rows: only the first rows of the file are taken, and only they are checked.
    """

    kind: str
    columns: dict[str, str] = {}
    timestamp: str = "iso"
    timezone: str = "UTC"
    timestamp_offset_ns: int = 0
    ts_init_delta_ns: int = 0
    delimiter: str = ","
    header: bool = True
    column_names: tuple[str, ...] = ()
    price_scale: int = 0
    size_scale: int = 0
    default_size: str = "1000000"
    size_rounding: Rounding = "error"
    size_precision: int | None = None
    on_duplicate: OnDuplicate = "error"
    allow_crossed: bool = False
    max_rows: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KIND_COLUMNS:
            raise CatalogError(f"unknown kind of data {self.kind!r}: use one of {', '.join(KIND_COLUMNS)}")
        targets = [*KIND_COLUMNS[self.kind], *(["buyer_maker"] if self.kind == "trade" else [])]
        for name in self.columns:
            if name not in targets:
                close = nearest(name, targets)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise CatalogError(
                    f"load spec: {name!r} is no column of kind {self.kind!r}{hint} ({', '.join(targets)})"
                )
        check_format(self.timestamp)
        check_timezone(self.timezone)
        if not self.header and not self.column_names:
            raise CatalogError("load spec: a file without header needs column_names, one for each of its columns")
        if len(self.delimiter) != 1:
            raise CatalogError(f"load spec: the delimiter is one character, not {self.delimiter!r}")
        try:
            Decimal(self.default_size)
        except InvalidOperation as error:
            raise CatalogError(f"load spec: default_size {self.default_size!r} is not a number") from error

    def resolve(self, available: list[str], source: str) -> dict[str, str]:
        """Our column -> the file's column, for those that it has; DataError if one that is needed is missing."""
        require_columns(self.columns.values(), available, kind=self.kind, source=source, remedy="Mend the load spec")
        folded = {name.strip().casefold(): name for name in reversed(available)}
        found: dict[str, str] = dict(self.columns)
        wanted = [*KIND_COLUMNS[self.kind], *(["buyer_maker"] if self.kind == "trade" else [])]
        for target in wanted:
            names = ("ts_init",) if target == "ts_init" else ALIASES[target]
            if target not in found and (name := next((folded[n] for n in names if n in folded), None)) is not None:
                found[target] = name
        if found.get("ts_init") == found.get("ts_event"):
            found.pop("ts_init", None)
        missing = [ALIASES[t][1] if t == "ts_event" else t for t in wanted if t not in found and t not in _OPTIONAL]
        require_columns(missing, available, kind=self.kind, source=source)
        return found


class TableConverter:
    """Converts the tables of one source, in order, to checked raw columns.

    It remembers the rows seen, so that messages name the row of the file and order is checked across tables.
    """

    def __init__(self, spec: LoadSpec, instrument: InstrumentLike, source: str, *, is_raw: bool = False) -> None:
        self._spec = spec
        self._instrument = instrument
        self._source = source
        self._price_precision = 0 if is_raw else instrument.price_precision
        size_precision = instrument.size_precision if spec.size_precision is None else spec.size_precision
        self._size_precision = 0 if is_raw else size_precision
        self._default_precision = size_precision
        self._map: dict[str, str] | None = None
        self._number_trades: bool | None = None
        self._validator = Validator(
            spec.kind, instrument, source, on_duplicate=spec.on_duplicate, allow_crossed=spec.allow_crossed
        )

    @property
    def dropped(self) -> int:
        """Duplicates dropped so far."""
        return self._validator.dropped

    def convert(self, table: Mapping[str, Any] | Any) -> Columns:
        """Checked raw columns of a mapping of names to arrays, or of an Arrow table."""
        arrays = {name: table[name] for name in _names(table)}
        if self._map is None:
            self._map = self._spec.resolve(list(arrays), self._source)
        columns = self._times(arrays)
        count = len(columns["ts_init"])
        for name in PRICE_COLUMNS[self._spec.kind]:
            columns[name] = self._number(arrays, name, self._price_precision, self._spec.price_scale, "error")
        for name in SIZE_COLUMNS[self._spec.kind]:
            columns[name] = self._sizes(arrays, name, count)
        if self._spec.kind == "trade":
            columns["aggressor"] = self._aggressors(arrays, count)
            columns["trade_id"] = self._trade_ids(arrays, count)
            self._validator.check_duplicates = not self._number_trades
        return self._validator.check({name: columns[name] for name in KIND_COLUMNS[self._spec.kind]})

    def _where(self, target: str) -> Where:
        assert self._map is not None
        return Where(self._source, self._map[target], self._validator.rows)

    def _has(self, target: str) -> bool:
        assert self._map is not None
        return target in self._map

    def _times(self, arrays: Mapping[str, Any]) -> Columns:
        assert self._map is not None
        spec = self._spec
        event = to_ns(arrays[self._map["ts_event"]], spec.timestamp, spec.timezone, self._where("ts_event"))
        if spec.timestamp_offset_ns:
            event = event + np.int64(spec.timestamp_offset_ns)
        init = event
        if self._has("ts_init"):
            init = to_ns(arrays[self._map["ts_init"]], spec.timestamp, spec.timezone, self._where("ts_init"))
            init = event if np.array_equal(init, event) else init
        elif spec.ts_init_delta_ns:
            init = event + np.int64(spec.ts_init_delta_ns)
        return {"ts_event": event, "ts_init": init}

    def _number(
        self, arrays: Mapping[str, Any], target: str, precision: int, scale: int, rounding: Rounding
    ) -> IntArray:
        assert self._map is not None
        return to_raw(arrays[self._map[target]], precision, self._where(target), scale=scale, rounding=rounding)

    def _sizes(self, arrays: Mapping[str, Any], target: str, count: int) -> IntArray:
        spec = self._spec
        if self._has(target):
            return self._number(arrays, target, self._size_precision, spec.size_scale, spec.size_rounding)
        return np.full(count, size_to_raw(spec.default_size, self._default_precision, "default_size"), dtype=np.int64)

    def _aggressors(self, arrays: Mapping[str, Any], count: int) -> IntArray:
        import pyarrow as pa

        assert self._map is not None
        target = next((name for name in ("aggressor", "buyer_maker") if self._has(name)), None)
        if target is None:
            return np.zeros(count, dtype=np.int64)
        encoded = as_arrow(arrays[self._map[target]]).cast(pa.string()).fill_null("").dictionary_encode()
        table = _BUYER_MAKER if target == "buyer_maker" else _SIDES
        texts = encoded.dictionary.to_pylist()
        numbers = np.array([table.get(text.strip().upper(), -1) for text in texts], dtype=np.int64)
        sides = numbers[encoded.indices.to_numpy(zero_copy_only=False)]
        if (sides < 0).any():
            index = int(np.flatnonzero(sides < 0)[0])
            text = texts[encoded.indices[index].as_py()]
            remedy = f"Use one of {', '.join(name for name in table if name)}"
            raise self._where(target).error(f"{text!r} is no side", index, code="aggressor", remedy=remedy)
        return np.asarray(sides)

    def _trade_ids(self, arrays: Mapping[str, Any], count: int) -> IntArray:
        """The source's numbers; where it has none, or names instead, the 1-based number of the row."""
        assert self._map is not None
        if self._number_trades is None:
            self._number_trades = not self._has("trade_id") or not _all_integers(arrays[self._map["trade_id"]])
        if not self._number_trades:
            return to_raw(arrays[self._map["trade_id"]], 0, self._where("trade_id"))
        first = self._validator.rows + 1
        return np.arange(first, first + count, dtype=np.int64)


def _names(table: Mapping[str, Any] | Any) -> list[str]:
    return list(table) if isinstance(table, Mapping) else list(table.column_names)


def _all_integers(values: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    array = as_arrow(values)
    if pa.types.is_integer(array.type):
        return True
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return False
    return bool(pc.all(pc.match_substring_regex(array, r"^\d{1,18}$")).as_py())
