"""What the recorder needs of a database, and how its faults are told apart."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from services.recorder.state import Batch, OrderState, Place, PositionState


class SinkAway(Exception):
    """The database cannot be reached or cannot take anything now. What was sent may or may not be there: ask it."""


class SinkRefused(Exception):
    """The database is there and refuses: a fault of the program, of its settings or of its tables."""


class SinkMoved(Exception):
    """Somebody else has moved the place of this environment: nothing was committed, load it again."""


class Census(msgspec.Struct, frozen=True):
    """What a database holds of one environment, in numbers that two foldings of one stream have in common."""

    stream_seq: int = 0
    head: str = ""
    records: int = 0
    entries: int = 0
    rejected: int = 0
    fills: int | None = None  # None: this database keeps none
    account_states: int | None = None
    orders: int = 0
    positions: int = 0
    content: str = ""  # a digest of orders, positions and balances as they stand

    def as_dict(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


class Sink(Protocol):
    """A database that rows and states of many environments are folded into."""

    name: str

    async def open(self) -> None:
        """Connect and bring the tables up to date."""

    async def close(self) -> None:
        """Let go of the connections."""

    async def load(self, env: str) -> Place | None:
        """How far `env` has come; None if nothing of it is there."""

    async def find(
        self, env: str, orders: list[str], positions: list[str]
    ) -> tuple[list[OrderState], list[PositionState]]:
        """Those of the orders and positions that are there."""

    async def commit(self, env: str, batch: Batch) -> None:
        """Write all of the batch, and that its place is reached, or nothing of it."""

    async def drop(self, env: str) -> None:
        """Remove all that was folded of `env`."""

    async def envs(self) -> list[str]:
        """The environments of which something is there."""

    async def census(self, env: str) -> Census | None:
        """What is there of `env`; None if nothing is."""
