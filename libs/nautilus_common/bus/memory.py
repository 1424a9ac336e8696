"""The bus of one process: a heap of tagged messages."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from nautilus_common.bus.base import matches
from nautilus_common.engine import INF, Outbox, Tag

if TYPE_CHECKING:
    from nautilus_common.engine import Engine
    from nautilus_common.journal import EventLog
    from nautilus_common.messages.base import Message

MESSAGES_MAX = 1_000_000
"""Undelivered messages at once; a run that has more says what it never reads, and is stopped."""


class MemoryBus:
    """Delivers in tag order; what is said is logged when it is said, if there is a log."""

    def __init__(self, log: EventLog | None = None) -> None:
        self._log = log
        self._heap: list[tuple[Tag, str, Message]] = []
        self._patterns: list[tuple[str, Engine]] = []
        self._receivers: dict[str, tuple[Engine, ...]] = {}

    def subscribe(self, pattern: str, engine: Engine) -> None:
        self._patterns.append((pattern, engine))
        self._receivers.clear()

    def receivers(self, channel: str) -> tuple[Engine, ...]:
        """The engines that receive `channel`; the order among them makes no difference to any of them."""
        found = self._receivers.get(channel)
        if found is None:
            found = tuple(
                engine
                for index, (pattern, engine) in enumerate(self._patterns)
                if matches(pattern, channel)
                and not any(matches(p, channel) and e is engine for p, e in self._patterns[:index])
            )
            self._receivers[channel] = found
        return found

    def take(self, outbox: Outbox) -> None:
        pending = outbox.pending
        if self._log is not None:
            self._log.extend(outbox.rank, pending)
        heap = self._heap
        receivers = self._receivers
        for item in pending:
            found = receivers.get(item[1])
            if found is None:
                found = self.receivers(item[1])
            if found:  # a message that nobody reads in this process is logged, and needs no delivery
                heappush(heap, item)
        pending.clear()
        if len(heap) > MESSAGES_MAX:
            raise OverflowError(
                f"more than {MESSAGES_MAX} undelivered messages, the next at {heap[0][0]} on '{heap[0][1]}'"
            )

    def put(self, tag: Tag, channel: str, message: Message) -> None:
        """Take a message that was logged elsewhere."""
        if self.receivers(channel):
            heappush(self._heap, (tag, channel, message))

    @property
    def undelivered(self) -> list[tuple[Tag, str, Message]]:
        """What is under way; a snapshot of the engines of a bus keeps it with them."""
        return self._heap.copy()

    def put_back(self, undelivered: list[tuple[Tag, str, Message]]) -> None:
        """Deliver what a snapshot has kept, and nothing else: it was logged when it was said."""
        self._heap = undelivered.copy()

    def next_tag(self) -> Tag:
        return self._heap[0][0] if self._heap else INF

    def pop(self) -> tuple[Tag, str, Message]:
        return heappop(self._heap)
