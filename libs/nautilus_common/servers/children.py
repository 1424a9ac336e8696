"""Child processes that die with this one, started from any thread.

The kernel's parent of a process is the *thread* that started it, and it is that thread's end which kills the child
(`launcher.py`). So one thread that lives as long as this process starts them all.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class Account:
    """The user that a child becomes; only root can ask for it."""

    user: int
    group: int


def start_child(
    command: Sequence[str | Path],
    *,
    output: IO[bytes] | int,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    account: Account | None = None,
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` (its first word is a path) tied to this process, its output going to `output`.

    It leads a session of its own, so that an interrupt at the terminal reaches this process alone and children are
    stopped in the order that we choose. `keep_open` are file descriptors that it inherits.
    """
    user, group = ("-", "-") if account is None else (str(account.user), str(account.group))
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), user, group]
    return _SPAWNER.run(
        _Order(
            command=[*launcher, *map(str, command)],
            output=output,
            cwd=cwd,
            environment=None if environment is None else dict(environment),
            keep_open=tuple(keep_open),
        )
    )


@dataclass(frozen=True)
class _Order:
    command: list[str]
    output: IO[bytes] | int
    cwd: Path | None
    environment: dict[str, str] | None
    keep_open: tuple[int, ...]

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            cwd=self.cwd,
            env=self.environment,
            pass_fds=self.keep_open,
            start_new_session=True,
        )


class _Spawner:
    """The thread that starts children; made at the first one, and again in a fork of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: queue.SimpleQueue[tuple[_Order, Future[subprocess.Popen[bytes]]]] | None = None

    def run(self, order: _Order) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        with self._lock:
            if self._orders is None:
                self._orders = queue.SimpleQueue()
                threading.Thread(target=self._serve, args=(self._orders,), name="children", daemon=True).start()
            self._orders.put((order, answer))
        return answer.result()

    @staticmethod
    def _serve(orders: queue.SimpleQueue[tuple[_Order, Future[subprocess.Popen[bytes]]]]) -> None:
        while True:
            order, answer = orders.get()
            try:
                answer.set_result(order.start())
            except BaseException as error:
                answer.set_exception(error)
            # Nothing may keep the last child alive but its owner.
            del order, answer


_SPAWNER = _Spawner()


def _renew_in_fork() -> None:
    """A fork has this process's memory and none of its threads."""
    global _SPAWNER
    _SPAWNER = _Spawner()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_in_fork)
