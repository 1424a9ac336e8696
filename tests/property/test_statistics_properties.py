"""Invariants of drawdowns, sampling and statistics on any series."""

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.analysis import returns_statistics as rs
from nautilus_common.analysis.equity import EquityCurve, drawdown_series, drawdowns, sample_returns, simple_returns
from nautilus_common.analysis.tearsheet_charts import thinned

returns_lists = st.lists(st.floats(-0.5, 0.5, allow_nan=False), min_size=2, max_size=200)
equities = st.lists(st.floats(1.0, 1e9, allow_nan=False), min_size=1, max_size=200)


@given(equities)
def test_drawdown_is_between_minus_one_and_zero_and_zero_at_new_peaks(values: list[float]) -> None:
    equity = np.asarray(values)
    series = drawdown_series(equity)
    assert bool(((series <= 0.0) & (series > -1.0)).all())
    assert bool((series[equity == np.maximum.accumulate(equity)] == 0.0).all())


@given(equities, st.floats(0.001, 1000.0))
def test_scaling_equity_leaves_the_deepest_drawdown(values: list[float], factor: float) -> None:
    equity = np.asarray(values)
    assert math.isclose(
        float(drawdown_series(equity).min()), float(drawdown_series(equity * factor).min()), abs_tol=1e-12
    )


@given(equities)
def test_drawdowns_cover_the_series_without_overlap(values: list[float]) -> None:
    equity, ts = np.asarray(values), np.arange(len(values), dtype=np.int64)
    found = drawdowns(ts, equity, top=len(values))
    assert [d.depth for d in found] == sorted(d.depth for d in found)
    assert min((d.depth for d in found), default=0.0) == float(drawdown_series(equity).min())
    spans = sorted((d.peak_ns, d.end_ns) for d in found)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


@given(returns_lists)
def test_the_order_of_returns_changes_nothing_that_is_summed(returns: list[float]) -> None:
    for function in (rs.mean, rs.deviation, rs.profit_factor, rs.value_at_risk):
        assert function(returns) == function(list(reversed(returns)))


@given(returns_lists, st.integers(1, 500))
def test_annualisation_is_a_square_root(returns: list[float], periods: int) -> None:
    one, many = rs.sharpe_ratio(returns, 1), rs.sharpe_ratio(returns, periods)
    assert (one is None) == (many is None)
    if one is not None and many is not None:
        assert math.isclose(one * math.sqrt(periods), many, rel_tol=1e-12)


@given(returns_lists)
def test_ordered_quantiles(returns: list[float]) -> None:
    low, tail = rs.value_at_risk(returns), rs.conditional_value_at_risk(returns)
    assert low is not None and tail is not None
    assert min(returns) <= tail + 1e-12 and tail <= low + 1e-12 and low <= max(returns)


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * 10**15), st.floats(1.0, 1e6)), min_size=1, max_size=60, unique_by=lambda p: p[0]
    )
)
@settings(max_examples=60)
def test_sampled_returns_compound_to_the_whole(points: list[tuple[int, float]]) -> None:
    points.sort()
    ts, equity = np.asarray([t for t, _ in points], dtype=np.int64), np.asarray([e for _, e in points])
    curve = EquityCurve("USD", ts, equity, equity, np.zeros(len(ts)))
    for periods in (252, 365):
        total = rs.total_return(sample_returns(curve, periods).returns)
        assert math.isclose(1.0 + (total or 0.0), float(equity[-1] / equity[0]), rel_tol=1e-9)
    assert len(simple_returns(equity)) == max(len(equity) - 1, 0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(4, 100))
def test_thinning_keeps_ends_and_extremes_within_the_limit(values: list[float], limit: int) -> None:
    array = np.asarray(values)
    rows = thinned(array, limit)
    assert len(rows) <= limit
    assert rows[0] == 0 and rows[-1] == len(values) - 1
    assert array[rows].min() == array.min() and array[rows].max() == array.max()
