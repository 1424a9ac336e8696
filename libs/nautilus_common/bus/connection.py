"""Connections to NATS servers with the options that were measured to survive their deaths."""

from __future__ import annotations

from collections.abc import Callable

import nats
from nats.aio.client import Client


async def connect(url: str, name: str, *, on_state: Callable[[str, str], None] | None = None) -> Client:
    """Connect; reconnect for ever when the server goes away."""

    def tell(state: str, detail: str = "") -> None:
        if on_state is not None:
            on_state(state, detail)

    async def disconnected() -> None:
        tell("disconnected")

    async def reconnected() -> None:
        tell("connected")

    async def error(found: Exception) -> None:
        tell("error", str(found))

    return await nats.connect(
        url,
        name=name,
        reconnect_time_wait=0.05,
        max_reconnect_attempts=-1,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        error_cb=error,
        pending_size=64 << 20,
    )
