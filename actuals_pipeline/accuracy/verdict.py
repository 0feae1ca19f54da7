"""What may be said of one pair: over, under, within tolerance, or not yet.

    within_tolerance   the whole interval lies within predicted / (1 + t) .. predicted * (1 + t)
    under              else, the whole interval lies above the prediction: it was too low
    over               else, the whole interval lies below the prediction: it was too high
    unresolved         else; more data are needed

An interval can lie within tolerance and beside the prediction at once: certainly off, and by
little.  The verdict is then `within_tolerance`, for alerts; `direction` keeps the rest.

Of many pairs judged at 95 %, one in twenty is off by chance: before a list of them is shown as
wrong, its p-values go through `false_discovery.py`, which holds false ones under 10 %.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.columns import Column, Floats, refuse, rows_of
from actuals_pipeline.accuracy.intervals import (
    ORDER_VALUE_CV,
    Interval,
    normal_quantile,
    scaled_gamma,
    wilson,
)
from actuals_pipeline.accuracy.noise import (
    ctr_z,
    impressions_needed,
    purchases_needed,
    roas_z,
    two_sided_p,
)
from actuals_pipeline.frames import first_that_applies

CTR_TOLERANCE = 0.20
ROAS_TOLERANCE = 0.15
"""How far off, over the prediction, is as good as right; chosen as dashboards of this kind do."""


def ctr_verdicts(
    predicted: Column,
    impressions: Column,
    clicks: Column,
    *,
    overdispersion: Column = 1.0,
    tolerance: float = CTR_TOLERANCE,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """One row a pair, in the order given, by Wilson's interval.

    `actual`, `low`, `high` (fractions), `z`, `p_value`, `verdict`, `direction`
    ("under", "over" or missing), `is_within_tolerance`, and where the verdict is `unresolved`
    about how many impressions more would settle it: `n_more` until an error as large as the one
    seen is told from chance, `n_more_within_tolerance` until an actual as close as the one seen
    is known to be within tolerance (NaN where it is outside, or never will).

    A pair that cannot be compared (see `noise`) has no verdict and NaN throughout.
    """
    p, n, c, phi = (
        np.atleast_1d(column)
        for column in rows_of(
            predicted=predicted,
            impressions=impressions,
            clicks=clicks,
            overdispersion=overdispersion,
        )
    )
    interval = wilson(c, n, overdispersion=phi, confidence=confidence)
    actual = np.where(np.isnan(interval.low), np.nan, c / np.where(n > 0, n, np.nan))
    frame = _judged(
        np.where((p >= 0) & (p <= 1), p, np.nan),
        actual,
        interval,
        z=ctr_z(p, n, c, overdispersion=phi),
        tolerance=tolerance,
    )
    needed = impressions_needed(
        p, _relative_error(p, actual), confidence=confidence, overdispersion=phi
    )
    enough = _enough_within(
        p,
        actual,
        lambda rate: phi * rate * (1 - rate),
        tolerance=tolerance,
        confidence=confidence,
    )
    return _with_more(frame, n, needed, enough)


def roas_verdicts(
    predicted: Column,
    spend: Column,
    revenue: Column,
    purchases: Column,
    *,
    order_value: Column,
    order_value_cv: Column = ORDER_VALUE_CV,
    tolerance: float = ROAS_TOLERANCE,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """One row a pair, in the order given, by the scaled gamma interval.

    As `ctr_verdicts`, in multiples; what more is needed are purchases.  `order_value`: see
    `intervals.shrunken_order_value`.  A pair whose refunds exceed its sales has an actual and a
    z, but no interval, and so no verdict.
    """
    r, s, total, n, aov, cv = (
        np.atleast_1d(column)
        for column in rows_of(
            predicted=predicted,
            spend=spend,
            revenue=revenue,
            purchases=purchases,
            order_value=order_value,
            order_value_cv=order_value_cv,
        )
    )
    interval = scaled_gamma(total, s, order_value=aov, order_value_cv=cv, confidence=confidence)
    actual = total / np.where(s > 0, s, np.nan)
    frame = _judged(
        np.where((r >= 0) & np.isfinite(r), r, np.nan),
        actual,
        interval,
        z=roas_z(r, s, total, order_value=aov, order_value_cv=cv),
        tolerance=tolerance,
    )
    needed = purchases_needed(_relative_error(r, actual), order_value_cv=cv, confidence=confidence)
    enough = _enough_within(
        r,
        actual,
        lambda rate: (1 + cv**2) * rate * actual,
        tolerance=tolerance,
        confidence=confidence,
    )
    return _with_more(frame, n, needed, enough)


def verdicts(predicted: Column, interval: Interval, *, tolerance: float) -> pd.DataFrame:
    """One row a pair: `verdict`, `direction` and `is_within_tolerance`, by any interval.

    `verdict` is one of `contract.VERDICTS`, missing where prediction or interval are;
    `direction` is "under", "over" or missing.
    """
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"A tolerance is at least 0, not {tolerance}.")
    p, low, high = (
        np.atleast_1d(column)
        for column in rows_of(predicted=predicted, low=interval.low, high=interval.high)
    )
    refuse("interval", low, low > high, "has its low end below its high end")
    flags = {
        "within_tolerance": (low >= p / (1 + tolerance)) & (high <= p * (1 + tolerance)),
        "under": low > p,
        "over": high < p,
    }
    series = {word: pd.Series(flag) for word, flag in flags.items()}
    is_known = np.isfinite(p + low + high)
    direction = first_that_applies(
        {"under": series["under"], "over": series["over"]}, otherwise="neither"
    )
    return pd.DataFrame(
        {
            "verdict": first_that_applies(series, otherwise="unresolved").where(is_known),
            "direction": direction.where(direction != "neither"),
            "is_within_tolerance": flags["within_tolerance"],
        }
    )


def _judged(
    predicted: Floats, actual: Floats, interval: Interval, *, z: Floats, tolerance: float
) -> pd.DataFrame:
    numbers = pd.DataFrame(
        {
            "actual": actual,
            "low": interval.low,
            "high": interval.high,
            "z": z,
            "p_value": two_sided_p(z),
        }
    )
    return pd.concat([numbers, verdicts(predicted, interval, tolerance=tolerance)], axis=1)


def _relative_error(predicted: Floats, actual: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray((predicted - actual) / np.where(predicted > 0, predicted, np.nan))


def _enough_within(
    predicted: Floats,
    actual: Floats,
    variance: Callable[[Floats], Floats],
    *,
    tolerance: float,
    confidence: float,
) -> Floats:
    """Observations at which the interval about `actual` fits within tolerance; NaN if none do.

    `variance` gives that of one observation at a true rate.  A score interval reaches up to the
    rate from which the actual is just z standard deviations off, that rate's own.
    """
    ends = predicted / (1 + tolerance), predicted * (1 + tolerance)
    inside = (ends[0] < actual) & (actual < ends[1])
    needed = [variance(end) / np.where(inside, end - actual, np.nan) ** 2 for end in ends]
    return np.asarray(normal_quantile(confidence) ** 2 * np.maximum(*needed))


def _with_more(frame: pd.DataFrame, n: Floats, needed: Floats, enough: Floats) -> pd.DataFrame:
    unresolved = frame["verdict"].eq("unresolved").to_numpy()
    # At least one: the counts are estimates, and the interval has just said that n are too few.
    more = {
        "n_more": np.maximum(needed - n, 1.0),
        "n_more_within_tolerance": np.maximum(enough - n, 1.0),
    }
    shown = {
        name: np.where(unresolved & np.isfinite(count), np.ceil(count), np.nan)
        for name, count in more.items()
    }
    return frame.assign(**shown)
