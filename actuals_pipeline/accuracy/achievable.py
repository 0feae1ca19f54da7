"""The best that any model could score on these volumes, and the model's error without chance.

A perfect model does not score 100 %: an ad shown 5,000 times at a true 2.5 % comes out 7 % off
on average.  The noise ceiling is that model's score; noise-corrected errors are the model's own,
with what chance adds taken off again.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.columns import Column, Floats, rows_of
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline.accuracy.intervals import ORDER_VALUE_CV
from actuals_pipeline.accuracy.noise import (
    NORMAL_MEAN_DEVIATION,
    binomial_mean_deviation,
    ctr_noise,
    roas_noise,
    roas_relative_error,
)
from actuals_pipeline.accuracy.sums import Summed, mean_of, ratio_of_sums

LEAST_ROOM = 0.5
"""Points of accuracy between baseline and ceiling below which their ratio says nothing."""


def ctr_ceiling(predicted: Column, impressions: Column, *, overdispersion: Column = 1.0) -> Floats:
    """The expected accuracy of each prediction if it is exactly true, a fraction in 0..1.

    Accuracy as the dashboard's, `max(0, 1 - |actual - predicted| / predicted)`.  Exact for
    independent impressions: `1 - MAD / p`, plus what holding the worst at 0 gives back,
    `SF_{n-1}(j - 2) - 2 SF_n(j - 1)` with j = floor(2 n p) + 1 and SF the chance of more.
    Overdispersed impressions count as n / overdispersion, rounded.  0 where fewer than half a
    click is expected: there even a true prediction scores nothing.  NaN for a predicted 0 and
    without impressions.  `ValueError` where impressions are no whole number.
    """
    p, n, phi = rows_of(predicted=predicted, impressions=impressions, overdispersion=overdispersion)
    p = np.where((p > 0) & (p <= 1), p, np.nan)
    n = np.where((n > 0) & np.isfinite(n), n, np.nan)
    n = np.where(phi == 1, n, np.maximum(np.rint(n / phi), 1))
    j = np.floor(2 * n * p) + 1
    given_back = _chance_of_at_least(j - 1, n - 1, p) - 2 * _chance_of_at_least(j, n, p)
    return np.clip(1 - binomial_mean_deviation(n, p) / p + given_back, 0.0, 1.0)


def roas_ceiling(purchases: Column, *, order_value_cv: Column = ORDER_VALUE_CV) -> Floats:
    """The expected accuracy of a ROAS prediction that is exactly true, a fraction in 0..1.

    `purchases` are those that the prediction implies (`noise.expected_purchases`).
    `1 - sqrt(2 / pi) * relative standard error`, the normal approximation; NaN without
    purchases.
    """
    error = roas_relative_error(purchases, order_value_cv=order_value_cv)
    return np.clip(1 - NORMAL_MEAN_DEVIATION * error, 0.0, 1.0)


def accuracy_of_achievable(accuracy: float, *, baseline: float, ceiling: float) -> float:
    """Where an accuracy lies between a naive baseline (0) and the noise ceiling (1).

    All three in percent.  Below 0: worse than the baseline.  Above 1: luck, or leakage.  NaN
    where less than half a point lies between the two.
    """
    room = ceiling - baseline
    return (accuracy - baseline) / room if room >= LEAST_ROOM else float("nan")


def excess_ctr_error(pairs: CtrPairs) -> Summed:
    """Mean |predicted - actual| CTR beyond what chance alone would give, each pair alike.

    A fraction; 0 for a perfect model.  Can be below 0 even for a wrong model where clicks are
    few, so it is no proof of skill; see `noise_corrected_ctr_error`.
    """
    noise = ctr_noise(pairs.predicted, pairs.impressions, overdispersion=pairs.overdispersion)
    return mean_of(np.abs(pairs.predicted - pairs.actual) - noise)


def excess_roas_error(pairs: RoasPairs) -> Summed:
    """The twin of `excess_ctr_error` for ROAS, a multiple."""
    noise = roas_noise(
        pairs.predicted,
        pairs.spend,
        order_value=pairs.order_value,
        order_value_cv=pairs.order_value_cv,
    )
    return mean_of(np.abs(pairs.predicted - pairs.actual) - noise)


def noise_corrected_ctr_error(pairs: CtrPairs, *, by_impressions: bool = True) -> Summed:
    """Root mean square error of the predicted against the TRUE click rates, a fraction.

    Each squared error less an unbiased estimate of its chance part, `a (1 - a) / (n / phi - 1)`;
    the mean (by impressions, or each pair alike) is unbiased, and held at 0 before the root.  0:
    no error beyond chance can be seen.  Pairs with no more impressions than `overdispersion` have
    no such estimate and do not count.
    """
    free = pairs.impressions / pairs.overdispersion - 1
    a = pairs.actual
    variance = a * (1 - a) / np.where(free > 0, free, np.inf)
    weight = np.where(free > 0, pairs.impressions if by_impressions else 1.0, 0.0)
    return _root(weight * ((pairs.predicted - a) ** 2 - variance), weight)


def noise_corrected_roas_error(pairs: RoasPairs, *, by_spend: bool = True) -> Summed:
    """Root mean square error of the predicted against the TRUE ROAS, a multiple.

    As `noise_corrected_ctr_error`, the chance part being `R * order_value (1 + cv^2) / s^2`; that
    of a pair with net refunds counts as none.
    """
    variance = np.maximum(pairs.revenue, 0) * pairs.revenue_unit / pairs.spend**2
    weight = pairs.spend if by_spend else np.ones_like(pairs.spend)
    return _root(weight * ((pairs.predicted - pairs.actual) ** 2 - variance), weight)


def _root(squares: Floats, weight: Floats) -> Summed:
    return ratio_of_sums(squares, weight).then(lambda mean: np.sqrt(np.maximum(mean, 0.0)))


def _chance_of_at_least(k: Floats, n: Floats, p: Floats) -> Floats:
    """P(X >= k) of X binomial; 1 for k <= 0 and 0 for k > n."""
    inside = (k > 0) & (k <= n)
    tail = special.betainc(np.where(inside, k, 1.0), np.where(inside, n - k + 1, 1.0), p)
    return np.where(inside, tail, np.where(k <= 0, 1.0, 0.0) + 0 * (n + p))
