"""One instrument at the simulated venue: its top of book, its resting orders, and how far it has looked ahead."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from nautilus_common.engine import INF, MAX_NS, Tag
from nautilus_common.model.enums import AggregationSource, OrderSide, OrderType, PriceType, TimeInForce, TriggerType
from nautilus_common.model.rounding import raw_at
from nautilus_common.model.terms import Terms

if TYPE_CHECKING:
    from nautilus_common.messages.events import OrderInitialized
    from nautilus_common.model.identifiers import PositionId, VenueOrderId
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.streams import StreamView

GALLOP = 256
NO_BUY = -MAX_NS  # a level that no price can reach from the side it guards
NO_SELL = MAX_NS

BUY = OrderSide.BUY
LAST_PRICE = TriggerType.LAST_PRICE
GTD = TimeInForce.GTD
STOP_TYPES = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)


class VenueOrder:
    """An order as the venue holds it."""

    __slots__ = (
        "arrival",
        "expire_ns",
        "filled_raw",
        "init",
        "is_buy",
        "is_open",
        "is_stop",
        "on_last",
        "position_id",
        "price_raw",
        "quantity_raw",
        "trigger_raw",
        "venue_order_id",
    )

    def __init__(self, init: OrderInitialized, position_id: PositionId, arrival: int, instrument: Instrument) -> None:
        price, trigger = init.price, init.trigger_price
        price_precision = instrument.price_precision
        self.init = init
        self.position_id = position_id
        self.arrival = arrival
        self.venue_order_id: VenueOrderId | None = None
        self.is_buy: bool = init.order_side is BUY
        self.is_stop: bool = init.order_type in STOP_TYPES
        self.on_last = init.trigger_type is LAST_PRICE
        self.price_raw: int | None = None if price is None else raw_at(price, price_precision)
        self.trigger_raw: int | None = None if trigger is None else raw_at(trigger, price_precision)
        self.quantity_raw: int = raw_at(init.quantity, instrument.size_precision)
        self.filled_raw = 0
        self.expire_ns: int = init.expire_time_ns if init.time_in_force is GTD else 0
        self.is_open = True

    @property
    def leaves_raw(self) -> int:
        return self.quantity_raw - self.filled_raw

    @property
    def level(self) -> int:
        """The price at which the market makes it act."""
        level = self.trigger_raw if self.is_stop else self.price_raw
        assert level is not None
        return level


class Scan:
    """How far one stream has been looked through for the next row that could make an order act."""

    __slots__ = ("awaited_ns", "hit", "pos", "step", "view")

    def __init__(self, view: StreamView) -> None:
        self.view = view
        self.awaited_ns = -1  # a row of this time matters whatever its prices are
        self.restart()

    def restart(self) -> None:
        self.pos = 0
        self.step = GALLOP
        self.hit = False


class Market:
    """Top of book and resting orders of one instrument."""

    _kernels: ModuleType | None = None

    def __init__(self, instrument: Instrument, ordinal: int, views: list[StreamView], *, bar_execution: bool) -> None:
        self.instrument = instrument
        self.terms = Terms(instrument)
        self.ordinal = ordinal
        self.tick: int = instrument.price_increment.raw
        used = [view for view in views if view.spec.kind != "bar"]
        if not used and bar_execution:  # beside ticks a bar would match again what they have matched
            used = [view for view in views if _is_external(view)]
        self.scans = [Scan(view) for view in used]
        self.quotes = [view for view in used if view.spec.kind == "quote"]
        self.trades = [view for view in used if view.spec.kind == "trade"]
        self.bars = [view for view in used if view.spec.kind == "bar"]
        self.bid = self.ask = 0
        self.bid_size = self.ask_size = 0
        self.is_set = False
        self.orders: dict[object, VenueOrder] = {}
        self.held: list[VenueOrder] = []
        self.executions = 0
        self._levels: tuple[int, int, int, int] | None = None

    # -- prices ------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the top of book to the newest row taken: of quotes, else of trades, else of bars."""
        view = _newest(self.quotes)
        if view is not None:
            value = view.value
            self.bid, self.ask = value("bid"), value("ask")
            self.bid_size, self.ask_size = value("bid_size"), value("ask_size")
            self.is_set = True
            return
        view = _newest(self.trades)
        if view is not None:
            price, size = view.value("price"), view.value("size")
            self.set_top(price, price, size, size)
        elif self.bars:
            self._refresh_from_bars()

    def _refresh_from_bars(self) -> None:
        """BID and ASK bars each set their own side, where there are both; any other bar sets both."""
        sides = {bar_price_type(view) for view in self.bars}
        paired = PriceType.BID in sides and PriceType.ASK in sides
        for view in self.bars:
            if not view.has_row:
                continue
            close, size = view.value("close"), closing_size(view.value("volume"), self.instrument.size_increment.raw)
            price_type = bar_price_type(view)
            if price_type != PriceType.ASK or not paired or not self.is_set:
                self.bid, self.bid_size = close, size
            if price_type != PriceType.BID or not paired or not self.is_set:
                self.ask, self.ask_size = close, size
            self.is_set = True

    def set_top(self, bid: int, ask: int, bid_size: int, ask_size: int) -> None:
        self.bid, self.ask, self.bid_size, self.ask_size = bid, ask, bid_size, ask_size
        self.is_set = True

    # -- orders ------------------------------------------------------------------------------------------------------

    def add(self, order: VenueOrder) -> None:
        self.orders[order.init.client_order_id] = order
        self.changed()

    def remove(self, order: VenueOrder) -> None:
        order.is_open = False
        if self.orders.pop(order.init.client_order_id, None) is not None:
            self.changed()
        elif order in self.held:
            self.held.remove(order)

    def changed(self) -> None:
        """Orders changed: what was looked through must be looked through again."""
        self._levels = None
        for scan in self.scans:
            scan.restart()

    def await_row(self, view: StreamView, ts_ns: int) -> None:
        """A row of `view` at `ts_ns`, if there is one, is the second half of what was just taken."""
        for scan in self.scans:
            if scan.view is view:
                scan.awaited_ns = ts_ns

    def by_priority(self) -> list[VenueOrder]:
        """Buys, then sells; the nearest price first, then the oldest."""
        buys = sorted((o for o in self.orders.values() if o.is_buy), key=_buy_priority)
        sells = sorted((o for o in self.orders.values() if not o.is_buy), key=_sell_priority)
        return buys + sells

    def levels(self) -> tuple[int, int, int, int]:
        """(highest buy limit, lowest sell limit, lowest buy stop, highest sell stop): what a row must reach to
        matter.
        """
        if self._levels is None:
            buy_limit, sell_limit, buy_stop, sell_stop = NO_BUY, NO_SELL, NO_SELL, NO_BUY
            for order in self.orders.values():
                level = order.level
                if order.is_stop:
                    if order.is_buy:
                        buy_stop = min(buy_stop, level)
                    else:
                        sell_stop = max(sell_stop, level)
                elif order.is_buy:
                    buy_limit = max(buy_limit, level)
                else:
                    sell_limit = min(sell_limit, level)
            self._levels = (buy_limit, sell_limit, buy_stop, sell_stop)
        return self._levels

    # -- looking ahead -----------------------------------------------------------------------------------------------

    def next_tag(self) -> tuple[Tag, Scan | None, bool]:
        """(tag, scan, sure): the next row at which an order may act, or, when not `sure`, how far was looked."""
        best, best_scan, sure = INF, None, True
        if not self.orders and not self.held:
            return best, best_scan, sure
        for scan in self.scans:
            tag, hit = self._look(scan)
            if tag < best:
                best, best_scan, sure = tag, scan, hit
        return best, best_scan, sure

    def _look(self, scan: Scan) -> tuple[Tag, bool]:
        view = scan.view
        if self.held:
            return (view.tag_of(view.pos), True) if view.pos < view.length else (INF, True)
        if scan.awaited_ns >= 0 and view.pos < view.length and view.ts[view.pos] == scan.awaited_ns:
            return view.tag_of(view.pos), True
        start = max(scan.pos, view.pos)
        if scan.hit and scan.pos >= view.pos:
            return view.tag_of(scan.pos), True
        if start >= view.length:
            return INF, True
        stop = min(start + scan.step, view.length)
        index = self._scan(view, start, stop)
        scan.pos = index
        scan.hit = index < stop
        scan.step *= 2
        if index >= view.length:
            return INF, True
        return view.tag_of(index), scan.hit

    def _scan(self, view: StreamView, start: int, stop: int) -> int:
        """The first of rows [start, stop) that reaches a level, or `stop`."""
        scan = self._kernels or self._load_kernels()
        columns = view.columns
        kind = view.spec.kind
        if kind == "quote":
            return int(scan.next_quote_trigger(columns["bid"], columns["ask"], start, stop, *self.levels()))
        if kind == "trade":
            return int(scan.next_trade_trigger(columns["price"], columns["aggressor"], start, stop, *self.levels()))
        return int(scan.next_bar_trigger(columns["high"], columns["low"], start, stop, *self.levels()))

    @classmethod
    def _load_kernels(cls) -> ModuleType:
        """numba is heavy: it is not loaded before an order rests."""
        from nautilus_common.kernels import scan

        cls._kernels = scan
        return scan

    def on_feed(self, rank: int) -> None:
        for scan in self.scans:
            if scan.view.spec.rank == rank:
                scan.restart()


def bar_price_type(view: StreamView) -> PriceType:
    bar_type = view.spec.bar_type
    assert bar_type is not None
    return bar_type.spec.price_type


def closing_size(volume: int, increment: int) -> int:
    """Size of the last of the four points that a bar is executed at: what three quarters leave."""
    return max(volume - 3 * quarter_size(volume, increment), increment)


def quarter_size(volume: int, increment: int) -> int:
    """A quarter of `volume`, rounded down to the size increment, at least one increment."""
    return max(volume // 4 // increment * increment, increment)


def _is_external(view: StreamView) -> bool:
    bar_type = view.spec.bar_type
    assert bar_type is not None
    return bar_type.aggregation_source == AggregationSource.EXTERNAL


def _newest(views: list[StreamView]) -> StreamView | None:
    if len(views) == 1:
        return views[0] if views[0].has_row else None
    best = None
    for view in views:
        if view.has_row and (best is None or view.value("ts_init") >= best.value("ts_init")):
            best = view
    return best


def _buy_priority(order: VenueOrder) -> tuple[int, int]:
    return -order.level, order.arrival


def _sell_priority(order: VenueOrder) -> tuple[int, int]:
    return order.level, order.arrival
