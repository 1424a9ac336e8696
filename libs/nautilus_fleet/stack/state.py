"""What a stack leaves in its folder for others to find: the lock that says it runs, and `stack.json`, how it is."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec
from nautilus_common.servers.base import write_private

from nautilus_fleet.errors import FleetError

STACK_FOLDER = Path(".fleet") / "stack"


class MemberState(msgspec.Struct, frozen=True):
    """One process, as its supervisor sees it."""

    name: str
    kind: str
    pid: int | None
    state: str
    restarts: int
    last_end: str
    log: str
    port: int | None = None


class StackState(msgspec.Struct, frozen=True):
    """`stack.json`. `environment` is what a process needs to find the stack: the variables FLEET_*."""

    pid: int
    started_ns: int
    state: str
    environment: dict[str, str]
    members: list[MemberState]


class StackLock:
    """Held by the process that supervises a folder, and let go by the system when that process dies."""

    def __init__(self, folder: Path) -> None:
        """Take it. Raises FleetError when somebody has it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._file, 20, 0).decode() or "unknown"
            os.close(self._file)
            raise FleetError(
                f"a stack runs here already, under pid {pid}",
                where=str(folder),
                remedy="fleet status shows it, fleet down stops it; another project folder has a stack of its own",
            ) from None
        os.truncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        os.close(self._file)


def supervisor_of(folder: Path) -> int | None:
    """The pid of the process that holds the lock; None when nobody does."""
    try:
        file = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        # Taken, but perhaps not signed yet.
        return int(os.pread(file, 20, 0) or b"0")
    finally:
        os.close(file)
    return None


def write_state(folder: Path, state: StackState) -> None:
    """Replace `stack.json`; it holds passwords."""
    text = msgspec.json.format(msgspec.json.encode(state), indent=2).decode()
    write_private(folder / "stack.json", text + "\n")


def read_state(folder: Path) -> StackState | None:
    """`stack.json` as last written; None where there is none, or none that we understand."""
    try:
        return msgspec.json.decode((folder / "stack.json").read_bytes(), type=StackState)
    except (OSError, msgspec.DecodeError):
        return None


def running_state(project: Path) -> tuple[Path, StackState]:
    """The folder and the state of the stack that runs for this project. Raises FleetError when none does."""
    folder = (project / STACK_FOLDER).resolve()
    pid = supervisor_of(folder)
    state = read_state(folder)
    if pid is None or state is None or state.pid != pid:
        killed = f" (the last one, pid {state.pid}, was killed)" if state and state.state != "stopped" else ""
        starting = f": pid {pid} is just starting one" if pid is not None else killed
        raise FleetError(f"no stack runs here{starting}", where=str(folder), remedy="start one: fleet up")
    return folder, state
