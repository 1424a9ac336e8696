"""Kernels that were compiled before: taken from a folder that nobody can write, or left alone when they do not fit."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCATORS = "nautilus_common.compiled.ShippedCacheLocator,UserProvidedCacheLocator"
COUNT = """
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    from nautilus_common.compiled import compile_all
    compile_all()
print(len(recorder.buffer))
"""


def python(*arguments: str, **environ: str) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    paths = os.pathsep.join([str(ROOT / "libs"), str(ROOT)])
    environment = {**own, "PYTHONPATH": paths, "NUMBA_CPU_NAME": "generic", **environ}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels")
    assert "kernels.scan" in python("-m", "nautilus_common.compiled", NUMBA_CACHE_DIR=str(folder))
    return folder


def count(shipped: Path, cache: Path, **more: str) -> int:
    environ = {"FLEET_KERNELS": str(shipped), "NUMBA_CACHE_DIR": str(cache), "NUMBA_CACHE_LOCATOR_CLASSES": LOCATORS}
    return int(python("-c", COUNT, **environ | more))


def test_nothing_is_compiled_and_nothing_written(shipped: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shipped.rglob("*")}
    assert count(shipped, tmp_path / "cache") == 0
    assert not (tmp_path / "cache").exists()
    assert {path: path.stat().st_mtime_ns for path in shipped.rglob("*")} == before


def test_for_another_cpu_they_are_compiled_into_the_cache(shipped: Path, tmp_path: Path) -> None:
    before = sorted(shipped.rglob("*"))
    assert (
        count(shipped, tmp_path / "cache", NUMBA_CPU_NAME="x86-64" if "x86" in os.uname().machine else "apple-m1") > 0
    )
    assert list((tmp_path / "cache").rglob("*.nbc"))
    assert sorted(shipped.rglob("*")) == before


def test_of_another_source_they_are_compiled_again(shipped: Path, tmp_path: Path) -> None:
    other = tmp_path / "shipped"
    shutil.copytree(shipped, other)
    for index in other.rglob("*.nbi"):
        # The stamp of the source is a hash in the index.
        data = index.read_bytes()
        version_size = len(pickle.dumps(pickle.loads(data), protocol=-1))
        stamp, overloads = pickle.loads(data[version_size:])
        index.write_bytes(data[:version_size] + pickle.dumps((bytes(len(stamp)), overloads)))
    assert count(other, tmp_path / "cache") > 0


def test_without_a_folder_numba_does_as_ever(tmp_path: Path) -> None:
    assert count(tmp_path / "nothing", tmp_path / "cache") > 0
    assert list((tmp_path / "cache").rglob("*.nbi"))
