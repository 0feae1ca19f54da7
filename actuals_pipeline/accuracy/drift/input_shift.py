"""Whether values are spread as they were: the population stability index with its null.

The usual 0.1 and 0.25 say nothing of how many values there were.  Without a change the index is
about `(1 / n + 1 / m)` times a chi-square with one degree less than bins, so chance has a limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.columns import Column, Floats, refuse, whole_columns

N_BINS = 10
LEAST_COUNT = 0.5
"""What an empty bin counts as, so that the index stays finite."""


@dataclass(frozen=True, slots=True)
class Stability:
    """How differently two sets of values are spread; 0 is not at all, NaN without values."""

    index: float
    chance: float
    """The chance of such an index if nothing had changed."""


def stability_index(reference: Column, current: Column) -> float:
    """`sum (q - e) ln(q / e)` of two spreads over the same bins, as shares or as counts.

    `ValueError` where a bin has nothing in it: see `LEAST_COUNT`.
    """
    e, q = whole_columns(reference=reference, current=current)
    for name, counts in (("reference", e), ("current", q)):
        refuse(name, counts, counts <= 0, "is above 0")
    e, q = e / e.sum(), q / q.sum()
    return float(np.sum((q - e) * np.log(q / e)))


def stability(reference: Column, current: Column, *, n_bins: int = N_BINS) -> Stability:
    """The index of two sets of values over the quantiles of `reference`.

    Equal values share a bin, so there may be fewer bins than asked; a single one says nothing.
    """
    [before], [now] = whole_columns(reference=reference), whole_columns(current=current)
    if not len(before) or not len(now):
        return Stability(float("nan"), float("nan"))
    edges = np.unique(np.quantile(before, np.linspace(0, 1, n_bins + 1)[1:-1]))
    counts = [_counts(values, edges) for values in (before, now)]
    occupied = (counts[0] + counts[1]) > 0
    e, q = (np.maximum(each[occupied], LEAST_COUNT) for each in counts)
    index = stability_index(e, q)
    scale = 1 / len(before) + 1 / len(now)
    degrees = float(occupied.sum() - 1)
    chance = float(special.chdtrc(degrees, index / scale)) if degrees else float("nan")
    return Stability(index, chance)


def _counts(values: Floats, edges: Floats) -> Floats:
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1).astype(np.float64)
