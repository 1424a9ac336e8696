"""Statistics of a series of returns: pure functions of arrays and scalars.

Every annualised figure takes `periods_per_year`, the number of these returns in a year; there is no default, since
the common 252 is wrong for a market that never closes. A figure that the sample cannot give is None, never NaN.
Sums are `math.fsum` (correctly rounded, so independent of order and of numpy's pairwise adding).

Sources: empyrical (the definitions that quantstats shares), NautilusTrader's analysis names, and where given the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .result import FloatArray

    Values: TypeAlias = FloatArray | Sequence[float]

FLAT = 1e-15
"""A deviation below this share of the largest value is rounding, not spread."""


def values_of(values: Values) -> list[float]:
    """The values as Python floats; `tolist` is exact for float64."""
    return [float(x) for x in values]


def mean(values: Values) -> float | None:
    """Arithmetic mean: sum(x) / n. NautilusTrader: Average (Return)."""
    x = values_of(values)
    return math.fsum(x) / len(x) if x else None


def deviation(values: Values, ddof: int = 1) -> float | None:
    """Standard deviation: sqrt(sum((x - mean)^2) / (n - ddof)); 0.0 where the spread is only rounding."""
    x = values_of(values)
    if len(x) <= ddof:
        return None
    centre = math.fsum(x) / len(x)
    result = math.sqrt(math.fsum((v - centre) * (v - centre) for v in x) / (len(x) - ddof))
    return 0.0 if result <= FLAT * max(abs(v) for v in x) else result


def quantile(values: Values, share: float) -> float | None:
    """Empirical quantile with linear interpolation between order statistics (Hyndman and Fan, type 7)."""
    x = sorted(values_of(values))
    if not x:
        return None
    place = share * (len(x) - 1)
    low = math.floor(place)
    high = min(low + 1, len(x) - 1)
    return x[low] + (x[high] - x[low]) * (place - low)


def total_return(returns: Values) -> float | None:
    """Compound return: prod(1 + r) - 1, multiplied in order."""
    x = values_of(returns)
    if not x:
        return None
    growth = 1.0
    for r in x:
        growth *= 1.0 + r
    return growth - 1.0


def cagr(returns: Values, periods_per_year: float) -> float | None:
    """Compound annual growth rate: prod(1 + r)^(periods_per_year / n) - 1. empyrical `cagr`.

    With 730 daily returns of a market open every day, periods_per_year is 365 and the exponent one half; with the
    usual 252 it would be a third, and the figure far too small. None when everything was lost.
    """
    total = total_return(returns)
    if total is None or total <= -1.0:
        return None
    return growth_to_the_year(1.0 + total, periods_per_year / len(returns))


def growth_to_the_year(growth: float, exponent: float) -> float | None:
    """`growth ** exponent - 1`, None where that is beyond a float (a good hour is not a year)."""
    try:
        return math.pow(growth, exponent) - 1.0
    except OverflowError:
        return None


def volatility(returns: Values, periods_per_year: float) -> float | None:
    """Annualised volatility: std(r, ddof=1) * sqrt(periods_per_year). NautilusTrader: Returns Volatility."""
    spread = deviation(returns)
    return None if spread is None else spread * math.sqrt(periods_per_year)


def sharpe_ratio(returns: Values, periods_per_year: float, risk_free: float = 0.0) -> float | None:
    """Sharpe (1994): mean(r - rf) / std(r, ddof=1) * sqrt(periods_per_year); `risk_free` is per period."""
    ratio = risk_return_ratio([r - risk_free for r in values_of(returns)])
    return None if ratio is None else ratio * math.sqrt(periods_per_year)


def sortino_ratio(returns: Values, periods_per_year: float, target: float = 0.0) -> float | None:
    """Sortino: mean(r - target) / sqrt(sum(min(r - target, 0)^2) / n) * sqrt(periods_per_year).

    The downside is divided by all n returns, not only the losing ones (empyrical, NautilusTrader).
    """
    x = [r - target for r in values_of(returns)]
    if not x:
        return None
    downside = math.sqrt(math.fsum(r * r for r in x if r < 0.0) / len(x))
    return None if downside == 0.0 else math.fsum(x) / len(x) / downside * math.sqrt(periods_per_year)


def risk_return_ratio(returns: Values) -> float | None:
    """mean(r) / std(r, ddof=1), not annualised. NautilusTrader: Risk Return Ratio."""
    centre, spread = mean(returns), deviation(returns)
    return None if centre is None or not spread else centre / spread


def average_win(returns: Values) -> float | None:
    """Mean of the returns above zero. NautilusTrader: Average Win (Return)."""
    return mean([r for r in values_of(returns) if r > 0.0])


def average_loss(returns: Values) -> float | None:
    """Mean of the returns below zero, a negative number. NautilusTrader: Average Loss (Return)."""
    return mean([r for r in values_of(returns) if r < 0.0])


def profit_factor(values: Values) -> float | None:
    """sum of gains / |sum of losses|, of returns or of trades; None without a loss. At threshold 0 also Omega."""
    x = values_of(values)
    losses = math.fsum(v for v in x if v < 0.0)
    return None if losses == 0.0 else math.fsum(v for v in x if v > 0.0) / -losses


def skewness(returns: Values) -> float | None:
    """Adjusted Fisher-Pearson skewness: g1 * sqrt(n (n-1)) / (n - 2), as pandas and spreadsheets have it."""
    x = values_of(returns)
    n = len(x)
    spread = deviation(x, ddof=0) if n >= 3 else None
    if not spread:
        return None
    centre = math.fsum(x) / n
    third = math.fsum((v - centre) * (v - centre) * (v - centre) for v in x) / n
    return third / (spread * spread * spread) * math.sqrt(n * (n - 1)) / (n - 2)


def kurtosis(returns: Values) -> float | None:
    """Excess kurtosis, bias corrected: (n-1) / ((n-2)(n-3)) * ((n+1) g2 + 6); 0 for a normal distribution."""
    x = values_of(returns)
    n = len(x)
    spread = deviation(x, ddof=0) if n >= 4 else None
    if not spread:
        return None
    centre = math.fsum(x) / n
    variance = spread * spread
    fourth = math.fsum(((v - centre) * (v - centre)) * ((v - centre) * (v - centre)) for v in x) / n
    excess = fourth / (variance * variance) - 3.0
    return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6.0)


def max_drawdown(returns: Values) -> float | None:
    """Largest fall from a peak of the compounded returns, starting at 1: min(V / max(V so far) - 1) <= 0. empyrical."""
    x = values_of(returns)
    if not x:
        return None
    value = peak = 1.0
    worst = 0.0
    for r in x:
        value *= 1.0 + r
        peak = max(peak, value)
        worst = min(worst, value / peak - 1.0)
    return worst


def calmar_ratio(returns: Values, periods_per_year: float) -> float | None:
    """Young (1991): CAGR / |max drawdown|; None without a drawdown. empyrical."""
    growth, worst = cagr(returns, periods_per_year), max_drawdown(returns)
    return None if growth is None or not worst else growth / -worst


def value_at_risk(returns: Values, cutoff: float = 0.05) -> float | None:
    """Historical value at risk: the empirical `cutoff` quantile of the returns (no normal assumption). empyrical."""
    return quantile(returns, cutoff)


def conditional_value_at_risk(returns: Values, cutoff: float = 0.05) -> float | None:
    """Expected shortfall: mean of the floor((n - 1) * cutoff) + 1 worst returns. empyrical."""
    x = sorted(values_of(returns))
    return mean(x[: math.floor((len(x) - 1) * cutoff) + 1]) if x else None


def tail_ratio(returns: Values) -> float | None:
    """|95 % quantile| / |5 % quantile|. empyrical."""
    high, low = quantile(returns, 0.95), quantile(returns, 0.05)
    return None if high is None or not low else abs(high) / abs(low)


def probabilistic_sharpe_ratio(returns: Values) -> float | None:
    """Probability that the true Sharpe ratio is above zero (Bailey and Lopez de Prado 2012).

    Phi(SR * sqrt(n - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)), SR per period, g3 skewness, g4 kurtosis (3 = normal).
    """
    ratio, third, fourth = risk_return_ratio(returns), skewness(returns), kurtosis(returns)
    if ratio is None or third is None or fourth is None:
        return None
    spread = 1.0 - third * ratio + (fourth + 2.0) / 4.0 * ratio * ratio
    if spread <= 0.0:
        return None
    return 0.5 * (1.0 + math.erf(ratio * math.sqrt(len(returns) - 1) / math.sqrt(spread) / math.sqrt(2.0)))


def rolling_sharpe(returns: Values, periods_per_year: float, window: int = 60) -> list[float | None]:
    """Sharpe ratio of each window of `window` returns; the first value belongs to return `window - 1`."""
    x = values_of(returns)
    return [sharpe_ratio(x[i - window : i], periods_per_year) for i in range(window, len(x) + 1)]


# Against a benchmark: two series of the same periods. They need a benchmark, so they are not registered by default.


def _pairs(returns: Values, benchmark: Values) -> tuple[list[float], list[float]]:
    x, y = values_of(returns), values_of(benchmark)
    if len(x) != len(y):
        raise ValueError(f"{len(x)} returns against {len(y)} of the benchmark: give both for the same periods")
    return x, y


def beta(returns: Values, benchmark: Values) -> float | None:
    """cov(r, b) / var(b). empyrical."""
    x, y = _pairs(returns, benchmark)
    if len(x) < 2 or not deviation(y):
        return None
    mx, my = math.fsum(x) / len(x), math.fsum(y) / len(y)
    shared = math.fsum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    return shared / math.fsum((b - my) * (b - my) for b in y)


def alpha(returns: Values, benchmark: Values, periods_per_year: float, risk_free: float = 0.0) -> float | None:
    """Jensen's alpha, annualised: (1 + mean(r - rf - beta (b - rf)))^periods_per_year - 1. empyrical."""
    slope = beta(returns, benchmark)
    if slope is None:
        return None
    x, y = _pairs(returns, benchmark)
    excess = mean([a - risk_free - slope * (b - risk_free) for a, b in zip(x, y, strict=True)])
    assert excess is not None  # beta is None for an empty series
    return None if excess <= -1.0 else growth_to_the_year(1.0 + excess, periods_per_year)


def tracking_error(returns: Values, benchmark: Values, periods_per_year: float) -> float | None:
    """std(r - b, ddof=1) * sqrt(periods_per_year)."""
    x, y = _pairs(returns, benchmark)
    return volatility([a - b for a, b in zip(x, y, strict=True)], periods_per_year)


def information_ratio(returns: Values, benchmark: Values, periods_per_year: float) -> float | None:
    """mean(r - b) / std(r - b, ddof=1) * sqrt(periods_per_year)."""
    x, y = _pairs(returns, benchmark)
    return sharpe_ratio([a - b for a, b in zip(x, y, strict=True)], periods_per_year)


def treynor_ratio(returns: Values, benchmark: Values, periods_per_year: float, risk_free: float = 0.0) -> float | None:
    """Treynor (1965): (mean(r) - rf) * periods_per_year / beta; `risk_free` is per period."""
    slope, centre = beta(returns, benchmark), mean(returns)
    return None if not slope or centre is None else (centre - risk_free) * periods_per_year / slope
