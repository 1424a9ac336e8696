"""Exact integer rounding: the one rule by which amounts of money are made from products of prices and quantities."""

from __future__ import annotations


def div_half_even(numerator: int, denominator: int) -> int:
    """`numerator` / `denominator` (> 0) rounded to the nearest integer, ties to even."""
    quotient, remainder = divmod(numerator, denominator)
    twice = remainder + remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def rescale_half_even(value: int, precision: int, target: int) -> int:
    """`value` at `precision` decimal places, given at `target` places, ties to even."""
    if target >= precision:
        return value * 10 ** (target - precision)
    return div_half_even(value, 10 ** (precision - target))
