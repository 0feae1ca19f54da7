"""How figures of a day grow as they age: the chain ladder on a triangle, with Mack's errors.

A *cohort* is a report day; its *age* is the number of days from it to the day at whose end a
figure was known.  A triangle has one row a cohort and one column an age, from 0: the cumulative
figure, NaN where it is not known (not yet, or not from the first day on).  From one age to the
next all cohorts are taken to grow by one factor; a factor below 1 says that something was taken
back.  The share known at an age is one over the product of the factors still to come.

Source: Mack, "Distribution-free calculation of the standard error of chain ladder reserve
estimates", 1993 (in the recursive form of "The standard error of chain ladder reserve estimates:
recursive calculation and inclusion of a tail factor", 1999, which cohorts of 0 do not break);
Mack, "Credible claims reserves: the Benktander method", 2000.

Units: whatever the triangle has; factors and shares are fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from actuals_pipeline.accuracy.columns import (
    Column,
    Flags,
    Floats,
    Positions,
    quotient,
    refuse,
    whole_columns,
)

Triangle: TypeAlias = Floats
"""Cumulative figures of shape `(cohorts, ages)`, NaN where unknown."""

LAST_COHORTS = 90
"""Cohorts that are looked at, the newest: habits of buyers change."""


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """How cohorts grow from each age to the next; arrays of shape `(ages - 1,)`."""

    factors: Floats
    """The figure at the next age over that at this one; NaN where no cohort tells."""
    variances: Floats
    """Mack's sigma squared: the scatter of the cohorts' own factors, times their figure."""
    volumes: Floats
    """What the cohorts that tell had at this age, together."""
    n_cohorts: Positions
    """Cohorts that tell: known at this age and the next."""

    @property
    def shares(self) -> Floats:
        """The share of the final figure known at each age, shape `(ages,)`; 1 at the last.

        NaN before the first age from which every later factor is known, and where they make 0.
        """
        return quotient(np.ones(1), _still_to_come(self.factors, np.multiply, 1.0))

    @property
    def share_errors(self) -> Floats:
        """Standard errors of the shares, shape `(ages,)`: what is not known of the factors."""
        relative = quotient(self.variances, self.factors**2 * self.volumes)
        return self.shares * np.sqrt(_still_to_come(relative, np.add, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Ultimates:
    """What cohorts will have come to, shape `(cohorts,)`; NaN for one of which nothing is known."""

    values: Floats
    errors: Floats
    """Standard errors: what is not known of the factors, and the chance still to come."""
    total: float
    """The sum of the values."""
    total_error: float
    """Its standard error: more than that of independent cohorts, as they share the factors."""


def growth(
    triangle: npt.ArrayLike, *, excluded: Flags | None = None, last: int = LAST_COHORTS
) -> Growth:
    """The growth that the `last` cohorts (rows, oldest first) of a triangle show.

    `excluded` marks cohorts to leave out, such as days on which the tracking was down; they still
    count among the last.  A factor is the sum at the next age over the sum at this one, so a
    cohort of 0 counts; it has no factor of its own to scatter.  Where fewer than two cohorts tell,
    the variance is Mack's guess from the two before; 0 where even these are missing.
    """
    cells = _triangle(triangle)
    left_out = np.zeros(len(cells), dtype=bool) if excluded is None else np.asarray(excluded)
    cells = cells[-last:][~left_out[-last:]]
    now, then = cells[:, :-1], cells[:, 1:]
    told = np.isfinite(now) & np.isfinite(then)
    now, then = np.where(told, now, 0.0), np.where(told, then, 0.0)
    volumes, n_cohorts = now.sum(axis=0), told.sum(axis=0)
    factors = quotient(then.sum(axis=0), np.where(volumes > 0, volumes, 0.0))
    own = quotient(then, now)
    scatter = np.where(now > 0, now * (own - factors) ** 2, 0.0).sum(axis=0)
    n_own = (now > 0).sum(axis=0)
    variances = quotient(scatter, np.where(n_own > 1, n_own - 1.0, 0.0))
    return Growth(factors, _with_guesses(variances), volumes, n_cohorts.astype(np.int64))


def ultimates(triangle: npt.ArrayLike, grown: Growth) -> Ultimates:
    """What the cohorts of a triangle will have come to, by the growth that it (or another) shows.

    Each is taken from its last known age on.  NaN where a factor still to come is unknown.
    """
    cells = _triangle(triangle)
    known = np.isfinite(cells)
    ages = np.arange(cells.shape[1])
    age = np.where(known.any(axis=1), np.where(known, ages, -1).max(axis=1), len(ages))
    values = np.full(len(cells), np.nan)
    squares, total_process, total_parameter = np.zeros(len(cells)), 0.0, 0.0
    for k, factor in enumerate([*grown.factors, 1.0]):
        values = np.where(age == k, cells[:, k], values)
        if k == len(grown.factors):
            break
        on = age <= k
        with np.errstate(invalid="ignore"):
            process = np.where(on, np.maximum(values, 0.0), 0.0) * grown.variances[k]
        per_square = float(quotient(grown.variances[k : k + 1], grown.volumes[k : k + 1])[0])
        squares = np.where(on, squares * factor**2 + process + values**2 * per_square, 0.0)
        reached = float(values[on].sum())
        total_process = total_process * factor**2 + float(process.sum())
        if on.any():
            total_parameter = total_parameter * factor**2 + reached**2 * per_square
        values = np.where(on, values * factor, values)
    missing = age == len(ages)
    errors = np.where(missing, np.nan, np.sqrt(squares))
    total = float(values[~missing].sum())
    return Ultimates(values, errors, total, float(np.sqrt(total_process + total_parameter)))


def benktander(known: Column, exposure: Column, shares: Column) -> Floats:
    """What cohorts will have come to, shape `(n,)`, steadied for those with little to go by.

    `known` is what is known of each so far, `exposure` what it cost (its spend), `shares` the part
    of the final figure that is known at its age.  What is still to come is a mixture of what the
    cohort itself and what all of them together say: `C + (1 - G) * (C + (1 - G) * prior)`, the
    prior being Cape Cod's: each cohort's exposure times `sum C / sum(exposure * G)`.  NaN where
    that is undefined.  Never take a prior from the model that is judged by the result.
    """
    c, s, g = whole_columns(known=known, exposure=exposure, shares=shares)
    refuse("exposure", s, s < 0, "is at least 0")
    rate = quotient(np.asarray(c.sum()), np.asarray((s * g).sum()))
    return c + (1 - g) * (c + (1 - g) * rate * s)


def _triangle(cells: npt.ArrayLike) -> Triangle:
    array = np.asarray(cells, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise ValueError(f"A triangle has a row a cohort and two ages or more, not {array.shape}.")
    if np.isinf(array).any():
        raise ValueError("A triangle has no infinite figure.")
    return array


def _still_to_come(steps: Floats, combine: np.ufunc, nothing: float) -> Floats:
    """For each age the steps from it to the last age, combined."""
    combined: Floats = combine.accumulate(np.append(steps, nothing)[::-1])[::-1]
    return combined


def _with_guesses(variances: Floats) -> Floats:
    """The variances, with Mack's guess where too few cohorts tell."""
    filled = variances.copy()
    for k in np.flatnonzero(np.isnan(variances)):
        before = filled[max(k - 2, 0) : k]
        if len(before) < 2 or before.min() == 0:
            filled[k] = 0.0
        else:
            filled[k] = min(before[1] ** 2 / before[0], *before)
    return filled
