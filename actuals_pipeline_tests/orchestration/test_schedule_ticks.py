"""The hourly tick: which days are due, and when a run already holds them."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._utils.schedules import cron_string_iterator

from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.jobs import JOB_NAME, WORKER_TAG
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.schedules import SCHEDULE_NAME, due
from actuals_pipeline.report_days import DayWindow, is_settled
from actuals_pipeline.settings import Settings

# Each begins a day earlier than its number of days says, for accounts in the west.
RECENT = DayWindow.inclusive(date(2026, 3, 5), date(2026, 3, 7))
WEEK = DayWindow.inclusive(date(2026, 2, 28), date(2026, 3, 7))
MONTH = DayWindow.inclusive(date(2026, 2, 5), date(2026, 3, 7))


def schedule_of(settings: Settings) -> dg.ScheduleDefinition:
    return build_definitions(settings).resolve_schedule_def(SCHEDULE_NAME)


def settings_of(**environment: str) -> Settings:
    return Settings.from_environment(environment)


@pytest.mark.parametrize("hour", range(24))
def test_every_hour_of_the_day_has_its_tier(hour: int) -> None:
    tiers = {3: ("month", MONTH), 9: ("week", WEEK), 15: ("week", WEEK), 21: ("week", WEEK)}
    tick = datetime(2026, 3, 7, hour, 7, tzinfo=ZoneInfo("UTC"))
    assert due(tick, settings_of()) == tiers.get(hour, ("recent", RECENT))


@pytest.mark.parametrize("zone", ["Pacific/Honolulu", "Pacific/Pago_Pago", "Europe/Berlin"])
@pytest.mark.parametrize("hour", range(24))
def test_the_recent_tier_holds_today_and_yesterday_of_every_account_in_the_west(
    hour: int, zone: str
) -> None:
    tick = datetime(2026, 3, 7, hour, 7, tzinfo=ZoneInfo("UTC"))
    _, window = due(tick, settings_of())
    assert window is not None
    # East of the schedule the new day has no partition yet.
    there = min(tick.astimezone(ZoneInfo(zone)).date(), tick.date())
    assert {there, there - timedelta(days=1)} <= set(window)


def test_the_sweep_reaches_a_day_that_meta_restates_no_more() -> None:
    tick = datetime(2026, 3, 7, 3, 7, tzinfo=ZoneInfo("UTC"))
    _, window = due(tick, settings_of())
    assert window is not None
    assert is_settled(window.since, tick.date() - timedelta(days=1))


@pytest.mark.parametrize(
    ("start", "window"),
    [
        ("2026-02-05", MONTH),
        ("2026-02-09", DayWindow(date(2026, 2, 9), MONTH.end)),
        ("2026-03-07", DayWindow(date(2026, 3, 7), MONTH.end)),
        ("2026-03-08", None),
    ],
)
def test_nothing_before_the_first_partition_is_due(start: str, window: DayWindow | None) -> None:
    tick = datetime(2026, 3, 7, 3, 7, tzinfo=ZoneInfo("UTC"))
    settings = settings_of(ACTUALS_START_DATE=start)
    assert due(tick, settings) == ("month", window)


@pytest.mark.parametrize(
    ("zone", "day", "n_ticks"),
    [
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
    ],
    ids=["longer", "shorter"],
)
def test_a_day_of_odd_length_has_one_sweep_and_one_run_key_a_tick(
    zone: str, day: date, n_ticks: int, dagster_instance: dg.DagsterInstance
) -> None:
    schedule = schedule_of(settings_of(ACTUALS_TIMEZONE=zone))
    requests = [
        request
        for tick in ticks(schedule, day)
        for request in evaluated(schedule, dagster_instance, tick).run_requests or ()
    ]
    assert len(requests) == n_ticks
    assert len({request.run_key for request in requests}) == n_ticks
    assert Counter(request.tags["actuals/tier"] for request in requests)["month"] == 1
    assert {request.tags["dagster/asset_partition_range_end"] for request in requests} == {str(day)}


def ticks(schedule: dg.ScheduleDefinition, day: date) -> list[datetime]:
    """When the daemon evaluates the schedule on a day of the schedule's own time zone."""
    assert isinstance(schedule.cron_schedule, str)
    zone = schedule.execution_timezone or "UTC"
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    found: list[datetime] = []
    for tick in cron_string_iterator(midnight.timestamp(), schedule.cron_schedule, zone):
        if tick.astimezone(ZoneInfo(zone)).date() != day:
            return found
        found.append(tick)
    raise AssertionError


def evaluated(
    schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance, tick: datetime
) -> dg.ScheduleExecutionData:
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=tick) as context:
        return schedule.evaluate_tick(context)


def test_a_tick_asks_for_a_range_of_partitions_with_nothing_running_and_nothing_called(
    graph: GraphStandIn,
    environment: dict[str, str],
    dagster_instance: dg.DagsterInstance,
    today: date,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Neither is META_ACCESS_TOKEN in the process: a tick that uses a resource would fail.
    monkeypatch.delenv("DATABASE_URL")
    defs = build_definitions(Settings.from_environment(environment))
    schedule = defs.resolve_schedule_def(SCHEDULE_NAME)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    tick = ticks(schedule, today)[0]
    requests = evaluated(schedule, dagster_instance, tick).run_requests or []
    (request,) = requests
    assert dict(request.tags) == {
        **range_tags(DayWindow.trailing(today, 3)),
        "actuals/tier": "recent",
        "dagster/schedule_name": SCHEDULE_NAME,
    }
    assert (request.job_name or schedule.job_name) == JOB_NAME
    assert request.partition_key is None
    partitions = defs.resolve_asset_graph().get(dg.AssetKey("ad_actuals")).partitions_def
    assert partitions is not None
    keys = partitions.get_partition_keys_in_range(
        dg.PartitionKeyRange(str(today - timedelta(days=2)), str(today))
    )
    assert keys == [str(day) for day in DayWindow.trailing(today, 3)]
    assert graph.calls == []


TICK = datetime(2026, 3, 7, 12, 7, tzinfo=ZoneInfo("UTC"))
OWN = range_tags(RECENT)
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("actuals_pipeline"), "__repository__"),
    JOB_NAME,
)
"""What every queued run has: where the code is that the daemon will start."""


@pytest.mark.parametrize(
    ("status", "tags", "job_name", "holds"),
    [
        ("QUEUED", OWN, JOB_NAME, True),
        ("NOT_STARTED", OWN, JOB_NAME, True),
        ("STARTING", OWN, JOB_NAME, True),
        ("STARTED", OWN, JOB_NAME, True),
        ("SUCCESS", OWN, JOB_NAME, False),
        ("FAILURE", OWN, JOB_NAME, False),
        ("CANCELED", OWN, JOB_NAME, False),
        ("STARTED", range_tags(MONTH), "__ASSET_JOB", True),
        ("STARTED", range_tags(DayWindow(date(2026, 3, 7), date(2026, 3, 9))), JOB_NAME, False),
        ("STARTED", range_tags(DayWindow(date(2026, 3, 1), date(2026, 3, 7))), JOB_NAME, False),
        ("STARTED", {"dagster/partition": "2026-03-07"}, JOB_NAME, False),
        ("STARTED", {}, JOB_NAME, False),
    ],
    ids=[
        "queued",
        "not started",
        "starting",
        "started",
        "succeeded",
        "failed",
        "canceled",
        "a backfill over more days",
        "without the first day",
        "without the last day",
        "over one day",
        "over no days",
    ],
)
def test_a_tick_is_skipped_while_a_live_run_of_any_job_holds_all_of_its_days(
    status: str,
    tags: Mapping[str, str],
    job_name: str,
    holds: bool,
    dagster_instance: dg.DagsterInstance,
) -> None:
    run = dg.DagsterRun(
        job_name, tags=tags, status=dg.DagsterRunStatus[status], remote_job_origin=ORIGIN
    )
    dagster_instance.add_run(run)
    data = evaluated(schedule_of(settings_of()), dagster_instance, TICK)
    skipped = f"Run {run.run_id} still holds {RECENT}." if holds else None
    assert (data.skip_message, len(data.run_requests or ())) == (skipped, 0 if holds else 1)


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_days_are_not_held_by_a_run_whose_process_is_gone(
    dagster_instance: dg.DagsterInstance,
) -> None:
    # Of this process's number, but not this process.
    gone = {WORKER_TAG: f"{socket.gethostname()}:{os.getpid()}:0"}
    dead = dg.DagsterRun(
        JOB_NAME, tags={**OWN, **gone}, status=dg.DagsterRunStatus.STARTED, remote_job_origin=ORIGIN
    )
    dagster_instance.add_run(dead)
    data = evaluated(schedule_of(settings_of()), dagster_instance, TICK)
    assert (data.skip_message, len(data.run_requests or ())) == (None, 1)
    found = dagster_instance.get_run_by_id(dead.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE


def test_a_single_day_is_held_by_a_run_of_that_partition(
    dagster_instance: dg.DagsterInstance,
) -> None:
    run = dg.DagsterRun(
        JOB_NAME, tags={"dagster/partition": "2026-03-07"}, status=dg.DagsterRunStatus.STARTED
    )
    dagster_instance.add_run(run)
    schedule = schedule_of(settings_of(ACTUALS_START_DATE="2026-03-07"))
    data = evaluated(schedule, dagster_instance, TICK)
    assert data.skip_message == f"Run {run.run_id} still holds 2026-03-07..2026-03-07."


def test_before_the_first_partition_a_tick_says_so(dagster_instance: dg.DagsterInstance) -> None:
    schedule = schedule_of(settings_of(ACTUALS_START_DATE="2026-03-08"))
    data = evaluated(schedule, dagster_instance, TICK)
    assert (data.skip_message, data.run_requests) == ("The first partition is 2026-03-08.", [])
