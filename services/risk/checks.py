"""The pre-trade checks: each is a function that gives the reason for a refusal, or None.

They run in the order in which they stand in `SUBMIT_CHECKS`; the first reason is the answer. A reason begins with its
code, so that programs can match it, and says the figures that decided.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from nautilus_common.model.enums import OmsType, OrderSide, OrderType, TimeInForce, TradingState
from nautilus_common.model.rounding import raw_at

if TYPE_CHECKING:
    from nautilus_common.limits import RateLimit, RiskEngineConfig
    from nautilus_common.messages.commands import ModifyOrder, SubmitOrder
    from nautilus_common.messages.events import OrderInitialized
    from nautilus_common.model.account import Account
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.ledger import Ledger
    from nautilus_common.model.terms import Terms
    from nautilus_common.model.values import Price, Quantity

# Members of enums are slow to look up where every order passes.
BUY, SELL = OrderSide.BUY, OrderSide.SELL
ACTIVE, HALTED, REDUCING = TradingState.ACTIVE, TradingState.HALTED, TradingState.REDUCING
GTD = TimeInForce.GTD
SUPPORTED_TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
UNSUPPORTED_TIMES = (TimeInForce.AT_THE_OPEN, TimeInForce.AT_THE_CLOSE)


class Submission(NamedTuple):
    """All that a check may look at."""

    command: SubmitOrder
    order: OrderInitialized
    instrument: Instrument
    terms: Terms
    ledger: Ledger
    account: Account
    config: RiskEngineConfig
    state: TradingState
    ts_ns: int

    @property
    def quantity_raw(self) -> int:
        """The order's quantity at the instrument's size precision."""
        return raw_at(self.order.quantity, self.instrument.size_precision)


class Throttler:
    """A sliding window: at most `limit` passes within `interval_ns`."""

    def __init__(self, rate: RateLimit) -> None:
        self._interval_ns = rate.interval_ns
        self._passed: deque[int] = deque(maxlen=rate.limit)

    def allows(self, ts_ns: int) -> bool:
        """True, and counted, when one more may pass at `ts_ns`."""
        passed = self._passed
        if len(passed) == passed.maxlen and ts_ns - passed[0] < self._interval_ns:
            return False
        passed.append(ts_ns)
        return True


def check_trading_state(s: Submission) -> str | None:
    if s.state is ACTIVE:
        return None
    if s.state is HALTED:
        return "TRADING_HALTED: the trading state is HALTED; cancels pass, new orders do not"
    net = s.ledger.net_raw.get(s.instrument.id, 0)
    if (net > 0 and s.order.order_side is BUY) or (net < 0 and s.order.order_side is SELL):
        return (
            f"TRADING_REDUCING: a {s.order.order_side.name} would increase the net position while the state is REDUCING"
        )
    return None


def check_order_type(s: Submission) -> str | None:
    if s.order.order_type not in SUPPORTED_TYPES:
        return f"UNSUPPORTED_ORDER_TYPE: {s.order.order_type.name} orders are not available yet"
    if s.order.time_in_force in UNSUPPORTED_TIMES:
        return f"UNSUPPORTED_TIME_IN_FORCE: {s.order.time_in_force.name} is not available yet"
    if s.order.quote_quantity:
        return "UNSUPPORTED_QUOTE_QUANTITY: give the quantity in units of the base currency"
    if s.order.emulation_trigger or s.order.exec_algorithm_id is not None or s.order.contingency_type:
        return "UNSUPPORTED_INSTRUCTION: emulation, execution algorithms and contingencies are not available yet"
    return None


def check_position_id(s: Submission) -> str | None:
    """A named position must be one that the order can belong to, and a reduce-only order must not increase it."""
    position_id = s.command.position_id
    if position_id is None:
        return None
    if s.account.spec.oms_type == OmsType.NETTING:
        own = f"{s.order.instrument_id}-{s.order.strategy_id}"
        if position_id.value != own:
            return f"NETTING_POSITION_ID: {position_id} cannot be chosen at a netting venue, where it is {own}"
    position = s.ledger.positions.get(position_id)
    if position is not None and position.instrument_id != s.order.instrument_id:
        return f"POSITION_INSTRUMENT_MISMATCH: {position_id} is in {position.instrument_id}"
    if not s.order.reduce_only:
        return None
    if position is None:
        return f"POSITION_NOT_FOUND: {position_id} for a reduce-only order"
    if position.closing_order_side() != s.order.order_side:
        return f"REDUCE_ONLY_WOULD_INCREASE_POSITION: {position_id} is {position.side.name}"
    return None


def check_prices(s: Submission) -> str | None:
    for what, price in (("price", s.order.price), ("trigger price", s.order.trigger_price)):
        reason = _price_reason(what, price, s.instrument)
        if reason is not None:
            return reason
    return None


def check_quantity(s: Submission) -> str | None:
    return _quantity_reason(s.order.quantity, s.instrument)


def check_expiry(s: Submission) -> str | None:
    expire_ns = s.order.expire_time_ns
    if s.order.time_in_force is GTD and expire_ns <= s.ts_ns:
        return f"GTD_EXPIRED: expire time {expire_ns} ns is not after now, {s.ts_ns} ns"
    return None


def check_notional(s: Submission) -> str | None:
    """Bounds of the notional value: of the engine's configuration and of the instrument."""
    instrument = s.instrument
    limit = s.config.max_notional_per_order.get(instrument.id)
    if limit is None and instrument.max_notional is None and instrument.min_notional is None:
        return None
    price = _price_used(s)
    if price is None:
        return None
    currency = instrument.get_settlement_currency()
    notional = Decimal(s.terms.notional_raw(s.quantity_raw, price)).scaleb(-currency.precision)
    if limit is not None and notional > limit:
        return f"NOTIONAL_EXCEEDS_MAX_PER_ORDER: {notional} {currency.code} > {limit}"
    if instrument.max_notional is not None and notional > instrument.max_notional.as_decimal():
        return f"NOTIONAL_GREATER_THAN_MAX_FOR_INSTRUMENT: {notional} {currency.code} > {instrument.max_notional}"
    if instrument.min_notional is not None and notional < instrument.min_notional.as_decimal():
        return f"NOTIONAL_LESS_THAN_MIN_FOR_INSTRUMENT: {notional} {currency.code} < {instrument.min_notional}"
    return None


def check_cash_balance(s: Submission) -> str | None:
    """A cash account must have what the order costs; what reduces a position costs nothing more."""
    if not s.account.is_cash_account or s.account.spec.allow_borrowing or s.order.reduce_only:
        return None
    price = _price_used(s)
    if price is None:
        return None
    currency, cost = s.ledger.cash_cost(s.terms, s.order.order_side, s.quantity_raw, price)
    base = s.account.base_currency
    is_paid_in_kind = s.order.order_side is SELL and base is None and currency != s.instrument.quote_currency
    if s.order.order_side is SELL and not is_paid_in_kind and _reduces(s):
        return None
    if base is not None and base != currency:
        cost = s.ledger.xrates.convert(cost, currency, base, s.account.spec.venue, bid=False)
        currency = base
    free = s.account.free_raw(currency)
    if cost > free:
        unit = Decimal(1).scaleb(-currency.precision)
        return f"NOTIONAL_EXCEEDS_FREE_BALANCE: needs {cost * unit} {currency.code}, free are {free * unit}"
    return None


def check_margin(s: Submission) -> str | None:
    """A margin account must have the initial margin of what an order would add to the net position."""
    account = s.account
    if not account.is_margin_account or s.order.reduce_only:
        return None
    instrument = s.instrument
    price = _price_used(s)
    if price is None or not instrument.margin_init:
        return None
    net = s.ledger.net_raw.get(instrument.id, 0)
    buying = s.order.order_side is BUY
    signed = s.quantity_raw if buying else -s.quantity_raw
    added = abs(net + signed) - abs(net)
    if added <= 0:
        return None
    currency = account.base_currency or s.terms.settlement
    margin = account.margin_raw(instrument, s.terms.notional_raw(added, price), initial=True)
    settlement = s.terms.settlement
    if currency != settlement:
        margin = s.ledger.xrates.convert(margin, settlement, currency, account.spec.venue, bid=buying)
    free = account.free_raw(currency)
    if margin > free:
        unit = Decimal(1).scaleb(-currency.precision)
        return f"MARGIN_EXCEEDS_FREE_BALANCE: needs {margin * unit} {currency.code}, free are {free * unit}"
    return None


SUBMIT_CHECKS = (
    check_trading_state,
    check_order_type,
    check_position_id,
    check_prices,
    check_quantity,
    check_expiry,
    check_notional,
    check_cash_balance,
    check_margin,
)


def modify_reason(command: ModifyOrder, instrument: Instrument, state: TradingState, ledger: Ledger) -> str | None:
    """Why a modification may not pass; None when it may."""
    order = ledger.order(command.client_order_id)
    if order is None:
        return f"ORDER_NOT_FOUND: {command.client_order_id} is not open"
    if state is HALTED:
        return "TRADING_HALTED: the trading state is HALTED; cancels pass, modifications do not"
    for what, price in (("price", command.price), ("trigger price", command.trigger_price)):
        reason = _price_reason(what, price, instrument)
        if reason is not None:
            return reason
    if command.quantity is None:
        return None
    if state is REDUCING and raw_at(command.quantity, instrument.size_precision) > order.quantity_raw:
        return "TRADING_REDUCING: a greater quantity may not pass while the state is REDUCING"
    return _quantity_reason(command.quantity, instrument)


def _price_reason(what: str, price: Price | None, instrument: Instrument) -> str | None:
    if price is None:
        return None
    if price.precision > instrument.price_precision:
        return f"{what} {price} invalid (precision {price.precision} > {instrument.price_precision})"
    if price.raw <= 0 and not instrument.allows_negative_price():
        return f"{what} {price} invalid (not positive)"
    return None


def _quantity_reason(quantity: Quantity, instrument: Instrument) -> str | None:
    if quantity.precision > instrument.size_precision:
        return f"quantity {quantity} invalid (precision {quantity.precision} > {instrument.size_precision})"
    if quantity.raw <= 0:
        return f"quantity {quantity} invalid (not positive)"
    if instrument.max_quantity is not None and quantity > instrument.max_quantity:
        return f"quantity {quantity} invalid (> maximum trade size of {instrument.max_quantity})"
    if instrument.min_quantity is not None and quantity < instrument.min_quantity:
        return f"quantity {quantity} invalid (< minimum trade size of {instrument.min_quantity})"
    return None


def _price_used(s: Submission) -> int | None:
    """Raw price to value an order at: its own, else the opposite side of the market; None before there is one."""
    own = s.order.price if s.order.price is not None else s.order.trigger_price
    if own is not None:
        return raw_at(own, s.instrument.price_precision)
    prices = s.ledger.xrates.prices(s.instrument.id)
    if prices is None:
        return None
    return prices[1] if s.order.order_side is BUY else prices[0]


def _reduces(s: Submission) -> bool:
    net = s.ledger.net_raw.get(s.instrument.id, 0)
    working = sum(
        o.quantity_raw - o.filled_raw for o in s.ledger.open_orders(s.instrument.id) if o.init.order_side is SELL
    )
    return s.quantity_raw <= net - working
