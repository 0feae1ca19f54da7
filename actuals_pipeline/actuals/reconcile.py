"""Hold the sum over ads against Meta's own total of the account, day by day, to the last digit.

Ads that were deleted or that the token may not see are missing from the list of ads but are in
the account's total, so a difference is no error of arithmetic: it is money without an ad, and it
is named instead of hidden.  Only spend decides the verdict; impressions help to find the reason.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from actuals_pipeline.actuals.contract import AD_ACTUALS, RECONCILIATION, TOTALS
from actuals_pipeline.frames import check_frame, conform, first_that_applies, refuse_rows
from actuals_pipeline.money import ZERO, exact_arithmetic, exact_sums

_ACCOUNT_DAY = ["account_id", "report_date"]


def of_one_fetch(totals: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """The totals of those account-days of which no ad's figures are newer than the total.

    A fetch of a single ad brings figures that the account's total does not hold yet; until the
    account is fetched again, nobody knows whether that day adds up.
    """
    key = ["account_id", "report_date"]
    newest = actuals.groupby(key, as_index=False)["fetched_at"].max()
    both = totals[[*key, "fetched_at"]].merge(newest, on=key, how="left", suffixes=("", "_of_ads"))
    is_newer = (both["fetched_at_of_ads"] > both["fetched_at"]).to_numpy()
    return totals[~is_newer].reset_index(drop=True)


def reconcile(actuals: pd.DataFrame, totals: pd.DataFrame, tolerance: Decimal) -> pd.DataFrame:
    """The RECONCILIATION frame: one row per account-day of `totals`, ordered by key.

    `actuals` is an AD_ACTUALS frame of the same account-days, `totals` a TOTALS frame.  The
    verdict is `exact` without a difference in spend, `within_tolerance` up to `tolerance` (a
    share of Meta's total, the limit included), else `gap`.  A day without ads is a sum of zero.
    `FrameMismatch` when ads have no total to be held against, or one in another currency.
    """
    check_frame(actuals, AD_ACTUALS, exact=False)
    check_frame(totals, TOTALS, exact=False)
    _refuse_incomparable(actuals, totals)
    compared = (
        totals.rename(columns={"spend": "meta_spend", "impressions": "meta_impressions"})
        .merge(_sums_over_ads(actuals), how="left", on=_ACCOUNT_DAY, validate="one_to_one")
        .sort_values(_ACCOUNT_DAY, ignore_index=True)
    )
    has_ads = compared["n_ads"].notna()
    ads_spend = compared["ads_spend"].where(has_ads, ZERO)
    ads_impressions = compared["ads_impressions"].fillna(0).astype("int64")
    limits = pd.Series([tolerance] * len(compared), dtype=object)
    with exact_arithmetic():
        difference = compared["meta_spend"] - ads_spend
        tolerated = difference.abs() <= compared["meta_spend"] * limits
    reconciled = conform(
        compared.assign(
            n_ads=compared["n_ads"].fillna(0),
            ads_spend=ads_spend,
            spend_difference=difference,
            ads_impressions=ads_impressions,
            impressions_difference=compared["meta_impressions"] - ads_impressions,
            tolerance_share=limits,
            verdict=first_that_applies(
                {"exact": difference.eq(0), "within_tolerance": tolerated}, otherwise="gap"
            ),
        ),
        RECONCILIATION,
    )
    check_frame(reconciled, RECONCILIATION)
    return reconciled


def _sums_over_ads(actuals: pd.DataFrame) -> pd.DataFrame:
    per_day = actuals.groupby(_ACCOUNT_DAY)
    return (
        exact_sums(actuals, _ACCOUNT_DAY, ["spend"])
        .rename(columns={"spend": "ads_spend"})
        .assign(n_ads=per_day.size(), ads_impressions=per_day["impressions"].sum())
        .reset_index()
    )


def _refuse_incomparable(actuals: pd.DataFrame, totals: pd.DataFrame) -> None:
    held_against = actuals[[*AD_ACTUALS.key, "currency"]].merge(
        totals[[*_ACCOUNT_DAY, "currency"]].rename(columns={"currency": "total_currency"}),
        how="left",
        on=_ACCOUNT_DAY,
        validate="many_to_one",
    )
    has_total = held_against["total_currency"].notna()
    refuse_rows(held_against, AD_ACTUALS, "report_date", ~has_total, "has a total of its account")
    refuse_rows(
        held_against,
        AD_ACTUALS,
        "currency",
        held_against["currency"].ne(held_against["total_currency"]),
        "is the currency of the account's total",
    )
