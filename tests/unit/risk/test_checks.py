"""Every pre-trade check: it denies with its code, and passes at its boundary."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from nautilus_common.limits import RateLimit, RiskEngineConfig
from nautilus_common.model.currencies import AUD, USD
from nautilus_common.model.enums import AccountType, OmsType, OrderSide, TradingState
from nautilus_common.model.identifiers import InstrumentId, Symbol
from nautilus_common.model.instruments import Equity
from nautilus_common.model.orders import order_from_init
from nautilus_common.model.values import Money, Price, Quantity
from nautilus_common.testkit.scenario import Recording, Scenario, ScriptedStrategy, currency_pair
from nautilus_fleet.backtest import BacktestEngine, BacktestEngineConfig

PAIR = InstrumentId.from_str("AUD/USD.SIM")


def scenario(instrument: Any = None, risk: RiskEngineConfig | None = None, **venue: Any) -> Scenario:
    engine = BacktestEngine(BacktestEngineConfig(risk_engine=risk or RiskEngineConfig()))
    return Scenario(engine, instrument).venue(**venue)


def denied(run: Recording, number: int = 1) -> str | None:
    """The reason for which an order was denied."""
    head = f" OrderDenied {number} "
    return next((line.split(head)[1] for line in run.lines if head in line), None)


def submit(built: Scenario, *actions: Any) -> Recording:
    times = range(1, len(actions) + 1)
    built.quotes(*((t, "0.70000", "0.70000") for t in times))
    for row, action in enumerate(actions, 1):
        built.on_row(row, action)
    return built.run()


def send(kind: str, *args: Any, **more: Any) -> Any:
    def act(s: ScriptedStrategy) -> None:
        s.submit_order(getattr(s.order_factory, kind)(s.instrument.id, OrderSide.BUY, *args, **more))

    return act


class TestPrices:
    def test_precision_of_the_price(self) -> None:
        run = submit(scenario(), lambda s: s.limit("BUY", 1, "0.700001"), lambda s: s.limit("BUY", 1, "0.60001"))
        assert denied(run) == "price 0.700001 invalid (precision 6 > 5)"
        assert denied(run, 2) is None

    def test_precision_of_the_trigger_price(self) -> None:
        run = submit(scenario(), lambda s: s.stop_market("BUY", 1, "0.700001"))
        assert denied(run) == "trigger price 0.700001 invalid (precision 6 > 5)"

    @pytest.mark.parametrize(("price", "passes"), [("0.00000", False), ("-0.00001", False), ("0.00001", True)])
    def test_a_price_is_positive(self, price: str, passes: bool) -> None:
        assert (denied(submit(scenario(), lambda s: s.limit("BUY", 1, price))) is None) == passes


class TestQuantity:
    LIMITED: ClassVar = {"min_quantity": Quantity.from_int(1000), "max_quantity": Quantity.from_int(5000)}

    def test_precision(self) -> None:
        run = submit(scenario(), send("market", Quantity.from_str("0.5")))
        assert denied(run) == "quantity 0.5 invalid (precision 1 > 0)"

    @pytest.mark.parametrize(
        ("quantity", "reason"),
        [
            (999, "quantity 999 invalid (< minimum trade size of 1000)"),
            (1000, None),
            (5000, None),
            (5001, "quantity 5001 invalid (> maximum trade size of 5000)"),
        ],
    )
    def test_minimum_and_maximum(self, quantity: int, reason: str | None) -> None:
        run = submit(scenario(currency_pair(**self.LIMITED)), lambda s: s.market("BUY", quantity))
        assert denied(run) == reason

    def test_of_a_modification(self) -> None:
        run = submit(
            scenario(currency_pair(**self.LIMITED)),
            lambda s: s.limit("BUY", 2000, "0.60000"),
            lambda s: s.modify_order(s.orders[0], quantity=Quantity.from_int(5001)),
        )
        assert run.events("OrderModifyRejected") == [
            "2 OrderModifyRejected 1 quantity 5001 invalid (> maximum trade size of 5000)"
        ]
        assert str(run.orders[0].quantity) == "2000"


class TestExpiry:
    @pytest.mark.parametrize(("micros", "passes"), [(1_000_000, False), (1_000_001, True)])
    def test_a_gtd_order_expires_after_now(self, micros: int, passes: bool) -> None:
        expire = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)
        run = submit(scenario(), lambda s: s.limit("BUY", 1, "0.6", tif="GTD", expire_time=expire))
        reason = denied(run)
        assert (reason is None) == passes
        assert passes or str(reason).startswith("GTD_EXPIRED:")


class TestNotional:
    @pytest.mark.parametrize(("quantity", "passes"), [(10_000, True), (10_001, False)])
    def test_engines_own_limit(self, quantity: int, passes: bool) -> None:
        risk = RiskEngineConfig(max_notional_per_order={PAIR: Decimal(7000)})
        reason = denied(submit(scenario(risk=risk), lambda s: s.market("BUY", quantity)))
        assert reason == (None if passes else "NOTIONAL_EXCEEDS_MAX_PER_ORDER: 7000.70 USD > 7000")

    @pytest.mark.parametrize(
        ("quantity", "code"),
        [
            (9_999, "NOTIONAL_LESS_THAN_MIN_FOR_INSTRUMENT"),
            (10_000, None),
            (100_000, None),
            (100_001, "NOTIONAL_GREATER_THAN_MAX_FOR_INSTRUMENT"),
        ],
    )
    def test_instruments_limits(self, quantity: int, code: str | None) -> None:
        pair = currency_pair(min_notional=Money(7000, USD), max_notional=Money(70_000, USD))
        reason = denied(submit(scenario(pair), lambda s: s.market("BUY", quantity)))
        assert (reason and reason.split(":")[0]) == code

    def test_valued_at_the_orders_own_price(self) -> None:
        risk = RiskEngineConfig(max_notional_per_order={PAIR: Decimal(7000)})
        run = submit(
            scenario(risk=risk), lambda s: s.limit("BUY", 10_001, "0.5"), lambda s: s.stop_market("BUY", 9_000, "0.8")
        )
        assert denied(run) is None
        assert str(denied(run, 2)).startswith("NOTIONAL_EXCEEDS_MAX_PER_ORDER: 7200.00")


class TestCash:
    CASH: ClassVar = {
        "account_type": AccountType.CASH,
        "starting_balances": [Money(7000, USD), Money(100, AUD)],
        "base_currency": None,
    }

    @pytest.mark.parametrize(("quantity", "passes"), [(10_000, True), (10_001, False)])
    def test_a_buy_costs_no_more_than_is_free(self, quantity: int, passes: bool) -> None:
        reason = denied(submit(scenario(**self.CASH), lambda s: s.market("BUY", quantity)))
        assert reason == (None if passes else "NOTIONAL_EXCEEDS_FREE_BALANCE: needs 7000.70 USD, free are 7000.00")

    @pytest.mark.parametrize(("quantity", "passes"), [(100, True), (101, False)])
    def test_a_sale_delivers_no_more_than_is_there(self, quantity: int, passes: bool) -> None:
        reason = denied(submit(scenario(**self.CASH), lambda s: s.market("SELL", quantity)))
        assert reason == (None if passes else "NOTIONAL_EXCEEDS_FREE_BALANCE: needs 101.00 AUD, free are 100.00")

    def test_open_orders_count(self) -> None:
        run = submit(scenario(**self.CASH), lambda s: s.limit("BUY", 10_000, "0.6"), lambda s: s.market("BUY", 10_000))
        assert denied(run) is None
        assert denied(run, 2) == "NOTIONAL_EXCEEDS_FREE_BALANCE: needs 7000.00 USD, free are 1000.00"

    def test_borrowing_may_be_allowed(self) -> None:
        run = submit(scenario(**self.CASH, allow_cash_borrowing=True), lambda s: s.market("BUY", 20_000))
        assert denied(run) is None
        assert run.life(1)[-1] == "Filled"

    def test_shares_bought_with_all_the_cash_can_be_sold(self) -> None:
        share = Equity(
            InstrumentId.from_str("ABC.SIM"), Symbol("ABC"), USD, 2, Price.from_str("0.01"), Quantity.from_int(1), 0, 0
        )
        built = scenario(share, account_type=AccountType.CASH, starting_balances=[Money(1000, USD)], base_currency=USD)
        built.quotes(*((t, "10.00", "10.00") for t in range(1, 5)))
        run = (
            built.on_row(1, lambda s: s.market("BUY", 100))
            .on_row(2, lambda s: s.limit("SELL", 40, "11"))
            .on_row(3, lambda s: s.market("SELL", 60))
            .on_row(4, lambda s: s.market("SELL", 61))
            .run()
        )
        assert [denied(run, n) for n in (1, 2, 3)] == [None, None, None]
        assert denied(run, 4) == "NOTIONAL_EXCEEDS_FREE_BALANCE: needs 610.00 USD, free are 600.00"
        assert run.engine.portfolio.account(share.id.venue).balance_free(USD) == Money(600, USD)


class TestMargin:
    @pytest.mark.parametrize(("quantity", "passes"), [(100_000, True), (100_050, False)])
    def test_initial_margin_must_be_free(self, quantity: int, passes: bool) -> None:
        built = scenario(starting_balances=[Money(210, USD)])  # 100,000 x 0.7 x 0.03 / 10 = 210
        reason = denied(submit(built, lambda s: s.market("BUY", quantity)))
        assert (reason and reason.split(":")[0]) == (None if passes else "MARGIN_EXCEEDS_FREE_BALANCE")

    def test_reducing_needs_none(self) -> None:
        built = scenario(starting_balances=[Money(210, USD)])
        run = submit(built, lambda s: s.market("BUY", 100_000), lambda s: s.market("SELL", 100_000))
        assert denied(run, 2) is None

    def test_open_orders_count(self) -> None:
        built = scenario(starting_balances=[Money(210, USD)])
        run = submit(built, lambda s: s.limit("BUY", 60_000, "0.69"), lambda s: s.market("BUY", 60_000))
        assert str(denied(run, 2)).startswith("MARGIN_EXCEEDS_FREE_BALANCE")


class TestPositionId:
    def hedging(self, *actions: Any) -> Recording:
        return submit(scenario(oms_type=OmsType.HEDGING), lambda s: s.market("BUY", 1000), *actions)

    def test_reduce_only_may_not_increase_the_named_position(self) -> None:
        run = self.hedging(lambda s: s.market("BUY", 1, reduce_only=True, position_id="SIM-1-001"))
        assert denied(run, 2) == "REDUCE_ONLY_WOULD_INCREASE_POSITION: SIM-1-001 is LONG"

    def test_reduce_only_of_an_unknown_position(self) -> None:
        run = self.hedging(lambda s: s.market("SELL", 1, reduce_only=True, position_id="SIM-1-009"))
        assert denied(run, 2) == "POSITION_NOT_FOUND: SIM-1-009 for a reduce-only order"

    def test_reducing_passes(self) -> None:
        run = self.hedging(lambda s: s.market("SELL", 1000, reduce_only=True, position_id="SIM-1-001"))
        assert run.life(2)[-1] == "Filled"

    def test_a_position_of_ones_own_choice_under_netting(self) -> None:
        run = submit(scenario(), lambda s: s.market("BUY", 1, position_id="P-1"))
        assert run.life(1) == ["Initialized", "Submitted", "Denied"]
        assert str(denied(run)).startswith("NETTING_POSITION_ID")

    def test_a_closed_netting_position_may_be_named(self) -> None:
        run = submit(scenario(), lambda s: s.market("BUY", 1), lambda s: s.close_all_positions(s.instrument.id))
        assert run.engine.portfolio.is_flat(PAIR)


def test_instrument_that_is_not_there() -> None:
    other = InstrumentId.from_str("XXX/YYY.SIM")
    run = submit(
        scenario(), lambda s: s.submit_order(s.order_factory.market(other, OrderSide.BUY, Quantity.from_int(1)))
    )
    assert denied(run) == "INSTRUMENT_NOT_FOUND: XXX/YYY.SIM"


class TestThrottle:
    RISK = RiskEngineConfig(
        max_order_submit_rate=RateLimit.from_str("2/00:00:01"), max_order_modify_rate=RateLimit.from_str("1/00:00:01")
    )

    def test_submissions(self) -> None:
        run = (
            scenario(risk=self.RISK)
            .quotes((1, "0.7", "0.7"), (1.999999, "0.7", "0.7"), (2, "0.7", "0.7"))
            .on_row(1, lambda s: s.market("BUY", 1), lambda s: s.market("BUY", 1))
            .on_row(2, lambda s: s.market("BUY", 1))
            .on_row(3, lambda s: s.market("BUY", 1), lambda s: s.market("BUY", 1), lambda s: s.market("BUY", 1))
            .run()
        )
        reason = "ORDER_RATE_EXCEEDED: more than 2 orders within 1000000000 ns"
        assert [denied(run, n) for n in range(1, 7)] == [None, None, reason, None, None, reason]

    def test_modifications(self) -> None:
        def move(price: str) -> Any:
            return lambda s: s.modify_order(s.orders[0], price=Price.from_str(price))

        run = submit(scenario(risk=self.RISK), lambda s: s.limit("BUY", 1, "0.6"), move("0.61"), move("0.62"))
        assert run.life(1).count("Updated") == 2
        built = scenario(risk=self.RISK).quotes((1, "0.7", "0.7"), (1.1, "0.7", "0.7"), (1.2, "0.7", "0.7"))
        run = built.on_row(1, lambda s: s.limit("BUY", 1, "0.6")).on_row(2, move("0.61")).on_row(3, move("0.62")).run()
        assert run.life(1)[-1] == "ModifyRejected"

    @pytest.mark.parametrize("text", ["", "100", "0/00:00:01", "100/00:00:00", "x/00:00:01", "1/1"])
    def test_a_rate_is_written_as_limit_and_interval(self, text: str) -> None:
        with pytest.raises(ValueError, match="invalid rate"):
            RateLimit.from_str(text)


class TestTradingState:
    def test_halted_lets_only_cancels_pass(self) -> None:
        run = submit(scenario(risk=RiskEngineConfig(trading_state=TradingState.HALTED)), lambda s: s.market("BUY", 1))
        assert str(denied(run)).startswith("TRADING_HALTED:")

    def test_reducing_lets_nothing_increase(self) -> None:
        run = submit(
            scenario(risk=RiskEngineConfig(trading_state=TradingState.REDUCING)),
            lambda s: s.market("BUY", 10),
            lambda s: s.market("BUY", 1),
            lambda s: s.market("SELL", 10),
            lambda s: s.market("SELL", 10),
            lambda s: s.market("SELL", 1),
        )
        codes = [(reason := denied(run, n)) and reason.split(":")[0] for n in range(1, 6)]
        assert codes == [None, "TRADING_REDUCING", None, None, "TRADING_REDUCING"]

    def test_reducing_lets_no_order_grow(self) -> None:
        run = submit(
            scenario(risk=RiskEngineConfig(trading_state=TradingState.REDUCING)),
            lambda s: s.limit("BUY", 10, "0.6"),
            lambda s: s.modify_order(s.orders[0], quantity=Quantity.from_int(11)),
            lambda s: s.modify_order(s.orders[0], quantity=Quantity.from_int(9)),
        )
        assert run.life(1)[3:] == ["PendingUpdate", "ModifyRejected", "PendingUpdate", "Updated"]


class TestBypass:
    def test_everything_passes(self) -> None:
        risk = RiskEngineConfig(
            bypass=True, trading_state=TradingState.HALTED, max_notional_per_order={PAIR: Decimal(1)}
        )
        assert submit(scenario(risk=risk), lambda s: s.market("BUY", 1000)).life(1)[-1] == "Filled"

    def test_but_not_an_unknown_instrument(self) -> None:
        other = InstrumentId.from_str("XXX/YYY.SIM")
        run = submit(
            scenario(risk=RiskEngineConfig(bypass=True)),
            lambda s: s.submit_order(s.order_factory.market(other, OrderSide.BUY, Quantity.from_int(1))),
        )
        assert denied(run) == "INSTRUMENT_NOT_FOUND: XXX/YYY.SIM"

    def test_nor_a_client_order_id_used_twice(self) -> None:
        run = scenario(risk=RiskEngineConfig(bypass=True)).quotes((1, "0.7", "0.7"), (1.5, "0.7", "0.7"))
        run.on_row(1, lambda s: s.limit("BUY", 1, "0.6"))
        run.on_row(2, lambda s: s.submit_order(order_from_init(s.orders[0].init_event)))
        with pytest.raises(ValueError, match="client order id O-19700101-000001-001-000-1 was used before"):
            run.run()


def test_unsupported_types_and_times_are_denied_by_name() -> None:
    run = submit(scenario(), lambda s: s.limit("BUY", 1, "0.6", tif="AT_THE_OPEN"))
    assert denied(run) == "UNSUPPORTED_TIME_IN_FORCE: AT_THE_OPEN is not available yet"
    run = submit(scenario(), send("market", Quantity.from_int(1), quote_quantity=True))
    assert str(denied(run)).startswith("UNSUPPORTED_QUOTE_QUANTITY")
