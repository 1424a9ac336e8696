"""BacktestNode: runs described as data - venues, catalogue data, strategies by import path - one after another.

    node = BacktestNode([BacktestRunConfig(engine=..., venues=[...], data=[...])])
    results = node.run()

Names and fields are NautilusTrader's. It drives the same `BacktestEngine` as a script or `fleet backtest` does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nautilus_common.catalog.catalog import Catalog
from nautilus_common.catalog.columns import Columns
from nautilus_common.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_common.model.enums import AccountType, OmsType
from nautilus_common.model.identifiers import InstrumentId, Venue
from nautilus_common.model.values import Currency, Money
from nautilus_common.venues.simulated.models import FillModel, LatencyModel

from nautilus_fleet.backtest import BacktestEngine, BacktestEngineConfig, BacktestResult
from nautilus_fleet.errors import NoDataError
from services.strategy_host.loading import convert_params

if TYPE_CHECKING:
    from nautilus_common.catalog.manifest import CatalogEntry
    from nautilus_common.strategy.strategy import Strategy

Moment = dt.datetime | str | int | None

_KIND_OF = {"QuoteTick": "quote", "TradeTick": "trade", "Bar": "bar"}


@dataclass(frozen=True, kw_only=True)
class BacktestVenueConfig:
    """One simulated venue and its account; balances and leverages are texts or Decimals, never floats."""

    name: str
    oms_type: OmsType | str
    account_type: AccountType | str
    starting_balances: list[str]
    base_currency: str | None = None
    default_leverage: Decimal | str | int | None = None
    leverages: dict[str, Decimal | str | int] = field(default_factory=dict)
    fill_model: FillModel | None = None
    latency_model: LatencyModel | None = None
    options: dict[str, bool] = field(default_factory=dict)
    """Further flags of `BacktestEngine.add_venue`, such as ``{"bar_execution": False}``."""


@dataclass(frozen=True, kw_only=True)
class BacktestDataConfig:
    """What to take from a catalogue: a kind of data, of all instruments or of those named."""

    catalog_path: str
    data_cls: type[QuoteTick] | type[TradeTick] | type[Bar] | str
    instrument_id: InstrumentId | str | None = None
    instrument_ids: list[str] | None = None
    bar_types: list[str] | None = None
    start_time: Moment = None
    end_time: Moment = None

    @property
    def kind(self) -> str:
        """The catalogue's word for the class. Raises ValueError."""
        name = self.data_cls if isinstance(self.data_cls, str) else self.data_cls.__name__
        name = name.rpartition(":")[2]
        if name not in _KIND_OF:
            raise ValueError(f"data_cls {name!r} is not available yet; use {', '.join(_KIND_OF)}")
        return _KIND_OF[name]

    def takes(self, entry: CatalogEntry) -> bool:
        """True when an entry of the catalogue is asked for."""
        wanted = [str(self.instrument_id)] if self.instrument_id is not None else self.instrument_ids
        return (
            entry.kind == self.kind
            and (wanted is None or str(entry.instrument_id) in wanted)
            and (self.bar_types is None or str(entry.bar_type) in self.bar_types)
        )


@dataclass(frozen=True, kw_only=True)
class ImportableStrategyConfig:
    """A strategy by import path: ``strategy_path="pkg.mod:Class"``, ``config_path="pkg.mod:Config"`` and its values."""

    strategy_path: str
    config_path: str
    config: dict[str, Any] = field(default_factory=dict)

    def create(self) -> Strategy:
        """The strategy. Raises ValueError naming the path or the field."""
        strategy: Strategy = _import(self.strategy_path)(convert_params(_import(self.config_path), self.config))
        return strategy


@dataclass(frozen=True, kw_only=True)
class BacktestRunConfig:
    """One run. `chunk_size` rows of a stream are in memory at once; None reads each stream whole."""

    venues: list[BacktestVenueConfig]
    data: list[BacktestDataConfig]
    engine: BacktestEngineConfig = field(default_factory=BacktestEngineConfig)
    strategies: list[ImportableStrategyConfig] = field(default_factory=list)
    chunk_size: int | None = None
    start: Moment = None
    end: Moment = None
    raise_exception: bool = True
    dispose_on_completion: bool = True
    name: str = ""

    @property
    def id(self) -> str:
        """What the run is called by; made of its content when it was given no name."""
        import hashlib

        return self.name or hashlib.sha256(repr(self).encode()).hexdigest()[:12]


class BacktestNode:
    """Runs configurations in order, each in an engine of its own."""

    def __init__(self, configs: Sequence[BacktestRunConfig]) -> None:
        if not configs:
            raise ValueError("BacktestNode needs at least one BacktestRunConfig")
        self.configs = list(configs)
        self._engines: dict[str, BacktestEngine] = {}

    def get_engine(self, run_config_id: str) -> BacktestEngine | None:
        """The engine of a run; kept when the run is not disposed on completion."""
        return self._engines.get(run_config_id)

    def get_engines(self) -> list[BacktestEngine]:
        return list(self._engines.values())

    def build(self) -> None:
        """Make the engine of every run that has none: venues, instruments, data and strategies."""
        for config in self.configs:
            if config.id not in self._engines:
                self._engines[config.id] = build_engine(config)

    def run(self) -> list[BacktestResult]:
        """Run everything and return the results, in order.

        Raises `NoDataError` for a run that matches no data; an exception of a strategy is raised, or, with
        `raise_exception` off, leaves its run out of the results.
        """
        self.build()
        results = []
        for config in self.configs:
            engine = self._engines[config.id]
            try:
                engine.run(config.start, config.end)
            except Exception:
                if config.raise_exception:
                    raise
                continue
            results.append(engine.get_result())
            if config.dispose_on_completion:
                engine.dispose()
                del self._engines[config.id]
        return results

    def dispose(self) -> None:
        """Let go of all engines."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()


def build_engine(config: BacktestRunConfig) -> BacktestEngine:
    """The engine that a configuration describes."""
    engine = BacktestEngine(config.engine)
    for venue in config.venues:
        engine.add_venue(**_venue_arguments(venue))
    for data in config.data:
        _add_data(engine, config, data)
    for strategy in config.strategies:
        engine.add_strategy(strategy.create())
    return engine


def _venue_arguments(config: BacktestVenueConfig) -> dict[str, Any]:
    oms, account = config.oms_type, config.account_type
    leverage = config.default_leverage
    return config.options | {
        "venue": Venue(config.name),
        "oms_type": OmsType[oms] if isinstance(oms, str) else oms,
        "account_type": AccountType[account] if isinstance(account, str) else account,
        "starting_balances": [Money.from_str(text) for text in config.starting_balances],
        "base_currency": None if config.base_currency is None else Currency.from_str(config.base_currency),
        "default_leverage": None if leverage is None else Decimal(leverage),
        "leverages": {InstrumentId.from_str(key): Decimal(value) for key, value in config.leverages.items()},
        "fill_model": config.fill_model,
        "latency_model": config.latency_model,
    }


def _add_data(engine: BacktestEngine, config: BacktestRunConfig, data: BacktestDataConfig) -> None:
    catalog = Catalog(data.catalog_path)
    start = data.start_time if data.start_time is not None else config.start
    end = data.end_time if data.end_time is not None else config.end
    found = False
    for entry in catalog.entries():
        if not data.takes(entry):
            continue
        instrument = catalog.instrument(entry.instrument_id)
        bar_type = BarType.from_str(str(entry.bar_type)) if entry.bar_type else None

        def batches(
            kind: str = entry.kind, instrument_id: InstrumentId = instrument.id, bars: BarType | None = bar_type
        ) -> Iterable[Columns]:
            return catalog.read(kind, instrument_id, bars, start, end, config.chunk_size or 2**62)

        first = next((int(part["ts_init"][0]) for part in batches() if len(part["ts_init"])), None)
        if first is None:
            continue
        found = True
        engine.add_instrument(instrument)
        engine.add_stream(entry.kind, instrument.id, batches, bar_type, entry.rows, first)
    if not found:
        wanted = data.instrument_id or ", ".join(data.instrument_ids or []) or "any instrument"
        known = "; ".join(f"{e.kind} {e.bar_type or e.instrument_id}" for e in catalog.entries()) or "nothing"
        raise NoDataError(f"no {data.kind} data of {wanted} in {data.catalog_path}: the catalogue has {known}")


def _import(path: str) -> Any:
    module, colon, name = path.rpartition(":")
    if not colon:
        raise ValueError(f"import path {path!r} names no class; write it as package.module:Class")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ValueError(f"import path {path!r}: there is no module {error.name}") from None
    except AttributeError:
        raise ValueError(f"import path {path!r}: {module} has no {name}") from None
