"""One ad from the launchpad: what is asked of who launches it, and what the run does and says."""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg
import pytest

from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.single_ads import OP_NAME, SINGLE_AD_JOB_NAME
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests.orchestration.conftest import Pipeline, exported


def run(pipeline: Pipeline, **config: Any) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(pipeline.settings)
    job = definitions.resolve_job_def(SINGLE_AD_JOB_NAME)
    with exported(pipeline.environment):
        return job.execute_in_process(
            instance=pipeline.instance,
            run_config={"ops": {OP_NAME: {"config": config}}},
            raise_on_error=False,
        )


def test_an_ad_is_fetched_stored_and_told_and_one_that_is_not_ends_in_a_sentence(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 3)
    ad_id = max(pipeline.truth(window), key=lambda row: row["impressions"])["ad_id"]
    fetched = run(pipeline, ad_id=ad_id, days_back=3)
    assert fetched.success
    stored = pipeline.rows("ad_actuals", "ad_id", "impressions")
    assert {row["ad_id"] for row in stored} == {ad_id}
    metadata = event_of(fetched, dg.DagsterEventType.STEP_OUTPUT).metadata
    told = {name: value.value for name, value in metadata.items()}
    assert told["status"] == "success"
    assert told["impressions"] == sum(row["impressions"] for row in stored)
    assert fetched.dagster_run.tags["actuals/tier"] == "by hand"

    unknown = run(pipeline, ad_id="99")
    told = event_of(unknown, dg.DagsterEventType.STEP_FAILURE).user_failure_data.description
    assert "99" in told
    assert "Traceback" not in told
    assert "ad_id" in sentence_of(run(pipeline, ad_id="act_42"))


def event_of(run: dg.ExecuteInProcessResult, kind: dg.DagsterEventType) -> Any:
    """What the one event of its kind says of the one step."""
    (found,) = (each for each in run.events_for_node(OP_NAME) if each.event_type == kind)
    return found.event_specific_data


def sentence_of(failed: dg.ExecuteInProcessResult) -> str:
    """What failed the one step."""
    failure = event_of(failed, dg.DagsterEventType.STEP_FAILURE)
    return str(failure.user_failure_data or failure.error)


def test_the_launchpad_says_what_is_asked_and_what_is_taken_where_nothing_is_said() -> None:
    job = build_definitions(Settings.from_environment({})).resolve_job_def(SINGLE_AD_JOB_NAME)
    schema: Any = job.get_node_named(OP_NAME).definition.config_schema
    asked = schema.config_type.fields
    assert asked["ad_id"].is_required
    assert asked["days_back"].default_value == 7
    assert all(field.description for field in asked.values())
    with pytest.raises(dg.DagsterInvalidConfigError, match="ad_id"):
        dg.validate_run_config(job, {"ops": {OP_NAME: {"config": {}}}})
