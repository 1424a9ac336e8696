"""Run folders on disk: finding one, reading its document, and what has changed since it was made."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from nautilus_fleet.errors import FleetError, UsageError

DOCUMENT = "summary.json"
LOCK = "config.lock.toml"


def find_run(run: str) -> Path:
    """A run folder by path, or by id (or an unambiguous beginning of one) under ./runs."""
    folder = Path(run)
    if (folder / DOCUMENT).is_file():
        return folder
    known = _known_runs()
    matches = [path for path in known if path.name == run] or [path for path in known if path.name.startswith(run)]
    if len(matches) == 1:
        return matches[0]
    if len(matches) > 1:
        raise UsageError(f"{run} could be any of {', '.join(p.name for p in matches)}", remedy="name one of them")
    if folder.is_dir() and (folder / LOCK).is_file():
        raise FleetError(f"{folder} did not finish: it has no {DOCUMENT}", remedy=f"fleet backtest {folder / LOCK}")
    names = ", ".join(str(path) for path in known[-5:])
    remedy = f"the newest here: {names}" if known else "there are none under ./runs; fleet backtest CONFIG makes one"
    raise UsageError(f"no run {run}", remedy=remedy)


def _known_runs() -> list[Path]:
    """The runs under ./runs and up to two folders below, oldest first."""
    patterns = ("runs/*/", "*/runs/*/", "*/*/runs/*/")
    found = [path.parent for pattern in patterns for path in Path().glob(pattern + DOCUMENT)]
    return sorted(found, key=lambda path: (path / DOCUMENT).stat().st_mtime)


def read_document(folder: Path) -> dict[str, Any]:
    """summary.json of a run: the object that `fleet backtest --json` printed."""
    path = folder / DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FleetError(f"{path} cannot be read: {error}", remedy=f"fleet backtest {folder / LOCK}") from None
    if not isinstance(document, dict) or "digest" not in document:
        raise FleetError(f"{path} is not the document of a run", remedy=f"fleet backtest {folder / LOCK}")
    return document


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files in the order of their names."""
    whole = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        with file.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


def changes_since(folder: Path) -> list[str]:
    """Inputs whose bytes are no longer those that the lock file recorded."""
    from nautilus_fleet.version import __version__

    lock = tomllib.loads((folder / LOCK).read_text(encoding="utf-8")).get("lock", {})
    changed = []
    if lock.get("version") != __version__:
        changed.append(f"version {lock.get('version')} -> {__version__}")
    for name, digest in lock.get("inputs", {}).items():
        path = Path(lock["base"], name)
        if not path.exists():
            changed.append(f"{name} is gone")
        elif file_digest(path) != digest:
            changed.append(name)
    return changed
