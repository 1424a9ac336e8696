"""Rows of a strategy host: a row is one stimulus, and bars that nothing feeds hold nobody up."""

from __future__ import annotations

import sys
from pathlib import Path

from nautilus_common.model.data import BarType
from nautilus_common.strategy.strategy import Strategy

sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))

from random_runs import Plan, build, instruments_of

PLAN = Plan(0, streams=1, instruments=1, venues=1, strategies=())
INSTRUMENT = instruments_of(PLAN)[0]


class Listener(Strategy):
    """Listens to ticks and to tick bars, and changes its subscriptions in the bar's callback."""

    def __init__(self, change: bool) -> None:
        super().__init__()
        self.change = change
        self.seen = []

    def on_start(self):
        self.subscribe_quote_ticks(INSTRUMENT.id)
        self.subscribe_bars(BarType.from_str(f"{INSTRUMENT.id}-3-TICK-BID-INTERNAL"))

    def on_quote_tick(self, tick):
        self.seen.append("tick")

    def on_bar(self, bar):
        self.seen.append("bar")
        if self.change:
            self.subscribe_trade_ticks(INSTRUMENT.id)


def run(strategy: Strategy):
    engine = build(PLAN)
    engine.add_strategy(strategy)
    engine.run()
    return engine


def test_a_change_of_subscriptions_in_a_bar_s_callback_loses_no_tick():
    plain, changing = Listener(False), Listener(True)
    run(plain)
    run(changing)
    assert plain.seen.count("tick") == PLAN.rows
    assert changing.seen == plain.seen


class Hopeful(Listener):
    """Wants time bars of trades, of which there are none; also a composite of them."""

    def on_start(self):
        self.subscribe_quote_ticks(INSTRUMENT.id)
        self.subscribe_bars(BarType.from_str(f"{INSTRUMENT.id}-1-SECOND-LAST-INTERNAL"))
        self.subscribe_bars(BarType.from_str(f"{INSTRUMENT.id}-2-SECOND-LAST-INTERNAL@1-SECOND-INTERNAL"))


def test_bars_without_data_hold_nobody_up():
    strategy = Hopeful(False)
    run(strategy)
    assert strategy.seen == ["tick"] * PLAN.rows


class Deaf(Listener):
    """Wants data that the run has not got."""

    def on_start(self):
        self.subscribe_trade_ticks(INSTRUMENT.id)
        self.subscribe_bars(BarType.from_str(f"{INSTRUMENT.id}-1-MINUTE-LAST-INTERNAL"))
        self.subscribe_bars(BarType.from_str(f"{INSTRUMENT.id}-1-MINUTE-LAST-EXTERNAL"))
        self.subscribe_quote_ticks(INSTRUMENT.id)


def test_a_subscription_without_data_is_a_warning():
    name = INSTRUMENT.id
    wanted = (f"trades of {name}", f"{name}-1-MINUTE-LAST-INTERNAL", f"{name}-1-MINUTE-LAST-EXTERNAL")
    assert run(Deaf(False)).warnings == [
        f"Deaf-000 subscribed to {what}, of which this run has no data; it has quotes of {name}" for what in wanted
    ]
