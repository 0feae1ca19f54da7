"""Figures of many rows that are made of sums over them, so that they can be resampled.

A calibration ratio, a log loss, a mean error: each is a function of a few sums.  Said once like
that, its value and its bootstrap interval (`bootstrap.py`) cannot come to differ, and drawing a
cluster again is adding its sums again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from actuals_pipeline.accuracy.columns import (
    Column,
    Floats,
    Positions,
    quotient,
    rows_of,
    weights_of,
    whole_columns,
)


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """A figure of rows: what each row adds, and how the figure follows from the sums."""

    terms: Floats
    """Shape `(n, k)`: what each of n rows adds to each of k sums."""
    of_sums: Callable[[Floats], Floats]
    """Sums of shape `(..., k)` -> figures of shape `(...)`; NaN where a figure is undefined."""

    @property
    def value(self) -> float:
        """The figure of all rows; NaN where undefined, as it is without rows."""
        return float(self.of_sums(self.terms.sum(axis=0))) if len(self.terms) else float("nan")

    def then(self, step: Callable[[Floats], Floats]) -> Summed:
        """The figure after one more step, elementwise: a root, a difference from 1."""
        return Summed(self.terms, lambda sums: step(self.of_sums(sums)))


def ratio_of_sums(above: Floats, below: Floats) -> Summed:
    """`sum(above) / sum(below)`; NaN where the lower sum is 0."""
    return Summed(
        np.column_stack([above, below]), lambda sums: quotient(sums[..., 0], sums[..., 1])
    )


def mean_of(values: Column, weights: Column | None = None) -> Summed:
    """The weighted mean of a column, each row alike without weights; NaN where these sum to 0."""
    [checked] = whole_columns(values=values)
    weight = weights_of(weights, checked)
    return ratio_of_sums(weight * checked, weight)


def means_by(codes: Positions, values: Column) -> Floats:
    """The mean of the values known (not NaN) of each group, by its code from 0 on; NaN of none.

    Row after row of a group, so that no other group changes its last digit; those of pandas do
    where another group has a NaN.
    """
    [each] = rows_of(values=values)
    known, n_groups = ~np.isnan(each), int(codes.max(initial=-1)) + 1
    sums = np.bincount(codes[known], each[known], n_groups).astype(np.float64)
    counts = np.bincount(codes[known], minlength=n_groups).astype(np.float64)
    return quotient(sums, counts)
