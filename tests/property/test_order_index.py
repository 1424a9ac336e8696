"""The orders of a host, and its closed positions, through any life with any number of snapshots: as a plain list."""

from __future__ import annotations

import pickle
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from nautilus_common.messages.events import OrderAccepted, OrderCanceled, OrderFilled, OrderSubmitted
from nautilus_common.model.closed_positions import ClosedPositions
from nautilus_common.model.currencies import USD
from nautilus_common.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType
from nautilus_common.model.identifiers import (
    AccountId,
    ClientOrderId,
    PositionId,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_common.model.orders import LimitOrder, order_from_events
from nautilus_common.model.position import Position
from nautilus_common.model.terms import Terms
from nautilus_common.model.values import Money, Price, Quantity
from nautilus_common.strategy.order_index import OrderIndex
from nautilus_common.testkit.sample_market import sample_instruments

INSTRUMENT = sample_instruments()[0]
TERMS = Terms(INSTRUMENT)
IDS = (TraderId("TESTER-001"), StrategyId("S-001"), INSTRUMENT.id)
VENUE = (VenueOrderId("SIM-1-001"), AccountId("SIM-001"))
PRICE = Price.from_str("1.50000")


def filled(name: ClientOrderId, quantity: int, trade: str, side: OrderSide = OrderSide.BUY) -> OrderFilled:
    return OrderFilled(
        *IDS,
        name,
        *VENUE,
        TradeId(trade),
        PositionId("P-1"),
        side,
        OrderType.LIMIT,
        Quantity.from_int(quantity),
        PRICE,
        USD,
        Money(0.5, USD),
        LiquiditySide.MAKER,
        9,
        9,
    )


def facts(order: Any) -> dict[str, Any]:
    return {**vars(order), "_events": order.events}


class Orders(RuleBasedStateMachine):
    """`model` holds for each order, in its sequence, its events and what a user has put on it."""

    def __init__(self) -> None:
        super().__init__()
        self.index = OrderIndex()
        self.model: dict[ClientOrderId, tuple[list[Any], dict[str, Any]]] = {}
        self.trades = 0

    def in_status(self, *statuses: OrderStatus) -> list[ClientOrderId]:
        return [name for name, (events, _) in self.model.items() if order_from_events(events).status in statuses]

    def apply(self, name: ClientOrderId, event: Any) -> None:
        order = self.index.get(name)
        assert order is not None
        order.apply(event)
        self.index.update(order)
        self.model[name][0].append(event)

    @rule()
    def add(self) -> None:
        name = ClientOrderId(f"O-{len(self.model) + 1}")
        order = LimitOrder(*IDS, name, OrderSide.BUY, Quantity.from_int(10), PRICE, 1)
        submitted = OrderSubmitted(*IDS, name, VENUE[1], 2, 2)
        order.apply(submitted)
        self.model[name] = ([order.init_event, submitted], {})
        self.index.add(order)

    @precondition(lambda self: self.in_status(OrderStatus.SUBMITTED))
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.in_status(OrderStatus.SUBMITTED)))
        self.apply(name, OrderAccepted(*IDS, name, *VENUE, 3, 3))

    @precondition(lambda self: self.in_status(OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.in_status(OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)))
        self.apply(name, OrderCanceled(*IDS, name, *VENUE, 4, 4))

    @precondition(lambda self: self.in_status(OrderStatus.ACCEPTED, OrderStatus.CANCELED))
    @rule(data=st.data(), whole=st.booleans())
    def fill(self, data: st.DataObject, whole: bool) -> None:
        """Also late, of an order that was canceled."""
        name = data.draw(st.sampled_from(self.in_status(OrderStatus.ACCEPTED, OrderStatus.CANCELED)))
        left = 10 - sum(e.last_qty.raw for e in self.model[name][0] if isinstance(e, OrderFilled))
        self.trades += 1
        self.apply(name, filled(name, left if whole else 1, f"T-{self.trades}"))

    @precondition(lambda self: self.index.active)
    @rule(data=st.data())
    def note(self, data: st.DataObject) -> None:
        """A user puts something on an order that is not closed."""
        name = data.draw(st.sampled_from(sorted(self.index.active)))
        self.index.active[name].note = self.model[name][1]["note"] = f"about {name}"

    @rule(times=st.integers(1, 2))
    def snapshot(self, times: int) -> None:
        for _ in range(times):
            data = pickle.dumps(self.index)
        packed = len(self.index._packed)
        assert len(pickle.dumps(self.index)) == len(data), "what is packed is not packed again"
        assert len(self.index._packed) == packed
        self.index = pickle.loads(data)

    @rule()
    def look(self) -> None:
        expected = {name: {**facts(order_from_events(events)), **more} for name, (events, more) in self.model.items()}
        assert {order.client_order_id: facts(order) for order in self.index} == expected
        assert [order.client_order_id for order in self.index] == list(self.model)

    @invariant()
    def counts(self) -> None:
        closed = self.in_status(OrderStatus.CANCELED, OrderStatus.FILLED)
        assert len(self.index) == len(self.model)
        assert self.index.closed_count == len(closed)
        assert set(self.index.active) == set(self.model) - set(closed)
        assert all(name in self.index for name in self.model)
        assert ClientOrderId("O-0") not in self.index
        assert self.index.get(ClientOrderId("O-0")) is None


class Positions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.closed = ClosedPositions({INSTRUMENT.id: TERMS})
        self.model: list[str] = []

    @rule(fills=st.integers(1, 3))
    def append(self, fills: int) -> None:
        name = ClientOrderId(f"O-{len(self.model)}")
        position = Position(INSTRUMENT, filled(name, fills, "T-0"), TERMS)
        for number in range(fills):
            position.apply(filled(name, 1, f"T-{number + 1}", OrderSide.SELL))
        position.adjusted_raw = fills
        self.closed.append(position)
        self.model.append(f"{name} {fills} {fills}")

    @rule(times=st.integers(1, 2))
    def snapshot(self, times: int) -> None:
        for _ in range(times):
            data = pickle.dumps(self.closed)
        self.closed = pickle.loads(data)

    @rule()
    def look(self) -> None:
        found = [f"{p.opening_order_id} {p.peak_raw} {p.adjusted_raw}" for p in self.closed if p.is_closed]
        assert found == self.model

    @invariant()
    def counts(self) -> None:
        assert len(self.closed) == len(self.model)


for machine in (Orders, Positions):
    machine.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=30, derandomize=True)
TestOrders = Orders.TestCase
TestPositions = Positions.TestCase


def test_an_order_that_is_packed_twice_is_as_it_was_last() -> None:
    found = Orders()
    found.add()
    name = ClientOrderId("O-1")
    found.apply(name, OrderAccepted(*IDS, name, *VENUE, 3, 3))
    found.apply(name, OrderCanceled(*IDS, name, *VENUE, 4, 4))
    found.snapshot(1)
    found.apply(name, filled(name, 10, "T-1"))
    found.snapshot(2)
    found.look()
    found.counts()
