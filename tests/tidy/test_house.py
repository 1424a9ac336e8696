"""Sizes, arrows, lightness, and what no committed file may hold."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy import house

FUNCTION_LINES_MAX = 80
FILE_LINES_MAX = 700
# A file that is long on purpose, with the reason; each is a debt, not a licence.
LONG_FILES: dict[str, str] = {}
# A function that is long on purpose: (file, function) -> reason.
LONG_FUNCTIONS: dict[tuple[str, str], str] = {}

HEAVY = ("numba", "pyarrow", "pydantic", "plotly", "rich", "pandas", "scipy")
LIBRARIES = ("libs", "services", "loadtests")


def our_sources() -> list[Path]:
    return house.sources("libs", "services", "tests", "loadtests", "examples")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(house.ROOT / "libs"), str(house.ROOT)])}


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=house.ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_files_are_read_at_one_sitting() -> None:
    long = {house.name(p): n for p in our_sources() if (n := len(p.read_text("utf-8").splitlines())) > FILE_LINES_MAX}
    assert not (over := {k: v for k, v in long.items() if k not in LONG_FILES}), f"longer than {FILE_LINES_MAX}: {over}"
    assert not (done := set(LONG_FILES) - set(long)), f"no longer long, take them off the list: {done}"


def test_functions_are_short() -> None:
    long = {
        (house.name(path), node.name): size
        for path in our_sources()
        for node in ast.walk(house.parsed(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    over = {f"{file}:{function}": n for (file, function), n in long.items() if (file, function) not in LONG_FUNCTIONS}
    assert not over, f"longer than {FUNCTION_LINES_MAX} lines: {over}"
    assert not (done := set(LONG_FUNCTIONS) - set(long)), f"no longer long, take them off the list: {done}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [house.name(p) for p in house.sources(*LIBRARIES) if not ast.get_docstring(house.parsed(p))]
    assert not silent, f"no module docstring: {silent}"


def test_no_committed_file_names_a_package_registry() -> None:
    # Spelled in pieces, so that this file passes its own rule.
    hosts = ["py" + "pi.org", "files.python" + "hosted", "registry." + "npmjs", "/opt/py" + "pi", "test.py" + "pi"]
    options = ["index" + "-url", "extra-" + "index", "trusted-" + "host", "--find" + "-links"]
    pattern = re.compile("|".join(re.escape(text) for text in hosts + options), re.IGNORECASE)
    found = []
    for path in house.files():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{house.name(path)}: {match.group()}" for match in pattern.finditer(text)]
    assert not found, found
    assert not (house.ROOT / "uv.lock").exists() or house.ROOT / "uv.lock" not in house.files()


def test_the_lock_is_hashed_and_names_no_address() -> None:
    lines = (house.ROOT / "requirements.lock").read_text("utf-8").splitlines()
    assert not [line for line in lines if "http" in line or "://" in line]
    pins = [line for line in lines if re.match(r"^[a-z0-9]", line, re.IGNORECASE)]
    assert len(pins) > 20
    assert all(re.match(r"^[A-Za-z0-9_.\[\]-]+==[^ ]+( ;.*)? \\$", line) for line in pins), "a pin without hashes"


def test_the_lock_holds_every_requirement() -> None:
    project = tomllib.loads((house.ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    locked = set(
        re.findall(r"^([A-Za-z0-9_.-]+)==", (house.ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    )
    missing = [text for text in wanted if re.split(r"[<>=~! ;\[]", text)[0].lower() not in locked]
    assert not missing, f"not in requirements.lock (make lock): {missing}"


def test_the_version_is_written_once() -> None:
    from nautilus_fleet.version import __version__

    project = tomllib.loads((house.ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["version"] == __version__
    assert f"[{__version__}]" in (house.ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_arrows_between_packages() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=house.ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_engine_is_under_the_import_contracts() -> None:
    """A new service must be added to the contract that keeps services apart."""
    project = tomllib.loads((house.ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    apart = next(c for c in contracts if c["type"] == "independence")["modules"]
    services = {f"services.{p.parent.name}" for p in house.sources("services") if p.parent.parent.name == "services"}
    assert services - {"services.replay"} == set(apart)


@pytest.mark.parametrize("statement", ["import nautilus_fleet", "import nautilus_common", "import nautilus_fleet.cli"])
def test_importing_stays_light(statement: str) -> None:
    code = f"import sys\n{statement}\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    assert python(code).strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["backtest", "--help"], ["data", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom nautilus_fleet.cli import main\n"
        f"assert main({arguments!r}) == 0\n"
        f"print('loaded', [m for m in {(*HEAVY, 'cyclopts', 'numpy')!r} if m in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "loaded []"
