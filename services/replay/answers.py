"""The answers of one process in a replay, on disk: with them the loop finds its way back after its own death."""

from __future__ import annotations

import os
from pathlib import Path


class AnswerLog:
    """Appends answers to a file; each is in the hands of the system before the loop acts on it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)

    def read(self) -> list[bytes]:
        """All whole answers; the torn end that a kill in the middle of a write leaves is cut off."""
        data = self._path.read_bytes()
        answers, offset = [], 0
        while offset + 4 <= len(data):
            size = int.from_bytes(data[offset : offset + 4], "big")
            if offset + 4 + size > len(data):
                break
            answers.append(data[offset + 4 : offset + 4 + size])
            offset += 4 + size
        if offset < len(data):
            os.ftruncate(self._file, offset)
        return answers

    def append(self, answer: bytes) -> None:
        data = len(answer).to_bytes(4, "big") + answer
        written = os.write(self._file, data)
        if written != len(data):
            raise OSError(f"{self._path}: only {written} of {len(data)} bytes could be written; is the disk full?")

    def close(self) -> None:
        os.close(self._file)
