"""The one sentence on how good the model is, or why there is none yet and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actuals_pipeline.accuracy.protocols import HEADLINE, HEADLINE_UNATTESTED, LAUNCH_TO_DATE
from actuals_pipeline.serving.report import wording
from actuals_pipeline.serving.report.reading import Row

_UNQUOTED = {
    HEADLINE_UNATTESTED: "Final, imported, unattested",
    LAUNCH_TO_DATE: "Provisional, since launch",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """`may_be_quoted` says that the sentence may be told to an investor.

    `unquoted` is what else is known of the models, and why it may not be quoted.
    """

    may_be_quoted: bool
    sentence: str
    advice: str
    unquoted: str


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
            unquoted="",
        )
    best = models[0] if models else None
    if best is not None and best["protocol"] == HEADLINE:
        return Headline(
            may_be_quoted=True,
            sentence=_quoted(best),
            advice="",
            # Beside what is final and attested, only what moves tells more.
            unquoted=_unquoted([row for row in models if row["protocol"] == LAUNCH_TO_DATE]),
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
        unquoted=_unquoted(models),
    )


def _quoted(row: Row) -> str:
    covered = row["coverage_spend"]
    of_spend = "" if covered is None else f" ({wording.share(covered)} of the spend)"
    return (
        f"On {row['n_pairs']:,} matured, pre-registered ad predictions{of_spend} the accuracy of "
        f"{_name(row)} was {wording.percent(row['prediction_accuracy'])} ({_between(row)}), "
        f"against {wording.percent(row['baseline_accuracy'])} for the account's own average and "
        f"{wording.percent(row['noise_ceiling'])} for a perfect forecaster at these volumes."
    )


def _unquoted(models: Sequence[Row]) -> str:
    """The first figure of these that is no headline, with what it is."""
    known = (row for row in models if row["prediction_accuracy"] is not None)
    row = next((each for each in known if each["protocol"] in _UNQUOTED), None)
    if row is None:
        return ""
    return (
        f"{_UNQUOTED[row['protocol']]}: {_name(row)} {wording.percent(row['prediction_accuracy'])} "
        f"({_between(row)}) on {row['n_pairs']:,} ads; a perfect forecaster would score "
        f"{wording.percent(row['noise_ceiling'])}, the account's own average "
        f"{wording.percent(row['baseline_accuracy'])}."
    )


def _between(row: Row) -> str:
    low, high = row["prediction_accuracy_low"], row["prediction_accuracy_high"]
    if low is None or high is None:
        return f"no interval, which takes ten campaigns; these are {row['n_clusters']}"
    return f"95 % interval {low:.1f} to {high:.1f} %"


def _name(row: Row) -> str:
    return f"{row['model_name']} {row['model_version']}"
