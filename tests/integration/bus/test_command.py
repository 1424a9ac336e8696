"""`fleet bus` as people and programs use it: processes, exit codes, one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nautilus_common.servers.ports import HOST, PortHold

from tests.integration.bus.conftest import ConfiguredServer

ROOT = Path(__file__).parents[3]
Servers = tuple[ConfiguredServer, ConfiguredServer]


def fleet_bus(servers: Servers, *arguments: str, role: str = "fleet", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "libs"), str(ROOT)]),
        "FLEET_NATS_CONTROL": servers[0].url_of(role),
        "FLEET_NATS_DATA": servers[1].url_of(role),
        **more,
    }
    command = [sys.executable, "-m", "nautilus_fleet", "bus", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_apply_check_remove(servers: Servers) -> None:
    missing = fleet_bus(servers, "check", "--env", "r-cli")
    assert missing.returncode == 1
    assert "CTL_r-cli                missing" in missing.stdout
    assert "fleet bus apply --env r-cli" in missing.stderr
    for action in ("created", "unchanged"):
        done = fleet_bus(servers, "apply", "--json", FLEET_ENV="r-cli")
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        assert shown == {
            "env": "r-cli",
            "streams": [
                {"stream": "CTL_r-cli", "server": "control", "action": action, "fields": {}},
                {"stream": "MD_r-cli", "server": "data", "action": action, "fields": {}},
            ],
            "warnings": [],
        }
    checked = fleet_bus(servers, "check", "--env", "r-cli", "--json")
    assert checked.returncode == 0, checked.stderr
    shown = json.loads(checked.stdout)
    assert shown["ok"] is True
    assert [(s["server"], s["sync_always"]) for s in shown["servers"]] == [("control", True), ("data", None)]
    gone = fleet_bus(servers, "remove", "--env", "r-cli")
    assert gone.stdout.split() == ["CTL_r-cli", "removed", "MD_r-cli", "removed"]


def test_drift_is_shown_and_then_mended(servers: Servers, tmp_path: Path) -> None:
    mine = tmp_path / "streams.toml"
    mine.write_text((ROOT / "deploy/nats/streams.toml").read_text().replace('"100ms"', '"1s"'))
    assert fleet_bus(servers, "apply", "--env", "r-mine", "--streams", str(mine)).returncode == 0
    checked = fleet_bus(servers, "check", "--env", "r-mine")
    assert checked.returncode == 1
    assert "CTL_r-mine               differs; duplicate_window 1000000000 -> 100000000" in checked.stdout
    assert "updated; duplicate_window" in fleet_bus(servers, "apply", "--env", "r-mine").stdout
    assert fleet_bus(servers, "remove", "--env", "r-mine").returncode == 0


def test_the_live_log_is_not_deleted_by_a_slip(servers: Servers) -> None:
    assert fleet_bus(servers, "apply").returncode == 0
    refused = fleet_bus(servers, "remove", "--env", "live")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert fleet_bus(servers, "check").returncode == 0
    assert fleet_bus(servers, "remove", "--env", "live", "--yes").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["apply", "--env", "a.b"], 2, "'a.b' cannot be the name of an environment"),
        (["apply", "--replicas", "2"], 2, "a majority is needed"),
        (["apply", "--streams", "nowhere.toml"], 2, "nowhere.toml"),
        (["remove"], 2, "--env"),
    ],
)
def test_mistakes_are_told(servers: Servers, arguments: list[str], code: int, told: str) -> None:
    done = fleet_bus(servers, *arguments)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lazy_server_is_told(servers: Servers) -> None:
    done = fleet_bus((servers[1], servers[1]), "apply", "--env", "r-lazy")
    assert done.returncode == 1
    assert "acknowledges before it has written to disk" in done.stderr
    allowed = fleet_bus((servers[1], servers[1]), "check", "--env", "r-lazy", FLEET_ALLOW_LAZY_SYNC="1")
    assert "warning: FLEET_ALLOW_LAZY_SYNC is set" in allowed.stderr


def test_what_is_wrong_with_a_server_is_told(servers: Servers) -> None:
    hold = PortHold()
    absent = fleet_bus(servers, "check", FLEET_NATS_DATA=f"nats://{HOST}:{hold.port}")
    hold.release()
    assert absent.returncode == 1
    assert f"no nats-server answers\n  where: nats://{HOST}:{hold.port}" in absent.stderr
    refused = fleet_bus(servers, "check", FLEET_NATS_CONTROL=f"nats://fleet:wrong@{HOST}:{servers[0].port}")
    assert refused.returncode == 1
    assert "the nats-server refuses the user 'fleet'" in refused.stderr
    assert "wrong" not in refused.stderr.replace("wrongly", "")
