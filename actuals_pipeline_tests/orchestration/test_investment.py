"""The investment after real runs: as it was known that day, across currencies, with its checks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import psycopg
import pytest

from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.orchestration.conftest import Pipeline, checks_of, examples

COVERED = "no_currency_is_left_out_of_the_investment"
KEPT = "the_investment_is_not_overspent"

Row = dict[str, Any]


@pytest.fixture
def world(today: date) -> World:
    """The made-up world some days ago: its clock only goes forward."""
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 20),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 8),
    )
    then = datetime.combine(today - timedelta(days=4), time(), tzinfo=UTC)
    return World(now=then, accounts=accounts)


@pytest.fixture
def pipeline(pipeline: Pipeline) -> Pipeline:
    """An installation whose investment is the specification's."""
    return pipeline.asking(pipeline.graph, ACTUALS_INVESTMENT_BUDGET="EUR 5,000,000")


def summaries(pipeline: Pipeline) -> dict[tuple[date, str, str], Row]:
    rows = pipeline.rows("investment_summary")
    return {(row["as_of_date"], row["scope"], row["currency"]): row for row in rows}


def known_then(pipeline: Pipeline, day: date) -> dict[str, Row]:
    """Spend, revenue and purchases by currency as the database has them as of a day."""
    query = """
        SELECT currency, sum(spend), sum(revenue), sum(conversions)
        FROM actuals.ad_actuals_as_of(%s) WHERE report_date <= %s GROUP BY currency
    """
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        rows = connection.execute(query, [day, day]).fetchall()
    names = ("spend", "revenue", "conversions")
    return {currency: dict(zip(names, row, strict=True)) for currency, *row in rows}


def import_rate(pipeline: Pipeline, day: date, rate: str) -> None:
    query = "INSERT INTO actuals.exchange_rates VALUES (%s, 'JPY', 'EUR', %s, 'ECB', now())"
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        connection.execute(query, [day, rate])


def run_at(pipeline: Pipeline, day: date, days: int) -> dg.ExecuteInProcessResult:
    """Run over the trailing days at noon of a day in Berlin, which is evening in Tokyo."""
    pipeline.graph.world.now = datetime.combine(day, time(11), tzinfo=UTC)
    run = pipeline.run(DayWindow.trailing(day, days))
    assert run.success
    return run


def test_each_day_is_summed_up_as_it_was_known_and_stays_so(
    pipeline: Pipeline, today: date
) -> None:
    first, second, third = (today - timedelta(days=back) for back in (3, 2, 1))
    import_rate(pipeline, today - timedelta(days=6), "0.0061")
    run_at(pipeline, first, 4)
    run_at(pipeline, second, 5)
    shown = summaries(pipeline)
    for day in (first, second):
        for currency, figures in known_then(pipeline, day).items():
            row = shown[day, "currency", currency]
            assert {name: row[name] for name in figures} == figures, (day, currency)
            assert not row["is_reconstructed"]
        euros, yen = (shown[day, "currency", each] for each in ("EUR", "JPY"))
        both = shown[day, "overall", "EUR"]
        assert both["spend"] == euros["spend"] + yen["spend"] * Decimal("0.0061")
        assert both["conversions"] == euros["conversions"] + yen["conversions"]
        assert both["spent_share"] == pytest.approx(float(both["spend"]) / 5_000_000)
        assert (both["unconverted"], both["outlook"]) == ({}, "too_few_days")
        assert both["accounts_missing"] == {}
    # What was fetched on the first day is all that was ever known of the days before.
    earlier = shown[first - timedelta(days=1), "overall", "EUR"]
    assert earlier["is_reconstructed"]

    versions = pipeline.versions("investment_summary")
    run_at(pipeline, third, 6)
    assert {key: pipeline.versions("investment_summary")[key] for key in versions} == versions
    assert (
        summaries(pipeline)[third, "overall", "EUR"]["spend"]
        > shown[second, "overall", "EUR"]["spend"]
    )
    figures = pipeline.metadata("investment_summary", third)
    assert figures["spend_eur"] == pytest.approx(
        float(summaries(pipeline)[third, "overall", "EUR"]["spend"])
    )


def test_a_currency_without_rate_is_named_by_a_check(pipeline: Pipeline, today: date) -> None:
    day = today - timedelta(days=2)
    run = run_at(pipeline, day, 3)
    row = summaries(pipeline)[day, "overall", "EUR"]
    assert (row["spend"], row["spent_share"], row["outlook"]) == (None, None, "unconverted")
    assert row["spend_at_least"] == summaries(pipeline)[day, "currency", "EUR"]["spend"]
    check = checks_of(run)[COVERED]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    newest = examples(check)[0]
    assert (newest["currency"], newest["into_currency"]) == ("JPY", "EUR")
    assert newest["days_without_rate"] == "3"

    for back in range(4):
        import_rate(pipeline, day - timedelta(days=back), "0.0061")
    run = run_at(pipeline, day, 3)
    assert checks_of(run)[COVERED].passed
    assert summaries(pipeline)[day, "overall", "EUR"]["spend"] is not None


def test_spending_beyond_the_total_is_warned_of(pipeline: Pipeline, today: date) -> None:
    day = today - timedelta(days=2)
    run = run_at(pipeline, day, 3)
    assert checks_of(run)[KEPT].passed
    small = {"META_AD_ACCOUNT_ID": "act_42", "ACTUALS_INVESTMENT_BUDGET": "EUR 1"}
    run = run_at(pipeline.asking(pipeline.graph, **small), day, 3)
    check = checks_of(run)[KEPT]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    newest = examples(check)[0]
    row = summaries(pipeline)[day, "overall", "EUR"]
    assert Decimal(newest["beyond"]) == row["spend_at_least"] - 1
    assert (row["outlook"], row["projected_end"]) == ("spent", day - timedelta(days=2))
