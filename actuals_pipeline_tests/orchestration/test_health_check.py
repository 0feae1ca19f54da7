"""The daily check: what `actuals doctor` checks, in the UI, and never paid for by the hour."""

from __future__ import annotations

from datetime import UTC, date, datetime

import dagster as dg
from dagster._daemon.types import DaemonHeartbeat

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.jobs import HEALTH_JOB_NAME
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import alerts
from actuals_pipeline.warehouse.alert_measures import Watched
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests import left_behind
from actuals_pipeline_tests.orchestration.conftest import Pipeline, checks_of, examples, exported

CHECK = "the_installation_is_healthy"


def examined(pipeline: Pipeline, **environment: str) -> dg.AssetCheckEvaluation:
    """One run of the health job, as the schedule starts it."""
    variables = {**pipeline.environment, **environment}
    job = build_definitions(Settings.from_environment(variables)).resolve_job_def(HEALTH_JOB_NAME)
    with exported(variables):
        run = job.execute_in_process(instance=pipeline.instance)
    assert run.success
    return checks_of(run)[CHECK]


def test_what_needs_a_look_is_a_warning_and_what_is_broken_an_error(pipeline: Pipeline) -> None:
    warned = examined(pipeline)
    # Nobody started a daemon in a test.
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert [row["name"] for row in examples(warned)] == ["schedule"]
    assert warned.metadata["checks"].value == 20

    pipeline.graph.faults.add(Fault({"merge": {"account_status": 2}}, account_id="42"))
    failed = examined(pipeline)
    assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
    found = {row["name"]: row for row in examples(failed)}
    assert found.keys() == {"account_status", "schedule"}
    assert (found["account_status"]["subject"], found["account_status"]["seen"]) == (
        "act_42", "DISABLED (2)",
    )  # fmt: skip


def test_all_ok_passes(pipeline: Pipeline) -> None:
    now = datetime.now(UTC).timestamp()
    pipeline.instance.add_daemon_heartbeat(DaemonHeartbeat(now, "SCHEDULER", "some-id", []))
    good = examined(pipeline)
    assert good.passed
    assert examples(good) == []


def test_a_dead_token_is_told_although_the_fetch_fails_and_no_secret_is_kept(
    pipeline: Pipeline,
) -> None:
    token = "EAAB-this-token-is-nobodys"
    failed = examined(pipeline, META_ACCESS_TOKEN=token)
    assert failed.severity == dg.AssetCheckSeverity.ERROR
    found = {row["name"]: row["advice"] for row in examples(failed)}
    assert "new system user token" in found["token"]
    warehouse = Warehouse(pipeline.environment["DATABASE_URL"])
    watched = Watched.of(pipeline.settings, "hourly_actuals")
    raised = alerts.look(warehouse, watched, datetime.now(UTC))
    assert ("token_expiring", "token") in {(each.rule, each.subject) for each in raised}
    tables = left_behind.of_tables(pipeline.environment["DATABASE_URL"])
    kept = "\n".join(text.decode(errors="replace") for _, text in tables)
    assert "new system user token" in kept, "the search would find it"
    assert token not in kept
    assert pipeline.environment["META_APP_SECRET"] not in kept


def test_no_run_of_the_assets_makes_it(pipeline: Pipeline, today: date) -> None:
    run = pipeline.run(DayWindow.inclusive(today, today))
    assert run.success
    assert CHECK not in checks_of(run)
    assert "debug_token" not in {call.kind for call in pipeline.graph.calls}
