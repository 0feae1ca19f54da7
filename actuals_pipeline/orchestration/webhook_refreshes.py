"""Asking an account early because Meta told that something in it changed.

The sensor `webhook_refreshes` looks for accounts of which events came in after their last fetch
began, and starts the job for yesterday and today of that account alone: at most once in
ACTUALS_WEBHOOK_MINUTES, and not while a run holds these days anyway.  What it holds on to is in
the warehouse and in Dagster's runs, so it may be started anew at any time.  Polling stays the
source of truth: an event that is lost, or late by a day, is no loss.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG  # dagster does not export it

from actuals_pipeline.orchestration.dead_runs import clear_dead_runs
from actuals_pipeline.orchestration.jobs import ACCOUNTS_TAG, JOB_NAME, TIER_TAG
from actuals_pipeline.orchestration.maintenance import utc_now
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.schedules import run_over
from actuals_pipeline.orchestration.warehouse_sensors import warehouse_sensor
from actuals_pipeline.report_days import DayWindow, report_day, time_zone
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import history, meta_events
from actuals_pipeline.warehouse.connection import Warehouse

SENSOR_NAME = "webhook_refreshes"
TIER = "webhook"

SENSOR_SECONDS = 30

DAYS = 2
"""Yesterday and today."""


def webhook_refreshes_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor `webhook_refreshes`."""

    def look(instance: dg.DagsterInstance, warehouse: Warehouse) -> list[dg.RunRequest] | str:
        due = list(refreshes(instance, warehouse, settings, utc_now()))
        return due or "No account waits to be asked early."

    return warehouse_sensor(
        settings,
        look,
        name=SENSOR_NAME,
        job_name=JOB_NAME,
        description=(
            "Fetches yesterday and today of an account of which Meta told something by webhook, "
            f"at most once in {settings.webhook_minutes} minutes."
        ),
        seconds=SENSOR_SECONDS,
    )


def refreshes(
    instance: dg.DagsterInstance, warehouse: Warehouse, settings: Settings, now: datetime
) -> Iterator[dg.RunRequest]:
    """A run for each account that has waited, was not asked lately and is not being asked."""
    waiting = meta_events.waiting(warehouse, settings.meta_ad_account_ids, now)
    if not waiting:
        return
    clear_dead_runs(instance)
    zones = history.account_time_zones(warehouse)
    for account_id, since in waiting:
        window = _window(settings, zones.get(account_id, settings.time_zone_name), now)
        # Of the first event that waits: a run that never got to asking is not begun again.
        run_key = f"{TIER}:{account_id}:{since.isoformat()}"
        if window is None or _was_asked(instance, account_id, run_key, settings, now):
            continue
        if run_over(instance, window, account_id) is not None:
            continue
        yield dg.RunRequest(
            run_key=run_key,
            tags={**range_tags(window), TIER_TAG: TIER, ACCOUNTS_TAG: account_id},
        )


def _window(settings: Settings, zone_name: str, now: datetime) -> DayWindow | None:
    """The account's yesterday and today, as far as they are partitions."""
    today = report_day(now, time_zone(zone_name))
    days = DayWindow.trailing(today, DAYS)
    return days.clipped(since=settings.start_date, until=report_day(now, settings.zone))


def _was_asked(
    instance: dg.DagsterInstance, account_id: str, run_key: str, settings: Settings, now: datetime
) -> bool:
    """Whether the account's newest early run is the one of this key, or was begun lately."""
    records = instance.get_run_records(
        dg.RunsFilter(tags={TIER_TAG: TIER, ACCOUNTS_TAG: account_id}), limit=1
    )
    pause = timedelta(minutes=settings.webhook_minutes)
    return any(
        record.dagster_run.tags.get(RUN_KEY_TAG) == run_key or now - record.create_timestamp < pause
        for record in records
    )
