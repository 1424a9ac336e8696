"""Execution on bars: a bar becomes four points, open, high, low, close, each with a quarter of the volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nautilus_common.model.enums import PriceType
from nautilus_common.venues.simulated.market import Market, bar_price_type, closing_size, quarter_size

if TYPE_CHECKING:
    from nautilus_common.streams import StreamView


class BarPoint(NamedTuple):
    """The book at one point of the walk through a bar."""

    bid: int
    ask: int
    size: int
    is_open: bool


def bar_points(market: Market, view: StreamView, *, adaptive: bool) -> tuple[list[BarPoint], StreamView | None]:
    """(the walk O, H, L, C of the bar just taken, None); `adaptive` takes the nearer of high and low first.

    A LAST or MID bar moves both sides. BID and ASK bars of the same instant are walked together when the second of them
    is taken; the first only waits: (nothing, the stream of the second).
    """
    price_type = bar_price_type(view)
    if price_type not in (PriceType.BID, PriceType.ASK):
        return _walk(market, view, view, adaptive), None
    other = _partner(market, view, PriceType.ASK if price_type == PriceType.BID else PriceType.BID)
    if other is None:
        return _walk(market, view, view, adaptive), None
    if not other.has_row or other.value("ts_init") != view.value("ts_init"):
        return [], other
    bid, ask = (view, other) if price_type == PriceType.BID else (other, view)
    return _walk(market, bid, ask, adaptive), None


def _walk(market: Market, bid: StreamView, ask: StreamView, adaptive: bool) -> list[BarPoint]:
    names = ["open", "high", "low", "close"]
    if adaptive:
        opened, high, low = bid.value("open"), bid.value("high"), bid.value("low")
        if abs(opened - high) >= abs(opened - low):
            names = ["open", "low", "high", "close"]
    increment = market.instrument.size_increment.raw
    volume = bid.value("volume")
    size = quarter_size(volume, increment)
    last = closing_size(volume, increment)
    return [
        BarPoint(bid.value(name), ask.value(name), last if name == "close" else size, name == "open") for name in names
    ]


def _partner(market: Market, view: StreamView, price_type: PriceType) -> StreamView | None:
    mine = view.spec.bar_type
    assert mine is not None
    for other in market.bars:
        theirs = other.spec.bar_type
        if theirs is None or other is view:
            continue
        if theirs.spec.price_type == price_type and theirs.spec.timedelta == mine.spec.timedelta:
            return other
    return None
