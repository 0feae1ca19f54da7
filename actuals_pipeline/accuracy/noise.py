"""What chance alone does to CTR and ROAS, had the prediction been exactly true.

Everything here is said of one pair, row by row, and is measured against the PREDICTION: how many
standard deviations the actual is off, how far off a perfect prediction would be on average, and
how much it takes before an error can be told from chance.

Units: CTR fractions, ROAS multiples, money in the account's currency.  NaN where a row has no
delivery (or spend), where clicks exceed impressions, or where the prediction is no fraction
(multiple) - and where it allows no chance at all, being 0 or 1.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.columns import Column, Floats, quotient, refuse, rows_of
from actuals_pipeline.accuracy.intervals import ORDER_VALUE_CV, normal_quantile, revenue_unit

NORMAL_MEAN_DEVIATION = math.sqrt(2 / math.pi)
"""Mean deviation of a normal law over its standard deviation, 0.798."""


def ctr_z(
    predicted: Column, impressions: Column, clicks: Column, *, overdispersion: Column = 1.0
) -> Floats:
    """Standard deviations that the clicks are off: + more than predicted, - fewer.

    `(c - n p) / sqrt(overdispersion * n p (1 - p))`; over pairs of a perfect model its mean is 0
    and the mean of its square 1.
    """
    p, n, c, phi = rows_of(
        predicted=predicted, impressions=impressions, clicks=clicks, overdispersion=overdispersion
    )
    p, n = _fraction(p), _exposure(n)
    c = np.where((c >= 0) & (c <= n), c, np.nan)
    return quotient(c - n * p, np.sqrt(_factor(phi) * n * p * (1 - p)))


def roas_z(
    predicted: Column,
    spend: Column,
    revenue: Column,
    *,
    order_value: Column,
    order_value_cv: Column = ORDER_VALUE_CV,
) -> Floats:
    """Standard deviations that the revenue is off: + more than predicted, - less.

    `(R - s r) / sqrt(s r * order_value (1 + cv^2))`: the twin of `ctr_z`, with the variance that
    the prediction implies.  Skewed at few purchases.
    """
    r, s, total = rows_of(predicted=predicted, spend=spend, revenue=revenue)
    expected = _exposure(s) * _multiple(r)
    unit = revenue_unit(order_value, order_value_cv)
    return quotient(total - expected, np.sqrt(expected * unit))


def two_sided_p(z: Column) -> Floats:
    """The chance of being this far off or further if the prediction is true; NaN stays NaN."""
    [scores] = rows_of(z=z)
    return np.asarray(2 * special.ndtr(-np.abs(scores)))


def ctr_noise(predicted: Column, impressions: Column, *, overdispersion: Column = 1.0) -> Floats:
    """Mean |actual - predicted| CTR of a prediction that is exactly true, a fraction.

    De Moivre's exact mean deviation of a binomial, `2 m (1 - p) b(m; n, p) / n` with
    m = floor(n p) + 1 and b the binomial probability, times the root of `overdispersion`.  0 for
    a predicted 0 or 1.  Source: Diaconis and Zabell, "Closed form summation for classical
    distributions", 1991.  `ValueError` where impressions are no whole number.
    """
    p, n, phi = rows_of(predicted=predicted, impressions=impressions, overdispersion=overdispersion)
    return np.sqrt(_factor(phi)) * binomial_mean_deviation(_exposure(n), _fraction(p))


def binomial_mean_deviation(n: Floats, p: Floats) -> Floats:
    """E|X / n - p| of X binomial with n draws of probability p; see `ctr_noise`."""
    refuse("impressions", n, (n > 0) & (n != np.floor(n)), "is a whole number")
    certain = (p == 0) | (p == 1)
    inner = np.where(certain, 0.5, p)
    m = np.floor(n * inner) + 1
    # By logarithms: the binomial coefficient itself overflows at a thousand impressions.
    log_probability = (
        special.gammaln(n + 1)
        - special.gammaln(m + 1)
        - special.gammaln(n - m + 1)
        + m * np.log(inner)
        + (n - m) * np.log1p(-inner)
    )
    deviation: Floats = 2 * m * (1 - inner) * np.exp(log_probability) / n
    return np.where(certain & (n > 0), 0.0, deviation)


def roas_noise(
    predicted: Column,
    spend: Column,
    *,
    order_value: Column,
    order_value_cv: Column = ORDER_VALUE_CV,
) -> Floats:
    """Mean |actual - predicted| ROAS of a prediction that is exactly true, a multiple.

    `sqrt(2 / pi)` standard deviations, the normal approximation.  With a cv of 0.8 it is too high
    by 2 % at five expected purchases and by 8 % at one.
    """
    r, s = rows_of(predicted=predicted, spend=spend)
    r, s = _multiple(r), _exposure(s)
    unit = revenue_unit(order_value, order_value_cv)
    return NORMAL_MEAN_DEVIATION * np.sqrt(s * r * unit) / s


def expected_purchases(predicted: Column, spend: Column, *, order_value: Column) -> Floats:
    """Purchases that a true prediction would bring: `spend * predicted / order_value`."""
    r, s, aov = rows_of(predicted=predicted, spend=spend, order_value=order_value)
    return quotient(_exposure(s) * _multiple(r), np.where(aov > 0, aov, np.nan))


def roas_relative_error(purchases: Column, *, order_value_cv: Column = ORDER_VALUE_CV) -> Floats:
    """Standard error of a ROAS over the ROAS, `sqrt((1 + cv^2) / purchases)`; NaN at none."""
    n, cv = rows_of(purchases=purchases, order_value_cv=order_value_cv)
    return np.sqrt(quotient(1 + cv**2, np.where(n > 0, n, np.nan)))


def impressions_needed(
    predicted: Column,
    relative_error: Column,
    *,
    confidence: float = 0.95,
    power: float = 0.5,
    overdispersion: Column = 1.0,
) -> Floats:
    """Impressions after which an error this large, over the predicted CTR, is told from chance.

    With the usual `power` of 0.5 the expected |z| then just reaches that of `confidence`; with
    0.8 four pairs in five exceed it.  Infinite for an error of 0, NaN for a predicted 0.
    `((z + z_power) / error)^2 * (1 - p) / p`, a normal approximation.
    """
    p, error, phi = rows_of(
        predicted=predicted, relative_error=relative_error, overdispersion=overdispersion
    )
    p = np.where(p > 0, _fraction(p), np.nan)
    return _reach(confidence, power) ** 2 * _inverse_square(error) * _factor(phi) * (1 - p) / p


def purchases_needed(
    relative_error: Column,
    *,
    order_value_cv: Column = ORDER_VALUE_CV,
    confidence: float = 0.95,
    power: float = 0.5,
) -> Floats:
    """Purchases after which an error this large, over the ROAS, is told from chance.

    As `impressions_needed`: `((z + z_power) / error)^2 * (1 + cv^2)`.
    """
    error, cv = rows_of(relative_error=relative_error, order_value_cv=order_value_cv)
    return _reach(confidence, power) ** 2 * _inverse_square(error) * (1 + cv**2)


def any_error_p(z: Column) -> float:
    """The chance of such a sum of squares of z if every prediction is true: is any wrong.

    The upper tail of chi-square with as many degrees as rows.  Small: the model errs beyond
    chance somewhere.  Near 1: the actuals are closer than chance allows (copied, or leaked).
    Rows without z (NaN) do not count; NaN if no row counts.
    """
    [scores] = rows_of(z=z)
    squares = scores[np.isfinite(scores)] ** 2
    if not len(squares):
        return float("nan")
    return float(special.chdtrc(len(squares), squares.sum()))


def _reach(confidence: float, power: float) -> float:
    if not 0.5 <= power < 1:
        raise ValueError(f"A power is from 0.5 to below 1, not {power}.")
    return normal_quantile(confidence) + float(special.ndtri(power))


def _inverse_square(error: Floats) -> Floats:
    # A prediction of 1e-183 is off by a number whose square no float holds: nothing is needed.
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(1 / error**2)


def _fraction(predicted: Floats) -> Floats:
    return np.where((predicted >= 0) & (predicted <= 1), predicted, np.nan)


def _multiple(predicted: Floats) -> Floats:
    return np.where((predicted >= 0) & np.isfinite(predicted), predicted, np.nan)


def _exposure(amount: Floats) -> Floats:
    return np.where((amount > 0) & np.isfinite(amount), amount, np.nan)


def _factor(overdispersion: Floats) -> Floats:
    refuse("overdispersion", overdispersion, overdispersion <= 0, "is above 0")
    return overdispersion
