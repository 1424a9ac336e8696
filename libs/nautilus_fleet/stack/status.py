"""How a running stack is: what its supervisor says of each process, and what each service says of itself."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nautilus_fleet.stack.service import address_of, ask_status
from nautilus_fleet.stack.state import MemberState, StackState

WORKERS_MAX = 16


@dataclass(frozen=True)
class ProcessStatus:
    """One line of `fleet status`; `lag` and `last_message_ns` are None where nobody has said."""

    name: str
    kind: str
    pid: int | None
    state: str
    restarts: int
    lag: int | None = None
    last_message_ns: int | None = None
    uptime_s: float | None = None
    detail: str = ""


def gather(folder: Path, state: StackState) -> list[ProcessStatus]:
    """Ask every service at once: one that does not answer costs its own time-out only."""
    with ThreadPoolExecutor(WORKERS_MAX) as pool:
        return list(pool.map(lambda member: _status_of(folder, member), state.members))


def _status_of(folder: Path, member: MemberState) -> ProcessStatus:
    known = ProcessStatus(member.name, member.kind, member.pid, member.state, member.restarts, detail=member.last_end)
    if member.kind == "server":
        return known if member.pid is None else _changed(known, detail=f"127.0.0.1:{member.port}")
    address = address_of(folder / "run" / f"{member.name}.json", member.pid)
    if member.pid is None or address is None:
        return known
    told = ask_status(address)
    if told is None:
        return _changed(known, state="silent", detail=f"no answer from http://{address}/status")
    return _changed(
        known,
        state=str(told.get("state") or member.state),
        lag=_whole(told.get("lag")),
        last_message_ns=_whole(told.get("last_message_ns")) or None,
        uptime_s=float(told["uptime_s"]) if isinstance(told.get("uptime_s"), int | float) else None,
        detail=str(told.get("detail") or ""),
    )


def _changed(status: ProcessStatus, **fields: Any) -> ProcessStatus:
    return ProcessStatus(**{**vars(status), **fields})


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def age_text(then_ns: int | None) -> str:
    """How long ago, for a table: 0.4 s, 12 s, 5 min, 3 h, 2 d."""
    if then_ns is None:
        return "-"
    seconds = (time.time_ns() - then_ns) / 1e9
    for limit, size, unit in ((10, 0, "s"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if abs(seconds) < limit:
            return f"{seconds:.1f} {unit}" if size == 0 else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
