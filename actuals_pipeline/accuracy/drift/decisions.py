"""What should be done about every model version, given the stored rows of one as-of day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.drift.assessment import histories
from actuals_pipeline.accuracy.drift.contract import MODEL_DRIFT
from actuals_pipeline.accuracy.drift.retraining import (
    Action,
    Cause,
    History,
    Request,
    Standing,
    State,
    action_for,
)
from actuals_pipeline.accuracy.drift.weeks import ONE_SIDED
from actuals_pipeline.frames import check_frame

IDLE_AFTER_WEEKS = 8
"""A version without an eligible week for so long is not asked about: nobody uses it."""

_EVIDENCE = (
    *("metric", "week", "n_pairs", "clicks", "purchases", "ln_calibration", "lower", "upper"),
    *("skill", "normalised_entropy", "wape_excess", "rank_correlation", "z"),
    *("cusum_up", "cusum_down", "cusum_limit", "is_eligible", "is_alarm", "changed_since"),
)
_EVIDENCE_WEEKS = 4


@dataclass(frozen=True, slots=True)
class MetricDecision:
    """What is thought of one metric of a model version, and why."""

    model_name: str
    model_version: str
    metric: str
    standing: Standing
    action: Action
    reason: str
    evidence: Sequence[Mapping[str, Any]]
    """The last weeks, as they are stored, ready for JSON."""


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """What to do about a model version whose breach is open."""

    key: str
    model_name: str
    model_version: str
    breach_start: date
    week: date
    """Monday of the week at whose end it was asked."""
    action: Action
    reason: str
    evidence: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Decisions:
    """What follows from the rows of one as-of day."""

    metrics: Sequence[MetricDecision]
    requests: Sequence[RetrainRequest]


def decisions(drift: pd.DataFrame) -> Decisions:
    """What should be done, given the `MODEL_DRIFT` rows of one as-of day, and nothing else."""
    check_frame(drift, MODEL_DRIFT)
    metrics: list[MetricDecision] = []
    requests: list[RetrainRequest] = []
    for (name, version), found in histories(drift).items():
        mine = drift[(drift["model_name"] == name) & (drift["model_version"] == version)]
        for metric, standings in found.standings.items():
            rows = mine[mine["metric"] == metric]
            causes = _causes_to_act_on(standings[-1])
            action, reason = _advice(causes, rows, found, standings[-1].breach_start)
            metrics.append(
                MetricDecision(
                    *(name, version, metric, standings[-1]),
                    *(action, reason, _evidence(rows)),
                )
            )
        request = found.open_request
        if request is not None and not _is_idle(mine):
            action, reason = _most_urgent(each for each in metrics if _is_of(each, name, version))
            requests.append(
                RetrainRequest(
                    request.key(name, version),
                    *(name, version, request.breach_start, request.week),
                    *(action, reason, _evidence(mine)),
                )
            )
    return Decisions(metrics, requests)


def _causes_to_act_on(standing: Standing) -> frozenset[Cause]:
    """A warning is no reason to do anything yet."""
    return frozenset() if standing.state in {State.OK, State.WARN} else standing.causes


def _advice(
    causes: frozenset[Cause], rows: pd.DataFrame, found: History, breach_start: date | None
) -> tuple[Action, str]:
    eligible = rows[rows["is_eligible"]]
    versus = rows["versus_previous"].dropna()
    earlier = [each for each in found.requests if each.breach_start != breach_start]
    action, reason = action_for(
        causes,
        is_ranking_lost=_is_ranking_lost(eligible, breach_start),
        is_worse_than_previous=None if versus.empty else versus.iloc[-1] == "worse",
        was_recalibrated=any(_asked_for_a_factor(each) for each in earlier),
    )
    if action is Action.RECALIBRATE:
        metric = rows["metric"].iloc[0]
        reason = f"{reason}  Multiply predicted {metric} by {_factor(eligible):.3f}."
    return action, reason


def _asked_for_a_factor(request: Request) -> bool:
    by_a_factor = {Cause.CALIBRATION, Cause.CHANGE}
    return any(causes & by_a_factor for causes in request.causes.values())


def _factor(eligible: pd.DataFrame) -> float:
    """Observed over predicted, by certainty: since the change, if known, else of the last weeks."""
    recent = eligible.tail(_EVIDENCE_WEEKS)
    changes = recent["changed_since"].dropna()
    if len(changes):
        recent = eligible[eligible["week"] >= changes.iloc[-1]]
    weight = 1 / recent["standard_error"] ** 2
    return float(np.exp(-np.average(recent["ln_calibration"], weights=weight)))


def _is_ranking_lost(eligible: pd.DataFrame, breach_start: date | None) -> bool | None:
    """Whether the order of ads is surely, and by more than half, worse than before the breach.

    By Fisher's z of the weeks' rank correlations; None where one side is missing.
    """
    if breach_start is None:
        return None
    known = eligible[eligible["rank_correlation"].notna() & (eligible["n_pairs"] > 3)]
    is_recent = known["week"] > breach_start - timedelta(weeks=_EVIDENCE_WEEKS)
    recent, before = known[is_recent], known[~is_recent]
    if recent.empty or before.empty:
        return None
    (now, now_error), (then, then_error) = _pooled_order(recent), _pooled_order(before)
    is_less = now + ONE_SIDED * np.hypot(now_error, then_error) < then
    return bool(is_less and np.tanh(now) < np.tanh(then) / 2)


def _pooled_order(weeks: pd.DataFrame) -> tuple[float, float]:
    weight = (weeks["n_pairs"] - 3).to_numpy(np.float64)
    z = np.arctanh(weeks["rank_correlation"].clip(-0.999, 0.999).to_numpy())
    # Fieller, Hartley and Pearson: ranks vary a little more than values do.
    return float(np.average(z, weights=weight)), float(np.sqrt(1.06 / weight.sum()))


def _is_idle(rows: pd.DataFrame) -> bool:
    eligible = rows.loc[rows["is_eligible"], "week"]
    oldest = rows["as_of_date"].iloc[0] - timedelta(weeks=IDLE_AFTER_WEEKS)
    return bool(eligible.empty or eligible.max() < oldest)


def _is_of(decision: MetricDecision, name: str, version: str) -> bool:
    return (decision.model_name, decision.model_version) == (name, version)


def _most_urgent(found: Iterable[MetricDecision]) -> tuple[Action, str]:
    """The dearest of the actions, with the reasons of all that want something."""
    ladder = list(Action)
    wanted = [each for each in found if each.action is not Action.WAIT]
    action = max((each.action for each in wanted), key=ladder.index, default=Action.WAIT)
    return action, "  ".join(f"{each.metric}: {each.reason}" for each in wanted)


def _evidence(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The last weeks of each metric as JSON takes them: days as text, what is unknown as null."""
    last = rows.sort_values("week").groupby("metric", sort=True).tail(_EVIDENCE_WEEKS)
    ordered = last.sort_values(["metric", "week"])
    return [
        {name: _json_value(row[name]) for name in _EVIDENCE} for row in ordered.to_dict("records")
    ]


def _json_value(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value
