"""`fleet up`, `down`, `status`, `logs`: the local stack of a project."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nautilus_fleet.errors import EXIT_ERROR, EXIT_OK, UsageError

if TYPE_CHECKING:
    from nautilus_fleet.stack.settings import StackSettings
    from nautilus_fleet.stack.state import StackState
    from nautilus_fleet.stack.status import ProcessStatus


def up(
    *,
    project: str = ".",
    services: str | None = None,
    together: list[str] | None = None,
    foreground: bool = False,
    json_: bool = False,
) -> int:
    """Start servers and services on this machine, and keep them running; returns when all are ready.

    Usage: fleet up [--together SERVICE,SERVICE ...] [--services SERVICE,...] [--project DIR] [--foreground] [--json]

      --together     services that share one process, by commas; once for each group; `all` for all engines in one
      --services     which services, by commas; `none` for the servers alone
      --project      the folder of the project (default: this one); data and logs go to .fleet/stack in it
      --foreground   stay, and show what happens; Ctrl-C stops everything
      --json         print one JSON object on stdout: pid, state, environment, members

    NATS (two servers), Valkey and PostgreSQL come from Python packages: no Docker, no root. `[stack]` of fleet.toml
    holds the same settings, and more.

    Examples:
      fleet up
      fleet up --together risk,portfolio,execution_gateway
    """
    from nautilus_fleet.stack.daemon import start_daemon
    from nautilus_fleet.stack.settings import read_settings
    from nautilus_fleet.terminal import Progress

    folder = _project(project)
    settings = _with_arguments(read_settings(folder), services, together)
    settings.processes()
    if foreground:
        return _up_in_foreground(folder, settings, json_)
    progress = Progress(quiet=json_)

    def show(state: StackState) -> None:
        waiting = [member.name for member in state.members if member.state != "ready"]
        progress.stage(f"waiting for {', '.join(waiting)}", len(state.members))
        progress.advance(len(state.members) - len(waiting))

    try:
        state = start_daemon(folder, settings, show)
    finally:
        progress.close()
    _show_up(folder, state, json_)
    return EXIT_OK


def down(*, project: str = ".") -> int:
    """Stop the stack: services first, each finishing what it has begun, then the servers. Data stays.

    Usage: fleet down [--project DIR]

      --project   the folder of the project (default: this one)
    """
    from nautilus_fleet.stack.daemon import stop_daemon

    folder = _project(project)
    pid = stop_daemon(folder)
    print("no stack runs here" if pid is None else f"stopped the stack of {folder} (pid {pid}); its data stays")
    return EXIT_OK


def status(*, project: str = ".", json_: bool = False) -> int:
    """Every process of the stack: pid, state, lag, last message, restarts.

    Usage: fleet status [--project DIR] [--json]

      --project   the folder of the project (default: this one)
      --json      print one JSON object on stdout: pid, state, started_ns, processes [{name, kind, pid, state,
                  restarts, lag, last_message_ns, uptime_s, detail}]

    `silent`: the process is there and does not answer. Exit code 1 when a process is not ready, or no stack runs.
    """
    from nautilus_fleet.stack.state import running_state
    from nautilus_fleet.stack.status import gather

    folder, state = running_state(_project(project))
    processes = gather(folder, state)
    if json_:
        told = {"pid": state.pid, "state": state.state, "started_ns": state.started_ns}
        print(json.dumps(told | {"processes": [vars(process) for process in processes]}))
    else:
        print(_status_table(processes))
    return EXIT_OK if all(process.state == "ready" for process in processes) else EXIT_ERROR


def logs(*service: str, project: str = ".", follow: bool = False, lines: int = 20) -> int:
    """What the processes of the stack have written, each line with the name of its process.

    Usage: fleet logs [SERVICE ...] [--follow] [--lines N] [--project DIR]

      SERVICE     names of `fleet status`, or `supervisor`; all when none is given
      --follow    go on with what comes, until Ctrl-C or the end of the stack
      --lines     how many of the last lines of each (default 20)
      --project   the folder of the project (default: this one)

    Works after `fleet down` too. The files are .fleet/stack/logs/NAME.log, at most 10 MB, and NAME.log.1 before it.
    """
    from nautilus_fleet.stack.logs import follow as follow_files
    from nautilus_fleet.stack.logs import last_lines, size_of
    from nautilus_fleet.stack.state import STACK_FOLDER, supervisor_of

    if lines < 0:
        raise UsageError(f"--lines {lines}", remedy="write 0 or more")
    folder = _project(project) / STACK_FOLDER
    paths = _log_paths(folder, service)
    width = max(len(path.stem) for path in paths)
    # Where each ends now: no line that comes while these are printed is lost, or shown twice.
    places = {path: size_of(path) for path in paths}
    for path, place in places.items():
        for line in last_lines(path, lines, place):
            print(f"{path.stem:<{width}} | {line}", flush=follow)
    if follow:
        for path, line in follow_files(places, until=lambda: supervisor_of(folder) is None):
            print(f"{path.stem:<{width}} | {line}", flush=True)
    return EXIT_OK


def _project(project: str) -> Path:
    folder = Path(project).resolve()
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}", remedy="fleet init makes a project")
    return folder


def _with_arguments(settings: StackSettings, services: str | None, together: list[str] | None) -> StackSettings:
    """The command line before the file."""
    import msgspec

    if services is not None:
        chosen = () if services == "none" else _words(services)
        # The groups of the file are of its services; those that are not started have no group.
        kept = tuple(tuple(role for role in group if role in chosen) for group in settings.together)
        settings = msgspec.structs.replace(settings, services=chosen, together=tuple(group for group in kept if group))
    if together is not None:
        settings = msgspec.structs.replace(settings, together=tuple(map(_words, together)))
    return settings


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _up_in_foreground(folder: Path, settings: StackSettings, json_: bool) -> int:
    from nautilus_fleet.stack.daemon import make_stack, supervise
    from nautilus_fleet.stack.state import read_state

    stack = make_stack(folder, settings, on_event=lambda text: print(text, file=sys.stderr, flush=True))

    def show() -> None:
        state = read_state(stack.folder)
        if state is not None:
            _show_up(folder, state, json_)

    supervise(stack, settings, on_ready=show)
    return EXIT_OK


def _show_up(folder: Path, state: StackState, json_: bool) -> None:
    import msgspec

    from nautilus_fleet.stack.state import STACK_FOLDER
    from nautilus_fleet.stack.status import gather

    if json_:
        print(msgspec.json.encode(state).decode(), flush=True)
        return
    print(_status_table(gather(folder / STACK_FOLDER, state)))
    where = "" if folder == Path.cwd() else f" --project {folder}"
    print(f"\nready: supervisor pid {state.pid}, data and logs in {folder / STACK_FOLDER}")
    print(f"next: fleet status{where}, fleet logs{where} --follow, fleet down{where}", flush=True)


def _status_table(processes: list[ProcessStatus]) -> str:
    from nautilus_fleet.stack.status import age_text
    from nautilus_fleet.terminal import table

    header = ("service", "pid", "state", "lag", "last message", "restarts", "")
    rows = [
        (
            process.name,
            "-" if process.pid is None else str(process.pid),
            process.state,
            "-" if process.lag is None else f"{process.lag:,}",
            age_text(process.last_message_ns),
            str(process.restarts),
            process.detail,
        )
        for process in processes
    ]
    return table(header, rows)


def _log_paths(folder: Path, services: tuple[str, ...]) -> list[Path]:
    found = {path.stem: path for path in sorted((folder / "logs").glob("*.log"))}
    if not found:
        raise UsageError(f"no logs in {folder / 'logs'}", remedy="start a stack: fleet up")
    for service in services:
        if service not in found:
            raise UsageError(f"no log of {service!r}", remedy=f"there is {', '.join(found)}")
    return [found[service] for service in services] or list(found.values())
