"""What each rule is measured by, to the last row that counts and the first that does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.alert_measures import Watched, measure
from actuals_pipeline_tests.serving.conftest import Insert

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY, DAY, HOUR = date(2026, 3, 10), timedelta(days=1), timedelta(hours=1)

Found = Mapping[str, tuple[Any, str | None]]
"""By subject: the value and what more is known."""
Measured = Callable[..., Found]


@pytest.fixture
def measured(database: str) -> Measured:
    """What one rule finds of accounts 42 and 43, or of those given."""

    def find(rule: str, *accounts: str, **environment: str) -> Found:
        asked = ",".join(f"act_{each}" for each in accounts or ("42", "43"))
        settings = Settings.from_environment({"META_AD_ACCOUNT_ID": asked} | environment)
        with psycopg.connect(database) as connection:
            connection.execute("SET TIME ZONE 'Asia/Tokyo'")
            found, rules = measure(connection, Watched.of(settings, "hourly_actuals"), NOW)
        assert rule in rules
        of_rule = [each for each in found if each.rule == rule]
        by_subject = {
            each.subject: (None if each.value is None else pytest.approx(each.value), each.why)
            for each in of_rule
        }
        assert len(by_subject) == len(of_rule), "a subject has one measurement"
        return by_subject

    return find


@pytest.fixture
def fetched(insert: Insert) -> Callable[..., None]:
    """A fetch that began so many hours ago; whole, of an account, up to today, of one second."""

    def add(hours_ago: float, **values: Any) -> None:
        usual = {
            "account_id": "42",
            "started_at": NOW - hours_ago * HOUR,
            "until": TODAY,
            "duration_seconds": 1.0,
        }
        insert("fetch_log", **(usual | values))

    return add


@pytest.fixture
def execute(database: str) -> Callable[..., None]:
    def run(query: str, *values: Any) -> None:
        with psycopg.connect(database) as connection:
            connection.execute(query.encode(), values)

    return run


def test_figures_are_as_old_as_the_end_of_the_last_whole_fetch_up_to_today(
    measured: Measured, fetched: Callable[..., None]
) -> None:
    fetched(5, duration_seconds=1800.0)
    fetched(4, outcome="failed")
    fetched(3, until=TODAY - DAY, since=TODAY - 30 * DAY)
    fetched(2, kind="ad")
    fetched(1, account_id="43")
    assert measured("no_recent_actuals")["act_42"] == (4.5, None)


def test_today_is_that_of_the_account_where_it_is_still_yesterday(
    measured: Measured, fetched: Callable[..., None], insert: Insert
) -> None:
    insert("meta_account_totals", report_date=TODAY - DAY, time_zone="America/Los_Angeles")
    fetched(30, outcome="failed")
    # 05:00 in UTC is the evening before in Los Angeles, and morning in Berlin.
    fetched(7, until=TODAY - DAY, duration_seconds=0.0)
    insert("meta_account_totals", account_id="43", report_date=TODAY - DAY)
    fetched(30, outcome="failed", account_id="43")
    fetched(7, until=TODAY - DAY, account_id="43")
    assert measured("no_recent_actuals") == {"act_42": (7.0, None), "act_43": (30.0, None)}


def test_an_account_without_such_a_fetch_counts_from_the_first_that_is_known(
    measured: Measured, fetched: Callable[..., None], insert: Insert, execute: Callable[..., None]
) -> None:
    insert("meta_account_totals", fetched_at=NOW - 100 * HOUR)
    fetched(9, outcome="failed")
    fetched(6, outcome="failed")
    insert("meta_account_totals", account_id="43", fetched_at=NOW - 900 * HOUR)
    for account in ("43", "44"):
        execute("INSERT INTO actuals.watched_since VALUES (%s, %s)", account, NOW - 3 * HOUR)
    assert measured("no_recent_actuals", "42", "43", "44", "45") == {
        "act_42": (9.0, None), "act_43": (900.0, None), "act_44": (3.0, None),
        "act_45": (None, None),
    }  # fmt: skip


def test_a_day_that_was_left_out_is_as_stale_as_if_it_were_fetched_when_it_began(
    measured: Measured, insert: Insert
) -> None:
    for days_ago in range(10):
        if days_ago != 1:
            at = NOW - (300 if days_ago >= 7 else 2) * HOUR
            insert("meta_account_totals", report_date=TODAY - days_ago * DAY, fetched_at=at)
    insert("meta_account_totals", account_id="43", report_date=TODAY, fetched_at=NOW - HOUR)
    # Midnight of the ninth in Berlin was 37 hours ago; days beyond the week do not count, nor do
    # those before an account's first.
    assert measured("stale_actuals", ACTUALS_WEEK_DAYS="7") == {
        "act_42": (37.0, "2026-03-09"), "act_43": (1.0, "2026-03-10"),
    }  # fmt: skip


def test_the_rate_of_success_is_that_of_a_days_fetches_of_accounts(
    measured: Measured, fetched: Callable[..., None]
) -> None:
    for hours_ago in (0, 1, 12, 23.9):
        fetched(hours_ago)
    assert measured("success_rate") == {"": (None, "0 of 4 were not")}, "too few to tell"
    fetched(2, outcome="rate_limited", account_id="43")
    for hours_ago, values in ((24.1, {}), (-0.1, {}), (1, {"kind": "ad"})):
        for _ in range(3):
            fetched(hours_ago, outcome="failed", **values)
    assert measured("success_rate") == {"": (80.0, "1 of 5 were not")}


def test_the_failed_fetches_of_each_account_name_the_newest_error(
    measured: Measured, fetched: Callable[..., None]
) -> None:
    for outcome in ("complete", "complete", "rate_limited"):
        fetched(3, outcome=outcome)
    fetched(2, outcome="failed", error_class="First")
    fetched(5, outcome="refused", error_class="Newest")
    fetched(1, outcome="rate_limited", error_class="Other", account_id="43")
    for hours_ago, values in ((24.1, {}), (-0.1, {}), (1, {"kind": "ad"})):
        fetched(hours_ago, outcome="failed", error_class="Beyond", **values)
    assert measured("failed_fetches", "42", "43", "44") == {
        "act_42": (40.0, "Newest"), "act_43": (None, None), "act_44": (None, None),
    }  # fmt: skip


def test_limits_that_were_hit_are_added_up_over_a_day(
    measured: Measured, fetched: Callable[..., None]
) -> None:
    for hours_ago, hit, kind in ((1, 3, "account"), (23.9, 4, "account"), (2, 5, "ad")):
        fetched(hours_ago, rate_limits_hit=hit, kind=kind)
    for hours_ago in (24.1, -0.1):
        fetched(hours_ago, rate_limits_hit=100)
    assert measured("rate_limits") == {"act_42": (12.0, None), "act_43": (0.0, None)}


def test_coverage_is_of_the_ads_of_videos_of_an_age_each_once(
    measured: Measured, execute: Callable[..., None], insert: Insert
) -> None:
    assert measured("coverage") == {}
    of_age = ("6001", " 6002 ", "6002", "6003")
    for ad_id, hours in (
        *((each, 48.0) for each in of_age),
        *(("6004", 23.9), ("6005", 30 * 24 + 0.1), ("", 48.0), (None, 48.0)),
    ):
        execute(
            "INSERT INTO public.videos (id, title, meta_platform_id, created_at)"
            " VALUES (gen_random_uuid(), 'v', %s, %s)",
            ad_id,
            (NOW - hours * HOUR).replace(tzinfo=None),
        )
    insert("ad_actuals", ad_id="6002")
    insert("ad_actuals", ad_id="6002", report_date=date(2026, 3, 8))
    ages = {"ACTUALS_MIN_AGE_HOURS": "24", "ACTUALS_MAX_AGE_DAYS": "30"}
    assert measured("coverage", **ages) == {"": (100 / 3, "2 of 3 have none")}


def test_access_is_ending_as_the_health_check_found(measured: Measured, insert: Insert) -> None:
    for name, verdict in (("token", "ok"), ("data_access", "warning"), ("disk", "problem")):
        insert(
            "health_findings",
            name=name,
            subject="",
            verdict=verdict,
            seen=f"{name} is {verdict}",
            advice="",
            checked_at=NOW,
        )
    assert measured("token_expiring") == {
        "token": (0.0, "token is ok."), "data_access": (1.0, "data_access is warning."),
    }  # fmt: skip


def test_spend_that_does_not_reconcile_is_told_of_the_last_thirty_days(
    measured: Measured, insert: Insert
) -> None:
    for days_ago, verdict in ((0, "exact"), (1, "within_tolerance"), (29, "gap"), (30, "gap")):
        insert(
            "spend_reconciliation",
            report_date=TODAY - days_ago * DAY,
            ads_spend=Decimal("98.50"),
            meta_spend=Decimal(100),
            spend_difference=Decimal("1.50"),
            verdict=verdict,
        )
    why = "1.50 EUR of 100"
    assert measured("spend_not_reconciling") == {
        "act_42 2026-03-10": (0.0, why), "act_42 2026-03-09": (0.0, why),
        "act_42 2026-02-09": (1.0, why),
    }  # fmt: skip


def test_overspending_is_that_of_the_newest_day_that_may_have_begun_somewhere(
    measured: Measured, insert: Insert
) -> None:
    def paced(day: date, budget_id: str, verdict: str) -> None:
        insert(
            "budget_pacing", as_of_date=day, level="campaign", budget_id=budget_id,
            kind="lifetime", budget=100, spend_limit=100, spend=150, verdict=verdict,
            reason="beyond_the_limit",
        )  # fmt: skip

    def invested(day: date, scope: str, share: float, **values: Any) -> None:
        insert(
            "investment_summary", as_of_date=day, scope=scope, outlook="spent", spend=99,
            spent_share=share, **({"investment_total": 100} | values),
        )  # fmt: skip

    tomorrow = TODAY + DAY
    for number, verdict in enumerate(("overspending", "unknown", "underspending"), 1):
        paced(tomorrow, str(number), verdict)
    for day in (TODAY, tomorrow + DAY):
        paced(day, "1", "on_track")
        paced(day, "9", "overspending")
    invested(tomorrow, "overall", 1.0)
    invested(tomorrow, "currency", 1.5)
    for day in (TODAY, tomorrow + DAY):
        invested(day, "overall", 1.5)
    why = "beyond the limit, 150 of 100 EUR spent by 2026-03-11"
    assert measured("overspend") == {
        "campaign 1": (1.0, why), "campaign 2": (None, why), "campaign 3": (0.0, why),
        "the investment": (0.0, "99 of 100 EUR spent by 2026-03-11"),
    }  # fmt: skip


def test_drift_and_requests_are_those_of_the_models_breach_that_lasts(
    measured: Measured, insert: Insert
) -> None:
    def state(version: str, metric: str, breach_start: date | None) -> None:
        insert(
            "retrain_states", model_version=version, metric=metric, week=TODAY,
            state="breach" if breach_start else "ok", state_since=TODAY,
            breach_start=breach_start, action="retrain", reason=f"{version} {metric}",
            evidence=Jsonb([]), updated_at=NOW,
        )  # fmt: skip

    def request(version: str, action: str, hours_ago: int) -> None:
        insert(
            "retrain_requests", request_key=f"{version} {action}", model_version=version,
            breach_start=TODAY, week=TODAY, action=action, reason=f"Since {hours_ago} h.",
            evidence=Jsonb([]), requested_at=NOW - hours_ago * HOUR,
        )  # fmt: skip

    state("1", "ctr", TODAY)
    state("1", "roas", None)
    state("2", "ctr", None)
    assert measured("drift") == {
        "ranker 1 ctr": (1.0, "1 ctr"), "ranker 1 roas": (0.0, "1 roas"),
        "ranker 2 ctr": (0.0, "2 ctr"),
    }  # fmt: skip
    request("1", "roll_back", 1)
    request("1", "retrain", 3)
    request("2", "retrain", 2)
    assert measured("retrain_requested") == {
        "ranker 1": (1.0, "roll back. Since 1 h."), "ranker 2": (0.0, "retrain. Since 2 h."),
    }  # fmt: skip


def test_a_heartbeat_counts_the_attempts_of_the_newest(measured: Measured, insert: Insert) -> None:
    def ping(run_id: str, hours_ago: int, **values: Any) -> None:
        at = NOW - hours_ago * HOUR
        insert("heartbeats", run_id=run_id, created_at=at, next_attempt_at=at, **values)

    ping("old", 3, attempts=9, last_error="no answer")
    assert measured("heartbeat_failed") == {"": (9.0, "no answer")}
    ping("newer", 2, attempts=2, last_error="HTTP 500")
    assert measured("heartbeat_failed") == {"": (2.0, "HTTP 500")}
    ping("mended", 1, attempts=3, last_error="HTTP 500", delivered_at=NOW)
    assert measured("heartbeat_failed") == {"": (0.0, "HTTP 500")}
    ping("under way", 0, attempts=1)
    assert measured("heartbeat_failed") == {"": (None, None)}


def test_messages_wait_since_the_oldest_that_was_not_taken(
    measured: Measured, execute: Callable[..., None]
) -> None:
    for channel, hours_ago, delivered_at, error in (
        ("log", 9, NOW, "of long ago"),
        ("log", 5, None, None),
        ("log", 4, None, "no answer"),
        ("log", 3, None, "HTTP 500"),
        ("mail", 8, NOW, None),
    ):
        execute(
            "INSERT INTO actuals.alert_messages (channel, kind, title, body, created_at,"
            " next_attempt_at, delivered_at, last_error) VALUES (%s, 'info', 't', 'b', %s, %s, %s,"
            " %s)",
            *(channel, NOW - hours_ago * HOUR, NOW, delivered_at, error),
        )
    assert measured("alerts_undelivered") == {"log": (5.0, "no answer"), "mail": (0.0, None)}


def test_the_schedule_ticks_when_it_was_looked_at_and_not_when_that_failed(
    measured: Measured, execute: Callable[..., None]
) -> None:
    execute("INSERT INTO actuals.watched_since VALUES ('', %s)", NOW - 50 * HOUR)
    assert measured("scheduler_stopped") == {"": (50.0, None)}
    for hours_ago, status, kind, job in (
        (9, "SUCCESS", "SCHEDULE", "hourly_actuals"),
        (8, "SKIPPED", "SCHEDULE", "hourly_actuals"),
        (3, "FAILURE", "SCHEDULE", "hourly_actuals"),
        (2, "SUCCESS", "SCHEDULE", "daily_health"),
        (1, "SUCCESS", "SENSOR", "hourly_actuals"),
    ):
        body = {"job_name": job, "timestamp": (NOW - hours_ago * HOUR).timestamp()}
        execute(
            "INSERT INTO dagster.job_ticks (job_origin_id, selector_id, status, type, timestamp,"
            " tick_body) VALUES ('x', 'x', %s, %s, now(), %s)",
            *(status, kind, json.dumps(body)),
        )
    assert measured("scheduler_stopped") == {"": (8.0, None)}


def test_a_backfill_is_mended_by_a_later_run_over_all_of_its_days(
    measured: Measured, execute: Callable[..., None]
) -> None:
    def run(
        run_id: str,
        status: str,
        tier: str,
        since: str,
        until: str,
        hours_ago: float = 1,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        execute(
            "INSERT INTO dagster.runs (run_id, pipeline_name, status, run_body, create_timestamp)"
            " VALUES (%s, 'actuals_job', %s, '', %s)",
            *(run_id, status, (NOW - hours_ago * HOUR).replace(tzinfo=None)),
        )
        ends = {
            "dagster/asset_partition_range_start": since,
            "dagster/asset_partition_range_end": until,
        }
        for key, value in {"actuals/tier": tier, **ends, **tags}.items():
            execute(
                "INSERT INTO dagster.run_tags (run_id, key, value) VALUES (%s, %s, %s)",
                *(run_id, key, value),
            )

    run("before", "SUCCESS", "backfill", "2026-01-01", "2026-03-01")
    run("first", "FAILURE", "backfill", "2026-01-01", "2026-01-31")
    run(
        "by the UI", "FAILURE", "recent", "2026-02-01", "2026-02-10", tags={"dagster/backfill": "b"}
    )
    run("mended", "FAILURE", "backfill", "2026-02-05", "2026-02-06")
    run("hourly", "FAILURE", "recent", "2026-03-09", "2026-03-10")
    run("of long ago", "FAILURE", "backfill", "2025-01-01", "2025-01-31", 7 * 24 + 0.1)
    run("too late", "SUCCESS", "recent", "2026-01-02", "2026-02-09")
    run("too early", "SUCCESS", "recent", "2025-12-01", "2026-01-30")
    run("in vain", "FAILURE", "recent", "2026-01-01", "2026-02-28")
    assert measured("backfill_failed") == {
        "first": (1.0, "2026-01-01..2026-01-31"), "by the UI": (1.0, "2026-02-01..2026-02-10"),
        "mended": (0.0, "2026-02-05..2026-02-06"),
    }  # fmt: skip
