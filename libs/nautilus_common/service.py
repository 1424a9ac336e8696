"""A process that serves engines: it carries out replays of any env with those that its roles can make."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nautilus_common.faults import NO_FAULTS, Faults
from nautilus_common.hosting import Builder
from nautilus_common.live_host import LiveHost
from nautilus_common.process import Process, run_process
from nautilus_common.replay_host import ReplayHost
from nautilus_common.settings import ProcessSettings

if TYPE_CHECKING:
    from nats.aio.client import Client

    from nautilus_common.live_host import Feed


OpenGateway = Callable[[ProcessSettings, "Client"], "Feed"]


def run_service(
    builders: dict[str, Callable[[ProcessSettings], Builder]], open_gateway: OpenGateway | None = None
) -> int:
    """Run a process that serves the roles of `builders`, and the data gateway if there is one, until it is told to
    stop; the exit code.
    """

    def make(settings: ProcessSettings) -> Process:
        return Service(settings, {role: build(settings) for role, build in builders.items()}, open_gateway)

    return run_process((*builders, "data_gateway") if open_gateway is not None else tuple(builders), make)


class Service(Process):
    """One process with engines."""

    def __init__(
        self, settings: ProcessSettings, builders: dict[str, Builder], open_gateway: OpenGateway | None = None
    ) -> None:
        super().__init__(settings)
        self.builders = builders
        self._open_gateway = open_gateway
        self._host: ReplayHost | None = None
        self._live: LiveHost | None = None

    async def start(self, control: Client, data: Client) -> None:
        settings = self.settings
        host = self._host = ReplayHost(
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
        live = self._live = self._live_host(control, data)
        self.health.envs = lambda: [*host.envs, *live.envs]
        self.health.lag = live.lag
        await live.start()

    async def close(self) -> None:
        if self._live is not None:
            await self._live.close()
        if self._host is not None:
            await self._host.close()

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
        self.end(1)


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
