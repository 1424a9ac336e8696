"""Rollover interest on open FX positions, posted at 17:00 New York on weekdays.

Interest = signed quantity x mid x (base rate - quote rate) / 365 / 100, in the quote currency, threefold on Wednesday
(which settles over the weekend); a long in the higher-yielding currency is credited. Rates are percent a year by month,
as in the OECD's short-term interest series.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import msgspec

NEW_YORK = ZoneInfo("America/New_York")
POSTING_HOUR = 17
WEDNESDAY = 2
SATURDAY = 5
SECOND_NS = 1_000_000_000

# ISO 3166 location codes of the OECD series, and the currencies they stand for.
CURRENCY_OF_LOCATION = {
    "AUS": "AUD", "CAN": "CAD", "CHE": "CHF", "CHN": "CNY", "CZE": "CZK", "DNK": "DKK", "EA19": "EUR", "GBR": "GBP",
    "HUN": "HUF", "ISR": "ILS", "JPN": "JPY", "KOR": "KRW", "MEX": "MXN", "NOR": "NOK", "NZL": "NZD", "POL": "PLN",
    "RUS": "RUB", "SWE": "SEK", "TUR": "TRY", "USA": "USD", "ZAF": "ZAR",
}  # fmt: skip


class RatesError(Exception):
    """The table of interest rates cannot be used: names the file, row and remedy."""


class RolloverRates(msgspec.Struct, frozen=True):
    """Interest rates: ``{currency code: {"YYYY-MM": percent a year}}``."""

    rates: dict[str, dict[str, Decimal]]

    @classmethod
    def from_csv_text(cls, text: str, source: str) -> RolloverRates:
        """Read the OECD's CSV (LOCATION, TIME, Value; quarters are left out). Raises `RatesError`."""
        import csv

        reader = csv.DictReader(text.splitlines())
        missing = {"LOCATION", "TIME", "Value"} - set(reader.fieldnames or ())
        if missing:
            raise RatesError(
                f"{source}: missing column(s) {', '.join(sorted(missing))}; expected LOCATION, TIME, Value"
            )
        rates: dict[str, dict[str, Decimal]] = {}
        for number, row in enumerate(reader, start=2):
            currency = CURRENCY_OF_LOCATION.get(row["LOCATION"])
            if currency is None or "Q" in row["TIME"] or len(row["TIME"]) != 7:
                continue
            try:
                rates.setdefault(currency, {})[row["TIME"]] = Decimal(row["Value"])
            except InvalidOperation:
                raise RatesError(f"{source}: row {number}: Value {row['Value']!r} is not a number") from None
        return cls(rates)

    def rate(self, currency: str, day: dt.date) -> Decimal:
        """Percent a year in the month of `day`."""
        months = self.rates.get(currency)
        if months is None:
            known = ", ".join(sorted(self.rates))
            raise RatesError(f"no interest rate for {currency}; the table has {known}")
        month = f"{day.year:04d}-{day.month:02d}"
        if month not in months:
            raise RatesError(f"no interest rate for {currency} in {month}; the table ends with {max(months)}")
        return months[month]


def next_posting_ns(after_ns: int) -> int:
    """The first weekday's 17:00 New York later than `after_ns`, as UTC nanoseconds."""
    moment = dt.datetime.fromtimestamp(after_ns // SECOND_NS, tz=NEW_YORK)
    day = moment.date()
    while True:
        if day.weekday() < SATURDAY:
            posting = dt.datetime(day.year, day.month, day.day, POSTING_HOUR, tzinfo=NEW_YORK)
            posting_ns = int(posting.timestamp()) * SECOND_NS
            if posting_ns > after_ns:
                return posting_ns
        day += dt.timedelta(days=1)


def interest_fraction(rates: RolloverRates, base: str, quote: str, posting_ns: int) -> tuple[int, int]:
    """The day's interest as an exact fraction of a position's value."""
    day = dt.datetime.fromtimestamp(posting_ns // SECOND_NS, tz=NEW_YORK).date()
    difference = rates.rate(base, day) - rates.rate(quote, day)
    numerator, denominator = difference.as_integer_ratio()
    days = 3 if day.weekday() == WEDNESDAY else 1
    return numerator * days, denominator * 365 * 100
