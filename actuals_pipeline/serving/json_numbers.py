"""Numbers as the JSON of answers has them: with the digits they have, rounded only at this edge."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

Number = int | float | Decimal
"""A number as JSON has it; a Decimal where a float would lose digits."""

CENTS = Decimal("0.01")

RATE = Decimal("0.0001")
"""Rates are rounded here, at the edge, and nowhere else."""


def rounded(value: Decimal | None, unit: Decimal) -> Number | None:
    """`value` to the digits of `unit`, halves to even; None stays None."""
    return None if value is None else number(value.quantize(unit, ROUND_HALF_EVEN))


def number(value: Decimal) -> Number:
    """The same number as an int or, where that writes the same digits, a float."""
    if value == value.to_integral_value():
        return int(value)
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else value
