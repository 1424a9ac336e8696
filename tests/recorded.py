"""A real run's records, as a control stream would hold them: what tests of the recorder are fed."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec
from nautilus_common.journal import read_records

from services.recorder.state import Entry
from tests.parity.random_runs import Plan, build


@dataclass(frozen=True)
class RecordedRun:
    """What the engines of a run said, in the order of its log, and its digest."""

    digest: str
    records: tuple[tuple[int, str, bytes], ...]  # rank, channel, payload

    def interleaved(self, seed: int) -> list[tuple[str, bytes]]:
        """(channel, payload): each engine in its own order, the engines among each other in any."""
        random = Random(seed)
        queues: dict[int, list[tuple[str, bytes]]] = {}
        for rank, channel, payload in self.records:
            queues.setdefault(rank, []).append((channel, payload))
        order = [rank for rank, queue in queues.items() for _ in queue]
        random.shuffle(order)
        heads = {rank: iter(queue) for rank, queue in queues.items()}
        return [next(heads[rank]) for rank in order]

    def messages(self, env: str) -> list[tuple[str, bytes]]:
        """(subject, payload) in the order of the log."""
        return [(f"fleet.{env}.{channel}", payload) for _, channel, payload in self.records]


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


def entries(env: str, messages: list[tuple[str, bytes]]) -> list[Entry]:
    """Messages (channel, payload) as a stream that begins at 1."""
    return [Entry(seq, f"fleet.{env}.{channel}", payload) for seq, (channel, payload) in enumerate(messages, 1)]
