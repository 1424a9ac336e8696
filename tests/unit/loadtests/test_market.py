"""The generated market is the one that the peers were measured on."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from loadtests import market

# SHA-256 of what the peers' own generator wrote, its columns in the order it wrote them.
PEERS = {
    "quotes": "6c4f5a0a9cfb112f96e986d25d5ebb726c9697109545cae6a1e31b539fb45aab",
    "bars": "12fe25055c15c4c7320450dce1657f46f170f04649d9cdde38692e1f2e08d680",
}


@pytest.fixture(scope="module")
def columns() -> dict[str, market.Columns]:
    return market.generate()


@pytest.mark.parametrize("kind", ["quotes", "bars"])
def test_the_arrays_are_the_peers(columns: dict[str, market.Columns], kind: str) -> None:
    assert market.digest(columns[kind]) == PEERS[kind] == market.DIGESTS[kind]


def test_quotes_have_the_documented_rows(columns: dict[str, market.Columns]) -> None:
    quotes = columns["quotes"]
    assert {name: (len(c), int(c[0]), int(c[-1])) for name, c in quotes.items()} == {
        "ts": (1_000_000, 1704153600671158456, 1704703822668346689),
        "bid": (1_000_000, 109996, 114587),
        "ask": (1_000_000, 110002, 114593),
        "bid_size": (1_000_000, 3100000, 3000000),
        "ask_size": (1_000_000, 3500000, 1600000),
    }
    assert (quotes["bid"] < quotes["ask"]).all()
    assert (np.diff(quotes["ts"]) > 0).all()


def test_bars_have_the_documented_rows(columns: dict[str, market.Columns]) -> None:
    bars = columns["bars"]
    assert {name: (len(c), int(c[0]), int(c[-1])) for name, c in bars.items()} == {
        "ts": (200_000, 1704153660000000000, 1716153600000000000),
        "open": (200_000, 110000, 102026),
        "high": (200_000, 110005, 102031),
        "low": (200_000, 109992, 102023),
        "close": (200_000, 110005, 102023),
        "volume": (200_000, 2088000, 5222000),
    }
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()


def test_a_stored_market_is_the_generated_one(tmp_path: Path) -> None:
    for kind in ("quotes", "bars"):
        assert market.digest(market.load(tmp_path, kind)) == PEERS[kind]
        assert market.digest(market.load(tmp_path, kind)) == PEERS[kind]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".npz", ".npz"]


def test_the_generator_imports_only_numpy() -> None:
    """The peers' environment runs it too."""
    tree = ast.parse(Path(market.__file__).read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= {"__future__", "hashlib", "pathlib", "numpy", "numpy.typing"}
