"""How good each model version is and how sure that is: its score, its interval, its two limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from actuals_pipeline.accuracy.bootstrap import LEAST_CLUSTERS
from actuals_pipeline.serving.report import wording
from actuals_pipeline.serving.report.reading import Row

STANDINGS = {
    "headline": "final, attested",
    "headline_unattested": "final, imported, unattested",
    "launch_to_date": "since launch, provisional",
    "launch_d7": "CTR of 7 days",
    "launch_ltd28": "ROAS of 28 days",
}
"""What a protocol's figures are, in words."""


@dataclass(frozen=True, slots=True)
class Score:
    """One model version's accuracy in percent, as it is told; limits are None where unknown."""

    model: str
    value: float
    low: float | None
    high: float | None
    baseline: float | None
    ceiling: float | None
    told: str
    sureness: str
    note: str

    @property
    def least(self) -> int:
        """Where the scale on which it is drawn begins, in percent; it ends at 100."""
        seen = [each for each in (self.value, self.low, self.baseline) if each is not None]
        return max(0, int(min(seen) - 5) // 10 * 10)

    @property
    def drawn(self) -> str:
        """What the drawing shows, for who does not see it."""
        return (
            f"{self.model}: {self.told}, {self.sureness}; "
            f"{wording.percent(self.baseline)} without a model, "
            f"{wording.percent(self.ceiling)} is the best possible."
        )


def best(models: Sequence[Row]) -> Score | None:
    """The score to be told first: the rows come with what may be quoted first."""
    return next(iter(_scores(models)), None)


def by_model(models: Sequence[Row]) -> list[dict[str, Any]]:
    """Each model version's score for the page's script."""
    first: dict[str, Score] = {}
    for score in _scores(models):
        first.setdefault(score.model, score)
    return [
        {**asdict(score), "least": score.least, "drawn": score.drawn} for score in first.values()
    ]


def interval(row: Row) -> str:
    """The interval of a row of `model_accuracy`, or why it has none."""
    low, high = row["prediction_accuracy_low"], row["prediction_accuracy_high"]
    if low is None or high is None:
        return f"none: {row['n_clusters']} of {LEAST_CLUSTERS} campaigns"
    return f"{low:.1f} to {high:.1f} %"


def _scores(models: Sequence[Row]) -> list[Score]:
    return [_score(row) for row in models if row["prediction_accuracy"] is not None]


def _score(row: Row) -> Score:
    model = f"{row['model_name']} {row['model_version']}"
    has_interval = row["prediction_accuracy_low"] is not None
    return Score(
        model=model,
        value=row["prediction_accuracy"],
        low=row["prediction_accuracy_low"],
        high=row["prediction_accuracy_high"],
        baseline=row["baseline_accuracy"],
        ceiling=row["noise_ceiling"],
        told=wording.percent(row["prediction_accuracy"]),
        sureness=(
            f"95 % interval {interval(row)}"
            if has_interval
            else f"no interval yet: {row['n_clusters']} of {LEAST_CLUSTERS} campaigns"
        ),
        note=f"{model}, {STANDINGS[row['protocol']]}, on {row['n_pairs']:,} ads",
    )
