"""The result of one run: what the engines hand over and every report reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays: TypeAlias = dict[str, NDArray[Any]]
    FloatArray: TypeAlias = NDArray[np.float64]

Row: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class RunResult:
    """One finished run. The engines fill it; reports, run folder and tearsheet only read it.

    Rows of `orders`, `fills`, `positions` and `account_states` carry the report columns of NautilusTrader (the index
    is a column of its own: `client_order_id`, `position_id`; account states have `ts`). Quantities, prices and money
    are strings ("1.40 USD" or "1.40"), time stamps int UTC nanoseconds, also in the columns that NautilusTrader shows
    as Timestamps.
    """

    run_id: str
    name: str
    digest: str
    seed: int
    periods_per_year: int
    """Trading days in a year of this market: 365 for one that never closes, 252 for US equities. Never guessed."""
    start_ns: int
    """Time of the first datum, UTC ns (0: unknown, the equity curve decides)."""
    end_ns: int
    config: dict[str, Any] = field(default_factory=dict)
    """The resolved configuration, as plain values that TOML can hold."""
    data: list[Row] = field(default_factory=list)
    """`{instrument_id, kind, bar_type, rows, sha256}` per input."""
    events: int = 0
    """Messages: commands and events of all engines."""
    data_points: int = 0
    orders: list[Row] = field(default_factory=list)
    fills: list[Row] = field(default_factory=list)
    positions: list[Row] = field(default_factory=list)
    account_states: list[Row] = field(default_factory=list)
    equity: dict[str, Arrays] = field(default_factory=dict)
    """Per "<account_id>/<currency>": `ts` int64 ns ascending, `equity`, `balance`, `unrealized` float64."""
    prices: dict[str, Arrays] = field(default_factory=dict)
    """Per instrument id: `ts` int64 ns, `open`, `high`, `low`, `close` float64, for the charts."""
    balances: dict[str, dict[str, str]] = field(default_factory=dict)
    """`{account: {currency: "decimal string"}}` at the end."""
    pnl: dict[str, str] = field(default_factory=dict)
    """`{currency: "decimal string"}` over the run."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time of `load`, `run` and `report`."""
    warnings: list[str] = field(default_factory=list)
    event_log: str | None = None
    """Path of the finished event log; `write_run` moves it into the run folder as `events`."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions that made the run; empty: those installed now are shown."""


def parse_money(text: object, currency: str = "") -> tuple[Decimal, str]:
    """Read "1_000.25 USD", "1,000.25 USD" or "1000.25" as an amount and its currency (`currency` where none is given).

    Raises ValueError when the amount is not a number.
    """
    amount, _, code = str(text).strip().partition(" ")
    try:
        return Decimal(amount.replace(",", "").replace("_", "")), code.strip() or currency
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount of money such as '12.50 USD'") from None


def is_closed_position(position: Row) -> bool:
    """Whether the row is a completed trade: closed, or a snapshot of a netting position that was closed."""
    return bool(position.get("is_snapshot")) or bool(position.get("ts_closed"))
