"""From nothing to a verified run, as a newcomer does it: with processes, in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nautilus_fleet.backtest", reason="the engine is not built yet")

ROOT = Path(__file__).parents[2]


def fleet(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT / "libs"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, **environ}
    command = [sys.executable, "-m", "nautilus_fleet", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_init_backtest_verify_report(tmp_path: Path) -> None:
    assert fleet(tmp_path, "init", "desk", "--days", "2").returncode == 0
    done = fleet(tmp_path, "backtest", "desk/backtest.toml")
    assert done.returncode == 0, done.stderr
    assert "BTC/USDT.SIM" in done.stdout
    assert "fleet verify" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    (folder,) = (tmp_path / "desk" / "runs").iterdir()
    names = ["stats.json", "events", "config.lock.toml", "tearsheet.html", "equity.parquet"]
    assert not [name for name in names if not (folder / name).is_file()]
    verified = fleet(tmp_path, "verify", folder.name)
    assert verified.returncode == 0, verified.stderr
    assert "identical" in verified.stdout
    assert fleet(tmp_path, "report", folder.name).returncode == 0


def test_json_is_one_object_whatever_the_hash_seed(tmp_path: Path) -> None:
    assert fleet(tmp_path, "init", "desk", "--days", "1").returncode == 0
    digests = []
    for seed in ("1", "2"):
        done = fleet(tmp_path, "backtest", "desk/backtest.toml", "--json", PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
        digests.append(json.loads(done.stdout)["digest"])
    assert digests[0] == digests[1]


def test_verify_names_the_first_event_that_differs(tmp_path: Path) -> None:
    assert fleet(tmp_path, "init", "desk", "--days", "1").returncode == 0
    assert fleet(tmp_path, "backtest", "desk/backtest.toml").returncode == 0
    strategy = tmp_path / "desk" / "strategies" / "ema_cross.py"
    strategy.write_text(strategy.read_text().replace(">= self.slow.value", "< self.slow.value"))
    (folder,) = (tmp_path / "desk" / "runs").iterdir()
    done = fleet(tmp_path, "verify", str(folder))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "changed since the run: strategies/ema_cross.py" in done.stderr
    assert "then:" in done.stderr
    assert "now:" in done.stderr


def test_a_strategy_that_raises_is_named_with_its_line_and_leaves_its_folder(tmp_path: Path) -> None:
    assert fleet(tmp_path, "init", "desk", "--days", "1").returncode == 0
    strategy = tmp_path / "desk" / "strategies" / "ema_cross.py"
    text = strategy.read_text().replace("        long = self", "        1 / 0\n        long = self")
    strategy.write_text(text)
    line = 1 + text.splitlines().index("        1 / 0")
    done = fleet(tmp_path, "backtest", "desk/backtest.toml")
    assert done.returncode == 1
    assert "EmaCross.on_bar raised ZeroDivisionError" in done.stderr
    assert f"ema_cross.py:{line}" in done.stderr
    assert "Traceback" not in done.stderr
    (folder,) = (tmp_path / "desk" / "runs").iterdir()
    assert (folder / "events").is_file()
