"""Dagster's event log as an installation has it: what it need not ask its database again."""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, event, text

from actuals_pipeline.orchestration.dagster_event_log import EventLog
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.orchestration.conftest import RECONCILED, Pipeline

SHAPES = ("pg_catalog.pg_attribute", "pg_catalog.pg_class")
"""What is read to find out which columns and tables there are."""


@pytest.fixture
def event_log(dagster_instance: dg.DagsterInstance) -> EventLog:
    found = dagster_instance.event_log_storage
    assert isinstance(found, EventLog)
    return found


def test_a_run_hardly_asks_what_dagsters_tables_look_like(pipeline: Pipeline, today: date) -> None:
    asked = list[str]()

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert pipeline.run(DayWindow.trailing(today, 3), assets=RECONCILED).success
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(asked) > 100
    # Of three days and four assets what is planned is stored together, and so is what was made.
    assert len([each for each in asked if each.startswith("INSERT INTO event_logs")]) < 50
    # Of each table and column once.
    assert len([each for each in asked if any(shape in each for shape in SHAPES)]) < 15


def test_a_table_that_was_missing_is_found_when_it_has_come(event_log: EventLog) -> None:
    assert event_log.has_table("event_logs")
    assert not event_log.has_table("of_a_later_version")
    with event_log.index_connection() as connection:
        connection.execute(text("CREATE TABLE of_a_later_version (id int)"))
    assert event_log.has_table("of_a_later_version")
