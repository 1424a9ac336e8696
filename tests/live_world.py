"""A live session without servers or clocks: two streams as lists, processes as `LiveRun`, and a seed that decides who
does what when, what is lost, and who dies.

Everything that decides is the real thing. Only what carries bytes is not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
from nautilus_common.bus.publisher import Entry, Record
from nautilus_common.bus.reader import Item
from nautilus_common.live_run import LiveRun, Taken
from nautilus_common.messages import subjects
from nautilus_common.messages.blocks import Block, encode_block
from nautilus_common.messages.codec import AnyMessage
from nautilus_common.model.account import AccountSpec
from nautilus_common.model.enums import AccountType, OmsType
from nautilus_common.model.identifiers import AccountId, InstrumentId, TraderId, Venue
from nautilus_common.model.values import Currency, Money
from nautilus_common.plan import FillPlan, HostPlan, LatencyPlan, RunPlan, StrategyPlan, VenuePlan, encode_plan
from nautilus_common.retrace import Retrace
from nautilus_common.session import Placed, Session, Word, encode_word, words_subject
from nautilus_common.settings import ProcessSettings
from nautilus_common.streams import StreamSpec
from nautilus_common.testkit.sample_market import SAMPLES, sample_instruments, sample_quotes
from nautilus_fleet.commands.serve import ROLES, role_maker

ROOT = Path(__file__).parents[1]
ENV = "live"
BEGIN_NS = 1_780_000_000_000_000_000
BTC, EUR = "BTC/USDT.SIM", "EUR/USD.SIM"
RULES = {
    "reject_stop_orders": True,
    "support_gtd_orders": True,
    "use_reduce_only": True,
    "use_market_order_acks": False,
    "bar_execution": True,
    "bar_adaptive_high_low_ordering": False,
    "trade_execution": True,
}
APART = [["execution_gateway"], ["risk"], ["portfolio"], ["strategy_host"]]
TOGETHER = [["execution_gateway", "risk", "portfolio", "strategy_host"]]
HALF = [["execution_gateway", "risk"], ["portfolio", "strategy_host"]]

_DECODE = msgspec.msgpack.Decoder(tuple[tuple[int, ...], str, AnyMessage]).decode


def maker(size: str = "0.01", **more: Any) -> StrategyPlan:
    """The market maker of the examples, quoting often."""
    params = {"instrument_id": BTC, "size": size, "half_spread": 8, "move": 3, "skew": 2} | more
    return StrategyPlan("examples/strategies/market_maker.py:MarketMaker", params, default_tag="000")


def cross() -> StrategyPlan:
    """The EMA cross of the examples on bars of a second."""
    params = {
        "instrument_id": EUR,
        "bar_type": f"{EUR}-1-SECOND-BID-INTERNAL",
        "trade_size": "10000",
        "fast_ema_period": 2,
        "slow_ema_period": 3,
    }
    return StrategyPlan("examples/strategies/ema_cross.py:EmaCross", params, default_tag="001")


def pulse(name: str = "Pulse", interval_ms: int = 40) -> StrategyPlan:
    """Timers and alerts."""
    params = {"instrument_id": BTC, "size": "0.02", "interval_ms": interval_ms}
    return StrategyPlan(f"tests/live_strategies.py:{name}", params, default_tag="002")


def make_plan(hosts: list[HostPlan], latency_ns: int = 0) -> RunPlan:
    """The sample market's two instruments at one venue."""
    balances = tuple(Money(1_000_000, Currency.from_str(code)) for code in ("USD", "USDT"))
    account = AccountSpec(
        AccountId("SIM-001"),
        Venue("SIM"),
        AccountType.MARGIN,
        OmsType.NETTING,
        balances,
        default_leverage=Decimal(10),
    )
    latency = LatencyPlan(latency_ns, 0, 0, 0) if latency_ns else None
    venue = VenuePlan(Venue("SIM"), account, FillPlan(0.7, 0.2, 5), latency, None, RULES)
    streams = [StreamSpec(rank, "quote", InstrumentId.from_str(name)) for rank, name in enumerate((BTC, EUR))]
    return RunPlan(TraderId("TRADER-001"), sample_instruments(), [venue], streams, hosts, BEGIN_NS)


def builders() -> dict[str, Any]:
    """All roles, with strategies from the repository."""
    settings = ProcessSettings("world", tuple(ROLES), env=ENV, project=ROOT)
    return {role: role_maker(role)(settings) for role in ROLES}


def quotes(rows: int, step_ns: int = 20_000_000) -> list[dict[str, np.ndarray]]:
    """The first rows of both sample streams, `step_ns` apart."""
    found = []
    for number, sample in enumerate(SAMPLES):
        columns = {name: column[:rows].copy() for name, column in sample_quotes(sample, days=1).items()}
        times = BEGIN_NS + step_ns * np.arange(1, rows + 1, dtype=np.int64) + number * 3_000_000
        found.append({**columns, "ts_event": times, "ts_init": times})
    return found


class ListSource:
    """A stream that has been read into a list."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = deque(items)

    async def take(self) -> Item:
        if not self._items:
            raise AssertionError("read past the end of the stream")
        return self._items.popleft()


class Process:
    """One process of the world: its engines, where it is in the streams, and what it has not yet made durable."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.skew_ns = 0
        self.deaths = 0
        self.begin()

    def begin(self) -> None:
        """Start, from the journal if there is one."""
        world = self.world
        self.run = world.new_run(self.name)
        self.silent: list[Any] = []
        self.pending: deque[tuple[list[Any], list[Record]]] = deque()
        number = world.numbers.get(self.name, 0)
        way = Retrace(self.run, ListSource(world.log), ListSource(world.data))
        rest = asyncio.run(way.to(number))
        if rest:
            self.pending.append(([], rest))

    def die(self) -> None:
        """Lose everything that is not in the log, and start again."""
        self.deaths += 1
        self.begin()

    def step(self, what: str) -> None:
        """Take one input of a kind, if there is one."""
        run, now = self.run, self.world.now_ns + self.skew_ns
        taken: Taken | None = None
        if what == "log" and run.log_position < len(self.world.log):
            item = self.world.log[run.log_position]
            taken = run.take_log(item.sequence, item.subject, item.data, now)
        elif what == "data" and run.state != "new" and run.data_position < len(self.world.data):
            item = self.world.data[run.data_position]
            taken = run.take_data(item.sequence, item.subject, item.data, now)
        elif what == "clock" and run.state != "new" and run.live.wake_ns <= now:
            taken = run.advance(now)
        if taken is None:
            return
        self.silent.append(taken.input)
        if taken.records:
            self.pending.append((self.silent, taken.records))
            self.silent = []

    def write(self, cut: int = 0) -> None:
        """Make the oldest pending turn durable, perhaps only its first `cut` records."""
        if not self.pending and self.silent and cut == 0:
            self.pending.append((self.silent, []))
            self.silent = []
        if not self.pending:
            return
        inputs, records = self.pending.popleft()
        if cut and cut < len(records):
            self.pending.appendleft(([], records[cut:]))
            records = records[:cut]
        self.world.append_entry(self.name, inputs, records, self.run.live.clock)

    @property
    def is_at_rest(self) -> bool:
        run, world = self.run, self.world
        known = run.log_position == len(world.log) and run.data_position == len(world.data)
        return known and not self.pending and not self.silent and run.live.is_idle


class World:
    """Streams and processes."""

    def __init__(self, plan: RunPlan, topology: list[list[str]], seed: int, made: dict[str, Any] | None = None) -> None:
        self.random = Random(seed)
        self.plan = plan
        self.made = made or builders()
        self.log: list[Item] = []
        self.data: list[Item] = []
        self.now_ns = BEGIN_NS
        self.numbers: dict[str, int] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._words = 0
        placing = {}
        for roles in topology:
            engines = [seat.engine for seat in plan.seats() if seat.role in roles]
            placing["+".join(roles)] = Placed(list(roles), engines)
        self.session = Session("s-1", encode_plan(plan), placing, {}, {}, 0, "", BEGIN_NS)
        self.say("open")
        self.processes = {name: Process(self, name) for name in placing}

    def new_run(self, name: str) -> LiveRun:
        return LiveRun(ENV, name, self.session, 1, self.made, 0)

    def say(self, state: Any) -> None:
        """Append a word about the session."""
        self._words += 1
        word = Word(state, self.session, 0 if state == "open" else 1)
        self._append(words_subject(ENV), encode_word(word, self._words, self.now_ns))

    def append_entry(self, name: str, inputs: list[Any], records: list[Record], ts: int) -> None:
        number = self.numbers.get(name, 0) + 1
        counts = dict(self._counts.get(name, {}))
        for rank, seq, _, _ in records:
            counts[rank] = seq
        said = [msgspec.Raw(record[3]) for record in records]
        entry = Entry(name, "e", number, counts, inputs, said, ts)
        self.numbers[name], self._counts[name] = number, counts
        roles = tuple(self.session.placing[name].roles)
        self._append(subjects.subject(ENV, subjects.log(roles, name)), msgspec.msgpack.encode(entry))

    def publish(self, rank: int, columns: dict[str, np.ndarray], first_row: int) -> None:
        """A block of a stream arrives."""
        spec = self.plan.streams[rank]
        end = (int(columns["ts_init"][-1]), 0, rank, first_row + len(columns["ts_init"]))
        block = Block(rank, spec.kind, spec.instrument_id, None, first_row, columns, end)
        instrument = spec.instrument_id
        channel = subjects.market_data(instrument.venue.value, instrument.symbol.value, spec.kind)
        self.data.append(Item(len(self.data) + 1, subjects.subject(ENV, channel), encode_block(block)))

    def _append(self, subject: str, data: bytes) -> None:
        self.log.append(Item(len(self.log) + 1, subject, data))

    # -- the course of a session ---------------------------------------------------------------------------------------

    def live_through(self, rows: int, deaths: int = 0, block_rows_max: int = 3) -> None:
        """Play `rows` of both streams in blocks of random sizes, everybody doing something at random, some dying."""
        columns = quotes(rows)
        at = [0, 0]
        steps = rows * 12
        dying = {self.random.randrange(steps) for _ in range(deaths)}
        for step in range(steps):
            due = BEGIN_NS + rows * 20_000_000 * step // steps
            self.now_ns = max(self.now_ns + self.random.randrange(200_000), due)
            for rank in (0, 1):
                arrived = int(np.searchsorted(columns[rank]["ts_init"], self.now_ns, "right"))
                if arrived > at[rank] and self.random.random() < 0.7:
                    stop = min(arrived, at[rank] + self.random.randint(1, block_rows_max))
                    part = {name: column[at[rank] : stop] for name, column in columns[rank].items()}
                    self.publish(rank, part, at[rank])
                    at[rank] = stop
            for process in self.processes.values():
                self._act(process)
            if step in dying:
                self.random.choice(list(self.processes.values())).die()

    def _act(self, process: Process) -> None:
        draw = self.random
        process.skew_ns = max(-3_000_000, min(3_000_000, process.skew_ns + draw.randrange(-100_000, 100_001)))
        for _ in range(draw.randint(0, 4)):
            process.step(draw.choice(("log", "log", "data", "data", "clock")))
        if draw.random() < 0.6:
            process.write(draw.randint(0, 2) if process.pending else (0 if draw.random() < 0.1 else 1))

    def settle(self) -> None:
        """Let everybody take and write all that there is."""
        for _ in range(10_000):
            self.now_ns += 1_000_000
            for process in self.processes.values():
                for what in ("log", "data", "clock"):
                    process.step(what)
                process.write()
            if all(process.is_at_rest for process in self.processes.values()):
                return
        raise AssertionError("the session does not come to rest")

    def finish(self) -> None:
        """Stop, come to rest, end."""
        self.say("stop")
        self.settle()
        self.say("end")
        self.settle()

    # -- what came of it -----------------------------------------------------------------------------------------------

    def records(self, name: str) -> list[bytes]:
        """Everything that a process has said, in order."""
        subject = subjects.subject(ENV, subjects.log(tuple(self.session.placing[name].roles), name))
        found: list[bytes] = []
        for item in self.log:
            if item.subject == subject:
                found += map(bytes, msgspec.msgpack.decode(item.data, type=Entry).records)
        return found

    def messages(self) -> list[tuple[tuple[int, ...], str, Any]]:
        """Everything that anybody has said."""
        return [_DECODE(record) for name in self.processes for record in self.records(name)]

    def retrace(self, name: str) -> Retrace:
        """Go through a process's journal from its beginning; raises Differs."""
        run = self.new_run(name)
        way = Retrace(run, ListSource(self.log), ListSource(self.data))
        asyncio.run(way.to(self.numbers.get(name, 0)))
        way.check_all_logged()
        return way
