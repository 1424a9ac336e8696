"""The logs of processes on a real nats-server keep the promises of a bus, with the server killed in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from nautilus_common.bus.base import matches
from nautilus_common.bus.connection import Connection, connect
from nautilus_common.bus.publisher import Publisher, decode_entry
from nautilus_common.bus.reader import StreamReader
from nautilus_common.engine import Outbox
from nautilus_common.messages.codec import decode
from nautilus_common.servers import NatsServer

from tests.contracts.bus import BusContract, Received

STREAM = "CTL_r-bus"


class TestJetStreamBus(BusContract):
    server: NatsServer
    client: Connection

    @pytest.fixture(autouse=True)
    async def _bus(self, tmp_path: Path) -> AsyncIterator[None]:
        with NatsServer(tmp_path / "nats", sync_always=True) as self.server:
            self.client = await connect(self.server.url, "test")
            config = {"name": STREAM, "subjects": ["fleet.r-bus.log.>"], "storage": "file"}
            await self.client.request(f"$JS.API.STREAM.CREATE.{STREAM}", json.dumps(config).encode(), timeout=5)
            yield
            await self.client.close()

    async def carry(self, said: list[Outbox], patterns: list[str]) -> list[list[Received]]:
        for number, outbox in enumerate(said):
            await self._publish(outbox, is_killed=number == 0)
        reader = StreamReader(self.client, STREAM)
        await reader.start()
        received: list[list[Received]] = [[] for _ in patterns]
        left = sum(outbox.seq for outbox in said)
        while left:
            async with asyncio.timeout(10):
                item = await reader.take()
            for raw in decode_entry(item.data).records:
                left -= 1
                tag, channel, message = msgspec.msgpack.decode(raw, type=tuple[tuple[int, ...], str, msgspec.Raw])
                for pattern, each in zip(patterns, received, strict=True):
                    if matches(pattern, channel):
                        each.append((tag, channel, decode(bytes(message))))
        await reader.close()
        return received

    async def _publish(self, outbox: Outbox, *, is_killed: bool) -> None:
        log = Publisher(self.client, "r-bus", (outbox.name,), outbox.name, "1")
        await log.start()
        records = [
            (tag[5], tag[6], channel, msgspec.msgpack.encode((tag, channel, m))) for tag, channel, m in outbox.pending
        ]
        half = len(records) // 2
        log.say(records[:half], [], 1)
        if is_killed:
            await asyncio.to_thread(self.server.kill)
            await asyncio.to_thread(self.server.start)
        log.say(records[half:], [], 2)
        await asyncio.wait_for(log.flush(), 20)
        await log.close()
