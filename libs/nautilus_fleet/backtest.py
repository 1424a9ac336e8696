"""BacktestEngine: the same engines as the fleet's, in one process, over recorded market data.

    engine = BacktestEngine()
    engine.add_venue(Venue("SIM"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)], base_currency=USD)
    engine.add_instrument(instrument)
    engine.add_data(ticks)
    engine.add_strategy(EmaCross(config))
    engine.run()

Names and arguments are NautilusTrader's. A run is a function of what was added: `engine.digest` proves it.
"""

from __future__ import annotations

import datetime as dt
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from nautilus_common.aggregation import BarOptions
from nautilus_common.bus.memory import MemoryBus
from nautilus_common.catalog.columns import DataColumns
from nautilus_common.catalog.from_ticks import columns_from_ticks
from nautilus_common.catalog.validation import validate_columns
from nautilus_common.collector import THRESHOLDS
from nautilus_common.engine import PHASE_START, PHASE_STOP, outside_tag
from nautilus_common.journal import EventLog
from nautilus_common.limits import RiskEngineConfig
from nautilus_common.model.account import AccountSpec
from nautilus_common.model.enums import AccountType, OmsType
from nautilus_common.model.identifiers import AccountId, InstrumentId, TraderId, Venue
from nautilus_common.model.ledger import Ledger
from nautilus_common.model.values import Currency, Money
from nautilus_common.plan import AnyInstrument, HostPlan, RunPlan, VenuePlan, heard_by, seat_table
from nautilus_common.scheduler import Scheduler
from nautilus_common.strategy.actor import Actor
from nautilus_common.strategy.clock import to_ns
from nautilus_common.strategy.log import LogSettings
from nautilus_common.strategy.strategy import Strategy
from nautilus_common.streams import MarketView, StreamSpec
from nautilus_common.venues.simulated.config import SimulatedVenueConfig
from nautilus_common.venues.simulated.models import FillModel, LatencyModel, MakerTakerFeeModel
from nautilus_common.venues.simulated.rollover import RolloverRates

from nautilus_fleet import reports
from services.data_gateway.engine import DataEngine
from services.execution_gateway.engine import ExecutionEngine
from services.portfolio.engine import PortfolioEngine
from services.risk.engine import RiskEngine
from services.strategy_host.engine import StrategyHostEngine

if TYPE_CHECKING:
    import numpy as np
    from nautilus_common.messages.blocks import Block
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.strategy.cache import Cache
    from nautilus_common.strategy.portfolio import Portfolio

Batches = Callable[[], Iterable["dict[str, np.ndarray]"]]
DEFAULT_MARGIN_LEVERAGE = Decimal(10)


@dataclass(frozen=True)
class LoggingConfig:
    """What strategies' log lines show; they go to `sink`, by default nowhere."""

    log_level: str = "WARNING"
    sink: Callable[[str], None] | None = None


@dataclass(frozen=True)
class BacktestEngineConfig:
    """How an engine runs; none of it but `trader_id` and the engines' own settings changes a digest."""

    trader_id: str = "BACKTESTER-001"
    risk_engine: RiskEngineConfig = field(default_factory=RiskEngineConfig)
    data_engine: BarOptions = field(default_factory=BarOptions)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    event_log: Path | None = None
    block_rows: int | None = None
    equity_interval_ns: int = 3_600_000_000_000
    on_progress: Callable[[int], None] | None = None


class LeveragedMarginModel:
    """Margin = notional / leverage x rate."""

    name = "leveraged"


class StandardMarginModel:
    """Margin = notional x rate, whatever the leverage."""

    name = "standard"


@dataclass(frozen=True)
class FXRolloverInterestModule:
    """Posts rollover interest at 17:00 New York on weekdays for each open FX position."""

    rates: RolloverRates


@dataclass
class DataStream:
    """One stream as it was added: what it is, and where its validated columns come from, each time anew."""

    spec: StreamSpec
    batches: Batches
    rows: int | None
    first_ns: int | None


@dataclass(frozen=True)
class BacktestResult:
    """The figures of one run."""

    run_id: str
    digest: str
    total_events: int
    total_data: int
    total_orders: int
    total_positions: int
    backtest_start: int
    backtest_end: int


class BacktestEngine:
    """Runs strategies over added data, on simulated venues, in one process."""

    _runs_in_memory = 0  # of this process, since their memory was last given back

    def __init__(self, config: BacktestEngineConfig | None = None) -> None:
        self._give_back_memory()
        self.config = config or BacktestEngineConfig()
        self.trader_id = TraderId(self.config.trader_id)
        self._venues: dict[Venue, SimulatedVenueConfig] = {}
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._streams: list[DataStream] = []
        self._actors: list[Actor] = []
        self._hosts: dict[str, list[Actor]] = {"": []}
        self._run: _Run | None = None

    # -- what a run is made of ---------------------------------------------------------------------------------------

    def add_venue(
        self,
        venue: Venue,
        oms_type: OmsType,
        account_type: AccountType,
        starting_balances: Sequence[Money],
        base_currency: Currency | None = None,
        default_leverage: Decimal | None = None,
        leverages: dict[InstrumentId, Decimal] | None = None,
        margin_model: LeveragedMarginModel | StandardMarginModel | None = None,
        modules: Sequence[FXRolloverInterestModule] | None = None,
        fill_model: FillModel | None = None,
        fee_model: MakerTakerFeeModel | None = None,
        latency_model: LatencyModel | None = None,
        *,
        reject_stop_orders: bool = True,
        support_gtd_orders: bool = True,
        use_reduce_only: bool = True,
        use_market_order_acks: bool = False,
        bar_execution: bool = True,
        bar_adaptive_high_low_ordering: bool = False,
        trade_execution: bool = True,
        allow_cash_borrowing: bool = False,
        frozen_account: bool = False,
    ) -> None:
        """Add a simulated venue with its account. A margin account has leverage 10 unless another is given.

        Raises KeyError for a venue that is there, ValueError for settings that do not fit together.
        """
        if venue in self._venues:
            raise KeyError(f"venue {venue} is already added")
        if not starting_balances:
            raise ValueError(
                f"venue {venue}: give the account at least one starting balance, such as Money(100_000, USD)"
            )
        if base_currency is not None and any(money.currency != base_currency for money in starting_balances):
            raise ValueError(f"venue {venue}: with base currency {base_currency.code} all starting balances are in it")
        margin = account_type == AccountType.MARGIN
        account = AccountSpec(
            AccountId(f"{venue}-001"),
            venue,
            account_type,
            OmsType.NETTING if oms_type == OmsType.UNSPECIFIED else oms_type,
            tuple(starting_balances),
            base_currency,
            default_leverage or (DEFAULT_MARGIN_LEVERAGE if margin else Decimal(1)),
            leverages or {},
            (margin_model or LeveragedMarginModel()).name,
            allow_cash_borrowing,
            frozen_account,
        )
        self._venues[venue] = SimulatedVenueConfig(
            venue,
            account,
            fill_model or FillModel(),
            fee_model or MakerTakerFeeModel(),
            latency_model,
            next((module.rates for module in modules or ()), None),
            reject_stop_orders,
            support_gtd_orders,
            use_reduce_only,
            use_market_order_acks,
            bar_execution,
            bar_adaptive_high_low_ordering,
            trade_execution,
        )

    def add_instrument(self, instrument: Instrument) -> None:
        """Add an instrument; its venue must be there. Raises ValueError."""
        if instrument.id.venue not in self._venues:
            known = ", ".join(str(venue) for venue in self._venues) or "none"
            raise ValueError(f"instrument {instrument.id}: add_venue {instrument.id.venue} first; there are {known}")
        self._instruments[instrument.id] = instrument

    def add_data(
        self,
        data: DataColumns | Sequence[Any],
        client_id: object = None,
        validate: bool = True,
        sort: bool = True,
    ) -> None:
        """Add one stream: columns, or a list of ticks or bars of one kind and instrument.

        Streams are told apart at equal times by the order in which they were added. Raises `DataError` for data that
        cannot be right, ValueError for an unknown instrument or an empty list.
        """
        if not isinstance(data, DataColumns):
            data = self._columns_of(data, sort)
        instrument = self._instrument(data.instrument_id)
        if validate:
            source = f"add_data {data.kind} {data.instrument_id}"
            validate_columns(
                data.kind,
                data.columns,
                instrument,
                source=source,
                allow_crossed=data.allow_crossed,
                check_duplicates=False,
            )
        columns = data.columns
        first = int(columns["ts_init"][0]) if len(data) else None
        self._add_stream(data.kind, data.instrument_id, data.bar_type, lambda: (columns,), len(data), first)

    def add_stream(
        self,
        kind: str,
        instrument_id: InstrumentId,
        batches: Batches,
        bar_type: Any = None,
        rows: int | None = None,
        first_ns: int | None = None,
    ) -> None:
        """Add a stream that is read while the run goes on, so that it need not fit in memory.

        `batches` is called once a run and gives validated columns in time order (a catalogue's `read` does);
        `first_ns`, the time of its first row, is needed unless the run is given a start.
        """
        self._instrument(instrument_id)
        self._add_stream(kind, instrument_id, bar_type, batches, rows, first_ns)

    def _add_stream(
        self,
        kind: str,
        instrument_id: InstrumentId,
        bar_type: Any,
        batches: Batches,
        rows: int | None,
        first: int | None,
    ) -> None:
        spec = StreamSpec(len(self._streams), kind, instrument_id, bar_type)
        self._streams.append(DataStream(spec, batches, rows, first))

    def _columns_of(self, ticks: Sequence[Any], sort: bool) -> DataColumns:
        if not ticks:
            raise ValueError("add_data: the list is empty; give at least one tick or bar")
        first = ticks[0]
        bar_type = getattr(first, "bar_type", None)
        instrument_id = bar_type.instrument_id if bar_type is not None else getattr(first, "instrument_id", None)
        if instrument_id is None:
            raise ValueError(f"add_data takes QuoteTick, TradeTick, Bar or DataColumns, not {type(first).__name__}")
        return columns_from_ticks(ticks, self._instrument(instrument_id), sort=sort)

    def _instrument(self, instrument_id: InstrumentId) -> Instrument:
        found = self._instruments.get(instrument_id)
        if found is None:
            known = ", ".join(str(name) for name in self._instruments) or "none"
            raise ValueError(f"unknown instrument {instrument_id}: add_instrument it first; there are {known}")
        return found

    def add_strategy(self, strategy: Strategy, host: str = "") -> None:
        """Add a strategy; strategies start in this order, host by host.

        `host` names the strategy host that it runs in: each can be a process of its own (`fleet replay`). What a
        strategy of another host does is seen one step later than what a strategy of the same host does.
        """
        self._actors.append(strategy)
        self._hosts.setdefault(host, []).append(strategy)

    def add_strategies(self, strategies: Iterable[Strategy]) -> None:
        for strategy in strategies:
            self.add_strategy(strategy)

    def add_actor(self, actor: Actor) -> None:
        """Add an actor; actors start before strategies."""
        self._actors.append(actor)
        self._hosts[""].append(actor)

    def clear_data(self) -> None:
        self._streams.clear()

    def clear_strategies(self) -> None:
        self._actors = [actor for actor in self._actors if not isinstance(actor, Strategy)]
        self._hosts = {"": list(self._actors)}

    def named_hosts(self) -> list[tuple[str, list[Actor]]]:
        """The strategy hosts and what runs in them; the first has no name unless every strategy was given one."""
        named = [(name, actors) for name, actors in self._hosts.items() if actors]
        return named or [("", [])]

    def plan(self, hosts: list[HostPlan], start_ns: int | None) -> RunPlan:
        """What was added, as data for other processes; `hosts` are its strategies by path.

        Raises PlanError for a model of your own, which other processes do not have.
        """
        config = self.config
        return RunPlan(
            trader_id=self.trader_id,
            instruments=cast("list[AnyInstrument]", list(self._instruments.values())),
            venues=[VenuePlan.of(venue) for venue in self._venues.values()],
            streams=[stream.spec for stream in self._streams],
            hosts=hosts,
            start_ns=start_ns if start_ns is not None else _first_ns(self._streams),
            risk=config.risk_engine,
            bars=config.data_engine,
            equity_interval_ns=config.equity_interval_ns,
            log_level=config.logging.log_level,
        )

    # -- run ---------------------------------------------------------------------------------------------------------

    def run(self, start: dt.datetime | str | int | None = None, end: dt.datetime | str | int | None = None) -> None:
        """Run over all added data, or over those within [start, end]; timers fire up to `end` when it is given.

        An exception of a strategy ends the run and is raised as it is, with a note that says where.
        """
        if not self._venues:
            raise ValueError("there is no venue: add_venue first")
        if not self._streams:
            raise ValueError("there is no data: add_data first")
        if self._run is not None:
            raise RuntimeError("this engine has run; reset() it to run again")
        for venue in self._venues.values():
            venue.fill_model.reset()
        self._run = _Run(self, time_ns(start), time_ns(end))
        BacktestEngine._runs_in_memory += 1
        try:
            with _rare_collections():
                self._run.execute()
        finally:
            self._run.close()

    @classmethod
    def _give_back_memory(cls) -> None:
        """Engines, hosts and strategies refer to each other in circles, which only the collector takes apart."""
        if cls._runs_in_memory:
            cls._runs_in_memory = 0
            gc.collect()

    def reset(self) -> None:
        """Forget the run; data, venues, instruments and strategies stay. A second run gives the same digest."""
        self._run = None
        self._give_back_memory()
        for actor in self._actors:
            actor.reset()

    def dispose(self) -> None:
        """Let go of everything."""
        self._run = None
        self._streams.clear()
        self._actors.clear()
        self._hosts = {"": []}

    # -- results -----------------------------------------------------------------------------------------------------

    def _finished(self) -> _Run:
        if self._run is None:
            raise RuntimeError("there is no run yet: run() first")
        return self._run

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the engines said."""
        return self._finished().log.digest()

    @property
    def event_count(self) -> int:
        """How many messages the engines said."""
        self._finished().log.flush()
        return self._finished().log.count

    @property
    def data_points(self) -> int:
        """How many rows the engines were fed."""
        return self._finished().rows

    @property
    def trader(self) -> BacktestEngine:
        """The engine itself: NautilusTrader's users ask `engine.trader` for the reports."""
        return self

    @property
    def cache(self) -> Cache:
        return self._finished().host.cache

    @property
    def portfolio(self) -> Portfolio:
        return self._finished().host.portfolio

    @property
    def equity_points(self) -> dict[tuple[str, str], list[tuple[int, float, float]]]:
        """Per (account, currency): (ns, balance, unrealised profit)."""
        return self._finished().portfolio.equity.points

    @property
    def warnings(self) -> list[str]:
        """What a user should know of the run: subscriptions that found no data."""
        return [] if self._run is None else [text for host in self._run.hosts for text in host.unmet_subscriptions]

    @property
    def failure(self) -> str | None:
        """What went wrong in which strategy, if the run was ended by one."""
        return next((host.failure for host in self._finished().hosts if host.failure), None)

    def get_result(self) -> BacktestResult:
        run = self._finished()
        return BacktestResult(
            run.log.digest()[:12],
            run.log.digest(),
            self.event_count,
            run.rows,
            len(run.host.order_index),
            len(self.generate_positions_report()),
            run.start_ns,
            run.end_ns,
        )

    def generate_orders_report(self) -> reports.Report:
        return reports.orders_report(self.cache.orders())

    def generate_order_fills_report(self) -> reports.Report:
        """The orders that have fills."""
        return reports.orders_report(order for order in self.cache.orders() if order.fills)

    def generate_fills_report(self) -> reports.Report:
        return reports.fills_report(self.cache.orders())

    def generate_positions_report(self) -> reports.Report:
        return reports.positions_report(self.cache.positions(), self.cache.position_snapshots())

    def generate_account_report(self, venue: Venue | str) -> reports.Report:
        name = venue if isinstance(venue, str) else venue.value
        states = self._finished().portfolio.account_states
        return reports.account_report(state for state in states if state.account_id.value.rpartition("-")[0] == name)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the garbage collector look less often: a run makes many objects that live to its end, and few cycles."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class _Run:
    """The engines of one run, wired: the one place where the topology of a backtest is decided."""

    def __init__(self, owner: BacktestEngine, start_ns: int | None, end_ns: int | None) -> None:
        self.owner = owner
        self._end_ns = end_ns
        self.start_ns = start_ns if start_ns is not None else _first_ns(owner._streams)
        self.end_ns = self.start_ns
        self.rows = 0
        config = owner.config
        instruments = owner._instruments
        specs = [stream.spec for stream in owner._streams]
        accounts = [venue.account for venue in owner._venues.values()]
        data_rank = len(owner._venues)
        self._sink: BinaryIO | None = config.event_log.open("wb") if config.event_log is not None else None
        self.log = EventLog(self._sink)
        self.gateways = [
            ExecutionEngine(venue, instruments, specs, rank, data_rank)
            for rank, venue in enumerate(owner._venues.values())
        ]
        # The engines of one process share one ledger: they would fold the same events into the same state.
        ledger = Ledger(instruments, accounts, MarketView(specs, data_rank), keep_closed=True)
        self.portfolio = PortfolioEngine(ledger, data_rank + 1, config.equity_interval_ns)
        self.risk = RiskEngine(config.risk_engine, instruments, ledger, data_rank + 2)
        self.hosts = self._make_hosts(ledger, specs, data_rank)
        self.host = self.hosts[0]
        bus = MemoryBus(self.log)
        engines: list[Any] = [*self.gateways, self.portfolio, self.risk, *self.hosts]
        self._subscribe(bus, engines)
        sources = [self._source(stream, start_ns, end_ns) for stream in owner._streams]
        self.scheduler = Scheduler(engines, bus, sources, self._on_feed)

    def _make_hosts(self, ledger: Ledger, specs: list[StreamSpec], data_rank: int) -> list[StrategyHostEngine]:
        owner = self.owner
        config = owner.config
        log = LogSettings(config.logging.sink, config.logging.log_level)
        hosts: list[StrategyHostEngine] = []
        number = 0
        for name, actors in owner.named_hosts():
            host = StrategyHostEngine(
                owner.trader_id,
                owner._instruments,
                ledger,
                specs,
                data_rank + 3 + len(hosts),
                data_rank,
                config.data_engine,
                log,
                f"strategy_host.{name}" if name else "strategy_host",
            )
            for actor in sorted(actors, key=lambda actor: isinstance(actor, Strategy)):
                is_strategy = isinstance(actor, Strategy)
                host.add(actor, f"{number:03d}" if is_strategy else None)
                number += is_strategy
            hosts.append(host)
        return hosts

    def _subscribe(self, bus: MemoryBus, engines: list[Any]) -> None:
        """Who hears what: the table that processes are wired from too. All share one ledger here."""
        seats = seat_table(list(self.owner._venues), [name for name, _ in self.owner.named_hosts()])
        for seat, engine in zip(seats, engines, strict=True):
            assert (seat.engine, seat.rank) == (engine.name, engine.rank)
            for item in heard_by(seat, seats):
                bus.subscribe(item.pattern, engine)

    def _source(self, stream: DataStream, start_ns: int | None, end_ns: int | None) -> Iterator[Block]:
        data = DataEngine(stream.spec, self.owner.config.block_rows, start_ns, end_ns)
        return data.blocks(stream.batches())

    def _on_feed(self, block: Block) -> None:
        self.rows += block.row_count
        progress = self.owner.config.on_progress
        if progress is not None:
            progress(self.rows)

    def execute(self) -> None:
        scheduler = self.scheduler
        start = self.start_ns
        first: list[ExecutionEngine | PortfolioEngine] = [*self.gateways, self.portfolio]
        for engine in first:
            scheduler.call(engine, partial(engine.start, outside_tag(start, PHASE_START, engine.rank)))
        try:
            for host in self.hosts:
                scheduler.call(host, partial(host.start, outside_tag(start, PHASE_START, host.rank)))
            scheduler.run(None if self._end_ns is None else (self._end_ns, PHASE_STOP))
            self._stop()
        finally:
            self.end_ns = max(self.end_ns, self.scheduler.last_row_ns, *(host.last_ns for host in self.hosts))
            self.portfolio.finish(self.end_ns)
            self.log.flush()

    def _stop(self) -> None:
        """Stop the strategies at the time of the last datum or timer, and let what they sent be settled."""
        stop = max(self.start_ns, self.scheduler.last_row_ns, *(host.last_ns for host in self.hosts))
        for host in self.hosts:
            self.scheduler.call(host, partial(host.stop, outside_tag(stop, PHASE_STOP, host.rank)))
        self.scheduler.settle()

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()


def _first_ns(streams: list[DataStream]) -> int:
    known = [stream.first_ns for stream in streams if stream.first_ns is not None]
    if not known:
        raise ValueError("there is no row of data: add_data some, or give run() a start")
    return min(known)


def time_ns(value: dt.datetime | str | int | None) -> int | None:
    """Nanoseconds of a time given as ns, ISO text or datetime. Raises ValueError."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an ISO time such as 2024-01-31T09:30:00Z") from None
    return to_ns(value)
