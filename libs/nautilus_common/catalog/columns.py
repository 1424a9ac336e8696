"""The columns of each kind of market data, and the batch of columns that engine and catalogue take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nautilus_common.messages.blocks import KIND_COLUMNS as KIND_COLUMNS
from nautilus_common.messages.blocks import Column

IntArray: TypeAlias = Column
Columns: TypeAlias = dict[str, IntArray]
Row: TypeAlias = Mapping[str, int]

PRICE_COLUMNS: dict[str, tuple[str, ...]] = {
    "quote": ("bid", "ask"),
    "trade": ("price",),
    "bar": ("open", "high", "low", "close"),
}
SIZE_COLUMNS: dict[str, tuple[str, ...]] = {
    "quote": ("bid_size", "ask_size"),
    "trade": ("size",),
    "bar": ("volume",),
}
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)


class InstrumentLike(Protocol):
    """What data columns need to know of an instrument."""

    @property
    def id(self) -> Any: ...
    @property
    def price_precision(self) -> int: ...
    @property
    def size_precision(self) -> int: ...
    @property
    def size_increment(self) -> Any: ...
    def allows_negative_price(self) -> bool: ...


class DataColumns(msgspec.Struct, frozen=True, eq=False):
    """One instrument's data of one kind as raw int64 columns, sorted by `ts_init`; `add_data` takes it.

    `allow_crossed` says that bid above ask is how the source is (bid and ask bars recorded apart), not an error.
    """

    kind: str
    instrument_id: Any
    bar_type: Any | None
    columns: dict[str, Any]
    allow_crossed: bool = False

    def __len__(self) -> int:
        return len(self.columns["ts_init"])


def decimal_text(raw: int, precision: int) -> str:
    """The decimal text of a raw integer: decimal_text(91717, 3) is '91.717'."""
    if precision <= 0:
        return str(raw)
    digits = str(abs(raw)).rjust(precision + 1, "0")
    return f"{'-' if raw < 0 else ''}{digits[:-precision]}.{digits[-precision:]}"


def iso_text(ns: int) -> str:
    """UTC ISO 8601 text of a time in nanoseconds."""
    return f"{np.datetime64(int(ns), 'ns')}Z"


def row_count(columns: Mapping[str, IntArray]) -> int:
    """Rows of a set of columns (0 if it has no columns)."""
    return len(columns["ts_init"]) if "ts_init" in columns else 0


def slice_columns(columns: Mapping[str, IntArray], start: int, stop: int) -> Columns:
    """Rows [start, stop) as views; columns that are one array stay one array."""
    views: dict[int, IntArray] = {}
    return {name: views.setdefault(id(array), array[start:stop]) for name, array in columns.items()}


def take_columns(columns: Mapping[str, IntArray], rows: npt.NDArray[Any]) -> Columns:
    """The rows picked by a mask or an index, copied; columns that are one array stay one array."""
    taken: dict[int, IntArray] = {}
    for array in columns.values():
        if id(array) not in taken:
            taken[id(array)] = np.ascontiguousarray(array[rows])
    return {name: taken[id(array)] for name, array in columns.items()}


def concat_columns(parts: list[Columns]) -> Columns:
    """All parts in order; `ts_event` stays the same array as `ts_init` where it is in every part."""
    if len(parts) == 1:
        return parts[0]
    joined = {}
    shared = all(part.get("ts_event") is part["ts_init"] for part in parts)
    for name in parts[0]:
        if name == "ts_event" and shared:
            continue
        joined[name] = np.concatenate([part[name] for part in parts])
    if shared:
        return {name: joined["ts_init"] if name == "ts_event" else joined[name] for name in parts[0]}
    return joined
