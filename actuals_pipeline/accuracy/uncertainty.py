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
from actuals_pipeline.accuracy.noise import expected_purchases, two_sided_p
from actuals_pipeline.accuracy.overdispersion import overdispersion_by_campaign, widened
from actuals_pipeline.accuracy.protocols import LAUNCH_D7
from actuals_pipeline.accuracy.verdict import (
    CTR_TOLERANCE,
    ROAS_TOLERANCE,
    ctr_verdicts,
    roas_verdicts,
)
from actuals_pipeline.frames import Kind, check_added, check_columns, conform

_MODEL = ["as_of_date", "protocol", "model_name", "model_version"]
_ADDED_NUMBERS = [
    column.name
    for column in JUDGED_PAIRS.columns
    if column.kind is Kind.NUMBER and column not in SCORED_PAIRS.columns
]


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
    check_columns(scored, SCORED_PAIRS)
    rows = _placed(scored, places)
    phi, of_intervals = _overdispersion(rows, _placed(asked, places), days)
    rows = rows.assign(
        dispersion=phi,
        order_value=_order_values(rows),
        baseline_ctr=baselines["baseline_ctr"].to_numpy(),
        baseline_roas=baselines["baseline_roas"].to_numpy(),
    )
    judged = rows.assign(**_of_ctr(rows, of_intervals, assumptions), **_of_roas(rows, assumptions))
    judged = judged.assign(**_discoveries(judged))
    # Of a prediction that is all but zero some figures are beyond any float: unknown, then.
    finite = {name: judged[name].where(np.isfinite(judged[name])) for name in _ADDED_NUMBERS}
    found = conform(judged.assign(**finite), JUDGED_PAIRS)
    check_added(found, JUDGED_PAIRS, SCORED_PAIRS)
    return found


def _placed(rows: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the campaign and ad set of their ads, known from an ad's first figure on."""
    at = pd.Index(places["ad_id"]).get_indexer(pd.Index(rows["ad_id"]))
    at[rows["account_id"].isna()] = -1
    return rows.assign(
        **{
            name: places[name].array.take(at, allow_fill=True)
            for name in ("campaign_id", "adset_id")
        }
    )


def clusters_of(rows: pd.DataFrame) -> pd.Series[Any]:
    """What shares budget, audience and weather with each row: its campaign, else the ad itself."""
    return rows["campaign_id"].where(rows["campaign_id"].notna(), "ad " + rows["ad_id"])


def _overdispersion(
    rows: pd.DataFrame, windows: pd.DataFrame, days: pd.DataFrame
) -> tuple[Floats, Floats]:
    """The factor of each row's campaign as of its day, and the wider one for intervals.

    Where nothing tells them, both are 1.

    `windows` are those that were asked for, with the places of their ads.
    """
    window, at = days_of(windows, days, LAUNCH_D7)
    told = pd.DataFrame(
        {
            "impressions": days["impressions"].to_numpy()[at],
            "clicks": days["clicks"].to_numpy()[at],
            # By name, so that adding up over ads does not depend on the order of the windows.
            "ad": pd.Categorical(windows["ad_id"]).take(window),
            "cluster": pd.Categorical(clusters_of(windows)).take(window),
            "as_of_date": pd.Categorical(windows["as_of_date"]).take(window),
        }
    )
    # Clicks beyond the impressions of a day, as of an ad hardly shown, are no binomial's.
    possible = told[told["clicks"] <= told["impressions"]]
    by_campaign = [
        overdispersion_by_campaign(
            part["impressions"], part["clicks"], ads=part["ad"], campaigns=part["cluster"]
        ).assign(as_of_date=as_of)
        for as_of, part in possible.groupby("as_of_date")
    ]
    if not by_campaign:
        return np.ones(len(rows)), np.ones(len(rows))
    factors = pd.concat(by_campaign).rename(columns={"campaign": "cluster"})
    known, freedom = factors["overdispersion"].to_numpy(), factors["freedom"].to_numpy()
    factors = factors.assign(of_intervals=widened(known, freedom))
    found = rows[["as_of_date"]].assign(cluster=clusters_of(rows))
    found = found.merge(factors, how="left", on=["as_of_date", "cluster"], validate="many_to_one")
    return (
        found["overdispersion"].fillna(1.0).to_numpy(dtype=np.float64),
        found["of_intervals"].fillna(1.0).to_numpy(dtype=np.float64),
    )


def _order_values(rows: pd.DataFrame) -> Floats:
    """The mean value of a purchase of each row's ad, drawn to its account's as of that day.

    Of the account in the same days of its ads' lives, so that a pair that is final stays.
    """
    by_account = rows.groupby(["as_of_date", "protocol", "account_id"])
    # Of an ad whose account is unknown -1: the last value below, which is none.
    account = by_account.ngroup().fillna(-1).to_numpy(dtype=np.int64)
    revenue, conversions = rows["revenue"].astype("float64"), rows["conversions"]
    once = np.flatnonzero(~rows.duplicated(["as_of_date", "protocol", "ad_id"]))
    # In one order, because adding floats in another gives other last digits.
    ads = once[np.argsort(rows["ad_id"].to_numpy(dtype=object)[once], kind="stable")]
    figures = pd.DataFrame({"revenue": revenue, "conversions": conversions}).iloc[ads]
    sums = figures[account[ads] >= 0].groupby(account[ads][account[ads] >= 0]).sum()
    values = quotient(sums["revenue"].to_numpy(), sums["conversions"].to_numpy())
    return shrunken_order_value(
        revenue, conversions, account_order_value=np.append(values, np.nan)[account]
    )


def _of_ctr(
    rows: pd.DataFrame, overdispersion: Floats, assumptions: Assumptions
) -> dict[str, npt.NDArray[Any]]:
    """What is said of CTR; `overdispersion` is the one for intervals, wider than the estimate."""
    verdicts = ctr_verdicts(
        rows["predicted_ctr"],
        rows["impressions"],
        rows["clicks"],
        overdispersion=overdispersion,
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
        "roas_more_purchases": verdicts["n_more"].to_numpy(),
        "roas_relative_se": np.sqrt(quotient(1 + cv**2, np.where(purchases > 0, purchases, 0.0))),
        "roas_ceiling": roas_ceiling(expected, order_value_cv=cv),
    }


def _discoveries(rows: pd.DataFrame) -> dict[str, npt.NDArray[np.bool_]]:
    """Which pairs of a model version are off by more than chance, among those that count.

    Not among those of all versions: beside one that is off everywhere, a good one would be blamed
    for what chance does.
    """
    p_values = {metric: two_sided_p(rows[f"{metric}_z"]) for metric in ("ctr", "roas")}
    found = {f"{metric}_is_discovery": np.zeros(len(rows), dtype=bool) for metric in p_values}
    counted = np.flatnonzero(rows["status"].eq("eligible"))
    for of_model in rows[_MODEL].take(counted).groupby(_MODEL).indices.values():
        at = counted[of_model]
        for metric, p in p_values.items():
            found[f"{metric}_is_discovery"][at] = discoveries(p[at])
    return found
