"""Logs: bounded while others write, read from the end, followed past a rotation."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_fleet.stack import logs
from nautilus_fleet.stack.logs import follow, last_lines, rotate, size_of


def test_a_log_past_its_bound_is_emptied_under_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "risk.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"a\n" * 100)
        assert not rotate(path, 200)
        writer.write(b"b\n")
        assert rotate(path, 200)
        writer.write(b"c\n")
    assert path.read_bytes() == b"c\n", "no hole at the front"
    assert (tmp_path / "risk.log.1").read_bytes() == b"a\n" * 100 + b"b\n"
    assert not rotate(tmp_path / "none.log")


def test_without_room_for_the_copy_the_log_is_emptied_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logs.shutil, "copyfile", full)
    path = tmp_path / "risk.log"
    path.write_bytes(b"a" * 100)
    assert rotate(path, 10)
    assert path.read_bytes() == b""


def test_last_lines_reach_into_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "READ_BYTES", 7)
    path = tmp_path / "risk.log"
    path.write_text("".join(f"line {i}\n" for i in range(5, 8)))
    (tmp_path / "risk.log.1").write_text("".join(f"line {i}\n" for i in range(5)))
    assert last_lines(path, 2) == ["line 6", "line 7"]
    assert last_lines(path, 5) == [f"line {i}" for i in range(3, 8)]
    assert last_lines(path, 100) == [f"line {i}" for i in range(8)]
    assert last_lines(path, 2, end=len("line 5\nline 6\n")) == ["line 5", "line 6"]
    assert last_lines(path, 0) == []
    assert last_lines(tmp_path / "none.log", 5) == []


def test_following_gives_whole_lines_also_past_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FOLLOW_SECONDS", 0)
    path = tmp_path / "risk.log"
    path.write_text("old\n")
    later = iter(["new ", "line\nhalf", None, "after\n"])

    def over() -> bool:
        match next(later, ""):
            case "":
                return True
            case None:
                assert rotate(path, 1)
            case text:
                with path.open("a") as file:
                    file.write(text)
        return False

    assert [line for _, line in follow({path: size_of(path)}, over)] == ["new line", "after"]
