"""A process in a live session as data in, data out: messages of the two streams and its own clock.

The shell (`live_host.py`) gives it what arrives; a restart and `fleet verify --live` give it what was journaled
(`retrace.py`). Both come here, so that what is decided live is decided again by the same lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nautilus_common.hosting import Builder, build_group
from nautilus_common.live import LiveGroup
from nautilus_common.live_log import LogCheck, log_subject
from nautilus_common.messages import subjects
from nautilus_common.messages.blocks import Block, decode_block
from nautilus_common.messages.errors import DecodeError
from nautilus_common.plan import decode_plan
from nautilus_common.session import SessionError, decode_word, words_subject

if TYPE_CHECKING:
    from nautilus_common.bus.publisher import Record
    from nautilus_common.session import Session

FROM_LOG, FROM_DATA, FROM_CLOCK = "C", "M", "A"

Input = tuple[str, int, int]
"""(kind, sequence, the clock's reading): a message of the control stream, one of market data, or only time."""


class Taken(NamedTuple):
    """An input that was taken, and what was said on it."""

    input: Input
    records: list[Record]


class LiveRun:
    """The engines of `process` in `session`, and how far they are in both streams."""

    def __init__(
        self, env: str, process: str, session: Session, opened: int, builders: dict[str, Builder], number: int
    ) -> None:
        """`opened` is the sequence of the word that opened the session, `number` that of our last entry before it.

        Raises PlanError, HostingError, FleetError.
        """
        plan = decode_plan(session.plan)
        placed = session.placing[process]
        self.env = env
        self.process = process
        self.session = session
        self.subject = log_subject(env, tuple(placed.roles), process)
        self.group = build_group(plan, placed.engines, builders)
        self.live = LiveGroup(self.group, plan.streams, session.counts)
        self.check = LogCheck(env, session, plan.seats(), self.group.hears)
        self.log_position = opened - 1
        self.data_position = session.data_from
        self.number = number
        self.state = "new"
        self._words = words_subject(env)
        self._source_rows: dict[str, int] = {}

    # -- inputs --------------------------------------------------------------------------------------------------------

    def take_log(self, sequence: int, subject: str, data: bytes, now: int) -> Taken | None:
        """A message of the control stream; None when it says nothing to anybody here. Raises LogGap."""
        self.log_position = sequence
        if subject == self.subject:
            return None
        if subject == self._words:
            return self._take_word(sequence, data, now)
        heard = self.check.read(sequence, subject, data)
        if not heard or self.state not in ("open", "stopped"):
            return None
        return Taken((FROM_LOG, sequence, now), self.live.hear(now, heard))

    def take_data(self, sequence: int, subject: str, data: bytes, now: int) -> Taken | None:
        """A message of market data; None when it is no block for anybody here."""
        self.data_position = sequence
        block = self._read_block(sequence, subject, data)
        if block is None or self.state not in ("open", "stopped"):
            return None
        return Taken((FROM_DATA, sequence, now), self.live.take(now, block))

    def advance(self, now: int) -> Taken:
        """Time has passed."""
        return Taken((FROM_CLOCK, 0, now), self.live.advance(now))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _take_word(self, sequence: int, data: bytes, now: int) -> Taken | None:
        try:
            word, _ = decode_word(data)
        except SessionError as error:
            self.check.reject("word", f"message {sequence}: {error}")
            return None
        if word.session.id != self.session.id:
            return None
        taken = (FROM_LOG, sequence, now)
        match word.state, self.state:
            case "open", "new":
                self.state = "open"
                return Taken(taken, self.live.start(now))
            case "stop", "open":
                self.state = "stopped"
                return Taken(taken, self.live.stop(now))
            case "end", "open" | "stopped":
                self.state = "ended"
                return Taken(taken, self.live.finish(now))
        return None

    def _read_block(self, sequence: int, subject: str, data: bytes) -> Block | None:
        try:
            block = decode_block(data)
            instrument = block.instrument_id
            channel = subjects.market_data(instrument.venue.value, instrument.symbol.value, block.kind)
        except (DecodeError, subjects.SubjectError) as error:
            self.check.reject("block", f"message {sequence} on {subject}: {error}")
            return None
        if subject != subjects.subject(self.env, channel):
            self.check.reject("block", f"message {sequence} on {subject}: a block of {channel}")
            return None
        if not self.live.has_stream(block):
            return None  # of this instrument, but nothing that the session is made of
        fault = _fault_of(block)
        if fault:
            self.check.reject("block", f"message {sequence} on {subject}: {fault}")
            return None
        key = f"{subject} {block.bar_type or ''}"
        if block.first_row < self._source_rows.get(key, 0):
            self.check.duplicates += 1
            return None
        self._source_rows[key] = block.first_row + block.row_count
        return block


def _fault_of(block: Block) -> str:
    """What is wrong with the rows of a block; empty when nothing is."""
    ts = block.columns["ts_init"]
    rows = len(ts)
    if not rows:
        return "no rows"
    if block.first_row < 0 or ts[0] < 0 or (rows > 1 and not bool((ts[1:] >= ts[:-1]).all())):
        return "rows that are not in the order of time"
    sizes = {"quote": ("bid_size", "ask_size"), "trade": ("size",), "bar": ("volume",)}[block.kind]
    for name in sizes:
        column = block.columns[name]
        if (column[0] if rows == 1 else column.min()) < 0:
            return f"a {name} below zero"
    return ""
