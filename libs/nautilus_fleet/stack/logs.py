"""Log files of the stack: kept within bounds while others write to them, and read from the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

LOG_BYTES_MAX = 10_000_000
FOLLOW_SECONDS = 0.1
READ_BYTES = 65_536


def rotate(path: Path, bytes_max: int = LOG_BYTES_MAX) -> bool:
    """Copy a log that is past its bound to `<name>.1` and empty it; whether that was done.

    Emptied and not renamed, since its writer keeps it open and appends, whatever we do. A line that is written between
    the copy and the emptying is lost: a few microseconds each ten megabytes, for a writer that never waits for us.
    """
    try:
        if path.stat().st_size <= bytes_max:
            return False
    except FileNotFoundError:
        return False
    # Where there is no room for the copy, room is what is needed.
    with contextlib.suppress(OSError):
        shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)
    return True


def last_lines(path: Path, count: int, end: int | None = None) -> list[str]:
    """The last `count` lines before `end`, those of the file before it included when this one is short."""
    lines: list[str] = []
    for file, stop in ((path, end), (path.with_name(path.name + ".1"), None)):
        if len(lines) < count and file.is_file():
            lines = _from_end(file, count - len(lines), size_of(file) if stop is None else stop) + lines
    return lines


def _from_end(path: Path, count: int, end: int) -> list[str]:
    with path.open("rb") as file:
        start, data = end, b""
        while start > 0 and data.count(b"\n") <= count:
            step = min(READ_BYTES, start)
            start -= step
            file.seek(start)
            data = file.read(step) + data
    return data.decode("utf-8", errors="replace").splitlines()[-count:]


def follow(places: Mapping[Path, int], until: Callable[[], bool]) -> Iterator[tuple[Path, str]]:
    """New whole lines of these files from these places on, also past a rotation; ends when `until` says so."""
    at = dict(places)
    rests = dict.fromkeys(at, b"")
    while True:
        over = until()
        for path in at:
            if size_of(path) < at[path]:
                at[path], rests[path] = 0, b""
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(at[path])
                data = file.read()
                at[path] += len(data)
                *lines, rests[path] = (rests[path] + data).split(b"\n")
                yield from ((path, line.decode("utf-8", errors="replace")) for line in lines)
        if over:
            return
        time.sleep(FOLLOW_SECONDS)


def size_of(path: Path) -> int:
    """Its size now; 0 where it is not there yet."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
