"""The portfolio as a strategy sees it: queries over the ledger of its host. All are exact; what is unknown is None."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from nautilus_common.model.identifiers import AccountId, InstrumentId, Venue
from nautilus_common.model.rounding import raw_at
from nautilus_common.model.values import Currency, Money, Price, money_from_raw
from nautilus_common.model.xrates import ConversionError

if TYPE_CHECKING:
    from nautilus_common.model.account import Account
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.position import Position
    from nautilus_common.strategy.cache import CacheSource

Sums = dict[Currency, int]


class Portfolio:
    """NautilusTrader's portfolio queries. Money is in the account's base currency if it has one, unless a
    `target_currency` is given."""

    def __init__(self, source: CacheSource) -> None:
        self._source = source
        self._ledger = source.ledger
        self._warned: dict[InstrumentId, bool] = {}

    # -- positions ---------------------------------------------------------------------------------------------------

    def net_position(self, instrument_id: InstrumentId, account_id: AccountId | None = None) -> Decimal:
        """Signed quantity over all strategies and positions."""
        raw = self._ledger.net_raw.get(instrument_id, 0)
        instrument = self._source.instruments.get(instrument_id)
        return Decimal(raw).scaleb(-instrument.size_precision) if instrument is not None else Decimal(0)

    def is_net_long(self, instrument_id: InstrumentId, account_id: AccountId | None = None) -> bool:
        return self._ledger.net_raw.get(instrument_id, 0) > 0

    def is_net_short(self, instrument_id: InstrumentId, account_id: AccountId | None = None) -> bool:
        return self._ledger.net_raw.get(instrument_id, 0) < 0

    def is_flat(self, instrument_id: InstrumentId, account_id: AccountId | None = None) -> bool:
        return not self._ledger.net_raw.get(instrument_id, 0)

    def is_completely_flat(self, account_id: AccountId | None = None) -> bool:
        return not any(self._ledger.net_raw.values())

    # -- accounts ----------------------------------------------------------------------------------------------------

    def account(self, venue: Venue | None = None, account_id: AccountId | None = None) -> Account | None:
        if account_id is not None:
            return self._ledger.accounts.get(account_id)
        return self._ledger.by_venue.get(venue) if venue is not None else None

    def balances_locked(
        self, venue: Venue | None = None, account_id: AccountId | None = None
    ) -> dict[Currency, Money] | None:
        account = self.account(venue, account_id)
        return None if account is None else account.balances_locked()

    def margins_init(
        self, venue: Venue | None = None, account_id: AccountId | None = None
    ) -> dict[InstrumentId, Money] | None:
        account = self.account(venue, account_id)
        return None if account is None else account.margins_init()

    def margins_maint(
        self, venue: Venue | None = None, account_id: AccountId | None = None
    ) -> dict[InstrumentId, Money] | None:
        account = self.account(venue, account_id)
        return None if account is None else account.margins_maint()

    # -- profit of one instrument ------------------------------------------------------------------------------------

    def realized_pnl(
        self, instrument_id: InstrumentId, account_id: AccountId | None = None, target_currency: Currency | None = None
    ) -> Money | None:
        """Realised profit of all positions in the instrument, closed lives included, less commissions."""
        self._source.sync()
        instrument = self._source.instruments.get(instrument_id)
        account = self._account_of(instrument_id)
        if instrument is None or account is None:
            return None
        currency = instrument.get_settlement_currency()
        positions = [p for p in self._positions() if p.instrument_id == instrument_id]
        total = sum(position.realized_pnl.raw for position in positions)
        return self._in(total, currency, account, target_currency)

    def unrealized_pnl(
        self,
        instrument_id: InstrumentId,
        price: Price | None = None,
        account_id: AccountId | None = None,
        target_currency: Currency | None = None,
    ) -> Money | None:
        """Unrealised profit at `price`, else long positions at the bid and short ones at the ask; None without a
        price.
        """
        self._source.sync()
        instrument = self._source.instruments.get(instrument_id)
        account = self._account_of(instrument_id)
        if instrument is None or account is None:
            return None
        total = 0
        for position in self._ledger.open_positions.get(instrument_id, {}).values():
            mark = self._mark(instrument, position, price)
            if mark is None:
                return None
            total += position.unrealized_raw(mark)
        return self._in(total, instrument.get_settlement_currency(), account, target_currency)

    def total_pnl(
        self,
        instrument_id: InstrumentId,
        price: Price | None = None,
        account_id: AccountId | None = None,
        target_currency: Currency | None = None,
    ) -> Money | None:
        realized = self.realized_pnl(instrument_id, account_id, target_currency)
        unrealized = self.unrealized_pnl(instrument_id, price, account_id, target_currency)
        if realized is None or unrealized is None:
            return None
        return money_from_raw(realized.raw + unrealized.raw, realized.currency)

    def net_exposure(
        self,
        instrument_id: InstrumentId,
        price: Price | None = None,
        account_id: AccountId | None = None,
        target_currency: Currency | None = None,
    ) -> Money | None:
        """Notional value of the net position."""
        self._source.sync()
        instrument = self._source.instruments.get(instrument_id)
        account = self._account_of(instrument_id)
        if instrument is None or account is None:
            return None
        total = 0
        for position in self._ledger.open_positions.get(instrument_id, {}).values():
            mark = self._mark(instrument, position, price)
            if mark is None:
                return None
            total += position.terms.notional_raw(position.signed_raw, mark)
        return self._in(abs(total), instrument.get_settlement_currency(), account, target_currency)

    # -- sums of a venue ---------------------------------------------------------------------------------------------

    def realized_pnls(
        self, venue: Venue | None = None, account_id: AccountId | None = None, target_currency: Currency | None = None
    ) -> dict[Currency, Money]:
        return self._sum(self.realized_pnl, venue, target_currency, open_only=False)

    def unrealized_pnls(
        self, venue: Venue | None = None, account_id: AccountId | None = None, target_currency: Currency | None = None
    ) -> dict[Currency, Money]:
        return self._sum(self.unrealized_pnl, venue, target_currency)

    def total_pnls(
        self, venue: Venue | None = None, account_id: AccountId | None = None, target_currency: Currency | None = None
    ) -> dict[Currency, Money]:
        return self._sum(self.total_pnl, venue, target_currency, open_only=False)

    def net_exposures(
        self, venue: Venue | None = None, account_id: AccountId | None = None, target_currency: Currency | None = None
    ) -> dict[Currency, Money]:
        return self._sum(self.net_exposure, venue, target_currency)

    def mark_values(self, venue: Venue | None = None, account_id: AccountId | None = None) -> dict[Currency, Money]:
        """Signed market value of the open positions."""
        self._source.sync()
        sums: Sums = {}
        for position in self._open(venue):
            mark = self._mark(position.instrument, position, None)
            if mark is not None:
                currency = position.settlement_currency
                sums[currency] = sums.get(currency, 0) + position.terms.notional_raw(position.signed_raw, mark)
        return {currency: money_from_raw(raw, currency) for currency, raw in sums.items()}

    def equity(self, venue: Venue | None = None, account_id: AccountId | None = None) -> dict[Currency, Money]:
        """Balances plus unrealised profit; of a cash account plus the mark value of what is not among its balances."""
        account = self.account(venue, account_id)
        if account is None:
            return {}
        gains = self.unrealized_pnls(account.spec.venue) if account.is_margin_account else self._holdings(account)
        totals = account.balances_total()
        for currency, gain in gains.items():
            known = totals.get(currency)
            totals[currency] = money_from_raw((known.raw if known else 0) + gain.raw, currency)
        return totals

    def missing_price_instruments(self, venue: Venue) -> list[InstrumentId]:
        """Instruments with an open position and no price to value it at."""
        self._source.sync()
        found = [p.instrument_id for p in self._open(venue) if self._mark(p.instrument, p, None) is None]
        return list(dict.fromkeys(found))

    def _holdings(self, account: Account) -> dict[Currency, Money]:
        """Market value of a cash account's positions, but of those that its balances hold as a currency."""
        self._source.sync()
        sums: Sums = {}
        for position in self._open(account.spec.venue):
            mark = self._mark(position.instrument, position, None)
            if mark is None or not account.holds_apart(position.instrument):
                continue
            raw = position.terms.notional_raw(position.signed_raw, mark)
            money = self._in(raw, position.settlement_currency, account, None)
            if money is not None:
                sums[money.currency] = sums.get(money.currency, 0) + money.raw
        return {currency: money_from_raw(raw, currency) for currency, raw in sums.items()}

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _sum(
        self, query: object, venue: Venue | None, target: Currency | None, open_only: bool = True
    ) -> dict[Currency, Money]:
        positions = self._open(venue) if open_only else [p for p in self._positions() if venue in (None, p.venue)]
        sums: Sums = {}
        for instrument_id in dict.fromkeys(position.instrument_id for position in positions):
            money = query(instrument_id, target_currency=target)  # type: ignore[operator]
            if money is not None:
                sums[money.currency] = sums.get(money.currency, 0) + money.raw
        return {currency: money_from_raw(raw, currency) for currency, raw in sums.items()}

    def _positions(self) -> list[Position]:
        return [*self._ledger.positions.values(), *self._ledger.snapshots]

    def _open(self, venue: Venue | None) -> list[Position]:
        groups = self._ledger.open_positions.values()
        return [p for group in groups for p in group.values() if venue is None or p.instrument_id.venue == venue]

    def _account_of(self, instrument_id: InstrumentId) -> Account | None:
        return self._ledger.by_venue.get(instrument_id.venue)

    def _mark(self, instrument: Instrument, position: Position, price: Price | None) -> int | None:
        if price is not None:
            return raw_at(price, instrument.price_precision)
        prices = self._ledger.xrates.prices(instrument.id)
        return None if prices is None else prices[0] if position.is_long else prices[1]

    def _in(self, raw: int, currency: Currency, account: Account, target: Currency | None) -> Money | None:
        wanted = target or account.base_currency or currency
        if wanted == currency:
            return money_from_raw(raw, currency)
        try:
            return money_from_raw(self._ledger.xrates.convert_mid(raw, currency, wanted, account.spec.venue), wanted)
        except ConversionError:
            return None
