"""The statistics of a run: a registry of named figures, each with its value, sample size and periods per year.

Names are NautilusTrader's, without the "(252 days)": the period is a field of every annualised figure instead, so that
it can be right. Formulas of return series are in `returns_statistics`, those of trades and orders in
`trade_statistics`. Users add their own with `register_statistic`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from . import returns_statistics as rs
from . import trade_statistics as ts
from .equity import EquityCurve, ReturnSeries, currency_curves, drawdown_series, drawdowns, sample_returns
from .result import RunResult

if TYPE_CHECKING:
    from .result import FloatArray, Row

Group: TypeAlias = Literal["pnls", "returns", "general"]
Unit: TypeAlias = Literal["ratio", "fraction", "percent", "money", "count", "ns"]


@dataclass(frozen=True, slots=True)
class StatisticInputs:
    """What a statistic may look at. In group `general` there is no currency: returns and curve are those of none."""

    result: RunResult
    currency: str
    returns: FloatArray
    periods_per_year: int
    """Number of these returns in a year."""
    curve: EquityCurve | None
    pnls: list[float]
    """Realised profit of each closed trade in this currency, in order of closing."""
    trades: list[Row]
    """The closed positions (snapshots included), in order of closing."""


StatisticFunction: TypeAlias = Callable[[StatisticInputs], float | int | None]


@dataclass(frozen=True, slots=True)
class Statistic:
    """One figure. `n` is the number of returns, trades or orders it was made of; `value` None: the sample is too small.

    Units: `fraction` (0.12 is 12 %), `percent` (12.0 is 12 %), `money` in the group's currency, `ns`, `count`, `ratio`.
    """

    name: str
    value: float | int | None
    n: int
    unit: Unit
    periods_per_year: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in `stats.json`: value, n, unit and, for an annualised figure, periods_per_year."""
        row: dict[str, Any] = {"value": self.value, "n": self.n, "unit": self.unit}
        if self.periods_per_year is not None:
            row["periods_per_year"] = self.periods_per_year
        return row


Table: TypeAlias = dict[str, Statistic]


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """Everything computed from one run. `pnls` and `returns` have a table per currency."""

    periods_per_year: int
    pnls: dict[str, Table]
    returns: dict[str, Table]
    general: Table
    curves: dict[str, EquityCurve]
    series: dict[str, ReturnSeries]

    @property
    def primary_currency(self) -> str | None:
        """The currency that the headline is in: the first whose equity moved, else the first."""
        for currency, curve in self.curves.items():
            if bool((curve.equity != curve.equity[0]).any()):
                return currency
        return next(iter(self.curves), None)

    def value(self, group: Group, name: str, currency: str | None = None) -> float | int | None:
        """Value by group and name; None when there is no such table, name or value."""
        table = self.table(group, currency)
        return table[name].value if name in table else None

    def table(self, group: Group, currency: str | None = None) -> Table:
        """The table of a group, empty when there is none for the currency (default: the primary one)."""
        if group == "general":
            return self.general
        tables = self.pnls if group == "pnls" else self.returns
        return tables.get(currency or self.primary_currency or "", {})

    def to_json(self) -> dict[str, Any]:
        """The `stats` object of `stats.json` and `fleet backtest --json`."""

        def tables(group: dict[str, Table]) -> dict[str, Any]:
            return {currency: {k: s.to_json() for k, s in table.items()} for currency, table in group.items()}

        return {
            "periods_per_year": self.periods_per_year,
            "sampling": {currency: series.sampling for currency, series in self.series.items()},
            "pnls": tables(self.pnls),
            "returns": tables(self.returns),
            "general": {name: s.to_json() for name, s in self.general.items()},
        }


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    function: StatisticFunction
    group: Group
    unit: Unit
    annualised: bool
    sample: Literal["returns", "points", "trades", "orders", "fills"]


_REGISTRY: dict[tuple[Group, str], _Entry] = {}


def register_statistic(
    name: str,
    fn: StatisticFunction,
    *,
    group: Group = "returns",
    unit: Unit = "ratio",
    annualised: bool = False,
    sample: Literal["returns", "points", "trades", "orders", "fills"] | None = None,
) -> None:
    """Add a statistic, or replace the one of that name in the group.

    `fn` gets `StatisticInputs` and returns a number, or None when the sample cannot give one (NaN and infinity become
    None). `annualised` prints the periods per year beside it; `sample` says what `n` counts (by default returns for
    the returns group, else trades).
    """
    if group not in ("pnls", "returns", "general"):
        raise ValueError(f"statistic {name!r}: group is {group!r}; give 'pnls', 'returns' or 'general'")
    counted = sample or ("returns" if group == "returns" else "trades")
    _REGISTRY[group, name] = _Entry(name, fn, group, unit, annualised, counted)


def deregister_statistic(name: str, *, group: Group = "returns") -> None:
    """Remove a statistic; KeyError when it is not registered."""
    del _REGISTRY[group, name]


def registered_statistics() -> list[tuple[Group, str]]:
    """Group and name of all registered statistics, in the order in which they are computed and shown."""
    return list(_REGISTRY)


def compute_statistics(result: RunResult) -> RunStatistics:
    """Compute all registered statistics of the run."""
    if result.periods_per_year < 1:
        raise ValueError(
            f"periods_per_year is {result.periods_per_year}: set [stats] periods_per_year to the trading days in a "
            "year of this market (365 for one that never closes, 252 for US equities)"
        )
    curves = currency_curves(result)
    series = {
        currency: sample_returns(curve, result.periods_per_year, result.start_ns, result.end_ns)
        for currency, curve in curves.items()
    }
    trades = ts.closed_trades(result.positions)
    pnls = ts.pnls_by_currency(trades)
    returns_tables = {
        currency: _computed("returns", _inputs(result, currency, curves, series, pnls, trades)) for currency in curves
    }
    pnl_tables = {
        currency: _computed("pnls", _inputs(result, currency, curves, series, pnls, trades))
        for currency in dict.fromkeys([*result.pnl, *pnls])
    }
    general = _computed("general", _inputs(result, "", curves, series, pnls, trades))
    return RunStatistics(result.periods_per_year, pnl_tables, returns_tables, general, curves, series)


def _inputs(
    result: RunResult,
    currency: str,
    curves: dict[str, EquityCurve],
    series: dict[str, ReturnSeries],
    pnls: dict[str, list[float]],
    trades: list[Row],
) -> StatisticInputs:
    own = series.get(currency)
    return StatisticInputs(
        result=result,
        currency=currency,
        returns=own.returns if own is not None else np.zeros(0),
        periods_per_year=own.periods_per_year if own is not None else result.periods_per_year,
        curve=curves.get(currency),
        pnls=pnls.get(currency, []),
        trades=trades,
    )


def _computed(group: Group, inputs: StatisticInputs) -> Table:
    sizes = {
        "returns": len(inputs.returns),
        "points": len(inputs.curve.ts) if inputs.curve is not None else 0,
        "trades": len(inputs.pnls) if group == "pnls" else len(inputs.trades),
        "orders": len(inputs.result.orders),
        "fills": len(inputs.result.fills),
    }
    table: Table = {}
    for entry in _REGISTRY.values():
        if entry.group == group:
            value = entry.function(inputs)
            if isinstance(value, float) and not math.isfinite(value):
                value = None
            periods = inputs.periods_per_year if entry.annualised else None
            table[entry.name] = Statistic(entry.name, value, sizes[entry.sample], entry.unit, periods)
    return table


# Figures of the equity curve itself, at its finest sampling.


def _first_equity(inputs: StatisticInputs) -> float | None:
    """Equity at the first point, in the currency."""
    return float(inputs.curve.equity[0]) if inputs.curve is not None else None


def _final_equity(inputs: StatisticInputs) -> float | None:
    """Equity at the last point, in the currency."""
    return float(inputs.curve.equity[-1]) if inputs.curve is not None else None


def _net_return(inputs: StatisticInputs) -> float | None:
    """Final equity / first equity - 1."""
    first, final = _first_equity(inputs), _final_equity(inputs)
    return None if first is None or final is None or first <= 0.0 else final / first - 1.0


def _max_drawdown(inputs: StatisticInputs) -> float | None:
    """Deepest fall from a running peak of equity, over all points: intraday falls count. min(E / max(E) - 1)."""
    return float(drawdown_series(inputs.curve.equity).min()) if inputs.curve is not None else None


def _max_drawdown_length(inputs: StatisticInputs) -> int | None:
    """Duration of the deepest drawdown, from its peak to recovery or the end of the run."""
    deepest = drawdowns(inputs.curve.ts, inputs.curve.equity, top=1) if inputs.curve is not None else []
    return deepest[0].length_ns if deepest else None


def _calmar(inputs: StatisticInputs) -> float | None:
    """CAGR / |max drawdown|, the drawdown over all points of the curve (see `_max_drawdown`)."""
    growth, worst = rs.cagr(inputs.returns, inputs.periods_per_year), _max_drawdown(inputs)
    return None if growth is None or not worst else growth / -worst


def _ulcer_index(inputs: StatisticInputs) -> float | None:
    """Martin and McCann (1989): sqrt(mean(drawdown^2)) over the points of the curve, as a fraction."""
    if inputs.curve is None:
        return None
    falls = drawdown_series(inputs.curve.equity).tolist()
    return math.sqrt(math.fsum(d * d for d in falls) / len(falls))


def _pnl_total(inputs: StatisticInputs) -> float | None:
    """The run's profit in the currency: from the ledger, or the sum of trades where the ledger has none in it."""
    if inputs.currency in inputs.result.pnl:
        return float(inputs.result.pnl[inputs.currency])
    return math.fsum(inputs.pnls) if inputs.pnls else None


def _pnl_percent(inputs: StatisticInputs) -> float | None:
    """100 * profit / first equity in the currency."""
    first, total = _first_equity(inputs), _pnl_total(inputs)
    return None if first is None or total is None or first <= 0.0 else total / first * 100.0


def _register_returns() -> None:
    def plain(name: str, fn: Callable[[FloatArray], float | None], unit: Unit = "ratio") -> None:
        register_statistic(name, lambda s: fn(s.returns), unit=unit)

    def annual(name: str, fn: Callable[[FloatArray, float], float | None], unit: Unit = "ratio") -> None:
        register_statistic(name, lambda s: fn(s.returns, s.periods_per_year), unit=unit, annualised=True)

    register_statistic("Start Equity", _first_equity, unit="money", sample="points")
    register_statistic("Final Equity", _final_equity, unit="money", sample="points")
    register_statistic("Net Return", _net_return, unit="fraction", sample="points")
    annual("CAGR", rs.cagr, "fraction")
    annual("Returns Volatility", rs.volatility, "fraction")
    annual("Sharpe Ratio", rs.sharpe_ratio)
    annual("Sortino Ratio", rs.sortino_ratio)
    register_statistic("Calmar Ratio", _calmar, annualised=True)
    register_statistic("Max Drawdown", _max_drawdown, unit="fraction", sample="points")
    register_statistic("Max Drawdown Length", _max_drawdown_length, unit="ns", sample="points")
    register_statistic("Ulcer Index", _ulcer_index, unit="fraction", sample="points")
    plain("Average (Return)", rs.mean, "fraction")
    plain("Average Loss (Return)", rs.average_loss, "fraction")
    plain("Average Win (Return)", rs.average_win, "fraction")
    plain("Best Period", lambda r: max(r.tolist(), default=None), "fraction")
    plain("Worst Period", lambda r: min(r.tolist(), default=None), "fraction")
    plain("Profit Factor", rs.profit_factor)
    plain("Risk Return Ratio", rs.risk_return_ratio)
    plain("Skewness", rs.skewness)
    plain("Kurtosis", rs.kurtosis)
    plain("Value at Risk 5 % (historical)", rs.value_at_risk, "fraction")
    plain("Expected Shortfall 5 %", rs.conditional_value_at_risk, "fraction")
    plain("Tail Ratio", rs.tail_ratio)
    plain("Probabilistic Sharpe", rs.probabilistic_sharpe_ratio, "fraction")


def _register_pnls() -> None:
    def trades(name: str, fn: Callable[[list[float]], float | None], unit: Unit = "money") -> None:
        register_statistic(name, lambda s: fn(s.pnls), group="pnls", unit=unit)

    register_statistic("PnL (total)", _pnl_total, group="pnls", unit="money")
    register_statistic("PnL% (total)", _pnl_percent, group="pnls", unit="percent")
    trades("Max Winner", ts.max_winner)
    trades("Avg Winner", ts.avg_winner)
    trades("Min Winner", ts.min_winner)
    trades("Min Loser", ts.min_loser)
    trades("Avg Loser", ts.avg_loser)
    trades("Max Loser", ts.max_loser)
    trades("Expectancy", ts.expectancy)
    trades("Win Rate", ts.win_rate, "fraction")
    trades("Profit Factor (Trades)", rs.profit_factor, "ratio")
    trades("SQN", ts.system_quality_number, "ratio")
    trades("Kelly Fraction", ts.kelly_fraction, "fraction")
    register_statistic("Commissions", ts.commissions, group="pnls", unit="money", sample="fills")


def _register_general() -> None:
    def trades(name: str, fn: Callable[[list[Row]], float | int | None], unit: Unit) -> None:
        register_statistic(name, lambda s: fn(s.trades), group="general", unit=unit)

    trades("Trades", len, "count")
    trades("Win Rate", ts.winning_share, "fraction")
    trades("Long Ratio", ts.long_ratio, "fraction")
    trades("Avg Hold", ts.average_hold_ns, "ns")
    trades("Avg Hold Winners", lambda t: ts.average_hold_ns(t, 1), "ns")
    trades("Avg Hold Losers", lambda t: ts.average_hold_ns(t, -1), "ns")
    trades("Max Consecutive Wins", lambda t: ts.longest_run(t, 1), "count")
    trades("Max Consecutive Losses", lambda t: ts.longest_run(t, -1), "count")
    register_statistic(
        "Time in Market",
        lambda s: ts.time_in_market(s.result.positions, s.result.start_ns, s.result.end_ns),
        group="general",
        unit="fraction",
    )
    register_statistic(
        "Open at End", lambda s: len(ts.open_positions(s.result.positions)), group="general", unit="count"
    )
    for name, statuses in ts.ORDER_OUTCOMES.items():
        register_statistic(
            name,
            lambda s, wanted=statuses: ts.orders_with_status(s.result.orders, wanted),  # type: ignore[misc]
            group="general",
            unit="count",
            sample="orders",
        )
    register_statistic(
        "Maker Share", lambda s: ts.maker_share(s.result.fills), group="general", unit="fraction", sample="fills"
    )


_register_returns()
_register_pnls()
_register_general()
