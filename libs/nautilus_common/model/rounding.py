"""Exact integer rounding: the one rule by which amounts of money are made from products of prices and quantities."""

from __future__ import annotations

from typing import TYPE_CHECKING

POWERS_OF_TEN: tuple[int, ...] = tuple(10**n for n in range(64))

if TYPE_CHECKING:
    from nautilus_common.model.values import Price, Quantity


def div_half_even(numerator: int, denominator: int) -> int:
    """`numerator` / `denominator` (> 0) rounded to the nearest integer, ties to even."""
    quotient, remainder = divmod(numerator, denominator)
    twice = remainder + remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def div_half_up(numerator: int, denominator: int) -> int:
    """`numerator` / `denominator` (> 0) rounded to the nearest integer, ties away from zero."""
    if numerator < 0:
        return -((-2 * numerator + denominator) // (2 * denominator))
    return (2 * numerator + denominator) // (2 * denominator)


def rescale_half_even(value: int, precision: int, target: int) -> int:
    """`value` at `precision` decimal places, given at `target` places, ties to even."""
    if target >= precision:
        return value * POWERS_OF_TEN[target - precision]
    return div_half_even(value, POWERS_OF_TEN[precision - target])


def raw_at(value: Price | Quantity, precision: int) -> int:
    """The raw integer of a price or quantity at another precision; 7 with no decimals is 700 at precision 2.

    Decimals beyond `precision` are cut: pre-trade risk denies such an order.
    """
    if value.precision == precision:
        return value.raw
    if value.precision < precision:
        return value.raw * POWERS_OF_TEN[precision - value.precision]
    return value.raw // POWERS_OF_TEN[value.precision - precision]
