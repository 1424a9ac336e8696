"""The equity curve: what each account is worth on a fixed grid of times, and at the end.

A point is taken when time passes a multiple of the interval, from the newest prices before it. Nothing is said, so it
costs no step of the scheduler. Between two messages balances and positions stand still, so that only the points at
which
a position is open need prices. Equity is for charts and statistics: floats, made of exact integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_common.engine import PHASE_START, Tag
from nautilus_common.model.xrates import ConversionError

if TYPE_CHECKING:
    from nautilus_common.model.account import Account
    from nautilus_common.model.ledger import Ledger
    from nautilus_common.model.values import Currency
    from nautilus_common.streams import MarketView


class EquityCurve:
    """Points of every account and currency: (time, balance, unrealised profit)."""

    def __init__(self, ledger: Ledger, view: MarketView, interval_ns: int) -> None:
        self._ledger = ledger
        self._view = view
        self._interval_ns = interval_ns
        self._next_ns = 0
        self.points: dict[tuple[str, str], list[tuple[int, float, float]]] = {}

    def start(self, ts_ns: int) -> None:
        self._take(ts_ns)
        self._next_ns = (ts_ns // self._interval_ns + 1) * self._interval_ns

    def advance(self, until: Tag) -> None:
        """Let the view take its rows up to `until`, stopping at each point of the grid on the way."""
        ts_ns = until[0]
        if not self._next_ns or ts_ns < self._next_ns:
            self._view.advance(until)
            return
        last_data = self._last_visible_ns()
        while self._next_ns <= ts_ns and self._next_ns <= last_data:
            self._view.advance((self._next_ns, PHASE_START))
            self._take(self._next_ns)
            self._next_ns += self._interval_ns
        self._view.advance(until)

    def finish(self, ts_ns: int) -> None:
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
                prices = ledger.xrates.prices(position.instrument_id)
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
                        raw = ledger.xrates.convert(raw, currency, base, account.spec.venue, bid=position.is_long)
                    except ConversionError:
                        continue
                    currency = base
                sums[currency] = sums.get(currency, 0) + raw
        return sums
