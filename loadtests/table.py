"""The table of figures for people: one line a workload, with its goals and how far it is from them."""

from __future__ import annotations

from typing import Any

from loadtests.workloads import WORKLOADS, Goal, Workload

_COLUMNS = (
    ("workload", 8, "<"),
    ("what", 36, "<"),
    ("events", 9, ">"),
    ("orders", 7, ">"),
    ("seconds", 8, ">"),
    ("cpu s", 8, ">"),
    ("events/s", 10, ">"),
    ("peak MB", 7, ">"),
    ("goals: measured / goal (1.00 or more is reached)", 0, "<"),
)
#: Wall over CPU seconds above which a run waited for the processor: nothing here waits for anything else.
CONTENDED = 1.2
_UNITS = {"events_per_s": "/s", "p50_us": " us", "p99_us": " us", "seconds": " s", "growth": "x"}
_LABELS = {"events_per_s": "rate", "p50_us": "p50", "p99_us": "p99", "seconds": "time", "growth": "growth"}


def head() -> str:
    """The names of the columns."""
    return _row([name for name, _, _ in _COLUMNS])


def line(workload: Workload, figures: dict[str, Any]) -> str:
    """The figures of one workload."""
    cells = [
        workload.name,
        workload.title,
        f"{figures['events']:,}",
        f"{figures.get('orders', 0):,}",
        f"{figures['seconds']:.3f}",
        f"{figures['cpu_seconds']:.3f}",
        f"{figures['events_per_s']:,}",
        f"{figures['peak_rss_mb']:.0f}",
        "; ".join(_goal(goal, figures) for goal in workload.goals),
    ]
    if figures["seconds"] > CONTENDED * figures["cpu_seconds"]:
        cells[-1] += "  (the machine was busy: wall time is well above CPU time)"
    if "seconds_min" in figures:
        cells[-1] += f"  [{figures['repeat']} runs, {figures['seconds_min']:.3f} to {figures['seconds_max']:.3f} s]"
    return _row(cells)


def listing() -> str:
    """All workloads with what they are and must reach."""
    lines = [f"{w.name:<8}{w.title:<38}{', '.join(_limit(goal) for goal in w.goals)}" for w in WORKLOADS.values()]
    return "\n".join(lines)


def _goal(goal: Goal, figures: dict[str, Any]) -> str:
    ratio = goal.ratio(figures)
    measured = _number(goal, float(figures[goal.figure]))
    mark = "" if ratio >= 1 else " MISSED"
    return f"{_LABELS[goal.figure]} {measured} / {_number(goal, goal.limit)} = {ratio:.2f}{mark}"


def _limit(goal: Goal) -> str:
    return f"{_LABELS[goal.figure]} {'>=' if goal.at_least else '<='} {_number(goal, goal.limit)}"


def _number(goal: Goal, value: float) -> str:
    unit = _UNITS[goal.figure]
    if goal.figure == "events_per_s":
        return f"{value / 1e6:.2f} M{unit}"
    return f"{value:.2f}{unit}"


def _row(cells: list[str]) -> str:
    return "  ".join(
        f"{cell:{align}{width}}" if width else cell for cell, (_, width, align) in zip(cells, _COLUMNS, strict=True)
    )
