"""The recorder: environments are opened and closed, each with a lane for every database.

recorder = Recorder(settings, RecorderConfig.from_environ(os.environ))
await recorder.start(control, data)
await recorder.open("live")
...
await recorder.caught_up("live", stream_seq)
await recorder.stop()

`follow` opens the environment of FLEET_ENV and every replay when their control stream is there, and closes those whose
stream is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nautilus_common.bus.api import stream_facts, stream_names
from nautilus_common.bus.layout import REPLAY_PREFIX
from nautilus_common.bus.recorded import HOLD_SECONDS, Recorded
from nautilus_common.messages import subjects
from nautilus_common.settings import ProcessSettings, SettingsError

from services.recorder.audit import run_digest
from services.recorder.config import RecorderConfig
from services.recorder.database import DatabaseLane
from services.recorder.hot import HotSink
from services.recorder.lane import Lane, LaneFailed
from services.recorder.market import MarketLane
from services.recorder.postgres import PostgresSink
from services.recorder.sink import Sink, SinkAway, SinkRefused

LOG = logging.getLogger("fleet.recorder")

DRAIN_SECONDS = 10.0

#: From the best to the worst: the state of the whole is that of its worst part.
_ORDER = ("ready", "closed", "draining", "starting", "waiting", "failed")


@dataclass
class _World:
    """One environment that is open."""

    env: str
    lanes: list[DatabaseLane]
    market: MarketLane | None
    last_seq: int = 0

    @property
    def parts(self) -> list[Lane]:
        return [*self.lanes, *([self.market] if self.market is not None else [])]

    @property
    def lag(self) -> int:
        """Messages of the control stream that one database at the least has not."""
        return max(self.last_seq - min((lane.place.stream_seq for lane in self.lanes), default=0), 0)


class Recorder:
    """Records any number of environments; all its methods are for one event loop."""

    def __init__(
        self,
        settings: ProcessSettings,
        config: RecorderConfig | None = None,
        *,
        instruments: Callable[[Any], Any] | None = None,
    ) -> None:
        """`instruments` gives the instrument of an id or None: market data can only be stored with its precisions."""
        self._settings = settings
        self._config = config or RecorderConfig()
        self._sinks = make_sinks(settings, self._config)
        self._instruments = instruments
        self.postgres = next((sink for sink in self._sinks if isinstance(sink, PostgresSink)), None)
        self._control: Client | None = None
        self._data: Client | None = None
        self._worlds: dict[str, _World] = {}
        self._trouble: dict[str, tuple[str, str]] = {}  # database -> (state, why), while nothing is recorded
        self._turn = asyncio.Lock()

    async def start(self, control: Client, data: Client | None = None) -> None:
        """Use these connections; without `data` no market data are recorded. Databases may come later."""
        self._control = control
        self._data = data if self._config.market else None

    async def stop(self) -> None:
        """Close every environment: what was read is committed, within a bound of time."""
        await asyncio.gather(*[self.close(env) for env in self.envs])
        for sink in self._sinks:
            await sink.close()

    async def open(self, env: str) -> None:
        """Begin to record an environment; returns at once. Nothing happens if it is open."""
        if env in self._worlds:
            return
        control = self._control
        assert control is not None, "start the recorder first"
        lanes = [DatabaseLane(env, control, sink, self._config) for sink in self._sinks]
        market = None
        if self._data is not None and not env.startswith(REPLAY_PREFIX):
            # The market data of a replay come from a catalogue: they are not written to one again.
            folder = self._config.catalog or self._settings.home / "recorded"
            market = MarketLane(env, self._data, folder / env, self._instruments or (lambda _: None), self._config)
        world = self._worlds[env] = _World(env, lanes, market)
        for part in world.parts:
            part.start()
        LOG.info("recording %s", env)

    async def close(self, env: str) -> None:
        """Commit what was read of an environment, write its market data, and let go of it."""
        world = self._worlds.pop(env, None)
        if world is None:
            return
        await asyncio.gather(*[part.close(DRAIN_SECONDS) for part in world.parts])
        status = {lane.name: lane.status() for lane in world.lanes}
        LOG.info("closed %s", env, extra={"databases": status})

    @property
    def envs(self) -> list[str]:
        """The environments that are open."""
        return list(self._worlds)

    # -- what is on the bus ------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Open what has a control stream now and is ours, close what has none, see how far each has come.

        Raises BusError.
        """
        assert self._control is not None, "start the recorder first"
        async with self._turn:
            there = await control_envs(self._control)
            await asyncio.gather(*[self.close(env) for env in self.envs if env not in there])
            for env in there:
                if self.is_ours(env):
                    await self.open(env)
            await self.look()
            if not self._worlds:
                await self._look_at_databases()

    def is_ours(self, env: str) -> bool:
        """Whether `follow` records it."""
        return env == self._settings.env or env.startswith(REPLAY_PREFIX)

    async def look(self) -> None:
        """See how far each stream has come, for the lag. Raises BusError."""
        assert self._control is not None, "start the recorder first"
        for world in list(self._worlds.values()):
            facts = await stream_facts(self._control, subjects.control_stream(world.env))
            world.last_seq = world.last_seq if facts is None else facts.last_seq

    async def _look_at_databases(self) -> None:
        """While nothing is recorded nobody else would find out, and tables are made before they are needed."""
        self._trouble = {}
        for sink in self._sinks:
            try:
                await sink.open()
            except SinkAway as error:
                self._trouble[sink.name] = ("waiting", str(error))
            except SinkRefused as error:
                self._trouble[sink.name] = ("failed", str(error))

    # -- what is asked -----------------------------------------------------------------------------------------------

    async def caught_up(self, env: str, stream_seq: int, timeout_s: float = 60.0) -> None:
        """Return when every database holds `env` up to `stream_seq`. TimeoutError, or LaneFailed if one does not."""
        world = self._worlds.get(env)
        if world is None:
            raise LaneFailed(f"{env} is not being recorded: open it first")
        async with asyncio.timeout(timeout_s):
            for lane in world.lanes:
                await lane.reached(stream_seq)

    async def recorded(self, env: str, sequence: int) -> Recorded:
        """Whether every database holds `env` up to `sequence`, after a short wait; if not, why."""
        if not self.is_ours(env) and env not in self._worlds:
            return Recorded(False, f"{self._settings.name} records {self._settings.env} and replays", is_final=True)
        if env not in self._worlds:
            await self.follow()
        if env not in self._worlds:
            return Recorded(False, f"there is no stream {subjects.control_stream(env)}")
        try:
            await self.caught_up(env, sequence, HOLD_SECONDS)
        except TimeoutError:
            lanes = self._worlds[env].lanes if env in self._worlds else []
            late = [
                f"{lane.name} is at {lane.place.stream_seq} ({lane.detail or lane.state})"
                for lane in lanes
                if lane.place.stream_seq < sequence
            ]
            return Recorded(False, "; ".join(late))
        except LaneFailed as error:
            return Recorded(False, str(error), is_final=True)
        return Recorded(True)

    async def digests(self, env: str) -> dict[str, Any]:
        """`{"digest": of the run, "engines": {rank: of the engine}}`, computed from the event log in PostgreSQL."""
        if self.postgres is None:
            raise SettingsError("FLEET_POSTGRES is not set: the event log, of which digests are made, is there")
        async with self.postgres.connection() as connection:
            return await run_digest(connection, env)

    def status(self) -> dict[str, Any]:
        """`state`, `detail`, `lag`, `last_message_ns`, and `worlds`: each environment with its lanes.

        A replay that cannot be recorded is told in `detail`; the recorder has not failed for it.
        """
        worlds = {env: self._status_of(world) for env, world in self._worlds.items()}
        states = [
            world["state"] for env, world in worlds.items() if world["state"] != "failed" or env == self._settings.env
        ]
        details = [f"{env}: {world['detail']}" for env, world in worlds.items() if world["detail"]]
        if not worlds:
            states = [state for state, _ in self._trouble.values()]
            details = [why for _, why in self._trouble.values()]
        return {
            "state": max(states, key=_ORDER.index, default="ready"),
            "detail": "; ".join(details),
            "lag": max((world["lag"] for world in worlds.values()), default=0),
            "last_message_ns": max((world["last_message_ns"] for world in worlds.values()), default=0),
            "worlds": worlds,
        }

    def _status_of(self, world: _World) -> dict[str, Any]:
        parts = world.parts
        return {
            "state": max((part.state for part in parts), key=_ORDER.index),
            "detail": "; ".join(f"{part.name}: {part.detail}" for part in parts if part.detail),
            "lag": world.lag,
            "stream_last_seq": world.last_seq,
            "last_message_ns": max(part.last_message_ns for part in parts),
            **{part.name: part.status() for part in parts},
        }


def make_sinks(settings: ProcessSettings, config: RecorderConfig) -> list[Sink]:
    """The databases that the settings name. Raises SettingsError if there is none."""
    sinks: list[Sink] = []
    if settings.postgres:
        sinks.append(PostgresSink(settings.postgres))
    if settings.valkey:
        sinks.append(HotSink(settings.valkey, closed_kept=config.closed_orders))
    if not sinks:
        raise SettingsError(
            "FLEET_POSTGRES and FLEET_VALKEY are both not set: there is nowhere to write; set one, such as "
            "FLEET_POSTGRES=postgresql://user@127.0.0.1:5432/fleet"
        )
    return sinks


async def control_envs(client: Client) -> list[str]:
    """The environments that have a control stream now. Raises BusError."""
    prefix = subjects.control_stream("")
    return [name.removeprefix(prefix) for name in await stream_names(client) if name.startswith(prefix)]
