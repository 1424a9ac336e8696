"""The one loop that decides in which order engines take their inputs, in every topology.

It takes the smallest of all horizons and all undelivered messages. A message is handed to its receivers; an engine is
run up to the next smallest. When the smallest is not below the frontier - the end of the data that all streams have
shown - another block is fed. In one process the engines are objects; a proxy for a process is an engine too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nautilus_common.engine import INF, PHASE_ROW, PHASE_STOP, Outbox, Tag

if TYPE_CHECKING:
    from nautilus_common.bus.memory import MemoryBus
    from nautilus_common.engine import Engine
    from nautilus_common.messages.blocks import Block


class Scheduler:
    """Runs `engines` over `sources`, one iterator of blocks per stream, in stream rank order."""

    def __init__(
        self,
        engines: list[Engine],
        bus: MemoryBus,
        sources: list[Iterator[Block]],
        on_feed: Callable[[Block], None] | None = None,
    ) -> None:
        assert [engine.rank for engine in engines] == sorted(engine.rank for engine in engines)
        self.engines = engines
        self._asked = [engine for engine in engines if not getattr(engine, "reactive", False)]
        self._bus = bus
        self._sources = sources
        self._ends: list[Tag] = [(0, 0, rank, 0) for rank in range(len(sources))]
        self._outboxes = {engine.rank: Outbox(engine.name, engine.rank) for engine in engines}
        self._horizons: dict[int, Tag | None] = {}
        self._on_feed = on_feed
        self.frontier: Tag = min(self._ends, default=INF)
        self.last_row_ns = 0

    def call(self, engine: Engine, action: Callable[[Outbox], None]) -> None:
        """Let `engine` act on an outside stimulus of the run (start, stop), and take what it says."""
        outbox = self._outboxes[engine.rank]
        action(outbox)
        self._settle(engine, outbox)

    def run(self, end: Tag | None = None) -> None:
        """Go on until nothing at or below `end` is left to do; without `end`, nothing of the instant of the last
        row.
        """
        bus = self._bus
        while True:
            frontier = self.frontier
            until = end if end is not None else INF if frontier < INF else self._end_of_data()
            engine, horizon, second = self._smallest_horizon()
            message = bus.next_tag()
            smallest = message if message < horizon else horizon
            if smallest >= frontier and frontier < INF and frontier <= until:
                self._feed()
            elif smallest > until or smallest >= INF:
                self._finish(until)
                return
            elif message < horizon:
                self._deliver_turn(message)
            else:
                assert engine is not None
                limit = second if second < message else message
                if until < limit:
                    limit = until
                self._run_engine(engine, limit if limit < frontier else frontier)

    def _deliver_turn(self, tag: Tag) -> None:
        """Deliver the smallest message, and with it the rest of its turn where no engine has a stimulus of its own in
        it.

        Own stimuli of a turn come at its first steps (rows at 0 and 1, timers at 0). Once a message of a later step is
        the smallest of all, what is left of the turn are messages only, whatever the horizons.
        """
        bus = self._bus
        self._deliver()
        if tag[4] < 1 or (tag[4] < 2 and tag[1] == PHASE_ROW):
            return
        turn = tag[:4]
        while bus.next_tag()[:4] == turn:
            self._deliver()

    def _end_of_data(self) -> Tag:
        """Timers go on for ever; a run ends with its data, which is known once all streams are read."""
        return (self.last_row_ns, PHASE_STOP)

    def settle(self) -> None:
        """Deliver what is still under way, latencies included, and nothing else."""
        while (tag := self._bus.next_tag()) < INF:
            self.run(tag)

    def _smallest_horizon(self) -> tuple[Engine | None, Tag, Tag]:
        """The engine with the smallest horizon, that horizon, and the smallest of the others."""
        horizons = self._horizons
        frontier = self.frontier
        best: Engine | None = None
        smallest = second = INF
        for engine in self._asked:
            horizon = horizons.get(engine.rank)
            if horizon is None:
                horizon = horizons[engine.rank] = engine.horizon(frontier)
            if best is None or horizon < smallest:
                best, smallest, second = engine, horizon, smallest
            elif horizon < second:
                second = horizon
        return best, smallest, second

    def _deliver(self) -> None:
        tag, channel, message = self._bus.pop()
        horizons = self._horizons
        outboxes = self._outboxes
        for engine in self._bus.receivers(channel):
            rank = engine.rank
            outbox = outboxes[rank]
            engine.handle(tag, message, outbox)
            horizons[rank] = None
            if outbox.pending:
                self._bus.take(outbox)

    def _run_engine(self, engine: Engine, until: Tag) -> None:
        outbox = self._outboxes[engine.rank]
        engine.run(until, outbox)
        self._settle(engine, outbox)

    def _settle(self, engine: Engine, outbox: Outbox) -> None:
        self._horizons[engine.rank] = None
        if outbox.pending:
            self._bus.take(outbox)

    def _feed(self) -> None:
        """Show the next block of each stream that holds the frontier back; all engines first take what they have."""
        frontier = self.frontier
        blocks = []
        for rank, end in enumerate(self._ends):
            if end != frontier:
                continue
            block = self._next_block(rank)
            if block is None:
                self._ends[rank] = INF
                continue
            blocks.append(block)
            self._ends[rank] = block.end
            self.last_row_ns = max(self.last_row_ns, int(block.columns["ts_init"][-1]))
        self._show(frontier, blocks)
        if self._on_feed is not None:
            for block in blocks:
                self._on_feed(block)
        self.frontier = min(self._ends, default=INF)
        self._horizons.clear()

    def _next_block(self, rank: int) -> Block | None:
        return next(self._sources[rank], None)

    def _show(self, frontier: Tag, blocks: list[Block]) -> None:
        """Let every engine take what it has below `frontier`, then see `blocks`."""
        self._run_silently(frontier)
        for block in blocks:
            for engine in self.engines:
                engine.feed(block)

    def _finish(self, until: Tag) -> None:
        """Let every engine take its silent inputs up to `until`, so that all stand at the same tag."""
        self._run_silently(min(until, self.frontier))

    def _run_silently(self, until: Tag) -> None:
        """Let every engine take its inputs up to `until`, none of which makes it speak."""
        for engine in self.engines:
            outbox = self._outboxes[engine.rank]
            engine.run(until, outbox)
            assert not outbox.pending, f"{engine.name} spoke before {until} against its horizon"
            self._horizons[engine.rank] = None
