"""Instruments: rounding, notional values, checks and encodings."""

from decimal import Decimal

import msgspec
import pytest
from nautilus_common.model import (
    AssetClass,
    CryptoPerpetual,
    Currency,
    CurrencyPair,
    Equity,
    FuturesContract,
    Instrument,
    InstrumentClass,
    InstrumentId,
    Money,
    Price,
    Quantity,
    instrument_from_json,
    instrument_to_json,
)
from nautilus_common.model.currencies import BTC, ETH, EUR, USD, USDT


def perpetual(settlement: Currency, inverse: bool, base: Currency = BTC, quote: Currency = USD) -> CryptoPerpetual:
    instrument_id = InstrumentId.from_str("PERP.X")
    return CryptoPerpetual(
        instrument_id,
        instrument_id.symbol,
        base,
        quote,
        settlement,
        inverse,
        1,
        0,
        Price.from_str("0.5"),
        Quantity.from_int(1),
        0,
        0,
        max_price=Price.from_str("60000.0"),
        min_price=Price.from_str("1.0"),
    )


def equity() -> Equity:
    instrument_id = InstrumentId.from_str("BRK.B.XNYS")
    return Equity(
        instrument_id, instrument_id.symbol, USD, 2, Price.from_str("0.01"), Quantity.from_int(100), 0, 0, isin="US08"
    )


def future() -> FuturesContract:
    instrument_id = InstrumentId.from_str("ESZ1.GLBX")
    return FuturesContract(
        instrument_id,
        instrument_id.symbol,
        AssetClass.INDEX,
        USD,
        2,
        Price.from_str("0.25"),
        Quantity.from_int(50),
        Quantity.from_int(1),
        "ES",
        0,
        1_639_756_800_000_000_000,
        0,
        0,
        exchange="XCME",
    )


def test_derived_attributes(eurusd: CurrencyPair) -> None:
    assert eurusd.asset_class is AssetClass.FX
    assert eurusd.instrument_class is InstrumentClass.SPOT
    assert (eurusd.get_base_currency(), eurusd.get_settlement_currency(), eurusd.get_cost_currency()) == (EUR, USD, USD)
    share, contract = equity(), future()
    assert (share.quote_currency, share.size_precision, share.size_increment, share.multiplier) == (USD, 0, 1, 1)
    assert share.get_base_currency() is None
    assert share.max_price is None
    assert contract.instrument_class is InstrumentClass.FUTURE
    assert contract.min_quantity == 1
    assert contract.expiration_utc.isoformat() == "2021-12-17T16:00:00+00:00"


def test_rates_are_decimals(eurusd: CurrencyPair) -> None:
    assert msgspec.structs.replace(eurusd, maker_fee=None).maker_fee == Decimal(0)
    assert msgspec.structs.replace(eurusd, maker_fee=1).maker_fee == Decimal(1)
    with pytest.raises(TypeError, match=r"EUR/USD\.SIM: `maker_fee` must be a Decimal"):
        msgspec.structs.replace(eurusd, maker_fee=0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price_precision": 4}, "`price_increment` 0.00001 does not have `price_precision` 4 decimals"),
        ({"size_increment": Quantity.zero()}, "`size_increment` must be positive"),
        ({"multiplier": Quantity.zero()}, "`multiplier` must be positive"),
        ({"min_quantity": Quantity.from_int(10**9)}, "`min_quantity` 1000000000 is above `max_quantity` 10000000"),
    ],
)
def test_a_wrong_instrument_is_refused(eurusd: CurrencyPair, change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=rf"invalid instrument EUR/USD\.SIM: {reason}"):
        msgspec.structs.replace(eurusd, **change)


@pytest.mark.parametrize("instrument", [equity(), future(), perpetual(BTC, True), perpetual(USDT, False, quote=USDT)])
def test_json_reads_back(instrument: Instrument) -> None:
    again = instrument_from_json(instrument_to_json(instrument))
    assert type(again) is type(instrument)
    assert again == instrument
    assert msgspec.to_builtins(again) == msgspec.to_builtins(instrument)
    assert Instrument.from_dict(Instrument.to_dict(instrument)) == instrument


def test_json_that_is_no_instrument() -> None:
    with pytest.raises(ValueError, match="not an instrument"):
        instrument_from_json(b'{"type": "Share"}')


def test_notional_values() -> None:
    price, quantity = Price.from_str("40000.0"), Quantity.from_int(100_000)
    linear, inverse = perpetual(USDT, False, quote=USDT), perpetual(BTC, True)
    assert linear.notional_value(Quantity.from_int(2), price) == Money(80_000, USDT)
    assert inverse.notional_value(quantity, price) == Money("2.5", BTC)
    assert inverse.notional_value(quantity, Price.from_str("30000.0")) == Money("3.33333333", BTC)
    assert inverse.notional_value(quantity, price, use_quote_for_inverse=True) == Money(100_000, USD)
    assert inverse.get_cost_currency() == inverse.get_settlement_currency() == BTC
    assert future().notional_value(Quantity.from_int(2), Price.from_str("4500.25")) == Money(450_025, USD)
    quanto = perpetual(BTC, False, base=ETH)
    assert quanto.is_quanto
    assert quanto.notional_value(Quantity.from_int(1), Price.from_str("1.5")) == Money("1.5", BTC)
    assert equity().notional_value(
        Quantity.from_int(2), Price.from_str("1.50"), target_currency=EUR, conversion_price=Price.from_str("0.5")
    ) == Money("1.5", EUR)


def test_an_inverse_value_at_no_price_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"PERP\.X: an inverse notional value needs a positive price"):
        perpetual(BTC, True).notional_value(Quantity.from_int(1), Price.from_int(0))


def test_overflow_names_the_instrument(eurusd: CurrencyPair) -> None:
    with pytest.raises(ValueError, match=r"EUR/USD\.SIM: the notional value is beyond the signed 64-bit range"):
        eurusd.notional_value(Quantity.from_int(10**18), Price.from_str("1.1"))
    with pytest.raises(ValueError, match=r"EUR/USD\.SIM: invalid `value`"):
        eurusd.make_price(1e30)
    with pytest.raises(ValueError, match=r"EUR/USD\.SIM: invalid `value`"):
        eurusd.make_qty(-1)


def test_ticks_are_whole_increments_from_the_printed_number(eurusd: CurrencyPair) -> None:
    contract, perp = future(), perpetual(BTC, True)
    assert contract.next_bid_price(4500.3) == Price.from_str("4500.25")
    assert contract.next_ask_price(4500.3, 2) == Price.from_str("4501.00")
    assert eurusd.next_bid_price(1.12345) == eurusd.next_ask_price(1.12345) == Price.from_str("1.12345")
    assert perp.next_bid_price(1.2, 1) is None
    assert perp.next_ask_price(60000.1) is None
    assert perp.next_bid_prices(2.2, 5) == [Decimal("2"), Decimal("1.5"), Decimal("1")]
    assert perp.next_ask_prices(59999.7, 5) == [Decimal("60000")]


def test_quantities_are_whole_increments() -> None:
    lots = msgspec.structs.replace(perpetual(BTC, True), size_precision=1, size_increment=Quantity.from_str("0.5"))
    assert str(lots.make_qty(1.74)) == "1.5"
    assert str(lots.make_qty(1.75)) == "2.0"
    assert str(lots.make_qty(1.99, round_down=True)) == "1.5"
    assert str(lots.make_qty("2.5")) == "2.5"


def test_base_quantity() -> None:
    pair = msgspec.structs.replace(perpetual(USD, False), size_precision=3, size_increment=Quantity.from_str("0.001"))
    assert str(pair.calculate_base_quantity(Quantity.from_int(1000), Price.from_str("30000.0"))) == "0.033"
