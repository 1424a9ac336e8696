"""Engines, and all that they are made of, are functions of their inputs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tidy import house, purity

PURE_FOLDERS = [f"libs/nautilus_common/{room}" for room in ("model", "messages", "kernels", "strategy", "venues")]
PURE_NAMES = (
    "engine.py",
    "scheduler.py",
    "aggregation.py",
    "streams.py",
    "group.py",
    "hosting.py",
    "live.py",
    "live_log.py",
    "live_run.py",
    "plan.py",
    "trips.py",
)
# A service that is mostly shell: only what decides is named here.
PURE_OF_SHELLS = {
    "data_gateway": ("config.py", "engine.py"),
    "replay": ("config.py", "scheduler.py"),
    "recorder": ("counts.py", "engine.py", "folds.py", "records.py", "state.py"),
}


def pure_files() -> list[Path]:
    engines = [path for path in house.sources("services") if path.name != "__main__.py" and not _is_shell(path)]
    loose = [p for p in house.sources("libs/nautilus_common") if p.name in PURE_NAMES]
    return sorted({*house.sources(*PURE_FOLDERS), *engines, *loose})


def _is_shell(path: Path) -> bool:
    room = path.relative_to(house.ROOT / "services").parts[0]
    return room in PURE_OF_SHELLS and path.name not in PURE_OF_SHELLS[room]


@pytest.mark.parametrize("path", pure_files(), ids=house.name)
def test_an_engine_is_a_function_of_its_inputs(path: Path) -> None:
    found = purity.violations(house.parsed(path), path.read_text(encoding="utf-8").splitlines())
    assert not found, "\n".join(f"{house.name(path)}:{line}: {text}" for line, text in found)


@pytest.mark.parametrize(
    ("code", "breaches"),
    [
        ("import time", 1),
        ("from os import urandom", 1),
        ("import os.path", 1),
        ("import uuid  # purity: only to read what a venue sent", 0),
        ("import uuid  # purity:", 1),
        ("from datetime import datetime\nx = datetime.now()", 1),
        ("import datetime\nx = datetime.datetime.utcnow()", 1),
        ("x = np.random.default_rng(1)", 1),
        ("for x in {1, 2}: pass", 1),
        ("for x in set(y): pass", 1),
        ("z = [x for x in {1} | y]", 1),
        ("z = list({x for x in y})", 1),
        ("z = ','.join(frozenset(y))", 1),
        ("z = sorted(set(y))", 0),
        ("z = sorted(y, key=hash)", 1),
        ("z = sorted(y, key=lambda x: hash(x.name))", 1),
        ("class A:\n    def __hash__(self): return hash(self.x)", 0),
        ("async def f(): await g()", 2),
        ("f = open('x')", 1),
        ("from nautilus_common.model import time_in_force", 0),
    ],
)
def test_the_rule_itself(code: str, breaches: int) -> None:
    assert len(purity.violations(ast.parse(code), code.splitlines())) == breaches, code
