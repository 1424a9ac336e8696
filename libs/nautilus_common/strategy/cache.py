"""The cache: what a strategy may look up - instruments, market data, orders, positions, accounts - as of now.

Everything is a projection of what the host was told; nothing is asked of anybody. Market data are read from the columns
when they are asked for: nothing is copied in case somebody might ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from nautilus_common.model.enums import OrderSide, OrderStatus, PositionSide, PriceType
from nautilus_common.model.identifiers import AccountId, ClientOrderId, InstrumentId, PositionId, StrategyId, Venue
from nautilus_common.model.values import Currency, Price
from nautilus_common.strategy.ticks import TickMaker

if TYPE_CHECKING:
    from nautilus_common.model.account import Account
    from nautilus_common.model.data import Bar, BarType, QuoteTick, TradeTick
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.ledger import Ledger
    from nautilus_common.model.orders import Order
    from nautilus_common.model.position import Position
    from nautilus_common.strategy.order_index import OrderIndex
    from nautilus_common.streams import MarketView, StreamView

CAPACITY = 10_000
"""How many ticks and bars of each kind can be looked up; index 0 is the newest."""


class CacheSource(Protocol):
    """What a cache asks of its host."""

    ledger: Ledger
    view: MarketView
    instruments: dict[InstrumentId, Instrument]

    def sync(self) -> None:
        """Bring the view to the tag of what is being told."""

    def internal_bars(self, bar_type: BarType) -> list[Bar] | None:
        """Bars built inside, oldest first; None when nobody asked for the type."""

    def internal_bar_types(self) -> list[BarType]: ...


class Cache:
    """Look-ups by NautilusTrader's names. What is missing is None, or an empty list."""

    def __init__(self, source: CacheSource, orders: OrderIndex) -> None:
        self._source = source
        self._orders = orders
        self._makers: dict[int, TickMaker] = {}
        self._general: dict[str, bytes] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_makers": {}}

    # -- instruments and accounts ------------------------------------------------------------------------------------

    def instrument(self, instrument_id: InstrumentId) -> Instrument | None:
        return self._source.instruments.get(instrument_id)

    def instruments(self, venue: Venue | None = None) -> list[Instrument]:
        return [i for i in self._source.instruments.values() if venue is None or i.id.venue == venue]

    def instrument_ids(self, venue: Venue | None = None) -> list[InstrumentId]:
        return [instrument.id for instrument in self.instruments(venue)]

    def account(self, account_id: AccountId) -> Account | None:
        return self._source.ledger.accounts.get(account_id)

    def account_for_venue(self, venue: Venue) -> Account | None:
        return self._source.ledger.by_venue.get(venue)

    def account_id(self, venue: Venue) -> AccountId | None:
        account = self.account_for_venue(venue)
        return None if account is None else account.id

    def accounts(self) -> list[Account]:
        return list(self._source.ledger.accounts.values())

    # -- market data -------------------------------------------------------------------------------------------------

    def quote_tick(self, instrument_id: InstrumentId, index: int = 0) -> QuoteTick | None:
        stream = self._stream("quote", instrument_id)
        return None if stream is None else self._row(stream, index)  # type: ignore[return-value]

    def trade_tick(self, instrument_id: InstrumentId, index: int = 0) -> TradeTick | None:
        stream = self._stream("trade", instrument_id)
        return None if stream is None else self._row(stream, index)  # type: ignore[return-value]

    def quote_ticks(self, instrument_id: InstrumentId) -> list[QuoteTick]:
        """The newest quotes, newest first, at most `CAPACITY`."""
        stream = self._stream("quote", instrument_id)
        return [] if stream is None else self._rows(stream)  # type: ignore[return-value]

    def trade_ticks(self, instrument_id: InstrumentId) -> list[TradeTick]:
        """The newest trades, newest first, at most `CAPACITY`."""
        stream = self._stream("trade", instrument_id)
        return [] if stream is None else self._rows(stream)  # type: ignore[return-value]

    def quote_tick_count(self, instrument_id: InstrumentId) -> int:
        stream = self._stream("quote", instrument_id)
        return 0 if stream is None else min(stream.taken, CAPACITY)

    def trade_tick_count(self, instrument_id: InstrumentId) -> int:
        stream = self._stream("trade", instrument_id)
        return 0 if stream is None else min(stream.taken, CAPACITY)

    def has_quote_ticks(self, instrument_id: InstrumentId) -> bool:
        return self.quote_tick_count(instrument_id) > 0

    def has_trade_ticks(self, instrument_id: InstrumentId) -> bool:
        return self.trade_tick_count(instrument_id) > 0

    def bar(self, bar_type: BarType, index: int = 0) -> Bar | None:
        internal = self._source.internal_bars(bar_type.standard())
        if internal is not None:
            return internal[-1 - index] if index < len(internal) else None
        stream = self._bar_stream(bar_type)
        return None if stream is None else self._row(stream, index)  # type: ignore[return-value]

    def bars(self, bar_type: BarType) -> list[Bar]:
        """The newest bars, newest first, at most `CAPACITY`."""
        internal = self._source.internal_bars(bar_type.standard())
        if internal is not None:
            return internal[::-1][:CAPACITY]
        stream = self._bar_stream(bar_type)
        return [] if stream is None else self._rows(stream)  # type: ignore[return-value]

    def bar_count(self, bar_type: BarType) -> int:
        internal = self._source.internal_bars(bar_type.standard())
        if internal is not None:
            return min(len(internal), CAPACITY)
        stream = self._bar_stream(bar_type)
        return 0 if stream is None else min(stream.taken, CAPACITY)

    def has_bars(self, bar_type: BarType) -> bool:
        return self.bar_count(bar_type) > 0

    def bar_types(self, instrument_id: InstrumentId | None = None) -> list[BarType]:
        external = [s.spec.bar_type for s in self._source.view.streams if s.spec.bar_type is not None]
        types = [*external, *self._source.internal_bar_types()]
        return [t for t in types if instrument_id is None or t.instrument_id == instrument_id]

    def price(self, instrument_id: InstrumentId, price_type: PriceType) -> Price | None:
        """The newest price of a side, the mean of both, or the last trade's."""
        if price_type == PriceType.LAST:
            trade = self.trade_tick(instrument_id)
            return None if trade is None else trade.price
        quote = self.quote_tick(instrument_id)
        return None if quote is None else quote.extract_price(price_type)

    def get_xrate(
        self, venue: Venue, from_currency: Currency, to_currency: Currency, price_type: PriceType = PriceType.MID
    ) -> float | None:
        """How much of `to_currency` one unit of `from_currency` is; None when no price connects them."""
        self._source.sync()
        xrates = self._source.ledger.xrates
        low = xrates.rate(from_currency, to_currency, venue, bid=True)
        high = xrates.rate(from_currency, to_currency, venue, bid=False)
        if low is None or high is None:
            return None
        if price_type == PriceType.BID:
            return low[0] / low[1]
        if price_type == PriceType.ASK:
            return high[0] / high[1]
        return (low[0] * high[1] + high[0] * low[1]) / (2 * low[1] * high[1])

    def _stream(self, kind: str, instrument_id: InstrumentId) -> StreamView | None:
        self._source.sync()
        return self._source.view.last_of(kind, instrument_id)

    def _bar_stream(self, bar_type: BarType) -> StreamView | None:
        self._source.sync()
        for stream in self._source.view.streams:
            if stream.spec.bar_type == bar_type and stream.has_row:
                return stream
        return None

    def _row(self, stream: StreamView, index: int) -> QuoteTick | TradeTick | Bar | None:
        if index < 0 or index >= min(stream.taken, CAPACITY):
            return None
        found: QuoteTick | TradeTick | Bar = self._maker(stream).one(index)
        return found

    def _rows(self, stream: StreamView) -> list[QuoteTick | TradeTick | Bar]:
        maker = self._maker(stream)
        return [maker.one(index) for index in range(min(stream.taken, CAPACITY))]

    def _maker(self, stream: StreamView) -> TickMaker:
        maker = self._makers.get(stream.spec.rank)
        if maker is None:
            instrument = self._source.instruments[stream.spec.instrument_id]
            maker = self._makers[stream.spec.rank] = TickMaker(stream, instrument)
        return maker

    # -- orders ------------------------------------------------------------------------------------------------------

    def order(self, client_order_id: ClientOrderId) -> Order | None:
        return self._orders.get(client_order_id)

    def order_exists(self, client_order_id: ClientOrderId) -> bool:
        return client_order_id in self._orders

    def orders(
        self,
        venue: Venue | None = None,
        instrument_id: InstrumentId | None = None,
        strategy_id: StrategyId | None = None,
        side: OrderSide = OrderSide.NO_ORDER_SIDE,
    ) -> list[Order]:
        return _filter_orders(self._orders, venue, instrument_id, strategy_id, side)

    def orders_open(
        self,
        venue: Venue | None = None,
        instrument_id: InstrumentId | None = None,
        strategy_id: StrategyId | None = None,
        side: OrderSide = OrderSide.NO_ORDER_SIDE,
    ) -> list[Order]:
        found = _filter_orders(self._orders.active.values(), venue, instrument_id, strategy_id, side)
        return [order for order in found if order.is_open]

    def orders_inflight(
        self,
        venue: Venue | None = None,
        instrument_id: InstrumentId | None = None,
        strategy_id: StrategyId | None = None,
        side: OrderSide = OrderSide.NO_ORDER_SIDE,
    ) -> list[Order]:
        found = _filter_orders(self._orders.active.values(), venue, instrument_id, strategy_id, side)
        return [order for order in found if order.is_inflight]

    def orders_closed(
        self,
        venue: Venue | None = None,
        instrument_id: InstrumentId | None = None,
        strategy_id: StrategyId | None = None,
        side: OrderSide = OrderSide.NO_ORDER_SIDE,
    ) -> list[Order]:
        found = _filter_orders(self._orders, venue, instrument_id, strategy_id, side)
        return [order for order in found if order.is_closed]

    def is_order_open(self, client_order_id: ClientOrderId) -> bool:
        order = self._orders.active.get(client_order_id)
        return order is not None and order.is_open

    def is_order_closed(self, client_order_id: ClientOrderId) -> bool:
        order = self._orders.get(client_order_id)
        return order is not None and order.is_closed

    def is_order_inflight(self, client_order_id: ClientOrderId) -> bool:
        order = self._orders.active.get(client_order_id)
        return order is not None and order.is_inflight

    def orders_total_count(self, **filters: object) -> int:
        return len(self.orders(**filters)) if filters else len(self._orders)  # type: ignore[arg-type]

    def orders_open_count(self, **filters: object) -> int:
        return len(self.orders_open(**filters))  # type: ignore[arg-type]

    def orders_inflight_count(self, **filters: object) -> int:
        return len(self.orders_inflight(**filters))  # type: ignore[arg-type]

    def orders_closed_count(self, **filters: object) -> int:
        return len(self.orders_closed(**filters)) if filters else self._orders.closed_count  # type: ignore[arg-type]

    # -- positions ---------------------------------------------------------------------------------------------------

    def position(self, position_id: PositionId) -> Position | None:
        return self._source.ledger.positions.get(position_id)

    def position_for_order(self, client_order_id: ClientOrderId) -> Position | None:
        order = self._orders.get(client_order_id)
        if order is None or order.position_id is None:
            return None
        return self.position(order.position_id)

    def positions(
        self,
        venue: Venue | None = None,
        instrument_id: InstrumentId | None = None,
        strategy_id: StrategyId | None = None,
        side: PositionSide = PositionSide.NO_POSITION_SIDE,
    ) -> list[Position]:
        return _filter_positions(self._source.ledger.positions.values(), venue, instrument_id, strategy_id, side)

    def positions_open(
        self,
        venue: Venue | None = None,
        instrument_id: InstrumentId | None = None,
        strategy_id: StrategyId | None = None,
        side: PositionSide = PositionSide.NO_POSITION_SIDE,
    ) -> list[Position]:
        by_instrument = self._source.ledger.open_positions
        groups = list(by_instrument.values()) if instrument_id is None else [by_instrument.get(instrument_id, {})]
        found = [position for group in groups for position in group.values()]
        return _filter_positions(found, venue, None, strategy_id, side)

    def positions_closed(
        self,
        venue: Venue | None = None,
        instrument_id: InstrumentId | None = None,
        strategy_id: StrategyId | None = None,
    ) -> list[Position]:
        found = self.positions(venue, instrument_id, strategy_id)
        return [position for position in found if position.is_closed]

    def position_snapshots(self, position_id: PositionId | None = None) -> list[Position]:
        """Closed lives of netting positions whose id has been used again."""
        return [p for p in self._source.ledger.snapshots if position_id is None or p.id == position_id]

    def positions_open_count(self, **filters: object) -> int:
        return len(self.positions_open(**filters))  # type: ignore[arg-type]

    def positions_closed_count(self, **filters: object) -> int:
        return len(self.positions_closed(**filters))  # type: ignore[arg-type]

    def positions_total_count(self, **filters: object) -> int:
        return len(self.positions(**filters))  # type: ignore[arg-type]

    def position_exists(self, position_id: PositionId) -> bool:
        return position_id in self._source.ledger.positions

    def is_position_open(self, position_id: PositionId) -> bool:
        position = self.position(position_id)
        return position is not None and position.is_open

    def is_position_closed(self, position_id: PositionId) -> bool:
        position = self.position(position_id)
        return position is not None and position.is_closed

    # -- general -----------------------------------------------------------------------------------------------------

    def add(self, key: str, value: bytes) -> None:
        self._general[key] = value

    def get(self, key: str) -> bytes | None:
        return self._general.get(key)


def _filter_orders(
    orders: Iterable[Order],
    venue: Venue | None,
    instrument_id: InstrumentId | None,
    strategy_id: StrategyId | None,
    side: OrderSide,
) -> list[Order]:
    return [
        order
        for order in orders
        if (venue is None or order.instrument_id.venue == venue)
        and (instrument_id is None or order.instrument_id == instrument_id)
        and (strategy_id is None or order.strategy_id == strategy_id)
        and (side in (OrderSide.NO_ORDER_SIDE, order.side))
        and order.status != OrderStatus.INITIALIZED
    ]


def _filter_positions(
    positions: Iterable[Position],
    venue: Venue | None,
    instrument_id: InstrumentId | None,
    strategy_id: StrategyId | None,
    side: PositionSide,
) -> list[Position]:
    return [
        position
        for position in positions
        if (venue is None or position.instrument_id.venue == venue)
        and (instrument_id is None or position.instrument_id == instrument_id)
        and (strategy_id is None or position.strategy_id == strategy_id)
        and (side in (PositionSide.NO_POSITION_SIDE, position.side))
    ]
