"""The run folder: everything one run leaves behind, written whole or not at all, and read back for reports.

runs/<run_id>/
  stats.json         identity of the run and all statistics: the contract; the tearsheet is a view of it
  summary.json       what `fleet backtest --json` prints
  config.lock.toml   the resolved configuration, to run it again
  orders|fills|positions|account|equity|prices.parquet   fixed schemas, also when empty
  tearsheet.html     one self-contained page
  events             the log whose digest it is (written by the engine, moved here)
"""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from .reports import summary_json
from .result import RunResult
from .run_tables import read_tables, write_tables
from .statistics import RunStatistics, compute_statistics
from .toml_writer import toml_text

FORMAT_VERSION = 1
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_IDENTITY = (
    "run_id", "name", "digest", "seed", "periods_per_year", "start_ns", "end_ns", "data", "events", "data_points",
    "balances", "pnl", "seconds", "warnings", "versions",
)  # fmt: skip


class RunFolderError(ValueError):
    """A run folder that cannot be read: missing, incomplete or damaged. The message names the file and the remedy."""


def write_run(
    result: RunResult, runs: Path, *, statistics: RunStatistics | None = None, tearsheet: bool = True
) -> Path:
    """Write `runs/<run_id>/` and return it. A folder of that id is replaced; on any error it is left as it was.

    `result.event_log`, when given, is moved in as `events`; without one the event log already there is kept.
    """
    if not _RUN_ID.fullmatch(result.run_id):
        raise ValueError(f"run id {result.run_id!r} cannot name a folder: use letters, digits, '.', '_' and '-'")
    stats = statistics if statistics is not None else compute_statistics(result)
    target = runs / result.run_id
    new, old = runs / f".{result.run_id}.{os.getpid()}.new", runs / f".{result.run_id}.{os.getpid()}.old"
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        _write_files(result, stats, new, tearsheet)
        moved = _take_event_log(result, target, new)
        if target.exists():
            target.rename(old)
        new.rename(target)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
    if moved is not None:
        moved.unlink(missing_ok=True)
    return target


def _write_files(result: RunResult, stats: RunStatistics, folder: Path, tearsheet: bool) -> None:
    write_tables(result, folder)
    (folder / "stats.json").write_bytes(_json(_stats_document(result, stats)))
    (folder / "summary.json").write_bytes(_json(summary_json(result, stats)))
    (folder / "config.lock.toml").write_text(toml_text(result.config), encoding="utf-8")
    if tearsheet:
        from .tearsheet import write_tearsheet

        write_tearsheet(result, folder / "tearsheet.html", statistics=stats)


def _take_event_log(result: RunResult, target: Path, new: Path) -> Path | None:
    """Link (or copy) the event log into the new folder; the source to remove once the folder stands."""
    kept = target / "events"
    source = Path(result.event_log) if result.event_log is not None else kept
    if not source.is_file():
        if result.event_log is not None:
            raise FileNotFoundError(f"event log {source} of run {result.run_id} does not exist")
        return None
    try:
        os.link(source, new / "events")
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, new / "events")
    return source if source.resolve().parent != target.resolve() else None


def _stats_document(result: RunResult, stats: RunStatistics) -> dict[str, Any]:
    run = {name: getattr(result, name) for name in _IDENTITY}
    if not result.versions:
        from .tearsheet_tables import installed_versions

        run["versions"] = installed_versions()
    return {"format": FORMAT_VERSION, "run": run, "statistics": stats.to_json()}


def _json(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def load_run(folder: Path) -> RunResult:
    """Read a run folder back. Raises RunFolderError naming the file that is missing or damaged."""
    stats_file = folder / "stats.json"
    if not stats_file.is_file():
        raise RunFolderError(f"{folder} is not a run folder: it has no stats.json. The runs are in {folder.parent}.")
    try:
        document = msgspec.json.decode(stats_file.read_bytes())
        if document["format"] != FORMAT_VERSION:
            raise RunFolderError(
                f"{stats_file} has format {document['format']}, this version reads {FORMAT_VERSION}: "
                "use the version of fleet that made the run, or run it again"
            )
        run = {name: document["run"][name] for name in _IDENTITY}
        result = RunResult(**run, config=tomllib.loads((folder / "config.lock.toml").read_text(encoding="utf-8")))
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, OSError) as error:
        raise RunFolderError(f"{folder} cannot be read: {error}. Run the backtest again to rebuild it.") from error
    try:
        read_tables(result, folder)
    except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are ValueErrors and OSErrors
        raise RunFolderError(f"{folder} cannot be read: {error}. Run the backtest again to rebuild it.") from error
    if (folder / "events").is_file():
        result.event_log = str(folder / "events")
    return result
