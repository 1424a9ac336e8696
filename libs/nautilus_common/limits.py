"""What pre-trade risk lets pass, as a configuration says it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from nautilus_common.model.enums import TradingState
from nautilus_common.model.identifiers import InstrumentId

SECOND_NS = 1_000_000_000


class RateLimit(msgspec.Struct, frozen=True):
    """At most `limit` commands in any window of `interval_ns`."""

    limit: int = 100
    interval_ns: int = SECOND_NS

    @classmethod
    def from_str(cls, value: str) -> RateLimit:
        """Parse ``"100/00:00:01"`` (limit / hours:minutes:seconds). Raises ValueError."""
        limit, _, interval = value.partition("/")
        parts = interval.split(":")
        if not limit.isdigit() or len(parts) != 3 or not all(part.isdigit() for part in parts):
            raise ValueError(f"invalid rate {value!r}; write it as limit/HH:MM:SS, such as 100/00:00:01")
        hours, minutes, seconds = (int(part) for part in parts)
        interval_ns = (hours * 3600 + minutes * 60 + seconds) * SECOND_NS
        if int(limit) < 1 or interval_ns < 1:
            raise ValueError(f"invalid rate {value!r}; both the limit and the interval must be above zero")
        return cls(int(limit), interval_ns)


class RiskEngineConfig(msgspec.Struct, frozen=True):
    """What risk lets pass. `max_notional_per_order` is in the instrument's settlement currency."""

    bypass: bool = False
    max_order_submit_rate: RateLimit = RateLimit()
    max_order_modify_rate: RateLimit = RateLimit()
    max_notional_per_order: dict[InstrumentId, Decimal] = {}
    trading_state: TradingState = TradingState.ACTIVE
