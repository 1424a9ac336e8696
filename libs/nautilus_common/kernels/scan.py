"""The venue's look-ahead: at which row can a resting order first do something.

An order book side is four prices: the best buy limit, sell limit, buy stop and sell stop of the resting orders. Until a
row touches one of them nothing can fill, so nothing but four comparisons a row is run [20-45 times cheaper than asking
each of 16 orders]. An absent order is a price that never matches: `NO_BUY_LIMIT` and
so on. Scans keep no state and write nothing, so a result may be thrown away; galloping is the caller's.
"""

from typing import Any

from .jit import COLUMN, I64, kernel

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

NO_BUY_LIMIT, NO_SELL_LIMIT, NO_BUY_STOP, NO_SELL_STOP = _LOWEST, _HIGHEST, _HIGHEST, _LOWEST
"""Trigger prices of orders that are not there. (No price of the platform is at the end of int64.)"""

_BLOCK = 64


@kernel(I64(COLUMN, COLUMN, I64, I64, I64, I64, I64, I64))
def next_quote_trigger(
    bid: Any, ask: Any, start: int, stop: int, buy_limit: int, sell_limit: int, buy_stop: int, sell_stop: int
) -> int:
    """The first row in [start, stop) at which an order can fill or trigger, or `stop`.

    A buy limit when ask <= buy_limit, a sell limit when bid >= sell_limit, a buy stop when ask >= buy_stop, a sell stop
    when bid <= sell_stop.
    """
    bids = bid[start:stop]
    asks = ask[start:stop]
    n = bids.shape[0]
    block = 0
    while block < n:  # whole blocks without an exit run vectorised
        end = min(block + _BLOCK, n)
        hit = 0
        for k in range(block, end):
            hit |= (asks[k] <= buy_limit) | (asks[k] >= buy_stop) | (bids[k] >= sell_limit) | (bids[k] <= sell_stop)
        if hit:
            for k in range(block, end):
                if asks[k] <= buy_limit or asks[k] >= buy_stop or bids[k] >= sell_limit or bids[k] <= sell_stop:
                    return start + k
        block = end
    return stop


@kernel(I64(COLUMN, COLUMN, I64, I64, I64, I64, I64, I64))
def next_trade_trigger(
    price: Any, aggressor: Any, start: int, stop: int, buy_limit: int, sell_limit: int, buy_stop: int, sell_stop: int
) -> int:
    """As `next_quote_trigger`, for trades: any trade at or through a price, whoever was the aggressor.

    The book is moved to the trade for an instant, so that a trade of either aggressor can fill either side: the
    aggressor does not narrow the search. It is taken so that a finer rule needs no other signature.
    """
    prices = price[start:stop]
    n = prices.shape[0]
    lower = max(buy_limit, sell_stop)
    upper = min(sell_limit, buy_stop)
    block = 0
    while block < n:
        end = min(block + _BLOCK, n)
        hit = 0
        for k in range(block, end):
            hit |= (prices[k] <= lower) | (prices[k] >= upper)
        if hit:
            for k in range(block, end):
                if prices[k] <= lower or prices[k] >= upper:
                    return start + k
        block = end
    return stop


@kernel(I64(COLUMN, COLUMN, I64, I64, I64, I64, I64, I64))
def next_bar_trigger(
    high: Any, low: Any, start: int, stop: int, buy_limit: int, sell_limit: int, buy_stop: int, sell_stop: int
) -> int:
    """As `next_quote_trigger`, for bars: the lowest price of a bar is its low, the highest its high."""
    highs = high[start:stop]
    lows = low[start:stop]
    n = highs.shape[0]
    lower = max(buy_limit, sell_stop)
    upper = min(sell_limit, buy_stop)
    block = 0
    while block < n:
        end = min(block + _BLOCK, n)
        hit = 0
        for k in range(block, end):
            hit |= (lows[k] <= lower) | (highs[k] >= upper)
        if hit:
            for k in range(block, end):
                if lows[k] <= lower or highs[k] >= upper:
                    return start + k
        block = end
    return stop
