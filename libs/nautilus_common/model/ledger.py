"""The ledger: accounts and positions, folded from order events. Portfolio, risk and strategy hosts each hold one.

They all run this code over the same events at the same tags, so that all are up to date when a callback runs, and
nobody has to ask anybody. Nothing here reads a clock or speaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from nautilus_common.messages.events import (
    AccountAdjusted,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderRejected,
    OrderUpdated,
)
from nautilus_common.model.account import Account, AccountSpec, account_from_spec
from nautilus_common.model.closed_positions import ClosedPositions
from nautilus_common.model.enums import OrderSide
from nautilus_common.model.identifiers import AccountId, ClientOrderId, InstrumentId, PositionId, Venue
from nautilus_common.model.position import Position
from nautilus_common.model.rounding import div_half_even, raw_at, rescale_half_even
from nautilus_common.model.terms import Terms
from nautilus_common.model.values import quantity_from_raw
from nautilus_common.model.xrates import ExchangeRates

if TYPE_CHECKING:
    from nautilus_common.engine import Tag
    from nautilus_common.messages.base import Event
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.values import Currency
    from nautilus_common.streams import MarketView

BUY = OrderSide.BUY  # looking up a member of an enum is slow where fills are folded
SELL = OrderSide.SELL

RAW_MAX = 2**63 - 1
OPENED = 1
CHANGED = 2
CLOSED = 3


class OpenOrder:
    """What the ledger must know of an order that may lock money."""

    __slots__ = ("accepted", "filled_raw", "init", "locked", "price_raw", "quantity_raw")

    quantity_raw: int
    price_raw: int | None

    def __init__(self, init: OrderInitialized, instrument: Instrument | None) -> None:
        self.init = init
        price = init.price if init.price is not None else init.trigger_price
        if instrument is None:  # risk will deny it
            self.quantity_raw, self.price_raw = init.quantity.raw, None
        else:
            self.quantity_raw = raw_at(init.quantity, instrument.size_precision)
            self.price_raw = None if price is None else raw_at(price, instrument.price_precision)
        self.filled_raw = 0
        self.locked = 0
        self.accepted = False


class PositionChange(msgspec.Struct):
    """One step of a position that a fill caused."""

    kind: int  # OPENED, CHANGED or CLOSED
    position: Position
    fill: OrderFilled  # the whole fill, or the part of it that fell to this step when it turned the position over


class Folded(msgspec.Struct):
    """What folding one event changed."""

    positions: list[PositionChange]
    balances: bool


NOTHING = Folded([], False)
BALANCES = Folded([], True)


class Ledger:
    """Accounts, positions and locked money of all venues of a run.

    Engines of one process may share a ledger: each folds every event that it takes, and the event is folded once.
    """

    def __init__(
        self,
        instruments: dict[InstrumentId, Instrument],
        specs: list[AccountSpec],
        market: MarketView,
        *,
        keep_closed: bool = False,
    ) -> None:
        self.instruments = instruments
        self.market = market
        self.terms = {instrument_id: Terms(instrument) for instrument_id, instrument in instruments.items()}
        self._tag: Tag = ()
        self.before_change: Callable[[Tag], None] | None = None  # told of a fold's tag while all is as it was before
        self._folded = NOTHING
        self.accounts: dict[AccountId, Account] = {spec.account_id: account_from_spec(spec) for spec in specs}
        self.by_venue: dict[Venue, Account] = {spec.venue: self.accounts[spec.account_id] for spec in specs}
        self.positions: dict[PositionId, Position] = {}
        self.open_positions: dict[InstrumentId, dict[PositionId, Position]] = {}
        self.net_raw: dict[InstrumentId, int] = {}
        self.closed_count = 0
        self.xrates = ExchangeRates(instruments, market)
        self._orders: dict[ClientOrderId, OpenOrder] = {}
        self._init_sums: dict[InstrumentId, int] = {}
        self.snapshots = ClosedPositions(self.terms)
        self._keep_closed = keep_closed

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "positions": list(self.positions.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.positions = {position.id: position for position in state["positions"]}

    # -- orders ------------------------------------------------------------------------------------------------------

    def on_submitted(self, init: OrderInitialized) -> None:
        """Know an order; it locks nothing before it is accepted."""
        if init.client_order_id not in self._orders:
            self._orders[init.client_order_id] = OpenOrder(init, self.instruments.get(init.instrument_id))

    def order(self, client_order_id: ClientOrderId) -> OpenOrder | None:
        return self._orders.get(client_order_id)

    def open_orders(self, instrument_id: InstrumentId) -> list[OpenOrder]:
        """Accepted, still open orders of an instrument, oldest first."""
        return [o for o in self._orders.values() if o.accepted and o.init.instrument_id == instrument_id]

    def on_accepted(self, client_order_id: ClientOrderId) -> bool:
        """Lock money for an order that rests at the venue; True when balances changed."""
        order = self._orders.get(client_order_id)
        if order is None:
            return False
        order.accepted = True
        return self._lock(order)

    def on_updated(self, client_order_id: ClientOrderId, quantity_raw: int, price_raw: int | None) -> bool:
        order = self._orders.get(client_order_id)
        if order is None:
            return False
        order.quantity_raw = quantity_raw
        if price_raw is not None:
            order.price_raw = price_raw
        return self._lock(order)

    def on_closed(self, client_order_id: ClientOrderId) -> bool:
        """Forget an order that is denied, rejected, canceled, expired or filled; True when balances changed."""
        order = self._orders.pop(client_order_id, None)
        if order is None or not order.locked:
            return False
        return self._set_locked(order, 0)

    def fold(self, tag: Tag, event: Event) -> Folded:
        """Fold an event, taken at `tag`, in; what it changed. Folding the same event again changes nothing more."""
        if tag == self._tag:
            return self._folded
        self._tag = tag
        if self.before_change is not None:
            self.before_change(tag)
        self.market.advance(tag)
        self._folded = folded = self._fold(event)
        return folded

    def _fold(self, event: Event) -> Folded:
        match event:
            case OrderFilled():
                return Folded(self.on_filled(event), True)
            case OrderAccepted():
                changed = self.on_accepted(event.client_order_id)
            case OrderUpdated():
                price = event.price if event.price is not None else event.trigger_price
                raw = None if price is None else price.raw
                changed = self.on_updated(event.client_order_id, event.quantity.raw, raw)
            case OrderDenied() | OrderRejected() | OrderCanceled() | OrderExpired():
                changed = self.on_closed(event.client_order_id)
            case AccountAdjusted():
                self.accounts[event.account_id].add(event.amount.currency, event.amount.raw)
                return BALANCES
            case _:
                return NOTHING
        return BALANCES if changed else NOTHING

    def _lock(self, order: OpenOrder) -> bool:
        price = order.price_raw
        init = order.init
        if not order.accepted or price is None or init.reduce_only:
            return False
        terms = self.terms[init.instrument_id]
        account = self.by_venue[init.instrument_id.venue]
        leaves = order.quantity_raw - order.filled_raw
        if account.is_margin_account:
            amount = account.margin_raw(terms.instrument, terms.notional_raw(leaves, price), initial=True)
            amount = self._to_account(account, terms, amount, init.order_side)
        elif init.order_side is SELL and terms.base is None:
            amount = 0  # what a share is sold for comes in; there is nothing to set aside
        else:
            currency, amount = self.cash_cost(terms, init.order_side, leaves, price)
            base = account.base_currency
            if base is not None and base != currency:
                amount = self.xrates.convert(amount, currency, base, account.spec.venue, bid=False)
        return self._set_locked(order, amount)

    def _set_locked(self, order: OpenOrder, amount: int) -> bool:
        change = amount - order.locked
        if change == 0:
            return False
        order.locked = amount
        init = order.init
        instrument_id = init.instrument_id
        terms = self.terms[instrument_id]
        account = self.by_venue[instrument_id.venue]
        if not account.is_margin_account:
            account.lock(account.base_currency or self.cash_cost(terms, init.order_side, 0, 0)[0], change)
            return True
        total = self._init_sums.get(instrument_id, 0) + change
        self._init_sums[instrument_id] = total
        changed = account.set_margin_init(instrument_id, account.base_currency or terms.settlement, total)
        self._check_range(account, terms, 0)
        return changed

    # -- fills -------------------------------------------------------------------------------------------------------

    def on_filled(self, fill: OrderFilled) -> list[PositionChange]:
        """Fold a fill into its position and account; the steps of positions that it caused, in order."""
        terms = self.terms[fill.instrument_id]
        account = self.accounts[fill.account_id]
        order = self._orders.get(fill.client_order_id)
        changes, realized = self._apply_to_position(terms, fill)
        if not account.spec.frozen:
            self._settle(account, terms, fill, realized)
        if order is not None:
            order.filled_raw += fill.last_qty.raw
            if order.price_raw is not None:
                self._lock(order)
            if order.filled_raw >= order.quantity_raw:
                del self._orders[fill.client_order_id]
        if account.is_margin_account:
            self._update_margin_maint(account, terms)
        self._check_range(account, terms, changes[-1].position.signed_raw)
        return changes

    def _check_range(self, account: Account, terms: Terms, signed_raw: int) -> None:
        """Raise OverflowError when a position or a balance does not fit int64: it cannot be published."""
        if not -RAW_MAX <= signed_raw <= RAW_MAX:
            raise OverflowError(
                f"{terms.instrument_id}: a position of {signed_raw} raw units does not fit int64; trade less"
            )
        if not account.fits(RAW_MAX):
            raise OverflowError(
                f"{terms.instrument_id}: a balance or margin of account {account.id} does not fit int64 at its "
                "currency's precision; trade less"
            )

    def _apply_to_position(self, terms: Terms, fill: OrderFilled) -> tuple[list[PositionChange], int]:
        position_id = fill.position_id
        assert position_id is not None, f"fill {fill.trade_id} names no position"
        qty = fill.last_qty.raw
        signed = qty if fill.order_side is BUY else -qty
        position = self.positions.get(position_id)
        net = self.net_raw
        net[terms.instrument_id] = net.get(terms.instrument_id, 0) + signed
        if position is None:
            return [self._open(terms, fill)], 0
        held = position.signed_raw
        if held == 0:
            return [self._reopen(position, fill)], 0
        if (held > 0) == (signed > 0):
            position.apply(fill)
            return [PositionChange(CHANGED, position, fill)], 0
        size = held if held > 0 else -held
        if qty > size:
            return self._turn_over(position, fill, size)
        realized = position.apply(fill)
        if qty == size:
            self._close(position)
            return [PositionChange(CLOSED, position, fill)], realized
        return [PositionChange(CHANGED, position, fill)], realized

    def _turn_over(self, position: Position, fill: OrderFilled, held: int) -> tuple[list[PositionChange], int]:
        """Split a fill that turns a position over: close the old life, open a new one with what is left."""
        closing, opening = split_fill(fill, held)
        realized = position.apply(closing)
        self._close(position)
        return [PositionChange(CLOSED, position, closing), self._reopen(position, opening)], realized

    def _open(self, terms: Terms, fill: OrderFilled) -> PositionChange:
        position = Position(terms.instrument, fill, terms)
        self.positions[position.id] = position
        self.open_positions.setdefault(terms.instrument_id, {})[position.id] = position
        return PositionChange(OPENED, position, fill)

    def _reopen(self, closed: Position, fill: OrderFilled) -> PositionChange:
        """A new life of a netting position id; the closed one is kept where it may be looked up."""
        if self._keep_closed:
            self.snapshots.append(closed)
        return self._open(closed.terms, fill)

    def _close(self, position: Position) -> None:
        self.open_positions[position.instrument_id].pop(position.id, None)
        self.closed_count += 1

    def _settle(self, account: Account, terms: Terms, fill: OrderFilled, realized: int) -> None:
        """Move the account's balances by the fill: profit and commission, or both legs of a cash trade."""
        commission = fill.commission
        side = fill.order_side
        if not account.is_margin_account:
            self._settle_cash(account, terms, fill)
        elif realized:
            self._credit(account, terms.settlement, realized, side)
        if commission.raw:
            account.add_commission(commission.currency, commission.raw)
            self._credit(account, commission.currency, -commission.raw, side)

    def _settle_cash(self, account: Account, terms: Terms, fill: OrderFilled) -> None:
        buying = fill.order_side is BUY
        notional = terms.notional_raw(fill.last_qty.raw, fill.last_px.raw)
        if terms.base is not None and account.base_currency is None:
            quantity = rescale_half_even(fill.last_qty.raw, fill.last_qty.precision, terms.base.precision)
            account.add(terms.base, quantity if buying else -quantity)
        self._credit(account, terms.quote, -notional if buying else notional, fill.order_side)

    def _credit(self, account: Account, currency: Currency, raw: int, side: OrderSide) -> None:
        """Add `raw` of `currency`, converted for an account with a base currency: BID for a sell, ASK for a buy."""
        base = account.base_currency
        if base is not None and currency != base:
            raw = self.xrates.convert(raw, currency, base, account.spec.venue, bid=side is SELL)
            currency = base
        account.add(currency, raw)

    # -- margins -----------------------------------------------------------------------------------------------------

    def _update_margin_maint(self, account: Account, terms: Terms) -> None:
        held, cost = self._netted(terms.instrument_id)
        amount = 0
        if held:
            amount = account.margin_raw(terms.instrument, terms.notional_of_cost(cost, held), initial=False)
            if amount:
                entry = BUY if self.net_raw[terms.instrument_id] > 0 else SELL
                amount = self._to_account(account, terms, amount, entry)
        account.set_margin_maint(terms.instrument_id, account.base_currency or terms.settlement, amount)

    def _netted(self, instrument_id: InstrumentId) -> tuple[int, int]:
        """(quantity, cost) of the open positions of an instrument, netted in the order in which they were opened."""
        positions = self.open_positions.get(instrument_id)
        if not positions:
            return 0, 0
        if len(positions) == 1:
            only = next(iter(positions.values()))
            return abs(only.signed_raw), only.cost_raw
        held = cost = 0
        for position in positions.values():
            signed, own = position.signed_raw, position.cost_raw
            if held == 0 or (held > 0) == (signed > 0):
                held, cost = held + signed, cost + own
            elif abs(signed) < abs(held):
                cost -= div_half_even(cost * abs(signed), abs(held))
                held += signed
            else:
                left = held + signed
                cost = div_half_even(own * abs(left), abs(signed))
                held = left
        return abs(held), cost

    def _to_account(self, account: Account, terms: Terms, raw: int, side: OrderSide) -> int:
        """A margin amount in the account's currency: at BID for what is bought, at ASK for what is sold."""
        currency = terms.settlement
        base = account.base_currency
        if base is None or base == currency:
            return raw
        return self.xrates.convert(raw, currency, base, account.spec.venue, bid=side is BUY)

    def cash_cost(self, terms: Terms, side: OrderSide, quantity_raw: int, price_raw: int) -> tuple[Currency, int]:
        """(currency, amount) that a cash account must have for an order."""
        if side is BUY or terms.base is None:
            return terms.quote, terms.notional_raw(quantity_raw, price_raw) if price_raw else 0
        return terms.base, rescale_half_even(quantity_raw, terms.size_precision, terms.base.precision)


def split_fill(fill: OrderFilled, first_raw: int) -> tuple[OrderFilled, OrderFilled]:
    """`fill` in two parts, the first of `first_raw`; the commission is shared by quantity and sums to the whole."""
    qty = fill.last_qty
    commission = fill.commission
    share = div_half_even(commission.raw * first_raw, qty.raw)
    first = msgspec.structs.replace(
        fill,
        last_qty=quantity_from_raw(first_raw, qty.precision),
        commission=type(commission).from_raw(share, commission.currency),
    )
    second = msgspec.structs.replace(
        fill,
        last_qty=quantity_from_raw(qty.raw - first_raw, qty.precision),
        commission=type(commission).from_raw(commission.raw - share, commission.currency),
    )
    return first, second
