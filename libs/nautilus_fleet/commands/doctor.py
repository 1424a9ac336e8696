"""`fleet doctor`: what is installed, what is missing, the command that mends it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from nautilus_fleet.errors import EXIT_ERROR, EXIT_OK
from nautilus_fleet.terminal import paint

REQUIRED = ("msgspec", "numpy", "numba", "pyarrow", "pydantic", "cyclopts", "plotly", "rich", "tzdata")
FREE_MB_MIN = 500

# name, "ok" | "warn" | "fail", what was found, the command that mends it
Finding = tuple[str, str, str, str]


def doctor(*, json_: bool = False) -> int:
    """Say what is installed and what is missing; each failing line ends with the command that mends it.

    Usage: fleet doctor [--json]

      --json     print one JSON object on stdout: ok, checks [{name, state, found, remedy}]

    Exit code 1 when something that a backtest needs is missing.
    """
    findings = [_python(), *(_package(name) for name in REQUIRED), _numba_cache(), _zones()]
    findings += [*_servers(), _disk(), _data()]
    failed = any(state == "fail" for _, state, _, _ in findings)
    if json_:
        checks = [dict(zip(("name", "state", "found", "remedy"), finding, strict=True)) for finding in findings]
        print(json.dumps({"ok": not failed, "checks": checks}))
    else:
        colours = {"ok": "green", "warn": "yellow", "fail": "red"}
        for name, state, found, remedy in findings:
            mark = paint(f"{state:<4}", colours[state], sys.stdout)
            print(f"{mark}  {name:<12} {found}" + (f"   -> {remedy}" if remedy else ""))
    return EXIT_ERROR if failed else EXIT_OK


def _python() -> Finding:
    return "python", "ok", f"{sys.version.split()[0]} at {sys.executable}", ""


def _package(name: str) -> Finding:
    try:
        return name, "ok", metadata.version(name), ""
    except metadata.PackageNotFoundError:
        return name, "fail", "missing", "make setup"


def _numba_cache() -> Finding:
    """Compiled kernels are kept on disk; without that each run compiles them again."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return (
            "kernels",
            "warn",
            "NUMBA_DISABLE_JIT is set: interpreted, a hundred times slower",
            "unset NUMBA_DISABLE_JIT",
        )
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parents[2])
    if os.access(folder, os.W_OK):
        return "kernels", "ok", "compiled code is kept between runs", ""
    return (
        "kernels",
        "warn",
        f"{folder} cannot be written: compiled again each time",
        "export NUMBA_CACHE_DIR=$HOME/.cache/fleet",
    )


def _zones() -> Finding:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        return "time zones", "fail", "no data for America/New_York", "make setup"
    return "time zones", "ok", "America/New_York is known", ""


def _servers() -> list[Finding]:
    """What `fleet up` starts; a backtest needs none of it."""
    from nautilus_common.servers import ServerError
    from nautilus_common.servers.nats import check_nats_version, find_nats_server
    from nautilus_common.servers.postgres import find_postgres
    from nautilus_common.servers.valkey import find_valkey

    looks: dict[str, Callable[[], str]] = {
        "nats-server": lambda: ".".join(map(str, check_nats_version(find_nats_server()))),
        "valkey": lambda: str(find_valkey()),
        "postgres": lambda: str(find_postgres()),
    }
    findings: list[Finding] = []
    for name, look in looks.items():
        try:
            findings.append((name, "ok", look(), ""))
        except ServerError as error:
            findings.append((name, "warn", f"{error.what}; fleet up needs it", "make setup"))
    return findings


def _disk() -> Finding:
    free_mb = shutil.disk_usage(Path()).free // 1_000_000
    if free_mb < FREE_MB_MIN:
        return "disk", "warn", f"{free_mb:,} MB free here", "free some space, or set output.folder"
    return "disk", "ok", f"{free_mb:,} MB free here", ""


def _data() -> Finding:
    """The examples read FLEET_DATA; everything else needs nothing."""
    from nautilus_fleet.config_source import default_data_folder

    folder = Path(os.environ.get("FLEET_DATA") or default_data_folder(Path.cwd()))
    if folder.is_dir():
        return "FLEET_DATA", "ok", str(folder), ""
    return "FLEET_DATA", "warn", f"{folder} is not there; some examples need it", "export FLEET_DATA=/path/to/data"
