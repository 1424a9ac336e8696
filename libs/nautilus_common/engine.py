"""The contract of an engine: a deterministic, synchronous state machine that turns messages into messages.

Theory of operation (the whole rule is in docs/explain/order.md):

An engine takes three kinds of input: rows of market data, its own timers, and messages of others. Each has a *tag*,
``(ts, phase, src, n, micro, rank, seq)``. The first four name the turn, one stimulus from outside and all that it
causes without delay; the last three the step within it. Every engine takes its inputs in tag order; that is the
meaning of a run, and a scheduler only finds that order.

``horizon`` and ``run`` are what make it fast: an engine looks ahead over its columns and answers with a lower bound
on the tag at which it may next say something, if nobody speaks to it. Until the smallest of all horizons nobody has
anything to say, so nobody needs to be asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nautilus_common.messages.base import Message
    from nautilus_common.messages.blocks import Block

Tag = tuple[int, ...]
"""(ts, phase, src, n, micro, rank, seq); a prefix of it compares as the start of all tags it is a prefix of."""

MAX_NS = 2**63 - 1
INF: Tag = (MAX_NS, 9, 0, 0, 0, 0, 0)
"""Greater than every tag of a run."""

MICRO_MAX = 1000
"""Steps within one turn before it is called a feedback loop."""

PHASE_START = -1  # components start before the first row of that instant
PHASE_ROW = 0
PHASE_DELAYED = 1
PHASE_TIMER = 2
PHASE_EXPIRY = 3
PHASE_STOP = 8  # components stop after everything else of the last instant


def outside_tag(ts_ns: int, phase: int, rank: int) -> Tag:
    """The tag at which the engine of `rank` is told from outside to start or to stop."""
    return (ts_ns, phase, rank, 0, 0, rank, 0)


class EngineError(Exception):
    """An engine cannot go on: a broken invariant, or a limit that its configuration has reached."""


class FeedbackLoopError(EngineError):
    """More than `MICRO_MAX` steps in one turn: two engines answer each other without delay, for ever."""


class Outbox:
    """What one engine says: tags each message and holds it until the bus takes it.

    An effect is always greater than its cause: the same turn with the next micro step, or, with a delay, a turn of
    its own at ``cause.ts + delay``.
    """

    __slots__ = ("name", "pending", "rank", "seq")

    def __init__(self, name: str, rank: int, seq: int = 0) -> None:
        self.name = name
        self.rank = rank
        self.seq = seq
        self.pending: list[tuple[Tag, str, Message]] = []

    def say(self, cause: Tag, channel: str, message: Message, delay_ns: int = 0) -> None:
        """Say `message` on `channel` as an effect of the input at `cause`, `delay_ns` nanoseconds later."""
        seq = self.seq = self.seq + 1
        rank = self.rank
        if delay_ns > 0:
            tag: Tag = (cause[0] + delay_ns, PHASE_DELAYED, rank, seq, 0, rank, seq)
        else:
            micro = cause[4] + 1
            if micro > MICRO_MAX:
                raise FeedbackLoopError(
                    f"{self.name} answered step {micro - 1} of one turn at ts {cause[0]} on '{channel}': engines "
                    f"answer each other without delay. Last message: {message!r}"
                )
            tag = (cause[0], cause[1], cause[2], cause[3], micro, rank, seq)
        self.pending.append((tag, channel, message))


class Engine(Protocol):
    """What a scheduler needs of an engine; `services/*/engine.py` implement it."""

    name: str
    rank: int
    reactive: bool  # it never speaks unless it is spoken to: its horizon is always INF

    def feed(self, block: Block) -> None:
        """Market data up to ``block.end`` become visible (columns, not objects)."""

    def horizon(self, frontier: Tag) -> Tag:
        """A lower bound on the tag of my next row or timer at which I may speak if nobody speaks to me.

        `frontier` is the end of the data that is visible in all streams; INF, or anything not below it, means that I
        shall not speak before it.
        """

    def run(self, until: Tag, out: Outbox) -> None:
        """Take my own rows and timers with tag <= `until`; stop after the first at which I spoke."""

    def handle(self, tag: Tag, message: Message, out: Outbox) -> None:
        """Take a message; the caller has let me run every stimulus of my own below `tag`."""
