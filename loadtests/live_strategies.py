"""The strategies of the load tests of live sessions."""

from __future__ import annotations

from nautilus_fleet import InstrumentId, OrderSide, Quantity, QuoteTick, Strategy, StrategyConfig


class AnswerConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId


class Answer(Strategy):
    """Answers each quote with a market order, buying and selling in turn."""

    def __init__(self, config: AnswerConfig) -> None:
        super().__init__(config)
        self.count = 0
        self.size = Quantity.from_str("0.010")

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.count += 1
        side = OrderSide.BUY if self.count % 2 else OrderSide.SELL
        self.submit_order(self.order_factory.market(self.config.instrument_id, side, self.size))
