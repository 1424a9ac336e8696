"""The risk engine: every order passes here, and leaves as `OrderApproved` or as `OrderDenied` with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_common.engine import INF, EngineError, Outbox, Tag
from nautilus_common.limits import RiskEngineConfig
from nautilus_common.messages import subjects
from nautilus_common.messages.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyApproved,
    ModifyOrder,
    OrderApproved,
    SubmitOrder,
)
from nautilus_common.messages.events import AccountAdjusted, OrderDenied, OrderEvent, OrderModifyRejected
from nautilus_common.model.ledger import Ledger

from services.risk.checks import SUBMIT_CHECKS, Submission, Throttler, modify_reason

if TYPE_CHECKING:
    from nautilus_common.messages.base import Message
    from nautilus_common.messages.blocks import Block
    from nautilus_common.model.identifiers import InstrumentId, StrategyId, Venue
    from nautilus_common.model.instruments import Instrument


class RiskEngine:
    """`Engine` of the pre-trade checks."""

    #: It never speaks unless it is spoken to, so its horizon need not be asked.
    reactive = True

    def __init__(
        self, config: RiskEngineConfig, instruments: dict[InstrumentId, Instrument], ledger: Ledger, rank: int
    ) -> None:
        self.name = "risk"
        self.rank = rank
        self.config = config
        self.trading_state = config.trading_state
        self.ledger = ledger
        self._view = ledger.market
        self._instruments = instruments
        self._submits = Throttler(config.max_order_submit_rate)
        self._modifies = Throttler(config.max_order_modify_rate)
        self._seen: set[str] = set()  # of client order ids; texts, since there are many and a snapshot has all

    def feed(self, block: Block) -> None:
        self._view.feed(block)

    def horizon(self, frontier: Tag) -> Tag:
        return INF

    def run(self, until: Tag, out: Outbox) -> None:
        self._view.advance(until)

    def handle(self, tag: Tag, message: Message, out: Outbox) -> None:
        match message:
            case OrderEvent() | AccountAdjusted():
                self.ledger.fold(tag, message)
            case SubmitOrder():
                self._view.advance(tag)
                self._submit(tag, message, out)
            case ModifyOrder():
                self._view.advance(tag)
                self._modify(tag, message, out)
            case CancelOrder() | CancelAllOrders():  # of an order that is still on its way: it may not overtake it
                out.say(tag, _commands(message.instrument_id.venue), message)
            case _:
                raise EngineError(f"risk takes order commands and events, not {type(message).__name__}")

    def _submit(self, tag: Tag, command: SubmitOrder, out: Outbox) -> None:
        order = command.order
        reason = self._reason(command, tag[0])
        venue = order.instrument_id.venue
        # Known even if it is denied, until that is folded: so it is in the ledger of whoever else saw the command.
        self.ledger.on_submitted(order)
        if reason is None:
            self._seen.add(order.client_order_id.value)
            out.say(tag, _commands(venue), OrderApproved(command, tag[0]))
            return
        denied = OrderDenied(
            order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id, reason, tag[0]
        )
        out.say(tag, _events(venue, order.strategy_id), denied)

    def _reason(self, command: SubmitOrder, ts_ns: int) -> str | None:
        order = command.order
        if order.client_order_id.value in self._seen:
            return f"DUPLICATE_CLIENT_ORDER_ID: {order.client_order_id} was used before"
        instrument = self._instruments.get(order.instrument_id)
        account = self.ledger.by_venue.get(order.instrument_id.venue)
        if instrument is None or account is None:
            return f"INSTRUMENT_NOT_FOUND: {order.instrument_id}"
        if self.config.bypass:
            return None
        terms = self.ledger.terms[order.instrument_id]
        submission = Submission(
            command, order, instrument, terms, self.ledger, account, self.config, self.trading_state, ts_ns
        )
        for check in SUBMIT_CHECKS:
            reason = check(submission)
            if reason is not None:
                return reason
        if not self._submits.allows(ts_ns):
            rate = self.config.max_order_submit_rate
            return f"ORDER_RATE_EXCEEDED: more than {rate.limit} orders within {rate.interval_ns} ns"
        return None

    def _modify(self, tag: Tag, command: ModifyOrder, out: Outbox) -> None:
        reason = None
        if not self.config.bypass:
            instrument = self._instruments.get(command.instrument_id)
            if instrument is None:
                reason = f"INSTRUMENT_NOT_FOUND: {command.instrument_id}"
            else:
                reason = modify_reason(command, instrument, self.trading_state, self.ledger)
            if reason is None and not self._modifies.allows(tag[0]):
                rate = self.config.max_order_modify_rate
                reason = f"ORDER_RATE_EXCEEDED: more than {rate.limit} modifications within {rate.interval_ns} ns"
        venue = command.instrument_id.venue
        if reason is None:
            out.say(tag, _commands(venue), ModifyApproved(command, tag[0]))
            return
        rejected = OrderModifyRejected(
            command.trader_id,
            command.strategy_id,
            command.instrument_id,
            command.client_order_id,
            command.venue_order_id,
            None,
            reason,
            tag[0],
            tag[0],
        )
        out.say(tag, _events(venue, command.strategy_id), rejected)


_COMMANDS: dict[Venue, str] = {}
_EVENTS: dict[tuple[Venue, StrategyId], str] = {}


def _commands(venue: Venue) -> str:
    found = _COMMANDS.get(venue)
    if found is None:
        found = _COMMANDS[venue] = subjects.execution_commands(venue)
    return found


def _events(venue: Venue, strategy_id: StrategyId) -> str:
    key = (venue, strategy_id)
    found = _EVENTS.get(key)
    if found is None:
        found = _EVENTS[key] = subjects.order_events(venue, strategy_id)
    return found
