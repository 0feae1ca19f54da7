"""The sensor `alert_watch`: looks at everything, tells what changed, and sends the heartbeat.

Nothing that it does holds up a run, and a channel that fails is tried again at a later look.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg

from actuals_pipeline.alerts import heartbeat
from actuals_pipeline.alerts.channels import channels_of
from actuals_pipeline.alerts.delivery import deliver
from actuals_pipeline.orchestration.jobs import JOB_NAME
from actuals_pipeline.orchestration.maintenance import utc_now
from actuals_pipeline.orchestration.schedules import SCHEDULE_NAME, TIERS
from actuals_pipeline.orchestration.warehouse_sensors import warehouse_sensor
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
    """The sensor `alert_watch`."""

    def look(_instance: dg.DagsterInstance, warehouse: Warehouse) -> str:
        channels = channels_of(settings.alert_urls.get_secret_value())
        # First, so that what is told of heartbeats is the newest try.
        _send_heartbeat(warehouse, settings, clock)
        alerts.begin_to_watch(warehouse, settings.meta_ad_account_ids, clock())
        changes = alerts.evaluate(
            warehouse,
            Watched.of(settings, SCHEDULE_NAME),
            [each.name for each in channels],
            clock(),
            repeat_after=timedelta(hours=settings.alert_repeat_hours),
        )
        sent = deliver(alerts.PostgresOutbox(warehouse), channels, clock)
        failed = [f"{each.channel}: {each.error}" for each in sent if each.error]
        count = len(changes.opened) + len(changes.repeated) + len(changes.kept)
        told = f"{count} open, {len(sent) - len(failed)} messages sent"
        return "; ".join([told, *failed]) + "."

    return warehouse_sensor(
        settings,
        look,
        name=SENSOR_NAME,
        description=(
            "Raises, repeats and ends alerts, sends them to ALERT_URLS, and asks "
            "ACTUALS_HEARTBEAT_URL after each good hourly run.  Starts no run."
        ),
        seconds=SENSOR_SECONDS,
        most_seconds=ANSWER_SECONDS,
    )


def _send_heartbeat(
    warehouse: Warehouse, settings: Settings, clock: Callable[[], datetime]
) -> None:
    """Tell the newest good run of a tick, once, if there is somebody to tell."""
    url = settings.heartbeat_url.get_secret_value()
    if not url:
        alerts.give_up_heartbeats(warehouse)
        return
    run_id = alerts.claim_heartbeat(warehouse, JOB_NAME, TIERS, clock())
    if run_id is not None:
        alerts.settle_heartbeat(warehouse, run_id, heartbeat.ping(url), clock())
