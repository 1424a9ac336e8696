"""A position: what was bought and sold under one position id, at an exact cost.

Quantities and costs are integers. The cost of what is held is the sum of price x quantity, in units of
10^-(price precision + size precision + multiplier precision), times `COST_GUARD`; a partial close takes its share,
rounded half to even, and the last close takes all that is left. So the realised amounts of a position always sum to
exactly what was paid and received, whatever the order of its fills.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nautilus_common.messages.packed import pack_fills, unpack_fills
from nautilus_common.model.enums import OrderSide, PositionSide
from nautilus_common.model.rounding import div_half_even, raw_at
from nautilus_common.model.terms import COST_GUARD, Terms
from nautilus_common.model.values import Money, Price, Quantity, money_from_raw, quantity_from_raw

if TYPE_CHECKING:
    from nautilus_common.messages.events import OrderFilled
    from nautilus_common.model.identifiers import (
        AccountId,
        ClientOrderId,
        InstrumentId,
        PositionId,
        StrategyId,
        TradeId,
        TraderId,
        Venue,
    )
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.values import Currency

BUY = OrderSide.BUY
SELL = OrderSide.SELL


class Position:
    """One life of a position id, from flat to flat, folded from its fills."""

    __slots__ = (
        "_close_notional",
        "_close_raw",
        "_cost",
        "_open_notional",
        "_open_raw",
        "account_id",
        "adjusted_raw",
        "closing_order_id",
        "commissions_raw",
        "entry",
        "fills",
        "id",
        "instrument",
        "instrument_id",
        "opening_order_id",
        "peak_raw",
        "realized_raw",
        "signed_raw",
        "strategy_id",
        "terms",
        "trader_id",
        "ts_closed",
        "ts_init",
        "ts_last",
        "ts_opened",
    )

    def __init__(self, instrument: Instrument, fill: OrderFilled, terms: Terms | None = None) -> None:
        self.instrument = instrument
        self.terms = terms or Terms(instrument)
        self.instrument_id: InstrumentId = fill.instrument_id
        self.id: PositionId = fill.position_id  # type: ignore[assignment]  # the gateway names the position of each fill
        self.trader_id: TraderId = fill.trader_id
        self.strategy_id: StrategyId = fill.strategy_id
        self.account_id: AccountId = fill.account_id
        self.signed_raw = 0
        self.opening_order_id: ClientOrderId = fill.client_order_id
        self.closing_order_id: ClientOrderId | None = None
        self.entry: OrderSide = fill.order_side
        self.fills: list[OrderFilled] = []
        self.peak_raw = 0
        self._cost = 0
        self._open_raw = self._open_notional = 0
        self._close_raw = self._close_notional = 0
        self.realized_raw = 0
        self.adjusted_raw = 0
        self.commissions_raw: dict[Currency, int] = {}
        self.ts_init: int = fill.ts_init
        self.ts_opened: int = fill.ts_event
        self.ts_closed = 0
        self.ts_last: int = fill.ts_event
        self.apply(fill)

    def apply(self, fill: OrderFilled) -> int:
        """Fold `fill` in; return the profit that it realised, raw in the settlement currency, without commission.

        A fill that would turn the position over must be split by the caller first.
        """
        px = fill.last_px.raw
        qty = fill.last_qty.raw
        signed = qty if fill.order_side is BUY else -qty
        held = self.signed_raw
        self.fills.append(fill)
        self.ts_last = fill.ts_event
        commission = fill.commission
        paid = self.commissions_raw
        currency = commission.currency
        paid[currency] = paid.get(currency, 0) + commission.raw
        if held == 0 or (held > 0) == (signed > 0):
            notional = px * qty
            self._cost += notional * self.terms.multiplier * COST_GUARD
            self._open_raw += qty
            self._open_notional += notional
            self.signed_raw = held = held + signed
            size = held if held > 0 else -held
            if size > self.peak_raw:
                self.peak_raw = size
            return 0
        size = held if held > 0 else -held
        if qty > size:
            raise ValueError(f"fill {fill.trade_id} would turn position {self.id} over; split it first")
        cost = self._cost if qty == size else div_half_even(self._cost * qty, size)
        realized = self.terms.profit_raw(px, qty, cost, held > 0)
        self._cost -= cost
        self._close_raw += qty
        self._close_notional += px * qty
        self.signed_raw = held + signed
        self.realized_raw += realized
        if self.signed_raw == 0:
            self.closing_order_id = fill.client_order_id
            self.ts_closed = fill.ts_event
        return realized

    # -- what it is worth -------------------------------------------------------------------------------------------

    def unrealized_raw(self, px: int) -> int:
        """Profit if all were closed at raw price `px`, raw in the settlement currency."""
        if self.signed_raw == 0:
            return 0
        return self.terms.profit_raw(px, abs(self.signed_raw), self._cost, self.signed_raw > 0)

    def unrealized_pnl(self, price: Price) -> Money:
        return money_from_raw(self.unrealized_raw(raw_at(price, self.terms.price_precision)), self.settlement_currency)

    def total_pnl(self, price: Price) -> Money:
        return self.realized_pnl + self.unrealized_pnl(price)

    @property
    def cost_raw(self) -> int:
        """Cost of what is held, in units of 10^-`terms.scale`, times `COST_GUARD`."""
        return self._cost

    @property
    def settlement_currency(self) -> Currency:
        return self.terms.settlement

    @property
    def realized_pnl(self) -> Money:
        """Profit realised so far, less the commissions paid in the settlement currency."""
        currency = self.settlement_currency
        paid = self.commissions_raw.get(currency, 0)
        return money_from_raw(self.realized_raw + self.adjusted_raw - paid, currency)

    @property
    def realized_return(self) -> float:
        """Return of what was closed, as a fraction of its average opening price."""
        if self._close_raw == 0 or self._open_notional == 0:
            return 0.0
        opened, closed = self.avg_px_open, self.avg_px_close
        if opened == 0.0:
            return 0.0
        change = (closed - opened) / opened
        return change if self.entry == BUY else -change

    def commissions(self) -> list[Money]:
        return [money_from_raw(raw, currency) for currency, raw in self.commissions_raw.items()]

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def side(self) -> PositionSide:
        signed = self.signed_raw
        return PositionSide.LONG if signed > 0 else PositionSide.SHORT if signed < 0 else PositionSide.FLAT

    @property
    def quantity(self) -> Quantity:
        return quantity_from_raw(abs(self.signed_raw), self.instrument.size_precision)

    @property
    def peak_qty(self) -> Quantity:
        return quantity_from_raw(self.peak_raw, self.instrument.size_precision)

    @property
    def signed_qty(self) -> float:
        return float(self.signed_raw) / 10.0**self.instrument.size_precision

    def signed_decimal_qty(self) -> Decimal:
        return Decimal(self.signed_raw).scaleb(-self.instrument.size_precision)

    @property
    def avg_px_open(self) -> float:
        """Average price of what was opened; while it is held, of what is held."""
        if self.signed_raw:
            unit = abs(self.signed_raw) * self.terms.multiplier * COST_GUARD
            return self._cost / unit / self.terms.price_unit
        return self._open_notional / self._open_raw / self.terms.price_unit

    @property
    def avg_px_close(self) -> float:
        if not self._close_raw:
            return 0.0
        return self._close_notional / self._close_raw / self.terms.price_unit

    @property
    def is_open(self) -> bool:
        return self.signed_raw != 0

    @property
    def is_closed(self) -> bool:
        return self.signed_raw == 0

    @property
    def is_long(self) -> bool:
        return self.signed_raw > 0

    @property
    def is_short(self) -> bool:
        return self.signed_raw < 0

    @property
    def duration_ns(self) -> int:
        return self.ts_closed - self.ts_opened if self.ts_closed else 0

    @property
    def symbol(self) -> object:
        return self.instrument_id.symbol

    @property
    def venue(self) -> Venue:
        return self.instrument_id.venue

    @property
    def quote_currency(self) -> Currency:
        return self.instrument.quote_currency

    @property
    def base_currency(self) -> Currency | None:
        return self.instrument.get_base_currency()

    @property
    def events(self) -> list[OrderFilled]:
        return list(self.fills)

    @property
    def event_count(self) -> int:
        return len(self.fills)

    @property
    def last_event(self) -> OrderFilled | None:
        return self.fills[-1] if self.fills else None

    @property
    def last_trade_id(self) -> TradeId | None:
        return self.fills[-1].trade_id if self.fills else None

    @property
    def trade_ids(self) -> list[TradeId]:
        return [fill.trade_id for fill in self.fills]

    @property
    def client_order_ids(self) -> list[ClientOrderId]:
        return list(dict.fromkeys(fill.client_order_id for fill in self.fills))

    def closing_order_side(self) -> OrderSide:
        if self.signed_raw == 0:
            return OrderSide.NO_ORDER_SIDE
        return SELL if self.signed_raw > 0 else BUY

    def is_opposite_side(self, side: OrderSide) -> bool:
        return side == self.closing_order_side()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Copied and kept as its fills, which have made it."""
        return _unpack, (self.terms, pack_fills(self.fills), self.adjusted_raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Position({self.side.name} {self.quantity} {self.instrument_id}, id={self.id})"


def _unpack(terms: Terms, fills: bytes, adjusted_raw: int) -> Position:
    return position_of(terms, unpack_fills(fills), adjusted_raw)


def position_of(terms: Terms, fills: list[OrderFilled], adjusted_raw: int) -> Position:
    """The position that these fills have made, and what was adjusted beside them."""
    first, *others = fills
    position = Position(terms.instrument, first, terms)
    for fill in others:
        position.apply(fill)
    position.adjusted_raw = adjusted_raw
    return position
