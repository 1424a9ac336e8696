"""Every order type and time in force at the simulated venue, against quotes, trades and bars."""

from __future__ import annotations

import datetime as dt

import pytest
from nautilus_common.testkit.scenario import Recording, Scenario, ScriptedStrategy
from nautilus_fleet.backtest import BacktestEngine


def scenario(**venue: object) -> Scenario:
    return Scenario(BacktestEngine()).venue(**venue)


QUOTES = [(1, "0.70000", "0.70010"), (2, "0.70000", "0.70010"), (3, "0.69980", "0.69990"), (4, "0.70040", "0.70050")]
TRADES = [(1, "0.70000", 1_000_000), (2, "0.70000", 1_000_000), (3, "0.69980", 1_000_000), (4, "0.70040", 1_000_000)]
BARS = [
    (60, "0.70000", "0.70000", "0.70000", "0.70000", 4_000_000),
    (120, "0.70000", "0.70000", "0.70000", "0.70000", 4_000_000),
    (180, "0.69990", "0.69990", "0.69980", "0.69980", 4_000_000),
    (240, "0.70040", "0.70040", "0.70040", "0.70040", 4_000_000),
]


def market_of(kind: str) -> Scenario:
    built = scenario()
    return (
        built.quotes(*QUOTES) if kind == "quotes" else built.trades(*TRADES) if kind == "trades" else built.bars(*BARS)
    )


def submit(
    s: ScriptedStrategy, order_type: str, side: str, quantity: int, price: str, stop: str, **more: object
) -> None:
    if order_type == "market":
        s.market(side, quantity, **more)
    elif order_type == "limit":
        s.limit(side, quantity, price, **more)
    elif order_type == "stop":
        s.stop_market(side, quantity, stop, **more)
    else:
        s.stop_limit(side, quantity, price, stop, **more)


EXPIRES = dt.datetime(1970, 1, 2, tzinfo=dt.UTC)


@pytest.mark.parametrize("kind", ["quotes", "trades", "bars"])
@pytest.mark.parametrize("tif", ["GTC", "GTD", "DAY", "IOC", "FOK"])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
class TestTimeInForce:
    def run(self, kind: str, side: str, tif: str, order_type: str, price: str, stop: str) -> Recording:
        more = {"expire_time": EXPIRES} if tif == "GTD" else {}
        return (
            market_of(kind).on_row(1, lambda s: submit(s, order_type, side, 1000, price, stop, tif=tif, **more)).run()
        )

    def test_marketable_limit_fills_at_once(self, kind: str, side: str, tif: str) -> None:
        run = self.run(kind, side, tif, "limit", "0.70020" if side == "BUY" else "0.69990", "")
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Filled"]
        assert run.fills[0].endswith("TAKER")

    def test_limit_away_from_the_market_rests_or_is_canceled(self, kind: str, side: str, tif: str) -> None:
        run = self.run(kind, side, tif, "limit", "0.69995" if side == "BUY" else "0.70030", "")
        end = ["Canceled"] if tif in ("IOC", "FOK") else ["Filled"]
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", *end]
        if end == ["Filled"]:
            assert run.fills[0].endswith("MAKER")
            assert f"@ {run.orders[0].price} " in run.fills[0]

    def test_stop_market_waits_for_its_trigger_then_obeys_its_time_in_force(
        self, kind: str, side: str, tif: str
    ) -> None:
        run = self.run(kind, side, tif, "stop", "", "0.70030" if side == "BUY" else "0.69990")
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Filled"]

    def test_stop_limit_is_triggered_then_takes(self, kind: str, side: str, tif: str) -> None:
        price, stop = ("0.70100", "0.70030") if side == "BUY" else ("0.69900", "0.69990")
        run = self.run(kind, side, tif, "stop_limit", price, stop)
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Triggered", "Filled"]


@pytest.mark.parametrize("kind", ["quotes", "trades", "bars"])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_market_order_fills_at_the_opposite_side(kind: str, side: str) -> None:
    run = market_of(kind).on_row(1, lambda s: s.market(side, 1000)).run()
    price = "0.70010" if kind == "quotes" and side == "BUY" else "0.70000"
    at = "60" if kind == "bars" else "1"
    assert run.fills == [f"{at} 1 {side} 1000 @ {price} TAKER"]


def test_triggered_stop_limit_beyond_its_limit_rests_as_a_limit_order() -> None:
    run = (
        scenario()
        .quotes(
            (1, "0.70000", "0.70010"),
            (2, "0.70040", "0.70050"),
            (3, "0.70020", "0.70030"),
        )
        .on_row(1, lambda s: s.stop_limit("BUY", 1000, "0.70030", "0.70020"))
        .run()
    )
    assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Triggered", "Filled"]
    assert run.fills == ["3 1 BUY 1000 @ 0.70030 MAKER"]


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_triggered_stop_limit_that_may_not_rest_is_canceled(tif: str) -> None:
    run = (
        scenario()
        .quotes((1, "0.70000", "0.70010"), (2, "0.70040", "0.70050"), (3, "0.70020", "0.70030"))
        .on_row(1, lambda s: s.stop_limit("BUY", 1000, "0.70030", "0.70020", tif=tif))
        .run()
    )
    assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Triggered", "Canceled"]


class TestPartialFills:
    BOOK = (
        (1, "0.70000", "0.70010", 500, 500),
        (2, "0.70000", "0.70010", 300, 300),
        (3, "0.70000", "0.70010", 900, 900),
    )

    def test_market_order_takes_the_rest_one_increment_worse(self) -> None:
        run = scenario().quotes(*self.BOOK).on_row(1, lambda s: s.market("BUY", 800)).run()
        assert run.fills == ["1 1 BUY 500 @ 0.70010 TAKER", "1 1 BUY 300 @ 0.70011 TAKER"]

    def test_market_ioc_takes_what_is_there(self) -> None:
        run = scenario().quotes(*self.BOOK).on_row(1, lambda s: s.market("SELL", 800, tif="IOC")).run()
        assert run.fills == ["1 1 SELL 500 @ 0.70000 TAKER"]
        assert run.life(1)[-1] == "Canceled"

    def test_market_fok_takes_all_or_nothing(self) -> None:
        run = (
            scenario()
            .quotes(*self.BOOK)
            .on_row(1, lambda s: (s.market("BUY", 501, tif="FOK"), s.market("BUY", 500, tif="FOK")))
            .run()
        )
        assert run.fills == ["1 2 BUY 500 @ 0.70010 TAKER"]
        assert run.life(1) == ["Initialized", "Submitted", "Canceled"]

    @pytest.mark.parametrize(("quantity", "filled"), [(500, True), (501, False)])
    def test_limit_fok(self, quantity: int, filled: bool) -> None:
        run = scenario().quotes(*self.BOOK).on_row(1, lambda s: s.limit("BUY", quantity, "0.70010", tif="FOK")).run()
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Filled" if filled else "Canceled"]

    def test_limit_ioc(self) -> None:
        run = scenario().quotes(*self.BOOK).on_row(1, lambda s: s.limit("BUY", 800, "0.70010", tif="IOC")).run()
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Filled", "Canceled"]

    def test_the_rest_of_a_limit_order_waits_for_the_next_row_and_makes(self) -> None:
        run = scenario().quotes(*self.BOOK).on_row(1, lambda s: s.limit("BUY", 1000, "0.70012")).run()
        assert run.fills == [
            "1 1 BUY 500 @ 0.70010 TAKER",
            "2 1 BUY 300 @ 0.70012 MAKER",
            "3 1 BUY 200 @ 0.70012 MAKER",
        ]

    def test_stop_market_fok_short_of_size_is_canceled(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010", 500, 500), (2, "0.70050", "0.70060", 500, 500))
            .on_row(1, lambda s: s.stop_market("BUY", 800, "0.70050", tif="FOK"))
            .run()
        )
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Canceled"]


class TestExpiry:
    def test_gtd_expires_at_its_time_exactly(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (3, "0.70000", "0.70010"))
            .on_row(1, lambda s: s.limit("BUY", 1000, "0.69000", tif="GTD", expire_time=_at(2.5)))
            .run()
        )
        assert run.events("OrderExpired") == ["2.5 OrderExpired 1"]

    def test_a_row_at_the_expiry_still_fills(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (3, "0.69990", "0.70000"))
            .on_row(1, lambda s: s.limit("BUY", 1000, "0.70000", tif="GTD", expire_time=_at(3)))
            .run()
        )
        assert run.life(1)[-1] == "Filled"

    def test_day_order_expires_at_midnight_utc(self) -> None:
        day = 86_400
        run = (
            scenario()
            .quotes((day - 10, "0.70000", "0.70010"), (day + 10, "0.70000", "0.70010"))
            .on_row(1, lambda s: s.limit("BUY", 1000, "0.69000", tif="DAY"))
            .run()
        )
        assert run.events("OrderExpired") == ["86400 OrderExpired 1"]

    def test_an_order_canceled_or_filled_before_never_expires(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.69000", "0.69010"), (5, "0.70000", "0.70010"))
            .on_row(
                1,
                lambda s: s.limit("BUY", 1000, "0.69500", tif="GTD", expire_time=_at(4)),
                lambda s: s.limit("BUY", 1000, "0.60000", tif="GTD", expire_time=_at(4)),
            )
            .on_row(2, lambda s: s.cancel_order(s.orders[1]))
            .run()
        )
        assert run.events("OrderExpired") == []

    def test_modified_order_keeps_its_expiry_and_expires_once(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.70000", "0.70010"), (5, "0.70000", "0.70010"))
            .on_row(1, lambda s: s.limit("BUY", 1000, "0.69000", tif="GTD", expire_time=_at(4)))
            .on_row(2, lambda s: s.modify_order(s.orders[0], price=s.instrument.make_price("0.69100")))
            .run()
        )
        assert run.events("OrderUpdated", "OrderExpired") == ["2 OrderUpdated 1 1000 px 0.69100", "4 OrderExpired 1"]

    def test_triggered_stop_limit_still_expires(self) -> None:
        run = (
            scenario()
            .quotes((1, "0.70000", "0.70010"), (2, "0.70040", "0.70050"), (5, "0.70040", "0.70050"))
            .on_row(1, lambda s: s.stop_limit("BUY", 1000, "0.70030", "0.70020", tif="GTD", expire_time=_at(4)))
            .run()
        )
        assert run.life(1) == ["Initialized", "Submitted", "Accepted", "Triggered", "Expired"]

    def test_gtd_may_be_refused_by_the_venue(self) -> None:
        run = (
            scenario(support_gtd_orders=False)
            .quotes((1, "0.70000", "0.70010"))
            .on_row(1, lambda s: s.limit("BUY", 1000, "0.69000", tif="GTD", expire_time=_at(4)))
            .run()
        )
        assert run.events("OrderRejected") == ["1 OrderRejected 1 GTD orders are not supported"]


def _at(seconds: float) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
