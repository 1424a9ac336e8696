"""Look-ahead scans and the merge, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.kernels import scan

ABSENT = (scan.NO_BUY_LIMIT, scan.NO_SELL_LIMIT, scan.NO_BUY_STOP, scan.NO_SELL_STOP)


def first(rows, start, stop, touches):
    return next((k for k in range(start, stop) if touches(*rows[k])), stop)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_triggers(data):
    n = data.draw(st.integers(0, 150))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    low = 100 + np.cumsum(rng.integers(-1, 2, n))
    high = low + rng.integers(0, 4, n)
    side = rng.integers(0, 3, n)
    low.flags.writeable = False
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    prices = [data.draw(st.one_of(st.just(absent), st.integers(85, 115))) for absent in ABSENT]
    buy_limit, sell_limit, buy_stop, sell_stop = prices
    rows = list(zip(low.tolist(), high.tolist(), strict=True))

    def quote(bid, ask):
        return ask <= buy_limit or bid >= sell_limit or ask >= buy_stop or bid <= sell_stop

    def bar(bottom, top):
        return bottom <= buy_limit or top >= sell_limit or top >= buy_stop or bottom <= sell_stop

    assert scan.next_quote_trigger(low, high, start, stop, *prices) == first(rows, start, stop, quote)
    assert scan.next_bar_trigger(high, low, start, stop, *prices) == first(rows, start, stop, bar)
    expected = first(rows, start, stop, lambda price, _: bar(price, price))
    assert scan.next_trade_trigger(low, side, start, stop, *prices) == expected


def test_absent_orders_never_match():
    bid = np.array([-(2**62), 0, 2**62])
    for trigger in (scan.next_quote_trigger, scan.next_trade_trigger, scan.next_bar_trigger):
        assert trigger(bid, bid, 0, 3, *ABSENT) == 3
        assert trigger(bid, bid, 2, 2, *ABSENT) == 2


def test_strided_columns_are_refused():
    with pytest.raises(TypeError):
        scan.next_quote_trigger(np.arange(10)[::2], np.arange(5), 0, 5, *ABSENT)
