"""LocalStack with real servers and services that need no engine: starting, dying, coming back, stopping."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import psutil
import pytest
from nautilus_common.servers.base import tail_of
from nautilus_fleet.errors import FleetError, UsageError
from nautilus_fleet.stack import BackOff, LocalStack
from nautilus_fleet.stack.service import ask_status
from nautilus_fleet.stack.state import read_state, supervisor_of

from tests.integration.processes import eventually
from tests.integration.stack.supervising import FAKE

LIGHT: dict[str, Any] = {"postgres": False, "valkey": False, "serve": FAKE}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    services = ("risk", "portfolio", "strategy_host.fast")
    together = [["risk", "portfolio"]]
    with LocalStack(tmp_path / "stack", services=services, together=together, **LIGHT) as started:
        yield started


def said(stack: LocalStack, name: str) -> str:
    return tail_of(stack.log_path(name), 100)


def test_every_process_is_up_and_knows_where_the_others_are(stack: LocalStack) -> None:
    assert stack.names == ["nats_control", "nats_data", "risk+portfolio", "strategy_host.fast"]
    assert list(stack.processes) == stack.names
    told = json.loads(said(stack, "risk+portfolio").splitlines()[0])
    assert told["serving"] == ["risk", "portfolio"]
    assert told["FLEET_NAME"] == "risk+portfolio"
    assert json.loads(said(stack, "strategy_host.fast").splitlines()[0])["serving"] == ["strategy_host"]
    assert told["cwd"] == str(stack.project)
    assert {key: told[key] for key in stack.environment()} == stack.environment()
    assert "FLEET_POSTGRES" not in told
    assert "sync_interval: always" in (stack.folder / "nats_control" / "nats.conf").read_text()
    assert "sync_interval" not in (stack.folder / "nats_data" / "nats.conf").read_text()


def test_whoever_is_killed_comes_back(stack: LocalStack) -> None:
    before, environment = stack.processes, stack.environment()
    for name in stack.names:
        assert stack.kill(name) == before[name]
        assert name not in stack.processes
    stack.wait_ready()
    after = stack.processes
    assert not set(before.values()) & set(after.values())
    assert [stack.restarts(name) for name in stack.names] == [1, 1, 1, 1]
    assert stack.environment() == environment, "on the same ports"
    state = read_state(stack.folder)
    assert state is not None
    eventually(lambda: [m.pid for m in (read_state(stack.folder) or state).members] == [*after.values()], "stack.json")


def test_a_killed_nats_server_has_its_data_again(stack: LocalStack) -> None:
    async def put() -> None:
        client = await nats.connect(stack.url("nats_control"))
        await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
        await client.jetstream().publish("kept.a", b"1")
        await client.close()

    async def get() -> bytes | None:
        client = await nats.connect(stack.url("nats_control"))
        message = await client.jetstream().get_msg("KEPT", 1)
        await client.close()
        return message.data

    asyncio.run(put())
    stack.kill("nats_control")
    stack.wait_ready()
    assert asyncio.run(get()) == b"1"


def test_a_paused_process_stays_and_goes_on(stack: LocalStack) -> None:
    pid = stack.pause("strategy_host.fast")
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "stopped")
    with pytest.raises(FleetError, match="not ready again within"):
        stack.wait_ready(timeout_s=0.2)
    stack.wait_ready(names=["risk+portfolio", "nats_data"])
    assert stack.resume("strategy_host.fast") == pid
    stack.wait_ready()
    assert stack.processes["strategy_host.fast"] == pid
    assert stack.restarts("strategy_host.fast") == 0


def test_services_are_drained_before_servers_stop_also_a_paused_one(stack: LocalStack) -> None:
    stack.pause("strategy_host.fast")
    stack.stop()
    stack.stop()
    for name in ("risk+portfolio", "strategy_host.fast"):
        assert said(stack, name).endswith("drained")
    assert stack.processes == {}
    assert supervisor_of(stack.folder) is None
    state = read_state(stack.folder)
    assert state is not None
    assert (state.state, {member.state for member in state.members}) == ("stopped", {"stopped"})


def test_a_name_that_is_not_there(stack: LocalStack) -> None:
    with pytest.raises(UsageError, match="no process 'risk' in this stack"):
        stack.kill("risk")


def test_one_stack_a_folder(stack: LocalStack) -> None:
    other = LocalStack(stack.folder, services=(), **LIGHT)
    with pytest.raises(FleetError, match=r"a stack runs here already, under pid \d+") as caught:
        other.start()
    assert str(stack.folder) in str(caught.value)
    assert "fleet down" in caught.value.remedy
    other.stop()
    stack.wait_ready()


def test_before_the_start_nothing_is_known(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, serve=FAKE)
    with pytest.raises(FleetError, match="has not started its servers yet"):
        stack.environment()
    with pytest.raises(FleetError, match="nats_control does not run now"):
        stack.kill("nats_control")
    stack.stop()
    assert not list(tmp_path.iterdir())


def test_a_folder_is_used_again_with_its_data(tmp_path: Path) -> None:
    for _ in range(2):
        with LocalStack(tmp_path, services=(), serve=FAKE) as stack:
            assert stack.names == ["nats_control", "nats_data", "valkey", "postgres"]
            assert set(stack.environment()) >= {"FLEET_POSTGRES", "FLEET_VALKEY"}


def test_a_service_that_cannot_start_is_the_reason(tmp_path: Path) -> None:
    extra = {"FAKE_RISK": "crash"}
    stack = LocalStack(tmp_path, services=("risk",), extra=extra, back_off=BackOff(first_s=0.01, most_s=0.02), **LIGHT)
    with pytest.raises(FleetError, match=r"risk does not start: exit code 3 \(\d+ times\)") as caught, stack:
        raise AssertionError("never ready")
    assert "no such strategy: nowhere.py" in str(caught.value), "the end of its log"
    assert stack.processes == {}


def test_a_service_that_waits_says_for_what(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, services=("risk",), extra={"FAKE_RISK": "waits"}, **LIGHT)
    try:
        stack.start()
        eventually(lambda: stack.http("risk") is not None, "its port")
        with pytest.raises(FleetError, match=r"risk is not ready within 0\.1 s: waiting for nats://nowhere"):
            stack.wait_ready(timeout_s=0.1)
        assert stack.restarts("risk") == 0, "waiting is no reason to kill"
    finally:
        stack.stop()


def test_a_service_that_does_not_drain_is_killed(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, services=("risk",), extra={"FAKE_RISK": "stubborn"}, **LIGHT).start()
    stack.wait_ready()
    begun = time.monotonic()
    stack.stop(drain_s=0.2)
    assert time.monotonic() - begun < 5
    assert "risk: not drained within 0.2 s, killed" in said(stack, "supervisor")


def test_a_log_is_bounded_whatever_a_service_writes(tmp_path: Path) -> None:
    bound = 200_000
    stack = LocalStack(tmp_path, services=("risk",), extra={"FAKE_RISK": "chatty"}, log_bytes_max=bound, **LIGHT)
    with stack:
        old = tmp_path / "logs" / "risk.log.1"
        eventually(old.exists, "a rotation")
        assert old.stat().st_size > bound
        stack.wait_ready()


def test_a_port_that_is_taken_is_the_reason(tmp_path: Path, stack: LocalStack) -> None:
    taken = int(stack.url("nats_data").rpartition(":")[2])
    other = LocalStack(tmp_path / "other", services=(), ports={"nats_control": taken}, **LIGHT)
    with pytest.raises(FleetError, match=f"nats_control does not start: nats-server: port {taken}"), other:
        raise AssertionError("never ready")


def test_a_failure_of_the_supervision_itself_is_told(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(now_s: float) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(stack, "_step", broken)
    with pytest.raises(FleetError, match="the supervisor has failed: a bug"):
        eventually(lambda: bool(stack.check()), "the failure")


def test_the_services_of_the_fleet_are_what_it_starts(tmp_path: Path) -> None:
    services = ("risk", "portfolio", "strategy_host.fast")
    with LocalStack(
        tmp_path, services=services, together=[["risk", "portfolio"]], postgres=False, valkey=False
    ) as stack:
        address = stack.http("strategy_host.fast")
        assert address is not None
        told = ask_status(address)
        assert told is not None
        assert (told["process"], told["roles"], told["state"]) == ("strategy_host.fast", ["strategy_host"], "ready")
        stack.kill("nats_control")
        stack.kill("risk+portfolio")
        stack.wait_ready()
        assert stack.restarts("strategy_host.fast") == 0, "it waits for its server, and does not die of that"
