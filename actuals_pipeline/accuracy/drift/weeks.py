"""Pairs by the ISO week in which they matured, each once, as the model's calibration of that week.

A pair is news once: when its figures have stopped moving.  So the weeks of one model version are
independent, which the same ads' errors of one day and the next are not.

The calibration of a week is `ln(predicted / observed)`, of clicks (`sum n p` and `sum c`) or of
revenue (`sum s r` and `sum R`): + is predicted too much, 0.095 is 10 % too much.  Its standard
error is the larger of two: what clicks (overdispersed) or purchases vary by chance, and what the
pairs of the week show, since a model that is right on the whole is not right of each ad.
Revenues of different currencies are never added: each currency has its ratio, and the week's
calibration is their mean weighted by certainty.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from actuals_pipeline.accuracy.columns import Floats, Positions, quotient
from actuals_pipeline.accuracy.drift.contract import DRIFT_PAIRS, MODEL_WEEKS
from actuals_pipeline.frames import check_frame, conform, empty_frame

PROTOCOLS = {"ctr": "launch_d7", "roas": "launch_ltd28"}
"""The metrics that are watched, each by the protocol whose figures mature."""

LEAST_PAIRS = 30
LEAST_CLICKS = 1_000
LEAST_PURCHASES = 300
LEAST_COVERAGE = 0.8
"""Share of the spend of a week's matured ads that its counted pairs must have."""

ONE_SIDED = float(special.ndtri(0.95))
"""Standard errors to a bound that is exceeded by chance once in twenty times."""

_STREAM = ["model_name", "model_version", "metric", "week"]


def model_weeks(
    pairs: pd.DataFrame, *, as_of: date, held_back: Collection[date] = ()
) -> pd.DataFrame:
    """One row a model version, metric and closed week, as `MODEL_WEEKS`, ordered by its key.

    `pairs` are those known as of `as_of` (`DRIFT_PAIRS`; other columns are ignored); the weeks
    that had ended by then count, pairs without a day on which they matured do not.  Provisional
    and unattested pairs are left out.  `held_back` names weeks (Mondays) of which nothing may be
    concluded: a check had failed, or the maturity curve itself was in alarm.
    """
    check_frame(pairs, DRIFT_PAIRS, exact=False)
    rows = pd.concat([_matured(pairs, metric, as_of) for metric in PROTOCOLS], ignore_index=True)
    if rows.empty:
        return empty_frame(MODEL_WEEKS)
    weeks = _by_week(_by_currency(rows))
    weeks["week"] = weeks["week"].dt.date.astype(object)
    weeks["is_eligible"] = _is_eligible(weeks) & ~weeks["week"].isin(list(held_back))
    return conform(weeks, MODEL_WEEKS)


def _matured(pairs: pd.DataFrame, metric: str, as_of: date) -> pd.DataFrame:
    """The pairs of one metric that matured in closed weeks; those that do not count hold zeros."""
    matured_on = pd.to_datetime(pairs["matures_on"].astype(object))
    week = matured_on - pd.to_timedelta(matured_on.dt.day_of_week, unit="D")
    is_closed = week + pd.Timedelta(days=6) <= pd.Timestamp(as_of)
    chosen = is_closed & (pairs["protocol"] == PROTOCOLS[metric])
    mine, week = pairs[chosen], week[chosen]
    measured = _clicks(mine) if metric == "ctr" else _revenue(mine)
    counts = (
        (mine["status"] == "eligible")
        & (mine[f"{metric}_status"] == "ok")
        & mine["is_attested"]
        & ~mine["is_provisional"]
        & measured.notna().all(axis=1)
    )
    spend = mine["spend"].astype(float)
    measured["n_pairs"] = 1.0
    measured["counted_spend"] = spend
    measured["clicks"] = mine["clicks"].astype(float)
    measured["purchases"] = mine["conversions"].astype(float)
    measured["expected_squared"] = measured["expected"] ** 2
    measured["observed_squared"] = measured["observed"] ** 2
    measured["product"] = measured["expected"] * measured["observed"]
    return measured.where(counts, 0.0).assign(
        n_rows=1.0,
        spend=spend,
        model_name=mine["model_name"],
        model_version=mine["model_version"],
        metric=metric,
        week=week,
        currency="" if metric == "ctr" else mine["currency"].fillna(""),
    )


def _clicks(pairs: pd.DataFrame) -> pd.DataFrame:
    p, clicks = pairs["predicted_ctr"], pairs["clicks"].astype(float)
    overdispersion = pairs["dispersion"].fillna(1.0).clip(lower=1.0)
    return pd.DataFrame(
        {
            "expected": pairs["impressions"].astype(float) * p,
            "observed": clicks,
            # Summed, this is the binomial variance at the level that came, not the predicted one.
            "variance": overdispersion * clicks * (1 - p),
        }
    )


def _revenue(pairs: pd.DataFrame) -> pd.DataFrame:
    spend = pairs["spend"].astype(float)
    revenue = pairs["adjusted_roas"] * spend
    # Without a purchase its error is not known; what the pairs show covers it.
    error = revenue * pairs["roas_relative_se"].fillna(0.0)
    return pd.DataFrame(
        {"expected": spend * pairs["predicted_roas"], "observed": revenue, "variance": error**2}
    )


def _by_currency(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a stream, week and currency: sums, calibration, and how certain it is."""
    code, keys = _coded(rows, [*_STREAM, "currency"])
    sums = {
        name: _summed(rows[name], code, len(keys)) for name in rows.columns.difference(keys.columns)
    }
    positive = (sums["expected"] > 0) & (sums["observed"] > 0)
    expected = np.where(positive, sums["expected"], np.nan)
    observed = np.where(positive, sums["observed"], np.nan)
    ratio, n = observed / expected, sums["n_pairs"]
    # The pairs' squared distances from what they would be at the week's own ratio.
    squares = (
        sums["observed_squared"] - 2 * ratio * sums["product"] + ratio**2 * sums["expected_squared"]
    )
    by_pairs = np.maximum(squares, 0) * quotient(n, np.maximum(n - 1, 0))
    variance = np.fmax(sums["variance"], by_pairs) / observed**2
    is_known = np.isfinite(variance) & (variance > 0)
    certainty = np.where(is_known, quotient(np.ones_like(n), variance), 0.0)
    weighted = np.where(is_known, certainty * -np.log(ratio), 0.0)
    return keys.assign(**sums, certainty=certainty, weighted=weighted)


def _by_week(parts: pd.DataFrame) -> pd.DataFrame:
    """One row a stream and week, its currencies put together."""
    code, weeks = _coded(parts, _STREAM)

    def total(values: Any) -> Floats:
        return _summed(values, code, len(weeks))

    certainty = total(parts["certainty"])
    calibration = quotient(total(parts["weighted"]), certainty)
    error = np.sqrt(quotient(np.ones_like(certainty), certainty))
    # Money of several currencies is not added: the share of each weighs by its ads.
    uncounted = quotient(
        (parts["spend"] - parts["counted_spend"]).to_numpy(), parts["spend"].to_numpy()
    )
    uncounted = np.where(np.isfinite(uncounted), uncounted, 0.0)
    n_rows = parts["n_rows"].to_numpy()
    return weeks.assign(
        n_pairs=total(parts["n_pairs"]),
        clicks=total(parts["clicks"]),
        purchases=total(parts["purchases"]),
        coverage_spend=1 - quotient(total(uncounted * n_rows), total(n_rows)),
        ln_calibration=calibration,
        standard_error=error,
        lower=calibration - ONE_SIDED * error,
        upper=calibration + ONE_SIDED * error,
    )


def _is_eligible(weeks: pd.DataFrame) -> pd.Series[bool]:
    is_ctr = weeks["metric"] == "ctr"
    has_volume = (is_ctr & (weeks["clicks"] >= LEAST_CLICKS)) | (
        ~is_ctr & (weeks["purchases"] >= LEAST_PURCHASES)
    )
    is_whole = (weeks["n_pairs"] >= LEAST_PAIRS) & (weeks["coverage_spend"] >= LEAST_COVERAGE)
    return has_volume & is_whole & weeks["ln_calibration"].notna()


def _summed(values: Any, code: Positions, n_sums: int) -> Floats:
    return np.bincount(code, np.asarray(values, dtype=np.float64), n_sums).astype(np.float64)


def _coded(rows: pd.DataFrame, by: list[str]) -> tuple[Positions, pd.DataFrame]:
    """For each row the position of its key among all keys, and these in order."""
    code = rows.groupby(by, sort=True).ngroup().to_numpy().astype(np.int64)
    firsts = rows[by].assign(code=code).drop_duplicates("code").sort_values("code")
    return code, firsts[by].reset_index(drop=True)
