"""What readers are told about rows that were put straight into the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
)
from dagster._daemon.types import DaemonHeartbeat

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers, queries
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import schema
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.serving.conftest import Insert, Row

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 7)
WEEK = DayWindow.inclusive(FIRST, LAST)
BEFORE, AFTER = FIRST - timedelta(days=1), LAST + timedelta(days=1)

Rows = Sequence[Mapping[str, Any]]


def of_accounts(account_ids: str, **variables: str) -> Settings:
    return Settings.from_environment({"META_AD_ACCOUNT_ID": account_ids, **variables})


NOBODY = of_accounts("")


def test_money_is_added_by_currency_to_the_last_digit_over_both_ends_of_the_window(
    warehouse: Warehouse, insert: Insert
) -> None:
    for ad_id, day, spend, revenue in (
        ("1", FIRST, "0.10", "12345678901234567.123456789"),
        ("2", LAST, "0.20", "0.000000001"),
        ("1", BEFORE, "999", "999"),
        ("1", AFTER, "999", "999"),
    ):
        amounts = {"spend": Decimal(spend), "revenue": Decimal(revenue)}
        insert("ad_actuals", ad_id=ad_id, report_date=day, **amounts, impressions=3, clicks=2)
        insert("meta_account_totals", report_date=day)
    insert(
        "ad_actuals", ad_id="3", report_date=LAST, currency="JPY", spend=Decimal(500),
        revenue=Decimal(-50), conversions=4, clicks=8, impressions=32, is_settled=True,
    )  # fmt: skip

    euros, yen = queries.money(warehouse, WEEK)
    assert euros == queries.Money(
        "EUR", Decimal("0.30"), Decimal("12345678901234567.123456790"), 0, 6, 4, Decimal(0)
    )
    assert (yen.currency, yen.spend, yen.revenue) == ("JPY", Decimal(500), Decimal(-50))
    assert (yen.roas, yen.cpa, yen.ctr) == (Decimal("-0.1"), Decimal(125), Decimal("0.25"))
    assert (euros.settled_share, yen.settled_share) == (Decimal(0), Decimal(1))


def test_a_ratio_without_a_denominator_is_unknown() -> None:
    nothing = queries.Money("EUR", Decimal(0), Decimal(5), 0, 0, 0, Decimal(0))
    ratios = (nothing.roas, nothing.cpa, nothing.ctr, nothing.settled_share)
    assert ratios == (None,) * 4


def test_the_settled_share_is_of_spend_and_not_of_days(
    warehouse: Warehouse, insert: Insert
) -> None:
    for day, spend, is_settled in ((FIRST, 3, True), (LAST, 1, False)):
        insert("ad_actuals", report_date=day, spend=Decimal(spend), is_settled=is_settled)
        insert("meta_account_totals", report_date=day)
    (euros,) = queries.money(warehouse, WEEK)
    assert euros.settled_share == Decimal("0.75")


def test_a_day_of_which_a_single_ad_alone_was_fetched_is_no_days_total(
    warehouse: Warehouse, insert: Insert
) -> None:
    insert("ad_actuals", report_date=FIRST, spend=Decimal(3))
    assert queries.money(warehouse, WEEK) == []
    insert("meta_account_totals", report_date=FIRST, account_id="77")
    assert queries.money(warehouse, WEEK) == []
    insert("meta_account_totals", report_date=FIRST)
    assert [part.spend for part in queries.money(warehouse, WEEK)] == [Decimal(3)]


def test_the_dashboard_has_the_numbers_of_the_specification(
    warehouse: Warehouse, insert: Insert
) -> None:
    insert("meta_account_totals")
    insert(
        "ad_actuals", spend=Decimal(150_000), revenue=Decimal(480_000), conversions=12_000,
        impressions=10_000_000, clicks=150_000,
    )  # fmt: skip
    insert("model_accuracy", n_pairs=2, ctr_mae=0.25, roas_mae=0.15, prediction_accuracy=92.45)

    answer = answers.summary(warehouse, WEEK, NOBODY, NOW)
    totals = ("total_spend", "total_revenue", "overall_roas", "total_conversions", "avg_cpa")
    assert [answer[name] for name in totals] == [150_000, 480_000, 3.2, 12_000, 12.5]
    assert (answer["currency"], answer["status"], answer["source"]) == ("EUR", "partial", "meta")
    accuracy = answer["ml_accuracy"]
    # 92.45 is a half, and halves go to the even digit.
    assert (accuracy["ctr_mae"], accuracy["roas_mae"]) == (0.25, 0.15)
    assert accuracy["prediction_accuracy"] == 92.4
    (euros,) = answer["by_currency"]
    assert (euros["ctr_percent"], euros["settled_spend_share"]) == (1.5, 0)


def test_days_and_accounts_that_were_never_fetched_are_named(
    warehouse: Warehouse, insert: Insert
) -> None:
    for day in WEEK:
        insert("meta_account_totals", report_date=day)
    assert answers.summary(warehouse, WEEK, of_accounts("42"), NOW)["status"] == "success"
    insert("meta_account_totals", account_id="43", report_date=FIRST)
    answer = answers.summary(warehouse, WEEK, of_accounts("42,44"), NOW)
    assert answer["status"] == "partial"
    assert answer["missing"] == [
        {"account_id": "44", "days": 7, "of_days": 7},
        {"account_id": "43", "days": 6, "of_days": 7},
    ]
    # The last day of the week has not begun for anybody.
    early = datetime.combine(WEEK.until, datetime.min.time(), tzinfo=UTC) - timedelta(hours=20)
    (of_44, of_43) = answers.summary(warehouse, WEEK, of_accounts("42,44"), early)["missing"]
    assert (of_43["days"], of_43["of_days"]) == (5, 6)
    assert of_44["days"] == 7


def test_several_currencies_have_no_single_total(warehouse: Warehouse, insert: Insert) -> None:
    insert("meta_account_totals")
    for currency in ("EUR", "JPY"):
        amounts = {"spend": Decimal(10), "revenue": Decimal(30)}
        insert("ad_actuals", ad_id=currency, currency=currency, conversions=2, **amounts)
    dashboard = answers.summary(warehouse, WEEK, NOBODY, NOW)
    names = ("currency", "total_spend", "total_revenue", "overall_roas", "avg_cpa")
    assert [dashboard[name] for name in names] == [None] * 5
    assert dashboard["total_conversions"] == 4, "counts have no currency"
    assert [part["spend"] for part in dashboard["by_currency"]] == [10, 10]

    counts = answers.stats(warehouse, Settings.from_environment({}))["stats"]
    assert counts["total_spend_tracked"] is None
    assert counts["spend_tracked_by_currency"] == {"EUR": 10, "JPY": 10}


def test_days_that_nobody_fetched_are_unknown_and_a_fetched_day_without_delivery_is_zero(
    warehouse: Warehouse, insert: Insert
) -> None:
    totals = ("total_spend", "total_revenue", "total_conversions", "overall_roas", "ml_accuracy")
    for window in (None, WEEK):
        answer = answers.summary(warehouse, window, NOBODY, NOW)
        assert (answer["status"], answer["source"]) == ("empty", None)
        assert [answer[name] for name in totals] == [None] * 5

    insert("meta_account_totals")
    answer = answers.summary(warehouse, WEEK, NOBODY, NOW)
    assert answer["status"] == "partial"
    assert [answer[name] for name in totals] == [0, 0, 0, None, None]


def test_models_are_those_of_the_last_scored_day_with_most_pairs_first(
    warehouse: Warehouse, insert: Insert
) -> None:
    for day, name, version, n_pairs in (
        (BEFORE, "older", "9", 99),
        (LAST - timedelta(days=1), "b", "1", 5),
        (LAST - timedelta(days=1), "b", "2", 5),
        (LAST - timedelta(days=1), "a", "1", 5),
        (LAST - timedelta(days=1), "c", "1", 7),
        (AFTER, "newer", "1", 99),
    ):
        insert(
            "model_accuracy", as_of_date=day, model_name=name, model_version=version,
            n_pairs=n_pairs,
        )  # fmt: skip
    answer = answers.summary(warehouse, WEEK, NOBODY, NOW)
    shown = [(row["model_name"], row["model_version"]) for row in answer["models"]]
    assert shown == [("c", "1"), ("a", "1"), ("b", "2"), ("b", "1")]
    assert answer["ml_accuracy"] == answer["models"][0]
    assert answer["models"][0]["prediction_accuracy"] is None


def test_reconciliation_counts_account_days_by_currency_and_verdict(
    warehouse: Warehouse, insert: Insert
) -> None:
    for account_id, day, currency, verdict, meta_spend in (
        ("42", FIRST, "EUR", "gap", "0.10"),
        ("42", LAST, "EUR", "gap", "0.20"),
        ("44", LAST, "EUR", "exact", "0"),
        ("43", LAST, "JPY", "gap", "7"),
        ("42", BEFORE, "EUR", "gap", "999"),
        ("42", AFTER, "EUR", "gap", "999"),
    ):
        insert(
            "spend_reconciliation", account_id=account_id, report_date=day, currency=currency,
            verdict=verdict, meta_spend=Decimal(meta_spend), spend_difference=Decimal(meta_spend),
        )  # fmt: skip
    assert answers.summary(warehouse, WEEK, NOBODY, NOW)["reconciliation"] == [
        {"currency": "EUR", "verdict": "exact", "account_days": 1, "spend_difference": 0},
        {"currency": "EUR", "verdict": "gap", "account_days": 2, "spend_difference": 0.3},
        {"currency": "JPY", "verdict": "gap", "account_days": 1, "spend_difference": 7},
    ]


@pytest.mark.parametrize(
    ("verdict", "day", "is_advised"),
    [
        ("gap", FIRST, True),
        ("within_tolerance", LAST, True),
        ("exact", LAST, False),
        ("gap", AFTER, False),
    ],
)
def test_a_difference_in_spend_comes_with_what_to_do_about_it(
    *, verdict: str, day: date, is_advised: bool, warehouse: Warehouse, insert: Insert
) -> None:
    insert("spend_reconciliation", report_date=day, verdict=verdict)
    for status_filter, other in (("all", "none"), ("none", "all")):
        settings = of_accounts("42", ACTUALS_STATUS_FILTER=status_filter)
        advice = answers.summary(warehouse, WEEK, settings, NOW)["advice"]
        assert (advice is not None) is is_advised
        if is_advised:
            assert f"ACTUALS_STATUS_FILTER={status_filter} is in force" in advice
            assert f"`{other}`" in advice


def test_the_known_window_reaches_from_the_first_to_the_last_day_ever_fetched(
    warehouse: Warehouse, insert: Insert
) -> None:
    insert("ad_actuals", report_date=BEFORE)
    assert queries.known_window(warehouse) is None, "a single ad makes no account known"
    insert("meta_account_totals", account_id="43", report_date=FIRST)
    insert("meta_account_totals", report_date=LAST)
    assert queries.known_window(warehouse) == WEEK


def test_a_window_says_who_made_its_figures(warehouse: Warehouse, insert: Insert) -> None:
    insert("meta_account_totals", report_date=FIRST, is_stand_in=True)
    insert("meta_account_totals", report_date=LAST, is_stand_in=False)
    sources = {
        "stand-in": DayWindow.inclusive(BEFORE, LAST - timedelta(days=1)),
        "mixed": WEEK,
        "meta": DayWindow.inclusive(FIRST + timedelta(days=1), LAST),
        None: DayWindow.inclusive(BEFORE, BEFORE),
    }
    assert {queries.source(warehouse, window): window for window in sources.values()} == sources


def test_ads_are_counted_by_the_age_of_their_video_and_by_what_the_runs_brought(
    warehouse: Warehouse, insert: Insert
) -> None:
    def video(ad_id: str | None, age: timedelta) -> None:
        created_at = (NOW - age).replace(tzinfo=None)
        insert("videos", id=uuid4(), meta_platform_id=ad_id, created_at=created_at)

    day, moment = timedelta(days=1), timedelta(seconds=1)
    video("young", day - moment)
    video("just old enough", day)
    video("just young enough", 30 * day)
    video("old", 30 * day + moment)
    video("refused", 5 * day)
    video("limited", 5 * day)
    video("before", 5 * day)
    video("unseen", 5 * day)
    # Another video of an ad that is counted already, and two that run nowhere.
    video(" limited ", 6 * day)
    video("  ", 5 * day)
    video(None, 5 * day)
    for account_id, ad_id, on in (
        ("42", "young", LAST),
        ("42", "just old enough", FIRST),
        ("42", "just young enough", LAST),
        ("42", "before", BEFORE),
        ("43", "refused", LAST),
        ("44", "limited", LAST),
    ):
        insert("ad_actuals", account_id=account_id, ad_id=ad_id, report_date=on)

    settings = Settings.from_environment({})

    def counted(run_id: str) -> dict[str, int]:
        return queries.ad_outcomes(warehouse, WEEK, [run_id], settings, NOW)

    for account_id, outcome in (("42", "complete"), ("43", "refused"), ("44", "rate_limited")):
        insert("fetch_log", run_id="mixed", account_id=account_id, outcome=outcome)
        insert("fetch_log", run_id="good", account_id=account_id)
    assert counted("good") == {
        "total_ads": 6, "successful": 4, "failed": 0, "rate_limited": 0, "no_data": 2,
    }  # fmt: skip
    # The ad that nobody has seen may be one of the account that was refused.
    assert counted("mixed") == {
        "total_ads": 6, "successful": 2, "failed": 2, "rate_limited": 1, "no_data": 1,
    }  # fmt: skip

    wider = Settings.from_environment({"ACTUALS_MIN_AGE_HOURS": "0", "ACTUALS_MAX_AGE_DAYS": "31"})
    assert queries.ad_outcomes(warehouse, WEEK, ["good"], wider, NOW)["total_ads"] == 8


def test_of_an_account_counts_the_last_fetch_of_a_run_and_the_worst_of_several_runs(
    warehouse: Warehouse, insert: Insert
) -> None:
    for run_id, account_id, outcome in (
        # Its step waited for Meta and began again.
        ("run-1", "42", "rate_limited"),
        ("run-1", "42", "complete"),
        ("run-1", "43", "complete"),
        ("run-2", "42", "complete"),
        ("run-2", "43", "failed"),
        ("run-3", "43", "complete"),
        ("another", "42", "refused"),
    ):
        insert(
            "fetch_log", run_id=run_id, account_id=account_id, outcome=outcome,
            error_message=f"{account_id} {outcome}" if outcome != "complete" else None,
        )  # fmt: skip

    def outcomes(*run_ids: str) -> dict[str, tuple[str, str | None]]:
        rows = queries.account_outcomes(warehouse, run_ids)
        return {row["account_id"]: (row["outcome"], row["error_message"]) for row in rows}

    assert outcomes("run-1") == {"42": ("complete", None), "43": ("complete", None)}
    assert outcomes("run-1", "run-2", "run-3") == {
        "42": ("complete", None),
        "43": ("failed", "43 failed"),
    }


def test_of_an_account_whose_months_ended_differently_the_failure_counts(
    warehouse: Warehouse, insert: Insert
) -> None:
    for month, outcome in ((1, "refused"), (2, "failed"), (2, "complete"), (3, "complete")):
        days = {"since": date(2026, month, 1), "until": date(2026, month, 28)}
        insert("fetch_log", run_id="run-1", account_id="42", outcome=outcome, **days)
    (account,) = queries.account_outcomes(warehouse, ["run-1"])
    assert account["outcome"] == "refused"


@pytest.mark.parametrize(
    ("fetched", "status"),
    [
        ({"42": "complete", "43": "complete"}, "success"),
        ({"42": "complete", "43": "refused"}, "partial"),
        ({"42": "failed", "43": "refused"}, "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_sync_succeeds_in_part_when_some_accounts_do(
    fetched: dict[str, str], status: str, warehouse: Warehouse, insert: Insert
) -> None:
    for account_id, outcome in fetched.items():
        insert("fetch_log", account_id=account_id, outcome=outcome)
    settings = Settings.from_environment({})
    answer = answers.sync(warehouse, WEEK, ["run-1"], settings, now=NOW, duration_seconds=1.23456)
    assert answer["status"] == status
    assert answer["summary"]["duration_seconds"] == 1.23
    assert answer["summary"]["timestamp"] == "2026-03-08T12:00:00+00:00"


def test_the_success_rate_is_a_percentage_of_all_fetches(
    warehouse: Warehouse, insert: Insert
) -> None:
    assert queries.fetch_stats(warehouse) == {
        "total_fetches": 0, "successful_fetches": 0, "failed_fetches": 0, "rate_limits_hit": 0,
        "success_rate": None,
    }  # fmt: skip
    for kind, outcome, limits in (
        ("account", "complete", 2),
        ("ad", "complete", 0),
        ("account", "rate_limited", 3),
    ):
        insert("fetch_log", kind=kind, outcome=outcome, rate_limits_hit=limits)
    assert queries.fetch_stats(warehouse) == {
        "total_fetches": 3, "successful_fetches": 2, "failed_fetches": 1, "rate_limits_hit": 5,
        "success_rate": 66.67,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "configured"),
    [
        ({}, False),
        ({"META_ACCESS_TOKEN": "EAA"}, False),
        ({"META_AD_ACCOUNT_ID": "42"}, False),
        ({"META_ACCESS_TOKEN": "EAA", "META_AD_ACCOUNT_ID": "42"}, True),
    ],
    ids=["nothing", "token", "account", "both"],
)
def test_meta_is_configured_with_a_token_and_an_account(
    variables: dict[str, str], *, configured: bool, warehouse: Warehouse
) -> None:
    answer = answers.stats(warehouse, Settings.from_environment(variables))
    assert answer["stats"]["meta_api_configured"] is configured


def heartbeat(instance: dg.DagsterInstance, at: datetime, daemon: str = "SCHEDULER") -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), daemon, "some-id", []))


def switch(instance: dg.DagsterInstance, schedule: str, status: InstigatorStatus) -> None:
    location = RegisteredCodeLocationOrigin("actuals_pipeline")
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(location, "__repository__"), instigator_name=schedule
    )
    data = ScheduleInstigatorData("7 * * * *")
    state = InstigatorState(origin, InstigatorType.SCHEDULE, status, data)
    if instance.get_instigator_state(state.instigator_origin_id, state.selector_id):
        instance.update_instigator_state(state)
    else:
        instance.add_instigator_state(state)


def state_of(warehouse: Warehouse) -> queries.ScheduleState:
    return queries.schedule_state(warehouse, "hourly_actuals", NOW)


def test_the_schedule_runs_while_a_scheduler_lives(
    warehouse: Warehouse, dagster_instance: dg.DagsterInstance
) -> None:
    assert state_of(warehouse) == "no_daemon"
    heartbeat(dagster_instance, NOW, daemon="SENSOR")
    assert state_of(warehouse) == "no_daemon"
    heartbeat(dagster_instance, NOW - timedelta(seconds=121))
    assert state_of(warehouse) == "no_daemon"
    heartbeat(dagster_instance, NOW - timedelta(seconds=119))
    assert state_of(warehouse) == "running"


def test_the_schedule_runs_unless_it_is_switched_off_itself(
    warehouse: Warehouse, dagster_instance: dg.DagsterInstance
) -> None:
    heartbeat(dagster_instance, NOW)
    switch(dagster_instance, "another", InstigatorStatus.STOPPED)
    assert state_of(warehouse) == "running"
    for status, state in (
        (InstigatorStatus.STOPPED, "switched_off"),
        (InstigatorStatus.RUNNING, "running"),
        (InstigatorStatus.STOPPED, "switched_off"),
        (InstigatorStatus.DECLARED_IN_CODE, "running"),
    ):
        switch(dagster_instance, "hourly_actuals", status)
        assert state_of(warehouse) == state


def test_a_scheduler_lives_in_whatever_time_zone_the_database_is(
    database: str, warehouse: Warehouse, dagster_instance: dg.DagsterInstance
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        name = connection.info.dbname
        # Dagster's column keeps the wall clock of whoever wrote it.
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'America/New_York'".encode())
    dagster_instance.dispose()
    heartbeat(dagster_instance, NOW)
    assert state_of(warehouse) == "running"
    heartbeat(dagster_instance, NOW - timedelta(minutes=3))
    assert state_of(warehouse) == "no_daemon"


def test_a_database_that_dagster_never_saw_has_no_daemon(empty_database: str) -> None:
    schema.upgrade(empty_database)
    assert state_of(Warehouse(empty_database)) == "no_daemon"


def test_status_is_healthy_only_with_a_living_schedule_and_every_account_fetched(
    warehouse: Warehouse, dagster_instance: dg.DagsterInstance, insert: Insert
) -> None:
    settings = Settings.from_environment({"META_AD_ACCOUNT_ID": "42,43,44,45"})

    def status() -> Row:
        return answers.scheduler_status(warehouse, settings, NOW)

    assert status()["problems"] == [
        "No Dagster daemon is running: start it with `make up`.",
        "Nothing was fetched yet: run `actuals sync`.",
    ]
    assert status()["scheduler"]["last_run"] is None
    assert status()["scheduler"]["last_summary"] is None
    nothing_set = answers.scheduler_status(warehouse, Settings.from_environment({}), NOW)
    assert nothing_set["problems"][1:] == [
        "META_AD_ACCOUNT_ID is not set: put your ad accounts in .env or the environment."
    ]

    heartbeat(dagster_instance, NOW)
    for account_id, kind, outcome, message in (
        ("43", "account", "failed", "Ask again."),
        ("42", "account", "refused", "Mend it."),
        ("43", "account", "refused", "Mend it."),
        ("44", "account", "rate_limited", "Wait."),
        # Neither an account that is asked no more nor one ad says how the accounts are.
        ("99", "account", "refused", "Gone."),
        ("44", "ad", "complete", None),
    ):
        insert(
            "fetch_log", kind=kind, account_id=account_id, outcome=outcome, error_message=message,
            started_at=NOW - timedelta(hours=1), duration_seconds=1.0,
        )  # fmt: skip
    never = "Account act_45 was never fetched: run `actuals sync`."
    assert status()["problems"] == [never, "Mend it.", "Wait."]
    assert status()["status"] == "unhealthy"
    assert status()["scheduler"]["is_running"] is True

    for account_id in ("42", "43", "44", "45"):
        insert(
            "fetch_log", run_id="run-2", account_id=account_id, since=FIRST, until=NOW.date(),
            started_at=NOW - timedelta(minutes=int(account_id)), duration_seconds=60.0,
        )  # fmt: skip
    # A single ad's fetch, later, is no run of the schedule.
    insert("fetch_log", run_id="fetch-1", kind="ad", started_at=NOW, duration_seconds=1.0)
    assert (status()["status"], status()["problems"]) == ("healthy", [])
    scheduler = status()["scheduler"]
    assert scheduler["last_run"] == "2026-03-08T11:19:00+00:00"
    assert scheduler["last_summary"]["duration_seconds"] == 240
    assert scheduler["last_summary"]["timestamp"] == scheduler["last_run"]

    switch(dagster_instance, "hourly_actuals", InstigatorStatus.STOPPED)
    assert status()["problems"] == [
        "The schedule hourly_actuals is switched off: switch it on in the Dagster UI."
    ]
    assert status()["scheduler"]["is_running"] is False
