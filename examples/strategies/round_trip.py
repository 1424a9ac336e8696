"""Buy at one datum, sell at another: the smallest strategy whose money can be checked by hand."""

from decimal import Decimal

from nautilus_fleet import Bar, BarType, InstrumentId, OrderSide, QuoteTick, Strategy, StrategyConfig


class RoundTripConfig(StrategyConfig, frozen=True):
    """Counts begin at 0. With `bar_type` bars are counted, without it quotes."""

    instrument_id: InstrumentId
    trade_size: Decimal
    buy_at: int
    sell_at: int
    bar_type: BarType | None = None


class RoundTrip(Strategy):
    def __init__(self, config: RoundTripConfig) -> None:
        super().__init__(config)
        self.count = 0

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.instrument_id)
        if self.config.bar_type is not None:
            self.subscribe_bars(self.config.bar_type)
        else:
            self.subscribe_quote_ticks(self.config.instrument_id)

    def on_bar(self, bar: Bar) -> None:
        self.step()

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.step()

    def step(self) -> None:
        if self.count == self.config.buy_at:
            self.trade(OrderSide.BUY)
        elif self.count == self.config.sell_at:
            self.trade(OrderSide.SELL)
        self.count += 1

    def trade(self, side: OrderSide) -> None:
        quantity = self.instrument.make_qty(self.config.trade_size)
        self.submit_order(self.order_factory.market(self.config.instrument_id, side, quantity))

    def on_reset(self) -> None:
        self.count = 0
