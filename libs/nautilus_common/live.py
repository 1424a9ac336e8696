"""The engines of one process in a live session: nobody waits for anybody, and every decision can be made again.

Inputs are taken as they come, each at a reading of the process's own clock, which comes with it and never goes back:
`clock = max(clock + 1, now)`. All that engines here have before it - timers that are due, commands with latency - is
taken first, in the order of tags; then the input, and all that it causes inside.

- A record of another process is tagged anew by whoever receives it, `(clock, 9, lowest rank here, its number here, 0,
  ...)`: the times of others order nothing here.
- Rows of a block get a `ts_init` between the clock before and the clock now. Rows are numbered by the receiver.

So the inputs in order, with their times, are all that there is to know: they are the journal, and going through it
again says the same bytes, whatever arrived when (docs/explain/live.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from nautilus_common.engine import INF, MAX_NS, PHASE_ROW, PHASE_START, PHASE_STOP, Tag, outside_tag
from nautilus_common.messages.blocks import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_common.bus.publisher import Record
    from nautilus_common.group import Group, Said
    from nautilus_common.streams import StreamSpec

PHASE_HEARD = 9  # records of others come after everything of their own that engines have at the same clock

_ENCODE = msgspec.msgpack.Encoder().encode


class LiveGroup:
    """A group of engines and the clock of its process."""

    def __init__(self, group: Group, specs: list[StreamSpec], counts: dict[int, int]) -> None:
        """`counts` is how much each engine, by rank, has said in this world before."""
        self.group = group
        self.clock = 0
        self._rank = min(engine.rank for engine in group.engines)
        self._heard = 0
        self._specs = {(spec.kind, spec.instrument_id, spec.bar_type): spec for spec in specs}
        self._rows = [0] * len(specs)
        group.count_from(counts)

    # -- inputs; each returns what was said, in order ------------------------------------------------------------------

    def start(self, now: int) -> list[Record]:
        """The session begins: start every engine that has something to begin with, in the order of rank."""
        self._pass_time(now)
        self._look()
        for engine in self.group.engines:
            self.group.start(engine, outside_tag(self.clock, PHASE_START, engine.rank))
        return self._settle()

    def stop(self, now: int) -> list[Record]:
        """Strategies are over: let them say their last words."""
        self._pass_time(now)
        self._look()
        self._run((self.clock, PHASE_STOP))
        for engine in self.group.engines:
            self.group.stop(engine, outside_tag(self.clock, PHASE_STOP, engine.rank))
        return self._settle()

    def finish(self, now: int) -> list[Record]:
        """The session is over."""
        said = self.advance(now)
        self.group.finish(self.clock)
        return said

    def advance(self, now: int) -> list[Record]:
        """Time has passed."""
        self._pass_time(now)
        self._look()
        return self._settle()

    def hear(self, now: int, records: Sequence[Said]) -> list[Record]:
        """Take records of another process, in its order; each is a turn of its own."""
        self._pass_time(now)
        self._look()
        group = self.group
        for tag, channel, message in records:
            self._heard += 1
            turn: Tag = (self.clock, PHASE_HEARD, self._rank, self._heard)
            self._run(turn)
            group.handle((*turn, 0, tag[5], tag[6]), channel, message)
        return self._settle()

    def take(self, now: int, block: Block) -> list[Record]:
        """Take the rows of a block; KeyError when the session has no such stream."""
        spec = self._specs[block.kind, block.instrument_id, block.bar_type]
        before = self.clock
        self.group.run_silently((before, PHASE_HEARD, MAX_NS))
        self._pass_time(now)
        self.group.feed(self._numbered(spec, block, before))
        self._look()
        return self._settle()

    # -- what the shell asks -------------------------------------------------------------------------------------------

    @property
    def wake_ns(self) -> int:
        """When engines here have something to do by themselves; MAX_NS for never."""
        tag = self.group.horizon(self._frontier)
        return tag[0] if tag < INF else MAX_NS

    @property
    def is_idle(self) -> bool:
        """True when nothing is on its way between engines here."""
        return self.group.under_way is None

    def has_stream(self, block: Block) -> bool:
        return (block.kind, block.instrument_id, block.bar_type) in self._specs

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _frontier(self) -> Tag:
        """Everything up to the clock is known, nothing after it: what comes is later."""
        return (self.clock + 1, PHASE_START)

    def _pass_time(self, now: int) -> None:
        self.clock = max(self.clock + 1, now)

    def _look(self) -> None:
        """Let engines look as far as the clock; without it they would run on what they saw before."""
        self.group.horizon(self._frontier)

    def _run(self, until: Tag) -> None:
        """Take everything inside with tags <= `until`; that somebody outside may answer is no reason to stop."""
        while self.group.run(until, MAX_NS):
            pass

    def _settle(self) -> list[Record]:
        self._run((self.clock, PHASE_HEARD, MAX_NS))
        return [(item[0][5], item[0][6], item[1], _ENCODE(item)) for item in self.group.take_said()]

    def _numbered(self, spec: StreamSpec, block: Block, before: int) -> Block:
        """The block as rows of this process: its own numbers, and times after everything that was taken before."""
        columns = block.columns
        ts = columns["ts_init"]
        if ts[0] <= before or ts[-1] > self.clock:
            columns = {**columns, "ts_init": np.minimum(np.maximum(ts, before + 1), self.clock)}
        first = self._rows[spec.rank]
        rows = self._rows[spec.rank] = first + len(ts)
        end = (int(columns["ts_init"][-1]), PHASE_ROW, spec.rank, rows)
        return Block(spec.rank, spec.kind, spec.instrument_id, spec.bar_type, first, columns, end)
