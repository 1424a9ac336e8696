"""Any cut of the rows and any sequence of times gives the bars of the plain twin."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.aggregation import BarAggregator, BarOptions
from nautilus_common.model.data import BarType

SPEC = importlib.util.spec_from_file_location("bars_twin", Path(__file__).parents[1] / "parity" / "bars_twin.py")
twin = importlib.util.module_from_spec(SPEC)
sys.modules["bars_twin"] = twin
SPEC.loader.exec_module(twin)

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
ORIGIN = 1_580_342_400 * SECOND  # 2020-01-30, a Thursday two days before a month ends

ROWS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 5, 10, 37]),  # quanta since the row before
        st.integers(90, 110),
        st.integers(0, 40),
        st.integers(0, 2),
    ),
    max_size=40,
)
UNITS = st.sampled_from(
    [
        ("MILLISECOND", 100, 10_000_000),
        ("SECOND", 1, 100_000_000),
        ("SECOND", 5, 1_000_000_000),
        ("MINUTE", 15, 150 * SECOND),
        ("HOUR", 4, 3_600 * SECOND),
        ("DAY", 1, 8_640 * SECOND),
        ("DAY", 3, DAY // 2),
        ("WEEK", 1, DAY),
        ("WEEK", 2, DAY),
        ("MONTH", 1, 3 * DAY),
        ("MONTH", 3, 5 * DAY),
        ("YEAR", 1, 30 * DAY),
    ]
)
OPTIONS = st.builds(
    BarOptions,
    interval_type=st.sampled_from(["left-open", "right-open"]),
    timestamp_on_close=st.booleans(),
    skip_first_non_full_bar=st.booleans(),
    build_with_no_updates=st.booleans(),
    origin_offset_ns=st.sampled_from([0, 0, 250_000_000, 9 * 3_600 * SECOND]),
    build_delay_us=st.sampled_from([0, 0, 15_000]),
)


def trade_columns(rows, quantum, start):
    gaps, prices, sizes, sides = zip(*rows, strict=True) if rows else ((), (), (), ())
    ts = start + np.cumsum(np.array(gaps, np.int64)) * quantum
    columns = {"ts_event": ts, "ts_init": ts, "price": prices, "size": sizes, "aggressor": sides}
    columns = {name: np.array(values, np.int64) for name, values in columns.items()}
    for column in columns.values():
        column.flags.writeable = False
    return columns


def twin_rows(columns):
    fields = zip(*(columns[name].tolist() for name in ("ts_init", "price", "size", "aggressor")), strict=True)
    return [twin.Row(ts, price, price, price, price, size, side) for ts, price, size, side in fields]


def as_tuples(bars):
    return list(zip(*(column.tolist() for column in bars), strict=True))


def consume_cut(make, columns, cuts, untils, last):
    """Rows in the given cuts; before each cut any time that keeps the promise; a snapshot is taken in between."""
    aggregator, bars, row = make(), [], 0
    ts = columns["ts_init"]
    n = ts.shape[0]
    for cut, share in zip([*sorted(min(cut, n) for cut in cuts), n], [*untils, 100], strict=True):
        cut = max(cut, row)
        limit = int(ts[cut]) - 1 if cut < n else last
        until = last if cut == n else min(limit, int(ts[0]) + (limit - int(ts[0])) * share // 100)
        bars += as_tuples(aggregator.consume(columns, row, cut, until))
        row = cut
        restored = make()
        restored.restore(aggregator.snapshot())
        assert restored.snapshot() == aggregator.snapshot()
        assert restored.next_close_ns == aggregator.next_close_ns
        aggregator = restored
    return bars


CUTS = st.lists(st.tuples(st.integers(0, 40), st.integers(-50, 100)), max_size=6)


@settings(max_examples=300, deadline=None)
@given(UNITS, ROWS, OPTIONS, st.integers(0, 40), CUTS, st.integers(0, 200))
def test_time_bars_do_not_depend_on_cuts(unit, rows, options, phase, cuts, tail):
    aggregation, step, quantum = unit
    start = ORIGIN + phase * quantum
    columns = trade_columns(rows, quantum, start)
    last = (int(columns["ts_init"][-1]) if rows else start) + tail * quantum
    bar_type = BarType.from_str(f"A.SIM-{step}-{aggregation}-LAST-INTERNAL")
    delay = options.build_delay_us * 1_000
    times = twin.boundaries(aggregation, step, start, last, options.origin_offset_ns, delay)
    opens = options.interval_type == "right-open" or not options.timestamp_on_close
    expected = twin.time_bars(
        twin_rows(columns),
        times,
        start,
        last,
        flat=options.build_with_no_updates,
        skip=options.skip_first_non_full_bar,
        opens=opens,
    )

    def make():
        return BarAggregator(bar_type, 2, 0, options, start)

    assert as_tuples(make().consume(columns, 0, len(rows), last)) == expected
    assert consume_cut(make, columns, [c for c, _ in cuts], [u for _, u in cuts], last) == expected
    ahead = make()  # all rows first, times later
    bars = [as_tuples(ahead.consume(columns, 0, len(rows), start - 1))]
    bars += [as_tuples(ahead.consume(columns, 0, 0, start + (last - start) * k // 7)) for k in range(8)]
    assert [bar for part in bars for bar in part] == expected
    assert times[-1] > last
    assert ahead.next_close_ns > last


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["PLAIN", "IMBALANCE", "RUNS"]),
    st.sampled_from(["TICK", "VOLUME", "VALUE"]),
    st.integers(1, 12),
    ROWS,
    CUTS,
)
def test_threshold_bars_do_not_depend_on_cuts(family, measure, step, rows, cuts):
    columns = trade_columns(rows, SECOND, ORIGIN)
    name = measure if family == "PLAIN" else f"{measure}_{family}"
    digits = {"TICK": 0, "VOLUME": 0, "VALUE": 2}[measure]
    bar_type = BarType.from_str(f"A.SIM-{step}-{name}-LAST-INTERNAL")
    expected = twin.threshold_bars(twin_rows(columns), family, measure, step * 10**digits)

    def make():
        return BarAggregator(bar_type, 2, 0, BarOptions(), ORIGIN)

    assert as_tuples(make().consume(columns, 0, len(rows), ORIGIN)) == expected
    last = ORIGIN + 10**6 * SECOND
    assert consume_cut(make, columns, [c for c, _ in cuts], [u for _, u in cuts], last) == expected
    assert all(bar[6] > 0 for bar in expected) or measure == "TICK"


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), ROWS, CUTS)
def test_renko_bars_do_not_depend_on_cuts(step, rows, cuts):
    columns = trade_columns(rows, SECOND, ORIGIN)
    bar_type = BarType.from_str(f"A.SIM-{step}-RENKO-LAST-INTERNAL")
    expected = twin.renko_bars(twin_rows(columns), step * 2)

    def make():
        return BarAggregator(bar_type, 2, 0, BarOptions(), ORIGIN, price_increment=2)

    last = ORIGIN + 10**6 * SECOND
    assert as_tuples(make().consume(columns, 0, len(rows), last)) == expected
    assert consume_cut(make, columns, [c for c, _ in cuts], [u for _, u in cuts], last) == expected


@pytest.mark.parametrize("name", ["VOLUME", "RENKO"])
def test_more_bars_than_a_table_holds(name):
    columns = trade_columns([(1, 100, 1, 1), (1, 1_100, 1_000, 1), (1, 90, 7, 2)], SECOND, ORIGIN)
    bar_type = BarType.from_str(f"A.SIM-1-{name}-LAST-INTERNAL")
    aggregator = BarAggregator(bar_type, 2, 0, BarOptions(), ORIGIN)
    rows = twin_rows(columns)
    expected = twin.renko_bars(rows, 1) if name == "RENKO" else twin.threshold_bars(rows, "PLAIN", "VOLUME", 1)
    assert as_tuples(aggregator.consume(columns, 0, 3, 0, first_row=5)) == [(*b[:-1], b[-1] + 5) for b in expected]
    assert len(expected) > 1_000
