"""Scored pairs with what may be concluded from each: interval, z, verdict, ceiling and baseline.

The noise of CTR is that of the ad's campaign (`overdispersion.py`), measured on the first seven
days of its ads; that of ROAS follows from the purchases and the scatter of their values, with the
error of the completeness on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from actuals_pipeline.accuracy.achievable import ctr_ceiling, roas_ceiling
from actuals_pipeline.accuracy.columns import Floats, quotient
from actuals_pipeline.accuracy.contract import JUDGED_PAIRS, SCORED_PAIRS
from actuals_pipeline.accuracy.false_discovery import discoveries
from actuals_pipeline.accuracy.intervals import ORDER_VALUE_CV, shrunken_order_value
from actuals_pipeline.accuracy.launch_windows import days_of
from actuals_pipeline.accuracy.noise import expected_purchases
from actuals_pipeline.accuracy.overdispersion import overdispersion_by_campaign
from actuals_pipeline.accuracy.protocols import LAUNCH_D7
from actuals_pipeline.accuracy.verdict import (
    CTR_TOLERANCE,
    ROAS_TOLERANCE,
    ctr_verdicts,
    roas_verdicts,
)
from actuals_pipeline.frames import Kind, check_frame, conform

_MODEL = ["as_of_date", "protocol", "model_name", "model_version"]
_ADDED = JUDGED_PAIRS.columns[len(SCORED_PAIRS.columns) :]


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is assumed, or wanted, rather than measured."""

    ctr_tolerance: float = CTR_TOLERANCE
    roas_tolerance: float = ROAS_TOLERANCE
    order_value_cv: float = ORDER_VALUE_CV


def judge(
    scored: pd.DataFrame,
    *,
    places: pd.DataFrame,
    asked: pd.DataFrame,
    days: pd.DataFrame,
    baselines: pd.DataFrame,
    assumptions: Assumptions,
) -> pd.DataFrame:
    """The JUDGED_PAIRS frame: the rows of `scored` (SCORED_PAIRS), same order, with columns added.

    `places` has `campaign_id` and `adset_id` by `ad_id`; `asked` and `days` are the launch windows
    of the pairs' ads and their days (`launch_windows.py`); `baselines` is what
    `baseline.account_rates` says of the rows of `scored`.
    """
    check_frame(scored, SCORED_PAIRS, exact=False)
    rows = scored.merge(places, how="left", on="ad_id", validate="many_to_one")
    # Where an ad belongs is known from its first figure on.
    belongs = ["campaign_id", "adset_id"]
    rows[belongs] = rows[belongs].where(rows["account_id"].notna(), None)
    phi = _overdispersion(rows, _with_places(days_of(asked, days, LAUNCH_D7), places))
    judged = rows.assign(
        dispersion=phi,
        order_value=_order_values(rows),
        baseline_ctr=baselines["baseline_ctr"].to_numpy(),
        baseline_roas=baselines["baseline_roas"].to_numpy(),
    )
    judged = judged.assign(**_of_ctr(judged, assumptions), **_of_roas(judged, assumptions))
    # Of a prediction that is all but zero some figures are beyond any float: unknown, then.
    numbers = [column.name for column in _ADDED if column.kind is Kind.NUMBER]
    judged[numbers] = judged[numbers].where(np.isfinite(judged[numbers].astype("float64")))
    found = conform(judged, JUDGED_PAIRS)
    check_frame(found, JUDGED_PAIRS)
    return found


def _with_places(days: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    placed = days.merge(places, how="left", on="ad_id", validate="many_to_one")
    return placed.assign(cluster=clusters_of(placed))


def clusters_of(rows: pd.DataFrame) -> pd.Series[Any]:
    """What shares budget, audience and weather with each row: its campaign, else the ad itself."""
    return rows["campaign_id"].where(rows["campaign_id"].notna(), "ad " + rows["ad_id"])


def _overdispersion(rows: pd.DataFrame, days: pd.DataFrame) -> Floats:
    """The factor of each row's campaign as of its day; 1 where nothing tells it."""
    # Clicks beyond the impressions of a day, as of an ad hardly shown, are no binomial's.
    possible = days[days["clicks"] <= days["impressions"]]
    by_campaign = [
        overdispersion_by_campaign(
            part["impressions"], part["clicks"], ads=part["ad_id"], campaigns=part["cluster"]
        ).assign(as_of_date=as_of)
        for as_of, part in possible.groupby("as_of_date")
    ]
    if not by_campaign:
        return np.ones(len(rows))
    factors = pd.concat(by_campaign).rename(columns={"campaign": "cluster"})
    found = rows[["as_of_date"]].assign(cluster=clusters_of(rows))
    found = found.merge(factors, how="left", on=["as_of_date", "cluster"], validate="many_to_one")
    return found["overdispersion"].fillna(1.0).to_numpy(dtype=np.float64)


def _order_values(rows: pd.DataFrame) -> Floats:
    """The mean value of a purchase of each row's ad, drawn to its account's as of that day.

    Of the account in the same days of its ads' lives, so that a pair that is final stays.
    """
    account = ["as_of_date", "protocol", "account_id"]
    ads = rows.drop_duplicates(["as_of_date", "protocol", "ad_id"])
    # In one order, because adding floats in another gives other last digits.
    ads = ads.sort_values("ad_id")
    sums = (
        ads[account]
        .assign(revenue=ads["revenue"].astype("float64"), conversions=ads["conversions"])
        .groupby(account)
        .sum()
        .reset_index()
    )
    sums = sums.assign(
        account_order_value=quotient(sums["revenue"].to_numpy(), sums["conversions"].to_numpy())
    )
    of_account = rows[account].merge(
        sums[[*account, "account_order_value"]], how="left", on=account, validate="many_to_one"
    )
    return shrunken_order_value(
        rows["revenue"].astype("float64"),
        rows["conversions"],
        account_order_value=of_account["account_order_value"],
    )


def _of_ctr(rows: pd.DataFrame, assumptions: Assumptions) -> dict[str, npt.NDArray[Any]]:
    verdicts = ctr_verdicts(
        rows["predicted_ctr"],
        rows["impressions"],
        rows["clicks"],
        overdispersion=rows["dispersion"],
        tolerance=assumptions.ctr_tolerance,
    )
    ceiling = ctr_ceiling(
        rows["predicted_ctr"], rows["impressions"], overdispersion=rows["dispersion"]
    )
    return {
        "ctr_low": verdicts["low"].to_numpy(),
        "ctr_high": verdicts["high"].to_numpy(),
        "ctr_z": verdicts["z"].to_numpy(),
        "ctr_verdict": verdicts["verdict"].to_numpy(),
        "ctr_is_discovery": _discoveries(rows, verdicts["p_value"]),
        "ctr_more_impressions": verdicts["n_more"].to_numpy(),
        "ctr_ceiling": ceiling,
    }


def _of_roas(rows: pd.DataFrame, assumptions: Assumptions) -> dict[str, npt.NDArray[Any]]:
    # Spend counts by what it has brought so far; not knowing that share exactly widens the noise
    # of a purchase's value, the one place where the variance of revenue comes from.
    spend = rows["spend"].astype("float64") * rows["completeness"].fillna(1.0)
    purchases = rows["conversions"].to_numpy(dtype="float64")
    missed = rows["completeness_se"].fillna(0.0).to_numpy()
    cv = np.sqrt(assumptions.order_value_cv**2 + np.maximum(purchases, 0) * missed**2)
    verdicts = roas_verdicts(
        rows["predicted_roas"],
        spend,
        rows["revenue"].astype("float64"),
        purchases,
        order_value=rows["order_value"],
        order_value_cv=cv,
        tolerance=assumptions.roas_tolerance,
    )
    expected = expected_purchases(rows["predicted_roas"], spend, order_value=rows["order_value"])
    return {
        "roas_low": verdicts["low"].to_numpy(),
        "roas_high": verdicts["high"].to_numpy(),
        "roas_z": verdicts["z"].to_numpy(),
        "roas_verdict": verdicts["verdict"].to_numpy(),
        "roas_is_discovery": _discoveries(rows, verdicts["p_value"]),
        "roas_more_purchases": verdicts["n_more"].to_numpy(),
        "roas_relative_se": np.sqrt(quotient(1 + cv**2, np.where(purchases > 0, purchases, 0.0))),
        "roas_ceiling": roas_ceiling(expected, order_value_cv=cv),
    }


def _discoveries(rows: pd.DataFrame, p_values: pd.Series[float]) -> npt.NDArray[np.bool_]:
    """Which pairs of a model version are off by more than chance, among those that count.

    Not among those of all versions: beside one that is off everywhere, a good one would be blamed
    for what chance does.
    """
    found = np.zeros(len(rows), dtype=bool)
    counted = rows["status"].eq("eligible").to_numpy()
    eligible = rows[counted].assign(p=p_values.to_numpy()[counted], at=np.flatnonzero(counted))
    for _, part in eligible.groupby(_MODEL):
        found[part["at"]] = discoveries(part["p"])
    return found
