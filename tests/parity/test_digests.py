"""A run is a function of its inputs: each case has one digest, whatever the process, hash seed, compiler or blocks.

One process a variant runs all cases. Other Python versions: set FLEET_PYTHONS to interpreters (separated by the path
separator) that have the dependencies installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from case_runs import CASES, ROOT, digests

SCRIPT = Path(__file__).with_name("case_runs.py")
NEEDED = "import numba, msgspec, numpy, pyarrow, pydantic, sys; print(sys.version_info[1])"


def in_process(python: str, data: Path, *arguments: str, **environment: str) -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT / "libs"), str(ROOT)])
    done = subprocess.run(
        [python, str(SCRIPT), str(data), *arguments],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert set(found) == set(CASES)
    return found


@pytest.fixture(scope="module")
def expected(fleet_data):
    """The digests in this process, each stream as one block."""
    return digests(fleet_data)


def test_cases_differ(expected):
    assert len(set(expected.values())) == len(CASES)


@pytest.mark.parametrize("seed", ["1", "4242"])
def test_fresh_process_with_another_hash_seed(fleet_data, expected, seed):
    assert in_process(sys.executable, fleet_data, PYTHONHASHSEED=seed) == expected


def test_without_the_compiler(fleet_data, expected):
    assert in_process(sys.executable, fleet_data, NUMBA_DISABLE_JIT="1") == expected


@pytest.mark.parametrize("block_rows", [1_000, 977])
def test_in_blocks(fleet_data, expected, block_rows):
    assert digests(fleet_data, block_rows) == expected


def other_pythons() -> list[str]:
    """Interpreters of other minor versions that have the dependencies."""
    named = [path for path in os.environ.get("FLEET_PYTHONS", "").split(os.pathsep) if path]
    usable = []
    for python in named:
        probe = subprocess.run([python, "-c", NEEDED], capture_output=True, text=True, check=False)
        if probe.returncode == 0 and int(probe.stdout) != sys.version_info[1]:
            usable.append(python)
    return usable


def test_other_python_versions(fleet_data, expected):
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no interpreter of another Python minor version with the dependencies: name some in FLEET_PYTHONS")
    for python in pythons:
        assert in_process(python, fleet_data) == expected, python
