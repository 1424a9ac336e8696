"""Behaviours that strategies written for NautilusTrader rely on: rows A1-A14 and A37-A39 of the porting notes.

Each test has the row's number in its name. Where we differ on purpose, the test's name says `differs` and its
docstring says which decision (docs/adr) it is.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from nautilus_common.model.enums import OmsType, OrderSide
from nautilus_common.model.identifiers import InstrumentId, Venue
from nautilus_common.model.values import Price, Quantity
from nautilus_common.testkit.scenario import Scenario, ScriptedStrategy, currency_pair
from nautilus_common.venues.simulated.models import LatencyModel
from nautilus_fleet.backtest import BacktestEngine

PAIR = InstrumentId.from_str("AUD/USD.SIM")


def scenario(instrument: Any = None, **venue: Any) -> Scenario:
    return Scenario(BacktestEngine(), instrument).venue(**venue)


def flat(*times: float) -> Scenario:
    return scenario().quotes(*((time, "0.70000", "0.70010") for time in times))


def test_a1_specific_then_general_then_on_event() -> None:
    run = flat(1).levels().on_row(1, lambda s: s.market("BUY", 1)).run()
    filled = [line for line in run.lines if "Filled" in line or "Opened" in line]
    assert filled == [
        "1 OrderFilled 1 BUY 1 @ 0.70010 TAKER",
        "1 on_order_event OrderFilled",
        "1 on_event OrderFilled",
        "1 PositionOpened LONG 1",
        "1 on_position_event PositionOpened",
        "1 on_event PositionOpened",
    ]


@pytest.mark.parametrize("acks", [False, True])
def test_a2_a_market_order_is_accepted_only_with_acks(acks: bool) -> None:
    run = scenario(use_market_order_acks=acks).quotes((1, "0.7", "0.7")).on_row(1, lambda s: s.market("BUY", 1)).run()
    assert run.life(1) == ["Initialized", "Submitted", *(["Accepted"] if acks else []), "Filled"]


def test_a3_the_cache_knows_an_order_from_submitted_on() -> None:
    known: list[bool] = []

    def look(s: ScriptedStrategy) -> None:
        known.append(s.cache.order(s.orders[0].client_order_id) is not None)

    flat(1).on("OrderInitialized", look).on("OrderSubmitted", look).on_row(1, lambda s: s.market("BUY", 1)).run()
    assert known == [False, True]


def test_a4_everything_is_up_to_date_in_on_order_filled_and_on_order_accepted() -> None:
    seen: list[Any] = []

    def filled(s: ScriptedStrategy) -> None:
        seen.append((s.orders[0].status.name, len(s.cache.positions_open()), s.portfolio.net_position(PAIR)))

    def accepted(s: ScriptedStrategy) -> None:
        seen.append(str(s.portfolio.account(Venue("SIM")).balance_locked()))

    flat(1, 2).on("OrderFilled", filled).on("OrderAccepted", accepted).on_row(1, lambda s: s.market("BUY", 1)).on_row(
        2, lambda s: s.limit("BUY", 100_000, "0.6")
    ).run()
    assert seen == [("FILLED", 1, 1), "180.00 USD"]


def test_a5_a_turn_over_is_one_fill_then_closed_then_opened_with_the_same_id() -> None:
    ids: list[Any] = []
    run = (
        flat(1, 2)
        .on_row(1, lambda s: s.market("SELL", 100))
        .on_row(2, lambda s: s.market("BUY", 300))
        .on("PositionClosed", lambda s: ids.append(s.last_event.position_id))
        .on("PositionOpened", lambda s: ids.append(s.last_event.position_id))
        .run()
    )
    assert run.events()[-3:] == [
        "2 OrderFilled 2 BUY 300 @ 0.70010 TAKER",
        "2 PositionClosed FLAT 0",
        "2 PositionOpened LONG 200",
    ]
    assert {str(i) for i in ids} == {"AUD/USD.SIM-ScriptedStrategy-000"}


def test_a6_fills_come_after_all_handlers_of_the_row_in_the_order_of_submission() -> None:
    built = flat(1)
    second = ScriptedStrategy(built.instrument)
    order: list[str] = []
    for name, strategy in (("a", built._strategies[0]), ("b", second)):
        strategy.event_actions["OrderFilled"] = [lambda s, name=name: order.append(f"fill {name}")]
        strategy.row_actions[1] = [lambda s, name=name: order.append(f"row {name}"), lambda s: s.market("BUY", 1)]
    built.strategy(second).run()
    assert order == ["row a", "row b", "fill a", "fill b"]


def test_a7_resting_orders_are_matched_before_the_row_is_seen() -> None:
    seen: list[Any] = []
    run = (
        scenario()
        .quotes((1, "0.70000", "0.70010"), (2, "0.69000", "0.69010"))
        .on_row(1, lambda s: s.limit("BUY", 1, "0.695"))
        .on("OrderFilled", lambda s: seen.append((str(s.cache.quote_tick(PAIR).bid_price), s.clock.timestamp_ns())))
        .run()
    )
    assert run.lines[-4:] == ["2 OrderFilled 1 BUY 1 @ 0.69500 MAKER", "2 PositionOpened LONG 1", "2 row", "2 stop"]
    assert seen == [("0.70000", 2_000_000_000)]


def test_a8_events_are_not_delivered_while_starting_but_a_requests_callback_is() -> None:
    called: list[Any] = []
    run = (
        flat(1)
        .on(
            "on_start",
            lambda s: s.limit("BUY", 1, "0.6"),
            lambda s: s.request_bars(None, callback=called.append),
        )
        .run()
    )
    assert run.lines[0] == "1 OrderAccepted 1"  # the answer comes when the strategy runs
    assert len(called) == 1


def test_a9_a_market_order_of_on_start_fills_at_the_first_quote_after_it_was_seen() -> None:
    run = flat(1).on("on_start", lambda s: s.market("BUY", 1)).run()
    assert run.lines[:2] == ["1 row", "1 OrderFilled 1 BUY 1 @ 0.70010 TAKER"]


def test_a10_an_exception_ends_the_run_unchanged() -> None:
    with pytest.raises(ZeroDivisionError):
        flat(1).on_row(1, lambda s: 1 // 0).run()


def test_a10a_what_a_callback_does_at_once_is_delivered_within_it() -> None:
    run = flat(1).levels().on_row(1, lambda s: s.limit("BUY", 1, "0.6"))
    run = run.on("OrderAccepted", lambda s: s.cancel_order(s.orders[0])).run()
    after = run.lines[run.lines.index("1 OrderAccepted 1") :]
    assert after[:6] == [
        "1 OrderAccepted 1",
        "1 OrderPendingCancel 1",
        "1 on_order_event OrderPendingCancel",
        "1 on_event OrderPendingCancel",
        "1 on_order_event OrderAccepted",
        "1 on_event OrderAccepted",
    ]


def test_a10a_a_cancel_does_not_overtake_its_order() -> None:
    run = flat(1).on_row(1, lambda s: s.limit("BUY", 1, "0.6"), lambda s: s.cancel_all_orders(PAIR)).run()
    assert run.life(1) == ["Initialized", "Submitted", "PendingCancel", "Accepted", "Canceled"]


def test_a10b_rejections() -> None:
    run = (
        flat(1)
        .on_row(
            1,
            lambda s: s.limit("BUY", 1, "0.70010", post_only=True),
            lambda s: s.stop_market("BUY", 1, "0.70000"),
            lambda s: s.market("SELL", 1, reduce_only=True),
        )
        .run()
    )
    around = "bid=0.70000, ask=0.70010"
    assert run.events("OrderRejected") == [
        f"1 OrderRejected 1 POST_ONLY LIMIT BUY order limit px of 0.70010 would have been a TAKER: {around}",
        f"1 OrderRejected 2 STOP_MARKET BUY order stop px of 0.70000 was in the market: {around}",
        "1 OrderRejected 3 REDUCE_ONLY MARKET SELL order would have increased position",
    ]
    assert not run.events("OrderAccepted")


def test_a12_modify_cancel_and_denials() -> None:
    run = (
        flat(1, 2, 3)
        .on_row(1, lambda s: s.limit("BUY", 5, "0.6"))
        .on_row(2, lambda s: s.modify_order(s.orders[0], price=Price.from_str("0.60000")))
        .on_row(
            3,
            lambda s: s.modify_order(s.orders[0], price=Price.from_str("0.61")),
            lambda s: s.cancel_order(s.orders[0]),
        )
        .on("OrderCanceled", lambda s: s.cancel_order(s.orders[0]))
        .run()
    )
    assert run.life(1)[3:] == ["PendingUpdate", "PendingCancel", "Updated", "Canceled"]
    pair = currency_pair(min_quantity=Quantity.from_int(1000))
    run = scenario(pair).quotes((1, "0.7", "0.7")).on_row(1, lambda s: s.market("BUY", 100)).run()
    assert run.events("OrderDenied") == ["1 OrderDenied 1 quantity 100 invalid (< minimum trade size of 1000)"]


def test_a13_differs_gtd_expires_at_its_time_not_at_the_next_datum() -> None:
    """ADR 0010."""
    expire = dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=dt.UTC)
    run = flat(1, 3).on_row(1, lambda s: s.limit("BUY", 1, "0.6", tif="GTD", expire_time=expire)).run()
    assert run.lines[-3:] == ["1.5 OrderExpired 1", "3 row", "3 stop"]


def test_a14_differs_a_command_with_latency_acts_when_it_arrives() -> None:
    """ADR 0012. At the time of a row it comes after the row, as there."""
    built = scenario(latency_model=LatencyModel(1_500_000_000)).quotes((0.5, "0.7", "0.7"), (2.5, "0.8", "0.8"))
    assert built.on_row(1, lambda s: s.market("BUY", 1)).run().fills == ["2 1 BUY 1 @ 0.70000 TAKER"]


def test_a37_orders_of_on_stop_are_carried_out_but_nobody_is_told() -> None:
    run = (
        flat(1, 2)
        .on_row(1, lambda s: (s.market("BUY", 1), s.limit("BUY", 1, "0.6")))
        .on("on_stop", lambda s: s.cancel_all_orders(PAIR), lambda s: s.close_all_positions(PAIR))
        .run()
    )
    assert run.lines[-1] == "2 stop"
    assert [order.status.name for order in run.engine.cache.orders()] == ["FILLED", "CANCELED", "FILLED"]
    assert run.engine.portfolio.is_flat(PAIR)


def test_a37_a_strategy_that_stops_itself_hears_nothing_more() -> None:
    run = flat(1, 2, 3).on_row(2, lambda s: s.market("BUY", 1), lambda s: s.stop()).run()
    assert run.lines == ["1 row", "2 row", "2 OrderInitialized 1", "2 OrderSubmitted 1", "2 stop"]
    assert run.engine.cache.orders()[0].status.name == "FILLED"


def test_a39_reset_and_the_same_again() -> None:
    engine = BacktestEngine()
    built = Scenario(engine).quotes((1, "0.7", "0.7"), (2, "0.7", "0.7"))
    built.on_row(1, lambda s: s.market("BUY", 1)).on_row(2, lambda s: s.market("SELL", 1))
    run = built.run()
    first = engine.digest, engine.generate_fills_report()
    engine.reset()
    run.strategy.rows = 0
    engine.run()
    assert (engine.digest, engine.generate_fills_report()) == first
    with pytest.raises(ValueError, match="empty"):
        engine.add_data([])
    with pytest.raises(KeyError, match="SIM"):
        engine.add_venue(Venue("SIM"), OmsType.NETTING, None, [])  # type: ignore[arg-type]


def test_a39_differs_data_of_an_unknown_instrument_name_what_there_is() -> None:
    other = currency_pair("EUR/USD.SIM")
    with pytest.raises(
        ValueError, match=r"unknown instrument EUR/USD.SIM: add_instrument it first; there are AUD/USD.SIM"
    ):
        scenario().quotes((1, "0.7", "0.7"), instrument=other)


def test_b0_close_all_then_a_market_order_in_one_callback_fill_in_that_order() -> None:
    run = (
        flat(1, 2)
        .on_row(1, lambda s: s.market("BUY", 5))
        .on_row(
            2,
            lambda s: s.close_all_positions(PAIR),
            lambda s: s.submit_order(s.order_factory.market(PAIR, OrderSide.SELL, Quantity.from_int(5))),
        )
        .run()
    )
    assert [fill.split()[1] for fill in run.fills] == ["1", "2", "3"]
    assert run.events("PositionClosed", "PositionOpened")[1:] == ["2 PositionClosed FLAT 0", "2 PositionOpened SHORT 5"]


TOO_MUCH = 10_000_000_000
CANCEL, CHANGE = ["PendingCancel", "Denied"], ["PendingUpdate", "Denied", "ModifyRejected"]


@pytest.mark.parametrize(
    ("act", "life"),
    [
        (lambda s, order: s.cancel_order(order), [*CANCEL, "CancelRejected"]),
        (lambda s, order: s.cancel_all_orders(PAIR), CANCEL),
        (lambda s, order: s.modify_order(order, Quantity.from_int(5)), CHANGE),
    ],
)
def test_an_order_changed_in_the_callback_that_sent_it_may_still_be_denied(act: Any, life: list[str]) -> None:
    run = flat(1, 2).on_row(1, lambda s: act(s, s.limit("BUY", TOO_MUCH, "0.69"))).run()
    assert run.life(1) == ["Initialized", "Submitted", *life]
    order = run.strategy.orders[0]
    assert order.status_string() == "DENIED"
