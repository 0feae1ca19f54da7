"""The sensor on a real instance: it raises, sends, pings, and starts no run."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from actuals_pipeline.orchestration.alert_watch import SENSOR_NAME
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import alerts
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.alerts.receiver import receiver
from actuals_pipeline_tests.orchestration.conftest import Pipeline


def skipped_because(instance: dg.DagsterInstance, **environment: str) -> str:
    """What one tick of the sensor says."""
    defs = build_definitions(Settings.from_environment(environment))
    sensor = defs.resolve_sensor_def(SENSOR_NAME)
    with dg.build_sensor_context(instance=instance, definitions=defs) as context:
        tick = sensor.evaluate_tick(context)
    assert not tick.run_requests
    return str(tick.skip_message)


def test_a_tick_tells_an_alert_once_and_pings_after_a_good_run(
    pipeline: Pipeline, today: date, caplog: pytest.LogCaptureFixture
) -> None:
    window = DayWindow.trailing(today, 2)
    fetched = ("raw_meta_insights", "meta_account_totals")
    good = pipeline.run(window, assets=fetched, tags={"actuals/tier": "recent"})
    assert good.success
    warehouse = Warehouse(pipeline.environment["DATABASE_URL"])
    with warehouse.transaction() as connection:
        # Fetched three hours ago.
        connection.execute(
            "UPDATE actuals.fetch_log SET started_at = %s",
            [datetime.now(UTC) - timedelta(hours=3)],
        )
    with receiver([200]) as here, receiver([500, 200]) as heart:
        environment = {
            **pipeline.environment,
            "ALERT_URLS": here.url.replace("http", "json", 1),
            "ACTUALS_HEARTBEAT_URL": heart.url,
        }
        said = skipped_because(pipeline.instance, **environment)
        again = skipped_because(pipeline.instance, **environment)
    opened = {(alert.rule, alert.subject) for alert in alerts.open_alerts(warehouse)}
    with warehouse.transaction() as connection:
        watched = connection.execute("SELECT subject FROM actuals.watched_since ORDER BY 1")
        assert watched.fetchall() == [("",), ("42",), ("43",)]
    assert {("no_recent_actuals", f"act_{each}") for each in ("42", "43")} <= opened
    assert said == f"{len(opened)} open, 1 messages sent."
    assert again == f"{len(opened)} open, 0 messages sent."
    ((_, body),) = here.got
    assert "no_recent_actuals" in json.loads(body)["message"]
    assert len(heart.got) == 1, "the next try has its time"
    with warehouse.transaction() as connection:
        beats = connection.execute("SELECT run_id, last_error FROM actuals.heartbeats").fetchall()
    assert beats == [(good.run_id, "it answered HTTP 500")]
    assert "in-the-url" not in f"{caplog.text} {said} {again}"
    with warehouse.transaction() as connection:
        # Tried in vain three times.
        connection.execute("UPDATE actuals.heartbeats SET attempts = 3")
    skipped_because(pipeline.instance, **environment)
    assert "heartbeat_failed" in {alert.rule for alert in alerts.open_alerts(warehouse)}
    # Nobody listens any more, so nobody is missed.
    skipped_because(pipeline.instance, **{**environment, "ACTUALS_HEARTBEAT_URL": ""})
    assert "heartbeat_failed" not in {alert.rule for alert in alerts.open_alerts(warehouse)}


def test_a_tick_that_cannot_look_says_why(dagster_instance: dg.DagsterInstance) -> None:
    assert "DATABASE_URL" in skipped_because(dagster_instance)
    nobody = "postgresql://somebody@127.0.0.1:1/nothing"
    assert "does not answer" in skipped_because(dagster_instance, DATABASE_URL=nobody)
    bad = skipped_because(dagster_instance, DATABASE_URL=nobody, ALERT_URLS="nothing://secret-x")
    assert bad.startswith("ALERT_URLS cannot be used: address 1 of 1")
    assert "secret-x" not in bad
