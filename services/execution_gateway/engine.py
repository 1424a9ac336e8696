"""The execution engine of one venue: takes approved commands, says what became of them.

Here its venue is the simulator, inside the engine, so that the engine's horizon is the venue's: the next row at which a
resting order acts, the next expiry, the next posting of interest. Permission is a type: only `OrderApproved`,
`ModifyApproved` and cancels are taken. With a latency model a command first travels: the engine sends it to itself,
delayed, and it acts on the book as it is when it arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_common.engine import INF, PHASE_DELAYED, PHASE_TIMER, EngineError, Outbox, Tag
from nautilus_common.messages import subjects
from nautilus_common.messages.commands import (
    CancelAllOrders,
    CancelOrder,
    CarryOutHeld,
    ModifyApproved,
    OrderApproved,
)
from nautilus_common.messages.events import AccountAdjusted
from nautilus_common.model.instruments import CurrencyPair
from nautilus_common.model.values import money_from_raw
from nautilus_common.model.xrates import ExchangeRates
from nautilus_common.streams import VENUE_MICRO, MarketView, StreamSpec
from nautilus_common.venues.simulated.market import Market
from nautilus_common.venues.simulated.rollover import interest_fraction, next_posting_ns
from nautilus_common.venues.simulated.venue import SimulatedVenue

if TYPE_CHECKING:
    from nautilus_common.messages.base import Message
    from nautilus_common.messages.blocks import Block
    from nautilus_common.model.identifiers import InstrumentId, PositionId, StrategyId
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.venues.simulated.config import SimulatedVenueConfig


class ExecutionEngine:
    """`Engine` of one venue."""

    reactive = False

    def __init__(
        self,
        config: SimulatedVenueConfig,
        instruments: dict[InstrumentId, Instrument],
        specs: list[StreamSpec],
        rank: int,
        data_rank: int,
    ) -> None:
        self.config = config
        self.rank = rank
        self.name = f"execution.{config.venue}"
        self._market_view = MarketView(specs, data_rank, VENUE_MICRO)
        self._instruments = instruments
        own = [instrument for instrument in instruments.values() if instrument.id.venue == config.venue]
        markets = [
            Market(instrument, n, self._market_view.of_instrument(instrument.id), bar_execution=config.bar_execution)
            for n, instrument in enumerate(own, start=1)
        ]
        self.venue = SimulatedVenue(config, markets, rank)
        self._xrates = ExchangeRates(instruments, self._market_view)
        self._self_channel = subjects.venue_commands(config.venue)
        self._event_channels: dict[StrategyId, str] = {}
        self._posting_ns = 0
        self._out: Outbox | None = None
        self._cause: Tag = ()

    def __getstate__(self) -> dict[str, object]:
        """What a snapshot keeps: the outbox is given anew with each call."""
        return {**self.__dict__, "_out": None}

    def start(self, tag: Tag, out: Outbox) -> None:
        """The run begins at `tag`: the first posting of interest is the next one after it. Nothing is said."""
        if self.config.rollover_rates is not None:
            self._posting_ns = next_posting_ns(tag[0])

    @property
    def channels(self) -> tuple[str, str]:
        """What this engine listens to: commands for its venue, and those under way to it."""
        return subjects.execution_commands(self.config.venue), self._self_channel

    # -- Engine ------------------------------------------------------------------------------------------------------

    def feed(self, block: Block) -> None:
        self._market_view.feed(block)
        for market in self.venue.markets.values():
            market.on_feed(block.stream)

    def horizon(self, frontier: Tag) -> Tag:
        return min(self.venue.next_row()[0], self.venue.next_expiry(), self._next_posting())

    def run(self, until: Tag, out: Outbox) -> None:
        self._out = out
        while True:
            row, market, scan, sure = self.venue.next_row()
            expiry = self.venue.next_expiry()
            posting = self._next_posting()
            tag = min(row, expiry, posting)
            if tag > until or tag >= INF:
                self._market_view.advance(until)
                return
            self._market_view.advance(tag)
            self._cause = tag
            if tag == row:
                if sure and market is not None and scan is not None:
                    self._take_row(market, scan, tag)
            elif tag == expiry:
                self.venue.expire(tag[0], self._say)
            else:
                self._post_interest(tag)
            if out.pending:
                return

    def handle(self, tag: Tag, message: Message, out: Outbox) -> None:
        self._out = out
        self._cause = tag
        self._market_view.advance(tag)
        arrived = tag[1] == PHASE_DELAYED and tag[2] == self.rank
        latency = None if arrived else self.config.latency_model
        match message:
            case OrderApproved():
                if latency is not None and latency.insert_latency_nanos:
                    out.say(tag, self._self_channel, message, latency.insert_latency_nanos)
                else:
                    self.venue.submit(message.command, tag[0], self._say)
            case CancelOrder():
                if latency is not None and latency.cancel_latency_nanos:
                    out.say(tag, self._self_channel, message, latency.cancel_latency_nanos)
                else:
                    self.venue.cancel(message, tag[0], self._say)
            case CancelAllOrders():
                if latency is not None and latency.cancel_latency_nanos:
                    out.say(tag, self._self_channel, message, latency.cancel_latency_nanos)
                else:
                    self.venue.cancel_all(message, tag[0], self._say)
            case ModifyApproved():
                if latency is not None and latency.update_latency_nanos:
                    out.say(tag, self._self_channel, message, latency.update_latency_nanos)
                else:
                    self.venue.modify(message.command, tag[0], self._say)
            case CarryOutHeld():
                self.venue.release_held(self.venue.markets[message.instrument_id], tag[0], self._say)
            case _:
                raise EngineError(f"{self.name} takes approved commands only, not {type(message).__name__}")

    # -- own stimuli -------------------------------------------------------------------------------------------------

    def _take_row(self, market: Market, scan: object, tag: Tag) -> None:
        if self.venue.take_row(market, scan, tag[0], self._say):  # type: ignore[arg-type]
            assert self._out is not None
            # Carried out one step later, after everybody has seen the first price.
            self._out.say(tag, self._self_channel, CarryOutHeld(market.instrument.id, tag[0]))

    def _next_posting(self) -> Tag:
        if not self._posting_ns:
            return INF
        return (self._posting_ns, PHASE_TIMER, self.rank, 0, 0, self.rank, 0)

    def _post_interest(self, tag: Tag) -> None:
        """Post the day's interest of every open FX position, and wait for the next posting."""
        rates = self.config.rollover_rates
        assert rates is not None
        assert self._out is not None
        self._posting_ns = next_posting_ns(tag[0])
        for position_id, signed_raw in self.venue.net_positions.items():
            instrument = self.venue.instrument_of(position_id)
            prices = self._xrates.prices(instrument.id) if isinstance(instrument, CurrencyPair) and signed_raw else None
            if prices is None or not isinstance(instrument, CurrencyPair):
                continue
            fraction = interest_fraction(rates, instrument.base_currency.code, instrument.quote_currency.code, tag[0])
            self._out.say(
                tag,
                subjects.adjustment_events(self.config.account.account_id),
                self._interest(instrument, position_id, signed_raw, prices, fraction, tag[0]),
            )

    def _interest(
        self,
        instrument: CurrencyPair,
        position_id: PositionId,
        signed_raw: int,
        prices: tuple[int, int],
        fraction: tuple[int, int],
        ts_ns: int,
    ) -> AccountAdjusted:
        quote = instrument.quote_currency
        scale = instrument.price_precision + instrument.size_precision
        numerator = signed_raw * (prices[0] + prices[1]) * fraction[0]
        denominator = 2 * fraction[1] * 10**scale
        currency = self.config.account.base_currency or quote
        amount = self._xrates.convert_fraction_mid((numerator, denominator), quote, currency, self.config.venue)
        return AccountAdjusted(
            self.config.account.account_id,
            instrument.id,
            money_from_raw(amount, currency),
            "ROLLOVER_INTEREST",
            position_id,
            ts_ns,
            ts_ns,
        )

    def _say(self, strategy_id: StrategyId, event: Message) -> None:
        channel = self._event_channels.get(strategy_id)
        if channel is None:
            channel = self._event_channels[strategy_id] = subjects.order_events(self.config.venue, strategy_id)
        assert self._out is not None
        self._out.say(self._cause, channel, event)
