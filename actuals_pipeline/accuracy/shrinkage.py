"""Estimates of many alike things drawn to their mean by as much as their errors demand.

For what is roughly normal with a known error: log calibrations of segments, ROAS of ads.  Click
rates of ads have `beta_prior.py`.  On the whole the shrunken estimates are nearer the truth than
the estimates themselves, for four things and more; for fewer nothing can be learnt.

Source: Efron and Morris, "Data analysis using Stein's estimator and its generalizations", 1975;
for unequal errors Morris, "Parametric empirical Bayes inference", 1983, of which the former is
the special case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actuals_pipeline.accuracy.columns import (
    Column,
    Floats,
    Labels,
    Positions,
    codes_of,
    quotient,
    refuse,
    whole_columns,
)
from actuals_pipeline.accuracy.comparable import RoasPairs

LEAST_TO_POOL = 4
"""Things that a group needs before any of them is drawn to the others."""

_MAX_STEPS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Shrunken:
    """Shrunken estimates in the order given, shape `(n,)`, in the unit of the estimates."""

    values: Floats
    errors: Floats
    """Standard errors, with what is not known about the mean and the spread."""
    shares: Floats
    """How far each was drawn to the mean, from 0 (not at all) to below 1."""


def toward_the_mean(estimates: Column, errors: Column, groups: Labels | None = None) -> Shrunken:
    """Each estimate drawn to the mean of its group (of all, without groups).

    `errors` are standard errors, above 0.  A group of fewer than `LEAST_TO_POOL` stays as it is.
    Of k estimates y with variances V and true spread A about their mean,
    `y - B (y - mean)` with `B = (k - 3) / (k - 1) * V / (V + A)`; A is what is left of the
    scatter after the V, at least 0.  For equal V what is left of a distance to the mean is Stein's
    `1 - (k - 3) V / sum (y - mean)^2`.
    """
    y, error = whole_columns(estimates=estimates, errors=errors)
    refuse("errors", error, error <= 0, "is above 0")
    labels = np.zeros(len(y), dtype=np.int64) if groups is None else groups
    group, names = codes_of("groups", labels, len(y))
    return _Alike(y, error**2, group, len(names)).shrunken()


def shrunken_roas(pairs: RoasPairs, groups: Labels) -> Floats:
    """Each ad's actual ROAS drawn to its group's, a multiple.

    With the error that the group's common ROAS would have on the ad's spend, so that an ad that
    sold nothing is no certain 0.  NaN where the group sold nothing.
    """
    group, names = codes_of("groups", groups, len(pairs))
    revenue = np.bincount(group, pairs.revenue, len(names))
    spend = np.bincount(group, pairs.spend, len(names))
    common = (revenue / spend)[group]
    variance = common * pairs.revenue_unit / pairs.spend
    sold = variance > 0
    out = np.full(len(pairs), np.nan)
    out[sold] = toward_the_mean(pairs.actual[sold], np.sqrt(variance[sold]), group[sold]).values
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Alike:
    """Estimates with their variances and the position of each one's group."""

    y: Floats
    variance: Floats
    group: Positions
    n_groups: int

    def shrunken(self) -> Shrunken:
        k = self.each(self.sums(np.ones_like(self.y)))
        pooled = k >= LEAST_TO_POOL
        spread = self.each(self.spread())
        weight = 1 / (self.variance + spread)
        mean = self.mean(weight)
        # Less than the spread asks for, because it is an estimate itself.
        share = np.where(pooled, (k - 3) / np.maximum(k - 1, 1) * self.variance * weight, 0.0)
        off = self.y - mean
        of_mean = self.variance * (1 - (k - 1) / k * share)
        middle = quotient(self.sums(self.variance * weight), self.sums(weight))
        of_spread = (
            2 / np.maximum(k - 3, 1) * share**2 * (self.each(middle) + spread) * weight * off**2
        )
        error = np.sqrt(np.where(pooled, of_mean + of_spread, self.variance))
        return Shrunken(self.y - share * off, error, share)

    def spread(self) -> Floats:
        """The variance of the true values of each group about their mean, at least 0."""
        k = self.sums(np.ones_like(self.y))
        factor = self.each(k / np.maximum(k - 1, 1))
        spread = np.zeros(self.n_groups)
        for _ in range(_MAX_STEPS):
            weight = 1 / (self.variance + self.each(spread))
            left = factor * (self.y - self.mean(weight)) ** 2 - self.variance
            found = np.maximum(quotient(self.sums(weight * left), self.sums(weight)), 0.0)
            done = np.abs(found - spread) <= 1e-12 * (found + spread)
            spread = found
            if done.all():
                break
        return spread

    def mean(self, weight: Floats) -> Floats:
        """For each row the weighted mean of its group."""
        return self.each(quotient(self.sums(weight * self.y), self.sums(weight)))

    def each(self, of_group: Floats) -> Floats:
        return of_group[self.group]

    def sums(self, values: Floats) -> Floats:
        return np.bincount(self.group, values, self.n_groups).astype(np.float64)
