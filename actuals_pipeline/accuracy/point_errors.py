"""How far predictions are from actuals: the usual measures, and which of them to trust.

Each takes predicted and actual values in one unit (CTR fractions, ROAS multiples), one row a
pair, and optional weights (impressions, spend).  All but `log_ratio_quantile` are made of sums
and can be resampled (`sums.py`).  What is smaller is better, except for skill and R squared.

`wape` is the one to quote for ROAS: actuals of zero and ads of any size do it no harm.  Errors of
single ads with few clicks are mostly chance: read `mae` beside `achievable.excess_ctr_error`.
Measures relative to one value (`smape`, `mape`) can be gamed by predicting low or high; they are
here because people ask for them.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.columns import (
    Column,
    Floats,
    quotient,
    refuse,
    weights_of,
    whole_columns,
)
from actuals_pipeline.accuracy.sums import Summed, mean_of, ratio_of_sums


def mae(predicted: Column, actual: Column, weights: Column | None = None) -> Summed:
    """Mean absolute error, in the unit of the values; 0 is perfect, NaN without rows."""
    p, a = whole_columns(predicted=predicted, actual=actual)
    return mean_of(np.abs(p - a), weights)


def rmse(predicted: Column, actual: Column, weights: Column | None = None) -> Summed:
    """Root mean square error, in the unit of the values; 0 is perfect, NaN without rows."""
    p, a = whole_columns(predicted=predicted, actual=actual)
    return mean_of((p - a) ** 2, weights).then(np.sqrt)


def wape(predicted: Column, actual: Column, weights: Column) -> Summed:
    """All absolute errors over all that happened: `sum w |p - a| / sum w a`.

    With impressions as weights that is `sum |n p - c| / sum c`, with spend
    `sum |s r - R| / sum R`.  A fraction, 0 is perfect and 1 what predicting 0 throughout would
    score.  NaN where nothing happened.
    """
    p, a = whole_columns(predicted=predicted, actual=actual)
    w = weights_of(weights, p)
    return ratio_of_sums(w * np.abs(p - a), w * a)


def smape(predicted: Column, actual: Column, weights: Column | None = None) -> Summed:
    """Mean of `2 |p - a| / (p + a)`, from 0 to 2; for export only.

    2 for every pair with one of the two at 0, 0 for a pair with both there: they are equal.
    Values are at least 0.
    """
    p, a = _at_least_zero(predicted, actual)
    relative = quotient(2 * np.abs(p - a), p + a)
    return mean_of(np.where(p + a > 0, relative, 0.0), weights)


def mape(predicted: Column, actual: Column, weights: Column | None = None) -> Summed:
    """Mean of `|p - a| / |a|`, a fraction; `ValueError` where an actual is 0.

    Rewards predictions that are too low, and cannot be said of an ad without clicks or sales.
    Not the dashboard's accuracy, which is relative to the predicted value (`score.py`).
    """
    p, a = whole_columns(predicted=predicted, actual=actual)
    refuse("actual", a, a == 0, "is not 0")
    return mean_of(np.abs((p - a) / a), weights)


def r_squared(predicted: Column, actual: Column, weights: Column | None = None) -> Summed:
    """Share of the actuals' weighted variance that the predictions explain; 1 is perfect.

    0 is what predicting the mean would score, and worse models score below.  NaN where all
    actuals are equal.  Weights of a click rate are impressions.
    """
    p, a = whole_columns(predicted=predicted, actual=actual)
    w = weights_of(weights, p)
    # About a fixed middle: sums of squares of large numbers would cancel.
    middle = float(a.mean()) if len(a) else 0.0
    d = a - middle

    def of_sums(sums: Floats) -> Floats:
        error, weight, first, second = (sums[..., i] for i in range(4))
        spread = second - quotient(first**2, weight)
        return 1 - quotient(error, np.where(spread > 1e-12 * second, spread, 0.0))

    return Summed(np.column_stack([w * (p - a) ** 2, w, w * d, w * d**2]), of_sums)


def skill(
    predicted: Column, actual: Column, *, baseline: Column, weights: Column | None = None
) -> Summed:
    """`1 - MAE / MAE of the baseline` on the same rows; 1 is perfect, 0 as good as the baseline.

    Below 0 the baseline is better.  With impressions or spend as weights it is also
    `1 - WAPE / WAPE of the baseline`.  The baseline may only know what was known when the model
    predicted.  NaN where the baseline is perfect.
    """
    p, a, b = whole_columns(predicted=predicted, actual=actual, baseline=baseline)
    w = weights_of(weights, p)
    return ratio_of_sums(w * np.abs(p - a), w * np.abs(b - a)).then(lambda ratio: 1 - ratio)


def log_ratio_quantile(
    predicted: Column,
    actual: Column,
    *,
    quantile: float = 0.9,
    weights: Column | None = None,
) -> float:
    """The `quantile` of |ln(predicted / actual)|: nine in ten pairs are off by less than e^this.

    Symmetric: twice too high and twice too low are both 0.693; 0 is perfect.  A pair with one of
    the two at 0 is infinitely far off, with both there it is right.  NaN where the quantile is
    infinite, and without rows.  Values are at least 0.  Source: Tofallis, "A better measure of
    relative prediction accuracy", 2015.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"A quantile is between 0 and 1, not {quantile}.")
    p, a = _at_least_zero(predicted, actual)
    w = weights_of(weights, p)
    if not w.sum() > 0:
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(p == a, 0.0, np.abs(np.log(p) - np.log(a)))
    found = float(np.quantile(distance, quantile, weights=w, method="inverted_cdf"))
    return found if np.isfinite(found) else float("nan")


def poisson_deviance(expected: Column, observed: Column) -> Summed:
    """`2 sum [c ln(c / m) - (c - m)]` of counts c against expected counts m; 0 is perfect.

    The proper measure of counts: about 1 a row for a perfect model.  NaN where something was
    observed of which exactly 0 was expected: no chance at all was given to it.
    """
    m, c = _at_least_zero(expected, observed)
    distance: Floats = 2 * special.kl_div(c, m)
    return _finite_sum(distance)


def revenue_deviance(expected: Column, observed: Column) -> Summed:
    """The Tweedie deviance of power 3/2, `sum 4 (sqrt(m) - sqrt(y))^2 / sqrt(m)`; 0 is perfect.

    For revenue, with many zeros and a long tail; in the root of the currency, so only to compare
    models on the same rows.  NaN where revenue came of which exactly 0 was expected.
    """
    m, y = _at_least_zero(expected, observed)
    root = np.sqrt(m)
    with np.errstate(divide="ignore"):
        distance = 4 * (root - np.sqrt(y)) ** 2 / np.where((m == 0) & (y == 0), 1.0, root)
    return _finite_sum(distance)


def _finite_sum(values: Floats) -> Summed:
    return Summed(
        values[:, None], lambda sums: np.where(np.isfinite(sums[..., 0]), sums[..., 0], np.nan)
    )


def _at_least_zero(first: Column, second: Column) -> list[Floats]:
    columns = whole_columns(predicted=first, actual=second)
    for name, values in zip(("predicted", "actual"), columns, strict=True):
        refuse(name, values, values < 0, "is at least 0")
    return columns
