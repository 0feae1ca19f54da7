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
from datetime import date, timedelta
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
from actuals_pipeline.accuracy.columns import Floats, Positions, quotient
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
    since = as_of - timedelta(days=DAYS_LOOKED_AT)
    counted = days[(days["report_date"] >= since) & (days["report_date"] < as_of)]
    counted = counted.sort_values(["ad_id", "report_date"], ignore_index=True)
    is_recent = counted["report_date"] >= as_of - timedelta(days=ACTIVE_DAYS)
    active = set(counted.loc[is_recent & counted["impressions"].gt(0), "ad_id"])
    compared = [
        _of_ctr(counted, active, as_of),
        _of_roas(counted, active, as_of, curves, order_value_cv),
    ]
    found = pd.concat([each.judged() for each in compared], ignore_index=True)
    if found.empty:
        return empty_frame(WINNERS)
    found = found.assign(as_of_date=as_of, basis=OBSERVATIONAL).astype({"as_of_date": object})
    found = conform(found.sort_values(list(WINNERS.key), ignore_index=True), WINNERS)
    check_frame(found, WINNERS)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """All ads that are compared by one metric, ad set by ad set, and their days.

    `ads` has a row an ad, those of an ad set adjoining: its place, `n_days`, `rate`, `low`, `high`,
    `is_mature`, the parameters of its law (`first`, `second`; NaN: nothing known to compare by),
    and `noise`, the variance of the success of one unit of exposure over the rate.
    """

    metric: str
    ads: pd.DataFrame
    ad: Positions
    """Of each day of an ad with exposure the position of the ad, ascending."""
    day: Positions
    """Its number among all days."""
    exposure: Floats
    success: Floats

    @classmethod
    def of(cls, metric: str, ads: pd.DataFrame, days: pd.DataFrame, active: set[str]) -> _Compared:
        """The comparison of those of the `ads` that are active."""
        running = ads[ads["ad_id"].isin(active)].sort_values([*_ADSET, "ad_id"], ignore_index=True)
        position = pd.Series(running.index, index=running["ad_id"])
        ad = days["ad_id"].map(position)
        kept = np.flatnonzero(ad.notna() & (days["exposure"] > 0))
        kept = kept[np.argsort(ad.to_numpy()[kept], kind="stable")]
        exposure, success = (days[name].to_numpy(float) for name in ("exposure", "success"))
        day = pd.factorize(days["report_date"], sort=True)[0]
        return cls(
            metric,
            running,
            ad.to_numpy()[kept].astype(np.int64),
            day[kept].astype(np.int64),
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
                p_values = self._p_values(start, end, noise[start])
                figures[at, 2], against[at] = p_values.max(axis=1), start + p_values.argmax(axis=1)
        names = ("p_best", "expected_loss", "always_valid_p")
        found = self.ads.assign(metric=self.metric, **dict(zip(names, figures.T, strict=True)))
        ad_ids = found["ad_id"]
        return _with_verdicts(found, ad_ids[leader].tolist(), ad_ids[against].tolist())

    def _p_values(self, start: int, end: int, noise: float) -> Floats:
        """What `_against_each` says of the ads from `start` up to, not including, `end`."""
        rows = slice(*np.searchsorted(self.ad, [start, end]))
        day = self.day[rows] - self.day[rows].min(initial=0)
        exposure = np.zeros((int(day.max(initial=0)) + 1, end - start))
        success = np.zeros_like(exposure)
        exposure[day, self.ad[rows] - start] = self.exposure[rows]
        success[day, self.ad[rows] - start] = self.success[rows]
        return _against_each(exposure, success, noise)


_LAWS: Final = {"ctr": beta_laws, "roas": gamma_laws}


def _of_ctr(days: pd.DataFrame, active: set[str], as_of: date) -> _Compared:
    """Clicks of impressions, of days whose clicks Meta has had the time to take back."""
    last = as_of - timedelta(days=LAUNCH_D7.rests)
    possible = (days["impressions"] > 0) & (days["clicks"] <= days["impressions"])
    counted = days[possible & (days["report_date"] <= last)]
    cluster = counted["campaign_id"].where(counted["campaign_id"].notna(), counted["adset_id"])
    counted = counted.assign(
        cluster=cluster, exposure=counted["impressions"], success=counted["clicks"]
    )
    phi = overdispersion_by_campaign(
        counted["impressions"], counted["clicks"], ads=counted["ad_id"], campaigns=cluster
    ).set_index("campaign")["overdispersion"]
    ads = _sums(counted, ["cluster"])
    factor = ads["cluster"].map(phi).fillna(1.0).to_numpy(dtype=np.float64)
    clicks, shown = ads["success"] / factor, ads["exposure"] / factor
    priors = fit_beta_priors(clicks, shown, ads["cluster"])
    prior = pd.DataFrame({"mean": priors.mean, "strength": priors.strength}, index=priors.groups)
    prior = prior.reindex(ads["cluster"]).reset_index(drop=True)
    mean, strength = prior["mean"], _believed(prior["mean"], prior["strength"])
    alpha, beta = mean * strength + clicks, (1 - mean) * strength + shown - clicks
    pooled = quotient(*(_of_adset(ads, name) for name in ("success", "exposure")))
    arms = ads.assign(
        first=alpha,
        second=beta,
        rate=alpha / (alpha + beta),
        low=special.betaincinv(alpha, beta, 0.025),
        high=special.betaincinv(alpha, beta, 0.975),
        noise=factor * (1 - pooled),
        is_mature=True,
    )
    return _Compared.of("ctr", arms, counted, active)


def _believed(mean: pd.Series[float], strength: pd.Series[float]) -> pd.Series[float]:
    """The strength of the campaign's prior, no flatter than Jeffreys' and none too sure.

    Of two or three ads that differ by no more than chance the likeliest strength is infinite: as
    if it were known that they do not differ at all.
    """
    surest = (1 - mean) / (mean * SMALLEST_EFFECT**2)
    flattest = LEAST_PARAMETER / np.minimum(mean, 1 - mean)
    return strength.fillna(np.inf).clip(lower=flattest).clip(upper=np.maximum(surest, flattest))


def _of_roas(
    days: pd.DataFrame,
    active: set[str],
    as_of: date,
    curves: Curves,
    order_value_cv: float,
) -> _Compared:
    """Revenue of spend, this counted by how much of its revenue should be known."""
    ages = np.array([(as_of - day).days for day in days["report_date"]], dtype=np.int64)
    share, error = curves.share(days["account_id"], ages) if len(days) else (ages * 1.0, ages * 1.0)
    spend = days["spend"].to_numpy()
    counted = days.assign(
        exposure=spend * share, success=days["revenue"], missed=spend * error, cluster=""
    )
    ads = _sums(counted, ["cluster"], "spend", "missed", "conversions")
    ads = ads[ads["exposure"] > 0].reset_index(drop=True)
    # More refunds than sales are, for the law of what was sold, nothing sold.
    revenue, exposure = ads["success"].clip(lower=0), ads["exposure"]
    account = ads.groupby("account_id")[["success", "conversions"]].transform("sum")
    of_account = quotient(account["success"].to_numpy(), account["conversions"].to_numpy())
    value = shrunken_order_value(revenue, ads["conversions"], account_order_value=of_account)
    unit = revenue_unit(value, order_value_cv)
    sold, scale = revenue / unit, unit / exposure
    # Not knowing the curve exactly widens an ad's own interval; ads compared share the curve.
    missed = quotient(ads["missed"].to_numpy(), exposure.to_numpy())
    wide = unit + revenue * missed**2
    together = shrunken_order_value(
        np.maximum(_of_adset(ads, "success"), 0.0),
        _of_adset(ads, "conversions"),
        account_order_value=of_account,
    )
    arms = ads.assign(
        first=sold + 0.5,
        second=scale,
        rate=(sold + 0.5) * scale,
        low=special.gammaincinv(revenue / wide + 0.5, 0.025) * wide / exposure,
        high=special.gammaincinv(revenue / wide + 0.5, 0.975) * wide / exposure,
        noise=revenue_unit(together, order_value_cv),
        is_mature=exposure >= LEAST_COMPLETENESS * ads["spend"],
    )
    return _Compared.of("roas", arms, counted, active)


def _sums(days: pd.DataFrame, also: list[str], *names: str) -> pd.DataFrame:
    """One row an ad: its place, the sums of its days, and on how many of them it had exposure."""
    has_exposure = (days["exposure"] > 0).astype("int64")
    return (
        days.assign(n_days=has_exposure)
        .groupby([*_ADSET, "ad_id", *also], dropna=False)[["exposure", "success", "n_days", *names]]
        .sum()
        .reset_index()
    )


def _of_adset(ads: pd.DataFrame, name: str) -> Floats:
    """For each ad the sum over its ad set."""
    return ads.groupby(_ADSET)[name].transform("sum").to_numpy(dtype=np.float64)


def _against_each(exposure: Floats, success: Floats, noise: float) -> Floats:
    """The always-valid p-value of each ad being above each other, shape `(k, k)`; 0 of itself.

    Exposure and success of each day and ad, shape `(days, k)`.  After each day on which both had
    exposure one look, at the difference of their rates within days: with exposures n of a day and
    `w = n_i n_j / (n_i + n_j)` it is the mean of the days' differences by w, and its variance, were
    the rates equal, that of one unit of exposure over the sum of the w.
    """
    rate = success.sum() / exposure.sum()
    if not (rate > 0 and noise > 0):
        return np.ones((exposure.shape[1],) * 2) - np.eye(exposure.shape[1])
    n, c = exposure[:, :, np.newaxis], success[:, :, np.newaxis]
    other_n, other_c = exposure[:, np.newaxis, :], success[:, np.newaxis, :]
    both = np.where((n > 0) & (other_n > 0), n + other_n, np.inf)
    weight = np.cumsum(n * other_n / both, axis=0)
    ahead = quotient(np.cumsum((c * other_n - other_c * n) / both, axis=0), weight)
    variance = quotient(np.full_like(weight, noise * rate), weight)
    evidence = log_evidence(ahead.ravel(), variance.ravel(), SMALLEST_EFFECT * rate)
    # A look at which the other one led says nothing for this one.
    p = p_value(np.where(ahead > 0, evidence.reshape(ahead.shape), 0.0))
    np.fill_diagonal(p, 0.0)
    return p


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


_NOTHING: Final = {"ctr": "a click in the campaign", "roas": "a purchase in the account"}
