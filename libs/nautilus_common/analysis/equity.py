"""Equity curves: one per currency, their returns at a stated sampling, and their drawdowns.

Elementwise numpy arithmetic and `accumulate` are exact IEEE operations in a fixed order, so they are used freely;
sums go through `math.fsum`, which is correctly rounded whatever the order. `np.sum`, `np.mean` and `np.std` add
pairwise and differ from a plain loop in the last bits, so they are not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .result import FloatArray, RunResult

DAY_NS = 86_400_000_000_000
CALENDAR_DAYS_FROM = 360
"""From this many trading days a year on, every calendar day is a sample; below it Mondays to Fridays are."""


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """Equity of all accounts in one currency; `ts` strictly ascending UTC ns, at least one point."""

    currency: str
    ts: NDArray[np.int64]
    equity: FloatArray
    balance: FloatArray
    unrealized: FloatArray


@dataclass(frozen=True, slots=True)
class ReturnSeries:
    """Simple returns at one sampling.

    `ts[i]` is the UTC ns at which return `i` was complete. `periods_per_year` is the number of such returns in a
    year: the market's own figure for daily samples, that times the number of samples in the day for a shorter run.
    """

    ts: NDArray[np.int64]
    returns: FloatArray
    sampling: str
    periods_per_year: int
    daily: bool


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall below a previous peak. `depth` is a fraction (-0.25: a quarter lost), `recovered_ns` None if open."""

    depth: float
    peak_ns: int
    trough_ns: int
    recovered_ns: int | None
    end_ns: int

    @property
    def length_ns(self) -> int:
        """From peak to recovery, or to the last point of the curve when it has not recovered."""
        return self.end_ns - self.peak_ns


def currency_curves(result: RunResult) -> dict[str, EquityCurve]:
    """One curve per currency, in order of first appearance; accounts in the same currency are added.

    Between its points an account keeps its last value; before its first point it has that point's value. Raises
    ValueError for a curve that is not finite or whose time runs backwards.
    """
    by_currency: dict[str, list[EquityCurve]] = {}
    for key, columns in result.equity.items():
        currency = key.rpartition("/")[2]
        curve = _checked_curve(key, currency, columns)
        if curve is not None:
            by_currency.setdefault(currency, []).append(curve)
    return {currency: _added(curves) for currency, curves in by_currency.items()}


def _checked_curve(key: str, currency: str, columns: dict[str, NDArray[np.float64]]) -> EquityCurve | None:
    ts = np.asarray(columns["ts"], dtype=np.int64)
    if len(ts) == 0:
        return None
    equity = np.asarray(columns["equity"], dtype=np.float64)
    balance = np.asarray(columns.get("balance", equity), dtype=np.float64)
    unrealized = np.asarray(columns.get("unrealized", np.zeros(len(ts))), dtype=np.float64)
    if not (len(ts) == len(equity) == len(balance) == len(unrealized)):
        raise ValueError(f"equity of {key}: columns of different lengths")
    if not bool(np.isfinite(equity).all()):
        row = int(np.flatnonzero(~np.isfinite(equity))[0])
        raise ValueError(f"equity of {key}: row {row} is {equity[row]}, not a finite number")
    step = np.diff(ts)
    if bool((step < 0).any()):
        raise ValueError(f"equity of {key}: time runs backwards at row {int(np.flatnonzero(step < 0)[0]) + 1}")
    last = np.append(step != 0, True)  # of several points at one time the last is the state that held afterwards
    return EquityCurve(currency, ts[last], equity[last], balance[last], unrealized[last])


def _added(curves: list[EquityCurve]) -> EquityCurve:
    first = curves[0]
    if len(curves) == 1:
        return first
    ts = np.unique(np.concatenate([curve.ts for curve in curves]))
    totals = [np.zeros(len(ts)) for _ in range(3)]
    for curve in curves:
        index = np.maximum(np.searchsorted(curve.ts, ts, side="right") - 1, 0)
        for total, column in zip(totals, (curve.equity, curve.balance, curve.unrealized), strict=True):
            total += column[index]
    return EquityCurve(first.currency, ts, *totals)


def sample_returns(curve: EquityCurve, periods_per_year: int, start_ns: int = 0, end_ns: int = 0) -> ReturnSeries:
    """Returns of the curve: by UTC day when the run touches two calendar days or more, else point to point.

    Daily: with 360 periods a year or more every calendar day is a sample (a quiet day returns 0, as it should where
    the market never closes); with fewer, every Monday to Friday, and a weekend's change belongs to Monday. The first
    return is measured from the curve's first value. Within one UTC day the whole run counts as one day cut into n
    periods: n * periods_per_year of them make a year.
    """
    if periods_per_year < 1:
        raise ValueError(f"periods_per_year is {periods_per_year}; give the trading days in a year, such as 252 or 365")
    start = min(start_ns, int(curve.ts[0])) if start_ns > 0 else int(curve.ts[0])
    end = max(end_ns, int(curve.ts[-1]))
    first_day, last_day = start // DAY_NS, end // DAY_NS
    if first_day == last_day:
        returns = simple_returns(curve.equity)
        sampling = f"finest equity sampling: {len(returns)} steps within one UTC day"
        return ReturnSeries(curve.ts[1:], returns, sampling, periods_per_year * max(len(returns), 1), False)
    days = np.arange(first_day, last_day + 1, dtype=np.int64)
    every_day = periods_per_year >= CALENDAR_DAYS_FROM
    if not every_day:  # 1970-01-01 was a Thursday: (day + 3) % 7 is 0 on Mondays
        days = days[((days + 3) % 7 < 5) | (days == last_day)]
    ends = (days + 1) * DAY_NS
    closes = curve.equity[np.maximum(np.searchsorted(curve.ts, ends, side="left") - 1, 0)]
    returns = simple_returns(np.concatenate([curve.equity[:1], closes]))
    sampling = "UTC days, every calendar day" if every_day else "UTC days, Monday to Friday"
    return ReturnSeries(np.minimum(ends - 1, end), returns, sampling, periods_per_year, True)


def simple_returns(equity: FloatArray) -> FloatArray:
    """`equity[i] / equity[i-1] - 1`; empty when any base is zero or less, for then a return means nothing."""
    if len(equity) < 2 or bool((equity[:-1] <= 0.0).any()):
        return np.zeros(0)
    return np.asarray(equity[1:] / equity[:-1] - 1.0)


def drawdown_series(equity: FloatArray) -> FloatArray:
    """`equity / running maximum - 1`, as fractions <= 0; zero while there has been no positive equity."""
    peak = np.maximum.accumulate(equity)
    return np.where(peak > 0.0, equity / np.where(peak > 0.0, peak, 1.0) - 1.0, 0.0)


def drawdowns(ts: NDArray[np.int64], equity: FloatArray, top: int = 5) -> list[Drawdown]:
    """The `top` deepest separate drawdowns, deepest first (the earlier first among equals).

    A drawdown lasts from the last point at the peak to the first point back at or above it.
    """
    series = drawdown_series(equity)
    below = series < 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], below, [False]]).astype(np.int8)))
    found = []
    for begin, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        trough = begin + int(np.argmin(series[begin:stop]))
        recovered = int(ts[stop]) if stop < len(ts) else None
        end = recovered if recovered is not None else int(ts[-1])
        found.append(Drawdown(float(series[trough]), int(ts[begin - 1]), int(ts[trough]), recovered, end))
    found.sort(key=lambda drawdown: (drawdown.depth, drawdown.peak_ns))
    return found[:top]
