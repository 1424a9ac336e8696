"""The recorder's engine: messages of a control stream in, rows and changes of state out.

Theory of operation. The stream is read in its own order, and a database commits what this engine makes of some messages
together with the `Place` that it has reached. So every message is folded into a database exactly once, whatever dies:
after a death the database says where to go on. Three counts are held against loss:

- the stream's sequence: one that has been passed is a duplicate; one that is missing is `StreamGap`, and the shell
  must fetch again, or tell that the stream itself has deleted it;
- (rank, seq), the count of each engine: what has been passed is skipped, a jump is a fault that ends the recording;
- the chain: each record's hash is SHA-256 over the hash before it and its payload.

A record whose message cannot be read (of a newer release, or of a forger) does not use up its count at once. If the
engine's next record goes on beyond it, the engine did say it: the count is then held for used, and the record stays
among the rejected. If the count comes again with a message that can be read, the unreadable one was not the engine's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
from nautilus_common.messages.commands import OrderApproved, SubmitOrder
from nautilus_common.messages.events import OrderEvent, OrderFilled, PositionEvent
from nautilus_common.messages.ledger import AccountState

from services.recorder import folds
from services.recorder.records import PAYLOAD_KEPT, Mark, Record, Rejected, read_message
from services.recorder.state import AccountNow, Batch, Entry, OrderState, Place, PositionState

CACHED = 20_000
"""Orders, and positions, that are kept at hand; any other is asked of the database when a message names it."""

UNREAD_MAX = 1_000
"""How far beyond an engine's last count that of an unreadable record is remembered."""

UNREAD_RANKS_MAX = 64
"""Engines for which that is done."""

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

    def read(self, entries: Iterable[Entry]) -> list[Record | Mark | Rejected | Entry]:
        """The messages of `entries` that have not been passed; StreamGap if one is missing."""
        expected = self.place.stream_seq + 1
        found: list[Record | Mark | Rejected | Entry] = []
        for entry in entries:
            if entry.stream_seq < expected:
                continue
            if entry.payload is None:
                found.append(entry)
            elif entry.stream_seq > expected:
                raise StreamGap(expected, entry.stream_seq)
            else:
                found.append(read_message(self.env, entry.stream_seq, entry.subject, entry.payload))
            expected = entry.stream_seq + 1
        return found

    def wanted(self, messages: Iterable[Record | Mark | Rejected | Entry]) -> tuple[list[str], list[str]]:
        """(orders, positions) that the messages name and that are not at hand."""
        orders: dict[str, None] = {}
        positions: dict[str, None] = {}
        for item in messages:
            if isinstance(item, Record):
                order = folds.order_key(item.message)
                if order is not None and order not in self._orders:
                    orders[order] = None
                position = folds.position_key(item.message)
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

    def fold(self, messages: Iterable[Record | Mark | Rejected | Entry]) -> Batch:
        """What the messages cause. After a fault the batch ends before the message that has it."""
        place = self.place.copy()
        batch = Batch(self.place, place, [], [], [], [], [], {}, {}, {})
        for item in messages:
            match item:
                case Record():
                    if not self._take(batch, item):
                        break
                case Mark():
                    self._mark(batch, item)
                case Rejected():
                    self._rejected(batch, item)
                case Entry():
                    pass  # deleted from the stream; the engines' own counts tell whether a record was among it
            place.stream_seq = item.stream_seq
        self.place = place
        self._forget()
        return batch

    def _take(self, batch: Batch, record: Record) -> bool:
        """Fold a record if it is the next of its engine; False at a jump."""
        place = batch.after
        passed = place.ranks.get(record.rank, 0)
        if record.seq <= passed:
            batch.duplicates += 1
            return True
        if record.seq != passed + 1 and not _all_unread(place, record.rank, passed + 1, record.seq):
            batch.fault = (
                f"engine {record.rank} said message {record.seq} after message {passed} (stream sequence "
                f"{record.stream_seq}): what is between is not in the stream"
            )
            return False
        place.unread.pop(record.rank, None)
        place.ranks[record.rank] = record.seq
        self._log(batch, record)
        try:
            self._apply(batch, record)
        except folds.FoldError as error:
            subject = f"fleet.{self.env}.{record.channel}"
            ids = (record.rank, record.seq)
            self._write_rejected(batch, Rejected(record.stream_seq, subject, "fold", str(error), record.payload, *ids))
        return True

    def _log(self, batch: Batch, record: Record) -> None:
        place = batch.after
        before = place.head
        place.head = hashlib.sha256(before + record.payload).digest()
        place.records += 1
        batch.events.append(
            (
                record.stream_seq,
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
        folds.settle_status(order)
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

    def _mark(self, batch: Batch, mark: Mark) -> None:
        batch.after.marks += 1
        counts = _ENCODE_JSON(mark.counts).decode()
        batch.marks.append((mark.stream_seq, mark.process, mark.epoch, mark.number, mark.ts, counts, mark.payload))

    def _rejected(self, batch: Batch, rejected: Rejected) -> None:
        rank, seq = rejected.rank, rejected.seq
        place = batch.after
        if rank is not None and seq is not None and 0 < seq - place.ranks.get(rank, 0) <= UNREAD_MAX:
            # It may have used up this count: see the theory of operation.
            unread = place.unread
            if rank in unread or len(unread) < UNREAD_RANKS_MAX:
                counts = unread.setdefault(rank, [])
                if seq not in counts:
                    counts.append(seq)
        self._write_rejected(batch, rejected)

    def _write_rejected(self, batch: Batch, rejected: Rejected) -> None:
        batch.after.rejected += 1
        payload = rejected.payload
        batch.rejected.append(
            (
                rejected.stream_seq,
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


def _all_unread(place: Place, rank: int, first: int, end: int) -> bool:
    """Whether each count from `first` to below `end` is that of a record that could not be read."""
    unread = place.unread.get(rank, [])
    return end - first <= len(unread) and all(seq in unread for seq in range(first, end))


def account_row(record: Record, now: AccountNow, reported: bool) -> tuple[object, ...]:
    """A row of `account_states`, in the order of its columns."""
    return (
        record.stream_seq,
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
