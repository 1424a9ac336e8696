"""A fleet for a load test: real servers, the services in processes of their own, and replays over them.

    with Fleet(TOPOLOGIES["apart"]) as fleet:
        figures = fleet.replay(quotes(100_000), {"": [turn(every=5)]})

A replay is timed by its own process, without its start; the CPU time of every other process is read from the kernel.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import psutil

from loadtests import market
from loadtests.measure import Figures
from loadtests.process import ROOT, environment

if TYPE_CHECKING:
    from nautilus_common.plan import StrategyPlan

    from loadtests.market import Columns

ROLES = ("execution_gateway", "risk", "portfolio", "strategy_host")
STRATEGIES = "loadtests/fleet_strategies.py"

#: Which services share a process. With the process of the replay itself, `apart` are five.
TOPOLOGIES: dict[str, list[list[str]]] = {
    "apart": [[role] for role in ROLES],
    "three": [["execution_gateway", "risk", "portfolio"], ["strategy_host"]],
    "one": [list(ROLES)],
}
Hosts = Mapping[str, Sequence["StrategyPlan"]]


class Fleet:
    """A local stack in a folder of its own, without databases; everything is gone when it is left."""

    def __init__(self, groups: Sequence[Sequence[str]]) -> None:
        from nautilus_fleet.stack import LocalStack

        self.folder = Path(tempfile.mkdtemp(prefix="fleet-load-"))
        self.stack = LocalStack(
            self.folder / "stack",
            services=[service for group in groups for service in group],
            together=[group for group in groups if len(group) > 1],
            postgres=False,
            valkey=False,
            project=ROOT,
            extra={"FLEET_LOG_LEVEL": "WARNING"},
        )
        self._replays = 0

    def __enter__(self) -> Self:
        try:
            self.stack.__enter__()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self.stack.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds of every process of the stack since its start."""
        return {name: sum(process.cpu_times()[:2]) for name, process in self._processes().items()}

    def rss_mb(self) -> dict[str, float]:
        """Resident memory of every process of the stack now, in MB (1e6 bytes)."""
        return {name: round(process.memory_info().rss / 1e6, 1) for name, process in self._processes().items()}

    def _processes(self) -> dict[str, psutil.Process]:
        found = {}
        for name, pid in self.stack.processes.items():
            with suppress(psutil.NoSuchProcess):
                found[name] = psutil.Process(pid)
        return found

    def replay(
        self,
        columns: Columns,
        hosts: Hosts,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
        environ: Mapping[str, str] | None = None,
        **job: Any,
    ) -> Figures:
        """Replay these quotes into strategies (host name -> its strategies); what its process measured.

        `cpu` holds the CPU seconds of each process over the replay, those of its end included; `filled` the fills.
        """
        from nautilus_fleet.replays import drive

        self._replays += 1
        env = f"r-{os.getpid()}-{self._replays}"
        folder = write_job(self.folder / env, columns, hosts, env=env, **job)
        before = self.cpu_seconds()
        settings = {**environment(), **self.stack.environment(), "FLEET_LOG_LEVEL": "WARNING", **(environ or {})}
        result = drive(folder, settings, on_progress or _ignore)
        after = self.cpu_seconds()
        cpu = {name: round(after[name] - before.get(name, 0.0), 3) for name in after}
        cpu["replay"] = result["cpu_seconds"]
        figures = {**result, "cpu": cpu, "cpu_seconds": round(sum(cpu.values()), 3), "filled": fills(folder / "events")}
        shutil.rmtree(folder)
        return figures


def quotes(count: int) -> Columns:
    """The first `count` quotes of the load tests' market, which begins again where it ends, at later times."""
    from loadtests.workloads import FOLDER

    columns = market.load(FOLDER, "quotes")
    ts = columns["ts"]
    times, span = -(-count // len(ts)), int(ts[-1] - ts[0]) + 1_000_000_000
    long = {name: np.tile(column, times)[:count] for name, column in columns.items()}
    long["ts"] = np.concatenate([ts + span * number for number in range(times)])[:count]
    return long


def plan(name: str, tag: str = "000", **params: Any) -> StrategyPlan:
    """A strategy of `fleet_strategies` on the instrument of the market; `tag` makes its id unique in a run."""
    from nautilus_common.plan import StrategyPlan

    from loadtests.workloads import INSIDE_BARS, INSTRUMENT

    own = {"bar_type": INSIDE_BARS} if name == "Bars" else {"instrument_id": INSTRUMENT}
    return StrategyPlan(f"{STRATEGIES}:{name}", {**own, **params}, default_tag=tag)


def write_job(folder: Path, columns: Columns, hosts: Hosts, env: str, **options: Any) -> Path:
    """The folder of a replay over quotes: columns as `quotes` makes them."""
    from nautilus_common.plan import HostPlan

    from services.replay.config import Job, Source
    from services.replay.config import write_job as write

    engine, data = _engine(columns)
    run = engine.plan([HostPlan(name, list(plans)) for name, plans in hosts.items()], None)
    job = Job(run_id=env, env=env, sources=[Source()], rows=len(columns["ts"]), **options)
    write(folder, job, run, [data])
    return folder


def backtest_digest(columns: Columns, plans: Sequence[StrategyPlan]) -> str:
    """The digest of the same run in this process."""
    from services.strategy_host.loading import instance, load_class

    engine, _ = _engine(columns)
    engine.add_strategies([instance(load_class(ROOT, p.path, p.path), dict(p.params), str) for p in plans])
    engine.run()
    return str(engine.digest)


def _engine(columns: Columns) -> tuple[Any, dict[str, Any]]:
    from nautilus_common.catalog.columns import DataColumns
    from nautilus_fleet import InstrumentId

    from loadtests.workloads import INSTRUMENT, empty_engine

    data = {"ts_event": columns["ts"], "ts_init": columns["ts"]} | {k: v for k, v in columns.items() if k != "ts"}
    engine = empty_engine()
    engine.add_data(DataColumns("quote", InstrumentId.from_str(INSTRUMENT), None, data))
    return engine, data


def fills(events: Path) -> int:
    """How many fills an event log holds."""
    from nautilus_common.journal import read_events

    return Counter(message["type"] for _, _, message in read_events(events))["OrderFilled"]


def _ignore(_: dict[str, Any]) -> None:
    pass
