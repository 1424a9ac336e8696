"""The catalogue: instruments and market data in a folder, changed only as a whole.

    ROOT/manifest.json                                   which files are alive
    ROOT/instruments/<id>.json
    ROOT/data/<kind>/<instrument or bar type>/<start>-<end>-<digest>.parquet

A change writes its new files, has them on disk, swaps the manifest (the one moment at which it happens) and only
then removes the old files. A crash before the swap leaves the old state and after it the new one; stray files are
never read, and swept by the next change. Files are named by their content, so that doing a thing twice is doing it
once. One writer at a time: a lock on ROOT/.lock, let go by the system when its process dies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from nautilus_common.catalog.columns import (
    KIND_COLUMNS,
    Columns,
    DataColumns,
    InstrumentLike,
    IntArray,
    Row,
    iso_text,
)
from nautilus_common.catalog.errors import CatalogError, DataError, OverlapError, nearest
from nautilus_common.catalog.loaders import DEFAULT_CHUNK_ROWS, rechunk
from nautilus_common.catalog.manifest import (
    MANIFEST_NAME,
    CatalogEntry,
    FileRecord,
    Manifest,
    entry_of,
    load_manifest,
    replace_file,
    safe_name,
    save_manifest,
    sync_file,
    sync_folder,
)
from nautilus_common.catalog.parts import ROW_GROUP_ROWS, PartWriter, part_digest, read_part
from nautilus_common.catalog.timestamps import parse_bound
from nautilus_common.catalog.validation import Problem, Validator, find_problems, last_row

Bound: TypeAlias = int | str | datetime | None
WriteMode: TypeAlias = Literal["new", "append", "replace"]
Key: TypeAlias = tuple[str, str, str | None]


def _no_step(_name: str) -> None:
    return None


class Catalog:
    """A catalogue in a folder, which the first write makes.

    `on_step` is called with the name of each step of a change; tests raise from it to stand for a crash.
    """

    def __init__(self, path: str | Path, *, on_step: Callable[[str], None] = _no_step) -> None:
        self.path = Path(path)
        self._on_step = on_step

    # Instruments

    def write_instrument(self, instrument: Any) -> None:
        """Store or renew an instrument; refused if its data is stored at other precisions."""
        from nautilus_common.model.instruments import instrument_to_json

        with self._locked() as manifest:
            self._check_precision(manifest, instrument)
            path = self._instrument_path(instrument.id)
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, instrument_to_json(instrument))

    def instruments(self) -> list[Any]:
        """All instruments, by identifier."""
        from nautilus_common.model.instruments import instrument_from_json

        found = [instrument_from_json(path.read_bytes()) for path in (self.path / "instruments").glob("*.json")]
        return sorted(found, key=lambda instrument: str(instrument.id))

    def instrument(self, instrument_id: Any) -> Any:
        """The instrument; CatalogError naming the nearest if it is not there."""
        from nautilus_common.model.instruments import instrument_from_json

        try:
            return instrument_from_json(self._instrument_path(instrument_id).read_bytes())
        except FileNotFoundError:
            names = [str(instrument.id) for instrument in self.instruments()]
            close = nearest(str(instrument_id), names)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            has = ", ".join(names) or "no instruments"
            raise CatalogError(f"unknown instrument {instrument_id}: catalogue {self.path} has {has}{hint}") from None

    def _instrument_path(self, instrument_id: Any) -> Path:
        return self.path / "instruments" / f"{safe_name(instrument_id)}.json"

    # Writing

    def write(
        self,
        kind: str,
        instrument: InstrumentLike,
        columns: DataColumns | Mapping[str, IntArray] | Iterable[Mapping[str, IntArray]],
        bar_type: Any = None,
        mode: WriteMode = "new",
        *,
        allow_crossed: bool = False,
        source: str | None = None,
        source_seq: int | None = None,
    ) -> CatalogEntry:
        """Store raw columns, or an iterator or wrangler's result of them in order of time; return what there is now.

        mode "new": the time must not overlap what is stored; "append": it must not begin before the end of that;
        "replace": all that is stored of the same kind and instrument (or bar type) goes. Writing what is stored
        already changes nothing, in every mode. The columns are checked as by `validate_columns`.
        `source_seq` is kept with the rows, in the same swap: `last_source_seq` gives it back after any death.
        """
        key = _key(kind, instrument.id, bar_type)
        if mode not in ("new", "append", "replace"):
            raise CatalogError(f"unknown write mode {mode!r}: use 'new', 'append' or 'replace'")
        if isinstance(columns, DataColumns):
            allow_crossed = allow_crossed or columns.allow_crossed
            columns = columns.columns
        batches = [columns] if isinstance(columns, Mapping) else columns
        validator = Validator(kind, instrument, source or f"data for {_name(key)}", allow_crossed=allow_crossed)
        checked = (validator.check(batch) for batch in batches)
        with self._locked() as manifest:
            self._check_precision(manifest, instrument)
            try:
                written = self._write_parts(key, instrument, checked, allow_crossed)
                written = [msgspec.structs.replace(record, source_seq=source_seq) for record in written]
                if not written:
                    remedy = "Is the source, or its date filter, right?"
                    raise DataError("no rows to write", source=validator.source, code="empty", remedy=remedy)
                stored = manifest.of(key)
                if mode != "replace" and _same_files(stored, written):
                    return entry_of(stored)
                records = written if mode == "replace" else self._joined(stored, written, mode)
            except CatalogError:
                self._sweep(manifest)
                raise
            self._swap(manifest.with_key(key, records))
            return entry_of(records)

    def delete(self, kind: str, instrument_id: Any, bar_type: Any = None) -> None:
        """Remove all data of one kind and instrument (or bar type); nothing happens if there is none."""
        key = _key(kind, instrument_id, bar_type)
        with self._locked() as manifest:
            if manifest.of(key):
                self._swap(manifest.with_key(key, []))

    def _check_precision(self, manifest: Manifest, instrument: InstrumentLike) -> None:
        wanted = (instrument.price_precision, instrument.size_precision)
        for record in manifest.files:
            stored = (record.price_precision, record.size_precision)
            if record.instrument_id == str(instrument.id) and stored != wanted:
                raise CatalogError(
                    f"{instrument.id}: the catalogue's data has price and size precision {stored}, "
                    f"the instrument {wanted}. Delete the data first, or keep the precisions"
                )

    def _write_parts(
        self, key: Key, instrument: InstrumentLike, batches: Iterable[Columns], allow_crossed: bool
    ) -> list[FileRecord]:
        """Write the rows to new files: one, or a second from the row group on in which the times first differ."""
        folder = self.path / "data" / key[0] / safe_name(key[2] or key[1])
        folder.mkdir(parents=True, exist_ok=True)
        metadata = {
            "instrument_id": str(instrument.id),
            "bar_type": key[2] or "",
            "price_precision": str(instrument.price_precision),
            "size_precision": str(instrument.size_precision),
        }
        records: list[FileRecord] = []
        part: PartWriter | None = None
        try:
            for columns in rechunk(batches, ROW_GROUP_ROWS):
                event, init = columns["ts_event"], columns["ts_init"]
                shared = event is init or bool(np.array_equal(event, init))
                if part is not None and part.shared_times and not shared:
                    records.append(self._finish(part, key, instrument, allow_crossed))
                    part = None
                if part is None:
                    part = PartWriter(folder / f".part-{len(records)}.tmp", key[0], shared, metadata)
                part.write(columns)
                self._on_step("row group written")
            if part is not None:
                records.append(self._finish(part, key, instrument, allow_crossed))
                part = None
        finally:
            if part is not None:
                part.abandon()
        sync_folder(folder)
        for ancestor in (folder.parent, folder.parent.parent, self.path):
            sync_folder(ancestor)
        self._on_step("files written")
        return records

    def _finish(self, part: PartWriter, key: Key, instrument: InstrumentLike, allow_crossed: bool) -> FileRecord:
        digest = part.close()
        sync_file(part.path)
        self._on_step("file synced")
        path = part.path.with_name(f"{part.start_ns}-{part.end_ns}-{digest[:16]}.parquet")
        os.replace(part.path, path)
        self._on_step("file named")
        return FileRecord(
            kind=key[0],
            instrument_id=key[1],
            bar_type=key[2],
            path=path.relative_to(self.path).as_posix(),
            rows=part.rows,
            start_ns=part.start_ns,
            end_ns=part.end_ns,
            sha256=digest,
            price_precision=instrument.price_precision,
            size_precision=instrument.size_precision,
            allow_crossed=allow_crossed,
            shared_times=part.shared_times,
        )

    def _joined(self, stored: list[FileRecord], written: list[FileRecord], mode: WriteMode) -> list[FileRecord]:
        """Stored and new files in order of time, or OverlapError."""
        start, end = written[0].start_ns, written[-1].end_ns
        for record in stored:
            touches = mode == "append" and record is stored[-1] and start == record.end_ns
            behind = mode == "append" and start < record.end_ns
            if behind or (start <= record.end_ns and end >= record.start_ns and not touches):
                raise OverlapError(
                    f"{_name(record.key)}: {record.kind} data from {iso_text(start)} to {iso_text(end)} overlaps what "
                    f"the catalogue {self.path} has from {iso_text(record.start_ns)} to {iso_text(record.end_ns)}. "
                    "Use mode='replace' to write it anew, or import only what is missing"
                )
            if touches and self._edge(record, -1) == self._edge(written[0], 0):
                raise OverlapError(
                    f"{_name(record.key)}: the first row to append, at {iso_text(start)}, equals the last one stored. "
                    "Leave it out, or use mode='replace'"
                )
        return sorted([*stored, *written], key=lambda record: (record.start_ns, record.end_ns))

    def _edge(self, record: FileRecord, index: int) -> Row:
        """The first (0) or last (-1) row of a file."""
        bound = record.end_ns if index else record.start_ns
        batches = list(read_part(self.path / record.path, record.kind, record.shared_times, bound, bound))
        if index:
            return last_row(batches[-1])
        return {name: int(array[0]) for name, array in batches[0].items()}

    def _swap(self, new: Manifest) -> None:
        self._on_step("before swap")
        save_manifest(self.path, new)
        self._on_step("after swap")
        self._sweep(new)
        self._on_step("old files removed")

    def _sweep(self, manifest: Manifest) -> None:
        """Remove the files that no manifest names: those replaced, and those of a change that crashed."""
        # Compared without case: a file system that is blind to it may give a folder another spelling.
        alive = {record.path.casefold() for record in manifest.files}
        for path in sorted((self.path / "data").glob("*/*/*")):
            if path.relative_to(self.path).as_posix().casefold() not in alive:
                path.unlink()

    @contextmanager
    def _locked(self) -> Iterator[Manifest]:
        """The manifest, while no other process or thread changes the catalogue."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            try:
                import fcntl
            except ImportError:  # pragma: no cover - not posix: one writer is the user's promise
                yield self._own_manifest()
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CatalogError(f"catalogue {self.path} is being changed by another process: try again") from None
            yield self._own_manifest()

    def _own_manifest(self) -> Manifest:
        """The manifest to change; made before the first data, so that data without one shows that it was lost."""
        manifest = load_manifest(self.path)
        if not (self.path / MANIFEST_NAME).exists():
            save_manifest(self.path, manifest)
        return manifest

    # Reading

    def entries(self) -> list[CatalogEntry]:
        """What the catalogue holds, by kind and name."""
        groups: dict[Key, list[FileRecord]] = {}
        for record in load_manifest(self.path).files:
            groups.setdefault(record.key, []).append(record)
        return [entry_of(records) for records in groups.values()]

    def entry(self, kind: str, instrument_id: Any, bar_type: Any = None) -> CatalogEntry | None:
        """The entry of one kind and instrument (or bar type), if there is one."""
        records = load_manifest(self.path).of(_key(kind, instrument_id, bar_type))
        return entry_of(records) if records else None

    def read(
        self,
        kind: str,
        instrument_id: Any,
        bar_type: Any = None,
        start: Bound = None,
        end: Bound = None,
        chunk_rows: int = DEFAULT_CHUNK_ROWS,
    ) -> Iterator[Columns]:
        """The rows with start <= ts_init <= end in order, at most `chunk_rows` (and a row group) in memory.

        Bounds are nanoseconds, ISO text or datetimes (UTC where they name no zone; a date is its
        midnight). Columns are contiguous int64;
        `ts_event` is the very array of `ts_init` where they are equal in the file. No rows is no error here; see
        `describe_missing`.
        """
        first, last = parse_bound(start), parse_bound(end)
        records = load_manifest(self.path).of(_key(kind, instrument_id, bar_type))
        return rechunk(self._batches(records, first, last), chunk_rows)

    def _batches(self, records: list[FileRecord], start: int | None, end: int | None) -> Iterator[Columns]:
        for record in records:
            if (start is None or record.end_ns >= start) and (end is None or record.start_ns <= end):
                path = self.path / record.path
                if not path.exists():
                    what = "the file is gone: the catalogue was changed while it was read, or the file deleted"
                    remedy = "Run again; if it is still missing, import its data with mode='replace'"
                    raise DataError(what, source=str(path), code="missing_file", remedy=remedy)
                yield from read_part(path, record.kind, record.shared_times, start, end)

    def last_source_seq(self, kind: str, instrument_id: Any, bar_type: Any = None) -> int:
        """The greatest `source_seq` that data of one kind and instrument (or bar type) was written with, or 0."""
        records = load_manifest(self.path).of(_key(kind, instrument_id, bar_type))
        return max((record.source_seq or 0 for record in records), default=0)

    # Checking

    def check(
        self,
        kind: str | None = None,
        instrument_id: Any = None,
        bar_type: Any = None,
        *,
        gap_multiple: float = 10.0,
        verify: bool = True,
    ) -> list[Problem]:
        """Problems of all data, or of that of one kind, instrument or bar type: damage, disorder, gaps.

        `verify` compares the digest of each file with the manifest's.
        """
        problems: list[Problem] = []
        manifest = load_manifest(self.path)
        for entry in self.entries():
            wanted = (kind, instrument_id and str(instrument_id), bar_type and str(bar_type))
            actual = (entry.kind, entry.instrument_id, entry.bar_type)
            if all(not want or want == have for want, have in zip(wanted, actual, strict=True)):
                problems += self._check_entry(manifest.of(actual), entry, gap_multiple, verify)
        return problems

    def _check_entry(
        self, records: list[FileRecord], entry: CatalogEntry, gap_multiple: float, verify: bool
    ) -> list[Problem]:
        source = f"{entry.kind} {entry.name}"
        try:
            if verify and (damaged := self._damage(records)):
                return damaged
            instrument = self.instrument(entry.instrument_id)
            batches = self._batches(records, None, None)
            found = find_problems(
                entry.kind,
                batches,
                instrument,
                source=source,
                gap_multiple=gap_multiple,
                allow_crossed=entry.allow_crossed,
            )
        except DataError as error:
            return [Problem(error.code, error.source, error.row, 1, error.what, error.remedy)]
        except CatalogError as error:
            return [Problem("instrument", source, None, 1, str(error), "Write the instrument to the catalogue")]
        return found

    def _damage(self, records: list[FileRecord]) -> list[Problem]:
        problems = []
        for record in records:
            path = self.path / record.path
            if part_digest(path, record.kind, record.shared_times) != record.sha256:
                text = "its columns are not those that were written (SHA-256 differs)"
                remedy = "Import the data again with mode='replace'"
                problems.append(Problem("digest", str(path), None, 1, text, remedy))
        return problems

    def describe_missing(
        self, kind: str, instrument_id: Any, bar_type: Any = None, start: Bound = None, end: Bound = None
    ) -> str:
        """Why a request matched no rows, and what the catalogue has instead: text for the user."""
        key = _key(kind, instrument_id, bar_type)
        asked = f"no {kind} data for {_name(key)}"
        entries = self.entries()
        if not entries:
            return f"{asked}: catalogue {self.path} is empty; import some with `fleet data import`"
        own = self.entry(kind, instrument_id, bar_type)
        if own is not None:
            first, last = parse_bound(start), parse_bound(end)
            span = f"from {_bound_text(first, 'the start')} to {_bound_text(last, 'the end')}"
            return (
                f"{asked} {span}: catalogue {self.path} has it from {iso_text(own.start_ns)} to {iso_text(own.end_ns)}"
            )
        shown = [f"{e.kind} {e.name} ({e.rows:,} rows)" for e in entries[:10]]
        more = f" and {len(entries) - 10} more" if len(entries) > 10 else ""
        hint = _did_you_mean(key, entries)
        return f"{asked}: catalogue {self.path} has {', '.join(shown)}{more}" + (f"; {hint}" if hint else "")


def _key(kind: str, instrument_id: Any, bar_type: Any) -> Key:
    if kind not in KIND_COLUMNS:
        raise CatalogError(f"unknown kind of data {kind!r}: use one of {', '.join(KIND_COLUMNS)}")
    if (kind == "bar") != (bar_type is not None):
        raise CatalogError("bars are kept by bar type, other kinds without: give bar_type for kind 'bar' only")
    return (kind, str(instrument_id), None if bar_type is None else str(bar_type))


def _name(key: Key) -> str:
    return key[2] or key[1]


def _same_files(stored: list[FileRecord], written: list[FileRecord]) -> bool:
    """True if all that was written is stored already, byte for byte (so the same files)."""
    paths = {record.path for record in stored}
    return all(record.path in paths for record in written)


def _did_you_mean(key: Key, entries: list[CatalogEntry]) -> str:
    same_instrument = [f"{e.kind} {e.name}" for e in entries if e.instrument_id == key[1]]
    if same_instrument:
        return f"did you mean {' or '.join(same_instrument[:3])}?"
    close = nearest(_name(key), [e.name for e in entries if e.kind == key[0]] or [e.name for e in entries])
    return f"did you mean {' or '.join(close)}?" if close else ""


def _bound_text(ns: int | None, default: str) -> str:
    return default if ns is None else iso_text(ns)
