"""Real nats-servers with the configuration of deploy/nats: a pair for a module, and single ones for what harms them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nautilus_common.bus.layout import layout_folder
from nautilus_common.servers import NatsServer
from nautilus_common.servers.children import start_child
from nautilus_common.servers.ports import HOST, PortHold

ROLES = [
    "fleet",
    "execution_gateway",
    "risk",
    "portfolio",
    "strategy_host",
    "engines",
    "data_gateway",
    "replay",
    "recorder",
    "observer",
]


class ConfiguredServer(NatsServer):
    """nats-server on `deploy/nats/<kind>.conf` as it is shipped, everything else from the environment."""

    def __init__(self, folder: Path, kind: str) -> None:
        super().__init__(folder)
        self._kind = kind
        self._monitor = PortHold()

    @property
    def monitor(self) -> str:
        return f"http://{HOST}:{self._monitor.port}"

    def url_of(self, role: str) -> str:
        return f"nats://{role}:{password(role)}@{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        passwords = {f"FLEET_NATS_PASSWORD_{role.upper()}": password(role) for role in ROLES}
        return {
            **os.environ,
            **passwords,
            "FLEET_NATS_HOST": HOST,
            "FLEET_NATS_PORT": str(self.port),
            "FLEET_NATS_MONITOR_PORT": str(self._monitor.port),
            "FLEET_NATS_STORE": str(self.folder / "jetstream"),
            "FLEET_NATS_MAX_FILE": "64GB",
        }

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        command = [Path(sys.executable).with_name("nats-server"), "-c", layout_folder() / f"{self._kind}.conf"]
        with self.log_path.open("ab") as log:
            return start_child(command, output=log, environment=self.environment(), keep_open=[lock])

    def stop(self, timeout_s: float = 10.0) -> None:
        super().stop(timeout_s)
        self._monitor.release()


def password(role: str) -> str:
    return f"p{role.encode().hex()}"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ConfiguredServer, ConfiguredServer]]:
    """The control server and the data server; tests take worlds of their own."""
    folder = tmp_path_factory.mktemp("servers")
    with (
        ConfiguredServer(folder / "control", "control") as control,
        ConfiguredServer(folder / "data", "data") as data,
    ):
        yield control, data


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., NatsServer]]:
    """Start a server of one's own: (sync_always, config_extra)."""
    started: list[NatsServer] = []

    def start(sync_always: bool = False, config_extra: str = "") -> NatsServer:
        server = NatsServer(tmp_path / f"server{len(started)}", sync_always=sync_always, config_extra=config_extra)
        started.append(server.start())
        return server

    yield start
    for server in started:
        server.stop()
