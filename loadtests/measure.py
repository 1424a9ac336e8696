"""Clocks and memory of one process. Standard library only: the peers' process uses it too."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def timed(work: Callable[[], object]) -> Figures:
    """Wall and CPU seconds of `work`. The collector runs before it, and as it likes during it."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"seconds": wall, "cpu_seconds": cpu}


def peak_rss_mb() -> float:
    """The process's own peak resident memory in MB (1e6 bytes).

    Linux's `ru_maxrss` is not used where the kernel tells more: a child inherits it from the parent that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]


def latency_us(values_ns: Sequence[int]) -> Figures:
    """p50, p99 and the greatest of latencies, in microseconds."""
    if not values_ns:
        raise ValueError("no latency was measured: no order was accepted")
    return {
        "p50_us": round(percentile(values_ns, 0.50) / 1e3, 2),
        "p99_us": round(percentile(values_ns, 0.99) / 1e3, 2),
        "max_us": round(max(values_ns) / 1e3, 2),
    }
