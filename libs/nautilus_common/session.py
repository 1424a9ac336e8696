"""A live session as data: what runs, who hosts which engines, and from where in the streams.

A session is opened, stopped and ended by words on one subject of the control stream, each an entry as every other, so
that whoever starts late finds the newest by its subject, and whoever runs takes it in its place among the rest of the
log. `fleet paper` says them; engines only hear.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from nautilus_common.bus.publisher import Entry, decode_entry
from nautilus_common.messages import subjects

SPEAKER = "fleet"
"""Who says the words: the process in the subject of their log."""


class SessionError(ValueError):
    """A word about a session that cannot be read: says why."""


class Placed(msgspec.Struct, frozen=True):
    """What a process hosts, and the roles that its log lies under."""

    roles: list[str]
    engines: list[str]


class Session(msgspec.Struct, frozen=True):
    """A live session.

    `counts` (by rank) and `numbers` (by process) are what was said in this world before it: engines and entries are
    counted on from there. `data_from` is the last message of the market data stream before it, `data_created` when
    that stream was made. `feed` is for the data gateway of `feed_process`; without one, data come from elsewhere.
    """

    id: str
    plan: bytes
    placing: dict[str, Placed]
    counts: dict[int, int]
    numbers: dict[str, int]
    data_from: int
    data_created: str
    ts: int
    feed_process: str = ""
    feed: dict[str, Any] = {}


class Word(msgspec.Struct, frozen=True):
    """What is to become of a session. `opened` is the sequence of the word that opened it; 0 in that word itself."""

    state: Literal["open", "stop", "end"]
    session: Session
    opened: int = 0


def words_subject(env: str) -> str:
    """Where the words about the sessions of `env` are."""
    return subjects.subject(env, subjects.log(("session",), SPEAKER))


def query_channel(process: str) -> str:
    """Where a process answers how far it is in its session."""
    return f"ctl.session.{subjects.escape(process)}"


def encode_word(word: Word, number: int, ts: int) -> bytes:
    """The entry that holds `word`."""
    entry = Entry(SPEAKER, word.session.id, number, {}, [msgspec.to_builtins(word, builtin_types=(bytes,))], [], ts)
    return msgspec.msgpack.encode(entry)


def decode_word(data: bytes) -> tuple[Word, int]:
    """(word, number of its entry). Raises SessionError."""
    try:
        entry = decode_entry(data)
        return msgspec.convert(entry.inputs[0], Word, builtin_types=(bytes,)), entry.number
    except (msgspec.MsgspecError, ValueError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise SessionError(f"not a word about a session: {error}") from error


class Progress(msgspec.Struct, frozen=True):
    """How far a process is: its own entries, those of others that it has passed, and whether anything is under way."""

    process: str
    session: str
    number: int
    passed: dict[str, int]
    data_position: int
    idle: bool
    stopped: bool
    failure: str = ""


decode_progress = msgspec.msgpack.Decoder(Progress).decode
