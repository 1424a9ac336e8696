"""What all lanes have in common: one environment on its way into one place, in a task of its own.

Theory of operation. Each database of each environment, and its market data, has a lane of its own, so that none waits
for another. A reader fills its buffer up to a bound in messages and bytes, whether the place is there or not; at the
bound it stops, and the stream keeps the rest. The lane takes what is there as one batch: the slower the place, the
larger the batches. Whatever goes wrong, the lane begins again, by asking the place how far it has come.

States: `starting`, `ready`, `waiting` (for a server: it goes on by itself), `failed` (going on would record something
untrue, or the place refuses), `draining`, `closed`. A lane that has failed looks again every few seconds: whoever has
mended what was wrong need not start it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from nats.aio.client import Client
from nautilus_common.bus.reader import StreamBroken, StreamReader
from nautilus_common.bus.tasks import end_tasks
from nautilus_common.catalog.errors import CatalogError

from services.recorder.sink import SinkAway, SinkMoved, SinkRefused

LOG = logging.getLogger("fleet.recorder")

READ_SECONDS = 0.2
STALL_SECONDS = 5.0
"""When nothing is committed for so long, a full backlog is told."""

RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 2.0
FAILED_SECONDS = 5.0
"""After it a lane that has failed looks again."""


class LaneFailed(Exception):
    """The lane cannot go on, and no server that comes back changes that."""


class Lane:
    """A stream of `env` on its way somewhere; `name` says where."""

    name = ""

    def __init__(self, env: str, client: Client, stream: str, backlog: tuple[int, int]) -> None:
        """`backlog`: how many messages, and bytes, are read ahead."""
        self.env = env
        self.stream = stream
        self.last_message_ns = 0
        self._client = client
        self._backlog = backlog
        self._reader: StreamReader | None = None
        self._task: asyncio.Task[None] | None = None
        self._draining = asyncio.Event()
        self._begun = False
        self._over = False
        self._failure = ""
        self._waits: dict[str, str] = {}
        self._committed_s = time.monotonic()
        self._told: set[str] = set()

    # -- for the recorder --------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"{self.name} {self.env}")

    async def close(self, seconds: float) -> None:
        """Commit what has been read, within `seconds`, and stop."""
        task, self._task = self._task, None
        if task is None:
            return
        self._draining.set()
        if self._reader is not None:
            await self._reader.close()
        await asyncio.wait({task}, timeout=seconds)
        await end_tasks(task)
        if self._reader is not None:
            await self._reader.close()
        self._over = True
        await self._changed()

    @property
    def state(self) -> str:
        if self._failure:
            return "failed"
        if self._over:
            return "closed"
        if self._draining.is_set():
            return "draining"
        if self._waits or self._is_stuck():
            return "waiting"
        return "ready" if self._begun else "starting"

    @property
    def detail(self) -> str:
        """What it waits for, or why it has failed."""
        reasons = [self._failure] if self._failure else list(self._waits.values())
        if self._is_stuck():
            messages, size = self._reader.buffered if self._reader is not None else (0, 0)
            reasons.append(f"the backlog is full ({messages} messages, {size} bytes) and nothing is committed")
        return "; ".join(reasons)

    def _is_stuck(self) -> bool:
        """Nothing more is read. While a place only has much to catch up with, that is no news."""
        full = self._reader is not None and self._reader.is_full
        return full and ("sink" in self._waits or time.monotonic() - self._committed_s > STALL_SECONDS)

    def status(self) -> dict[str, object]:
        """What there is to say of this lane."""
        raise NotImplementedError

    # -- its life ----------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Find out how far the place has come, and have a reader there."""
        raise NotImplementedError

    async def _record(self) -> None:
        """Take and commit until it is over, or something goes wrong."""
        raise NotImplementedError

    async def _changed(self) -> None:
        """The state or the place is another."""

    async def _run(self) -> None:
        pause = RETRY_SECONDS
        while True:
            committed = self._committed_s
            try:
                await self._begin()
                await self._record()
                return
            except SinkMoved as error:
                LOG.warning("%s", error)
            except (SinkAway, OSError) as error:
                self._wait("sink", str(error) or type(error).__name__)
            except StreamBroken as error:
                await self._fail(f"quarantined: {error}. {self._remedy()}")
            except (LaneFailed, SinkRefused, CatalogError) as error:
                await self._fail(str(error))
            except Exception as error:
                if self._failure != (text := f"{type(error).__name__}: {error}"):
                    LOG.exception("%s %s: unforeseen", self.name, self.env)
                await self._fail(text)
            if self._draining.is_set():
                return
            pause = RETRY_SECONDS if self._committed_s > committed else min(2 * pause, RETRY_SECONDS_MAX)
            await self._pause(FAILED_SECONDS if self._failure else pause)

    async def _read_from(self, sequence: int, created: str) -> StreamReader:
        """A new reader, from a message of the stream that was made at that time."""
        if self._reader is not None:
            await self._reader.close()
        messages, size = self._backlog
        self._reader = StreamReader(
            self._client, self.stream, sequence, batch=messages, max_bytes=size, whole=False, created=created
        )
        if not self._draining.is_set():
            await self._reader.start()
        return self._reader

    async def _wait_for_items(self, reader: StreamReader) -> None:
        """Until there is something to take, or a short while is over. Raises what has stopped the reader."""
        idle = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                await reader.wait()
                idle = False
        self._wait("source", f"NATS: {reader.trouble}" if reader.trouble else "")
        if reader.failure is not None and not reader.buffered[0]:
            raise reader.failure
        if reader.created and not reader.trouble:
            self._begun = True
            if idle:
                self._failure = ""  # whatever it was, it has been passed

    def _remedy(self) -> str:
        return f"Look at what happened to it, then `fleet rebuild --env {self.env}` folds what it holds now"

    async def _fail(self, detail: str) -> None:
        if detail != self._failure:
            LOG.error("%s %s: %s", self.name, self.env, detail)
        self._failure = detail
        if self._reader is not None:
            await self._reader.close()
            self._reader = None
        await self._changed()

    def _note_commit(self) -> None:
        self._committed_s = time.monotonic()
        self._failure = ""
        self._begun = True
        self._wait("sink", "")

    def _wait(self, what: str, why: str) -> None:
        """Note that `what` is waited for, or no more."""
        if why:
            if what not in self._waits:
                LOG.warning("%s %s waits: %s", self.name, self.env, why)
            self._waits[what] = why
        elif what in self._waits:
            del self._waits[what]
            LOG.info("%s %s: %s is back", self.name, self.env, what)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not when it is time to go."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()

    def _tell_once(self, kind: str, message: str, sequence: int, reason: str) -> None:
        """Warn of the first of its kind; further ones are only counted."""
        if kind not in self._told:
            self._told.add(kind)
            text = "%s %s: message %d is %s: %s; further ones of this kind are only counted"
            LOG.warning(text, self.name, self.env, sequence, message, reason)
