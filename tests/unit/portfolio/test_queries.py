"""The portfolio's queries: which price, which currency, what is missing; and the sequence of account states."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_common.model.currencies import AUD, JPY, USD
from nautilus_common.model.enums import AccountType
from nautilus_common.model.identifiers import InstrumentId, Venue
from nautilus_common.model.values import Money, Price
from nautilus_common.testkit.scenario import Scenario, ScriptedStrategy, currency_pair
from nautilus_fleet.backtest import BacktestEngine

SIM = Venue("SIM")
PAIR = InstrumentId.from_str("AUD/USD.SIM")
UNKNOWN = InstrumentId.from_str("XXX/YYY.SIM")
ELSEWHERE = InstrumentId.from_str("AUD/USD.ELSEWHERE")


class Asked:
    """What a query answered, each time it was asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []

    def __call__(self, query: Any) -> Any:
        return lambda s: self.answers.append(query(s.portfolio))


def scenario(instrument: Any = None, **venue: Any) -> Scenario:
    return Scenario(BacktestEngine(), instrument).venue(**venue)


class TestBeforeAnyPosition:
    def test_nothing_is_zero_and_the_unknown_is_none(self) -> None:
        ask = Asked()
        scenario().quotes((1, "0.7", "0.7")).on("on_start", ask(lambda p: p)).run()
        p = ask.answers[0]
        zero = Money(0, USD)
        assert p.unrealized_pnl(PAIR) == p.realized_pnl(PAIR) == p.total_pnl(PAIR) == p.net_exposure(PAIR) == zero
        for query in (p.unrealized_pnl, p.realized_pnl, p.total_pnl, p.net_exposure):
            assert query(UNKNOWN) is None
            assert query(ELSEWHERE) is None
        for name in (PAIR, UNKNOWN, ELSEWHERE):
            assert p.net_position(name) == Decimal(0)
            assert p.is_flat(name)
            assert not p.is_net_long(name)
            assert not p.is_net_short(name)
        assert p.unrealized_pnls(SIM) == {}
        assert p.account(Venue("ELSEWHERE")) is None
        assert p.balances_locked(Venue("ELSEWHERE")) is None
        assert p.is_completely_flat()


class TestPrices:
    @pytest.mark.parametrize(("side", "mark", "pnl"), [("BUY", "bid", "-10"), ("SELL", "ask", "-10")])
    def test_quotes_mark_longs_at_the_bid_and_shorts_at_the_ask(self, side: str, mark: str, pnl: str) -> None:
        ask = Asked()
        scenario().quotes((1, "0.70000", "0.70010"), (2, "0.70000", "0.70010")).on_row(
            1, lambda s: s.market(side, 100_000)
        ).on_row(2, ask(lambda p: p.unrealized_pnl(PAIR))).run()
        assert ask.answers == [Money(Decimal(pnl), USD)]

    def test_trades_mark_where_there_are_no_quotes(self) -> None:
        ask = Asked()
        scenario().trades((1, "0.7", 10**6), (2, "0.71", 10**6)).on_row(1, lambda s: s.market("BUY", 1000)).on_row(
            2, ask(lambda p: p.unrealized_pnl(PAIR))
        ).run()
        assert ask.answers == [Money(10, USD)]

    def test_bars_mark_where_there_is_nothing_else(self) -> None:
        ask = Asked()
        bars = ((60, "0.7", "0.7", "0.7", "0.7", 4 * 10**6), (120, "0.7", "0.72", "0.7", "0.71", 4 * 10**6))
        scenario().bars(*bars).on_row(1, lambda s: s.market("BUY", 1000)).on_row(
            2, ask(lambda p: p.unrealized_pnl(PAIR))
        ).run()
        assert ask.answers == [Money(10, USD)]

    def test_a_price_may_be_given(self) -> None:
        ask = Asked()
        scenario().quotes((1, "0.70000", "0.70010"), (2, "0.7", "0.7")).on_row(
            1, lambda s: s.market("BUY", 1000)
        ).on_row(
            2,
            ask(lambda p: p.unrealized_pnl(PAIR, Price.from_str("0.8001"))),
            ask(lambda p: p.net_exposure(PAIR, Price.from_str("0.8"))),
        ).run()
        assert ask.answers == [Money(100, USD), Money(800, USD)]


class TestProfit:
    def test_realized_includes_commission_and_closed_lives(self) -> None:
        pair = currency_pair(taker_fee="0.00002")
        ask = Asked()
        scenario(pair).quotes(
            *((t, p, p) for t, p in enumerate(("0.70000", "0.70010", "0.70010", "0.70000"), 1))
        ).on_row(1, lambda s: s.market("BUY", 100_000)).on_row(
            2, ask(lambda p: p.realized_pnl(PAIR)), lambda s: s.market("SELL", 100_000)
        ).on_row(3, ask(lambda p: p.realized_pnl(PAIR)), lambda s: s.market("SELL", 100_000)).on_row(
            4,
            ask(lambda p: p.realized_pnl(PAIR)),
            ask(lambda p: p.unrealized_pnl(PAIR)),
            ask(lambda p: p.total_pnl(PAIR)),
        ).run()
        assert [str(money) for money in ask.answers] == ["-1.40 USD", "7.20 USD", "5.80 USD", "10.00 USD", "15.80 USD"]

    def test_up_to_date_when_on_order_filled_runs(self) -> None:
        seen: list[Any] = []

        def look(s: ScriptedStrategy) -> None:
            p = s.portfolio
            account = p.account(SIM)
            seen.append(
                (
                    p.net_position(PAIR),
                    str(p.realized_pnl(PAIR)),
                    str(account.balance_total()),
                    str(account.balance_locked()),
                )
            )
            seen.append((s.orders[0].status.name, s.cache.positions_open_count()))

        pair = currency_pair(taker_fee="0.00002")
        scenario(pair).quotes((1, "0.70000", "0.70000")).on_row(1, lambda s: s.market("BUY", 100_000)).on(
            "OrderFilled", look
        ).run()
        assert seen == [(Decimal(100_000), "-1.40 USD", "999998.60 USD", "210.00 USD"), ("FILLED", 1)]


class TestCurrencies:
    JPY_PAIR = currency_pair("USD/JPY.SIM", USD, JPY, price_precision=3)
    NAME = JPY_PAIR.id

    def asked(self, *queries: Any, **venue: Any) -> list[Any]:
        ask = Asked()
        built = scenario(self.JPY_PAIR, **venue).quotes((1, "100.000", "100.000"), (2, "100.000", "125.000"))
        built.on_row(1, lambda s: s.market("SELL", 1000)).on_row(2, *(ask(query) for query in queries)).run()
        return ask.answers

    def test_in_the_base_currency_at_the_mean_of_both_sides(self) -> None:
        # -25,000 JPY; JPY/USD between 1/125 and 1/100: 0.009
        assert self.asked(lambda p: p.unrealized_pnl(self.NAME)) == [Money(-225, USD)]

    def test_in_a_currency_of_choice(self) -> None:
        assert self.asked(lambda p: p.unrealized_pnl(self.NAME, target_currency=JPY)) == [Money(-25_000, JPY)]

    def test_without_base_currency_in_its_own(self) -> None:
        asked = self.asked(
            lambda p: p.unrealized_pnls(SIM),
            base_currency=None,
            starting_balances=[Money(10**6, JPY), Money(10**6, USD)],
        )
        assert asked == [{JPY: Money(-25_000, JPY)}]

    def test_a_currency_that_nothing_connects_is_none_alone_and_left_out_of_sums(self) -> None:
        one, many = self.asked(
            lambda p: p.unrealized_pnl(self.NAME, target_currency=AUD),
            lambda p: p.unrealized_pnls(SIM, target_currency=AUD),
        )
        assert one is None
        assert many == {}


class TestEquity:
    def asked(self, **venue: Any) -> Any:
        ask = Asked()
        scenario(**venue).quotes((1, "0.7", "0.7"), (2, "0.8", "0.8")).on_row(
            1, lambda s: s.market("BUY", 1000)
        ).on_row(2, ask(lambda p: p.equity(SIM)), ask(lambda p: p.mark_values(SIM))).run()
        return ask.answers

    def test_of_a_margin_account_adds_unrealized_profit(self) -> None:
        equity, marks = self.asked(starting_balances=[Money(1000, USD)])
        assert equity == {USD: Money(1100, USD)}
        assert marks == {USD: Money(800, USD)}

    def test_of_a_cash_account_that_holds_the_currency_is_its_balances(self) -> None:
        equity, _ = self.asked(account_type=AccountType.CASH, starting_balances=[Money(1000, USD)], base_currency=None)
        assert equity == {USD: Money(300, USD), AUD: Money(1000, AUD)}

    def test_of_a_cash_account_with_one_currency_adds_what_its_positions_are_worth(self) -> None:
        equity, _ = self.asked(account_type=AccountType.CASH, starting_balances=[Money(1000, USD)], base_currency=USD)
        assert equity == {USD: Money(1100, USD)}


class TestAccountStates:
    def totals(self, run: Any) -> list[tuple[str, str, str]]:
        rows = run.engine.generate_account_report(SIM)
        return [
            tuple(str(Decimal(row[name]).normalize().quantize(1)) for name in ("total", "locked", "free"))
            for row in rows
        ]  # type: ignore[misc]

    def test_a_resting_order_locks_initial_margin_until_it_is_gone(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.7", "0.7"), (2, "0.7", "0.7"))
            .on_row(1, lambda s: s.limit("BUY", 100_000, "0.6"))
            .on_row(2, lambda s: s.cancel_order(s.orders[0]))
            .run()
        )
        assert self.totals(run) == [
            ("1000000", "0", "1000000"),
            ("1000000", "180", "999820"),
            ("1000000", "0", "1000000"),
        ]

    def test_a_filled_order_turns_initial_into_maintenance_margin(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.7", "0.7"), (2, "0.6", "0.6"), (3, "0.65", "0.65"))
            .on_row(1, lambda s: s.limit("BUY", 100_000, "0.6"))
            .on_row(3, lambda s: s.close_all_positions(PAIR))
            .run()
        )
        assert [row[0] for row in self.totals(run)] == ["1000000", "1000000", "1000000", "1005000"]
        assert [row[1] for row in self.totals(run)] == ["0", "180", "180", "0"]

    def test_a_resting_buy_of_a_cash_account_locks_its_cost(self) -> None:
        run = (
            scenario(account_type=AccountType.CASH, starting_balances=[Money(1000, USD)], base_currency=None)
            .quotes((1, "0.7", "0.7"), (2, "0.5", "0.5"))
            .on_row(1, lambda s: s.limit("BUY", 1000, "0.6"))
            .run()
        )
        usd = [row for row in run.engine.generate_account_report(SIM) if row["currency"] == "USD"]
        assert [(Decimal(r["total"]), Decimal(r["locked"])) for r in usd] == [(1000, 0), (1000, 600), (400, 0)]


def test_what_has_no_price_is_named_and_has_no_value() -> None:
    ask = Asked()
    run = scenario().quotes((1, "0.7", "0.7")).on_row(1, lambda s: s.market("BUY", 1000))
    run.on("PositionOpened", ask(lambda p: p.missing_price_instruments(SIM)))

    def without_prices(s: ScriptedStrategy) -> None:  # as for a position that was open before the data begin
        s.portfolio._ledger.xrates.prices = lambda _: None
        ask(lambda p: p.missing_price_instruments(SIM))(s)
        ask(lambda p: p.unrealized_pnl(PAIR))(s)
        ask(lambda p: p.unrealized_pnls(SIM))(s)

    run.on("on_stop", without_prices).run()
    assert ask.answers == [[], [PAIR], None, {}]
