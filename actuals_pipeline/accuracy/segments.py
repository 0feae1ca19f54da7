"""Where a model is off: calibration by placement, hook, age or anything else that labels ads.

Small segments are off by chance.  So each segment's log calibration is drawn to that of all
segments as far as its error demands (`shrinkage.py`), and only what the false discovery rate lets
through (`false_discovery.py`) may be called wrong.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.columns import Floats, Labels, codes_of, quotient
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline.accuracy.false_discovery import FALSE_DISCOVERY_RATE, adjusted_p
from actuals_pipeline.accuracy.intervals import normal_quantile
from actuals_pipeline.accuracy.noise import two_sided_p
from actuals_pipeline.accuracy.shrinkage import toward_the_mean


def segment_calibration(
    pairs: CtrPairs | RoasPairs,
    segments: Labels,
    *,
    false_discovery_rate: float = FALSE_DISCOVERY_RATE,
) -> pd.DataFrame:
    """One row a segment, by name: how predicted and observed compare, and whether that is news.

    `segment`, `n_pairs`, `expected` and `observed` (clicks, or revenue in major units),
    `calibration` (expected / observed, 1 is unbiased, NaN where nothing was observed),
    `pooled_calibration` with `pooled_low` and `pooled_high` (95 %), drawn to the others if there
    are at least four segments, `z` (observed less expected, in standard deviations under the
    prediction), `p_value`, `adjusted_p` and `is_off`.  A segment of which exactly nothing was
    expected has no z and no pooled figures.

    The error of a log calibration is `sqrt(unit / observed)`, a unit being the variance of what
    is observed over its mean: a click times `overdispersion`, or `RoasPairs.revenue_unit`.  Half
    a unit is added to both sides, so that a segment without a click has one, too.
    """
    code, names = codes_of("segments", segments, len(pairs))
    if isinstance(pairs, CtrPairs):
        observed = pairs.clicks
        variance = pairs.overdispersion * pairs.expected * (1 - pairs.predicted)
    else:
        observed = pairs.revenue
        variance = pairs.expected * pairs.revenue_unit
    expected, observed, variance, n_pairs = (
        np.bincount(code, column, len(names)).astype(np.float64)
        for column in (pairs.expected, observed, variance, np.ones(len(pairs)))
    )
    z = quotient(observed - expected, np.sqrt(variance))
    p_value = two_sided_p(z)
    adjusted = adjusted_p(p_value)
    return pd.DataFrame(
        {
            "segment": names,
            "n_pairs": n_pairs.astype(np.int64),
            "expected": expected,
            "observed": observed,
            "calibration": quotient(expected, np.where(observed > 0, observed, 0.0)),
            **_pooled(expected, observed, variance),
            "z": z,
            "p_value": p_value,
            "adjusted_p": adjusted,
            "is_off": adjusted <= false_discovery_rate,
        }
    )


def _pooled(expected: Floats, observed: Floats, variance: Floats) -> dict[str, Floats]:
    """The shrunken calibration ratios and their intervals; NaN where nothing was expected."""
    known = np.flatnonzero(variance > 0)
    unit = variance[known] / expected[known]
    seen = np.maximum(observed[known], 0.0) + unit / 2
    pooled = toward_the_mean(np.log((expected[known] + unit / 2) / seen), np.sqrt(unit / seen))

    def spread_out(log_calibration: Floats) -> Floats:
        column = np.full(len(expected), np.nan)
        column[known] = np.exp(log_calibration)
        return column

    half = normal_quantile(0.95) * pooled.errors
    return {
        "pooled_calibration": spread_out(pooled.values),
        "pooled_low": spread_out(pooled.values - half),
        "pooled_high": spread_out(pooled.values + half),
    }
