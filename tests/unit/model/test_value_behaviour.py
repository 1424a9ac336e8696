"""NautilusTrader's measured behaviour of value types, identifiers, bar types and instruments, row by row.

Each row of `RESULTS` is an expression and the `repr` of its value, each row of `ERRORS` an expression, its error and a
part of the message. What we do otherwise on purpose is in `test_documented_differences`.
"""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from nautilus_common import model
from nautilus_common.model import CurrencyPair
from nautilus_common.model.currencies import BTC, EUR, USD

RESULTS = [
    ("Price(1.23456,2)", "Price(1.23)"),
    ("Price(Decimal('1.5'),1)", "Price(1.5)"),
    ("Price.from_str('1.230')", "Price(1.230)"),
    ("Price.from_str('1e-3')", "Price(0.001)"),
    ("Price.from_str('1_000.5')", "Price(1000.5)"),
    ("Price.from_int(5)", "Price(5)"),
    ("Price.from_decimal(Decimal('1.20'))", "Price(1.20)"),
    ("str(Price(1.5,2))", "'1.50'"),
    ("Price(1.0,2)+Price(2.0,3)", "Price(3.000)"),
    ("Price(1.0,2)+1", "Decimal('2')"),
    ("Price(1.0,2)+1.0", "2.0"),
    ("Price(1.0,2)-Price(2,2)", "Price(-1.00)"),
    ("1.5+Price(1.0,2)", "2.5"),
    ("Decimal(1)+Price(1.0,2)", "Decimal('2')"),
    ("Price(2.0,2)*2", "Decimal('4')"),
    ("Price(2.0,2)*Quantity(3,0)", "Decimal('6')"),
    ("Price(2.0,2)/2", "Decimal('1')"),
    ("Price(2.0,2)/2.0", "1.0"),
    ("Price(2.0,2)//1", "Decimal('2')"),
    ("Price(2.0,2)%1", "Decimal('0')"),
    ("-Price(2.0,2)", "Price(-2.00)"),
    ("abs(Price(-2.0,2))", "Price(2.00)"),
    ("round(Price(2.345,3),1)", "Decimal('2.3')"),
    ("int(Price(2.9,2))", "2"),
    ("float(Price(2.9,2))", "2.9"),
    ("Price(2.0,2)==2", "True"),
    ("Price(2.0,2)==2.0", "True"),
    ("Price(2.0,2)==Decimal(2)", "True"),
    ("Price(2.0,2)==Price(2.0,5)", "True"),
    ("Price(2.0,2)==Quantity(2.0,2)", "True"),
    ("Price(2.0,2)<3", "True"),
    ("hash(Price(2.0,2))==hash(Price(2.0,5))", "True"),
    ("bool(Price(0,0))", "True"),
    ("Price(2.0,2).as_double()", "2.0"),
    ("Price(2.0,2).as_decimal()", "Decimal('2')"),
    ("Price(1234567.891,3).to_formatted_str()", "'1_234_567.891'"),
    ("Quantity(1.25,1)", "Quantity(1.3)"),
    ("Quantity(1.35,1)", "Quantity(1.4)"),
    ("Quantity.from_int(1000).to_formatted_str()", "'1_000'"),
    ("Quantity.zero(2)", "Quantity(0.00)"),
    ("Quantity(5,0).saturating_sub(Quantity(7,0))", "Quantity(0)"),
    ("Money(10.555,USD)", "Money(10.56, USD)"),
    ("Money('10.5',USD)", "Money(10.50, USD)"),
    ("Money(Decimal('10.5'),USD)", "Money(10.50, USD)"),
    ("Money.from_str('1_000.25 USD')", "Money(1000.25, USD)"),
    ("Money.from_str('10 XXX')", "Money(10.00000000, XXX)"),
    ("Money(1,USD)+Money(2,USD)", "Money(3.00, USD)"),
    ("Money(1,USD)*2", "Decimal('2')"),
    ("Money(1,USD)*2.0", "2.0"),
    ("Money(1,USD)/Money(2,USD)", "Decimal('0.5')"),
    ("Money(1,USD)<Money(2,USD)", "True"),
    ("str(Money(1234.5,USD))", "'1234.50 USD'"),
    ("Money(1234567.5,USD).to_formatted_str()", "'1_234_567.50 USD'"),
    ("Money(1.123456789,BTC)", "Money(1.12345679, BTC)"),
    ("Currency.from_str('BTC')", "Currency(code='BTC', precision=8, iso4217=0, name='Bitcoin', currency_type=CRYPTO)"),
    ("Currency.from_str('XYZ')", "Currency(code='XYZ', precision=8, iso4217=0, name='XYZ', currency_type=CRYPTO)"),
    ("Currency.from_str('XYZ',strict=True)", "None"),
    ("USD.precision", "2"),
    ("str(USD)", "'USD'"),
    ("InstrumentId.from_str('EUR/USD.SIM')", "InstrumentId('EUR/USD.SIM')"),
    ("InstrumentId.from_str('BRK.B.XNYS')", "InstrumentId('BRK.B.XNYS')"),
    ("InstrumentId(Symbol('A'),Venue('B')).value", "'A.B'"),
    ("str(Venue('SIM'))", "'SIM'"),
    ("Symbol('ES.FUT').root()", "'ES'"),
    ("StrategyId('EMACross-001').get_tag()", "'001'"),
    ("TraderId('TESTER-001').get_tag()", "'001'"),
    ("AccountId('SIM-001').get_issuer()", "'SIM'"),
    ("AccountId('SIM-001').get_id()", "'001'"),
    ("PositionId('P-1').value", "'P-1'"),
    ("Venue('A')==Venue('A')", "True"),
    ("Venue('A')<Venue('B')", "True"),
    ("BarType.from_str('EUR/USD.SIM-1-MINUTE-BID-EXTERNAL')", "BarType(EUR/USD.SIM-1-MINUTE-BID-EXTERNAL)"),
    (
        "BarType.from_str('EUR/USD.SIM-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL')",
        "BarType(EUR/USD.SIM-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL)",
    ),
    (
        "BarType.from_str('EUR/USD.SIM-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL').standard()",
        "BarType(EUR/USD.SIM-5-MINUTE-LAST-INTERNAL)",
    ),
    (
        "BarType.from_str('EUR/USD.SIM-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL').composite()",
        "BarType(EUR/USD.SIM-1-MINUTE-LAST-EXTERNAL)",
    ),
    ("BarType.from_str('A-B.SIM-1-DAY-LAST-EXTERNAL').instrument_id", "InstrumentId('A-B.SIM')"),
    ("BarType.from_str('EUR/USD.SIM-1-minute-bid-external')", "BarType(EUR/USD.SIM-1-MINUTE-BID-EXTERNAL)"),
    ("BarSpecification.from_str('1-MINUTE-BID')", "BarSpecification(1-MINUTE-BID)"),
    ("BarSpecification(5,BarAggregation.MINUTE,PriceType.LAST)", "BarSpecification(5-MINUTE-LAST)"),
    ("BarSpecification.from_timedelta(timedelta(minutes=5),PriceType.LAST)", "BarSpecification(5-MINUTE-LAST)"),
    ("BarSpecification.from_str('100-TICK-LAST').is_threshold_aggregated()", "True"),
    ("i.make_price(1.123456)", "Price(1.12346)"),
    ("i.make_price(Decimal('1.1'))", "Price(1.10000)"),
    ("i.make_qty(1000.6)", "Quantity(1001)"),
    ("i.next_bid_price(1.123456)", "Price(1.12345)"),
    ("i.next_ask_price(1.123456)", "Price(1.12346)"),
    ("i.notional_value(Quantity.from_int(100),Price.from_str('1.1'))", "Money(110.00, USD)"),
    ("i.get_base_currency()", "Currency(code='EUR', precision=2, iso4217=978, name='Euro', currency_type=FIAT)"),
    (
        "i.id, i.symbol, i.venue, i.raw_symbol, i.price_precision, i.size_precision, i.price_increment, "
        "i.size_increment, i.lot_size, i.min_quantity, i.max_quantity, i.maker_fee, i.taker_fee, "
        "i.margin_init, i.margin_maint",
        "(InstrumentId('EUR/USD.SIM'), Symbol('EUR/USD'), Venue('SIM'), Symbol('EUR/USD'), 5, 0, "
        "Price(0.00001), Quantity(1), Quantity(1000), Quantity(1000), Quantity(10000000), "
        "Decimal('0.00002'), Decimal('0.00002'), Decimal('0.03'), Decimal('0.03'))",
    ),
    (
        "QuoteTick(i.id,Price(1,5),Price(2,5),Quantity(1,0),Quantity(1,0),1,1).extract_price(PriceType.MID)",
        "Price(1.500000)",
    ),
    (
        "str(QuoteTick(i.id,Price(1,5),Price(2,5),Quantity(1,0),Quantity(1,0),1,1))",
        "'EUR/USD.SIM,1.00000,2.00000,1,1,1'",
    ),
    (
        "QuoteTick(i.id,Price(3,5),Price(2,5),Quantity(1,0),Quantity(1,0),1,1)",
        "QuoteTick(EUR/USD.SIM,3.00000,2.00000,1,1,1)",
    ),
    (
        "str(TradeTick(i.id,Price(1,5),Quantity(1,0),AggressorSide.BUYER,TradeId('1'),1,1))",
        "'EUR/USD.SIM,1.00000,1,BUYER,1,1'",
    ),
]

ERRORS = [
    (
        "Quantity.from_str('0.5')-Quantity.from_str('1.0')",
        ValueError,
        "Quantity subtraction would result in negative value: 0.5 - 1.0",
    ),
    ("Money(1,USD)+Money(2,EUR)", ValueError, "currency USD != other.currency EUR"),
    ("Money(1,USD)==Money(1,EUR)", ValueError, "currency USD != other.currency EUR"),
    (
        "InstrumentId.from_str('EURUSD')",
        ValueError,
        "invalid `InstrumentId` value 'EURUSD': missing '.' separator between symbol and venue components",
    ),
    ("StrategyId('EMACross')", ValueError, "value was malformed: did not contain a hyphen '-'"),
    ("AccountId('SIM')", ValueError, "value was malformed: did not contain a hyphen '-'"),
    ("ClientOrderId('')", ValueError, "'value' string was invalid, was ''"),
    ("TradeId('x'*37)", ValueError, "'value' out of range [1, 36], was 37"),
    (
        "BarType.from_str('EUR/USD.SIM-1-MINUTE-BID')",
        ValueError,
        "Error parsing `BarType` from 'EUR/USD.SIM-1-MINUTE-BID', invalid token: '' at position 0",
    ),
    (
        "BarType.from_str('EUR/USD.SIM-1-FOO-BID-EXTERNAL')",
        ValueError,
        "Error parsing `BarType` from 'EUR/USD.SIM-1-FOO-BID-EXTERNAL', invalid token: 'FOO' at position 2",
    ),
    (
        "BarType.from_str('EUR/USD.SIM-0-MINUTE-BID-EXTERNAL')",
        ValueError,
        "Error parsing `BarType` from 'EUR/USD.SIM-0-MINUTE-BID-EXTERNAL', invalid token: '0' at position 1",
    ),
    (
        "BarType.from_str('EUR/USD.SIM-7-MINUTE-BID-EXTERNAL')",
        ValueError,
        "Error parsing `BarType` from 'EUR/USD.SIM-7-MINUTE-BID-EXTERNAL', invalid token: '7' at position 1",
    ),
    (
        "BarType.from_str('EUR/USD.SIM-61-MINUTE-BID-EXTERNAL')",
        ValueError,
        "Error parsing `BarType` from 'EUR/USD.SIM-61-MINUTE-BID-EXTERNAL', invalid token: '61' at position 1",
    ),
    (
        "i.make_qty(0.2)",
        ValueError,
        "Invalid `value` for quantity: 0.2 was rounded to zero due to size increment 1 and size precision 0",
    ),
    (
        "i.make_qty(0.2, round_down=True)",
        ValueError,
        "Invalid `value` for quantity: 0.2 was rounded to zero due to size increment 1 and size precision 0",
    ),
    (
        "Bar(BarType.from_str('EUR/USD.SIM-1-MINUTE-BID-"
        "EXTERNAL'),Price(2,5),Price(1,5),Price(2,5),Price(2,5),Quantity(1,0),1,1).check()",
        ValueError,
        "high was < open",
    ),
]


NAMES = {
    **{name: getattr(model, name) for name in model.__all__},
    "BTC": BTC,
    "EUR": EUR,
    "USD": USD,
    "Decimal": Decimal,
    "timedelta": timedelta,
}


@pytest.fixture
def names(eurusd: CurrencyPair) -> dict[str, Any]:
    return {**NAMES, "i": eurusd}


@pytest.mark.parametrize(("expression", "expected"), RESULTS)
def test_result(expression: str, expected: str, names: dict[str, Any]) -> None:
    assert repr(eval(expression, names)) == expected


@pytest.mark.parametrize(("expression", "error", "message"), ERRORS)
def test_error(expression: str, error: type[Exception], message: str, names: dict[str, Any]) -> None:
    with pytest.raises(error, match=re.escape(message)):
        eval(expression, names)


DIFFERENCES = [
    # NautilusTrader keeps every raw at 1e16; ours is at the value's own precision.
    ("Price(2.0, 2).raw", "200"),
    ("Price.from_raw(10**16, 2)", "Price(100000000000000.00)"),
    # Its precisions end at 16, ours at 18, as far as int64 goes.
    ("Price(2.0, 17)", "Price(2.00000000000000000)"),
    # It raises TypeError when an identifier is compared with a text.
    ("Venue('A') == 'A'", "False"),
    # It gives a pandas Timedelta.
    ("BarSpecification(5, BarAggregation.MINUTE, PriceType.LAST).timedelta", "datetime.timedelta(seconds=300)"),
    # It passes Decimals and texts through a float, which makes this 1.00.
    ("Price(Decimal('1.005'), 2)", "Price(1.01)"),
]


@pytest.mark.parametrize(("expression", "expected"), DIFFERENCES)
def test_documented_difference(expression: str, expected: str, names: dict[str, Any]) -> None:
    assert repr(eval(expression, names)) == expected


DIFFERENT_ERRORS = [
    # The same errors with other words.
    ("Price('1.5', 1)", TypeError, "must be real number, not str"),
    ("Price(2.0, 2) < '3'", TypeError, "not supported between instances of 'Price' and 'str'"),
    ("Quantity(-1, 0)", ValueError, "invalid `value` -1 for Quantity: at precision 0 use 0 to"),
    ("Price(2.0, 19)", ValueError, "invalid `precision` 19: use 0 to 18"),
    ("Price(1e30, 2)", ValueError, "at precision 2 use -92233720368547758.08 to 92233720368547758.07"),
    # It aborts the process.
    ("TraderId('TESTER')", ValueError, "did not contain a hyphen '-'"),
    # It refuses these in the constructor; ours has none in Python, so `check` does.
    (
        "QuoteTick(i.id, Price(1, 4), Price(2, 5), Quantity(1, 0), Quantity(1, 0), 1, 1).check()",
        ValueError,
        "'bid_price.precision' of 4 was not equal to 'ask_price.precision' of 5",
    ),
]


@pytest.mark.parametrize(("expression", "error", "message"), DIFFERENT_ERRORS)
def test_documented_different_error(
    expression: str, error: type[Exception], message: str, names: dict[str, Any]
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        eval(expression, names)
