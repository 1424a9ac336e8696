"""The results that NautilusTrader 1.231.0 gives on the same files: every figure of the issue's table."""

from __future__ import annotations

from decimal import Decimal

import pytest
from case_runs import CASES, run_case


@pytest.fixture(scope="module")
def engines(fleet_data):
    """Each case, run once."""
    return {name: run_case(name, fleet_data) for name in CASES}


def account(engine, venue: str, currency: str | None = None) -> list[dict]:
    return [row for row in engine.generate_account_report(venue) if currency in (None, row["currency"])]


def totals(engine, venue: str, currency: str | None = None) -> list[Decimal]:
    return [Decimal(row["total"]) for row in account(engine, venue, currency)]


def averages(strategy) -> list:
    return [strategy.fast_ema, strategy.slow_ema]


def strategies_of(engine) -> list:
    return list(engine._actors)


def test_usdjpy_ema_cross(engines):
    engine = engines["usdjpy"]
    assert engine.data_points == 115_044
    assert [average.count for average in averages(strategies_of(engine)[0])] == [2_689, 2_689]
    assert engine.cache.orders_total_count() == 178
    assert engine.get_result().total_orders == 178
    assert len(engine.generate_positions_report()) == 89
    balances = totals(engine, "SIM")
    assert len(balances) == 179
    assert balances[:5] == [
        Decimal(text) for text in ("1000000.00", "999980.00", "998841.59", "998821.59", "998215.56")
    ]
    assert balances[-1] == Decimal("996754.88")
    assert {row["currency"] for row in account(engine, "SIM")} == {"USD"}


def test_usdjpy_ema_cross_with_rollover_interest(engines):
    engine = engines["rollover"]
    assert engine.data_points == 115_044
    assert engine.cache.orders_total_count() == 178
    assert len(engine.generate_positions_report()) == 89
    balances = totals(engine, "SIM")
    assert len(balances) == 179 + 20
    assert balances[-1] == Decimal("996746.84")
    assert balances[-1] - totals(engines["usdjpy"], "SIM")[-1] == Decimal("-8.04")


def test_twenty_postings_of_interest(fleet_data, tmp_path):
    from nautilus_common.journal import read_events

    log = tmp_path / "events"
    run_case("rollover", fleet_data, log)
    amounts = [
        Decimal(message["amount"][0]).scaleb(-2)
        for _, _, message in read_events(log)
        if message["type"] == "AccountAdjusted"
    ]
    assert len(amounts) == 20
    assert sum(amounts) == Decimal("-8.04")


def test_usdjpy_two_strategies_that_trade_one_position(engines):
    engine = engines["two"]
    assert engine.data_points == 115_044
    assert engine.cache.orders_total_count() == 1_308
    assert len(engine.generate_positions_report()) == 654
    states = account(engine, "SIM")
    assert len(states) == 1_309
    second = [Decimal(states[1][name]) for name in ("total", "locked", "free")]
    assert second == [Decimal("999980.00"), Decimal("3000.00"), Decimal("996980.00")]
    assert Decimal(states[2]["total"]) == Decimal("998841.59")
    assert Decimal(states[-1]["total"]) == Decimal("1023111.29")


def test_btc_perpetual_round_trip(engines):
    engine = engines["btc"]
    assert engine.data_points == 120
    states = account(engine, "BINANCE")
    assert [Decimal(row["total"]) for row in states] == [
        Decimal("1000000"),
        Decimal("999768.115"),
        Decimal("1000245.875"),
    ]
    assert [Decimal(row["locked"]) for row in states] == [0, Decimal("1159.425"), 0]
    assert engine.cache.orders_total_count() == 2
    assert len(engine.generate_positions_report()) == 1


def test_five_quotes_of_audusd(engines):
    engine = engines["audusd"]
    assert engine.data_points == 5
    assert totals(engine, "SIM")[-1] == Decimal("1000017.20")
    assert engine.cache.orders_total_count() == 2


def test_a_margin_and_a_cash_account_on_two_venues(engines):
    engine = engines["cash_margin"]
    assert engine.data_points == 10
    assert totals(engine, "SIM")[-1] == Decimal("1000017.20")
    assert totals(engine, "BINANCE", "USDT")[-1] == Decimal("100000.29995")
    assert totals(engine, "BINANCE", "ETH")[-1] == Decimal(10)
    paid = {}
    for fill in engine.generate_fills_report():
        paid.setdefault(str(fill["instrument_id"]), []).append(Decimal(str(fill["commission"]).split()[0]))
    assert paid["AUD/USD.SIM"] == [Decimal("1.40"), Decimal("1.40")]
    assert paid["ETHUSDT.BINANCE"] == [Decimal("0.10"), Decimal("0.10005")]
