"""How long after a click people buy, and what that makes of the revenue of a day.

The delay is described by the share of purchases made within 1 day, within 7 and within 28 days of
the click, which is what Meta's click windows count; straight in the logarithm of time between, as
delays are.  Within the first day: 70 % of its purchases within the first hour (Chapelle, "Modeling
delayed feedback in display advertising", 2014: 35 % within an hour, 50 % within a day).

People click all day.  At the end of the day that is `age` days after a report day, its clicks are
between `age` and `age + 1` days old: the share known is the mean of the delay's over that day.

Units: days; shares are fractions of the revenue that the attribution setting lets count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actuals_pipeline.accuracy.columns import Floats, quotient
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS

AGES = np.arange(SETTLED_AFTER_DAYS + 1)
"""Ages of a report day at which its figures may still change, in days, and the last."""

USUAL_CLICK_WINDOW = 7
"""Days after a click in which a purchase counts, unless the ad set says otherwise (Meta's own)."""

_WITHIN_1_DAY, _WITHIN_7_DAYS = 0.50, 0.85
"""Of the purchases within 28 days, where nothing is known: assumed."""

_FIRST_HOUR = 0.70
"""Of the purchases of the first day."""

_KNOTS = np.array([1 / 24, 1.0, 7.0, 28.0])

_ASSUMED_SPREAD = 0.6
"""Chosen: the error of an assumed share G is this times G (1 - G), 0.15 at one half."""


@dataclass(frozen=True, slots=True, eq=False)
class Maturing:
    """Share of a day's revenue known at each of `AGES` with its standard error, `(ages,)`."""

    shares: Floats
    errors: Floats


def assumed(click_window: int = USUAL_CLICK_WINDOW) -> Maturing:
    """What is taken to hold of an account of which nothing is known.

    Half of the purchases of 28 days within a day, 85 % within 7.  What the account's click window
    does not count never comes: with 7 days the revenue is complete after 7, with 1 after 1.
    """
    within = {1: _WITHIN_1_DAY, 7: _WITHIN_7_DAYS, 28: 1.0}[click_window]
    shares = _by_age(min(_WITHIN_1_DAY / within, 1.0), min(_WITHIN_7_DAYS / within, 1.0))
    return Maturing(shares, _ASSUMED_SPREAD * shares * (1 - shares))


def of_click_windows(
    one_day: Floats, seven_days: Floats, whole_window: Floats, revenue: Floats
) -> Maturing:
    """How revenue matures, by the click windows of report days that have settled, shape `(days,)`.

    `one_day`, `seven_days` and `whole_window` is the value of the purchases made within 1 and 7
    days of a click and within the attribution setting's click window; `revenue` what counts:
    these and the purchases after a view, which come within a day.  So what comes later than a day
    is `whole_window - one_day`.  NaN without revenue.  Errors: those of a ratio of sums, from the
    scatter of the days.
    """
    counted = np.maximum(revenue, whole_window)
    after_1, error_1 = _ratio(np.maximum(whole_window - one_day, 0.0), counted)
    after_7, error_7 = _ratio(np.maximum(whole_window - seven_days, 0.0), counted)
    none, first = _by_age(0.0, 0.0), _by_age(1.0, 0.0)
    both = _by_age(1.0, 1.0)
    errors = (first - none) * error_1 + (both - first) * error_7
    # Not below 0 by a rounding.
    return Maturing(_by_age(1 - after_1, 1 - after_7), np.maximum(errors, 0.0))


def reported_late(made: Maturing, reporting: Maturing) -> Maturing:
    """What is known by each age if purchases, once `made`, are themselves known with a delay.

    `reporting` is the share of the purchases of a day that is known at the ages of that day.  The
    days on which they are made times how they are reported from there: a convolution.
    """
    on_day = np.diff(made.shares, prepend=0.0)
    n = len(AGES)
    shares = np.convolve(on_day, reporting.shares)[:n]
    of_reporting = np.convolve(on_day, reporting.errors)[:n]
    of_delay = made.errors * quotient(shares, made.shares)
    return Maturing(shares, np.hypot(of_delay, of_reporting))


def _by_age(within_1: float, within_7: float) -> Floats:
    """The mean of the delay's share from `age` to `age + 1` days, for each of `AGES`."""
    heights = np.array([_FIRST_HOUR * within_1, within_1, within_7, 1.0])
    area = _area(np.append(AGES, AGES[-1] + 1).astype(np.float64), heights)
    # Not above 1 by a rounding.
    return np.minimum(np.diff(area), 1.0)


def _area(until: Floats, heights: Floats) -> Floats:
    """The integral of the delay's share from 0 to each of `until`."""
    hour = _KNOTS[0]
    area = heights[0] * np.minimum(until, hour) ** 2 / (2 * hour)
    for start, end, low, high in zip(
        _KNOTS[:-1], _KNOTS[1:], heights[:-1], heights[1:], strict=True
    ):
        x = np.clip(until, start, end)
        slope = (high - low) / np.log(end / start)
        area += low * (x - start) + slope * (x * np.log(x / start) - (x - start))
    return np.asarray(area + np.maximum(until - _KNOTS[-1], 0.0))


def _ratio(above: Floats, below: Floats) -> tuple[float, float]:
    """The ratio of two sums over days, and its standard error."""
    n, total = len(below), below.sum()
    if total <= 0:
        return float("nan"), float("nan")
    ratio = above.sum() / total
    scatter = ((above - ratio * below) ** 2).sum()
    return float(ratio), float(np.sqrt(scatter * n / max(n - 1, 1)) / total)
