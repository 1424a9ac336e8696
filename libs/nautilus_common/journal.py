"""The event log of a run: everything that its engines said, and the digest that proves it.

A record is the msgpack array ``[tag, channel, message]`` behind its length (4 bytes, big endian). The digest of an
engine is SHA-256 over its records in the order it said them; the digest of the run is SHA-256 over these in the order
of rank. A message is encoded at once, while it is at hand; hashing and writing wait until some thousand are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from nautilus_common.engine import Tag

if TYPE_CHECKING:
    from nautilus_common.messages.base import Message

BATCH = 4096


class LogError(Exception):
    """An event log cannot be read: names the file, the place and what to do."""


class EventLog:
    """Takes what engines say, hashes it and, given a file, writes it."""

    def __init__(self, sink: BinaryIO | None = None) -> None:
        self._sink = sink
        self._encode = msgspec.msgpack.Encoder().encode
        self._waiting: list[tuple[int, bytes]] = []
        self._hashes: dict[int, hashlib._Hash] = {}
        self.count = 0

    def extend(self, rank: int, records: list[tuple[Tag, str, Message]]) -> None:
        """Log `records`, all said by the engine of `rank`, in this order."""
        encode = self._encode
        waiting = self._waiting
        for record in records:
            waiting.append((rank, encode(record)))
        if len(waiting) >= BATCH:
            self.flush()

    def extend_encoded(self, rank: int, record: bytes) -> None:
        """Log a record that comes from another process, byte for byte."""
        self._waiting.append((rank, record))
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Hash and write what is waiting."""
        waiting = self._waiting
        if not waiting:
            return
        by_rank: dict[int, list[bytes]] = {}
        for rank, data in waiting:
            by_rank.setdefault(rank, []).append(data)
        for rank, parts in by_rank.items():
            if rank not in self._hashes:
                self._hashes[rank] = hashlib.sha256()
            self._hashes[rank].update(b"".join(parts))
        if self._sink is not None:
            self._sink.write(b"".join(part for _, data in waiting for part in (len(data).to_bytes(4, "big"), data)))
        self.count += len(waiting)
        waiting.clear()

    def digest(self) -> str:
        """The digest of the run so far, as 64 hexadecimal digits."""
        self.flush()
        whole = hashlib.sha256()
        for rank in sorted(self._hashes):
            whole.update(self._hashes[rank].digest())
        return whole.hexdigest()

    def engine_digests(self) -> dict[int, str]:
        """The digest of each engine by rank."""
        self.flush()
        return {rank: self._hashes[rank].hexdigest() for rank in sorted(self._hashes)}


def read_records(path: Path) -> Iterator[bytes]:
    """The encoded records of an event log, in the order of the file."""
    with path.open("rb") as file:
        offset = 0
        while header := file.read(4):
            size = int.from_bytes(header, "big")
            data = file.read(size)
            if len(header) < 4 or len(data) < size:
                raise LogError(f"{path}: the event log ends in the middle of the record at byte {offset}; run it again")
            yield data
            offset += 4 + size


def read_events(path: Path) -> Iterator[tuple[Tag, str, dict[str, object]]]:
    """(tag, channel, message as a dict with its ``type``) of each record of an event log."""
    decode = msgspec.msgpack.Decoder().decode
    for data in read_records(path):
        tag, channel, message = decode(data)
        yield tuple(tag), channel, message


def first_difference(left: Path, right: Path) -> dict[str, object] | None:
    """The first event, in tag order within each engine, in which two event logs differ; None when they are equal.

    Returns ``{"engine": rank, "index": n, "left": event or None, "right": event or None}``.
    """
    ours = _by_engine(left)
    theirs = _by_engine(right)
    found: list[tuple[Tag, dict[str, object]]] = []
    for rank in sorted(set(ours) | set(theirs)):
        a, b = ours.get(rank, []), theirs.get(rank, [])
        if a == b:
            continue
        index = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        events = [_decode(side[index]) if index < len(side) else None for side in (a, b)]
        tags: list[Tag] = [event["tag"] for event in events if event is not None]
        found.append((min(tags), {"engine": rank, "index": index, "left": events[0], "right": events[1]}))
    return min(found, key=lambda item: item[0])[1] if found else None


def _by_engine(path: Path) -> dict[int, list[bytes]]:
    decode = msgspec.msgpack.Decoder().decode
    engines: dict[int, list[bytes]] = {}
    for data in read_records(path):
        engines.setdefault(decode(data)[0][5], []).append(data)
    return engines


def _decode(data: bytes) -> dict[str, Any]:
    tag, channel, message = msgspec.msgpack.decode(data)
    return {"tag": tuple(tag), "channel": channel, "message": message}
