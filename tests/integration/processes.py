"""Other processes, as the tests that start some see them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "libs"), str(ROOT)])}


def eventually(holds: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def family(pid: int) -> list[psutil.Process]:
    """Everybody who descends from this process."""
    return psutil.Process(pid).children(recursive=True)


def any_alive(processes: Iterable[psutil.Process]) -> bool:
    """Whether one of them still runs. A zombie is dead, and whoever is process 1 here may take its time to bury it."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False
