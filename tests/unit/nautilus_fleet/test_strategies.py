"""Strategies by path and their parameters by annotation."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_common.model.data import BarType
from nautilus_common.model.identifiers import InstrumentId
from nautilus_fleet.config_source import LoadedConfig, load_config
from nautilus_fleet.errors import FleetError
from nautilus_fleet.strategies import load_strategies

from services.strategy_host.loading import build_config, convert, load_class


class Colour(Enum):
    RED = 1


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    instrument_id: InstrumentId
    size: Decimal
    fast: int = 10


FILE = """\
import msgspec
class MineConfig(msgspec.Struct, kw_only=True, frozen=True):
    fast: int = 10
    order_id_tag: str | None = None
class Mine:
    def __init__(self, config: MineConfig) -> None:
        self.config = config
class Plain:
    pass
"""


def loaded(tmp_path: Path, strategy: str = "mine.py:Mine", params: str = "fast = 3", file: str = FILE) -> LoadedConfig:
    (tmp_path / "mine.py").write_text(file)
    text = f'run.strategy = "{strategy}"\nstats.periods_per_year = 365\ndata.catalog = "data"\n'
    text += f'venue.SIM.starting_balances = ["1 USD"]\n[params]\n{params}\n'
    (tmp_path / "backtest.toml").write_text(text)
    return load_config(tmp_path, (), {})


def test_a_strategy_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (strategy,) = load_strategies(loaded(tmp_path))
    assert type(strategy).__name__ == "Mine"
    assert strategy.config.fast == 3


@pytest.mark.parametrize(
    ("strategy", "params", "words"),
    [
        ("mine.py", "", ["names no class", "mine.py:ClassName"]),
        ("mine.py:Other", "", ["no class Other", "Mine"]),
        ("yours.py:Mine", "", ["no strategy file", "mine.py"]),
        ("nowhere.at_all:Mine", "", ["no module nowhere"]),
        ("mine.py:Mine", "fats = 3", ["unknown parameter fats", "did you mean fast?", "backtest.toml:6"]),
        ("mine.py:Mine", 'fast = "x"', ["parameter fast", "backtest.toml:6"]),
        ("mine.py:Mine", "fast = 2.5", ["expected a whole number", "2.5"]),
        ("mine.py:Plain", "fast = 3", ["Plain takes no parameters"]),
    ],
)
def test_mistakes_name_place_and_remedy(tmp_path: Path, strategy: str, params: str, words: list[str]) -> None:
    with pytest.raises(FleetError) as caught:
        load_strategies(loaded(tmp_path, strategy, params))
    for word in words:
        assert word in str(caught.value)


def test_an_error_in_the_strategys_own_file_names_its_line(tmp_path: Path) -> None:
    config = loaded(tmp_path, file="x = 1\ny = x / 0\n")
    with pytest.raises(FleetError, match=r"ZeroDivisionError(.|\n)*mine.py:2"):
        load_class(config.base, "mine.py:Mine", "here")


def test_a_missing_parameter_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="needs instrument_id, size"):
        build_config(Settings, {"fast": 1}, lambda name: f"params {name}")


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ("EUR/USD.SIM", InstrumentId, InstrumentId.from_str("EUR/USD.SIM")),
        ("EUR/USD.SIM", InstrumentId | None, InstrumentId.from_str("EUR/USD.SIM")),
        (["A.B"], list[InstrumentId], [InstrumentId.from_str("A.B")]),
        ("A.B-1-MINUTE-BID-INTERNAL", BarType, BarType.from_str("A.B-1-MINUTE-BID-INTERNAL")),
        ("0.10", Decimal, Decimal("0.10")),
        (3, Decimal, Decimal(3)),
        (3, float, 3.0),
        ("12", int, 12),
        (True, bool, True),
        ("RED", Colour, Colour.RED),
        ({"a": "1"}, dict[str, int], {"a": 1}),
        ([1], Any, [1]),
    ],
)
def test_values_become_what_the_annotation_says(value: Any, hint: Any, expected: Any) -> None:
    found = convert(value, hint)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("value", "hint"), [(True, int), (1, bool), (0.1, Decimal), ("x", int), ("BLUE", Colour)])
def test_values_are_never_guessed(value: Any, hint: Any) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        convert(value, hint)
