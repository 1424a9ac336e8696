"""What the log says of a live session: how much was said, and each position as the sum of its fills."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nautilus_fleet.live import Servers
from nautilus_fleet.live_proof import messages

if TYPE_CHECKING:
    from nautilus_common.session import Session


@dataclass
class PositionLine:
    """One position: what its fills sum to, and what the portfolio has said last of it."""

    instrument_id: str
    filled: Decimal = Decimal(0)
    told: Decimal = Decimal(0)


@dataclass
class SessionSummary:
    """A session, up to now."""

    session: str
    orders: int = 0
    fills: int = 0
    denied: int = 0
    rejected: int = 0
    positions: dict[str, PositionLine] = field(default_factory=dict)
    balances: dict[str, dict[str, str]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    twice: int = 0  # fills whose (order, trade) came before

    @property
    def differing(self) -> list[str]:
        """Positions that are not the sum of their fills."""
        return [name for name, line in self.positions.items() if line.filled != line.told]

    def to_json(self) -> dict[str, Any]:
        told = asdict(replace(self, kinds=Counter()))  # asdict does not know how to make a Counter
        return {**told, "kinds": dict(self.kinds), "differing": self.differing}


async def summarize(servers: Servers, session: Session, opened: int) -> SessionSummary:
    """Fold the records of a session."""
    import msgspec
    from nautilus_common.bus.publisher import read_entry
    from nautilus_common.live_log import log_subject
    from nautilus_common.messages.codec import AnyMessage

    decode = msgspec.msgpack.Decoder(tuple[tuple[int, ...], str, AnyMessage]).decode
    names = {log_subject(servers.env, tuple(p.roles), name): name for name, p in session.placing.items()}
    made = SessionSummary(session.id)
    trades: set[tuple[str, str]] = set()
    async for _, subject, data in messages(servers, tuple(names), opened):
        entry = read_entry(data, names[subject])
        if entry is None:
            continue
        for raw in entry.records:
            _fold(made, decode(raw)[2], trades)
    return made


def _fold(made: SessionSummary, message: Any, trades: set[tuple[str, str]]) -> None:
    from nautilus_common.messages.commands import SubmitOrder
    from nautilus_common.messages.events import (
        AccountState,
        OrderDenied,
        OrderFilled,
        OrderRejected,
        PositionChanged,
        PositionClosed,
        PositionOpened,
    )
    from nautilus_common.model.enums import PositionSide

    made.kinds[type(message).__name__] += 1
    match message:
        case SubmitOrder():
            made.orders += 1
        case OrderDenied():
            made.denied += 1
        case OrderRejected():
            made.rejected += 1
        case OrderFilled():
            made.fills += 1
            trade = (message.client_order_id.value, message.trade_id.value)
            made.twice += trade in trades
            trades.add(trade)
            assert message.position_id is not None
            line = made.positions.setdefault(message.position_id.value, PositionLine(str(message.instrument_id)))
            quantity = message.last_qty.as_decimal()
            line.filled += quantity if message.is_buy else -quantity
        case PositionOpened() | PositionChanged() | PositionClosed():
            line = made.positions.setdefault(message.position_id.value, PositionLine(str(message.instrument_id)))
            quantity = message.quantity.as_decimal()
            line.told = -quantity if message.side is PositionSide.SHORT else quantity
        case AccountState():
            made.balances[message.account_id.value] = {
                balance.total.currency.code: str(balance.total.as_decimal()) for balance in message.balances
            }
