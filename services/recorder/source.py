"""A stream as the recorder reads it: from a place of its own choice, in order, a bounded amount ahead.

The place is in a database, not on the server, so the consumer is an ephemeral one without acknowledgements, made anew
wherever reading has to begin: after a lost connection, a lost consumer, a lost message. Requests are our own rather
than those of nats-py's `fetch`, because each must be bounded in bytes too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import api
from nats.js.errors import NotFoundError

from services.recorder.state import Item

REQUEST_MESSAGES = 1_000
REQUEST_BYTES = 16 * 2**20
"""More than the largest message that a server takes (8 MB), or that one would never come."""

EXPIRES_SECONDS = 2.0
GRACE_SECONDS = 1.0
INACTIVE_SECONDS = 30.0
API_SECONDS = 5.0


class SourceAway(Exception):
    """The server, or the stream, cannot be reached now."""


class StreamGone(SourceAway):
    """The server is there and has no such stream."""


class StreamFacts(msgspec.Struct, frozen=True):
    """What the server says of a stream."""

    created: str
    first_seq: int
    last_seq: int
    deleted: frozenset[int]


class StreamReader:
    """Reads one stream. One task at a time."""

    def __init__(self, client: Client, stream: str, check: Callable[[StreamFacts], None] = lambda _: None) -> None:
        """`check` is shown what the stream is whenever reading begins; it raises if that cannot be read on."""
        self._client = client
        self._check = check
        self._js = client.jetstream(timeout=API_SECONDS)
        self.stream = stream
        self.next_seq = 1
        self._consumer = ""
        self._subscription: Any = None
        self._arrived: deque[Any] = deque()
        self._news = asyncio.Event()
        self._open_until = 0.0  # of the request that is out; 0.0 when there is none
        self._left = 0
        self._reconnects = 0

    async def facts(self, *, deleted: bool = False) -> StreamFacts:
        """What the server says of the stream; `deleted` also which messages are gone from its middle."""
        request = json.dumps({"deleted_details": True}).encode() if deleted else b""
        try:
            answer = await self._client.request(f"$JS.API.STREAM.INFO.{self.stream}", request, timeout=API_SECONDS)
        except (NatsError, OSError) as error:
            raise SourceAway(f"NATS: {str(error) or type(error).__name__}") from error
        info = json.loads(answer.data)
        if "error" in info:
            if info["error"].get("code") == 404:
                raise StreamGone(f"NATS: there is no stream {self.stream}")
            raise SourceAway(f"NATS: stream {self.stream}: {info['error'].get('description', info['error'])}")
        state = info["state"]
        created = datetime.fromisoformat(_microseconds(info["created"])).isoformat()
        return StreamFacts(created, state["first_seq"], state["last_seq"], frozenset(state.get("deleted") or ()))

    async def seek(self, next_seq: int) -> None:
        """Read on from `next_seq`, with a new consumer."""
        await self.close()
        self._check(await self.facts())
        self.next_seq = next_seq
        config = api.ConsumerConfig(
            name=f"recorder-{self._client._nuid.next().decode()}",
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=next_seq,
            ack_policy=api.AckPolicy.NONE,
            inactive_threshold=INACTIVE_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        try:
            self._reconnects = self._client.stats["reconnects"]
            info = await self._js.add_consumer(self.stream, config=config)
            self._subscription = await self._client.subscribe(
                self._client.new_inbox(), cb=self._taker(), pending_msgs_limit=0, pending_bytes_limit=0
            )
        except NotFoundError as error:
            raise StreamGone(f"NATS: there is no stream {self.stream}") from error
        except (NatsError, OSError) as error:
            raise SourceAway(f"NATS: {str(error) or type(error).__name__}") from error
        self._consumer = info.name

    async def close(self) -> None:
        """Let go of the consumer; the server forgets it by itself if it cannot be told."""
        subscription, self._subscription = self._subscription, None
        consumer, self._consumer = self._consumer, ""
        self._open_until, self._left = 0.0, 0
        if subscription is None or not self._client.is_connected:
            return
        try:
            await subscription.unsubscribe()
            await self._js.delete_consumer(self.stream, consumer)
        except (NatsError, OSError):
            pass

    async def read(self, wait_seconds: float) -> list[Item]:
        """What has arrived, waiting for at most `wait_seconds`; SourceAway when reading must begin anew."""
        if not self._client.is_connected:
            raise SourceAway("NATS: the connection is lost; connecting again")
        if self._subscription is None or self._client.stats["reconnects"] != self._reconnects:
            await self.seek(self.next_seq)
        if not self._arrived:
            await self._ask()
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), wait_seconds)
            except TimeoutError:
                return []
        entries = []
        while self._arrived:
            entry = self._entry_of(self._arrived.popleft())
            if entry is not None:
                entries.append(entry)
        if entries:
            self.next_seq = entries[-1].sequence + 1
        return entries

    def _taker(self) -> Any:
        """What takes the messages of one subscription: a late one of an old subscription reaches nobody."""
        arrived = self._arrived = deque()
        news = self._news

        async def take(message: Any) -> None:
            arrived.append(message)
            news.set()

        return take

    async def _ask(self) -> None:
        """Have one request out, so that what is published comes at once."""
        now = time.monotonic()
        if self._open_until and self._left > 0 and now < self._open_until + GRACE_SECONDS:
            return
        request = {"batch": REQUEST_MESSAGES, "max_bytes": REQUEST_BYTES, "expires": int(EXPIRES_SECONDS * 1e9)}
        self._left = REQUEST_MESSAGES
        self._open_until = now + EXPIRES_SECONDS
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self._consumer}"
        try:
            await self._client.publish(subject, json.dumps(request).encode(), reply=self._subscription.subject)
        except (NatsError, OSError) as error:
            raise SourceAway(f"NATS: {str(error) or type(error).__name__}") from error

    def _entry_of(self, message: Any) -> Item | None:
        """A message of the stream, or None if the server speaks of the request."""
        if not message.reply:
            status = (message.headers or {}).get("Status", "")
            self._left = 0
            description = (message.headers or {}).get("Description", "")
            if status == "503" or "deleted" in description.lower():
                self._subscription = None  # the consumer is gone: the next `read` makes another
            return None
        self._left -= 1
        tokens = message.reply.split(".")
        # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, or two tokens more
        at = 5 if len(tokens) == 9 else 7
        return Item(int(tokens[at]), message.subject, message.data, int(tokens[at + 2]))


def _microseconds(text: str) -> str:
    """The server's times have nanoseconds, which Python 3.11 cannot read."""
    head, dot, rest = text.partition(".")
    digits = rest.rstrip("Z")
    return f"{head}.{digits[:6]:0<6}+00:00" if dot else f"{head.rstrip('Z')}+00:00"
