"""What all servers have in common: a folder, a lock, a port, a process, a log, and how long we wait."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from nautilus_common.errors import FleetError
from nautilus_common.servers.ports import HOST, PortHold, PortTaken

START_SECONDS = 30.0
STOP_SECONDS = 10.0
# A server whose owner was killed is gone within milliseconds; that long is waited for it.
PREDECESSOR_SECONDS = 5.0
POLL_SECONDS = 0.01
PROBE_SECONDS = 0.5
TAIL_LINES = 15
TAIL_BYTES = 20_000


class ServerError(FleetError):
    """A server cannot be started or did not come up: what, where and what to do."""


class Server(ABC):
    """One server in one folder. `port=0`: any free one, the same for the life of this object."""

    label: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: str | Path, port: int = 0) -> None:
        self.folder = Path(folder).resolve()
        self.port = port
        self.log_path = self.folder / "server.log"
        self._hold: PortHold | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """What a client connects to; it holds the password, where there is one. Known from the first start on."""

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self, timeout_s: float = START_SECONDS) -> Self:
        """Start and wait until it answers. Raises ServerError with the end of its log."""
        self.launch()
        deadline = time.monotonic() + timeout_s
        try:
            while not self.ready():
                if time.monotonic() > deadline:
                    raise self._failure(f"did not answer on {HOST}:{self.port} within {timeout_s:g} s")
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.kill()
            self._let_go()
            raise
        return self

    def launch(self) -> None:
        """Start without waiting; nothing happens when it runs already."""
        if self.pid is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self._lock_folder()
        try:
            if self._hold is None:
                self._hold = self._take_port()
                self.port = self._hold.port
            self._prepare(lock)
            self._hold.yield_to_server()
            self._process = self._spawn(lock)
            os.truncate(lock, 0)
            os.pwrite(lock, str(self._process.pid).encode(), 0)
        except BaseException:
            self._let_go()
            raise
        finally:
            # From here on the server alone holds the lock.
            os.close(lock)

    def ready(self) -> bool:
        """Whether it answers now. Raises ServerError when its process has ended."""
        status = self.ended()
        if status is not None:
            raise self._failure(f"ended with {describe_exit(status)} before it was ready")
        return self._answers()

    def ended(self) -> int | None:
        """The exit status of the last process (negative: a signal), None while it runs or was never started."""
        return None if self._process is None else self._process.poll()

    def stop(self, timeout_s: float = STOP_SECONDS) -> None:
        """End it in good order, by force past `timeout_s`; its port is free again."""
        if self.pid is not None:
            self.signal(self.stop_signal)
            self.signal(signal.SIGCONT)
            assert self._process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self.kill()
        self._let_go()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Its port stays held for the next start."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def restart(self) -> Self:
        """Stop, if it still runs, and start on the same port with the same data."""
        if self.pid is not None:
            self.stop()
        return self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP and SIGCONT are what tests want."""
        if self._process is not None:
            self._process.send_signal(number)

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of what it wrote."""
        return tail_of(self.log_path, lines)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *failure: object) -> None:
        self.stop()

    @abstractmethod
    def _prepare(self, lock: int) -> None:
        """Write its configuration; the port is known."""

    @abstractmethod
    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        """Start the process; `lock` is to be inherited."""

    @abstractmethod
    def _answers(self) -> bool:
        """One look, short of waiting: does it serve?"""

    def _take_port(self) -> PortHold:
        try:
            return PortHold(self.port)
        except PortTaken as error:
            raise ServerError(f"{self.label}: {error}", remedy="stop who has it, or take any free port (0)") from None

    def _lock_folder(self) -> int:
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + PREDECESSOR_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if time.monotonic() > deadline:
                    pid = os.pread(lock, 20, 0).decode() or "unknown"
                    os.close(lock)
                    raise ServerError(
                        f"{self.label}: another one (pid {pid}) has this folder",
                        where=str(self.folder),
                        remedy=f"stop it, with kill {pid} if its owner has gone, or choose another folder",
                    ) from None
            time.sleep(POLL_SECONDS)

    def _let_go(self) -> None:
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    def _failure(self, what: str) -> ServerError:
        """With the end of its log: there it says why."""
        said = (self.log_tail() or "(nothing)").replace("\n", "\n    ")
        return ServerError(f"{self.label} {what}\n  it said:\n    {said}", where=str(self.folder))


def find_in_package(package: str, pattern: str, program: str) -> Path:
    """Without importing it: these packages import much that we do not use."""
    spec = importlib.util.find_spec(package)
    found = sorted(Path(spec.origin).parent.glob(pattern)) if spec and spec.origin else []
    if not found:
        raise ServerError(f"{program} is not here", remedy=f"install the package {package.replace('_', '-')}")
    return found[0]


def exchange(port: int, ask: bytes, end: bytes) -> bytes:
    """What a server says until `end` or silence; empty when it does not listen."""
    said = b""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), PROBE_SECONDS) as connection:
        connection.sendall(ask)
        while not said.endswith(end) and len(said) < TAIL_BYTES and (part := connection.recv(4096)):
            said += part
    return said


def keep_password(path: Path) -> str:
    """The password in this file, made on first use."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, secrets.token_hex(16))
    return path.read_text("ascii")


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; nobody else may read it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def tail_of(path: Path, lines: int) -> str:
    """The last lines of a log, as far as the last 20 kB hold them."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return "\n".join(file.read().decode("utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def describe_exit(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
