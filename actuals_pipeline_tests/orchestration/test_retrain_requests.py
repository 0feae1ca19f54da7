"""Requests handed over by the real job on a real instance, and when the sensor asks for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from actuals_pipeline.alerts.webhook import signature
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.retrain_requests import REQUEST_TAG
from actuals_pipeline.orchestration.warehouse_sensors import MOST_A_TICK
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import drift
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.drift import NewRequest
from actuals_pipeline_tests.alerts.receiver import Receiver, receiver

SECRET = "a-shared-secret-of-two"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MONDAY = date(2026, 3, 2)


def new_request(model: str = "m") -> NewRequest:
    return NewRequest(
        *(f"{model}:1:{MONDAY}", model, "1", MONDAY, MONDAY, date(2026, 3, 10)),
        *("recalibrate", "ctr: off.", [{"week": "2026-03-02", "z": 3.1}]),
    )


def write(warehouse: Warehouse, *requests: NewRequest) -> None:
    with warehouse.transaction() as connection:
        drift.write_requests(connection, requests, NOW)


def ticks(instance: dg.DagsterInstance, **environment: str) -> list[dg.RunRequest]:
    """What the sensor asks for at one tick."""
    defs = build_definitions(Settings.from_environment(environment))
    sensor = defs.resolve_sensor_def("retrain_requests")
    with dg.build_sensor_context(instance=instance, definitions=defs) as context:
        return list(sensor.evaluate_tick(context).run_requests or ())


def run(
    instance: dg.DagsterInstance, request: dg.RunRequest, **environment: str
) -> dg.ExecuteInProcessResult:
    job = build_definitions(Settings.from_environment(environment)).resolve_job_def(
        "retrain_request"
    )
    return job.execute_in_process(
        instance=instance,
        run_config=request.run_config,
        tags=request.tags,
        raise_on_error=False,
    )


@pytest.fixture
def taking() -> Iterator[Receiver]:
    with receiver([204]) as here:
        yield here


def test_a_request_is_handed_over_once(
    dagster_instance: dg.DagsterInstance, database: str, warehouse: Warehouse, taking: Receiver
) -> None:
    write(warehouse, new_request())
    environment = {
        "DATABASE_URL": database,
        "ACTUALS_RETRAIN_WEBHOOK": taking.url,
        "ACTUALS_RETRAIN_SECRET": SECRET,
    }
    (asked,) = ticks(dagster_instance, **environment)
    assert asked.run_key == "m:1:2026-03-02"
    assert asked.tags[REQUEST_TAG] == "m:1:2026-03-02"
    assert run(dagster_instance, asked, **environment).success
    ((headers, body),) = taking.got
    message = json.loads(body)
    assert message["action"] == "recalibrate"
    assert message["evidence"] == [{"week": "2026-03-02", "z": 3.1}]
    assert headers["Idempotency-Key"] == message["key"] == "m:1:2026-03-02"
    timestamp = headers["X-Actuals-Timestamp"]
    assert headers["X-Actuals-Signature"] == signature(body, timestamp, SECRET)
    stored = drift.stored_request(warehouse, "m:1:2026-03-02")
    assert stored is not None
    assert stored.delivered_at is not None
    assert stored.attempts == 1
    assert ticks(dagster_instance, **environment) == []
    # Even a run that somebody starts again by hand sends nothing twice.
    assert run(dagster_instance, asked, **environment).success
    assert len(taking.got) == 1


def test_without_a_webhook_the_run_is_the_message(
    dagster_instance: dg.DagsterInstance, database: str, warehouse: Warehouse
) -> None:
    write(warehouse, new_request())
    (asked,) = ticks(dagster_instance, DATABASE_URL=database)
    assert run(dagster_instance, asked, DATABASE_URL=database).success
    stored = drift.stored_request(warehouse, "m:1:2026-03-02")
    assert stored is not None
    assert stored.delivered_at is not None
    tags = {"actuals/model": "m", "actuals/model_version": "1", "actuals/action": "recalibrate"}
    assert tags.items() <= dict(asked.tags).items()


def test_a_refused_request_fails_the_run_and_is_tried_again_later(
    dagster_instance: dg.DagsterInstance, database: str, warehouse: Warehouse
) -> None:
    write(warehouse, new_request())
    with receiver([410]) as here:
        environment = {
            "DATABASE_URL": database,
            "ACTUALS_RETRAIN_WEBHOOK": here.url,
            "ACTUALS_RETRAIN_SECRET": SECRET,
        }
        (asked,) = ticks(dagster_instance, **environment)
        failed = run(dagster_instance, asked, **environment)
    assert not failed.success
    stored = drift.stored_request(warehouse, "m:1:2026-03-02")
    assert stored is not None
    assert (stored.delivered_at, stored.last_error) == (None, "it answered HTTP 410")
    assert ticks(dagster_instance, **environment) == []
    events = str(list(dagster_instance.all_logs(failed.run_id)))
    assert "410" in events
    assert SECRET not in events
    assert "in-the-url" not in events


def test_a_webhook_without_a_secret_is_told(
    dagster_instance: dg.DagsterInstance, database: str, warehouse: Warehouse, taking: Receiver
) -> None:
    write(warehouse, new_request())
    environment = {"DATABASE_URL": database, "ACTUALS_RETRAIN_WEBHOOK": taking.url}
    (asked,) = ticks(dagster_instance, **environment)
    failed = run(dagster_instance, asked, **environment)
    assert not failed.success
    (step,) = [event for event in failed.all_events if event.is_step_failure]
    assert "ACTUALS_RETRAIN_SECRET is missing" in str(step.step_failure_data.error)
    assert taking.got == []


def test_a_flood_comes_in_portions(
    dagster_instance: dg.DagsterInstance, database: str, warehouse: Warehouse
) -> None:
    write(warehouse, *(new_request(f"m{each}") for each in range(12)))
    seen: list[Any] = []
    for want in (MOST_A_TICK, MOST_A_TICK, 2, 0):
        asked = ticks(dagster_instance, DATABASE_URL=database)
        assert len(asked) == want
        for each in asked:
            assert run(dagster_instance, each, DATABASE_URL=database).success
        seen += [each.run_key for each in asked]
    assert len(set(seen)) == 12


def test_the_sensor_skips_where_there_is_nothing_to_look_at(
    dagster_instance: dg.DagsterInstance, empty_database: str
) -> None:
    assert ticks(dagster_instance) == []
    assert ticks(dagster_instance, DATABASE_URL=empty_database) == []
    nobody = "postgresql://somebody@127.0.0.1:1/nothing"
    assert ticks(dagster_instance, DATABASE_URL=nobody) == []
