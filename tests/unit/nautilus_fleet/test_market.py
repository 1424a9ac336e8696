"""Instruments and data of a configuration; the bundled examples read as they should."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from nautilus_common.testkit.sample_market import SAMPLES, sample_quotes, write_sample_market
from nautilus_fleet.config_source import load_config
from nautilus_fleet.errors import FleetError, NoDataError
from nautilus_fleet.market import load_market
from nautilus_fleet.runner import PRICE_POINTS_MAX, price_series
from nautilus_fleet.terminal import Progress

ROOT = Path(__file__).parents[3]
HEAD = """\
run.strategy = "mine.py:Mine"
stats.periods_per_year = 365
venue.SIM.starting_balances = ["1 USD"]
"""
AUDUSD = """
[[instruments]]
type = "CurrencyPair"
instrument_id = "AUD/USD.SIM"
base_currency = "AUD"
quote_currency = "USD"
price_precision = 5
maker_fee = "0.00002"
"""
SUMS = [18296135928, 18296596551, 251158000]
QUOTES = """
[[data.files]]
kind = "quotes"
instrument = "AUD/USD.SIM"
file = "quotes.csv"
"""


def load(tmp_path: Path, text: str, *overrides: str):  # type: ignore[no-untyped-def]
    (tmp_path / "backtest.toml").write_text(HEAD + text)
    return load_market(load_config(tmp_path, overrides, {}), Progress())


def test_quotes_of_a_file_with_a_defined_instrument(tmp_path: Path) -> None:
    (tmp_path / "quotes.csv").write_text("timestamp,bid,ask\n2024-01-01T00:00:00Z,0.7,0.70001\n")
    market = load(tmp_path, AUDUSD + QUOTES)
    instrument = market.instruments["AUD/USD.SIM"]
    assert instrument.maker_fee == Decimal("0.00002")
    assert str(instrument.price_increment) == "0.00001"
    assert next(market.streams[0].read()).columns["ask"].tolist() == [70001]
    assert next(market.streams[0].read()).columns["bid_size"].tolist() == [1_000_000]
    assert list(market.inputs) == ["quotes.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (QUOTES, ["unknown instrument AUD/USD.SIM", "backtest.toml:5"]),
        (AUDUSD + QUOTES.replace("quotes.csv", "qoutes.csv"), ["no such file", "quotes.csv", "backtest.toml:13"]),
        (AUDUSD + 'price_increment = "0.001"' + QUOTES, ["AUD/USD.SIM", "backtest.toml:5"]),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "quotes.csv").write_text("timestamp,bid,ask\n2024-01-01T00:00:00Z,0.7,0.70001\n")
    with pytest.raises(FleetError) as caught:
        load(tmp_path, text)
    for word in words:
        assert word in str(caught.value)


def test_a_bad_row_names_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "quotes.csv").write_text("timestamp,bid,ask\n2024-01-01T00:00:00Z,0.7,0.7\n2024-01-01T00:00:01Z,x,1\n")
    with pytest.raises(FleetError, match=r"quotes.csv: row 2"):
        load(tmp_path, AUDUSD + QUOTES)


def test_nothing_in_the_time_asked_for_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "quotes.csv").write_text("timestamp,bid,ask\n2024-01-01T00:00:00Z,0.7,0.70001\n")
    with pytest.raises(NoDataError, match="no data between 2025-01-01"):
        load(tmp_path, AUDUSD + QUOTES, "run.start=2025-01-01")


def test_a_catalogue_says_what_it_has_instead(tmp_path: Path) -> None:
    write_sample_market(tmp_path / "data", days=1)
    text = 'data.catalog = "data"\n'
    assert load(tmp_path, text).rows() == sum(len(sample_quotes(s, days=1)["bid"]) for s in SAMPLES)
    with pytest.raises(NoDataError, match=r"BTC/USDT.SIM \(43,200 rows\)"):
        load(tmp_path, text, 'data.instruments=["BTC/USD.SIM"]')
    with pytest.raises(NoDataError, match="no trades"):
        load(tmp_path, text, 'data.kinds=["trades"]')
    with pytest.raises(NoDataError, match="from 2030-01-01"):
        load(tmp_path, text, "run.start=2030-01-01")
    with pytest.raises(NoDataError, match="no catalogue at"):
        load(tmp_path, text.replace("data\n", "elsewhere\n").replace('"data"', '"elsewhere"'))


@pytest.mark.parametrize("start", [None, "2024-01-01T12:00:00Z"])
def test_a_catalogue_in_pieces_is_the_same_and_makes_the_same_chart(tmp_path: Path, start: str | None) -> None:
    write_sample_market(tmp_path / "data", days=1)
    bounds = [] if start is None else [f"run.start={start}"]
    whole = load(tmp_path, 'data.catalog = "data"\n', *bounds).streams[0]
    pieces = load(tmp_path, 'data.catalog = "data"\n', *bounds, "data.block_rows=1000").streams[0]
    assert whole.rows == pieces.rows
    assert len(list(pieces.read())) == -(-pieces.rows // 1000)
    bids = np.concatenate([piece.columns["bid"] for piece in pieces.read()])
    assert np.array_equal(bids, next(whole.read()).columns["bid"])
    chart, again = price_series(whole, 1), price_series(pieces, 1)
    assert len(chart["ts"]) <= PRICE_POINTS_MAX
    assert all(np.array_equal(chart[name], again[name]) for name in ("ts", "open", "high", "low", "close"))
    assert chart["high"].max() >= chart["close"].max()


def test_the_sample_market_is_whole_sorted_and_never_crossed() -> None:
    for sample in SAMPLES:
        columns = sample_quotes(sample, days=7)
        assert all(column.dtype == np.int64 for column in columns.values())
        assert (np.diff(columns["ts_init"]) > 0).all()
        assert (columns["ask"] > columns["bid"]).all()
        assert (columns["bid"] > 0).all()
        assert (columns["bid_size"] > 0).all()
    hours = (sample_quotes(SAMPLES[1], days=7)["ts_init"] // 3_600_000_000_000 + 96) % 168  # from Sunday 00:00
    assert int(hours.max()) < 168
    assert not ((hours >= 142) & (hours < 166)).any()


def test_the_sample_market_is_the_same_everywhere() -> None:
    """Figures of 2026-11, Python 3.11 and numpy 2.4; a difference is a broken promise, or a new seed of the docs."""
    columns = sample_quotes(SAMPLES[0], days=1)
    assert sample_quotes(SAMPLES[0], days=1)["bid"].tolist() == columns["bid"].tolist()
    assert not np.array_equal(sample_quotes(SAMPLES[0], seed=7, days=1)["bid"], columns["bid"])
    assert [int(columns[name].sum()) for name in ("bid", "ask", "bid_size")] == SUMS


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*/*.toml")), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_every_example_is_a_valid_configuration(path: Path) -> None:
    config = load_config(path, (), {})
    assert config.model.stats.periods_per_year in (252, 260, 365)
