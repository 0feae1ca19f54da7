"""The control charts of every model version and metric, week by week."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.columns import Floats, quotient
from actuals_pipeline.accuracy.drift.contract import CHARTED_WEEKS, MODEL_WEEKS
from actuals_pipeline.accuracy.drift.control_charts import CUSUM_K, cusum, ewma
from actuals_pipeline.accuracy.drift.run_lengths import weekly_limit
from actuals_pipeline.frames import check_frame, conform, empty_frame

TOLERATED_CALIBRATION = float(np.log(1.10))
"""The calibration error that matters, as a logarithm; half of it is forgiven a week."""

MOST_A_WEEK = 2.5
"""Standard deviations that one week may add to a CUSUM: below every limit, so that one odd week
(a holiday, an outage) is no drift, however large."""

_LARGEST_Z = 3.0
_EXPECTED_WEEKS = 4
"""Weeks of the expected scatter that are thought seen before the first."""

_STREAM = ["model_name", "model_version", "metric"]


def charted(weeks: pd.DataFrame, *, n_streams: int | None = None) -> pd.DataFrame:
    """The rows of `model_weeks` with their charts, as `CHARTED_WEEKS`.

    The limit is that for `n_streams` charts watched at a time; unless given, those with an
    eligible week.  A week that is not eligible leaves the charts as they were.
    """
    check_frame(weeks, MODEL_WEEKS)
    if weeks.empty:
        return empty_frame(CHARTED_WEEKS)
    stream = weeks.groupby(_STREAM, sort=True).ngroup().to_numpy()
    days, step = np.unique(weeks["week"].to_numpy(), return_inverse=True)
    eligible = weeks["is_eligible"].to_numpy()
    grids = np.full((2, len(days), stream.max() + 1), np.nan)
    grids[0, step[eligible], stream[eligible]] = weeks["ln_calibration"].to_numpy()[eligible]
    grids[1, step[eligible], stream[eligible]] = weeks["standard_error"].to_numpy()[eligible]
    z, deviation = centered(grids[0], grids[1])
    if n_streams is None:
        n_streams = len(np.unique(stream[eligible]))
    limit = weekly_limit(n_streams)
    # At a large volume a drift of 1 % is certain, and no reason to do anything.
    forgiven = np.fmax(CUSUM_K, quotient(np.full_like(z, TOLERATED_CALIBRATION / 2), deviation))
    drift = cusum(z, limit=limit, k=forgiven, most_a_step=MOST_A_WEEK)
    average = ewma(z)

    def at(grid: Any) -> Any:
        return grid[step, stream]

    charts = weeks.assign(
        z=at(z),
        cusum_up=at(drift.up),
        cusum_down=at(drift.down),
        cusum_limit=limit,
        ewma=at(average.value),
        ewma_lower=at(average.lower),
        ewma_upper=at(average.upper),
        is_alarm=at(drift.is_alarm),
        changed_since=_days_of(days, at(drift.changed_at), at(drift.is_alarm)),
    )
    return conform(charts, CHARTED_WEEKS)


def centered(values: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Each value against the mean of those before it in its column, as z, and that z's unit.

    `z = (value - mean) / sqrt(error^2 + error of the mean^2)`, the mean weighted by certainty.
    A version's reference is all that it has shown so far: z of a stable version are independent
    and standard normal, which they are not against a short fixed reference, whose own chance
    error stays in every later week.  Weeks that scatter more than their errors say (promotions
    and holidays move all ads alike) widen the unit by as much as they have, never narrow it.
    The first value has nothing before it, so its z is NaN.  Shape `(steps, streams)`.

    Source: Hawkins, "Self-starting CUSUM charts for location and scale", 1987; with known errors
    these are recursive residuals.
    """
    known = np.isfinite(values) & np.isfinite(errors)
    certainty = np.where(known, quotient(np.ones_like(errors), errors**2), 0.0)
    before = _sum_before(certainty)
    mean = quotient(_sum_before(certainty * np.where(known, values, 0.0)), before)
    deviation = np.sqrt(errors**2 + quotient(np.ones_like(before), before))
    raw = quotient(values - mean, deviation)
    # Bounded, or the change that is looked for would itself widen the unit.
    squares = np.minimum(np.nan_to_num(raw) ** 2, _LARGEST_Z**2)
    seen = _sum_before(np.isfinite(raw).astype(np.float64))
    scatter = (_EXPECTED_WEEKS + _sum_before(squares)) / (_EXPECTED_WEEKS + seen)
    deviation = deviation * np.sqrt(np.maximum(1.0, scatter))
    return quotient(values - mean, deviation), deviation


def _sum_before(values: Floats) -> Floats:
    return np.cumsum(values, axis=0) - values


def _days_of(days: Any, changed_at: Any, is_alarm: Any) -> pd.Series[Any]:
    since: list[date | None] = [
        days[at] if alarm and at >= 0 else None
        for at, alarm in zip(changed_at, is_alarm, strict=True)
    ]
    return pd.Series(since, dtype=object)
