"""The data engine: turns columns, from wherever they come, into the blocks that engines are fed.

It is the only place where market data enter: what it lets in is complete, sorted and valid, so that nobody after it has
to ask again. A block says where its rows stand in the stream and up to which tag everything is known; cutting a stream
into other blocks changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nautilus_common.catalog.columns import slice_columns
from nautilus_common.engine import PHASE_ROW
from nautilus_common.messages.blocks import Block

if TYPE_CHECKING:
    import numpy as np
    from nautilus_common.streams import StreamSpec


class DataEngine:
    """Cuts the batches of one stream into blocks of at most `block_rows` rows within [start_ns, end_ns]."""

    def __init__(
        self, spec: StreamSpec, block_rows: int | None = None, start_ns: int | None = None, end_ns: int | None = None
    ) -> None:
        if block_rows is not None and block_rows < 1:
            raise ValueError(f"block_rows must be at least 1, was {block_rows}")
        self._spec = spec
        self._block_rows = block_rows
        self._start_ns = start_ns
        self._end_ns = end_ns
        self.rows = 0

    def blocks(self, batches: Iterable[dict[str, np.ndarray]]) -> Iterator[Block]:
        """The blocks of a stream; batches are validated columns, in time order."""
        for batch in batches:
            columns = self._within(batch)
            total = len(columns["ts_init"])
            step = self._block_rows or max(total, 1)
            for start in range(0, total, step):
                yield self._block(slice_columns(columns, start, min(start + step, total)))

    def _within(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        ts = columns["ts_init"]
        start = 0 if self._start_ns is None else int(ts.searchsorted(self._start_ns, "left"))
        stop = len(ts) if self._end_ns is None else int(ts.searchsorted(self._end_ns, "right"))
        return columns if (start, stop) == (0, len(ts)) else slice_columns(columns, start, stop)

    def _block(self, columns: dict[str, np.ndarray]) -> Block:
        spec = self._spec
        first = self.rows
        self.rows += len(columns["ts_init"])
        end = (int(columns["ts_init"][-1]), PHASE_ROW, spec.rank, self.rows)
        return Block(spec.rank, spec.kind, spec.instrument_id, spec.bar_type, first, columns, end)
