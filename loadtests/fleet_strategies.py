"""The strategies of the load tests over processes: by path and made of data, as a host elsewhere needs them."""

from __future__ import annotations

from nautilus_fleet import Bar, BarType, InstrumentId, OrderSide, Quantity, QuoteTick, Strategy, StrategyConfig


class EmptyConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId


class Empty(Strategy):
    """Hears every quote and does nothing."""

    def __init__(self, config: EmptyConfig) -> None:
        super().__init__(config)

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        pass


class BarsConfig(StrategyConfig, frozen=True):
    bar_type: BarType


class Bars(Strategy):
    """Follows two averages of the closes of bars, which the platform makes of quotes; it does not trade."""

    def __init__(self, config: BarsConfig) -> None:
        super().__init__(config)
        self.fast = self.slow = 0.0

    def on_start(self) -> None:
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        price = bar.close.as_double()
        self.fast += (price - self.fast) / 10
        self.slow += (price - self.slow) / 20


class TurnConfig(StrategyConfig, frozen=True):
    """`first_quote` and `quotes` bound the quotes that are traded; 0 is all of them."""

    instrument_id: InstrumentId
    every: int = 1
    first_quote: int = 0
    quotes: int = 0


class Turn(Strategy):
    """Turns its position round with a market order on every n-th quote: each is filled at once."""

    def __init__(self, config: TurnConfig) -> None:
        super().__init__(config)
        self.seen = 0
        self.sent = 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        config = self.config
        self.seen = seen = self.seen + 1
        if seen <= config.first_quote or seen % config.every:
            return
        if config.quotes and seen > config.first_quote + config.quotes:
            return
        side = OrderSide.SELL if self.sent % 2 else OrderSide.BUY
        size = Quantity.from_int(2_000 if self.sent else 1_000)
        self.sent += 1
        self.submit_order(self.order_factory.market(config.instrument_id, side, size))
