"""The decision that costs money: whether ads said to earn their spend did.

An ad is "good" at a ROAS of at least the bar.  Predicted good or not, found good or not; ads
whose interval still holds the bar are neither and do not count, because a coin would decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actuals_pipeline.accuracy.columns import (
    Column,
    Floats,
    quotient,
    refuse,
    weights_of,
    whole_columns,
)
from actuals_pipeline.accuracy.intervals import Interval
from actuals_pipeline.accuracy.sums import Summed


@dataclass(frozen=True, slots=True, eq=False)
class BreakEven:
    """How predicted and found good agree; figures by weight, one row a pair."""

    n_resolved: int
    """Pairs that count."""
    n_unresolved: int
    """Pairs whose interval holds the bar, or that have none."""
    precision: Summed
    """Share of what was predicted good that was good, 0..1; NaN if nothing was."""
    recall: Summed
    """Share of what was good that was predicted so, 0..1; NaN if nothing was."""
    correlation: Summed
    """Matthews' coefficient, -1..1: 0 is no better than chance, 1 always right.

    NaN where all are predicted alike, or found alike."""


def against_the_bar(
    predicted: Column, interval: Interval, *, bar: float, weights: Column | None = None
) -> BreakEven:
    """Predicted ROAS against `bar`, where the interval of the actual lies to one side of it.

    `weights` are the spend, usually.  Source of the correlation: Matthews, 1975.
    """
    if not (np.isfinite(bar) and bar > 0):
        raise ValueError(f"The bar is a multiple above 0, not {bar}.")
    [p] = whole_columns(predicted=predicted)
    low, high = (np.broadcast_to(end, p.shape) for end in interval)
    refuse("interval", low, low > high, "has its low end below its high end")
    is_good, is_bad = low >= bar, high < bar
    weight = weights_of(weights, p) * (is_good | is_bad)
    said = p >= bar
    cells = [said & is_good, said & is_bad, ~said & is_good, ~said & is_bad]
    terms = np.column_stack([weight * cell for cell in cells])
    n_resolved = int(np.count_nonzero(is_good | is_bad))
    return BreakEven(
        n_resolved,
        len(p) - n_resolved,
        precision=Summed(terms, lambda sums: quotient(sums[..., 0], sums[..., 0] + sums[..., 1])),
        recall=Summed(terms, lambda sums: quotient(sums[..., 0], sums[..., 0] + sums[..., 2])),
        correlation=Summed(terms, _matthews),
    )


def _matthews(sums: Floats) -> Floats:
    right_yes, wrong_yes, wrong_no, right_no = (sums[..., i] for i in range(4))
    spread = np.sqrt(
        (right_yes + wrong_yes)
        * (right_yes + wrong_no)
        * (right_no + wrong_yes)
        * (right_no + wrong_no)
    )
    return quotient(right_yes * right_no - wrong_yes * wrong_no, spread)
