"""The ledger is exact: what is realised and what is held always add up to what was paid."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.messages.events import OrderFilled
from nautilus_common.model.account import AccountSpec
from nautilus_common.model.currencies import BTC, USD
from nautilus_common.model.enums import AccountType, LiquiditySide, OmsType, OrderSide, OrderType
from nautilus_common.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    Symbol,
    TradeId,
    TraderId,
    Venue,
    VenueOrderId,
)
from nautilus_common.model.instruments import CryptoPerpetual
from nautilus_common.model.ledger import CLOSED, OPENED, Ledger, split_fill
from nautilus_common.model.values import Money, Price, Quantity
from nautilus_common.streams import MarketView

SIM = Venue("SIM")


def perpetual(*, is_inverse: bool) -> CryptoPerpetual:
    return CryptoPerpetual(
        InstrumentId.from_str("XBT-PERP.SIM"),
        Symbol("XBT"),
        BTC,
        USD,
        BTC if is_inverse else USD,
        is_inverse,
        1,
        0,
        Price.from_str("0.1"),
        Quantity.from_int(1),
        0,
        0,
        margin_init=Decimal("0.05"),
        margin_maint=Decimal("0.02"),
    )


def ledger_of(instrument: CryptoPerpetual, *, hedging: bool = False) -> Ledger:
    currency = instrument.get_settlement_currency()
    spec = AccountSpec(
        AccountId("SIM-001"),
        SIM,
        AccountType.MARGIN,
        OmsType.HEDGING if hedging else OmsType.NETTING,
        (Money(1_000_000, currency),),
        default_leverage=Decimal(10),
    )
    return Ledger({instrument.id: instrument}, [spec], MarketView([], 1))


def fill_of(
    instrument: CryptoPerpetual, number: int, signed: int, px: int, fee: int = 0, position: str = "P"
) -> OrderFilled:
    return OrderFilled(
        TraderId("T-001"),
        StrategyId("S-001"),
        instrument.id,
        ClientOrderId(f"O-{number}"),
        VenueOrderId(f"V-{number}"),
        AccountId("SIM-001"),
        TradeId(f"T-{number}"),
        PositionId(position),
        OrderSide.BUY if signed > 0 else OrderSide.SELL,
        OrderType.MARKET,
        Quantity.from_raw(abs(signed), 0),
        Price.from_raw(px, 1),
        instrument.quote_currency,
        Money.from_raw(fee, instrument.get_settlement_currency()),
        LiquiditySide.TAKER,
        number,
        number,
    )


FILLS = st.lists(
    st.tuples(
        st.integers(-50, 50).filter(bool), st.integers(9_000, 11_000), st.integers(-3, 20), st.sampled_from("PQ")
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(FILLS, st.booleans())
def test_cash_is_conserved(fills, hedging):
    """Balance = start - fees + cash flows + value of what is held, at cost: to the cent, but for the rounding of each close."""
    instrument = perpetual(is_inverse=False)
    ledger = ledger_of(instrument, hedging=hedging)
    account = ledger.by_venue[SIM]
    flow = Fraction(0)
    fees = realising = net = 0
    for number, (signed, px, fee, name) in enumerate(fills, 1):
        ledger.on_filled(fill_of(instrument, number, signed, px, fee, name if hedging else "P"))
        flow -= Fraction(signed * px, 10)
        fees += fee
        net += signed
        realising += 1
        held = sum(
            (
                Fraction(p.cost_raw, 10**p.cost_scale * 10**9)
                if hasattr(p, "cost_scale")
                else Fraction(p.cost_raw, 10 * 10**9)
            )
            * (1 if p.signed_raw > 0 else -1)
            for p in ledger.open_positions.get(instrument.id, {}).values()
        )
        expected = Fraction(1_000_000) - Fraction(fees, 100) + flow + held
        assert abs(Fraction(account.total_raw(USD), 100) - expected) <= Fraction(realising, 200) + Fraction(1, 10**6)
        assert ledger.net_raw[instrument.id] == net
        assert sum(p.signed_raw for p in ledger.open_positions.get(instrument.id, {}).values()) == net
        for balance in account.balances().values():
            assert balance.total == balance.locked + balance.free
    if net == 0 and not ledger.open_positions[instrument.id]:
        assert account.balances_locked()[USD] == Money(0, USD)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(9_000, 11_000), st.integers(9_000, 11_000))
def test_whole_round_trips_are_exact(first, second, opened, closed):
    instrument = perpetual(is_inverse=False)
    ledger = ledger_of(instrument)
    ledger.on_filled(fill_of(instrument, 1, first, opened))
    ledger.on_filled(fill_of(instrument, 2, second, opened))
    ledger.on_filled(fill_of(instrument, 3, -first - second, closed))
    assert ledger.by_venue[SIM].total_raw(USD) == 100_000_000 + (first + second) * (closed - opened) * 10


@given(st.integers(1, 10**6), st.integers(1_000, 10**6), st.integers(1_000, 10**6), st.sampled_from((1, -1)))
def test_inverse_profit_is_in_the_base_currency(quantity, opened, closed, side):
    """q (1/open - 1/close) in BTC, rounded once."""
    instrument = perpetual(is_inverse=True)
    ledger = ledger_of(instrument)
    before = ledger.by_venue[SIM].total_raw(BTC)
    ledger.on_filled(fill_of(instrument, 1, side * quantity, opened))
    ledger.on_filled(fill_of(instrument, 2, -side * quantity, closed))
    exact = side * quantity * (Fraction(10, opened) - Fraction(10, closed)) * 10**8
    assert abs(ledger.by_venue[SIM].total_raw(BTC) - before - exact) <= Fraction(1, 2)


@given(st.integers(1, 100), st.integers(1, 100), st.integers(-50, 50))
def test_a_turn_over_splits_exactly(held, more, fee):
    instrument = perpetual(is_inverse=False)
    ledger = ledger_of(instrument)
    ledger.on_filled(fill_of(instrument, 1, held, 10_000))
    changes = ledger.on_filled(fill_of(instrument, 2, -held - more, 10_100, fee))
    assert [change.kind for change in changes] == [CLOSED, OPENED]
    closing, opening = (change.fill for change in changes)
    assert (closing.last_qty.raw, opening.last_qty.raw) == (held, more)
    assert closing.commission.raw + opening.commission.raw == fee
    assert ledger.positions[PositionId("P")].signed_raw == -more
    assert ledger.by_venue[SIM].total_raw(USD) == 100_000_000 + held * 100 * 10 - fee


@given(st.integers(2, 2**40), st.integers(-(2**40), 2**40), st.data())
def test_a_split_fill_adds_up(quantity, fee, data):
    first = data.draw(st.integers(1, quantity - 1))
    one, two = split_fill(fill_of(perpetual(is_inverse=False), 1, quantity, 10_000, fee), first)
    assert one.last_qty.raw == first
    assert one.last_qty.raw + two.last_qty.raw == quantity
    assert one.commission.raw + two.commission.raw == fee


def test_hedging_keeps_positions_apart_and_netting_does_not():
    instrument = perpetual(is_inverse=False)
    hedged, netted = ledger_of(instrument, hedging=True), ledger_of(instrument)
    for number, (signed, name) in enumerate(((10, "P"), (-4, "Q")), 1):
        hedged.on_filled(fill_of(instrument, number, signed, 10_000, position=name))
        netted.on_filled(fill_of(instrument, number, signed, 10_000))
    assert [p.signed_raw for p in hedged.open_positions[instrument.id].values()] == [10, -4]
    assert [p.signed_raw for p in netted.open_positions[instrument.id].values()] == [6]
    assert hedged.net_raw == netted.net_raw


def test_a_position_beyond_int64_names_the_instrument():
    instrument = perpetual(is_inverse=False)
    ledger = ledger_of(instrument)
    with pytest.raises(OverflowError, match="XBT-PERP.SIM"):
        for number in range(1, 4):
            ledger.on_filled(fill_of(instrument, number, 2**62, 1))


def test_a_balance_beyond_int64_names_the_instrument():
    instrument = perpetual(is_inverse=False)
    ledger = ledger_of(instrument)
    ledger.on_filled(fill_of(instrument, 1, 2**40, 10_000))
    with pytest.raises(OverflowError, match=r"XBT-PERP.SIM: a balance or margin of account SIM-001 does not fit"):
        ledger.on_filled(fill_of(instrument, 2, -(2**40), 2**40))
