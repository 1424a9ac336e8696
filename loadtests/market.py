"""The generated market of the workloads: the same arrays on every machine and in every peer. Imports only numpy.

Prices are integers of 1e-5, sizes whole units, times UTC nanoseconds. One generator feeds all, so the order of the
calls is part of the data: quotes, then trades (which no workload here reads), then bars.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.int64]
Columns = dict[str, Array]

SEED = 20240607
START_NS = 1_704_153_600_000_000_000  # 2024-01-02T00:00Z
MINUTE_NS = 60_000_000_000
QUOTES = 1_000_000
BARS = 200_000
FIRST_PRICE = 110_000

#: SHA-256 of each set's columns, one after the other as little-endian int64, in the order of their names here.
DIGESTS = {
    "quotes": "6c4f5a0a9cfb112f96e986d25d5ebb726c9697109545cae6a1e31b539fb45aab",
    "bars": "12fe25055c15c4c7320450dce1657f46f170f04649d9cdde38692e1f2e08d680",
}


def generate() -> dict[str, Columns]:
    """All rows of quotes and bars; 0.15 s."""
    rng = np.random.default_rng(SEED)
    quotes = _quotes(rng)
    _skip_trades(rng)
    return {"quotes": quotes, "bars": _bars(rng)}


def load(folder: Path, kind: str) -> Columns:
    """The columns of `kind`, read from `folder`, where they are written first if they are not there.

    Read rather than generated, so that the memory that generating takes is not counted to what is measured.
    """
    path = folder / f"market-{kind}-{DIGESTS[kind][:12]}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, generate()[kind])
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def digest(columns: Columns) -> str:
    """SHA-256 of the columns in their order."""
    sha = hashlib.sha256()
    for column in columns.values():
        sha.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
    return sha.hexdigest()


def _write(path: Path, columns: Columns) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type]
    part.replace(path)


def _walk(rng: np.random.Generator) -> tuple[Array, Array]:
    """Times 0.1 to 1 s apart, and a price that moves by up to three points a row."""
    ts = START_NS + np.cumsum(rng.integers(100_000_000, 1_000_000_001, QUOTES))
    return ts, FIRST_PRICE + np.cumsum(rng.integers(-3, 4, QUOTES))


def _quotes(rng: np.random.Generator) -> Columns:
    ts, mid = _walk(rng)
    half = rng.integers(1, 6, QUOTES)
    bid_size = rng.integers(1, 51, QUOTES) * 100_000
    ask_size = rng.integers(1, 51, QUOTES) * 100_000
    return {"ts": ts, "bid": mid - half, "ask": mid + half, "bid_size": bid_size, "ask_size": ask_size}


def _skip_trades(rng: np.random.Generator) -> None:
    _walk(rng)
    rng.integers(1, 51, QUOTES)
    rng.integers(1, 3, QUOTES)


def _bars(rng: np.random.Generator) -> Columns:
    ts = START_NS + MINUTE_NS * np.arange(1, BARS + 1, dtype=np.int64)
    steps = rng.integers(-8, 9, (BARS, 4))
    closes = FIRST_PRICE + np.cumsum(steps.sum(1))
    opens = np.concatenate([[FIRST_PRICE], closes[:-1]])
    path = opens[:, None] + np.cumsum(steps, 1)
    highs, lows = np.maximum(opens, path.max(1)), np.minimum(opens, path.min(1))
    volume = rng.integers(100, 10_000, BARS) * 1_000
    return {"ts": ts, "open": opens, "high": highs, "low": lows, "close": closes, "volume": volume}
