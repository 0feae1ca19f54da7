"""The one sentence on how good the model is, or why there is none yet and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actuals_pipeline.accuracy.protocols import HEADLINE, LAUNCH_TO_DATE
from actuals_pipeline.serving.report import wording
from actuals_pipeline.serving.report.reading import Row


@dataclass(frozen=True, slots=True)
class Headline:
    """`may_be_quoted` says that the sentence may be told to an investor."""

    may_be_quoted: bool
    sentence: str
    advice: str
    provisional: str


def headline_of(models: Sequence[Row], *, is_empty: bool) -> Headline:
    """The headline of the rows of `model_accuracy` as of one day, the best to quote first."""
    if is_empty:
        return Headline(
            may_be_quoted=False,
            sentence="Nothing was fetched yet.",
            advice=(
                "Run `actuals sync` for the last week, or `actuals backfill --since DAY --until "
                "DAY` for history; `actuals doctor` says what is missing."
            ),
            provisional="",
        )
    best = models[0] if models else None
    if best is not None and best["protocol"] == HEADLINE:
        return Headline(
            may_be_quoted=True, sentence=_quoted(best), advice="", provisional=_young(models)
        )
    return Headline(
        may_be_quoted=False,
        sentence="No accuracy may be quoted yet: none is both final and attested.",
        advice=(
            "Predictions count that this database received before the ad's first day; they are "
            "final 28 days after it. Log them before the launch, and keep the schedule running."
            if models
            else "Load predictions with `actuals predictions import FILE` before the ads run; the "
            "next run scores them."
        ),
        provisional=_young(models),
    )


def _quoted(row: Row) -> str:
    low, high = row["prediction_accuracy_low"], row["prediction_accuracy_high"]
    between = (
        f"95 % interval {low:.1f} to {high:.1f} %"
        if low is not None and high is not None
        else f"no interval, which takes ten campaigns; these are {row['n_clusters']}"
    )
    covered = row["coverage_spend"]
    of_spend = "" if covered is None else f" ({wording.share(covered)} of the spend)"
    return (
        f"On {row['n_pairs']:,} matured, pre-registered ad predictions{of_spend} the accuracy of "
        f"{_name(row)} was {wording.percent(row['prediction_accuracy'])} ({between}), against "
        f"{wording.percent(row['baseline_accuracy'])} for the account's own average and "
        f"{wording.percent(row['noise_ceiling'])} for a perfect forecaster at these volumes."
    )


def _young(models: Sequence[Row]) -> str:
    """What moves while nothing is final: the best version since launch."""
    row = next((each for each in models if each["protocol"] == LAUNCH_TO_DATE), None)
    if row is None or row["prediction_accuracy"] is None:
        return ""
    return (
        f"Provisional, since launch: {_name(row)} {wording.percent(row['prediction_accuracy'])} on "
        f"{row['n_pairs']:,} ads; a perfect forecaster would score "
        f"{wording.percent(row['noise_ceiling'])}, the account's own average "
        f"{wording.percent(row['baseline_accuracy'])}."
    )


def _name(row: Row) -> str:
    return f"{row['model_name']} {row['model_version']}"
