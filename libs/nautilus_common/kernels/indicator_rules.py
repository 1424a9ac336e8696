"""The arithmetic of the indicators, each rule once, in plain Python that numba compiles as it stands.

The indicator classes call these functions directly (a scalar step in Python costs less than entering a kernel);
`kernels/indicators.py` compiles the same functions for columns and compiled strategies. The two agree to the last bit:
only + - * / and sqrt, in a written order, no fastmath, no numpy or builtin sums. No numba here, so that strategies can
be imported without it.
"""

import math
from typing import Any


def ema_step(previous: float, value: float, alpha: float) -> float:
    """The next exponential average, for alpha in (0, 1]: 2 / (n + 1), or 1 / n for Wilder's."""
    return alpha * value + (1.0 - alpha) * previous


def sma_step(ring: Any, count: int, total: float, value: float) -> float:
    """Put `value`, the input number `count` (from 0), into the ring of the last len(ring) inputs; their new sum.

    A running sum collects rounding errors, so it is taken anew whenever the ring comes round: the error is that of one
    turn, and the cost still constant on average.
    """
    period = len(ring)
    slot = count % period
    if count < period:
        total += value
    else:
        total += value - ring[slot]
    ring[slot] = value
    if slot == period - 1:
        total = 0.0
        for k in range(period):
            total += ring[k]
    return total


def deviation(ring: Any, filled: int, mean: float) -> float:
    """Population standard deviation about `mean` of the first `filled` values of the ring."""
    squares = 0.0
    for k in range(filled):
        distance = ring[k] - mean
        squares += distance * distance
    return math.sqrt(squares / filled)


def relative_strength(gain: float, loss: float) -> float:
    """The index on a scale of 0 to 1 of an average gain and an average loss, both >= 0; 1 without losses."""
    if loss == 0.0:
        return 1.0
    return 1.0 - 1.0 / (1.0 + gain / loss)


def true_range(high: float, low: float, previous_close: float) -> float:
    """The range of a bar, widened to the close before it."""
    return max(previous_close, high) - min(low, previous_close)
