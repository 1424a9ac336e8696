"""Nautilus Fleet: the names that strategies and scripts import, each loaded when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nautilus_fleet.version import __version__

if TYPE_CHECKING:
    from nautilus_common.model.data import Bar as Bar
    from nautilus_common.model.data import BarSpecification as BarSpecification
    from nautilus_common.model.data import BarType as BarType
    from nautilus_common.model.data import QuoteTick as QuoteTick
    from nautilus_common.model.data import TradeTick as TradeTick
    from nautilus_common.model.enums import AccountType as AccountType
    from nautilus_common.model.enums import OmsType as OmsType
    from nautilus_common.model.enums import OrderSide as OrderSide
    from nautilus_common.model.enums import TimeInForce as TimeInForce
    from nautilus_common.model.identifiers import InstrumentId as InstrumentId
    from nautilus_common.model.identifiers import Venue as Venue
    from nautilus_common.model.values import Currency as Currency
    from nautilus_common.model.values import Money as Money
    from nautilus_common.model.values import Price as Price
    from nautilus_common.model.values import Quantity as Quantity
    from nautilus_common.strategy.actor import Actor as Actor
    from nautilus_common.strategy.config import StrategyConfig as StrategyConfig
    from nautilus_common.strategy.indicators import ExponentialMovingAverage as ExponentialMovingAverage
    from nautilus_common.strategy.strategy import Strategy as Strategy

    from nautilus_fleet.backtest import BacktestEngine as BacktestEngine
    from nautilus_fleet.backtest import BacktestEngineConfig as BacktestEngineConfig

# Where each public name lives: importing this package loads none of these modules.
_HOMES = {
    "nautilus_common.model.data": ("Bar", "BarSpecification", "BarType", "QuoteTick", "TradeTick"),
    "nautilus_common.model.enums": ("AccountType", "OmsType", "OrderSide", "TimeInForce"),
    "nautilus_common.model.identifiers": ("InstrumentId", "Venue"),
    "nautilus_common.model.values": ("Currency", "Money", "Price", "Quantity"),
    "nautilus_common.strategy.actor": ("Actor",),
    "nautilus_common.strategy.config": ("StrategyConfig",),
    "nautilus_common.strategy.indicators": ("ExponentialMovingAverage",),
    "nautilus_common.strategy.strategy": ("Strategy",),
    "nautilus_fleet.backtest": ("BacktestEngine", "BacktestEngineConfig"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'nautilus_fleet' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
