"""The bus of one process keeps the promises of a bus."""

from __future__ import annotations

from typing import Any

from nautilus_common.bus.memory import MemoryBus
from nautilus_common.engine import INF, Outbox

from tests.contracts.bus import BusContract, Received


class Listener:
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.received: list[Received] = []


class TestMemoryBus(BusContract):
    async def carry(self, said: list[Outbox], patterns: list[str]) -> list[list[Received]]:
        bus = MemoryBus()
        listeners: list[Any] = [Listener() for _ in patterns]
        for pattern, listener in zip(patterns, listeners, strict=True):
            bus.subscribe(pattern, listener)
        for outbox in said:
            bus.take(outbox)
        last = (0,)
        while bus.next_tag() < INF:
            tag, channel, message = bus.pop()
            assert tag > last, "in the order of tags"
            last = tag
            for listener in bus.receivers(channel):
                found: Any = listener
                found.received.append((tag, channel, message))
        return [listener.received for listener in listeners]
