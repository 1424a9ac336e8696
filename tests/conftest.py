"""Fixtures that tests of every layer share: the folder of real data, and a few instruments."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_common.model.currencies import BTC, JPY, USD, USDT
from nautilus_common.model.identifiers import InstrumentId, Symbol
from nautilus_common.model.instruments import CryptoPerpetual, CurrencyPair
from nautilus_common.model.values import Price, Quantity


@pytest.fixture(scope="session")
def fleet_data() -> Path:
    """The folder of real market data: FLEET_DATA, or ../shared/data beside the repository; else the test is skipped."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("FLEET_DATA") or root.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real market data: {folder} is not there (set FLEET_DATA to the folder that has fxcm/)")
    return folder


@pytest.fixture(scope="session")
def usdjpy() -> CurrencyPair:
    """USD/JPY at SIM: prices of 3 decimals, whole sizes."""
    return CurrencyPair(
        instrument_id=InstrumentId.from_str("USD/JPY.SIM"),
        raw_symbol=Symbol("USD/JPY"),
        base_currency=USD,
        quote_currency=JPY,
        price_precision=3,
        size_precision=0,
        price_increment=Price.from_str("0.001"),
        size_increment=Quantity.from_str("1"),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal("0.03"),
        margin_maint=Decimal("0.03"),
        maker_fee=Decimal("0.00002"),
        taker_fee=Decimal("0.00002"),
    )


@pytest.fixture(scope="session")
def btcusdt_perp() -> CryptoPerpetual:
    """BTCUSDT-PERP at BINANCE: prices of 1 decimal, sizes of 3."""
    return CryptoPerpetual(
        instrument_id=InstrumentId.from_str("BTCUSDT-PERP.BINANCE"),
        raw_symbol=Symbol("BTCUSDT"),
        base_currency=BTC,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=1,
        size_precision=3,
        price_increment=Price.from_str("0.1"),
        size_increment=Quantity.from_str("0.001"),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal("0.05"),
        margin_maint=Decimal("0.025"),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.0005"),
    )
