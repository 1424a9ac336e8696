"""Value types agree with exact decimal arithmetic, whatever their precisions."""

import copy
import pickle
from decimal import Decimal, localcontext

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_common.model import Money, Price, Quantity, money_from_raw, price_from_raw, quantity_from_raw
from nautilus_common.model.currencies import BTC, JPY, USD

RAWS = st.integers(-(2**63), 2**63 - 1)
SMALL_RAWS = st.integers(-(10**9), 10**9)
PRECISIONS = st.integers(0, 18)

prices = st.builds(price_from_raw, RAWS, PRECISIONS)
small_prices = st.builds(price_from_raw, SMALL_RAWS, st.integers(0, 9))
quantities = st.builds(quantity_from_raw, st.integers(0, 2**63 - 1), PRECISIONS)
moneys = st.builds(money_from_raw, RAWS, st.sampled_from([USD, JPY, BTC]))


@st.composite
def equal_prices(draw: st.DrawFn) -> tuple[Price, Price]:
    """One number at two precisions."""
    raw, precision, more = draw(SMALL_RAWS), draw(st.integers(0, 9)), draw(st.integers(0, 9))
    return price_from_raw(raw, precision), price_from_raw(raw * 10**more, precision + more)


@given(prices)
def test_text_of_a_price_reads_back_the_same(price: Price) -> None:
    again = Price.from_str(str(price))
    assert (again.raw, again.precision) == (price.raw, price.precision)
    formatted = Price.from_str(price.to_formatted_str())
    assert (formatted.raw, formatted.precision) == (price.raw, price.precision)


@given(quantities)
def test_text_of_a_quantity_reads_back_the_same(quantity: Quantity) -> None:
    again = Quantity.from_str(str(quantity))
    assert (again.raw, again.precision) == (quantity.raw, quantity.precision)


@given(moneys)
def test_text_of_money_reads_back_the_same(money: Money) -> None:
    again = Money.from_str(str(money))
    assert (again.raw, again.currency) == (money.raw, money.currency)


@given(prices)
def test_numbers_of_a_price_are_exact(price: Price) -> None:
    with localcontext(prec=60):
        exact = Decimal(price.raw).scaleb(-price.precision)
        assert price.as_decimal() == exact
        assert price.as_double() == float(exact) == float(price)
        assert int(price) == int(exact)
        assert hash(price) == hash(exact)


@given(small_prices, small_prices)
def test_order_is_that_of_decimals(left: Price, right: Price) -> None:
    one, other = left.as_decimal(), right.as_decimal()
    for number in (right, other):
        assert (left == number) == (one == other)
        assert (left != number) == (one != other)
        assert (left < number) == (one < other)
        assert (left <= number) == (one <= other)
        assert (left > number) == (one > other)
        assert (left >= number) == (one >= other)


@given(equal_prices())
def test_equal_values_hash_alike_at_every_precision(pair: tuple[Price, Price]) -> None:
    short, long = pair
    assert short == long
    assert hash(short) == hash(long) == hash(short.as_decimal())
    if short.as_decimal() == int(short):
        assert short == int(short)
        assert hash(short) == hash(int(short))


@given(small_prices, st.floats(allow_nan=False))
def test_a_float_compares_exactly(price: Price, number: float) -> None:
    assert (price == number) == (price.as_decimal() == number)
    assert (price < number) == (price.as_decimal() < number)
    if price == number:
        assert hash(price) == hash(number)


@given(small_prices)
def test_nan_is_neither_equal_nor_ordered(price: Price) -> None:
    for nan in (float("nan"), Decimal("nan")):
        assert price != nan
        assert not (price == nan or price < nan or price > nan or price <= nan or price >= nan)


@given(small_prices, small_prices)
def test_sum_and_difference_are_exact_at_the_greater_precision(left: Price, right: Price) -> None:
    for result, exact in (
        (left + right, left.as_decimal() + right.as_decimal()),
        (left - right, left.as_decimal() - right.as_decimal()),
    ):
        assert type(result) is Price
        assert result.as_decimal() == exact
        assert result.precision == max(left.precision, right.precision)


@given(small_prices, st.one_of(st.integers(-1000, 1000), st.decimals(-1000, 1000, places=3)))
def test_other_arithmetic_is_that_of_decimals(price: Price, number: int | Decimal) -> None:
    assert price * number == price.as_decimal() * number
    assert number - price == number - price.as_decimal()
    assert type(price + number) is Decimal
    if number:
        assert price / number == price.as_decimal() / number
        assert price % number == price.as_decimal() % number


@given(prices, quantities, moneys)
def test_values_survive_their_encodings(price: Price, quantity: Quantity, money: Money) -> None:
    for value in (price, quantity, money):
        kind = type(value)
        again = msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=kind)
        for copied in (again, pickle.loads(pickle.dumps(value)), copy.deepcopy(value), copy.copy(value)):
            assert type(copied) is kind
            assert repr(copied) == repr(value)
            assert copied.raw == value.raw


@given(prices, prices)
def test_a_sum_beyond_64_bits_is_an_error(left: Price, right: Price) -> None:
    precision = max(left.precision, right.precision)
    raw = left.raw * 10 ** (precision - left.precision) + right.raw * 10 ** (precision - right.precision)
    if -(2**63) <= raw < 2**63:
        assert (left + right).raw == raw
    else:
        with pytest.raises(ValueError, match="invalid `value`"):
            left + right


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_a_double_that_prints_within_the_precision_is_taken_as_printed(raw: int, precision: int) -> None:
    number = raw / 10**precision
    assert Price(number, precision).raw == raw
    assert Price(Decimal(repr(number)), precision).raw == raw
