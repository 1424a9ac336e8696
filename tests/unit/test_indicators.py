"""Indicators against hand computation and plain oracles."""

import math

import pytest
from nautilus_common.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_common.model.enums import AggressorSide, PriceType
from nautilus_common.model.identifiers import InstrumentId, TradeId
from nautilus_common.model.values import Price, Quantity
from nautilus_common.strategy.indicators import (
    AverageTrueRange,
    BollingerBands,
    ExponentialMovingAverage,
    Indicator,
    MovingAverage,
    MovingAverageConvergenceDivergence,
    MovingAverageFactory,
    MovingAverageType,
    RelativeStrengthIndex,
    SimpleMovingAverage,
    WilderMovingAverage,
)

INSTRUMENT = InstrumentId.from_str("EUR/USD.SIM")
BAR_TYPE = BarType.from_str("EUR/USD.SIM-1-MINUTE-BID-EXTERNAL")
PRICES = [1.0, 2.0, 4.0, 3.0, 5.0, 5.0, 1.5]


def bar(high, low, close, open_=None):
    price = [Price(value, 2) for value in (close if open_ is None else open_, high, low, close)]
    return Bar(BAR_TYPE, *price, Quantity(1, 0), 1, 1)


def quote(bid, ask):
    return QuoteTick(INSTRUMENT, Price(bid, 2), Price(ask, 2), Quantity(1, 0), Quantity(1, 0), 1, 1)


def trade(price):
    return TradeTick(INSTRUMENT, Price(price, 2), Quantity(1, 0), AggressorSide.BUYER, TradeId("1"), 1, 1)


def values(indicator, inputs):
    result = []
    for value in inputs:
        indicator.update_raw(value)
        result.append(indicator.value)
    return result


def test_simple_moving_average():
    average = SimpleMovingAverage(3)
    assert values(average, PRICES) == pytest.approx([1, 1.5, 7 / 3, 3, 4, 13 / 3, 11.5 / 3], rel=1e-15)
    assert (average.count, average.initialized, str(average)) == (7, True, "SimpleMovingAverage(3)")


def test_simple_moving_average_does_not_drift():
    average = SimpleMovingAverage(7)
    values(average, [1e16, 3.3, -1e16, 7.1, 1e9, 2.2, 5.5] * 3)
    assert values(average, [1.0] * 14)[-1] == 1.0


def test_exponential_and_wilder_moving_averages():
    assert values(ExponentialMovingAverage(3), PRICES[:4]) == [1.0, 1.5, 2.75, 2.875]
    assert values(WilderMovingAverage(2), PRICES[:4]) == [1.0, 1.5, 2.75, 2.875]
    assert values(ExponentialMovingAverage(5), [0.1]) == [0.1]
    assert ExponentialMovingAverage(9).alpha == 0.2


@pytest.mark.parametrize("kind", [SimpleMovingAverage, ExponentialMovingAverage, WilderMovingAverage])
def test_life_of_a_moving_average(kind):
    average = kind(2)
    assert (average.has_inputs, average.initialized, average.count, average.value) == (False, False, 0, 0.0)
    average.handle_bar(bar(3, 1, 2))
    assert (average.has_inputs, average.initialized, average.count, average.value) == (True, False, 1, 2.0)
    average.handle_trade_tick(trade(2))
    assert (average.initialized, average.count) == (True, 2)
    average.reset()
    assert (average.has_inputs, average.initialized, average.count, average.value) == (False, False, 0, 0.0)
    average.update_raw(7.0)
    assert average.value == 7.0
    assert average.name == kind.__name__


def test_quotes_by_price_type():
    for price_type, expected in ((PriceType.BID, 1.0), (PriceType.ASK, 2.0), (PriceType.MID, 1.5)):
        for indicator in (ExponentialMovingAverage(1, price_type), SimpleMovingAverage(1, price_type=price_type)):
            indicator.handle_quote_tick(quote(1, 2))
            assert (indicator.value, indicator.initialized) == (expected, True)
    macd = MovingAverageConvergenceDivergence(1, 3, price_type=PriceType.ASK)
    for price in (1, 2):
        macd.handle_quote_tick(quote(1, price))
    assert macd.value == 0.5


def rsi_oracle(prices, period):
    alpha = 2 / (period + 1)
    gain = loss = None
    for before, price in zip([prices[0], *prices], prices, strict=False):
        up, down = max(price - before, 0.0), max(before - price, 0.0)
        gain = up if gain is None else alpha * up + (1 - alpha) * gain
        loss = down if loss is None else alpha * down + (1 - alpha) * loss
    return 1.0 if loss == 0 else gain / (gain + loss)


def test_relative_strength_index():
    assert values(RelativeStrengthIndex(3), [1.0, 2.0, 3.0]) == [1.0, 1.0, 1.0]
    assert values(RelativeStrengthIndex(3), [3.0, 2.0, 1.0]) == [1.0, 0.0, 0.0]
    rsi = RelativeStrengthIndex(3)
    for k, price in enumerate(PRICES, start=1):
        rsi.handle_bar(bar(price, price, price))
        assert rsi.value == pytest.approx(rsi_oracle(PRICES[:k], 3), abs=1e-15)
        assert rsi.initialized == (k >= 3)
    assert str(rsi) == "RelativeStrengthIndex(3, EXPONENTIAL)"
    assert RelativeStrengthIndex(3, MovingAverageType.WILDER).value == 0.0


def test_average_true_range():
    atr = AverageTrueRange(2)
    atr.handle_bar(bar(10, 8, 9))
    assert (atr.value, atr.initialized) == (2.0, False)
    atr.handle_bar(bar(13, 12, 12.5))  # from the close before: 13 - 9
    assert (atr.value, atr.initialized) == (3.0, True)
    atr.handle_bar(bar(11, 10, 10))  # 12.5 - 10
    assert atr.value == 3.25
    plain = AverageTrueRange(2, MovingAverageType.EXPONENTIAL, use_previous=False, value_floor=1.5)
    plain.update_raw(10.0, 8.0, 9.0)
    plain.update_raw(13.0, 12.9, 13.0)
    assert plain.value == 1.5
    atr.reset()
    atr.update_raw(5.0, 4.0, 4.0)
    assert atr.value == 1.0


def test_bollinger_bands():
    bands = BollingerBands(3, 2.0)
    for k, price in enumerate(PRICES, start=1):
        bands.handle_trade_tick(trade(price))
        window = PRICES[max(0, k - 3) : k]
        mean = sum(window) / len(window)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in window) / len(window))
        expected = (mean + 2 * deviation, mean, mean - 2 * deviation)
        assert (bands.upper, bands.middle, bands.lower) == pytest.approx(expected, abs=1e-14)
        assert bands.initialized == (k >= 3)
    bands.reset()
    bands.handle_quote_tick(quote(1, 2))
    assert bands.middle == 1.5
    bands.handle_bar(bar(3, 0, 1.5))
    assert (bands.middle, bands.upper) == (1.5, 1.5)


def test_macd():
    macd = MovingAverageConvergenceDivergence(2, 4)
    fast, slow = ExponentialMovingAverage(2), ExponentialMovingAverage(4)
    for k, price in enumerate(PRICES, start=1):
        macd.handle_bar(bar(price, price, price))
        fast.update_raw(price)
        slow.update_raw(price)
        assert macd.value == fast.value - slow.value
        assert macd.initialized == (k >= 4)


def test_mistakes_are_named():
    for kind in (SimpleMovingAverage, ExponentialMovingAverage, RelativeStrengthIndex, AverageTrueRange):
        for period in (0, -1, 2.5, True, "3"):
            with pytest.raises(ValueError, match="period must be an integer greater than 0, was"):
                kind(period)
    with pytest.raises(ValueError, match="k must be greater than 0"):
        BollingerBands(3, 0.0)
    with pytest.raises(ValueError, match="fast_period must be less than slow_period"):
        MovingAverageConvergenceDivergence(9, 9)
    with pytest.raises(ValueError, match="value_floor"):
        AverageTrueRange(3, value_floor=-1)
    with pytest.raises(ValueError, match="use SIMPLE, EXPONENTIAL or WILDER"):
        MovingAverageFactory.create(3, MovingAverageType.HULL)
    with pytest.raises(NotImplementedError, match="does not take trades"):
        RelativeStrengthIndex(3).handle_trade_tick(trade(1))


class DoubledClose(Indicator):
    """What a user writes."""

    def __init__(self, period):
        super().__init__(params=[period])
        self.period = period
        self.value = 0.0
        self.count = 0

    def handle_bar(self, bar):
        self.update_raw(bar.close.as_double())

    def update_raw(self, value):
        if not self.has_inputs:
            self._set_has_inputs(True)
        self.value = 2 * value
        self.count += 1
        if not self.initialized and self.count >= self.period:
            self._set_initialized(True)

    def _reset(self):
        self.value = 0.0
        self.count = 0


class Last(MovingAverage):
    def __init__(self, period):
        super().__init__(period, params=[period], price_type=PriceType.BID)

    def update_raw(self, value):
        self.value = value
        self._increment_count()


def test_users_subclass():
    doubled = DoubledClose(2)
    for _ in range(2):
        doubled.handle_bar(bar(2, 1, 1.5))
    assert (doubled.value, doubled.has_inputs, doubled.initialized, str(doubled)) == (
        3.0,
        True,
        True,
        "DoubledClose(2)",
    )
    doubled.reset()
    assert (doubled.value, doubled.has_inputs, doubled.initialized) == (0.0, False, False)
    last = Last(1)
    last.handle_quote_tick(quote(1, 2))
    assert (last.value, last.count, last.initialized) == (1.0, 1, True)
    last.reset()
    assert (last.value, last.count, last.initialized) == (0.0, 0, False)
