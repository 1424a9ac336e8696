"""Rollover interest: when it is posted, how much, and for whom."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from nautilus_common.testkit.scenario import Recording, Scenario, seconds_ns
from nautilus_common.venues.simulated.rollover import RatesError, RolloverRates, interest_fraction, next_posting_ns
from nautilus_fleet.backtest import BacktestEngine, FXRolloverInterestModule

HIGH_AUD = RolloverRates({"AUD": {"2013-02": Decimal("3.65")}, "USD": {"2013-02": Decimal("0")}})


def at(text: str) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


def postings(after: str, count: int) -> list[str]:
    found, ns = [], seconds_ns(at(after))
    for _ in range(count):
        ns = next_posting_ns(ns)
        found.append(f"{dt.datetime.fromtimestamp(ns // 10**9, tz=dt.UTC):%a %Y-%m-%d %H:%M}")
    return found


class TestTimes:
    def test_weekdays_at_17_new_york(self) -> None:
        assert postings("2013-02-07T00:00", 3) == [
            "Thu 2013-02-07 22:00",
            "Fri 2013-02-08 22:00",
            "Mon 2013-02-11 22:00",
        ]

    def test_daylight_saving_begins(self) -> None:
        assert postings("2013-03-08T12:00", 2) == ["Fri 2013-03-08 22:00", "Mon 2013-03-11 21:00"]

    def test_daylight_saving_ends(self) -> None:
        assert postings("2013-11-01T12:00", 2) == ["Fri 2013-11-01 21:00", "Mon 2013-11-04 22:00"]

    def test_the_posting_itself_is_not_the_next(self) -> None:
        assert postings("2013-02-07T22:00", 1) == ["Fri 2013-02-08 22:00"]


class TestAmount:
    def test_wednesday_is_threefold(self) -> None:
        fractions = {}
        for day in ("2013-02-05", "2013-02-06"):
            numerator, denominator = interest_fraction(HIGH_AUD, "AUD", "USD", seconds_ns(at(f"{day}T22:00")))
            fractions[day] = Decimal(numerator) / Decimal(denominator)
        assert fractions["2013-02-05"] == Decimal("0.0001")
        assert fractions["2013-02-06"] == Decimal("0.0003")

    def posted(self, side: str, rates: RolloverRates = HIGH_AUD, days: int = 3) -> Recording:
        first = dt.datetime(2013, 2, 4, 12, tzinfo=dt.UTC)
        times = [(first + dt.timedelta(hours=6 * n)).timestamp() for n in range(4 * days)]
        return (
            Scenario(BacktestEngine())
            .venue(modules=[FXRolloverInterestModule(rates)])
            .quotes(*((time, "1.00000", "1.00000") for time in times))
            .on_row(1, lambda s: s.market(side, 100_000))
            .run()
        )

    @pytest.mark.parametrize(("side", "total"), [("BUY", "1000050.00"), ("SELL", "999950.00")])
    def test_a_long_in_the_higher_yielding_currency_is_credited(self, side: str, total: str) -> None:
        report = self.posted(side).engine.generate_account_report("SIM")  # Monday, Tuesday, Wednesday: 10 + 10 + 30
        assert Decimal(report[-1]["total"]) == Decimal(total)

    def test_nobody_is_credited_without_a_position(self) -> None:
        run = (
            Scenario(BacktestEngine())
            .venue(modules=[FXRolloverInterestModule(HIGH_AUD)])
            .quotes(*((at(f"2013-02-0{day}T12:00"), "1", "1") for day in range(4, 9)))
            .run()
        )
        assert len(run.engine.generate_account_report("SIM")) == 1

    def test_a_missing_month_is_an_error_that_says_so(self) -> None:
        rates = RolloverRates({"AUD": {"2013-01": Decimal(1)}, "USD": {"2013-01": Decimal(1)}})
        with pytest.raises(RatesError, match=r"no interest rate for AUD in 2013-02; the table ends with 2013-01"):
            self.posted("BUY", rates)

    def test_a_missing_currency_is_an_error_that_says_so(self) -> None:
        with pytest.raises(RatesError, match="no interest rate for AUD; the table has USD"):
            self.posted("BUY", RolloverRates({"USD": {"2013-02": Decimal(1)}}))


class TestFile:
    def test_months_are_read_and_quarters_left_out(self) -> None:
        text = "LOCATION,TIME,Value\nUSA,2013-01,0.25\nUSA,2013-Q1,0.2\nEA19,2013-01,0.1\nXYZ,2013-01,5\n"
        rates = RolloverRates.from_csv_text(text, "rates.csv")
        assert rates.rates == {"USD": {"2013-01": Decimal("0.25")}, "EUR": {"2013-01": Decimal("0.1")}}

    def test_faults_name_file_and_row(self) -> None:
        with pytest.raises(RatesError, match=r"rates.csv: missing column\(s\) TIME"):
            RolloverRates.from_csv_text("LOCATION,Value\n", "rates.csv")
        with pytest.raises(RatesError, match=r"rates.csv: row 2: Value 'x' is not a number"):
            RolloverRates.from_csv_text("LOCATION,TIME,Value\nUSA,2013-01,x\n", "rates.csv")
