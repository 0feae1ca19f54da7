"""An event lets its account be asked early: once, alone, and not beside a run that asks anyway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG

from actuals_pipeline.meta.webhooks import MetaEvent
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.jobs import ACCOUNTS_TAG, JOB_NAME
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.schedules import run_over
from actuals_pipeline.orchestration.webhook_refreshes import refreshes
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import meta_events
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.orchestration.conftest import Pipeline, exported

ASSETS = ("raw_meta_insights", "meta_account_totals")


@pytest.fixture
def hooked(pipeline: Pipeline) -> Warehouse:
    return Warehouse(pipeline.environment["DATABASE_URL"])


def tell(warehouse: Warehouse, account_id: str, at: int = 0) -> None:
    event = MetaEvent(f"{at:064x}", account_id, "effective_status", "ad", "6001", None, "{}")
    meta_events.store(warehouse, [event])


def due(
    pipeline: Pipeline, warehouse: Warehouse, now: datetime | None = None
) -> list[dg.RunRequest]:
    at = now or datetime.now(UTC)
    return list(refreshes(pipeline.instance, warehouse, pipeline.settings, at))


def begun(pipeline: Pipeline, tags: Mapping[str, str]) -> None:
    job = build_definitions(pipeline.settings).resolve_job_def(JOB_NAME)
    with exported(pipeline.environment):
        pipeline.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)


def test_an_account_is_asked_early_once_and_alone(pipeline: Pipeline, hooked: Warehouse) -> None:
    assert due(pipeline, hooked) == []
    tell(hooked, "999")
    assert due(pipeline, hooked) == [], "an account that is none of ours"
    tell(hooked, "43", 1)
    (request,) = due(pipeline, hooked)
    tell(hooked, "43", 2)
    assert [each.run_key for each in due(pipeline, hooked)] == [request.run_key]
    assert request.tags[ACCOUNTS_TAG] == "43"

    # A live run of these days asks it anyway, if it asks all accounts or this one.
    now = datetime.now(UTC)
    assert due(pipeline, hooked, now)
    days = DayWindow.trailing(now.date() + timedelta(days=1), 9)
    begun(pipeline, {**range_tags(days), ACCOUNTS_TAG: "42"})
    assert due(pipeline, hooked, now)
    assert run_over(pipeline.instance, DayWindow.trailing(now.date(), 1)) is None
    begun(pipeline, range_tags(days))
    assert due(pipeline, hooked, now) == []
    for live in pipeline.instance.get_runs():
        pipeline.instance.report_run_canceled(live)
    (again,) = due(pipeline, hooked)

    # The run of this event that ended without asking is not begun again, and takes nobody's place.
    used = {**again.tags, RUN_KEY_TAG: str(again.run_key)}
    begun(pipeline, used)
    for live in pipeline.instance.get_runs(dg.RunsFilter(tags=used)):
        pipeline.instance.report_run_canceled(live)
    assert due(pipeline, hooked, now + timedelta(hours=1)) == []

    # The run asks that account alone; with that the events are answered.
    window = DayWindow.trailing(pipeline.graph.world.today("43"), 2)
    pipeline.graph.calls.clear()
    run = pipeline.run(window, assets=ASSETS, tags={**again.tags, **range_tags(window)})
    assert run.success
    asked = [call for call in pipeline.graph.calls if call.kind == "insights"]
    assert {call.account_id for call in asked} == {"43"}
    assert {row["account_id"] for row in pipeline.rows("meta_account_totals")} == {"43"}
    assert due(pipeline, hooked) == []

    # What comes next has to wait until the pause is over.
    tell(hooked, "43", 3)
    tell(hooked, "42", 4)
    assert [each.tags[ACCOUNTS_TAG] for each in due(pipeline, hooked)] == ["42"]
    later = datetime.now(UTC) + timedelta(minutes=pipeline.settings.webhook_minutes)
    assert [each.tags[ACCOUNTS_TAG] for each in due(pipeline, hooked, later)] == ["43", "42"]
    # A day later polling has told it all.
    assert due(pipeline, hooked, later + timedelta(days=1)) == []


def test_the_sensor_says_why_it_asks_nobody(
    pipeline: Pipeline, hooked: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = build_definitions(pipeline.settings)
    sensor = definitions.resolve_sensor_def("webhook_refreshes")
    context = dg.build_sensor_context(instance=pipeline.instance, definitions=definitions)
    told = sensor.evaluate_tick(context)
    assert told.skip_message == "No account waits to be asked early."
    tell(hooked, "42")
    asked = sensor.evaluate_tick(context)
    (request,) = asked.run_requests or ()
    assert request.run_key is not None
    assert request.run_key.startswith("webhook:42:")
