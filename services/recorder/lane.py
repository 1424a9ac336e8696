"""One environment into one database: read ahead, fold, commit; wait for whichever server is away.

Theory of operation. Each database of each environment has a lane of its own - reader, backlog, engine, writer - so that
none waits for another. The reader fills the backlog up to a bound in records and bytes, whether the database is there
or not; at the bound it stops, and the stream keeps the rest. The writer folds what is there as one batch: the slower
the database, the larger the batches. After any failed commit nobody knows whether it happened, so the writer forgets
what it has in memory and asks the database for its place; what the backlog has beyond it is folded again.

States: `starting`, `ready`, `waiting` (for a server: it goes on by itself), `failed` (it cannot, and says why),
`draining`, `closed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable

from nats.aio.client import Client

from services.recorder.config import RecorderConfig
from services.recorder.engine import RecorderEngine, StreamGap
from services.recorder.records import INT64_MAX
from services.recorder.sink import Sink, SinkAway, SinkMoved, SinkRefused
from services.recorder.source import SourceAway, StreamFacts, StreamReader
from services.recorder.state import Item, Place

LOG = logging.getLogger("fleet.recorder")

READ_SECONDS = 0.5
STALL_SECONDS = 5.0
"""Without a commit for so long, a full backlog is told."""

RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 2.0
GAPS_MAX = 5
"""How often in a row the same gap is fetched again before the lane gives up."""


class LaneFailed(Exception):
    """The lane cannot go on, and no server that comes back changes that."""


class Lane:
    """The records of `env` on their way into `sink`."""

    def __init__(
        self,
        env: str,
        client: Client,
        stream: str,
        sink: Sink,
        config: RecorderConfig,
        *,
        stop_at: int | None = None,
    ) -> None:
        """`stop_at`: the last message to commit; without it there is no last one."""
        self.env = env
        self.sink = sink
        self.state = "starting"
        self.detail = ""
        self.place = Place()
        self.commits = 0
        self.duplicates = 0
        self.refetched = 0
        self.last_message_ns = 0
        self.on_commit: Callable[[int], None] = lambda _: None
        self._stop_at = INT64_MAX if stop_at is None else stop_at
        self._config = config
        self._reader = StreamReader(client, stream, lambda facts: self._check_stream(self.place, facts))
        self._engine: RecorderEngine | None = None
        self._backlog: deque[Item] = deque()
        self._backlog_bytes = 0
        self._changed = asyncio.Condition()
        self._seek: int | None = None
        self._draining = False
        self._told: set[str] = set()
        self._waits: dict[str, str] = {}
        self._gaps = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.sink.name

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"{self.sink.name} {self.env}")

    async def close(self, seconds: float) -> None:
        """Commit what has been read, within `seconds`, and stop."""
        task, self._task = self._task, None
        if task is None:
            return
        async with self._changed:
            self._draining = True
            if self.state in ("ready", "starting", "waiting"):
                self.state = "draining"
            self._changed.notify_all()
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            task.cancel()
            await asyncio.wait({task})
        await self._reader.close()
        if self.state != "failed":
            self.state = "closed"

    async def reached(self, stream_seq: int) -> None:
        """Return when the place is at or beyond `stream_seq`. Raises LaneFailed if it never will be."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.place.stream_seq >= stream_seq or self.state in ("failed", "closed")
            )
            if self.place.stream_seq < stream_seq:
                raise LaneFailed(
                    f"{self.sink.name} {self.env} is {self.state} at {self.place.stream_seq}: {self.detail}"
                )

    def status(self) -> dict[str, object]:
        """What there is to say of this lane."""
        return {
            "state": self.state,
            "detail": self.detail,
            "stream_seq": self.place.stream_seq,
            "records": self.place.records,
            "entries": self.place.entries,
            "rejected": self.place.rejected,
            "duplicates": self.duplicates,
            "refetched": self.refetched,
            "commits": self.commits,
            "backlog_records": len(self._backlog),
            "backlog_bytes": self._backlog_bytes,
            "backlog_full": self._is_full(),
        }

    # -- life --------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._begin()
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read())
                await self._write()
                reader.cancel()
        except* (LaneFailed, SinkRefused) as group:
            await self._fail(str(group.exceptions[0]))
        except* Exception as group:
            LOG.exception("%s %s: unforeseen", self.sink.name, self.env, exc_info=group.exceptions[0])
            await self._fail(f"{type(group.exceptions[0]).__name__}: {group.exceptions[0]}")

    async def _fail(self, detail: str) -> None:
        async with self._changed:
            self.state, self.detail = "failed", detail
            self._changed.notify_all()
        LOG.error("%s %s: %s", self.sink.name, self.env, detail)

    async def _begin(self) -> None:
        """Ask the database where it is and the server what the stream is; waits for both."""
        pause = RETRY_SECONDS
        while not self._draining:
            try:
                await self._resume()
                return
            except SinkAway as error:
                self._wait("sink", str(error))
            except SourceAway as error:
                self._wait("source", str(error))
            await self._pause(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)

    async def _resume(self) -> None:
        """Begin, or begin again, at the place that the database has."""
        place = await self.sink.load(self.env) or Place()
        self._wait("sink", "")
        facts = await self._reader.facts()
        self._wait("source", "")
        self._check_stream(place, facts)
        place.created = facts.created
        self._engine = RecorderEngine(self.env, place)
        async with self._changed:
            self.place = place
            while self._backlog and self._backlog[0].sequence <= place.stream_seq:
                self._backlog_bytes -= _size(self._backlog.popleft())
            contiguous = self._backlog and self._backlog[0].sequence - self._backlog[0].missing <= place.stream_seq + 1
            if not contiguous:
                self._backlog.clear()
                self._backlog_bytes = 0
                self._seek = place.stream_seq + 1
            self._changed.notify_all()

    def _check_stream(self, place: Place, facts: StreamFacts) -> None:
        """Quarantine: the stream is not the one that the place is in."""
        stream = self._reader.stream
        remedy = f"Look at what happened to it, then `fleet rebuild --env {self.env}` folds what it holds now"
        if place.created and place.created != facts.created:
            raise LaneFailed(
                f"quarantined: {stream} was made at {facts.created}, and what is recorded up to message "
                f"{place.stream_seq} came from one made at {place.created}. {remedy}"
            )
        if place.stream_seq > facts.last_seq:
            raise LaneFailed(
                f"quarantined: {stream} ends at message {facts.last_seq}, and message {place.stream_seq} of it is "
                f"recorded: its sequence went backwards. {remedy}"
            )

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        pause = RETRY_SECONDS
        while not self._draining:
            try:
                await self._wait_for_room()
                if self._seek is not None:
                    seek, self._seek = self._seek, None
                    await self._reader.seek(seek)
                entries = await self._reader.read(READ_SECONDS)
                if entries and self._seek is None:
                    await self._take(entries)
                self._wait("source", "")
                pause = RETRY_SECONDS
            except SourceAway as error:
                self._wait("source", str(error))
                self._seek = self._seek or self._next_to_read()
                await self._pause(pause)
                pause = min(2 * pause, RETRY_SECONDS_MAX)

    async def _wait_for_room(self) -> None:
        """Stop reading at the bound. While a database only has much to catch up with, that is no news."""
        place, since = self.place.stream_seq, time.monotonic()
        while self._is_full() and not self._draining:
            if self.place.stream_seq != place:
                place, since = self.place.stream_seq, time.monotonic()
            elif "sink" in self._waits or time.monotonic() - since > STALL_SECONDS:
                full = f"{len(self._backlog)} messages, {self._backlog_bytes} bytes"
                self._wait("backlog", f"the backlog is full ({full}) and nothing is committed")
            with contextlib.suppress(TimeoutError):
                async with self._changed, asyncio.timeout(READ_SECONDS):
                    await self._changed.wait_for(lambda: not self._is_full() or self._draining)
        self._wait("backlog", "")

    async def _take(self, entries: list[Item]) -> None:
        """Put what was read into the backlog, if it goes on where that ends."""
        expected = self._next_to_read()
        taken: list[Item] = []
        for entry in entries:
            if entry.sequence < expected:
                self.duplicates += 1
                continue
            if entry.sequence > expected:
                if not await self._is_deleted(expected, entry.sequence):
                    break
                entry = entry._replace(missing=entry.sequence - expected)
            taken.append(entry)
            expected = entry.sequence + 1
        async with self._changed:
            if self._seek is not None and self._seek != expected:
                return  # the writer has asked for another place meanwhile
            self._backlog.extend(taken)
            self._backlog_bytes += sum(map(_size, taken))
            if taken:
                self.last_message_ns = taken[-1].ts_ns
            self._changed.notify_all()

    async def _is_deleted(self, expected: int, got: int) -> bool:
        """Whether the stream itself has deleted what is missing; if not, it is fetched again."""
        facts = await self._reader.facts(deleted=True)
        self._check_stream(self.place, facts)
        if all(seq < facts.first_seq or seq in facts.deleted for seq in range(max(expected, facts.first_seq), got)):
            LOG.warning(
                "%s %s: messages %d to %d are deleted from the stream", self.sink.name, self.env, expected, got - 1
            )
            self._gaps = 0
            return True
        self._gaps += 1
        self.refetched += 1
        if self._gaps > GAPS_MAX:
            raise LaneFailed(
                f"message {expected} is in the stream and does not come: {got} came instead, {GAPS_MAX} times"
            )
        LOG.warning(
            "%s %s: message %d came where %d was expected; fetching again", self.sink.name, self.env, got, expected
        )
        self._seek = expected
        return False

    def _next_to_read(self) -> int:
        return (self._backlog[-1].sequence if self._backlog else self.place.stream_seq) + 1

    def _is_full(self) -> bool:
        config = self._config
        return len(self._backlog) >= config.backlog_records or self._backlog_bytes >= config.backlog_bytes

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        pause = RETRY_SECONDS
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._backlog) or self._draining)
            if not self._backlog or (self._draining and "sink" in self._waits):
                return
            if self.place.stream_seq >= self._stop_at:
                return
            try:
                await self._commit(self._portion())
                self._wait("sink", "")
                pause = RETRY_SECONDS
                continue
            except SinkMoved as error:
                LOG.warning("%s", error)
            except SinkAway as error:
                self._wait("sink", str(error))
                await self._pause(pause)
                pause = min(2 * pause, RETRY_SECONDS_MAX)
            await self._begin()

    def _portion(self) -> list[Item]:
        """The first of the backlog, as much as is committed as one."""
        portion: list[Item] = []
        size = 0
        for entry in self._backlog:
            if entry.sequence > self._stop_at:
                break
            portion.append(entry)
            size += _size(entry)
            if len(portion) >= self._config.batch_records or size >= self._config.batch_bytes:
                break
        return portion

    async def _commit(self, portion: list[Item]) -> None:
        engine = self._engine
        assert engine is not None
        try:
            messages = engine.read(portion)
        except StreamGap as gap:
            raise AssertionError(f"the backlog has a gap: {gap}") from gap
        orders, positions = engine.wanted(messages)
        if orders or positions:
            engine.know(*await self.sink.find(self.env, orders, positions))
        batch = engine.fold(messages)
        if batch.after.stream_seq > batch.before.stream_seq:
            await self.sink.commit(self.env, batch)
        self.commits += 1
        self.on_commit(batch.after.stream_seq)
        self.duplicates += batch.duplicates
        for row in batch.rejected:
            self._tell_rejected(row[3], row[0], row[4])
        async with self._changed:
            self.place = batch.after
            while self._backlog and self._backlog[0].sequence <= self.place.stream_seq:
                self._backlog_bytes -= _size(self._backlog.popleft())
            self._changed.notify_all()
        if batch.fault:
            raise LaneFailed(batch.fault)

    def _tell_rejected(self, kind: str, stream_seq: int, reason: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            LOG.warning(
                "%s %s: message %d is rejected (%s): %s; further ones of this kind are only counted",
                self.sink.name,
                self.env,
                stream_seq,
                kind,
                reason,
            )

    def _wait(self, what: str, why: str) -> None:
        """Note that `what` is waited for, or no more."""
        if why:
            if what not in self._waits:
                LOG.warning("%s %s waits: %s", self.sink.name, self.env, why)
            self._waits[what] = why
        elif what in self._waits:
            del self._waits[what]
            LOG.info("%s %s: %s is back", self.sink.name, self.env, what)
        self.detail = "; ".join(self._waits.values())
        if self.state not in ("draining", "failed", "closed"):
            self.state = "waiting" if self._waits else "ready"

    async def _pause(self, seconds: float) -> None:
        """Wait, but not when it is time to go."""
        try:
            async with self._changed, asyncio.timeout(seconds):
                await self._changed.wait_for(lambda: self._draining)
        except TimeoutError:
            pass


def _size(entry: Item) -> int:
    return len(entry.data) + len(entry.subject) + 64
