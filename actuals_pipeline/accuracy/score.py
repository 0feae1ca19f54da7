"""Score pairs: how far off each prediction was.

    error        100 * (predicted - actual) / predicted      + is overestimated, - underestimated
    accuracy     1 - |predicted - actual| / predicted, held within 0..1

Relative to the PREDICTED value, as the specification's two examples require: 2.5 % against 2.75 %
is -10.00 % and 90 %, a ROAS of 3.0 against 2.85 is +5.00 % and 95 %.

What cannot be known is missing, never 0 and never 100.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.contract import PAIRS, SCORED_PAIRS
from actuals_pipeline.accuracy.pair import usable_ctr, usable_roas
from actuals_pipeline.accuracy.rounding import decimal_of
from actuals_pipeline.frames import check_added, check_columns, conform, first_that_applies
from actuals_pipeline.money import ratio


def score(pairs: pd.DataFrame) -> pd.DataFrame:
    """`pairs` (a PAIRS frame) with the SCORED_PAIRS columns added; the same rows, same order.

    Every pair is scored where it can be, whatever its `status`; which ones count is for
    `models.score_models`.  A predicted 0 has no error, and an accuracy of 1 if the actual is 0
    too, else of 0: its limits, because leaving it out would reward predicting 0.
    """
    check_columns(pairs, PAIRS)
    scores = {
        **_scores(
            pairs,
            "ctr",
            actual=ratio(pairs["clicks"], pairs["impressions"]),
            usable=usable_ctr(pairs["predicted_ctr"]),
        ),
        **_scores(
            pairs,
            "roas",
            actual=_roas(pairs),
            usable=usable_roas(pairs["predicted_roas"]),
        ),
    }
    scored = conform(pairs.assign(**scores), SCORED_PAIRS)
    check_added(scored, SCORED_PAIRS, PAIRS)
    return scored


def _roas(pairs: pd.DataFrame) -> pd.Series[float]:
    """Revenue over spend, which counts by what it should have brought by then where that is asked.

    Source: Cape Cod; see `launch_windows.py`.
    """
    plain = ratio(pairs["revenue"], pairs["spend"])
    complete = pairs["completeness"]
    return plain.where(complete.isna(), plain / complete.where(complete > 0))


def _metric_status(
    pairs: pd.DataFrame, metric: str, usable: pd.Series[bool], error: pd.Series[float]
) -> pd.Series[str]:
    applies: dict[str, pd.Series[bool]] = {
        "no_prediction": pairs[f"predicted_{metric}"].isna(),
        "no_delivery": pairs["impressions"].eq(0),
        **({"no_spend": pairs["spend"].eq(0)} if metric == "roas" else {}),
        "invalid_prediction": ~usable,
        # Zero, or so close to it that the error is no number any more.
        "degenerate_pred": ~error.abs().lt(np.inf),
    }
    return first_that_applies(applies, otherwise="ok")


def _scores(
    pairs: pd.DataFrame, metric: str, actual: pd.Series[float], usable: pd.Series[bool]
) -> dict[str, pd.Series[Any]]:
    predicted = pairs[f"predicted_{metric}"]
    exact = _equal(predicted, actual)
    error = (100 * ((predicted - actual) / predicted)).mask(exact & predicted.ne(0), 0.0)
    status = _metric_status(pairs, metric, usable, error)
    ok, degenerate = status.eq("ok"), status.eq("degenerate_pred")
    error = error.where(ok)
    raw = 1 - error.abs() / 100
    direction = first_that_applies(
        {"exact": exact, "over": predicted > actual}, otherwise="under"
    ).where(ok | degenerate)
    return {
        f"actual_{metric}": actual,
        f"{metric}_error": error,
        f"{metric}_accuracy": raw.clip(0, 1).mask(degenerate, exact.astype(float)),
        f"{metric}_accuracy_raw": raw,
        f"{metric}_direction": direction,
        f"{metric}_status": status,
    }


def _equal(predicted: pd.Series[float], actual: pd.Series[float]) -> pd.Series[bool]:
    """Whether the two are the same number once written with twelve digits."""
    equal = np.isclose(predicted, actual, rtol=1e-9, atol=0)
    # Only what floats cannot tell apart safely is worth the slower, decimal answer.
    equal[equal] = [
        decimal_of(one) == decimal_of(other)
        for one, other in zip(predicted[equal], actual[equal], strict=True)
    ]
    return pd.Series(equal, index=predicted.index)
