"""Questions to JetStream as JSON: nats-py's own classes lack the newer settings of streams."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import nats.errors

from nautilus_common.bus.errors import BusError, ServerUnfit, StreamConflict

if TYPE_CHECKING:
    from nats.aio.client import Client

API_SECONDS = 10.0
"""A stream is made in milliseconds; after so long a silence something is wrong."""

_STREAM_NOT_FOUND = 10059
_NOT_ENABLED = 10039


class StreamFacts(msgspec.Struct, frozen=True):
    """What the server says of a stream; `deleted`, the messages that are gone from its middle, only when asked for."""

    created: str
    messages: int
    first_seq: int
    last_seq: int
    deleted: frozenset[int] = frozenset()

    @classmethod
    def of(cls, info: dict[str, Any]) -> StreamFacts:
        """From the answer of STREAM.INFO."""
        state = info["state"]
        deleted = frozenset(state.get("deleted") or ())
        return cls(info["created"], state["messages"], state["first_seq"], state["last_seq"], deleted)


def address_of(connection: Client) -> str:
    """Where the connection goes, without user and password."""
    url = connection.connected_url
    return "" if url is None else f"nats://{url.netloc.rpartition('@')[2]}"


async def ask_jetstream(
    connection: Client,
    subject: str,
    request: dict[str, Any] | None = None,
    *,
    missing_ok: bool = False,
    server: str = "",
) -> dict[str, Any] | None:
    """Ask JetStream; None for a stream that is not there and need not be. Raises ServerUnfit, BusError."""
    payload = b"" if request is None else json.dumps(request).encode()
    try:
        answer = await connection.request(f"$JS.API.{subject}", payload, timeout=API_SECONDS)
    except nats.errors.NoRespondersError:
        raise _without_jetstream(connection) from None
    except nats.errors.TimeoutError:
        raise BusError(
            f"JetStream said nothing within {API_SECONDS:g} s",
            where=f"$JS.API.{subject}",
            remedy="is the user allowed to ask? (deploy/nats/permissions.conf; the server's log tells of violations)",
        ) from None
    decoded: dict[str, Any] = json.loads(answer.data)
    error = decoded.get("error")
    if error is None:
        return decoded
    if missing_ok and error.get("err_code") == _STREAM_NOT_FOUND:
        return None
    if error.get("err_code") == _NOT_ENABLED:
        raise _without_jetstream(connection)
    raise StreamConflict(
        f"JetStream refuses {subject}: {error.get('description')} (error {error.get('err_code')})",
        where=f"the {server} server" if server else subject,
        remedy=_remedies(error.get("err_code", 0)),
    )


async def stream_facts(connection: Client, stream: str) -> StreamFacts | None:
    """What the server says of a stream; None when there is none. Raises BusError."""
    info = await ask_jetstream(connection, f"STREAM.INFO.{stream}", missing_ok=True)
    return None if info is None else StreamFacts.of(info)


async def stream_names(connection: Client) -> list[str]:
    """Every stream that is there. Raises BusError."""
    found: list[str] = []
    while True:
        answer = await ask_jetstream(connection, "STREAM.NAMES", {"offset": len(found)})
        assert answer is not None
        names = answer.get("streams") or []
        found += names
        if not names or len(found) >= answer["total"]:
            return found


def _without_jetstream(connection: Client) -> ServerUnfit:
    return ServerUnfit(
        "JetStream is off on the nats-server, or off for this user's account",
        where=address_of(connection),
        remedy="start it with deploy/nats/control.conf or data.conf",
    )


def _remedies(code: int) -> str:
    return {
        10047: "the sum of max_bytes does not fit: raise FLEET_NATS_MAX_FILE, or remove worlds that are over"
        " (fleet bus remove --env r-...)",
        10023: "the server has no room: free some disk, or raise FLEET_NATS_MAX_FILE",
        10074: "one server holds one replica: --replicas is for a cluster",
        10065: "another stream has these subjects: remove it, or change the file of streams",
    }.get(code, "the server's log may say more")
