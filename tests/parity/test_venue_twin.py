"""SimulatedVenue, with its look-ahead, against the plain twin, on random markets and orders."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_common.engine import INF, Outbox
from nautilus_common.messages.blocks import Block
from nautilus_common.messages.commands import CancelOrder, CarryOutHeld, OrderApproved, SubmitOrder
from nautilus_common.messages.events import OrderFilled, OrderInitialized
from nautilus_common.model.account import AccountSpec
from nautilus_common.model.currencies import USD
from nautilus_common.model.data import BarType
from nautilus_common.model.enums import (
    AccountType,
    LiquiditySide,
    OmsType,
    OrderSide,
    OrderType,
    TimeInForce,
    TriggerType,
)
from nautilus_common.model.identifiers import AccountId, ClientOrderId, StrategyId, TraderId, Venue
from nautilus_common.model.values import Money, Price, Quantity
from nautilus_common.streams import StreamSpec
from nautilus_common.venues.simulated.config import SimulatedVenueConfig
from random_runs import TENTH, Plan, bar_rows, instruments_of, quote_rows, trade_rows
from venue_twin import TwinOrder, VenueTwin

from services.execution_gateway.engine import ExecutionEngine

SIM = Venue("SIM")
TRADER, STRATEGY = TraderId("T-001"), StrategyId("S-001")
INSTRUMENT = instruments_of(Plan(0))[0]
DATA_RANK = 1
KINDS = (
    ("quote",),
    ("trade",),
    ("quote", "trade"),
    ("trade", "quote"),
    ("bar:LAST",),
    ("bar:BID", "bar:ASK"),
    ("bar:ASK", "bar:BID"),
    ("bar:BID",),
)


def market(random: Random, kinds: tuple[str, ...], rows: int) -> list[dict[str, list[int]]]:
    """Columns of each stream."""
    found: dict[str, dict[str, list[int]]] = {}
    for kind in sorted(kinds, reverse=True):  # BID before ASK
        if kind == "bar:ASK" and "bar:BID" in found:
            found[kind] = bar_rows(random, rows, 1, found["bar:BID"])
        else:
            make = {"quote": quote_rows, "trade": trade_rows}.get(kind, bar_rows)
            found[kind] = make(random, rows)
    return [found[kind] for kind in kinds]


def gateway(kinds: tuple[str, ...], columns: list[dict[str, list[int]]], adaptive: bool) -> ExecutionEngine:
    specs = []
    for rank, kind in enumerate(kinds):
        name, _, side = kind.partition(":")
        bar_type = BarType.from_str(f"{INSTRUMENT.id}-1-SECOND-{side}-EXTERNAL") if side else None
        specs.append(StreamSpec(rank, name, INSTRUMENT.id, bar_type))
    account = AccountSpec(AccountId("SIM-001"), SIM, AccountType.MARGIN, OmsType.NETTING, (Money(1_000_000, USD),), USD)
    config = SimulatedVenueConfig(SIM, account, bar_adaptive_high_low_ordering=adaptive)
    engine = ExecutionEngine(config, {INSTRUMENT.id: INSTRUMENT}, specs, 0, DATA_RANK)
    for spec, table in zip(specs, columns, strict=True):
        arrays = {name: np.array(column, np.int64) for name, column in table.items()}
        engine.feed(Block(spec.rank, spec.kind, spec.instrument_id, spec.bar_type, 0, arrays, INF))
    return engine


class Harness:
    """Drives the gateway far ahead, from one command to the next."""

    def __init__(self, engine: ExecutionEngine) -> None:
        self.engine = engine
        self.out = Outbox("venue", 0)
        self.events: list[tuple] = []
        self.names: dict[ClientOrderId, str] = {}

    def run(self, until) -> None:
        while True:
            self.engine.horizon(INF)
            self.engine.run(until, self.out)
            if not self.take():
                return

    def handle(self, tag, message) -> None:
        self.engine.handle(tag, message, self.out)
        self.take()

    def take(self) -> bool:
        said, self.out.pending = self.out.pending, []
        for tag, _, message in said:
            if isinstance(message, CarryOutHeld):
                self.handle(tag, message)
            elif isinstance(message, OrderFilled):
                is_maker = message.liquidity_side == LiquiditySide.MAKER
                values = (message.last_qty.raw, message.last_px.raw, is_maker)
                self.events.append((tag[0], "Filled", message.client_order_id.value, *values))
            else:
                kind = type(message).__name__.removeprefix("Order")
                self.events.append((tag[0], kind, message.client_order_id.value, 0, None, False))
        return bool(said)


def random_order(random: Random, number: int, price: int) -> TwinOrder:
    side = random.choice((1, -1))
    quantity = random.choice((1, 5, 10, 40, 200, 900))
    kind = random.choice(("market", "limit", "limit", "limit", "stop_market", "stop_limit"))
    tif = random.choice(("GTC", "GTC", "GTC", "IOC", "FOK"))
    name = f"O-{number}"
    if kind == "market":
        return TwinOrder(name, kind, side, quantity, tif=tif)
    near = price + random.randint(-6, 6)
    if kind == "limit":
        return TwinOrder(name, kind, side, quantity, near, tif=tif, post_only=random.random() < 0.3 and tif == "GTC")
    trigger = price + side * random.randint(-1, 8)
    limit = trigger + random.randint(-2, 2) if kind == "stop_limit" else None
    return TwinOrder(name, kind, side, quantity, limit, trigger, on_last=random.random() < 0.3)


def initialized(order: TwinOrder, ts: int) -> OrderInitialized:
    kinds = {
        "market": OrderType.MARKET,
        "limit": OrderType.LIMIT,
        "stop_market": OrderType.STOP_MARKET,
        "stop_limit": OrderType.STOP_LIMIT,
    }
    precision = INSTRUMENT.price_precision
    return OrderInitialized(
        TRADER,
        STRATEGY,
        INSTRUMENT.id,
        ClientOrderId(order.name),
        OrderSide.BUY if order.side > 0 else OrderSide.SELL,
        kinds[order.kind],
        Quantity.from_raw(order.quantity, INSTRUMENT.size_precision),
        ts,
        TimeInForce[order.tif],
        order.post_only,
        price=None if order.price is None else Price.from_raw(order.price, precision),
        trigger_price=None if order.trigger is None else Price.from_raw(order.trigger, precision),
        trigger_type=TriggerType.LAST_PRICE if order.on_last else TriggerType.DEFAULT,
    )


def play(seed: int, kinds: tuple[str, ...], rows: int = 60) -> int:
    """Both over one market with the same commands; how many fills there were."""
    random = Random(seed)
    adaptive = seed % 2 == 0
    columns = market(random, kinds, rows)
    harness = Harness(gateway(kinds, columns, adaptive))
    twin = VenueTwin(list(kinds), INSTRUMENT.price_increment.raw, INSTRUMENT.size_increment.raw, adaptive)
    stimuli = sorted((ts, rank, row) for rank, table in enumerate(columns) for row, ts in enumerate(table["ts_init"]))
    sent: list[TwinOrder] = []
    last_ns = stimuli[0][0] - TENTH
    commands = 0
    for index in range(len(stimuli) + 1):
        is_last = index == len(stimuli)
        if is_last or stimuli[index][0] > last_ns:
            # Commands arrive after all rows of an instant.
            for _ in range(random.choice((0, 0, 0, 1, 2))):
                commands += 1
                tag = (last_ns, 2, 9, commands, 1, 9, commands)
                harness.run(tag)
                if sent and random.random() < 0.25:
                    order = random.choice(sent)
                    harness.handle(
                        tag, CancelOrder(TRADER, STRATEGY, INSTRUMENT.id, ClientOrderId(order.name), None, last_ns)
                    )
                    twin.cancel(last_ns, order)
                else:
                    price = twin.book["bid"][0] if twin.book else 10_000
                    order = random_order(random, len(sent), price)
                    init = initialized(order, last_ns)
                    command = SubmitOrder(TRADER, STRATEGY, init, None, last_ns)
                    harness.handle(tag, OrderApproved(command, last_ns))
                    twin.submit(last_ns, order)
                    sent.append(order)
                assert harness.events == twin.events
        if not is_last:
            last_ns, rank, row = stimuli[index]
            twin.row(kinds[rank], {name: column[row] for name, column in columns[rank].items()})
    harness.run((last_ns, 8))
    assert harness.events == twin.events
    return sum(event[1] == "Filled" for event in twin.events)


@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
def test_venue_against_its_twin(kinds):
    assert sum(play(seed, kinds) for seed in range(25)) > 50


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(KINDS))
def test_venue_against_its_twin_on_any_market(seed, kinds):
    play(seed, kinds, 40)
