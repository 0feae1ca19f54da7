"""One daily partition a report day; all daily assets share the one definition.

A partition key is a label, the account-local calendar date, not an instant: accounts of different
time zones live in the same partition.  `end_offset=1` makes today's partition exist.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from actuals_pipeline.report_days import DayWindow, parse_day
from actuals_pipeline.settings import Settings

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Every day since ACTUALS_START_DATE, today included, in the calendar of ACTUALS_TIMEZONE."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        timezone=settings.time_zone_name,
        end_offset=1,
    )


def window_of(partition_keys: Sequence[str]) -> DayWindow:
    """The window that a run's partition keys span; a run covers one contiguous range."""
    days = [parse_day(key) for key in partition_keys]
    return DayWindow.inclusive(min(days), max(days))


def range_tags(window: DayWindow) -> dict[str, str]:
    """Run tags that make one run cover every partition of `window`."""
    return {RANGE_START_TAG: window.since.isoformat(), RANGE_END_TAG: window.until.isoformat()}


def window_of_tags(tags: dict[str, str]) -> DayWindow | None:
    """The window that a run's tags ask for, or None for a run without partitions."""
    single = tags.get("dagster/partition")
    since, until = tags.get(RANGE_START_TAG, single), tags.get(RANGE_END_TAG, single)
    if since is None or until is None:
        return None
    return DayWindow.inclusive(date.fromisoformat(since), date.fromisoformat(until))
