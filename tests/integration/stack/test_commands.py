"""`fleet up`, `status`, `logs`, `down`, and that the death of a supervisor leaves nobody behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from nautilus_fleet.cli import main
from nautilus_fleet.stack import StackSettings
from nautilus_fleet.stack.daemon import start_daemon
from nautilus_fleet.stack.state import STACK_FOLDER, StackState, supervisor_of

from tests.integration.processes import ENVIRONMENT, any_alive, eventually, family


@contextmanager
def supervisor(project: Path) -> Iterator[subprocess.Popen[str]]:
    """`supervising.py`, ready."""
    command = [sys.executable, str(Path(__file__).with_name("supervising.py")), str(project)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    main(["down"])


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main([*arguments]) == code, capsys.readouterr().err
    return capsys.readouterr().out


def test_up_status_logs_down(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "up", "--services", "none")
    for word in ("nats_control", "nats_data", "valkey", "postgres", "next: fleet status"):
        assert word in out
    pid = supervisor_of(project / STACK_FOLDER)
    assert pid
    assert os.getsid(pid) == pid, "in a session of its own: it outlives the terminal"

    status = json.loads(printed(capsys, "status", "--json"))
    assert (status["pid"], status["state"]) == (pid, "ready")
    assert [process["state"] for process in status["processes"]] == ["ready"] * 4

    assert main(["up"]) == 1
    assert f"a stack runs here already, under pid {pid}" in capsys.readouterr().err

    assert "supervisor | " in printed(capsys, "logs", "supervisor")
    assert "Server is ready" in printed(capsys, "logs", "nats_data", "--lines", "1")
    below = family(pid)
    assert "stopped the stack" in printed(capsys, "down")
    assert not any_alive(below)
    assert "no stack runs here" in printed(capsys, "down")
    assert "supervisor: stopped" in printed(capsys, "logs", "supervisor", "--lines", "1")


def test_up_tells_why_it_could_not(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "fleet.toml").write_text("[stack]\nvalkey = false\npostgres = false\n")
    (project / STACK_FOLDER / "nats_data").mkdir(parents=True)
    (project / STACK_FOLDER / "nats_data" / "jetstream").write_text("not a folder")
    assert main(["up", "--services", "none"]) == 1
    err = capsys.readouterr().err
    assert "nats_data does not start" in err
    assert "Traceback" not in err
    assert supervisor_of(project / STACK_FOLDER) is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status"], 1, "no stack runs here"),
        (["logs"], 2, "no logs in"),
        (["up", "--services", "rusk"], 2, "did you mean risk?"),
        (["up", "--together", "risk,rusk"], 2, "'rusk' is none of the services"),
        (["up", "--project", "/nowhere"], 2, "no folder /nowhere"),
    ],
)
def test_mistakes(
    arguments: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "nothing was begun"


def test_status_is_what_the_services_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--project", str(tmp_path))
    with supervisor(tmp_path) as process:
        told = json.loads(printed(capsys, "status", *where, "--json"))
        risk = next(p for p in told["processes"] if p["name"] == "risk")
        assert (risk["state"], risk["lag"], risk["uptime_s"], risk["detail"]) == ("ready", 7, 1.5, "fake")
        table = printed(capsys, "status", *where)
        assert table.splitlines()[0].split() == ["service", "pid", "state", "lag", "last", "message", "restarts"]

        os.kill(risk["pid"], signal.SIGSTOP)
        assert "silent" in printed(capsys, "status", *where, code=1)
        os.kill(risk["pid"], signal.SIGKILL)

        def restarted() -> bool:
            # Its exit code changes as we look.
            main(["status", *where, "--json"])
            again = json.loads(capsys.readouterr().out)
            return [(p["restarts"], p["state"]) for p in again["processes"] if p["name"] == "risk"] == [(1, "ready")]

        eventually(restarted, "a restart")
        process.terminate()
        assert process.wait(20) == 0
    assert "drained" in printed(capsys, "logs", "portfolio", *where)


def test_the_death_of_the_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    with supervisor(tmp_path) as process:
        below = family(process.pid)
        assert len(below) > 6, "four servers, two services, what postgres has"
        # Stopped processes take no signal but one.
        for child in below[:2]:
            child.suspend()
        process.kill()
        process.wait()
    eventually(lambda: not any_alive(below), "an orphan")
    assert main(["status", "--project", str(tmp_path)]) == 1
    with supervisor(tmp_path) as process:
        assert psutil.pid_exists(process.pid), "the folder can be used again at once"


def test_a_stack_whose_supervisor_was_killed_is_said_to_be_that(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pid = json.loads(printed(capsys, "up", "--services", "none", "--json"))["pid"]
    below = family(pid)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any_alive(below), "an orphan")
    assert main(["status"]) == 1
    assert f"the last one, pid {pid}, was killed" in capsys.readouterr().err
    assert "no stack runs here" in printed(capsys, "down")


def test_an_interrupt_while_it_starts_takes_everything_back(tmp_path: Path) -> None:
    seen: list[psutil.Process] = []

    def interrupted(state: StackState) -> None:
        seen[:] = [psutil.Process(state.pid), *family(state.pid)]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_daemon(tmp_path, StackSettings(services=()), interrupted)
    assert seen
    eventually(lambda: not any_alive(seen), "all gone")
    assert supervisor_of(tmp_path / STACK_FOLDER) is None


def test_an_interrupt_in_the_foreground_stops_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nautilus_fleet", "up", "--foreground", "--services", "none", "--json"]
    command += ["--project", str(tmp_path)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["pid"] == process.pid
        assert told["environment"]["FLEET_NATS_CONTROL"].startswith("nats://127.0.0.1:")
        below = family(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "nats_control: ready" in err
    assert "supervisor: stopped" in err
    assert not any_alive(below)
