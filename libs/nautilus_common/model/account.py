"""Accounts: exact balances and margins per currency. ``total == locked + free`` always.

Amounts are Python integers in the currency's own precision, so nothing can wrap or drift.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from nautilus_common.messages.events import AccountBalance, AccountState, MarginBalance
from nautilus_common.model.enums import AccountType, OmsType
from nautilus_common.model.identifiers import AccountId, InstrumentId, Venue
from nautilus_common.model.rounding import div_half_even
from nautilus_common.model.values import Currency, Money, money_from_raw

if TYPE_CHECKING:
    from nautilus_common.model.instruments import Instrument


class AccountError(Exception):
    """An account cannot do what was asked: the tree is AccountBalanceNegative."""


class AccountBalanceNegative(AccountError):
    """A cash account was asked to pay what it has not got."""

    def __init__(self, balance: Decimal, currency: Currency) -> None:
        super().__init__(
            f"account balance negative: {balance} {currency.code}; a cash account cannot borrow. "
            "Start with more, trade less, or set allow_cash_borrowing = true for the venue"
        )
        self.balance = balance
        self.currency = currency


class AccountSpec(msgspec.Struct, frozen=True):
    """How an account begins: one per venue."""

    account_id: AccountId
    venue: Venue
    account_type: AccountType
    oms_type: OmsType
    starting_balances: tuple[Money, ...]
    base_currency: Currency | None = None
    default_leverage: Decimal = Decimal(1)
    leverages: dict[InstrumentId, Decimal] = {}
    margin_model: str = "leveraged"
    allow_borrowing: bool = False
    frozen: bool = False


class Account:
    """Balances of one account at one venue, folded from fills and adjustments by a `Ledger`."""

    def __init__(self, spec: AccountSpec) -> None:
        self.spec = spec
        self.id = spec.account_id
        self.type = spec.account_type
        self.is_cash_account = spec.account_type == AccountType.CASH
        self.is_margin_account = spec.account_type == AccountType.MARGIN
        self._may_owe = not self.is_cash_account or spec.allow_borrowing
        self.base_currency = spec.base_currency
        self._totals: dict[Currency, int] = {}
        for money in spec.starting_balances:
            self._totals[money.currency] = self._totals.get(money.currency, 0) + money.raw
        self._locked: dict[Currency, int] = {}
        self._margin_init: dict[InstrumentId, tuple[Currency, int]] = {}
        self._margin_maint: dict[InstrumentId, tuple[Currency, int]] = {}
        self._commissions: dict[Currency, int] = {}
        self._rates: dict[InstrumentId, tuple[tuple[int, int], tuple[int, int]]] = {}

    # -- changes, made by the ledger --------------------------------------------------------------------------------

    def add(self, currency: Currency, raw: int) -> None:
        """Credit (or debit, when negative) `raw` units of `currency`."""
        total = self._totals.get(currency, 0) + raw
        self._totals[currency] = total
        if total < 0 and not self._may_owe:
            raise AccountBalanceNegative(Decimal(total).scaleb(-currency.precision), currency)

    def add_commission(self, currency: Currency, raw: int) -> None:
        self._commissions[currency] = self._commissions.get(currency, 0) + raw

    def lock(self, currency: Currency, raw: int) -> None:
        """Lock (or release, when negative) `raw` units of `currency`."""
        self._locked[currency] = self._locked.get(currency, 0) + raw

    def set_margin_init(self, instrument_id: InstrumentId, currency: Currency, raw: int) -> bool:
        """Set the initial margin of the open orders of an instrument; True when it changed."""
        return self._set_margin(self._margin_init, instrument_id, currency, raw)

    def set_margin_maint(self, instrument_id: InstrumentId, currency: Currency, raw: int) -> bool:
        """Set the maintenance margin of the open positions of an instrument; True when it changed."""
        return self._set_margin(self._margin_maint, instrument_id, currency, raw)

    def _set_margin(
        self,
        margins: dict[InstrumentId, tuple[Currency, int]],
        instrument_id: InstrumentId,
        currency: Currency,
        raw: int,
    ) -> bool:
        known = margins.get(instrument_id)
        before = known[1] if known is not None else 0
        if before == raw:
            return False
        if raw:
            margins[instrument_id] = (currency, raw)
        else:
            margins.pop(instrument_id, None)
        self._locked[currency] = self._locked.get(currency, 0) + raw - before
        return True

    def margin_raw(self, instrument: Instrument, notional_raw: int, *, initial: bool) -> int:
        """Margin for `notional_raw` of `instrument`, rounded half to even.

        Leveraged model (the default): notional / leverage x rate. Standard model: notional x rate.
        """
        rates = self._rates.get(instrument.id)
        if rates is None:
            rates = self._rates[instrument.id] = self._margin_rates(instrument)
        numerator, denominator = rates[0] if initial else rates[1]
        return div_half_even(notional_raw * numerator, denominator)

    def _margin_rates(self, instrument: Instrument) -> tuple[tuple[int, int], tuple[int, int]]:
        leverage = self.leverage(instrument.id) if self.spec.margin_model == "leveraged" else Decimal(1)
        initial = _ratio(instrument.margin_init, leverage)
        return initial, _ratio(instrument.margin_maint, leverage)

    def fits(self, limit: int) -> bool:
        """True when every balance, locked and free amount is within +-`limit` raw units."""
        for currency, total in self._totals.items():
            held = self._locked.get(currency, 0)
            if not (-limit <= total <= limit and -limit <= held <= limit and -limit <= total - held <= limit):
                return False
        return True

    # -- state ------------------------------------------------------------------------------------------------------

    def state(self, ts_ns: int, *, reported: bool = False) -> AccountState:
        """The event that describes this account now."""
        balances = []
        locked = self._locked
        for currency, total in self._totals.items():
            held = locked.get(currency, 0)
            balances.append(
                AccountBalance(
                    money_from_raw(total, currency),
                    money_from_raw(held, currency),
                    money_from_raw(total - held, currency),
                )
            )
        return AccountState(
            self.id, self.type, self.base_currency, reported, balances, self._margin_balances(), ts_ns, ts_ns
        )

    def _margin_balances(self) -> list[MarginBalance]:
        inits, maints = self._margin_init, self._margin_maint
        if not inits and not maints:
            return []
        ids = dict.fromkeys((*inits, *maints))
        found = []
        for instrument_id in ids:
            initial, maintenance = inits.get(instrument_id), maints.get(instrument_id)
            currency = (initial or maintenance)[0]  # type: ignore[index]  # it is in one of them
            found.append(
                MarginBalance(
                    money_from_raw(initial[1] if initial else 0, currency),
                    money_from_raw(maintenance[1] if maintenance else 0, currency),
                    instrument_id,
                )
            )
        return found

    def total_raw(self, currency: Currency) -> int:
        return self._totals.get(currency, 0)

    def free_raw(self, currency: Currency) -> int:
        return self._totals.get(currency, 0) - self._locked.get(currency, 0)

    def holds_apart(self, instrument: Instrument) -> bool:
        """True when a cash account's position in `instrument` is not one of its balances: a share, or any position of
        an
        account that has a base currency only."""
        return self.base_currency is not None or instrument.get_base_currency() is None

    def currencies(self) -> list[Currency]:
        return list(self._totals)

    def balances(self) -> dict[Currency, AccountBalance]:
        return {balance.total.currency: balance for balance in self.state(0).balances}

    def balances_total(self) -> dict[Currency, Money]:
        return {currency: money_from_raw(raw, currency) for currency, raw in self._totals.items()}

    def balances_locked(self) -> dict[Currency, Money]:
        return {currency: money_from_raw(self._locked.get(currency, 0), currency) for currency in self._totals}

    def balances_free(self) -> dict[Currency, Money]:
        return {currency: money_from_raw(self.free_raw(currency), currency) for currency in self._totals}

    def starting_balances(self) -> dict[Currency, Money]:
        return {money.currency: money for money in self.spec.starting_balances}

    def balance(self, currency: Currency | None = None) -> AccountBalance | None:
        return self.balances().get(self._currency(currency))

    def balance_total(self, currency: Currency | None = None) -> Money | None:
        return self.balances_total().get(self._currency(currency))

    def balance_locked(self, currency: Currency | None = None) -> Money | None:
        return self.balances_locked().get(self._currency(currency))

    def balance_free(self, currency: Currency | None = None) -> Money | None:
        return self.balances_free().get(self._currency(currency))

    def commissions(self) -> dict[Currency, Money]:
        return {currency: money_from_raw(raw, currency) for currency, raw in self._commissions.items()}

    def commission(self, currency: Currency) -> Money | None:
        return self.commissions().get(currency)

    def margins_init(self) -> dict[InstrumentId, Money]:
        return {key: money_from_raw(raw, currency) for key, (currency, raw) in self._margin_init.items()}

    def margins_maint(self) -> dict[InstrumentId, Money]:
        return {key: money_from_raw(raw, currency) for key, (currency, raw) in self._margin_maint.items()}

    def margin_init(self, instrument_id: InstrumentId) -> Money | None:
        return self.margins_init().get(instrument_id)

    def margin_maint(self, instrument_id: InstrumentId) -> Money | None:
        return self.margins_maint().get(instrument_id)

    def leverages(self) -> dict[InstrumentId, Decimal]:
        return dict(self.spec.leverages)

    def leverage(self, instrument_id: InstrumentId) -> Decimal:
        return self.spec.leverages.get(instrument_id, self.spec.default_leverage)

    @property
    def default_leverage(self) -> Decimal:
        return self.spec.default_leverage

    def is_unleveraged(self, instrument_id: InstrumentId) -> bool:
        return self.leverage(instrument_id) == 1

    def _currency(self, currency: Currency | None) -> Currency:
        chosen = currency or self.base_currency
        if chosen is None:
            raise ValueError(f"account {self.id} has no base currency; name the currency")
        return chosen


class CashAccount(Account):
    """Pays in full: buying debits the quote currency, selling the base currency."""


class MarginAccount(Account):
    """Holds margin for what it owes: balances move by profit, commission and interest only."""


def account_from_spec(spec: AccountSpec) -> Account:
    if spec.account_type == AccountType.CASH:
        return CashAccount(spec)
    if spec.account_type == AccountType.MARGIN:
        return MarginAccount(spec)
    raise ValueError(f"account type {spec.account_type.name} is not available yet; use CASH or MARGIN")


def _ratio(rate: Decimal, leverage: Decimal) -> tuple[int, int]:
    numerator, denominator = (rate / 1).as_integer_ratio()
    over, under = leverage.as_integer_ratio()
    return numerator * under, denominator * over
