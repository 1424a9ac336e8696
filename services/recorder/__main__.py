"""`python -m services.recorder`: the recorder as a process of its own.

FLEET_ENV names the environment; `*` records every one that has a control stream, as they come and go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping

from nautilus_common.settings import ProcessSettings, SettingsError

from services.recorder.config import EVERY_ENV, RecorderConfig
from services.recorder.market import folder_instruments
from services.recorder.shell import Recorder
from services.recorder.source import SourceAway

LOG = logging.getLogger("fleet.recorder")
DISCOVER_SECONDS = 1.0


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
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines(settings.name))
    logging.basicConfig(handlers=[handler], level=settings.log_level)
    return asyncio.run(_serve(recorder, None if every else settings.env))


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {"ts": record.created, "level": record.levelname, "process": self._process}
        line |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


async def _serve(recorder: Recorder, env: str | None) -> int:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    begun = loop.create_task(recorder.start())
    ended = loop.create_task(over.wait())
    await asyncio.wait({begun, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not begun.done():
        begun.cancel()
        await asyncio.wait({begun})
    else:
        begun.result()
        if env is not None:
            await recorder.open(env)
        while not over.is_set():
            if env is None:
                await follow_streams(recorder)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ended), DISCOVER_SECONDS)
    ended.cancel()
    await recorder.stop()
    return 0


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
