"""The jobs: the daily assets over the partitions of a run, the health check, the maintenance.

The health check has a job of its own, because in a run of the assets Dagster skips the checks of
an asset that failed: it would be silent when the token has died.
"""

from collections.abc import Callable
from datetime import datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; dagster does not export it
)

from actuals_pipeline.orchestration.checks import HEALTH_CHECK
from actuals_pipeline.orchestration.descriptions import source_tags
from actuals_pipeline.orchestration.maintenance import forgetting, pruning, utc_now
from actuals_pipeline.settings import Settings

JOB_NAME = "actuals_job"
HEALTH_JOB_NAME = "health_job"
MAINTENANCE_JOB_NAME = "maintenance_job"

PROCESS_TAG = "actuals/process"
"""Marks a run of the command line and names the process that executes it."""

WORKER_TAG = "actuals/worker"
"""Names the process that executes a run of Dagster's own."""

TIER_TAG = "actuals/tier"
"""Says why a run runs: the tier of the tick, `webhook`, `sync`, `backfill`, or who started it."""

BY_HAND = "by hand"
"""The tier of a run that somebody launched from a job's page: whoever else launches says so."""

_HEALTH = dg.AssetSelection.checks(HEALTH_CHECK)

ACCOUNTS_TAG = "actuals/account"
"""Names the one account that a run asks, where it does not ask all of them."""

MAX_RUNTIME_TAG = "dagster/max_runtime"

MAX_RUN_SECONDS = 7200
"""A run that takes longer is stopped, so that a lost worker cannot hold its window for ever."""


def actuals_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """Fetch, normalize, reconcile and score the partitions of a run."""
    return dg.define_asset_job(
        JOB_NAME,
        selection=dg.AssetSelection.groups("meta", "actuals", "accuracy", "investment", "advice")
        - _HEALTH,
        description="Fetch, normalize, reconcile, score and sum up the report days of a run.",
        tags={
            MAX_RUNTIME_TAG: str(MAX_RUN_SECONDS),
            TIER_TAG: BY_HAND,
            **source_tags(settings),
        },
    )


def health_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """Check once a day what `actuals doctor` checks."""
    return dg.define_asset_job(
        HEALTH_JOB_NAME,
        selection=_HEALTH,
        description="Check token, accounts, API version, clock, database, disk and schedule.",
        tags={MAX_RUNTIME_TAG: str(MAX_RUN_SECONDS), **source_tags(settings)},
    )


def maintenance_job(clock: Callable[[], datetime] = utc_now) -> dg.JobDefinition:
    """Keep Dagster's own tables and the events of Meta's from growing without bound."""
    prune, forget = pruning(clock), forgetting(clock)

    @dg.job(
        name=MAINTENANCE_JOB_NAME,
        description="Prune what is kept of old runs and of Meta's events and nobody reads again.",
        tags={"dagster/max_runtime": str(MAX_RUN_SECONDS)},
    )
    def maintenance() -> None:
        prune()
        forget()

    return maintenance
