"""The EMA cross of the reference results: act on each bar, never on a single-price one."""

from decimal import Decimal

from nautilus_fleet import (
    Bar,
    BarType,
    ExponentialMovingAverage,
    InstrumentId,
    OrderSide,
    Strategy,
    StrategyConfig,
    TimeInForce,
)


class EmaCrossConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    bar_type: BarType
    trade_size: Decimal
    fast_ema_period: int = 10
    slow_ema_period: int = 20
    close_positions_on_stop: bool = True


class EmaCross(Strategy):
    """Flat: trade in the direction of the averages. Against them: close everything, then trade."""

    def __init__(self, config: EmaCrossConfig) -> None:
        assert config.fast_ema_period < config.slow_ema_period, "the fast period must be the smaller one"
        super().__init__(config)
        self.fast_ema = ExponentialMovingAverage(config.fast_ema_period)
        self.slow_ema = ExponentialMovingAverage(config.slow_ema_period)
        self.instrument = None

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.instrument_id)
        if self.instrument is None:
            self.log.error(f"no instrument {self.config.instrument_id}")
            self.stop()
            return
        self.register_indicator_for_bars(self.config.bar_type, self.fast_ema)
        self.register_indicator_for_bars(self.config.bar_type, self.slow_ema)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        if not self.indicators_initialized():
            return
        if bar.is_single_price():
            return
        instrument_id = self.config.instrument_id
        if self.fast_ema.value >= self.slow_ema.value:
            if self.portfolio.is_flat(instrument_id):
                self.trade(OrderSide.BUY)
            elif self.portfolio.is_net_short(instrument_id):
                self.close_all_positions(instrument_id)
                self.trade(OrderSide.BUY)
        elif self.portfolio.is_flat(instrument_id):
            self.trade(OrderSide.SELL)
        elif self.portfolio.is_net_long(instrument_id):
            self.close_all_positions(instrument_id)
            self.trade(OrderSide.SELL)

    def trade(self, side: OrderSide) -> None:
        order = self.order_factory.market(
            instrument_id=self.config.instrument_id,
            order_side=side,
            quantity=self.instrument.make_qty(self.config.trade_size),
            time_in_force=TimeInForce.GTC,
        )
        self.submit_order(order)

    def on_stop(self) -> None:
        self.cancel_all_orders(self.config.instrument_id)
        if self.config.close_positions_on_stop:
            self.close_all_positions(self.config.instrument_id, reduce_only=True)
        self.unsubscribe_bars(self.config.bar_type)

    def on_reset(self) -> None:
        self.fast_ema.reset()
        self.slow_ema.reset()
