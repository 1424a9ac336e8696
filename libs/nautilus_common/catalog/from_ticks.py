"""Columns of hand-made ticks and bars: what `add_data` does with a list of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nautilus_common.catalog.columns import DataColumns
from nautilus_common.catalog.errors import DataError
from nautilus_common.model.data import Bar, QuoteTick, TradeTick
from nautilus_common.model.values import Price, Quantity

Tick = QuoteTick | TradeTick | Bar


def columns_from_ticks(
    ticks: Sequence[Tick], instrument: Any, *, sort: bool = True, source: str = "add_data"
) -> DataColumns:
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
    prices, sizes = _values(tick, first, row, source)
    for values, precision, make in (
        (prices, instrument.price_precision, "price"),
        (sizes, instrument.size_precision, "qty"),
    ):
        for value in values:
            if value.precision != precision:
                what = f"{make} {value} has precision {value.precision}, not {precision}"
                raise _fault(source, row, what, f"use instrument.make_{make}")
    raws = (tick.ts_event, tick.ts_init, *(value.raw for value in (*prices, *sizes)))
    if isinstance(tick, TradeTick):
        number = tick.trade_id.value
        return (*raws, int(tick.aggressor_side), int(number) if number.isdigit() and len(number) < 19 else row)
    return raws


def _values(tick: Tick, first: Tick, row: int, source: str) -> tuple[tuple[Price, ...], tuple[Quantity, ...]]:
    """(prices, sizes) of a tick, in the order of its columns."""
    if isinstance(tick, QuoteTick):
        return (tick.bid_price, tick.ask_price), (tick.bid_size, tick.ask_size)
    if isinstance(tick, TradeTick):
        return (tick.price,), (tick.size,)
    assert isinstance(first, Bar)
    if tick.bar_type != first.bar_type:
        raise _fault(source, row, f"bar type {tick.bar_type} among {first.bar_type}", "add each type on its own")
    return (tick.open, tick.high, tick.low, tick.close), (tick.volume,)


def _fault(source: str, row: int, what: str, remedy: str) -> DataError:
    return DataError(what, source=source, row=row, remedy=remedy)
