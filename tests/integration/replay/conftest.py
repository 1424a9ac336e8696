"""Stacks of real servers and processes for the tests of replays: one a test session, and others where one must die."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from nautilus_fleet.stack.local import LocalStack

ROOT = Path(__file__).resolve().parents[3]
APART = ("execution_gateway", "risk", "portfolio", "strategy_host.a", "strategy_host.b")


@contextlib.contextmanager
def fleet(
    folder: Path,
    services: tuple[str, ...] = APART,
    together: tuple[tuple[str, ...], ...] = (),
    extra: Mapping[str, str] | None = None,
) -> Iterator[LocalStack]:
    """Servers and services, ready."""
    stack = LocalStack(
        folder,
        services=services,
        together=together,
        postgres=False,
        valkey=False,
        project=ROOT,
        extra={"PYTHONPATH": f"{ROOT / 'libs'}:{ROOT}", **(extra or {})},
    )
    with stack:
        yield stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A process for each engine, two strategy hosts."""
    with fleet(tmp_path_factory.mktemp("stack")) as found:
        yield found
