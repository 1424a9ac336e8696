"""The event log: round trip, truncation, the first difference, and a digest that does not depend on batches."""

from __future__ import annotations

import io

import pytest
from nautilus_common import journal
from nautilus_common.engine import Outbox
from nautilus_common.journal import EventLog, LogError, first_difference, read_events, read_records
from nautilus_common.messages.commands import CarryOutHeld
from nautilus_common.model.identifiers import InstrumentId

INSTRUMENT = InstrumentId.from_str("AUD/USD.SIM")


def said(rank: int, numbers: list[int]) -> list:
    out = Outbox(str(rank), rank)
    for number in numbers:
        out.say((number, 0, 0, 0, 0, 0, 0), f"channel.{rank}", CarryOutHeld(INSTRUMENT, number))
    return out.pending


def write(path, by_rank: dict[int, list[int]]) -> EventLog:
    with path.open("wb") as file:
        log = EventLog(file)
        for rank, numbers in by_rank.items():
            log.extend(rank, said(rank, numbers))
        log.flush()
    return log


def test_round_trip(tmp_path):
    path = tmp_path / "events"
    log = write(path, {0: [5, 6], 2: [7]})
    assert log.count == 3
    events = list(read_events(path))
    assert [tag for tag, _, _ in events] == [(5, 0, 0, 0, 1, 0, 1), (6, 0, 0, 0, 1, 0, 2), (7, 0, 0, 0, 1, 2, 1)]
    assert [channel for _, channel, _ in events] == ["channel.0", "channel.0", "channel.2"]
    assert [message["ts_init"] for _, _, message in events] == [5, 6, 7]
    assert {message["type"] for _, _, message in events} == {"CarryOutHeld"}


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_truncated_log_is_named(tmp_path, cut):
    path = tmp_path / "events"
    write(path, {0: [5, 6]})
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    length = 4 + int.from_bytes(whole[:4], "big")
    if cut == len(whole) - length:
        assert len(list(read_records(path))) == 1  # cut between two records
        return
    with pytest.raises(
        LogError, match=r"events: the event log ends in the middle of the record at byte \d+; run it again"
    ):
        list(read_records(path))


def test_an_empty_log_has_no_events(tmp_path):
    path = tmp_path / "events"
    path.write_bytes(b"")
    assert list(read_events(path)) == []


def test_first_difference(tmp_path):
    left, right = tmp_path / "left", tmp_path / "right"
    write(left, {0: [5, 6], 1: [3, 9]})
    write(right, {0: [5, 6], 1: [3, 9]})
    assert first_difference(left, right) is None
    write(right, {0: [5, 8], 1: [3, 4]})
    found = first_difference(left, right)
    assert (found["engine"], found["index"]) == (1, 1)  # ts 4 comes before ts 6
    assert found["left"]["message"]["ts_init"] == 9
    assert found["right"]["message"]["ts_init"] == 4
    write(right, {0: [5], 1: [3, 9]})
    found = first_difference(left, right)
    assert (found["engine"], found["index"], found["right"]) == (0, 1, None)


def test_the_digest_is_of_each_engine_whatever_the_batches(monkeypatch):
    def digest(batch: int, order: list[tuple[int, list[int]]]) -> str:
        monkeypatch.setattr(journal, "BATCH", batch)
        log = EventLog(io.BytesIO())
        outboxes: dict[int, Outbox] = {}
        for rank, numbers in order:
            out = outboxes.setdefault(rank, Outbox(str(rank), rank))
            for number in numbers:
                out.say((number, 0, 0, 0, 0, 0, 0), "c", CarryOutHeld(INSTRUMENT, number))
            log.extend(rank, out.pending)
            out.pending.clear()
        return log.digest()

    expected = digest(4096, [(0, [1, 2]), (1, [3])])
    assert digest(1, [(0, [1, 2]), (1, [3])]) == expected
    assert digest(2, [(1, [3]), (0, [1]), (0, [2])]) == expected  # engines are interleaved differently
    assert digest(4096, [(0, [2, 1]), (1, [3])]) != expected
