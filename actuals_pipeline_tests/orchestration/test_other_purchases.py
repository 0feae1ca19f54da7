"""What becomes of history when ACTUALS_PURCHASE_ACTION_TYPE is set to another type."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.orchestration.accuracy_checks import ACCURACY_CHECKS
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.orchestration.conftest import RECONCILED, Pipeline, checks_of

WEB = "offsite_conversion.fb_pixel_purchase"
CHECK = "an_account_counts_one_type_of_purchase"
SCORES = ("prediction_accuracy", "model_accuracy")


@pytest.fixture
def world(today: date) -> World:
    """A small account, the evening before yesterday; it sells on the web and at Meta's."""
    then = datetime.combine(today - timedelta(days=2), time(23, 30), tzinfo=UTC)
    return World(now=then, accounts=(AccountPlan("42", "London", "GBP", "UTC", 12),))


def test_what_was_believed_on_earlier_days_stays_when_another_type_counts(
    pipeline: Pipeline, today: date
) -> None:
    then = today - timedelta(days=2)
    window = DayWindow.trailing(then, 9)
    assert pipeline.run(window, assets=RECONCILED).success
    assert pipeline.run(DayWindow.inclusive(then, then), assets=SCORES).success
    believed, scores = known_at(pipeline, then), scored(pipeline, then)
    assert sum(row["conversions"] for row in believed) > 0
    assert any(row["roas_accuracy"] is not None for row in scores["prediction_accuracy"])
    of_then = pipeline.versions("ad_actuals_revisions")

    # The next day nothing is fetched; the payloads that are there are read once more.
    pipeline.graph.world.now += timedelta(days=1)
    newest = DayWindow.trailing(then, 3)
    partly = pipeline.run(newest, assets=("ad_actuals",), ACTUALS_PURCHASE_ACTION_TYPE=WEB)
    assert checks_of(partly)[CHECK].passed

    assert known_at(pipeline, then) == believed
    revisions = pipeline.rows("ad_actuals_revisions")
    new = [row for row in revisions if row["as_of_date"] == then + timedelta(days=1)]
    assert {row["purchase_action_type"] for row in new} == {WEB}
    assert {row["report_date"] for row in new} == set(newest)
    assert len(revisions) == len(of_then) + len(new)
    now = pipeline.versions("ad_actuals_revisions")
    assert {key: now[key] for key in of_then} == of_then, "no row of then was written anew"
    counted = {WEB: 0, "omni_purchase": 0}
    for row in known_at(pipeline, then + timedelta(days=1)):
        counted[row["purchase_action_type"]] += row["report_date"] in newest
    assert counted["omni_purchase"] == 0 < counted[WEB]

    assert pipeline.run(DayWindow.inclusive(then, then), assets=SCORES).success
    assert scored(pipeline, then) == scores

    assert several_types(pipeline, window) == [("42", f"{WEB}, omni_purchase", 9, 0)]
    assert several_types(pipeline, newest) == []
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        # As if one ad alone were read once more by `actuals fetch` with the setting of before.
        connection.execute(
            "UPDATE actuals.ad_actuals SET purchase_action_type = 'omni_purchase'"
            " WHERE (report_date, ad_id) IN"
            " (SELECT report_date, min(ad_id) FROM actuals.ad_actuals GROUP BY 1)"
        )
    assert several_types(pipeline, newest) == [("42", f"{WEB}, omni_purchase", 3, 3)]


def several_types(pipeline: Pipeline, window: DayWindow) -> list[tuple[Any, ...]]:
    """What the check finds on some days: account, types, days, and days with both."""
    (check,) = (each for each in ACCURACY_CHECKS if each.name == CHECK)
    values = {"since": window.since, "until": window.until}
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        return connection.execute(check.query, values).fetchall()


def known_at(pipeline: Pipeline, day: date) -> list[dict[str, Any]]:
    """The figures of all days as they were known at the end of one."""
    with psycopg.connect(pipeline.environment["DATABASE_URL"], row_factory=dict_row) as connection:
        query = "SELECT * FROM actuals.ad_actuals_as_of(%s) ORDER BY ad_id, report_date"
        return connection.execute(query, [day]).fetchall()


def scored(pipeline: Pipeline, day: date) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [row for row in pipeline.rows(table) if row["as_of_date"] == day] for table in SCORES
    }
