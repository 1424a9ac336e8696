"""The enumerations of the trading domain, with NautilusTrader's member values, and their text functions.

Every enum is an `IntEnum`, so messages carry plain integers. For each there is `<enum>_to_str(value)` (value or
integer to member name) and `<enum>_from_str(text)` (name to member, case-insensitive; `ValueError` names the choices).
"""

from collections.abc import Callable
from enum import Enum, IntEnum, unique
from typing import TypeVar


@unique
class AccountType(IntEnum):
    """How an account holds and lends value."""

    CASH = 1
    MARGIN = 2
    BETTING = 3
    WALLET = 4


@unique
class AggregationSource(IntEnum):
    """Who builds the bars: the venue (EXTERNAL) or we (INTERNAL)."""

    EXTERNAL = 1
    INTERNAL = 2


@unique
class AggressorSide(IntEnum):
    """The side that took liquidity in a trade."""

    NO_AGGRESSOR = 0
    BUYER = 1
    SELLER = 2


@unique
class AssetClass(IntEnum):
    """What an instrument is a claim on."""

    FX = 1
    EQUITY = 2
    COMMODITY = 3
    DEBT = 4
    INDEX = 5
    CRYPTOCURRENCY = 6
    ALTERNATIVE = 7


@unique
class BarAggregation(IntEnum):
    """The rule that closes a bar."""

    TICK = 1
    TICK_IMBALANCE = 2
    TICK_RUNS = 3
    VOLUME = 4
    VOLUME_IMBALANCE = 5
    VOLUME_RUNS = 6
    VALUE = 7
    VALUE_IMBALANCE = 8
    VALUE_RUNS = 9
    MILLISECOND = 10
    SECOND = 11
    MINUTE = 12
    HOUR = 13
    DAY = 14
    WEEK = 15
    MONTH = 16
    YEAR = 17
    RENKO = 18


@unique
class BarIntervalType(IntEnum):
    """Which end of a time bar's interval is open (excluded)."""

    LEFT_OPEN = 1
    RIGHT_OPEN = 2


@unique
class BookAction(IntEnum):
    """What a delta does to an order book."""

    ADD = 1
    UPDATE = 2
    DELETE = 3
    CLEAR = 4


@unique
class BookType(IntEnum):
    """The depth of an order book."""

    L1_MBP = 1
    L2_MBP = 2
    L3_MBO = 3


@unique
class ContingencyType(IntEnum):
    """How linked orders affect each other."""

    NO_CONTINGENCY = 0
    OCO = 1
    OTO = 2
    OUO = 3


@unique
class CurrencyType(IntEnum):
    """The kind of a currency."""

    CRYPTO = 1
    FIAT = 2
    COMMODITY_BACKED = 3


@unique
class InstrumentClass(IntEnum):
    """The legal form of an instrument."""

    SPOT = 1
    SWAP = 2
    FUTURE = 3
    FUTURES_SPREAD = 4
    FORWARD = 5
    CFD = 6
    BOND = 7
    OPTION = 8
    OPTION_SPREAD = 9
    WARRANT = 10
    SPORTS_BETTING = 11
    BINARY_OPTION = 12


@unique
class InstrumentCloseType(IntEnum):
    """Why an instrument closed."""

    END_OF_SESSION = 1
    CONTRACT_EXPIRED = 2


@unique
class LiquiditySide(IntEnum):
    """Whether a fill made or took liquidity."""

    NO_LIQUIDITY_SIDE = 0
    MAKER = 1
    TAKER = 2


@unique
class MarketStatus(IntEnum):
    """Whether a market trades now."""

    OPEN = 1
    CLOSED = 2
    PAUSED = 3
    SUSPENDED = 5
    NOT_AVAILABLE = 6


@unique
class MarketStatusAction(IntEnum):
    """What a venue says happened to a market."""

    NONE = 0
    PRE_OPEN = 1
    PRE_CROSS = 2
    QUOTING = 3
    CROSS = 4
    ROTATION = 5
    NEW_PRICE_INDICATION = 6
    TRADING = 7
    HALT = 8
    PAUSE = 9
    SUSPEND = 10
    PRE_CLOSE = 11
    CLOSE = 12
    POST_CLOSE = 13
    SHORT_SELL_RESTRICTION_CHANGE = 14
    NOT_AVAILABLE_FOR_TRADING = 15


@unique
class OmsType(IntEnum):
    """How fills map to positions: one per instrument (NETTING) or many (HEDGING)."""

    UNSPECIFIED = 0
    NETTING = 1
    HEDGING = 2


@unique
class OptionKind(IntEnum):
    """The right an option gives."""

    CALL = 1
    PUT = 2


@unique
class OrderSide(IntEnum):
    """The side of an order."""

    NO_ORDER_SIDE = 0
    BUY = 1
    SELL = 2


@unique
class OrderStatus(IntEnum):
    """Where an order stands in its lifecycle."""

    INITIALIZED = 1
    DENIED = 2
    EMULATED = 3
    RELEASED = 4
    SUBMITTED = 5
    ACCEPTED = 6
    REJECTED = 7
    CANCELED = 8
    EXPIRED = 9
    TRIGGERED = 10
    PENDING_UPDATE = 11
    PENDING_CANCEL = 12
    PARTIALLY_FILLED = 13
    FILLED = 14
    VOIDED = 15


@unique
class OrderType(IntEnum):
    """The type of an order."""

    MARKET = 1
    LIMIT = 2
    STOP_MARKET = 3
    STOP_LIMIT = 4
    MARKET_TO_LIMIT = 5
    MARKET_IF_TOUCHED = 6
    LIMIT_IF_TOUCHED = 7
    TRAILING_STOP_MARKET = 8
    TRAILING_STOP_LIMIT = 9


@unique
class OtoTriggerMode(IntEnum):
    """Whether a partial or only a full fill of the parent releases its children."""

    PARTIAL = 0
    FULL = 1


@unique
class PositionAdjustmentType(IntEnum):
    """Why a position changed without a fill."""

    COMMISSION = 1
    FUNDING = 2


@unique
class PositionSide(IntEnum):
    """The side of a position."""

    NO_POSITION_SIDE = 0
    FLAT = 1
    LONG = 2
    SHORT = 3


@unique
class PriceType(IntEnum):
    """Which price of the market is meant."""

    BID = 1
    ASK = 2
    MID = 3
    LAST = 4
    MARK = 5


@unique
class RecordFlag(IntEnum):
    """Bits of an order book record's `flags`."""

    F_LAST = 128
    F_TOB = 64
    F_SNAPSHOT = 32
    F_MBP = 16
    RESERVED_2 = 8
    RESERVED_1 = 4


@unique
class TimeInForce(IntEnum):
    """How long an order works."""

    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4
    DAY = 5
    AT_THE_OPEN = 6
    AT_THE_CLOSE = 7


@unique
class TradingState(IntEnum):
    """What the risk engine lets through."""

    ACTIVE = 1
    HALTED = 2
    REDUCING = 3


@unique
class TrailingOffsetType(IntEnum):
    """The unit of a trailing offset."""

    NO_TRAILING_OFFSET = 0
    PRICE = 1
    BASIS_POINTS = 2
    TICKS = 3
    PRICE_TIER = 4


@unique
class TriggerType(IntEnum):
    """The price that triggers an order."""

    NO_TRIGGER = 0
    DEFAULT = 1
    LAST_PRICE = 2
    MARK_PRICE = 3
    INDEX_PRICE = 4
    BID_ASK = 5
    DOUBLE_LAST = 6
    DOUBLE_BID_ASK = 7
    LAST_OR_BID_ASK = 8
    MID_POINT = 9


@unique
class ComponentState(IntEnum):
    """Where a component stands in its lifecycle."""

    PRE_INITIALIZED = 0
    READY = 1
    STARTING = 2
    RUNNING = 3
    STOPPING = 4
    STOPPED = 5
    RESUMING = 6
    RESETTING = 7
    DISPOSING = 8
    DISPOSED = 9
    DEGRADING = 10
    DEGRADED = 11
    FAULTING = 12
    FAULTED = 13


@unique
class ComponentTrigger(IntEnum):
    """What moves a component from one state to another."""

    INITIALIZE = 1
    START = 2
    START_COMPLETED = 3
    STOP = 4
    STOP_COMPLETED = 5
    RESUME = 6
    RESUME_COMPLETED = 7
    RESET = 8
    RESET_COMPLETED = 9
    DISPOSE = 10
    DISPOSE_COMPLETED = 11
    DEGRADE = 12
    DEGRADE_COMPLETED = 13
    FAULT = 14
    FAULT_COMPLETED = 15


@unique
class LogColor(IntEnum):
    """The colour of a log line."""

    NORMAL = 0
    GREEN = 1
    BLUE = 2
    MAGENTA = 3
    CYAN = 4
    YELLOW = 5
    RED = 6


@unique
class LogLevel(IntEnum):
    """The least severe level that is logged."""

    OFF = 0
    TRACE = 1
    DEBUG = 2
    INFO = 3
    WARNING = 4
    ERROR = 5


@unique
class ContinuousFutureAdjustmentType(Enum):
    """How prices are adjusted where one future rolls into the next."""

    BACKWARD_SPREAD = "backward_spread"
    FORWARD_SPREAD = "forward_spread"
    BACKWARD_RATIO = "backward_ratio"
    FORWARD_RATIO = "forward_ratio"


_E = TypeVar("_E", bound=IntEnum)


def _text_functions(kind: type[_E]) -> tuple[Callable[[int], str], Callable[[str], _E]]:
    """The pair (`to_str`, `from_str`) of `kind`."""
    members = dict(kind.__members__)

    def to_str(value: int) -> str:
        """The member name of `value`; `ValueError` when there is none."""
        return kind(value).name

    def from_str(value: str) -> _E:
        """The member named `value`, in any case; `ValueError` lists the choices."""
        member = members.get(value.upper())
        if member is None:
            raise ValueError(f"{value!r} is not a {kind.__name__}: use one of {', '.join(members)}")
        return member

    return to_str, from_str


account_type_to_str, account_type_from_str = _text_functions(AccountType)
aggregation_source_to_str, aggregation_source_from_str = _text_functions(AggregationSource)
aggressor_side_to_str, aggressor_side_from_str = _text_functions(AggressorSide)
asset_class_to_str, asset_class_from_str = _text_functions(AssetClass)
bar_aggregation_to_str, bar_aggregation_from_str = _text_functions(BarAggregation)
bar_interval_type_to_str, bar_interval_type_from_str = _text_functions(BarIntervalType)
book_action_to_str, book_action_from_str = _text_functions(BookAction)
book_type_to_str, book_type_from_str = _text_functions(BookType)
contingency_type_to_str, contingency_type_from_str = _text_functions(ContingencyType)
currency_type_to_str, currency_type_from_str = _text_functions(CurrencyType)
instrument_class_to_str, instrument_class_from_str = _text_functions(InstrumentClass)
instrument_close_type_to_str, instrument_close_type_from_str = _text_functions(InstrumentCloseType)
liquidity_side_to_str, liquidity_side_from_str = _text_functions(LiquiditySide)
market_status_to_str, market_status_from_str = _text_functions(MarketStatus)
market_status_action_to_str, market_status_action_from_str = _text_functions(MarketStatusAction)
oms_type_to_str, oms_type_from_str = _text_functions(OmsType)
option_kind_to_str, option_kind_from_str = _text_functions(OptionKind)
order_side_to_str, order_side_from_str = _text_functions(OrderSide)
order_status_to_str, order_status_from_str = _text_functions(OrderStatus)
order_type_to_str, order_type_from_str = _text_functions(OrderType)
oto_trigger_mode_to_str, oto_trigger_mode_from_str = _text_functions(OtoTriggerMode)
position_adjustment_type_to_str, position_adjustment_type_from_str = _text_functions(PositionAdjustmentType)
position_side_to_str, position_side_from_str = _text_functions(PositionSide)
price_type_to_str, price_type_from_str = _text_functions(PriceType)
record_flag_to_str, record_flag_from_str = _text_functions(RecordFlag)
time_in_force_to_str, time_in_force_from_str = _text_functions(TimeInForce)
trading_state_to_str, trading_state_from_str = _text_functions(TradingState)
trailing_offset_type_to_str, trailing_offset_type_from_str = _text_functions(TrailingOffsetType)
trigger_type_to_str, trigger_type_from_str = _text_functions(TriggerType)
component_state_to_str, component_state_from_str = _text_functions(ComponentState)
component_trigger_to_str, component_trigger_from_str = _text_functions(ComponentTrigger)
log_color_to_str, log_color_from_str = _text_functions(LogColor)
log_level_to_str, log_level_from_str = _text_functions(LogLevel)

__all__ = [
    "AccountType",
    "AggregationSource",
    "AggressorSide",
    "AssetClass",
    "BarAggregation",
    "BarIntervalType",
    "BookAction",
    "BookType",
    "ComponentState",
    "ComponentTrigger",
    "ContingencyType",
    "ContinuousFutureAdjustmentType",
    "CurrencyType",
    "InstrumentClass",
    "InstrumentCloseType",
    "LiquiditySide",
    "LogColor",
    "LogLevel",
    "MarketStatus",
    "MarketStatusAction",
    "OmsType",
    "OptionKind",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "OtoTriggerMode",
    "PositionAdjustmentType",
    "PositionSide",
    "PriceType",
    "RecordFlag",
    "TimeInForce",
    "TradingState",
    "TrailingOffsetType",
    "TriggerType",
    "account_type_from_str",
    "account_type_to_str",
    "aggregation_source_from_str",
    "aggregation_source_to_str",
    "aggressor_side_from_str",
    "aggressor_side_to_str",
    "asset_class_from_str",
    "asset_class_to_str",
    "bar_aggregation_from_str",
    "bar_aggregation_to_str",
    "bar_interval_type_from_str",
    "bar_interval_type_to_str",
    "book_action_from_str",
    "book_action_to_str",
    "book_type_from_str",
    "book_type_to_str",
    "component_state_from_str",
    "component_state_to_str",
    "component_trigger_from_str",
    "component_trigger_to_str",
    "contingency_type_from_str",
    "contingency_type_to_str",
    "currency_type_from_str",
    "currency_type_to_str",
    "instrument_class_from_str",
    "instrument_class_to_str",
    "instrument_close_type_from_str",
    "instrument_close_type_to_str",
    "liquidity_side_from_str",
    "liquidity_side_to_str",
    "log_color_from_str",
    "log_color_to_str",
    "log_level_from_str",
    "log_level_to_str",
    "market_status_action_from_str",
    "market_status_action_to_str",
    "market_status_from_str",
    "market_status_to_str",
    "oms_type_from_str",
    "oms_type_to_str",
    "option_kind_from_str",
    "option_kind_to_str",
    "order_side_from_str",
    "order_side_to_str",
    "order_status_from_str",
    "order_status_to_str",
    "order_type_from_str",
    "order_type_to_str",
    "oto_trigger_mode_from_str",
    "oto_trigger_mode_to_str",
    "position_adjustment_type_from_str",
    "position_adjustment_type_to_str",
    "position_side_from_str",
    "position_side_to_str",
    "price_type_from_str",
    "price_type_to_str",
    "record_flag_from_str",
    "record_flag_to_str",
    "time_in_force_from_str",
    "time_in_force_to_str",
    "trading_state_from_str",
    "trading_state_to_str",
    "trailing_offset_type_from_str",
    "trailing_offset_type_to_str",
    "trigger_type_from_str",
    "trigger_type_to_str",
]
