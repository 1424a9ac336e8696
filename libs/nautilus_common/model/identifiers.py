"""Identifiers: frozen one-field structs around a text, and the instrument identifier of two parts.

Texts with a rule that are rarely made (trader, strategy, account, symbol, venue, ...) are checked in
`__post_init__`, so decoding checks them too. Those made for every order or trade (`ClientOrderId`, `VenueOrderId`,
`OrderListId`, `PositionId`, `TradeId`) are checked by their metaclass: a call `TradeId("1")` is checked, while decoding
and the `unchecked_*` functions at the end of this module go straight to C.

`==` between different identifier types (or with a `str`) is False, where NautilusTrader raises TypeError.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from msgspec import Struct, StructMeta

TRADE_ID_LENGTH_MAX = 36
_SYNTHETIC_VENUE = "SYNTH"
_EXTERNAL_STRATEGY = "EXTERNAL"

_new = StructMeta.__call__


def _check_text(kind: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{kind} value must be a str, not {type(value).__name__}: {value!r}")
    if not value or value.isspace():
        raise ValueError(f"{kind} value must not be empty: 'value' string was invalid, was {value!r}")


def _check_hyphen(kind: str, value: str, example: str) -> None:
    _check_text(kind, value)
    name, hyphen, tag = value.rpartition("-")
    if not (name and hyphen and tag):
        raise ValueError(
            f"{kind} value was malformed: did not contain a hyphen '-' between two parts, as {example!r}: {value!r}"
        )


class Identifier(Struct, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """A text that names one thing. Equal when type and text are equal; ordered by text within one type."""

    value: str

    def __str__(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class _CheckedIdentifier(Identifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """An identifier whose text must not be empty, checked also when decoded."""

    def __post_init__(self) -> None:
        _check_text(type(self).__name__, self.value)


class Symbol(_CheckedIdentifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """A venue's name of an instrument, as `EUR/USD`; may hold dots."""

    def is_composite(self) -> bool:
        """Whether the text has parts separated by dots, as `ES.FUT`."""
        return "." in self.value

    def root(self) -> str:
        """The text before the first dot: `ES` of `ES.FUT`."""
        return self.value.partition(".")[0]

    def topic(self) -> str:
        """The text a subscription matches: `ES*` of `ES.FUT`, else the whole text."""
        return f"{self.root()}*" if self.is_composite() else self.value


class Venue(_CheckedIdentifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """A trading venue, as `SIM`; must not hold a dot, since an instrument's text is split on its last one."""

    def __post_init__(self) -> None:
        _check_text("Venue", self.value)
        if "." in self.value:
            raise ValueError(f"Venue value must not contain '.': {self.value!r}")

    def is_synthetic(self) -> bool:
        """Whether this is the venue of synthetic instruments."""
        return self.value == _SYNTHETIC_VENUE


class ComponentId(_CheckedIdentifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """Names a component (actor, engine) of a run."""


class ClientId(_CheckedIdentifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """Names a data or execution client."""


class ExecAlgorithmId(_CheckedIdentifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """Names an execution algorithm."""


class TraderId(Identifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """A trader as `NAME-TAG`, as `TESTER-001`."""

    def __post_init__(self) -> None:
        _check_hyphen("TraderId", self.value, "TESTER-001")

    def get_tag(self) -> str:
        """The part after the last hyphen."""
        return self.value.rpartition("-")[2]


class StrategyId(Identifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """A strategy as `NAME-TAG`, as `EMACross-001`; `EXTERNAL` owns orders that are not ours."""

    def __post_init__(self) -> None:
        if self.value != _EXTERNAL_STRATEGY:
            _check_hyphen("StrategyId", self.value, "EMACross-001")

    def get_tag(self) -> str:
        """The part after the last hyphen."""
        return self.value.rpartition("-")[2]

    def is_external(self) -> bool:
        """Whether this stands for orders placed outside the platform."""
        return self.value == _EXTERNAL_STRATEGY


class AccountId(Identifier, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """An account as `ISSUER-ID`, as `SIM-001`; split on the first hyphen."""

    def __post_init__(self) -> None:
        _check_hyphen("AccountId", self.value, "SIM-001")

    def get_issuer(self) -> str:
        """The part before the first hyphen, as a rule the venue."""
        return self.value.partition("-")[0]

    def get_id(self) -> str:
        """The part after the first hyphen."""
        return self.value.partition("-")[2]


class _HotMeta(StructMeta):
    """Checks the text when Python code calls the class; the C-level paths (`_new`, decoding) do not pass here."""

    def __call__(cls, value: str) -> Any:
        _check_text(cls.__name__, value)
        return _new(cls, value)


class _TradeIdMeta(_HotMeta):
    """Checks the length too."""

    def __call__(cls, value: str) -> Any:
        _check_text(cls.__name__, value)
        if len(value) > TRADE_ID_LENGTH_MAX:
            raise ValueError(f"TradeId 'value' out of range [1, {TRADE_ID_LENGTH_MAX}], was {len(value)}: {value!r}")
        return _new(cls, value)


class ClientOrderId(
    Identifier, metaclass=_HotMeta, frozen=True, gc=False, array_like=True, cache_hash=True, order=True
):
    """Our own name of an order."""


class VenueOrderId(Identifier, metaclass=_HotMeta, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """The venue's name of an order."""


class OrderListId(Identifier, metaclass=_HotMeta, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """Names a list of orders submitted together."""


class PositionId(Identifier, metaclass=_HotMeta, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """Names a position."""


class TradeId(Identifier, metaclass=_TradeIdMeta, frozen=True, gc=False, array_like=True, cache_hash=True, order=True):
    """The venue's name of a trade or fill: 1 to 36 characters."""


class InstrumentId(Struct, frozen=True, gc=False, array_like=True, cache_hash=True):
    """An instrument as `SYMBOL.VENUE`; the text is split on its last dot, so `BRK.B.XNYS` is `BRK.B` at `XNYS`."""

    symbol: Symbol
    venue: Venue

    @staticmethod
    def from_str(value: str) -> "InstrumentId":
        """Parse `SYMBOL.VENUE`; ValueError when a part is missing."""
        symbol, dot, venue = value.rpartition(".")
        if not dot:
            raise ValueError(
                f"invalid `InstrumentId` value {value!r}: missing '.' separator between symbol and venue components"
            )
        if not symbol or not venue:
            raise ValueError(f"invalid `InstrumentId` value {value!r}: symbol and venue must not be empty")
        return InstrumentId(Symbol(symbol), Venue(venue))

    @property
    def value(self) -> str:
        """The text `SYMBOL.VENUE`."""
        return f"{self.symbol.value}.{self.venue.value}"

    def is_synthetic(self) -> bool:
        """Whether this names a synthetic instrument."""
        return self.venue.is_synthetic()

    def __str__(self) -> str:
        return f"{self.symbol.value}.{self.venue.value}"

    def __repr__(self) -> str:
        return f"InstrumentId({self.value!r})"

    def __lt__(self, other: object) -> bool:
        return self.value < other.value if isinstance(other, InstrumentId) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.value <= other.value if isinstance(other, InstrumentId) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.value > other.value if isinstance(other, InstrumentId) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.value >= other.value if isinstance(other, InstrumentId) else NotImplemented


_I = TypeVar("_I", bound=Identifier)


def _unchecked(kind: type[_I]) -> Callable[[str], _I]:
    """A C-level constructor of `kind` that checks nothing: for texts we made ourselves, by the million."""
    return cast("Callable[[str], _I]", _new.__get__(kind))


unchecked_client_order_id = _unchecked(ClientOrderId)
unchecked_venue_order_id = _unchecked(VenueOrderId)
unchecked_order_list_id = _unchecked(OrderListId)
unchecked_position_id = _unchecked(PositionId)
unchecked_trade_id = _unchecked(TradeId)
