"""Closed lives of netting positions whose id was used again: many, and seldom looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nautilus_common.messages.packed import pack_positions, unpack_positions
from nautilus_common.model.position import Position, position_of

if TYPE_CHECKING:
    from nautilus_common.model.identifiers import InstrumentId
    from nautilus_common.model.terms import Terms

_State = tuple[dict["InstrumentId", "Terms"], list[bytes], int]


class ClosedPositions:
    """Positions in the sequence in which they were left; each is packed by the first snapshot after that, once.

    Out of a snapshot they are made again when somebody first asks: see `OrderIndex`, where orders are kept alike.
    """

    def __init__(self, terms: dict[InstrumentId, Terms]) -> None:
        self._terms = terms
        self._positions: list[Position] = []
        self._packed: list[bytes] = []
        self._packed_count = 0
        self._missing = 0  # how many of the packed ones are not in `_positions`, whose place is before all others

    def __len__(self) -> int:
        return self._missing + len(self._positions)

    def __iter__(self) -> Iterator[Position]:
        if self._missing:
            packed = [item for items in self._packed for item in unpack_positions(items)][: self._missing]
            made = [position_of(self._terms[fills[0].instrument_id], fills, raw) for fills, raw in packed]
            self._positions = made + self._positions
            self._missing = 0
        return iter(self._positions)

    def append(self, position: Position) -> None:
        self._positions.append(position)

    def __getstate__(self) -> _State:
        new = self._positions[self._packed_count - self._missing :]
        if new:
            self._packed.append(pack_positions((position.fills, position.adjusted_raw) for position in new))
            self._packed_count += len(new)
        return self._terms, self._packed, self._packed_count

    def __setstate__(self, state: _State) -> None:
        self._terms, self._packed, self._packed_count = state
        self._positions = []
        self._missing = self._packed_count
