"""A connection to one nats-server, with the settings that the fleet stands on and errors that can be mended.

The first connection is made once or not at all: a wrong address or password is told at once, and a supervisor tries
again. After that the connection mends itself for ever, quickly, and says so through `on_state`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import nats.errors
from nats.aio.client import Client

from nautilus_common.bus.errors import BusRefused, BusUnreachable, MessageTooLarge, ServerTooOld

SERVER_VERSION_MIN = (2, 12, 0)
"""The first with atomic batches; Debian's 2.9 even ignores `filter_subjects` without a word."""
CONNECT_SECONDS = 5.0
RECONNECT_WAIT_SECONDS = 0.05
PING_SECONDS = 5
PINGS_UNANSWERED_MAX = 2
PENDING_BYTES_MAX = 32 * 1024 * 1024
"""Unsent bytes that a connection holds; what is published beyond them while the server is away raises."""
INFO_BYTES_MAX = 64 * 1024
ERROR_LOG_SECONDS = 10.0

OnState = Callable[[str, str], None]
"""Is told (state, detail): `connected`, `disconnected`, `closed`."""

_log = logging.getLogger("fleet.bus")


class Connection(Client):
    """A `nats.NATS` that counts its errors, refuses what it would be cut off for, and flushes and closes in truth."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: Counter[str] = Counter()
        """How often each kind of asynchronous error was told, by the name of its class."""
        self._logged: tuple[str, float] = ("", 0.0)

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """As `nats.NATS.publish`. Raises MessageTooLarge with the headers counted, as the server counts them."""
        size = len(payload)
        if headers:
            size += 14 + sum(len(key) + len(value) + 4 for key, value in headers.items())
        if size > self.max_payload:
            raise MessageTooLarge(
                f"a message of {size:,} bytes is more than the server takes ({self.max_payload:,})",
                where=subject,
                remedy="cut it into smaller ones; max_payload of the servers is 8 MB and stays so",
            )
        await super().publish(subject, payload, reply, headers)

    async def flush(self, timeout: int = 10) -> None:
        """Return when the server has taken all that was published before; its refusals have been told by then.

        nats-py alone lets its ping overtake what is still in the buffer, and proves nothing.
        """
        if not self.is_closed:
            await self._flush_pending(force_flush=True)
        await super().flush(timeout)

    async def close(self) -> None:
        """Close, also while the server is away: what could not be sent is lost, as the caller knows from its acks."""
        try:
            await super().close()
        except OSError:  # nats-py tries to send the rest, and leaves the socket open when it cannot
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]
            if self._closed_cb is not None:
                await self._closed_cb()

    async def note_error(self, error: Exception) -> None:
        """Count an asynchronous error; the log hears of it when it is new, or again after ten seconds."""
        kind, text = type(error).__name__, str(error)
        self.errors[kind] += 1
        now = asyncio.get_running_loop().time()
        if text != self._logged[0] or now - self._logged[1] >= ERROR_LOG_SECONDS:
            self._logged = (text, now)
            _log.warning("bus %s: %s: %s (%d so far)", self.options.get("name"), kind, text, self.errors[kind])


async def connect(url: str, name: str, on_state: OnState | None = None) -> Connection:
    """Connect to the server at `url` (several, joined by commas, are one cluster); `name` is what the server shows.

    A user in the URL has its answers come to `_INBOX.<user>.`, as its permissions demand. Raises BusUnreachable,
    BusRefused, ServerTooOld.
    """
    urls = [part.strip() for part in url.split(",") if part.strip()]
    await _greet(urls)
    user = user_of(urls[0])
    connection = Connection()
    try:
        await connection.connect(
            urls,
            name=name,
            error_cb=connection.note_error,
            connect_timeout=int(CONNECT_SECONDS),
            # Once: nats-py would try a wrong password, or a port where nobody listens, for ever.
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]
            ping_interval=PING_SECONDS,
            max_outstanding_pings=PINGS_UNANSWERED_MAX,
            pending_size=PENDING_BYTES_MAX,
            inbox_prefix=inbox_prefix(urls[0]),
            **_state_callbacks(on_state),
        )
    except (nats.errors.Error, OSError) as error:
        with suppress(Exception):
            await connection.close()
        raise _why_not(error, urls, user) from None
    connection.options["allow_reconnect"] = True
    connection.options["max_reconnect_attempts"] = -1
    if on_state is not None:
        on_state("connected", _shown(urls))
    return connection


def user_of(url: str) -> str:
    """The user that `url` names; empty when it names none."""
    return unquote(urlsplit(url).username or "")


def inbox_prefix(url: str) -> str:
    """Where the answers to this user come: nobody else may hear there (deploy/nats/permissions.conf)."""
    user = user_of(url)
    return f"_INBOX.{user}" if user else "_INBOX"


def version_of(info: dict[str, Any]) -> tuple[int, ...]:
    """The version in what a server says of itself; () when there is none."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", str(info.get("version", "")))
    return tuple(int(part) for part in match.groups()) if match else ()


def _state_callbacks(on_state: OnState | None) -> dict[str, Any]:
    def callback(state: str) -> Callable[[], Any]:
        async def tell() -> None:
            if on_state is not None:
                on_state(state, "")

        return tell

    return {
        "disconnected_cb": callback("disconnected"),
        "reconnected_cb": callback("connected"),
        "closed_cb": callback("closed"),
    }


async def _greet(urls: list[str]) -> None:
    """See that at least one of `urls` is a nats-server that is new enough, before nats-py hides the reason."""
    if not urls:
        raise BusUnreachable("no address of a nats-server", remedy="write nats://host:4222")
    reasons: list[str] = []
    for url in urls:
        try:
            info = await asyncio.wait_for(_server_info(url), CONNECT_SECONDS)
        except TimeoutError:
            reasons.append(f"{_shown([url])}: nothing said within {CONNECT_SECONDS:g} s")
        except (OSError, ValueError) as error:
            reasons.append(f"{_shown([url])}: {error}")
        else:
            check_version(info, url)
            return
    raise BusUnreachable(
        "no nats-server answers",
        where="; ".join(reasons),
        remedy="start it (fleet up, or docker compose up), or say where it is: FLEET_NATS_CONTROL, FLEET_NATS_DATA",
    )


def check_version(info: dict[str, Any], url: str) -> None:
    """Raises ServerTooOld when the server that says `info` lacks atomic batches."""
    if version_of(info) < SERVER_VERSION_MIN:
        wanted = ".".join(map(str, SERVER_VERSION_MIN))
        raise ServerTooOld(
            f"nats-server {info.get('version', 'of no version')} is too old: the fleet needs {wanted} or newer,"
            " for atomic batches",
            where=_shown([url]),
            remedy="fleet up brings one; or upgrade the server",
        )


async def _server_info(url: str) -> dict[str, Any]:
    """The INFO with which a nats-server greets. Raises OSError, ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("nats", "tls") or not parts.hostname:
        raise ValueError("not an address such as nats://host:4222")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 4222, limit=INFO_BYTES_MAX)
    try:
        line = await reader.readline()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if not line.startswith(b"INFO "):
        raise ValueError("what listens there is no nats-server")
    info: dict[str, Any] = json.loads(line[5:])
    return info


def _why_not(error: BaseException, urls: list[str], user: str) -> BusRefused | BusUnreachable:
    where = _shown(urls)
    if "authorization" in str(error).lower():
        who = f"the user {user!r}" if user else "a connection without user and password"
        return BusRefused(
            f"the nats-server refuses {who}",
            where=where,
            remedy="write nats://user:password@host:port; the users are in deploy/nats/permissions.conf",
        )
    return BusUnreachable(f"no connection to the nats-server: {error or type(error).__name__}", where=where)


def _shown(urls: list[str]) -> str:
    """Addresses without passwords: they go to logs and terminals."""
    shown = []
    for url in urls:
        parts = urlsplit(url)
        user = f"{parts.username}@" if parts.username else ""
        shown.append(f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}")
    return ", ".join(shown)
