"""Market data of a replay on the bus: blocks, published ahead of where the loop is, each once.

The stream has no other writer, so block number n of the run is message n of the stream. Every publish says which number
it must get (`Nats-Expected-Last-Sequence`): whatever is sent twice, after a death here or there, is stored once.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Any

from nautilus_common.bus.connection import inbox_prefix
from nautilus_common.bus.wire import Disconnected, Received, WireClient, header_block
from nautilus_common.messages import subjects
from nautilus_common.messages.blocks import Block, encode_block

from services.replay.link import AWAY_SECONDS, ReplayError

AHEAD = 3  # blocks of a stream that are on their way before they are shown
WINDOW = 32  # blocks under way to the server
ACK_SECONDS = 2.0


class MarketPublisher:
    """Publishes the blocks of `sources` (one iterator a stream, in rank order) and hands them to the loop."""

    def __init__(self, url: str, env: str, sources: list[Iterator[Block]]) -> None:
        self._client = WireClient(url, f"replay-{env}-md")
        self._env = env
        self._stream = subjects.data_stream(env)
        self._inbox = f"{inbox_prefix(url)}.{secrets.token_hex(8)}"
        self._sources = sources
        self._ready: list[deque[tuple[Block, int]]] = [deque() for _ in sources]
        self._under_way: deque[tuple[int, str, bytes]] = deque()
        self._number = 0
        self._stored = 0

    def connect(self) -> None:
        """Connect, find out what is stored already, and publish the first blocks of every stream."""
        self._stored = self._last_sequence()
        for _ in range(AHEAD):
            for rank in range(len(self._sources)):
                self._publish_next(rank)

    def next(self, rank: int) -> tuple[Block, int] | None:
        """The next block of a stream and its number; None at the end."""
        if not self._ready[rank]:
            return None
        found = self._ready[rank].popleft()
        self._publish_next(rank)
        return found

    def close(self) -> None:
        self._client.close()

    def _publish_next(self, rank: int) -> None:
        block = next(self._sources[rank], None)
        if block is None:
            return
        self._number += 1
        self._ready[rank].append((block, self._number))
        if self._number <= self._stored:
            return
        instrument = block.instrument_id
        channel = subjects.market_data(instrument.venue.value, instrument.symbol.value, block.kind)
        item = (self._number, subjects.subject(self._env, channel), encode_block(block))
        self._under_way.append(item)
        self._send(item)
        self._take_acks(monotonic() + ACK_SECONDS, wanted=WINDOW)

    def _send(self, item: tuple[int, str, bytes]) -> None:
        try:
            self._publish(item)
        except Disconnected:
            self._begin_again()

    def _publish(self, item: tuple[int, str, bytes]) -> None:
        number, subject, data = item
        headers = header_block(("Nats-Expected-Last-Sequence", str(number - 1)))
        self._client.publish(subject, data, f"{self._inbox}.{number}", headers)

    def _take_acks(self, deadline: float, wanted: int) -> None:
        """Take acknowledgements until no more than `wanted` are missing."""
        started = monotonic()
        while len(self._under_way) > wanted:
            try:
                received = self._client.receive(deadline)
            except Disconnected:
                received = None
            if received is not None:
                self._take_ack(received)
                continue
            if monotonic() - started > AWAY_SECONDS:
                raise ReplayError(f"{self._stream}: the data server has not answered for {AWAY_SECONDS:.0f} s")
            self._begin_again()
            deadline = monotonic() + ACK_SECONDS

    def _take_ack(self, received: Received) -> None:
        if received.status == 503:
            return  # the stream has no leader yet: `_take_acks` comes back to it
        answer = json.loads(received.payload)
        error = answer.get("error")
        if error is None:
            while self._under_way and self._under_way[0][0] <= int(answer["seq"]):
                self._under_way.popleft()
        elif error.get("err_code") == 10071:  # stored before, or one before it was lost
            self._begin_again()
        else:
            raise ReplayError(f"{self._stream} refuses market data: {error.get('description')}")

    def _begin_again(self) -> None:
        """After a loss: ask what is stored, and send the rest again."""
        stored = self._last_sequence()
        with contextlib.suppress(Disconnected):  # `_take_acks` begins again
            while self._under_way and self._under_way[0][0] <= stored:
                number, _, data = self._under_way[0]
                if number == stored:
                    self._check_own(number, data)
                self._under_way.popleft()
            for item in self._under_way:
                self._publish(item)

    def _last_sequence(self) -> int:
        """What is stored, by the server that is connected to first if it is not. Raises ReplayError."""
        token = f"info-{secrets.token_hex(4)}"
        deadline = monotonic() + AWAY_SECONDS
        why = ""
        while monotonic() < deadline:
            try:
                if not self._client.is_connected:
                    self._client.connect(deadline)
                    self._client.subscribe(f"{self._inbox}.*")
                self._client.publish(f"$JS.API.STREAM.INFO.{self._stream}", b"", f"{self._inbox}.{token}")
                found = self._answer_to(token, monotonic() + ACK_SECONDS)
            except Disconnected as error:
                why = f": {error}"
                continue
            if found is None:
                continue
            if "error" in found and found["error"].get("code") == 404:
                raise ReplayError(f"there is no stream {self._stream}")
            if "error" not in found:
                return int(found["state"]["last_seq"])
        raise ReplayError(f"{self._stream}: the data server has not answered for {AWAY_SECONDS:.0f} s{why}")

    def _check_own(self, number: int, data: bytes) -> None:
        """The newest message of the stream must be the block that we sent: nobody else may write here."""
        token = f"get-{secrets.token_hex(4)}"
        request = json.dumps({"seq": number}).encode()
        self._client.publish(f"$JS.API.STREAM.MSG.GET.{self._stream}", request, f"{self._inbox}.{token}")
        found: Any = self._answer_to(token, monotonic() + ACK_SECONDS)
        if found is not None and "message" in found and base64.b64decode(found["message"]["data"]) != data:
            raise ReplayError(
                f"message {number} of {self._stream} is not the block of this replay: somebody else writes into it. "
                "Begin the replay again; it gets a world of its own"
            )

    def _answer_to(self, token: str, deadline: float) -> dict[str, dict[str, int]] | None:
        while True:
            received = self._client.receive(deadline)
            if received is None:
                return None
            if received.subject.endswith(token):
                if received.status == 503:
                    return None
                found: dict[str, dict[str, int]] = json.loads(received.payload)
                return found
