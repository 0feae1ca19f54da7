"""The curves of an installation: of every account, made once what they rest on is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import history, months
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.tables import ad_actuals_revisions
from actuals_pipeline_tests.orchestration.conftest import Pipeline, checks_of, examples

ASSET = "revenue_development"


@pytest.fixture
def world(today: date) -> World:
    """The made-up world some days ago: its clock only goes forward."""
    accounts = (
        AccountPlan("42", "Stand-in Los Angeles", "USD", "America/Los_Angeles", 10),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 4),
    )
    then = datetime.combine(today - timedelta(days=4), time(), tzinfo=UTC)
    return World(now=then, accounts=accounts)


def computed(pipeline: Pipeline) -> dict[date, set[datetime]]:
    """When the curves as of each day were computed."""
    times: dict[date, set[datetime]] = {}
    for row in pipeline.rows(ASSET, "as_of_date", "computed_at"):
        times.setdefault(row["as_of_date"], set()).add(row["computed_at"])
    return times


def test_a_curve_is_computed_until_its_day_has_begun_everywhere_and_then_kept(
    pipeline: Pipeline, today: date
) -> None:
    days = DayWindow.trailing(today - timedelta(days=3), 2)
    begun = datetime.combine(days.until, time(0, 7), tzinfo=UTC)
    # In Los Angeles it is the day before until seven or eight in the morning.
    runs = [
        begun,
        begun + timedelta(hours=3),
        begun + timedelta(hours=9),
        begun + timedelta(days=1),
    ]
    pipeline.graph.world.now = runs[0]
    assert pipeline.run(days).success
    first = computed(pipeline)
    assert first == {day: {runs[0]} for day in days}
    for at in runs[1:]:
        pipeline.graph.world.now = at
        assert pipeline.run(days).success
        got = computed(pipeline)
        assert got == {days.since: {runs[0]}, days.until: {min(at, runs[2])}}, at
    rows = pipeline.rows(ASSET)
    ages = [(row["as_of_date"], row["account_id"], row["age_days"]) for row in rows]
    assert ages == [(day, each, age) for day in days for each in ("42", "43") for age in range(29)]
    assert {row["source"] for row in rows} == {"assumed"}


SHARES = [0.55, 0.65, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]


def followed(
    pipeline: Pipeline, last: date, n_days: int, *, slow_days: int = 0, slow: Sequence[float] = ()
) -> None:
    """Report days of an account that grow for a week, known from their own day on.

    The last `slow_days` of them grow as `slow`.
    """
    window = DayWindow.trailing(last, n_days)
    insert = sql.SQL(
        "INSERT INTO actuals.ad_actuals_revisions (account_id, ad_id, report_date, as_of_date, "
        "is_listed, currency, attribution_setting, impressions, clicks, "
        "link_clicks, spend, conversions, revenue) VALUES ('43', '6', %s, %s, true, 'JPY', "
        "'7d_click_1d_view', 100, 10, 8, 5, %s, %s)"
    )
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        months.make(connection, ad_actuals_revisions, months.months_of(window))
        for day in window:
            is_slow = day > last - timedelta(days=slow_days)
            for age, share in enumerate(slow if is_slow else SHARES):
                if day + timedelta(days=age) <= last:
                    known = [day, day + timedelta(days=age), round(20 * share), 200 * share]
                    connection.execute(insert, known)


def test_an_account_whose_days_grew_has_a_curve_of_its_own(pipeline: Pipeline, today: date) -> None:
    day = today - timedelta(days=3)
    followed(pipeline, day - timedelta(days=1), 80)
    pipeline.graph.world.now = datetime.combine(day, time(12), tzinfo=UTC)
    assert pipeline.run(DayWindow.inclusive(day, day)).success
    own = [row for row in pipeline.rows(ASSET) if row["account_id"] == "43"]
    assert {(row["source"], row["dating"]) for row in own} == {("revisions", "impression")}
    shares = [row["revenue_share"] for row in own]
    assert shares[:8] == pytest.approx(SHARES)
    assert shares[8:] == [1.0] * 21
    assert own[0]["n_cohorts"] == 79
    assert {row["pace"] for row in own} == {"as_before"}
    others = [row for row in pipeline.rows(ASSET) if row["account_id"] == "42"]
    assert {row["source"] for row in others} == {"assumed"}


def test_days_that_mature_otherwise_are_told_with_what_the_curve_was_and_is(
    pipeline: Pipeline, today: date
) -> None:
    day = today - timedelta(days=3)
    late = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0]
    followed(pipeline, day - timedelta(days=1), 110, slow_days=25, slow=late)
    pipeline.graph.world.now = datetime.combine(day, time(12), tzinfo=UTC)
    run = pipeline.run(DayWindow.trailing(day, 29))
    assert run.success
    check = checks_of(run)["revenue_matures_as_before"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = examples(check)
    assert [(row["account_id"], row["age_days"]) for row in told] == [("43", "1"), ("43", "3")]
    for row in told:
        assert float(row["revenue_share"]) < float(row["revenue_share_28_days_before"]) - 0.01
    by_day = pipeline.rows(ASSET, "as_of_date", "account_id", "pace")
    assert {row["pace"] for row in by_day if row["account_id"] == "42"} == {"unknown"}
    before = {row["pace"] for row in by_day if row["as_of_date"] < day - timedelta(days=20)}
    assert "changed" not in before


def test_metas_click_windows_are_kept_with_its_totals(pipeline: Pipeline, today: date) -> None:
    window = DayWindow.trailing(today - timedelta(days=3), 3)
    pipeline.graph.world.now = datetime.combine(window.until, time(12), tzinfo=UTC)
    assert pipeline.run(window).success
    names = [f"revenue_{days}d_click" for days in (1, 7, 28)]
    totals = pipeline.rows("meta_account_totals", "account_id", "report_date", "revenue", *names)
    assert any(row["revenue_7d_click"] > row["revenue_1d_click"] > 0 for row in totals)
    payloads = pipeline.rows("raw_meta_insights", "account_id", "report_date", "payload")
    for row in totals:
        of_day = [each["payload"] for each in payloads if key(each) == key(row)]
        for name, window_name in zip(names, ("1d_click", "7d_click", "28d_click"), strict=True):
            assert row[name] == sum((in_window(each, window_name) for each in of_day), Decimal(0))
    read = history.click_windows(Warehouse(pipeline.environment["DATABASE_URL"]), window)
    assert [len(read[each]) for each in ("42", "43")] == [3, 3]
    assert read["42"][0][1:] == tuple(float(totals[0][name]) for name in ("revenue", *names))


def key(row: dict[str, Any]) -> tuple[str, date]:
    return row["account_id"], row["report_date"]


def in_window(payload: dict[str, Any], window: str) -> Decimal:
    entries = payload.get("action_values", [])
    return sum(
        (
            Decimal(each.get(window, "0"))
            for each in entries
            if each["action_type"] == "omni_purchase"
        ),
        Decimal(0),
    )
