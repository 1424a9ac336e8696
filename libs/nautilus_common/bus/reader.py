"""Reading a stream in order, without a gap: pull, a bounded buffer, and sequences that are checked.

A pull consumer that remembers nothing at the server: the position is the reader's, so that a reader that begins again
says from where. nats-py's ordered consumer is not used: it loses messages silently when its reader falls behind
(measured, docs/adr/0023).

One request at a time is out, for as much as the buffer has room for. What comes is held against two counts, the
stream's and the consumer's: where the second has a hole a message was lost on the way, and is read again; where only
the first has one the stream has deleted it, or does not tell the truth, and is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import nats.errors

from nautilus_common.bus.api import StreamFacts
from nautilus_common.bus.tasks import end_tasks

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

HEARTBEAT_SECONDS = 1.0
EXPIRES_SECONDS = 30.0
RETRY_SECONDS = 0.05
RETRY_SECONDS_MAX = 1.0
REQUEST_BYTES_MIN = 9 << 20
"""More than the largest message that a server takes (8 MB), or that one would never come."""
GAPS_MAX = 5
"""How often in a row the same gap is read again before the reader gives up."""


class StreamBroken(Exception):
    """The stream is not the one that was read before: sequences went backwards, or messages are gone."""


class Item(NamedTuple):
    """One message of a stream."""

    sequence: int
    subject: str
    data: bytes
    ts_ns: int = 0  # when the server has stored it
    missing: int = 0  # how many just before it the stream itself has deleted


class StreamReader:
    """Reads `stream` from `start` on; `filters` are subjects, all of the stream if there are none."""

    def __init__(
        self,
        client: Client,
        stream: str,
        start: int = 1,
        filters: tuple[str, ...] = (),
        batch: int = 256,
        max_bytes: int = 16 << 20,
        on_ready: Callable[[], None] | None = None,
        *,
        whole: bool = True,
        created: str = "",
    ) -> None:
        """The buffer holds at most `batch` messages, and `max_bytes` or a request's more.

        `whole`: a stream that is not there, or has deleted messages, is broken. If not, the reader waits for the
        stream and passes what was deleted, which each item tells. `created`: when the stream was made that `start` is
        a place in; empty for any. `on_ready` is called when a message has come, or the reader has failed.
        """
        self._client = client
        self.stream = stream
        self._filters = filters
        self._batch = batch
        self._max_bytes = max_bytes
        self._on_ready = on_ready
        self._whole = whole
        self.created = created
        self.position = start - 1  # sequence of the last message handed to the buffer
        self._delivered = 0  # the consumer's own count
        self._left = 0  # messages at the server after the last that came
        self._gaps = 0
        self._buffer: deque[Item] = deque()
        self._buffered_bytes = 0
        self._asked = 0
        self._heard = 0.0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._consumer = ""
        self._task: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self.failure: Exception | None = None
        self.trouble = ""  # why nothing can be read now
        self.restarts = 0

    async def start(self) -> None:
        """Begin to fill the buffer."""
        self._task = asyncio.create_task(self._keep_reading())

    async def close(self) -> None:
        """Ask for nothing more; what is in the buffer can still be taken."""
        await end_tasks(self._task)
        await self._forget_consumer()

    def take_nowait(self) -> Item | None:
        """The next message if it is here."""
        if not self._buffer:
            return None
        item = self._buffer.popleft()
        self._buffered_bytes -= len(item.data)
        if self._wants_more():
            self._room.set()
        if not self._buffer:
            self._ready.clear()
        return item

    async def take(self) -> Item:
        """The next message, when it is here. Raises what has stopped the reader."""
        while True:
            item = self.take_nowait()
            if item is not None:
                return item
            if self.failure is not None:
                raise self.failure
            await self._ready.wait()

    async def wait(self) -> None:
        """Wait until there is a message, or the reader has failed."""
        if not self._buffer and self.failure is None:
            await self._ready.wait()

    @property
    def lag(self) -> int:
        """Messages that are there and were not taken."""
        return len(self._buffer) + self._left

    @property
    def buffered(self) -> tuple[int, int]:
        """(messages, bytes) in the buffer."""
        return len(self._buffer), self._buffered_bytes

    @property
    def is_full(self) -> bool:
        """Whether nothing is asked for until something is taken."""
        return not self._asked and bool(self._buffer) and not self._wants_more()

    def _wants_more(self) -> bool:
        few = len(self._buffer) <= self._batch // 2 and self._buffered_bytes <= self._max_bytes // 2
        return few and not self._asked

    # -- the consumer --------------------------------------------------------------------------------------------------

    async def _keep_reading(self) -> None:
        pause = RETRY_SECONDS
        try:
            while True:
                if not await self._make_consumer():
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, RETRY_SECONDS_MAX)
                    continue
                pause = RETRY_SECONDS
                await self._pull_until_lost()
                self.restarts += 1
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._tell()

    def _tell(self) -> None:
        self._ready.set()
        if self._on_ready is not None:
            self._on_ready()

    async def _make_consumer(self) -> bool:
        """A new consumer from the position on; False when that cannot be now, and `trouble` says why."""
        await self._forget_consumer()
        facts = await self._facts()
        if facts is None:
            return False
        self._check(facts)
        config: dict[str, Any] = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.position + 1,
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 60_000_000_000,
        }
        if len(self._filters) == 1:
            config["filter_subject"] = self._filters[0]
        elif self._filters:
            config["filter_subjects"] = list(self._filters)
        made = await self._api(f"CONSUMER.CREATE.{self.stream}", {"stream_name": self.stream, "config": config})
        if made is None:
            return False
        if "error" in made:
            self.trouble = f"no consumer of {self.stream}: {made['error'].get('description', made['error'])}"
            return False
        self._consumer = made["name"]
        self._delivered = 0
        self._asked = 0
        self._again.clear()
        self._heard = monotonic()
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(
            self._inbox, cb=self._on_message, pending_msgs_limit=0, pending_bytes_limit=0
        )
        self.trouble = ""
        return True

    def _check(self, facts: StreamFacts) -> None:
        """Raises StreamBroken when the position is not one in this stream."""
        if self.created not in ("", facts.created):
            raise StreamBroken(
                f"{self.stream} was made at {facts.created}, and what was read up to message {self.position} came from "
                f"one made at {self.created}: what was folded from the old one does not go with it"
            )
        self.created = facts.created
        if facts.last_seq < self.position:
            raise StreamBroken(
                f"{self.stream} ends at {facts.last_seq}, and {self.position} was read from it before: its sequence "
                "went backwards. What was folded from it before does not go with it"
            )
        if self._whole and facts.first_seq > self.position + 1 and not self._filters and facts.messages:
            raise StreamBroken(
                f"{self.stream} begins at {facts.first_seq}, and the next to read is {self.position + 1}: messages "
                "are gone"
            )

    async def _pull_until_lost(self) -> None:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self._consumer}"
        reconnects = self._client.stats["reconnects"]
        while not self._again.is_set():
            if not self._client.is_connected or self._client.stats["reconnects"] != reconnects:
                return
            if self._wants_more():
                request = {
                    "batch": self._batch - len(self._buffer),
                    "max_bytes": max(REQUEST_BYTES_MIN, self._max_bytes - self._buffered_bytes),
                    "expires": int(EXPIRES_SECONDS * 1e9),
                    "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
                }
                self._asked = self._batch - len(self._buffer)
                try:
                    await self._client.publish(subject, json.dumps(request).encode(), reply=self._inbox)
                except (nats.errors.Error, OSError):
                    return
            self._room.clear()
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._room.wait()
            except TimeoutError:
                if self._asked and monotonic() - self._heard > 2.5 * HEARTBEAT_SECONDS:
                    return

    async def _on_message(self, message: Msg) -> None:
        self._heard = monotonic()
        if message.headers and "Status" in message.headers and not message.reply:
            self._on_status(message.headers)
            return
        tokens = message.reply.split(".")
        # $JS.ACK.<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>.<time>.<left>, or two tokens more in front
        at = 3 if len(tokens) == 9 else 5
        consumer, sequence, count = tokens[at], int(tokens[at + 2]), int(tokens[at + 3])
        if consumer != self._consumer or self._again.is_set():
            return
        self._asked -= 1
        if sequence <= self.position:
            self._fail(StreamBroken(f"{self.stream}: message {sequence} came after {self.position}"))
            return
        if count != self._delivered + 1:
            self._look_again()  # a message between was lost on the way: read it again from the stream
            return
        missing = 0
        if not self._filters and sequence != self.position + 1:
            missing = sequence - self.position - 1
            if not await self._are_deleted(sequence) or consumer != self._consumer:
                return
        self._delivered = count
        self.position = sequence
        self._gaps = 0
        self._left = int(tokens[at + 5])
        self._buffer.append(Item(sequence, message.subject, message.data, int(tokens[at + 4]), missing))
        self._buffered_bytes += len(message.data)
        self._tell()
        if not self._asked:
            self._room.set()

    async def _are_deleted(self, until: int) -> bool:
        """Whether the stream itself has deleted what is missing before `until`, and that may be passed."""
        expected = self.position + 1
        try:
            facts = await self._facts(deleted=True)
        except StreamBroken as error:
            self._fail(error)
            return False
        if facts is None:
            self._look_again()
            return False
        if all(sequence in facts.deleted for sequence in range(max(expected, facts.first_seq), until)):
            if self._whole:
                self._fail(StreamBroken(f"messages {expected} to {until - 1} are deleted from {self.stream}"))
            return not self._whole
        self._gaps += 1
        if self._gaps > GAPS_MAX:
            why = f"message {expected} is in {self.stream} and does not come: {until} came instead, {GAPS_MAX} times"
            self._fail(StreamBroken(why))
        else:
            self._look_again()
        return False

    def _on_status(self, headers: dict[str, str]) -> None:
        status = headers["Status"]
        if status == "100":
            return
        if status == "503" or "deleted" in headers.get("Description", "").lower():
            self._look_again()
            return
        self._asked = 0  # the request is over: its time, or its bytes
        self._room.set()

    def _look_again(self) -> None:
        self._again.set()
        self._room.set()

    async def _forget_consumer(self) -> None:
        subscription, self._subscription = self._subscription, None
        consumer, self._consumer = self._consumer, ""
        if subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await subscription.unsubscribe()
        if consumer and self._client.is_connected:
            await self._api(f"CONSUMER.DELETE.{self.stream}.{consumer}", {}, timeout=0.5)

    async def _facts(self, *, deleted: bool = False) -> StreamFacts | None:
        """What the server says of the stream; None when it cannot be asked now, or there is none to wait for."""
        info = await self._api(f"STREAM.INFO.{self.stream}", {"deleted_details": True} if deleted else {})
        if info is None:
            return None
        error = info.get("error")
        if error is None:
            return StreamFacts.of(info)
        self.trouble = str(error.get("description", error))
        if error.get("code") == 404:
            if self._whole:
                raise StreamBroken(f"there is no stream {self.stream} (any more)")
            self.trouble = f"there is no stream {self.stream}"
        return None

    async def _api(self, what: str, body: dict[str, Any], timeout: float = 2.0) -> dict[str, Any] | None:
        """The answer of JetStream; None when there is none now, and `trouble` says why."""
        if not self._client.is_connected:
            self.trouble = "the connection is lost; connecting again"
            return None
        try:
            reply = await self._client.request(f"$JS.API.{what}", json.dumps(body).encode(), timeout=timeout)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            self.trouble = f"JetStream does not answer: {str(error) or type(error).__name__}"
            return None
        found: dict[str, Any] = json.loads(reply.data) if reply.data else {"error": {"code": 503}}
        return found
