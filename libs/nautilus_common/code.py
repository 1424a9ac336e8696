"""Which code this process runs: engines give the same bytes only where they are the same code."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from importlib.util import find_spec
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
    whole = hashlib.sha256()
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None and spec.submodule_search_locations, f"{name} is not a package here"
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            whole.update(str(path.relative_to(root)).encode())
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]
