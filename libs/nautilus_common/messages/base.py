"""What every message is: a frozen tagged struct with a deterministic id.

Messages are made per order and per fill, so none of them runs Python code when it is made or decoded: a message is
as cheap as msgspec can make it (about 100-200 ns). Whatever must hold of its content is checked by who makes it.
Messages grow by fields with defaults; a field's type and its place never change.
"""

from hashlib import blake2b

import msgspec

_ENCODER = msgspec.msgpack.Encoder()


class Message(msgspec.Struct, frozen=True, gc=False, tag=True, omit_defaults=True):
    """The base of all that crosses the bus, save market-data blocks. The tag on the wire is the class name."""

    @property
    def id(self) -> str:
        """The message's own UUID-shaped text, a function of its content, so that a replay makes the same one.

        Computed at each call (about 2 us) rather than kept: almost nobody asks.
        """
        return uuid_text(_ENCODER.encode(self))


class Command(Message, frozen=True):
    """Something that is asked for: its name is imperative."""


class Event(Message, frozen=True):
    """Something that has happened: its name is in the past tense."""


def uuid_text(data: bytes) -> str:
    """Text of a version 8 UUID (RFC 9562: free content) made from the BLAKE2b hash of `data`."""
    raw = bytearray(blake2b(data, digest_size=16).digest())
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
