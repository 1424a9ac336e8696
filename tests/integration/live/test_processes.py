"""The command, and processes of their own that are killed for good: what `fleet up` and `fleet paper` are made of."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from nautilus_fleet.live import connected
from nautilus_fleet.stack.local import LocalStack

from tests.integration.processes import ENVIRONMENT, ROOT

ROLES = ("execution_gateway", "risk", "portfolio", "strategy_host", "data_gateway")
CONFIG = "examples/market_maker/backtest.toml"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    with LocalStack(
        tmp_path / "stack",
        services=ROLES,
        together=[["portfolio", "strategy_host"]],
        postgres=False,
        valkey=False,
        project=ROOT,
    ) as stack:
        yield stack


def fleet(stack: LocalStack, *arguments: str) -> dict[str, Any]:
    """Run the command; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "nautilus_fleet", *arguments, "--json"],
        env={**os.environ, **ENVIRONMENT, **stack.environment()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def until_entries(stack: LocalStack, more: int) -> None:
    """Until the log of the world has so many more messages."""

    async def wait() -> None:
        async with connected({**os.environ, **stack.environment()}, "live") as servers:
            wanted = 0
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                answer = await servers.control.request("$JS.API.STREAM.INFO.CTL_live", b"")
                last = json.loads(answer.data)["state"]["last_seq"]
                wanted = wanted or last + more
                if last >= wanted:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError(f"no {more} entries within 60 s")

    asyncio.run(wait())


def test_sigkill_at_random_and_the_session_verifies(stack: LocalStack) -> None:
    fleet(stack, "paper", "start", CONFIG, "--speed", "120", "--name", "day")
    draw = Random(11)
    for name in ("risk", "portfolio+strategy_host", "execution_gateway", "data_gateway"):
        until_entries(stack, draw.randint(3, 25))
        stack.kill(name)
        stack.wait_ready()
    status = fleet(stack, "paper", "status")
    assert status["state"] == "open"
    summary = fleet(stack, "paper", "stop")["summary"]
    assert summary["orders"] > 0
    assert summary["twice"] == 0
    assert summary["differing"] == []
    proof = fleet(stack, "verify", "--live", "day")
    assert proof["equal"], proof
    assert proof["ended"]
    assert {process["process"] for process in proof["processes"]} == {
        "execution_gateway",
        "risk",
        "portfolio+strategy_host",
    }
