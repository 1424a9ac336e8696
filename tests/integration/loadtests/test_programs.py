"""The programs of the load tests over processes, at sizes that take seconds: they measure what they say. No goal asked.

What a run must be is asserted by the programs themselves: every order filled, every message read back, the digest that
of the run in one process. A program that finds otherwise ends with 1.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from loadtests import workloads


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workloads, "FOLDER", tmp_path_factory.mktemp("market"))
        yield


def measure(capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> dict[str, dict[str, Any]]:
    """The lines of a program by the name of their workload."""
    program = importlib.import_module(f"loadtests.{name}")
    assert program.main([*arguments, "--json"]) == 0, capsys.readouterr().err
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in lines:
        assert line["seconds"] > 0
        assert "load" in line
        assert all({"figure", "measured", "goal", "ratio"} == goal.keys() for goal in line["goals"])
    return {line["workload"]: line for line in lines}


def test_ticks(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(capsys, "fleet_ticks", "--ticks", "50000", "--repeat", "1", "--topology", "three")
    assert {name: line["ticks"] for name, line in found.items()} == {"TICKS_BARS": 50_000, "TICKS_EMPTY": 20_000}
    for line in found.values():
        assert line["ticks_per_s"] == pytest.approx(line["ticks"] / line["seconds"], rel=0.01)
        assert line["cpu_ns_per_tick_of"].keys() == {
            "nats_control",
            "nats_data",
            "execution_gateway+risk+portfolio",
            "strategy_host",
            "replay",
        }


def test_an_order_costs_as_many_trips_as_it_has_answers(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(capsys, "fleet_orders", "--orders", "100", "--repeat", "1")
    trips = {name: line["trips_per_order"] for name, line in found.items()}
    assert 3 <= trips["ORDERS_APART"] < 3.3
    assert 2 <= trips["ORDERS_THREE"] < 2.3
    assert trips["ORDERS_ONE"] < 0.3
    assert len({line["digest"] for line in found.values()}) == 1


def test_the_log_of_a_process(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(capsys, "control_log", "--messages", "3000", "--one-by-one", "5")
    assert found.keys() == {"LOG_DEFAULT", "LOG_ALWAYS"}
    for line in found.values():
        assert line["messages_per_entry"] >= 1
        assert 0 < line["alone_p50_ms"] <= line["alone_p99_ms"]


def test_recovery(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(capsys, "recovery", "--service", "risk", "--orders", "3000")
    assert found.keys() == {"RECOVERY", "RECOVERY_LOG"}
    for line in found.values():
        assert line["messages_of_log"] >= 0.7 * 3000 * 6
        assert line["recovery_s"] > 0


def test_a_burst(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(capsys, "burst", "--ticks", "30000", "--orders", "30", "--messages", "52000")
    assert found["BURST"]["orders"] == 30
    assert 0 < found["BURST_LOG"]["waiting"] <= found["BURST_LOG"]["waiting_max"]


def test_a_slow_consumer(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(capsys, "slow_consumer", "--orders", "150", "--stop-seconds", "1")
    line = found["SLOW_CONSUMER"]
    assert line["stood_s"] >= line["other_s"], "the other replay ended while the first one stood"


def test_a_soak(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(capsys, "soak", "--minutes", "0.1", "--hours", "2")
    line = found["SOAK"]
    assert line["seconds"] == pytest.approx(6, abs=2)
    assert line["samples"] >= 8
    assert line["growth_of"].keys() == line["rss_mb_of"].keys() >= {"risk", "nats_data"}


def test_what_cannot_be_measured_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    program = importlib.import_module("loadtests.recovery")
    assert program.main(["--orders", "20"]) == 1
    assert "more --orders" in capsys.readouterr().err


def test_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    from loadtests.program import Row
    from loadtests.workloads import Goal

    figures = {"seconds": 2.0, "ms": 3.0, "rate": 20_000, "load": 0.5}
    row = Row("X", "something", figures, (Goal("ms", 1.5), Goal("rate", 10_000, at_least=True)))
    assert (
        row.line().split("something")[1].strip()
        == "ms 3 / 1.500 = 0.50 MISSED; rate 20,000 / 10,000 = 2.00  (load 0.5)"
    )
    assert [goal["ratio"] for goal in row.as_json()["goals"]] == [0.5, 2.0]


def test_every_program_is_run_by_make() -> None:
    root = Path(__file__).parents[3]
    programs = {path.stem for path in (root / "loadtests").glob("*.py") if "program.run(" in path.read_text()}
    line = next(x for x in (root / "Makefile").read_text().splitlines() if x.startswith("FLEET_LOADS"))
    assert programs - {"program"} == set(line.partition("=")[2].split())
