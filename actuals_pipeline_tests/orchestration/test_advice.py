"""Advice after real runs: of ads and ad sets that run, from what was known that day."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd
import psycopg
import pytest

from actuals_pipeline.accuracy.contract import WINNERS
from actuals_pipeline.accuracy.winners import ACTIVE_DAYS
from actuals_pipeline.frames import empty_frame
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.orchestration.advice import Advice
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import read
from actuals_pipeline.warehouse.tables import TABLES
from actuals_pipeline_tests.orchestration.conftest import Pipeline

ADVICE = ("winners", "budget_advice")


@pytest.fixture
def world(today: date) -> World:
    """The made-up world some days ago: its clock only goes forward."""
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 30),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 10),
    )
    then = datetime.combine(today - timedelta(days=4), time(), tzinfo=UTC)
    return World(now=then, accounts=accounts)


def run_at(pipeline: Pipeline, instant: datetime, window: DayWindow) -> None:
    pipeline.graph.world.now = instant
    assert pipeline.run(window).success


def running(pipeline: Pipeline, day: date) -> set[tuple[str, str, str]]:
    """Account, ad set and ad of all that was shown in the last days, as known as of a day."""
    query = """
        SELECT DISTINCT account_id, adset_id, ad_id
        FROM actuals.ad_actuals_as_of(%s) AS known
        JOIN (SELECT DISTINCT ad_id, adset_id FROM actuals.ad_actuals) AS place USING (ad_id)
        WHERE known.impressions > 0 AND report_date >= %s AND report_date < %s
    """
    values = [day, day - timedelta(days=ACTIVE_DAYS), day]
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        return set(connection.execute(query, values).fetchall())


def as_of(rows: list[dict[str, Any]], day: date) -> list[dict[str, Any]]:
    return [row for row in rows if row["as_of_date"] == day]


def advised_on(pipeline: Pipeline, days: DayWindow) -> list[date]:
    """The days that advice is looked for when none is kept that will last."""
    asked = list[date]()

    def advise(_known: pd.DataFrame, day: date, *_: Any, **__: Any) -> pd.DataFrame:
        asked.append(day)
        return empty_frame(WINNERS)

    warehouse = Warehouse(pipeline.environment["DATABASE_URL"])
    advice = Advice(
        "winners", advise, warehouse, pipeline.settings, lambda: pipeline.graph.world.now
    )
    advice.on(days, read(warehouse, TABLES["revenue_development"], days))
    return asked


def test_ads_and_ad_sets_that_run_get_advice_of_what_was_known_and_it_stays(
    pipeline: Pipeline, today: date
) -> None:
    day = today - timedelta(days=3)
    noon = datetime.combine(day, time(11), tzinfo=UTC)
    run_at(pipeline, noon, DayWindow.trailing(day, 30))
    ads = running(pipeline, day)
    winners = pipeline.rows("winners")
    # Of the days before the first fetch nothing was known then, and nobody could be advised.
    assert {row["as_of_date"] for row in winners} == {day}
    assert {row["ad_id"] for row in winners if row["metric"] == "roas"} == {ad for *_, ad in ads}
    assert advised_on(pipeline, DayWindow.trailing(day, 30)) == [day], "nor is it tried again"
    by_adset = defaultdict(list)
    for row in winners:
        by_adset[row["adset_id"], row["metric"]].append(row)
        assert row["basis"] == "observational"
        assert row["is_winner"] == (row["missing"] is None)
    assert any(len(rows) > 1 for rows in by_adset.values())
    for rows in by_adset.values():
        known = [row["p_best"] for row in rows if row["p_best"] is not None]
        assert sum(known) == pytest.approx(1 if known else 0)
        assert sum(row["is_winner"] for row in rows) <= 1

    advised = pipeline.rows("budget_advice")
    assert {(row["account_id"], row["adset_id"]) for row in advised} == {
        (account_id, adset_id) for account_id, adset_id, _ in ads
    }
    for account_id in ("42", "43"):
        rows = [row for row in advised if row["account_id"] == account_id]
        steps = [row["advised_spend_per_day"] for row in rows]
        assert all(row["reason"].startswith("too little data") for row in rows) == (None in steps)
        if None not in steps:
            assert sum(steps) == pytest.approx(sum(row["spend_per_day"] for row in rows))

    # What comes to be known later makes the advice of a day that is over no other.
    before = {table: pipeline.rows(table) for table in ADVICE}
    run_at(pipeline, noon + timedelta(days=2), DayWindow.trailing(day + timedelta(days=2), 5))
    versions = {table: pipeline.versions(table) for table in ADVICE}
    for table in ADVICE:
        shown = as_of(pipeline.rows(table), day)
        forget = {"computed_at": None}
        assert [row | forget for row in shown] == [row | forget for row in before[table]]
        assert as_of(pipeline.rows(table), day + timedelta(days=2))
    run_at(pipeline, noon + timedelta(days=2, hours=1), DayWindow.trailing(day, 2))
    for table in ADVICE:
        lasting = {key: each for key, each in versions[table].items() if day in key}
        assert lasting.items() <= pipeline.versions(table).items()
