"""The command line: help, exit codes, streams."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
from nautilus_fleet.cli import COMMANDS, load_command, main, render_help
from nautilus_fleet.version import __version__


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == render_help()
    for name in COMMANDS:
        assert f"  {name} " in render_help()


def test_no_command_shows_help_and_is_a_usage_error() -> None:
    assert main([]) == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fleet {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_each_of_its_parameters(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    for parameter in inspect.signature(load_command(name)).parameters.values():
        word = parameter.name.strip("_").replace("_", "-")
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            word = word.removesuffix("s")  # ROLE... is said for roles
        flag = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        wanted = f"--{word}" if flag else {"folder": "DIR"}.get(word, word.upper())
        assert wanted in text, f"fleet {name} --help says nothing of {wanted}"
    documented = {flag.removeprefix("no-") for flag in re.findall(r"^  --([a-z-]+)", text, re.MULTILINE)}
    known = {p.strip("_").replace("_", "-") for p in inspect.signature(load_command(name)).parameters}
    assert documented <= known


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["backtst"], 2, "did you mean fleet backtest?"),
        (["data", "lz"], 2, "did you mean fleet data ls?"),
        (["backtest"], 2, "fleet backtest --help"),
        (["backtest", "x.toml", "--jsn"], 2, "--json"),
        (["backtest", "/nowhere/x.toml"], 2, "fleet init"),
        (["verify", "no-such-run"], 2, "no run no-such-run"),
        (["report", "no-such-run"], 2, "no run no-such-run"),
        (["data", "ls", "/nowhere"], 4, "no catalogue at /nowhere"),
    ],
)
def test_a_users_mistake_is_one_clear_message_on_stderr(
    arguments: list[str],
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert "\x1b" not in err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_DEBUG", "1")
    assert main(["backtest", "/nowhere/x.toml"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_init_makes_a_project_and_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = tmp_path / "desk"
    assert main(["init", str(desk), "--days", "1"]) == 0
    out = capsys.readouterr().out
    assert "fleet backtest" in out
    assert sorted(p.name for p in desk.iterdir()) == [".gitignore", "backtest.toml", "data", "strategies"]
    assert main(["init", str(desk)]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert main(["data", "ls", str(desk / "data"), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed["entries"]] == ["BTC/USDT.SIM", "EUR/USD.SIM"]
    assert main(["data", "check", str(desk / "data")]) == 0


def test_import_then_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv, toml, catalog = tmp_path / "quotes.csv", tmp_path / "audusd.toml", tmp_path / "data"
    csv.write_text("time,BidPrice,ask\n2024-01-01T00:00:00Z,0.7,0.70001\n")
    toml.write_text(
        '[[instruments]]\ntype = "CurrencyPair"\ninstrument_id = "AUD/USD.SIM"\n'
        'base_currency = "AUD"\nquote_currency = "USD"\nprice_precision = 5\n'
    )
    arguments = ["data", "import", str(csv), "--catalog", str(catalog), "--kind", "quotes"]
    arguments += ["--column", "bid=BidPrice", "--instrument", str(toml)]
    assert main(arguments) == 0
    assert "1 rows of quote AUD/USD.SIM" in capsys.readouterr().out
    assert main(arguments) == 0, "importing the same again changes nothing"
    capsys.readouterr()
    assert main([*arguments[:-1], "EUR/USD.SIM"]) == 1
    assert "EUR/USD.SIM" in capsys.readouterr().err


def test_doctor_answers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert {check["state"] for check in answer["checks"]} <= {"ok", "warn"}
