"""Ticks of the schedule: each refreshes the days of its tier, and only those."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg
import pytest

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.schedules import SCHEDULE_NAME
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests.journeys.conftest import FIGURES, Row, Rows


@pytest.mark.usefixtures("product")
def test_each_tick_brings_the_days_of_its_tier_up_to_date_and_no_others(
    settings: Settings,
    dagster_instance: dg.DagsterInstance,
    world: World,
    stored: Rows,
    truth: Rows,
    today: date,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        # Resources read secrets from the environment when a run starts.
        monkeypatch.setenv(name, value)
    defs = build_definitions(settings)
    schedule, job = defs.resolve_schedule_def(SCHEDULE_NAME), defs.resolve_job_def("actuals_job")
    midnight = world.now.replace(hour=0, minute=7)
    known: list[Row] = []
    for hour, days in ((3, 31), (4, 3), (9, 8)):
        # Meta restates between the ticks, also days that the tick does not ask about.
        world.now += timedelta(days=1)
        with dg.build_schedule_context(
            instance=dagster_instance, scheduled_execution_time=midnight + timedelta(hours=hour)
        ) as context:
            (request,) = schedule.evaluate_tick(context).run_requests or ()
        assert job.execute_in_process(instance=dagster_instance, tags=dict(request.tags)).success

        window = DayWindow.trailing(today, days)
        untouched = [row for row in known if row["report_date"] not in window]
        known = sorted(
            [*untouched, *truth(window)],
            key=lambda row: (row["account_id"], row["ad_id"], row["report_date"]),
        )
        assert stored("ad_actuals", *FIGURES) == known

    materialized = dagster_instance.get_materialized_partitions(dg.AssetKey("model_accuracy"))
    assert materialized == {str(day) for day in DayWindow.trailing(today, 31)}
