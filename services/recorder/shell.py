"""The recorder as a process uses it: environments are opened and closed, each with a lane for every database.

recorder = Recorder(settings, RecorderConfig.from_environ(os.environ))
await recorder.start()
await recorder.open("live")
...
await recorder.caught_up("live", stream_seq)
await recorder.stop()
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nautilus_common.bus.connection import inbox_prefix
from nautilus_common.messages import subjects
from nautilus_common.settings import ProcessSettings, SettingsError

from services.recorder.audit import run_digest
from services.recorder.config import RecorderConfig
from services.recorder.hot import HotSink
from services.recorder.lane import Lane, LaneFailed
from services.recorder.market import MarketLane
from services.recorder.postgres import PostgresSink
from services.recorder.sink import Sink
from services.recorder.source import SourceAway, StreamReader

LOG = logging.getLogger("fleet.recorder")

CONNECT_SECONDS = 5
RECONNECT_SECONDS = 0.05
WATCH_SECONDS = 1.0
DRAIN_SECONDS = 10.0

#: From the best to the worst: the state of the whole is that of its worst part.
_ORDER = ("ready", "closed", "draining", "starting", "waiting", "failed")


@dataclass
class _World:
    """One environment that is open."""

    env: str
    lanes: list[Lane]
    market: MarketLane | None
    facts: StreamReader
    last_seq: int = 0
    seen: dict[str, Any] = field(default_factory=dict)


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
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect to the buses; waits for them. Databases may come later."""
        self._control = await connect(self._settings.nats_control, f"{self._settings.name} control")
        if self._config.market:
            self._data = await connect(self._settings.nats_data, f"{self._settings.name} data")
        self._watcher = asyncio.get_running_loop().create_task(self._watch(), name="recorder watch")

    async def stop(self) -> None:
        """Close every environment: what was read is committed, within a bound of time."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await asyncio.wait({watcher})
        await asyncio.gather(*[self.close(env) for env in list(self._worlds)])
        for client in (self._control, self._data):
            if client is not None:
                await client.close()
        for sink in self._sinks:
            await sink.close()

    async def open(self, env: str) -> None:
        """Begin to record an environment; returns at once. Nothing happens if it is open."""
        if env in self._worlds:
            return
        assert self._control is not None, "start the recorder first"
        stream = subjects.control_stream(env)
        lanes = [Lane(env, self._control, stream, sink, self._config) for sink in self._sinks]
        market = None
        if self._data is not None and not env.startswith("r-"):
            # The market data of a replay come from a catalogue: they are not written to one again.
            folder = self._config.catalog or self._settings.home / "recorded"
            market = MarketLane(env, self._data, folder / env, self._instruments or (lambda _: None), self._config)
        self._worlds[env] = _World(env, lanes, market, StreamReader(self._control, stream))
        for lane in lanes:
            lane.start()
        if market is not None:
            market.start()
        LOG.info("recording %s", env)

    async def close(self, env: str) -> None:
        """Commit what was read of an environment, write its market data, and let go of it."""
        world = self._worlds.pop(env, None)
        if world is None:
            return
        parts: list[Lane | MarketLane] = [*world.lanes, *([world.market] if world.market else [])]
        await asyncio.gather(*[part.close(DRAIN_SECONDS) for part in parts])
        LOG.info("closed %s: %s", env, {part.name: part.status() for part in parts})

    @property
    def envs(self) -> list[str]:
        """The environments that are open."""
        return list(self._worlds)

    async def caught_up(self, env: str, stream_seq: int, timeout_s: float = 60.0) -> None:
        """Return when every database holds `env` up to `stream_seq`. TimeoutError, or LaneFailed if one never will."""
        world = self._worlds.get(env)
        if world is None:
            raise LaneFailed(f"{env} is not being recorded: open it first")
        async with asyncio.timeout(timeout_s):
            for lane in world.lanes:
                await lane.reached(stream_seq)

    async def digests(self, env: str) -> dict[str, Any]:
        """`{"digest": of the run, "engines": {rank: of the engine}}`, computed from the event log in PostgreSQL."""
        if self.postgres is None:
            raise SettingsError("FLEET_POSTGRES is not set: the event log, of which digests are made, is there")
        async with self.postgres.connection() as connection:
            return await run_digest(connection, env)

    def status(self) -> dict[str, Any]:
        """What `/status` needs, and `worlds`: each environment with its lanes."""
        worlds = {env: self._status_of(world) for env, world in self._worlds.items()}
        told = list(worlds.values())
        state = max((world["state"] for world in told), key=_ORDER.index, default="ready")
        return {
            "state": state,
            "lag": max((world["lag"] for world in told), default=0),
            "last_message_ns": max((world["last_message_ns"] for world in told), default=0),
            "envs": list(worlds),
            "detail": "; ".join(f"{env}: {world['detail']}" for env, world in worlds.items() if world["detail"]),
            "worlds": worlds,
        }

    def _status_of(self, world: _World) -> dict[str, Any]:
        parts: list[Lane | MarketLane] = [*world.lanes, *([world.market] if world.market else [])]
        lag = max(world.last_seq - min((lane.place.stream_seq for lane in world.lanes), default=0), 0)
        return {
            "state": max((part.state for part in parts), key=_ORDER.index),
            "detail": "; ".join(f"{part.name}: {part.detail}" for part in parts if part.detail),
            "lag": lag,
            "stream_last_seq": world.last_seq,
            "last_message_ns": max(part.last_message_ns for part in parts),
            **{part.name: part.status() for part in parts},
        }

    async def _watch(self) -> None:
        """Know how far each stream has come, for the lag."""
        while True:
            for world in list(self._worlds.values()):
                with contextlib.suppress(SourceAway):  # the lanes say so
                    world.last_seq = (await world.facts.facts()).last_seq
            await asyncio.sleep(WATCH_SECONDS)

    async def control_envs(self) -> list[str]:
        """The environments that have a control stream now; SourceAway if the server cannot be asked."""
        assert self._control is not None, "start the recorder first"
        return await control_envs(self._control)


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
    """The environments that have a control stream now; SourceAway if the server cannot be asked."""
    found: list[str] = []
    while True:
        request = json.dumps({"offset": len(found)}).encode()
        try:
            answer = json.loads((await client.request("$JS.API.STREAM.NAMES", request, timeout=CONNECT_SECONDS)).data)
        except (NatsError, OSError) as error:
            raise SourceAway(f"NATS: {str(error) or type(error).__name__}") from error
        streams = answer.get("streams") or []
        found += streams
        if not streams or len(found) >= answer["total"]:
            return [name.removeprefix("CTL_") for name in found if name.startswith("CTL_")]


async def connect(url: str, name: str, *, within_s: float | None = None) -> Client:
    """A connection that is there again at once when the server is.

    Waits for the first one as well, unless `within_s` says how long; then raises SourceAway.
    """
    faults: list[str] = []

    async def on_error(error: Exception) -> None:
        if not faults:
            LOG.warning("%s: cannot connect to the bus yet: %s", name, str(error) or type(error).__name__)
        faults[:] = [str(error) or type(error).__name__]

    try:
        async with asyncio.timeout(within_s):
            return await nats.connect(
                url,
                name=name,
                connect_timeout=int(CONNECT_SECONDS),
                reconnect_time_wait=RECONNECT_SECONDS,
                max_reconnect_attempts=-1,
                error_cb=on_error,
                inbox_prefix=inbox_prefix(url),
            )
    except (OSError, NatsError, ValueError) as error:
        raise SourceAway(f"NATS: cannot connect: {', '.join(faults) or error or type(error).__name__}") from error
