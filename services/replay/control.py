"""How fast a replay goes, and what its user says while it runs: pause, resume, step, seek, speed."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from services.replay.config import Job
    from services.replay.link import Link

LOOK_SECONDS = 0.1


class Control(msgspec.Struct, frozen=True):
    """A word of the user, on `fleet.<env>.ctl.replay`."""

    what: Literal["pause", "resume", "step", "seek", "speed"]
    to_ns: int | None = None
    speed: float | None = None


encode_control = msgspec.json.encode
_DECODER = msgspec.json.Decoder(Control)


class Pace:
    """Called with the time of each step before it is taken; returns when it may be."""

    def __init__(self, job: Job, link: Link, start_ns: int) -> None:
        self._link = link
        self._speed = job.speed
        self._paused = job.hold
        self._seek_ns: int | None = None
        self._steps = 0
        self._origin = (monotonic(), start_ns)
        self._looked = monotonic()
        self._now_ns = start_ns

    def begin(self) -> None:
        self._origin = (monotonic(), self._now_ns)

    def __call__(self, ts_ns: int) -> None:
        now = monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._take_words()
        if self._seek_ns is not None:
            if ts_ns < self._seek_ns:
                self._now_ns = ts_ns
                return
            self._seek_ns = None
            self._origin = (monotonic(), ts_ns)
        if self._paused:
            self._wait_paused(ts_ns)
        elif self._speed is not None:
            self._wait_until(ts_ns)
        self._now_ns = max(self._now_ns, ts_ns)

    def _wait_until(self, ts_ns: int) -> None:
        while self._speed is not None and not self._paused and self._seek_ns is None:
            due = self._origin[0] + (ts_ns - self._origin[1]) / 1e9 / self._speed
            left = due - monotonic()
            if left <= 0:
                return
            self._link.wait_for_control(min(left, LOOK_SECONDS))
            self._take_words()
        if self._paused:
            self._wait_paused(ts_ns)

    def _wait_paused(self, ts_ns: int) -> None:
        while self._paused and self._steps == 0 and self._seek_ns is None:
            self._link.wait_for_control(LOOK_SECONDS)
            self._take_words()
        if self._steps > 0:
            self._steps -= 1

    def _take_words(self) -> None:
        words = self._link.controls()
        while words:
            try:
                word = _DECODER.decode(words.popleft())
            except msgspec.MsgspecError:
                continue
            match word.what:
                case "pause":
                    self._paused = True
                case "resume":
                    self._paused = False
                    self._origin = (monotonic(), self._now_ns)
                case "step":
                    self._paused = True
                    self._steps += 1
                case "seek":
                    self._seek_ns = word.to_ns
                case "speed":
                    self._speed = word.speed
                    self._origin = (monotonic(), self._now_ns)
