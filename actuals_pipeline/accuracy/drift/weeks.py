"""Pairs by the ISO week in which they matured, each once, as the model's calibration of that week.

A pair is news once: when its figures have stopped moving.  So the weeks of one model version are
independent, which the same ads' errors of one day and the next are not.

The calibration of a week is `ln(predicted / observed)`, of clicks (`sum n p` and `sum c`) or of
revenue (`sum s r` and `sum R`): + is predicted too much, 0.095 is 10 % too much.  Its standard
error is the larger of two: what clicks (overdispersed) or purchases vary by chance, and what the
pairs of the week show, since a model that is right on the whole is not right of each ad.
Revenues of different currencies are never added: each currency has its ratio, and the week's
calibration is their mean weighted by certainty.

Three more are compared with what they should beat, where that is known: the skill against the
account's own rate before launch, the normalised entropy against the same, and the error (WAPE)
beyond what chance alone gives a perfect model.

Beside them stands whether the predictions of a week are spread like those of the version's weeks
before.  Other predictions are no error, so nothing follows from that by itself; it says where to
look when an error grows: at other ads, or at what the model is fed.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from actuals_pipeline.accuracy.columns import Floats, Positions, quotient
from actuals_pipeline.accuracy.drift.contract import DRIFT_PAIRS, MODEL_WEEKS
from actuals_pipeline.accuracy.drift.input_shift import stability
from actuals_pipeline.accuracy.entropy import LEAST_CTR
from actuals_pipeline.accuracy.noise import NORMAL_MEAN_DEVIATION
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
_PART = [*_STREAM, "currency"]

_RATIOS = ("calibration", "skill", "entropy", "excess")
"""What is a ratio of two sums over pairs, whose terms are `<name>_above` and `<name>_below`."""


def model_weeks(pairs: pd.DataFrame, *, as_of: date) -> pd.DataFrame:
    """One row a model version, metric and closed week, as `MODEL_WEEKS`, ordered by its key.

    `pairs` are those known as of `as_of` (`DRIFT_PAIRS`; other columns are ignored); the weeks
    that had ended by then count, pairs without a day on which they matured do not.  Provisional
    and unattested pairs are left out.
    """
    check_frame(pairs, DRIFT_PAIRS, exact=False)
    rows = pd.concat([_matured(pairs, metric, as_of) for metric in PROTOCOLS], ignore_index=True)
    if rows.empty:
        return empty_frame(MODEL_WEEKS)
    weeks = _by_week(_by_currency(rows)).merge(
        _predicted_shifts(rows), how="left", on=_STREAM, validate="one_to_one"
    )
    weeks["week"] = weeks["week"].dt.date.astype(object)
    weeks["is_eligible"] = _is_eligible(weeks)
    return conform(weeks, MODEL_WEEKS)


def counting_terms(pairs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The terms of the pairs that count, with their `ad_id`, `campaign_id` and `currency`."""
    terms = _terms(pairs, metric)
    named = terms.assign(ad_id=pairs["ad_id"], campaign_id=pairs["campaign_id"])
    return named[_counts(pairs, terms, metric)].assign(currency=_currency(pairs, metric))


def _matured(pairs: pd.DataFrame, metric: str, as_of: date) -> pd.DataFrame:
    """The pairs of one metric that matured in closed weeks; those that do not count hold zeros."""
    matured_on = pd.to_datetime(pairs["matures_on"].astype(object))
    week = matured_on - pd.to_timedelta(matured_on.dt.day_of_week, unit="D")
    is_closed = week + pd.Timedelta(days=6) <= pd.Timestamp(as_of)
    chosen = is_closed & (pairs["protocol"] == PROTOCOLS[metric])
    mine, week = pairs[chosen], week[chosen]
    terms = _terms(mine, metric)
    counts = _counts(mine, terms, metric)
    spend = mine["spend"].astype(float)
    terms = terms.assign(
        n_pairs=1.0,
        counted_spend=spend,
        clicks=mine["clicks"].astype(float),
        purchases=mine["conversions"].astype(float),
    )
    return terms.where(counts, 0.0).assign(
        predicted=mine[f"predicted_{metric}"].where(counts),
        actual=mine[f"actual_{metric}"].where(counts),
        n_rows=1.0,
        spend=spend,
        model_name=mine["model_name"],
        model_version=mine["model_version"],
        metric=metric,
        week=week,
        currency=_currency(mine, metric),
    )


def _terms(pairs: pd.DataFrame, metric: str) -> pd.DataFrame:
    return _clicks(pairs) if metric == "ctr" else _revenue(pairs)


def _counts(pairs: pd.DataFrame, terms: pd.DataFrame, metric: str) -> pd.Series[bool]:
    needed = terms[["calibration_above", "calibration_below", "variance"]]
    return (
        (pairs["status"] == "eligible")
        & (pairs[f"{metric}_status"] == "ok")
        & pairs["is_attested"]
        & ~pairs["is_provisional"]
        & needed.notna().all(axis=1)
    )


def _currency(pairs: pd.DataFrame, metric: str) -> Any:
    """What may not be added up: clicks have no currency."""
    return "" if metric == "ctr" else pairs["currency"].fillna("")


def _clicks(pairs: pd.DataFrame) -> pd.DataFrame:
    p, baseline = pairs["predicted_ctr"], pairs["baseline_ctr"]
    n, clicks = pairs["impressions"].astype(float), pairs["clicks"].astype(float)
    overdispersion = pairs["dispersion"].fillna(1.0).clip(lower=1.0)
    return pd.DataFrame(
        {
            "calibration_above": n * p,
            "calibration_below": clicks,
            # Summed, this is the binomial variance at the level that came, not the predicted one.
            "variance": overdispersion * clicks * (1 - p),
            "skill_above": (n * p - clicks).abs(),
            "skill_below": (n * baseline - clicks).abs(),
            "entropy_above": _log_loss(p, n, clicks),
            "entropy_below": _log_loss(baseline, n, clicks),
            "excess_above": np.nan,
            "excess_below": np.nan,
        }
    )


def _revenue(pairs: pd.DataFrame) -> pd.DataFrame:
    spend = pairs["spend"].astype(float)
    expected, revenue = spend * pairs["predicted_roas"], spend * pairs["actual_roas"]
    # Without a purchase its error is not known; what the pairs show covers it.
    error = revenue * pairs["roas_relative_se"].fillna(0.0)
    miss = (expected - revenue).abs()
    return pd.DataFrame(
        {
            "calibration_above": expected,
            "calibration_below": revenue,
            "variance": error**2,
            "skill_above": miss,
            "skill_below": (spend * pairs["baseline_roas"] - revenue).abs(),
            "entropy_above": np.nan,
            "entropy_below": np.nan,
            "excess_above": miss - NORMAL_MEAN_DEVIATION * error,
            "excess_below": revenue,
        }
    )


def _log_loss(rate: pd.Series[float], n: pd.Series[float], clicks: pd.Series[float]) -> Any:
    held = rate.clip(LEAST_CTR, 1 - LEAST_CTR)
    return -(clicks * np.log(held) + (n - clicks) * np.log1p(-held))


def _by_currency(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a stream, week and currency: sums, ratios, and how certain these are."""
    code, keys = _coded(rows, _PART)
    size = len(keys)
    sums = {
        name: _summed(rows[name], code, size)
        for name in ("n_pairs", "n_rows", "clicks", "purchases", "spend", "counted_spend")
    }
    for name in _RATIOS:
        above, below = rows[f"{name}_above"], rows[f"{name}_below"]
        # A pair of which one of both is unknown says nothing of their ratio.
        is_known = above.notna() & below.notna() & (rows["n_pairs"] > 0)
        above, below = above.where(is_known, 0.0), below.where(is_known, 0.0)
        n = _summed(is_known, code, size)
        a, b = _summed(above, code, size), _summed(below, code, size)
        has_both = (b > 0) & (n >= 1)
        b = np.where(has_both, b, np.nan)
        ratio = a / b
        # The pairs' squared distances from what they would be at the ratio of all of them.
        squares = (
            _summed(above**2, code, size)
            - 2 * ratio * _summed(above * below, code, size)
            + ratio**2 * _summed(below**2, code, size)
        )
        variance = np.maximum(squares, 0) * quotient(n, np.maximum(n - 1, 0)) / b**2
        if name == "calibration":
            by_chance = _summed(rows["variance"], code, size) / b**2
            ratio = np.where(ratio > 0, ratio, np.nan)
            variance, ratio = np.fmax(variance / ratio**2, by_chance), np.log(ratio)
        is_certain = np.isfinite(ratio) & np.isfinite(variance) & (variance > 0)
        certainty = np.where(is_certain, quotient(np.ones(size), variance), 0.0)
        sums[f"{name}_certainty"] = certainty
        sums[f"{name}_weighted"] = np.where(is_certain, certainty * ratio, 0.0)
        sums[f"{name}_n"] = n
    sums["rank_weight"], sums["rank_weighted"] = _ranks(rows, code, size)
    return keys.assign(**sums)


def _ranks(rows: pd.DataFrame, code: Positions, size: int) -> tuple[Floats, Floats]:
    """How well each part's actuals are in the order of its predictions: pairs, and times rho."""
    is_known = rows["predicted"].notna() & rows["actual"].notna()
    known, group = rows[is_known], code[is_known.to_numpy()]
    centered = []
    for name in ("predicted", "actual"):
        ranks = known[name].groupby(group).rank()
        centered.append((ranks - ranks.groupby(group).transform("mean")).to_numpy())
    x, y = centered
    both, n = _summed(x * y, group, size), _summed(np.ones(len(group)), group, size)
    spread = np.sqrt(_summed(x * x, group, size) * _summed(y * y, group, size))
    rho = quotient(both, spread)
    weight = np.where(np.isfinite(rho), n, 0.0)
    return weight, np.where(np.isfinite(rho), n * rho, 0.0)


def _by_week(parts: pd.DataFrame) -> pd.DataFrame:
    """One row a stream and week, its currencies put together."""
    code, weeks = _coded(parts, _STREAM)

    def total(values: Any) -> Floats:
        return _summed(values, code, len(weeks))

    # Money of several currencies is not added: the share of each weighs by its ads.
    uncounted = quotient(
        (parts["spend"] - parts["counted_spend"]).to_numpy(), parts["spend"].to_numpy()
    )
    uncounted = np.where(np.isfinite(uncounted), uncounted, 0.0)
    n_rows = parts["n_rows"].to_numpy()
    mean, error = {}, {}
    for name in _RATIOS:
        certainty = total(parts[f"{name}_certainty"])
        is_enough = (name == "calibration") | (total(parts[f"{name}_n"]) >= LEAST_PAIRS)
        certainty = np.where(is_enough, certainty, 0.0)
        mean[name] = quotient(total(parts[f"{name}_weighted"]), certainty)
        error[name] = np.sqrt(quotient(np.ones_like(certainty), certainty))
    bounds = {name: ONE_SIDED * error[name] for name in _RATIOS}
    return weeks.assign(
        n_pairs=total(parts["n_pairs"]),
        clicks=total(parts["clicks"]),
        purchases=total(parts["purchases"]),
        coverage_spend=np.clip(1 - quotient(total(uncounted * n_rows), total(n_rows)), 0, 1),
        ln_calibration=mean["calibration"],
        standard_error=error["calibration"],
        lower=mean["calibration"] - bounds["calibration"],
        upper=mean["calibration"] + bounds["calibration"],
        skill=1 - mean["skill"],
        skill_lower=1 - mean["skill"] - bounds["skill"],
        skill_upper=1 - mean["skill"] + bounds["skill"],
        normalised_entropy=mean["entropy"],
        normalised_entropy_lower=mean["entropy"] - bounds["entropy"],
        normalised_entropy_upper=mean["entropy"] + bounds["entropy"],
        wape_excess=mean["excess"],
        wape_excess_lower=mean["excess"] - bounds["excess"],
        wape_excess_upper=mean["excess"] + bounds["excess"],
        rank_correlation=quotient(total(parts["rank_weighted"]), total(parts["rank_weight"])),
    )


def _predicted_shifts(rows: pd.DataFrame) -> pd.DataFrame:
    """By stream and week: how far its predictions are spread otherwise than those before.

    Weeks with fewer than `LEAST_PAIRS` predictions, or with fewer before them, have none.
    """
    known = rows.loc[rows["predicted"].notna(), [*_STREAM, "predicted"]]
    found = []
    for stream, mine in known.groupby(_STREAM[:-1], sort=True):
        before = np.empty(0)
        for week, part in mine.groupby("week", sort=True):
            # In one order, because the rows may come in any.
            now = np.sort(part["predicted"].to_numpy(dtype=np.float64))
            if min(len(now), len(before)) >= LEAST_PAIRS:
                shift = stability(before, now)
                found.append((*stream, week, shift.index, shift.chance))
            before = np.concatenate([before, now])
    columns = [*_STREAM, "predicted_shift", "predicted_shift_chance"]
    shifts = pd.DataFrame(found, columns=columns)
    return shifts.astype({"week": rows["week"].dtype})


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
