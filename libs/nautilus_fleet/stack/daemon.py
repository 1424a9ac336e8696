"""`fleet up` without a terminal: the supervisor as a process of its own, and how the command waits for it.

The command starts `python -m nautilus_fleet.stack PROJECT SETTINGS` in a session of its own, its output appended to
`logs/supervisor.log`, and watches `stack.json` until all is ready or that process gives up; then the end of its log is
the reason.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from nautilus_fleet.errors import FleetError
from nautilus_fleet.stack.local import DRAIN_SECONDS, LocalStack
from nautilus_fleet.stack.service import inherited_environment
from nautilus_fleet.stack.settings import StackSettings
from nautilus_fleet.stack.state import STACK_FOLDER, StackLock, StackState, read_state, supervisor_of

POLL_SECONDS = 0.05
# Beside its own deadline for readiness, time to start Python and to stop everything again.
DAEMON_GRACE_SECONDS = 30.0
DOWN_SECONDS = DRAIN_SECONDS + 45.0


def make_stack(project: Path, settings: StackSettings, on_event: Callable[[str], None] | None = None) -> LocalStack:
    """The stack of a project, not started."""
    return LocalStack(
        project / STACK_FOLDER,
        services=settings.services,
        together=settings.together,
        postgres=settings.postgres,
        valkey=settings.valkey,
        env=settings.env,
        project=project,
        ports=settings.ports,
        on_event=on_event,
    )


def supervise(
    stack: LocalStack,
    settings: StackSettings,
    on_progress: Callable[[list[str]], None] | None = None,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Run a stack in this process until SIGTERM or SIGINT, then stop it in order. Raises FleetError."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGTERM, signal.SIGINT)}

    def progress(waiting: list[str]) -> None:
        if asked.is_set():
            raise _AskedToStop
        if on_progress is not None:
            on_progress(waiting)

    try:
        stack.start()
        stack.wait_ready(settings.start_seconds, progress)
        if on_ready is not None:
            on_ready()
        while not asked.wait(POLL_SECONDS):
            stack.check()
    except _AskedToStop:
        pass
    finally:
        stack.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


class _AskedToStop(Exception):
    """A signal came before everything was ready."""


def start_daemon(project: Path, settings: StackSettings, on_progress: Callable[[StackState], None]) -> StackState:
    """Start the supervisor and wait until all is ready. Raises FleetError with the reason when that does not come."""
    folder = (project / STACK_FOLDER).resolve()
    # Refused here, and not only in the process to come, for the sake of a short answer.
    StackLock(folder).release()
    (folder / "logs").mkdir(exist_ok=True)
    log_path = folder / "logs" / "supervisor.log"
    with log_path.open("ab") as log:
        told_before = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nautilus_fleet.stack", str(project), msgspec.json.encode(settings).decode()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=inherited_environment(),
            cwd=project,
            start_new_session=True,
        )
    try:
        state = _wait_for_daemon(process, folder, settings.start_seconds + DAEMON_GRACE_SECONDS, on_progress)
    except BaseException:
        # An interrupt, or a deadline: what was begun is taken back.
        process.terminate()
        process.wait()
        raise
    if state is None:
        with log_path.open("rb") as log:
            log.seek(told_before)
            said = log.read().decode("utf-8", errors="replace")
        raise FleetError(_reason(said), where=str(log_path), remedy="mend that, then fleet up again")
    # From here on it is nobody's child: without a status, Popen would complain that we do not wait for it.
    process.returncode = 0
    return state


def _wait_for_daemon(
    process: subprocess.Popen[bytes], folder: Path, seconds: float, on_progress: Callable[[StackState], None]
) -> StackState | None:
    """The state when all is ready; None when the process has ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return None
        state = read_state(folder)
        if state is not None and state.pid == process.pid:
            if state.state == "ready":
                return state
            on_progress(state)
        time.sleep(POLL_SECONDS)
    raise FleetError(f"the supervisor did not come up within {seconds:g} s", where=str(folder / "logs"))


def _reason(said: str) -> str:
    """The error that the supervisor ended with, without its own heading; everything it said if there is none."""
    _, found, error = said.rpartition("\nerror: ")
    return (error if found else said).strip() or "the supervisor ended without a word"


def stop_daemon(project: Path) -> int | None:
    """Ask the stack of a project to stop and wait for it; its pid, None when none runs. Raises FleetError."""
    folder = (project / STACK_FOLDER).resolve()
    pid = supervisor_of(folder)
    if not pid:
        return None
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return None
    except PermissionError:
        raise FleetError(f"the stack belongs to another user: pid {pid}", where=str(folder)) from None
    deadline = time.monotonic() + DOWN_SECONDS
    while supervisor_of(folder) == pid:
        if time.monotonic() > deadline:
            raise FleetError(
                f"the supervisor, pid {pid}, has not stopped within {DOWN_SECONDS:g} s",
                where=str(folder / "logs" / "supervisor.log"),
                remedy=f"kill -9 {pid} ends it and all that it started",
            )
        time.sleep(POLL_SECONDS)
    return pid
