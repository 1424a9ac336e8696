"""Proof from the tables alone: the chain, the counts of engines and processes, positions against fills, the digest."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from nautilus_common.messages.codec import DecodeError
from nautilus_common.messages.events import OrderFilled, PositionEvent
from nautilus_common.model.enums import OrderSide

from services.recorder.folds import EXACT, FoldError, exact, said_quantity
from services.recorder.postgres import load_place
from services.recorder.records import Record, read_record
from services.recorder.state import GENESIS

PROBLEMS_MAX = 20
ROWS_AT_ONCE = 5_000


@dataclass
class ChainReport:
    """What `verify_chain` found; `problems` names the first few."""

    env: str
    records: int = 0
    fills: int = 0
    positions: int = 0
    head: str = GENESIS.hex()
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def note(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


async def verify_chain(connection: Any, env: str) -> ChainReport:
    """Walk the event log of `env` from its first record to its last.

    Each hash must be SHA-256 of the one before and the payload; each engine's counts go on without gap (but for those
    of messages that could not be read, which are among the rejected), and so do the entries of each process; each
    position that the portfolio says must be the sum of the signed fills up to there; and fills, positions and place
    must be those of the log.
    """
    report = ChainReport(env)
    walk = _Walk(report)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await connection.fetch("SELECT rank, seq FROM fleet.rejected WHERE env = $1 AND kind = 'message'", env)
        walk.unread = {(row["rank"], row["seq"]) for row in rows}
        query = (
            "SELECT stream_seq, index, rank, seq, payload, prev_hash, hash FROM fleet.event_log WHERE env = $1 "
            "ORDER BY stream_seq, index"
        )
        async for row in connection.cursor(query, env, prefetch=ROWS_AT_ONCE):
            walk.take(row)
        walk.finish()
        await _check_entries(connection, env, report)
        await _compare_tables(connection, env, walk)
    return report


class _Walk:
    """The log folded once more, by other code than that which wrote the tables."""

    def __init__(self, report: ChainReport) -> None:
        self.report = report
        self.unread: set[tuple[int, int]] = set()
        self.head = GENESIS
        self.counts: dict[int, int] = {}
        self.sums: dict[str, Decimal] = {}
        #: What the portfolio has still to say after fills that are in the log, and what it has said ahead of them.
        self._owed: dict[str, deque[Decimal]] = {}
        self._ahead: dict[str, deque[Decimal]] = {}
        self._fill_counts: dict[str, int] = {}

    def take(self, row: Any) -> None:
        report = self.report
        at = f"stream sequence {row['stream_seq']}, record {row['index']}"
        if row["prev_hash"] != self.head:
            report.note(f"{at}: the hash before is {row['prev_hash'].hex()[:12]}, not {self.head.hex()[:12]}")
        self.head = hashlib.sha256(row["prev_hash"] + row["payload"]).digest()
        if row["hash"] != self.head:
            report.note(
                f"{at}: the hash is {row['hash'].hex()[:12]}, not {self.head.hex()[:12]}: the payload was changed"
            )
            self.head = row["hash"]
        report.records += 1
        report.head = self.head.hex()
        rank, seq = row["rank"], row["seq"]
        passed = self.counts.get(rank, 0)
        if seq <= passed or any((rank, n) not in self.unread for n in range(passed + 1, seq)):
            report.note(f"{at}: engine {rank} goes from message {passed} to {seq}")
        self.counts[rank] = seq
        self._fold(row, at)

    def _fold(self, row: Any, at: str) -> None:
        record = read_record(row["stream_seq"], row["index"], "", row["payload"])
        if not isinstance(record, Record):
            self.report.note(f"{at}: the payload is no record: {record}")
            return
        if (record.rank, record.seq) != (row["rank"], row["seq"]):
            self.report.note(f"{at}: the payload is message {record.seq} of engine {record.rank}")
        try:
            match record.message:
                case OrderFilled() as fill:
                    self._on_fill(fill)
                case PositionEvent() as event:
                    self._on_said(event, at)
        except (FoldError, DecodeError):
            pass  # it was refused when it was recorded, too

    def _on_fill(self, fill: OrderFilled) -> None:
        self.report.fills += 1
        if fill.position_id is None:
            return
        key = fill.position_id.value
        held = self.sums.get(key, Decimal(0))
        quantity = exact(fill.last_qty)
        now = EXACT.add(held, quantity if fill.order_side is OrderSide.BUY else quantity.copy_negate())
        self.sums[key] = now
        self._fill_counts[key] = self._fill_counts.get(key, 0) + 1
        if held * now < 0:
            self._settle(key, Decimal(0))  # it turned over: closed, and opened on the other side
        self._settle(key, now)

    def _settle(self, key: str, quantity: Decimal) -> None:
        """Another engine's word may stand in the stream before or after the fill that it speaks of."""
        ahead = self._ahead.get(key)
        if ahead:
            said = ahead.popleft()
            if said != quantity:
                self.report.note(f"position {key}: its fills make {quantity}, the portfolio said {said}")
        else:
            self._owed.setdefault(key, deque()).append(quantity)

    def _on_said(self, event: PositionEvent, at: str) -> None:
        key = event.position_id.value
        said = said_quantity(event)
        owed = self._owed.get(key)
        if owed:
            quantity = owed.popleft()
            if said != quantity:
                self.report.note(f"{at}: position {key}: its fills make {quantity}, the portfolio says {said}")
        else:
            self._ahead.setdefault(key, deque()).append(said)

    def finish(self) -> None:
        self.report.positions = len(self.sums)
        for key, ahead in self._ahead.items():
            if ahead:
                self.report.note(f"position {key}: the portfolio said {ahead[0]} without a fill")

    @property
    def fill_counts(self) -> dict[str, int]:
        return self._fill_counts


async def _check_entries(connection: Any, env: str, report: ChainReport) -> None:
    """The entries of each process are numbered 1, 2, 3, ...: nothing that it took is missing."""
    last: dict[str, int] = {}
    query = "SELECT stream_seq, process, number FROM fleet.entries WHERE env = $1 ORDER BY stream_seq"
    async for row in connection.cursor(query, env, prefetch=ROWS_AT_ONCE):
        process, number = row["process"], row["number"]
        if number != last.get(process, 0) + 1:
            report.note(
                f"stream sequence {row['stream_seq']}: entry {number} of {process} follows entry {last.get(process, 0)}"
            )
        last[process] = number


async def _compare_tables(connection: Any, env: str, walk: _Walk) -> None:
    """The tables that were folded must be what the log makes."""
    report = walk.report
    fills = await connection.fetchval("SELECT count(*) FROM fleet.fills WHERE env = $1", env)
    if fills != report.fills:
        report.note(f"{fills} fills in their table, {report.fills} in the log")
    rows = await connection.fetch("SELECT position_id, quantity, fills FROM fleet.positions WHERE env = $1", env)
    table = {row["position_id"]: (row["quantity"], row["fills"]) for row in rows if row["fills"]}
    folded = {key: (quantity, walk.fill_counts[key]) for key, quantity in walk.sums.items()}
    for key in sorted(set(table) | set(folded)):
        if table.get(key) != folded.get(key):
            report.note(
                f"position {key}: {table.get(key)} (quantity, fills) in its table, {folded.get(key)} in the log"
            )
    place = await load_place(connection, env)
    if place is None:
        if report.records:
            report.note("the recorder has no place")
        return
    if place.head != walk.head:
        report.note(f"the recorder's head is {place.head.hex()[:12]}, the log's {walk.head.hex()[:12]}")
    if place.records != report.records or place.ranks != walk.counts:
        report.note(
            f"the recorder counts {place.records} records {place.ranks}, the log {report.records} {walk.counts}"
        )


async def run_digest(connection: Any, env: str) -> dict[str, Any]:
    """The digests of `env` by the rule of `nautilus_common/journal.py`, from the event log."""
    hashes: dict[int, Any] = {}
    records = 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        query = "SELECT rank, payload FROM fleet.event_log WHERE env = $1 ORDER BY stream_seq, index"
        async for row in connection.cursor(query, env, prefetch=ROWS_AT_ONCE):
            rank = row["rank"]
            if rank not in hashes:
                hashes[rank] = hashlib.sha256()
            hashes[rank].update(row["payload"])
            records += 1
    whole = hashlib.sha256()
    for rank in sorted(hashes):
        whole.update(hashes[rank].digest())
    engines = {rank: hashes[rank].hexdigest() for rank in sorted(hashes)}
    return {"digest": whole.hexdigest(), "engines": engines, "records": records}
