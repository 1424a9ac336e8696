"""The control stream of one environment into one database: fold, commit, and ask the database where it is.

After any failed commit nobody knows whether it happened, so what is in memory is forgotten and the database is asked
for its place; what was read and lies beyond it is folded again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.client import Client
from nautilus_common.bus.reader import Item
from nautilus_common.messages import subjects

from services.recorder.config import RecorderConfig
from services.recorder.engine import RecorderEngine
from services.recorder.lane import Lane, LaneFailed
from services.recorder.records import INT64_MAX
from services.recorder.sink import Sink
from services.recorder.state import Place


class DatabaseLane(Lane):
    """The entries of `env` on their way into `sink`."""

    def __init__(
        self, env: str, client: Client, sink: Sink, config: RecorderConfig, *, stop_at: int | None = None
    ) -> None:
        """`stop_at`: the last message to commit; without it there is no last one."""
        backlog = (config.backlog_messages, config.backlog_bytes)
        super().__init__(env, client, subjects.control_stream(env), backlog)
        self.name = sink.name
        self.sink = sink
        self.place = Place()
        self.commits = 0
        self.duplicates = 0
        self.on_commit: Callable[[int], None] = lambda _: None
        self._stop_at = INT64_MAX if stop_at is None else stop_at
        self._config = config
        self._engine = RecorderEngine(env, self.place)
        self._portion: list[Item] = []
        self._taken = 0  # the last message that was taken from the reader
        self._news = asyncio.Condition()

    async def reached(self, stream_seq: int) -> None:
        """Return when the place is at or beyond `stream_seq`. Raises LaneFailed if it does not go on."""
        async with self._news:
            await self._news.wait_for(lambda: self.place.stream_seq >= stream_seq or self.state in ("failed", "closed"))
            if self.place.stream_seq < stream_seq:
                raise LaneFailed(f"{self.name} {self.env} is {self.state} at {self.place.stream_seq}: {self.detail}")

    def status(self) -> dict[str, object]:
        """What there is to say of this lane."""
        messages, size = self._reader.buffered if self._reader is not None else (0, 0)
        return {
            "state": self.state,
            "detail": self.detail,
            "stream_seq": self.place.stream_seq,
            "records": self.place.records,
            "entries": self.place.entries,
            "rejected": self.place.rejected,
            "duplicates": self.duplicates,
            "commits": self.commits,
            "backlog_messages": messages + len(self._portion),
            "backlog_bytes": size + sum(len(item.data) for item in self._portion),
            "backlog_full": self._reader is not None and self._reader.is_full,
        }

    async def _changed(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _begin(self) -> None:
        place = await self.sink.load(self.env) or Place()
        self._wait("sink", "")
        self._engine = RecorderEngine(self.env, place)
        self.place = place
        await self._changed()
        # What is in memory goes on where the place is, or before it; if not, it is read again.
        first = self._portion[0].sequence - self._portion[0].missing if self._portion else self._taken + 1
        if self._reader is None or self._reader.failure is not None or first > place.stream_seq + 1:
            self._portion = []
            self._taken = place.stream_seq
            await self._read_from(place.stream_seq + 1, place.created)

    async def _record(self) -> None:
        reader = self._reader
        assert reader is not None
        while self.place.stream_seq < self._stop_at:
            if not self._portion:
                self._take_portion()
            if self._portion:
                await self._commit()
            elif self._draining.is_set():
                return
            else:
                await self._wait_for_items(reader)

    def _take_portion(self) -> None:
        """The next of what was read, as much as is committed as one."""
        reader, config = self._reader, self._config
        assert reader is not None
        size = 0
        while len(self._portion) < config.batch_messages and size < config.batch_bytes and self._taken < self._stop_at:
            item = reader.take_nowait()
            if item is None:
                break
            self._portion.append(item)
            self._taken = item.sequence
            size += len(item.data)

    async def _commit(self) -> None:
        engine, reader = self._engine, self._reader
        assert reader is not None
        messages = engine.read(self._portion)
        orders, positions = engine.wanted(messages)
        if orders or positions:
            engine.know(*await self.sink.find(self.env, orders, positions))
        engine.place.created = reader.created
        batch = engine.fold(messages)
        if batch.after.stream_seq > batch.before.stream_seq:
            await self.sink.commit(self.env, batch)
        self.commits += 1
        self.duplicates += batch.duplicates
        self.last_message_ns = self._portion[-1].ts_ns
        self.place = batch.after
        if batch.fault:
            raise LaneFailed(batch.fault)
        self._portion = []
        self._note_commit()
        await self._changed()
        self.on_commit(self.place.stream_seq)
        for row in batch.rejected:
            self._tell_once(row[3], f"rejected ({row[3]})", row[0], row[4])
