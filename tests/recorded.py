"""A real run's records, as a control stream would hold them: what tests of the recorder are fed."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from nautilus_common.bus.publisher import Entry
from nautilus_common.bus.reader import Item
from nautilus_common.journal import read_records
from nautilus_common.messages import subjects

from tests.parity.random_runs import Plan, build


@dataclass(frozen=True)
class RecordedRun:
    """What the engines of a run said, in the order of its log, and its digest."""

    digest: str
    records: tuple[tuple[int, str, bytes], ...]  # rank, channel, payload

    def interleaved(self, seed: int) -> list[bytes]:
        """Each engine in its own order, the engines among each other in any."""
        random = Random(seed)
        queues: dict[int, list[bytes]] = {}
        for rank, _, payload in self.records:
            queues.setdefault(rank, []).append(payload)
        order = [rank for rank, queue in queues.items() for _ in queue]
        random.shuffle(order)
        heads = {rank: iter(queue) for rank, queue in queues.items()}
        return [next(heads[rank]) for rank in order]

    @property
    def payloads(self) -> list[bytes]:
        """In the order of the log."""
        return [payload for _, _, payload in self.records]


@functools.cache
def recorded_run(seed: int = 3, rows: int = 60) -> RecordedRun:
    """A run of random strategies on a random market (`tests/parity/random_runs.py`)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events"
        engine = build(Plan(seed, rows=rows), event_log=path)
        engine.run()
        digest = engine.digest
        engine.dispose()
        records = []
        for payload in read_records(path):
            tag, channel, _ = msgspec.msgpack.decode(payload)
            records.append((tag[5], channel, payload))
        return RecordedRun(digest, tuple(records))


class Logs:
    """Writes records as the processes of a fleet do: each engine here is a process of its own."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def write(self, payloads: list[bytes], size: int = 1) -> list[tuple[str, bytes]]:
        """(channel, entry) in the order of the records: what follows of one engine, up to `size`, is one entry."""
        runs: list[tuple[int, list[bytes]]] = []
        for payload in payloads:
            rank = rank_of(payload)
            if runs and runs[-1][0] == rank and len(runs[-1][1]) < size:
                runs[-1][1].append(payload)
            else:
                runs.append((rank, [payload]))
        return [self._entry(rank, records) for rank, records in runs]

    def _entry(self, rank: int, records: list[bytes]) -> tuple[str, bytes]:
        self._numbers[rank] = self._numbers.get(rank, 0) + 1
        return entry(records, process=f"engine-{rank}", number=self._numbers[rank])


def entry(
    records: list[bytes],
    process: str = "engine-0",
    number: int = 1,
    roles: tuple[str, ...] = (),
    inputs: list[Any] | None = None,
) -> tuple[str, bytes]:
    """(channel, one entry) of a process, whose role is called as itself if none is given."""
    last = {rank_of(payload): msgspec.msgpack.decode(payload)[0][6] for payload in records if is_record(payload)}
    made = Entry(process, "e1", number, last, inputs or [], [msgspec.Raw(payload) for payload in records], number)
    return subjects.log(roles or (process,), process), msgspec.msgpack.encode(made)


def rank_of(payload: bytes) -> int:
    return int(msgspec.msgpack.decode(payload)[0][5])


def is_record(payload: bytes) -> bool:
    """Whether it has a tag that could be one, at the least."""
    try:
        return max(msgspec.msgpack.decode(payload, type=tuple[tuple[int, ...], str, Any])[0][5:7]) < 2**15
    except (msgspec.MsgspecError, ValueError):
        return False


def items(env: str, messages: list[tuple[str, bytes]], first: int = 1) -> list[Item]:
    """Messages (channel, data) as a stream has them from `first` on."""
    return [Item(seq, subjects.subject(env, channel), data) for seq, (channel, data) in enumerate(messages, first)]
