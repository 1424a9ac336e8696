"""The recorder's engine under any delivery: the same rows, the same chain, whatever is cut, repeated or lost."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nautilus_common.bus.reader import Item

from services.recorder.engine import RecorderEngine, StreamGap
from services.recorder.records import LogEntry, Rejected, read_message
from services.recorder.state import Batch, OrderState, Place, PositionState
from tests.recorded import Logs, entry, items, recorded_run


class Database:
    """Commits batches as a database does: it has its own copies, and checks where a batch begins."""

    def __init__(self) -> None:
        self.place = Place()
        self.rows: dict[str, list] = {name: [] for name in ("events", "fills", "account_states", "entries", "rejected")}
        self.orders: dict[str, OrderState] = {}
        self.positions: dict[str, PositionState] = {}

    def commit(self, batch: Batch) -> None:
        assert batch.before.stream_seq == self.place.stream_seq
        for name, rows in self.rows.items():
            rows += getattr(batch, name)
        self.orders |= {key: msgspec.structs.replace(order) for key, order in batch.orders.items()}
        self.positions |= {key: msgspec.structs.replace(position) for key, position in batch.positions.items()}
        self.place = batch.after.copy()

    def fold(self, engine: RecorderEngine, portion: list[Item]) -> Batch:
        messages = engine.read(portion)
        orders, positions = engine.wanted(messages)
        engine.know(
            [msgspec.structs.replace(self.orders[key]) for key in orders if key in self.orders],
            [msgspec.structs.replace(self.positions[key]) for key in positions if key in self.positions],
        )
        return engine.fold(messages)

    def contents(self) -> tuple:
        return self.rows, self.orders, self.positions, self.place


def straight(stream: list[Item]) -> Database:
    database = Database()
    database.commit(database.fold(RecorderEngine("t", Place()), stream))
    return database


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_any_delivery_gives_the_same_rows_and_chain(seed: int) -> None:
    random = Random(seed)
    stream = items("t", Logs().write(recorded_run().interleaved(seed % 5), size=seed % 4 + 1))
    expected = straight(stream).contents()
    database = Database()
    engine = RecorderEngine("t", Place())
    while database.place.stream_seq < len(stream):
        # From somewhere that has been passed, or from just behind it.
        first = max(0, database.place.stream_seq - random.choice((0, 0, 1, 5, 300)))
        portion = stream[first : first + random.choice((1, 2, 40, 700))]
        if random.random() < 0.3:
            portion = sorted(portion + random.choices(portion, k=3), key=lambda item: item.sequence)
        if random.random() < 0.1 and len(portion) > 2:
            hole = [item for item in portion if item is not portion[len(portion) // 2]]
            try:
                batch = database.fold(engine, hole)
            except StreamGap as gap:
                assert gap.got > gap.expected == portion[len(portion) // 2].sequence
                continue
        else:
            batch = database.fold(engine, portion)
        if random.random() < 0.8:
            database.commit(batch)
        if random.random() < 0.4 or engine.place.stream_seq != database.place.stream_seq:
            engine = RecorderEngine("t", database.place.copy())  # a death, before or after the commit was known
    assert database.contents() == expected


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
@example(8)  # an order that was made as small as what was filled of it, before its command came
def test_the_order_among_engines_does_not_matter(seed: int) -> None:
    """An order's events may stand before its command, and a position's before its fill."""
    run = recorded_run(5)
    expected = straight(items("t", Logs().write(run.payloads, size=50)))
    found = straight(items("t", Logs().write(run.interleaved(seed))))
    assert not found.rows["rejected"]

    def orders(database: Database) -> dict[str, tuple]:
        fields = [name for name in OrderState.__struct_fields__ if not name.endswith("_seq") and name != "ts_last"]
        return {key: tuple(getattr(order, name) for name in fields) for key, order in database.orders.items()}

    assert orders(found) == orders(expected)
    assert {key: (p.quantity, p.fills, p.said_quantity, p.realized_pnl) for key, p in found.positions.items()} == {
        key: (p.quantity, p.fills, p.said_quantity, p.realized_pnl) for key, p in expected.positions.items()
    }


def test_positions_are_the_sum_of_their_fills() -> None:
    database = straight(items("t", Logs().write(recorded_run(7).interleaved(1))))
    sums: dict[str, Decimal] = {}
    for row in database.rows["fills"]:
        sums[row[13]] = sums.get(row[13], Decimal(0)) + (row[16] if row[14] == "BUY" else -row[16])
    assert sums
    assert {key: position.quantity for key, position in database.positions.items()} == sums
    assert all(position.quantity == position.said_quantity for position in database.positions.values())


@given(st.binary(max_size=80), st.sampled_from(["log.risk.risk", "log.a%2Bb.c", "cmd.exec.SIM"]))
def test_any_bytes_are_told_apart(data: bytes, channel: str) -> None:
    assert isinstance(read_message("t", 1, f"fleet.t.{channel}", data), LogEntry | Rejected)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_records_never_stop_the_engine(data: st.DataObject) -> None:
    """What a byte too many can do is a rejection, a fault that is named, or another record: never an exception."""
    start = data.draw(st.integers(0, 150))
    channel, payload = entry(recorded_run().payloads[start : start + data.draw(st.integers(1, 4))])
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    database = Database()
    batch = database.fold(RecorderEngine("t", Place()), [Item(1, f"fleet.t.{channel}", bytes(damaged))])
    assert batch.after.stream_seq == 1 or batch.fault
    for row in [*batch.fills, *batch.account_states, *batch.rejected, *batch.events, *batch.entries]:
        for value in row:
            assert not isinstance(value, str) or "\0" not in value
            assert not isinstance(value, int) or -(2**63) <= value < 2**63


def test_the_run_that_is_fed_has_everything() -> None:
    types = Counter(msgspec.msgpack.decode(payload)[2]["type"] for _, _, payload in recorded_run().records)
    for name in ("SubmitOrder", "OrderApproved", "OrderAccepted", "OrderFilled", "OrderCanceled", "OrderUpdated"):
        assert types[name], name
    for name in ("PositionOpened", "PositionClosed", "AccountState", "OrderRejected"):
        assert types[name], name


@pytest.mark.parametrize("seed", [11, 12])
def test_an_evicted_order_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    stream = items("t", Logs().write(recorded_run(seed).interleaved(0)))
    expected = straight(stream).contents()
    monkeypatch.setattr("services.recorder.engine.CACHED", 3)
    database = Database()
    engine = RecorderEngine("t", Place())
    for first in range(0, len(stream), 50):
        database.commit(database.fold(engine, stream[first : first + 50]))
    assert database.contents() == expected
