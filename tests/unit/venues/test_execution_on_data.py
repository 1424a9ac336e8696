"""Execution on bars, on trades beside quotes and on trades alone; chances with a seed; fees."""

from __future__ import annotations

from typing import ClassVar

import pytest
from nautilus_common.testkit.scenario import Scenario, currency_pair
from nautilus_common.venues.simulated.models import FillModel
from nautilus_fleet.backtest import BacktestEngine


def scenario(**venue: object) -> Scenario:
    return Scenario(BacktestEngine()).venue(**venue)


FLAT = (60, "0.70", "0.70", "0.70", "0.70", 4_000_000)


class TestBarWalk:
    def both_sides(self, bar: tuple[object, ...], **venue: object) -> list[str]:
        """Which of a take-profit and a stop-loss of a long position the bar reaches first."""
        run = (
            scenario(**venue)
            .bars(FLAT, bar)
            .on_row(
                1,
                lambda s: s.market("BUY", 1000),
                lambda s: s.limit("SELL", 1000, "0.71", reduce_only=True),
                lambda s: s.stop_market("SELL", 1000, "0.69", reduce_only=True),
            )
            .run()
        )
        return run.fills[1:]

    def test_high_comes_before_low(self) -> None:
        assert self.both_sides((120, "0.70", "0.715", "0.685", "0.70", 400_000)) == ["120 2 SELL 1000 @ 0.71000 MAKER"]

    def test_adaptive_order_takes_the_nearer_first(self) -> None:
        near_low = (120, "0.70", "0.72", "0.685", "0.70", 400_000)
        assert self.both_sides(near_low) == ["120 2 SELL 1000 @ 0.71000 MAKER"]
        adaptive = self.both_sides(near_low, bar_adaptive_high_low_ordering=True)
        assert adaptive == ["120 3 SELL 1000 @ 0.69000 TAKER"]

    def test_adaptive_order_with_a_near_high(self) -> None:
        near_high = (120, "0.70", "0.712", "0.68", "0.70", 400_000)
        assert self.both_sides(near_high, bar_adaptive_high_low_ordering=True) == ["120 2 SELL 1000 @ 0.71000 MAKER"]

    def stop(self, bar: tuple[object, ...]) -> list[str]:
        return scenario().bars(FLAT, bar).on_row(1, lambda s: s.stop_market("BUY", 1000, "0.71")).run().fills

    def test_a_gap_over_the_stop_fills_at_the_open(self) -> None:
        assert self.stop((120, "0.72", "0.73", "0.71", "0.72", 400_000)) == ["120 1 BUY 1000 @ 0.72000 TAKER"]

    def test_within_the_bar_a_stop_fills_at_its_trigger(self) -> None:
        assert self.stop((120, "0.70", "0.73", "0.70", "0.72", 400_000)) == ["120 1 BUY 1000 @ 0.71000 TAKER"]

    def test_within_the_bar_a_stop_limit_takes_at_its_trigger(self) -> None:
        bar = (120, "0.70", "0.73", "0.70", "0.72", 400_000)
        run = scenario().bars(FLAT, bar).on_row(1, lambda s: s.stop_limit("BUY", 1000, "0.72", "0.71")).run()
        assert run.fills == ["120 1 BUY 1000 @ 0.71000 TAKER"]

    def test_a_stop_limit_whose_limit_the_bar_has_passed_waits_for_it(self) -> None:
        bar = (120, "0.70", "0.73", "0.70", "0.73", 400_000)
        run = scenario().bars(FLAT, bar).on_row(1, lambda s: s.stop_limit("BUY", 1000, "0.705", "0.71")).run()
        assert run.fills == ["120 1 BUY 1000 @ 0.70500 MAKER"]

    def test_each_point_has_a_quarter_of_the_volume(self) -> None:
        bar = (120, "0.69", "0.69", "0.69", "0.69", 1000)
        run = scenario().bars(FLAT, bar, (180, *bar[1:])).on_row(1, lambda s: s.limit("BUY", 1300, "0.695")).run()
        assert run.fills == ["120 1 BUY 250 @ 0.69500 MAKER"] * 4 + [
            "180 1 BUY 250 @ 0.69500 MAKER",
            "180 1 BUY 50 @ 0.69500 MAKER",
        ]

    def test_fills_come_before_the_bar(self) -> None:
        run = (
            scenario()
            .bars(FLAT, (120, "0.69", "0.69", "0.69", "0.69", 400_000))
            .on_row(1, lambda s: s.limit("BUY", 10, "0.695"))
            .run()
        )
        assert run.lines.index("120 OrderFilled 1 BUY 10 @ 0.69500 MAKER") < run.lines.index("120 bar 0.69000")

    def test_execution_on_bars_may_be_switched_off(self) -> None:
        run = scenario(bar_execution=False).bars(FLAT, (120, *FLAT[1:])).on_row(1, lambda s: s.market("BUY", 1)).run()
        assert run.fills == []

    def test_beside_ticks_bars_do_not_execute(self) -> None:
        run = (
            scenario()
            .quotes((60, "0.70", "0.70"), (120, "0.70", "0.70"))
            .bars(FLAT, (120, "0.70", "0.75", "0.65", "0.70", 400))
            .on_row(1, lambda s: s.limit("BUY", 1, "0.66"))
            .run()
        )
        assert run.fills == []


class TestBidAndAskBars:
    def run(
        self, bids: list[tuple[object, ...]], asks: list[tuple[object, ...]], *actions: object, ask_first: bool = False
    ) -> list[str]:
        built = scenario()
        pair = [(bids, "1-MINUTE-BID"), (asks, "1-MINUTE-ASK")]
        for bars, spec in reversed(pair) if ask_first else pair:
            built.bars(*bars, spec=spec)
        return built.on_row(2, *actions).run().fills  # type: ignore[arg-type]

    BIDS: ClassVar = [(60, "0.700", "0.700", "0.700", "0.700", 4000), (120, "0.700", "0.710", "0.690", "0.705", 4000)]
    ASKS: ClassVar = [(60, "0.702", "0.702", "0.702", "0.702", 4000), (120, "0.702", "0.712", "0.692", "0.707", 4000)]

    @pytest.mark.parametrize("ask_first", [False, True])
    def test_each_side_has_its_own_prices(self, ask_first: bool) -> None:
        fills = self.run(
            self.BIDS, self.ASKS, lambda s: s.market("BUY", 1), lambda s: s.market("SELL", 1), ask_first=ask_first
        )
        assert fills == ["60 1 BUY 1 @ 0.70200 TAKER", "60 2 SELL 1 @ 0.70000 TAKER"]

    @pytest.mark.parametrize("ask_first", [False, True])
    @pytest.mark.parametrize(
        ("side", "stop", "filled"),
        [("SELL", "0.691", True), ("SELL", "0.6895", False), ("BUY", "0.711", True), ("BUY", "0.7125", False)],
    )
    def test_stops_look_at_their_own_side(self, ask_first: bool, side: str, stop: str, filled: bool) -> None:
        fills = self.run(self.BIDS, self.ASKS, lambda s: s.stop_market(side, 1, stop), ask_first=ask_first)
        assert bool(fills) == filled

    @pytest.mark.parametrize("ask_first", [False, True])
    def test_limits_look_at_the_other_side(self, ask_first: bool) -> None:
        fills = self.run(
            self.BIDS,
            self.ASKS,
            lambda s: s.limit("BUY", 1, "0.691"),
            lambda s: s.limit("BUY", 1, "0.692"),
            lambda s: s.limit("SELL", 1, "0.711"),
            lambda s: s.limit("SELL", 1, "0.710"),
            ask_first=ask_first,
        )
        assert fills == ["120 4 SELL 1 @ 0.71000 MAKER", "120 2 BUY 1 @ 0.69200 MAKER"]


class TestTrades:
    QUOTES = ((1, "0.70000", "0.70010"), (5, "0.70000", "0.70010"))

    def beside_quotes(self, trade: tuple[object, ...], side: str, price: str, **venue: object) -> list[str]:
        return (
            scenario(**venue)
            .quotes(*self.QUOTES)
            .trades(trade)
            .on_row(1, lambda s: s.limit(side, 1000, price))
            .run()
            .fills
        )

    def test_a_sellers_trade_fills_a_buy_at_its_limit(self) -> None:
        assert self.beside_quotes((2, "0.69990", 1000, "SELLER"), "BUY", "0.69995") == ["2 1 BUY 1000 @ 0.69995 MAKER"]

    def test_not_more_than_was_traded(self) -> None:
        assert self.beside_quotes((2, "0.69990", 300, "SELLER"), "BUY", "0.69995") == ["2 1 BUY 300 @ 0.69995 MAKER"]

    def test_a_buyers_trade_does_not_fill_a_buy(self) -> None:
        assert self.beside_quotes((2, "0.69990", 1000, "BUYER"), "BUY", "0.69995") == []

    def test_without_aggressor_both_sides_are_filled(self) -> None:
        assert self.beside_quotes((2, "0.69990", 1000), "BUY", "0.69995")
        assert self.beside_quotes((2, "0.70020", 1000), "SELL", "0.70015")

    def test_may_be_switched_off(self) -> None:
        assert self.beside_quotes((2, "0.69990", 1000, "SELLER"), "BUY", "0.69995", trade_execution=False) == []

    def test_at_its_price_exactly_the_fill_models_chance_decides(self) -> None:
        never = FillModel(prob_fill_on_limit=0.0)
        assert self.beside_quotes((2, "0.69995", 1000, "SELLER"), "BUY", "0.69995", fill_model=never) == []
        assert self.beside_quotes((2, "0.69994", 1000, "SELLER"), "BUY", "0.69995", fill_model=never) != []

    def test_trades_alone_are_the_book(self) -> None:
        run = (
            scenario()
            .trades((1, "0.7", 1000), (2, "0.6", 400))
            .on_row(1, lambda s: s.market("BUY", 100_000), lambda s: s.limit("BUY", 500, "0.65"))
            .run()
        )
        assert run.fills == [
            "1 1 BUY 1000 @ 0.70000 TAKER",
            "1 1 BUY 99000 @ 0.70001 TAKER",
            "2 2 BUY 400 @ 0.65000 MAKER",
        ]


class TestChances:
    def slipped(self, model: FillModel) -> list[str]:
        run = scenario(fill_model=model).quotes(*((t, "0.70000", "0.70010") for t in range(1, 41)))
        for row in range(1, 41):
            run.on_row(row, lambda s: s.market("BUY", 1))
        return [fill.split()[5] for fill in run.run().fills]

    def test_always_and_never(self) -> None:
        assert set(self.slipped(FillModel(prob_slippage=1.0))) == {"0.70011"}
        assert set(self.slipped(FillModel(prob_slippage=0.0))) == {"0.70010"}

    def test_the_seed_decides(self) -> None:
        first = self.slipped(FillModel(prob_slippage=0.5, random_seed=42))
        assert first == self.slipped(FillModel(prob_slippage=0.5, random_seed=42))
        assert first != self.slipped(FillModel(prob_slippage=0.5, random_seed=43))
        assert 8 < first.count("0.70011") < 32

    def test_a_reset_begins_the_sequence_again(self) -> None:
        engine = BacktestEngine()
        built = Scenario(engine).venue(fill_model=FillModel(prob_slippage=0.5, random_seed=7))
        built.quotes(*((t, "0.70000", "0.70010") for t in range(1, 21)))
        for row in range(1, 21):
            built.on_row(row, lambda s: s.market("BUY", 1))
        run = built.run()
        digest, fills = engine.digest, list(run.fills)
        engine.reset()
        run.strategy.rows = 0
        run.strategy.lines.clear()
        engine.run()
        assert (engine.digest, run.fills) == (digest, fills)

    def test_limit_touched_exactly(self) -> None:
        def fills(probability: float) -> list[str]:
            return (
                scenario(fill_model=FillModel(prob_fill_on_limit=probability))
                .quotes((1, "0.70000", "0.70010"), (2, "0.69990", "0.70000"), (3, "0.69980", "0.69990"))
                .on_row(1, lambda s: s.limit("BUY", 1, "0.70000"))
                .run()
                .fills
            )

        assert fills(1.0) == ["2 1 BUY 1 @ 0.70000 MAKER"]
        assert fills(0.0) == ["3 1 BUY 1 @ 0.70000 MAKER"]

    @pytest.mark.parametrize("name", ["prob_fill_on_limit", "prob_slippage"])
    @pytest.mark.parametrize("value", [-0.1, 1.1])
    def test_a_probability_lies_between_zero_and_one(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=name):
            FillModel(**{name: value})

    def test_a_price_never_slips_to_zero(self) -> None:
        run = (
            Scenario(BacktestEngine(), currency_pair(price_precision=2))
            .quotes((1, "0.01", "0.02", 5, 5))
            .on_row(1, lambda s: s.market("SELL", 10))
            .run()
        )
        assert run.fills == ["1 1 SELL 5 @ 0.01 TAKER", "1 1 SELL 5 @ 0.01 TAKER"]


@pytest.mark.parametrize(
    ("maker", "taker", "commissions"),
    [("0.00002", "0.00005", ["3.50 USD", "1.40 USD"]), ("-0.00001", "0.0002", ["14.00 USD", "-0.70 USD"])],
)
def test_maker_and_taker_fees_and_rebates(maker: str, taker: str, commissions: list[str]) -> None:
    run = (
        Scenario(BacktestEngine(), currency_pair(maker_fee=maker, taker_fee=taker))
        .quotes((1, "0.70000", "0.70000"), (2, "0.70000", "0.70000"), (3, "0.69990", "0.69990"))
        .on_row(1, lambda s: s.market("BUY", 100_000))
        .on_row(2, lambda s: s.limit("SELL", 100_000, "0.70001"), lambda s: s.limit("BUY", 100_000, "0.69995"))
        .run()
    )
    fills = run.engine.generate_fills_report()
    assert [fill["commission"] for fill in fills] == commissions
