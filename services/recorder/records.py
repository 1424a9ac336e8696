"""Bytes from the control stream to the entry of a process's log and its records, or to the reason why they are none.

Whatever somebody may publish ends here: nothing that this module lets through can be refused by a database for its
form. Integers fit int64, identifiers fit an index, texts hold no NUL. One bad record does not spoil its entry: it is
rejected alone, and the others are taken.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from nautilus_common.messages import subjects
from nautilus_common.messages.codec import AnyMessage, DecodeError, decode

INT64_MAX = 2**63 - 1
PAYLOAD_KEPT = 65_536
"""Bytes of a rejected message or record that are kept."""

RECORDS_MAX = 10_000
"""Records of an entry; a process writes at most 4,000 (`bus/publisher.py`)."""

WHOLE = -1
"""The index of what is rejected as a whole, where no record is at fault."""

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=INT64_MAX)]
_Rank = Annotated[int, msgspec.Meta(ge=0, le=32_767)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=INT64_MAX)]
_Tag = tuple[_Int64, _Int64, _Int64, _Int64, _Int64, _Rank, _Count]
_Channel = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]

_FAULTS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


class Record(msgspec.Struct, frozen=True, gc=False):
    """What an engine said: `rank` says which engine, `seq` the how-manieth it is of it."""

    stream_seq: int
    index: int  # its place in the entry
    rank: int
    seq: int
    ts: int
    channel: str
    message: Any
    payload: bytes


class Rejected(msgspec.Struct, frozen=True):
    """Bytes that are no record: `kind` for the counter, `reason` for whoever looks for the sender."""

    stream_seq: int
    index: int
    subject: str
    kind: str
    reason: str
    payload: bytes
    rank: int | None = None
    seq: int | None = None


class LogEntry(msgspec.Struct, frozen=True):
    """One entry of a process's log: what it has taken and said (docs/explain/processes.md)."""

    stream_seq: int
    subject: str
    roles: tuple[str, ...]
    process: str
    epoch: str
    number: int
    ts: int
    counts: dict[int, int]
    inputs: bytes
    records: list[Record | Rejected]


class _Envelope(msgspec.Struct, array_like=True, frozen=True):
    tag: _Tag
    channel: _Channel
    message: msgspec.Raw


class _Record(msgspec.Struct, array_like=True, frozen=True):
    tag: _Tag
    channel: _Channel
    message: AnyMessage


class _Entry(msgspec.Struct, frozen=True):
    """`bus/publisher.py` writes it; here are its bounds."""

    process: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    epoch: Annotated[str, msgspec.Meta(max_length=64)]
    number: _Count
    counts: Annotated[dict[_Rank, _Int64], msgspec.Meta(max_length=RECORDS_MAX)]
    inputs: msgspec.Raw
    records: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=RECORDS_MAX)]
    ts: _Int64


_DECODE_RECORD = msgspec.msgpack.Decoder(_Record).decode
_DECODE_ENVELOPE = msgspec.msgpack.Decoder(_Envelope).decode
_DECODE_ENTRY = msgspec.msgpack.Decoder(_Entry).decode
_DECODE_LIST = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def read_message(env: str, stream_seq: int, subject: str, payload: bytes) -> LogEntry | Rejected:
    """What a message of the control stream of `env` is."""
    prefix = f"fleet.{env}."
    try:
        roles, process = subjects.parse_log(subject.removeprefix(prefix) if subject.startswith(prefix) else "")
    except subjects.SubjectError:
        reason = f"the subject is not {prefix}log.<roles>.<process>"
        return _reject(stream_seq, WHOLE, subject, "subject", reason, payload)
    try:
        entry = _DECODE_ENTRY(payload)
        inputs = bytes(entry.inputs)
        _DECODE_LIST(inputs)
    except _FAULTS as error:
        return _reject(stream_seq, WHOLE, subject, "entry", f"not an entry of a log: {error}", payload)
    if entry.process != process:
        reason = f"the entry says that its process is {entry.process[:200]!r}, and lies in the log of {process!r}"
        return _reject(stream_seq, WHOLE, subject, "process", reason, payload)
    if "\0" in process + entry.epoch + "".join(roles):
        return _reject(stream_seq, WHOLE, subject, "entry", "process, roles or epoch hold a NUL", payload)
    records = [read_record(stream_seq, index, subject, bytes(raw)) for index, raw in enumerate(entry.records)]
    return LogEntry(
        stream_seq, subject, roles, process, entry.epoch, entry.number, entry.ts, entry.counts, inputs, records
    )


def read_record(stream_seq: int, index: int, subject: str, payload: bytes) -> Record | Rejected:
    """What a record of an entry is."""
    try:
        record = _DECODE_RECORD(payload)
    except _FAULTS:
        return _why_not(stream_seq, index, subject, payload)
    if "\0" in record.channel:
        return _reject(stream_seq, index, subject, "channel", "the channel holds a NUL", payload)
    tag = record.tag
    return Record(stream_seq, index, tag[5], tag[6], tag[0], record.channel, record.message, payload)


def _why_not(stream_seq: int, index: int, subject: str, payload: bytes) -> Rejected:
    """The reason why a payload is no record: the envelope, or the message in it."""
    try:
        envelope = _DECODE_ENVELOPE(payload)
    except _FAULTS as error:
        return _reject(stream_seq, index, subject, "envelope", f"not [tag, channel, message]: {error}", payload)
    reason = "the message cannot be read"
    try:
        decode(bytes(envelope.message))
    except DecodeError as error:
        reason = str(error)
    return _reject(stream_seq, index, subject, "message", reason, payload, envelope.tag[5], envelope.tag[6])


def _reject(
    stream_seq: int,
    index: int,
    subject: str,
    kind: str,
    reason: str,
    payload: bytes,
    rank: int | None = None,
    seq: int | None = None,
) -> Rejected:
    """Texts of somebody else as a database can hold them."""
    clean, where = (text.replace("\0", "\\0")[:1000] for text in (reason, subject))
    return Rejected(stream_seq, index, where, kind, clean, payload, rank, seq)
