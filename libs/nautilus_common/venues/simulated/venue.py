"""The venue simulator: what a venue does with commands and market data, at the top of the book (L1).

It takes a row before anybody else, matches its resting orders against it, and says what happened; a command acts on the
book as it is at the command's tag. Prices and sizes are raw integers; the rules are those of docs/explain/fills.md.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from nautilus_common.engine import INF, PHASE_EXPIRY, Tag
from nautilus_common.messages.events import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderFilled,
    OrderModifyRejected,
    OrderRejected,
    OrderTriggered,
    OrderUpdated,
)
from nautilus_common.model.enums import LiquiditySide, OmsType, OrderSide, OrderType, TimeInForce
from nautilus_common.model.identifiers import (
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    VenueOrderId,
    unchecked_position_id,
    unchecked_trade_id,
    unchecked_venue_order_id,
)
from nautilus_common.model.rounding import raw_at
from nautilus_common.model.values import Price, price_from_raw, quantity_from_raw
from nautilus_common.venues.simulated.bars import bar_points
from nautilus_common.venues.simulated.market import Market, Scan, VenueOrder

if TYPE_CHECKING:
    from nautilus_common.messages.base import Message
    from nautilus_common.messages.commands import CancelAllOrders, CancelOrder, ModifyOrder, SubmitOrder
    from nautilus_common.messages.events import OrderInitialized
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.venues.simulated.config import SimulatedVenueConfig

RAW_MAX = 2**63 - 1
DAY_NS = 86_400_000_000_000

# Members of enums are slow to look up where every order passes.
MARKET, STOP_MARKET = OrderType.MARKET, OrderType.STOP_MARKET
IOC, FOK, GTD, DAY = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD, TimeInForce.DAY
MAKER, TAKER = LiquiditySide.MAKER, LiquiditySide.TAKER

Say = Callable[[StrategyId, "Message"], None]


class SimulatedVenue:
    """Orders and markets of one venue. `say(strategy_id, event)` is given for the length of each call."""

    def __init__(self, config: SimulatedVenueConfig, markets: list[Market], rank: int) -> None:
        self.config = config
        self.markets = {market.instrument.id: market for market in markets}
        self._rank = rank
        self._name = config.venue.value
        self._account_id = config.account.account_id
        self._hedging = config.account.oms_type == OmsType.HEDGING
        self._known: dict[ClientOrderId, VenueOrder] = {}
        self._closed: set[str] = set()  # ids of orders that were known and are forgotten but for this
        self._positions: dict[PositionId, int] = {}
        self._instrument_ids: dict[PositionId, InstrumentId] = {}
        self._netting_ids: dict[tuple[InstrumentId, StrategyId], PositionId] = {}
        self._arrivals = 0
        self._order_counts: dict[InstrumentId, int] = {}
        self._position_counts: dict[InstrumentId, int] = {}
        self._expiries: list[tuple[int, int, VenueOrder]] = []
        self._say: Say = _nobody
        self._ts = 0

    def __getstate__(self) -> dict[str, object]:
        """What a snapshot keeps; of closed orders their ids, of positions texts and numbers."""
        self._forget_closed()
        positions = [(key.value, raw) for key, raw in self._positions.items()]
        instrument_ids = [(key.value, value) for key, value in self._instrument_ids.items()]
        return {**self.__dict__, "_positions": positions, "_instrument_ids": instrument_ids, "_say": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._positions = {unchecked_position_id(text): raw for text, raw in state["_positions"]}
        self._instrument_ids = {unchecked_position_id(text): value for text, value in state["_instrument_ids"]}
        self._say = _nobody

    def _forget_closed(self) -> None:
        closed = [client_order_id for client_order_id, order in self._known.items() if not order.is_open]
        for client_order_id in closed:
            del self._known[client_order_id]
            self._closed.add(client_order_id.value)
        self._expiries = [expiry for expiry in self._expiries if expiry[2].is_open]
        heapify(self._expiries)

    # -- what comes next ---------------------------------------------------------------------------------------------

    def next_row(self) -> tuple[Tag, Market | None, Scan | None, bool]:
        """The next row at which an order may act, over all markets; `False` last: only how far was looked."""
        best: tuple[Tag, Market | None, Scan | None, bool] = (INF, None, None, True)
        for market in self.markets.values():
            tag, scan, sure = market.next_tag()
            if tag < best[0]:
                best = (tag, market, scan, sure)
        return best

    def next_expiry(self) -> Tag:
        expiries = self._expiries
        while expiries and not expiries[0][2].is_open:
            heappop(expiries)
        if not expiries:
            return INF
        return (expiries[0][0], PHASE_EXPIRY, self._rank, expiries[0][1], 0, self._rank, 0)

    # -- rows and expiries -------------------------------------------------------------------------------------------

    def take_row(self, market: Market, scan: Scan, ts_ns: int, say: Say) -> bool:
        """Match the resting orders against the row just taken; True when held orders have their first price now."""
        self._say, self._ts = say, ts_ns
        kind = scan.view.spec.kind
        if kind == "bar":
            self._match_bar(market, scan)
        elif kind == "trade" and market.quotes and any(view.has_row for view in market.quotes):
            self._match_trade(market, scan)
        else:
            market.refresh()
            self._match_book(market)
        return bool(market.held) and market.is_set

    def release_held(self, market: Market, ts_ns: int, say: Say) -> None:
        """Carry out the market orders that came before the instrument had any price."""
        self._say, self._ts = say, ts_ns
        held, market.held = market.held, []
        for order in held:
            if order.is_open:
                self._fill_aggressively(market, order)

    def expire(self, ts_ns: int, say: Say) -> None:
        self._say, self._ts = say, ts_ns
        order = heappop(self._expiries)[2]
        self._market(order).remove(order)
        self._event(order, OrderExpired)

    def _match_book(self, market: Market) -> None:
        for order in market.by_priority():
            if not order.is_open:
                continue
            if order.is_stop:
                if self._stop_reached(market, order):
                    self._trigger(market, order)
            elif self._limit_reached(market, order):
                self._fill_passively(market, order, market.ask_size if order.is_buy else market.bid_size)

    def _match_trade(self, market: Market, scan: Scan) -> None:
        """A trade beside a quoted book: a seller's trade can fill buy orders at their price, and a buyer's sell
        orders.
        """
        if not self.config.trade_execution:
            return
        market.refresh()
        price, size, aggressor = (scan.view.value(name) for name in ("price", "size", "aggressor"))
        for order in market.by_priority():
            if not order.is_open:
                continue
            if order.is_stop:
                if order.on_last and _reached(order.is_buy, price, order.level):
                    self._trigger(market, order)
            elif aggressor != (1 if order.is_buy else 2) and self._passed(order, price):
                self._fill_passively(market, order, size)

    def _match_bar(self, market: Market, scan: Scan) -> None:
        """Walk the four points of a bar; between points a stop fills at its trigger price, at the open at the open."""
        points, awaited = bar_points(market, scan.view, adaptive=self.config.bar_adaptive_high_low_ordering)
        if awaited is not None:
            market.await_row(awaited, self._ts)
        for point in points:
            market.set_top(point.bid, point.ask, point.size, point.size)
            for order in market.by_priority():
                if not order.is_open:
                    continue
                if not order.is_stop:
                    if self._limit_reached(market, order):
                        self._fill_passively(market, order, point.size)
                elif self._stop_reached(market, order):
                    self._trigger(market, order, at=None if point.is_open else order.level)

    def _limit_reached(self, market: Market, order: VenueOrder) -> bool:
        return self._passed(order, market.ask if order.is_buy else market.bid)

    def _passed(self, order: VenueOrder, price: int) -> bool:
        """True when the market at `price` fills a resting limit order; at exactly its price, by the fill model's
        chance.
        """
        level = order.level
        if price == level:
            return self.config.fill_model.is_limit_filled()
        return price < level if order.is_buy else price > level

    def _stop_reached(self, market: Market, order: VenueOrder) -> bool:
        return not (order.on_last and market.quotes and market.trades) and _reached(
            order.is_buy, market.ask if order.is_buy else market.bid, order.level
        )

    def _trigger(self, market: Market, order: VenueOrder, at: int | None = None) -> None:
        """A stop is reached, at the price `at` when that lies within a bar: it fills, or becomes a limit order."""
        if order.init.order_type is STOP_MARKET:
            market.remove(order)
            order.is_open = True
            self._fill_aggressively(market, order, at)
            return
        order.is_stop = False
        market.changed()
        self._event(order, OrderTriggered)
        assert order.price_raw is not None
        best = at if at is not None else market.ask if order.is_buy else market.bid
        self._arrive(market, order, best)

    def _arrive(self, market: Market, order: VenueOrder, best: int) -> None:
        """A limit order meets the market, whose best opposite price is `best`: it takes, or it is refused, or it
        may rest.
        """
        assert order.price_raw is not None
        if order.price_raw >= best if order.is_buy else order.price_raw <= best:
            if order.init.post_only:
                market.remove(order)
                self._say_rejected(order, self._post_only_reason(market, order))
            else:
                self._fill_limit_on_arrival(market, order, best)
        elif order.init.time_in_force in (IOC, FOK):
            self._cancel(market, order)

    # -- commands ----------------------------------------------------------------------------------------------------

    def submit(self, command: SubmitOrder, ts_ns: int, say: Say) -> None:
        self._say, self._ts = say, ts_ns
        init = command.order
        market = self.markets.get(init.instrument_id)
        assert market is not None, f"risk let pass an order for {init.instrument_id}, which {self._name} does not trade"
        market.refresh()
        self._arrivals += 1
        order = VenueOrder(init, self._position_for(command), self._arrivals, market.instrument)
        self._known[init.client_order_id] = order
        self._instrument_ids.setdefault(order.position_id, init.instrument_id)
        reason = self._refusal(market, order)
        if reason is not None:
            order.is_open = False
            self._say_rejected(order, reason)
            return
        order.venue_order_id = self._next_venue_order_id(market)
        if init.order_type is MARKET:
            self._submit_market(market, order)
        else:
            self._submit_priced(market, order)

    def _submit_market(self, market: Market, order: VenueOrder) -> None:
        if self.config.use_market_order_acks:
            self._event(order, OrderAccepted)
        if not market.is_set or market.held:
            market.held.append(order)
            market.changed()
            return
        self._fill_aggressively(market, order)

    def _submit_priced(self, market: Market, order: VenueOrder) -> None:
        self._event(order, OrderAccepted)
        if order.init.time_in_force is DAY:
            order.expire_ns = (self._ts // DAY_NS + 1) * DAY_NS
        if order.is_stop:
            if market.is_set and self._stop_reached(market, order):
                self._trigger(market, order)
        elif market.is_set:
            self._arrive(market, order, market.ask if order.is_buy else market.bid)
        elif order.init.time_in_force in (IOC, FOK):
            self._cancel(market, order)
        if order.is_open:
            self._rest(market, order)

    def _rest(self, market: Market, order: VenueOrder) -> None:
        if self._is_reduce_only(order) and self._reducible(order) == 0:
            self._cancel(market, order)  # it has closed its position on arrival
            return
        market.add(order)
        if order.expire_ns:
            heappush(self._expiries, (order.expire_ns, order.arrival, order))

    def cancel(self, command: CancelOrder, ts_ns: int, say: Say) -> None:
        self._say, self._ts = say, ts_ns
        order = self._known.get(command.client_order_id)
        if order is None or not order.is_open:
            is_known = order is not None or command.client_order_id.value in self._closed
            reason = "order is closed" if is_known else "order is not known"
            self._say_refused(command, OrderCancelRejected, reason)
            return
        self._cancel(self._market(order), order)

    def cancel_all(self, command: CancelAllOrders, ts_ns: int, say: Say) -> None:
        """Cancel the open orders of one strategy in one instrument (and side), oldest first."""
        self._say, self._ts = say, ts_ns
        market = self.markets.get(command.instrument_id)
        if market is None:
            return
        for order in [*market.orders.values(), *market.held]:
            init = order.init
            wanted = command.order_side in (OrderSide.NO_ORDER_SIDE, init.order_side)
            if wanted and init.strategy_id == command.strategy_id and order.is_open:
                self._cancel(market, order)

    def modify(self, command: ModifyOrder, ts_ns: int, say: Say) -> None:
        self._say, self._ts = say, ts_ns
        order = self._known.get(command.client_order_id)
        market = self.markets.get(command.instrument_id)
        reason = "order is not known or closed"
        if order is not None and order.is_open and market is not None:
            market.refresh()
            refusal = self._modify(market, order, command)
            if refusal is None:
                return
            reason = refusal
        self._say_refused(command, OrderModifyRejected, reason)

    def _modify(self, market: Market, order: VenueOrder, command: ModifyOrder) -> str | None:
        """Apply a modification; the reason when it cannot be."""
        if command.price is not None and order.price_raw is None:
            return f"a {order.init.order_type.name} order has no price"
        if command.trigger_price is not None and not order.is_stop:
            return f"a {order.init.order_type.name} order has no trigger price" + (
                "" if order.trigger_raw is None else " any more: it was triggered"
            )
        sizes, prices = market.instrument.size_precision, market.instrument.price_precision
        quantity = order.quantity_raw if command.quantity is None else raw_at(command.quantity, sizes)
        price = order.price_raw if command.price is None else raw_at(command.price, prices)
        trigger = order.trigger_raw if command.trigger_price is None else raw_at(command.trigger_price, prices)
        if quantity < order.filled_raw:
            return f"quantity {command.quantity} is below the filled quantity"
        if order.init.post_only and not order.is_stop and price is not None and _crosses(market, order.is_buy, price):
            return f"POST_ONLY order would have been a TAKER at {self._price(market, price)}"
        if order.is_stop and trigger is not None and self.config.reject_stop_orders and market.is_set:
            market_price = market.ask if order.is_buy else market.bid
            if _reached(order.is_buy, market_price, trigger):
                return f"stop price {self._price(market, trigger)} was in the market"
        order.quantity_raw, order.price_raw, order.trigger_raw = quantity, price, trigger
        market.changed()
        self._say_updated(market, order)
        if order.leaves_raw == 0:
            self._cancel(market, order)
        elif order.is_stop:
            if market.is_set and self._stop_reached(market, order):
                self._trigger(market, order)
        elif order.price_raw is not None and market.is_set:
            self._arrive(market, order, market.ask if order.is_buy else market.bid)
        return None

    # -- refusals ----------------------------------------------------------------------------------------------------

    def _refusal(self, market: Market, order: VenueOrder) -> str | None:
        """Why an order is not taken; None when it is."""
        init = order.init
        if self._is_reduce_only(order) and self._reducible(order) == 0:
            return f"REDUCE_ONLY {self._about(init)} would have increased position"
        if init.time_in_force is GTD:
            if not self.config.support_gtd_orders:
                return "GTD orders are not supported"
            if order.expire_ns <= self._ts:
                return f"GTD order has expired on its way: expire time {order.expire_ns} ns, arrived at {self._ts} ns"
        if not market.is_set:
            return None
        if order.is_stop:
            if self.config.reject_stop_orders and self._stop_reached(market, order):
                return f"{self._about(init)} stop px of {init.trigger_price} was in the market: {self._around(market)}"
        elif init.post_only and order.price_raw is not None and _crosses(market, order.is_buy, order.price_raw):
            return self._post_only_reason(market, order)
        return None

    def _post_only_reason(self, market: Market, order: VenueOrder) -> str:
        assert order.price_raw is not None
        limit = self._price(market, order.price_raw)
        about = f"POST_ONLY {self._about(order.init)}"
        return f"{about} limit px of {limit} would have been a TAKER: {self._around(market)}"

    def _about(self, init: OrderInitialized) -> str:
        return f"{init.order_type.name} {init.order_side.name} order"

    def _around(self, market: Market) -> str:
        return f"bid={self._price(market, market.bid)}, ask={self._price(market, market.ask)}"

    # -- fills -------------------------------------------------------------------------------------------------------

    def _fill_aggressively(self, market: Market, order: VenueOrder, at: int | None = None) -> None:
        """Fill at the opposite side of the book; what the book does not hold fills one increment worse."""
        price = at if at is not None else market.ask if order.is_buy else market.bid
        if self.config.fill_model.is_slipped():
            price = _worse(market, order, price)
        size = market.ask_size if order.is_buy else market.bid_size
        tif = order.init.time_in_force
        quantity = self._reducible(order)
        if tif is FOK and size < quantity:
            self._cancel(market, order)
            return
        first = min(quantity, size)
        if first:
            self._fill(market, order, first, price, TAKER)
        left = quantity - first
        if left and order.is_open:
            if tif is IOC:
                self._cancel(market, order)
                return
            self._fill(market, order, left, _worse(market, order, price), TAKER)
        if order.is_open:
            self._cancel(market, order)

    def _fill_limit_on_arrival(self, market: Market, order: VenueOrder, price: int) -> None:
        """A limit order that crosses takes at `price` what the top of the book holds; the rest rests, or is
        canceled.
        """
        size = market.ask_size if order.is_buy else market.bid_size
        quantity = self._reducible(order)
        tif = order.init.time_in_force
        if tif is FOK and size < quantity:
            self._cancel(market, order)
            return
        if size and quantity:
            self._fill(market, order, min(quantity, size), price, TAKER)
        if order.is_open and tif in (IOC, FOK):
            self._cancel(market, order)

    def _fill_passively(self, market: Market, order: VenueOrder, size: int) -> None:
        quantity = min(self._reducible(order), size)
        if quantity:
            assert order.price_raw is not None
            self._fill(market, order, quantity, order.price_raw, MAKER)

    def _reducible(self, order: VenueOrder) -> int:
        """What may still be filled: of a reduce-only order never more than its position holds on the other side."""
        if not self._is_reduce_only(order):
            return order.leaves_raw
        held = self._positions.get(order.position_id, 0)
        return 0 if held == 0 or (held > 0) == order.is_buy else min(order.leaves_raw, abs(held))

    def _is_reduce_only(self, order: VenueOrder) -> bool:
        return order.init.reduce_only and self.config.use_reduce_only

    def _fill(self, market: Market, order: VenueOrder, qty_raw: int, px_raw: int, liquidity: LiquiditySide) -> None:
        init = order.init
        instrument = market.instrument
        assert order.venue_order_id is not None
        market.executions += 1
        order.filled_raw += qty_raw
        signed = qty_raw if order.is_buy else -qty_raw
        self._positions[order.position_id] = self._positions.get(order.position_id, 0) + signed
        if order.filled_raw >= order.quantity_raw:
            market.remove(order)
        commission = self.config.fee_model.commission(market.terms, qty_raw, px_raw, liquidity)
        if not (-RAW_MAX <= commission.raw <= RAW_MAX and -RAW_MAX <= px_raw <= RAW_MAX):
            raise OverflowError(
                f"{init.instrument_id}: price or commission of a fill of {qty_raw} at {px_raw} (raw) does not fit "
                "int64; trade less, or check the data"
            )
        self._say(
            init.strategy_id,
            OrderFilled(
                init.trader_id,
                init.strategy_id,
                init.instrument_id,
                init.client_order_id,
                order.venue_order_id,
                self._account_id,
                unchecked_trade_id(f"T-{_mix(market.ordinal, self._ts):016x}-{market.executions:03d}"),
                order.position_id,
                init.order_side,
                init.order_type,
                quantity_from_raw(qty_raw, instrument.size_precision),
                price_from_raw(px_raw, instrument.price_precision),
                instrument.quote_currency,
                commission,
                liquidity,
                self._ts,
                self._ts,
            ),
        )
        if market.orders:
            self._shrink_reduce_only(market, order.position_id)

    def _shrink_reduce_only(self, market: Market, position_id: PositionId) -> None:
        """Reduce-only orders follow the position that they close: smaller with it, gone with it."""
        for order in list(market.orders.values()):
            if order.position_id != position_id or not self._is_reduce_only(order):
                continue
            left = self._reducible(order)
            if left == 0:
                self._cancel(market, order)
            elif order.leaves_raw > left:
                order.quantity_raw = order.filled_raw + left
                self._say_updated(market, order)

    # -- what is said ------------------------------------------------------------------------------------------------

    def _cancel(self, market: Market, order: VenueOrder) -> None:
        market.remove(order)
        self._event(order, OrderCanceled)

    def _event(self, order: VenueOrder, kind: Callable[..., Message]) -> None:
        init = order.init
        self._say(
            init.strategy_id,
            kind(
                init.trader_id,
                init.strategy_id,
                init.instrument_id,
                init.client_order_id,
                order.venue_order_id,
                self._account_id,
                self._ts,
                self._ts,
            ),
        )

    def _say_refused(self, command: CancelOrder | ModifyOrder, kind: Callable[..., Message], reason: str) -> None:
        self._say(
            command.strategy_id,
            kind(
                command.trader_id,
                command.strategy_id,
                command.instrument_id,
                command.client_order_id,
                command.venue_order_id,
                self._account_id,
                f"{reason} at {self._name}",
                self._ts,
                self._ts,
            ),
        )

    def _say_rejected(self, order: VenueOrder, reason: str) -> None:
        init = order.init
        self._say(
            init.strategy_id,
            OrderRejected(
                init.trader_id,
                init.strategy_id,
                init.instrument_id,
                init.client_order_id,
                self._account_id,
                reason,
                self._ts,
                self._ts,
            ),
        )

    def _say_updated(self, market: Market, order: VenueOrder) -> None:
        init = order.init
        self._say(
            init.strategy_id,
            OrderUpdated(
                init.trader_id,
                init.strategy_id,
                init.instrument_id,
                init.client_order_id,
                order.venue_order_id,
                self._account_id,
                quantity_from_raw(order.quantity_raw, market.instrument.size_precision),
                None if order.price_raw is None else self._price(market, order.price_raw),
                None if order.trigger_raw is None else self._price(market, order.trigger_raw),
                self._ts,
                self._ts,
            ),
        )

    # -- names -------------------------------------------------------------------------------------------------------

    def _next_venue_order_id(self, market: Market) -> VenueOrderId:
        count = self._order_counts[market.instrument.id] = self._order_counts.get(market.instrument.id, 0) + 1
        return unchecked_venue_order_id(f"{self._name}-{market.ordinal}-{count:03d}")

    def _position_for(self, command: SubmitOrder) -> PositionId:
        """The position that the fills of an order belong to: chosen by the command, or one per order when hedging."""
        init: OrderInitialized = command.order
        if self._hedging:
            if command.position_id is not None:
                return command.position_id
            count = self._position_counts[init.instrument_id] = self._position_counts.get(init.instrument_id, 0) + 1
            return unchecked_position_id(f"{self._name}-{self.markets[init.instrument_id].ordinal}-{count:03d}")
        key = (init.instrument_id, init.strategy_id)
        found = self._netting_ids.get(key)
        if found is None:
            found = self._netting_ids[key] = PositionId(f"{init.instrument_id}-{init.strategy_id}")
        return found

    def instrument_of(self, position_id: PositionId) -> Instrument:
        return self.markets[self._instrument_ids[position_id]].instrument

    @property
    def net_positions(self) -> dict[PositionId, int]:
        """Signed raw quantity by position id, as the venue knows it."""
        return self._positions

    def _market(self, order: VenueOrder) -> Market:
        return self.markets[order.init.instrument_id]

    def _price(self, market: Market, raw: int) -> Price:
        return price_from_raw(raw, market.instrument.price_precision)


def _crosses(market: Market, is_buy: bool, price: int) -> bool:
    return market.is_set and (price >= market.ask if is_buy else price <= market.bid)


def _reached(is_buy: bool, price: int, trigger: int) -> bool:
    """True when `price` has reached a stop at `trigger`."""
    return price >= trigger if is_buy else price <= trigger


def _worse(market: Market, order: VenueOrder, price: int) -> int:
    """One increment worse for the order; what cannot be negative stays above zero."""
    if order.is_buy:
        return price + market.tick
    worse = price - market.tick
    return worse if worse > 0 or market.instrument.allows_negative_price() else price


def _mix(ordinal: int, ts_ns: int) -> int:
    """A 64-bit number from (instrument ordinal, time): equal times give equal numbers (finaliser of SplitMix64)."""
    z = (ts_ns ^ (ordinal * 0x9E3779B97F4A7C15)) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return z ^ (z >> 31)


def _nobody(strategy_id: StrategyId, event: Message) -> None:
    raise AssertionError("the venue may speak only within a call")
