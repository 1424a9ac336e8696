"""Subjects: the names under which messages travel, made of tokens joined by dots.

    fleet.<env>.md.<venue>.<symbol>.<kind>
    fleet.<env>.cmd.risk.<strategy>
    fleet.<env>.cmd.exec.<venue>
    fleet.<env>.evt.order.<venue>.<strategy>
    fleet.<env>.evt.account.<account>
    fleet.<env>.sys.<kind>.<service>

A token may hold letters, digits and `-_/`. Any other byte of the UTF-8 text is written as `%XX`, so that names such as
`BRK.B` or `*` are one token, each name has one token, and `parse_subject` gives the names back.
"""

import re
from functools import lru_cache
from typing import ClassVar, TypeVar

import msgspec

from nautilus_common.model.identifiers import Identifier

_PREFIX = "fleet"
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_/")
_TOKEN = re.compile(r"(?:[A-Za-z0-9_/-]|%[0-9A-F]{2})+")


class SubjectError(ValueError):
    """A name that cannot be part of a subject, or a text that is not a subject of ours."""


class Subject(msgspec.Struct, frozen=True):
    """The base of all subjects: fields are the names, unescaped; `str(subject)` is what the bus sees."""

    plane: ClassVar[tuple[str, ...]]

    env: str

    def __str__(self) -> str:
        env, *names = (escape(value) for value in msgspec.structs.astuple(self))
        return ".".join((_PREFIX, env, *self.plane, *names))


class MarketDataSubject(Subject, frozen=True):
    """Blocks of one kind (quote, trade, bar) of one instrument."""

    plane: ClassVar[tuple[str, ...]] = ("md",)

    venue: str
    symbol: str
    kind: str


class RiskCommandSubject(Subject, frozen=True):
    """What a strategy asks of pre-trade risk."""

    plane: ClassVar[tuple[str, ...]] = ("cmd", "risk")

    strategy: str


class ExecutionCommandSubject(Subject, frozen=True):
    """What risk lets pass to a venue."""

    plane: ClassVar[tuple[str, ...]] = ("cmd", "exec")

    venue: str


class OrderEventSubject(Subject, frozen=True):
    """What happens to a strategy's orders at a venue."""

    plane: ClassVar[tuple[str, ...]] = ("evt", "order")

    venue: str
    strategy: str


class AccountEventSubject(Subject, frozen=True):
    """What happens to an account."""

    plane: ClassVar[tuple[str, ...]] = ("evt", "account")

    account: str


class SystemSubject(Subject, frozen=True):
    """What a service says of itself: health, log, journal."""

    plane: ClassVar[tuple[str, ...]] = ("sys",)

    kind: str
    service: str


_KINDS: tuple[type[Subject], ...] = (
    MarketDataSubject,
    RiskCommandSubject,
    ExecutionCommandSubject,
    OrderEventSubject,
    AccountEventSubject,
    SystemSubject,
)

_S = TypeVar("_S", bound=Subject)


def subject_filter(kind: type[_S], env: str, **names: str) -> str:
    """A filter for all subjects of `kind` with these names; what is not named may be anything (`*`)."""
    _, *fields = kind.__struct_fields__
    unknown = [name for name in names if name not in fields]
    if unknown:
        raise SubjectError(f"{kind.__name__} has no {', '.join(unknown)}: its names are {', '.join(fields)}")
    tokens = (escape(names[field]) if field in names else "*" for field in fields)
    return ".".join((_PREFIX, escape(env), *kind.plane, *tokens))


def parse_subject(text: str) -> Subject:
    """The subject that `text` is; SubjectError if it is none of ours."""
    tokens = text.split(".")
    if tokens[0] == _PREFIX:
        for kind in _KINDS:
            width = len(kind.plane)
            if tuple(tokens[2 : 2 + width]) == kind.plane and len(tokens) == width + 1 + len(kind.__struct_fields__):
                return kind(unescape(tokens[1]), *(unescape(token) for token in tokens[2 + width :]))
    raise SubjectError(f"{text!r} is not a subject of ours; they begin with `{_PREFIX}.<env>.` and a plane")


@lru_cache(maxsize=4096)
def escape(name: str) -> str:
    """`name` as one token of a subject; SubjectError if it is empty or not valid Unicode."""
    if not name:
        raise SubjectError("a part of a subject must not be empty")
    try:
        data = name.encode()
    except UnicodeEncodeError as error:
        raise SubjectError(f"{name!r} cannot be part of a subject: {error}") from error
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in data)


@lru_cache(maxsize=4096)
def unescape(token: str) -> str:
    """The name that `token` stands for; SubjectError if `escape` never makes such a token."""
    if not _TOKEN.fullmatch(token):
        raise SubjectError(f"{token!r} is not a token of a subject")
    head, *parts = token.split("%")
    data = head.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in parts)
    try:
        name = data.decode()
    except UnicodeDecodeError as error:
        raise SubjectError(f"{token!r} is not a token of a subject: {error}") from error
    if escape(name) != token:
        raise SubjectError(f"{token!r} is not a token of a subject: {name!r} is written {escape(name)!r}")
    return name


# -- channels: subjects without prefix and environment, as engines speak on them and as the event log holds them
# ---------


def risk_commands(strategy_id: Identifier) -> str:
    """What a strategy asks of pre-trade risk."""
    return f"cmd.risk.{escape(strategy_id.value)}"


def execution_commands(venue: Identifier) -> str:
    """What risk lets pass to a venue's gateway; cancels go there directly."""
    return f"cmd.exec.{escape(venue.value)}"


def venue_commands(venue: Identifier) -> str:
    """Commands on their way from the gateway to its simulated venue."""
    return f"cmd.venue.{escape(venue.value)}"


def order_events(venue: Identifier, strategy_id: Identifier) -> str:
    """What happens to a strategy's orders at a venue."""
    return f"evt.order.{escape(venue.value)}.{escape(strategy_id.value)}"


def position_events(strategy_id: Identifier) -> str:
    """What happens to a strategy's positions."""
    return f"evt.position.{escape(strategy_id.value)}"


def account_events(account_id: Identifier) -> str:
    """What happens to an account, as the portfolio says it."""
    return f"evt.account.{escape(account_id.value)}"


def adjustment_events(account_id: Identifier) -> str:
    """Money that came or went at the venue without a fill."""
    return f"evt.adjustment.{escape(account_id.value)}"
