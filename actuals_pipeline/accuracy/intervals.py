"""How far a true rate may be from the rate that was seen: intervals for CTR and for ROAS.

CTR: clicks are binomial, with `overdispersion` times a binomial's variance (`overdispersion.py`);
an interval of n impressions is then that of n / overdispersion.  ROAS: spend is known; purchases
arrive as a Poisson process and each is worth a random amount, so revenue has the variance
`mean * order_value * (1 + cv^2)` and behaves like a scaled Poisson count.

Sources: E. B. Wilson, 1927; Brown, Cai and DasGupta, "Interval estimation for a binomial
proportion", 2001 (Wilson, Jeffreys); the scaled gamma is the Jeffreys interval of a Poisson mean,
read in units of `revenue_unit`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.columns import Column, Floats, quotient, refuse, rows_of

ORDER_VALUE_CV = 0.8
"""Standard deviation of a purchase's value over its mean: an assumption until shop data tell."""

ORDER_VALUE_WEIGHT = 10.0
"""Purchases that the account's mean order value counts for beside an ad's own.

With the ad's own mean alone an interval that should cover 95 % covers 93 % at a handful of
purchases, and is undefined at none.
"""


class Interval(NamedTuple):
    """Both ends, one a row, in the unit of the rate; NaN where the interval is undefined."""

    low: Floats
    high: Floats


def wilson(
    clicks: Column,
    impressions: Column,
    *,
    overdispersion: Column = 1.0,
    confidence: float = 0.95,
) -> Interval:
    """Wilson's score interval of each CTR, fractions within 0..1; the one to show.

    The low end of no clicks is 0, the high end of clicks alone 1.  NaN without impressions and
    where clicks are below 0 or above the impressions: no click rate explains these.
    """
    n, a, z = *_effective(clicks, impressions, overdispersion), normal_quantile(confidence)
    with np.errstate(invalid="ignore"):
        centre = (a + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(a * (1 - a) / n + (z / (2 * n)) ** 2)
    return Interval(np.where(a == 0, 0.0, centre - half), np.where(a == 1, 1.0, centre + half))


def jeffreys(
    clicks: Column,
    impressions: Column,
    *,
    overdispersion: Column = 1.0,
    confidence: float = 0.95,
) -> Interval:
    """The central interval of Beta(clicks + 1/2, impressions - clicks + 1/2), fractions in 0..1.

    Shorter than Wilson's at few clicks.  The low end of no clicks is 0, the high end of clicks
    alone 1.  NaN where `wilson` is.
    """
    n, a = _effective(clicks, impressions, overdispersion)
    tail = _tail(confidence)
    success, failure = n * a + 0.5, n * (1 - a) + 0.5
    return Interval(
        np.where(a == 0, 0.0, special.betaincinv(success, failure, tail)),
        np.where(a == 1, 1.0, special.betainccinv(success, failure, tail)),
    )


def scaled_gamma(
    revenue: Column,
    spend: Column,
    *,
    order_value: Column,
    order_value_cv: Column = ORDER_VALUE_CV,
    confidence: float = 0.95,
) -> Interval:
    """The interval of each ROAS, multiples, at least 0.

    `order_value` is the mean value of a purchase (see `shrunken_order_value`), with which the
    interval exists even where nothing was sold; its low end is 0 there.  NaN without spend,
    without an order value, and where refunds exceed sales: no purchases explain a negative sum.
    """
    total, s, aov, cv = rows_of(
        revenue=revenue, spend=spend, order_value=order_value, order_value_cv=order_value_cv
    )
    unit = revenue_unit(aov, cv)
    sold = quotient(np.where(total >= 0, total, np.nan), unit)
    scale = quotient(unit, np.where(s > 0, s, np.nan))
    tail = _tail(confidence)
    # All versions of a model are compared with the same sales, and the inverses take long.
    shapes, of_row = np.unique(sold + 0.5, return_inverse=True)
    low = scale * special.gammaincinv(shapes, tail)[of_row]
    high = scale * special.gammainccinv(shapes, tail)[of_row]
    return Interval(np.where((sold == 0) & (scale > 0), 0.0, low), high)


def revenue_unit(order_value: Column, order_value_cv: Column = ORDER_VALUE_CV) -> Floats:
    """Variance of the revenue over its mean: `order_value * (1 + cv^2)`, in its currency.

    Revenue divided by this behaves like a count.  NaN where the order value is not above 0.
    Source: variance of a compound Poisson sum, rate * E[value^2].
    """
    aov, cv = rows_of(order_value=order_value, order_value_cv=order_value_cv)
    refuse("order_value_cv", cv, cv < 0, "is at least 0")
    return np.where(aov > 0, aov, np.nan) * (1 + cv**2)


def shrunken_order_value(
    revenue: Column,
    purchases: Column,
    *,
    account_order_value: Column,
    weight: float = ORDER_VALUE_WEIGHT,
) -> Floats:
    """Each ad's mean order value, drawn to its account's as if that were `weight` purchases more.

    Major units of the account's currency.  An ad without purchases has the account's.  NaN where
    the account's is unknown, where purchases are below 0, and where refunds leave no positive
    value.
    """
    total, n, of_account = rows_of(
        revenue=revenue, purchases=purchases, account_order_value=account_order_value
    )
    value = quotient(total + weight * of_account, np.where(n >= 0, n, np.nan) + weight)
    return np.where(value > 0, value, np.nan)


def normal_quantile(confidence: float) -> float:
    """How many standard deviations to both sides hold `confidence` of a normal law; .95 -> 1.96."""
    return float(-special.ndtri(_tail(confidence)))


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"A confidence is between 0 and 1, not {confidence}.")
    return (1 - confidence) / 2


def _effective(clicks: Column, impressions: Column, overdispersion: Column) -> list[Floats]:
    """Independent impressions and the click rate, both NaN where there is no rate."""
    c, n, phi = rows_of(clicks=clicks, impressions=impressions, overdispersion=overdispersion)
    refuse("overdispersion", phi, phi <= 0, "is above 0")
    defined = (n > 0) & (c >= 0) & (c <= n)
    n = np.where(defined, n, np.nan)
    return [n / phi, c / n]
