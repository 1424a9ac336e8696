"""The data gateway of live sessions: publishes what has arrived, as it arrives, each row once.

One block of a stream is on its way at a time, and what arrives meanwhile makes the next: nothing waits, and a slow
server makes larger blocks. Each says which message the block before it was, so that of two gateways the server refuses
one, and what is sent again after a death is stored once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

import nats.errors
from nautilus_common.bus.newest import NoStream, find_newest
from nautilus_common.bus.publisher import FencedError, PublishError
from nautilus_common.bus.tasks import end_tasks
from nautilus_common.messages import subjects
from nautilus_common.messages.blocks import Block, decode_block, encode_block
from nautilus_common.messages.errors import DecodeError
from nautilus_common.plan import decode_plan
from nautilus_common.session import Session

from services.data_gateway.config import read_feed
from services.data_gateway.source import Tape, open_tapes

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nautilus_common.settings import ProcessSettings

ACK_SECONDS = 2.0
RETRY_SECONDS = 0.05

log = logging.getLogger("fleet")


class DataGateway:
    """Publishes the feed of a session on the data server."""

    def __init__(self, client: Client, env: str, project: Path) -> None:
        self._client = client
        self._env = env
        self._project = project
        self.blocks = 0
        self.rows = 0

    async def run(self, session: Session, opened: int) -> None:
        """Publish until the feed is over or we are cancelled. Raises FencedError, PublishError, FleetError."""
        config = read_feed(session.feed)
        specs = decode_plan(session.plan).streams
        loop = asyncio.get_running_loop()
        tapes = await loop.run_in_executor(None, open_tapes, specs, config, session.ts, self._project)
        log.info("feed begins", extra={"session": session.id, "kind": config.kind, "streams": len(tapes)})
        lanes = [Lane(self._client, self._env, session.data_from, tape) for tape in tapes]
        tasks = [asyncio.create_task(self._publish(lane)) for lane in lanes]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for lane in lanes:
                lane.is_over = True  # a cancellation alone may be swallowed on its way (bus/tasks.py)
            await end_tasks(*tasks)
        log.info("feed over", extra={"session": session.id, "rows": self.rows})

    async def _publish(self, lane: Lane) -> None:
        tape = lane.tape
        tape.skip(await lane.recover())
        while (due := tape.next_ns) is not None and not lane.is_over:
            wait = due - time_ns()
            if wait > 0:
                await asyncio.sleep(wait / 1e9)
            block = tape.take(time_ns())
            if block is not None:
                await lane.store(block)
                self.blocks += 1
                self.rows += block.row_count


class Lane:
    """One stream on its subject."""

    def __init__(self, client: Client, env: str, data_from: int, tape: Tape) -> None:
        instrument = tape.spec.instrument_id
        channel = subjects.market_data(instrument.venue.value, instrument.symbol.value, tape.spec.kind)
        self.tape = tape
        self._client = client
        self._stream = subjects.data_stream(env)
        self._subject = subjects.subject(env, channel)
        self._data_from = data_from
        self._last = 0
        self.is_over = False

    async def recover(self) -> int:
        """Find out what is stored; how many rows of this session are."""
        self._last, sequence, block = await self._newest()
        if block is None or sequence <= self._data_from:
            return 0
        return block.first_row + block.row_count

    async def store(self, block: Block) -> None:
        """Store `block` after the one before it, whatever happens in between."""
        data = encode_block(block)
        while not self.is_over:
            answer = await self._ask(self._subject, data, {"Nats-Expected-Last-Subject-Sequence": str(self._last)})
            error = None if answer is None else answer.get("error")
            if answer is not None and error is None:
                self._last = int(answer["seq"])
                return
            if error is not None and error.get("code") == 503:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if error is not None and error.get("err_code") not in (10071, 10164):
                raise PublishError(f"{self._stream} refuses a block on {self._subject}: {error.get('description')}")
            before = self._last
            self._last, sequence, found = await self._newest()
            if found is not None and sequence > before and encode_block(found) == data:
                return  # stored, and the answer was lost
            if found is not None and sequence > max(before, self._data_from):
                raise FencedError(
                    f"another gateway publishes on {self._subject} (its rows from {found.first_row}); this one, at row "
                    f"{block.first_row}, stops"
                )

    async def _newest(self) -> tuple[int, int, Block | None]:
        """(sequence of the last message, sequence of the last block, that block) on our subject."""
        try:
            return await find_newest(self._client, self._stream, self._subject, _read)
        except NoStream:
            raise PublishError(f"there is no stream {self._stream} (any more)") from None

    async def _ask(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> dict[str, Any] | None:
        try:
            reply = await self._client.request(subject, data, timeout=ACK_SECONDS, headers=headers)
        except (nats.errors.Error, OSError, TimeoutError):
            return None
        found: dict[str, Any] | None = json.loads(reply.data) if reply.data else None
        return found


def _read(data: bytes) -> Block | None:
    try:
        return decode_block(data)
    except DecodeError:
        return None  # somebody else's bytes


def open_gateway(settings: ProcessSettings, data: Client) -> DataGateway:
    """The gateway of this process."""
    return DataGateway(data, settings.env, settings.project.resolve())
