"""The calls of a replay to a process, and its answers: request and reply, numbered, so that each is carried out once.

A request holds calls for one group of engines, to be made in order, and what to do when they are made: go on up to a
tag, and say the horizon. The numbered requests are the journal of the group: the same requests give the same answers,
byte for byte. So a request that comes twice is answered from memory, and a process that was started again is sent what
it has missed.
"""

from __future__ import annotations

import msgspec

from nautilus_common.engine import Tag

ANSWERS_KEPT = 64
"""Answers that a process remembers; a replay never has more requests under way to one process."""


class Start(msgspec.Struct, array_like=True, tag=0):
    """Start the engine: its first words are caused by `tag`."""

    engine: str
    tag: Tag


class Stop(msgspec.Struct, array_like=True, tag=1):
    """Stop the engine at `tag`."""

    engine: str
    tag: Tag


class Feed(msgspec.Struct, array_like=True, tag=2):
    """Take everything below `frontier`, then show the blocks `numbers` (their sequences in the data stream)."""

    frontier: Tag
    numbers: list[int]


class Handle(msgspec.Struct, array_like=True, tag=3):
    """Take a message: a record, ``[tag, channel, message]``."""

    record: msgspec.Raw


class RunSilently(msgspec.Struct, array_like=True, tag=4):
    """Take what you have up to `until`; you will not speak."""

    until: Tag


class Finish(msgspec.Struct, array_like=True, tag=5):
    """The run is over at `ts_ns`: all that was said must be durable before the answer."""

    ts_ns: int


class Keep(msgspec.Struct, array_like=True, tag=6):
    """Write a snapshot when the calls are made."""


Call = Start | Stop | Feed | Handle | RunSilently | Finish | Keep


class Request(msgspec.Struct, array_like=True, tag="Request"):
    """Request `number` of a process in a replay. With a `frontier` the answer holds the horizon below it."""

    number: int
    calls: list[Call]
    frontier: Tag | None = None
    until: Tag | None = None


class Open(msgspec.Struct, array_like=True, tag="Open"):
    """Make `engines` of the run in `plan`; what exists under this env is kept if `run_id` is the same."""

    run_id: str
    plan: bytes
    engines: list[str]


class Opened(msgspec.Struct, array_like=True, tag="Opened"):
    """The engines are there and have carried out every request up to `number`."""

    number: int


class Close(msgspec.Struct, array_like=True, tag="Close"):
    """Forget the env: its engines and their snapshots."""


class Answer(msgspec.Struct, array_like=True, tag="Answer"):
    """What was said on request `number`, in order, and the horizon if it was asked for.

    `under_way` is the smallest tag of what members have said to each other and not yet heard; `last_ns` the time of the
    last stimulus that a strategy was told of.
    """

    number: int
    records: list[msgspec.Raw]
    horizon: Tag | None
    under_way: Tag | None = None
    last_ns: int = 0


class Missed(msgspec.Struct, array_like=True, tag="Missed"):
    """The request cannot be carried out now: the last one here was `number` (-1: the env is not open)."""

    number: int


class Failed(msgspec.Struct, array_like=True, tag="Failed"):
    """The engines cannot go on."""

    number: int
    what: str
    where: str = ""


Outward = Open | Close | Request
Inward = Opened | Answer | Missed | Failed

encode = msgspec.msgpack.Encoder().encode
decode_outward = msgspec.msgpack.Decoder(Outward).decode
decode_inward = msgspec.msgpack.Decoder(Inward).decode
