"""A small sample market that needs no download: seeded, exact, the same bytes on every machine.

Two instruments, a quote every two seconds on average: `BTC/USDT.SIM`, which never closes, and `EUR/USD.SIM`, open from
Sunday 22:00 to Friday 22:00 UTC. Prices are integers from the first step to the last: PCG64 draws integers, and
everything made of them is whole-number arithmetic, so no platform's floating point can change a row.

The price is a sum of three things, in ticks: a trend that changes its drift every few hours, noise whose size follows
the hour of the day, and a slow pull back to the start, so that ten days look like a market and not like a random walk
gone away. Spreads are wide and sizes small in the quiet hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

SECOND_NS = 1_000_000_000
DAY_SECONDS = 86_400
# Monday 2024-01-01 00:00:00 UTC.
START_NS = 1_704_067_200 * SECOND_NS
# 24 weights of activity by UTC hour, in sixteenths: quiet Asia, busy London and New York.
_ACTIVITY = np.array(
    [6, 6, 7, 7, 6, 6, 8, 12, 16, 16, 14, 13, 14, 18, 22, 22, 20, 16, 12, 10, 8, 8, 6, 6], dtype=np.int64
)
# Prices walk in 1/1024 of a tick.
_FRACTION = 1024


@dataclass(frozen=True)
class SampleInstrument:
    """How one sample instrument moves. Prices and sizes are raw integers at the stated precisions."""

    symbol: str
    base: str
    quote: str
    price_precision: int
    size_precision: int
    start_raw: int
    noise: int
    drift: int
    spread_ticks: int
    size_raw: int
    always_open: bool
    step_seconds: int = 2


SAMPLES = (
    SampleInstrument("BTC/USDT", "BTC", "USDT", 1, 3, 423_000, 90_000, 700, 5, 2_000, always_open=True),
    SampleInstrument("EUR/USD", "EUR", "USD", 5, 0, 110_400, 3_000, 110, 6, 1_000_000, always_open=False),
)


def sample_instruments() -> list[Any]:
    """The two currency pairs at the venue SIM, with fees and margins of their kind."""
    from decimal import Decimal

    from nautilus_common.model.identifiers import InstrumentId, Symbol, Venue
    from nautilus_common.model.instruments import CurrencyPair
    from nautilus_common.model.values import Currency, Price, Quantity

    out = []
    for sample in SAMPLES:
        base, quote = Currency.from_str(sample.base), Currency.from_str(sample.quote)
        assert base is not None
        assert quote is not None
        fee = Decimal("0.0004") if sample.always_open else Decimal("0.00002")
        out.append(
            CurrencyPair(
                instrument_id=InstrumentId(Symbol(sample.symbol), Venue("SIM")),
                raw_symbol=Symbol(sample.symbol),
                base_currency=base,
                quote_currency=quote,
                price_precision=sample.price_precision,
                size_precision=sample.size_precision,
                price_increment=Price.from_raw(1, sample.price_precision),
                size_increment=Quantity.from_raw(1, sample.size_precision),
                ts_event=0,
                ts_init=0,
                margin_init=Decimal("0.05"),
                margin_maint=Decimal("0.03"),
                maker_fee=fee / 2 if sample.always_open else fee,
                taker_fee=fee,
            )
        )
    return out


def sample_quotes(sample: SampleInstrument, *, seed: int = 42, days: int = 10) -> dict[str, IntArray]:
    """Raw quote columns of one instrument: the same for the same seed and days, everywhere."""
    # A stream of its own for each instrument, so that adding one leaves the others as they are.
    stream = sum(ord(letter) << (8 * (i % 7)) for i, letter in enumerate(sample.symbol))
    generator = np.random.Generator(np.random.PCG64([seed, stream]))
    ts = _times(generator, sample, days)
    mid = _mid(generator, sample, ts)
    hour = (ts // (3600 * SECOND_NS)) % 24
    quiet = 22 - _ACTIVITY[hour]
    half = sample.spread_ticks + quiet // 3 + generator.integers(0, sample.spread_ticks + 1, len(ts))
    sizes = [
        sample.size_raw * generator.integers(2, 20, len(ts)) * _ACTIVITY[hour] // 64 + sample.size_raw
        for _ in ("bid", "ask")
    ]
    bid = mid - half // 2
    ask = mid + half - half // 2
    return {"ts_event": ts, "ts_init": ts, "bid": bid, "ask": ask, "bid_size": sizes[0], "ask_size": sizes[1]}


def _times(generator: np.random.Generator, sample: SampleInstrument, days: int) -> IntArray:
    """A quote in each step at a random millisecond of it; closed hours of the week left out."""
    steps = np.arange(0, days * DAY_SECONDS, sample.step_seconds, dtype=np.int64)
    millis = generator.integers(0, sample.step_seconds * 1000, len(steps), dtype=np.int64)
    ts = START_NS + steps * SECOND_NS + millis * 1_000_000
    if not sample.always_open:
        # Seconds since Sunday 22:00; 120 hours of trading, then the weekend. The sample starts on a Monday at 00:00.
        week = (steps + 2 * 3600) % (7 * DAY_SECONDS)
        ts = ts[week < 120 * 3600]
    return ts


def _mid(generator: np.random.Generator, sample: SampleInstrument, ts: IntArray) -> IntArray:
    """The middle price in ticks: trend + noise, pulled back to the start by a small part of the way each hour."""
    count = len(ts)
    hours = (ts - START_NS) // (3600 * SECOND_NS)
    # The trend keeps its drift for four hours; drifts are drawn anew, so trends end as they began: without notice.
    drifts = generator.integers(-sample.drift, sample.drift + 1, int(hours.max()) // 4 + 1, dtype=np.int64)
    # The sum of four uniform draws is near enough to a bell, and whole.
    draws = generator.integers(-sample.noise, sample.noise + 1, (4, count), dtype=np.int64).sum(axis=0, dtype=np.int64)
    noise = draws * _ACTIVITY[hours % 24] // 32
    walk = np.cumsum(noise + drifts[hours // 4], dtype=np.int64)
    return sample.start_raw + _pulled_back(walk, hours) // _FRACTION


def _pulled_back(walk: IntArray, hours: IntArray) -> IntArray:
    """Take off, in each hour, what has gathered of one sixty-fourth of the distance at each hour's begin."""
    starts = np.flatnonzero(np.diff(hours, prepend=hours[0] - 1))
    offset = 0
    offsets = []
    for start in starts:
        offset += int(walk[start] - offset) // 64
        offsets.append(offset)
    lengths = np.diff(np.append(starts, len(walk)))
    return walk - np.repeat(np.array(offsets, dtype=np.int64), lengths)


def write_sample_market(folder: Path, *, seed: int = 42, days: int = 10) -> int:
    """Write both instruments and their quotes into a catalogue at `folder`; returns the number of quotes."""
    from nautilus_common.catalog.catalog import Catalog

    catalog = Catalog(folder)
    rows = 0
    for sample, instrument in zip(SAMPLES, sample_instruments(), strict=True):
        catalog.write_instrument(instrument)
        columns = sample_quotes(sample, seed=seed, days=days)
        rows += catalog.write("quote", instrument, columns).rows
    return rows
