"""What a bus promises, whichever carries it: everything, unchanged, once, in order, to who listens and to nobody else.

A subclass gives `carry`: what engines say goes in, what each listener receives comes out.
"""

from __future__ import annotations

from typing import Any

import msgspec
from nautilus_common.engine import Outbox, Tag
from nautilus_common.messages.commands import CancelAllOrders, SubmitOrder
from nautilus_common.messages.events import OrderDenied, OrderInitialized
from nautilus_common.model.enums import OrderSide, OrderType
from nautilus_common.model.identifiers import ClientOrderId, InstrumentId, StrategyId, TraderId
from nautilus_common.model.values import Quantity

Received = tuple[Tag, str, Any]
TRADER, STRATEGY, OTHER = TraderId("T-1"), StrategyId("S-1"), StrategyId("BRK.B-2")
INSTRUMENT = InstrumentId.from_str("BRK.B.XNYS")


def submit(number: int) -> SubmitOrder:
    order = OrderInitialized(
        TRADER,
        STRATEGY,
        INSTRUMENT,
        ClientOrderId(f"O-{number}"),
        OrderSide.BUY,
        OrderType.MARKET,
        Quantity.from_int(number),
        number,
    )
    return SubmitOrder(TRADER, STRATEGY, order, None, number)


def denied(number: int) -> OrderDenied:
    return OrderDenied(TRADER, STRATEGY, INSTRUMENT, ClientOrderId(f"O-{number}"), "a reason with ünïcode", number)


class BusContract:
    """Subclass it with `carry`."""

    async def carry(self, said: list[Outbox], patterns: list[str]) -> list[list[Received]]:
        """What listeners to `patterns` receive of what was said, each in its order."""
        raise NotImplementedError

    async def test_everything_arrives_unchanged_and_once(self) -> None:
        outbox = Outbox("risk", 3)
        messages = [submit(n) if n % 2 else denied(n) for n in range(1, 301)]
        for n, message in enumerate(messages, 1):
            outbox.say((n, 0, 0, 0, 0), f"evt.order.XNYS.{n % 3}", message)
        (received,) = await self.carry([outbox], ["evt.order.>"])
        assert [message for _, _, message in received] == messages
        assert [msgspec.msgpack.encode(m) for _, _, m in received] == [msgspec.msgpack.encode(m) for m in messages]
        assert [tag[6] for tag, _, _ in received] == list(range(1, 301))

    async def test_only_who_listens_receives(self) -> None:
        outbox = Outbox("host", 4)
        channels = ["cmd.risk.S-1", "cmd.risk.BRK%2EB-2", "cmd.exec.SIM", "evt.order.SIM.S-1", "evt.account.SIM-001"]
        for n, channel in enumerate(channels, 1):
            outbox.say((n, 0, 0, 0, 0), channel, submit(n))
        patterns = ["cmd.risk.*", "cmd.exec.SIM", "evt.>", "cmd.risk.BRK%2EB-2", "cmd.venue.SIM", "*.order.SIM.S-1"]
        received = await self.carry([outbox], patterns)
        found = [[channel for _, channel, _ in each] for each in received]
        assert found == [channels[:2], channels[2:3], channels[3:], channels[1:2], [], channels[3:4]]

    async def test_what_one_engine_says_stays_in_order_among_others(self) -> None:
        first, second = Outbox("a", 1), Outbox("b", 2)
        for n in range(1, 101):
            first.say((n, 0, 0, 0, 0), "cmd.risk.S-1", submit(n))
            second.say((n, 0, 0, 0, 0), "cmd.risk.S-1", CancelAllOrders(TRADER, OTHER, INSTRUMENT, OrderSide.BUY, n))
        (received,) = await self.carry([first, second], ["cmd.risk.>"])
        for rank in (1, 2):
            assert [tag[6] for tag, _, _ in received if tag[5] == rank] == list(range(1, 101))
        assert len(received) == 200
