"""`fleet rebuild`: the databases are folded from the log, and this shows it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_fleet.errors import EXIT_OK, FleetError, NoDataError, UsageError, VerifyError

if TYPE_CHECKING:
    from services.recorder.config import RecorderConfig
    from services.recorder.sink import Sink

Results = dict[str, dict[str, Any]]
Work = Callable[[Any, "list[Sink]", "RecorderConfig", str | None], Awaitable[Results]]
DATABASES = ("postgres", "valkey")


def rebuild(*, env: str | None = None, only: str | None = None, drop: str | None = None, json_: bool = False) -> int:
    """Drop what PostgreSQL and Valkey hold, fold the control stream again from its first message, and compare.

    Usage: fleet rebuild [--env ENV] [--only postgres|valkey] [--json]
           fleet rebuild --drop ENV [--only postgres|valkey] [--json]

      --env ENV    this environment only; without it, every one that has a control stream
      --drop ENV   remove what the databases hold of this environment, such as a replay whose results are not needed any
                   more; its streams must be gone already
      --only NAME  this database only
      --json       print one JSON object on stdout: {env: {database: {before, after, equal, differs, seconds}}}; with
                   --drop {env: {database: what it held}}

    Exit code 3 when something came out otherwise than it was: counts, the head of the chain, or the content. The
    servers are those of FLEET_NATS_CONTROL, FLEET_POSTGRES and FLEET_VALKEY; where none of the last two is set, those
    of the stack that runs here (`fleet up`). A recorder that runs meanwhile does no harm: it begins anew as well.

    Examples:
      fleet rebuild --env live
      fleet rebuild --only valkey --json
      fleet rebuild --drop r-1f0c9a2e
    """
    if only is not None and only not in DATABASES:
        raise UsageError(f"no database {only!r}", remedy="write --only postgres or --only valkey")
    if drop is not None:
        if env is not None:
            raise UsageError("--env and --drop at once", remedy="--env ENV folds again, --drop ENV removes")
        return _print_removed(drop, asyncio.run(_with_databases(drop, only, _drop)), json_)
    done = asyncio.run(_with_databases(env, only, _rebuild))
    if json_:
        print(json.dumps(done))
    else:
        for name, databases in done.items():
            for database, result in databases.items():
                print(_line(name, database, result))
    differing = [
        f"{name} in {base}" for name, bases in done.items() for base, r in bases.items() if r["equal"] is False
    ]
    if differing and json_:
        return VerifyError.exit_code
    if differing:
        raise VerifyError(
            f"what was there before was not what the stream makes: {', '.join(differing)}",
            remedy="what is there now is what the stream makes; look at who else has written, or at what was lost",
        )
    return EXIT_OK


async def _with_databases(env: str | None, only: str | None, work: Work) -> Results:
    """Do `work` with the bus and the databases of the settings."""
    from nautilus_common.bus.connection import connect
    from nautilus_common.settings import ProcessSettings, SettingsError

    from services.recorder.config import RecorderConfig
    from services.recorder.lane import LaneFailed
    from services.recorder.recorder import make_sinks
    from services.recorder.sink import SinkAway, SinkRefused

    try:
        settings = ProcessSettings.from_environ(("recorder",), {**_environment(), "FLEET_ENV": env or "live"})
        config = RecorderConfig.from_environ(os.environ)
        sinks = [sink for sink in make_sinks(settings, config) if only in (None, sink.name)]
        if not sinks:
            raise SettingsError(f"FLEET_{(only or '').upper()} is not set: nothing to rebuild")
    except SettingsError as error:
        raise UsageError(str(error)) from error
    client = None
    try:
        client = await connect(settings.nats_control, "fleet-rebuild")
        return await work(client, sinks, config, env)
    except (SinkAway, SinkRefused, LaneFailed) as error:
        raise FleetError(
            str(error), remedy="nothing is lost: the stream has it all; mend that and run it again"
        ) from error
    finally:
        for sink in sinks:
            await sink.close()
        if client is not None:
            await client.close()


async def _rebuild(client: Any, sinks: list[Sink], config: RecorderConfig, env: str | None) -> Results:
    from nautilus_common.bus.api import address_of

    from services.recorder.rebuild import rebuild as fold_again
    from services.recorder.recorder import control_envs

    there = await control_envs(client)
    if not there or (env is not None and env not in there):
        what = "no environment" if env is None else f"no environment {env!r}"
        has = ", ".join(sorted(there)) or "none; start a stack, or name its bus in FLEET_NATS_CONTROL"
        raise NoDataError(f"{what} has a control stream", where=address_of(client), remedy=f"there are: {has}")
    done: Results = {}
    for name in [env] if env is not None else sorted(there):
        done[name] = {sink.name: await fold_again(client, name, sink, config, _progress) for sink in sinks}
    return done


async def _drop(client: Any, sinks: list[Sink], config: RecorderConfig, env: str | None) -> Results:
    from services.recorder.rebuild import drop
    from services.recorder.recorder import control_envs

    assert env is not None
    if env in await control_envs(client):
        raise UsageError(
            f"{env} still has its control stream, from which a recorder folds it again",
            remedy=f"fleet bus remove --env {env} removes its streams, if nobody needs them any more",
        )
    removed = await drop(env, sinks)
    if not removed:
        held = sorted({name for sink in sinks for name in await sink.envs()})
        raise NoDataError(f"nothing is recorded of {env!r}", remedy=f"there are: {', '.join(held) or 'none'}")
    return {env: removed}


def _print_removed(env: str, removed: Results, json_: bool) -> int:
    if json_:
        print(json.dumps(removed))
    else:
        for database, held in removed[env].items():
            print(f"{env} {database}: removed {held['records']:,} records, {held['orders']:,} orders")
    return EXIT_OK


def _environment() -> dict[str, str]:
    """Where the servers are: what is set, else the stack of this project."""
    environ = dict(os.environ)
    if environ.get("FLEET_POSTGRES") or environ.get("FLEET_VALKEY"):
        return environ
    from nautilus_fleet.stack.state import running_state

    with contextlib.suppress(FleetError):
        _, state = running_state(Path(environ.get("FLEET_PROJECT", ".")))
        environ |= state.environment
    return environ


def _progress(database: str, place: int, end: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{database}: {place:,} of {end:,} messages ", end="\n" if place >= end else "", file=sys.stderr)


def _line(env: str, database: str, result: dict[str, Any]) -> str:
    after = result["after"] or {"records": 0, "orders": 0, "positions": 0, "head": ""}
    verdict = {True: "as before", False: "OTHER THAN BEFORE", None: "there was nothing before"}[result["equal"]]
    if result["differs"]:
        verdict += f" in {', '.join(result['differs'])}"
    counts = f"{after['records']:,} records, {after['orders']:,} orders, {after['positions']:,} positions"
    return f"{env} {database}: {counts}, head {after['head'][:12]}, {verdict} ({result['seconds']:.1f} s)"
