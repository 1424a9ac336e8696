"""Reading a stream in order, without a gap: pull, a bounded buffer, and sequences that are checked.

A pull consumer that remembers nothing at the server: the position is the reader's, so that a reader that begins again
says from where. nats-py's ordered consumer is not used: it loses messages silently when its reader falls behind
(measured, docs/adr/0023).
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

from nautilus_common.bus.tasks import end_tasks

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

HEARTBEAT_SECONDS = 1.0
EXPIRES_SECONDS = 30.0
RETRY_SECONDS = 0.05


class StreamBroken(Exception):
    """The stream is not the one that was read before: sequences went backwards, or messages are gone."""


class Item(NamedTuple):
    """One message of a stream."""

    sequence: int
    subject: str
    data: bytes


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
    ) -> None:
        """`on_ready` is called when a message has come, or the reader has failed: for who cannot wait for a task."""
        self._client = client
        self._on_ready = on_ready
        self.stream = stream
        self._filters = filters
        self._batch = batch
        self._max_bytes = max_bytes
        self.position = start - 1  # sequence of the last message handed to the buffer
        self._delivered = 0  # the consumer's own count
        self._buffer: deque[Item] = deque()
        self._buffered_bytes = 0
        self._asked = 0
        self._heard = 0.0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._task: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self.failure: Exception | None = None
        self.restarts = 0
        self.created = ""  # when the stream was made
        self._left = 0  # messages at the server after the last that came

    async def start(self) -> None:
        """Begin to fill the buffer."""
        self._task = asyncio.create_task(self._keep_reading())

    async def close(self) -> None:
        await end_tasks(self._task)
        await self._forget_consumer()

    def take_nowait(self) -> Item | None:
        """The next message if it is here."""
        if not self._buffer:
            return None
        item = self._buffer.popleft()
        self._buffered_bytes -= len(item.data)
        self._room.set()
        if not self._buffer:
            self._ready.clear()
        return item

    @property
    def lag(self) -> int:
        """Messages that are there and were not taken."""
        return len(self._buffer) + self._left

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

    # -- the consumer --------------------------------------------------------------------------------------------------

    async def _keep_reading(self) -> None:
        try:
            while True:
                if not await self._make_consumer():
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
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
        """A new consumer from the position on; False when the server cannot be asked now."""
        await self._forget_consumer()
        info = await self._api(f"STREAM.INFO.{self.stream}", {})
        if info is None:
            return False
        if "error" in info:
            if info["error"].get("code") == 404:
                raise StreamBroken(f"there is no stream {self.stream} (any more)")
            return False
        state = info["state"]
        if self.created not in ("", info["created"]):
            raise StreamBroken(f"{self.stream} was made anew at {info['created']}; what was read was the one before it")
        self.created = info["created"]
        if state["last_seq"] < self.position:
            raise StreamBroken(
                f"{self.stream} ends at {state['last_seq']}, and {self.position} was read from it before: it was made "
                "anew. What was folded from the old one does not go with it"
            )
        if state["first_seq"] > self.position + 1 and not self._filters and state["messages"]:
            raise StreamBroken(
                f"{self.stream} begins at {state['first_seq']}, and the next to read is {self.position + 1}: messages "
                "are gone"
            )
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
        if made is None or "error" in made:
            return False
        self._consumer = made["name"]
        self._delivered = 0
        self._asked = 0
        self._again.clear()
        self._heard = monotonic()
        inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(
            inbox, cb=self._on_message, pending_msgs_limit=0, pending_bytes_limit=0
        )
        self._inbox = inbox
        return True

    async def _pull_until_lost(self) -> None:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self._consumer}"
        while not self._again.is_set():
            room = self._batch - len(self._buffer) - self._asked
            if room > self._batch // 2 and self._buffered_bytes < self._max_bytes:
                request = {
                    "batch": room,
                    "max_bytes": self._max_bytes,
                    "expires": int(EXPIRES_SECONDS * 1e9),
                    "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
                }
                self._asked += room
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
        tokens = message.reply.split(".")  # $JS.ACK.<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>. ...
        if len(tokens) == 9:
            consumer, sequence, count, left = tokens[3], int(tokens[5]), int(tokens[6]), int(tokens[8])
        else:
            consumer, sequence, count, left = tokens[5], int(tokens[7]), int(tokens[8]), int(tokens[10])
        if consumer != self._consumer or self._again.is_set():
            return
        self._asked -= 1
        if sequence <= self.position:
            self._fail(StreamBroken(f"{self.stream}: message {sequence} came after {self.position}"))
            return
        if count != self._delivered + 1 or (not self._filters and sequence != self.position + 1):
            self._look_again()  # a message between was lost on the way: read it again from the stream
            return
        self._delivered = count
        self.position = sequence
        self._buffer.append(Item(sequence, message.subject, message.data))
        self._buffered_bytes += len(message.data)
        self._left = left
        self._tell()
        if self._asked < self._batch // 4:
            self._room.set()

    def _on_status(self, headers: dict[str, str]) -> None:
        status = headers["Status"]
        if status == "100":
            return
        if status == "503" or "deleted" in headers.get("Description", "").lower():
            self._look_again()
            return
        left = headers.get("Nats-Pending-Messages")
        self._asked = max(0, self._asked - int(left)) if left else 0
        self._room.set()

    def _look_again(self) -> None:
        self._again.set()
        self._room.set()

    async def _forget_consumer(self) -> None:
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._subscription.unsubscribe()
            self._subscription = None
        if self._consumer and self._client.is_connected:
            await self._api(f"CONSUMER.DELETE.{self.stream}.{self._consumer}", {}, timeout=0.5)
            self._consumer = ""

    async def _api(self, what: str, body: dict[str, Any], timeout: float = 2.0) -> dict[str, Any] | None:
        try:
            reply = await self._client.request(f"$JS.API.{what}", json.dumps(body).encode(), timeout=timeout)
        except (TimeoutError, nats.errors.Error, OSError):
            return None
        found: dict[str, Any] = json.loads(reply.data) if reply.data else {"error": {"code": 503}}
        return found
