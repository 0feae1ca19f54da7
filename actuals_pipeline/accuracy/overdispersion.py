"""How much more clicks vary than a binomial says: impressions of a day share its weather.

The same person is shown an ad several times and good days are good for everyone, so clicks from
one day to the next scatter more than independent impressions would.  The factor, `overdispersion`,
widens every interval and every noise of CTR: n impressions tell as much as n / overdispersion.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

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
from actuals_pipeline.accuracy.intervals import normal_quantile

MOST_COMMON_ADS = 2
"""Ads of a campaign as many as which what all campaigns have in common counts at most.

Chosen: where one campaign in twenty scatters four times as much as the others, more would hide it.
Measured of campaigns with a factor of 4, one in five, beside others with 1, of seven days: nominal
95 % covered 89, 92, 93 and 93.5 % with one, four, eight and twenty ads; 78, 89, 91 and 93 % when
the median of all ads counted as four ads, however different the campaigns were.  The others have
98, 97, 96 and 96 %, campaigns that all have a factor of 2 or 3 95-97 %.
"""


def overdispersion_by_campaign(
    impressions: Column, clicks: Column, *, ads: Labels, campaigns: Labels
) -> pd.DataFrame:
    """One row a campaign, by name: `overdispersion` (at least 1), its `freedom`, and `n_ads`.

    Takes one row an ad and day.  Each ad with clicks and two days of delivery gives an estimate;
    a campaign has the median of its ads' estimates, drawn to the median of all campaigns' the more
    the less these differ beyond chance, and 1 where that is lower.  `freedom` are the degrees of
    freedom that it rests on; see `widened`.  A campaign without an estimate (`n_ads` 0) has the
    median of all; without any at all, both are NaN.

    How much campaigns differ is read from the variance of the logarithms of their medians, less
    what chance does to these (Smyth, "Linear models and empirical Bayes methods for assessing
    differential expression in microarray experiments", 2004, section 6.2).  A median of several
    ads tells 2 / pi of what their mean would, and one ad with a broken day does not move it.

    The scatter of the days' clicks about the ad's own rate, `sum (c_d - n_d a)^2`, over what a
    binomial's would be, `a (1 - a) (N - sum n_d^2 / N)` of N impressions.  Not Pearson's, the mean
    of each day's own ratio: it is the large days that move an ad's clicks.  (Of equal days both
    are one.  Measured at factors of 2 to 3 and seven days whose logarithms scatter by 0.5 and by
    1: nominal 95 % covered 92-94 % and 82-86 % with Pearson's, 93-94 % and 85-88 % like this.)

    Divided by the MEDIAN over the mean of chi-square, with the degrees of freedom that the scatter
    has (Satterthwaite; D - 1 of D equal days): a median of estimates is compared with their median.
    (Chosen: with D - 1 alone, nominal 95 % intervals of ads with seven days and a factor of 2 to 3
    covered 92-93 %, with three days 88-90 %; like this 94-95 % and 92-94 %.)

    `ValueError` where an ad is in two campaigns or clicks are impossible.
    """
    n, c = whole_columns(impressions=impressions, clicks=clicks)
    refuse("impressions", n, n < 0, "is at least 0")
    refuse("clicks", c, (c < 0) | ((c > n) & (n > 0)), "is from 0 to the impressions")
    ad, names_of_ads = codes_of("ads", ads, len(n))
    campaign, names = codes_of("campaigns", campaigns, len(n))
    campaign_of = np.zeros(len(names_of_ads), dtype=np.int64)
    campaign_of[ad] = campaign
    if len(strays := np.flatnonzero(campaign_of[ad] != campaign)):
        raise ValueError(f"campaigns: ad {names_of_ads[ad[strays[0]]]} is in more than one.")

    ads_of = pd.DataFrame(_by_ad(n, c, ad, len(names_of_ads))).groupby(campaign_of)
    own = ads_of["estimate"].median().to_numpy()
    n_ads: Positions = ads_of["estimate"].count().to_numpy().astype(np.int64)
    freedom = ads_of["freedom"].sum().to_numpy() * np.where(n_ads > _ITS_MEAN, 2 / np.pi, 1.0)
    known = n_ads > 0
    common, common_freedom = _in_common(own[known], freedom[known], n_ads[known])
    whole = common_freedom + freedom
    pooled = (common_freedom * common + freedom * np.where(known, own, 0.0)) / whole
    return pd.DataFrame(
        {
            "campaign": names,
            "overdispersion": np.maximum(pooled, 1.0),
            "freedom": whole,
            "n_ads": n_ads,
        }
    )


_ITS_MEAN = 2
"""Numbers up to as many of which the median is the mean."""


def widened(overdispersion: Floats, freedom: Floats) -> Floats:
    """The factors by which intervals of 95 % take into account that the factor is an estimate.

    Student's quantile in place of the normal one, as a variance of so many degrees of freedom asks.
    """
    student = special.stdtrit(np.minimum(freedom, _AS_GOOD_AS_KNOWN), 0.975)
    widening: Floats = (student / normal_quantile(0.95)) ** 2
    return overdispersion * widening


_AS_GOOD_AS_KNOWN = 1e9
"""Degrees of freedom beyond which Student's law is the normal one to the last digit."""

_LEAST = 1e-3
"""Of an ad whose days were all alike; zero has no logarithm."""


def _in_common(own: Floats, freedom: Floats, n_ads: Positions) -> tuple[float, float]:
    """What all campaigns have in common, and as how many degrees of freedom it counts."""
    if not len(own):
        return float("nan"), float("nan")
    logarithms = np.log(np.maximum(own, _LEAST))
    most = MOST_COMMON_ADS * float(freedom.sum() / n_ads.sum())
    chance = special.polygamma(1, freedom / 2).mean()
    beyond = logarithms.var(ddof=1) - chance if len(own) > 1 else 0.0
    # The inverse of trigamma, which is about 1 / x + 1 / (2 x^2).
    found = (1 + np.sqrt(1 + 2 * beyond)) / beyond if beyond > 0 else np.inf
    return float(np.exp(np.median(logarithms))), min(float(found), most)


def _by_ad(n: Floats, c: Floats, ad: Positions, n_ads: int) -> dict[str, Floats]:
    """Each ad's `estimate` and its `freedom`.

    NaN and 0 without two days of delivery, and of a rate of 0 or 1.
    """
    shown = n > 0
    n, c, ad = n[shown], c[shown], ad[shown]
    days = _sums(ad, np.ones_like(n), n_ads)
    whole, squares, cubes = (_sums(ad, n**power, n_ads) for power in (1, 2, 3))
    rate = quotient(_sums(ad, c, n_ads), whole)
    scatter = _sums(ad, (c - n * rate[ad]) ** 2, n_ads)
    # Trace of the days' covariance, over a (1 - a), and of its square.
    trace = np.where(days > 1, whole - quotient(squares, whole), np.nan)
    of_square = squares - 2 * quotient(cubes, whole) + quotient(squares, whole) ** 2
    freedom = np.clip(quotient(trace**2, of_square), 1, np.maximum(days - 1, 1))
    # The median of a chi-square law, from that of the gamma law that it is.
    median: Floats = special.gammaincinv(freedom / 2, 0.5) / (freedom / 2)
    estimate = quotient(quotient(scatter, trace * rate * (1 - rate)), median)
    return {"estimate": estimate, "freedom": np.where(np.isnan(estimate), 0.0, freedom)}


def _sums(ad: Positions, values: Floats, n_ads: int) -> Floats:
    return np.bincount(ad, values, n_ads).astype(np.float64)
