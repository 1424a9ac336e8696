"""The specification of a run: a naive loop that takes every stimulus one by one, and looks at nothing ahead.

It shares no scheduling code with `nautilus_common.scheduler`: it lists the rows of all streams in the order of
docs/explain/order.md, feeds each engine one row at a time, visits every instant at which a timer or an expiry could
be due, keeps its own list of undelivered messages and scans it for the smallest tag. The engines are the real ones:
they are what is under test, since here they never get the chance to look ahead, and `horizon` is called only to tell
them how far data are known; its answer is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nautilus_common.engine import INF, MAX_NS, PHASE_EXPIRY, PHASE_START, PHASE_STOP, PHASE_TIMER, Outbox, Tag
from nautilus_common.journal import EventLog
from nautilus_common.messages.blocks import Block
from nautilus_fleet.backtest import BacktestEngine, _Run

LAST = MAX_NS
"""A number no ordinal reaches: a tag that ends with it is after all that begin like it."""


class NaiveRun:
    """Runs what was added to a `BacktestEngine`, row by row. `instants` are the times at which timers may be due."""

    def __init__(self, owner: BacktestEngine, instants: Iterable[int], wishes: list[int]) -> None:
        for venue in owner._venues.values():
            venue.fill_model.reset()
        self.run = _Run(owner, None, None)
        self.venues = self.run.gateways
        self.others: list[Any] = [self.run.portfolio, self.run.risk, self.run.host]
        self.engines: list[Any] = [*self.venues, *self.others]
        self.outboxes = {engine.rank: Outbox(engine.name, engine.rank) for engine in self.engines}
        self.data_rank = len(self.venues)
        self.log = EventLog()
        self.undelivered: list[tuple[Tag, str, Any]] = []
        self.said: list[tuple[Tag, str, str]] = []
        self.digest = ""
        self.instants = set(instants)
        self.wishes = wishes
        self.rows = sorted(
            (int(ts), stream.spec.rank, row)
            for stream in owner._streams
            for batch in stream.batches()
            for row, ts in enumerate(batch["ts_init"].tolist())
        )
        self.columns = [next(iter(stream.batches())) for stream in owner._streams]
        self.specs = [stream.spec for stream in owner._streams]

    def execute(self) -> str:
        """The digest of the whole run."""
        run, start = self.run, self.run.start_ns
        for gateway in self.venues:
            self.act(gateway, lambda out, gateway=gateway: gateway.start(tag(start, PHASE_START, gateway.rank), out))
        self.tell(self.rows[0])
        self.act(run.portfolio, lambda out: run.portfolio.start(tag(start, PHASE_START, run.portfolio.rank), out))
        self.act(run.host, lambda out: run.host.start(tag(start, PHASE_START, run.host.rank), out))
        done = -1
        for index, (ts, stream, row) in enumerate(self.rows):
            done = self.between(done, ts)
            self.feed(stream, row)
            self.tell(self.rows[index + 1] if index + 1 < len(self.rows) else None)
            self.turn_of_row(ts, stream, row)
        last = self.rows[-1][0]
        self.between(done, last + 1)
        self.stop(last)
        return self.log.digest()

    # -- stimuli -----------------------------------------------------------------------------------------------------

    def feed(self, stream: int, row: int) -> None:
        """Show every engine one more row, and nothing after it."""
        spec = self.specs[stream]
        columns = {name: column[row : row + 1] for name, column in self.columns[stream].items()}
        end = (int(columns["ts_init"][0]), 0, stream, row + 1)
        block = Block(stream, spec.kind, spec.instrument_id, spec.bar_type, row, columns, end)
        for engine in self.engines:
            engine.feed(block)

    def tell(self, row: tuple[int, int, int] | None) -> None:
        """All rows below `row` are known."""
        frontier = INF if row is None else (row[0], 0, row[1], row[2])
        for engine in self.engines:
            engine.horizon(frontier)

    def turn_of_row(self, ts: int, stream: int, row: int) -> None:
        """Venues take the row, then everybody else, then all that follows without delay."""
        taken: Tag = (ts, 0, stream, row, 0, self.data_rank, 0)
        seen: Tag = (ts, 0, stream, row, 1, self.data_rank, 0)
        self.deliver_below(taken)
        for venue in self.venues:
            self.take_one(venue, taken)
        self.deliver_below(seen)
        for engine in self.others:
            self.take_one(engine, seen)
        self.deliver_below((ts, 0, stream, row + 1))

    def take_one(self, engine: Any, until: Tag) -> None:
        """Let `engine` take one stimulus: it may speak once, and then has nothing left up to `until`."""
        self.act(engine, lambda out: engine.run(until, out))
        said = self.log_count
        self.act(engine, lambda out: engine.run(until, out))
        assert self.log_count == said, f"{engine.name} spoke twice at {until}"

    def between(self, done: int, before: int) -> int:
        """Everything but rows that happens before `before`: delayed messages, timers and expiries of each instant."""
        while True:
            due = [ns for ns in self.instants if done < ns < before]
            due += [ns for ns in self.wishes if done < ns < before]
            due += [item[0][0] for item in self.undelivered if done < item[0][0] < before]
            if not due:
                return done
            done = min(due)
            self.instant(done)

    def instant(self, ts: int) -> None:
        """What happens at one instant after its rows; again, when a timer set now is due now."""
        while True:
            said = self.log_count
            for phase in (PHASE_TIMER, PHASE_EXPIRY):
                self.deliver_below((ts, phase))
                for engine in self.engines:
                    self.exhaust(engine, (ts, phase, engine.rank, LAST))
            self.deliver_below((ts, PHASE_STOP))
            if self.log_count == said:
                return

    def exhaust(self, engine: Any, until: Tag) -> None:
        """Let `engine` take its timers up to `until`; what each causes is delivered before the next is taken."""
        while True:
            said = self.log_count
            self.act(engine, lambda out: engine.run(until, out))
            self.deliver_below(until)
            if self.log_count == said:
                return

    def stop(self, last: int) -> None:
        """Strategies stop; what is under way arrives, with all that happens before it."""
        host = self.run.host
        ts = max(self.run.start_ns, last, host.last_ns)
        self.act(host, lambda out: host.stop(tag(ts, PHASE_STOP, host.rank), out))
        self.deliver_below((ts, LAST))
        done = ts
        while self.undelivered:
            done = self.between(done, min(item[0][0] for item in self.undelivered) + 1)
        assert not self.undelivered

    # -- messages ----------------------------------------------------------------------------------------------------

    log_count = 0

    def act(self, engine: Any, action: Any) -> None:
        outbox = self.outboxes[engine.rank]
        action(outbox)
        if not outbox.pending:
            return
        self.log.extend(engine.rank, list(outbox.pending))
        self.said += [(said, channel, repr(message)) for said, channel, message in outbox.pending]
        self.undelivered += outbox.pending
        self.log_count += len(outbox.pending)
        outbox.pending.clear()

    def deliver_below(self, bound: Tag) -> None:
        """Hand over undelivered messages below `bound`, the smallest tag first; each may cause more."""
        while self.undelivered:
            item = min(self.undelivered, key=lambda other: other[0])
            if not item[0] < bound:
                return
            self.undelivered.remove(item)
            for engine in self.receivers(item[1]):
                self.act(engine, lambda out, engine=engine, item=item: engine.handle(item[0], item[2], out))

    def receivers(self, channel: str) -> list[Any]:
        """Who listens to `channel`, written out."""
        run = self.run
        plane, kind = channel.split(".")[:2]
        if plane == "evt":
            return [run.host, run.risk, run.portfolio] if kind in ("order", "adjustment") else []
        if (plane, kind) == ("cmd", "risk"):
            return [run.risk, run.portfolio]
        return [gateway for gateway in self.venues if channel in gateway.channels]


def tag(ts: int, phase: int, rank: int) -> Tag:
    return (ts, phase, rank, 0, 0, rank, 0)
