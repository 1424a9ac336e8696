"""The recorder's engine: messages of a control stream in, rows and changes of state out.

Theory of operation. The stream is read in its own order, and a database commits what this engine makes of some messages
together with the `Place` that it has reached. So every message is folded into a database exactly once, whatever dies:
after a death the database says where to go on. Three counts are held against loss:

- the stream's sequence: one that has been passed is a duplicate; one that is missing is `StreamGap`, unless the reader
  says that the stream itself has deleted it;
- (rank, seq), the count of each engine (`counts.py`);
- the chain: each record's hash is SHA-256 over the hash before it and its payload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from nautilus_common.messages.commands import OrderApproved, SubmitOrder
from nautilus_common.messages.events import OrderEvent, OrderFilled, PositionEvent
from nautilus_common.messages.ledger import AccountState

from services.recorder import counts, folds
from services.recorder.records import PAYLOAD_KEPT, LogEntry, Record, Rejected, read_message
from services.recorder.state import AccountNow, Batch, OrderState, Place, PositionState

if TYPE_CHECKING:
    from nautilus_common.bus.reader import Item

CACHED = 20_000
"""Orders, and positions, that are kept at hand; any other is asked of the database when a message names it."""

_ENCODE_JSON = msgspec.json.Encoder().encode


class StreamGap(Exception):
    """The stream's sequence goes on beyond what is expected; nothing of the batch has been folded."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"message {got} of the stream came where {expected} was expected")
        self.expected = expected
        self.got = got


class RecorderEngine:
    """Folds the control stream of one environment for one database."""

    def __init__(self, env: str, place: Place) -> None:
        self.env = env
        self.place = place
        self._orders: dict[str, OrderState] = {}
        self._positions: dict[str, PositionState] = {}

    # -- what must be known first ------------------------------------------------------------------------------------

    def read(self, items: Iterable[Item]) -> list[LogEntry | Rejected]:
        """What those of `items` are that have not been passed; StreamGap if one is missing."""
        expected = self.place.stream_seq + 1
        found: list[LogEntry | Rejected] = []
        for item in items:
            if item.sequence < expected:
                continue
            if item.sequence - item.missing > expected:
                raise StreamGap(expected, item.sequence)
            found.append(read_message(self.env, item.sequence, item.subject, item.data))
            expected = item.sequence + 1
        return found

    def wanted(self, messages: Iterable[LogEntry | Rejected]) -> tuple[list[str], list[str]]:
        """(orders, positions) that the messages name and that are not at hand."""
        orders: dict[str, None] = {}
        positions: dict[str, None] = {}
        for entry in messages:
            for record in entry.records if isinstance(entry, LogEntry) else ():
                if isinstance(record, Record):
                    order, position = folds.order_key(record.message), folds.position_key(record.message)
                    if order is not None and order not in self._orders:
                        orders[order] = None
                    if position is not None and position not in self._positions:
                        positions[position] = None
        return [key for key in orders if folds.is_key(key)], [key for key in positions if folds.is_key(key)]

    def know(self, orders: Iterable[OrderState], positions: Iterable[PositionState]) -> None:
        """Take what the database had of what was wanted."""
        for order in orders:
            self._orders[order.client_order_id] = order
        for position in positions:
            self._positions[position.position_id] = position

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, messages: Iterable[LogEntry | Rejected]) -> Batch:
        """What the messages cause. After a fault the batch ends before the message that has it."""
        batch = Batch(self.place, self.place.copy(), [], [], [], [], [], {}, {}, {})
        for message in messages:
            if isinstance(message, Rejected):
                self._write_rejected(batch, message)
            elif not self._fold_entry(batch, message):
                break
            batch.after.stream_seq = message.stream_seq
        self.place = batch.after
        self._forget()
        return batch

    def _fold_entry(self, batch: Batch, entry: LogEntry) -> bool:
        """Fold an entry, as a whole; False at a jump."""
        place = batch.after.copy()
        try:
            new, duplicates = counts.admit(place, entry)
        except counts.Jump as jump:
            batch.fault = str(jump)
            return False
        batch.after = place
        batch.duplicates += duplicates
        self._write_entry(batch, entry)
        for item in new:
            if isinstance(item, Rejected):
                self._write_rejected(batch, item)
            else:
                self._take(batch, item, entry.subject)
        return True

    def _take(self, batch: Batch, record: Record, subject: str) -> None:
        self._log(batch, record)
        try:
            self._apply(batch, record)
        except folds.FoldError as error:
            ids = (record.rank, record.seq)
            why = (subject[:1000], "fold", str(error), record.payload, *ids)
            self._write_rejected(batch, Rejected(record.stream_seq, record.index, *why))

    def _log(self, batch: Batch, record: Record) -> None:
        place = batch.after
        before = place.head
        place.head = hashlib.sha256(before + record.payload).digest()
        place.records += 1
        batch.events.append(
            (
                record.stream_seq,
                record.index,
                record.rank,
                record.seq,
                record.ts,
                record.channel,
                type(record.message).__name__,
                record.payload,
                before,
                place.head,
            )
        )

    def _apply(self, batch: Batch, record: Record) -> None:
        """Fold a message into orders, positions and accounts; FoldError before anything has changed."""
        match record.message:
            case SubmitOrder() as command:
                self._command(batch, command, record.stream_seq)
            case OrderApproved(command=command):
                self._command(batch, command, record.stream_seq)
            case OrderFilled() as fill:
                self._fill(batch, record, fill)
            case OrderEvent() as event:
                key = event.client_order_id.value
                order = folds.fold_event(self._orders.get(key), event, record.stream_seq)
                self._orders[key] = batch.orders[key] = order
            case PositionEvent() as said:
                key = said.position_id.value
                position = folds.fold_position_event(self._positions.get(key), said, record.stream_seq)
                self._positions[key] = batch.positions[key] = position
            case AccountState() as state:
                self._account(batch, record, state)
            case _:
                pass  # what it leads to is told by events

    def _command(self, batch: Batch, command: SubmitOrder, stream_seq: int) -> None:
        key = command.order.client_order_id.value
        order = folds.fold_command(self._orders.get(key), command, stream_seq)
        self._orders[key] = batch.orders[key] = order

    def _fill(self, batch: Batch, record: Record, fill: OrderFilled) -> None:
        row = folds.fill_row(record, fill)
        key = fill.client_order_id.value
        order = folds.fold_fill(self._orders.get(key), fill, record.stream_seq)
        self._orders[key] = batch.orders[key] = order
        if fill.position_id is not None:
            key = fill.position_id.value
            position = folds.fold_position_fill(self._positions.get(key), fill, record.stream_seq)
            self._positions[key] = batch.positions[key] = position
        batch.fills.append(row)

    def _account(self, batch: Batch, record: Record, state: AccountState) -> None:
        now = folds.account_now(state, record.stream_seq)
        batch.accounts[now.account_id] = now
        batch.account_states.append(account_row(record, now, state.reported))

    def _write_entry(self, batch: Batch, entry: LogEntry) -> None:
        batch.after.entries += 1
        counts_of = _ENCODE_JSON(entry.counts).decode()
        roles = "+".join(entry.roles)
        batch.entries.append(
            (
                entry.stream_seq,
                roles,
                entry.process,
                entry.epoch,
                entry.number,
                entry.ts,
                counts_of,
                len(entry.records),
                entry.inputs,
            )
        )

    def _write_rejected(self, batch: Batch, rejected: Rejected) -> None:
        batch.after.rejected += 1
        payload = rejected.payload
        batch.rejected.append(
            (
                rejected.stream_seq,
                rejected.index,
                rejected.subject,
                rejected.kind,
                rejected.reason,
                rejected.rank,
                rejected.seq,
                len(payload),
                payload[:PAYLOAD_KEPT],
            )
        )

    def _forget(self) -> None:
        """Let go of what was used longest ago, beyond the bound; the database has it."""
        for cache in (self._orders, self._positions):
            surplus = len(cache) - CACHED
            if surplus > 0:
                for key in list(cache)[: surplus + CACHED // 10]:
                    del cache[key]


def account_row(record: Record, now: AccountNow, reported: bool) -> tuple[object, ...]:
    """A row of `account_states`, in the order of its columns."""
    return (
        record.stream_seq,
        record.index,
        record.rank,
        record.seq,
        now.ts_last,
        now.account_id,
        now.account_type,
        now.base_currency,
        reported,
        _ENCODE_JSON(now.balances).decode(),
        _ENCODE_JSON(now.margins).decode(),
    )
