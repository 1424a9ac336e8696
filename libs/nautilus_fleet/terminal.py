"""What people see: tables on stdout, progress on stderr; colour and bars only where there is a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

_CODES = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}
_BAR_AFTER_SECONDS = 1.0


def has_colour(stream: TextIO) -> bool:
    """A terminal that has not been told NO_COLOR (any value but the empty one, as no-color.org says)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO) -> str:
    """`text` in `colour` where the stream shows colour."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if has_colour(stream) else text


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, total: bool = False) -> str:
    """A table for a terminal: the first column to the left, the others to the right; `total` rules off the last row."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        return "  " + "   ".join([first, *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]).rstrip()

    rule = "  " + "─" * (sum(widths) + 3 * (len(widths) - 1))
    lines = [line(header), rule, *(line(row) for row in rows)]
    if total and len(rows) > 1:
        lines.insert(len(lines) - 1, rule)
    return "\n".join(lines)


class Progress:
    """Stages of a long command. Silent without a terminal; a bar only past the first second."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty() and not quiet
        self._started = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._stage = ""

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage; `total` in the stage's own unit (rows, files), None where it is not known."""
        self._stage = name
        if self._bar is not None:
            self._bar.reset(self._task, total=total, description=name)
        self._total = total

    def advance(self, done: int) -> None:
        """`done` of `total` so far."""
        if self._bar is None and not self._begin():
            return
        self._bar.update(self._task, completed=done)

    def _begin(self) -> bool:
        if not self._shown or time.monotonic() - self._started < _BAR_AFTER_SECONDS:
            return False
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        console = Console(file=self._stream, no_color=not has_colour(self._stream))
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = RichProgress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(self._stage, total=self._total)
        self._bar.start()
        return True

    def close(self) -> None:
        """Take the bar away; what follows is the result."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
