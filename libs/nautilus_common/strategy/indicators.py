"""Technical indicators: NautilusTrader's classes, to be registered with a strategy or updated by hand.

`Indicator` and `MovingAverage` are made to be subclassed: call `super().__init__`, update in `handle_bar` or
`update_raw`, and say `_set_has_inputs(True)` and `_set_initialized(True)` when it is so. Values are floats; the
arithmetic is in `kernels/indicator_rules.py` and gives the same bits compiled. A period that makes no sense is a
ValueError when the indicator is made.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING, Any

from nautilus_common.kernels.indicator_rules import deviation, ema_step, relative_strength, sma_step, true_range
from nautilus_common.model.enums import PriceType

if TYPE_CHECKING:
    from nautilus_common.model.data import Bar, QuoteTick, TradeTick


@unique
class MovingAverageType(IntEnum):
    """Which moving average an indicator is built on."""

    SIMPLE = 0
    EXPONENTIAL = 1
    DOUBLE_EXPONENTIAL = 2
    WILDER = 3
    HULL = 4
    ADAPTIVE = 5
    WEIGHTED = 6
    VARIABLE_INDEX_DYNAMIC = 7


def _check_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(f"{name} must be an integer greater than 0, was {value!r}")


class Indicator:
    """The base of all indicators. `params` are shown in its text, as in `ExponentialMovingAverage(10)`."""

    __slots__ = ("_params", "has_inputs", "initialized")

    def __init__(self, params: list[Any]) -> None:
        self._params = list(params)
        self.has_inputs = False
        self.initialized = False

    @property
    def name(self) -> str:
        """The name of the class."""
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self.name}({', '.join(str(param) for param in self._params)})"

    __repr__ = __str__

    def handle_quote_tick(self, tick: QuoteTick) -> None:
        """Update with a quote."""
        raise NotImplementedError(f"{self.name} does not take quotes: it has no `handle_quote_tick`")

    def handle_trade_tick(self, tick: TradeTick) -> None:
        """Update with a trade."""
        raise NotImplementedError(f"{self.name} does not take trades: it has no `handle_trade_tick`")

    def handle_bar(self, bar: Bar) -> None:
        """Update with a bar."""
        raise NotImplementedError(f"{self.name} does not take bars: it has no `handle_bar`")

    def reset(self) -> None:
        """Forget all inputs."""
        self._reset()
        self.has_inputs = False
        self.initialized = False

    def _reset(self) -> None:
        """Forget what the subclass holds."""
        raise NotImplementedError(f"{self.name} must say in `_reset` what it forgets")

    def _set_has_inputs(self, setting: bool) -> None:
        self.has_inputs = setting

    def _set_initialized(self, setting: bool) -> None:
        self.initialized = setting


class MovingAverage(Indicator):
    """The base of moving averages: a period, a price type for quotes, a count of inputs and a value."""

    __slots__ = ("count", "period", "price_type", "value")

    def __init__(self, period: int, params: list[Any], price_type: PriceType) -> None:
        _check_positive("period", period)
        super().__init__(params)
        self.period = period
        self.price_type = price_type
        self.count = 0
        self.value = 0.0

    def handle_quote_tick(self, tick: QuoteTick) -> None:
        """Update with the quote's price of `price_type`."""
        self.update_raw(tick.extract_price(self.price_type).as_double())

    def handle_trade_tick(self, tick: TradeTick) -> None:
        """Update with the trade's price."""
        self.update_raw(tick.price.as_double())

    def handle_bar(self, bar: Bar) -> None:
        """Update with the bar's close."""
        self.update_raw(bar.close.as_double())

    def update_raw(self, value: float) -> None:
        """Update with a number."""
        raise NotImplementedError(f"{self.name} must compute its value in `update_raw`")

    def _increment_count(self) -> None:
        self.count += 1
        self.has_inputs = True
        if self.count >= self.period:
            self.initialized = True

    def _reset_ma(self) -> None:
        """Forget what the subclass holds besides count and value."""

    def _reset(self) -> None:
        self._reset_ma()
        self.count = 0
        self.value = 0.0


class SimpleMovingAverage(MovingAverage):
    """The mean of the last `period` inputs; of what there is before that."""

    __slots__ = ("_ring", "_total")

    def __init__(self, period: int, price_type: PriceType = PriceType.LAST) -> None:
        super().__init__(period, [period], price_type)
        self._ring = [0.0] * period
        self._total = 0.0

    def update_raw(self, value: float) -> None:
        """Update with a number."""
        count = self.count
        self._total = sma_step(self._ring, count, self._total, value)
        self.count = count = count + 1
        self.has_inputs = True
        if count >= self.period:
            self.initialized = True
            count = self.period
        self.value = self._total / count

    def _reset_ma(self) -> None:
        self._ring = [0.0] * self.period
        self._total = 0.0


class ExponentialMovingAverage(MovingAverage):
    """alpha * input + (1 - alpha) * value, with alpha = 2 / (period + 1); the first input is the first value."""

    __slots__ = ("alpha",)

    def __init__(self, period: int, price_type: PriceType = PriceType.LAST) -> None:
        super().__init__(period, [period], price_type)
        self.alpha = 2.0 / (period + 1.0)

    def update_raw(self, value: float) -> None:
        """Update with a number."""
        self.value = ema_step(self.value, value, self.alpha) if self.count else value
        self.count += 1
        if not self.initialized:
            self.has_inputs = True
            self.initialized = self.count >= self.period


class WilderMovingAverage(ExponentialMovingAverage):
    """The exponential average with alpha = 1 / period."""

    __slots__ = ()

    def __init__(self, period: int, price_type: PriceType = PriceType.LAST) -> None:
        super().__init__(period, price_type)
        self.alpha = 1.0 / period


class MovingAverageFactory:
    """Makes the moving average of a type."""

    @staticmethod
    def create(period: int, ma_type: MovingAverageType, **kwargs: Any) -> MovingAverage:
        """A moving average; ValueError for a type that is not there (yet)."""
        match ma_type:
            case MovingAverageType.SIMPLE:
                return SimpleMovingAverage(period, **kwargs)
            case MovingAverageType.EXPONENTIAL:
                return ExponentialMovingAverage(period, **kwargs)
            case MovingAverageType.WILDER:
                return WilderMovingAverage(period, **kwargs)
        raise ValueError(f"moving average type {ma_type!r} is not supported; use SIMPLE, EXPONENTIAL or WILDER")


class RelativeStrengthIndex(Indicator):
    """Average gain against average loss over `period` changes, from 0 to 1; exponential averages by default."""

    __slots__ = ("_gains", "_last", "_losses", "period", "value")

    def __init__(self, period: int, ma_type: MovingAverageType | None = None) -> None:
        _check_positive("period", period)
        ma_type = MovingAverageType.EXPONENTIAL if ma_type is None else MovingAverageType(ma_type)
        super().__init__([period, ma_type.name])
        self.period = period
        self._gains = MovingAverageFactory.create(period, ma_type)
        self._losses = MovingAverageFactory.create(period, ma_type)
        self._last = 0.0
        self.value = 0.0

    def handle_bar(self, bar: Bar) -> None:
        """Update with the bar's close."""
        self.update_raw(bar.close.as_double())

    def update_raw(self, value: float) -> None:
        """Update with a price; the first only sets where changes start (it counts as a change of 0)."""
        change = value - self._last if self.has_inputs else 0.0
        self._last = value
        self.has_inputs = True
        self._gains.update_raw(change if change > 0.0 else 0.0)
        self._losses.update_raw(-change if change < 0.0 else 0.0)
        self.initialized = self._gains.initialized
        self.value = relative_strength(self._gains.value, self._losses.value)

    def _reset(self) -> None:
        self._gains.reset()
        self._losses.reset()
        self._last = 0.0
        self.value = 0.0


class AverageTrueRange(Indicator):
    """The average of true ranges; of plain ranges (high - low) unless `use_previous`. Never below `value_floor`."""

    __slots__ = ("_average", "_previous_close", "_use_previous", "_value_floor", "period", "value")

    def __init__(
        self,
        period: int,
        ma_type: MovingAverageType = MovingAverageType.SIMPLE,
        use_previous: bool = True,
        value_floor: float = 0,
    ) -> None:
        _check_positive("period", period)
        if not value_floor >= 0:
            raise ValueError(f"value_floor must not be negative, was {value_floor!r}")
        ma_type = MovingAverageType(ma_type)
        super().__init__([period, ma_type.name, use_previous, value_floor])
        self.period = period
        self._average = MovingAverageFactory.create(period, ma_type)
        self._use_previous = use_previous
        self._value_floor = float(value_floor)
        self._previous_close = 0.0
        self.value = 0.0

    def handle_bar(self, bar: Bar) -> None:
        """Update with the bar's high, low and close."""
        self.update_raw(bar.high.as_double(), bar.low.as_double(), bar.close.as_double())

    def update_raw(self, high: float, low: float, close: float) -> None:
        """Update with three prices."""
        if self._use_previous:
            span = true_range(high, low, self._previous_close if self.has_inputs else close)
        else:
            span = high - low
        self._previous_close = close
        self.has_inputs = True
        self._average.update_raw(span)
        self.initialized = self._average.initialized
        self.value = max(self._average.value, self._value_floor)

    def _reset(self) -> None:
        self._average.reset()
        self._previous_close = 0.0
        self.value = 0.0


class BollingerBands(Indicator):
    """A moving average of typical prices, and `k` population standard deviations above and below it."""

    __slots__ = ("_average", "_count", "_ring", "k", "lower", "middle", "period", "upper")

    def __init__(self, period: int, k: float, ma_type: MovingAverageType = MovingAverageType.SIMPLE) -> None:
        _check_positive("period", period)
        if not k > 0:
            raise ValueError(f"k must be greater than 0, was {k!r}")
        ma_type = MovingAverageType(ma_type)
        super().__init__([period, k, ma_type.name])
        self.period = period
        self.k = float(k)
        self._average = MovingAverageFactory.create(period, ma_type)
        self._reset()

    def handle_quote_tick(self, tick: QuoteTick) -> None:
        """Update with the ask as high, the bid as low and their mid as close."""
        bid, ask = tick.bid_price.as_double(), tick.ask_price.as_double()
        self.update_raw(ask, bid, (ask + bid) / 2.0)

    def handle_trade_tick(self, tick: TradeTick) -> None:
        """Update with the trade's price."""
        price = tick.price.as_double()
        self.update_raw(price, price, price)

    def handle_bar(self, bar: Bar) -> None:
        """Update with the bar's high, low and close."""
        self.update_raw(bar.high.as_double(), bar.low.as_double(), bar.close.as_double())

    def update_raw(self, high: float, low: float, close: float) -> None:
        """Update with three prices, whose mean is the typical price."""
        typical = (high + low + close) / 3.0
        self._ring[self._count % self.period] = typical
        self._count += 1
        self._average.update_raw(typical)
        self.has_inputs = True
        self.initialized = self._count >= self.period
        middle = self._average.value
        spread = self.k * deviation(self._ring, min(self._count, self.period), middle)
        self.upper = middle + spread
        self.middle = middle
        self.lower = middle - spread

    def _reset(self) -> None:
        self._average.reset()
        self._ring = [0.0] * self.period
        self._count = 0
        self.upper = 0.0
        self.middle = 0.0
        self.lower = 0.0


class MovingAverageConvergenceDivergence(Indicator):
    """A fast moving average minus a slow one; there is no signal line."""

    __slots__ = ("_fast", "_slow", "fast_period", "price_type", "slow_period", "value")

    def __init__(
        self,
        fast_period: int,
        slow_period: int,
        ma_type: MovingAverageType = MovingAverageType.EXPONENTIAL,
        price_type: PriceType = PriceType.LAST,
    ) -> None:
        _check_positive("fast_period", fast_period)
        _check_positive("slow_period", slow_period)
        if fast_period >= slow_period:
            raise ValueError(f"fast_period must be less than slow_period, were {fast_period} and {slow_period}")
        ma_type = MovingAverageType(ma_type)
        super().__init__([fast_period, slow_period, ma_type.name])
        self.fast_period = fast_period
        self.slow_period = slow_period
        self.price_type = price_type
        self._fast = MovingAverageFactory.create(fast_period, ma_type)
        self._slow = MovingAverageFactory.create(slow_period, ma_type)
        self.value = 0.0

    def handle_quote_tick(self, tick: QuoteTick) -> None:
        """Update with the quote's price of `price_type`."""
        self.update_raw(tick.extract_price(self.price_type).as_double())

    def handle_trade_tick(self, tick: TradeTick) -> None:
        """Update with the trade's price."""
        self.update_raw(tick.price.as_double())

    def handle_bar(self, bar: Bar) -> None:
        """Update with the bar's close."""
        self.update_raw(bar.close.as_double())

    def update_raw(self, close: float) -> None:
        """Update with a number."""
        self._fast.update_raw(close)
        self._slow.update_raw(close)
        self.has_inputs = True
        self.initialized = self._slow.initialized
        self.value = self._fast.value - self._slow.value

    def _reset(self) -> None:
        self._fast.reset()
        self._slow.reset()
        self.value = 0.0
