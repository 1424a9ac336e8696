"""Every message survives the wire, and no bytes but a DecodeError come out wrong."""

from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_common.messages.codec import AnyMessage, DecodeError, decode, encode
from nautilus_common.messages.subjects import escape, unescape
from nautilus_common.model import identifiers as ids
from nautilus_common.model.values import (
    Currency,
    Money,
    Price,
    Quantity,
    money_from_raw,
    price_from_raw,
    quantity_from_raw,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
PRECISION = st.integers(0, 18)
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=12)
TAGGED = st.builds("{}-{}".format, st.from_regex(r"[A-Za-z]{1,6}", fullmatch=True), st.integers(0, 999))
CURRENCY = st.sampled_from(["USD", "JPY", "BTC"]).map(Currency.from_str)

for kind in (ids.TraderId, ids.StrategyId, ids.AccountId):
    st.register_type_strategy(kind, TAGGED.map(kind))
for kind in (ids.ClientOrderId, ids.VenueOrderId, ids.TradeId, ids.PositionId, ids.OrderListId):
    st.register_type_strategy(kind, WORD.map(kind))
for kind in (ids.Symbol, ids.ClientId, ids.ExecAlgorithmId):
    st.register_type_strategy(kind, WORD.map(kind))
st.register_type_strategy(ids.Venue, st.from_regex(r"[A-Z]{1,6}", fullmatch=True).map(ids.Venue))
st.register_type_strategy(ids.InstrumentId, st.builds(ids.InstrumentId))
st.register_type_strategy(Price, st.builds(price_from_raw, INT64, PRECISION))
st.register_type_strategy(Quantity, st.builds(quantity_from_raw, st.integers(0, 2**63 - 1), PRECISION))
st.register_type_strategy(Currency, CURRENCY)
MONEY = st.builds(money_from_raw, INT64, CURRENCY)
st.register_type_strategy(Money, MONEY)
PLAIN = st.one_of(st.none(), st.booleans(), INT64, st.text(max_size=5))

USD = Currency.from_str("USD")
BALANCES = st.builds(
    lambda free, locked: {
        "total": money_from_raw(free + locked, USD),
        "locked": money_from_raw(locked, USD),
        "free": money_from_raw(free, USD),
    },
    st.integers(-(10**15), 10**15),
    st.integers(0, 10**15),
)


def strategy_for(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, within what the wire can hold."""
    from nautilus_common.model.balances import AccountBalance, MarginBalance

    options = [option for option in get_args(annotation) if option is not type(None)]
    if options and annotation not in get_args(AnyMessage) and str(annotation).count("|"):
        return st.none() | strategy_for(options[0])
    if annotation is int:
        return INT64
    if annotation is float:
        return st.floats(allow_nan=False)
    if annotation is Decimal:
        return st.decimals(allow_nan=False, allow_infinity=False, places=5)
    if str(annotation).startswith("dict"):
        return st.dictionaries(st.text(max_size=5), PLAIN, max_size=3)
    if annotation == list[AccountBalance]:
        return st.lists(BALANCES.map(lambda values: AccountBalance(**values)), max_size=2)
    if annotation == list[MarginBalance]:
        amount = st.builds(money_from_raw, st.integers(0, 2**62), st.just(USD))
        return st.lists(st.builds(MarginBalance, amount, amount, st.none()), max_size=2)
    if annotation in get_args(AnyMessage):
        return message_of(annotation)
    return st.from_type(annotation)


def message_of(kind: Any) -> st.SearchStrategy[Any]:
    from typing import get_type_hints

    hints = get_type_hints(kind)
    return st.builds(kind, **{name: strategy_for(hints[name]) for name in kind.__struct_fields__})


@pytest.mark.parametrize("kind", get_args(AnyMessage), ids=lambda kind: kind.__name__)
def test_each_message_survives_the_wire(kind: Any) -> None:
    @given(message_of(kind))
    def check(message: Any) -> None:
        data = encode(message)
        again = decode(data)
        assert type(again) is kind
        assert encode(again) == data
        assert repr(again) == repr(message)

    check()


SAMPLE = message_of(get_args(AnyMessage)[0])


@given(st.binary(max_size=60))
def test_random_bytes_give_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


@given(SAMPLE, st.data())
def test_damaged_bytes_give_a_message_or_a_decode_error(message: Any, data: st.DataObject) -> None:
    damaged = bytearray(encode(message))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(damaged))
    except DecodeError as error:
        assert str(error).startswith("cannot decode")


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(NAMES)
def test_any_name_is_one_token(name: str) -> None:
    token = escape(name)
    assert token.isascii()
    assert not set(token) & set(". *>\t\r\n\0")
    assert unescape(token) == name
