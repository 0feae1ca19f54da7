"""Each alert begins once, is repeated, is over, and reaches its channel, over a real Postgres."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from actuals_pipeline.alerts.channels import channels_of
from actuals_pipeline.alerts.delivery import Sent, deliver
from actuals_pipeline.alerts.rules import RULES, Changes
from actuals_pipeline.findings import Finding, ok, warning
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import alerts
from actuals_pipeline.warehouse.alert_measures import Watched
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.alerts.receiver import receiver
from actuals_pipeline_tests.serving.conftest import Command, Insert, Stored

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY, DAY, HOUR = date(2026, 3, 10), timedelta(days=1), timedelta(hours=1)
LOG = ("log",)


@dataclass(frozen=True)
class Watch:
    """Looks at what is stored, at any time."""

    warehouse: Warehouse
    insert: Insert
    environment: Mapping[str, str]

    def at(
        self, now: datetime = NOW, channels: tuple[str, ...] = LOG, **environment: str
    ) -> Changes:
        settings = Settings.from_environment({"META_AD_ACCOUNT_ID": "act_42"} | environment)
        watched = Watched.of(settings, "hourly_actuals")
        return alerts.evaluate(self.warehouse, watched, channels, now, repeat_after=DAY)

    def execute(self, query: str, *values: Any) -> None:
        with self.warehouse.transaction() as connection:
            connection.execute(query.encode(), values)

    def fetched(self, count: int = 1, **values: Any) -> None:
        usual = {
            "account_id": "42",
            "started_at": NOW - HOUR / 2,
            "until": TODAY,
            "duration_seconds": 1.0,
        }
        for _ in range(count):
            self.insert("fetch_log", **(usual | values))


@pytest.fixture
def watch(warehouse: Warehouse, insert: Insert, environment: dict[str, str]) -> Watch:
    return Watch(warehouse, insert, environment)


def tick(watch: Watch, at: datetime) -> None:
    body = {"job_name": "hourly_actuals", "timestamp": at.timestamp()}
    watch.execute(
        "INSERT INTO dagster.job_ticks (job_origin_id, selector_id, status, type, timestamp, "
        "tick_body) VALUES ('x', 'x', 'SUCCESS', 'SCHEDULE', now(), %s)",
        json.dumps(body),
    )


def run(watch: Watch, run_id: str, status: str, tier: str = "backfill", **tags: str) -> None:
    watch.execute(
        "INSERT INTO dagster.runs (run_id, pipeline_name, status, run_body, create_timestamp) "
        "VALUES (%s, 'actuals_job', %s, '', %s)",
        run_id,
        status,
        NOW.replace(tzinfo=None) - HOUR,
    )
    days = {
        "dagster/asset_partition_range_start": "2026-01-01",
        "dagster/asset_partition_range_end": "2026-01-31",
    }
    for key, value in {"actuals/tier": tier, **days, **tags}.items():
        watch.execute(
            "INSERT INTO dagster.run_tags (run_id, key, value) VALUES (%s, %s, %s)",
            *(run_id, key, value),
        )


def requested(watch: Watch, breach_start: date | None) -> None:
    watch.execute("DELETE FROM actuals.retrain_states")
    watch.insert(
        "retrain_states",
        metric="ctr",
        week=TODAY,
        state="breach" if breach_start else "ok",
        state_since=TODAY,
        breach_start=breach_start,
        action="retrain",
        reason="It is off.",
        evidence=Jsonb([]),
        updated_at=NOW,
    )


def retrain(watch: Watch) -> None:
    watch.insert(
        "retrain_requests",
        request_key="ranker:1",
        breach_start=TODAY,
        week=TODAY,
        action="retrain",
        reason="It is off.",
        evidence=Jsonb([]),
        requested_at=NOW,
    )
    requested(watch, TODAY)


def reconciled(watch: Watch, ads: str, verdict: str) -> None:
    watch.execute("DELETE FROM actuals.spend_reconciliation")
    watch.insert(
        "spend_reconciliation",
        report_date=TODAY,
        ads_spend=Decimal(ads),
        meta_spend=Decimal(100),
        spend_difference=100 - Decimal(ads),
        verdict=verdict,
    )


def paced(watch: Watch, as_of: date, verdict: str) -> None:
    watch.insert(
        "budget_pacing",
        as_of_date=as_of,
        level="campaign",
        budget_id="7",
        kind="lifetime",
        period_start=TODAY,
        budget=100,
        spend_limit=100,
        spend=150,
        verdict=verdict,
        reason="beyond_the_limit",
    )


def found(watch: Watch, *findings: Finding) -> None:
    alerts.keep_findings(watch.warehouse, findings, NOW)


def beaten(watch: Watch, error: str | None, tries: int = 1) -> None:
    for each in range(tries):
        now = NOW + each * alerts.PING_RETRY
        assert alerts.claim_heartbeat(watch.warehouse, "actuals_job", ["recent"], now) == "tick"
        alerts.settle_heartbeat(watch.warehouse, "tick", error, now)


def videos(watch: Watch, *ad_ids: str) -> None:
    for ad_id in ad_ids:
        watch.execute(
            "INSERT INTO public.videos (id, title, meta_platform_id, created_at) "
            "VALUES (gen_random_uuid(), 'v', %s, %s)",
            ad_id,
            NOW.replace(tzinfo=None) - 3 * DAY,
        )


def totalled(watch: Watch, day: date, fetched_at: datetime) -> None:
    watch.insert("meta_account_totals", report_date=day, fetched_at=fetched_at)


def beaten_in_vain(watch: Watch) -> None:
    run(watch, "tick", "SUCCESS", "recent")
    beaten(watch, "it answered HTTP 500", tries=3)


def undelivered(watch: Watch) -> None:
    watch.execute(
        "INSERT INTO actuals.alert_messages (channel, kind, title, body, created_at, "
        "next_attempt_at, last_error) VALUES ('log', 'info', 't', 'b', %s, %s, 'no answer')",
        *(NOW - 2 * HOUR, NOW),
    )


Step = Callable[[Watch], object]

LIVES: Mapping[str, tuple[Step | tuple[Step, ...], Step, str]] = {
    # By rule: what breaks it, what mends it, and what the alert is about.
    "scheduler_stopped": (lambda it: tick(it, NOW - 2 * HOUR), lambda it: tick(it, NOW), ""),
    "no_recent_actuals": (
        # That older days were just fetched hides nothing.
        (
            lambda it: it.fetched(started_at=NOW - 3 * HOUR),
            lambda it: it.fetched(until=TODAY - DAY, since=TODAY - 30 * DAY),
        ),
        lambda it: it.fetched(),
        "act_42",
    ),
    "stale_actuals": (
        (
            lambda it: totalled(it, TODAY - 2 * DAY, NOW - 25 * HOUR),
            lambda it: totalled(it, TODAY - DAY, NOW),
            lambda it: totalled(it, TODAY, NOW),
        ),
        lambda it: it.execute("UPDATE actuals.meta_account_totals SET fetched_at = %s", NOW),
        "act_42",
    ),
    "success_rate": (
        (
            lambda it: it.fetched(9),
            lambda it: it.fetched(outcome="rate_limited"),
        ),
        lambda it: it.fetched(15),
        "",
    ),
    "failed_fetches": (
        (
            lambda it: it.fetched(18),
            lambda it: it.fetched(outcome="failed", error_class="MetaRefused"),
        ),
        lambda it: it.fetched(),
        "act_42",
    ),
    "rate_limits": (
        lambda it: it.fetched(rate_limits_hit=6),
        lambda it: it.execute("UPDATE actuals.fetch_log SET rate_limits_hit = 5"),
        "act_42",
    ),
    "coverage": (
        (
            lambda it: videos(it, "6001", "6002"),
            lambda it: it.insert("ad_actuals"),
        ),
        lambda it: it.insert("ad_actuals", ad_id="6002"),
        "",
    ),
    "token_expiring": (
        lambda it: found(it, warning("token", "valid until tomorrow", "Make a new one.")),
        # A check that could not be made leaves what was known.
        lambda it: found(it, ok("token", "valid"), Finding("graph_api", "problem", "silent")),
        "token",
    ),
    "spend_not_reconciling": (
        lambda it: reconciled(it, "80", "gap"),
        lambda it: reconciled(it, "100", "exact"),
        "act_42 2026-03-10",
    ),
    "overspend": (
        lambda it: paced(it, TODAY - DAY, "overspending"),
        lambda it: paced(it, TODAY, "on_track"),
        "campaign 7",
    ),
    "drift": (
        lambda it: requested(it, TODAY),
        lambda it: requested(it, None),
        "ranker 1 ctr",
    ),
    "retrain_requested": (retrain, lambda it: requested(it, None), "ranker 1"),
    "backfill_failed": (
        lambda it: run(it, "first", "FAILURE"),
        lambda it: run(it, "second", "SUCCESS", "sync"),
        "first",
    ),
    "heartbeat_failed": (
        beaten_in_vain,
        lambda it: alerts.settle_heartbeat(it.warehouse, "tick", None, NOW),
        "",
    ),
    "alerts_undelivered": (
        undelivered,
        lambda it: it.execute("UPDATE actuals.alert_messages SET delivered_at = %s", NOW),
        "log",
    ),
}
"""What an alert is born of and ends by."""


def test_every_rule_is_lived_through() -> None:
    assert set(LIVES) == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", LIVES)
def test_an_alert_begins_once_and_is_over(rule: str, watch: Watch, stored: Stored) -> None:
    breaks, mends, subject = LIVES[rule]
    assert watch.at() == Changes([], [], [], [])
    for step in breaks if isinstance(breaks, tuple) else (breaks,):
        step(watch)
    began = {alert.rule: alert for alert in watch.at().opened}
    assert began[rule].subject == subject
    assert watch.at().opened == []
    mends(watch)
    cleared = watch.at(NOW + timedelta(minutes=1)).cleared
    assert (rule, "over") in [(alert.rule, word) for alert, word in cleared]
    kept = [row for row in stored("alerts") if row["rule"] == rule]
    assert [row["cleared_at"] for row in kept] == [NOW + timedelta(minutes=1)]
    bodies = [row["body"] for row in stored("alert_messages") if rule in row["body"]]
    assert len(bodies) == 2
    assert "OVER after 1 min" in bodies[1]


def test_an_unknown_figure_neither_begins_nor_ends_an_alert(watch: Watch) -> None:
    watch.fetched(5, outcome="failed")
    began = {alert.rule for alert in watch.at().opened}
    assert {"success_rate", "failed_fetches"} <= began
    later = watch.at(NOW + 25 * HOUR)
    assert {"success_rate", "failed_fetches"} <= {each.rule for each in later.repeated}
    watch.fetched(4, started_at=NOW + 25 * HOUR)
    assert not {alert.rule for alert, _ in watch.at(NOW + 26 * HOUR).cleared} & began - {
        "no_recent_actuals"
    }


def test_a_rule_that_cannot_be_measured_blinds_no_other_and_keeps_its_alerts(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    videos(watch, "6001")
    assert [alert.rule for alert in watch.at().opened] == ["coverage"]
    watch.execute("ALTER TABLE public.videos RENAME COLUMN created_at TO made_at")
    reconciled(watch, "80", "gap")
    changes = watch.at()
    # The database is shared with other tests.
    watch.execute("ALTER TABLE public.videos RENAME COLUMN made_at TO created_at")
    assert [alert.rule for alert in changes.opened] == ["spend_not_reconciling"]
    assert [alert.rule for alert in changes.kept] == ["coverage"]
    assert "Alerts of coverage cannot be judged: column video.created_at" in caplog.text


def test_the_investment_is_overspent_when_it_is_all_gone(watch: Watch) -> None:
    watch.insert(
        "investment_summary",
        as_of_date=TODAY,
        scope="overall",
        outlook="spent",
        spent_share=1.01,
        spend=101,
        investment_total=100,
    )
    (alert,) = watch.at().opened
    assert (alert.rule, alert.subject) == ("overspend", "the investment")
    assert "101 of 100 EUR" in alert.message


def test_of_many_that_look_at_once_one_tells(watch: Watch, stored: Stored) -> None:
    reconciled(watch, "80", "gap")
    with ThreadPoolExecutor(4) as pool:
        looks = list(pool.map(lambda _: watch.at(), range(4)))
    assert sorted(len(each.opened) for each in looks) == [0, 0, 0, 1]
    assert len(stored("alert_messages")) == 1
    with receiver([200]) as here:
        channels = channels_of(here.url.replace("http", "json", 1))
        (name,) = (each.name for each in channels)
        watch.execute("UPDATE actuals.alert_messages SET channel = %s", name)
        outbox = alerts.PostgresOutbox(watch.warehouse)
        with ThreadPoolExecutor(4) as pool:
            sent = list(pool.map(lambda _: deliver(outbox, channels, lambda: NOW), range(4)))
    assert len(here.got) == sum(map(len, sent)) == 1


def test_a_message_that_was_not_taken_waits_and_comes_later(watch: Watch, stored: Stored) -> None:
    reconciled(watch, "80", "gap")
    now = NOW
    outbox = alerts.PostgresOutbox(watch.warehouse)
    with receiver([503, 200]) as here, receiver([200]) as other:
        urls = ",".join(each.url.replace("http", "json", 1) for each in (here, other))
        channels = channels_of(urls)
        watch.at(channels=tuple(each.name for each in channels))

        def delivered() -> list[Sent]:
            return deliver(outbox, channels, lambda: now)

        assert delivered() == [Sent("1 json", "it answered HTTP 503"), Sent("2 json", None)]
        (waiting,) = alerts.waiting(watch.warehouse)
        assert (waiting["channel"], waiting["attempts"]) == ("1 json", 1)
        assert delivered() == [], "not before its time"
        now += timedelta(minutes=1)
        assert delivered() == [Sent("1 json", None)]
        assert delivered() == []
    first, second = (json.loads(body)["message"] for _, body in here.got)
    assert first == second, "the same number, so that a repetition can be told"
    assert "act_42 2026-03-10 do not add up" in first
    told = str(stored("alert_messages") + stored("alerts"))
    assert "in-the-url" not in told


def test_who_died_while_sending_leaves_the_message_to_the_next(watch: Watch) -> None:
    reconciled(watch, "80", "gap")
    watch.at()
    outbox = alerts.PostgresOutbox(watch.warehouse)
    assert outbox.claim("log", NOW, NOW + timedelta(minutes=1)) is not None
    assert outbox.claim("log", NOW, NOW + timedelta(minutes=1)) is None
    again = outbox.claim("log", NOW + timedelta(minutes=1), NOW + timedelta(minutes=2))
    assert again is not None
    assert again.attempts == 2


def test_a_heartbeat_follows_a_good_tick_alone_and_once(watch: Watch) -> None:
    def claimed(now: datetime = NOW) -> str | None:
        return alerts.claim_heartbeat(watch.warehouse, "actuals_job", ["recent"], now)

    run(watch, "backfill", "SUCCESS")
    run(watch, "broken", "FAILURE", "recent")
    run(watch, "half", "SUCCESS", "recent")
    watch.fetched(run_id="half")
    watch.fetched(run_id="half", outcome="refused")
    assert claimed() is None
    run(watch, "good", "SUCCESS", "recent")
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: claimed() or "", range(4))) == ["", "", "", "good"]
    alerts.settle_heartbeat(watch.warehouse, "good", "no answer (ConnectTimeout)", NOW)
    assert claimed(NOW + alerts.PING_RETRY) == "good"
    alerts.settle_heartbeat(watch.warehouse, "good", None, NOW)
    assert claimed(NOW + DAY) is None


def test_what_never_happened_is_told_when_it_is_overdue(watch: Watch) -> None:
    def opened(hours: float) -> set[tuple[str, str]]:
        changes = watch.at(NOW + hours * HOUR, META_AD_ACCOUNT_ID="act_42,act_43")
        return {(alert.rule, alert.subject) for alert in changes.opened}

    assert opened(0) == set(), "nothing was started here"
    alerts.begin_to_watch(watch.warehouse, ["42"], NOW)
    assert opened(1.5) == set()
    # That it is started again, with one account more, begins anew for that one alone.
    alerts.begin_to_watch(watch.warehouse, ["42", "43"], NOW + 1.6 * HOUR)
    assert opened(2.1) == {("scheduler_stopped", ""), ("no_recent_actuals", "act_42")}
    assert "has not ticked for 2.1 h" in str(alerts.open_alerts(watch.warehouse))
    assert ("no_recent_actuals", "act_43") in opened(3.7)
    tick(watch, NOW + 3.7 * HOUR)
    watch.fetched(started_at=NOW + 3.7 * HOUR)
    opened(3.8)
    left = {(alert.rule, alert.subject) for alert in alerts.open_alerts(watch.warehouse)}
    assert ("no_recent_actuals", "act_43") in left
    assert not left & {("scheduler_stopped", ""), ("no_recent_actuals", "act_42")}


def test_the_command_line_lists_and_checks_and_tests(command: Command, watch: Watch) -> None:
    empty = command("alerts")
    assert (empty.exit_code, empty.stdout) == (0, "No alert is open.\n")
    watch.insert("retrain_states", metric="ctr", week=TODAY, state="breach", state_since=TODAY,
                 breach_start=TODAY, action="retrain", reason="It is off.", evidence=Jsonb([]),
                 updated_at=NOW)  # fmt: skip
    with receiver([200, 500]) as here:
        urls = here.url.replace("http", "json", 1)
        looked = json.loads(command("alerts", "check", "--json", ALERT_URLS=urls).stdout)
        assert [alert["rule"] for alert in looked["open"]] == ["drift"]
        assert looked["sent"] == [{"channel": "1 json", "error": None}]
        failed = command("alerts", "test", "--json", ALERT_URLS=urls)
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["channels"] == [
        {"channel": "1 json", "is_taken": False, "error": "it answered HTTP 500"}
    ]
    listed = command("alerts")
    assert listed.exit_code == 0
    assert "WARNING  drift: " in listed.stdout
    assert json.loads(command("alerts", "--json").stdout)["open"] == looked["open"]
    assert command("alerts", "test").exit_code == 0
    bad = command("alerts", "test", ALERT_URLS="nothing://in-the-url")
    assert bad.exit_code == 2
    assert "address 1 of 1" in bad.stderr
    assert "in-the-url" not in bad.output


def test_status_exits_1_when_something_is_critical_and_says_why(
    command: Command, watch: Watch
) -> None:
    now = datetime.now(UTC)
    watch.insert(
        "spend_reconciliation",
        report_date=now.date(),
        meta_spend=100,
        spend_difference=100,
        verdict="gap",
    )
    done = command("status", "--json")
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert answer["status"] == "unhealthy"
    (alert,) = answer["alerts"]
    assert alert["rule"] == "spend_not_reconciling"
    assert f"{alert['message']} {alert['advice']}" in answer["problems"]
    with psycopg.connect(watch.environment["DATABASE_URL"]) as connection:
        counted = sql.SQL("SELECT count(*) FROM actuals.alerts")
        assert connection.execute(counted).fetchone() == (0,), "who only looks raises nothing"
