"""Several engines in one process, as one engine: topology is nesting.

A group takes what its members' seats listen to, delivers inside what they say to each other, and hands out everything
they say. It goes on inside until something is said that an engine *outside* may answer; then it stops, so that whoever
holds it can decide what comes next. The order is that of tags, by the same rule as in `scheduler.py`: a group of all
engines does what the scheduler does, and a group of one is that engine.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from nautilus_common.bus.base import matches
from nautilus_common.bus.memory import MemoryBus
from nautilus_common.engine import INF, MAX_NS, EngineError, Outbox, Tag
from nautilus_common.plan import Seat, heard_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_common.engine import Engine
    from nautilus_common.messages.base import Message
    from nautilus_common.messages.blocks import Block

SAID_MAX = 1_000
"""Messages in one go of a group: what was said has to travel, and a message between processes has a bound."""

Said = tuple[Tag, str, "Message"]


class Group:
    """The engines of one process. `seats` are all seats of the run, in rank order; `engines` those that sit here."""

    def __init__(self, engines: list[Engine], seats: list[Seat]) -> None:
        here = {engine.name for engine in engines}
        own = [seat for seat in seats if seat.engine in here]
        assert [engine.name for engine in engines] == [seat.engine for seat in own], "engines must be in rank order"
        self.engines = engines
        self.said: list[Said] = []
        self._bus = MemoryBus()
        for seat, engine in zip(own, engines, strict=True):
            for item in heard_by(seat, own):
                self._bus.subscribe(item.pattern, engine)
        others = [seat for seat in seats if seat.engine not in here]
        self._outside = [item.pattern for seat in others for item in seat.listens if not item.silent]
        self._inside = [item.pattern for seat in own for item in seat.listens if not item.silent]
        self._heard: dict[str, tuple[bool, bool]] = {}
        self._stirring: list[Tag] = []  # of what members have said to each other and may be answered
        self._outboxes = {engine.rank: Outbox(engine.name, engine.rank) for engine in engines}
        self._asked = [engine for engine, seat in zip(engines, own, strict=True) if not seat.reactive]
        self._horizons: dict[int, Tag] = {}
        self._frontier: Tag = (0,)

    # -- what whoever holds the group asks of it ----------------------------------------------------------------------

    def start(self, engine: Engine, tag: Tag) -> bool:
        """Start a member, if it has something to begin with. True when something was said to the outside."""
        return self._act(engine, "start", tag)

    def stop(self, engine: Engine, tag: Tag) -> bool:
        """Stop a member, if it has last words. True when something was said to the outside."""
        return self._act(engine, "stop", tag)

    def finish(self, ts_ns: int) -> None:
        """The run is over at `ts_ns`; nobody has anything to say any more."""
        for engine in self.engines:
            finish = getattr(engine, "finish", None)
            if finish is not None:
                finish(ts_ns)

    def engine(self, name: str) -> Engine:
        """The member of that name."""
        return next(engine for engine in self.engines if engine.name == name)

    def log_as(self, made: Group) -> None:
        """Let strategies log where those of `made` do, the same engines as this process makes them anew: what they
        write to is of a process, and not kept in a snapshot.
        """
        for engine, fresh in zip(self.engines, made.engines, strict=True):
            log_to = getattr(engine, "log_to", None)
            if log_to is not None:
                log_to(fresh.log_settings)  # type: ignore[attr-defined]  # a strategy host, as the one before

    def count_from(self, counts: dict[int, int]) -> None:
        """Engines count what they say on from `counts` (by rank), which was said before them in the same world."""
        for rank, outbox in self._outboxes.items():
            outbox.seq = counts.get(rank, 0)

    def hears(self, channel: str) -> bool:
        """True when a member listens to `channel`."""
        return bool(self._bus.receivers(channel))

    def feed(self, block: Block) -> None:
        """Show a block to every member; all of them have taken what they had."""
        for engine in self.engines:
            engine.feed(block)
        self._horizons.clear()

    def horizon(self, frontier: Tag) -> Tag:
        """A lower bound on the next tag at which a member may speak, if nothing comes from outside."""
        self._see(frontier)
        smallest = self._next_stirring()
        for engine in self._asked:
            horizon = self._horizon(engine)
            if horizon < smallest:
                smallest = horizon
        return smallest

    def handle(self, tag: Tag, channel: str, message: Message) -> bool:
        """Take a message from outside. True when that, or something below it, made a member speak to the outside.

        Whoever holds the group has let it run every turn and step below that of `tag`; of the same step, what members
        have said to each other below `tag` is delivered first.
        """
        spoke = False
        while self._bus.next_tag() < tag:
            spoke = self.run(tag[:-1], MAX_NS) or spoke
        return self._deliver(tag, channel, message) or spoke

    def run(self, until: Tag, said_max: int = SAID_MAX) -> bool:
        """Take everything inside with tags <= `until`, in tag order; stop when something was said to the outside.

        It may stop before, after `said_max` messages between members: then the horizon says that there is more.
        """
        bus = self._bus
        while len(self.said) < said_max:
            message = bus.next_tag()
            engine, horizon, second = self._smallest()
            if min(message, horizon) > until or min(message, horizon) >= INF:
                return False
            if message < horizon:
                spoke = self._deliver(*bus.pop())
            else:
                assert engine is not None
                spoke = self._run_engine(engine, min(until, message, second, self._frontier))
            if spoke:
                return True
        return False

    def run_silently(self, until: Tag) -> None:
        """Let every member take all that it has up to `until`, at which nobody speaks to the outside.

        Raises EngineError when somebody does: a horizon was wrong.
        """
        if self.run(until, MAX_NS):
            raise EngineError(f"{self.said[-1][1]}: spoken before {until}, against the horizon")
        self._run_silently(until)

    def settle(self) -> None:
        """Let members hear everything that they have said to each other: the run is over."""
        while (tag := self._bus.next_tag()) < INF:
            self.run(tag, MAX_NS)

    def take_said(self) -> list[Said]:
        """What was said since the last call, in order."""
        said, self.said = self.said, []
        return said

    @property
    def last_ns(self) -> int:
        """The time of the last stimulus that a strategy here was told of."""
        return max((getattr(engine, "last_ns", 0) for engine in self.engines), default=0)

    @property
    def under_way(self) -> Tag | None:
        """The smallest tag of what members have said to each other, not yet heard, and may answer."""
        tag = self._next_stirring()
        return tag if tag < INF else None

    # -- inside --------------------------------------------------------------------------------------------------------

    def _next_stirring(self) -> Tag:
        """The smallest tag inside that may be answered; what is only heard waits for whatever comes next."""
        tags = self._stirring
        undelivered = self._bus.next_tag()
        while tags and tags[0] < undelivered:
            heappop(tags)
        return tags[0] if tags else INF

    def _see(self, frontier: Tag) -> None:
        if frontier != self._frontier:
            self._frontier = frontier
            self._horizons.clear()

    def _horizon(self, engine: Engine) -> Tag:
        found = self._horizons.get(engine.rank)
        if found is None:
            found = self._horizons[engine.rank] = engine.horizon(self._frontier)
        return found

    def _smallest(self) -> tuple[Engine | None, Tag, Tag]:
        best: Engine | None = None
        smallest = second = INF
        for engine in self._asked:
            horizon = self._horizon(engine)
            if best is None or horizon < smallest:
                best, smallest, second = engine, horizon, smallest
            elif horizon < second:
                second = horizon
        return best, smallest, second

    def _deliver(self, tag: Tag, channel: str, message: Message) -> bool:
        spoke = False
        for engine in self._bus.receivers(channel):
            outbox = self._outboxes[engine.rank]
            engine.handle(tag, message, outbox)
            self._horizons.pop(engine.rank, None)
            if outbox.pending and self._take(outbox):
                spoke = True
        return spoke

    def _run_engine(self, engine: Engine, until: Tag) -> bool:
        outbox = self._outboxes[engine.rank]
        engine.run(until, outbox)
        self._horizons.pop(engine.rank, None)
        return bool(outbox.pending) and self._take(outbox)

    def _run_silently(self, until: Tag) -> None:
        for engine in self.engines:
            outbox = self._outboxes[engine.rank]
            engine.run(until, outbox)
            if outbox.pending:
                raise EngineError(f"{engine.name} spoke before {until} against its horizon")
            self._horizons.pop(engine.rank, None)

    def _act(self, engine: Engine, what: str, tag: Tag) -> bool:
        action: Callable[[Tag, Outbox], None] | None = getattr(engine, what, None)
        if action is None:
            return False
        outbox = self._outboxes[engine.rank]
        action(tag, outbox)
        self._horizons.pop(engine.rank, None)
        return self._take(outbox)

    def _take(self, outbox: Outbox) -> bool:
        pending = outbox.pending
        self.said += pending
        known = self._heard
        spoke = False
        for tag, channel, _ in pending:
            heard = known.get(channel)
            if heard is None:
                sides = (self._outside, self._inside)
                outside, inside = (any(matches(pattern, channel) for pattern in side) for side in sides)
                heard = known[channel] = (outside, inside)
            spoke = spoke or heard[0]
            if heard[1]:
                heappush(self._stirring, tag)
        self._bus.take(outbox)
        return spoke
