"""Which code is running: the text that a snapshot is bound to.

Sources are hashed when they are first asked for and remembered, since what runs is what was imported, whatever becomes
of the file. Ask once at start-up (loading a snapshot does) and an edit during a run changes nothing.
"""

from __future__ import annotations

import hashlib
import site
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import cloudpickle
import msgspec
import numpy as np

from nautilus_common.code import sources_hash

OURS = ("nautilus_common", "nautilus_fleet", "services")
BOUND = ("cloudpickle", "msgspec", "numpy")  # by their versions

_files: dict[str, tuple[str, bool]] = {}
_hashes: dict[str, str] = {}


@cache
def python_and_libraries() -> str:
    """What decides whether a pickle of ours can be read: it may hold bytecode, arrays and structs."""
    python = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"
    return f"{python}, cloudpickle {cloudpickle.__version__}, msgspec {msgspec.__version__}, numpy {np.__version__}"


def code_hash() -> str:
    """SHA-256 over all our Python files: a snapshot holds objects of any of them."""
    return sources_hash(OURS)


def user_sources(named: Iterable[str] = ()) -> dict[str, tuple[str, str]]:
    """Module -> (file, SHA-256) of every imported module of the user's: those that are neither ours nor installed, and
    those of installed packages (a strategy may be in one) of which the pickle names something, `named`.
    """
    packages = {name.partition(".")[0] for name in named}
    found = {}
    for name in sorted(sys.modules):
        file, is_installed = _file(name)
        if file and (not is_installed or name.partition(".")[0] in packages):
            found[name] = file, _imported_hash(name, file)
    return found


def source_hash(name: str, file: str) -> str:
    """SHA-256 of a module of the user's: as it was imported, else of the file as it is now; empty without one."""
    imported = _file(name)[0] if name in sys.modules else ""
    return _imported_hash(name, imported) if imported else _hash(file)


def _imported_hash(name: str, file: str) -> str:
    if name not in _hashes:
        _hashes[name] = _hash(file)
    return _hashes[name]


def _file(name: str) -> tuple[str, bool]:
    """(file, whether it is installed) of an imported module; no file for one of ours, of Python's, or not in Python."""
    if name not in _files:
        file: str = getattr(sys.modules[name], "__file__", None) or ""
        _files[name] = (file, _is_installed(file)) if _is_of_interest(name, file) else ("", False)
    return _files[name]


def _is_of_interest(name: str, file: str) -> bool:
    # Classes of `__main__` are kept by their code, not by name.
    if not file.endswith(".py") or name.partition(".")[0] in (*OURS, *BOUND, "__main__"):
        return False
    return _is_installed(file) or not file.startswith(_folders("stdlib", "platstdlib"))


def _is_installed(file: str) -> bool:
    return file.startswith((*_folders("purelib", "platlib"), *_site_folders()))


@cache
def _folders(*names: str) -> tuple[str, ...]:
    return tuple(f"{sysconfig.get_path(name)}/" for name in names)


@cache
def _site_folders() -> tuple[str, ...]:
    return tuple(f"{folder}/" for folder in site.getsitepackages())


def _hash(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""
