"""What every process of the fleet has in common: settings, logs, health, connections, who it is, and a clean end.

SIGTERM and SIGINT drain: what is being handled is finished and made durable.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from time import time_ns
from typing import TYPE_CHECKING

import msgspec

from nautilus_common.code import code_digest, package_version
from nautilus_common.collector import collect_rarely
from nautilus_common.errors import FleetError
from nautilus_common.health import Health, serve_health
from nautilus_common.logs import set_up_logs
from nautilus_common.settings import ProcessSettings, SettingsError
from nautilus_common.who import WHO, Who

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

EXIT_USAGE = 2

log = logging.getLogger("fleet")


class Process:
    """One process. What it does is its subclass's: `start` and `close`."""

    def __init__(self, settings: ProcessSettings) -> None:
        self.settings = settings
        self.health = Health(settings.name, settings.roles)
        self.epoch = f"{time_ns():x}"
        self._away: dict[str, str] = {}  # servers that are lost, and why
        self._is_started = False
        self._stop = asyncio.Event()
        self._exit_code = 0

    def end(self, exit_code: int) -> None:
        """Come to the end by ourselves, as if told to stop."""
        self._exit_code = exit_code
        self._stop.set()

    async def start(self, control: Client, data: Client) -> None:
        """Begin to serve; on return the process is ready."""
        raise NotImplementedError

    async def close(self) -> None:
        """Finish what is being handled."""
        raise NotImplementedError

    async def run(self) -> int:
        """Serve until told to stop. Raises FleetError."""
        settings = self.settings
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        run_file = settings.home / "run" / f"{settings.name}.json"
        server = await serve_health(self.health, settings.http, run_file)
        control = await self._connect("control", settings.nats_control)
        data = await self._connect("data", settings.nats_data)
        await self.start(control, data)
        await control.subscribe(WHO, cb=self._tell_who)
        self._is_started = True
        collect_rarely()
        if not self._away:
            self.health.set("ready")
        log.info("ready", extra={"roles": list(settings.roles), "http": server.address, "pid": os.getpid()})
        await self._stop.wait()
        self.health.set("draining")
        log.info("draining")
        await self.close()
        await control.close()
        await data.close()
        await server.close()
        run_file.unlink(missing_ok=True)
        log.info("stopped")
        return self._exit_code

    async def _connect(self, which: str, url: str) -> Client:
        from nautilus_common.bus.connection import connect

        counter = self.health.reconnects.labels(which)

        def on_state(state: str, detail: str) -> None:
            if self._stop.is_set():
                return  # it is we who go
            if state == "connected":
                self._away.pop(which, None)
            else:
                counter.inc()
                self._away[which] = f"NATS {which} server: {detail or state}"
            self._tell_health()
            log.log(
                logging.INFO if state == "connected" else logging.WARNING,
                f"NATS {which} server: {state}",
                extra={"detail": detail},
            )

        return await connect(url, f"{self.settings.name}-{which}", on_state=on_state)

    def _tell_health(self) -> None:
        """Waiting while a server is lost; when all are there again, as before."""
        if self.health.state == "failed":
            return
        if self._away:
            self.health.set("waiting", "; ".join(self._away.values()))
        elif self.health.state == "waiting":
            self.health.set("ready" if self._is_started else "starting")

    async def _tell_who(self, message: Msg) -> None:
        settings = self.settings
        roles = list(settings.roles)
        who = Who(settings.name, roles, self.epoch, os.getpid(), package_version(), code_digest())
        if message.reply:
            await message.respond(msgspec.msgpack.encode(who))


def run_process(roles: tuple[str, ...], make: Callable[[ProcessSettings], Process]) -> int:
    """Run the process that `make` gives, by the settings in the environment, until it is told to stop; the exit code.

    `make` may raise SettingsError.
    """
    try:
        settings = ProcessSettings.from_environ(roles, os.environ)
        set_up_logs(settings.name, settings.log_level)
        return _run(make(settings))
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except FleetError as error:
        log.error(error.what, extra={"where": error.where, "do": error.remedy})
        return 1


def _run(process: Process) -> int:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(process.run())
    return uvloop.run(process.run())
