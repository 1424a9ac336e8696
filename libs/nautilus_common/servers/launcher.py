"""Becomes the program it is told to start, after tying its life to whoever started it.

A script of its own, since what must happen between fork and exec is not safe in a process with threads. It is run as
`python -I -S launcher.py PARENT USER GROUP COMMAND...` by `children.py`; USER and GROUP are numbers, or `-`.

On Linux the kernel kills the program when its parent goes, however that goes (PR_SET_PDEATHSIG). SIGKILL, because a
stopped process takes no other signal. Other systems have nothing like it: there a program outlives a parent that was
killed, and whoever comes next finds it by the lock of its folder (`servers.py`).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

EXIT_CANNOT_START = 127
_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Drop privileges, tie, check that nobody died meanwhile, and become the command."""
    parent, user, group, *command = argv
    # Imported as the user we are: the next one may not reach the files of this Python.
    import ctypes

    if user != "-":
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    if sys.platform == "linux":
        # After the change of user, which the kernel answers by forgetting the signal.
        _tie(ctypes.CDLL(None), int(parent))
    # Python ignores it, and what a process ignores stays ignored in what it becomes.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"cannot start {command[0]} as user {os.geteuid()}: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_CANNOT_START)


def _tie(libc: Any, parent: int) -> None:
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        print("the kernel refuses PR_SET_PDEATHSIG", file=sys.stderr)
        sys.exit(EXIT_CANNOT_START)
    if os.getppid() != parent:
        # It died before the line above: no signal will come any more.
        sys.exit(EXIT_CANNOT_START)


if __name__ == "__main__":
    main(sys.argv[1:])
