"""The same bytes from separate processes over real NATS servers as from one process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from nautilus_common.journal import read_records
from nautilus_fleet.stack.local import LocalStack

from tests.integration.replay.conftest import fleet
from tests.integration.replay.replaying import MAKERS, SHORT, backtest_digest, load, replay

CASES = (
    "usdjpy_ema_cross/backtest.toml",
    "usdjpy_ema_cross/backtest_rollover.toml",
    "usdjpy_two_strategies/backtest.toml",
    "btc_perp_round_trip/backtest.toml",
    "audusd_parity/backtest.toml",
    "cash_margin_parity/backtest.toml",
)


@pytest.mark.parametrize("case", CASES)
def test_every_case(stack: LocalStack, fleet_data: Path, case: str) -> None:
    config = f"examples/{case}"
    assert replay(stack, load(config, data=fleet_data))["digest"] == backtest_digest(config, (), fleet_data)


@pytest.mark.parametrize("block_rows", [1, 100, 4096])
def test_blocks_of_any_size(stack: LocalStack, block_rows: int) -> None:
    config = "examples/audusd_parity/backtest.toml"
    loaded = load(config)
    assert replay(stack, loaded, block_rows=block_rows)["digest"] == backtest_digest(config)


def test_market_makers_in_two_hosts(stack: LocalStack) -> None:
    result = replay(stack, load(MAKERS, *SHORT))
    assert result["digest"] == backtest_digest(MAKERS, SHORT)
    assert sorted(result["processes"]) == [
        "execution_gateway",
        "portfolio",
        "risk",
        "strategy_host.a",
        "strategy_host.b",
    ]
    assert sum(1 for _ in read_records(result["folder"] / "events")) == result["events"] > 2_000


@pytest.mark.parametrize(
    "together",
    [
        (("execution_gateway", "risk", "portfolio"),),
        (("risk", "strategy_host"), ("execution_gateway", "portfolio")),
        (("execution_gateway", "risk", "portfolio", "strategy_host"),),
    ],
    ids=["engines", "pairs", "all"],
)
def test_processes_shared_in_any_way(tmp_path: Path, together: tuple[tuple[str, ...], ...]) -> None:
    services = ("execution_gateway", "risk", "portfolio", "strategy_host")
    with fleet(tmp_path, services, together) as stack:
        assert replay(stack, load(MAKERS, *SHORT))["digest"] == backtest_digest(MAKERS, SHORT)


def test_several_side_by_side(stack: LocalStack) -> None:
    """Each in a world of its own; the third time is like the first."""
    config = "examples/audusd_parity/backtest.toml"
    found: list[str] = []

    def run() -> None:
        found.append(replay(stack, load(config))["digest"])

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == [backtest_digest(config)] * 3


def test_delays_on_every_delivery(tmp_path: Path) -> None:
    """0 to 20 ms, drawn anew for each message, change nothing but the time it takes."""
    config = "examples/sample/backtest.toml"
    with fleet(tmp_path, extra={"FLEET_TEST_DELAY_MS": "0-20"}) as stack:
        result = replay(stack, load(config))
    assert result["digest"] == backtest_digest(config)
    assert result["events"] > 800
