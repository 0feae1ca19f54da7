"""Score pairs, and sum the scores up by model version.

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

from actuals_pipeline.accuracy.contract import (
    DELIVERED_ADS,
    MODEL_ACCURACY,
    PAIRS,
    SCORED_PAIRS,
)
from actuals_pipeline.accuracy.pair import usable_ctr, usable_roas
from actuals_pipeline.accuracy.rounding import decimal_of
from actuals_pipeline.frames import check_frame, conform, first_that_applies, refuse_rows
from actuals_pipeline.money import ZERO, exact_sums, ratio

_MODEL = list(MODEL_ACCURACY.key)
_AD = list(DELIVERED_ADS.key)
_NONE_UNMATCHED = pd.DataFrame(
    columns=["as_of_date", "model_name", "model_version", "n_unmatched"], dtype=object
)


def score(pairs: pd.DataFrame) -> pd.DataFrame:
    """`pairs` (a PAIRS frame) with the SCORED_PAIRS columns added; the same rows, same order.

    Every pair is scored where it can be, whatever its `status`; which ones count is for
    `score_models`.  A predicted 0 has no error, and an accuracy of 1 if the actual is 0 too, else
    of 0: its limits, because leaving it out would reward predicting 0.
    """
    check_frame(pairs, PAIRS, exact=False)
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
            actual=ratio(pairs["revenue"], pairs["spend"]),
            usable=usable_roas(pairs["predicted_roas"]),
        ),
    }
    scored = conform(pairs.assign(**scores), SCORED_PAIRS)
    check_frame(scored, SCORED_PAIRS)
    return scored


def score_models(
    scored: pd.DataFrame, delivered: pd.DataFrame, unmatched: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The MODEL_ACCURACY frame: one row per as-of day, model version and protocol, by key.

    `scored` is a SCORED_PAIRS frame; `delivered` the DELIVERED_ADS frame of the same days (see
    `pair.delivered_ads`), which coverage is a share of; `unmatched` counts the predicted videos
    without an ad (see `pair.unmatched_videos`; None: there are none).  Only `eligible` pairs make
    the headline; each pair weighs the same.  `coverage_spend` and `settled_spend_share` are
    missing where the amounts are of several currencies.  `FrameMismatch` when an eligible pair's
    ad is not among the delivered.
    """
    check_frame(scored, SCORED_PAIRS, exact=False)
    check_frame(delivered, DELIVERED_ADS, exact=False)
    pairs = _with_headline(scored, delivered)
    models = (
        pairs[_MODEL]
        .drop_duplicates(ignore_index=True)
        .merge(_counts(pairs), on=_MODEL, validate="one_to_one")
        .merge(_means(pairs), on=_MODEL, validate="one_to_one")
        .merge(_money(pairs), on=_MODEL, validate="one_to_one")
        .merge(_delivered_by_day(delivered), how="left", on="as_of_date", validate="many_to_one")
        .merge(
            _NONE_UNMATCHED if unmatched is None else unmatched,
            how="left",
            on=["as_of_date", "model_name", "model_version"],
            validate="many_to_one",
        )
    )
    n_delivered = models["n_delivered"].fillna(0)
    accuracy = conform(
        models.assign(
            n_unmatched=models["n_unmatched"].fillna(0),
            n_no_prediction=n_delivered - models["n_answered"],
            coverage_ads=ratio(models["n_pairs"], n_delivered),
            coverage_spend=ratio(models["covered_spend"], models["delivered_spend"]).where(
                models["n_delivered_currencies"] <= 1
            ),
        ),
        MODEL_ACCURACY,
    )
    check_frame(accuracy, MODEL_ACCURACY)
    return accuracy


def _metric_status(
    pairs: pd.DataFrame, metric: str, usable: pd.Series[bool], error: pd.Series[float]
) -> pd.Series[str]:
    applies: dict[str, pd.Series[bool]] = {
        "no_prediction": pairs[f"predicted_{metric}"].isna(),
        "no_delivery": pairs["impressions"].eq(0),
        "no_spend": pairs["spend"].eq(0) & (metric == "roas"),
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


def _with_headline(scored: pd.DataFrame, delivered: pd.DataFrame) -> pd.DataFrame:
    """The pairs in key order, with their accuracy, their ad's spend, and whether they count."""
    comparable = delivered[[*_AD, "spend"]].rename(columns={"spend": "ad_spend"})
    # One order, because adding floats in another gives other last digits.
    pairs = scored.sort_values([*_MODEL, "ad_id"]).merge(
        comparable, how="left", on=_AD, validate="many_to_one"
    )
    accuracy = pairs[["ctr_accuracy", "roas_accuracy"]].mean(axis=1)
    is_eligible = pairs["status"].eq("eligible")
    is_delivered = pairs["ad_spend"].notna()
    refuse_rows(pairs, SCORED_PAIRS, "status", is_eligible & ~is_delivered, "is of a delivered ad")
    return pairs.assign(
        accuracy=accuracy,
        is_delivered=is_delivered,
        is_eligible=is_eligible,
        in_headline=is_eligible & accuracy.notna(),
    )


def _counts(pairs: pd.DataFrame) -> pd.DataFrame:
    status, counted = pairs["status"], pairs["in_headline"]
    flags = {
        "n_pairs": counted,
        "n_ctr": counted & pairs["ctr_accuracy"].notna(),
        "n_roas": counted & pairs["roas_accuracy"].notna(),
        "n_predicted": status.notna(),
        "n_leaked": status.eq("leaked"),
        "n_no_delivery": status.eq("no_delivery"),
        "n_ambiguous": status.eq("ambiguous"),
        "n_invalid": status.eq("invalid_prediction"),
        "n_too_young": status.eq("too_young"),
        "n_too_old": status.eq("too_old"),
        "n_incomplete_history": status.eq("incomplete_history"),
        "n_unscored": pairs["is_eligible"] & ~counted,
        "n_answered": pairs["is_delivered"],
    }
    return pairs[_MODEL].assign(**flags).groupby(_MODEL)[list(flags)].sum().reset_index()


def _means(pairs: pd.DataFrame) -> pd.DataFrame:
    counted = pairs["in_headline"]
    gaps = {
        metric: (pairs[f"predicted_{metric}"] - pairs[f"actual_{metric}"])
        .abs()
        .where(counted & pairs[f"{metric}_accuracy"].notna())
        for metric in ("ctr", "roas")
    }
    means = {
        "ctr_mae": 100 * gaps["ctr"],
        "roas_mae": gaps["roas"],
        "prediction_accuracy": 100 * pairs["accuracy"].where(counted),
    }
    return pairs[_MODEL].assign(**means).groupby(_MODEL)[list(means)].mean().reset_index()


def _money(pairs: pd.DataFrame) -> pd.DataFrame:
    """By model: the delivered spend that its headline covers, and the settled share of it."""
    counted = pairs["in_headline"]
    spend = pairs["spend"].where(counted, ZERO).astype(float)
    share = pairs["settled_spend_share"].fillna(0)
    columns = pairs[_MODEL].assign(
        covered_spend=pairs["ad_spend"].where(counted, ZERO),
        settled=spend * share,
        unsettled=spend * (1 - share),
        currency=pairs["currency"].where(counted),
    )
    by_model = columns.groupby(_MODEL)
    sums = by_model[["settled", "unsettled"]].sum()
    # The two parts rather than the whole: so no rounding lifts the share above 1.
    settled_share = ratio(sums["settled"], sums["settled"] + sums["unsettled"])
    one_currency = by_model["currency"].nunique() <= 1
    covered = exact_sums(columns, _MODEL, ["covered_spend"])
    return covered.assign(settled_spend_share=settled_share.where(one_currency)).reset_index()


def _delivered_by_day(delivered: pd.DataFrame) -> pd.DataFrame:
    by_day = delivered.groupby("as_of_date")
    return (
        exact_sums(delivered, ["as_of_date"], ["spend"])
        .rename(columns={"spend": "delivered_spend"})
        .assign(n_delivered=by_day.size(), n_delivered_currencies=by_day["currency"].nunique())
        .reset_index()
    )
