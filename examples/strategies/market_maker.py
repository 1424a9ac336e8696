"""A market maker: a bid and an offer around the mid, moved whenever the market has moved, leaning against its stock."""

from decimal import Decimal

from nautilus_fleet import (
    InstrumentId,
    Order,
    OrderFilled,
    OrderSide,
    PositionSide,
    QuoteTick,
    Strategy,
    StrategyConfig,
)


class MarketMakerConfig(StrategyConfig, frozen=True):
    """`half_spread` and `move` are in price increments; the mid moves by `skew` of them for each unit of stock."""

    instrument_id: InstrumentId
    size: Decimal
    half_spread: int = 12
    move: int = 6
    skew: int = 3
    max_units: int = 5
    every: int = 1  # looks at each n-th quote


class MarketMaker(Strategy):
    """Quotes both sides; a side is left out when the stock has reached its bound."""

    def __init__(self, config: MarketMakerConfig) -> None:
        super().__init__(config)
        self.instrument = None
        self.quoted_mid: int | None = None
        self.orders: dict[OrderSide, Order] = {}
        self.stock = 0
        self.seen = 0

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.seen += 1
        if self.seen % self.config.every:
            return
        mid = (tick.bid_price.raw + tick.ask_price.raw) // 2
        if self.quoted_mid is not None and abs(mid - self.quoted_mid) < self.config.move:
            return
        self.quoted_mid = mid
        self.quote(mid)

    def on_order_filled(self, event: OrderFilled) -> None:
        self.stock += 1 if event.order_side is OrderSide.BUY else -1
        if self.quoted_mid is not None:
            self.quote(self.quoted_mid)

    def quote(self, mid: int) -> None:
        """Take both quotes away and put new ones in their place."""
        for order in self.orders.values():
            self.cancel_order(order)
        self.orders.clear()
        config = self.config
        middle = mid - self.stock * config.skew
        if self.stock < config.max_units:
            self.place(OrderSide.BUY, middle - config.half_spread)
        if self.stock > -config.max_units:
            self.place(OrderSide.SELL, middle + config.half_spread)

    def place(self, side: OrderSide, raw: int) -> None:
        instrument = self.instrument
        order = self.order_factory.limit(
            instrument_id=instrument.id,
            order_side=side,
            quantity=instrument.make_qty(self.config.size),
            price=instrument.make_price(Decimal(raw).scaleb(-instrument.price_precision)),
        )
        self.orders[side] = order
        self.submit_order(order)

    def on_stop(self) -> None:
        self.cancel_all_orders(self.config.instrument_id)
        for position in self.cache.positions_open(instrument_id=self.config.instrument_id):
            if position.side is not PositionSide.FLAT:
                self.close_position(position)
