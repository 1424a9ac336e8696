"""Snapshots: the state of the engines of one process as bytes, so that a restart need not replay the whole journal.

A snapshot is a cache in front of the journal, and nothing more (docs/adr/0020): it is bound to the code, the Python and
the libraries that wrote it, and whoever cannot load one replays the journal from its beginning and comes to the same
state. So there is no format to keep for ever, and a strategy may hold whatever objects it likes.

    8 bytes   b"NFSNAP1\\n"
    32 bytes  SHA-256 of all that follows
    4 bytes   length of the header, little-endian
    header    MessagePack map, `_Header`
    payload   a pickle, made by cloudpickle

`load` reads nothing of the payload before the hash has matched and the header has been compared. All engines of a
process go into one `dump`, so that what they share - a ledger, the columns of a block - is shared again afterwards.
"""

from __future__ import annotations

import gc
import hashlib
import io
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType, MethodWrapperType
from typing import Any

import cloudpickle
import msgspec

from nautilus_common.code import package_version
from nautilus_common.model import identifiers, values
from nautilus_common.snapshot_code import code_hash, python_and_libraries, source_hash, user_sources
from nautilus_common.unpicklable import first_unpicklable

MAGIC = b"NFSNAP1\n"
SHARE = 16
HEADER_BYTES_MAX = 1 << 22
SNAPSHOT_BYTES_MAX = 1 << 32

_BODY = len(MAGIC) + 32
_HEADER = _BODY + 4


class SnapshotError(Exception):
    """A snapshot cannot be written, read or used: says why. The journal has everything; replay it from its start."""


class _Header(msgspec.Struct, frozen=True):
    """What must be the same where a snapshot is loaded."""

    version: str
    python: str
    code: str
    modules: dict[str, tuple[str, str]]  # of the user's: file and hash of each
    bound_to: str


def until_next(done: int, least: int) -> int:
    """How much more is to be done, `done` being done, before the next snapshot: a sixteenth, but no less than `least`.

    A snapshot grows with what was done: so all of them together cost no more than some sixteen of the last.
    """
    return max(least, done // SHARE)


# -- bytes -----------------------------------------------------------------------------------------------------------


def dump(state: object, bound_to: str = "") -> bytes:
    """The snapshot of `state`: the engines of one process and whatever else it must remember, all at once.

    `bound_to` is a text that `load` must be given again, such as the hash of a configuration. Raises SnapshotError
    for what cannot be kept (an open file, a lock, a generator), naming its place in `state`.
    """
    payload = io.BytesIO()
    pickler = _Pickler(payload)
    with _without_collections():
        try:
            pickler.dump(state)
        except Exception as error:
            where = first_unpicklable(state, _reducers())
            raise SnapshotError(f"the state cannot be kept in a snapshot: {where or 'state'}: {error}") from error
    sources = user_sources(pickler.modules)
    header = msgspec.msgpack.encode(_Header(package_version(), python_and_libraries(), code_hash(), sources, bound_to))
    content = payload.getbuffer()
    if len(header) > HEADER_BYTES_MAX or content.nbytes > SNAPSHOT_BYTES_MAX:
        what = f"{content.nbytes:,} bytes with a header of {len(header):,}"
        raise SnapshotError(f"a snapshot of {what} is more than may be kept")
    length = len(header).to_bytes(4, "little")
    digest = hashlib.sha256(length + header)
    digest.update(content)
    return b"".join((MAGIC, digest.digest(), length, header, content))


def load(data: bytes, bound_to: str = "") -> Any:
    """The state that `data` holds. Modules of strategies must have been imported before, as they were when it was
    written; what a strategy keeps in globals of its module or in attributes of its class is not in a snapshot.

    Raises SnapshotError for a snapshot that is damaged, or of other code, settings, Python or libraries.
    """
    payload = _checked(data, bound_to)
    with _without_collections():
        try:
            return pickle.loads(payload)
        except Exception as error:
            raise SnapshotError(f"the snapshot cannot be loaded: {type(error).__name__}: {error}") from error


def _checked(data: bytes, bound_to: str) -> memoryview:
    """The payload of a snapshot that is whole and was written by this very code."""
    view = memoryview(data)
    if bytes(view[: len(MAGIC)]) != MAGIC:
        raise SnapshotError(f"not a snapshot of this version: its first bytes are {bytes(view[: len(MAGIC)])!r}")
    if hashlib.sha256(view[_BODY:]).digest() != bytes(view[len(MAGIC) : _BODY]):
        raise SnapshotError(f"the snapshot is damaged: the hash of its {len(data):,} bytes is not the one it names")
    length = int.from_bytes(view[_BODY:_HEADER], "little")
    if length > min(HEADER_BYTES_MAX, len(data) - _HEADER):
        raise SnapshotError(f"the snapshot is damaged: a header of {length:,} bytes in {len(data):,}")
    try:
        header = msgspec.msgpack.decode(view[_HEADER : _HEADER + length], type=_Header)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SnapshotError(f"the snapshot is damaged: its header: {error}") from error
    if difference := _difference(header, bound_to):
        raise SnapshotError(f"the snapshot is of other code: {difference}")
    return view[_HEADER + length :]


def _difference(header: _Header, bound_to: str) -> str | None:
    """What differs between where a snapshot was written and here; None when nothing does."""
    ours = (
        ("nautilus-fleet", header.version, package_version()),
        ("Python and libraries", header.python, python_and_libraries()),
        ("the source of nautilus-fleet", header.code, code_hash()),
        ("the settings", header.bound_to, bound_to),
    )
    for what, theirs, here in ours:
        if theirs != here:
            return f"{what} was {theirs or 'not given'}, here it is {here or 'not given'}"
    for name, (file, theirs) in header.modules.items():
        if source_hash(name, file) != theirs:
            return f"module {name} ({file}) has changed or is not there"
    return None


# -- the pickle ------------------------------------------------------------------------------------------------------

_CONSTRUCTORS = {
    id(value): (module.__name__, name)
    for module in (values, identifiers)
    for name, value in vars(module).items()
    if isinstance(value, MethodWrapperType)
}


def _reduce_method_wrapper(method: Any) -> tuple[Any, ...]:
    """Our C-level constructors (`price_from_raw`) by name: Python would look up `Price.__call__`, another function."""
    known = _CONSTRUCTORS.get(id(method))
    return (_constructor, known) if known is not None else method.__reduce__()


def _constructor(module: str, name: str) -> Any:
    return getattr(values if module == values.__name__ else identifiers, name)


def _reducers() -> dict[type, Callable[[Any], Any]]:
    """How types are reduced that do not say it themselves."""
    return {**cloudpickle.Pickler.dispatch_table, MethodWrapperType: _reduce_method_wrapper}


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no annotations
    """Classes and functions of modules by name; lambdas and nested functions by their code."""

    def __init__(self, file: io.BytesIO) -> None:
        self.dispatch_table = _reducers()  # a plain dict: it is asked for every object
        super().__init__(file)
        self.modules: set[str] = set()  # whose classes and functions it names
        self._plain: set[type] = set()  # types whose objects are no classes and no functions, as nearly all

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind in self._plain:
            return NotImplemented
        if not (issubclass(kind, type) or kind is FunctionType):
            self._plain.add(kind)
            return NotImplemented
        self.modules.add(getattr(obj, "__module__", None) or "")
        return super().reducer_override(obj)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Many objects are made at once and none is garbage: looking for some would take as long again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# -- files -----------------------------------------------------------------------------------------------------------


def save(path: Path, data: bytes) -> None:
    """Put `data` at `path`, durably: the file that was there stays until the new one is safe on disk.

    Raises SnapshotError when it cannot be written (a full disk); the old file is then still there.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise SnapshotError(f"cannot write the snapshot {path}: {error}; the one before it stays") from error


def read(path: Path) -> bytes | None:
    """The bytes of a snapshot, None when there is none. Raises SnapshotError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"cannot read the snapshot {path}: {error}") from error
