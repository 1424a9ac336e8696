"""Runs whose engines are thrown away and loaded from snapshots on the way, and runs whose engines share nothing.

Each engine stands behind a `Place`. The scheduler calls the place; before the call, what stands there may be dumped,
forgotten and loaded, alone or with all others and what is under way between them. Also a script, so that a run can
begin in one process and end in another:

    python snapshot_runs.py begin SEED STEPS FILE      runs STEPS steps of the scheduler, dumps all to FILE
    python snapshot_runs.py finish SEED FILE           goes on from FILE; prints the digest of the whole run
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from nautilus_common import snapshot
from nautilus_common.bus.memory import MemoryBus
from nautilus_common.journal import EventLog
from nautilus_common.model.enums import OrderSide
from nautilus_common.model.ledger import Ledger
from nautilus_common.model.values import Price, price_from_raw
from nautilus_common.scheduler import Scheduler
from nautilus_common.streams import MarketView
from nautilus_fleet.backtest import BacktestEngine, _Run
from random_runs import START, STRATEGIES, TENTH, Base, Plan, build

from services.portfolio.engine import PortfolioEngine
from services.risk.engine import RiskEngine

When = Callable[[int], bool]
"""Whether to dump and load before the n-th call."""


class Place:
    """Where an engine stands: the same for the scheduler, whichever object stands there now."""

    def __init__(self, engine: Any, before_call: Callable[[], None]) -> None:
        self.engine = engine
        self.name = engine.name
        self.rank = engine.rank
        self.reactive = engine.reactive
        self._before_call = before_call

    def feed(self, block: Any) -> None:
        self._before_call()
        self.engine.feed(block)

    def horizon(self, frontier: Any) -> Any:
        self._before_call()
        return self.engine.horizon(frontier)

    def run(self, until: Any, out: Any) -> None:
        self._before_call()
        self.engine.run(until, out)

    def handle(self, tag: Any, message: Any, out: Any) -> None:
        self._before_call()
        self.engine.handle(tag, message, out)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


class Staged:
    """A run of what was added to `owner`, which is loaded again whenever `when` says so.

    `apart`: portfolio and risk have ledgers of their own and hear what they must, as in processes of their own.
    `alone`: one engine, chosen by chance, is dumped and loaded while the others go on.
    """

    def __init__(self, owner: BacktestEngine, when: When, *, apart: bool = False, alone: int | None = None) -> None:
        for venue in owner._venues.values():
            venue.fill_model.reset()
        self.run = run = _Run(owner, None, None)
        self._when = when
        self._alone = None if alone is None else Random(alone)
        self.calls = 0
        self.loads = 0
        if apart:
            share_nothing(run)
        place = partial(Place, before_call=self._before_call)
        run.gateways = [place(gateway) for gateway in run.gateways]
        run.portfolio, run.risk, run.host = place(run.portfolio), place(run.risk), place(run.host)
        run.hosts = [run.host]
        self.places: list[Place] = [*run.gateways, run.portfolio, run.risk, run.host]
        self.bus = MemoryBus(run.log)
        run._subscribe(self.bus, self.places)
        if apart:
            hear_everything(run, self.bus)
        run.scheduler = Scheduler(self.places, self.bus, run.scheduler._sources, run._on_feed)

    def execute(self) -> str:
        self.run.owner._run = self.run
        self.run.execute()
        return self.run.log.digest()

    def _before_call(self) -> None:
        self.calls += 1
        if not self._when(self.calls):
            return
        self.loads += 1
        if self._alone is None:
            self._reload_all()
        else:
            place = self._alone.choice(self.places)
            place.engine = snapshot.load(snapshot.dump(place.engine))

    def _reload_all(self) -> None:
        """All engines, what is under way, and how far each has counted: in place, as the scheduler holds them."""
        boxes = self.run.scheduler._outboxes
        state = ([place.engine for place in self.places], self.bus.undelivered, boxes)
        engines, heap, loaded = snapshot.load(snapshot.dump(state))
        for place, engine in zip(self.places, engines, strict=True):
            place.engine = engine
        self.bus.put_back(heap)
        for rank, box in boxes.items():
            box.seq, box.pending[:] = loaded[rank].seq, loaded[rank].pending


def share_nothing(run: _Run) -> None:
    """Give portfolio and risk ledgers of their own; the one that all shared is the host's."""
    ledger = run.host.ledger
    ledger.before_change = None
    config = run.owner.config
    instruments = run.owner._instruments
    accounts = [venue.account for venue in run.owner._venues.values()]
    specs = [stream.spec for stream in run.owner._streams]
    data_rank = len(run.gateways)

    def own() -> Ledger:
        return Ledger(dict(instruments), accounts, MarketView(list(specs), data_rank))

    run.portfolio = PortfolioEngine(own(), run.portfolio.rank, config.equity_interval_ns)
    run.risk = RiskEngine(config.risk_engine, dict(instruments), own(), run.risk.rank)


def hear_everything(run: _Run, bus: MemoryBus) -> None:
    """What engines must hear when nobody folds for them."""
    bus.subscribe("cmd.risk.>", run.portfolio)
    bus.subscribe("evt.order.>", run.risk)
    bus.subscribe("evt.adjustment.>", run.risk)


class Nested(Base):
    """Holds what only cloudpickle can keep: lambdas, nested functions with state of their own, C-level functions."""

    def on_start(self) -> None:
        self.seen = 0
        self.make = price_from_raw
        self.is_time = lambda count: count % 3 == 0
        self.subscribe_quote_ticks(self.instruments[0].id)
        counted = [0]

        def count_up(event: Any) -> None:
            counted[0] += 1
            if counted[0] % 2:
                self.buy()

        self.count_up = count_up
        self.wishes += [START + 6 * TENTH * n for n in range(1, 1000)]
        self.clock.set_timer_ns("nested", 6 * TENTH, START, callback=count_up)
        self.clock.set_timer_ns("lambda", 12 * TENTH, START, callback=lambda event: self.tick(self.instruments[0].id))

    def tick(self, instrument_id: Any) -> None:
        self.seen += 1
        if self.is_time(self.seen):
            self.buy()

    def buy(self) -> None:
        self.sent += 1
        instrument = self.instruments[0]
        if self.sent > 40 or instrument.id not in self.prices:
            return
        price = self.make(self.prices[instrument.id] - self.random.randint(0, 3), instrument.price_precision)
        self.submit_order(
            self.order_factory.limit(instrument.id, OrderSide.BUY, self.quantity(instrument), price, **self.life())
        )


class Hasty(Base):
    """Changes and cancels an order in the callback that sent it, before risk has said whether it may pass."""

    def on_start(self) -> None:
        self.watch_all()

    def tick(self, instrument_id: Any) -> None:
        self.sent += 1
        if self.sent > 60 or self.random.random() < 0.5:
            return
        instrument = self.cache.instrument(instrument_id)
        finer = self.random.choice((0, 0, 1))  # a price that is too fine is denied
        price = Price.from_raw(self.near(instrument, -4, 4).raw * 10**finer, instrument.price_precision + finer)
        order = self.order_factory.limit(instrument_id, self.side(), self.quantity(instrument), price, **self.life())
        self.submit_order(order)
        if self.random.random() < 0.5:
            self.modify_order(order, self.quantity(instrument), self.near(instrument, -4, 4))
        if self.random.random() < 0.3:
            self.cancel_order(order)


STRATEGIES.update(Nested=Nested, Hasty=Hasty)
ALL = tuple(STRATEGIES)


# -- one run, two processes ------------------------------------------------------------------------------------------


class Enough(Exception):
    """The scheduler has taken as many steps as it was asked to."""


class Stepped(Scheduler):
    """Stops before step `steps`; what it holds then is all that a scheduler must remember."""

    REMEMBERED = ("_ends", "_outboxes", "frontier", "last_row_ns")
    steps = -1

    def _smallest_horizon(self) -> Any:
        if self.steps == 0:
            raise Enough
        self.steps -= 1
        return super()._smallest_horizon()


class TwoHalves:
    """A run that is dumped whole after some steps, with the records that were said so far."""

    def __init__(self, plan: Plan) -> None:
        self.records = io.BytesIO()
        self.run = run = _Run(build(plan), None, None)
        self.log = EventLog(self.records)
        self.bus = MemoryBus(self.log)
        self.blocks = [0] * len(run.owner._streams)

    def _scheduler(self) -> Stepped:
        run = self.run
        run.log = self.log
        engines = [*run.gateways, run.portfolio, run.risk, run.host]
        run._subscribe(self.bus, engines)
        return Stepped(engines, self.bus, run.scheduler._sources, self._on_feed)

    def _on_feed(self, block: Any) -> None:
        self.blocks[block.stream] += 1

    def begin(self, steps: int, path: Path) -> None:
        run = self.run
        run.scheduler = scheduler = self._scheduler()
        scheduler.steps = steps
        try:
            run.execute()
        except Enough:
            pass
        else:
            raise SystemExit(f"the run ended before step {steps}")
        self.log.flush()
        remembered = {name: getattr(scheduler, name) for name in Stepped.REMEMBERED}
        engines = (run.gateways, run.portfolio, run.risk, run.host)
        state = (engines, self.bus.undelivered, remembered, self.blocks, self.records.getvalue())
        snapshot.save(path, snapshot.dump(state))

    def finish(self, path: Path) -> str:
        run = self.run
        data = snapshot.read(path)
        assert data is not None
        engines, heap, remembered, self.blocks, records = snapshot.load(data)
        run.gateways, run.portfolio, run.risk, run.host = engines
        run.hosts = [run.host]
        for source, count in zip(run.scheduler._sources, self.blocks, strict=True):
            for _ in range(count):
                next(source)
        run.scheduler = scheduler = self._scheduler()
        self.bus.put_back(heap)
        self.records.write(records)
        for name, value in remembered.items():
            setattr(scheduler, name, value)
        scheduler.run(None)
        run._stop()
        self.log.flush()
        return digest_of(self.records.getvalue())


def digest_of(records: bytes) -> str:
    """The digest of a run from the bytes of its event log."""
    engines: dict[int, Any] = {}
    offset = 0
    while offset < len(records):
        size = int.from_bytes(records[offset : offset + 4], "big")
        record = records[offset + 4 : offset + 4 + size]
        engines.setdefault(msgspec.msgpack.decode(record)[0][5], hashlib.sha256()).update(record)
        offset += 4 + size
    return hashlib.sha256(b"".join(engines[rank].digest() for rank in sorted(engines))).hexdigest()


def plan_of(seed: int) -> Plan:
    """The run that is begun in one process and finished in another."""
    return Plan(seed, block_rows=30, latency_ns=1_000_000, hedging=seed % 2 == 1, probability=0.5, strategies=ALL)


if __name__ == "__main__":
    # By its module's name, so that what is dumped here is found there.
    from snapshot_runs import TwoHalves as Halves

    verb, seed, *rest = sys.argv[1:]
    halves = Halves(plan_of(int(seed)))
    if verb == "begin":
        halves.begin(int(rest[0]), Path(rest[1]))
    else:
        print(halves.finish(Path(rest[0])))
