"""`python -m services.recorder`, `fleet serve recorder`: the recorder as a process of its own.

FLEET_ENV names the environment; `*` records every one that has a control stream, as they come and go. It tells of
itself over HTTP as every process does: ready once the bus and all that is recorded are, and not while a database is
away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping

from nautilus_common.errors import FleetError
from nautilus_common.health import Health, serve_health
from nautilus_common.logs import set_up_logs
from nautilus_common.settings import ProcessSettings, SettingsError

from services.recorder.config import EVERY_ENV, RecorderConfig
from services.recorder.market import folder_instruments
from services.recorder.shell import Recorder
from services.recorder.source import SourceAway

LOG = logging.getLogger("fleet.recorder")
LOOK_SECONDS = 1.0
"""Between two looks at what there is to record, and at how it goes."""


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    every = environ.get("FLEET_ENV") == EVERY_ENV
    try:
        settings = ProcessSettings.from_environ(("recorder",), {**environ, **({"FLEET_ENV": "live"} if every else {})})
        config = RecorderConfig.from_environ(environ)
        recorder = Recorder(
            settings, config, instruments=folder_instruments(config.instruments or settings.project / "catalog")
        )
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    set_up_logs(settings.name, settings.log_level)
    try:
        return asyncio.run(_serve(recorder, settings, None if every else settings.env))
    except FleetError as error:
        LOG.error(error.what, extra={"where": error.where, "do": error.remedy})
        return 1


async def _serve(recorder: Recorder, settings: ProcessSettings, env: str | None) -> int:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    health = Health(settings.name, settings.roles)
    run_file = settings.home / "run" / f"{settings.name}.json"
    server = await serve_health(health, settings.http, run_file)
    begun = loop.create_task(recorder.start())
    ended = loop.create_task(over.wait())
    await asyncio.wait({begun, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not begun.done():
        begun.cancel()
        await asyncio.wait({begun})
    else:
        begun.result()
        await _record(recorder, health, env, over)
    ended.cancel()
    health.set("draining")
    await recorder.stop()
    await server.close()
    run_file.unlink(missing_ok=True)
    return 0


async def _record(recorder: Recorder, health: Health, env: str | None, over: asyncio.Event) -> None:
    """Record until it is over, and tell how it stands."""
    health.envs = lambda: recorder.envs
    health.lag = lambda: int(recorder.status()["lag"])
    if env is not None:
        await recorder.open(env)
    while not over.is_set():
        if env is None:
            await follow_streams(recorder)
        status = recorder.status()
        health.set(status["state"], status["detail"])
        health.last_message_ns = status["last_message_ns"] or None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), LOOK_SECONDS)


async def follow_streams(recorder: Recorder) -> None:
    """Open every environment that has a control stream now; close those whose stream is gone."""
    try:
        there = await recorder.control_envs()
    except SourceAway:
        return  # the lanes say so; nothing is known to be gone
    for env in recorder.envs:
        if env not in there:
            await recorder.close(env)
    for env in there:
        await recorder.open(env)


if __name__ == "__main__":
    sys.exit(main())
