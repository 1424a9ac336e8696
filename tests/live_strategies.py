"""Strategies for tests of live sessions, named by path as users name theirs."""

from __future__ import annotations

from decimal import Decimal

from nautilus_fleet import InstrumentId, OrderSide, Strategy, StrategyConfig


class PulseConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    size: Decimal
    interval_ms: int = 40


class Pulse(Strategy):
    """Buys and sells in turn at each beat of a timer, and sets an alert between two beats."""

    def __init__(self, config: PulseConfig) -> None:
        super().__init__(config)
        self.beats = 0
        self.echoes = 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.config.instrument_id)
        self.clock.set_timer_ns("beat", self.config.interval_ms * 1_000_000, callback=self.on_beat)

    def on_beat(self, event) -> None:
        self.beats += 1
        self.log.debug(f"beat {self.beats}")
        instrument = self.cache.instrument(self.config.instrument_id)
        side = OrderSide.BUY if self.beats % 2 else OrderSide.SELL
        order = self.order_factory.market(instrument.id, side, instrument.make_qty(self.config.size))
        self.submit_order(order)
        self.clock.set_time_alert_ns(f"echo-{self.beats}", event.ts_event + 7_000_000, self.on_echo)

    def on_echo(self, event) -> None:
        self.echoes += 1

    def on_stop(self) -> None:
        self.close_all_positions(self.config.instrument_id)


class Raises(Pulse):
    """Fails at its third beat."""

    def on_beat(self, event) -> None:
        if self.beats == 2:
            raise RuntimeError("the third beat")
        super().on_beat(event)
