"""One workload in a fresh process: the parent's side, and (`python -m loadtests.process NAME`) the child's."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SKIPPED = 77


class Skipped(Exception):
    """The workload cannot run here; the text says what is missing."""


def repeat(name: str, events: int | None, times: int) -> dict[str, Any]:
    """The run of median seconds of `times` fresh processes, with the least and the greatest seconds beside it."""
    runs = sorted((once(name, events) for _ in range(times)), key=lambda run: float(run["seconds"]))
    figures = runs[(len(runs) - 1) // 2]
    if times > 1:
        seconds = [run["seconds"] for run in runs]
        figures = {
            **figures,
            "repeat": times,
            "seconds_min": seconds[0],
            "seconds_median": statistics.median(seconds),
            "seconds_max": seconds[-1],
        }
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in figures.items()}


def once(name: str, events: int | None) -> dict[str, Any]:
    """One fresh process. Raises `Skipped`, or RuntimeError with what the process said at its end."""
    command = [sys.executable, "-m", "loadtests.process", name, *([str(events)] if events else [])]
    return run_child(command, environment())


def run_child(command: list[str], env: dict[str, str]) -> dict[str, Any]:
    """The JSON object that is the last line of the command's output."""
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode == SKIPPED:
        raise Skipped(done.stderr.strip())
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def environment() -> dict[str, str]:
    """The environment of a child: the libraries of this checkout, and a hash seed of its own as any process has."""
    path = [str(ROOT / "libs"), str(ROOT)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def main() -> int:
    from loadtests.workloads import WORKLOADS, measure

    events = int(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        print(json.dumps(measure(WORKLOADS[sys.argv[1]], events)))
    except Skipped as reason:
        print(reason, file=sys.stderr)
        return SKIPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
