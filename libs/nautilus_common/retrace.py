"""Going through a process's journal again: after a restart, to where it was; in `fleet verify --live`, to the proof.

The entries of its own log say what was taken and at which reading of the clock; what was taken is read from the
streams again. What is said must be what the log holds, byte for byte.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from nautilus_common.bus.publisher import Entry, decode_entry
from nautilus_common.live_run import FROM_CLOCK, FROM_DATA, FROM_LOG, Taken

if TYPE_CHECKING:
    from nautilus_common.bus.publisher import Record
    from nautilus_common.bus.reader import Item
    from nautilus_common.live_run import LiveRun


class Source(Protocol):
    """A stream in order; `StreamReader` is one."""

    async def take(self) -> Item: ...


class JournalError(Exception):
    """The journal cannot be gone through: what it names is not there."""


class Differs(Exception):
    """The same inputs have said something else: engines are not deterministic, or code or strategies were changed."""

    def __init__(self, process: str, entry: int, record: int, logged: bytes | None, said: bytes | None) -> None:
        super().__init__(
            f"{process}, entry {entry}, record {record + 1}: logged {_shown(logged)}, now said {_shown(said)}"
        )
        self.process = process
        self.entry = entry
        self.record = record
        self.logged = logged
        self.said = said


class Retrace:
    """One way through the journal of `run`'s process."""

    def __init__(self, run: LiveRun, log: Source, data: Source) -> None:
        self._run = run
        self._log = log
        self._data = data
        self._held: deque[Item] = deque()
        self._said: deque[Record] = deque()
        self.inputs = 0
        self.records = 0

    async def to(self, number: int) -> list[Record]:
        """Go on to our entry `number`; what its inputs said beyond what the log holds (it was cut off by a death).

        Raises Differs, JournalError, and what the sources raise.
        """
        run = self._run
        while run.number < number:
            item = await self._log.take()
            if item.subject != run.subject:
                self._held.append(item)
                continue
            try:
                entry = decode_entry(item.data)
            except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
                continue  # somebody else's: our own writer has passed over it too
            if entry.number <= run.number:
                continue
            if entry.number != run.number + 1:
                raise JournalError(f"{run.process}: entry {entry.number} comes after entry {run.number}")
            await self._repeat(entry)
            run.number = entry.number
        return list(self._said)

    async def _repeat(self, entry: Entry) -> None:
        for kind, sequence, now in entry.inputs:
            taken = await self._take_again(kind, sequence, now)
            self.inputs += 1
            self._said.extend(taken.records)
        for index, raw in enumerate(entry.records):
            logged = bytes(raw)
            said = self._said.popleft()[3] if self._said else None
            if said != logged:
                raise Differs(self._run.process, entry.number, index, logged, said)
            self.records += 1

    def check_all_logged(self) -> None:
        """Raises Differs when more was said than the log holds."""
        if self._said:
            raise Differs(self._run.process, self._run.number + 1, 0, None, self._said[0][3])

    async def _take_again(self, kind: str, sequence: int, now: int) -> Taken:
        run = self._run
        taken: Taken | None = None
        match kind:
            case "A":
                assert kind == FROM_CLOCK
                return run.advance(now)
            case "C":
                assert kind == FROM_LOG
                while run.log_position < sequence:
                    item = self._next_held(sequence)
                    taken = run.take_log(item.sequence, item.subject, item.data, now)
                    self._check_place(item, sequence, taken)
            case "M":
                assert kind == FROM_DATA
                while run.data_position < sequence:
                    item = await self._data.take()
                    taken = run.take_data(item.sequence, item.subject, item.data, now)
                    self._check_place(item, sequence, taken)
            case _:
                raise JournalError(f"{run.process}: an input of the unknown kind {kind!r}")
        if taken is None:
            raise JournalError(f"{run.process}: message {sequence} ({kind}) was taken, and says nothing to it now")
        return taken

    def _next_held(self, sequence: int) -> Item:
        if not self._held:
            raise JournalError(f"{self._run.process}: message {sequence} of the log was taken and is not there")
        return self._held.popleft()

    def _check_place(self, item: Item, wanted: int, taken: Taken | None) -> None:
        if item.sequence > wanted:
            raise JournalError(f"{self._run.process}: message {wanted} was taken and is not there any more")
        if item.sequence < wanted and taken is not None:
            raise JournalError(f"{self._run.process}: message {item.sequence} was not taken, and would be now")


def _shown(data: bytes | None) -> str:
    if data is None:
        return "nothing"
    try:
        tag, channel, message = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError):
        return repr(data[:80])
    text: dict[str, Any] = message if isinstance(message, dict) else {}
    return f"{tuple(tag)} {channel} {text.get('type', message)}"
