"""Pairs of made-up models that are stable, or from some week on predict too much."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.drift.contract import DRIFT_PAIRS
from actuals_pipeline.accuracy.drift.retraining import Bounds, Cause, History, Week, history

FIRST_MONDAY = date(2024, 1, 1)

_READ = ("week", "is_eligible", "ln_calibration", "lower", "upper", "changed_since")

_USUAL: dict[str, Any] = {
    "model_name": "m",
    "model_version": "1",
    "protocol": "launch_d7",
    "status": "eligible",
    "ctr_status": "ok",
    "roas_status": "ok",
    "matures_on": FIRST_MONDAY,
    "is_attested": True,
    "is_provisional": False,
    "currency": "EUR",
    "campaign_id": "1",
    "impressions": 10_000,
    "clicks": 200,
    "spend": Decimal(100),
    "conversions": 10,
    "predicted_ctr": 0.02,
    "predicted_roas": 3.0,
    "actual_ctr": 0.02,
    "actual_roas": 3.0,
    "baseline_ctr": None,
    "baseline_roas": None,
    "dispersion": 1.0,
    "roas_relative_se": 0.4,
}


def pairs_of(n: int = 30, **columns: Any) -> pd.DataFrame:
    """Pairs of a perfect model that all matured on one day; `columns` replaces values."""
    given = {"ad_id": np.arange(n).astype(str), **_USUAL, **columns}
    return pd.DataFrame(
        {
            column.name: pd.Series(given[column.name], index=range(n), dtype=column.dtype)
            for column in DRIFT_PAIRS.columns
        }
    )


def ctr_models(
    *,
    runs: int,
    weeks: int,
    pairs: int = 32,
    typical_clicks: int = 60,
    error: float = 0.15,
    shifts_at: int | None = None,
    shift: float = 1.2,
    seed: int = 1,
) -> pd.DataFrame:
    """`runs` models with `pairs` matured pairs a week, of unequal volume and error.

    Right on the whole; of each ad off by `error` (a standard deviation of the logarithm).
    Clicks vary 1.5 times as much as a binomial says.  From the week `shifts_at` on ads do worse
    by the factor `shift`, which the model does not know.
    """
    random = np.random.default_rng(seed)
    shape = (runs, weeks, pairs)
    impressions = np.round(random.lognormal(np.log(typical_clicks / 0.02), 0.8, shape))
    predicted = random.lognormal(np.log(0.02), 0.3, shape)
    actual = predicted * random.lognormal(-(error**2) / 2, error, shape)
    if shifts_at is not None:
        actual[:, shifts_at:] /= shift
    clicks = random.poisson(random.gamma(impressions * actual / 0.5, 0.5))
    run = np.repeat(np.arange(runs), weeks * pairs)
    week = np.tile(np.repeat(np.arange(weeks), pairs), runs)
    days = np.array([FIRST_MONDAY + timedelta(days=7 * each + 2) for each in range(weeks)])
    names = np.array([f"model {each}" for each in range(runs)])
    return pairs_of(
        runs * weeks * pairs,
        model_name=names[run],
        matures_on=days[week],
        impressions=impressions.ravel().astype(int),
        clicks=clicks.ravel(),
        predicted_ctr=predicted.ravel(),
        actual_ctr=(clicks / impressions).ravel(),
        dispersion=1.5,
    )


def histories(charts: pd.DataFrame) -> list[History]:
    """What becomes of each model of some charts, one metric each."""
    return [
        history({"ctr": weeks_of(mine)}) for _, mine in charts.groupby("model_name", sort=False)
    ]


def weeks_of(charts: pd.DataFrame) -> Sequence[Week]:
    """The weeks of one chart."""
    return [
        Week(
            monday,
            is_eligible,
            {Cause.CALIBRATION: Bounds.of_size(calibration, lower, upper)},
            changed_since,
        )
        for monday, is_eligible, calibration, lower, upper, changed_since in zip(
            *(charts[name].tolist() for name in _READ), strict=True
        )
    ]
