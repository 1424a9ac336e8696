"""Internal bars: the behaviours measured on NautilusTrader, by hand."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nautilus_common.aggregation import NO_BARS, BarAggregator, BarOptions
from nautilus_common.model.data import BarType
from nautilus_common.model.enums import BarAggregation

SECOND = 1_000_000_000
MS = 1_000_000


def quotes(*rows):
    """(ms, bid, ask, bid size, ask size)"""
    ms, bid, ask, bid_size, ask_size = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return {"ts_event": ms * MS, "ts_init": ms * MS, "bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size}


def trades(*rows):
    """(ms, price, size, aggressor)"""
    ms, price, size, side = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return {"ts_event": ms * MS, "ts_init": ms * MS, "price": price, "size": size, "aggressor": side}


def aggregator(text, start_ms=0, price_increment=1, **options):
    bar_type = BarType.from_str(f"EUR/USD.SIM-{text}")
    return BarAggregator(bar_type, 5, 0, BarOptions(**options), start_ms * MS, price_increment)


def tuples(bars):
    """(ts_event ms, ts_init ms, o, h, l, c, v)"""
    rows = zip(*(column.tolist() for column in bars), strict=True)
    return [(event // MS, init // MS, *rest[:5]) for event, init, *rest in rows]


TICKS = quotes((300, 10, 12, 1, 5), (700, 14, 15, 2, 5), (1000, 9, 11, 3, 5), (3200, 11, 12, 4, 5))


@pytest.mark.parametrize("interval_type", ["left-open", "right-open"])
def test_row_at_the_close_is_inside_and_empty_intervals_are_flat(interval_type):
    bars = aggregator("1-SECOND-BID-INTERNAL", 300, interval_type=interval_type).consume(TICKS, 0, 4, 4000 * MS)
    shift = 0 if interval_type == "left-open" else -1000
    assert tuples(bars) == [
        (1000 + shift, 1000, 10, 14, 9, 9, 6),
        (2000 + shift, 2000, 9, 9, 9, 9, 0),
        (3000 + shift, 3000, 9, 9, 9, 9, 0),
        (4000 + shift, 4000, 11, 11, 11, 11, 4),
    ]
    assert bars.fire_ns.tolist() == [k * SECOND for k in (1, 2, 3, 4)]
    assert bars.row.tolist() == [-1] * 4


def test_no_flat_bars_if_not_wanted_and_open_stamps():
    maker = aggregator("1-SECOND-ASK-INTERNAL", 300, build_with_no_updates=False, timestamp_on_close=False)
    assert tuples(maker.consume(TICKS, 0, 4, 4000 * MS)) == [
        (0, 1000, 12, 15, 11, 11, 15),
        (3000, 4000, 12, 12, 12, 12, 5),
    ]
    assert maker.next_close_ns == 5 * SECOND


def test_first_bar_is_skipped_if_asked_and_its_close_is_remembered():
    maker = aggregator("1-SECOND-BID-INTERNAL", 300, skip_first_non_full_bar=True)
    assert tuples(maker.consume(TICKS, 0, 4, 2000 * MS)) == [(2000, 2000, 9, 9, 9, 9, 0)]


def test_no_bar_before_the_first_update():
    maker = aggregator("1-SECOND-BID-INTERNAL", 300)
    assert maker.next_close_ns == SECOND
    assert maker.consume(TICKS, 0, 0, 9000 * MS) is NO_BARS
    assert maker.next_close_ns == 10 * SECOND


def test_subscription_on_a_boundary_closes_a_bar_there():
    maker = aggregator("1-SECOND-BID-INTERNAL", 2000)
    assert maker.next_close_ns == 2 * SECOND
    rows = quotes((2000, 10, 11, 7, 7))
    assert tuples(maker.consume(rows, 0, 1, 2000 * MS)) == [(2000, 2000, 10, 10, 10, 10, 7)]
    assert maker.next_close_ns == 3 * SECOND


def test_build_delay_moves_timer_interval_and_stamps():
    maker = aggregator("1-SECOND-BID-INTERNAL", 300, build_delay_us=15_000)
    assert maker.next_close_ns == 1015 * MS
    rows = quotes((300, 10, 11, 1, 1), (1010, 12, 13, 1, 1), (1016, 9, 10, 1, 1))
    assert tuples(maker.consume(rows, 0, 3, 1015 * MS)) == [(1015, 1015, 10, 12, 10, 12, 2)]


def test_mid_bars_have_one_decimal_more():
    maker = aggregator("1-SECOND-MID-INTERNAL", 300)
    assert (maker.price_precision, maker.size_precision) == (6, 1)
    assert tuples(maker.consume(TICKS, 1, 3, 1000 * MS)) == [(1000, 1000, 145, 145, 100, 100, 75)]


def test_composite_bars():
    columns = {"ts_init": [1000, 2000, 3000], "open": [5, 7, 1], "high": [9, 8, 1], "low": [4, 6, 1]}
    columns |= {"close": [6, 7, 1], "volume": [3, 4, 1]}
    columns = {name: np.array(values, np.int64) for name, values in columns.items()}
    columns["ts_init"] *= MS
    maker = aggregator("2-SECOND-BID-INTERNAL@1-SECOND-INTERNAL", 300)
    assert tuples(maker.consume(columns, 0, 3, 2000 * MS)) == [(2000, 2000, 5, 9, 4, 7, 7)]
    values = aggregator("35-VOLUME-BID-INTERNAL@1-SECOND-INTERNAL")
    assert tuples(values.consume(columns, 0, 3, 0)) == []
    counted = aggregator("2-TICK-BID-INTERNAL@1-SECOND-INTERNAL")
    assert tuples(counted.consume(columns, 0, 3, 0)) == [(2000, 2000, 5, 9, 4, 7, 7)]


def test_calendar_and_origin():
    start = 1_582_848_000_000  # Friday 2020-02-28
    day = 86_400_000
    for text, close in (("1-WEEK", 3), ("1-MONTH", 2), ("3-MONTH", 33), ("1-YEAR", 308), ("1-DAY", 1)):
        maker = aggregator(f"{text}-BID-INTERNAL", start + 1)
        assert maker.next_close_ns == (start + close * day) * MS, text
    origin = {BarAggregation.DAY: 9 * 3_600 * SECOND}
    maker = aggregator("1-DAY-BID-INTERNAL", start + 1, origin_offset_ns=origin)
    assert maker.next_close_ns == (start + 9 * 3_600_000) * MS


def test_large_updates_are_split_over_volume_and_value_bars():
    rows = trades((1, 100_000, 7, 1), (2, 200_000, 10, 2), (3, 100_000, 0, 1))
    bars = aggregator("4-VOLUME-LAST-INTERNAL").consume(rows, 0, 3, 0, first_row=100)
    assert bars.volume.tolist() == [4, 4, 4, 4]
    assert bars.high.tolist() == [100_000, 200_000, 200_000, 200_000]
    assert bars.row.tolist() == [100, 101, 101, 101]
    bars = aggregator("5-VALUE-LAST-INTERNAL").consume(rows, 0, 3, 0)  # prices are 1 and 2
    assert bars.volume.tolist() == [5, 4, 3, 3]  # whole lots that reach 5: 5x1; 2x1 + 2x2; 3x2; 3x2; two lots are left


def test_imbalance_and_runs():
    rows = trades((1, 10, 1, 1), (2, 11, 1, 1), (3, 12, 1, 2), (4, 13, 1, 0), (5, 14, 1, 1), (6, 15, 1, 1))
    bars = aggregator("3-TICK_IMBALANCE-LAST-INTERNAL").consume(rows, 0, 6, 0)
    assert bars.row.tolist() == [5]
    assert bars.volume.tolist() == [6]
    bars = aggregator("2-TICK_RUNS-LAST-INTERNAL").consume(rows, 0, 6, 0)
    assert bars.row.tolist() == [1, 5]
    assert bars.open.tolist() == [10, 14]  # a new side begins a new bar


def test_renko_bricks():
    rows = trades((1, 100, 1, 1), (2, 104, 2, 1), (3, 125, 3, 1), (4, 101, 4, 1))
    bars = aggregator("2-RENKO-LAST-INTERNAL", price_increment=5).consume(rows, 0, 4, 0)
    assert tuples(bars) == [
        (3, 3, 100, 110, 100, 110, 6),
        (3, 3, 110, 120, 110, 120, 6),
        (4, 4, 120, 120, 110, 110, 4),
    ]


def test_overflow_is_an_error_that_names_the_bars():
    big = 2**62
    rows = trades((1, 10, big, 1), (2, 10, big, 1))
    for text in ("1-SECOND", "9-TICK", "9-RENKO"):
        with pytest.raises(OverflowError, match=rf"EUR/USD.SIM-{text}-LAST-INTERNAL.*int64"):
            aggregator(f"{text}-LAST-INTERNAL").consume(rows, 0, 2, SECOND)
    with pytest.raises(OverflowError, match="MID"):
        aggregator("1-SECOND-MID-INTERNAL").consume(quotes((1, big, big, 1, 1)), 0, 1, SECOND)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="TICK_RUNS needs the aggressor"):
        aggregator("5-TICK_RUNS-BID-INTERNAL")
    with pytest.raises(ValueError, match="EXTERNAL bars come from"):
        aggregator("1-SECOND-BID-EXTERNAL")
    with pytest.raises(ValueError, match="interval_type"):
        BarOptions(interval_type="open")
    with pytest.raises(ValueError, match="the step is"):
        BarAggregator(BarType.from_str("A.SIM-1000-VALUE-LAST-INTERNAL"), 9, 9, BarOptions(), 0)
    with pytest.raises(ValueError, match="column 'bid'"):
        aggregator("1-SECOND-BID-INTERNAL").consume(trades((1, 1, 1, 1)), 0, 1, SECOND)
    maker = aggregator("100-MILLISECOND-BID-INTERNAL")
    maker.consume(TICKS, 0, 4, 0)
    with pytest.raises(ValueError, match="consume a shorter time"):
        maker.consume(TICKS, 0, 0, 10**16)
    with pytest.raises(ValueError, match="snapshot is of bar type"):
        aggregator("1-SECOND-BID-INTERNAL").restore(maker.snapshot())


def test_the_end_of_time():
    maker = aggregator("1-DAY-BID-INTERNAL", build_with_no_updates=False)
    assert maker.consume(TICKS, 0, 4, 2**63 - 1).close.tolist() == [11]
    assert maker.next_close_ns == 2**63 - 1


def test_strided_columns_are_taken():
    rows = {name: np.repeat(column, 2)[::2] for name, column in TICKS.items()}
    assert aggregator("1-SECOND-BID-INTERNAL", 300).consume(rows, 0, 4, SECOND).volume.tolist() == [6]


def test_numba_is_not_imported_before_bars_are_wanted():
    modules = "nautilus_common.aggregation, nautilus_common.strategy.indicators"
    code = f"import sys, {modules}; assert 'numba' not in sys.modules"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "libs")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
