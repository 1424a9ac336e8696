"""What a bus is: it carries messages between engines in one defined order, and changes, drops and reorders none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nautilus_common.engine import Outbox, Tag

if TYPE_CHECKING:
    from nautilus_common.engine import Engine
    from nautilus_common.messages.base import Message


class Bus(Protocol):
    """The seam between engines and their topology."""

    def subscribe(self, pattern: str, engine: Engine) -> None:
        """Let `engine` receive every message whose channel matches `pattern` (NATS wildcards ``*`` and ``>``)."""

    def take(self, outbox: Outbox) -> None:
        """Take what an engine has said, in the order in which it said it."""

    def next_tag(self) -> Tag:
        """The smallest tag of an undelivered message; INF when there is none."""

    def pop(self) -> tuple[Tag, str, Message]:
        """Take the undelivered message with the smallest tag."""


def matches(pattern: str, channel: str) -> bool:
    """True when `channel` matches `pattern` by the rules of NATS subjects."""
    wanted = pattern.split(".")
    given = channel.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or (token not in ("*", given[index])):
            return False
    return len(wanted) == len(given)
