"""Which ad of an ad set is the best, and whether that may be said yet.

Ads that delivered within the last `ACTIVE_DAYS` days are compared by CTR and by ROAS, on whole
days only.  Meta decides who sees which ad and does not draw lots, so this is an observation: the
ads may differ in their audience rather than in what they are.

CTR: beta laws, drawn to the campaign's (`beta_prior.py`) and as wide as its overdispersion asks.
ROAS: scaled gamma laws of what the spend that has had its time has earned.  A winner has all of:
the lead, an expected loss below 1 % of its rate, a chance above 95 % to be the best, an
always-valid p below 5 % against every other, mature figures, and 7 days.

For the p-value ads are compared day by day and the days added up (Mantel and Haenszel, 1959), so
that an ad which was shown on good days only gains nothing by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
from scipy import special

from actuals_pipeline.accuracy.account_curves import Curves
from actuals_pipeline.accuracy.always_valid import log_evidence, p_value
from actuals_pipeline.accuracy.best_of_many import (
    LEAST_PARAMETER,
    best_of,
    beta_laws,
    gamma_laws,
)
from actuals_pipeline.accuracy.beta_prior import fit_beta_priors
from actuals_pipeline.accuracy.columns import Flags, Floats, Positions, quotient
from actuals_pipeline.accuracy.contract import KNOWN_AD_DAYS, OBSERVATIONAL, WINNERS
from actuals_pipeline.accuracy.intervals import (
    ORDER_VALUE_CV,
    revenue_unit,
    shrunken_order_value,
)
from actuals_pipeline.accuracy.overdispersion import overdispersion_by_campaign
from actuals_pipeline.accuracy.protocols import LAUNCH_D7, LEAST_COMPLETENESS
from actuals_pipeline.frames import check_frame, conform, empty_frame

DAYS_LOOKED_AT: Final = 56
"""Whole days before the as-of day that count: each weekday equally often."""

ACTIVE_DAYS: Final = 7
"""Days within which an ad must have been shown to be compared."""

LEAST_DAYS: Final = 7
"""Days with delivery before an ad may win: each weekday once."""

MOST_LOSS: Final = 0.01
"""Share of the leader's rate that choosing it may give away on average."""

LEAST_CHANCE: Final = 0.95
MOST_P: Final = 0.05

SMALLEST_EFFECT: Final = 0.1
"""The smallest difference that matters, over the rate: what the p-value looks for, and how much the
ads of a campaign are believed to differ at least, however alike a few of them look."""

_ADSET = ["account_id", "adset_id"]
_FIGURES = ["impressions", "clicks", "spend", "conversions", "revenue"]


def winners(
    days: pd.DataFrame,
    as_of: date,
    curves: Curves,
    *,
    order_value_cv: float = ORDER_VALUE_CV,
) -> pd.DataFrame:
    """The WINNERS frame as of a day, by key.

    `days` (KNOWN_AD_DAYS) are the report days of all ads of some ad sets as they were known then;
    days outside of the last `DAYS_LOOKED_AT` are ignored.  `curves` say how much of a day's
    revenue is known at its age.
    """
    check_frame(days, KNOWN_AD_DAYS, exact=False)
    counted = _Days.of(days, as_of)
    if not counted.is_running.any():
        return empty_frame(WINNERS)
    compared = [_of_ctr(counted), _of_roas(counted, curves, order_value_cv)]
    found = pd.concat([each.judged() for each in compared], ignore_index=True)
    found = found.assign(as_of_date=as_of, basis=OBSERVATIONAL).astype({"as_of_date": object})
    found = conform(found.sort_values(list(WINNERS.key), ignore_index=True), WINNERS)
    check_frame(found, WINNERS)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """Ads, those of an ad set adjoining, and their days, by ad and day."""

    ads: pd.DataFrame
    """A row an ad: `account_id`, `adset_id`, `campaign_id`, `ad_id`."""
    adset: Positions
    """Of each ad the number of its ad set."""
    is_running: Flags
    """Whether each ad was shown within the last `ACTIVE_DAYS` days."""
    ad: Positions
    """Of each day the position of its ad."""
    ago: Positions
    """How many days before the as-of day each one is."""
    figures: pd.DataFrame
    """Impressions, clicks, spend, conversions and revenue of each day."""

    @classmethod
    def of(cls, days: pd.DataFrame, as_of: date) -> _Days:
        """The days that are looked at."""
        ago = as_of.toordinal() - days["report_date"].map(date.toordinal).to_numpy(np.int64)
        looked_at = np.flatnonzero((ago >= 1) & (ago <= DAYS_LOOKED_AT))
        code, _ = pd.factorize(days["ad_id"].iloc[looked_at])
        firsts = looked_at[np.unique(code, return_index=True)[1]]
        # In the order of the days, which may be any, the ads are not yet in theirs.
        found = days[[*_ADSET, "campaign_id", "ad_id"]].iloc[firsts].reset_index(drop=True)
        ads = found.sort_values([*_ADSET, "ad_id"])
        position = np.empty(len(ads), dtype=np.int64)
        position[ads.index] = np.arange(len(ads))
        ordered = looked_at[np.lexsort((-ago[looked_at], position[code]))]
        ad = np.sort(position[code])
        figures = days[_FIGURES].iloc[ordered].reset_index(drop=True)
        is_recent = (ago[ordered] <= ACTIVE_DAYS) & (figures["impressions"] > 0).to_numpy()
        ads = ads.reset_index(drop=True)
        return cls(
            ads,
            np.cumsum(~ads.duplicated(_ADSET).to_numpy()).astype(np.int64) - 1,
            np.bincount(ad[is_recent], minlength=len(ads)) > 0,
            ad,
            ago[ordered],
            figures,
        )

    def column(self, name: str) -> Floats:
        """A figure of each day."""
        return self.figures[name].to_numpy(dtype=np.float64)

    def by_ad(self, values: Floats) -> Floats:
        """The sums of some values of the days over each ad."""
        return np.bincount(self.ad, values, len(self.ads)).astype(np.float64)

    def of_adset(self, values: Floats) -> Floats:
        """For each ad the sum of some values of the ads over its ad set."""
        return np.bincount(self.adset, values)[self.adset].astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """The ads that are compared by one metric, ad set by ad set, and their days.

    `ads` has a row an ad, those of an ad set adjoining: its place, `n_days`, `rate`, `low`, `high`,
    `is_mature`, the parameters of its law (`first`, `second`; NaN: nothing known to compare by),
    and `noise`, the variance of the success of one unit of exposure over the rate.
    """

    metric: str
    ads: pd.DataFrame
    ad: Positions
    """Of each day of an ad with exposure the position of the ad, ascending."""
    ago: Positions
    """How many days before the as-of day it is."""
    exposure: Floats
    success: Floats

    @classmethod
    def of(
        cls,
        metric: str,
        days: _Days,
        exposure: Floats,
        success: Floats,
        **known: Floats | Flags,
    ) -> _Compared:
        """The comparison of the ads that run and have any exposure; `known` of each ad."""
        has_exposure = exposure > 0
        n_days = np.bincount(days.ad[has_exposure], minlength=len(days.ads))
        is_compared = days.is_running & (n_days > 0)
        position = np.cumsum(is_compared) - 1
        kept = has_exposure & is_compared[days.ad]
        ads = days.ads.assign(n_days=n_days, **known)[is_compared].reset_index(drop=True)
        return cls(
            metric,
            ads,
            position[days.ad[kept]].astype(np.int64),
            days.ago[kept],
            exposure[kept],
            success[kept],
        )

    def judged(self) -> pd.DataFrame:
        """The rows of `ads` with what is known of each, and what it lacks to be called the best."""
        ends = np.flatnonzero(~self.ads.duplicated(_ADSET, keep="last").to_numpy()) + 1
        laws = self.ads[["first", "second"]].to_numpy(dtype=np.float64)
        noise = self.ads["noise"].to_numpy(dtype=np.float64)
        figures = np.full((len(self.ads), 3), np.nan)
        leader, against = np.zeros((2, len(self.ads)), dtype=np.int64)
        for start, end in pairwise([0, *ends]):
            at = slice(start, end)
            leader[at] = against[at] = start
            if not np.isfinite(laws[at]).all():
                continue
            best = best_of(_LAWS[self.metric](*laws[at].T))
            figures[at, 0], figures[at, 1] = best.chance, best.expected_loss
            leader[at] = start + best.chance.argmax()
            if end - start > 1:
                figures[at, 2], hardest = self._p_values(start, end, noise[start])
                against[at] = start + hardest
        names = ("p_best", "expected_loss", "always_valid_p")
        found = self.ads.assign(metric=self.metric, **dict(zip(names, figures.T, strict=True)))
        ad_ids = found["ad_id"]
        return _with_verdicts(found, ad_ids[leader].tolist(), ad_ids[against].tolist())

    def _p_values(self, start: int, end: int, noise: float) -> tuple[Floats, Positions]:
        """What `_against_all` says of the ads from `start` up to, not including, `end`."""
        rows = slice(*np.searchsorted(self.ad, [start, end]))
        ago = self.ago[rows]
        day = ago.max() - ago
        exposure = np.zeros((int(day.max()) + 1, end - start))
        success = np.zeros_like(exposure)
        exposure[day, self.ad[rows] - start] = self.exposure[rows]
        success[day, self.ad[rows] - start] = self.success[rows]
        return _against_all(exposure, success, noise)


_LAWS: Final = {"ctr": beta_laws, "roas": gamma_laws}


def _of_ctr(days: _Days) -> _Compared:
    """Clicks of impressions, of days whose clicks Meta has had the time to take back."""
    shown, clicks = days.column("impressions"), days.column("clicks")
    # Clicks beyond the impressions of a day, as of an ad hardly shown, are no binomial's.
    counts = (shown > 0) & (clicks <= shown) & (days.ago >= LAUNCH_D7.rests)
    exposure, success = np.where(counts, shown, 0.0), np.where(counts, clicks, 0.0)
    campaign = days.ads["campaign_id"]
    cluster = pd.factorize(campaign.where(campaign.notna(), days.ads["adset_id"]))[0]
    of_day = days.ad[counts]
    measured = overdispersion_by_campaign(
        exposure[counts], success[counts], ads=of_day, campaigns=cluster[of_day]
    )
    factors = np.ones(cluster.max() + 1)
    factors[measured["campaign"]] = measured["overdispersion"].fillna(1.0)
    factor = factors[cluster]
    n, c = days.by_ad(exposure) / factor, days.by_ad(success) / factor
    priors = fit_beta_priors(c, n, cluster)
    mean = priors.mean[cluster]
    strength = _believed(mean, priors.strength[cluster])
    # The flattest prior's parameters are rounded to either side of the least.
    alpha = np.maximum(mean * strength, LEAST_PARAMETER) + c
    beta = np.maximum((1 - mean) * strength, LEAST_PARAMETER) + n - c
    pooled = quotient(days.of_adset(c * factor), days.of_adset(n * factor))
    return _Compared.of(
        "ctr",
        days,
        exposure,
        success,
        first=alpha,
        second=beta,
        rate=alpha / (alpha + beta),
        low=special.betaincinv(alpha, beta, 0.025),
        high=special.betaincinv(alpha, beta, 0.975),
        noise=factor * (1 - pooled),
        is_mature=np.ones(len(n), dtype=bool),
    )


def _believed(mean: Floats, strength: Floats) -> Floats:
    """The strength of a campaign's prior, no flatter than Jeffreys' and none too sure.

    Of two or three ads that differ by no more than chance the likeliest strength is infinite: as
    if it were known that they do not differ at all.
    """
    surest = (1 - mean) / (mean * SMALLEST_EFFECT**2)
    flattest = LEAST_PARAMETER / np.minimum(mean, 1 - mean)
    found = np.where(np.isnan(strength), np.inf, strength)
    return np.asarray(np.clip(found, flattest, np.maximum(surest, flattest)))


def _of_roas(days: _Days, curves: Curves, order_value_cv: float) -> _Compared:
    """Revenue of spend, this counted by how much of its revenue should be known."""
    account = days.ads["account_id"]
    share, error = curves.share(account.iloc[days.ad], days.ago)
    spend, success = days.column("spend"), days.column("revenue")
    exposure = spend * share
    due, purchases = days.by_ad(exposure), days.by_ad(days.column("conversions"))
    # More refunds than sales are, for the law of what was sold, nothing sold.
    revenue = np.maximum(days.by_ad(success), 0.0)
    of_account = pd.factorize(account)[0]
    sold_for, sold = (
        np.bincount(of_account, each)[of_account].astype(np.float64)
        for each in (revenue, purchases)
    )
    usual = quotient(sold_for, sold)
    value = shrunken_order_value(revenue, purchases, account_order_value=usual)
    unit = revenue_unit(value, order_value_cv)
    scale = quotient(unit, due)
    # Not knowing the curve exactly widens an ad's own interval; ads compared share the curve.
    wide = unit + revenue * quotient(days.by_ad(spend * error), due) ** 2
    together = shrunken_order_value(
        days.of_adset(revenue), days.of_adset(purchases), account_order_value=usual
    )
    return _Compared.of(
        "roas",
        days,
        exposure,
        success,
        first=revenue / unit + 0.5,
        second=scale,
        rate=(revenue / unit + 0.5) * scale,
        low=special.gammaincinv(revenue / wide + 0.5, 0.025) * quotient(wide, due),
        high=special.gammaincinv(revenue / wide + 0.5, 0.975) * quotient(wide, due),
        noise=revenue_unit(together, order_value_cv),
        is_mature=due >= LEAST_COMPLETENESS * days.by_ad(spend),
    )


def _against_all(exposure: Floats, success: Floats, noise: float) -> tuple[Floats, Positions]:
    """Of each ad the largest p-value of being above another, and which that is; shape `(k,)` each.

    Exposure and success of each day and ad, shape `(days, k)`.  Some ads at a time against all
    of them, so that an ad set of a thousand ads fits into memory.
    """
    n_days, n_ads = exposure.shape
    most, hardest = np.zeros(n_ads), np.zeros(n_ads, dtype=np.int64)
    rate = success.sum() / exposure.sum()
    at_once = max(1, _COMPARED_AT_ONCE // (n_days * n_ads))
    for start in range(0, n_ads, at_once):
        ads = np.arange(start, min(start + at_once, n_ads))
        p = _against_each(ads, exposure, success, rate, noise)
        p[np.arange(len(ads)), ads] = 0.0
        most[ads], hardest[ads] = p.max(axis=1), p.argmax(axis=1)
    return most, hardest


_COMPARED_AT_ONCE: Final = 500_000
"""Numbers in each array of days, ads and ads: 4 MB."""


def _against_each(
    ads: Positions, exposure: Floats, success: Floats, rate: float, noise: float
) -> Floats:
    """The always-valid p-value of each of `ads` being above each of all, shape `(len(ads), k)`.

    After each day on which both had exposure one look, at the difference of their rates within
    days: with exposures n of a day and `w = n_i n_j / (n_i + n_j)` it is the mean of the days'
    differences by w, and its variance, were the rates equal, that of one unit of exposure over the
    sum of the w.
    """
    if not (rate > 0 and noise > 0):
        return np.ones((len(ads), exposure.shape[1]))
    n, c = exposure[:, ads, np.newaxis], success[:, ads, np.newaxis]
    other_n, other_c = exposure[:, np.newaxis, :], success[:, np.newaxis, :]
    both = np.where((n > 0) & (other_n > 0), n + other_n, np.inf)
    weight = np.cumsum(n * other_n / both, axis=0)
    ahead = quotient(np.cumsum((c * other_n - other_c * n) / both, axis=0), weight)
    variance = quotient(np.full_like(weight, noise * rate), weight)
    evidence = log_evidence(ahead.ravel(), variance.ravel(), SMALLEST_EFFECT * rate)
    # A look at which the other one led says nothing for this one.
    return p_value(np.where(ahead > 0, evidence.reshape(ahead.shape), 0.0))


def _with_verdicts(ads: pd.DataFrame, leaders: list[str], against: list[str]) -> pd.DataFrame:
    """The ads with `is_winner`, and `missing`: which of the conditions it does not keep.

    `leaders` has the leading ad of each one's ad set, `against` the ad that is hardest to beat.
    """
    is_known, is_alone = ads["p_best"].notna(), ~ads.duplicated(_ADSET, keep=False)
    metric = ads["metric"].iloc[0] if len(ads) else "ctr"
    lacks = {
        _NOTHING[metric]: ~is_known,
        "another ad to compare with": is_alone,
        "the lead, which ad {leader} has": is_known
        & (ads["ad_id"] != pd.Series(leaders, ads.index)),
        f"an expected loss below {MOST_LOSS:.0%} of its rate": ~ads["expected_loss"].lt(
            MOST_LOSS * ads["rate"]
        ),
        f"P(best) above {LEAST_CHANCE:g}": ~ads["p_best"].gt(LEAST_CHANCE),
        f"an always-valid p below {MOST_P:g} against ad {{against}}": is_known
        & ~is_alone
        & ~ads["always_valid_p"].lt(MOST_P),
        f"revenue that is {LEAST_COMPLETENESS:.0%} known": ~ads["is_mature"],
        f"{LEAST_DAYS} full days": ads["n_days"].lt(LEAST_DAYS),
    }
    is_missing = np.column_stack(list(lacks.values())).astype(bool)
    missing = [
        "; ".join(what for what, lacking in zip(lacks, row, strict=True) if lacking).format(
            leader=leader, against=other
        )
        for row, leader, other in zip(is_missing, leaders, against, strict=True)
    ]
    text = pd.Series(missing, ads.index, dtype=object)
    return ads.assign(is_winner=text.eq(""), missing=text.where(text.ne(""), None))


_NOTHING: Final = {
    "ctr": "a click in the campaign",
    "roas": "a purchase in the account",
}
