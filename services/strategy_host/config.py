"""The strategy host of a run, made from its plan."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nautilus_common.errors import FleetError
from nautilus_common.hosting import Builder
from nautilus_common.model.ledger import Ledger
from nautilus_common.plan import RunPlan, Seat, StrategyPlan
from nautilus_common.settings import ProcessSettings
from nautilus_common.strategy.log import LogSettings

from services.strategy_host.engine import StrategyHostEngine
from services.strategy_host.loading import import_from, instance, load_class, strategy_file


def build(
    plan: RunPlan, seat: Seat, ledger: Ledger, project: Path, sink: Callable[[str], None] | None = None
) -> StrategyHostEngine:
    """The engine of `seat` with its strategies, whose files are looked up from `project`. Raises FleetError."""
    host = StrategyHostEngine(
        plan.trader_id,
        plan.instruments_by_id(),
        ledger,
        plan.streams,
        seat.rank,
        plan.data_rank,
        plan.bars,
        LogSettings(sink, plan.log_level),
        seat.engine,
    )
    import_from(project)
    for strategy in plan.host_of(seat.engine).strategies:
        host.add(_strategy(strategy, project), strategy.default_tag)
    return host


def _strategy(plan: StrategyPlan, project: Path) -> Any:
    where = f"{project}: {plan.path}"
    file = strategy_file(project, plan.path)
    if file is not None and file.is_file() and plan.sha256:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != plan.sha256:
            raise FleetError(
                f"the strategy's file here is not the one that the run was planned with: {found[:12]}, not "
                f"{plan.sha256[:12]}",
                where=where,
                remedy="give every process the same project folder (FLEET_PROJECT), or start the run again",
            )
    return instance(load_class(project, plan.path, where), dict(plan.params), lambda name: f"{where} {name}".rstrip())


def builder(settings: ProcessSettings) -> Builder:
    """How this process makes hosts: strategies come from its project folder, their log lines go to stderr."""

    def build_here(plan: RunPlan, seat: Seat, ledger: Ledger) -> StrategyHostEngine:
        return build(plan, seat, ledger, settings.project.resolve(), print_line)

    return build_here


def print_line(line: str) -> None:
    """A strategy's log line."""
    print(line, file=sys.stderr)
