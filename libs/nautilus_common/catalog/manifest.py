"""The manifest: the one file that says which files of a catalogue are alive, replaced as a whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from nautilus_common.catalog.errors import DataError

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 1


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One live Parquet file; `path` is relative to the catalogue, times are inclusive."""

    kind: str
    instrument_id: str
    bar_type: str | None
    path: str
    rows: int
    start_ns: int
    end_ns: int
    sha256: str
    price_precision: int
    size_precision: int
    allow_crossed: bool = False
    shared_times: bool = False
    source_seq: int | None = None  # the last message of the recorded stream that is in it

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What the file is of: kind, instrument and bar type."""
        return (self.kind, self.instrument_id, self.bar_type)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All live files, those of one key in order of time."""

    version: int = MANIFEST_VERSION
    generation: int = 0
    files: tuple[FileRecord, ...] = ()

    def of(self, key: tuple[str, str, str | None]) -> list[FileRecord]:
        """The files of one key in order of time."""
        return [record for record in self.files if record.key == key]

    def with_key(self, key: tuple[str, str, str | None], records: list[FileRecord]) -> Manifest:
        """The next manifest, in which `records` are all the files of the key."""
        kept = [record for record in self.files if record.key != key]
        files = sorted([*kept, *records], key=lambda r: (r.kind, r.instrument_id, r.bar_type or ""))  # stable
        return Manifest(generation=self.generation + 1, files=tuple(files))


class CatalogEntry(msgspec.Struct, frozen=True):
    """What a catalogue holds of one kind and instrument (or bar type); times are inclusive."""

    kind: str
    instrument_id: str
    bar_type: str | None
    rows: int
    start_ns: int
    end_ns: int
    files: tuple[str, ...]
    sha256: str
    allow_crossed: bool = False

    @property
    def name(self) -> str:
        """The bar type of bars, else the instrument."""
        return self.bar_type or self.instrument_id


def entry_of(records: list[FileRecord]) -> CatalogEntry:
    """The entry of the files of one key."""
    first = records[0]
    digest = first.sha256
    if len(records) > 1:
        digest = hashlib.sha256("".join(record.sha256 for record in records).encode()).hexdigest()
    return CatalogEntry(
        first.kind,
        first.instrument_id,
        first.bar_type,
        sum(record.rows for record in records),
        min(record.start_ns for record in records),
        max(record.end_ns for record in records),
        tuple(record.path for record in records),
        digest,
        any(record.allow_crossed for record in records),
    )


def load_manifest(root: Path) -> Manifest:
    """The manifest of a catalogue; an empty one if there is none yet."""
    path = root / MANIFEST_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if any((root / "data").glob("*/*/*.parquet")):
            remedy = "Restore it from a copy, or import the data again into a new folder"
            raise DataError("the manifest is missing", source=str(path), code="manifest", remedy=remedy) from None
        return Manifest()
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        remedy = "Restore it from a copy, or import the data again into a new folder"
        raise DataError(f"not a manifest: {error}", source=str(path), code="manifest", remedy=remedy) from error
    if manifest.version != MANIFEST_VERSION:
        raise DataError(
            f"version {manifest.version} of the catalogue is not {MANIFEST_VERSION}",
            source=str(path),
            code="manifest",
            remedy="Use the release of nautilus-fleet that wrote it, or import the data again",
        )
    return manifest


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that after a crash it is either the old or the new one, whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def save_manifest(root: Path, manifest: Manifest) -> None:
    """Swap the manifest: the moment at which a change of the catalogue happens."""
    replace_file(root / MANIFEST_NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def sync_file(path: Path) -> None:
    """Wait until the bytes of a file are on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk (not every system can)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def safe_name(identifier: Any) -> str:
    """An identifier as one file name, reversible by urllib's unquote: USD/JPY.SIM is USD%2FJPY.SIM."""
    name = quote(str(identifier), safe="-_+=@#,()")
    # A name of dots only would be a folder; case-blind file systems are told apart by the manifest's full paths.
    name = name.replace(".", "%2E") if not name.strip(".") else name
    if len(name) > 200:
        name = name[:160] + "~" + hashlib.sha256(name.encode()).hexdigest()[:16]
    return name
