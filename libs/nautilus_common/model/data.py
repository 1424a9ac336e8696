"""Market data seen by strategies: `QuoteTick`, `TradeTick`, `Bar`; and what names bars: `BarType`.

Ticks and bars are made by the million by `map(QuoteTick, repeat(instrument_id), bids, ...)`, so they have no
Python-level constructor and are **not checked when made**; `check()` on each refuses what NautilusTrader's constructors
refuse, and is called where data enters (hand-made ticks by `add_data`, columns by the block validators).

Text of a bar type, parsed from the right since a symbol may hold hyphens, in any case:
`{symbol}.{venue}-{step}-{aggregation}-{price_type}-{EXTERNAL|INTERNAL}`, and for bars built from bars
`...-INTERNAL@{step}-{aggregation}-{EXTERNAL|INTERNAL}`.
"""

from datetime import timedelta
from typing import Any, TypeVar

from msgspec import Struct

from nautilus_common.model.enums import (
    AggregationSource,
    AggressorSide,
    BarAggregation,
    PriceType,
    aggressor_side_from_str,
)
from nautilus_common.model.identifiers import InstrumentId, TradeId
from nautilus_common.model.values import Price, Quantity

_MILLISECOND_NS = 1_000_000
_DAY_NS = 86_400 * 1_000 * _MILLISECOND_NS

# A month and a year have no fixed length: these stand for them where bar lengths are compared.
_UNIT_NS: dict[BarAggregation, int] = {
    BarAggregation.MILLISECOND: _MILLISECOND_NS,
    BarAggregation.SECOND: 1_000 * _MILLISECOND_NS,
    BarAggregation.MINUTE: 60_000 * _MILLISECOND_NS,
    BarAggregation.HOUR: 3_600_000 * _MILLISECOND_NS,
    BarAggregation.DAY: _DAY_NS,
    BarAggregation.WEEK: 7 * _DAY_NS,
    BarAggregation.MONTH: 30 * _DAY_NS,
    BarAggregation.YEAR: 365 * _DAY_NS,
}
# Steps must divide the next larger unit, and be less than it, so that bars line up with it.
_UNITS_IN_PARENT: dict[BarAggregation, int] = {
    BarAggregation.MILLISECOND: 1000,
    BarAggregation.SECOND: 60,
    BarAggregation.MINUTE: 60,
    BarAggregation.HOUR: 24,
    BarAggregation.MONTH: 12,
}
_THRESHOLD = (
    BarAggregation.TICK,
    BarAggregation.TICK_IMBALANCE,
    BarAggregation.VOLUME,
    BarAggregation.VOLUME_IMBALANCE,
    BarAggregation.VALUE,
    BarAggregation.VALUE_IMBALANCE,
)
_INFORMATION = (BarAggregation.TICK_RUNS, BarAggregation.VOLUME_RUNS, BarAggregation.VALUE_RUNS)
_FIXED_UNITS = (
    BarAggregation.WEEK,
    BarAggregation.DAY,
    BarAggregation.HOUR,
    BarAggregation.MINUTE,
    BarAggregation.SECOND,
    BarAggregation.MILLISECOND,
)


def _step_fault(step: int, aggregation: BarAggregation) -> str:
    """Why `step` is no step of `aggregation`, or an empty text."""
    if step < 1:
        return "a step must be at least 1"
    parent = _UNITS_IN_PARENT.get(aggregation)
    if parent is not None and (step >= parent or parent % step):
        return f"a step of {aggregation.name} must divide {parent} and be less than it"
    return ""


# Orders of one type by text. Assigned in the class body: inherited, a struct's own comparison would hide them.
def _text_lt(self: object, other: object) -> bool:
    return str(self) < str(other) if type(other) is type(self) else NotImplemented


def _text_le(self: object, other: object) -> bool:
    return str(self) <= str(other) if type(other) is type(self) else NotImplemented


def _text_gt(self: object, other: object) -> bool:
    return str(self) > str(other) if type(other) is type(self) else NotImplemented


def _text_ge(self: object, other: object) -> bool:
    return str(self) >= str(other) if type(other) is type(self) else NotImplemented


class BarSpecification(Struct, frozen=True, gc=False, array_like=True, cache_hash=True):
    """What a bar holds: `step` units of `aggregation`, of one `price_type`; as text `5-MINUTE-LAST`."""

    step: int
    aggregation: BarAggregation
    price_type: PriceType

    def __post_init__(self) -> None:
        fault = _step_fault(self.step, self.aggregation)
        if fault:
            raise ValueError(f"invalid bar step {self.step}: {fault}")

    @staticmethod
    def from_str(value: str) -> "BarSpecification":
        """Parse `STEP-AGGREGATION-PRICETYPE`; ValueError names the bad part."""
        tokens = value.rsplit("-", 2)
        if len(tokens) != 3:
            raise ValueError(f"Error parsing `BarSpecification` from {value!r}: write STEP-AGGREGATION-PRICETYPE")
        parser = _Tokens("BarSpecification", value)
        return parser.specification(tokens, 0)

    @staticmethod
    def from_timedelta(duration: timedelta, price_type: PriceType) -> "BarSpecification":
        """The time bars of `duration`, in the largest unit that divides it; ValueError when there is none."""
        nanoseconds = (duration.days * 86_400_000_000 + duration.seconds * 1_000_000 + duration.microseconds) * 1000
        if nanoseconds <= 0:
            raise ValueError(f"invalid bar duration {duration}: it must be positive")
        for unit in _FIXED_UNITS:
            step, rest = divmod(nanoseconds, _UNIT_NS[unit])
            if rest == 0:
                return BarSpecification(step, unit, price_type)
        raise ValueError(f"invalid bar duration {duration}: it must be whole milliseconds")

    @staticmethod
    def check_time_aggregated(aggregation: BarAggregation) -> bool:
        """Whether bars of `aggregation` close by the clock."""
        return aggregation in _UNIT_NS

    @staticmethod
    def check_threshold_aggregated(aggregation: BarAggregation) -> bool:
        """Whether bars of `aggregation` close when a count, volume, value or imbalance reaches the step."""
        return aggregation in _THRESHOLD

    @staticmethod
    def check_information_aggregated(aggregation: BarAggregation) -> bool:
        """Whether bars of `aggregation` close on a run of trades on one side."""
        return aggregation in _INFORMATION

    @property
    def timedelta(self) -> timedelta:
        """The length of a time bar; ValueError for other bars. A month counts 30 days, a year 365."""
        return timedelta(microseconds=self.get_interval_ns() // 1000)

    def get_interval_ns(self) -> int:
        """The length of a time bar in nanoseconds; ValueError for other bars. A month counts 30 days, a year 365."""
        unit = _UNIT_NS.get(self.aggregation)
        if unit is None:
            raise ValueError(f"{self} has no time interval: {self.aggregation.name} bars do not close by the clock")
        return self.step * unit

    def is_time_aggregated(self) -> bool:
        """Whether bars close by the clock."""
        return self.check_time_aggregated(self.aggregation)

    def is_threshold_aggregated(self) -> bool:
        """Whether bars close when a count, volume, value or imbalance reaches the step."""
        return self.check_threshold_aggregated(self.aggregation)

    def is_information_aggregated(self) -> bool:
        """Whether bars close on a run of trades on one side."""
        return self.check_information_aggregated(self.aggregation)

    def __str__(self) -> str:
        return f"{self.step}-{self.aggregation.name}-{self.price_type.name}"

    __lt__ = _text_lt
    __le__ = _text_le
    __gt__ = _text_gt
    __ge__ = _text_ge

    def __repr__(self) -> str:
        return f"BarSpecification({self})"


class BarType(Struct, frozen=True, gc=False, array_like=True, cache_hash=True):
    """Names a series of bars: instrument, specification, who builds it and, when composite, from which bars.

    Composite bars are built by us (INTERNAL) from bars of `composite()`, of the same instrument and price type.
    """

    instrument_id: InstrumentId
    bar_spec: BarSpecification
    aggregation_source: AggregationSource = AggregationSource.EXTERNAL
    composite_step: int = 0
    composite_aggregation: BarAggregation | None = None
    composite_aggregation_source: AggregationSource | None = None

    def __post_init__(self) -> None:
        aggregation, source = self.composite_aggregation, self.composite_aggregation_source
        if aggregation is None and source is None and self.composite_step == 0:
            return
        if aggregation is None or source is None:
            raise ValueError("a composite bar type needs composite step, aggregation and source")
        fault = _step_fault(self.composite_step, aggregation)
        if fault:
            raise ValueError(f"invalid composite bar step {self.composite_step}: {fault}")
        if self.aggregation_source != AggregationSource.INTERNAL:
            raise ValueError(f"a composite bar type must be INTERNAL, since we build it from bars: {self}")

    @staticmethod
    def from_str(value: str) -> "BarType":
        """Parse the text of a bar type (see the module); ValueError names the bad part and its position."""
        parser = _Tokens("BarType", value)
        head, at, tail = value.rpartition("@")
        # A symbol may hold "@" too, but then a venue's dot follows it, and no composite part holds a dot.
        composite = bool(at) and "." not in tail
        if not composite:
            head = value
        tokens = head.rsplit("-", 4)
        if len(tokens) != 5:
            raise parser.fault("", 0, "write INSTRUMENT_ID-STEP-AGGREGATION-PRICETYPE-SOURCE")
        instrument_id = parser.instrument_id(tokens[0])
        spec = parser.specification(tokens[1:4], 1)
        source = parser.source(tokens[4], 4)
        if not composite:
            return BarType(instrument_id, spec, source)
        if source != AggregationSource.INTERNAL:
            raise parser.fault(tokens[4], 4, "bars built from bars are INTERNAL")
        parts = tail.split("-")
        if len(parts) != 3:
            raise parser.fault(tail, 5, "write STEP-AGGREGATION-SOURCE after '@'")
        aggregation = parser.aggregation(parts[1], 6)
        step = parser.step(parts[0], 5, aggregation)
        return BarType(instrument_id, spec, source, step, aggregation, parser.source(parts[2], 7))

    @staticmethod
    def new_composite(
        instrument_id: InstrumentId,
        bar_spec: BarSpecification,
        aggregation_source: AggregationSource,
        composite_step: int,
        composite_aggregation: BarAggregation,
        composite_aggregation_source: AggregationSource,
    ) -> "BarType":
        """A bar type built from other bars."""
        return BarType(
            instrument_id,
            bar_spec,
            aggregation_source,
            composite_step,
            composite_aggregation,
            composite_aggregation_source,
        )

    @property
    def spec(self) -> BarSpecification:
        """The specification."""
        return self.bar_spec

    def is_externally_aggregated(self) -> bool:
        """Whether the bars come from outside."""
        return self.aggregation_source == AggregationSource.EXTERNAL

    def is_internally_aggregated(self) -> bool:
        """Whether we build the bars."""
        return self.aggregation_source == AggregationSource.INTERNAL

    def is_standard(self) -> bool:
        """Whether the bars are not built from bars."""
        return self.composite_aggregation is None

    def is_composite(self) -> bool:
        """Whether the bars are built from bars."""
        return self.composite_aggregation is not None

    def standard(self) -> "BarType":
        """This type without what it is built from: the type its bars carry."""
        return self if self.is_standard() else BarType(self.instrument_id, self.bar_spec, self.aggregation_source)

    def composite(self) -> "BarType":
        """The type of the bars this one is built from; itself when it is not composite."""
        if self.composite_aggregation is None or self.composite_aggregation_source is None:
            return self
        spec = BarSpecification(self.composite_step, self.composite_aggregation, self.bar_spec.price_type)
        return BarType(self.instrument_id, spec, self.composite_aggregation_source)

    def id_spec_key(self) -> tuple[InstrumentId, BarSpecification]:
        """Instrument and specification, whoever builds the bars."""
        return self.instrument_id, self.bar_spec

    def __str__(self) -> str:
        text = f"{self.instrument_id}-{self.bar_spec}-{self.aggregation_source.name}"
        if self.composite_aggregation is None or self.composite_aggregation_source is None:
            return text
        parts = (str(self.composite_step), self.composite_aggregation.name, self.composite_aggregation_source.name)
        return f"{text}@{'-'.join(parts)}"

    __lt__ = _text_lt
    __le__ = _text_le
    __gt__ = _text_gt
    __ge__ = _text_ge

    def __repr__(self) -> str:
        return f"BarType({self})"


class _Tokens(Struct, frozen=True):
    """Reads the parts of a bar type's text, and says which is wrong."""

    kind: str
    text: str

    def fault(self, token: str, position: int, hint: str) -> ValueError:
        return ValueError(
            f"Error parsing `{self.kind}` from {self.text!r}, invalid token: {token!r} at position {position}: {hint}"
        )

    def instrument_id(self, token: str) -> InstrumentId:
        try:
            return InstrumentId.from_str(token)
        except ValueError as error:
            raise self.fault(token, 0, str(error)) from None

    def member(self, kind: type[Any], token: str, position: int) -> Any:
        found = kind.__members__.get(token.upper())
        if found is None:
            raise self.fault(token, position, f"use one of {', '.join(kind.__members__)}")
        return found

    def aggregation(self, token: str, position: int) -> BarAggregation:
        member: BarAggregation = self.member(BarAggregation, token, position)
        return member

    def source(self, token: str, position: int) -> AggregationSource:
        member: AggregationSource = self.member(AggregationSource, token, position)
        return member

    def step(self, token: str, position: int, aggregation: BarAggregation) -> int:
        if not (token.isascii() and token.isdigit()):
            raise self.fault(token, position, "a step is a whole number")
        fault = _step_fault(int(token), aggregation)
        if fault:
            raise self.fault(token, position, fault)
        return int(token)

    def specification(self, tokens: list[str], position: int) -> BarSpecification:
        aggregation = self.aggregation(tokens[1], position + 1)
        step = self.step(tokens[0], position, aggregation)
        return BarSpecification(step, aggregation, self.member(PriceType, tokens[2], position + 2))


def _check_equal_precision(first: str, left: int, second: str, right: int) -> None:
    if left != right:
        raise ValueError(f"'{first}.precision' of {left} was not equal to '{second}.precision' of {right}")


_V = TypeVar("_V", Price, Quantity)


def _middle(low: _V, high: _V) -> _V:
    """The exact mean, at one more decimal."""
    total = low + high
    middle: _V = type(low).from_raw(total.raw * 5, total.precision + 1)
    return middle


class QuoteTick(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """The best bid and ask with their sizes. Times are UTC nanoseconds. Not checked when made: see `check`."""

    instrument_id: InstrumentId
    bid_price: Price
    ask_price: Price
    bid_size: Quantity
    ask_size: Quantity
    ts_event: int
    ts_init: int

    def check(self) -> None:
        """ValueError when bid and ask differ in precision (prices or sizes)."""
        _check_equal_precision("bid_price", self.bid_price.precision, "ask_price", self.ask_price.precision)
        _check_equal_precision("bid_size", self.bid_size.precision, "ask_size", self.ask_size.precision)

    def extract_price(self, price_type: PriceType) -> Price:
        """The BID, ASK or MID price; MID is exact, at one more decimal."""
        if price_type == PriceType.BID:
            return self.bid_price
        if price_type == PriceType.ASK:
            return self.ask_price
        if price_type == PriceType.MID:
            return _middle(self.bid_price, self.ask_price)
        raise ValueError(f"a quote has no price of type {PriceType(price_type).name}: use BID, ASK or MID")

    def extract_size(self, price_type: PriceType) -> Quantity:
        """The BID, ASK or MID size; MID is exact, at one more decimal."""
        if price_type == PriceType.BID:
            return self.bid_size
        if price_type == PriceType.ASK:
            return self.ask_size
        if price_type == PriceType.MID:
            return _middle(self.bid_size, self.ask_size)
        raise ValueError(f"a quote has no size of type {PriceType(price_type).name}: use BID, ASK or MID")

    @staticmethod
    def to_dict(obj: "QuoteTick") -> dict[str, Any]:
        """A dict of texts and integers."""
        return {
            "type": "QuoteTick",
            "instrument_id": str(obj.instrument_id),
            "bid_price": str(obj.bid_price),
            "ask_price": str(obj.ask_price),
            "bid_size": str(obj.bid_size),
            "ask_size": str(obj.ask_size),
            "ts_event": obj.ts_event,
            "ts_init": obj.ts_init,
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "QuoteTick":
        """The checked inverse of `to_dict`."""
        tick = QuoteTick(
            InstrumentId.from_str(values["instrument_id"]),
            Price.from_str(values["bid_price"]),
            Price.from_str(values["ask_price"]),
            Quantity.from_str(values["bid_size"]),
            Quantity.from_str(values["ask_size"]),
            values["ts_event"],
            values["ts_init"],
        )
        tick.check()
        return tick

    def __str__(self) -> str:
        return f"{self.instrument_id},{self.bid_price},{self.ask_price},{self.bid_size},{self.ask_size},{self.ts_event}"

    def __repr__(self) -> str:
        return f"QuoteTick({self})"


class TradeTick(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """One trade of the market. Times are UTC nanoseconds. Not checked when made: see `check`."""

    instrument_id: InstrumentId
    price: Price
    size: Quantity
    aggressor_side: AggressorSide
    trade_id: TradeId
    ts_event: int
    ts_init: int

    def check(self) -> None:
        """ValueError when the size is zero."""
        if self.size.raw <= 0:
            raise ValueError(f"'size' must be positive, was {self.size}: {self}")

    @staticmethod
    def to_dict(obj: "TradeTick") -> dict[str, Any]:
        """A dict of texts and integers."""
        return {
            "type": "TradeTick",
            "instrument_id": str(obj.instrument_id),
            "price": str(obj.price),
            "size": str(obj.size),
            "aggressor_side": obj.aggressor_side.name,
            "trade_id": str(obj.trade_id),
            "ts_event": obj.ts_event,
            "ts_init": obj.ts_init,
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "TradeTick":
        """The checked inverse of `to_dict`."""
        tick = TradeTick(
            InstrumentId.from_str(values["instrument_id"]),
            Price.from_str(values["price"]),
            Quantity.from_str(values["size"]),
            aggressor_side_from_str(values["aggressor_side"]),
            TradeId(values["trade_id"]),
            values["ts_event"],
            values["ts_init"],
        )
        tick.check()
        return tick

    def __str__(self) -> str:
        side = AggressorSide(self.aggressor_side).name
        return f"{self.instrument_id},{self.price},{self.size},{side},{self.trade_id},{self.ts_event}"

    def __repr__(self) -> str:
        return f"TradeTick({self})"


class Bar(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Open, high, low, close and volume. Times are UTC nanoseconds. Not checked when made: see `check`."""

    bar_type: BarType
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity
    ts_event: int
    ts_init: int
    is_revision: bool = False

    def check(self) -> None:
        """ValueError when high or low is not the extreme, or precisions differ."""
        _check_equal_precision("open", self.open.precision, "high", self.high.precision)
        _check_equal_precision("open", self.open.precision, "low", self.low.precision)
        _check_equal_precision("open", self.open.precision, "close", self.close.precision)
        for fault, name in (
            (self.high < self.open, "high was < open"),
            (self.high < self.low, "high was < low"),
            (self.high < self.close, "high was < close"),
            (self.low > self.close, "low was > close"),
            (self.low > self.open, "low was > open"),
        ):
            if fault:
                raise ValueError(f"{name}: {self}")

    def is_single_price(self) -> bool:
        """Whether open, high, low and close are one price."""
        return self.open.raw == self.high.raw == self.low.raw == self.close.raw

    @staticmethod
    def to_dict(obj: "Bar") -> dict[str, Any]:
        """A dict of texts, integers and the revision flag."""
        return {
            "type": "Bar",
            "bar_type": str(obj.bar_type),
            "open": str(obj.open),
            "high": str(obj.high),
            "low": str(obj.low),
            "close": str(obj.close),
            "volume": str(obj.volume),
            "ts_event": obj.ts_event,
            "ts_init": obj.ts_init,
            "is_revision": obj.is_revision,
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "Bar":
        """The checked inverse of `to_dict`."""
        bar = Bar(
            BarType.from_str(values["bar_type"]),
            Price.from_str(values["open"]),
            Price.from_str(values["high"]),
            Price.from_str(values["low"]),
            Price.from_str(values["close"]),
            Quantity.from_str(values["volume"]),
            values["ts_event"],
            values["ts_init"],
            values.get("is_revision", False),
        )
        bar.check()
        return bar

    def __str__(self) -> str:
        prices = f"{self.open},{self.high},{self.low},{self.close}"
        return f"{self.bar_type},{prices},{self.volume},{self.ts_event}"

    def __repr__(self) -> str:
        return f"Bar({self})"
