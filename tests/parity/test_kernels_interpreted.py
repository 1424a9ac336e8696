"""Kernels give the same bytes compiled and interpreted (NUMBA_DISABLE_JIT=1), and the classes the same bits as both."""

import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
ROWS = 1_500


def _columns():
    rng = np.random.default_rng(7)
    ts = np.cumsum(rng.integers(0, 900_000_000, ROWS)) + 1_577_836_800_000_000_000
    bid = 100_000 + np.cumsum(rng.integers(-3, 4, ROWS))
    ask = bid + rng.integers(0, 5, ROWS)
    size = rng.integers(0, 50, ROWS)
    side = rng.integers(0, 3, ROWS)
    return {
        "ts_init": ts, "bid": bid, "ask": ask, "bid_size": size, "ask_size": size[::-1].copy(),
        "price": bid, "size": size, "aggressor": side,
    }  # fmt: skip


def _bars(digest):
    from nautilus_common.aggregation import BarAggregator, BarOptions
    from nautilus_common.model.data import BarType

    columns = _columns()
    start, last = int(columns["ts_init"][0]), int(columns["ts_init"][-1])
    texts = [
        "1-SECOND-BID",
        "5-MINUTE-MID",
        "2-MINUTE-ASK",
        "7-TICK-MID",
        "300-VOLUME-BID",
        "500-VALUE-LAST",
        "4-RENKO-MID",
    ]
    texts += [
        f"{n}-{m}_{f}-LAST" for m, n in (("TICK", 4), ("VOLUME", 90), ("VALUE", 90)) for f in ("IMBALANCE", "RUNS")
    ]
    for text in texts:
        aggregator = BarAggregator(BarType.from_str(f"A.SIM-{text}-INTERNAL"), 5, 0, BarOptions(), start)
        bars = aggregator.consume(columns, 0, ROWS, last)
        assert bars.size > 0, text
        for column in bars:
            digest.update(column.tobytes())
        digest.update(aggregator.snapshot())


def _scans(digest):
    from nautilus_common.kernels import scan

    columns = _columns()
    for limit in range(99_900, 100_100, 20):
        for trigger in (scan.next_quote_trigger, scan.next_trade_trigger, scan.next_bar_trigger):
            row = trigger(columns["ask"], columns["bid"], 3, ROWS, limit, 100_200, scan.NO_BUY_STOP, 99_000)
            digest.update(struct.pack("q", row))


def batches():
    from nautilus_common.kernels import indicators as kernels

    columns = _columns()
    close, high, low = (columns[name] / 1e5 for name in ("bid", "ask", "bid"))
    low = low - columns["size"] / 1e5
    out = {name: np.zeros(ROWS) for name in ("ema", "wilder", "sma", "macd", "rsi", "atr", "upper", "middle", "lower")}

    def state():
        return np.zeros(kernels.STATE_SIZE)

    kernels.ema_batch(close, 2.0 / 11.0, state(), out["ema"])
    kernels.ema_batch(close, 1.0 / 10, state(), out["wilder"])
    kernels.sma_batch(close, np.zeros(10), state(), out["sma"])
    kernels.macd_batch(close, 2.0 / 13.0, 2.0 / 27.0, state(), state(), out["macd"])
    kernels.rsi_batch(close, 2.0 / 15.0, state(), state(), np.zeros(1), out["rsi"])
    kernels.atr_batch(high, low, close, np.zeros(14), state(), np.zeros(1), out["atr"])
    typical = (high + low + close) / 3.0
    bands = out["upper"], out["middle"], out["lower"]
    kernels.bollinger_batch(typical, 2.0, np.zeros(20), state(), *bands)
    return (close, high, low), out


def digest() -> str:
    """SHA-256 over all that the kernels give for the same columns."""
    result = hashlib.sha256()
    _bars(result)
    _scans(result)
    for column in batches()[1].values():
        result.update(column.tobytes())
    return result.hexdigest()


def test_interpreted_equals_compiled():
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": f"{ROOT / 'libs'}:{ROOT}",
        "PYTHONHASHSEED": "5",
    }
    command = [sys.executable, "-W", "error", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()


def test_classes_equal_batches():
    from nautilus_common.strategy import indicators as classes

    (close, high, low), out = batches()
    single = {
        "ema": classes.ExponentialMovingAverage(10),
        "wilder": classes.WilderMovingAverage(10),
        "sma": classes.SimpleMovingAverage(10),
        "macd": classes.MovingAverageConvergenceDivergence(12, 26),
        "rsi": classes.RelativeStrengthIndex(14),
    }
    atr, bands = classes.AverageTrueRange(14), classes.BollingerBands(20, 2.0)
    for k, (h, lo, c) in enumerate(zip(high.tolist(), low.tolist(), close.tolist(), strict=True)):
        for name, indicator in single.items():
            indicator.update_raw(c)
            assert indicator.value == out[name][k], (name, k)
        atr.update_raw(h, lo, c)
        bands.update_raw(h, lo, c)
        expected = tuple(out[name][k] for name in ("atr", "upper", "middle", "lower"))
        assert (atr.value, bands.upper, bands.middle, bands.lower) == expected, k


if __name__ == "__main__":
    print(digest())
