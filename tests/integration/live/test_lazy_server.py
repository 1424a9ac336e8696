"""No session is opened on a control server that acknowledges before it has written to disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nautilus_common.bus.layout import layout_folder
from nautilus_common.servers import NatsServer

from tests.integration.processes import ENVIRONMENT, ROOT


def test_a_session_is_refused_on_a_lazy_log(tmp_path: Path) -> None:
    told = (layout_folder() / "local.conf").read_text("utf-8")
    with NatsServer(tmp_path / "lazy", config_extra=told) as server:
        environment = {**ENVIRONMENT, "FLEET_NATS_CONTROL": server.url, "FLEET_NATS_DATA": server.url}
        command = [sys.executable, "-m", "nautilus_fleet", "paper", "start", "examples/sample/backtest.toml"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1, done.stderr
    assert "sync_interval" in done.stderr
    assert "FLEET_ALLOW_LAZY_SYNC" in done.stderr
