"""A fleet for a load test: real servers, the services in processes of their own, and replays over them.

    with Fleet(TOPOLOGIES["apart"]) as fleet:
        figures = fleet.replay(market.load(FOLDER, "quotes"), [StrategyPlan(...)])

Each replay is timed by its own process, without its start, and the CPU time of every process is read from the kernel.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from loadtests.measure import Figures
from loadtests.process import ROOT

if TYPE_CHECKING:
    from nautilus_common.plan import StrategyPlan

    from loadtests.market import Columns

ROLES = ("execution_gateway", "risk", "portfolio", "strategy_host")

#: Which services share a process. With the process of the replay itself, `apart` are five.
TOPOLOGIES: dict[str, list[list[str]]] = {
    "apart": [[role] for role in ROLES],
    "three": [["execution_gateway", "risk", "portfolio"], ["strategy_host"]],
    "one": [list(ROLES)],
}


class Fleet:
    """A local stack in a folder of its own, without databases; everything is gone when it is left."""

    def __init__(self, groups: Sequence[Sequence[str]], extra: Mapping[str, str] | None = None) -> None:
        from nautilus_fleet.stack import LocalStack

        self.folder = Path(tempfile.mkdtemp(prefix="fleet-load-"))
        services = [service for group in groups for service in group]
        together = [group for group in groups if len(group) > 1]
        self.stack = LocalStack(
            self.folder / "stack",
            services=services,
            together=together,
            postgres=False,
            valkey=False,
            project=ROOT,
            extra={"FLEET_LOG_LEVEL": "WARNING", **(extra or {})},
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
        return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in self.stack.processes.items()}

    def rss_mb(self) -> dict[str, float]:
        """Resident memory of every process of the stack now, in MB (1e6 bytes)."""
        return {
            name: round(psutil.Process(pid).memory_info().rss / 1e6, 1) for name, pid in self.stack.processes.items()
        }

    def replay(
        self,
        columns: Columns,
        hosts: Mapping[str, Sequence[StrategyPlan]],
        on_progress: Callable[[dict[str, Any]], None] | None = None,
        **job: Any,
    ) -> Figures:
        """Replay these quotes into strategies (host name -> its strategies); what its process measured.

        `cpu` holds the CPU seconds of each process over the replay, its start included.
        """
        from nautilus_fleet.replays import drive

        self._replays += 1
        env = f"r-{os.getpid()}-{self._replays}"
        folder = write_job(self.folder / env, columns, hosts, env=env, **job)
        before = self.cpu_seconds()
        result = drive(folder, self.stack.environment(), on_progress or _ignore)
        after = self.cpu_seconds()
        cpu = {name: round(after[name] - before.get(name, 0.0), 3) for name in after}
        cpu["replay"] = result["cpu_seconds"]
        shutil.rmtree(folder)
        return {**result, "cpu": cpu, "cpu_seconds": round(sum(cpu.values()), 3), "load": round(os.getloadavg()[0], 1)}


def write_job(
    folder: Path, columns: Columns, hosts: Mapping[str, Sequence[StrategyPlan]], env: str, **options: Any
) -> Path:
    """The folder of a replay over quotes of the load tests' market; its columns are `ts` and those of a quote."""
    from nautilus_common.catalog.columns import DataColumns
    from nautilus_common.model.identifiers import InstrumentId
    from nautilus_common.plan import HostPlan

    from loadtests.workloads import INSTRUMENT, empty_engine
    from services.replay.config import Job, Source
    from services.replay.config import write_job as write

    data = dict(columns)
    ts = data.pop("ts")
    data = {"ts_event": ts, "ts_init": ts, **data}
    engine = empty_engine()
    engine.add_data(DataColumns("quote", InstrumentId.from_str(INSTRUMENT), None, data))
    plan = engine.plan([HostPlan(name, list(plans)) for name, plans in hosts.items()], None)
    job = Job(run_id=env, env=env, sources=[Source()], rows=len(ts), **options)
    write(folder, job, plan, [data])
    return folder


def _ignore(_: dict[str, Any]) -> None:
    pass
