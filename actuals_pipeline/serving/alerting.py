"""What `actuals alerts` answers: what is open, whether each channel works, and one look by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from actuals_pipeline.alerts.channels import Channel, channels_of
from actuals_pipeline.alerts.delivery import deliver
from actuals_pipeline.alerts.rules import Message
from actuals_pipeline.serving.answers import SCHEDULE, alert_rows
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import alerts
from actuals_pipeline.warehouse.alert_measures import Watched
from actuals_pipeline.warehouse.connection import Warehouse

TEST_MESSAGE = Message(
    "info",
    "actuals: a test",
    "Nothing is wrong: `actuals alerts test` asked whether this arrives.",
)


def listed(warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    """The open alerts, oldest first, and the channels that have not taken messages."""
    channels = channels_of(settings.alert_urls.get_secret_value())
    return {
        "open": alert_rows(alerts.open_alerts(warehouse)),
        "waiting": [
            {**row, "since": row["since"].isoformat()} for row in alerts.waiting(warehouse)
        ],
        "channels": [each.name for each in channels],
    }


def tested(settings: Settings) -> dict[str, Any]:
    """How a test message fared with each channel; needs no database."""
    channels = channels_of(settings.alert_urls.get_secret_value())
    return {"channels": [_tried(each) for each in channels]}


def looked(warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    """One look, as the sensor's, with what it sent; then what is open."""
    channels = channels_of(settings.alert_urls.get_secret_value())
    alerts.evaluate(
        warehouse,
        Watched.of(settings, SCHEDULE),
        [each.name for each in channels],
        datetime.now(UTC),
        repeat_after=timedelta(hours=settings.alert_repeat_hours),
    )
    sent = deliver(alerts.PostgresOutbox(warehouse), channels, lambda: datetime.now(UTC))
    return {**listed(warehouse, settings), "sent": [each._asdict() for each in sent]}


def _tried(channel: Channel) -> dict[str, Any]:
    error = channel.send(TEST_MESSAGE)
    return {"channel": channel.name, "is_taken": error is None, "error": error}
