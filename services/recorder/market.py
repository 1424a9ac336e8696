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
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import msgspec
from nats.aio.client import Client
from nautilus_common.catalog.catalog import Catalog
from nautilus_common.catalog.errors import CatalogError, DataError, OverlapError
from nautilus_common.catalog.manifest import replace_file
from nautilus_common.catalog.validation import Validator, last_row
from nautilus_common.messages import subjects
from nautilus_common.messages.blocks import Block, decode_block
from nautilus_common.messages.errors import DecodeError

from services.recorder.config import RecorderConfig
from services.recorder.source import SourceAway, StreamFacts, StreamReader
from services.recorder.state import Item

LOG = logging.getLogger("fleet.recorder")

READ_SECONDS = 0.5
RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 2.0
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


class MarketLane:
    """The blocks of `env` on their way into the catalogue in `folder`."""

    name = "market"

    def __init__(
        self, env: str, client: Client, folder: Path, instruments: Callable[[Any], Any], config: RecorderConfig
    ) -> None:
        self.env = env
        self.folder = folder
        self.state = "starting"
        self.detail = ""
        self.last_message_ns = 0
        self.rows_written = 0
        self.parts_written = 0
        self.refused = 0
        self.missed = 0
        self.duplicate_rows = 0
        self._instruments = instruments
        self._config = config
        self._reader = StreamReader(client, subjects.data_stream(env), self._check_stream)
        self._catalog = Catalog(folder)
        self._position = _Position()
        self._read_seq = 0
        self._gathered: dict[Key, _Gathered] = {}
        self._rows = 0
        self._bytes = 0
        self._since = 0.0
        self._lock: TextIO | None = None
        self._draining = asyncio.Event()
        self._told: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"market {self.env}")

    async def close(self, seconds: float) -> None:
        """Write what was read, within `seconds`, and stop."""
        task, self._task = self._task, None
        if task is None:
            return
        self._draining.set()
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            task.cancel()
            await asyncio.wait({task})
        await self._reader.close()
        if self._lock is not None:
            self._lock.close()
        if self.state != "failed":
            self.state = "closed"

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

    # -- life --------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await asyncio.to_thread(self._begin)
            await self._record()
        except (CatalogError, OSError) as error:
            self.state, self.detail = "failed", str(error)
            LOG.error("market %s: %s", self.env, error)
        except Exception as error:
            self.state, self.detail = "failed", f"{type(error).__name__}: {error}"
            LOG.exception("market %s: unforeseen", self.env)

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / ".recorder.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CatalogError(
                f"another recorder writes to {self.folder}: stop it, or give this one a folder"
            ) from None
        try:
            data = (self.folder / ".recorder.json").read_bytes()
            self._position = msgspec.json.decode(data, type=_Position)
        except FileNotFoundError:
            pass
        except msgspec.MsgspecError as error:
            raise CatalogError(f"{self.folder / '.recorder.json'} is damaged ({error}): remove it") from error
        self._read_seq = self._position.stream_seq

    def _check_stream(self, facts: StreamFacts) -> None:
        position = self._position
        if position.created and position.created != facts.created:
            # Another stream of the same name: what the catalogue has stays, and sequences begin anew.
            raise CatalogError(
                f"quarantined: {self._reader.stream} was made at {facts.created}, and {self.folder} was recorded from "
                f"one made at {position.created}. Move the folder away, or give this recorder another"
            )
        position.created = facts.created

    async def _record(self) -> None:
        pause = RETRY_SECONDS
        seek = True
        while not self._draining.is_set():
            try:
                if seek:
                    await self._reader.seek(self._read_seq + 1)
                    seek = False
                entries = await self._reader.read(READ_SECONDS)
                self._tell("ready", "")
                pause = RETRY_SECONDS
            except SourceAway as error:
                self._tell("waiting", str(error))
                seek = True
                await self._pause(pause)
                pause = min(2 * pause, RETRY_SECONDS_MAX)
                continue
            for entry in entries:
                if entry.sequence != self._read_seq + 1 and not await self._is_passable(entry.sequence):
                    seek = True
                    break
                self._take(entry)
            if self._is_due():
                await self._write()
        await self._write()

    async def _is_passable(self, got: int) -> bool:
        """Whether `got` may come now: what is missing before it has been deleted from the stream."""
        expected = self._read_seq + 1
        if got < expected:
            return False
        facts = await self._reader.facts(deleted=True)
        if any(seq not in facts.deleted for seq in range(max(expected, facts.first_seq), got)):
            return False
        self.missed += got - expected
        LOG.warning("market %s: messages %d to %d are deleted from the stream", self.env, expected, got - 1)
        return True

    def _is_due(self) -> bool:
        config = self._config
        if not self._rows:
            return False
        full = self._rows >= config.market_rows or self._bytes >= config.market_bytes
        return full or time.monotonic() - self._since >= config.market_seconds

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._draining.wait()
        except TimeoutError:
            pass

    def _tell(self, state: str, detail: str) -> None:
        if detail and detail != self.detail:
            LOG.warning("market %s waits: %s", self.env, detail)
        self.state, self.detail = state, detail

    # -- gathering ---------------------------------------------------------------------------------------------------

    def _take(self, entry: Item) -> None:
        self._read_seq = entry.sequence
        self.last_message_ns = entry.ts_ns
        payload = entry.data
        try:
            block = decode_block(payload)
            gathered = self._gathered_of(block)
        except DecodeError as error:
            self._refuse(entry, "block", str(error))
            return
        if gathered is None:
            why = f"nothing is known of the instrument {block.instrument_id}: add it to the recorder's instruments"
            self._refuse(entry, f"instrument {block.instrument_id}", why)
            return
        if entry.sequence <= gathered.last_seq:
            return  # written before a death, in which the position file was not
        dropped = gathered.validator.dropped
        try:
            columns = gathered.validator.check(block.columns)
        except DataError as error:
            self._refuse(entry, f"{error.code} {block.instrument_id}", str(error))
            return
        self.duplicate_rows += gathered.validator.dropped - dropped
        gathered.last_seq = entry.sequence
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

    def _refuse(self, entry: Item, kind: str, reason: str) -> None:
        """Count a block that cannot be stored, tell of the first of its kind, and keep it as it came."""
        self.refused += 1
        if kind not in self._told:
            self._told.add(kind)
            LOG.warning(
                "market %s: message %d is refused: %s; further ones like it are only counted",
                self.env,
                entry.sequence,
                reason,
            )
        if self.refused <= REFUSED_MAX:
            folder = self.folder / "refused"
            folder.mkdir(exist_ok=True)
            (folder / f"{entry.sequence}.block").write_bytes(entry.data)

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Write all that was gathered; waits for the disk, or for whoever changes the catalogue."""
        pause = RETRY_SECONDS
        while True:
            try:
                await asyncio.to_thread(self._write_parts)
                return
            except (OSError, CatalogError) as error:
                self._tell("waiting", str(error))
                if self._draining.is_set():
                    raise
            await self._pause(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)

    def _write_parts(self) -> None:
        for gathered in self._gathered.values():
            if gathered.columns:
                self._write_part(gathered)
        if self._read_seq > self._position.stream_seq:
            position = _Position(self._read_seq, self._position.created)
            replace_file(self.folder / ".recorder.json", msgspec.json.encode(position))
            self._position = position
        self._rows = self._bytes = 0

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
