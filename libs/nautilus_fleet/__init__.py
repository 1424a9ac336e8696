"""Nautilus Fleet: the names that strategies and scripts import, each loaded when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nautilus_fleet.version import __version__

if TYPE_CHECKING:
    from nautilus_common.aggregation import BarOptions as BarOptions
    from nautilus_common.catalog.catalog import Catalog as Catalog
    from nautilus_common.catalog.columns import DataColumns as DataColumns
    from nautilus_common.catalog.wranglers import BarDataWrangler as BarDataWrangler
    from nautilus_common.catalog.wranglers import QuoteTickDataWrangler as QuoteTickDataWrangler
    from nautilus_common.catalog.wranglers import TradeTickDataWrangler as TradeTickDataWrangler
    from nautilus_common.limits import RateLimit as RateLimit
    from nautilus_common.limits import RiskEngineConfig as RiskEngineConfig
    from nautilus_common.messages.events import AccountState as AccountState
    from nautilus_common.messages.events import OrderAccepted as OrderAccepted
    from nautilus_common.messages.events import OrderCanceled as OrderCanceled
    from nautilus_common.messages.events import OrderCancelRejected as OrderCancelRejected
    from nautilus_common.messages.events import OrderDenied as OrderDenied
    from nautilus_common.messages.events import OrderEvent as OrderEvent
    from nautilus_common.messages.events import OrderExpired as OrderExpired
    from nautilus_common.messages.events import OrderFilled as OrderFilled
    from nautilus_common.messages.events import OrderInitialized as OrderInitialized
    from nautilus_common.messages.events import OrderModifyRejected as OrderModifyRejected
    from nautilus_common.messages.events import OrderPendingCancel as OrderPendingCancel
    from nautilus_common.messages.events import OrderPendingUpdate as OrderPendingUpdate
    from nautilus_common.messages.events import OrderRejected as OrderRejected
    from nautilus_common.messages.events import OrderSubmitted as OrderSubmitted
    from nautilus_common.messages.events import OrderTriggered as OrderTriggered
    from nautilus_common.messages.events import OrderUpdated as OrderUpdated
    from nautilus_common.messages.events import PositionChanged as PositionChanged
    from nautilus_common.messages.events import PositionClosed as PositionClosed
    from nautilus_common.messages.events import PositionEvent as PositionEvent
    from nautilus_common.messages.events import PositionOpened as PositionOpened
    from nautilus_common.messages.events import TimeEvent as TimeEvent
    from nautilus_common.model.data import Bar as Bar
    from nautilus_common.model.data import BarSpecification as BarSpecification
    from nautilus_common.model.data import BarType as BarType
    from nautilus_common.model.data import QuoteTick as QuoteTick
    from nautilus_common.model.data import TradeTick as TradeTick
    from nautilus_common.model.enums import AccountType as AccountType
    from nautilus_common.model.enums import AggressorSide as AggressorSide
    from nautilus_common.model.enums import BarAggregation as BarAggregation
    from nautilus_common.model.enums import LiquiditySide as LiquiditySide
    from nautilus_common.model.enums import LogColor as LogColor
    from nautilus_common.model.enums import OmsType as OmsType
    from nautilus_common.model.enums import OrderSide as OrderSide
    from nautilus_common.model.enums import OrderStatus as OrderStatus
    from nautilus_common.model.enums import OrderType as OrderType
    from nautilus_common.model.enums import PositionSide as PositionSide
    from nautilus_common.model.enums import PriceType as PriceType
    from nautilus_common.model.enums import TimeInForce as TimeInForce
    from nautilus_common.model.enums import TradingState as TradingState
    from nautilus_common.model.enums import TriggerType as TriggerType
    from nautilus_common.model.identifiers import AccountId as AccountId
    from nautilus_common.model.identifiers import ClientOrderId as ClientOrderId
    from nautilus_common.model.identifiers import InstrumentId as InstrumentId
    from nautilus_common.model.identifiers import PositionId as PositionId
    from nautilus_common.model.identifiers import StrategyId as StrategyId
    from nautilus_common.model.identifiers import Symbol as Symbol
    from nautilus_common.model.identifiers import TradeId as TradeId
    from nautilus_common.model.identifiers import TraderId as TraderId
    from nautilus_common.model.identifiers import Venue as Venue
    from nautilus_common.model.identifiers import VenueOrderId as VenueOrderId
    from nautilus_common.model.instruments import CryptoPerpetual as CryptoPerpetual
    from nautilus_common.model.instruments import CurrencyPair as CurrencyPair
    from nautilus_common.model.instruments import Equity as Equity
    from nautilus_common.model.instruments import FuturesContract as FuturesContract
    from nautilus_common.model.instruments import Instrument as Instrument
    from nautilus_common.model.order_base import Order as Order
    from nautilus_common.model.orders import LimitOrder as LimitOrder
    from nautilus_common.model.orders import MarketOrder as MarketOrder
    from nautilus_common.model.orders import StopLimitOrder as StopLimitOrder
    from nautilus_common.model.orders import StopMarketOrder as StopMarketOrder
    from nautilus_common.model.position import Position as Position
    from nautilus_common.model.values import Currency as Currency
    from nautilus_common.model.values import Money as Money
    from nautilus_common.model.values import Price as Price
    from nautilus_common.model.values import Quantity as Quantity
    from nautilus_common.strategy.actor import Actor as Actor
    from nautilus_common.strategy.config import ActorConfig as ActorConfig
    from nautilus_common.strategy.config import StrategyConfig as StrategyConfig
    from nautilus_common.strategy.indicators import AverageTrueRange as AverageTrueRange
    from nautilus_common.strategy.indicators import BollingerBands as BollingerBands
    from nautilus_common.strategy.indicators import ExponentialMovingAverage as ExponentialMovingAverage
    from nautilus_common.strategy.indicators import Indicator as Indicator
    from nautilus_common.strategy.indicators import (
        MovingAverageConvergenceDivergence as MovingAverageConvergenceDivergence,
    )
    from nautilus_common.strategy.indicators import RelativeStrengthIndex as RelativeStrengthIndex
    from nautilus_common.strategy.indicators import SimpleMovingAverage as SimpleMovingAverage
    from nautilus_common.strategy.indicators import WilderMovingAverage as WilderMovingAverage
    from nautilus_common.strategy.strategy import Strategy as Strategy
    from nautilus_common.venues.simulated.models import FillModel as FillModel
    from nautilus_common.venues.simulated.models import LatencyModel as LatencyModel
    from nautilus_common.venues.simulated.models import MakerTakerFeeModel as MakerTakerFeeModel
    from nautilus_common.venues.simulated.rollover import RolloverRates as RolloverRates

    from nautilus_fleet.backtest import BacktestEngine as BacktestEngine
    from nautilus_fleet.backtest import BacktestEngineConfig as BacktestEngineConfig
    from nautilus_fleet.backtest import BacktestResult as BacktestResult
    from nautilus_fleet.backtest import FXRolloverInterestModule as FXRolloverInterestModule
    from nautilus_fleet.backtest import LeveragedMarginModel as LeveragedMarginModel
    from nautilus_fleet.backtest import LoggingConfig as LoggingConfig
    from nautilus_fleet.backtest import StandardMarginModel as StandardMarginModel
    from nautilus_fleet.node import BacktestDataConfig as BacktestDataConfig
    from nautilus_fleet.node import BacktestNode as BacktestNode
    from nautilus_fleet.node import BacktestRunConfig as BacktestRunConfig
    from nautilus_fleet.node import BacktestVenueConfig as BacktestVenueConfig
    from nautilus_fleet.node import ImportableStrategyConfig as ImportableStrategyConfig

# Where each public name lives: importing this package loads none of these modules.
_HOMES = {
    "nautilus_common.aggregation": ("BarOptions",),
    "nautilus_common.catalog.catalog": ("Catalog",),
    "nautilus_common.catalog.columns": ("DataColumns",),
    "nautilus_common.catalog.wranglers": (
        "BarDataWrangler",
        "QuoteTickDataWrangler",
        "TradeTickDataWrangler",
    ),
    "nautilus_common.messages.events": (
        "AccountState",
        "OrderAccepted",
        "OrderCanceled",
        "OrderCancelRejected",
        "OrderDenied",
        "OrderEvent",
        "OrderExpired",
        "OrderFilled",
        "OrderInitialized",
        "OrderModifyRejected",
        "OrderPendingCancel",
        "OrderPendingUpdate",
        "OrderRejected",
        "OrderSubmitted",
        "OrderTriggered",
        "OrderUpdated",
        "PositionChanged",
        "PositionClosed",
        "PositionEvent",
        "PositionOpened",
        "TimeEvent",
    ),
    "nautilus_common.model.data": (
        "Bar",
        "BarSpecification",
        "BarType",
        "QuoteTick",
        "TradeTick",
    ),
    "nautilus_common.model.enums": (
        "AccountType",
        "AggressorSide",
        "BarAggregation",
        "LiquiditySide",
        "LogColor",
        "OmsType",
        "OrderSide",
        "OrderStatus",
        "OrderType",
        "PositionSide",
        "PriceType",
        "TimeInForce",
        "TradingState",
        "TriggerType",
    ),
    "nautilus_common.model.identifiers": (
        "AccountId",
        "ClientOrderId",
        "InstrumentId",
        "PositionId",
        "StrategyId",
        "Symbol",
        "TradeId",
        "TraderId",
        "Venue",
        "VenueOrderId",
    ),
    "nautilus_common.model.instruments": (
        "CryptoPerpetual",
        "CurrencyPair",
        "Equity",
        "FuturesContract",
        "Instrument",
    ),
    "nautilus_common.model.orders": (
        "LimitOrder",
        "MarketOrder",
        "StopLimitOrder",
        "StopMarketOrder",
    ),
    "nautilus_common.model.order_base": ("Order",),
    "nautilus_common.model.position": ("Position",),
    "nautilus_common.model.values": (
        "Currency",
        "Money",
        "Price",
        "Quantity",
    ),
    "nautilus_common.strategy.actor": ("Actor",),
    "nautilus_common.strategy.config": (
        "ActorConfig",
        "StrategyConfig",
    ),
    "nautilus_common.strategy.indicators": (
        "AverageTrueRange",
        "BollingerBands",
        "ExponentialMovingAverage",
        "Indicator",
        "MovingAverageConvergenceDivergence",
        "RelativeStrengthIndex",
        "SimpleMovingAverage",
        "WilderMovingAverage",
    ),
    "nautilus_common.strategy.strategy": ("Strategy",),
    "nautilus_common.venues.simulated.models": (
        "FillModel",
        "LatencyModel",
        "MakerTakerFeeModel",
    ),
    "nautilus_common.venues.simulated.rollover": ("RolloverRates",),
    "nautilus_fleet.backtest": (
        "BacktestEngine",
        "BacktestEngineConfig",
        "BacktestResult",
        "FXRolloverInterestModule",
        "LeveragedMarginModel",
        "LoggingConfig",
        "StandardMarginModel",
    ),
    "nautilus_fleet.node": (
        "BacktestDataConfig",
        "BacktestNode",
        "BacktestRunConfig",
        "BacktestVenueConfig",
        "ImportableStrategyConfig",
    ),
    "nautilus_common.limits": (
        "RateLimit",
        "RiskEngineConfig",
    ),
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
