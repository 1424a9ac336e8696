"""Instruments: what is traded, how it is rounded, and what an amount of it is worth.

Each class is a frozen struct with NautilusTrader's constructor names, in its order; what a class fixes (an equity's
sizes are whole) is a property. Two instruments are equal when their identifiers are. All values here are exact: the
product is an integer ratio, rounded once, half away from zero; beyond 64 bits is a ValueError that names the
instrument.
"""

import operator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from nautilus_common.model.enums import AssetClass, CurrencyType, InstrumentClass
from nautilus_common.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_common.model.values import (
    POWERS_OF_TEN,
    PRECISION_MAX,
    RAW_MAX,
    RAW_MIN,
    Currency,
    FixedPoint,
    Money,
    Price,
    Quantity,
    money_from_raw,
    parse_decimal,
    price_from_raw,
    quantity_from_raw,
)

_ZERO = Decimal(0)
_ONE = Quantity.from_int(1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RATES = ("margin_init", "margin_maint", "maker_fee", "taker_fee")

Number = int | float | Decimal | str | FixedPoint


def _ratio(value: Number) -> tuple[int, int]:
    """`value` as an exact ratio; a float stands for the decimal number that it prints as."""
    if isinstance(value, FixedPoint):
        return value.raw, POWERS_OF_TEN[value.precision]
    if hasattr(value, "__index__"):
        return operator.index(value), 1
    number = (
        value if isinstance(value, Decimal) else parse_decimal(value if isinstance(value, str) else repr(float(value)))
    )
    if not number.is_finite():
        raise ValueError(f"invalid `value` {value}: it must be a finite number")
    return number.as_integer_ratio()


def _divide_half_away(numerator: int, denominator: int) -> int:
    """The integer nearest to the ratio, ties away from zero; the denominator is positive."""
    quotient, rest = divmod(abs(numerator), denominator)
    quotient += 2 * rest >= denominator
    return -quotient if numerator < 0 else quotient


def _divide_half_even(numerator: int, denominator: int) -> int:
    """The integer nearest to the ratio, ties to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


class Instrument(Struct, frozen=True, eq=False, tag=True):
    """What all instruments share. Make one of the classes below."""

    if TYPE_CHECKING:
        # Fields of some classes, properties of others.
        @property
        def instrument_id(self) -> InstrumentId: ...
        @property
        def raw_symbol(self) -> Symbol: ...
        @property
        def asset_class(self) -> AssetClass: ...
        @property
        def quote_currency(self) -> Currency: ...
        @property
        def price_precision(self) -> int: ...
        @property
        def price_increment(self) -> Price: ...
        @property
        def margin_init(self) -> Decimal: ...
        @property
        def margin_maint(self) -> Decimal: ...
        @property
        def maker_fee(self) -> Decimal: ...
        @property
        def taker_fee(self) -> Decimal: ...
        @property
        def ts_event(self) -> int: ...
        @property
        def ts_init(self) -> int: ...

    def __post_init__(self) -> None:
        self._check()

    # -- Attributes that a class overrides with a field or a property of its own

    @property
    def instrument_class(self) -> InstrumentClass:
        """SPOT unless a class says otherwise."""
        return InstrumentClass.SPOT

    @property
    def is_inverse(self) -> bool:
        """Whether quantities are amounts of the quote currency, settled in the base currency."""
        return False

    @property
    def is_quanto(self) -> bool:
        """Whether settled in neither base nor quote currency."""
        return False

    @property
    def size_precision(self) -> int:
        """Decimals of a quantity."""
        return 0

    @property
    def size_increment(self) -> Quantity:
        """The step of quantities."""
        return _ONE

    @property
    def multiplier(self) -> Quantity:
        """Units of the underlying in one contract."""
        return _ONE

    @property
    def lot_size(self) -> Quantity | None:
        """The usual trading unit."""
        return None

    @property
    def max_quantity(self) -> Quantity | None:
        """The largest quantity of an order."""
        return None

    @property
    def min_quantity(self) -> Quantity | None:
        """The smallest quantity of an order."""
        return None

    @property
    def max_notional(self) -> Money | None:
        """The largest notional value of an order."""
        return None

    @property
    def min_notional(self) -> Money | None:
        """The smallest notional value of an order."""
        return None

    @property
    def max_price(self) -> Price | None:
        """The highest price of an order."""
        return None

    @property
    def min_price(self) -> Price | None:
        """The lowest price of an order."""
        return None

    # -- Names

    @property
    def id(self) -> InstrumentId:
        """The identifier."""
        return self.instrument_id

    @property
    def symbol(self) -> Symbol:
        """The identifier's symbol."""
        return self.instrument_id.symbol

    @property
    def venue(self) -> Venue:
        """The identifier's venue."""
        return self.instrument_id.venue

    def is_spread(self) -> bool:
        """Whether this is made of legs."""
        return False

    def allows_negative_price(self) -> bool:
        """Whether its price may fall below zero."""
        return False

    def legs(self) -> list[tuple[InstrumentId, int]]:
        """Identifier and ratio of each leg: itself, once."""
        return [(self.instrument_id, 1)]

    def get_base_currency(self) -> Currency | None:
        """The currency bought and sold, None where there is none."""
        return None

    def get_settlement_currency(self) -> Currency:
        """The currency profits are paid in."""
        return self._value_currency()

    def get_cost_currency(self) -> Currency:
        """The currency an order is paid in."""
        return self._value_currency()

    def _value_currency(self) -> Currency:
        base = self.get_base_currency()
        return base if self.is_inverse and base is not None else self.quote_currency

    # -- Prices and quantities

    def make_price(self, value: Number) -> Price:
        """`value` at the price precision, rounded as `Price(value, precision)` does."""
        number = parse_decimal(value) if isinstance(value, str) else value
        try:
            return Price(number, self.price_precision)
        except ValueError as error:
            raise ValueError(f"{self.id}: {error}") from None

    def make_qty(self, value: Number, round_down: bool = False) -> Quantity:
        """`value` in whole size increments, rounded half to even, or down; ValueError when that makes it zero."""
        numerator, denominator = _ratio(value)
        increment = self.size_increment
        numerator *= POWERS_OF_TEN[increment.precision]
        denominator *= increment.raw
        steps = numerator // denominator if round_down else _divide_half_even(numerator, denominator)
        if steps == 0 and numerator > 0:
            raise ValueError(
                f"Invalid `value` for quantity: {value} was rounded to zero due to size increment {increment} "
                f"and size precision {self.size_precision} of {self.id}"
            )
        try:
            return Quantity.from_raw(steps * increment.raw, increment.precision)
        except ValueError as error:
            raise ValueError(f"{self.id}: {error}") from None

    def next_bid_price(self, value: Number, num_ticks: int = 0) -> Price | None:
        """The price `num_ticks` increments below the highest that is not above `value`; None beyond the limits."""
        return self._tick_price(self._ticks(value, -1) - num_ticks)

    def next_ask_price(self, value: Number, num_ticks: int = 0) -> Price | None:
        """The price `num_ticks` increments above the lowest that is not below `value`; None beyond the limits."""
        return self._tick_price(self._ticks(value, 1) + num_ticks)

    def next_bid_prices(self, value: Number, num_ticks: int = 100) -> list[Decimal]:
        """Up to `num_ticks` prices from `next_bid_price` downwards."""
        return self._ladder(self._ticks(value, -1), -1, num_ticks)

    def next_ask_prices(self, value: Number, num_ticks: int = 100) -> list[Decimal]:
        """Up to `num_ticks` prices from `next_ask_price` upwards."""
        return self._ladder(self._ticks(value, 1), 1, num_ticks)

    def _ticks(self, value: Number, side: int) -> int:
        """`value` in price increments, rounded down (side -1) or up (side 1)."""
        numerator, denominator = _ratio(value)
        increment = self.price_increment
        numerator *= POWERS_OF_TEN[increment.precision]
        denominator *= increment.raw
        return numerator // denominator if side < 0 else -(-numerator // denominator)

    def _tick_price(self, ticks: int) -> Price | None:
        raw = ticks * self.price_increment.raw
        if not RAW_MIN <= raw <= RAW_MAX:
            return None
        price = price_from_raw(raw, self.price_precision)
        if self.min_price is not None and price < self.min_price:
            return None
        if self.max_price is not None and price > self.max_price:
            return None
        return price

    def _ladder(self, first: int, step: int, count: int) -> list[Decimal]:
        prices: list[Decimal] = []
        for number in range(count):
            price = self._tick_price(first + step * number)
            if price is None:
                break
            prices.append(price.as_decimal())
        return prices

    # -- Values

    def notional_value(
        self,
        quantity: Quantity,
        price: Price,
        use_quote_for_inverse: bool = False,
        target_currency: Currency | None = None,
        conversion_price: Price | None = None,
    ) -> Money:
        """What `quantity` is worth at `price`: quantity x multiplier x price, in the quote currency.

        Inverse: quantity x multiplier / price in the base currency, or with `use_quote_for_inverse` the quantity
        itself in the quote currency. Quanto: in the settlement currency. `target_currency` with `conversion_price`
        multiplies by the latter.
        """
        if self.is_inverse and use_quote_for_inverse:
            return self._money(*_ratio(quantity), self.quote_currency)
        multiplier = self.multiplier
        numerator = quantity.raw * multiplier.raw
        denominator = POWERS_OF_TEN[quantity.precision] * POWERS_OF_TEN[multiplier.precision]
        if self.is_inverse:
            if price.raw <= 0:
                raise ValueError(f"{self.id}: an inverse notional value needs a positive price, not {price}")
            numerator *= POWERS_OF_TEN[price.precision]
            denominator *= price.raw
        else:
            numerator *= price.raw
            denominator *= POWERS_OF_TEN[price.precision]
        currency = self.get_settlement_currency() if self.is_quanto else self._value_currency()
        if target_currency is not None and target_currency != currency:
            if conversion_price is None:
                raise ValueError(f"{self.id}: a notional value in {target_currency} needs a `conversion_price`")
            numerator *= conversion_price.raw
            denominator *= POWERS_OF_TEN[conversion_price.precision]
            currency = target_currency
        return self._money(numerator, denominator, currency)

    def calculate_base_quantity(self, quantity: Quantity, last_px: Price) -> Quantity:
        """`quantity` of the quote currency as a quantity of the base currency at `last_px`."""
        if last_px.raw <= 0:
            raise ValueError(f"{self.id}: a base quantity needs a positive price, not {last_px}")
        numerator = quantity.raw * POWERS_OF_TEN[last_px.precision] * POWERS_OF_TEN[self.size_precision]
        raw = _divide_half_away(numerator, POWERS_OF_TEN[quantity.precision] * last_px.raw)
        return quantity_from_raw(self._check_raw("base quantity", raw), self.size_precision)

    def _money(self, numerator: int, denominator: int, currency: Currency) -> Money:
        raw = _divide_half_away(numerator * POWERS_OF_TEN[currency.precision], denominator)
        return money_from_raw(self._check_raw("notional value", raw), currency)

    def _check_raw(self, what: str, raw: int) -> int:
        if not RAW_MIN <= raw <= RAW_MAX:
            raise ValueError(f"{self.id}: the {what} is beyond the signed 64-bit range (raw {raw})")
        return raw

    # -- Checks

    def _fault(self, reason: str) -> ValueError:
        return ValueError(f"invalid instrument {self.instrument_id}: {reason}")

    def _check(self) -> None:
        for name in _RATES:
            rate = getattr(self, name)
            if rate is None:
                force_setattr(self, name, _ZERO)
            elif isinstance(rate, int):
                force_setattr(self, name, Decimal(rate))
            elif not isinstance(rate, Decimal):
                raise TypeError(f"invalid instrument {self.instrument_id}: `{name}` must be a Decimal, was {rate!r}")
        for kind in ("price", "size"):
            precision, increment = getattr(self, f"{kind}_precision"), getattr(self, f"{kind}_increment")
            if not 0 <= precision <= PRECISION_MAX:
                raise self._fault(f"`{kind}_precision` {precision} is not in 0 to {PRECISION_MAX}")
            if increment.raw <= 0:
                raise self._fault(f"`{kind}_increment` must be positive, was {increment}")
            if increment.precision != precision:
                raise self._fault(
                    f"`{kind}_increment` {increment} does not have `{kind}_precision` {precision} decimals"
                )
        if self.multiplier.raw <= 0:
            raise self._fault(f"`multiplier` must be positive, was {self.multiplier}")
        if self.lot_size is not None and self.lot_size.raw <= 0:
            raise self._fault(f"`lot_size` must be positive, was {self.lot_size}")
        for kind in ("quantity", "notional", "price"):
            low, high = getattr(self, f"min_{kind}"), getattr(self, f"max_{kind}")
            if low is not None and high is not None and low > high:
                raise self._fault(f"`min_{kind}` {low} is above `max_{kind}` {high}")

    # -- Equality and text

    def __eq__(self, other: object) -> bool:
        return self.instrument_id == other.instrument_id if isinstance(other, Instrument) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return self.instrument_id != other.instrument_id if isinstance(other, Instrument) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.instrument_id)

    @staticmethod
    def to_dict(obj: "Instrument") -> dict[str, Any]:
        """A dict of built-in types, exact."""
        values: dict[str, Any] = msgspec.to_builtins(obj)
        return values

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "Instrument":
        """The inverse of `to_dict`."""
        instrument: Instrument = msgspec.convert(values, AnyInstrument)
        return instrument


class CurrencyPair(Instrument, frozen=True, eq=False, tag=True):
    """One currency (fiat or crypto) against another, spot."""

    instrument_id: InstrumentId
    raw_symbol: Symbol
    base_currency: Currency
    quote_currency: Currency
    price_precision: int
    size_precision: int
    price_increment: Price
    size_increment: Quantity
    ts_event: int
    ts_init: int
    multiplier: Quantity = _ONE
    lot_size: Quantity | None = None
    max_quantity: Quantity | None = None
    min_quantity: Quantity | None = None
    max_notional: Money | None = None
    min_notional: Money | None = None
    max_price: Price | None = None
    min_price: Price | None = None
    margin_init: Decimal = _ZERO
    margin_maint: Decimal = _ZERO
    maker_fee: Decimal = _ZERO
    taker_fee: Decimal = _ZERO
    tick_scheme_name: str | None = None
    info: dict[str, Any] | None = None

    @property
    def asset_class(self) -> AssetClass:
        """CRYPTOCURRENCY when either side is a crypto currency, else FX."""
        types = (self.base_currency.currency_type, self.quote_currency.currency_type)
        return AssetClass.CRYPTOCURRENCY if CurrencyType.CRYPTO in types else AssetClass.FX

    def get_base_currency(self) -> Currency:
        """The currency bought and sold."""
        return self.base_currency


class Equity(Instrument, frozen=True, eq=False, tag=True):
    """A share: whole sizes, priced in one currency."""

    instrument_id: InstrumentId
    raw_symbol: Symbol
    currency: Currency
    price_precision: int
    price_increment: Price
    lot_size: Quantity
    ts_event: int
    ts_init: int
    max_quantity: Quantity | None = None
    min_quantity: Quantity | None = None
    margin_init: Decimal = _ZERO
    margin_maint: Decimal = _ZERO
    maker_fee: Decimal = _ZERO
    taker_fee: Decimal = _ZERO
    isin: str | None = None
    tick_scheme_name: str | None = None
    info: dict[str, Any] | None = None

    @property
    def asset_class(self) -> AssetClass:
        """EQUITY."""
        return AssetClass.EQUITY

    @property
    def quote_currency(self) -> Currency:
        """The currency of its price."""
        return self.currency


class FuturesContract(Instrument, frozen=True, eq=False, tag=True):
    """A dated future: whole contracts of `multiplier` units. Times are UTC nanoseconds."""

    instrument_id: InstrumentId
    raw_symbol: Symbol
    asset_class: AssetClass
    currency: Currency
    price_precision: int
    price_increment: Price
    multiplier: Quantity
    lot_size: Quantity
    underlying: str
    activation_ns: int
    expiration_ns: int
    ts_event: int
    ts_init: int
    margin_init: Decimal = _ZERO
    margin_maint: Decimal = _ZERO
    maker_fee: Decimal = _ZERO
    taker_fee: Decimal = _ZERO
    exchange: str | None = None
    tick_scheme_name: str | None = None
    info: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self._check()
        if self.activation_ns > self.expiration_ns:
            raise self._fault("`activation_ns` is after `expiration_ns`")

    @property
    def instrument_class(self) -> InstrumentClass:
        """FUTURE."""
        return InstrumentClass.FUTURE

    @property
    def quote_currency(self) -> Currency:
        """The currency of its price."""
        return self.currency

    @property
    def min_quantity(self) -> Quantity:
        """One contract."""
        return _ONE

    @property
    def activation_utc(self) -> datetime:
        """When trading begins (to the microsecond)."""
        return _EPOCH + timedelta(microseconds=self.activation_ns // 1000)

    @property
    def expiration_utc(self) -> datetime:
        """When the contract ends (to the microsecond)."""
        return _EPOCH + timedelta(microseconds=self.expiration_ns // 1000)


class CryptoPerpetual(Instrument, frozen=True, eq=False, tag=True):
    """A perpetual swap on a crypto currency: linear, inverse (settled in base) or quanto (settled in a third)."""

    instrument_id: InstrumentId
    raw_symbol: Symbol
    base_currency: Currency
    quote_currency: Currency
    settlement_currency: Currency
    is_inverse: bool
    price_precision: int
    size_precision: int
    price_increment: Price
    size_increment: Quantity
    ts_event: int
    ts_init: int
    multiplier: Quantity = _ONE
    lot_size: Quantity | None = _ONE
    max_quantity: Quantity | None = None
    min_quantity: Quantity | None = None
    max_notional: Money | None = None
    min_notional: Money | None = None
    max_price: Price | None = None
    min_price: Price | None = None
    margin_init: Decimal = _ZERO
    margin_maint: Decimal = _ZERO
    maker_fee: Decimal = _ZERO
    taker_fee: Decimal = _ZERO
    tick_scheme_name: str | None = None
    info: dict[str, Any] | None = None

    @property
    def asset_class(self) -> AssetClass:
        """CRYPTOCURRENCY."""
        return AssetClass.CRYPTOCURRENCY

    @property
    def instrument_class(self) -> InstrumentClass:
        """SWAP."""
        return InstrumentClass.SWAP

    @property
    def is_quanto(self) -> bool:
        """Whether settled in neither base nor quote currency."""
        return self.settlement_currency not in (self.base_currency, self.quote_currency)

    def get_base_currency(self) -> Currency:
        """The currency it follows."""
        return self.base_currency

    def get_settlement_currency(self) -> Currency:
        """The currency profits are paid in."""
        return self.settlement_currency

    def get_cost_currency(self) -> Currency:
        """The currency an order is paid in."""
        return self.settlement_currency if self.is_quanto else self._value_currency()


AnyInstrument = CurrencyPair | Equity | FuturesContract | CryptoPerpetual


def instrument_to_json(instrument: Instrument) -> bytes:
    """The instrument as JSON, exact."""
    return msgspec.json.encode(instrument)


def instrument_from_json(data: bytes) -> AnyInstrument:
    """The inverse of `instrument_to_json`; ValueError when the text is no instrument."""
    try:
        instrument: AnyInstrument = msgspec.json.decode(data, type=AnyInstrument)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not an instrument: {error}") from None
    return instrument
