"""Instruments the model tests share."""

from decimal import Decimal

import pytest
from nautilus_common.model import CurrencyPair, InstrumentId, Price, Quantity
from nautilus_common.model.currencies import EUR, USD


@pytest.fixture
def eurusd() -> CurrencyPair:
    instrument_id = InstrumentId.from_str("EUR/USD.SIM")
    return CurrencyPair(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        base_currency=EUR,
        quote_currency=USD,
        price_precision=5,
        size_precision=0,
        price_increment=Price.from_str("0.00001"),
        size_increment=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
        lot_size=Quantity.from_int(1000),
        max_quantity=Quantity.from_int(10_000_000),
        min_quantity=Quantity.from_int(1000),
        margin_init=Decimal("0.03"),
        margin_maint=Decimal("0.03"),
        maker_fee=Decimal("0.00002"),
        taker_fee=Decimal("0.00002"),
    )
