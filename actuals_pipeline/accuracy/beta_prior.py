"""Click rates drawn to their campaign's by as much as chance demands: empirical Bayes.

The best of many small ads is mostly the luckiest.  How much the true rates of a campaign's ads
differ is learnt from the campaign; each ad's rate is then drawn to the mean as if the campaign
had been shown `strength` times more with it.  KAG's 1,143 real ads: the best rate of .00106
becomes .00029.

Never shrink towards the prediction of the model that is being scored.

Source: Gelman et al., "Bayesian data analysis", 5.1 and 5.3; beta-binomial maximum likelihood by
Newton's method on (ln alpha, ln beta), all groups at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from actuals_pipeline.accuracy.columns import (
    Column,
    Flags,
    Floats,
    Labels,
    Positions,
    codes_of,
    quotient,
    refuse,
    rows_of,
    whole_columns,
)

_MAX_STEPS = 100
_LEAST_GAIN = 1e-8
"""In log likelihood: a step that gains less is the last, and lands within 1e-8 of the top."""
_STRENGTHS = 10.0 ** np.arange(-1.0, 9.1, 0.75)
"""Where the climb may start: from ads that are all or nothing to ads that hardly differ."""


@dataclass(frozen=True, slots=True, eq=False)
class BetaPriors:
    """The beta law of the true click rates of each group; rows are groups, by name."""

    groups: npt.NDArray[Any]
    """Names of the groups, shape `(g,)`."""
    mean: Floats
    """Mean rate, a fraction; NaN where a group has no click, or nothing but clicks."""
    strength: Floats
    """`alpha + beta`, in impressions: infinite where the ads differ by no more than chance, NaN
    where there are fewer than two ads with impressions or no mean."""

    @property
    def alpha(self) -> Floats:
        """First parameter of each law; infinite with the strength."""
        return self.mean * self.strength

    @property
    def beta(self) -> Floats:
        """Second parameter of each law; infinite with the strength."""
        return (1 - self.mean) * self.strength


def beta_of_moments(mean: float, deviation: float) -> tuple[float, float]:
    """Alpha and beta of the beta law with this mean and standard deviation.

    `alpha + beta = mean (1 - mean) / deviation^2 - 1`.  `ValueError` where there is none.
    """
    if not (0 < mean < 1 and 0 < deviation**2 < mean * (1 - mean)):
        raise ValueError(f"No beta law has mean {mean} and standard deviation {deviation}.")
    strength = mean * (1 - mean) / deviation**2 - 1
    return mean * strength, (1 - mean) * strength


def fit_beta_priors(clicks: Column, impressions: Column, groups: Labels) -> BetaPriors:
    """The most likely beta law of the true rates in each group, from one row an ad.

    Where no finite strength is likelier than an infinite one, the ads differing by no more than
    chance, that is the fit.  Overdispersed clicks: divide clicks and impressions by the factor
    first.  `ValueError` where clicks are impossible.
    """
    c, n = whole_columns(clicks=clicks, impressions=impressions)
    refuse("impressions", n, n < 0, "is at least 0")
    refuse("clicks", c, (c < 0) | (c > n), "is from 0 to the impressions")
    group, names = codes_of("groups", groups, len(c))
    shown = n > 0
    fit = _Fit(c[shown], n[shown], group[shown], len(names))
    mean = fit.common_rate()
    strength = np.where(np.isnan(mean), np.nan, np.inf)
    if len(at := np.flatnonzero(fit.has_two_ads & ~np.isnan(mean))):
        mean[at], strength[at] = fit.among(at).most_likely(mean[at])
    return BetaPriors(names, mean, np.where(fit.has_two_ads, strength, np.nan))


def shrunken_rates(
    clicks: Column, impressions: Column, priors: BetaPriors, groups: Labels
) -> Floats:
    """Each ad's rate drawn to its group's, a fraction: `(alpha + c) / (alpha + beta + n)`.

    An ad without impressions has its group's mean.  NaN where the group has no prior or is not
    among `priors`.
    """
    c, n = (np.atleast_1d(column) for column in rows_of(clicks=clicks, impressions=impressions))
    code, names = codes_of("groups", groups, len(c))
    position = {name: at for at, name in enumerate(priors.groups)}
    at = np.array([position.get(name, len(position)) for name in names], dtype=np.int64)[code]
    mean, strength = (np.append(of, np.nan)[at] for of in (priors.mean, priors.strength))
    own = quotient(np.ones_like(strength), strength + n)
    # Written so that an infinite strength gives the mean.
    return np.asarray(mean + (c - n * mean) * own)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """The ads that take part, and the position of each one's group."""

    clicks: Floats
    impressions: Floats
    group: Positions
    n_groups: int

    def sums(self, values: Floats) -> Floats:
        return np.bincount(self.group, values, self.n_groups).astype(np.float64)

    @property
    def has_two_ads(self) -> Flags:
        """Whether each group has ads that could differ."""
        return self.sums(np.ones_like(self.clicks)) >= 2

    def among(self, chosen: Positions) -> _Fit:
        """The ads of the chosen groups only, these renumbered in the order chosen."""
        position = np.full(self.n_groups, -1)
        position[chosen] = np.arange(len(chosen))
        group = position[self.group]
        rows = group >= 0
        return _Fit(self.clicks[rows], self.impressions[rows], group[rows], len(chosen))

    def common_rate(self) -> Floats:
        """The rate of each group's ads together; NaN where it is 0 or 1."""
        rate = quotient(self.sums(self.clicks), self.sums(self.impressions))
        return np.where((rate > 0) & (rate < 1), rate, np.nan)

    def most_likely(self, common: Floats) -> tuple[Floats, Floats]:
        """Mean and strength of highest likelihood; with infinite strength the common rate."""
        # A likelihood can have a top at infinity and a higher one before: so look everywhere.
        tries = np.array(
            [self.likelihood(np.log([common * at, (1 - common) * at])) for at in _STRENGTHS]
        )
        alpha, beta = self.climb(common, _STRENGTHS[tries.argmax(axis=0)])
        binomial = self.sums(
            special.xlogy(self.clicks, common[self.group])
            + special.xlog1py(self.impressions - self.clicks, -common[self.group])
        )
        differ = self.likelihood(np.log([alpha, beta])) > binomial
        return (
            np.where(differ, alpha / (alpha + beta), common),
            np.where(differ, alpha + beta, np.inf),
        )

    def climb(self, mean: Floats, strength: Floats) -> tuple[Floats, Floats]:
        """Alpha and beta of highest likelihood, each group by damped Newton steps of its own."""
        at = np.log(np.stack([mean * strength, (1 - mean) * strength]))
        damping = np.full(self.n_groups, 1e-3)
        height = self.likelihood(at)
        is_open = np.ones(self.n_groups, dtype=bool)
        for _ in range(_MAX_STEPS):
            fit, here = self.among(np.flatnonzero(is_open)), at[:, is_open]
            slope, curvature = fit.derivatives(here)
            step = np.clip(_solve(slope, curvature, damping[is_open]), -2.0, 2.0)
            reached = fit.likelihood(here + step)
            # At the top the likelihood's own rounding says nothing; Newton's last step is right.
            is_last = np.abs((slope * step).sum(axis=0)) < _LEAST_GAIN
            better = (reached >= height[is_open]) | is_last
            at[:, is_open] = np.where(better, here + step, here)
            height[is_open] = np.where(better, reached, height[is_open])
            damping[is_open] *= np.where(better, 0.1, 10.0)
            is_open[is_open] = ~is_last
            if not is_open.any():
                break
        alpha, beta = np.exp(at)
        return alpha, beta

    def likelihood(self, at: Floats) -> Floats:
        """The log likelihood of each group, up to what alpha and beta do not change."""
        a, b = np.exp(at)[:, self.group]
        return self.sums(
            special.betaln(a + self.clicks, b + self.impressions - self.clicks)
            - special.betaln(a, b)
        )

    def derivatives(self, at: Floats) -> tuple[Floats, Floats]:
        """Slopes `(2, g)` and curvatures `(3, g)` (aa, ab, bb) by ln alpha and ln beta."""
        alpha, beta = np.exp(at)
        a, b = alpha[self.group], beta[self.group]
        rest = self.impressions - self.clicks
        n_ads = self.sums(np.ones_like(a))

        def change(function: Any, first: Floats, second: Floats, total: Floats) -> list[Floats]:
            """By how much the function of parameter and counts exceeds that of the parameter."""
            return [
                self.sums(function(a + self.clicks)) - n_ads * function(first),
                self.sums(function(b + rest)) - n_ads * function(second),
                self.sums(function(a + b + self.impressions)) - n_ads * function(total),
            ]

        d_a, d_b, d_total = change(special.digamma, alpha, beta, alpha + beta)
        t_a, t_b, t_total = change(_trigamma, alpha, beta, alpha + beta)
        slope = np.stack([alpha * (d_a - d_total), beta * (d_b - d_total)])
        curvature = np.stack(
            [
                alpha**2 * (t_a - t_total) + slope[0],
                -alpha * beta * t_total,
                beta**2 * (t_b - t_total) + slope[1],
            ]
        )
        return slope, curvature


def _solve(slope: Floats, curvature: Floats, damping: Floats) -> Floats:
    """The step up of each group: Newton's, turned towards the slope by `damping`.

    Where the likelihood is not curved downwards, as far from its top, damping makes it so.
    """
    aa, ab, bb = curvature
    # The larger of the two curvatures; above 0 the surface bends upwards somewhere.
    bend = (aa + bb) / 2 + np.hypot((aa - bb) / 2, ab)
    size = np.abs(aa) + np.abs(bb) + 1e-30
    lift = np.maximum(bend, 0.0) * 1.1 + damping * size
    aa, bb = aa - lift, bb - lift
    determinant = aa * bb - ab**2
    ascent = np.stack([bb * slope[0] - ab * slope[1], aa * slope[1] - ab * slope[0]])
    return np.asarray(-ascent / determinant)


def _trigamma(x: Floats) -> Floats:
    """The second derivative of ln gamma to eight digits, ten times as fast as SciPy's general one.

    Six steps up by recurrence, then the asymptotic series.  Source: Abramowitz and Stegun, 6.4.
    """
    near: Floats = sum((1 / (x + i) ** 2 for i in range(6)), np.zeros_like(x))
    y = 1 / (x + 6)
    return np.asarray(near + y + y**2 / 2 + y**3 / 6 - y**5 / 30 + y**7 / 42)
