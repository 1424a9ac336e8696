"""Pause, step, seek and speed: when the next step of a replay may be taken."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import pytest

import services.replay.control as control
from services.replay.config import Job
from services.replay.control import Control, Pace, encode_control

SECOND = 1_000_000_000


class FakeTime:
    """A clock that moves only when somebody waits, and a user who speaks at set moments."""

    def __init__(self, words: dict[float, Control | bytes]) -> None:
        self.now = 1_000.0
        self.words = dict(words)
        self.waits = 0

    def monotonic(self) -> float:
        return self.now

    def controls(self) -> deque[bytes]:
        due = [at for at in self.words if 1_000.0 + at <= self.now]
        words = [self.words.pop(at) for at in sorted(due)]
        return deque(word if isinstance(word, bytes) else encode_control(word) for word in words)

    def wait_for_control(self, seconds: float) -> None:
        self.waits += 1
        assert self.waits < 10_000, "it waits for ever"
        self.now += seconds


def pace(monkeypatch: pytest.MonkeyPatch, words: dict[float, Control | bytes], **options: Any) -> tuple[Pace, FakeTime]:
    time = FakeTime(words)
    monkeypatch.setattr(control, "monotonic", time.monotonic)
    link: Any = time
    found = Pace(Job("run", "r-1", [], **options), link, 0)
    found.begin()
    return found, time


def taken_at(found: Pace, time: FakeTime, steps: list[int]) -> list[float]:
    """When each step, given in seconds of the run, was taken, in seconds of the clock."""
    taken = []
    for step in steps:
        found(step * SECOND)
        taken.append(round(time.now - 1_000.0, 3))
        time.now += 0.11  # so that it looks for words at each step
    return taken


def test_as_fast_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    found, time = pace(monkeypatch, {})
    assert taken_at(found, time, [0, 3_600, 7_200]) == [0.0, 0.11, 0.22]
    assert time.waits == 0


def test_times_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, time = pace(monkeypatch, {}, speed=60.0)
    assert taken_at(found, time, [0, 60, 120, 600]) == [0.0, 1.0, 2.0, 10.0]


def test_a_hold_waits_for_the_word_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found, time = pace(monkeypatch, {5.0: Control("resume")}, hold=True)
    first, second = taken_at(found, time, [1, 2])
    assert first == pytest.approx(5.0, abs=0.11)
    assert second == pytest.approx(first + 0.11)


def test_a_step_is_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[float, Control | bytes] = {1.0: Control("step"), 4.0: Control("step"), 9.0: Control("resume")}
    found, time = pace(monkeypatch, words, hold=True)
    assert taken_at(found, time, [1, 2, 3]) == pytest.approx([1.0, 4.0, 9.0], abs=0.11)


def test_a_pause_in_the_middle_and_the_pace_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[float, Control | bytes] = {2.0: Control("pause"), 12.0: Control("resume")}
    found, time = pace(monkeypatch, words, speed=1.0)
    first, second, third = taken_at(found, time, [1, 3, 4])
    assert first == 1.0
    assert second >= 12.0
    assert third - second == pytest.approx(1.0, abs=2.1), "the pause is not made up for"


def test_seek_runs_to_a_time_and_goes_on_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[float, Control | bytes] = {0.05: Control("seek", to_ns=1_000 * SECOND)}
    found, time = pace(monkeypatch, words, speed=1.0)
    taken = taken_at(found, time, [0, 500, 999, 1_000, 1_001])
    assert taken[2] < 1.0
    assert taken[4] - taken[3] == pytest.approx(1.0, abs=0.12)


def test_the_speed_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[float, Control | bytes] = {0.5: Control("speed", speed=None)}
    found, time = pace(monkeypatch, words, speed=0.001)
    assert taken_at(found, time, [0, 1_000])[1] < 1.0


def test_words_that_are_none_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[float, Control | bytes] = {0.0: b"\xff\x00", 0.01: b'{"what":"explode"}', 2.0: Control("resume")}
    found, time = pace(monkeypatch, words, hold=True)
    assert taken_at(found, time, [1])[0] == pytest.approx(2.0, abs=0.11)


def test_an_answer_log_that_was_cut_off_keeps_what_is_whole(tmp_path: Path) -> None:
    from services.replay.answers import AnswerLog

    log = AnswerLog(tmp_path / "a" / "risk.log")
    for answer in (b"one", b"", b"three" * 1000):
        log.append(answer)
    log.close()
    path = tmp_path / "a" / "risk.log"
    whole = path.read_bytes()
    for cut in (1, 3, 100, 5_000):
        path.write_bytes(whole[:-cut])
        again = AnswerLog(path)
        kept = again.read()
        again.append(b"next")
        assert again.read() == [*kept, b"next"]
        assert kept == [b"one", b""]
        again.close()
