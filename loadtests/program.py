"""What the programs of the load tests over processes have in common: their lines, as text or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from loadtests.measure import Figures
from loadtests.workloads import Goal


@dataclass(frozen=True)
class Row:
    """One measured thing: its figures, and what some of them must reach."""

    name: str
    title: str
    figures: Figures
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """Figures that are worth a place in the line though nothing is asked of them."""

    def as_json(self) -> dict[str, Any]:
        """One object: the figures, and for each goal its ratio (1 or more is reached)."""
        goals = [
            {"figure": g.figure, "measured": self.figures[g.figure], "goal": g.limit, "ratio": round(self.ratio(g), 3)}
            for g in self.goals
        ]
        return {"workload": self.name, "title": self.title, **self.figures, "goals": goals}

    def ratio(self, goal: Goal) -> float:
        """As `Goal.ratio`; a cost of nothing reaches any goal."""
        return goal.ratio(self.figures) if self.figures[goal.figure] else float(not goal.at_least) * 999

    def line(self) -> str:
        """The same for people."""
        parts = []
        for goal in self.goals:
            ratio = self.ratio(goal)
            mark = "" if ratio >= 1 else " MISSED"
            measured, limit = (_number(value) for value in (self.figures[goal.figure], goal.limit))
            parts.append(f"{goal.figure} {measured} / {limit} = {ratio:.2f}{mark}")
        parts += [f"{name} {_number(self.figures[name])}" for name in self.notes]
        return f"{self.name:<18}{self.title:<62}{'; '.join(parts)}  (load {self.figures['load']})"


def run(
    doc: str | None,
    rows: Callable[[argparse.Namespace], Iterator[Row]],
    options: Callable[[argparse.ArgumentParser], None],
    arguments: list[str] | None,
) -> int:
    """The program: 0 when all was measured, missed goals included; 1 with the reason when something failed."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout, nothing else")
    options(parser)
    chosen = parser.parse_args(arguments)
    try:
        for row in rows(chosen):
            row.figures["load"] = round(os.getloadavg()[0], 1)
            print(json.dumps(row.as_json()) if chosen.json else row.line(), flush=True)
    except (AssertionError, OSError, RuntimeError) as error:
        print(f"{parser.prog}: failed: {error}", file=sys.stderr)
        return 1
    return 0


def median(runs: list[Figures]) -> Figures:
    """The run of median seconds."""
    return sorted(runs, key=lambda figures: float(figures["seconds"]))[(len(runs) - 1) // 2]


def positive(text: str) -> int:
    """A number of rows, orders or runs for argparse."""
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _number(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_number(each)}" for name, each in value.items())
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
