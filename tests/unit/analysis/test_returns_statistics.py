"""Statistics of returns against hand-computed cases and against empyrical, the oracle."""

import math
import random
import warnings
from typing import Any

import numpy as np
import pytest
from nautilus_common.analysis import returns_statistics as rs

with warnings.catch_warnings():  # the oracle loads pandas, which warns about itself
    warnings.simplefilter("ignore")
    import empyrical
    import pandas as pd
    import scipy.stats

RNG = random.Random(7)
RETURNS = np.asarray([RNG.gauss(0.0006, 0.011) for _ in range(500)])
BENCHMARK = np.asarray([0.4 * r + RNG.gauss(0.0002, 0.008) for r in RETURNS])


def oracle(name: str, *args: Any, **kwargs: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = pd.date_range("2020-01-01", periods=len(RETURNS), tz="UTC")
        series = [pd.Series(a, index=index) if isinstance(a, np.ndarray) else a for a in args]
        return float(getattr(empyrical, name)(*series, **kwargs))


@pytest.mark.parametrize("periods", [252, 365])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (rs.cagr, "cagr"),
        (rs.volatility, "annual_volatility"),
        (rs.sharpe_ratio, "sharpe_ratio"),
        (rs.sortino_ratio, "sortino_ratio"),
        (rs.calmar_ratio, "calmar_ratio"),
    ],
)
def test_annualised_figures_agree_with_empyrical(ours: Any, theirs: str, periods: int) -> None:
    assert ours(RETURNS, periods) == pytest.approx(oracle(theirs, RETURNS, annualization=periods), rel=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (rs.max_drawdown, "max_drawdown"),
        (rs.value_at_risk, "value_at_risk"),
        (rs.conditional_value_at_risk, "conditional_value_at_risk"),
        (rs.tail_ratio, "tail_ratio"),
        (rs.total_return, "cum_returns_final"),
        (rs.profit_factor, "omega_ratio"),
    ],
)
def test_plain_figures_agree_with_empyrical(ours: Any, theirs: str) -> None:
    assert ours(RETURNS) == pytest.approx(oracle(theirs, RETURNS), rel=1e-11)


def test_benchmark_figures_agree_with_empyrical() -> None:
    assert rs.beta(RETURNS, BENCHMARK) == pytest.approx(oracle("beta", RETURNS, BENCHMARK), rel=1e-11)
    expected = oracle("alpha", RETURNS, BENCHMARK, annualization=365)
    assert rs.alpha(RETURNS, BENCHMARK, 365) == pytest.approx(expected, rel=1e-9)
    expected = oracle("excess_sharpe", RETURNS, BENCHMARK) * math.sqrt(365)
    assert rs.information_ratio(RETURNS, BENCHMARK, 365) == pytest.approx(expected, rel=1e-11)
    spread = oracle("annual_volatility", RETURNS - BENCHMARK, annualization=365)
    assert rs.tracking_error(RETURNS, BENCHMARK, 365) == pytest.approx(spread, rel=1e-12)


def test_skewness_and_kurtosis_agree_with_scipy() -> None:
    assert rs.skewness(RETURNS) == pytest.approx(float(scipy.stats.skew(RETURNS, bias=False)), rel=1e-11)
    assert rs.kurtosis(RETURNS) == pytest.approx(float(scipy.stats.kurtosis(RETURNS, bias=False)), rel=1e-11)


def test_cagr_of_730_calendar_days_takes_half_the_exponent() -> None:
    growth = 1.809**2  # 80.9 % a year for two years of 365 days
    daily = [growth ** (1 / 730) - 1.0] * 730
    assert rs.cagr(daily, 365) == pytest.approx(0.809, abs=1e-9)
    assert rs.cagr(daily, 252) == pytest.approx(0.506, abs=1e-3), "the trap: the customary 252"


def test_hand_computed() -> None:
    returns = [0.02, -0.01, 0.03, -0.02]
    assert rs.mean(returns) == pytest.approx(0.005)
    assert rs.average_win(returns) == pytest.approx(0.025)
    assert rs.average_loss(returns) == pytest.approx(-0.015)
    assert rs.profit_factor(returns) == pytest.approx(5 / 3)
    deviation = math.sqrt((0.015**2 + 0.015**2 + 0.025**2 + 0.025**2) / 3)
    assert rs.deviation(returns) == pytest.approx(deviation)
    assert rs.sharpe_ratio(returns, 365) == pytest.approx(0.005 / deviation * math.sqrt(365))
    assert rs.sortino_ratio(returns, 252) == pytest.approx(0.005 / math.sqrt(0.0005 / 4) * math.sqrt(252))
    assert rs.max_drawdown([0.10, -0.50, 1.0, -0.10]) == pytest.approx(-0.5)
    assert rs.treynor_ratio(returns, returns, 365) == pytest.approx(0.005 * 365)


def test_what_a_sample_cannot_give_is_none() -> None:
    for function in (rs.mean, rs.deviation, rs.total_return, rs.max_drawdown, rs.skewness, rs.kurtosis, rs.tail_ratio):
        assert function([]) is None
    assert rs.sharpe_ratio([0.01], 365) is None
    assert rs.sharpe_ratio([0.1] * 10, 365) is None, "no spread: not a ratio of 1e16"
    assert rs.sortino_ratio([0.01, 0.02], 365) is None
    assert rs.profit_factor([0.01]) is None
    assert rs.cagr([-1.0], 365) is None
    assert rs.cagr([0.5] * 3, 365 * 1440) is None, "beyond a float"
    assert rs.beta([0.1, 0.2], [0.0, 0.0]) is None


def test_a_benchmark_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="3 returns against 2"):
        rs.beta([0.1, 0.2, 0.3], [0.1, 0.2])


def test_probabilistic_sharpe_of_a_symmetric_sample() -> None:
    assert rs.probabilistic_sharpe_ratio([0.01, -0.01] * 50) == pytest.approx(0.5)
    value = rs.probabilistic_sharpe_ratio(RETURNS)
    assert value is not None and 0.5 < value < 1.0
