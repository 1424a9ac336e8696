"""Each workload does the work that its figure is for: the orders it sends, at a reduced size. No time is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests import __main__ as command
from loadtests import market, table, workloads
from loadtests.measure import latency_us, percentile
from loadtests.workloads import WORKLOADS, Goal

QUOTES, BARS = 20_000, 5_000


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workloads, "FOLDER", tmp_path_factory.mktemp("market"))
        yield


def crosses(prices: list[float]) -> int:
    """How often EMA 10 changes sides with EMA 20, the first side at the 20th price included: in integers, no floats."""
    from fractions import Fraction

    fast = slow = Fraction(0)
    side, count = None, 0
    for number, price in enumerate(prices, 1):
        fast = Fraction(price) if number == 1 else fast + Fraction(2, 11) * (Fraction(price) - fast)
        slow = Fraction(price) if number == 1 else slow + Fraction(2, 21) * (Fraction(price) - slow)
        # Exact fractions grow without end: 60 digits after the point tell the sides apart as well.
        fast, slow = round(fast, 60), round(slow, 60)
        if number >= 20 and (fast >= slow) != side:
            side, count = fast >= slow, count + 1
    return count


def test_w1_hears_every_quote_and_sends_nothing() -> None:
    figures = workloads.measure(WORKLOADS["W1"], QUOTES)
    assert (figures["workload"], figures["events"], figures["orders"]) == ("W1", QUOTES, 0)
    assert {"seconds", "events_per_s", "peak_rss_mb"} <= figures.keys()


def test_w2_sends_an_order_a_cross() -> None:
    columns = market.load(workloads.FOLDER, "quotes")
    mids = ((columns["bid"][:QUOTES] + columns["ask"][:QUOTES]) // 2).tolist()
    assert workloads.measure(WORKLOADS["W2"], QUOTES)["orders"] == crosses(mids) == 956


def test_w3_sends_an_order_a_cross_of_minute_bars() -> None:
    columns = market.load(workloads.FOLDER, "quotes")
    minutes = (columns["ts"][:QUOTES] // market.MINUTE_NS).tolist()
    mids = ((columns["bid"][:QUOTES] + columns["ask"][:QUOTES]) // 2).tolist()
    closes = [mid for mid, minute, following in zip(mids, minutes, minutes[1:], strict=False) if following != minute]
    assert workloads.measure(WORKLOADS["W3"], QUOTES)["orders"] == crosses(closes) == 15


def test_w4_sends_an_order_a_cross_of_closes() -> None:
    closes = market.load(workloads.FOLDER, "bars")["close"][:BARS].tolist()
    assert workloads.measure(WORKLOADS["W4"], BARS)["orders"] == crosses(closes)


def test_w6_times_each_order_to_its_acceptance() -> None:
    figures = workloads.measure(WORKLOADS["W6"], 500)
    assert figures["orders"] == 500
    assert 0 < figures["p50_us"] <= figures["p99_us"] <= figures["max_us"]


def test_cost_per_order_is_of_filled_orders() -> None:
    figures = workloads.measure(WORKLOADS["O_FLAT"], 1_000)
    assert figures["orders"] == 1_000
    assert figures["growth"] > 0


def test_memory_is_read_after_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "RUNS", 3)
    figures = workloads.measure(WORKLOADS["MEM20"], 2_000)
    assert len(figures["peak_rss_mb_runs"]) == 3
    assert figures["growth"] >= 1


def test_a_run_of_full_size_must_send_the_known_orders() -> None:
    wrong = workloads.Workload("X", "sends too few", 10, lambda rows: {"orders": 1, "seconds": 1.0}, (), 2)
    with pytest.raises(AssertionError, match="X sent 1 orders, not 2"):
        workloads.measure(wrong)


def test_goals_are_ratios_where_one_or_more_is_reached() -> None:
    assert Goal("events_per_s", 2e6, at_least=True).ratio({"events_per_s": 3e6}) == 1.5
    assert Goal("p50_us", 15).ratio({"p50_us": 30}) == 0.5


def test_percentiles_are_nearest_rank() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7], 0.5) == 7
    assert latency_us([1_000, 2_000, 4_000])["p50_us"] == 2.0
    with pytest.raises(ValueError, match="no latency"):
        latency_us([])


def test_the_command_gives_one_json_object_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def repeat(name: str, events: int | None, times: int) -> dict[str, object]:
        return {"workload": name, "events": events, "repeat": times}

    monkeypatch.setattr(command, "repeat", repeat)
    assert command.main(["W1", "W4", "--json", "--events", "10", "--repeat", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"workload": "W1", "events": 10, "repeat": 2},
        {"workload": "W4", "events": 10, "repeat": 2},
    ]


def test_the_command_names_the_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["W9"]) == 2
    assert "no workload 'W9'; there are W1, W2" in capsys.readouterr().err
    assert command.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(WORKLOADS)


def test_the_table_says_what_misses_its_goal() -> None:
    figures = {
        "events": 10,
        "orders": 0,
        "seconds": 1.0,
        "cpu_seconds": 1.0,
        "events_per_s": 1_500_000,
        "peak_rss_mb": 9.0,
    }
    assert "1.50 M/s / 3.00 M/s = 0.50 MISSED" in table.line(WORKLOADS["W1"], figures)


def test_the_peers_run_only_workloads_of_ours() -> None:
    from loadtests.peers.__main__ import EVENTS

    assert set(EVENTS) <= set(WORKLOADS)
    assert Path(workloads.__file__).with_name("peers").joinpath("nautilus.py").exists()
