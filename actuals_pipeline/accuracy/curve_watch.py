"""Whether an account's newest days mature like those before.

A curve is learnt from three months of days.  When the tracking breaks, or Meta counts otherwise,
new days grow otherwise, and until the curve has learnt it every young figure is off: to whoever
watches a model that looks as if the model had changed.

Watched is the share of what a day has after eight days that it has after one and after three, by
ISO week, as a CUSUM on its logarithm.  Each week is held against those before it, by a score that
is standard normal while nothing changes however few they are.

Source: Hawkins, "Self-starting CUSUM charts for location and scale", 1987.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.columns import Floats, quotient
from actuals_pipeline.accuracy.development import Triangle
from actuals_pipeline.accuracy.drift.control_charts import cusum
from actuals_pipeline.accuracy.drift.run_lengths import weekly_limit

Pace = Literal["as_before", "changed", "unknown"]

WATCHED_AGES: Final = (1, 3)
BASE_AGE: Final = 8
"""Ages in days; the base is past the usual click window."""

LEAST_WEEKS: Final = 6
"""Weeks before the first that is judged."""
LEAST_DAYS, LEAST_PURCHASES = 4, 30
"""That a week needs to count."""
NEWEST_WEEKS: Final = 4
"""An alarm in these is told; an older one the curve has begun to learn."""

_LEAST_SCATTER: Final = 0.01
"""Of the weeks' logarithms; chosen: a change by a hundredth matters to nobody."""


def pace(revenue: Triangle, purchases: Triangle, first: date, *, n_accounts: int = 1) -> Pace:
    """How the newest weeks of an account mature, from triangles whose rows are days from `first`.

    `n_accounts` that are watched at a time raise one false alarm in two years, together.
    """
    weeks = _weeks(revenue, purchases, first)
    if len(weeks) <= LEAST_WEEKS:
        return "unknown"
    z = np.column_stack([_scores(column) for column in weeks.T])
    limit = weekly_limit(len(WATCHED_AGES) * n_accounts)
    return "changed" if cusum(z, limit=limit).is_alarm[-NEWEST_WEEKS:].any() else "as_before"


def _weeks(revenue: Triangle, purchases: Triangle, first: date) -> Floats:
    """The logarithms of the shares at `WATCHED_AGES`, shape `(weeks, 2)`, of weeks that count."""
    told = np.isfinite(revenue[:, [*WATCHED_AGES, BASE_AGE]]).all(axis=1)
    # Day 1 of the calendar was a Monday.
    week = (first.toordinal() - 1 + np.arange(len(revenue)))[told] // 7
    _, place = np.unique(week, return_inverse=True)

    def sums(values: Floats) -> Floats:
        return np.bincount(place, values[told]).astype(np.float64)

    base = sums(revenue[:, BASE_AGE])
    shares = np.column_stack([quotient(sums(revenue[:, age]), base) for age in WATCHED_AGES])
    enough = (np.bincount(place) >= LEAST_DAYS) & (sums(purchases[:, BASE_AGE]) >= LEAST_PURCHASES)
    counts = enough & (base > 0) & (shares > 0).all(axis=1)
    return np.asarray(np.log(shares[counts]))


def _scores(values: Floats) -> Floats:
    """Each value against those before it, as a standard normal score; NaN for the first ones."""
    scores = np.full(len(values), np.nan)
    for n in range(LEAST_WEEKS, len(values)):
        before = values[:n]
        scatter = max(float(before.std(ddof=1)), _LEAST_SCATTER)
        t = np.sqrt(n / (n + 1)) * (values[n] - before.mean()) / scatter
        # From the side on which the tail is small, where a probability has digits.
        scores[n] = -np.sign(t) * special.ndtri(special.stdtr(n - 1, -abs(t)))
    return scores
