"""Behaviours that strategies written for NautilusTrader rely on: rows A15-A36 and A40 of the porting notes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from nautilus_common.aggregation import BarOptions
from nautilus_common.model.data import BarType
from nautilus_common.model.enums import OmsType
from nautilus_common.model.identifiers import InstrumentId, StrategyId, Venue
from nautilus_common.strategy.actor import Actor
from nautilus_common.strategy.config import StrategyConfig
from nautilus_common.testkit.scenario import Scenario, ScriptedStrategy, currency_pair
from nautilus_fleet.backtest import BacktestEngine, BacktestEngineConfig, LoggingConfig

PAIR = InstrumentId.from_str("AUD/USD.SIM")
SECOND = dt.timedelta(seconds=1)


def scenario(instrument: Any = None, options: BarOptions | None = None, **venue: Any) -> Scenario:
    engine = BacktestEngine(BacktestEngineConfig(data_engine=options or BarOptions()))
    return Scenario(engine, instrument).venue(**venue)


def flat(*times: float, **more: Any) -> Scenario:
    return scenario(**more).quotes(*((time, "0.70000", "0.70010") for time in times))


def internal(spec: str) -> BarType:
    return BarType.from_str(f"{PAIR}-{spec}-INTERNAL")


def test_a15_the_cache_has_the_row_before_the_callback() -> None:
    seen: list[Any] = []
    bar_type = BarType.from_str(f"{PAIR}-1-MINUTE-LAST-EXTERNAL")
    scenario().bars((60, "0.7", "0.7", "0.7", "0.7", 10), (120, "0.7", "0.7", "0.7", "0.7", 10)).on_row(
        2,
        lambda s: seen.extend(
            (s.cache.bar_count(bar_type), s.cache.bar(bar_type) == s.last_event, s.cache.bar(bar_type, 1).ts_init)
        ),
    ).run()
    assert seen == [2, True, 60_000_000_000]


def test_a16_cache_and_orders_need_no_subscription() -> None:
    seen: list[Any] = []
    run = (
        flat(1, 2)
        .quiet()
        .at(1.5, lambda s: seen.append(s.cache.quote_tick(PAIR).ts_init), lambda s: s.market("BUY", 1))
        .run()
    )
    assert seen == [1_000_000_000]
    assert run.fills == ["1.5 1 BUY 1 @ 0.70010 TAKER"]
    assert run.strategy.rows == 0


def test_a17_indicators_are_updated_before_the_callback() -> None:
    class Counter:
        initialized = False
        count = 0

        def handle_quote_tick(self, tick: Any) -> None:
            self.count += 1
            self.initialized = self.count >= 2

    counter = Counter()
    seen: list[Any] = []
    built = flat(1, 2).on("on_start", lambda s: s.register_indicator_for_quote_ticks(PAIR, counter))
    for row in (1, 2):
        built.on_row(row, lambda s: seen.append((counter.count, s.indicators_initialized())))
    built.run()
    assert seen == [(1, False), (2, True)]


def test_a20_what_is_missing_is_none_or_empty() -> None:
    seen: list[Any] = []

    def look(s: ScriptedStrategy) -> None:
        other = InstrumentId.from_str("XXX/YYY.SIM")
        seen.extend(
            (
                s.cache.quote_tick(other),
                s.cache.instrument(other),
                s.cache.bar(internal("1-MINUTE-BID")),
                s.cache.quote_ticks(other),
            )
        )

    flat(1).on_row(1, look).run()
    assert seen == [None, None, None, []]


@pytest.mark.parametrize(("oms", "open_count", "snapshots"), [(OmsType.NETTING, 1, 1), (OmsType.HEDGING, 3, 0)])
def test_a21_one_netting_position_is_used_again_hedging_has_one_an_order(
    oms: OmsType, open_count: int, snapshots: int
) -> None:
    run = (
        flat(1, 2, 3, oms_type=oms)
        .on_row(1, lambda s: s.market("BUY", 1))
        .on_row(2, lambda s: s.market("SELL", 1))
        .on_row(3, lambda s: s.market("BUY", 1))
        .run()
    )
    cache = run.engine.cache
    assert (len(cache.positions_open()), len(cache.position_snapshots())) == (open_count, snapshots)
    assert len(run.engine.generate_positions_report()) == (2 if oms == OmsType.NETTING else 3)


def test_a22_commission_and_margin() -> None:
    pair = currency_pair(taker_fee="0.00002")
    run = (
        Scenario(BacktestEngine(), pair)
        .venue(default_leverage=Decimal(1))
        .quotes((1, "0.7", "0.7"))
        .on_row(1, lambda s: s.market("BUY", 100_000), lambda s: s.limit("BUY", 100_000, "0.6"))
        .run()
    )
    account = run.engine.portfolio.account(Venue("SIM"))
    assert str(account.balance_total()) == "999998.60 USD"
    assert str(account.balance_locked()) == "3900.00 USD"


class TestClock:
    @pytest.mark.parametrize(("start", "now"), [(None, 1), (0.5, 0.5)])
    def test_a24_on_start_is_at_the_first_datum_or_at_the_given_start(self, start: float | None, now: float) -> None:
        seen: list[float] = []
        flat(1, 2).on("on_start", lambda s: seen.append(s.clock.timestamp())).run(start=start)
        assert seen == [now]

    def timed(self, *times: float, end: float | None = None, **timer: Any) -> list[str]:
        run = flat(*times).quiet().on("on_start", lambda s: s.clock.set_timer("T", SECOND, **timer)).run(end=end)
        return run.lines

    def test_a24_timers_end_with_the_data_or_at_the_given_end(self) -> None:
        assert self.timed(0.5, 2) == ["1.5 TimeEvent T", "2 stop"]
        assert self.timed(0.5, 2, end=3.7) == ["1.5 TimeEvent T", "2.5 TimeEvent T", "3.5 TimeEvent T", "3.5 stop"]

    def test_a25_the_first_time_is_start_plus_interval(self) -> None:
        start = dt.datetime(1970, 1, 1, 0, 0, 2, tzinfo=dt.UTC)
        assert self.timed(0.3, 4, start_time=start)[:2] == ["3 TimeEvent T", "4 TimeEvent T"]
        assert self.timed(0.3, 2.4, fire_immediately=True) == [
            "0.3 TimeEvent T",
            "1.3 TimeEvent T",
            "2.3 TimeEvent T",
            "2.4 stop",
        ]

    def test_a25_differs_catch_up_timers_fire_now_and_the_clock_never_goes_back(self) -> None:
        """ADR 0015."""
        start = dt.datetime(1970, 1, 1, microsecond=500_000, tzinfo=dt.UTC)
        run = flat(2.5, 4).quiet().on("on_start", lambda s: s.clock.set_timer("T", SECOND, start_time=start)).run()
        assert run.lines == ["2.5 TimeEvent T", "2.5 TimeEvent T", "3.5 TimeEvent T", "4 stop"]

    def test_a25_a_past_alert_fires_now(self) -> None:
        run = flat(2, 3).quiet().on("on_start", lambda s: s.clock.set_time_alert_ns("A", 5)).run()
        assert run.lines == ["2 TimeEvent A", "3 stop"]

    def test_a25_errors(self) -> None:
        def check(s: ScriptedStrategy) -> None:
            s.clock.set_timer("B", SECOND)
            s.clock.set_timer("A", SECOND)
            assert s.clock.timer_names == ["A", "B"]
            with pytest.raises(ValueError, match="must be positive"):
                s.clock.set_timer("T", dt.timedelta(0))
            with pytest.raises(KeyError, match="already set"):
                s.clock.set_timer("A", SECOND)
            with pytest.raises(KeyError, match="no timer 'X'"):
                s.clock.cancel_timer("X")
            with pytest.raises(ValueError, match="in the past"):
                s.clock.set_time_alert_ns("P", 1, allow_past=False)

        flat(2).on_row(1, check).run()


class TestEqualTimes:
    def test_a26_data_first_then_timers_in_name_order_with_bars_among_them(self) -> None:
        def start(s: ScriptedStrategy) -> None:
            for name in ("z", "A", "U", "m"):
                s.clock.set_time_alert_ns(name, 2_000_000_000)
            s.subscribe_bars(internal("1-SECOND-BID"))

        run = flat(1.5, 2, 2).on("on_start", start).run()
        at_two = [line.removeprefix("2 ") for line in run.lines if line.startswith("2 ")]
        assert at_two == [
            "row",
            "row",
            "TimeEvent A",
            "bar 0.70000",
            "TimeEvent U",
            "TimeEvent m",
            "TimeEvent z",
            "stop",
        ]

    def test_a26_differs_a_timer_is_a_turn_of_its_own(self) -> None:
        """ADR 0011: what a timer causes without delay is done before the next timer of that instant."""
        run = (
            flat(1, 2)
            .quiet()
            .on("on_start", lambda s: [s.clock.set_time_alert_ns(name, 1_500_000_000) for name in "AB"])
            .on("TimeEvent", lambda s: s.market("BUY", 1))
            .run()
        )
        assert [line.split()[1] for line in run.lines if "Time" in line or "Filled" in line] == [
            "TimeEvent", "OrderFilled", "TimeEvent", "OrderFilled",
        ]  # fmt: skip

    def test_a30_actors_first_then_strategies_in_order_of_subscription(self) -> None:
        order: list[str] = []

        class Watcher(Actor):
            def on_start(self) -> None:
                self.subscribe_quote_ticks(PAIR)

            def on_quote_tick(self, tick: Any) -> None:
                order.append("actor")

        built = flat(1)
        built.engine.add_strategy(built._strategies[0])
        built.engine.add_actor(Watcher())
        built.on_row(1, lambda s: order.append("strategy"))
        built.engine.run()
        assert order == ["actor", "strategy"]


class TestBars:
    def bars(self, spec: str, *times: float, options: BarOptions | None = None) -> list[Any]:
        seen: list[Any] = []
        built = scenario(options=options).quotes(*((t, f"0.7000{i}", "0.71") for i, t in enumerate(times)))
        built.quiet().on("on_start", lambda s: s.subscribe_bars(internal(spec)))
        strategy = built._strategies[0]
        strategy.on_bar = seen.append  # type: ignore[method-assign]
        built.run()
        return seen

    def test_a27_stamps_are_the_close(self) -> None:
        (bar, *_) = self.bars("1-SECOND-BID", 0.3, 1.2)
        assert (bar.ts_event, bar.ts_init) == (1_000_000_000, 1_000_000_000)
        assert str(bar.volume) == "1000000"

    def test_a27_stamped_at_the_open_where_asked(self) -> None:
        (bar, *_) = self.bars("1-SECOND-BID", 0.3, 1.2, options=BarOptions(timestamp_on_close=False))
        assert (bar.ts_event, bar.ts_init) == (0, 1_000_000_000)

    def test_a27_empty_intervals_are_flat_or_left_out(self) -> None:
        assert [str(b.close) for b in self.bars("1-SECOND-BID", 0.3, 3.2)] == ["0.70000"] * 3
        assert len(self.bars("1-SECOND-BID", 0.3, 3.2, options=BarOptions(build_with_no_updates=False))) == 1

    def test_a27_mid_bars_have_one_more_decimal(self) -> None:
        assert self.bars("1-SECOND-MID", 0.3, 1.2)[0].close.precision == 6

    def test_a27_the_quote_at_the_boundary_is_inside(self) -> None:
        assert [str(b.close) for b in self.bars("1-SECOND-BID", 0.3, 1, 1.2)] == ["0.70001"]

    def test_a28_a_threshold_bar_comes_before_the_tick_that_closed_it(self) -> None:
        run = flat(1, 2).on("on_start", lambda s: s.subscribe_bars(internal("2-TICK-BID"))).run()
        assert run.lines == ["1 row", "2 bar 0.70000", "2 row", "2 stop"]

    def test_a29_a_composite_bar_comes_after_the_bar_that_it_is_made_of(self) -> None:
        composite = BarType.from_str(f"{PAIR}-2-SECOND-BID-INTERNAL@1-SECOND-INTERNAL")
        seen: list[str] = []
        built = flat(0.3, 1.3, 2.3).quiet()
        built.on(
            "on_start", lambda s: s.subscribe_bars(internal("1-SECOND-BID")), lambda s: s.subscribe_bars(composite)
        )
        built._strategies[0].on_bar = lambda bar: seen.append(f"{bar.ts_init // 10**9} {bar.bar_type.spec.step}")  # type: ignore[method-assign]
        built.run()
        assert seen == ["1 1", "2 1", "2 2"]


class TestIdentifiers:
    def test_a33_strategy_ids(self) -> None:
        built = flat(1)

        class Other(ScriptedStrategy):
            pass

        built.strategy(Other(built.instrument)).strategy(
            ScriptedStrategy(built.instrument, StrategyConfig(order_id_tag="X7"))
        )
        named = ScriptedStrategy(built.instrument, StrategyConfig(strategy_id=StrategyId("ABC-001")))
        run = built.strategy(named).run()
        assert [str(s.id) for s in run.strategies] == [
            "ScriptedStrategy-000",
            "Other-001",
            "ScriptedStrategy-X7",
            "ABC-003",
        ]

    def test_a33_an_id_is_used_once(self) -> None:
        built = flat(1)
        for _ in range(2):
            built.strategy(ScriptedStrategy(built.instrument, StrategyConfig(order_id_tag="1")))
        with pytest.raises(ValueError, match="strategy id ScriptedStrategy-1 is in use"):
            built.run()

    def test_a33_before_it_is_added_a_strategy_says_what_is_missing(self) -> None:
        with pytest.raises(RuntimeError, match="works from on_start on"):
            ScriptedStrategy(currency_pair()).subscribe_quote_ticks(PAIR)

    @pytest.mark.parametrize(
        ("hyphens", "name"), [(True, "O-19700101-000001-001-000-1"), (False, "O197001010000010010001")]
    )
    def test_a34_client_order_ids(self, hyphens: bool, name: str) -> None:
        built = flat(1)
        built._strategies[0].config = StrategyConfig(use_hyphens_in_client_order_ids=hyphens)
        assert str(built.on_row(1, lambda s: s.market("BUY", 1)).run().orders[0].client_order_id) == name

    @pytest.mark.parametrize(
        ("oms", "position"), [(OmsType.NETTING, "AUD/USD.SIM-ScriptedStrategy-000"), (OmsType.HEDGING, "SIM-1-001")]
    )
    def test_a35_venue_order_and_position_ids(self, oms: OmsType, position: str) -> None:
        order = flat(1, oms_type=oms).on_row(1, lambda s: s.market("BUY", 1)).run().orders[0]
        assert (str(order.venue_order_id), str(order.position_id)) == ("SIM-1-001", position)

    def test_a36_trade_ids_and_events_ids_are_functions_of_the_run(self) -> None:
        """ADR 0013: differs in event ids, which are no uuid4."""

        def ids() -> list[Any]:
            run = flat(1, 2).on_row(1, lambda s: s.market("BUY", 1), lambda s: s.market("BUY", 1)).run()
            return [(f.trade_id.value, f.id) for o in run.orders for f in o.fills]

        (first, second) = ids()
        assert first[0].startswith("T-")
        assert first[0].endswith("-001")
        assert first[0][:-4] == second[0][:-4]
        assert [first, second] == ids()


def test_a40_log_lines() -> None:
    lines: list[str] = []
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig("INFO", lines.append)))
    Scenario(engine).quotes((1, "0.7", "0.7")).on_row(1, lambda s: s.log.info("hello")).run()
    assert lines == ["1970-01-01T00:00:01.000000000Z [INFO] BACKTESTER-001.ScriptedStrategy: hello"]
