"""What is installed is all that is needed: the servers' configuration and the streams are in the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_the_configuration_of_the_servers(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name for name in archive.namelist() if name.startswith("nautilus_common/bus/deploy/nats/")}
        assert names == {path.name for path in (ROOT / "deploy/nats").iterdir()}
        assert not [name for name in archive.namelist() if name.startswith(("tests/", "docs/", "loadtests/"))]


def test_the_installed_package_finds_its_streams(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "from nautilus_common.bus.layout import layout_folder, load_layout\n"
        "print(layout_folder()); print(len(load_layout().streams))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [str(tmp_path / "nautilus_common/bus/deploy/nats"), "2"], done.stderr
