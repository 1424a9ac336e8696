"""Columns of hand-made ticks and bars: what `add_data` does with a list of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nautilus_common.catalog.columns import DataColumns
from nautilus_common.catalog.errors import DataError
from nautilus_common.model.data import Bar, QuoteTick, TradeTick

Tick = QuoteTick | TradeTick | Bar


def columns_from_ticks(ticks: Sequence[Tick], instrument: Any, *, sort: bool = True, source: str = "add_data") -> DataColumns:
    """One stream of `ticks`, all of one kind and instrument (and bar type); sorted stably by `ts_init` if asked.

    Raises `DataError` naming the first object that does not fit, ValueError for an empty list.
    """
    if not ticks:
        raise ValueError("add_data: the list is empty; give at least one tick or bar")
    first = ticks[0]
    kind = {QuoteTick: "quote", TradeTick: "trade", Bar: "bar"}.get(type(first))
    if kind is None:
        raise ValueError(f"add_data takes QuoteTick, TradeTick, Bar or DataColumns, not {type(first).__name__}")
    rows = [_row(tick, row, first, instrument, source) for row, tick in enumerate(ticks, 1)]
    names = {"quote": _QUOTE, "trade": _TRADE, "bar": _BAR}[kind]
    table = np.array(rows, dtype=np.int64)
    if sort:
        table = table[np.argsort(table[:, 1], kind="stable")]
    columns = {name: np.ascontiguousarray(table[:, index]) for index, name in enumerate(names)}
    bar_type = first.bar_type if isinstance(first, Bar) else None
    return DataColumns(kind, instrument.id, bar_type, columns)


_QUOTE = ("ts_event", "ts_init", "bid", "ask", "bid_size", "ask_size")
_TRADE = ("ts_event", "ts_init", "price", "size", "aggressor", "trade_id")
_BAR = ("ts_event", "ts_init", "open", "high", "low", "close", "volume")


def _row(tick: Tick, row: int, first: Tick, instrument: Any, source: str) -> tuple[int, ...]:
    if type(tick) is not type(first):
        raise _fault(source, row, f"a {type(tick).__name__} among {type(first).__name__}s", "add each kind on its own")
    try:
        tick.check()
    except ValueError as error:
        raise _fault(source, row, str(error), "correct the object") from None
    price, size = instrument.price_precision, instrument.size_precision
    times = (tick.ts_event, tick.ts_init)
    match tick:
        case QuoteTick():
            values = (tick.bid_price, tick.ask_price)
            sizes = (tick.bid_size, tick.ask_size)
        case TradeTick():
            values, sizes = (tick.price,), (tick.size,)  # type: ignore[assignment]
        case Bar():
            if tick.bar_type != first.bar_type:  # type: ignore[union-attr]
                raise _fault(source, row, f"bar type {tick.bar_type} among {first.bar_type}", "add each type on its own")  # type: ignore[union-attr]
            values, sizes = (tick.open, tick.high, tick.low, tick.close), (tick.volume,)  # type: ignore[assignment]
    for value in values:
        if value.precision != price:
            raise _fault(source, row, f"price {value} has precision {value.precision}, not {price}", "use instrument.make_price")
    for value in sizes:
        if value.precision != size:
            raise _fault(source, row, f"size {value} has precision {value.precision}, not {size}", "use instrument.make_qty")
    raws = (*times, *(value.raw for value in values), *(value.raw for value in sizes))
    if isinstance(tick, TradeTick):
        number = tick.trade_id.value
        return (*raws, int(tick.aggressor_side), int(number) if number.isdigit() and len(number) < 19 else row)
    return raws


def _fault(source: str, row: int, what: str, remedy: str) -> DataError:
    return DataError(what, source=source, row=row, remedy=remedy)
