"""Are the two servers what trading needs? Version, JetStream, and a log that is on disk when it is acknowledged.

How a server writes to disk is not in what it tells a client. It is known to its system account, of which our
configuration lends one answer (`fleet.sys.server`), and to its monitoring port, which is asked when the first is
missing and FLEET_NATS_CONTROL_MONITOR names it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import urllib.request
from typing import TYPE_CHECKING, Any

import msgspec
import nats.errors

from nautilus_common.bus.api import address_of, ask_jetstream
from nautilus_common.bus.connection import check_version
from nautilus_common.bus.errors import ServerUnfit

if TYPE_CHECKING:
    from nats.aio.client import Client

ASK_SECONDS = 2.0
CLUSTER_SECONDS = 0.5
"""How long answers of further servers of a cluster are waited for."""
SERVER_SUBJECT = "fleet.sys.server"

_log = logging.getLogger("fleet.bus")


class ServerFacts(msgspec.Struct, frozen=True):
    """What a server says of itself; `sync_always` is None when it cannot be known."""

    server: str
    version: str
    sync_always: bool | None
    warning: str = ""


async def check_servers(
    control: Client, data: Client, *, allow_lazy_sync: bool | None = None, monitor: str | None = None
) -> tuple[ServerFacts, ServerFacts]:
    """What the servers are. Raises ServerTooOld, ServerUnfit; what cannot be known is a warning, logged and returned.

    `allow_lazy_sync` and `monitor` come from FLEET_ALLOW_LAZY_SYNC and FLEET_NATS_CONTROL_MONITOR when they are None.
    """
    if allow_lazy_sync is None:
        allow_lazy_sync = os.environ.get("FLEET_ALLOW_LAZY_SYNC", "") not in ("", "0")
    if monitor is None:
        monitor = os.environ.get("FLEET_NATS_CONTROL_MONITOR") or None
    for connection in (control, data):
        check_version(_info(connection), address_of(connection))
        await ask_jetstream(connection, "INFO")
    sync = await _sync_always(control, monitor)
    facts = ServerFacts("control", str(_info(control).get("version")), sync, _warning(sync, allow_lazy_sync, control))
    if facts.warning:
        _log.warning("%s", facts.warning)
    return facts, ServerFacts("data", str(_info(data).get("version")), None)


def _warning(sync: bool | None, allow_lazy_sync: bool, control: Client) -> str:
    if sync:
        return ""
    if sync is None:
        return (
            "whether the control server writes to disk before it acknowledges cannot be known: it answers neither on"
            f" {SERVER_SUBJECT} nor on a monitoring port (FLEET_NATS_CONTROL_MONITOR=http://host:8222)"
        )
    if allow_lazy_sync:
        return "FLEET_ALLOW_LAZY_SYNC is set: the control server may lose what it acknowledged when the power fails"
    raise ServerUnfit(
        "the control server acknowledges before it has written to disk",
        where=address_of(control),
        remedy="set jetstream { sync_interval: always } (deploy/nats/control.conf); for a play, where losing the last"
        " two minutes does no harm: FLEET_ALLOW_LAZY_SYNC=1",
    )


async def _sync_always(connection: Client, monitor: str | None) -> bool | None:
    answers = await _ask(connection)
    if not answers and monitor is not None:
        found = await asyncio.to_thread(_read_monitor, monitor)
        answers = [] if found is None else [found]
    if not answers:
        return None
    return all(bool(answer.get("config", {}).get("sync_always")) for answer in answers)


async def _ask(connection: Client) -> list[dict[str, Any]]:
    """What every server of the cluster (mostly there is one) says of its JetStream; [] when it is not lent to us."""
    clustered = "cluster" in _info(connection)
    inbox = connection.new_inbox()
    subscription = await connection.subscribe(inbox, max_msgs=1000)
    answers: list[dict[str, Any]] = []
    try:
        await connection.publish(SERVER_SUBJECT, b'{"config": true}', reply=inbox)
        while clustered or not answers:
            message = await subscription.next_msg(timeout=CLUSTER_SECONDS if answers else ASK_SECONDS)
            if not message.data:
                break  # nobody is there to answer
            answers.append(json.loads(message.data).get("data", {}))
    except (nats.errors.TimeoutError, json.JSONDecodeError):
        pass
    finally:
        await subscription.unsubscribe()
    return answers


def _read_monitor(monitor: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(f"{monitor.rstrip('/')}/jsz?config=1", timeout=ASK_SECONDS) as answer:
            found: dict[str, Any] = json.loads(answer.read(1 << 20))
            return found
    except (OSError, ValueError) as error:
        _log.warning("the monitoring port %s does not answer: %s", monitor, error)
        return None


def _info(connection: Client) -> dict[str, Any]:
    info: dict[str, Any] = connection._server_info
    return info
