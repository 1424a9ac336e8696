"""What a process takes of the logs of others: whole, in order, once, and only from whom it may come.

Whatever anybody may publish ends here. What cannot be read, or comes from somebody who has no say in it, is rejected
and told; what was passed before is a duplicate; after a gap nothing may be taken any more.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import msgspec

from nautilus_common.messages import subjects
from nautilus_common.messages.codec import DecodeError, decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_common.group import Said
    from nautilus_common.plan import Seat
    from nautilus_common.session import Session

REJECTIONS_KEPT = 100
"""Rejections that wait to be logged; all of them are counted."""

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_FAULTS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


class LogGap(Exception):
    """Something that was said is not there: whoever goes on would fold a world that never was."""


class _Heard(msgspec.Struct, frozen=True):
    """An entry of another process, as far as it concerns who hears it."""

    process: str
    number: _Int64
    counts: dict[_Int64, _Int64]
    records: list[msgspec.Raw]


class _Envelope(msgspec.Struct, array_like=True, frozen=True):
    tag: tuple[_Int64, _Int64, _Int64, _Int64, _Int64, _Int64, _Int64]
    channel: str
    message: msgspec.Raw


_DECODE_HEARD = msgspec.msgpack.Decoder(_Heard).decode
_DECODE_ENVELOPE = msgspec.msgpack.Decoder(_Envelope).decode


class LogCheck:
    """How far a process has passed the logs of the others in its session."""

    def __init__(self, env: str, session: Session, seats: list[Seat], hears: Callable[[str], bool]) -> None:
        self._hears = hears
        self._processes: dict[str, str] = {}
        self._ranks: dict[str, frozenset[int]] = {}
        for process, placed in session.placing.items():
            self._processes[log_subject(env, tuple(placed.roles), process)] = process
            allowed = {s.rank for s in seats if s.engine in placed.engines and s.role in placed.roles}
            self._ranks[process] = frozenset(allowed)
        self.numbers = {process: session.numbers.get(process, 0) for process in session.placing}
        self.counts = dict(session.counts)
        self.duplicates = 0
        self.rejected: Counter[str] = Counter()
        self.rejections: list[tuple[str, str]] = []

    def read(self, sequence: int, subject: str, data: bytes) -> list[Said]:
        """The records of an entry that somebody here listens to. Raises LogGap."""
        process = self._processes.get(subject)
        if process is None:
            return self.reject("subject", f"message {sequence} on {subject}: no process of the session logs there")
        try:
            entry = _DECODE_HEARD(data)
        except _FAULTS as error:
            return self.reject("entry", f"message {sequence} on {subject}: {error}")
        if entry.process != process:
            return self.reject("entry", f"message {sequence} on {subject}: it says that it is of {entry.process!r}")
        passed = self.numbers[process]
        if entry.number <= passed:
            self.duplicates += 1
            return []
        if entry.number != passed + 1:
            raise LogGap(f"{process}: entry {entry.number} (message {sequence}) comes after entry {passed}")
        self.numbers[process] = entry.number
        found, unread = [], False
        for raw in entry.records:
            try:
                envelope = _DECODE_ENVELOPE(raw)
            except _FAULTS as error:
                unread = True
                self.reject("record", f"message {sequence} on {subject}: {error}")
                continue
            if self._is_next(process, sequence, envelope, unread) and self._hears(envelope.channel):
                found += self._said(sequence, envelope)
        if unread:  # what could not be read has used its counts up
            for rank in self._ranks[process]:
                self.counts[rank] = max(self.counts.get(rank, 0), entry.counts.get(rank, 0))
        return found

    def _is_next(self, process: str, sequence: int, envelope: _Envelope, unread: bool) -> bool:
        rank, seq = envelope.tag[5], envelope.tag[6]
        if rank not in self._ranks[process]:
            self.reject("rank", f"message {sequence}: {process} speaks for engine {rank}, which sits elsewhere")
            return False
        passed = self.counts.get(rank, 0)
        if seq <= passed:
            self.duplicates += 1
            return False
        if seq != passed + 1 and not unread:
            raise LogGap(f"{process}: message {seq} of engine {rank} (message {sequence}) comes after {passed}")
        self.counts[rank] = seq
        return True

    def _said(self, sequence: int, envelope: _Envelope) -> list[Said]:
        try:
            return [(envelope.tag, envelope.channel, decode(bytes(envelope.message)))]
        except DecodeError as error:
            self.reject("message", f"message {sequence}, {envelope.channel}: {error}")
            return []

    def reject(self, reason: str, detail: str) -> list[Said]:
        """Count and keep what could not be taken, to be told by the shell."""
        self.rejected[reason] += 1
        if len(self.rejections) < REJECTIONS_KEPT:
            self.rejections.append((reason, detail[:500]))
        return []


def log_subject(env: str, roles: tuple[str, ...], process: str) -> str:
    """Where a process logs."""
    return subjects.subject(env, subjects.log(roles, process))
