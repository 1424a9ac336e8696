"""What a process takes and says, made durable: the entries of its log.

An entry is one message: the inputs that were taken and the records that they caused. It is stored or not, as a whole,
with one sync to disk; while one is on its way the next one gathers, so that a slow disk makes larger entries and not a
longer queue. Each says which sequence the entry before it has: of two processes that both think that they are the same
one the server refuses one, whatever the time between them. Nothing here depends on the server's duplicate window.

When an entry is durable its records are also published one by one on their ordinary subjects, for whoever listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import nats.errors

from nautilus_common.bus.newest import NoStream, find_newest
from nautilus_common.bus.tasks import end_tasks
from nautilus_common.faults import NO_FAULTS, Faults
from nautilus_common.messages import subjects

if TYPE_CHECKING:
    from nats.aio.client import Client

ENTRY_RECORDS_MAX = 4_000
ENTRY_BYTES_MAX = 4 << 20
WAITING_MAX = 50_000
"""Records that wait to be published before whoever speaks has to wait too."""
ACK_SECONDS = 2.0
RETRY_SECONDS = 0.05
_FULL = (10047, 10077, 10023)
"""JetStream's codes for no storage left, the stream's bound of bytes, and no resources: what an operator can mend."""

_ENCODE = msgspec.msgpack.Encoder().encode


class Entry(msgspec.Struct, frozen=True):
    """One entry of a process's log: what it has taken (live only; a replay has its requests) and said.

    `counts` holds, by rank, how much each of its engines has said with this entry; `ts` is the clock of the process.
    """

    process: str
    epoch: str
    number: int
    counts: dict[int, int]
    inputs: list[Any]
    records: list[msgspec.Raw]
    ts: int


decode_entry = msgspec.msgpack.Decoder(Entry).decode

Record = tuple[int, int, str, bytes]
"""(rank, seq, channel, encoded record)"""


class Turn(NamedTuple):
    """Inputs that were taken, and what was said on taking them: durable together."""

    inputs: list[Any]
    records: list[Record]
    ts: int


class FencedError(Exception):
    """Another process speaks under our name: this one has to stop."""


class PublishError(Exception):
    """The server refuses what cannot be refused: the text says why."""


class Publisher:
    """Publishes the records of one process in one env. `say` never waits; `drained` and `flush` do."""

    def __init__(
        self,
        client: Client,
        env: str,
        roles: tuple[str, ...],
        process: str,
        epoch: str,
        faults: Faults = NO_FAULTS,
        gather_seconds: float = 0.0,
        on_trouble: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`gather_seconds`: how long an entry may gather when nobody waits for it; an entry costs a sync to disk.

        `on_trouble` is told in words why nothing can be stored now, and an empty text when that has passed.
        """
        self._on_trouble = on_trouble
        self._faults = faults
        self._client = client
        self._env = env
        self._process = process
        self._epoch = epoch
        self._subject = subjects.subject(env, subjects.log(roles, process))
        self._stream = subjects.control_stream(env)
        self._waiting: deque[Turn] = deque()
        self._records_waiting = 0
        self._number = 0
        self._last = 0
        self._published: dict[int, int] = {}
        self._gather_seconds = gather_seconds
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self.last_sequence = 0
        self.failure: Exception | None = None
        self.trouble = ""  # why the server does not store now, in its words

    # -- for the process -----------------------------------------------------------------------------------------------

    async def start(self) -> Entry | None:
        """Find out where our name left off, then begin to publish. Its last entry, if there is one."""
        entry = await self._recover()
        self._task = asyncio.create_task(self._publish_for_ever())
        return entry

    @property
    def published(self) -> dict[int, int]:
        """The count of each engine (by rank) up to which everything is durable."""
        return self._published

    @property
    def number(self) -> int:
        """The number of our last durable entry."""
        return self._number

    @property
    def is_idle(self) -> bool:
        """True when everything said is durable."""
        return self._idle.is_set()

    @property
    def waiting(self) -> int:
        """Records that are not yet on their way."""
        return self._records_waiting

    def say(self, records: Sequence[Record], inputs: list[Any], ts: int) -> None:
        """Make `inputs` and the records that they caused durable; records that are so already are left out."""
        published = self._published
        new = [record for record in records if record[1] > published.get(record[0], 0)]
        if not new and not inputs:
            return
        self._waiting.append(Turn(inputs, new, ts))
        self._records_waiting += len(new)
        self._idle.clear()
        self._wake.set()
        if self._records_waiting >= ENTRY_RECORDS_MAX:
            self._hurry.set()

    async def drained(self) -> None:
        """Wait while too much is waiting. Raises what has stopped the publisher."""
        while self._records_waiting > WAITING_MAX and self.failure is None:
            await asyncio.sleep(0.001)
        self._raise()

    async def flush(self) -> int:
        """Wait until everything said is durable; the sequence of the last record. Raises what has stopped it."""
        if not self._idle.is_set():
            self._hurry.set()
        await self._idle.wait()
        self._raise()
        return self.last_sequence

    async def ended(self) -> None:
        """Return when nothing is published any more: it was closed, or `failure` says what has stopped it."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop without waiting for what is not durable: it will be said again."""
        await end_tasks(self._task)

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure

    # -- entries -------------------------------------------------------------------------------------------------------

    async def _publish_for_ever(self) -> None:
        try:
            while True:
                await self._wake.wait()
                if self._gather_seconds:
                    await self._let_gather()
                entry, records = self._gather()
                self._faults.reach("entry sent")
                await self._send_until_durable(entry)
                self._faults.reach("entry durable")
                self._number = entry.number
                self._published = entry.counts
                await self._tell(records)
                self._faults.reach("entry told")
                if not self._waiting:
                    self._wake.clear()
                    self._hurry.clear()
                    self._idle.set()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.failure = error
            self._idle.set()

    async def _let_gather(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._gather_seconds):
                await self._hurry.wait()

    def _gather(self) -> tuple[Entry, list[Record]]:
        """The next entry: whole turns, as many as fit."""
        batch: list[Record] = []
        inputs: list[Any] = []
        size = ts = 0
        waiting = self._waiting
        while waiting and len(batch) < ENTRY_RECORDS_MAX and size < ENTRY_BYTES_MAX:
            turn = waiting.popleft()
            inputs += turn.inputs
            ts = turn.ts
            room = ENTRY_RECORDS_MAX - len(batch)
            if len(turn.records) > room:  # the rest goes next; a restart would say it again from the same inputs
                waiting.appendleft(Turn([], turn.records[room:], ts))
            batch += turn.records[:room]
            size += sum(len(record[3]) for record in turn.records[:room])
        self._records_waiting -= len(batch)
        counts = dict(self._published)
        for rank, seq, _, _ in batch:
            counts[rank] = seq
        said = [msgspec.Raw(record[3]) for record in batch]
        return Entry(self._process, self._epoch, self._number + 1, counts, inputs, said, ts), batch

    async def _send_until_durable(self, entry: Entry) -> None:
        data = _ENCODE(entry)
        while True:
            expected = {"Nats-Expected-Last-Subject-Sequence": str(self._last)}
            try:
                reply = await self._client.request(self._subject, data, timeout=ACK_SECONDS, headers=expected)
                answer = json.loads(reply.data) if reply.data else None
            except (nats.errors.Error, OSError, TimeoutError):
                answer = None
            if answer is None:  # never stored, or stored and the answer lost: the stream knows
                await asyncio.sleep(RETRY_SECONDS)
                found = await self._recover()
                if found is not None and (found.epoch, found.number) == (entry.epoch, entry.number):
                    return
                self._check_fence(found, entry)
                continue
            error = answer.get("error")
            if error is None:
                self._last = self.last_sequence = int(answer["seq"])
                self._tell_trouble("")
                return
            if error.get("err_code") in (10071, 10164):
                found = await self._recover()
                if found is not None and (found.epoch, found.number) == (entry.epoch, entry.number):
                    return
                self._check_fence(found, entry)
                continue
            if error.get("code") == 503 or error.get("err_code") in _FULL:  # it may pass: nothing is lost by waiting
                self._tell_trouble(f"{self._stream} stores nothing now: {error.get('description')}")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            raise PublishError(f"{self._stream} refuses an entry of {self._process}: {error.get('description')}")

    def _tell_trouble(self, text: str) -> None:
        if text != self.trouble:
            self.trouble = text
            self._on_trouble(text)

    def _check_fence(self, found: Entry | None, entry: Entry) -> None:
        """The last entry under our name must be the one before ours: entries are numbered over all starts."""
        number = 0 if found is None else found.number
        if found is None and entry.number > 1:
            raise PublishError(
                f"{self._stream} holds nothing of '{self._process}' any more, which had written {entry.number - 1} "
                "entries: it was made anew, and what was folded from the old one does not go with it"
            )
        if number != entry.number - 1:
            other = "nothing" if found is None else f"start {found.epoch}, entry {found.number}"
            raise FencedError(
                f"another process speaks as '{self._process}' in {self._env} (last there: {other}); this one (start "
                f"{self._epoch}, entry {entry.number}) stops. Stop one of them, or give it another FLEET_NAME"
            )

    async def _tell(self, records: list[Record]) -> None:
        """Publish records for whoever listens; who must not miss one reads the stream."""
        with contextlib.suppress(nats.errors.Error, OSError):
            for _, _, channel, data in records:
                await self._client.publish(subjects.subject(self._env, channel), data)

    async def _recover(self) -> Entry | None:
        """Ask the stream for our last entry, as often as it takes."""
        try:
            last, _, entry = await find_newest(
                self._client, self._stream, self._subject, lambda data: read_entry(data, self._process)
            )
        except NoStream:
            raise PublishError(
                f"there is no stream {self._stream}; fleet bus apply --env {self._env} makes it"
            ) from None
        self._last = last
        self._number, self._published = (0, {}) if entry is None else (entry.number, dict(entry.counts))
        self.last_sequence = max(self.last_sequence, last)
        return entry


def read_entry(data: bytes, process: str) -> Entry | None:
    """The entry of `process` in `data`; None when it is none: somebody else has spoken under its name."""
    try:
        entry = decode_entry(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    return entry if entry.process == process else None
