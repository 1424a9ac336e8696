"""Channels: the names under which messages travel, made of tokens joined by dots.

    cmd.risk.<strategy>             what a strategy asks of pre-trade risk
    cmd.exec.<venue>                what risk lets pass to a venue's gateway
    cmd.venue.<venue>               commands under way from the gateway to its simulated venue
    evt.order.<venue>.<strategy>    what happens to a strategy's orders
    evt.position.<strategy>         what happens to its positions
    evt.account.<account>           what happens to an account
    evt.adjustment.<account>        money that came or went without a fill

Engines speak on them and the event log holds them. A bus between processes puts its own prefix and environment before
them, so that the environment of a run is not in its digest.

A token may hold letters, digits and `-_/`. Any other byte of the UTF-8 text is written as `%XX`, so that names such as
`BRK.B` or `*` are one token, each name has one token, and `unescape` gives the name back.
"""

import re
from functools import lru_cache

from nautilus_common.model.identifiers import Identifier

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_/")
_TOKEN = re.compile(r"(?:[A-Za-z0-9_/-]|%[0-9A-F]{2})+")

RECORDED = "recorded"
"""Questions whether the recorder has all of an environment, and its answers."""


class SubjectError(ValueError):
    """A name that cannot be part of a channel, or a token that stands for no name."""


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


def subject(env: str, channel: str) -> str:
    """The subject of `channel` in the world `env`."""
    return f"fleet.{env}.{channel}"


def channel_of(subject: str) -> str:
    """The channel that `subject` carries; SubjectError if it is not one of ours."""
    parts = subject.split(".", 2)
    if len(parts) != 3 or parts[0] != "fleet":
        raise SubjectError(f"{subject!r} is not fleet.<env>.<channel>")
    return parts[2]


def log(roles: tuple[str, ...], process: str) -> str:
    """The log of a process: what it has taken and said, entry by entry. Its roles are what permissions are given to."""
    return f"log.{escape('+'.join(roles))}.{escape(process)}"


def parse_log(channel: str) -> tuple[tuple[str, ...], str]:
    """(roles, process) of the channel of a log; SubjectError if it is none."""
    match channel.split("."):
        case ["log", roles, process]:
            return tuple(unescape(roles).split("+")), unescape(process)
    raise SubjectError(f"{channel[:200]!r} is not log.<roles>.<process>")


def market_data(venue: str, symbol: str, kind: str) -> str:
    """The blocks of one instrument and kind."""
    return f"md.{escape(venue)}.{escape(symbol)}.{escape(kind)}"


def trip(process: str) -> str:
    """The calls of a replay to the engines of a process, request and reply."""
    return f"trip.{escape(process)}"


def control_stream(env: str) -> str:
    """The name of the stream of all processes' logs."""
    return f"CTL_{env}"


def data_stream(env: str) -> str:
    """The name of the stream of market data."""
    return f"MD_{env}"
