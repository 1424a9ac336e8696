"""From a checked configuration to a replay: its plan, its folder, and the process that drives it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_common.plan import HostPlan, PlanError, StrategyPlan

from nautilus_fleet.errors import FleetError
from nautilus_fleet.market import Market, load_market
from nautilus_fleet.runner import build_engine, build_lock, make_run_id
from nautilus_fleet.strategies import load_strategies, strategy_values

if TYPE_CHECKING:
    from nautilus_common.plan import RunPlan

    from nautilus_fleet.config_source import LoadedConfig

RESTARTS_MAX = 200
"""Times that the process of one replay is started again."""


def plan_run(
    loaded: LoadedConfig, market: Market, lock: Mapping[str, Any], project: Path, start_ns: int | None, progress: Any
) -> RunPlan:
    """What every process has to know of a run of this configuration. Raises FleetError."""
    strategies = load_strategies(loaded)  # so that what is wrong with them is said here, with its place
    engine = build_engine(loaded, market, strategies, project / "unused", progress)
    try:
        plan: RunPlan = engine.plan(_host_plans(loaded, lock, project), start_ns)
    except PlanError as error:
        raise FleetError(str(error), where=str(loaded.path)) from None
    return plan


def _host_plans(loaded: LoadedConfig, lock: Mapping[str, Any], project: Path) -> list[HostPlan]:
    """The strategies of a configuration by host, numbered over all; their files are named from the project folder."""
    from services.strategy_host.loading import strategy_file

    sections = loaded.model.all_strategies()
    # The host without a name comes first, as in BacktestEngine.
    names = sorted(dict.fromkeys(section.host for section in sections), key=bool)
    hosts: dict[str, list[StrategyPlan]] = {name: [] for name in names}
    inputs = lock["lock"]["inputs"]
    for number, section in enumerate(sorted(sections, key=lambda section: names.index(section.host))):
        path = section.path
        file = strategy_file(loaded.base, path)
        digest = ""
        if file is not None:
            digest = inputs[path.rpartition(":")[0]]
            path = f"{_within(file, project)}:{path.rpartition(':')[2]}"
        values = {name: _plain(value) for name, value in strategy_values(section).items()}
        hosts[section.host].append(StrategyPlan(path, values, digest, f"{number:03d}"))
    return [HostPlan(name, strategies) for name, strategies in hosts.items()]


def _within(file: Path, project: Path) -> str:
    try:
        return str(file.relative_to(project.resolve()))
    except ValueError:
        return str(file)


def _plain(value: Any) -> Any:
    """A number of a TOML file as it was written: its digits survive the way to another process."""
    return getattr(value, "text", value)


def prepare(loaded: LoadedConfig, folder: Path, project: Path, progress: Any, **options: Any) -> dict[str, Any]:
    """Write the folder of a replay; its job as a dictionary. Raises FleetError."""
    from services.replay.config import Job, write_job

    market = load_market(loaded, progress)
    lock = build_lock(loaded, market)
    run_id = make_run_id(loaded, market, lock)
    start, end = _bounds(loaded)
    plan = plan_run(loaded, market, lock, project, start, progress)
    sources, columns = _sources(loaded, market)
    job = Job(
        run_id=f"{run_id}-{secrets.token_hex(3)}",
        env=options.pop("env"),
        sources=sources,
        end_ns=end,
        data_start_ns=start,
        data_end_ns=end,
        rows=market.rows(),
        **options,
    )
    write_job(folder, job, plan, columns)
    return {"run_id": job.run_id, "env": job.env, "rows": job.rows, "name": run_id}


def _bounds(loaded: LoadedConfig) -> tuple[int | None, int | None]:
    from nautilus_fleet.backtest import time_ns

    return time_ns(loaded.model.run.start), time_ns(loaded.model.run.end)


def _sources(loaded: LoadedConfig, market: Market) -> tuple[list[Any], list[Any]]:
    from services.replay.config import Source

    sources: list[Any] = []
    columns: list[Any] = []
    for stream in market.streams:
        if stream.is_whole:
            sources.append(Source())
            columns.append(dict(next(stream.read()).columns))
            continue
        catalog = loaded.resolve(loaded.model.data.catalog or "")
        sources.append(
            Source(
                str(catalog),
                stream.kind,
                str(stream.instrument_id),
                "" if stream.bar_type is None else str(stream.bar_type),
            )
        )
        columns.append(None)
    return sources, columns


def drive(
    folder: Path, environ: Mapping[str, str], on_progress: Callable[[dict[str, Any]], None], on_pid: Any = None
) -> dict[str, Any]:
    """Run the replay in `folder` in a process of its own, started again whenever it dies; the result.

    Raises FleetError with what the process says has stopped it.
    """
    for restart in range(RESTARTS_MAX):
        last, code = _drive_once(folder, environ, on_progress, on_pid)
        if last.get("stage") == "done":
            result: dict[str, Any] = last["result"]
            return result | {"restarts": restart}
        if last.get("stage") == "failed":
            raise FleetError(f"the replay failed: {last['what']}", where=str(folder))
        if code > 0:
            what = f"the process of the replay ended with {code}"
            raise FleetError(what, where=str(folder), remedy="its error is above")
    raise FleetError(f"the process of the replay died {RESTARTS_MAX} times", where=str(folder))


def _drive_once(
    folder: Path, environ: Mapping[str, str], on_progress: Callable[[dict[str, Any]], None], on_pid: Any
) -> tuple[dict[str, Any], int]:
    """One life of the replay's process: the last that it said, and how it ended."""
    last: dict[str, Any] = {}
    command = [sys.executable, "-m", "services.replay", str(folder)]
    with subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True) as process:
        if on_pid is not None:
            on_pid(process.pid)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                last = json.loads(line)
                on_progress(last)
        except BaseException:
            process.kill()
            raise
    return last, process.returncode
