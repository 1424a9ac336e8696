"""The portfolio engine: folds every fill into positions and accounts, and publishes what they have become.

It speaks only when spoken to: a position event and an account state for each fill, an account state when an order locks
or releases money. The equity curve is taken silently on a fixed grid of times, from the prices of that moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_common.engine import INF, EngineError, Outbox, Tag
from nautilus_common.messages import subjects
from nautilus_common.messages.commands import CancelAllOrders, CancelOrder, ModifyOrder, SubmitOrder
from nautilus_common.messages.events import AccountAdjusted, AccountState, OrderEvent
from nautilus_common.messages.packed import MessageHistory
from nautilus_common.model.ledger import Ledger
from nautilus_common.model.position_events import position_event

from services.portfolio.equity import EquityCurve

if TYPE_CHECKING:
    from nautilus_common.messages.base import Message
    from nautilus_common.messages.blocks import Block
    from nautilus_common.model.account import Account
    from nautilus_common.model.identifiers import AccountId, StrategyId


class PortfolioEngine:
    """`Engine` of the ledger that is published."""

    #: It never speaks unless it is spoken to, so its horizon need not be asked.
    reactive = True

    def __init__(
        self,
        ledger: Ledger,
        rank: int,
        equity_interval_ns: int = 3_600_000_000_000,
        *,
        keep_states: bool = True,
    ) -> None:
        """`keep_states`: remember every account state, for the report of a run in one process."""
        self.name = "portfolio"
        self.rank = rank
        self.ledger = ledger
        self._view = ledger.market
        self.equity = EquityCurve(ledger, equity_interval_ns)
        self.account_states = MessageHistory(AccountState)
        self._keep_states = keep_states
        self._position_channels: dict[StrategyId, str] = {}
        self._account_channels: dict[AccountId, str] = {}

    def start(self, tag: Tag, out: Outbox) -> None:
        """Publish how every account begins."""
        self.equity.start(tag[0])
        for account in self.ledger.accounts.values():
            self._say_account(tag, account, out, reported=True)

    def finish(self, ts_ns: int) -> None:
        """The run is over at `ts_ns`: take the last point of the equity curve."""
        self.equity.finish(ts_ns)

    def feed(self, block: Block) -> None:
        self._view.feed(block)
        self.equity.feed(block)

    def horizon(self, frontier: Tag) -> Tag:
        return INF

    def run(self, until: Tag, out: Outbox) -> None:
        self.equity.run(until)
        self._view.advance(until)

    def handle(self, tag: Tag, message: Message, out: Outbox) -> None:
        match message:
            case OrderEvent() | AccountAdjusted():
                self._on_event(tag, message, out)
            case SubmitOrder():
                self.ledger.on_submitted(message.order)
            case ModifyOrder() | CancelOrder() | CancelAllOrders():
                pass  # what comes of it is an event
            case _:
                raise EngineError(f"portfolio takes orders and their events, not {type(message).__name__}")

    def _on_event(self, tag: Tag, event: OrderEvent | AccountAdjusted, out: Outbox) -> None:
        folded = self.ledger.fold(tag, event)
        if not folded.balances:
            return
        if folded.positions:
            strategy_id = folded.positions[0].fill.strategy_id
            channel = self._position_channels.get(strategy_id)
            if channel is None:
                channel = self._position_channels[strategy_id] = subjects.position_events(strategy_id)
            for change in folded.positions:
                out.say(tag, channel, position_event(change, tag[0]))
        assert event.account_id is not None
        self._say_account(tag, self.ledger.accounts[event.account_id], out)

    def _say_account(self, tag: Tag, account: Account, out: Outbox, *, reported: bool = False) -> None:
        state = account.state(tag[0], reported=reported)
        if self._keep_states:
            self.account_states.append(state)
        channel = self._account_channels.get(account.id)
        if channel is None:
            channel = self._account_channels[account.id] = subjects.account_events(account.id)
        out.say(tag, channel, state)
