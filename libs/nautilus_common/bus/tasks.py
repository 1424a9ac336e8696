"""Ending a task that talks to a server, whatever it was at.

nats-py swallows a cancellation that comes while it flushes (`Client._flush_pending`): who cancels once and waits may
wait for ever. A task is cancelled again until it has ended.
"""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_SECONDS = 0.05


async def end_tasks(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel these tasks and wait until all have ended; what they raise is nobody's any more."""
    left = [task for task in tasks if task is not None and task is not asyncio.current_task()]
    while left:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=AGAIN_SECONDS)
        left = [task for task in left if not task.done()]
    for ended in tasks:
        if ended is not None and ended.done() and not ended.cancelled():
            ended.exception()
