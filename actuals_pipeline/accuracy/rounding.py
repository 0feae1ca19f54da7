"""How a score is printed: one decimal, as the dashboard's JSON has it."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal

_TWELVE_DIGITS = Context(prec=12, rounding=ROUND_HALF_EVEN)
"""More digits than any model means, fewer than a float's last, accidental ones."""


def decimal_of(value: float) -> Decimal:
    """`value` with the noise of its last digits rounded away."""
    return _TWELVE_DIGITS.create_decimal_from_float(value)


def at_the_edge(value: float) -> Decimal | None:
    """`value` with one decimal, halves to even, as the dashboard's JSON prints it.

    None for NaN.  Float noise is rounded away first, so that 92.45 is a half however it was
    computed.
    """
    if math.isnan(value):
        return None
    return decimal_of(value).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
