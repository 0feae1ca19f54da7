"""Judging models that say a range rather than a number, and ranges for those that do not.

A range must hold what HAPPENS, chance included, not only the true rate: an 80 % range of a CTR at
300 impressions is wide for the best of models.

Units: those of the values, CTR fractions or ROAS multiples.
"""

from __future__ import annotations

import numpy as np

from actuals_pipeline.accuracy.columns import Column, Floats, refuse, whole_columns
from actuals_pipeline.accuracy.sums import Summed, mean_of


def pinball_loss(
    predicted: Column, actual: Column, *, quantile: float, weights: Column | None = None
) -> Summed:
    """Mean loss of predictions of one `quantile`; at least 0, lower is better.

    `max(q (a - p), (q - 1) (a - p))`: its expectation is lowest for the true quantile.  Half the
    mean absolute error for the median.  Source: Koenker and Bassett, 1978.
    """
    _within_0_and_1("quantile", quantile)
    p, a = whole_columns(predicted=predicted, actual=actual)
    return mean_of(np.maximum(quantile * (a - p), (quantile - 1) * (a - p)), weights)


def coverage(low: Column, high: Column, actual: Column, weights: Column | None = None) -> Summed:
    """Share of the actuals within their ranges, ends included; compare with what was promised."""
    low, high, a = _ranges(low, high, actual)
    return mean_of(((low <= a) & (a <= high)).astype(np.float64), weights)


def winkler_score(
    low: Column,
    high: Column,
    actual: Column,
    *,
    promised: float,
    weights: Column | None = None,
) -> Summed:
    """Mean width of ranges that promise this coverage, misses fined; lower is better.

    An actual outside costs `2 / (1 - promised)` times its distance, so that neither wide nor
    narrow ranges pay.  Source: Winkler, "A decision-theoretic approach to interval estimation",
    1972.
    """
    _within_0_and_1("promised", promised)
    low, high, a = _ranges(low, high, actual)
    miss = np.maximum(low - a, 0) + np.maximum(a - high, 0)
    return mean_of(high - low + 2 / (1 - promised) * miss, weights)


def conformal_factor(predicted: Column, actual: Column, *, promised: float) -> float:
    """The factor f such that `predicted / f .. predicted * f` would hold the next actual.

    With a chance of at least `promised`, whatever the model, if the next pair is like these: the
    `ceil((n + 1) promised)`-th smallest of n |ln(actual / predicted)|.  At least 1.  NaN where
    there are too few pairs for that, or too many actuals of 0.  Source: Vovk et al., "Algorithmic
    learning in a random world", 2005 (split conformal prediction).
    """
    _within_0_and_1("promised", promised)
    p, a = whole_columns(predicted=predicted, actual=actual)
    refuse("predicted", p, p <= 0, "is above 0")
    refuse("actual", a, a < 0, "is at least 0")
    with np.errstate(divide="ignore"):
        distance = np.sort(np.abs(np.log(a) - np.log(p)))
    # Rounded first: 19 pairs are enough for 95 %, though floats say 0.95 * 20 > 19.
    rank = int(np.ceil(round((len(distance) + 1) * promised, 9)))
    if rank > len(distance) or not np.isfinite(distance[rank - 1]):
        return float("nan")
    return float(np.exp(distance[rank - 1]))


def _ranges(low: Column, high: Column, actual: Column) -> list[Floats]:
    columns = whole_columns(low=low, high=high, actual=actual)
    refuse("low", columns[0], columns[0] > columns[1], "is at most the high end")
    return columns


def _within_0_and_1(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}: {value} is not between 0 and 1.")
