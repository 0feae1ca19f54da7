"""What the sensors that look into the warehouse have in common.

Each runs from the start, and says in a sentence why it starts nothing: where no database is set,
or where it cannot be looked into, that sentence tells so and the next look tries again.
"""

from collections.abc import Callable, Sequence

import dagster as dg

from actuals_pipeline.errors import ActualsError
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse

MOST_A_TICK = 5
"""Runs that a sensor starts after one look, so that a flood comes in portions."""

Look = Callable[[dg.DagsterInstance, Warehouse], Sequence[dg.RunRequest] | str]
"""The runs to be started, of which `MOST_A_TICK` are, or why there are none."""


def warehouse_sensor(
    settings: Settings,
    look: Look,
    *,
    name: str,
    description: str,
    seconds: int,
    job_name: str | None = None,
    most_seconds: float | None = None,
) -> dg.SensorDefinition:
    """A sensor that looks every `seconds`, and waits `most_seconds` for the database's answers."""

    def looked(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        url = settings.database_url.get_secret_value()
        if not url:
            return dg.SkipReason("DATABASE_URL is not set, so there is nothing to look at.")
        try:
            found = look(context.instance, Warehouse(url, most_seconds=most_seconds))
        except ActualsError as error:
            found = str(error)
        return dg.SkipReason(found) if isinstance(found, str) else list(found[:MOST_A_TICK])

    return dg.SensorDefinition(
        name=name,
        job_name=job_name,
        evaluation_fn=looked,
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=description,
    )
