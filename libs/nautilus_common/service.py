"""The only process loop: settings, connections, health, the engines' host, and a clean end.

A process serves roles. It answers who it is on `fleet.sys.who`, carries out replays of any env, and, for the env that
it is configured for, runs its engines live. SIGTERM and SIGINT drain: what is being handled is finished and made
durable.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

import msgspec

from nautilus_common.errors import FleetError
from nautilus_common.faults import NO_FAULTS, Faults
from nautilus_common.health import Health, serve_health
from nautilus_common.hosting import Builder
from nautilus_common.live_host import LiveHost
from nautilus_common.logs import set_up_logs
from nautilus_common.replay_host import ReplayHost
from nautilus_common.settings import ProcessSettings, SettingsError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from nautilus_common.live_host import Feed

WHO = "fleet.sys.who"
EXIT_USAGE = 2

log = logging.getLogger("fleet")


class Who(msgspec.Struct, frozen=True):
    """What a process answers on `fleet.sys.who`."""

    process: str
    roles: list[str]
    epoch: str
    pid: int
    version: str
    code: str


decode_who = msgspec.msgpack.Decoder(Who).decode


OpenGateway = Callable[[ProcessSettings, "Client"], "Feed"]


def run_service(
    builders: dict[str, Callable[[ProcessSettings], Builder]], open_gateway: OpenGateway | None = None
) -> int:
    """Run a process that serves the roles of `builders`, and the data gateway if there is one, until it is told to
    stop; the exit code.
    """
    roles = (*builders, "data_gateway") if open_gateway is not None else tuple(builders)
    try:
        settings = ProcessSettings.from_environ(roles, os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    set_up_logs(settings.name, settings.log_level)
    made = {role: make(settings) for role, make in builders.items()}
    try:
        return _run(Service(settings, made, open_gateway).run())
    except FleetError as error:
        log.error(error.what, extra={"where": error.where, "do": error.remedy})
        return 1


def _run(main: Any) -> int:
    try:
        import uvloop
    except ImportError:
        return int(asyncio.run(main))
    return int(uvloop.run(main))


class Service:
    """One process."""

    def __init__(
        self, settings: ProcessSettings, builders: dict[str, Builder], open_gateway: OpenGateway | None = None
    ) -> None:
        self._open_gateway = open_gateway
        self._exit = 0
        self.settings = settings
        self.builders = builders
        self.health = Health(settings.name, settings.roles)
        self.epoch = f"{time_ns():x}"
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Serve until told to stop."""
        settings = self.settings
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        run_file = settings.home / "run" / f"{settings.name}.json"
        server = await serve_health(self.health, settings.http, run_file)
        control = await self._connect("control", settings.nats_control)
        data = await self._connect("data", settings.nats_data)
        host = ReplayHost(
            control,
            data,
            settings.nats_control,
            settings.name,
            self.epoch,
            self.builders,
            self.health,
            Path(settings.home),
            injected_delay(os.environ.get("FLEET_TEST_DELAY_MS", ""), settings.name),
            faults_of(settings),
        )
        await host.start()
        await control.subscribe(WHO, cb=self._tell_who)
        live = self._live_host(control, data)
        self.health.envs = lambda: [*host.envs, *live.envs]
        self.health.lag = live.lag
        self.health.set("ready")
        await live.start()
        log.info("ready", extra={"roles": list(settings.roles), "http": server.address, "pid": os.getpid()})
        await self._stop.wait()
        self.health.set("draining")
        log.info("draining")
        await live.close()
        await host.close()
        await control.close()
        await data.close()
        await server.close()
        run_file.unlink(missing_ok=True)
        log.info("stopped")
        return self._exit

    def _live_host(self, control: Client, data: Client) -> LiveHost:
        settings = self.settings
        feed = None if self._open_gateway is None else self._open_gateway(settings, data)
        return LiveHost(
            control,
            data,
            settings.env,
            settings.name,
            self.epoch,
            self.builders,
            self.health,
            settings.home,
            feed,
            self._end_fenced,
        )

    def _end_fenced(self, text: str) -> None:
        """Another process has our name: this one ends, and its supervisor tells."""
        self._exit = 1
        self._stop.set()

    async def _connect(self, which: str, url: str) -> Client:
        from nautilus_common.bus.connection import connect

        counter = self.health.reconnects.labels(which)

        def on_state(state: str, detail: str) -> None:
            if state == "connected":
                if self.health.state == "waiting":
                    self.health.set("ready")
            elif not self._stop.is_set():
                counter.inc()
                if self.health.state != "failed":
                    self.health.set("waiting", f"NATS {which} server: {detail or state}")
            log.log(
                logging.INFO if state == "connected" else logging.WARNING,
                f"NATS {which} server: {state}",
                extra={"detail": detail},
            )

        return await connect(url, f"{self.settings.name}-{which}", on_state=on_state)

    async def _tell_who(self, message: Msg) -> None:
        from nautilus_common.code import code_digest, package_version

        who = Who(
            self.settings.name,
            list(self.settings.roles),
            self.epoch,
            os.getpid(),
            package_version(),
            code_digest(),
        )
        if message.reply:
            await message.respond(msgspec.msgpack.encode(who))


def injected_delay(text: str, process: str) -> Callable[[], float] | None:
    """FLEET_TEST_DELAY_MS="0-20": seconds to wait before each delivery, drawn from a seed; for tests of parity only."""
    if not text:
        return None
    low, _, high = text.partition("-")
    drawn = random.Random(process)
    return lambda: drawn.uniform(float(low), float(high or low)) / 1000


def faults_of(settings: ProcessSettings) -> Faults:
    """FLEET_TEST_DIE_AT="<process>/<point>:<count>": where this process dies, for tests of recovery only."""
    process, _, point = os.environ.get("FLEET_TEST_DIE_AT", "").partition("/")
    if process != settings.name:
        return NO_FAULTS
    return Faults(point, settings.home / "died" / settings.name)
