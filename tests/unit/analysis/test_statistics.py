"""Statistics of a whole run: sampling, registry, units and sample sizes."""

from collections.abc import Iterator

import numpy as np
import pytest
from nautilus_common.analysis.equity import currency_curves, drawdowns, sample_returns
from nautilus_common.analysis.result import RunResult, parse_money
from nautilus_common.analysis.statistics import (
    StatisticInputs,
    compute_statistics,
    deregister_statistic,
    register_statistic,
    registered_statistics,
)

from tests.unit.analysis.sample_run import DAY_NS, START_NS, empty_run, fill_row, order_row, position_row, sample_run

HOUR_NS = DAY_NS // 24


def curve_run(points: list[tuple[int, float]], **more: object) -> RunResult:
    ts, equity = np.asarray([t for t, _ in points]), np.asarray([e for _, e in points])
    columns = {"ts": ts, "equity": equity, "balance": equity, "unrealized": np.zeros(len(ts))}
    return empty_run(equity={"SIM-001/USD": columns}, start_ns=int(ts[0]), end_ns=int(ts[-1]), **more)


def returns_of(result: RunResult) -> list[float]:
    curve = currency_curves(result)["USD"]
    return sample_returns(curve, result.periods_per_year, result.start_ns, result.end_ns).returns.tolist()


def test_the_registry_has_the_names_of_the_field() -> None:
    names = {name for _, name in registered_statistics()}
    assert names >= {
        "PnL (total)", "PnL% (total)", "Max Winner", "Avg Winner", "Min Winner", "Min Loser", "Avg Loser", "Max Loser",
        "Expectancy", "Win Rate", "Returns Volatility", "Average (Return)", "Average Loss (Return)",
        "Average Win (Return)", "Sharpe Ratio", "Sortino Ratio", "Profit Factor", "Risk Return Ratio", "Skewness",
        "Kurtosis", "Max Drawdown", "CAGR", "Calmar Ratio", "Long Ratio",
    }  # fmt: skip


def test_two_calendar_days_are_sampled_by_day_and_quiet_days_return_zero() -> None:
    points = [(START_NS, 100.0), (START_NS + HOUR_NS, 110.0), (START_NS + 2 * DAY_NS, 121.0)]
    assert returns_of(curve_run(points)) == pytest.approx([0.10, 0.0, 0.10])


def test_weekends_belong_to_monday_in_a_market_that_closes() -> None:
    # 2022-01-01 is a Saturday: Saturday and Sunday fall into Monday's sample.
    points = [
        (START_NS, 100.0),
        (START_NS + DAY_NS, 90.0),
        (START_NS + 2 * DAY_NS, 110.0),
        (START_NS + 3 * DAY_NS, 99.0),
    ]
    result = curve_run(points, periods_per_year=252)
    assert returns_of(result) == pytest.approx([0.10, -0.10])


def test_one_day_uses_the_finest_sampling_and_scales_the_year() -> None:
    result = curve_run([(START_NS + i * HOUR_NS, 100.0 + i) for i in range(5)])
    series = sample_returns(currency_curves(result)["USD"], 365)
    assert len(series.returns) == 4 and not series.daily
    assert series.periods_per_year == 4 * 365
    assert "4 steps within one UTC day" in series.sampling
    sharpe = compute_statistics(result).returns["USD"]["Sharpe Ratio"]
    assert sharpe.periods_per_year == 4 * 365 and sharpe.n == 4


def test_cagr_of_two_years_of_calendar_days() -> None:
    growth = 1.809 ** (2 / 730)
    points = [(START_NS - 1, 100.0)] + [(START_NS + d * DAY_NS, 100.0 * growth ** (d + 1)) for d in range(730)]
    result = curve_run(points[1:], periods_per_year=365)
    result.equity["SIM-001/USD"]["equity"][0] = 100.0  # the first day's return is 0 here: 729 days of growth
    cagr = compute_statistics(result).returns["USD"]["CAGR"]
    assert cagr.n == 730 and cagr.periods_per_year == 365
    assert cagr.value == pytest.approx(0.809, abs=2e-3)


def test_accounts_of_one_currency_are_added_and_currencies_kept_apart() -> None:
    def columns(ts: list[int], equity: list[float]) -> dict[str, np.ndarray]:
        return {"ts": np.asarray(ts), "equity": np.asarray(equity)}

    result = empty_run(equity={
        "A-1/USD": columns([0, 10, 20], [100.0, 110.0, 120.0]),
        "B-1/USD": columns([10, 15], [50.0, 40.0]),
        "B-1/ETH": columns([0], [10.0]),
    })  # fmt: skip
    curves = currency_curves(result)
    assert curves["USD"].ts.tolist() == [0, 10, 15, 20]
    assert curves["USD"].equity.tolist() == [150.0, 160.0, 150.0, 160.0]
    assert list(curves) == ["USD", "ETH"]


@pytest.mark.parametrize(
    ("ts", "equity", "message"),
    [([0, 1], [1.0, float("nan")], "row 1 is nan"), ([5, 1], [1.0, 1.0], "backwards"), ([0], [1.0, 2.0], "lengths")],
)
def test_a_broken_curve_is_named(ts: list[int], equity: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        currency_curves(empty_run(equity={"A-1/USD": {"ts": np.asarray(ts), "equity": np.asarray(equity)}}))


def test_drawdowns_are_separate_and_ordered() -> None:
    ts = np.arange(8, dtype=np.int64)
    found = drawdowns(ts, np.asarray([100.0, 90.0, 100.0, 120.0, 60.0, 80.0, 120.0, 108.1]))
    assert [(round(d.depth, 9), d.peak_ns, d.trough_ns, d.recovered_ns) for d in found] == [
        (-0.5, 3, 4, 6),
        (-0.1, 0, 1, 2),
        (-0.099166667, 6, 7, None),
    ]


def test_trade_statistics_by_hand() -> None:
    pnls = ["10.00 USD", "-4.00 USD", "0.00 USD", "20.00 USD", "-6.00 USD", "-5.00 USD"]
    rows = [
        position_row(i, START_NS + i * HOUR_NS, START_NS + (i + 1) * HOUR_NS, pnl, "BUY" if i % 2 else "SELL")
        for i, pnl in enumerate(pnls)
    ]
    result = curve_run([(START_NS, 1000.0), (START_NS + DAY_NS, 1015.0)], positions=rows)
    result.fills = [
        fill_row("O-1", START_NS, "BUY", "1", "1.50 USD"),
        fill_row("O-2", START_NS, "BUY", "1", "2", currency="USD"),
    ]
    result.orders = [order_row("O-1", START_NS, "BUY"), order_row("O-2", START_NS, "BUY", "DENIED")]
    stats = compute_statistics(result)
    expected = {
        "PnL (total)": 15.0, "PnL% (total)": 1.5, "Max Winner": 20.0, "Avg Winner": 15.0, "Min Winner": 10.0,
        "Min Loser": -4.0, "Avg Loser": -5.0, "Max Loser": -6.0, "Expectancy": 2.5, "Win Rate": 2 / 6,
        "Profit Factor (Trades)": 2.0, "Kelly Fraction": 1 / 3 - (2 / 3) / 3, "Commissions": 3.5,
    }  # fmt: skip
    assert {name: stats.value("pnls", name, "USD") for name in expected} == pytest.approx(expected)
    assert stats.pnls["USD"]["Win Rate"].n == 6
    general = {
        "Trades": 6, "Long Ratio": 0.5, "Avg Hold": HOUR_NS, "Max Consecutive Wins": 1, "Max Consecutive Losses": 2,
        "Time in Market": 0.25, "Orders Filled": 1, "Orders Rejected": 1, "Open at End": 0,
    }  # fmt: skip
    assert {name: stats.value("general", name) for name in general} == pytest.approx(general)


def test_periods_per_year_is_mandatory() -> None:
    with pytest.raises(ValueError, match="periods_per_year"):
        compute_statistics(empty_run(periods_per_year=0))


@pytest.fixture
def custom() -> Iterator[None]:
    yield
    deregister_statistic("Days Up")


def test_users_add_statistics(custom: None) -> None:
    def days_up(inputs: StatisticInputs) -> float:
        return float((inputs.returns > 0).sum())

    register_statistic("Days Up", days_up, unit="count")
    stats = compute_statistics(sample_run(days=10))
    assert stats.to_json()["returns"]["USDT"]["Days Up"]["n"] == 10
    with pytest.raises(ValueError, match="group"):
        register_statistic("x", days_up, group="other")  # type: ignore[arg-type]


def test_a_run_without_anything_gives_none_not_nan() -> None:
    document = compute_statistics(empty_run()).to_json()
    assert document["general"]["Win Rate"] == {"value": None, "n": 0, "unit": "fraction"}
    assert document["returns"] == {} and document["pnls"] == {}


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [("1_000.25 USD", "1000.25", "USD"), ("-1,000.2 USDT", "-1000.2", "USDT"), ("5", "5", "EUR")],
)
def test_money(text: str, amount: str, currency: str) -> None:
    assert (str(parse_money(text, "EUR")[0]), parse_money(text, "EUR")[1]) == (amount, currency)


def test_money_that_is_none() -> None:
    with pytest.raises(ValueError, match="amount of money"):
        parse_money("much")
