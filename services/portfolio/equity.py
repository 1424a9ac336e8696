"""The equity curve: what each account is worth on a fixed grid of times, and at the end.

A point is taken when time passes a multiple of the interval, from the newest prices before it. Nothing is said, so it
costs no step of the scheduler. Balances and positions stand still between two changes of the ledger: just before each
change the points up to it are taken, from a view of the market that stands where the curve stands, not where the
ledger does. Equity is for charts and statistics: floats, made of exact integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_common.engine import PHASE_START, PHASE_STOP, Tag
from nautilus_common.model.xrates import ConversionError, ExchangeRates

if TYPE_CHECKING:
    from nautilus_common.messages.blocks import Block
    from nautilus_common.model.account import Account
    from nautilus_common.model.ledger import Ledger
    from nautilus_common.model.values import Currency
    from nautilus_common.streams import MarketView


class EquityCurve:
    """Points of every account and currency: (time, balance, unrealised profit)."""

    def __init__(self, ledger: Ledger, interval_ns: int) -> None:
        self._ledger = ledger
        self._view: MarketView = ledger.market.another()
        self._xrates = ExchangeRates(ledger.instruments, self._view)
        ledger.before_change = self.advance
        self._interval_ns = interval_ns
        self._next_ns = 0
        self.points: dict[tuple[str, str], list[tuple[int, float, float]]] = {}

    def start(self, ts_ns: int) -> None:
        self._take(ts_ns)
        self._next_ns = (ts_ns // self._interval_ns + 1) * self._interval_ns

    def feed(self, block: Block) -> None:
        self._view.feed(block)

    def advance(self, until: Tag) -> None:
        """Take the points of the grid up to `until`."""
        ts_ns = until[0]
        if not self._next_ns or ts_ns < self._next_ns:
            return
        last_data = self._last_visible_ns()
        while self._next_ns <= ts_ns and self._next_ns <= last_data:
            self._view.advance((self._next_ns, PHASE_START))
            self._take(self._next_ns)
            self._next_ns += self._interval_ns

    def run(self, until: Tag) -> None:
        """Take the points up to `until`, and every row, so that the next block may come."""
        self.advance(until)
        self._view.advance(until)

    def finish(self, ts_ns: int) -> None:
        self._view.advance((ts_ns, PHASE_STOP))
        self._take(ts_ns)

    def _last_visible_ns(self) -> int:
        """The newest visible row; nothing is known beyond it."""
        newest = 0
        for stream in self._view.streams:
            if stream.length:
                newest = max(newest, stream.ts[stream.length - 1])
        return newest

    def _take(self, ts_ns: int) -> None:
        for account in self._ledger.accounts.values():
            unrealized = self._unrealized(account)
            for currency in account.currencies():
                scale = 10**currency.precision
                point = (ts_ns, account.total_raw(currency) / scale, unrealized.get(currency, 0) / scale)
                self.points.setdefault((account.id.value, currency.code), []).append(point)

    def _unrealized(self, account: Account) -> dict[Currency, int]:
        """Unrealised profit of an account's open positions by currency, raw; of a cash account what they are worth."""
        sums: dict[Currency, int] = {}
        ledger = self._ledger
        for positions in ledger.open_positions.values():
            for position in positions.values():
                if position.account_id != account.id:
                    continue
                prices = self._xrates.prices(position.instrument_id)
                if prices is None:
                    continue
                price = prices[0] if position.is_long else prices[1]
                if account.is_margin_account:
                    raw = position.unrealized_raw(price)
                elif account.holds_apart(position.instrument):
                    raw = position.terms.notional_raw(position.signed_raw, price)
                else:
                    continue
                currency = position.settlement_currency
                base = account.base_currency
                if base is not None and base != currency:
                    try:
                        raw = self._xrates.convert(raw, currency, base, account.spec.venue, bid=position.is_long)
                    except ConversionError:
                        continue
                    currency = base
                sums[currency] = sums.get(currency, 0) + raw
        return sums
