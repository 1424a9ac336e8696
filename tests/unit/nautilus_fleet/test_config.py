"""The configuration: layers, places, and errors in our words."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from nautilus_common.analysis.toml_writer import toml_text
from nautilus_fleet.config_source import load_config
from nautilus_fleet.errors import ConfigError, UsageError

GOOD = """\
[run]
name = "trial"
strategy = "strategies/ema_cross.py:EmaCross"
start = 2024-01-01

[params]
fast = 10

[venue.SIM]
starting_balances = ["1_000_000 USD"]

[venue.SIM.latency]
base_ms = 2
insert_us = 5

[[instruments]]
type = "CurrencyPair"
instrument_id = "USD/JPY.SIM"
base_currency = "USD"
quote_currency = "JPY"
price_precision = 3
maker_fee = "0.00002"

[data]
[[data.files]]
kind = "bid_ask_bars_as_quotes"
instrument = "USD/JPY.SIM"
bid = "$FLEET_DATA/bid.csv"
ask = "${FLEET_DATA}/ask.csv"

[stats]
periods_per_year = 260
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "backtest.toml"
    path.write_text(text, encoding="utf-8")
    return path


def failure(tmp_path: Path, text: str, *overrides: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, text), overrides, environ or {})
    message = str(caught.value)
    assert "pydantic" not in message
    assert "http" not in message
    return message


def test_a_good_file_with_its_variables_expanded(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD), (), {"FLEET_DATA": "/somewhere"})
    assert config.model.run.start == "2024-01-01"
    assert config.model.data.files[0].bid == "/somewhere/bid.csv"
    assert config.model.data.files[0].ask == "/somewhere/ask.csv"
    assert config.model.venue["SIM"].latency.nanos("base") == 2_000_000
    assert config.model.venue["SIM"].latency.nanos("insert") == 5_000
    assert config.where("instruments", 0, "maker_fee").endswith("backtest.toml:22")


def test_data_folder_defaults_to_the_one_beside_the_project(tmp_path: Path) -> None:
    (tmp_path / "project" / "examples").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()
    config = load_config(write(tmp_path / "project" / "examples", GOOD), (), {})
    assert config.model.data.files[0].bid == f"{tmp_path}/shared/data/bid.csv"


def test_command_line_over_environment_over_file_over_default(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    environ = {"FLEET_PARAMS__FAST": "11", "FLEET_VENUE__SIM__OMS_TYPE": "HEDGING", "FLEET_RUN__SEED": "7"}
    config = load_config(path, ["params.fast=12", "instruments.0.taker_fee=0.0005"], environ)
    assert config.model.params["fast"] == 12
    assert config.model.run.seed == 7
    assert config.model.venue["SIM"].oms_type == "HEDGING"
    assert config.model.instruments[0].taker_fee == "0.0005"
    assert config.model.output.folder == "runs"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("strategy =", "stratgy =", 3, ["unknown setting stratgy in [run]", "did you mean strategy?"]),
        ("base_ms =", "bsae_ms =", 13, ["unknown setting bsae_ms", "did you mean base_ms?"]),
        ("maker_fee =", "maker_fees =", 22, ["did you mean maker_fee?"]),
        ("periods_per_year =", "period_per_year =", 32, ["did you mean periods_per_year?"]),
        (
            'maker_fee = "0.00002"',
            "maker_fee = 0.00002",
            22,
            ["a float is not exact", 'write it as a string: "0.00002"'],
        ),
        ('"1_000_000 USD"', '"lots"', 10, ['"1000000 USD"']),
        ("price_precision = 3", 'price_precision = "x"', 21, ["expected a whole number"]),
        ('type = "CurrencyPair"', 'type = "Pair"', 16, ["'Pair' is not known", '"CurrencyPair"']),
        ('kind = "bid_ask_bars_as_quotes"', 'kind = "quotes"', 25, ['file = "..."']),
    ],
)
def test_a_mistake_is_named_with_its_line_and_remedy(
    tmp_path: Path, old: str, new: str, line: int, words: list[str]
) -> None:
    message = failure(tmp_path, GOOD.replace(old, new))
    assert f"backtest.toml:{line}" in message
    for word in words:
        assert word in message


def test_periods_per_year_is_never_guessed(tmp_path: Path) -> None:
    message = failure(tmp_path, GOOD[: GOOD.index("[stats]")])
    assert "365 for a market that never closes" in message
    assert "252 for an exchange" in message


def test_all_findings_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, GOOD.replace("[stats]", "[stat]")), ["run.sed=1", "param.x=1"], {})
    assert len(caught.value.findings) == 4
    assert "--set param.x=1\n  do:    did you mean params?" in str(caught.value)
    assert "--set run.sed=1" in str(caught.value)


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    assert "backtest.toml:3" in failure(tmp_path, "[run]\nname = 'x'\nstrategy = a.b\n")


def test_a_variable_that_is_not_set(tmp_path: Path) -> None:
    assert "$ELSEWHERE is not set" in failure(tmp_path, GOOD.replace("$FLEET_DATA", "$ELSEWHERE"))


def test_no_such_file_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fleet init"):
        load_config(tmp_path / "nothing.toml", (), {})


def test_the_written_lock_reads_back_the_same(tmp_path: Path) -> None:
    overrides = ["instruments.0.taker_fee=0.0005", "params.size=0.10"]
    first = load_config(write(tmp_path, GOOD), overrides, {"FLEET_DATA": "/d"}).model
    text = toml_text(first.model_dump(exclude_none=True))
    second = load_config(write(tmp_path, text), (), {}).model
    assert second == first
    assert toml_text(second.model_dump(exclude_none=True)) == text
    assert tomllib.loads(text)["instruments"][0]["taker_fee"] == "0.0005"
    assert "size = 0.10" in text


def test_a_parameter_of_several_strategies_is_set_for_each(tmp_path: Path) -> None:
    two = """\
[[strategies]]
path = "a.py:A"
params = { fast = 10 }

[[strategies]]
path = "b.py:B"
"""
    start = GOOD.index("[params]")
    text = GOOD.replace('strategy = "strategies/ema_cross.py:EmaCross"\n', "").replace(GOOD[start : start + 20], "")
    loaded = load_config(write(tmp_path, text + two), ["params.fast=5", "strategies.1.params.fast=7"], {})
    assert [strategy.params["fast"] for strategy in loaded.model.all_strategies()] == [5, 7]
