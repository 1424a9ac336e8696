"""Processes that die at every point where what is durable and what is known differ, and servers: the same bytes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from nautilus_common.faults import POINTS
from nautilus_fleet.stack.local import LocalStack

from tests.integration.processes import eventually
from tests.integration.replay.conftest import fleet
from tests.integration.replay.replaying import MAKERS, SHORT, backtest_digest, load, replay


@pytest.mark.parametrize(
    ("process", "point"),
    [
        *(("execution_gateway", point) for point in POINTS),
        ("strategy_host.a", "carried out"),
        ("risk", "entry durable"),
    ],
)
def test_a_death_at_every_point(tmp_path: Path, process: str, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once at each enumerated point of the gateway, and of others; snapshots are frequent here."""
    count = 1 if point in ("opened", "flushed", "snapshot dumped", "snapshot saved", "block taken") else 40
    if point.startswith("entry"):
        count = 3
    monkeypatch.setenv("FLEET_TEST_SNAPSHOT_EVERY", "300")
    extra = {"FLEET_TEST_DIE_AT": f"{process}/{point}:{count}"}
    with fleet(tmp_path, extra=extra) as stack:
        result = replay(stack, load(MAKERS, *SHORT))
        assert (stack.folder / "died" / process).read_text() == point, "the point was never reached"
        assert stack.restarts(process) == 1
    assert result["digest"] == backtest_digest(MAKERS, SHORT)


def test_the_replay_itself_dies_and_goes_on(stack: LocalStack) -> None:
    pids: list[int] = []

    def kill_soon(what: dict[str, Any]) -> None:
        if what.get("stage") == "run" and len(pids) < 4:
            os.kill(pids[-1], signal.SIGKILL)

    result = replay(stack, load(MAKERS, *SHORT), block_rows=100, on_pid=pids.append, on_progress=kill_soon)
    assert result["digest"] == backtest_digest(MAKERS, SHORT)
    assert result["restarts"] == len(pids) - 1 >= 2


@pytest.mark.parametrize("victim", ["nats_control", "nats_data"])
def test_a_server_dies(stack: LocalStack, victim: str) -> None:
    """Killed three times while a replay runs; it comes back by itself with its data."""
    died = threading.Event()
    kills = 3

    def kill_now_and_then(what: dict[str, Any]) -> None:
        nonlocal kills
        if what.get("stage") == "run" and kills:
            kills -= 1
            stack.kill(victim)
            stack.wait_ready(30, names=[victim])
            died.set()

    before = stack.restarts(victim)
    result = replay(stack, load(MAKERS, *SHORT), block_rows=100, on_progress=kill_now_and_then)
    assert result["digest"] == backtest_digest(MAKERS, SHORT)
    assert died.is_set()
    assert stack.restarts(victim) == before + 3 - kills


def test_a_stopped_process_is_waited_for(stack: LocalStack) -> None:
    """SIGSTOP is not death: nothing is lost, nothing is said twice."""
    stopped = threading.Event()

    def stop_once(what: dict[str, Any]) -> None:
        if what.get("stage") == "run" and not stopped.is_set():
            stopped.set()
            stack.pause("risk")
            threading.Timer(2.0, stack.resume, ("risk",)).start()

    result = replay(stack, load(MAKERS, *SHORT), block_rows=100, on_progress=stop_once)
    assert stopped.is_set()
    assert result["digest"] == backtest_digest(MAKERS, SHORT)


def test_a_process_without_its_snapshots_is_sent_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new machine has no disk of the old one: the loop goes through its answers again and sends the whole journal."""
    monkeypatch.setenv("FLEET_TEST_SNAPSHOT_EVERY", "200")
    lost = threading.Event()
    with fleet(tmp_path) as stack:

        def lose(what: dict[str, Any]) -> None:
            kept = list((stack.folder / "snapshots").glob("*.risk.snapshot"))
            if what.get("stage") == "run" and kept and not lost.is_set():
                lost.set()
                stack.pause("risk")
                for path in kept:
                    path.unlink()
                stack.kill("risk")

        result = replay(stack, load(MAKERS, *SHORT), block_rows=100, on_progress=lose)
    assert lost.is_set(), "no snapshot was written"
    assert result["digest"] == backtest_digest(MAKERS, SHORT)


def test_nothing_is_left_when_a_replay_has_ended(stack: LocalStack) -> None:
    replay(stack, load("examples/audusd_parity/backtest.toml"))
    assert not list((stack.folder / "snapshots").glob("*.snapshot"))
    eventually(lambda: not _replays(), "the replay's process is gone")


def _replays() -> list[psutil.Process]:
    me = psutil.Process()
    return [child for child in me.children() if "services.replay" in " ".join(child.cmdline())]
