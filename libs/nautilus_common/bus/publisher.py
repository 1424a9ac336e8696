"""What a process says, made durable: atomic batches, each with the mark of what caused it.

A batch is all or nothing and costs one sync to disk. While one is on its way the next one gathers, so that a slow disk
makes larger batches and not a longer queue. The mark in front of each batch carries the expected sequence of the mark
before it: of two processes that both think that they are the same engine the server refuses one, whatever the time
between them. Nothing here depends on the server's duplicate window.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import nats.errors

from nautilus_common.messages import subjects

if TYPE_CHECKING:
    from nats.aio.client import Client

BATCH_MAX = 1000
"""Messages of one atomic batch, the mark included: the server's limit."""
BATCH_BYTES_MAX = 4 << 20
WAITING_MAX = 50_000
"""Records that wait to be published before whoever speaks has to wait too."""
ACK_SECONDS = 2.0
RETRY_SECONDS = 0.05

_ENCODE = msgspec.msgpack.Encoder().encode


class Mark(msgspec.Struct, frozen=True):
    """What a process has taken (`inputs`: live only, a replay has its requests) and how much it has said with it."""

    process: str
    epoch: str
    number: int
    counts: dict[int, int]
    inputs: list[Any]
    ts: int


Record = tuple[int, int, str, bytes]
"""(rank, seq, channel, encoded record)"""


class Turn(NamedTuple):
    """Inputs that were taken, and what was said on taking them: durable together."""

    inputs: list[Any]
    records: list[Record]
    ts: int


decode_mark = msgspec.msgpack.Decoder(Mark).decode


class FencedError(Exception):
    """Another process speaks under our name: this one has to stop."""


class PublishError(Exception):
    """The server refuses what cannot be refused: the text says why."""


class Publisher:
    """Publishes the records of one process in one env. `say` never waits; `drained` and `flush` do."""

    def __init__(self, client: Client, env: str, process: str, epoch: str) -> None:
        self._client = client
        self._env = env
        self._process = process
        self._epoch = epoch
        self._subject = subjects.subject(env, subjects.mark(process))
        self._stream = subjects.control_stream(env)
        self._waiting: deque[Turn] = deque()
        self._records_waiting = 0
        self._number = 0
        self._mark_sequence = 0
        self._published: dict[int, int] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._batches = 0
        self.last_sequence = 0
        self.failure: Exception | None = None

    # -- for the process -----------------------------------------------------------------------------------------------

    async def start(self) -> Mark | None:
        """Find out where our name left off, then begin to publish. The last mark, if there is one."""
        mark = await self._recover()
        self._task = asyncio.create_task(self._publish_for_ever())
        return mark

    @property
    def published(self) -> dict[int, int]:
        """The count of each engine (by rank) up to which everything is durable."""
        return self._published

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

    async def drained(self) -> None:
        """Wait while too much is waiting. Raises what has stopped the publisher."""
        while self._records_waiting > WAITING_MAX and self.failure is None:
            await asyncio.sleep(0.001)
        self._raise()

    async def flush(self) -> int:
        """Wait until everything said is durable; the sequence of the last record. Raises what has stopped it."""
        await self._idle.wait()
        self._raise()
        return self.last_sequence

    async def close(self) -> None:
        """Stop without waiting for what is not durable: it will be said again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure

    # -- batches -------------------------------------------------------------------------------------------------------

    async def _publish_for_ever(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._publish_batch()
                self._idle.set()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.failure = error
            self._idle.set()

    async def _publish_batch(self) -> None:
        batch: list[Record] = []
        inputs: list[Any] = []
        size = 0
        ts = 0
        waiting = self._waiting
        while waiting and len(batch) < BATCH_MAX - 1 and size < BATCH_BYTES_MAX:
            turn = waiting.popleft()
            inputs += turn.inputs
            ts = turn.ts
            room = BATCH_MAX - 1 - len(batch)
            if len(turn.records) > room:  # the rest goes next; a restart would say it again from the same inputs
                waiting.appendleft(Turn([], turn.records[room:], ts))
            batch += turn.records[:room]
            size += sum(len(record[3]) for record in turn.records[:room])
        self._records_waiting -= len(batch)
        counts = dict(self._published)
        for rank, seq, _, _ in batch:
            counts[rank] = seq
        number = self._number + 1
        mark = Mark(self._process, self._epoch, number, counts, inputs, ts)
        await self._send_until_durable(mark, batch)
        self._number = number
        self._published = counts

    async def _send_until_durable(self, mark: Mark, batch: list[Record]) -> None:
        while True:
            try:
                answer = await self._send(mark, batch)
            except (nats.errors.Error, OSError, TimeoutError):
                answer = None
            if answer is None:  # sent, lost, or sent and its answer lost: the stream knows
                await asyncio.sleep(RETRY_SECONDS)
                found = await self._recover()
                if found is not None and (found.epoch, found.number) == (mark.epoch, mark.number):
                    return
                continue
            error = answer.get("error")
            if error is None:
                self.last_sequence = int(answer["seq"])
                self._mark_sequence = self.last_sequence - len(batch)
                return
            if error.get("err_code") in (10071, 10164):
                await self._settle_conflict(mark)
                return
            if error.get("code") == 503:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            raise PublishError(f"{self._stream} refuses a batch of {self._process}: {error.get('description')}")

    async def _settle_conflict(self, mark: Mark) -> None:
        """The last mark is not the one we expected: ours, whose answer was lost, or somebody else's."""
        found = await self._recover()
        if found is None or (found.epoch, found.number) != (mark.epoch, mark.number):
            other = "nobody" if found is None else f"start {found.epoch}, mark {found.number}"
            raise FencedError(
                f"another process speaks as '{self._process}' in {self._env} ({other}); this one (start {self._epoch}, "
                f"mark {mark.number}) stops. Stop one of them, or give it another FLEET_NAME"
            )

    async def _send(self, mark: Mark, batch: list[Record]) -> dict[str, Any] | None:
        client = self._client
        expected = {"Nats-Expected-Last-Subject-Sequence": str(self._mark_sequence)}
        if not batch:
            reply = await client.request(self._subject, _ENCODE(mark), timeout=ACK_SECONDS, headers=expected)
            return _answer(reply.data)
        self._batches += 1
        name = f"{self._process[:20]}-{self._epoch}-{mark.number}-{self._batches}"
        head = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": "1", **expected}
        await client.publish(self._subject, _ENCODE(mark), headers=head)
        last = len(batch) - 1
        for index, (_, _, channel, data) in enumerate(batch):
            head = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(index + 2)}
            subject = subjects.subject(self._env, channel)
            if index < last:
                await client.publish(subject, data, headers=head)
                continue
            head["Nats-Batch-Commit"] = "1"
            reply = await client.request(subject, data, timeout=ACK_SECONDS, headers=head)
            return _answer(reply.data)
        return None

    async def _recover(self) -> Mark | None:
        """Ask the stream for our last mark, as often as it takes."""
        request = json.dumps({"last_by_subj": self._subject}).encode()
        while True:
            try:
                reply = await self._client.request(
                    f"$JS.API.STREAM.MSG.GET.{self._stream}", request, timeout=ACK_SECONDS
                )
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(RETRY_SECONDS)
                continue
            answer = json.loads(reply.data)
            error = answer.get("error")
            if error is None:
                break
            if error.get("err_code") == 10037:  # no message found: nothing was ever said under our name
                self._mark_sequence, self._number, self._published = 0, 0, {}
                return None
            if error.get("err_code") == 10059:
                raise PublishError(f"there is no stream {self._stream}; fleet bus apply --env {self._env} makes it")
            await asyncio.sleep(RETRY_SECONDS)
        mark = decode_mark(base64.b64decode(answer["message"]["data"]))
        self._mark_sequence = int(answer["message"]["seq"])
        self._number = mark.number
        self._published = dict(mark.counts)
        self.last_sequence = max(self.last_sequence, self._mark_sequence)
        return mark


def _answer(data: bytes) -> dict[str, Any] | None:
    found: dict[str, Any] = json.loads(data) if data else {}
    return found or None
