"""Servers for the tests of the recorder: shared ones, each test with an environment of its own; and own ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.recorder.worlds import Servers


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that no test stops."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    try:
        yield servers.start()
    finally:
        servers.stop()


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that the test may kill."""
    servers = Servers(tmp_path_factory.mktemp("own"))
    try:
        yield servers.start()
    finally:
        servers.stop()
