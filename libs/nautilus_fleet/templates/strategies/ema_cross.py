"""Two moving averages: long while the fast one is above the slow one, short while it is below."""

from decimal import Decimal

from nautilus_fleet import Bar, BarType, ExponentialMovingAverage, OrderSide, Strategy, StrategyConfig


class EmaCrossConfig(StrategyConfig, frozen=True):
    bar_type: BarType
    trade_size: Decimal
    fast: int = 20
    slow: int = 80


class EmaCross(Strategy):
    def __init__(self, config: EmaCrossConfig) -> None:
        super().__init__(config)
        self.fast = ExponentialMovingAverage(config.fast)
        self.slow = ExponentialMovingAverage(config.slow)

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.bar_type.instrument_id)
        self.register_indicator_for_bars(self.config.bar_type, self.fast)
        self.register_indicator_for_bars(self.config.bar_type, self.slow)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        if not self.indicators_initialized():
            return
        side = OrderSide.BUY if self.fast.value >= self.slow.value else OrderSide.SELL
        long = self.portfolio.is_net_long(self.instrument.id)
        if self.portfolio.is_flat(self.instrument.id) or long != (side == OrderSide.BUY):
            self.close_all_positions(self.instrument.id)
            size = self.instrument.make_qty(self.config.trade_size)
            self.submit_order(self.order_factory.market(self.instrument.id, side, size))

    def on_stop(self) -> None:
        self.close_all_positions(self.config.bar_type.instrument_id)
