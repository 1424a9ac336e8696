"""Indicators compiled: one step over a small float64 state, and batches that run the step over a column.

For compiled strategies and research over columns. The rules are those of `indicator_rules`, so each output equals, bit
for bit, what the classes in `strategy/indicators.py` give (`tests/parity/test_indicators.py`). A state begins as zeros;
its second field counts the inputs. A ring holds the last `period` inputs.
"""

from typing import Any

from . import indicator_rules as rules
from .jit import F64, FLOAT_WORK, FLOATS, I64, kernel

ema_step = kernel(F64(F64, F64, F64))(rules.ema_step)
sma_step = kernel(F64(FLOAT_WORK, I64, F64, F64))(rules.sma_step)
deviation = kernel(F64(FLOAT_WORK, I64, F64))(rules.deviation)
relative_strength = kernel(F64(F64, F64))(rules.relative_strength)
true_range = kernel(F64(F64, F64, F64))(rules.true_range)

STATE_SIZE = 4


@kernel(F64(FLOAT_WORK, F64, F64))
def ema_update(state: Any, alpha: float, value: float) -> float:
    """State: value, count. The first input is the first value."""
    state[0] = value if state[1] == 0.0 else ema_step(state[0], value, alpha)
    state[1] += 1.0
    result: float = state[0]
    return result


@kernel(F64(FLOAT_WORK, FLOAT_WORK, F64))
def sma_update(state: Any, ring: Any, value: float) -> float:
    """State: sum, count. Before the ring is full, the mean of what is there."""
    state[0] = sma_step(ring, int(state[1]), state[0], value)
    state[1] += 1.0
    result: float = state[0] / min(state[1], float(len(ring)))
    return result


@kernel((FLOATS, F64, FLOAT_WORK, FLOAT_WORK))
def ema_batch(values: Any, alpha: float, state: Any, out: Any) -> None:
    """The exponential average after each value."""
    for k in range(values.shape[0]):
        out[k] = ema_update(state, alpha, values[k])


@kernel((FLOATS, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK))
def sma_batch(values: Any, ring: Any, state: Any, out: Any) -> None:
    """The simple average after each value."""
    for k in range(values.shape[0]):
        out[k] = sma_update(state, ring, values[k])


@kernel((FLOATS, F64, F64, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK))
def macd_batch(values: Any, fast_alpha: float, slow_alpha: float, fast: Any, slow: Any, out: Any) -> None:
    """Fast minus slow exponential average after each value; two states."""
    for k in range(values.shape[0]):
        out[k] = ema_update(fast, fast_alpha, values[k]) - ema_update(slow, slow_alpha, values[k])


@kernel((FLOATS, F64, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK))
def rsi_batch(values: Any, alpha: float, gains: Any, losses: Any, last: Any, out: Any) -> None:
    """Relative strength with exponential averages after each value; `last` is one field: the value before."""
    for k in range(values.shape[0]):
        value = values[k]
        change = value - last[0] if gains[1] > 0.0 else 0.0
        last[0] = value
        gain = ema_update(gains, alpha, change if change > 0.0 else 0.0)
        loss = ema_update(losses, alpha, -change if change < 0.0 else 0.0)
        out[k] = relative_strength(gain, loss)


@kernel((FLOATS, FLOATS, FLOATS, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK))
def atr_batch(high: Any, low: Any, close: Any, ring: Any, state: Any, last: Any, out: Any) -> None:
    """Simple average of true ranges after each bar; `last` is one field: the close before."""
    for k in range(close.shape[0]):
        before = last[0] if state[1] > 0.0 else close[k]
        out[k] = sma_update(state, ring, true_range(high[k], low[k], before))
        last[0] = close[k]


@kernel((FLOATS, F64, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK, FLOAT_WORK))
def bollinger_batch(values: Any, width: float, ring: Any, state: Any, upper: Any, middle: Any, lower: Any) -> None:
    """Simple average, and `width` standard deviations above and below it, after each typical price."""
    for k in range(values.shape[0]):
        mean = sma_update(state, ring, values[k])
        spread = width * deviation(ring, min(int(state[1]), len(ring)), mean)
        upper[k] = mean + spread
        middle[k] = mean
        lower[k] = mean - spread
