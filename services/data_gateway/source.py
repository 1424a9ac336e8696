"""A market that was recorded, or made, as one that happens now.

Each row has a moment of arrival: its place in the recording at `speed`, from the session's beginning, and a random
delay that never changes the order of a stream. What has arrived when the gateway looks goes into one block, stamped
with that moment: a quiet market gives a row at a time, a burst hundreds. Row numbers and moments follow from the
session alone, so that a gateway that was started again goes on with the next row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from nautilus_common.engine import PHASE_ROW
from nautilus_common.errors import FleetError
from nautilus_common.messages.blocks import Block

from services.data_gateway.config import FeedConfig

if TYPE_CHECKING:
    from nautilus_common.streams import StreamSpec
    from numpy.typing import NDArray

BLOCK_ROWS_MAX = 4_096
READ_ROWS = 65_536

Columns = dict[str, "NDArray[np.int64]"]


class Tape:
    """One stream: the rows that are to come, and when each arrives."""

    def __init__(
        self, spec: StreamSpec, batches: Iterable[Columns], origin_ns: int, begin_ns: int, config: FeedConfig
    ) -> None:
        """The row of `origin_ns` in the recording arrives at `begin_ns`."""
        self.spec = spec
        self._batches = iter(batches)
        self._origin_ns = origin_ns
        self._begin_ns = begin_ns
        self._speed_milli = max(1, round(config.speed * 1000))
        self._jitter_ns = config.jitter_us * 1_000
        self._random = np.random.Generator(np.random.PCG64([config.seed, spec.rank]))
        self._columns: Columns = {}
        self._arrivals: NDArray[np.int64] = np.empty(0, np.int64)
        self._next = 0
        self._newest = 0  # arrival of the last row of the batches before
        self.row = 0
        self._read()

    @property
    def next_ns(self) -> int | None:
        """When the next row arrives; None after the last."""
        return int(self._arrivals[self._next]) if self._next < len(self._arrivals) else None

    def skip(self, rows: int) -> None:
        """Go on after the first `rows` rows: they were published before."""
        while self.row < rows and self.next_ns is not None:
            step = min(rows - self.row, len(self._arrivals) - self._next)
            self._pass(step)

    def take(self, now_ns: int) -> Block | None:
        """What has arrived by `now_ns`."""
        start = self._next
        stop = start + int(np.searchsorted(self._arrivals[start:], now_ns, "right"))
        stop = min(stop, start + BLOCK_ROWS_MAX)
        if stop == start:
            return None
        columns = {name: column[start:stop] for name, column in self._columns.items()}
        columns["ts_init"] = np.full(stop - start, now_ns, np.int64)
        first = self.row
        end = (now_ns, PHASE_ROW, self.spec.rank, first + stop - start)
        self._pass(stop - start)
        return Block(self.spec.rank, self.spec.kind, self.spec.instrument_id, self.spec.bar_type, first, columns, end)

    def _pass(self, rows: int) -> None:
        self._next += rows
        self.row += rows
        if self._next == len(self._arrivals):
            self._read()

    def _read(self) -> None:
        """The next rows of the recording, with their times moved to now."""
        self._next = 0
        self._arrivals = np.empty(0, np.int64)
        for batch in self._batches:
            if not len(batch["ts_init"]):
                continue
            happens = self._begin_ns + (batch["ts_init"] - self._origin_ns) // self._speed_milli * 1_000
            happens += (batch["ts_init"] - self._origin_ns) % self._speed_milli * 1_000 // self._speed_milli
            late = self._random.integers(0, self._jitter_ns + 1, len(happens), dtype=np.int64)
            arrivals = np.maximum(np.maximum.accumulate(happens + late), self._newest)
            self._newest = int(arrivals[-1])
            self._columns = {**batch, "ts_event": happens}
            self._arrivals = arrivals
            return


def open_tapes(specs: list[StreamSpec], config: FeedConfig, begin_ns: int, project: Path) -> list[Tape]:
    """A tape for each stream of a session. Raises FleetError when there is no such stream."""
    batches = _sample(specs, config) if config.kind == "sample" else _catalog(specs, project / config.catalog)
    firsts = [(next(iter(rows)), rows) for rows in batches]
    origin = min(int(first["ts_init"][0]) for first, _ in firsts)
    return [Tape(spec, rows, origin, begin_ns, config) for spec, (_, rows) in zip(specs, firsts, strict=True)]


def _sample(specs: list[StreamSpec], config: FeedConfig) -> list[Iterable[Columns]]:
    from nautilus_common.testkit.sample_market import SAMPLES, sample_instruments, sample_quotes

    known = {instrument.id: sample for instrument, sample in zip(sample_instruments(), SAMPLES, strict=True)}
    found: list[Iterable[Columns]] = []
    for spec in specs:
        sample = known.get(spec.instrument_id)
        if sample is None or spec.kind != "quote":
            raise FleetError(
                f"the sample market has no {spec.kind} of {spec.instrument_id}",
                remedy=f"it has quotes of {', '.join(map(str, known))}",
            )
        found.append([dict(sample_quotes(sample, seed=config.seed, days=config.days))])
    return found


class _CatalogRows:
    """The rows of one entry of a catalogue, read again each time that one goes through them."""

    def __init__(self, path: Path, spec: StreamSpec) -> None:
        self._path = path
        self._spec = spec

    def __iter__(self) -> Iterator[Columns]:
        from nautilus_common.catalog.catalog import Catalog

        spec = self._spec
        return iter(Catalog(self._path).read(spec.kind, spec.instrument_id, spec.bar_type, None, None, READ_ROWS))


def _catalog(specs: list[StreamSpec], path: Path) -> list[Iterable[Columns]]:
    from nautilus_common.catalog.errors import CatalogError

    found: list[Iterable[Columns]] = [_CatalogRows(path, spec) for spec in specs]
    for spec, rows in zip(specs, found, strict=True):
        try:
            is_empty = next(iter(rows), None) is None
        except (CatalogError, OSError) as error:
            raise FleetError(f"the catalogue cannot be played: {error}", where=str(path)) from error
        if is_empty:
            name = spec.bar_type or spec.instrument_id
            raise FleetError(f"the catalogue has no {spec.kind} of {name}", where=str(path))
    return found
