"""A score that was published stays what it was, whatever Meta restates afterwards."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.crashes.restated_world import RestatedWorld
from actuals_pipeline_tests.orchestration.conftest import Pipeline

SCORES = ("prediction_accuracy", "model_accuracy", "model_statistics")
FIGURES = ("raw_meta_insights", "meta_account_totals", "ad_actuals")
LATER = 4
"""Days that pass after the first day that was scored."""


@pytest.fixture
def world(today: date) -> World:
    """The made-up world some days ago, in which nearly everything is restated every hour."""
    then = datetime.combine(today - timedelta(days=LATER + 1), time(23, 45), tzinfo=UTC)
    plans = (AccountPlan("42", "Stand-in London", "GBP", "UTC", 24),)
    return RestatedWorld(now=then, accounts=plans, history_days=120)


def test_a_past_day_scored_again_gives_that_days_scores(pipeline: Pipeline, today: date) -> None:
    first = today - timedelta(days=LATER + 1)
    assert pipeline.run(DayWindow.trailing(first, 45), assets=FIGURES).success
    published = {}
    for day in (first, first + timedelta(days=1)):
        pipeline.graph.world.now = datetime.combine(day, time(23, 45), tzinfo=UTC)
        assert pipeline.run(DayWindow.trailing(day, 4)).success
        published[day] = scores(pipeline, day)
        assert {row["protocol"] for row in published[day]["prediction_accuracy"]} == {
            "launch_to_date", "launch_d7", "launch_ltd28",
        }  # fmt: skip
        assert published[day]["model_statistics"]

    pipeline.graph.world.now = datetime.combine(first + timedelta(days=LATER), time(12), tzinfo=UTC)
    everything = DayWindow.trailing(first + timedelta(days=LATER), 30)
    assert pipeline.run(everything, assets=FIGURES).success
    assert pipeline.run(DayWindow.trailing(everything.until, LATER + 1)).success
    for day, want in published.items():
        assert changed(scores(pipeline, day), want) == {}, day
    moved = scores(pipeline, first + timedelta(days=LATER))
    assert moved["model_accuracy"] != published[first]["model_accuracy"], "something was restated"


def scores(pipeline: Pipeline, day: date) -> dict[str, list[dict[str, object]]]:
    return {
        table: [row for row in pipeline.rows(table) if row["as_of_date"] == day] for table in SCORES
    }


def changed(
    now: dict[str, list[dict[str, object]]], then: dict[str, list[dict[str, object]]]
) -> dict[str, set[str]]:
    """By table the columns that differ in any row, or all of them where rows came or went."""
    found = {
        table: {
            name
            for new, old in zip(now[table], then[table], strict=False)
            for name in old
            if new[name] != old[name]
        }
        | ({"rows"} if len(now[table]) != len(then[table]) else set())
        for table in SCORES
    }
    return {table: names for table, names in found.items() if names}
