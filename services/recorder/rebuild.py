"""Drop what was folded of an environment; fold its stream again, from its first message, and compare.

The stream is folded up to the very message that the database had reached, so that counts, the head of the chain and the
content of orders, positions and balances must come out the same; after that, up to the stream's end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nats.aio.client import Client
from nautilus_common.bus.api import stream_facts
from nautilus_common.messages import subjects

from services.recorder.config import RecorderConfig
from services.recorder.database import DatabaseLane
from services.recorder.lane import LaneFailed
from services.recorder.sink import Census, Sink

DRAIN_SECONDS = 10.0


async def rebuild(
    client: Client,
    env: str,
    sink: Sink,
    config: RecorderConfig,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """`{"before", "after", "equal", "differs", "seconds", "stream_seq"}`; `equal` is None if nothing was there before.

    `progress(database, place, end)` is called as it goes. Raises SinkAway, SinkRefused, BusError or LaneFailed.
    """
    began = time.monotonic()
    facts = await stream_facts(client, subjects.control_stream(env))
    if facts is None:
        raise LaneFailed(f"there is no stream {subjects.control_stream(env)} any more")
    end = facts.last_seq
    before = await sink.census(env)
    await sink.drop(env)
    stop_at = end if before is None else min(before.stream_seq, end)
    await _fold(client, env, sink, config, stop_at, progress)
    after = await sink.census(env)
    differs = _differences(before, after)
    if end > stop_at:
        await _fold(client, env, sink, config, end, progress)
    place = await sink.load(env)
    return {
        "before": None if before is None else before.as_dict(),
        "after": None if after is None else after.as_dict(),
        "equal": None if before is None else not differs,
        "differs": differs,
        "stream_seq": 0 if place is None else place.stream_seq,
        "seconds": round(time.monotonic() - began, 3),
    }


async def drop(env: str, sinks: list[Sink]) -> dict[str, dict[str, Any]]:
    """Remove what the databases hold of an environment: database -> what that was. Raises SinkAway, SinkRefused."""
    removed: dict[str, dict[str, Any]] = {}
    for sink in sinks:
        before = await sink.census(env)
        if before is not None:
            await sink.drop(env)
            removed[sink.name] = before.as_dict()
    return removed


async def _fold(
    client: Client,
    env: str,
    sink: Sink,
    config: RecorderConfig,
    stop_at: int,
    progress: Callable[[str, int, int], None],
) -> None:
    if stop_at == 0:
        return
    lane = DatabaseLane(env, client, sink, config, stop_at=stop_at)
    lane.on_commit = lambda place: progress(sink.name, place, stop_at)
    lane.start()
    try:
        await lane.reached(stop_at)
    finally:
        await lane.close(DRAIN_SECONDS)
    if lane.state == "failed":
        raise LaneFailed(lane.detail)


def _differences(before: Census | None, after: Census | None) -> list[str]:
    """The names of what is not as it was."""
    if before is None:
        return []
    now = Census() if after is None else after
    return [name for name in Census.__struct_fields__ if getattr(before, name) != getattr(now, name)]
