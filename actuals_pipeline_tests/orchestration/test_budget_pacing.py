"""Budgets after real runs: read once a day, kept as they stood, judged as of each day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import psycopg
import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.orchestration.conftest import Pipeline, checks_of, examples

Row = dict[str, Any]

ASSETS = (
    "raw_meta_insights",
    "meta_account_totals",
    "budget_snapshots",
    "ad_actuals",
    "plan_snapshots",
    "budget_pacing",
)
"""All that it takes; the others have tests of their own."""

READ, USABLE, KEPT = (
    "every_accounts_budgets_were_read",
    "every_planned_budget_is_usable",
    "no_budget_is_overspent",
)


@pytest.fixture
def world(today: date) -> World:
    """One account, some days ago: the clock only goes forward."""
    then = datetime.combine(today - timedelta(days=5), time(), tzinfo=UTC)
    plan = AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 24)
    return World(now=then, accounts=[plan])


def run_at(pipeline: Pipeline, day: date, days: int = 2) -> dg.ExecuteInProcessResult:
    pipeline.graph.world.now = datetime.combine(day, time(11), tzinfo=UTC)
    pipeline.graph.calls.clear()
    run = pipeline.run(DayWindow.trailing(day, days), assets=ASSETS)
    assert run.success
    return run


def read_now(pipeline: Pipeline) -> int:
    return sum(call.kind in {"campaigns", "adsets"} for call in pipeline.graph.calls)


def plan_of(pipeline: Pipeline, amount: int, first: date, last: date) -> str:
    query = """
        INSERT INTO public.budgets (name, meta_account_id, currency, amount, start_date, end_date)
        VALUES ('Spring', 'act_42', 'EUR', %s, %s, %s) RETURNING id::text
    """
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        row = connection.execute(query, [amount, first, last]).fetchone()
    assert row is not None
    return str(row[0])


def paced(pipeline: Pipeline) -> dict[tuple[date, str, str], Row]:
    rows = pipeline.rows("budget_pacing")
    return {(row["as_of_date"], row["level"], row["budget_id"]): row for row in rows}


def test_budgets_are_read_once_a_day_and_judged_as_they_were_known(
    pipeline: Pipeline, today: date
) -> None:
    first, second, third = (today - timedelta(days=back) for back in (4, 3, 2))
    plan_id = plan_of(pipeline, 1_000_000, first - timedelta(days=20), today + timedelta(days=10))
    world = pipeline.graph.world
    run = run_at(pipeline, first, 32)
    assert read_now(pipeline) == 2
    checks = checks_of(run)
    assert checks[READ].passed
    assert checks[USABLE].passed
    run_at(pipeline, first)
    assert read_now(pipeline) == 0, "no call of an hour is spent on it again"

    snapshots = pipeline.rows("budget_snapshots")
    assert {row["snapshot_date"] for row in snapshots} == {first}
    assert {row["currency"] for row in snapshots} == {"EUR"}
    shown = paced(pipeline)
    # Nobody knew of any budget before.
    assert {day for day, _, _ in shown} == {first}
    spent: dict[tuple[str, str, date], Decimal] = {}
    for row in pipeline.rows("ad_actuals", "campaign_id", "adset_id", "report_date", "spend"):
        for level in ("campaign", "adset"):
            key = level, row[f"{level}_id"], row["report_date"]
            spent[key] = spent.get(key, Decimal(0)) + row["spend"]
    budgets = [row for row in shown.values() if row["level"] != "plan"]
    assert {row["kind"] for row in budgets} == {"daily", "lifetime"}
    for row in budgets:
        days = DayWindow.inclusive(row["period_start"], first)
        of_days = [spent.get((row["level"], row["budget_id"], day), Decimal(0)) for day in days]
        assert row["spend"] == sum(of_days)
    plan = shown[first, "plan", plan_id]
    assert (plan["verdict"], plan["account_id"]) == ("underspending", "42")

    # What changes later changes no day before: neither budgets, nor plans, nor late news.
    before = paced(pipeline)
    adset = next(row for row in budgets if row["level"] == "adset" and row["status"] == "ACTIVE")
    world.daily_budgets[adset["budget_id"]] = 1
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        connection.execute("UPDATE public.budgets SET amount = 10")
    run_at(pipeline, second, 3)
    assert {key: row for key, row in paced(pipeline).items() if key[0] == first} == before
    assert paced(pipeline)[second, "plan", plan_id]["verdict"] == "overspending"
    run = run_at(pipeline, third, 4)
    assert {key: row for key, row in paced(pipeline).items() if key[0] == first} == before
    told = paced(pipeline)[third, "adset", adset["budget_id"]]
    assert (told["verdict"], told["reason"]) == ("overspending", "a_day_beyond_its_limit")
    assert told["daily_budget"] == Decimal("0.01")
    check = checks_of(run)[KEPT]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert {row["budget_id"] for row in examples(check)} >= {adset["budget_id"], plan_id}


def test_what_cannot_be_read_is_told_by_a_check_and_hinders_nothing(
    pipeline: Pipeline, today: date
) -> None:
    error = {"error": {"code": 200, "message": "(#200) no"}}
    pipeline.graph.faults.add(Fault(error, kind="campaigns"))
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        connection.execute("ALTER TABLE public.budgets RENAME amount TO total")
    run = run_at(pipeline, today - timedelta(days=3))
    checks = checks_of(run)
    assert [row["account_id"] for row in examples(checks[READ])] == ["42"]
    assert not checks[USABLE].passed
    assert "public.budgets" in str(checks[USABLE].metadata["problem"].value)
    assert pipeline.rows("ad_actuals")
    assert not pipeline.rows("budget_pacing")
