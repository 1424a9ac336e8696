"""How the simulated venue treats an order: fills, latency, fees. Constant models first; each is a small class to
replace.
"""

from __future__ import annotations

from decimal import Decimal

from nautilus_common.model.enums import LiquiditySide
from nautilus_common.model.rounding import div_half_up
from nautilus_common.model.terms import Terms
from nautilus_common.model.values import Money, money_from_raw

_MASK = 2**64 - 1


class SeededGenerator:
    """SplitMix64 (Steele, Lea and Flood, 2014): the same numbers for the same seed on every machine and version."""

    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        self.state = seed & _MASK

    def next_u64(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def chance(self, probability: float) -> bool:
        """True with `probability`; 0 and 1 draw nothing."""
        if probability >= 1.0:
            return True
        if probability <= 0.0:
            return False
        return (self.next_u64() >> 11) * 2.0**-53 < probability


class FillModel:
    """Chance in fills: a limit order touched exactly at its price fills with `prob_fill_on_limit`; an aggressive order
    slips by one price increment with `prob_slippage`.

    Raises ValueError for a probability outside 0..1.
    """

    def __init__(
        self, prob_fill_on_limit: float = 1.0, prob_slippage: float = 0.0, random_seed: int | None = None
    ) -> None:
        for name, value in (("prob_fill_on_limit", prob_fill_on_limit), ("prob_slippage", prob_slippage)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, was {value}")
        self.prob_fill_on_limit = prob_fill_on_limit
        self.prob_slippage = prob_slippage
        self.random_seed = random_seed
        self.generator = SeededGenerator(random_seed or 0)

    def is_limit_filled(self) -> bool:
        return self.generator.chance(self.prob_fill_on_limit)

    def is_slipped(self) -> bool:
        return self.generator.chance(self.prob_slippage)

    def reset(self) -> None:
        """Begin the sequence of chances again."""
        self.generator = SeededGenerator(self.random_seed or 0)


class LatencyModel:
    """Nanoseconds between a command leaving the gateway and its effect at the venue."""

    def __init__(
        self,
        base_latency_nanos: int = 1_000_000,
        insert_latency_nanos: int = 0,
        update_latency_nanos: int = 0,
        cancel_latency_nanos: int = 0,
    ) -> None:
        for name, value in (
            ("base_latency_nanos", base_latency_nanos),
            ("insert_latency_nanos", insert_latency_nanos),
            ("update_latency_nanos", update_latency_nanos),
            ("cancel_latency_nanos", cancel_latency_nanos),
        ):
            if value < 0:
                raise ValueError(f"{name} must not be negative, was {value}")
        self.base_latency_nanos = base_latency_nanos
        self.insert_latency_nanos = base_latency_nanos + insert_latency_nanos
        self.update_latency_nanos = base_latency_nanos + update_latency_nanos
        self.cancel_latency_nanos = base_latency_nanos + cancel_latency_nanos


class MakerTakerFeeModel:
    """Fee rate of the instrument x notional, ties away from zero at the precision of its currency; negative is a
    rebate.
    """

    def __init__(self) -> None:
        self._rates: dict[tuple[object, int], tuple[int, int]] = {}

    def commission(self, terms: Terms, qty_raw: int, px_raw: int, liquidity: LiquiditySide) -> Money:
        key = (terms.instrument_id, liquidity)
        rate = self._rates.get(key)
        if rate is None:
            instrument = terms.instrument
            fee: Decimal = instrument.maker_fee if liquidity == LiquiditySide.MAKER else instrument.taker_fee
            rate = self._rates[key] = fee.as_integer_ratio()
        numerator, denominator = rate
        currency = terms.settlement
        if not numerator:
            return money_from_raw(0, currency)
        if terms.is_inverse:
            value = terms.notional_raw(qty_raw, px_raw) * numerator
        else:
            value = qty_raw * px_raw * terms.multiplier * numerator * terms.money_unit
            denominator *= terms.notional_unit
        return money_from_raw(div_half_up(value, denominator), currency)
