"""How fast an investment is spent, and when it will be gone.

The projection says: *if the coming days are like the last 28*, the money lasts until then.  The
level is their mean; the weekday pattern is the mean of each weekday among them; what remains is
chance, and neighbouring days may go up and down together.  No trend and no plan is known to it:
whoever doubles a budget tomorrow has made the projection void.

The interval: over h coming days the spend is the sum of the weekdays' means, with the variance

    lrv * (h + h^2 / n)

where lrv is the long-run variance of the days around their weekday's mean (so many days of chance
to come) and h^2 / n says that the mean itself is known from n days only.  The end is between the
first day on which the upper, and the first on which the lower 97.5 % limit of the sum reaches what
is left, by the t law with n - 7 degrees of freedom.  Analytic, so it needs no random numbers and
is the same every time.

`ahead` asks the same the other way round: what the coming days will cost together.

Source: Newey and West, "A simple, positive semi-definite, heteroskedasticity and autocorrelation
consistent covariance matrix", 1987, for the long-run variance.  Measured over 600 made-up
histories each, ending in 5 to 100 days: nominal 95 % cover the true end in 94-99 % where a day
has up to 0.3 in common with the next, in 89-96 % where it has 0.5.

Money becomes a float here: an end is a date, and a burn a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

DAYS_LOOKED_AT = 28
"""Four of each weekday, and the days that Meta may still restate."""

LEAST_DAYS = 7
"""Below this nothing is projected: a week has one of each weekday."""

LEAST_DAYS_FOR_INTERVAL = 14
"""Below this there is a projected end, but nobody knows how wrong it may be."""

MOST_YEARS = 100
"""A projected end later than this is none: at this burn the money never ends."""

_LAGS = 3
"""Days whose chance may go together.  Chosen: 28 days tell no more."""

Outlook = Literal["projected", "spent", "never", "too_few_days", "no_total", "unconverted"]
"""What can be said of the end, and otherwise why nothing can."""


@dataclass(frozen=True, slots=True)
class Projection:
    """When the money will be gone.

    `end` is the day on which it is: an estimate where the outlook is `projected`, with `low` and
    `high` as the ends of a 95 % interval; each None where it is unknown or never comes.
    """

    outlook: Outlook
    end: date | None = None
    low: date | None = None
    high: date | None = None


def burn_per_day(spent: Mapping[date, Decimal], last_day: date, days: int) -> float | None:
    """The mean spend of the known ones among the `days` days up to `last_day`, currency a day.

    None where none of them is known; a day that `spent` lacks is unknown, not zero.
    """
    known = _known(spent, last_day, days)
    return float(sum(known.values(), Decimal(0)) / len(known)) if known else None


def project(spent: Mapping[date, Decimal], last_day: date, remaining: Decimal) -> Projection:
    """When `remaining` will be gone, judging by the last 28 days up to `last_day`.

    `spent` has the spend of whole days, by day; what it lacks is unknown.  The first day to be
    counted on is the one after `last_day`.  `remaining` is above zero (`ValueError`).
    """
    if remaining <= 0:
        raise ValueError(f"Nothing remains to be projected: {remaining}.")
    pattern = _pattern(spent, last_day)
    if pattern is None:
        return Projection("too_few_days")
    if not pattern.means.any():
        return Projection("never")
    horizon = np.arange(1, MOST_YEARS * 366)
    expected = pattern.expected(last_day, horizon)
    left = float(remaining)
    end = _first_day(expected, left, last_day)
    if end is None:
        return Projection("never")
    margin = pattern.margin(horizon)
    if margin is None:
        return Projection("projected", end)
    low = _first_day(expected + margin, left, last_day)
    return Projection("projected", end, low, _first_day(expected - margin, left, last_day))


@dataclass(frozen=True, slots=True)
class SpendAhead:
    """What some coming days will cost together, with the ends of a 95 % interval if known."""

    expected: float
    low: float | None = None
    high: float | None = None


def ahead(spent: Mapping[date, Decimal], last_day: date, days: int) -> SpendAhead | None:
    """The spend of the `days` after `last_day`, one at least, judging by the last 28 up to it.

    As in `project`; None where too few of those days are known.  No day costs less than nothing.
    """
    pattern = _pattern(spent, last_day)
    if pattern is None:
        return None
    horizon = np.arange(1, days + 1)
    expected = float(pattern.expected(last_day, horizon)[-1])
    margins = pattern.margin(horizon)
    if margins is None:
        return SpendAhead(expected)
    margin = float(margins[-1])
    return SpendAhead(expected, max(0.0, expected - margin), expected + margin)


def spent_on(spent: Mapping[date, Decimal], total: Decimal) -> date | None:
    """The day on which the spend, summed by day, first reached `total`; None for not yet."""
    so_far = Decimal(0)
    for day in sorted(spent):
        so_far += spent[day]
        if so_far >= total:
            return day
    return None


@dataclass(frozen=True, slots=True)
class _Pattern:
    """The weekday means, `(7,)`, Monday first, and how the days were spread around them."""

    means: Floats
    residuals: Floats

    def expected(self, last_day: date, horizon: npt.NDArray[np.int64]) -> Floats:
        """The mean spend of the days up to each of `horizon`, days after `last_day`."""
        return np.cumsum(self.means[(last_day.weekday() + horizon) % 7])

    def margin(self, horizon: npt.NDArray[np.int64]) -> Floats | None:
        """Half the width of the interval of each such sum; None where nobody knows it."""
        n = len(self.residuals)
        if n < LEAST_DAYS_FOR_INTERVAL:
            return None
        deviation = np.sqrt(_long_run_variance(self.residuals))
        margin: Floats = deviation * np.sqrt(horizon + horizon**2 / n)
        return margin * float(special.stdtrit(_freedom(n), 0.975))


def _pattern(spent: Mapping[date, Decimal], last_day: date) -> _Pattern | None:
    """The pattern of the last 28 days up to `last_day`; None where too few are known."""
    known = _known(spent, last_day, DAYS_LOOKED_AT)
    if len(known) < LEAST_DAYS:
        return None
    days = sorted(known)
    values = np.array([float(known[day]) for day in days])
    weekdays = np.array([day.weekday() for day in days])
    means = _weekday_means(values, weekdays)
    return _Pattern(means, values - means[weekdays])


def _known(spent: Mapping[date, Decimal], last_day: date, days: int) -> dict[date, Decimal]:
    window = (last_day - timedelta(days=back) for back in range(days))
    return {day: spent[day] for day in window if day in spent}


def _weekday_means(values: Floats, weekdays: npt.NDArray[np.int64]) -> Floats:
    """The mean of each weekday, `(7,)`, Monday first; the mean of all where one has no value."""
    counts = np.bincount(weekdays, minlength=7)
    sums = np.bincount(weekdays, values, minlength=7)
    return np.where(counts > 0, sums / np.maximum(counts, 1), values.mean())


def _long_run_variance(residuals: Floats) -> float:
    """The variance of a sum of many such days, per day: what neighbours share is counted in.

    Not below what independent days would have: so few days may look calmer than they are.
    """
    n = len(residuals)
    lagged = [float(residuals[lag:] @ residuals[: n - lag]) for lag in range(_LAGS + 1)]
    shared = sum(2 * (1 - lag / (_LAGS + 1)) * lagged[lag] for lag in range(1, _LAGS + 1))
    return max(lagged[0], lagged[0] + shared) / _freedom(n)


def _freedom(n: int) -> int:
    """Days less the seven weekday means that are made of them."""
    return n - 7


def _first_day(spending: Floats, left: float, last_day: date) -> date | None:
    reached = spending >= left
    at = int(reached.argmax())
    return last_day + timedelta(days=at + 1) if reached[at] else None
