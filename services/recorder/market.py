"""Market data of an environment to its catalogue: blocks are gathered, checked, and written as parts.

    <folder>/                     a catalogue (`nautilus_common.catalog`)
    <folder>/.recorder.json       how far the stream is done with
    <folder>/.recorder.lock       held by the recorder that writes here
    <folder>/refused/<seq>.block  blocks that the catalogue cannot take, as they came

Each part carries the stream sequence of its last block, in the swap that makes it visible; the position file is
renewed after the parts of all instruments are there. A death in between repeats blocks, and each that its own
instrument has already is left out: no row is lost or written twice.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import msgspec
from nats.aio.client import Client
from nautilus_common.bus.reader import Item, StreamBroken
from nautilus_common.catalog.catalog import Catalog
from nautilus_common.catalog.errors import CatalogError, DataError, OverlapError
from nautilus_common.catalog.manifest import replace_file
from nautilus_common.catalog.validation import Validator, last_row
from nautilus_common.messages import subjects
from nautilus_common.messages.blocks import Block, decode_block
from nautilus_common.messages.errors import DecodeError

from services.recorder.config import RecorderConfig
from services.recorder.lane import LOG, Lane
from services.recorder.sink import SinkAway

BACKLOG_BLOCKS = 256
BACKLOG_BYTES = 16 * 2**20
REFUSED_MAX = 1_000
"""Blocks kept as files; further ones are only counted."""

Key = tuple[str, str, str | None]


class _Position(msgspec.Struct):
    """What the position file holds."""

    stream_seq: int = 0
    created: str = ""


class _Gathered:
    """What is not written yet of one kind and instrument."""

    def __init__(self, kind: str, instrument: Any, bar_type: Any, catalog: Catalog) -> None:
        self.kind = kind
        self.instrument = instrument
        self.bar_type = bar_type
        self.columns: list[Any] = []
        self.last_seq = catalog.last_source_seq(kind, instrument.id, bar_type)
        self.validator = Validator(
            kind, instrument, f"{kind} {bar_type or instrument.id}", on_duplicate="drop", allow_crossed=True
        )
        entry = catalog.entry(kind, instrument.id, bar_type)
        if entry is not None:
            for batch in catalog.read(kind, instrument.id, bar_type, entry.end_ns, entry.end_ns):
                self.validator.previous = last_row(batch)


class MarketLane(Lane):
    """The blocks of `env` on their way into the catalogue in `folder`."""

    name = "market"

    def __init__(
        self, env: str, client: Client, folder: Path, instruments: Callable[[Any], Any], config: RecorderConfig
    ) -> None:
        super().__init__(env, client, subjects.data_stream(env), (BACKLOG_BLOCKS, BACKLOG_BYTES))
        self.folder = folder
        self.rows_written = 0
        self.parts_written = 0
        self.refused = 0
        self.missed = 0
        self.duplicate_rows = 0
        self._instruments = instruments
        self._config = config
        self._catalog = Catalog(folder)
        self._position = _Position()
        self._read_seq = 0
        self._gathered: dict[Key, _Gathered] = {}
        self._rows = 0
        self._bytes = 0
        self._since = 0.0
        self._lock: TextIO | None = None

    async def close(self, seconds: float) -> None:
        """Write what was read, within `seconds`, and stop."""
        await super().close(seconds)
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def status(self) -> dict[str, object]:
        return {
            "state": self.state,
            "detail": self.detail,
            "stream_seq": self._position.stream_seq,
            "rows_written": self.rows_written,
            "parts_written": self.parts_written,
            "rows_waiting": self._rows,
            "refused": self.refused,
            "missed": self.missed,
            "duplicate_rows": self.duplicate_rows,
        }

    # -- its life ----------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        if self._reader is None or self._reader.failure is not None:
            await asyncio.to_thread(self._load)
            await self._read_from(self._read_seq + 1, self._position.created)

    def _load(self) -> None:
        """How far the catalogue has come; what was gathered and not written is read again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = self._take_lock()
        try:
            data = (self.folder / ".recorder.json").read_bytes()
            self._position = msgspec.json.decode(data, type=_Position)
        except FileNotFoundError:
            self._position = _Position()
        except msgspec.MsgspecError as error:
            raise CatalogError(f"{self.folder / '.recorder.json'} is damaged ({error}): remove it") from error
        self._read_seq = self._position.stream_seq
        self._gathered = {}
        self._rows = self._bytes = 0

    def _take_lock(self) -> TextIO:
        lock = (self.folder / ".recorder.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise CatalogError(
                f"another recorder writes to {self.folder}: stop it, or give this one a folder"
            ) from None
        return lock

    def _remedy(self) -> str:
        return f"Move the folder {self.folder} away, or give this recorder another"

    async def _record(self) -> None:
        reader = self._reader
        assert reader is not None
        while True:
            while not self._is_full() and (item := reader.take_nowait()) is not None:
                self._take(item)
            if self._is_due() or self._draining.is_set():
                await self._write(reader.created)
                if self._draining.is_set() and not reader.buffered[0]:
                    return
            elif not reader.buffered[0]:
                try:
                    await self._wait_for_items(reader)
                except StreamBroken:
                    await self._write(reader.created)  # what came from the stream that is no more
                    raise

    def _is_full(self) -> bool:
        config = self._config
        return self._rows >= config.market_rows or self._bytes >= config.market_bytes

    def _is_due(self) -> bool:
        is_old = time.monotonic() - self._since >= self._config.market_seconds
        return bool(self._rows) and (self._is_full() or is_old)

    # -- gathering ---------------------------------------------------------------------------------------------------

    def _take(self, item: Item) -> None:
        self._read_seq = item.sequence
        self.last_message_ns = item.ts_ns
        if item.missing:
            self.missed += item.missing
            LOG.warning("market %s: %d messages before %d are deleted", self.env, item.missing, item.sequence)
        payload = item.data
        try:
            block = decode_block(payload)
            gathered = self._gathered_of(block)
        except DecodeError as error:
            self._refuse(item, "block", str(error))
            return
        if gathered is None:
            why = f"nothing is known of the instrument {block.instrument_id}: add it to the recorder's instruments"
            self._refuse(item, f"instrument {block.instrument_id}", why)
            return
        if item.sequence <= gathered.last_seq:
            return  # written before a death, in which the position file was not
        dropped = gathered.validator.dropped
        try:
            columns = gathered.validator.check(block.columns)
        except DataError as error:
            self._refuse(item, f"{error.code} {block.instrument_id}", str(error))
            return
        self.duplicate_rows += gathered.validator.dropped - dropped
        gathered.last_seq = item.sequence
        rows = len(columns["ts_init"])
        if rows:
            if not self._rows:
                self._since = time.monotonic()
            gathered.columns.append(columns)
            self._rows += rows
            self._bytes += len(payload)

    def _gathered_of(self, block: Block) -> _Gathered | None:
        bar_type = None if block.bar_type is None else str(block.bar_type)
        if (block.kind == "bar") != (bar_type is not None):
            raise DecodeError(f"a {block.kind} block of {block.instrument_id} with the bar type {bar_type}")
        key = (block.kind, str(block.instrument_id), bar_type)
        gathered = self._gathered.get(key)
        if gathered is None:
            instrument = self._instruments(block.instrument_id)
            if instrument is None:
                return None
            gathered = self._gathered[key] = _Gathered(block.kind, instrument, block.bar_type, self._catalog)
        return gathered

    def _refuse(self, item: Item, kind: str, reason: str) -> None:
        """Count a block that cannot be stored, tell of the first of its kind, and keep it as it came."""
        self.refused += 1
        self._tell_once(kind, "refused", item.sequence, reason)
        if self.refused <= REFUSED_MAX:
            folder = self.folder / "refused"
            folder.mkdir(exist_ok=True)
            (folder / f"{item.sequence}.block").write_bytes(item.data)

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _write(self, created: str) -> None:
        """Write all that was gathered. The disk, or whoever changes the catalogue just now, is waited for."""
        try:
            await asyncio.to_thread(self._write_parts, created)
        except CatalogError as error:
            raise SinkAway(str(error)) from error
        self._note_commit()

    def _write_parts(self, created: str) -> None:
        for gathered in self._gathered.values():
            if gathered.columns:
                self._write_part(gathered)
        if self._read_seq > self._position.stream_seq:
            position = _Position(self._read_seq, created)
            replace_file(self.folder / ".recorder.json", msgspec.json.encode(position))
            self._position = position
        self._bytes = 0

    def _write_part(self, gathered: _Gathered) -> None:
        instrument = gathered.instrument
        rows = sum(len(columns["ts_init"]) for columns in gathered.columns)
        try:
            self._catalog.write_instrument(instrument)
            self._catalog.write(
                gathered.kind,
                instrument,
                iter(gathered.columns),
                gathered.bar_type,
                mode="append",
                allow_crossed=True,
                source_seq=gathered.last_seq,
            )
        except (DataError, OverlapError) as error:
            # Each block was checked when it came, so the catalogue was changed under us.
            raise CatalogError(
                f"the catalogue {self.folder} has changed and does not take the recording: {error}"
            ) from error
        gathered.columns = []
        self._rows -= rows
        self.rows_written += rows
        self.parts_written += 1


def folder_instruments(folder: Path) -> Callable[[Any], Any]:
    """The instruments of a catalogue, looked up anew for one that was not there before."""
    known: dict[str, Any] = {}

    def find(instrument_id: Any) -> Any:
        name = str(instrument_id)
        if name not in known and os.path.isdir(folder / "instruments"):
            known.update({str(instrument.id): instrument for instrument in Catalog(folder).instruments()})
        return known.get(name)

    return find
