"""What was said of a window at the end of a day is what is said of it as of that day ever after."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.orchestration.conftest import RECONCILED, Pipeline

ZONES = {"JPY": ZoneInfo("Asia/Tokyo"), "EUR": ZoneInfo("Europe/Berlin")}
"""Of the accounts of the made-up world, by currency: a day ends in Tokyo first."""


@pytest.fixture
def world(today: date) -> World:
    """The made-up world some days ago: its clock only goes forward."""
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", str(ZONES["EUR"]), 20),
        AccountPlan("43", "Stand-in Tokyo", "JPY", str(ZONES["JPY"]), 8),
    )
    then = datetime.combine(today - timedelta(days=4), time(), tzinfo=UTC)
    return World(now=then, accounts=accounts)


def by_currency(answer: dict[str, Any]) -> dict[str, Any]:
    return {part["currency"]: part for part in answer["by_currency"]}


def test_a_summary_as_of_a_day_is_the_one_that_was_shown_at_its_end(
    pipeline: Pipeline, today: date
) -> None:
    warehouse = Warehouse(pipeline.environment["DATABASE_URL"])
    days = DayWindow.trailing(today - timedelta(days=1), 3)
    window = DayWindow.trailing(days.until, 4)
    shown: dict[tuple[str, date], Any] = {}
    for day in days:
        for currency, zone in ZONES.items():
            end = datetime.combine(day, time(23, 45), tzinfo=zone).astimezone(UTC)
            pipeline.graph.world.now = end
            begun = window.clipped(until=day)
            assert begun is not None
            assert pipeline.run(begun, assets=RECONCILED).success
            answer = answers.summary(warehouse, window, pipeline.settings, end)
            shown[currency, day] = by_currency(answer)[currency]

    assert len({str(each) for each in shown.values()}) == len(shown), "every day changed something"
    for (currency, day), amounts in shown.items():
        answer = answers.summary_as_of(warehouse, window, pipeline.settings, day)
        assert by_currency(answer)[currency] == amounts, (currency, day)
        assert answer["source"] == "stand-in"
    before = answers.summary_as_of(
        warehouse, window, pipeline.settings, days.since - timedelta(days=1)
    )
    assert (before["status"], before["known_since"]) == ("empty", days.since)
