"""What is thought of every model version as of a day: the rows that are stored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.drift.charts import charted
from actuals_pipeline.accuracy.drift.contract import METRICS, MODEL_DRIFT
from actuals_pipeline.accuracy.drift.retraining import (
    Bounds,
    Cause,
    History,
    State,
    Week,
    history,
)
from actuals_pipeline.accuracy.drift.versions import versus_previous
from actuals_pipeline.frames import conform, empty_frame

RETIRED_AFTER_WEEKS = 26
"""A version of which no pair matured for so long is watched no more."""

_VERSION = ["model_name", "model_version"]
_STREAM = [*_VERSION, "metric"]


def drift_as_of(weeks: pd.DataFrame, pairs: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The `MODEL_DRIFT` rows of one as-of day.

    `weeks` are those of `model_weeks`, `pairs` what they were made of; later ones are ignored.
    """
    closed = weeks["week"] <= as_of - timedelta(days=6)
    watched = _watched(weeks[closed].reset_index(drop=True), as_of)
    charts = charted(watched)
    if charts.empty:
        return empty_frame(MODEL_DRIFT)
    found = histories(charts)
    standings = pd.DataFrame(
        [
            (
                *(*version, metric, each.week, each.state.value, each.since),
                *(_text(each.causes), each.breach_start),
            )
            for version, one in found.items()
            for metric, mine in one.standings.items()
            for each in mine
        ],
        columns=[*_STREAM, "week", "state", "state_since", "causes", "breach_start"],
    )
    rows = charts.merge(standings, how="left", on=[*_STREAM, "week"], validate="one_to_one")
    rows["as_of_date"] = pd.Series([as_of] * len(rows), dtype=object)
    rows["versus_previous"] = _versus_previous(rows, pairs, as_of)
    return conform(rows, MODEL_DRIFT)


def histories(charts: pd.DataFrame) -> dict[tuple[str, str], History]:
    """What became of every model version of some `CHARTED_WEEKS`, by name and version."""
    found = {}
    for (name, version), mine in charts.groupby(_VERSION, sort=True):
        of_model = charts[charts["model_name"] == name]
        weeks = {
            metric: _weeks(mine[mine["metric"] == metric], of_model["week"])
            for metric in METRICS
            if (mine["metric"] == metric).any()
        }
        newer = _newer_pairs(of_model, str(version))
        found[str(name), str(version)] = history(weeks, newer_pairs=newer)
    return found


def _watched(weeks: pd.DataFrame, as_of: date) -> pd.DataFrame:
    last = weeks.groupby(_VERSION)["week"].transform("max")
    return weeks[last > as_of - timedelta(weeks=RETIRED_AFTER_WEEKS)].reset_index(drop=True)


def _weeks(rows: pd.DataFrame, mondays: Iterable[date]) -> list[Week]:
    """The weeks of one metric; those in which nothing of it matured are weeks with too little."""
    found = [
        Week(
            row["week"],
            bool(row["is_eligible"]),
            _errors(row),
            row["changed_since"] if row["is_alarm"] else None,
        )
        for row in rows.to_dict("records")
    ]
    known = {each.monday for each in found}
    missed = {each for each in mondays if each > min(known)} - known
    empty = [Week(each, is_eligible=False) for each in missed]
    return sorted([*found, *empty], key=attrgetter("monday"))


def _errors(row: Mapping[Any, Any]) -> dict[Cause, Bounds]:
    """The errors of a week that are known, each the larger the worse."""
    skill, entropy, excess = "skill", "normalised_entropy", "wape_excess"
    found = {
        Cause.CALIBRATION: Bounds.of_size(row["ln_calibration"], row["lower"], row["upper"]),
        Cause.SKILL: Bounds(-row[skill], -row[f"{skill}_upper"], -row[f"{skill}_lower"]),
        Cause.ENTROPY: Bounds(
            *(row[entropy] - 1, row[f"{entropy}_lower"] - 1, row[f"{entropy}_upper"] - 1)
        ),
        Cause.ERROR: Bounds(*(row[excess], row[f"{excess}_lower"], row[f"{excess}_upper"])),
    }
    return {cause: bounds for cause, bounds in found.items() if np.isfinite(bounds.value)}


def _newer_pairs(of_model: pd.DataFrame, version: str) -> Callable[[date], int]:
    """How many matured pairs the versions had by the end of a week that began after `version`."""
    began = of_model.groupby("model_version")["week"].min()
    newer = of_model[of_model["model_version"].map(began) > began[version]]
    if newer.empty:
        return lambda _: 0
    # The same ads are counted once by each metric.
    counted = newer.pivot_table(
        index="week", columns=["model_version", "metric"], values="n_pairs", aggfunc="sum"
    )
    known = counted.fillna(0).cumsum().T.groupby(level="model_version").max().sum()
    mondays, totals = known.index.tolist(), known.tolist()

    def pairs_by(monday: date) -> int:
        weeks = bisect_right(mondays, monday)
        return int(totals[weeks - 1]) if weeks else 0

    return pairs_by


def _versus_previous(rows: pd.DataFrame, pairs: pd.DataFrame, as_of: date) -> list[str | None]:
    """The verdict of each stream in a breach, in its last week's row."""
    last = rows.groupby(_STREAM)["week"].transform("max") == rows["week"]
    beyond = rows["state"].isin([State.BREACH, State.REQUESTED, State.COOLDOWN])
    began = rows.groupby(_VERSION)["week"].min()
    is_asked = (last & beyond).tolist()
    return [
        _verdict(stream, pairs, began, as_of) if asked else None
        for asked, stream in zip(
            is_asked, rows[_STREAM].itertuples(index=False, name=None), strict=True
        )
    ]


def _verdict(stream: tuple[str, ...], pairs: pd.DataFrame, began: Any, as_of: date) -> str | None:
    name, version, metric = stream
    earlier = began[name][began[name] < began[name, version]]
    if earlier.empty:
        return None
    matured = pd.to_datetime(pairs["matures_on"].astype(object)) <= pd.Timestamp(as_of)
    return versus_previous(
        pairs[matured & (pairs["model_name"] == name)],
        *(metric, version, str(earlier.sort_values().index[-1])),
        seed_text=f"model_drift:{as_of}:{name}:{version}:{metric}",
    )


def _text(causes: frozenset[Cause]) -> str | None:
    return ", ".join(sorted(causes)) or None
