"""Value types: `Price`, `Quantity`, `Money` and `Currency`, exact integers with a number of decimals.

Theory of operation. A value is `raw / 10**precision`, both integers, `raw` within signed 64 bits. Equality, order and
hash are those of the number, whatever the precision, and agree with `int`, `Decimal` and (exactly compared) `float`.
Same-type `+` and `-` keep the type at the greater precision; any other arithmetic gives a `Decimal`, or a `float`
when the other operand is a float, as in NautilusTrader. Differences from it, on purpose: `raw` is at the value's
own precision (there 1e16), precision goes to 18 (there 16) bounded by int64, and ints, Decimals and texts are never
passed through a float.

The classes are msgspec structs, so they are encoded natively as arrays. Their metaclass turns the public call
`Price(1.234, 2)` into a raw integer; decoding and the module functions `price_from_raw`, `quantity_from_raw` and
`money_from_raw` (about 100 ns, unchecked) go straight to the C constructor.

Rounding: floats as `value * 10**precision` rounded half away from zero (`Quantity(1.25, 1)` is 1.3), Decimals and texts
given to a constructor exactly, half away from zero too; `Money.from_decimal` and `Money.from_str` round half to even.
"""

import math
import operator
import sys
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast, overload

from msgspec import Struct, StructMeta

from nautilus_common.model.enums import CurrencyType

PRECISION_MAX = 18
RAW_MAX = 2**63 - 1
RAW_MIN = -(2**63)

POWERS_OF_TEN: tuple[int, ...] = tuple(10**n for n in range(2 * PRECISION_MAX + 1))
_DECIMAL_POWERS = tuple(Decimal(power) for power in POWERS_OF_TEN)
# Wide enough for any int64 at any precision, and apart from the caller's decimal context.
_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
# Python's hash of a rational m/n is m * n**-1 modulo this prime: so equal numbers of all types hash alike.
_HASH_MODULUS = sys.hash_info.modulus
_HASH_INVERSES: tuple[int, ...] = tuple(pow(power, -1, _HASH_MODULUS) for power in POWERS_OF_TEN)

_new = StructMeta.__call__


def _check_precision(precision: object) -> int:
    if not isinstance(precision, int) or isinstance(precision, bool):
        raise TypeError(f"`precision` must be an int, not {type(precision).__name__}: {precision!r}")
    if not 0 <= precision <= PRECISION_MAX:
        raise ValueError(f"invalid `precision` {precision}: use 0 to {PRECISION_MAX}")
    return precision


def _check_raw(kind: str, raw: int, precision: int, minimum: int) -> int:
    if raw > RAW_MAX or raw < minimum:
        low, high = number_text(minimum, precision), number_text(RAW_MAX, precision)
        raise ValueError(
            f"invalid `value` {number_text(raw, precision)} for {kind}: at precision {precision} use {low} to {high}"
        )
    return raw


def _round_float(value: float, precision: int) -> int:
    """`value * 10**precision` to the nearest integer, ties away from zero."""
    if not math.isfinite(value):
        raise ValueError(f"invalid `value` {value}: it must be a finite number")
    scaled = value * POWERS_OF_TEN[precision]
    whole = int(scaled)
    rest = scaled - whole
    if rest >= 0.5:
        return whole + 1
    return whole - 1 if rest <= -0.5 else whole


def _round_decimal(value: Decimal, precision: int, rounding: str) -> int:
    """`value * 10**precision` to the nearest integer; too large a value is left for the range check to refuse."""
    if not value.is_finite():
        raise ValueError(f"invalid `value` {value}: it must be a finite number")
    if value.adjusted() > 2 * PRECISION_MAX:
        raise ValueError(f"invalid `value` {value}: beyond the signed 64-bit range")
    return int(value.scaleb(precision, _EXACT).to_integral_value(rounding))


def _to_raw(kind: str, value: object, precision: int) -> int:
    """The integer at `precision` nearest to `value` (an int, float, Decimal or number-like object; no text)."""
    if isinstance(value, float):
        return _round_float(value, precision)
    if isinstance(value, int):
        return value * POWERS_OF_TEN[precision]
    if isinstance(value, Decimal):
        return _round_decimal(value, precision, ROUND_HALF_UP)
    if isinstance(value, FixedPoint):
        return _round_decimal(value.as_decimal(), precision, ROUND_HALF_UP)
    if hasattr(value, "__index__"):
        return operator.index(value) * POWERS_OF_TEN[precision]
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise TypeError(f"{kind} value must be real number, not {type(value).__name__}: {value!r} ({kind}.from_str?)")
    return _round_float(float(value), precision)


def parse_decimal(text: str) -> Decimal:
    """The number written in `text`, which may hold `_` and an exponent; ValueError when it is none."""
    if not isinstance(text, str):
        raise TypeError(f"expected a str, not {type(text).__name__}: {text!r}")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"invalid number {text!r}") from None
    if not value.is_finite():
        raise ValueError(f"invalid number {text!r}: it must be finite")
    return value


def decimal_places(value: Decimal) -> int:
    """The decimals written in `value`: 2 for 1.50, 3 for 1e-3, 0 for 1e3."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def number_text(raw: int, precision: int) -> str:
    """`raw / 10**precision` with exactly `precision` decimals."""
    if precision == 0:
        return str(raw)
    digits = str(abs(raw)).rjust(precision + 1, "0")
    return f"{'-' if raw < 0 else ''}{digits[:-precision]}.{digits[-precision:]}"


def _grouped(text: str) -> str:
    """`text`, a fixed-point number, with `_` between thousands."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, dot, decimals = digits.partition(".")
    return f"{sign}{int(whole):_}{dot}{decimals}"


def _operand(value: object) -> Any:
    """`value` as a number that `Decimal` works with, or NotImplemented."""
    if isinstance(value, FixedPoint):
        return value.as_decimal()
    return value if isinstance(value, (int, float, Decimal)) else NotImplemented


def _arithmetic(name: str) -> Any:
    """A binary operator of `FixedPoint` that gives a Decimal, or a float with a float."""

    def compute(self: "FixedPoint", other: object) -> Any:
        number = _operand(other)
        if number is NotImplemented:
            return NotImplemented
        if isinstance(number, float):
            return getattr(float(self), name)(number)
        return getattr(self.as_decimal(), name)(number)

    compute.__name__ = name
    return compute


class FixedPoint(Struct, frozen=True, gc=False, array_like=True, eq=False):
    """What prices, quantities and money share: an integer `raw` and a number of decimals. Not made itself."""

    raw: int
    if TYPE_CHECKING:

        @property
        def precision(self) -> int: ...

    def as_decimal(self) -> Decimal:
        """The exact value, without trailing zeros after the point."""
        return _EXACT.divide(Decimal(self.raw), _DECIMAL_POWERS[self.precision])

    def as_double(self) -> float:
        """The double nearest to the value."""
        return self.raw / POWERS_OF_TEN[self.precision]

    as_float = as_double
    __float__ = as_double

    def __int__(self) -> int:
        whole = abs(self.raw) // POWERS_OF_TEN[self.precision]
        return -whole if self.raw < 0 else whole

    def __round__(self, ndigits: int | None = None) -> Any:
        return round(self.as_decimal()) if ndigits is None else round(self.as_decimal(), ndigits)

    def __str__(self) -> str:
        return number_text(self.raw, self.precision)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def to_formatted_str(self) -> str:
        """As `str`, with `_` between thousands."""
        return _grouped(str(self))

    def __hash__(self) -> int:
        raw, inverse = self.raw, _HASH_INVERSES[self.precision]
        return raw * inverse % _HASH_MODULUS if raw >= 0 else -(-raw * inverse % _HASH_MODULUS)

    def _order(self, other: object) -> Any:
        """A number of the sign of `self - other`, NaN when `other` is, or NotImplemented."""
        if isinstance(other, FixedPoint):
            mine, theirs = self.precision, other.precision
            if mine == theirs:
                return self.raw - other.raw
            return self.raw * POWERS_OF_TEN[theirs] - other.raw * POWERS_OF_TEN[mine]
        if isinstance(other, int):
            return self.raw - other * POWERS_OF_TEN[self.precision]
        if isinstance(other, (float, Decimal)):
            if other != other:
                return math.nan
            value = self.as_decimal()
            return (value > other) - (value < other)
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is NotImplemented else order == 0

    def __ne__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is NotImplemented else order != 0

    def __lt__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is NotImplemented else order < 0

    def __le__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is NotImplemented else order <= 0

    def __gt__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is NotImplemented else order > 0

    def __ge__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is NotImplemented else order >= 0

    def _with_raw(self, raw: int, precision: int) -> Self:
        """A value of the same type (and currency), checked."""
        raise NotImplementedError

    def _sum(self, other: "FixedPoint", sign: int) -> Self:
        """`self + sign * other`, of one type, at the greater precision."""
        mine, theirs = self.precision, other.precision
        if mine == theirs:
            return self._with_raw(self.raw + sign * other.raw, mine)
        precision = max(mine, theirs)
        left = self.raw * POWERS_OF_TEN[precision - mine]
        return self._with_raw(left + sign * other.raw * POWERS_OF_TEN[precision - theirs], precision)

    @overload
    def __add__(self, other: Self) -> Self: ...
    @overload
    def __add__(self, other: object) -> Any: ...
    def __add__(self, other: object) -> Any:
        if type(other) is type(self):
            return self._sum(other, 1)
        return _decimal_add(self, other)

    @overload
    def __sub__(self, other: Self) -> Self: ...
    @overload
    def __sub__(self, other: object) -> Any: ...
    def __sub__(self, other: object) -> Any:
        if type(other) is type(self):
            return self._sum(other, -1)
        return _decimal_sub(self, other)

    __radd__ = _arithmetic("__radd__")
    __rsub__ = _arithmetic("__rsub__")
    __mul__ = _arithmetic("__mul__")
    __rmul__ = _arithmetic("__rmul__")
    __truediv__ = _arithmetic("__truediv__")
    __rtruediv__ = _arithmetic("__rtruediv__")
    __floordiv__ = _arithmetic("__floordiv__")
    __rfloordiv__ = _arithmetic("__rfloordiv__")
    __mod__ = _arithmetic("__mod__")
    __rmod__ = _arithmetic("__rmod__")

    def __neg__(self) -> Any:
        return self._with_raw(-self.raw, self.precision)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self if self.raw >= 0 else self._with_raw(-self.raw, self.precision)


_decimal_add = _arithmetic("__add__")
_decimal_sub = _arithmetic("__sub__")


class _NumberMeta(StructMeta):
    """Makes `Price(1.234, 2)` and `Quantity(5, 0)` from numbers."""

    raw_min: int

    def __call__(cls, value: object, precision: int) -> Any:
        _check_precision(precision)
        raw = _to_raw(cls.__name__, value, precision)
        return _new(cls, _check_raw(cls.__name__, raw, precision, cls.raw_min), precision)


class _Number(FixedPoint, metaclass=_NumberMeta, frozen=True, gc=False, array_like=True, eq=False):
    """The constructors `Price` and `Quantity` share."""

    raw_min: ClassVar[int] = RAW_MIN

    precision: int

    @classmethod
    def from_raw(cls, raw: int, precision: int) -> Self:
        """The value `raw / 10**precision`, checked; for millions use the module function of the same name."""
        _check_precision(precision)
        return cast("Self", _new(cls, _check_raw(cls.__name__, raw, precision, cls.raw_min), precision))

    @classmethod
    def from_str(cls, value: str) -> Self:
        """Parse a number; its precision is the decimals written. `_` and an exponent are taken."""
        return cls.from_decimal(parse_decimal(value))

    @classmethod
    def from_int(cls, value: int) -> Self:
        """A whole number, at precision 0."""
        if not isinstance(value, int):
            raise TypeError(f"{cls.__name__}.from_int needs an int, not {type(value).__name__}: {value!r}")
        return cls.from_raw(value, 0)

    @classmethod
    def from_decimal(cls, value: Decimal) -> Self:
        """The exact value; its precision is the decimals of `value`."""
        precision = _check_precision(decimal_places(value))
        return cls.from_raw(_round_decimal(value, precision, ROUND_HALF_UP), precision)

    def _with_raw(self, raw: int, precision: int) -> Self:
        kind = type(self)
        if raw > RAW_MAX or raw < kind.raw_min:
            _check_raw(kind.__name__, raw, precision, kind.raw_min)
        return cast("Self", _new(kind, raw, precision))

    def __reduce__(self) -> tuple[Any, ...]:
        return _number, (type(self), self.raw, self.precision)


class Price(_Number, frozen=True, gc=False, array_like=True, eq=False):
    """A price: `Price(1.2345, 4)`, `Price.from_str("1.2345")`. May be negative or zero."""

    if TYPE_CHECKING:

        def __init__(self, value: float | Decimal | FixedPoint, precision: int) -> None: ...


class Quantity(_Number, frozen=True, gc=False, array_like=True, eq=False):
    """A quantity, never negative: `Quantity(1000, 0)`, `Quantity.from_str("0.5")`."""

    raw_min: ClassVar[int] = 0

    if TYPE_CHECKING:

        def __init__(self, value: float | Decimal | FixedPoint, precision: int) -> None: ...

    @classmethod
    def zero(cls, precision: int = 0) -> "Quantity":
        """Nothing, at `precision` decimals."""
        return cls.from_raw(0, precision)

    def saturating_sub(self, other: "Quantity") -> "Quantity":
        """`self - other`, or zero where that would be negative."""
        return self - other if self >= other else Quantity.zero(max(self.precision, other.precision))

    @overload
    def __sub__(self, other: Self) -> Self: ...
    @overload
    def __sub__(self, other: object) -> Any: ...
    def __sub__(self, other: object) -> Any:
        if type(other) is Quantity and self < other:
            raise ValueError(f"Quantity subtraction would result in negative value: {self} - {other}")
        return FixedPoint.__sub__(self, other)

    def __neg__(self) -> Decimal:
        return -self.as_decimal()


def _check_code(code: object) -> None:
    if not isinstance(code, str) or not code.strip():
        raise ValueError(f"Currency `code` must be a non-empty str, was {code!r}")


class _CurrencyMeta(StructMeta):
    """Keeps a currency's description beside the struct, which carries only what messages need."""

    def __call__(
        cls,
        code: str,
        precision: int,
        iso4217: int = 0,
        name: str | None = None,
        currency_type: CurrencyType = CurrencyType.CRYPTO,
    ) -> Any:
        _check_code(code)
        _check_precision(precision)
        _described[code] = (iso4217, name or code, CurrencyType(currency_type))
        return _new(cls, code, precision)


class Currency(Struct, metaclass=_CurrencyMeta, frozen=True, gc=False, array_like=True, cache_hash=True):
    """A currency: code, decimals, ISO 4217 number, name and type. Equal when code and decimals are.

    Number, name and type belong to the code: the registered currency's, else those last given for it.
    """

    code: str
    precision: int

    if TYPE_CHECKING:

        def __init__(
            self,
            code: str,
            precision: int,
            iso4217: int = 0,
            name: str | None = None,
            currency_type: CurrencyType = CurrencyType.CRYPTO,
        ) -> None: ...

    @property
    def iso4217(self) -> int:
        """The ISO 4217 number, 0 when there is none."""
        return _describe(self.code)[0]

    @property
    def name(self) -> str:
        """The name in words."""
        return _describe(self.code)[1]

    @property
    def currency_type(self) -> CurrencyType:
        """FIAT, CRYPTO or COMMODITY_BACKED."""
        return _describe(self.code)[2]

    @staticmethod
    def register(currency: "Currency", overwrite: bool = False) -> None:
        """Make `currency` known by its code; one that is known stays unless `overwrite`."""
        if overwrite or currency.code not in _registry:
            _registry[currency.code] = currency
            _registered[currency.code] = _described.get(currency.code, (0, currency.code, CurrencyType.CRYPTO))

    @staticmethod
    def from_internal_map(code: str) -> "Currency | None":
        """The registered currency of `code`, or None."""
        return _registry.get(code)

    @overload
    @staticmethod
    def from_str(code: str, strict: Literal[False] = False) -> "Currency": ...
    @overload
    @staticmethod
    def from_str(code: str, strict: bool) -> "Currency | None": ...
    @staticmethod
    def from_str(code: str, strict: bool = False) -> "Currency | None":
        """The registered currency of `code`; otherwise None when `strict`, else a crypto currency of 8 decimals."""
        known = _registry.get(code)
        if known is not None or strict:
            return known
        _check_code(code)
        return cast("Currency", _new(Currency, code, 8))

    @staticmethod
    def is_fiat(code: str) -> bool:
        """Whether `code` is a registered fiat currency."""
        return code in _registry and _describe(code)[2] is CurrencyType.FIAT

    @staticmethod
    def is_crypto(code: str) -> bool:
        """Whether `code` is a registered crypto currency."""
        return code in _registry and _describe(code)[2] is CurrencyType.CRYPTO

    def __str__(self) -> str:
        return self.code

    def __repr__(self) -> str:
        return (
            f"Currency(code={self.code!r}, precision={self.precision}, iso4217={self.iso4217}, "
            f"name={self.name!r}, currency_type={self.currency_type.name})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Currency, (self.code, self.precision, self.iso4217, self.name, self.currency_type)


_registry: dict[str, Currency] = {}
_registered: dict[str, tuple[int, str, CurrencyType]] = {}
_described: dict[str, tuple[int, str, CurrencyType]] = {}


def _describe(code: str) -> tuple[int, str, CurrencyType]:
    """Number, name and type of `code`; a decoded code nobody described is a crypto currency named by its code."""
    return _registered.get(code) or _described.get(code) or (0, code, CurrencyType.CRYPTO)


class _MoneyMeta(StructMeta):
    """Makes `Money(10.5, USD)` from numbers and texts."""

    def __call__(cls, value: object, currency: Currency) -> Any:
        if not isinstance(currency, Currency):
            raise TypeError(f"Money `currency` must be a Currency, not {type(currency).__name__}: {currency!r}")
        number = parse_decimal(value) if isinstance(value, str) else value
        raw = _to_raw("Money", number, currency.precision)
        return _new(cls, _check_raw("Money", raw, currency.precision, RAW_MIN), currency)


class Money(FixedPoint, metaclass=_MoneyMeta, frozen=True, gc=False, array_like=True, eq=False):
    """An amount of one currency, at its decimals. Comparing or adding two currencies is a ValueError.

    The hash is of amount and currency, so that two currencies never meet in a dict; hence it is not that of an equal
    plain number.
    """

    currency: Currency

    if TYPE_CHECKING:

        def __init__(self, value: float | str | Decimal | FixedPoint, currency: Currency) -> None: ...

    @property
    def precision(self) -> int:
        """The currency's decimals."""
        return self.currency.precision

    @staticmethod
    def from_raw(raw: int, currency: Currency) -> "Money":
        """The amount `raw / 10**currency.precision`, checked."""
        return money_from_raw(_check_raw("Money", raw, currency.precision, RAW_MIN), currency)

    @staticmethod
    def from_str(value: str) -> "Money":
        """Parse `"1_000.25 USD"`; an amount of more decimals is rounded half to even."""
        parts = value.split()
        if len(parts) != 2:
            raise ValueError(f"invalid money {value!r}: write amount and currency, as '1000.25 USD'")
        currency = Currency.from_str(parts[1])
        return Money.from_decimal(parse_decimal(parts[0]), currency)

    @staticmethod
    def from_decimal(amount: Decimal, currency: Currency) -> "Money":
        """`amount` at the currency's decimals, rounded half to even."""
        return Money.from_raw(_round_decimal(amount, currency.precision, ROUND_HALF_EVEN), currency)

    def _with_raw(self, raw: int, precision: int) -> "Money":
        if raw > RAW_MAX or raw < RAW_MIN:
            _check_raw("Money", raw, precision, RAW_MIN)
        return money_from_raw(raw, self.currency)

    def _sum(self, other: FixedPoint, sign: int) -> "Money":
        assert isinstance(other, Money)
        mine, theirs = self.currency, other.currency
        if mine is not theirs and (mine.code != theirs.code or mine.precision != theirs.precision):
            raise ValueError(
                f"currency {mine} != other.currency {theirs}: money of two currencies cannot be added ({self}, {other})"
            )
        return self._with_raw(self.raw + sign * other.raw, mine.precision)

    def _order(self, other: object) -> Any:
        if type(other) is Money and self.currency.code != other.currency.code:
            raise ValueError(f"currency {self.currency} != other.currency {other.currency}: compare amounts of one")
        return FixedPoint._order(self, other)

    def __hash__(self) -> int:
        return hash((FixedPoint.__hash__(self), self.currency.code))

    def __str__(self) -> str:
        return f"{number_text(self.raw, self.currency.precision)} {self.currency.code}"

    def __repr__(self) -> str:
        return f"Money({number_text(self.raw, self.currency.precision)}, {self.currency.code})"

    def to_formatted_str(self) -> str:
        """As `str`, with `_` between thousands."""
        return f"{_grouped(number_text(self.raw, self.currency.precision))} {self.currency.code}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _money, (self.raw, self.currency)


# The fast path: C-level constructors that check nothing. `raw` is at the value's own precision.
price_from_raw = cast("Callable[[int, int], Price]", _new.__get__(Price))
quantity_from_raw = cast("Callable[[int, int], Quantity]", _new.__get__(Quantity))
money_from_raw = cast("Callable[[int, Currency], Money]", _new.__get__(Money))


# What copies and pickles are made by: the same, but with a name that can be looked up.
def _number(kind: type[_Number], raw: int, precision: int) -> Any:
    return _new(kind, raw, precision)


def _money(raw: int, currency: Currency) -> Money:
    return money_from_raw(raw, currency)
