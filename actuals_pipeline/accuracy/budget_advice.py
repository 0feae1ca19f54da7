"""What might be spent on each ad set of an account next, so that the money earns most.

Revenue of a day is taken to be `A s^b` of its spend s: A is the ad set's own, b the account's, and
below 1, because the next euro finds less willing people.  What the next unit of spend brings, the
marginal ROAS, is then b times the ROAS; money is best spent where that is equal everywhere.

The fit compares days of one ad set with each other, never ad sets: b is what maximises the chance
that the ad set's revenue fell onto its days as it did, given that it grew with s^b (a Poisson
likelihood with an A of each ad set; Santos Silva and Tenreyro, "The log of gravity", 2006).  Days
without a purchase count.  Days of all ad sets share the weather, so the error of b comes from the
scatter of whole days.

An ad set that was lucky looks better than it is, so each A is drawn to the account's by as much as
the few purchases behind it demand.  Advice moves by at most `MOST_CHANGE` a day, keeps the sum, and
is nobody's order: nothing here, or anywhere in this package, changes a budget at Meta.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd
from scipy import special

from actuals_pipeline.accuracy.account_curves import Curves
from actuals_pipeline.accuracy.columns import (
    Column,
    Floats,
    Labels,
    Positions,
    codes_of,
    quotient,
    refuse,
    rows_of,
    whole_columns,
)
from actuals_pipeline.accuracy.contract import BUDGET_ADVICE, KNOWN_AD_DAYS
from actuals_pipeline.accuracy.intervals import ORDER_VALUE_CV, revenue_unit
from actuals_pipeline.accuracy.protocols import LEAST_COMPLETENESS
from actuals_pipeline.accuracy.shrinkage import toward_the_mean
from actuals_pipeline.accuracy.winners import ACTIVE_DAYS, DAYS_LOOKED_AT
from actuals_pipeline.frames import check_frame, conform, empty_frame

EXPONENTS: Final = (0.4, 0.9)
"""Between these the exponent is believed: beyond them the best split is nearly all or nothing."""

LEAST_DAYS: Final = 14
"""Matured days before an exponent is fitted: each weekday twice."""

LEAST_PURCHASES: Final = 100
"""Purchases on them."""

MOST_WIDTH: Final = EXPONENTS[1] - EXPONENTS[0]
"""Width of the exponent's interval from which on it says no more than what was believed before."""

MOST_CHANGE: Final = 0.2
"""Share of an ad set's spend a day by which it may move at once."""

FLOOR_SHARE: Final = 0.05
"""Share of the account's spend below which no ad set is moved; half of an equal share if less."""

RECENT_DAYS: Final = 28
"""Days that say how good an ad set is now."""

_SAME: Final = 0.005
"""Relative change that is not worth a word."""

_LEAST_SCALE: Final = 1e-3
"""Of the account's: what is left of an ad set that sold nothing at all."""

_STEPS = 200
_FAR = 60.0


@dataclass(frozen=True, slots=True)
class Exponent:
    """By how many percent revenue grows when spend does by one, with its 95 % interval.

    NaN where the days do not tell: spend that never changed, or nothing sold.
    """

    value: float
    low: float
    high: float
    n_days: int


def fit_exponent(
    spend: Column, revenue: Column, *, exposure: Column = 1.0, adsets: Labels, days: Labels
) -> Exponent:
    """The common exponent b of `revenue = exposure * A * spend^b`, A of each ad set its own.

    One row an ad set and day, spend and exposure (the share of the revenue that is known) above 0.
    In any currency the same.  Interval from the t law with as many degrees as there are days, less
    one, and an error that allows for all ad sets having good days together.
    """
    s, r, e = whole_columns(spend=spend, revenue=revenue, exposure=exposure)
    refuse("spend", s, s <= 0, "is above 0")
    refuse("exposure", e, e <= 0, "is above 0")
    adset, names = codes_of("adsets", adsets, len(s))
    day, dates = codes_of("days", days, len(s))
    # An ad set whose refunds exceed its sales tells nothing of how sales grow.
    total = np.maximum(np.bincount(adset, r, len(names)).astype(np.float64), 0.0)
    told = (total > 0)[adset]
    fit = _Growth(np.log(s[told]), np.log(e[told]), adset[told], total)
    unknown = Exponent(np.nan, np.nan, np.nan, len(dates))
    if not told.any() or len(dates) < 2 or fit.information(0.5) <= 1e-9 * total.sum():
        return unknown
    b = fit.most_likely(r[told])
    bread = fit.information(b)
    if not (np.isfinite(b) and bread > 0):
        return unknown
    by_day = np.bincount(day[told], fit.scores(b, r[told]), len(dates))
    error = np.sqrt(len(dates) / (len(dates) - 1) * (by_day**2).sum()) / bread
    reach = float(special.stdtrit(len(dates) - 1, 0.975)) * error
    return Exponent(b, b - reach, b + reach, len(dates))


@dataclass(frozen=True, slots=True, eq=False)
class _Growth:
    """Days of ad sets as their logarithms of spend `x` and of exposure, and each ad set's total."""

    x: Floats
    log_exposure: Floats
    adset: Positions
    total: Floats

    def shares(self, b: float) -> Floats:
        """Of its ad set's revenue the share that is to be expected on each day."""
        power = self.log_exposure + b * self.x
        highest = np.full(len(self.total), -np.inf)
        np.maximum.at(highest, self.adset, power)
        weight = np.exp(power - highest[self.adset])
        return np.asarray(weight / np.bincount(self.adset, weight, len(self.total))[self.adset])

    def centred(self, share: Floats) -> Floats:
        """Each day's `x` less the mean of its ad set."""
        mean = np.bincount(self.adset, share * self.x, len(self.total))
        return np.asarray(self.x - mean[self.adset])

    def scores(self, b: float, revenue: Floats) -> Floats:
        """By how much each day pulls b up."""
        share = self.shares(b)
        return np.asarray((revenue - share * self.total[self.adset]) * self.centred(share))

    def information(self, b: float) -> float:
        """How strongly the likelihood is curved."""
        share = self.shares(b)
        return float((share * self.total[self.adset] * self.centred(share) ** 2).sum())

    def most_likely(self, revenue: Floats) -> float:
        """The exponent at which the scores add up to 0, by Newton's method; NaN if none is."""
        b = 0.65
        for _ in range(_STEPS):
            slope, curve = self.scores(b, revenue).sum(), self.information(b)
            if not curve > 0:
                return float("nan")
            step = float(np.clip(slope / curve, -0.5, 0.5))
            b += step
            if abs(step) < 1e-10:
                return b
        return float("nan")


def best_split(
    scale: Column,
    exponent: float,
    budget: float,
    *,
    least: Column = 0.0,
    most: Column = np.inf,
) -> Floats:
    """The spend of each ad set with the most revenue `sum A s^b` for one budget.

    Where no bound holds, `s ~ (A b)^(1 / (1 - b))`: the marginal ROAS `A b s^(b - 1)` is equal
    everywhere.  `least` and `most` bound each; they must leave room for the budget.
    """
    [a] = whole_columns(scale=scale)
    refuse("scale", a, a <= 0, "is above 0")
    _, low, high = rows_of(scale=a, least=least, most=most)
    if not 0 < exponent < 1:
        raise ValueError(f"An exponent is between 0 and 1, not {exponent}.")
    if not (budget > 0 and low.sum() <= budget * (1 + 1e-9) and budget <= high.sum() * (1 + 1e-9)):
        raise ValueError(f"The bounds leave no room for a budget of {budget}.")
    log_weight = np.log(a * exponent) / (1 - exponent)

    def spent(level: float) -> Floats:
        with np.errstate(over="ignore"):
            return np.clip(np.exp(log_weight - level), low, high)

    # Powers of e between which the common factor lies, whatever the bounds are.
    down = float(log_weight.min() - np.log(budget)) - _FAR
    up = float(log_weight.max() - np.log(budget)) + _FAR
    for _ in range(_STEPS):
        level = (down + up) / 2
        down, up = (level, up) if spent(level).sum() > budget else (down, level)
    return spent(up)


def marginal_roas(scale: Column, exponent: float, spend: Column) -> Floats:
    """What the next unit of spend a day brings, `A b s^(b - 1)`: b times the ROAS."""
    a, s = whole_columns(scale=scale, spend=spend)
    return np.asarray(a * exponent * s ** (exponent - 1))


def next_step(scale: Column, exponent: float, spend: Column) -> Floats:
    """The best split of the present spend that is within a day's reach.

    No ad set moves by more than `MOST_CHANGE` of its spend, none is taken below the floor of
    `FLOOR_SHARE`, and one below it is raised towards it; the sum stays.
    """
    a, s = whole_columns(scale=scale, spend=spend)
    budget = float(s.sum())
    floor = min(FLOOR_SHARE, 0.5 / len(s)) * budget
    most = (1 + MOST_CHANGE) * s
    return best_split(
        a,
        exponent,
        budget,
        least=np.minimum(np.maximum((1 - MOST_CHANGE) * s, floor), most),
        most=most,
    )


def budget_advice(
    days: pd.DataFrame,
    as_of: date,
    curves: Curves,
    *,
    order_value_cv: float = ORDER_VALUE_CV,
) -> pd.DataFrame:
    """The BUDGET_ADVICE frame as of a day, by key; accounts apart, each in its currency.

    `days` and `curves` as in `winners.winners`.
    """
    check_frame(days, KNOWN_AD_DAYS, exact=False)
    since = as_of - timedelta(days=DAYS_LOOKED_AT)
    counted = days[(days["report_date"] >= since) & (days["report_date"] < as_of)]
    by_day = (
        counted.groupby(["account_id", "currency", "adset_id", "report_date"])[
            ["impressions", "spend", "revenue", "conversions"]
        ]
        .sum()
        .reset_index()
    )
    by_day = by_day[by_day["spend"] > 0]
    parts = [
        _of_account(rows.reset_index(drop=True), as_of, curves, order_value_cv)
        for _, rows in by_day.groupby(["account_id", "currency"])
    ]
    advice = [part for part in parts if not part.empty]
    if not advice:
        return empty_frame(BUDGET_ADVICE)
    found = pd.concat(advice, ignore_index=True).assign(as_of_date=as_of)
    found = found.astype({"as_of_date": object})
    found = conform(found.sort_values(list(BUDGET_ADVICE.key), ignore_index=True), BUDGET_ADVICE)
    check_frame(found, BUDGET_ADVICE)
    return found


def _of_account(
    days: pd.DataFrame, as_of: date, curves: Curves, order_value_cv: float
) -> pd.DataFrame:
    """The rows of one account, of ad sets that run."""
    ages = np.array([(as_of - day).days for day in days["report_date"]], dtype=np.int64)
    share, _ = curves.share(days["account_id"], ages)
    days = days.assign(share=share, age=ages)
    adsets = _adsets(days)
    if adsets.empty:
        return adsets
    matured = days[days["share"] >= LEAST_COMPLETENESS]
    fitted = fit_exponent(
        matured["spend"],
        matured["revenue"],
        exposure=matured["share"],
        adsets=matured["adset_id"],
        days=matured["report_date"],
    )
    adsets = adsets.assign(
        exponent=fitted.value,
        exponent_low=fitted.low,
        exponent_high=fitted.high,
        marginal_roas=np.nan,
        advised_spend_per_day=np.nan,
    )
    why_not = _why_not(fitted, int(matured["conversions"].sum()), len(adsets))
    if why_not:
        return adsets.assign(reason=why_not)
    b = float(np.clip(fitted.value, *EXPONENTS))
    scale = _scales(days, adsets["adset_id"], b, order_value_cv)
    spend = adsets["spend_per_day"].to_numpy()
    advised = next_step(scale, b, spend)
    marginal = marginal_roas(scale, b, spend)
    return adsets.assign(
        marginal_roas=marginal,
        advised_spend_per_day=advised,
        reason=_reasons(spend, advised, fitted.value, b),
    )


def _adsets(days: pd.DataFrame) -> pd.DataFrame:
    """A row for each ad set that ran: its spend a day lately, and its ROAS of the recent days."""
    lately = days[days["age"] <= ACTIVE_DAYS]
    running = lately.groupby("adset_id").agg(
        account_id=("account_id", "first"),
        currency=("currency", "first"),
        spend_per_day=("spend", "mean"),
        impressions=("impressions", "sum"),
    )
    running = running[running["impressions"] > 0]
    recent = days[days["age"] <= RECENT_DAYS]
    sums = (
        recent.assign(due=recent["spend"] * recent["share"])
        .groupby("adset_id")[["revenue", "due"]]
        .sum()
        .reindex(running.index)
    )
    roas = quotient(sums["revenue"].clip(lower=0).to_numpy(), sums["due"].to_numpy())
    return running.assign(roas=roas).reset_index()


def _why_not(fitted: Exponent, n_purchases: int, n_adsets: int) -> str | None:
    """Why there is no advice, if there is none."""
    if n_adsets < 2:
        return "the only ad set that runs: nothing to shift"
    too_little = {
        f"{fitted.n_days} matured days, fewer than {LEAST_DAYS}": fitted.n_days < LEAST_DAYS,
        f"{n_purchases} purchases, fewer than {LEAST_PURCHASES}": n_purchases < LEAST_PURCHASES,
        "spend hardly varies from day to day": not np.isfinite(fitted.value),
        "how revenue grows with spend is not told from chance": not fitted.high - fitted.low
        < MOST_WIDTH,
    }
    for why, applies in too_little.items():
        if applies:
            return f"too little data: {why}"
    return None


def _scales(
    days: pd.DataFrame, adset_ids: pd.Series[str], b: float, order_value_cv: float
) -> Floats:
    """The A of each ad set on the recent days, drawn to the account's."""
    recent = days[days["age"] <= RECENT_DAYS]
    sums = (
        recent.assign(due=recent["share"] * recent["spend"] ** b)
        .groupby("adset_id")[["revenue", "due", "conversions"]]
        .sum()
        .reindex(adset_ids)
    )
    revenue, due = np.maximum(sums["revenue"].to_numpy(), 0.0), sums["due"].to_numpy()
    common = revenue.sum() / due.sum()
    n_purchases = float(sums["conversions"].sum())
    if not (common > 0 and n_purchases > 0):
        return np.full(len(due), common)
    unit = float(revenue_unit(revenue.sum() / n_purchases, order_value_cv))
    expected = common * due
    drawn = toward_the_mean(revenue / expected, np.sqrt(unit / expected)).values
    return np.asarray(common * np.maximum(drawn, _LEAST_SCALE))


def _reasons(spend: Floats, advised: Floats, fitted: float, b: float) -> list[str]:
    """What moves each ad set, in words."""
    held = "" if fitted == b else f"; exponent held at {b:g}"
    change = advised / spend - 1

    def reason(by: float) -> str:
        if abs(by) < _SAME:
            return "as it is: the next unit earns about as much here as elsewhere"
        limit = f", at most {MOST_CHANGE:.0%} a day" if abs(by) > MOST_CHANGE - _SAME else ""
        if by > 0:
            return f"more: the next unit earns more here than elsewhere{limit}"
        return f"less: the next unit earns more elsewhere{limit}"

    return [reason(float(by)) + held for by in change]
