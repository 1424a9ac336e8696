"""Ticks, bars, bar specifications, balances, enums and currencies."""

from datetime import timedelta

import msgspec
import pytest
from nautilus_common.model import (
    AccountBalance,
    AggressorSide,
    Bar,
    BarAggregation,
    BarSpecification,
    BarType,
    Currency,
    CurrencyType,
    InstrumentId,
    MarginBalance,
    Money,
    OrderSide,
    Price,
    PriceType,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
    enums,
)
from nautilus_common.model.currencies import EUR, USD, XRP
from nautilus_common.model.enums import order_side_from_str, order_side_to_str

EURUSD = InstrumentId.from_str("EUR/USD.SIM")
MINUTES = BarType.from_str("EUR/USD.SIM-1-MINUTE-BID-EXTERNAL")


def quote(bid: str = "1.10000", ask: str = "1.10003") -> QuoteTick:
    return QuoteTick(EURUSD, Price.from_str(bid), Price.from_str(ask), Quantity.from_int(1), Quantity.from_int(2), 3, 4)


def bar(*prices: str) -> Bar:
    opened, high, low, close = (Price.from_str(price) for price in prices)
    return Bar(MINUTES, opened, high, low, close, Quantity.from_int(7), 1, 2)


TRADE = TradeTick(EURUSD, Price.from_str("1.1"), Quantity.from_int(5), AggressorSide.SELLER, TradeId("9"), 1, 2)


@pytest.mark.parametrize("item", [quote(), TRADE, bar("1.1", "1.3", "1.0", "1.2")])
def test_data_reads_back(item: QuoteTick | TradeTick | Bar) -> None:
    kind = type(item)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(item), type=QuoteTick | TradeTick | Bar) == item
    assert kind.from_dict(kind.to_dict(item)) == item  # type: ignore[arg-type]
    assert kind.to_dict(item)["type"] == kind.__name__  # type: ignore[arg-type]
    item.check()


def test_quote_extracts() -> None:
    tick = quote()
    assert str(tick.extract_price(PriceType.MID)) == "1.100015"
    assert str(tick.extract_size(PriceType.MID)) == "1.5"
    assert tick.extract_price(PriceType.ASK) is tick.ask_price
    assert tick.extract_size(PriceType.BID) is tick.bid_size
    with pytest.raises(ValueError, match="no price of type LAST"):
        tick.extract_price(PriceType.LAST)


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        (("1.2", "1.1", "1.0", "1.1"), "high was < open"),
        (("1.1", "1.2", "1.0", "1.3"), "high was < close"),
        (("1.10", "1.20", "1.15", "1.20"), "low was > open"),
        (("1.20", "1.20", "1.15", "1.10"), "low was > close"),
        (("1.2", "1.20", "1.1", "1.1"), "precision"),
    ],
)
def test_a_wrong_bar_is_refused_by_check(prices: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        bar(*prices).check()


def test_single_price_bar() -> None:
    assert bar("1.1", "1.1", "1.1", "1.1").is_single_price()
    assert not bar("1.1", "1.2", "1.1", "1.1").is_single_price()


def test_a_trade_needs_a_size() -> None:
    with pytest.raises(ValueError, match="'size' must be positive"):
        msgspec.structs.replace(TRADE, size=Quantity.zero()).check()


def test_each_aggregation_is_of_at_most_one_kind() -> None:
    for aggregation in BarAggregation:
        kinds = (
            BarSpecification.check_time_aggregated(aggregation),
            BarSpecification.check_threshold_aggregated(aggregation),
            BarSpecification.check_information_aggregated(aggregation),
        )
        assert sum(kinds) == (0 if aggregation is BarAggregation.RENKO else 1)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(milliseconds=250), "250-MILLISECOND-LAST"),
        (timedelta(hours=1), "1-HOUR-LAST"),
        (timedelta(days=1), "1-DAY-LAST"),
        (timedelta(days=14), "2-WEEK-LAST"),
    ],
)
def test_specification_of_a_duration(duration: timedelta, text: str) -> None:
    spec = BarSpecification.from_timedelta(duration, PriceType.LAST)
    assert str(spec) == text
    assert spec.timedelta == duration


def test_a_duration_that_no_bar_has() -> None:
    with pytest.raises(ValueError, match="must divide 60"):
        BarSpecification.from_timedelta(timedelta(minutes=90), PriceType.LAST)
    with pytest.raises(ValueError, match="no time interval"):
        BarSpecification.from_str("5-TICK-LAST").get_interval_ns()


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("EURUSD-1-MINUTE-BID-EXTERNAL", 0),
        ("E.S-1-MINUTE-FOO-EXTERNAL", 3),
        ("E.S-1-MINUTE-BID-FOO", 4),
        ("E.S-5-MINUTE-BID-EXTERNAL@1-MINUTE-EXTERNAL", 4),
        ("E.S-5-MINUTE-BID-INTERNAL@7-MINUTE-EXTERNAL", 5),
        ("E.S-5-MINUTE-BID-INTERNAL@", 5),
        ("E.S-5-MINUTE-BID-INTERNAL@1-FOO-EXTERNAL", 6),
        ("E.S-5-MINUTE-BID-INTERNAL@1-MINUTE-FOO", 7),
    ],
)
def test_a_wrong_bar_type_names_the_position(text: str, position: int) -> None:
    with pytest.raises(ValueError, match=f"at position {position}:"):
        BarType.from_str(text)


def test_symbol_with_the_composite_sign() -> None:
    assert str(BarType.from_str("A@1-B.C-1-DAY-LAST-EXTERNAL").instrument_id) == "A@1-B.C"


def test_balances() -> None:
    balance = AccountBalance(Money(10, USD), Money(3, USD), Money(7, USD))
    assert AccountBalance.from_dict(balance.to_dict()) == balance
    assert balance != AccountBalance(Money(10, EUR), Money(3, EUR), Money(7, EUR))
    margin = MarginBalance(Money(10, USD), Money(3, USD), EURUSD)
    assert MarginBalance.from_dict(margin.to_dict()) == margin
    with pytest.raises(ValueError, match="`total`"):
        AccountBalance(Money(10, USD), Money(3, USD), Money(6, USD)).check()
    with pytest.raises(ValueError, match="one currency"):
        AccountBalance(Money(10, USD), Money(3, EUR), Money(7, USD)).check()


def test_enum_texts() -> None:
    assert order_side_to_str(OrderSide.BUY) == order_side_to_str(1) == "BUY"
    assert order_side_from_str("sell") is OrderSide.SELL
    assert str(OrderSide.BUY) == "1"
    with pytest.raises(ValueError, match="'LONG' is not a OrderSide: use one of NO_ORDER_SIDE, BUY, SELL"):
        order_side_from_str("LONG")
    assert all(hasattr(enums, name) for name in enums.__all__)


def test_a_registered_currency_keeps_its_description() -> None:
    Currency("USD", 4, name="Impostor")
    assert (USD.name, USD.currency_type) == ("United States dollar", CurrencyType.FIAT)
    assert XRP.precision == 6
    token = Currency("TESTTOKEN", 3, name="Test token")
    assert Currency.from_str("TESTTOKEN", strict=True) is None
    Currency.register(token)
    assert Currency.from_str("TESTTOKEN") is token
    assert (token.name, Currency.is_crypto("TESTTOKEN"), Currency.is_fiat("USD")) == ("Test token", True, True)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(token), type=Currency) == token
