"""Handing requests to do something about a model to whoever does it.

The sensor `retrain_requests` looks for requests that nobody has been handed yet and starts the
job `retrain_request` for each: once for a breach, and again, ever later, only while handing it
over fails.  The job sends the webhook, if there is one; without one its own run is the message,
which others can wait for (a sensor starts jobs of its own code location only).
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from actuals_pipeline.alerts.webhook import Webhook
from actuals_pipeline.errors import SettingsError
from actuals_pipeline.orchestration.dead_runs import LIVE
from actuals_pipeline.orchestration.descriptions import source_tags
from actuals_pipeline.orchestration.maintenance import utc_now
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.orchestration.warehouse_sensors import warehouse_sensor
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import drift
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.drift import StoredRequest

SENSOR_NAME = "retrain_requests"
JOB_NAME = "retrain_request"
OP_NAME = "hand_over_retrain_request"

REQUEST_TAG = "actuals/retrain_request"
"""Names the request that a run hands over."""

SENSOR_SECONDS = 60

MOST_RUNS = 8
"""Runs that try to hand over one request, over about a week; then a person must."""
FIRST_WAIT, LONGEST_WAIT = timedelta(hours=1), timedelta(hours=48)
"""From one failed run to the next; doubles each time."""

_RUN_SECONDS = 600


def retrain_request_job(
    settings: Settings, clock: Callable[[], datetime] = utc_now
) -> dg.JobDefinition:
    """The job `retrain_request`: hands over the request that its configuration names."""
    hand_over = _handing_over(settings, clock)

    @dg.job(
        name=JOB_NAME,
        description=(
            "Hand over one request to do something about a model: by ACTUALS_RETRAIN_WEBHOOK, or, "
            "without it, by this run, which others can wait for."
        ),
        tags={"dagster/max_runtime": str(_RUN_SECONDS), **source_tags(settings)},
    )
    def retrain_request() -> None:
        hand_over()

    return retrain_request


def retrain_requests_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor `retrain_requests`."""

    def look(instance: dg.DagsterInstance, warehouse: Warehouse) -> list[dg.RunRequest] | str:
        due = list(_due(instance, drift.undelivered(warehouse, most=100), utc_now()))
        return due or "No request waits to be handed over."

    return warehouse_sensor(
        settings,
        look,
        name=SENSOR_NAME,
        job_name=JOB_NAME,
        description=(
            "Starts `retrain_request` once for each breach that `retrain_requests` has a row of."
        ),
        seconds=SENSOR_SECONDS,
    )


def _due(
    instance: dg.DagsterInstance, waiting: Sequence[StoredRequest], now: datetime
) -> Iterator[dg.RunRequest]:
    """A run for each request of which none is under way, or failed too lately or too often."""
    for request in waiting:
        tried = instance.get_run_records(
            dg.RunsFilter(job_name=JOB_NAME, tags={REQUEST_TAG: request.request_key}),
            limit=MOST_RUNS,
        )
        if tried:
            wait = min(FIRST_WAIT * 2 ** (len(tried) - 1), LONGEST_WAIT)
            is_under_way = any(each.dagster_run.status in LIVE for each in tried)
            if is_under_way or len(tried) >= MOST_RUNS or now - tried[0].update_timestamp < wait:
                continue
        # The key of the first run is the request's own, so that no second ever starts beside it.
        suffix = f"#{len(tried) + 1}" if tried else ""
        yield dg.RunRequest(
            run_key=f"{request.request_key}{suffix}",
            run_config={"ops": {OP_NAME: {"config": {"request_key": request.request_key}}}},
            tags={
                REQUEST_TAG: request.request_key,
                "actuals/model": request.model_name,
                "actuals/model_version": request.model_version,
                "actuals/action": request.action,
            },
        )


def _handing_over(settings: Settings, clock: Callable[[], datetime]) -> dg.OpDefinition:
    @dg.op(
        name=OP_NAME,
        config_schema={"request_key": str},
        description="Send the request to ACTUALS_RETRAIN_WEBHOOK, if set, and note that it was.",
    )
    def hand_over(context: dg.OpExecutionContext, postgres: WarehouseResource) -> None:
        key, warehouse = context.op_config["request_key"], postgres.warehouse()
        request = drift.stored_request(warehouse, key)
        if request is None:
            raise dg.Failure(f"actuals.retrain_requests has no request {key}.", allow_retries=False)
        context.add_output_metadata(
            {
                "action": request.action,
                "reason": request.reason,
                "model": f"{request.model_name} {request.model_version}",
                "evidence": dg.MetadataValue.json(list(request.evidence)),
            }
        )
        if request.delivered_at is not None:
            context.log.info("It was handed over at %s.", request.delivered_at)
            return
        drift.note_attempt(warehouse, key, clock())
        error = _sent(settings, request)
        drift.note_outcome(warehouse, key, error=error, now=clock())
        if error is not None:
            raise dg.Failure(f"The request was not handed over: {error}.", allow_retries=False)

    return hand_over


def _sent(settings: Settings, request: StoredRequest) -> str | None:
    """Why the webhook did not take the request; None if it did, or if there is none."""
    url = settings.retrain_webhook.get_secret_value()
    if not url:
        return None
    secret = settings.retrain_secret.get_secret_value()
    if not secret:
        raise SettingsError(
            "ACTUALS_RETRAIN_SECRET is missing; set it to what the receiver of "
            "ACTUALS_RETRAIN_WEBHOOK checks signatures with."
        )
    delivery = Webhook(url, secret).send(message_of(request), key=request.request_key)
    return delivery.error


def message_of(request: StoredRequest) -> dict[str, Any]:
    """The JSON body of a webhook."""
    return {
        "type": "retrain_request",
        "key": request.request_key,
        "model_name": request.model_name,
        "model_version": request.model_version,
        "action": request.action,
        "reason": request.reason,
        "breach_start": request.breach_start.isoformat(),
        "as_of_date": request.as_of_date.isoformat(),
        "requested_at": request.requested_at.isoformat(),
        "evidence": list(request.evidence),
    }
