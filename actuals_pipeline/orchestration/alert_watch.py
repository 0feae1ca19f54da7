"""The sensor `alert_watch`: looks at everything, tells what changed, and sends the heartbeat.

Nothing that it does holds up a run, and a channel that fails is tried again at a later look.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg

from actuals_pipeline.alerts import heartbeat
from actuals_pipeline.alerts.channels import channels_of
from actuals_pipeline.alerts.delivery import deliver
from actuals_pipeline.errors import ActualsError
from actuals_pipeline.orchestration.jobs import JOB_NAME
from actuals_pipeline.orchestration.maintenance import utc_now
from actuals_pipeline.orchestration.schedules import SCHEDULE_NAME, TIERS
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import alerts
from actuals_pipeline.warehouse.alert_measures import Watched
from actuals_pipeline.warehouse.connection import Warehouse

SENSOR_NAME = "alert_watch"
SENSOR_SECONDS = 60

ANSWER_SECONDS = 15.0
"""Longest that the database may take.  Chosen: Dagster gives a sensor 60 s, a channel needs 30."""


def alert_watch_sensor(
    settings: Settings, clock: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """The sensor `alert_watch`, running from the start."""

    @dg.sensor(
        name=SENSOR_NAME,
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Raises, repeats and ends alerts, sends them to ALERT_URLS, and asks "
            "ACTUALS_HEARTBEAT_URL after each good hourly run.  Starts no run."
        ),
    )
    def alert_watch() -> dg.SkipReason:
        url = settings.database_url.get_secret_value()
        if not url:
            return dg.SkipReason("DATABASE_URL is not set, so there is nothing to look at.")
        try:
            return dg.SkipReason(_watched(Warehouse(url, most_seconds=ANSWER_SECONDS)))
        except ActualsError as error:
            return dg.SkipReason(str(error))

    def _watched(warehouse: Warehouse) -> str:
        channels = channels_of(settings.alert_urls.get_secret_value())
        changes = alerts.evaluate(
            warehouse,
            Watched.of(settings, SCHEDULE_NAME),
            [each.name for each in channels],
            clock(),
            repeat_after=timedelta(hours=settings.alert_repeat_hours),
        )
        sent = deliver(alerts.PostgresOutbox(warehouse), channels, clock)
        _send_heartbeat(warehouse, settings, clock)
        failed = [f"{each.channel}: {each.error}" for each in sent if each.error]
        count = len(changes.opened) + len(changes.repeated) + len(changes.kept)
        told = f"{count} open, {len(sent) - len(failed)} messages sent"
        return "; ".join([told, *failed]) + "."

    return alert_watch


def _send_heartbeat(
    warehouse: Warehouse, settings: Settings, clock: Callable[[], datetime]
) -> None:
    """Tell the newest good run of a tick, once."""
    url = settings.heartbeat_url.get_secret_value()
    run_id = alerts.claim_heartbeat(warehouse, JOB_NAME, TIERS, clock()) if url else None
    if run_id is not None:
        alerts.settle_heartbeat(warehouse, run_id, heartbeat.ping(url), clock())
