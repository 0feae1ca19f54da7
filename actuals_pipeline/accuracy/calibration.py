"""Whether predicted rates are kept: on the whole, at both ends, and bin by bin.

A model that ranks ads well but says 20 % too much needs a factor, no new training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from actuals_pipeline.accuracy.columns import Floats, quotient
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline.accuracy.entropy import LEAST_CTR
from actuals_pipeline.accuracy.noise import NORMAL_MEAN_DEVIATION
from actuals_pipeline.accuracy.sums import Summed, ratio_of_sums

_MAX_STEPS = 50
"""Newton's method needs about six; one that is not done by then has nothing to converge to."""


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """`logit(actual) = intercept + slope * logit(predicted)`; all NaN where there is no such line.

    Perfect: intercept 0, slope 1.  A slope below 1: predictions too extreme; above: too timid.
    """

    intercept: float
    slope: float
    slope_error: float
    """Standard error of the slope, `overdispersion` included."""


def calibration_ratio(pairs: CtrPairs | RoasPairs) -> Summed:
    """Predicted over observed: clicks `sum n p / sum c`, or revenue `sum s r / sum R`.

    1 is unbiased, 1.2 is 20 % too much.  (Some write it the other way round.)  NaN where nothing
    was observed.
    """
    observed = pairs.clicks if isinstance(pairs, CtrPairs) else pairs.revenue
    return ratio_of_sums(pairs.expected, observed)


def calibration_line(pairs: CtrPairs) -> CalibrationLine:
    """The binomial regression of clicks on the logit of the prediction.

    Weighted by impressions over `overdispersion`; predictions are held within `LEAST_CTR` of 0
    and 1.  There is no line where all predictions are equal, where there are no clicks or nothing
    else, or where the predictions separate ads with none from ads with all.  Source: Cox, "Two
    further applications of a model for binary regression", 1958; iteratively reweighted least
    squares.
    """
    n = pairs.impressions / pairs.overdispersion
    c = pairs.clicks / pairs.overdispersion
    x = special.logit(np.clip(pairs.predicted, LEAST_CTR, 1 - LEAST_CTR))
    none = CalibrationLine(float("nan"), float("nan"), float("nan"))
    if len(x) < 2 or np.ptp(x) < 1e-9 or not 0 < c.sum() < n.sum():
        return none
    # About its middle, where intercept and slope hardly depend on each other.
    middle = float(np.average(x, weights=n))
    design = np.column_stack([np.ones_like(x), x - middle])
    at = np.array([special.logit(c.sum() / n.sum()), 0.0])
    for _ in range(_MAX_STEPS):
        rate = special.expit(design @ at)
        information = design.T @ (design * (n * rate * (1 - rate))[:, None])
        if not np.linalg.cond(information) < 1e12:
            return none
        step = np.linalg.solve(information, design.T @ (c - n * rate))
        at += step
        if np.abs(step).max() < 1e-10:
            error = float(np.sqrt(np.linalg.inv(information)[1, 1]))
            return CalibrationLine(float(at[0] - at[1] * middle), float(at[1]), error)
    return none


def calibration_bins(pairs: CtrPairs, *, n_bins: int = 10) -> pd.DataFrame:
    """One row a bin of predictions, lowest first: what was predicted there and what came.

    Bins hold about equally many CLICKS, so that each is about equally certain; equal predictions
    share a bin, so there may be fewer than `n_bins`.  Columns: `predicted` and `actual` (means by
    impression, fractions), `impressions`, `clicks`, `noise` (mean |actual - predicted| that
    chance alone would give the bin, normal approximation).  Without any click: one bin.
    """
    if n_bins < 1:
        raise ValueError(f"There is at least one bin, not {n_bins}.")
    p, n = pairs.predicted, pairs.impressions
    rates, at = np.unique(p, return_inverse=True)
    clicks = np.bincount(at, pairs.clicks, len(rates))
    # A rate goes where the middle of its clicks lies among all clicks.
    middle = quotient(np.cumsum(clicks) - clicks / 2, np.full(len(rates), clicks.sum()))
    bin_of_rate = np.clip(np.nan_to_num(middle) * n_bins, 0, n_bins - 1).astype(np.int64)
    rows = pd.DataFrame(
        {
            "bin": bin_of_rate[at],
            "predicted": n * p,
            "impressions": n,
            "clicks": pairs.clicks,
            "noise": pairs.overdispersion * n * p * (1 - p),
        }
    )
    sums = rows.groupby("bin").sum()
    return pd.DataFrame(
        {
            "predicted": sums["predicted"] / sums["impressions"],
            "actual": sums["clicks"] / sums["impressions"],
            "impressions": sums["impressions"],
            "clicks": sums["clicks"],
            "noise": NORMAL_MEAN_DEVIATION * np.sqrt(sums["noise"]) / sums["impressions"],
        }
    ).reset_index(drop=True)


def expected_calibration_error(bins: pd.DataFrame) -> float:
    """Mean |predicted - actual| of the bins of `calibration_bins`, by impressions; a fraction.

    0 is perfect, but chance alone gives `expected_calibration_noise`.  NaN without bins.
    """
    return _mean_by_impressions(bins, (bins["predicted"] - bins["actual"]).abs().to_numpy())


def expected_calibration_noise(bins: pd.DataFrame) -> float:
    """The `expected_calibration_error` that a perfect model would have; a fraction."""
    return _mean_by_impressions(bins, bins["noise"].to_numpy())


def _mean_by_impressions(bins: pd.DataFrame, values: Floats) -> float:
    impressions = bins["impressions"].to_numpy()
    return float(quotient(np.sum(values * impressions), np.sum(impressions)))
