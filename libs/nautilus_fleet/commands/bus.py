"""Make, check and remove the streams of a world on the two nats-servers.

Usage: fleet bus apply [--env ENV]
       fleet bus check [--env ENV]
       fleet bus remove --env ENV

  fleet bus COMMAND --help   arguments and examples of one

The servers are those of FLEET_NATS_CONTROL and FLEET_NATS_DATA (default nats://127.0.0.1:4222 and :4223).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nautilus_fleet.errors import EXIT_ERROR, EXIT_OK, UsageError

if TYPE_CHECKING:
    from nautilus_common.bus.connection import Connection
    from nautilus_common.bus.layout import Change

_Result = TypeVar("_Result")


def apply(
    *, env: str | None = None, replicas: int | None = None, streams: Path | None = None, json_: bool = False
) -> int:
    """Let the servers have the streams of a world; what is there already and as it must be is left alone.

    Usage: fleet bus apply [--env ENV] [--replicas N] [--streams FILE] [--json]

      --env        the world: live, or a replay's (default: FLEET_ENV, else live)
      --replicas   copies of each stream in a cluster: 3 in production (default: as in the file of streams)
      --streams    a file of streams of your own (default: deploy/nats/streams.toml, as installed)
      --json       print one JSON object on stdout: env, streams [{stream, server, action, fields}], warnings

    Nothing is deleted. A setting that cannot be changed, or only by losing messages, is an error that names it.
    """
    from nautilus_common.bus.fitness import check_servers
    from nautilus_common.bus.layout import apply_streams, load_layout

    async def work(control: Connection, data: Connection) -> tuple[list[Change], list[str]]:
        facts = await check_servers(control, data)
        changes = await apply_streams(control, data, world, replicas=replicas, layout=layout)
        return changes, [fact.warning for fact in facts if fact.warning]

    if replicas is not None and replicas not in (1, 3, 5):
        raise UsageError(f"--replicas {replicas}: a majority is needed", remedy="1, 3 or 5")
    world = _world(env)
    layout = load_layout(streams)
    changes, warnings = _with_servers(work)
    return _print_changes(world, changes, warnings, json_)


def check(*, env: str | None = None, json_: bool = False) -> int:
    """Say what the servers are, and whether the streams of a world are as they must be. Changes nothing.

    Usage: fleet bus check [--env ENV] [--json]

      --env      the world (default: FLEET_ENV, else live)
      --json     print one JSON object on stdout: ok, servers [{server, version, sync_always}],
                 streams [{stream, server, action, fields}], warnings

    Exit code 1 when a server is unfit (too old, no JetStream, a log that is not written to disk at once) or when
    fleet bus apply has something to do.
    """
    from nautilus_common.bus.fitness import check_servers
    from nautilus_common.bus.layout import find_changes

    async def work(control: Connection, data: Connection) -> tuple[Any, list[Change]]:
        return await check_servers(control, data), await find_changes(control, data, world)

    world = _world(env)
    facts, changes = _with_servers(work)
    due = [change for change in changes if change.action != "unchanged"]
    warnings = [fact.warning for fact in facts if fact.warning]
    if json_:
        servers = [{"server": f.server, "version": f.version, "sync_always": f.sync_always} for f in facts]
        shown = {"ok": not due, "servers": servers, "streams": _plain(changes), "warnings": warnings}
        print(json.dumps(shown))
    else:
        written = {True: ", on disk before it acknowledges", False: ", written to disk later", None: ""}
        for fact in facts:
            print(f"{fact.server:<8} nats-server {fact.version}{written[fact.sync_always]}")
        for change in changes:
            state = {"created": "missing", "updated": "differs"}.get(change.action, "ok")
            print(f"{change.stream:<24} {state}" + _fields_text(change))
        _print_warnings(warnings)
        if due:
            print(f"next:    fleet bus apply --env {world}", file=sys.stderr)
    return EXIT_ERROR if due else EXIT_OK


def remove(*, env: str, yes: bool = False, json_: bool = False) -> int:
    """Delete the streams of a world with all that is in them.

    Usage: fleet bus remove --env ENV [--yes] [--json]

      --env      the world, such as r-1f0c9a2e
      --yes      needed for any world that is no replay (its name does not begin with r-): its log is the truth
      --json     print one JSON object on stdout: env, streams [{stream, server, action, fields}], warnings
    """
    from nautilus_common.bus.layout import REPLAY_PREFIX, remove_streams

    world = _world(env)
    if not world.startswith(REPLAY_PREFIX) and not yes:
        raise UsageError(
            f"the log of {world} is the truth about its orders and positions",
            remedy=f"fleet bus remove --env {world} --yes deletes it all the same",
        )
    changes = _with_servers(lambda control, data: remove_streams(control, data, world))
    return _print_changes(world, changes, [], json_)


def _world(env: str | None) -> str:
    from nautilus_common.bus.layout import check_env

    world = env or os.environ.get("FLEET_ENV") or "live"
    check_env(world)
    return world


def _with_servers(work: Callable[[Connection, Connection], Awaitable[_Result]]) -> _Result:
    """Do `work` with a connection to each server, closed at its end."""
    from nautilus_common.bus.connection import connect
    from nautilus_common.settings import ProcessSettings, SettingsError

    try:
        settings = ProcessSettings.from_environ(("fleet",), {**os.environ, "FLEET_ENV": "live"})
    except SettingsError as error:
        raise UsageError(str(error)) from error

    async def run() -> _Result:
        async with AsyncExitStack() as stack:
            connections = []
            for url in (settings.nats_control, settings.nats_data):
                connections.append(await connect(url, "fleet bus"))
                stack.push_async_callback(connections[-1].close)
            return await work(connections[0], connections[1])

    return asyncio.run(run())


def _print_changes(world: str, changes: list[Change], warnings: list[str], json_: bool) -> int:
    if json_:
        print(json.dumps({"env": world, "streams": _plain(changes), "warnings": warnings}))
        return EXIT_OK
    for change in changes:
        print(f"{change.stream:<24} {change.action}" + _fields_text(change))
    _print_warnings(warnings)
    return EXIT_OK


def _print_warnings(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _plain(changes: list[Change]) -> list[dict[str, Any]]:
    import msgspec

    return [msgspec.to_builtins(change) for change in changes]


def _fields_text(change: Change) -> str:
    return "".join(f"; {field} {found!r} -> {wanted!r}" for field, (found, wanted) in change.fields.items())
