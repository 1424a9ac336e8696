"""Which code is running: the text that a snapshot is bound to.

Sources are hashed when they are first asked for and remembered, since what runs is what was imported, whatever becomes
of the file. Ask once at start-up (loading a snapshot does) and an edit during a run changes nothing.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path

import cloudpickle
import msgspec
import numpy as np

OURS = ("nautilus_common", "nautilus_fleet", "services")

_seen: dict[str, tuple[str, str] | None] = {}


@cache
def version() -> str:
    """The version of nautilus-fleet that is installed."""
    try:
        return importlib.metadata.version("nautilus-fleet")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@cache
def python_and_libraries() -> str:
    """What decides whether a pickle of ours can be read: it may hold bytecode, arrays and structs."""
    python = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"
    return f"{python}, cloudpickle {cloudpickle.__version__}, msgspec {msgspec.__version__}, numpy {np.__version__}"


@cache
def code_hash() -> str:
    """SHA-256 of the names and contents of all our Python files."""
    whole = hashlib.sha256()
    for package in OURS:
        spec = importlib.util.find_spec(package)
        folders = (spec.submodule_search_locations or ()) if spec is not None else ()
        for folder in map(Path, folders):
            for path in sorted(folder.rglob("*.py")):
                data = path.read_bytes()
                whole.update(f"{package}/{path.relative_to(folder).as_posix()} {len(data)}\n".encode())
                whole.update(data)
    return whole.hexdigest()


def project_sources() -> dict[str, tuple[str, str]]:
    """Module -> (file, SHA-256) of every imported module that is neither ours nor installed: the user's own."""
    for name, module in list(sys.modules.items()):
        if name not in _seen:
            file = getattr(module, "__file__", None)
            _seen[name] = (file, _hash(file)) if isinstance(file, str) and _is_project(name, file) else None
    return {name: found for name, found in sorted(_seen.items()) if found is not None}


def source_hash(name: str, file: str) -> str:
    """SHA-256 of a module of the user's: as it was imported, else of the file as it is now; empty without one."""
    found = project_sources().get(name)
    return found[1] if found is not None else _hash(file)


def _is_project(name: str, file: str) -> bool:
    # Classes of `__main__` are kept by their code, not by name.
    return file.endswith(".py") and name.partition(".")[0] not in (*OURS, "__main__") and not _is_installed(file)


def _is_installed(file: str) -> bool:
    return file.startswith(_installed_folders())


@cache
def _installed_folders() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names] + site.getsitepackages()
    return tuple(sorted({f"{folder}/" for folder in folders}))


def _hash(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""
