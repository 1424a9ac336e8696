"""Which code this process runs: engines give the same bytes only where they are the same code."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

ENGINES = ("nautilus_common", "services")
"""Where engines are, and what they stand on."""


@cache
def package_version() -> str:
    """The version of nautilus-fleet that is installed."""
    try:
        return metadata.version("nautilus-fleet")
    except metadata.PackageNotFoundError:
        return "not installed"


@cache
def sources_hash(packages: tuple[str, ...]) -> str:
    """SHA-256 of the names and contents of all Python files of `packages`, as they are when it is first asked for:
    64 hexadecimal digits.
    """
    whole = hashlib.sha256()
    for package in packages:
        spec = find_spec(package)
        folders = (spec.submodule_search_locations or ()) if spec is not None else ()
        for folder in map(Path, folders):
            for path in sorted(folder.rglob("*.py")):
                data = path.read_bytes()
                whole.update(f"{package}/{path.relative_to(folder).as_posix()} {len(data)}\n".encode())
                whole.update(data)
    return whole.hexdigest()


def code_digest() -> str:
    """What the engines of this process are: 16 hexadecimal digits."""
    return sources_hash(ENGINES)[:16]
