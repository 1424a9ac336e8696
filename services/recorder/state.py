"""What the recorder keeps of an environment: the place it has reached, and orders and positions as folded so far.

All are plain structs that both databases hold and give back, so that a restart needs neither a snapshot nor the log.
Quantities and prices are exact decimals with the number of decimals of the message.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

GENESIS = bytes(32)
"""What stands before the first record of the chain."""


class Place(msgspec.Struct):
    """How far one database has come. It is committed together with the rows it speaks of."""

    stream_seq: int = 0  # of the last message of the stream that is done with
    created: str = ""  # when the stream was made: another one of the same name is not this one
    head: bytes = GENESIS  # hash of the last record
    records: int = 0
    entries: int = 0
    rejected: int = 0
    ranks: dict[int, int] = {}  # engine -> its last count
    roles: dict[int, list[str]] = {}  # engine -> the roles that it can have, by the logs in which it spoke
    #: engine -> counts of records that could not be read; a true engine has used them up, a forger has not.
    unread: dict[int, list[int]] = {}

    def copy(self) -> Place:
        """Another one that can be changed apart."""
        unread = {rank: list(counts) for rank, counts in self.unread.items()}
        return msgspec.structs.replace(self, ranks=dict(self.ranks), roles=dict(self.roles), unread=unread)


class OrderState(msgspec.Struct):
    """An order as its commands and events have made it. None: not told yet."""

    client_order_id: str
    strategy_id: str
    instrument_id: str
    status: str
    first_seq: int
    last_seq: int
    trader_id: str | None = None
    account_id: str | None = None
    venue_order_id: str | None = None
    position_id: str | None = None
    side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    quantity: Decimal | None = None
    filled: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)  # sum of price x quantity over its fills
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    reason: str | None = None
    is_open: bool = True  # it may still be filled
    ts_init: int | None = None
    ts_last: int = 0


class PositionState(msgspec.Struct):
    """A position id: the sum of its signed fills, and what the portfolio has said of it last."""

    position_id: str
    strategy_id: str
    instrument_id: str
    account_id: str
    first_seq: int
    last_seq: int
    quantity: Decimal = Decimal(0)  # signed: the sum of its fills
    fills: int = 0
    said_quantity: Decimal | None = None  # signed: what the portfolio says
    avg_px_open: Decimal | None = None
    realized_pnl: Decimal | None = None  # of its present life, or of its last
    currency: str | None = None
    ts_opened: int | None = None
    ts_closed: int | None = None
    ts_last: int = 0


class AccountNow(msgspec.Struct):
    """An account as the portfolio has said it last."""

    account_id: str
    account_type: str
    base_currency: str | None
    balances: dict[str, dict[str, Decimal]]  # currency -> total, locked, free
    margins: list[dict[str, Any]]
    ts_last: int
    last_seq: int


Row = tuple[Any, ...]


class Batch(msgspec.Struct):
    """What some messages of the stream have caused, to be committed as one.

    The columns of each kind of row are those of `postgres.COLUMNS`, without `env`.
    """

    before: Place
    after: Place
    events: list[Row]
    fills: list[Row]
    account_states: list[Row]
    entries: list[Row]
    rejected: list[Row]
    orders: dict[str, OrderState]
    positions: dict[str, PositionState]
    accounts: dict[str, AccountNow]
    duplicates: int = 0
    fault: str = ""  # why the recorder cannot go beyond `after`
