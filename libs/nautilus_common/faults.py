"""Points at which a test lets a process die: every place where what is durable and what is known differ.

`FLEET_TEST_DIE_AT="risk/answered:3"` kills the process `risk`, with SIGKILL, the third time that it gets there; once,
since a file in `FLEET_HOME` remembers that it has. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

POINTS = (
    "request taken",
    "carried out",
    "said",
    "answered",
    "entry sent",
    "entry durable",
    "entry told",
    "flushed",
    "snapshot dumped",
    "snapshot saved",
    "block taken",
    "opened",
)


class Faults:
    """The point of this process, if it has one."""

    def __init__(self, text: str, marker: Path) -> None:
        self._point, _, count = text.rpartition(":")
        self._left = int(count) if self._point else 0
        if self._point and self._point not in POINTS:
            raise ValueError(f"FLEET_TEST_DIE_AT names no point {self._point!r}; there are {', '.join(POINTS)}")
        self._marker = marker
        if self._left and marker.exists():
            self._left = 0

    def reach(self, point: str) -> None:
        """The process has come to `point`."""
        if self._left and point == self._point:
            self._left -= 1
            if self._left == 0:
                self._marker.parent.mkdir(parents=True, exist_ok=True)
                self._marker.write_text(point)
                os.kill(os.getpid(), signal.SIGKILL)


NO_FAULTS = Faults("", Path())
"""What a process has outside of tests."""
