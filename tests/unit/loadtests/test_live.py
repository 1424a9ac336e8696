"""The load test of live sessions answers each quote that it sends. No time is asserted."""

from __future__ import annotations

from loadtests import live


def test_each_quote_is_answered_inside_one_process() -> None:
    figures = live._inside(live._plan(strategy=True), 20)
    assert figures["p50_us"] > 0
    assert figures["p50_us"] <= figures["p99_us"] <= figures["max_us"]
