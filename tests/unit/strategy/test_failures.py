"""A strategy that fails: the exception is raised as it is, says who, where and when, and the run ends cleanly."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from nautilus_common.model.data import BarType
from nautilus_common.model.enums import OrderSide
from nautilus_common.model.identifiers import InstrumentId
from nautilus_common.model.values import Quantity
from nautilus_common.testkit.scenario import Scenario, ScriptedStrategy
from nautilus_fleet.backtest import BacktestEngine, BacktestEngineConfig


class Mistake(Exception):
    """What the strategy raises."""


class Failing(ScriptedStrategy):
    """Raises in the callback that it is told to."""

    fails_in = ""

    def fail(self, where: str) -> None:
        if where == self.fails_in:
            raise Mistake(where)

    def on_start(self) -> None:
        super().on_start()
        self.clock.set_timer("tick", dt.timedelta(seconds=1))
        self.fail("on_start")

    def on_quote_tick(self, tick: Any) -> None:
        self.fail("on_quote_tick")
        if not self.orders:
            self.market("BUY", 1)

    def on_bar(self, bar: Any) -> None:
        self.fail("on_bar")

    def on_order_initialized(self, event: Any) -> None:
        self.fail("on_order_initialized")

    def on_order_filled(self, event: Any) -> None:
        self.fail("on_order_filled")

    def on_position_opened(self, event: Any) -> None:
        self.fail("on_position_opened")

    def on_time_event(self, event: Any) -> None:
        self.fail("on_time_event")

    def on_stop(self) -> None:
        self.fail("on_stop")


TIMES = {"on_start": 1, "on_time_event": 2, "on_stop": 4}


@pytest.mark.parametrize(
    "where",
    [
        "on_start", "on_quote_tick", "on_bar", "on_order_initialized", "on_order_filled", "on_position_opened",
        "on_time_event", "on_stop",
    ],
)  # fmt: skip
def test_the_exception_is_unchanged_and_says_where(where: str, tmp_path: Path) -> None:
    log = tmp_path / "events"
    engine = BacktestEngine(BacktestEngineConfig(event_log=log))
    built = Scenario(engine)
    failing = Failing(built.instrument)
    failing.fails_in = where
    built.strategy(failing)
    built._strategies.pop(0)
    built.quotes(*((t, "0.7", "0.7") for t in range(1, 5)))
    failing.subscriptions.append(("bars", BarType.from_str("AUD/USD.SIM-1-SECOND-BID-INTERNAL")))
    with pytest.raises(Mistake) as caught:
        built.run()
    assert caught.value.args == (where,)
    (note,) = caught.value.__notes__
    seconds = TIMES.get(where, 1)
    assert note.startswith("Failing-000 raised Mistake in ")
    assert f"{Path(__file__).name}:" in note
    assert f"at 1970-01-01T00:00:0{seconds}.000000000Z" in note
    assert engine.failure == note
    assert log.stat().st_size > 0 or where == "on_start"
    assert engine._run is not None
    assert engine._run._sink is not None
    assert engine._run._sink.closed
    assert len(engine.digest) == 64


def test_an_instrument_that_is_not_there() -> None:
    other = InstrumentId.from_str("XXX/YYY.SIM")
    built = (
        Scenario(BacktestEngine()).quotes((1, "0.7", "0.7")).on("on_start", lambda s: s.subscribe_quote_ticks(other))
    )
    with pytest.raises(
        ValueError, match=r"subscribes to XXX/YYY.SIM, which is not an instrument of this run; it has AUD/USD.SIM"
    ):
        built.run()
    bars = BarType.from_str("XXX/YYY.SIM-1-MINUTE-BID-INTERNAL")
    built = Scenario(BacktestEngine()).quotes((1, "0.7", "0.7")).on("on_start", lambda s: s.subscribe_bars(bars))
    with pytest.raises(ValueError, match=r"whose instrument is not in this run"):
        built.run()


def test_a_venue_that_is_not_there() -> None:
    other = InstrumentId.from_str("AUD/USD.ELSEWHERE")
    run = Scenario(BacktestEngine()).quotes((1, "0.7", "0.7"))
    run.on_row(1, lambda s: s.submit_order(s.order_factory.market(other, OrderSide.BUY, Quantity.from_int(1))))
    with pytest.raises(ValueError, match=r"no account for venue ELSEWHERE of AUD/USD.ELSEWHERE; the venues are SIM"):
        run.run()


def test_submitting_twice() -> None:
    run = Scenario(BacktestEngine()).quotes((1, "0.7", "0.7"))
    run.on_row(1, lambda s: s.limit("BUY", 1, "0.6"), lambda s: s.submit_order(s.orders[0]))
    with pytest.raises(ValueError, match="an order is submitted once"):
        run.run()
