"""Which code this process runs: engines give the same bytes only where they are the same code."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("nautilus_common", "services")


def package_version() -> str:
    """The version of the installed distribution."""
    try:
        return metadata.version("nautilus-fleet")
    except metadata.PackageNotFoundError:
        return "0+unknown"


@cache
def code_digest() -> str:
    """SHA-256 over the sources of engines and what they stand on: 16 hexadecimal digits."""
    import nautilus_common
    import services

    whole = hashlib.sha256()
    for package in (nautilus_common, services):
        root = Path(next(iter(package.__path__)))
        for path in sorted(root.rglob("*.py")):
            whole.update(str(path.relative_to(root)).encode())
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]
