"""Models watched by the real assets: from stored pairs to weeks, states and requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pytest
from psycopg import sql
from sqlalchemy import Boolean

from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import drift
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.tables import prediction_accuracy
from actuals_pipeline_tests.orchestration.conftest import checks_of, examples

MONDAY = date(2026, 1, 5)
WEEKS = 16
CHANGED_IN = 9


def sunday(week: int) -> date:
    return MONDAY + timedelta(weeks=week, days=6)


def stored_pairs() -> list[dict[str, Any]]:
    """Forty pairs a week, of which those since `CHANGED_IN` do a fifth worse than predicted."""
    random = np.random.default_rng(11)
    rows = []
    for week in range(WEEKS):
        for at in range(40):
            matures_on = MONDAY + timedelta(weeks=week, days=at % 7)
            predicted = 0.02 * float(np.exp(random.normal(0, 0.3)))
            actual = predicted / (1.2 if week >= CHANGED_IN else 1)
            # Stored every day since it has matured, as the asset does.
            rows += [
                {
                    "as_of_date": matures_on + timedelta(days=age),
                    "ad_id": f"{week}-{at}",
                    "matures_on": matures_on,
                    "predicted_ctr": predicted,
                    "clicks": clicks,
                    "actual_ctr": clicks / 10_000,
                }
                for clicks in [int(random.binomial(10_000, actual))]
                for age in range(-1, 12)
            ]
    return rows


USUAL: Mapping[str, Any] = {
    "model_name": "m",
    "model_version": "1",
    "protocol": "launch_d7",
    "account_id": "42",
    "video_id": "v",
    "prediction_id": "p",
    "currency": "EUR",
    "status": "eligible",
    "ctr_status": "ok",
    "roas_status": "no_prediction",
    "impressions": 10_000,
    "spend": 100,
    "conversions": 0,
    "revenue": 0,
    "predicted_at": datetime(2026, 1, 1, tzinfo=UTC),
    "days_since_prediction": 9,
    "is_attested": True,
    "campaign_id": "c",
    "dispersion": 1.0,
}


def store(warehouse: Warehouse, rows: list[dict[str, Any]]) -> None:
    names = [column.name for column in prediction_accuracy.columns]
    flags = {
        column.name: False
        for column in prediction_accuracy.columns
        if isinstance(column.type, Boolean)
    }
    with (
        warehouse.transaction() as connection,
        connection.cursor().copy("COPY actuals.prediction_accuracy FROM STDIN") as copy,
    ):
        for row in rows:
            full = {**flags, **USUAL, **row}
            copy.write_row([full.get(name) for name in names])


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    store(warehouse, stored_pairs())
    return warehouse


def run(
    instance: dg.DagsterInstance, database: str, window: DayWindow, now: datetime
) -> dg.ExecuteInProcessResult:
    class WarehouseAt(WarehouseResource):
        def clock(self) -> datetime:
            return now

    settings = Settings.from_environment({"DATABASE_URL": database})
    resources = {"postgres": WarehouseAt(database_url=dg.EnvVar("DATABASE_URL"))}
    job = build_definitions(settings, resources=resources).resolve_job_def("actuals_job")
    return job.execute_in_process(
        instance=instance,
        tags=range_tags(window) if len(window) > 1 else None,
        partition_key=str(window.since) if len(window) == 1 else None,
        asset_selection=[dg.AssetKey("model_drift"), dg.AssetKey("retrain_states")],
        raise_on_error=False,
    )


def on(day: date) -> tuple[DayWindow, datetime]:
    """A single day, and noon of it."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return DayWindow.inclusive(day, day), noon


def rows(warehouse: Warehouse, table: str) -> list[tuple[Any, ...]]:
    """Everything stored in a table, with the version of each row."""
    query = sql.SQL("SELECT xmin::text, * FROM actuals.{} ORDER BY 2, 3, 4, 5, 6")
    with warehouse.transaction() as connection:
        return connection.execute(query.format(sql.Identifier(table))).fetchall()


def keys(warehouse: Warehouse) -> list[str]:
    return [each.request_key for each in drift.undelivered(warehouse, most=9)]


def test_a_model_that_drifts_is_asked_about_once_and_told_by_a_check(
    dagster_instance: dg.DagsterInstance, database: str, filled: Warehouse
) -> None:
    quiet = run(dagster_instance, database, *on(sunday(8)))
    assert quiet.success
    assert checks_of(quiet)["no_model_has_drifted"].passed
    assert keys(filled) == []
    assert [row[6:8] for row in rows(filled, "retrain_states")] == [("ok", MONDAY)]

    found = run(dagster_instance, database, *on(sunday(13)))
    assert found.success
    (key,) = keys(filled)
    breach_start = date.fromisoformat(key.removeprefix("m:1:"))
    assert sunday(CHANGED_IN) < breach_start + timedelta(days=6) <= sunday(CHANGED_IN + 4)
    check = checks_of(found)["no_model_has_drifted"]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    (told,) = examples(check)
    assert {name: told[name] for name in ("model_name", "model_version", "metric")} == {
        "model_name": "m",
        "model_version": "1",
        "metric": "ctr",
    }
    assert told["breach_start"] == str(breach_start)
    assert told["action"] == "recalibrate"
    assert "Multiply predicted ctr by 0.8" in told["reason"]

    # The same day again, and every day of the weeks after it.
    tables = ("model_drift", "retrain_states", "retrain_requests")
    before = {table: rows(filled, table) for table in tables}
    assert run(dagster_instance, database, *on(sunday(13))).success
    assert {table: rows(filled, table) for table in tables} == before
    for week in (14, 15):
        assert run(dagster_instance, database, *on(sunday(week))).success
    assert keys(filled) == [key]
    ((_, *state),) = rows(filled, "retrain_states")
    assert state[5:8] == ["cooldown", breach_start + timedelta(weeks=1), breach_start]


def test_a_backlog_of_weeks_is_one_request(
    dagster_instance: dg.DagsterInstance, database: str, filled: Warehouse
) -> None:
    window = DayWindow.inclusive(sunday(8), sunday(15))
    _, now = on(sunday(15))
    assert run(dagster_instance, database, window, now).success
    assert len(keys(filled)) == 1
    days = {row[1] for row in rows(filled, "model_drift")}
    assert days == set(window)


def test_of_days_long_gone_nothing_is_asked(
    dagster_instance: dg.DagsterInstance, database: str, filled: Warehouse
) -> None:
    window, now = on(sunday(13))
    assert run(dagster_instance, database, window, now + timedelta(days=15)).success
    assert keys(filled) == []
    ((_, *state),) = rows(filled, "retrain_states")
    assert state[5] == "cooldown"
    # Nor does an older day take the last word from a newer one.
    assert run(dagster_instance, database, *on(sunday(8))).success
    assert rows(filled, "retrain_states")[0][1:] == tuple(state)


def test_no_pairs_are_no_models(
    dagster_instance: dg.DagsterInstance, database: str, warehouse: Warehouse
) -> None:
    nothing = run(dagster_instance, database, *on(MONDAY))
    assert nothing.success
    assert checks_of(nothing)["no_model_has_drifted"].passed
    assert rows(warehouse, "model_drift") == rows(warehouse, "retrain_states") == []


def test_a_request_that_nobody_takes_is_told(
    dagster_instance: dg.DagsterInstance, database: str, filled: Warehouse
) -> None:
    day, noon = on(sunday(13))
    asked = run(dagster_instance, database, day, noon)
    assert checks_of(asked)["every_retrain_request_was_handed_over"].passed
    (key,) = keys(filled)
    drift.note_attempt(filled, key, noon)
    drift.note_outcome(filled, key, error="it answered HTTP 500", now=noon)
    check = checks_of(run(dagster_instance, database, day, noon))[
        "every_retrain_request_was_handed_over"
    ]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    (told,) = examples(check)
    assert (told["request_key"], told["last_error"]) == (key, "it answered HTTP 500")
    drift.note_outcome(filled, key, error=None, now=noon)
    taken = run(dagster_instance, database, day, noon)
    assert checks_of(taken)["every_retrain_request_was_handed_over"].passed
