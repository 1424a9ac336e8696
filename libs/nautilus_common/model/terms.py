"""What arithmetic needs of an instrument: plain integers, looked up once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_common.model.rounding import div_half_even

if TYPE_CHECKING:
    from nautilus_common.model.instruments import Instrument
    from nautilus_common.model.values import Currency

COST_GUARD = 10**9
"""Sub-units of a cost: a partial close takes its share of the cost exactly to this part of the smallest product."""


class Terms:
    """Precisions, multiplier and currencies of one instrument.

    A product of raw price, raw quantity and raw multiplier is in units of 10^-`scale`.
    """

    __slots__ = (
        "base",
        "cost_unit",
        "instrument",
        "instrument_id",
        "is_inverse",
        "money_unit",
        "multiplier",
        "notional_unit",
        "price_precision",
        "price_unit",
        "quote",
        "scale",
        "settlement",
        "size_precision",
        "size_unit",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.instrument_id = instrument.id
        self.is_inverse: bool = instrument.is_inverse
        self.base: Currency | None = instrument.get_base_currency()
        self.quote: Currency = instrument.quote_currency
        self.settlement: Currency = instrument.get_settlement_currency()
        self.price_precision: int = instrument.price_precision
        self.size_precision: int = instrument.size_precision
        multiplier = instrument.multiplier
        self.multiplier: int = multiplier.raw
        self.scale = self.price_precision + self.size_precision + multiplier.precision
        self.price_unit: int = 10**self.price_precision
        self.size_unit: int = 10 ** (self.size_precision + multiplier.precision)
        self.money_unit: int = 10**self.settlement.precision
        self.notional_unit: int = 10**self.scale
        self.cost_unit: int = 10**self.scale * COST_GUARD

    def notional_raw(self, quantity_raw: int, price_raw: int) -> int:
        """Notional value, raw in the settlement currency, rounded half to even; q m / px for an inverse instrument."""
        if self.is_inverse:
            numerator = quantity_raw * self.multiplier * self.price_unit * self.money_unit
            return div_half_even(numerator, self.size_unit * price_raw)
        return div_half_even(quantity_raw * price_raw * self.multiplier * self.money_unit, self.notional_unit)

    def notional_of_cost(self, cost: int, quantity_raw: int) -> int:
        """Notional value of what `quantity_raw` has cost, raw in the settlement currency."""
        if self.is_inverse:
            return self.notional_raw(quantity_raw, div_half_even(cost, quantity_raw * self.multiplier * COST_GUARD))
        return div_half_even(cost * self.money_unit, self.cost_unit)

    def profit_raw(self, px: int, qty: int, cost: int, is_long: bool) -> int:
        """Profit of closing `qty` at `px` what has cost `cost`, raw in the settlement currency, rounded half to even.

        Linear: q m (close - open). Inverse: q m (1/open - 1/close) in the base currency.
        """
        quantity = qty * self.multiplier
        gain = quantity * px * COST_GUARD - cost
        if not is_long:
            gain = -gain
        if self.is_inverse:
            return div_half_even(quantity * self.price_unit * self.money_unit * gain, self.size_unit * cost * px)
        return div_half_even(gain * self.money_unit, self.cost_unit)
