"""Bars to four ticks each, on hand-made bars and on real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from nautilus_common.catalog.errors import DataError
from nautilus_common.catalog.loaders import load_all
from nautilus_common.catalog.schema import LoadSpec
from nautilus_common.catalog.validation import validate_columns
from nautilus_common.catalog.wranglers import (
    BarDataWrangler,
    QuoteTickDataWrangler,
    TradeTickDataWrangler,
    quotes_from_bar_files,
    quotes_from_bars,
    trades_from_bar_file,
    trades_from_bars,
)

MINUTE = 60_000_000_000
MS = 1_000_000


def bars(times: list[int], base: int = 100, volume: int = 40) -> dict[str, Any]:
    ts = np.array(times, dtype=np.int64)
    ones = np.ones(len(ts), dtype=np.int64)
    prices = {"open": base, "high": base + 5, "low": base - 5, "close": base + 1}
    return {"ts_event": ts, "ts_init": ts, **{n: ones * p for n, p in prices.items()}, "volume": ones * volume}


def test_four_quotes_of_each_pair_of_bars(usdjpy: Any) -> None:
    bid, ask = bars([MINUTE, 2 * MINUTE, 4 * MINUTE]), bars([2 * MINUTE, 3 * MINUTE, 4 * MINUTE], base=102)
    quotes = quotes_from_bars(bid, ask, usdjpy)
    assert (quotes.kind, quotes.instrument_id, quotes.bar_type, len(quotes)) == ("quote", usdjpy.id, None, 8)
    columns = quotes.columns
    assert columns["ts_init"].tolist() == [m * MINUTE - ms * MS for m in (2, 4) for ms in (300, 200, 100, 0)]
    assert columns["ts_event"] is columns["ts_init"]
    assert columns["bid"].tolist() == [100, 105, 95, 101] * 2
    assert columns["ask"].tolist() == [102, 107, 97, 103] * 2
    assert set(columns["bid_size"].tolist()) == set(columns["ask_size"].tolist()) == {1_000_000}


@pytest.mark.parametrize(("volume", "size"), [(40, 10), (41, 10), (42, 10), (43, 11), (46, 12), (0, 1)])
def test_a_quarter_of_the_volume_half_to_even_and_at_least_an_increment(usdjpy: Any, volume: int, size: int) -> None:
    trades = trades_from_bars(bars([MINUTE], volume=volume), usdjpy)
    assert trades.columns["size"].tolist() == [size] * 4


def test_trades_are_numbered_without_aggressor(usdjpy: Any) -> None:
    columns = trades_from_bars(bars([MINUTE, 2 * MINUTE]), usdjpy).columns
    assert columns["price"].tolist() == [100, 105, 95, 101] * 2
    assert columns["aggressor"].tolist() == [0] * 8
    assert columns["trade_id"].tolist() == list(range(1, 9))
    validate_columns("trade", columns, usdjpy, source="trades")


def test_bars_closer_than_the_offsets_are_sorted_stably(usdjpy: Any) -> None:
    columns = trades_from_bars(bars([1000 * MS, 1300 * MS]), usdjpy).columns
    assert columns["ts_init"].tolist() == [t * MS for t in (700, 800, 900, 1000, 1000, 1100, 1200, 1300)]
    assert columns["price"].tolist()[3:5] == [101, 100]  # the close of the first goes before the open of the second


def test_random_seed_swaps_high_and_low_of_some_bars(usdjpy: Any) -> None:
    many = bars([i * MINUTE for i in range(1, 101)])
    one, two = (trades_from_bars(many, usdjpy, random_seed=7).columns["price"].tolist() for _ in range(2))
    assert one == two
    swapped = sum(one[4 * i + 1] == 95 for i in range(100))
    assert 30 < swapped < 70
    assert all(sorted(one[4 * i : 4 * i + 4]) == [95, 100, 101, 105] for i in range(100))


def test_repeated_bars_are_refused(usdjpy: Any) -> None:
    with pytest.raises(DataError, match="bid bars: row 2: time stamps are not increasing"):
        quotes_from_bars(bars([MINUTE, MINUTE]), bars([MINUTE]), usdjpy)


TABLE = {
    "timestamp": np.array(["2024-01-01T00:01", "2024-01-01T00:02"], dtype="datetime64[ns]"),
    "open": np.array([150.001, 150.002]),
    "high": np.array([150.003, 150.004]),
    "low": np.array([150.0, 150.001]),
    "close": np.array([150.002, 150.003]),
}


@pytest.mark.parametrize("make", [dict, pa.table], ids=["dict", "table"])
def test_wranglers_take_tables(make: Any, usdjpy: Any) -> None:
    data = make(TABLE)
    quotes = QuoteTickDataWrangler(usdjpy).process_bar_data(data, data)
    assert quotes.columns["bid"].tolist()[:4] == [150_001, 150_003, 150_000, 150_002]
    assert quotes.columns["bid_size"].tolist()[0] == 1_000_000
    later = QuoteTickDataWrangler(usdjpy).process_bar_data(data, data, timestamp_is_close=False, ts_init_delta=5)
    assert (later.columns["ts_init"] - quotes.columns["ts_init"]).tolist() == [300 * MS + 5] * 8
    trades = TradeTickDataWrangler(usdjpy).process_bar_data(make({**TABLE, "volume": np.array([10.0, 12.0])}))
    assert trades.columns["size"].tolist() == [2] * 4 + [3] * 4
    got = BarDataWrangler("USD/JPY.SIM-1-MINUTE-BID-EXTERNAL", usdjpy).process(data)
    assert (got.kind, got.bar_type, len(got)) == ("bar", "USD/JPY.SIM-1-MINUTE-BID-EXTERNAL", 2)
    assert got.columns["volume"].tolist() == [1_000_000] * 2
    ticks = {"timestamp": TABLE["timestamp"], "bid_price": TABLE["open"], "ask_price": TABLE["high"]}
    assert QuoteTickDataWrangler(usdjpy).process(make(ticks)).columns["ask"].tolist() == [150_003, 150_004]
    prints = {"timestamp": TABLE["timestamp"], "price": TABLE["open"], "quantity": [3, 4], "buyer_maker": [True, False]}
    assert TradeTickDataWrangler(usdjpy).process(make(prints)).columns["aggressor"].tolist() == [2, 1]


def test_raw_bars(usdjpy: Any) -> None:
    raw = {name: a if name == "timestamp" else np.rint(a * 1000).astype(np.int64) for name, a in TABLE.items()}
    one, two = QuoteTickDataWrangler(usdjpy), TABLE
    assert np.array_equal(
        one.process_bar_data(raw, raw, is_raw=True).columns["bid"], one.process_bar_data(two, two).columns["bid"]
    )


@pytest.mark.filterwarnings("ignore")
def test_wranglers_take_a_pandas_frame(usdjpy: Any) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed; it is not a dependency")
    for name in ("timestamp", "when", None):
        index = pandas.DatetimeIndex(TABLE["timestamp"], tz="UTC", name=name)
        frame = pandas.DataFrame({n: a for n, a in TABLE.items() if n != "timestamp"}, index=index)
        quotes = QuoteTickDataWrangler(usdjpy).process_bar_data(frame, frame)
        assert quotes.columns["ts_init"][3] == TABLE["timestamp"][0].astype(np.int64)


def test_what_is_no_table_is_refused(usdjpy: Any) -> None:
    with pytest.raises(DataError, match="BarDataWrangler: cannot take a list"):
        BarDataWrangler("x", usdjpy).process([1, 2])


def test_usdjpy_bars_of_2013(fleet_data: Path, usdjpy: Any) -> None:
    folder = fleet_data / "fxcm"
    quotes = quotes_from_bar_files(folder / "usdjpy-m1-bid-2013.csv.gz", folder / "usdjpy-m1-ask-2013.csv.gz", usdjpy)
    assert len(quotes) == 115_044 == 4 * 28_761
    assert quotes.columns["bid"][:4].tolist() == [91_715, 91_715, 91_653, 91_653]
    assert quotes.columns["ask"][:4].tolist() == [91_717, 91_717, 91_655, 91_655]
    assert int((quotes.columns["bid"] > quotes.columns["ask"]).sum()) == 2_549
    validate_columns("quote", quotes.columns, usdjpy, source="quotes", allow_crossed=quotes.allow_crossed)
    with pytest.raises(DataError, match="crossed"):
        validate_columns("quote", quotes.columns, usdjpy, source="quotes")


def test_first_bars_of_the_btc_perpetual(fleet_data: Path, btcusdt_perp: Any) -> None:
    path = fleet_data / "btc-perp-20211231-20220201_1m.csv.gz"
    spec = LoadSpec(kind="bar", max_rows=15)
    quotes = quotes_from_bar_files(path, path, btcusdt_perp, spec)
    trades = trades_from_bar_file(path, btcusdt_perp, spec)
    assert len(quotes) == len(trades) == 60
    assert np.array_equal(quotes.columns["bid"], quotes.columns["ask"])
    assert quotes.columns["bid"][:4].tolist() == [463_190, 463_850, 463_190, 463_770]
    assert np.array_equal(quotes.columns["bid"], trades.columns["price"])
    assert trades.columns["size"][:5].tolist() == [575_103_432] * 4 + [457_405_798]  # 2300413.7295 / 4
    with pytest.raises(DataError, match=r"row 243: column 'open': wrong precision: 46821.75"):
        load_all(path, LoadSpec(kind="bar"), btcusdt_perp)
