"""Post-only, reduce-only, modification and cancellation, held market orders, crossed quotes, latency."""

from __future__ import annotations

import datetime as dt

import pytest
from nautilus_common.model.enums import OmsType, OrderSide
from nautilus_common.model.values import Price, Quantity
from nautilus_common.testkit.scenario import Recording, Scenario, currency_pair, seconds_ns
from nautilus_common.venues.simulated.models import LatencyModel
from nautilus_fleet.backtest import BacktestEngine


def scenario(**venue: object) -> Scenario:
    return Scenario(BacktestEngine()).venue(**venue)


def flat(*times: float) -> Scenario:
    return scenario().quotes(*((time, "0.70000", "0.70010") for time in times))


class TestPostOnly:
    @pytest.mark.parametrize(("side", "price"), [("BUY", "0.70010"), ("SELL", "0.70000")])
    def test_touching_the_other_side_is_rejected(self, side: str, price: str) -> None:
        run = flat(1).on_row(1, lambda s: s.limit(side, 1000, price, post_only=True)).run()
        reason = f"POST_ONLY LIMIT {side} order limit px of {price} would have been a TAKER: bid=0.70000, ask=0.70010"
        assert run.events("OrderRejected") == [f"1 OrderRejected 1 {reason}"]
        assert "Accepted" not in run.life(1)

    def test_one_increment_away_rests(self) -> None:
        run = flat(1).on_row(1, lambda s: s.limit("BUY", 1000, "0.70009", post_only=True)).run()
        assert run.life(1)[2] == "Accepted"

    def test_triggered_stop_limit_that_would_take_is_rejected(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.70020", "0.70030"))
            .on_row(1, lambda s: s.stop_limit("BUY", 1000, "0.70050", "0.70020", post_only=True))
            .run()
        )
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Triggered", "Rejected"]


class TestReduceOnly:
    def test_without_a_position_is_rejected(self) -> None:
        run = flat(1).on_row(1, lambda s: s.market("SELL", 1000, reduce_only=True)).run()
        reason = "REDUCE_ONLY MARKET SELL order would have increased position"
        assert run.events("OrderRejected") == [f"1 OrderRejected 1 {reason}"]

    def test_in_the_direction_of_the_position_is_rejected(self) -> None:
        run = flat(1).on_row(1, lambda s: (s.market("BUY", 1000), s.market("BUY", 1000, reduce_only=True))).run()
        assert run.life(2)[-1] == "Rejected"

    def test_greater_than_the_position_is_clipped_and_the_rest_canceled(self) -> None:
        run = flat(1).on_row(1, lambda s: (s.market("BUY", 1000), s.market("SELL", 3000, reduce_only=True))).run()
        assert run.fills[1] == "1 2 SELL 1000 @ 0.70000 TAKER"
        assert run.life(2)[-1] == "Canceled"

    def test_marketable_limit_greater_than_the_position_does_not_stay(self) -> None:
        run = (
            flat(1, 2)
            .on_row(1, lambda s: (s.market("BUY", 1000), s.limit("SELL", 3000, "0.70000", reduce_only=True)))
            .on_row(2, lambda s: s.market("BUY", 500))
            .run()
        )
        assert run.life(2) == ["Initialized", "Submitted", "Accepted", "Filled", "Canceled"]
        assert run.engine.portfolio.net_position(run.strategy.instrument.id) == 500

    def test_follows_its_position_and_goes_with_it(self) -> None:
        run = (
            flat(1, 2, 3)
            .on_row(1, lambda s: (s.market("BUY", 1000), s.limit("SELL", 1000, "0.71000", reduce_only=True)))
            .on_row(2, lambda s: s.market("SELL", 400))
            .on_row(3, lambda s: s.market("SELL", 600))
            .run()
        )
        assert run.events("OrderUpdated", "OrderCanceled") == ["2 OrderUpdated 2 600 px 0.71000", "3 OrderCanceled 2"]

    def test_is_canceled_when_the_position_turns_over(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.70000", "0.70010"), (3, "0.71000", "0.71010"))
            .on_row(1, lambda s: (s.market("BUY", 1000), s.limit("SELL", 1000, "0.71000", reduce_only=True)))
            .on_row(2, lambda s: s.market("SELL", 3000))
            .run()
        )
        assert run.life(2)[-1] == "Canceled"
        assert run.engine.portfolio.net_position(run.strategy.instrument.id) == -2000

    def test_stop_market_is_clipped(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.69000", "0.69010"))
            .on_row(1, lambda s: (s.market("BUY", 1000), s.stop_market("SELL", 5000, "0.69500", reduce_only=True)))
            .run()
        )
        assert run.fills[1] == "2 2 SELL 1000 @ 0.69000 TAKER"
        assert run.life(2)[-1] == "Canceled"

    def test_two_take_profits_do_not_turn_the_position_over(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.72000", "0.72010"))
            .on_row(
                1,
                lambda s: s.market("BUY", 1000),
                lambda s: s.limit("SELL", 700, "0.71000", reduce_only=True),
                lambda s: s.limit("SELL", 700, "0.71500", reduce_only=True),
            )
            .run()
        )
        assert run.fills[1:] == ["2 2 SELL 700 @ 0.71000 MAKER", "2 3 SELL 300 @ 0.71500 MAKER"]
        assert run.engine.portfolio.is_flat(run.strategy.instrument.id)

    def test_on_a_hedging_venue_it_names_its_position(self) -> None:
        run = (
            scenario(oms_type=OmsType.HEDGING)
            .quotes((1, "0.70000", "0.70010"), (2, "0.70000", "0.70010"))
            .on_row(1, lambda s: (s.market("BUY", 1000), s.market("BUY", 2000)))
            .on_row(2, lambda s: s.market("SELL", 5000, reduce_only=True, position_id="SIM-1-001"))
            .run()
        )
        assert run.fills[2] == "2 3 SELL 1000 @ 0.70000 TAKER"
        assert [str(p.quantity) for p in run.engine.cache.positions_open()] == ["2000"]

    def test_may_be_switched_off(self) -> None:
        run = (
            scenario(use_reduce_only=False)
            .quotes((1, "0.70000", "0.70010"))
            .on_row(1, lambda s: s.market("SELL", 1000, reduce_only=True))
            .run()
        )
        assert run.life(1)[-1] == "Filled"


def modify(run: Scenario, **changes: str) -> Recording:
    def act(s: object) -> None:
        values = {
            name: Quantity.from_str(value) if name == "quantity" else Price.from_str(value)
            for name, value in changes.items()
        }
        s.modify_order(s.orders[-1], **values)  # type: ignore[attr-defined]

    return run.on_row(2, act).run()


class TestModify:
    def resting(self, **more: object) -> Scenario:
        return flat(1, 2, 3).on_row(1, lambda s: s.limit("BUY", 1000, "0.69000", **more))

    def test_price(self) -> None:
        run = modify(self.resting(), price="0.69500")
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "PendingUpdate", "Updated"]
        assert str(run.orders[0].price) == "0.69500"

    def test_price_given_with_fewer_decimals(self) -> None:
        assert modify(self.resting(), price="0.7").events("OrderUpdated") == ["2 OrderUpdated 1 1000 px 0.70000"]

    def test_quantity(self) -> None:
        assert modify(self.resting(), quantity="400").events("OrderUpdated") == ["2 OrderUpdated 1 400 px 0.69000"]

    def test_to_a_crossing_price_fills_at_the_market(self) -> None:
        assert modify(self.resting(), price="0.70020").fills == ["2 1 BUY 1000 @ 0.70010 TAKER"]

    def test_post_only_to_a_crossing_price_is_refused(self) -> None:
        run = modify(self.resting(post_only=True), price="0.70010")
        assert run.life(1)[-1] == "ModifyRejected"
        assert run.orders[0].status.name == "ACCEPTED"

    def partly_filled(self) -> Scenario:
        return (
            scenario()
            .quotes((1, "0.70000", "0.70010", 600, 600), (2, "0.71000", "0.71010"), (3, "0.71000", "0.71010"))
            .on_row(1, lambda s: s.limit("BUY", 1000, "0.70010"))
        )

    def test_below_the_filled_quantity_is_refused(self) -> None:
        run = modify(self.partly_filled(), quantity="500")
        assert run.events("OrderModifyRejected") == [
            "2 OrderModifyRejected 1 quantity 500 is below the filled quantity at SIM"
        ]
        assert run.orders[0].status.name == "PARTIALLY_FILLED"

    def test_to_the_filled_quantity_ends_the_order(self) -> None:
        run = modify(self.partly_filled(), quantity="600")
        assert run.orders[0].is_closed
        assert str(run.orders[0].filled_qty) == "600"

    def test_stop_into_the_market_is_refused(self) -> None:
        run = modify(flat(1, 2).on_row(1, lambda s: s.stop_market("BUY", 1000, "0.71000")), trigger_price="0.70005")
        assert run.life(1)[-1] == "ModifyRejected"

    def test_stop_into_the_market_triggers_where_such_stops_are_taken(self) -> None:
        run = modify(
            scenario(reject_stop_orders=False)
            .quotes((1, "0.70000", "0.70010"), (2, "0.70000", "0.70010"))
            .on_row(1, lambda s: s.stop_market("BUY", 1000, "0.71000")),
            trigger_price="0.70005",
        )
        assert run.fills == ["2 1 BUY 1000 @ 0.70010 TAKER"]

    def test_nothing_new_says_nothing(self) -> None:
        assert modify(self.resting(), price="0.69000").life(1) == ["Initialized", "Submitted", "Accepted"]

    def test_price_of_a_stop_market_order_is_refused(self) -> None:
        run = modify(flat(1, 2).on_row(1, lambda s: s.stop_market("BUY", 1000, "0.71000")), price="0.70500")
        assert "a STOP_MARKET order has no price" in run.events("OrderModifyRejected")[0]

    def test_moved_order_fills_at_its_new_price(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.70000", "0.70010"), (3, "0.69790", "0.69800"))
            .on_row(1, lambda s: s.limit("BUY", 1000, "0.69000"))
        )
        assert modify(run, price="0.69900").fills == ["3 1 BUY 1000 @ 0.69900 MAKER"]


class TestCancel:
    def test_resting(self) -> None:
        run = (
            flat(1, 2)
            .on_row(1, lambda s: s.limit("BUY", 1, "0.6"))
            .on_row(2, lambda s: s.cancel_order(s.orders[0]))
            .run()
        )
        assert run.life(1)[-2:] == ["PendingCancel", "Canceled"]

    def test_closed_says_nothing(self) -> None:
        run = flat(1, 2).on_row(1, lambda s: s.market("BUY", 1)).on_row(2, lambda s: s.cancel_order(s.orders[0])).run()
        assert run.life(1)[-1] == "Filled"

    def test_all_of_a_side(self) -> None:
        run = (
            flat(1, 2)
            .on_row(1, lambda s: (s.limit("BUY", 1, "0.6"), s.limit("SELL", 1, "0.8"), s.stop_market("BUY", 1, "0.8")))
            .on_row(2, lambda s: s.cancel_all_orders(s.instrument.id, OrderSide.BUY))
            .run()
        )
        assert run.events("OrderCanceled") == ["2 OrderCanceled 1", "2 OrderCanceled 3"]

    def test_in_the_callback_that_submitted_it(self) -> None:
        run = flat(1).on_row(1, lambda s: s.limit("BUY", 1, "0.6"), lambda s: s.cancel_order(s.orders[0])).run()
        assert run.life(1) == ["Initialized", "Submitted", "PendingCancel", "Accepted", "Canceled"]


class TestHeldMarketOrders:
    def test_filled_at_the_first_price_after_it_was_seen(self) -> None:
        run = scenario().quotes((1, "0.70000", "0.70010")).on("on_start", lambda s: s.market("BUY", 1000)).run()
        assert run.lines == [
            "1 row",
            "1 OrderFilled 1 BUY 1000 @ 0.70010 TAKER",
            "1 PositionOpened LONG 1000",
            "1 stop",
        ]

    def test_in_the_order_in_which_they_came(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.71000", "0.71010"))
            .on("on_start", lambda s: s.market("BUY", 1), lambda s: s.market("SELL", 2), lambda s: s.market("BUY", 3))
            .run()
        )
        assert [fill.split()[1] for fill in run.fills] == ["1", "2", "3"]
        assert all(fill.startswith("1 ") for fill in run.fills)

    def test_canceled_before_the_price_comes(self) -> None:
        other = currency_pair("EUR/USD.SIM")
        run = (
            scenario()
            .also(other)
            .quotes((1, "1.1", "1.2"), instrument=other)
            .quotes((2, "0.70000", "0.70010"))
            .on("on_start", lambda s: s.market("BUY", 1))
            .on_row(1, lambda s: s.cancel_order(s.orders[0]))
            .run()
        )
        assert run.events() == ["1 OrderPendingCancel 1", "1 OrderCanceled 1"]

    def test_on_an_instrument_that_never_gets_data_it_stays_submitted(self) -> None:
        other = currency_pair("EUR/USD.SIM")
        run = (
            scenario()
            .also(other)
            .quotes((1, "1.1", "1.2"), (2, "1.1", "1.2"), instrument=other)
            .on("on_start", lambda s: s.market("BUY", 1))
            .run()
        )
        assert run.orders[0].status.name == "SUBMITTED"

    def test_resting_orders_are_matched_at_that_row_too(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.80000", "0.80010"))
            .on("on_start", lambda s: s.market("BUY", 1), lambda s: s.limit("BUY", 2, "0.70020"))
            .run()
        )
        assert run.fills == ["1 2 BUY 2 @ 0.70020 MAKER", "1 1 BUY 1 @ 0.70010 TAKER"]


class TestCrossedQuotes:
    """Bid above ask, as where bid and ask bars were recorded apart: each side is what it says."""

    QUOTES = ((1, "0.70010", "0.70000"), (2, "0.70010", "0.70000"))

    def run(self, *actions: object) -> Recording:
        from nautilus_common.catalog.columns import DataColumns
        from nautilus_common.catalog.from_ticks import columns_from_ticks
        from nautilus_common.model.data import QuoteTick

        engine = BacktestEngine()
        built = Scenario(engine)
        strategy = built._first()
        size = Quantity.from_int(1_000_000)
        ticks = [
            QuoteTick(
                built.instrument.id, Price.from_str(bid), Price.from_str(ask), size, size, seconds_ns(t), seconds_ns(t)
            )
            for t, bid, ask in self.QUOTES
        ]
        data = columns_from_ticks(ticks, built.instrument)
        engine.add_data(DataColumns(data.kind, data.instrument_id, data.bar_type, data.columns, allow_crossed=True))
        strategy.subscriptions.append(("quote_ticks", built.instrument.id))
        return built.on_row(1, *actions).run()  # type: ignore[arg-type]

    def test_market_orders_pay_their_side(self) -> None:
        run = self.run(lambda s: s.market("BUY", 1), lambda s: s.market("SELL", 1))
        assert run.fills == ["1 1 BUY 1 @ 0.70000 TAKER", "1 2 SELL 1 @ 0.70010 TAKER"]

    def test_limits_look_at_their_opposite_side(self) -> None:
        run = self.run(lambda s: s.limit("BUY", 1, "0.70005"), lambda s: s.limit("SELL", 1, "0.70005"))
        assert run.fills == ["1 1 BUY 1 @ 0.70000 TAKER", "1 2 SELL 1 @ 0.70010 TAKER"]


class TestLatency:
    def quotes(self, model: LatencyModel) -> Scenario:
        return scenario(latency_model=model).quotes(
            (1, "0.70000", "0.70010"), (2, "0.71000", "0.71010"), (3, "0.72000", "0.72010"), (5, "0.73000", "0.73010")
        )

    def test_an_order_acts_when_it_arrives_on_the_book_as_it_is_then(self) -> None:
        run = self.quotes(LatencyModel(1_500_000_000)).on_row(1, lambda s: s.market("BUY", 1)).run()
        assert run.fills == ["2.5 1 BUY 1 @ 0.71010 TAKER"]

    def test_arriving_at_the_time_of_a_row_it_finds_that_row(self) -> None:
        run = self.quotes(LatencyModel(1_000_000_000)).on_row(1, lambda s: s.market("BUY", 1)).run()
        assert run.fills == ["2 1 BUY 1 @ 0.71010 TAKER"]
        assert run.lines.index("2 row") < run.lines.index("2 OrderFilled 1 BUY 1 @ 0.71010 TAKER")

    def test_insert_update_and_cancel_have_their_own(self) -> None:
        model = LatencyModel(100_000_000, 100_000_000, 200_000_000, 300_000_000)
        run = (
            self.quotes(model)
            .on_row(1, lambda s: s.limit("BUY", 1, "0.60000"))
            .on_row(2, lambda s: s.modify_order(s.orders[0], price=s.instrument.make_price("0.61")))
            .on_row(3, lambda s: s.cancel_order(s.orders[0]))
            .run()
        )
        assert run.events("OrderAccepted", "OrderUpdated", "OrderCanceled") == [
            "1.2 OrderAccepted 1",
            "2.3 OrderUpdated 1 1 px 0.61000",
            "3.4 OrderCanceled 1",
        ]

    def test_cancel_that_comes_after_the_fill_is_rejected_and_the_order_stays_filled(self) -> None:
        run = (
            self.quotes(LatencyModel(100_000_000, cancel_latency_nanos=2_000_000_000))
            .on_row(1, lambda s: s.limit("SELL", 1, "0.72000"))
            .on_row(2, lambda s: s.cancel_order(s.orders[0]))
            .run()
        )
        assert run.life(1)[3:] == ["PendingCancel", "Filled", "CancelRejected"]
        assert run.orders[0].status.name == "FILLED"

    def test_a_stop_may_trigger_while_its_cancel_is_on_the_way(self) -> None:
        run = (
            self.quotes(LatencyModel(100_000_000, cancel_latency_nanos=1_000_000_000))
            .on_row(1, lambda s: s.stop_limit("BUY", 1, "0.70000", "0.71500"))
            .on_row(2, lambda s: s.cancel_order(s.orders[0]))
            .run()
        )
        assert run.life(1)[3:] == ["PendingCancel", "Triggered", "Canceled"]

    def test_cancel_that_overtakes_its_order_is_rejected(self) -> None:
        run = (
            self.quotes(LatencyModel(0, insert_latency_nanos=500_000_000))
            .on_row(1, lambda s: s.limit("BUY", 1, "0.6"), lambda s: s.cancel_order(s.orders[0]))
            .run()
        )
        assert run.life(1)[2:] == ["PendingCancel", "CancelRejected", "Accepted"]

    def test_modification_that_comes_after_the_fill_is_rejected(self) -> None:
        run = (
            self.quotes(LatencyModel(100_000_000, update_latency_nanos=2_000_000_000))
            .on_row(1, lambda s: s.limit("SELL", 1, "0.72000"))
            .on_row(2, lambda s: s.modify_order(s.orders[0], price=s.instrument.make_price("0.75")))
            .run()
        )
        assert run.life(1)[3:] == ["PendingUpdate", "Filled", "ModifyRejected"]
        assert run.orders[0].status.name == "FILLED"

    def test_order_that_expires_on_its_way_is_rejected(self) -> None:
        expire = dt.datetime(1970, 1, 1, 0, 0, 2, tzinfo=dt.UTC)
        run = (
            self.quotes(LatencyModel(1_500_000_000))
            .on_row(1, lambda s: s.limit("BUY", 1, "0.6", tif="GTD", expire_time=expire))
            .run()
        )
        assert run.life(1) == ["Initialized", "Submitted", "Rejected"]

    def test_orders_sent_at_the_stop_arrive_too(self) -> None:
        run = self.quotes(LatencyModel(100_000_000)).on("on_stop", lambda s: s.market("BUY", 1)).run()
        assert run.orders[0].status.name == "FILLED"


def test_a_quantity_with_fewer_decimals_than_the_instrument_is_the_same_quantity() -> None:
    pair = currency_pair(size_precision=2)
    run = (
        Scenario(BacktestEngine(), pair)
        .quotes((1, "0.70000", "0.70010"), (2, "0.69000", "0.69010"))
        .on_row(
            1,
            lambda s: s.submit_order(s.order_factory.market(pair.id, OrderSide.BUY, Quantity.from_str("7"))),
            lambda s: s.submit_order(
                s.order_factory.limit(pair.id, OrderSide.BUY, Quantity.from_str("1.5"), Price.from_str("0.695"))
            ),
        )
        .run()
    )
    assert run.fills == ["1 1 BUY 7.00 @ 0.70010 TAKER", "2 2 BUY 1.50 @ 0.69500 MAKER"]
    assert run.engine.cache.orders_closed_count() == 2
