"""A run as data: all that its engines are made of, so that they can be made in any process.

Who sits where follows from it: `seats` names every engine with its rank and what it listens to. One process and many
are wired from the same table, so they cannot be wired differently.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nautilus_common.aggregation import BarOptions
from nautilus_common.limits import RiskEngineConfig
from nautilus_common.messages import subjects
from nautilus_common.model.account import AccountSpec
from nautilus_common.model.identifiers import InstrumentId, TraderId, Venue
from nautilus_common.model.instruments import CryptoPerpetual, CurrencyPair, Equity, FuturesContract, Instrument
from nautilus_common.model.ledger import Ledger
from nautilus_common.streams import MarketView, StreamSpec
from nautilus_common.venues.simulated.config import SimulatedVenueConfig
from nautilus_common.venues.simulated.models import FillModel, LatencyModel, MakerTakerFeeModel
from nautilus_common.venues.simulated.rollover import RolloverRates

AnyInstrument = CurrencyPair | CryptoPerpetual | Equity | FuturesContract
HOUR_NS = 3_600_000_000_000


class PlanError(ValueError):
    """A run that cannot be given to processes: says what in it is not data."""


class FillPlan(msgspec.Struct, frozen=True):
    """Chances in fills, and the seed that they are drawn with."""

    prob_fill_on_limit: float = 1.0
    prob_slippage: float = 0.0
    random_seed: int | None = None


class LatencyPlan(msgspec.Struct, frozen=True):
    """Nanoseconds on the way to the venue, base included."""

    base_ns: int
    insert_ns: int
    update_ns: int
    cancel_ns: int


class VenuePlan(msgspec.Struct, frozen=True):
    """A simulated venue: `SimulatedVenueConfig` with its models as numbers."""

    venue: Venue
    account: AccountSpec
    fill: FillPlan
    latency: LatencyPlan | None
    rollover_rates: RolloverRates | None
    rules: dict[str, bool]

    @classmethod
    def of(cls, config: SimulatedVenueConfig) -> VenuePlan:
        """The plan of a configured venue. Raises PlanError for a model of somebody's own."""
        for model, ours in ((config.fill_model, FillModel), (config.fee_model, MakerTakerFeeModel)):
            if type(model) is not ours:
                raise PlanError(
                    f"venue {config.venue}: {type(model).__name__} is a class of your own, which other processes do "
                    f"not have; over processes use {ours.__name__}"
                )
        fill, latency = config.fill_model, config.latency_model
        rules = {name: getattr(config, name) for name in _RULES}
        plan = FillPlan(fill.prob_fill_on_limit, fill.prob_slippage, fill.random_seed)
        delays = None
        if latency is not None:
            base = latency.base_latency_nanos
            own = (latency.insert_latency_nanos, latency.update_latency_nanos, latency.cancel_latency_nanos)
            delays = LatencyPlan(base, *(value - base for value in own))
        return cls(config.venue, config.account, plan, delays, config.rollover_rates, rules)

    def config(self) -> SimulatedVenueConfig:
        """The venue's configuration, with new models."""
        fill, delays = self.fill, self.latency
        return SimulatedVenueConfig(
            self.venue,
            self.account,
            FillModel(fill.prob_fill_on_limit, fill.prob_slippage, fill.random_seed),
            MakerTakerFeeModel(),
            None
            if delays is None
            else LatencyModel(delays.base_ns, delays.insert_ns, delays.update_ns, delays.cancel_ns),
            self.rollover_rates,
            **self.rules,
        )


_RULES = (
    "reject_stop_orders",
    "support_gtd_orders",
    "use_reduce_only",
    "use_market_order_acks",
    "bar_execution",
    "bar_adaptive_high_low_ordering",
    "trade_execution",
)


class StrategyPlan(msgspec.Struct, frozen=True):
    """A strategy by path, as a configuration names it; `sha256` is that of its file, empty for a module."""

    path: str
    params: dict[str, Any] = {}
    sha256: str = ""
    default_tag: str = "000"


class HostPlan(msgspec.Struct, frozen=True):
    """The strategies of one host, in order; the first host of a run has no name."""

    name: str = ""
    strategies: list[StrategyPlan] = []


class Listening(msgspec.Struct, frozen=True):
    """A pattern of channels that an engine hears.

    On hearing one that is `silent` it says nothing that any engine hears. What it hears `for_ledger` only keeps its
    ledger: where the ledger is shared with an engine that hears the same in any case, it need not.
    """

    pattern: str
    silent: bool = False
    for_ledger: bool = False


class Seat(msgspec.Struct, frozen=True):
    """One engine of a run. A reactive one never speaks unless it is spoken to."""

    engine: str
    role: str
    rank: int
    listens: tuple[Listening, ...]
    reactive: bool = False


def seat_table(venues: list[Venue], hosts: list[str]) -> list[Seat]:
    """Every engine of a run in the order of rank: venues, (market data), portfolio, risk, strategy hosts."""
    seats = []
    heard: tuple[Listening, ...]
    for rank, venue in enumerate(venues):
        heard = (Listening(subjects.execution_commands(venue)), Listening(subjects.venue_commands(venue)))
        seats.append(Seat(f"execution.{venue}", "execution_gateway", rank, heard))
    rank = len(venues) + 1
    orders, money = "evt.order.>", "evt.adjustment.>"
    asked = Listening("cmd.risk.>", silent=True, for_ledger=True)
    # What the portfolio says of positions and accounts is heard by no engine: for a scheduler it is silent.
    heard = (Listening(orders, silent=True), Listening(money, silent=True), asked)
    seats.append(Seat("portfolio", "portfolio", rank, heard, reactive=True))
    folded = (Listening(orders, silent=True, for_ledger=True), Listening(money, silent=True, for_ledger=True))
    seats.append(Seat("risk", "risk", rank + 1, (Listening("cmd.risk.>"), *folded), reactive=True))
    for number, name in enumerate(hosts):
        heard = (Listening(orders), folded[1])
        if len(hosts) > 1:  # a host must know the orders of the others, whose fills move its balances too
            heard = (*heard, Listening("cmd.risk.>", silent=True))
        engine = f"strategy_host.{name}" if name else "strategy_host"
        seats.append(Seat(engine, "strategy_host", rank + 2 + number, heard))
    return seats


def heard_by(seat: Seat, together: list[Seat]) -> list[Listening]:
    """What the engine of `seat` must hear where it shares a ledger with those of `together`."""
    known = {item.pattern for other in together if other is not seat for item in other.listens if not item.for_ledger}
    return [item for item in seat.listens if not (item.for_ledger and item.pattern in known)]


class RunPlan(msgspec.Struct, frozen=True):
    """A run."""

    trader_id: TraderId
    instruments: list[AnyInstrument]
    venues: list[VenuePlan]
    streams: list[StreamSpec]
    hosts: list[HostPlan]
    start_ns: int
    risk: RiskEngineConfig = RiskEngineConfig()
    bars: BarOptions = BarOptions()
    equity_interval_ns: int = HOUR_NS
    log_level: str = "WARNING"

    @property
    def data_rank(self) -> int:
        """The rank of market data: after the venues, before everybody else."""
        return len(self.venues)

    def instruments_by_id(self) -> dict[InstrumentId, Instrument]:
        return {instrument.id: instrument for instrument in self.instruments}

    def new_ledger(self, *, keep_closed: bool) -> Ledger:
        """A ledger as the run begins; the engines of one process share one (ADR 0005).

        `keep_closed`: closed lives of a position id that was used again are kept too; only strategies look them up.
        """
        accounts = [venue.account for venue in self.venues]
        view = MarketView(self.streams, self.data_rank)
        return Ledger(self.instruments_by_id(), accounts, view, keep_closed=keep_closed)

    def seats(self) -> list[Seat]:
        """Every engine in the order of rank."""
        return seat_table([venue.venue for venue in self.venues], [host.name for host in self.hosts])

    def host_of(self, engine: str) -> HostPlan:
        """The host that `engine` names."""
        name = engine.partition(".")[2]
        return next(host for host in self.hosts if host.name == name)

    def venue_of(self, engine: str) -> VenuePlan:
        """The venue whose execution engine is `engine`."""
        name = engine.partition(".")[2]
        return next(venue for venue in self.venues if venue.venue.value == name)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(RunPlan)


def encode_plan(plan: RunPlan) -> bytes:
    """The plan's bytes. Raises PlanError for what is not data."""
    try:
        data = _ENCODER.encode(plan)
        _DECODER.decode(data)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise PlanError(f"the run cannot be given to other processes: {error}") from error
    return data


def decode_plan(data: bytes) -> RunPlan:
    """The plan in `data`. Raises PlanError."""
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise PlanError(f"not the plan of a run, or one of another version: {error}") from error
