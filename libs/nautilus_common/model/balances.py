"""What an account holds: a balance per currency, and margins per instrument or currency."""

from typing import Any

from msgspec import Struct

from nautilus_common.model.identifiers import InstrumentId
from nautilus_common.model.values import Currency, Money


class AccountBalance(Struct, frozen=True, gc=False, array_like=True, eq=False):
    """Total, locked and free money of one currency; total is always locked plus free."""

    total: Money
    locked: Money
    free: Money

    def check(self) -> None:
        """Raises ValueError unless total is locked plus free, in one currency (the ledger's own always are)."""
        if self.total.currency != self.locked.currency or self.total.currency != self.free.currency:
            raise ValueError(f"an account balance needs one currency: {self.total}, {self.locked}, {self.free}")
        if self.total.raw - self.locked.raw != self.free.raw:
            raise ValueError(f"`total` {self.total} - `locked` {self.locked} != `free` {self.free}")

    def _key(self) -> tuple[object, ...]:
        return self.currency.code, self.total.raw, self.locked.raw, self.free.raw

    def __eq__(self, other: object) -> bool:
        # Not field by field, since money of two currencies refuses to be compared.
        return self._key() == other._key() if isinstance(other, AccountBalance) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return self._key() != other._key() if isinstance(other, AccountBalance) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def currency(self) -> Currency:
        """The currency of all three."""
        return self.total.currency

    def copy(self) -> "AccountBalance":
        """Itself: it cannot change."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """A dict of texts."""
        return {
            "type": "AccountBalance",
            "total": str(self.total.as_decimal()),
            "locked": str(self.locked.as_decimal()),
            "free": str(self.free.as_decimal()),
            "currency": self.currency.code,
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "AccountBalance":
        """The inverse of `to_dict`."""
        total, locked, free = (_money(values[name], values["currency"]) for name in ("total", "locked", "free"))
        balance = AccountBalance(total, locked, free)
        balance.check()
        return balance


class MarginBalance(Struct, frozen=True, gc=False, array_like=True, eq=False):
    """Initial and maintenance margin, of one instrument or (without one) of the whole currency."""

    initial: Money
    maintenance: Money
    instrument_id: InstrumentId | None = None

    def check(self) -> None:
        """Raises ValueError unless both are of one currency and not negative."""
        if self.initial.currency != self.maintenance.currency:
            raise ValueError(f"a margin balance needs one currency: {self.initial}, {self.maintenance}")
        if self.initial.raw < 0 or self.maintenance.raw < 0:
            raise ValueError(f"margins must not be negative: {self.initial}, {self.maintenance}")

    def _key(self) -> tuple[object, ...]:
        return self.currency.code, self.initial.raw, self.maintenance.raw, self.instrument_id

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, MarginBalance) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return self._key() != other._key() if isinstance(other, MarginBalance) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def currency(self) -> Currency:
        """The currency of both."""
        return self.initial.currency

    def copy(self) -> "MarginBalance":
        """Itself: it cannot change."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """A dict of texts."""
        return {
            "type": "MarginBalance",
            "initial": str(self.initial.as_decimal()),
            "maintenance": str(self.maintenance.as_decimal()),
            "currency": self.currency.code,
            "instrument_id": None if self.instrument_id is None else str(self.instrument_id),
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "MarginBalance":
        """The inverse of `to_dict`."""
        code, instrument_id = values["currency"], values.get("instrument_id")
        return MarginBalance(
            _money(values["initial"], code),
            _money(values["maintenance"], code),
            None if instrument_id is None else InstrumentId.from_str(instrument_id),
        )


def _money(amount: str, code: str) -> Money:
    return Money.from_str(f"{amount} {code}")
