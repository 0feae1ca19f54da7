"""Assemble the code location; every part is listed by name."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from actuals_pipeline.orchestration import assets, checks, model_watch
from actuals_pipeline.orchestration.alert_watch import alert_watch_sensor
from actuals_pipeline.orchestration.io_manager import PostgresIOManager
from actuals_pipeline.orchestration.jobs import actuals_job, health_job, maintenance_job
from actuals_pipeline.orchestration.partitions import daily_partitions
from actuals_pipeline.orchestration.report import regular_report, report_job, reported
from actuals_pipeline.orchestration.resources import MetaApi, WarehouseResource
from actuals_pipeline.orchestration.retrain_requests import (
    retrain_request_job,
    retrain_requests_sensor,
)
from actuals_pipeline.orchestration.schedules import (
    daily_health,
    hourly_actuals,
    weekly_maintenance,
)
from actuals_pipeline.orchestration.single_ads import single_ad_job
from actuals_pipeline.orchestration.webhook_refreshes import webhook_refreshes_sensor
from actuals_pipeline.settings import Settings


def build_definitions(
    settings: Settings, *, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """The code location for `settings`; `resources` replaces resources by name.

    Connects to nothing: what is missing is said when a run starts.
    """
    daily: assets.Daily = {
        "partitions_def": daily_partitions(settings),
        "backfill_policy": _backfill_policy(settings),
    }
    job, health, maintenance = actuals_job(settings), health_job(settings), maintenance_job()
    report = report_job(settings)
    given = dict(resources or {})
    postgres = given.pop("postgres", WarehouseResource(database_url=dg.EnvVar("DATABASE_URL")))
    with warnings.catch_warnings():
        # `backfill_policy` is in beta; that is known here and nothing for a reader of logs.
        warnings.simplefilter("ignore", dg.BetaWarning)
        daily_assets = [
            assets.meta_fetch(settings, daily),
            assets.normalized(settings, daily),
            assets.reconciled(settings, daily),
            assets.matured(settings, daily),
            assets.scored(settings, daily),
            assets.judged(settings, daily),
            assets.described_models(settings, daily),
            model_watch.drifted(settings, daily),
            model_watch.decided(settings, daily),
            assets.invested(settings, daily),
            assets.planned(settings, daily),
            assets.paced(settings, daily),
            assets.won(settings, daily),
            assets.budgeted(settings, daily),
        ]
    return dg.Definitions(
        assets=[*assets.product_tables(settings), *daily_assets, reported(settings)],
        asset_checks=[checks.health_check(settings)],
        jobs=[
            job,
            single_ad_job(settings),
            health,
            maintenance,
            report,
            retrain_request_job(settings),
        ],
        schedules=[
            hourly_actuals(settings, job),
            daily_health(settings, health),
            weekly_maintenance(settings, maintenance),
            regular_report(settings, report),
        ],
        sensors=[
            webhook_refreshes_sensor(settings),
            retrain_requests_sensor(settings),
            alert_watch_sensor(settings),
        ],
        resources={
            "meta": MetaApi.of(settings),
            "postgres": postgres,
            "io_manager": PostgresIOManager(postgres=postgres),
            **given,
        },
        # A few short steps gain nothing from a process each: 0.6 s against 8 s.
        executor=dg.in_process_executor,
    )


def _backfill_policy(settings: Settings) -> dg.BackfillPolicy:
    """A backfill of the UI in one run, or in as many as ACTUALS_BACKFILL_DAYS makes of it."""
    if settings.backfill_days is None:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=settings.backfill_days)
