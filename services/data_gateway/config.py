"""Where the data gateway of a live session has its data from, as the session says it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from nautilus_common.errors import FleetError


class FeedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A market that needs no venue: the seeded sample market, or a catalogue, played at `speed` times its own pace.

    Rows arrive at random up to `jitter_us` late, drawn from `seed`; their order in a stream stays. `catalog` is looked
    up from FLEET_PROJECT.
    """

    kind: Literal["sample", "catalog"]
    seed: int = 42
    days: int = 10
    catalog: str = ""
    speed: float = 1.0
    jitter_us: int = 2_000


def read_feed(feed: dict[str, Any]) -> FeedConfig:
    """Raises FleetError."""
    try:
        config = msgspec.convert(feed, FeedConfig)
    except msgspec.ValidationError as error:
        raise FleetError(f"the session's feed cannot be used: {error}", remedy="kind is sample or catalog") from None
    if not 0.001 <= config.speed <= 1_000_000:
        raise FleetError(f"a feed at {config.speed:g} times its pace", remedy="write a speed from 0.001 to 1,000,000")
    return config
