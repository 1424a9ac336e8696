"""Exchange rates are exact: BID through the inverse pair is 1/ask, and crosses are products."""

from __future__ import annotations

import pytest
from nautilus_common.model.currencies import EUR, JPY, USD
from nautilus_common.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_common.model.instruments import CurrencyPair
from nautilus_common.model.values import Price, Quantity
from nautilus_common.model.xrates import ConversionError, ExchangeRates

SIM = Venue("SIM")


def pair(base, quote, precision):
    name = f"{base.code}/{quote.code}"
    increment = Price.from_raw(1, precision)
    instrument_id = InstrumentId.from_str(f"{name}.SIM")
    return CurrencyPair(instrument_id, Symbol(name), base, quote, precision, 0, increment, Quantity.from_int(1), 0, 0)


class Prices:
    def __init__(self, quotes):
        self.quotes = {InstrumentId.from_str(name): quote for name, quote in quotes.items()}

    def quote(self, instrument_id):
        return self.quotes.get(instrument_id)

    def last_of(self, kind, instrument_id):
        return None


@pytest.fixture
def rates():
    pairs = {p.id: p for p in (pair(USD, JPY, 3), pair(EUR, USD, 5))}
    return ExchangeRates(pairs, Prices({"USD/JPY.SIM": (100_000, 101_000), "EUR/USD.SIM": (120_000, 121_000)}))


def test_direct_and_inverse(rates):
    assert rates.rate(USD, JPY, SIM, bid=True) == (100_000, 1_000)
    assert rates.rate(JPY, USD, SIM, bid=True) == (1_000, 101_000)
    assert rates.rate(JPY, USD, SIM, bid=False) == (1_000, 100_000)
    assert rates.rate(USD, USD, SIM, bid=True) == (1, 1)
    assert rates.convert(101_000, JPY, USD, SIM, bid=True) == 100_000  # 101,000 JPY at 101 are 1,000.00 USD
    assert rates.convert(-101_000, JPY, USD, SIM, bid=True) == -100_000


def test_through_a_third_currency(rates):
    numerator, denominator = rates.rate(EUR, JPY, SIM, bid=True)
    assert numerator * 1_000 * 100_000 == 120_000 * 100_000 * denominator
    assert rates.convert(100, EUR, JPY, SIM, bid=False) == 122  # 1 EUR at 1.21 x 101 = 122.21


def test_no_price_says_what_to_add():
    rates = ExchangeRates({}, Prices({}))
    with pytest.raises(
        ConversionError, match=r"no price connects EUR with JPY on SIM yet: add quotes of the pair EUR/JPY"
    ):
        rates.convert(1, EUR, JPY, SIM, bid=True)
