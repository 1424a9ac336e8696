"""Bytes from the stream to records and marks, or to the reason why they are neither.

Whatever somebody may publish ends here: nothing that this module lets through can be refused by a database for its
form. Integers fit int64, identifiers fit an index, texts hold no NUL.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from nautilus_common.messages.codec import AnyMessage, DecodeError, decode

INT64_MAX = 2**63 - 1
PAYLOAD_KEPT = 65_536
"""Bytes of a rejected message that are kept."""

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=INT64_MAX)]
_Rank = Annotated[int, msgspec.Meta(ge=0, le=32_767)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=INT64_MAX)]
_Tag = tuple[_Int64, _Int64, _Int64, _Int64, _Int64, _Rank, _Count]

_FAULTS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


class Record(msgspec.Struct, frozen=True, gc=False):
    """What an engine said: `rank` says which engine, `seq` the how-manieth it is of it."""

    stream_seq: int
    rank: int
    seq: int
    ts: int
    channel: str
    message: Any
    payload: bytes


class Mark(msgspec.Struct, frozen=True):
    """What a process has taken and said up to here (docs/explain/processes.md)."""

    stream_seq: int
    process: str
    epoch: int
    number: int
    ts: int
    counts: dict[int, int]
    payload: bytes


class Rejected(msgspec.Struct, frozen=True):
    """Bytes that are no record: `kind` for the counter, `reason` for whoever looks for the sender."""

    stream_seq: int
    subject: str
    kind: str
    reason: str
    payload: bytes
    rank: int | None = None
    seq: int | None = None


class _Envelope(msgspec.Struct, array_like=True, frozen=True):
    tag: _Tag
    channel: str
    message: msgspec.Raw


class _Record(msgspec.Struct, array_like=True, frozen=True):
    tag: _Tag
    channel: str
    message: AnyMessage


class _Mark(msgspec.Struct, frozen=True):
    process: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    number: _Int64
    epoch: _Int64 = 0
    ts: _Int64 = 0
    counts: dict[_Rank, _Int64] = {}


_DECODE_RECORD = msgspec.msgpack.Decoder(_Record).decode
_DECODE_ENVELOPE = msgspec.msgpack.Decoder(_Envelope).decode
_DECODE_MARK = msgspec.msgpack.Decoder(_Mark).decode


def read_message(env: str, stream_seq: int, subject: str, payload: bytes) -> Record | Mark | Rejected:
    """What a message of the control stream of `env` is."""
    prefix = f"fleet.{env}."
    channel = subject.removeprefix(prefix)
    if channel == subject or "\0" in subject:
        return _reject(stream_seq, subject, payload, "subject", f"the subject is not {prefix}<channel>")
    if channel.startswith("mark."):
        return _read_mark(stream_seq, subject, payload)
    try:
        record = _DECODE_RECORD(payload)
    except _FAULTS:
        return _why_not(stream_seq, subject, channel, payload)
    if record.channel != channel:
        return _of_another_channel(stream_seq, subject, payload, record.channel)
    tag = record.tag
    return Record(stream_seq, tag[5], tag[6], tag[0], channel, record.message, payload)


def _read_mark(stream_seq: int, subject: str, payload: bytes) -> Mark | Rejected:
    try:
        mark = _DECODE_MARK(payload)
    except _FAULTS as error:
        return _reject(stream_seq, subject, payload, "mark", f"not a mark: {error}")
    if "\0" in mark.process:
        return _reject(stream_seq, subject, payload, "mark", "the name of the process holds a NUL")
    return Mark(stream_seq, mark.process, mark.epoch, mark.number, mark.ts, mark.counts, payload)


def _why_not(stream_seq: int, subject: str, channel: str, payload: bytes) -> Rejected:
    """The reason why a payload is no record: the envelope, or the message in it."""
    try:
        envelope = _DECODE_ENVELOPE(payload)
    except _FAULTS as error:
        return _reject(stream_seq, subject, payload, "envelope", f"not [tag, channel, message]: {error}")
    if envelope.channel != channel:
        return _of_another_channel(stream_seq, subject, payload, envelope.channel)
    reason = "the message cannot be read"
    try:
        decode(bytes(envelope.message))
    except DecodeError as error:
        reason = str(error)
    return _reject(stream_seq, subject, payload, "message", reason, envelope.tag[5], envelope.tag[6])


def _of_another_channel(stream_seq: int, subject: str, payload: bytes, told: str) -> Rejected:
    return _reject(stream_seq, subject, payload, "channel", f"the record says that its channel is {told[:200]!r}")


def _reject(
    stream_seq: int,
    subject: str,
    payload: bytes,
    kind: str,
    reason: str,
    rank: int | None = None,
    seq: int | None = None,
) -> Rejected:
    clean = reason.replace("\0", "\\0")[:1000]
    return Rejected(stream_seq, subject.replace("\0", "\\0")[:1000], kind, clean, payload, rank, seq)
