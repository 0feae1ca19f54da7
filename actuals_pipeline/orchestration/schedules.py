"""What runs when; above all the hourly tick: which window is due, and whether a run holds it.

Meta restates figures for 28 days, mostly the newest, so recent days are refreshed every hour, the
trailing week every six hours and the whole restatement window, up to the first settled day, once
a day.
"""

from datetime import datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from actuals_pipeline.orchestration.dead_runs import LIVE, clear_dead_runs
from actuals_pipeline.orchestration.jobs import ACCOUNTS_TAG, TIER_TAG
from actuals_pipeline.orchestration.partitions import range_tags, window_of_tags
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings

SCHEDULE_NAME = "hourly_actuals"
HEALTH_SCHEDULE_NAME = "daily_health"
MAINTENANCE_SCHEDULE_NAME = "weekly_maintenance"
TIERS = ("recent", "week", "month")
"""Of the ticks; other runs have other words."""

MINUTE = 7
"""Past the full hour, when everybody else's jobs ask Meta too."""

MONTH_TIER_HOUR = 3
"""Local hour of the daily sweep over the restatement window: little traffic, before work."""

HEALTH_HOUR, HEALTH_MINUTE = 5, 37
"""After the daily sweep and before work, between two ticks of the other schedule."""

MAINTENANCE_CRON = "47 4 * * 0"
"""Sundays, after the daily sweep and well before the next tick."""

WEEK_TIER_EVERY_HOURS = 6

WESTERN_DAYS = 1
"""Days added before each window: for an account west of the schedule's time zone it is still the
day before, so that its own trailing days begin one earlier."""


def hourly_actuals(settings: Settings, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """The schedule `hourly_actuals`, running from the start."""

    @dg.schedule(
        name=SCHEDULE_NAME,
        cron_schedule=f"{MINUTE} * * * *",
        job=job,
        execution_timezone=settings.time_zone_name,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Every hour the last {settings.recent_days} days, every {WEEK_TIER_EVERY_HOURS} "
            f"hours the last {settings.week_days}, once a day the last {settings.month_days}."
        ),
    )
    def hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tick = context.scheduled_execution_time
        tier, window = due(tick, settings)
        if window is None:
            return dg.SkipReason(f"The first partition is {settings.start_date}.")
        clear_dead_runs(context.instance)
        holder = run_over(context.instance, window)
        if holder is not None:
            return dg.SkipReason(f"Run {holder} still holds {window}.")
        return dg.RunRequest(
            run_key=f"{tick.isoformat()}:{tier}",
            tags={**range_tags(window), TIER_TAG: tier},
        )

    return hourly


def daily_health(settings: Settings, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """The schedule `daily_health`, running from the start."""
    return dg.ScheduleDefinition(
        name=HEALTH_SCHEDULE_NAME,
        cron_schedule=f"{HEALTH_MINUTE} {HEALTH_HOUR} * * *",
        job=job,
        execution_timezone=settings.time_zone_name,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Once a day what `actuals doctor` checks, shown as an asset check.",
    )


def weekly_maintenance(settings: Settings, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The schedule `weekly_maintenance`, running from the start."""
    return dg.ScheduleDefinition(
        name=MAINTENANCE_SCHEDULE_NAME,
        cron_schedule=MAINTENANCE_CRON,
        job=job,
        execution_timezone=settings.time_zone_name,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Once a week: prune what Dagster keeps of old runs and nobody reads again.",
    )


def due(tick: datetime, settings: Settings) -> tuple[str, DayWindow | None]:
    """The tier that is due at `tick` (in the schedule's time zone) and its window.

    None before the first partition.
    """
    if tick.hour == MONTH_TIER_HOUR:
        tier, days = "month", settings.month_days
    elif tick.hour % WEEK_TIER_EVERY_HOURS == MONTH_TIER_HOUR:
        tier, days = "week", settings.week_days
    else:
        tier, days = "recent", settings.recent_days
    window = DayWindow.trailing(tick.date(), days + WESTERN_DAYS)
    return tier, window.clipped(since=settings.start_date)


def run_over(
    instance: dg.DagsterInstance, window: DayWindow, account_id: str | None = None
) -> str | None:
    """The id of a live run whose partitions include the whole of `window`, if there is one.

    One that asks a single account counts for that account only.
    """
    # Of any job: a backfill from the UI runs under a job of Dagster's own.
    for run in instance.get_runs(dg.RunsFilter(statuses=LIVE)):
        if run.tags.get(ACCOUNTS_TAG) not in {None, account_id}:
            continue
        held = window_of_tags(dict(run.tags))
        if held and held.start <= window.start and window.end <= held.end:
            return run.run_id
    return None
