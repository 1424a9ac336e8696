"""A service of the stack as a process: how it is started, whether it is ready, what it says of itself."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nautilus_common.servers.children import start_child

PROBE_SECONDS = 0.5
ANSWER_BYTES_MAX = 1_000_000


class ServiceProcess:
    """One process that serves some roles. It can be launched again after it has ended."""

    def __init__(self, name: str, command: Sequence[str], home: Path, log_path: Path, cwd: Path) -> None:
        self.name = name
        self.log_path = log_path
        # Known once the servers are up.
        self.environment: Mapping[str, str] = {}
        self._command = [*command]
        self._cwd = cwd
        self._run_file = home / "run" / f"{name}.json"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def launch(self) -> None:
        """Start without waiting; nothing happens when it runs already."""
        if self.pid is not None:
            return
        self._run_file.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            self._process = start_child(self._command, output=log, cwd=self._cwd, environment=self.environment)

    def http(self) -> str | None:
        """`host:port` where it answers; None while it has not told."""
        return address_of(self._run_file, self.pid)

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        address = self.http()
        return address is not None and ask(address, "/readyz")[0] == 200

    def why_not_ready(self) -> str:
        """The reason that it gives, in one line."""
        address = self.http()
        if address is None:
            return "it has not opened its HTTP port yet"
        status, body = ask(address, "/readyz")
        return " ".join(body.decode("utf-8", errors="replace").split()) or f"/readyz answers {status or 'nothing'}"

    def ended(self) -> int | None:
        """The exit status of the last process (negative: a signal), None while it runs or was never started."""
        return None if self._process is None else self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within that time."""
        if self._process is not None:
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return False
        return True

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def address_of(run_file: Path, pid: int | None) -> str | None:
    """`host:port` from a run file that this very process has written."""
    try:
        told = json.loads(run_file.read_bytes())
        return str(told["http"]) if told["pid"] == pid else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask(address: str, path: str, timeout_s: float = PROBE_SECONDS) -> tuple[int, bytes]:
    """Status and body of a GET; (0, b"") when nobody answers."""
    try:
        with contextlib.closing(http.client.HTTPConnection(address, timeout=timeout_s)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException):
        return 0, b""


def ask_status(address: str) -> dict[str, Any] | None:
    """The object of `/status`; None when it does not answer or not with an object."""
    status, body = ask(address, "/status")
    with contextlib.suppress(ValueError):
        told = json.loads(body) if status == 200 else None
        return told if isinstance(told, dict) else None
    return None


def inherited_environment() -> dict[str, str]:
    """What a service takes over from us: all but the settings of another stack, and the same code as we run."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FLEET_") or k == "FLEET_LOG_LEVEL"}
    path = [*_working_trees(), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | ({"PYTHONPATH": os.pathsep.join(path)} if path else {})


def _working_trees() -> list[str]:
    """Where our packages come from, when they are not installed: a child must find the same ones."""
    folders: list[str] = []
    for package in ("nautilus_fleet", "services"):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            parent = str(Path(place).resolve().parent)
            if "site-packages" not in parent and parent not in folders:
                folders.append(parent)
    return folders
