"""What keeps tables small that grow by the day: Dagster's own, and the events of Meta's.

The rules are in `warehouse/dagster_events.py` and `warehouse/meta_events.py`.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.warehouse import meta_events
from actuals_pipeline.warehouse.dagster_events import RETENTION, bytes_by_table, prune_events

OP_NAME = "prune_dagster_events"
META_OP_NAME = "forget_meta_events"


def pruning(clock: Callable[[], datetime]) -> dg.OpDefinition:
    """Prune what is older than the retention at the time of `clock`; says what that freed."""

    @dg.op(
        name=OP_NAME,
        description=(
            f"Delete events of runs that ended more than {RETENTION.days} days ago and that "
            "nobody reads again; no run is deleted, and the state of every partition stays."
        ),
    )
    def prune(context: dg.OpExecutionContext, postgres: WarehouseResource) -> None:
        warehouse = postgres.warehouse()
        before = sum(bytes_by_table(warehouse).values())
        pruned = prune_events(warehouse, now=clock())
        context.add_output_metadata(
            {
                **asdict(pruned),
                "bytes_on_disk_before": before,
                "bytes_on_disk_after": sum(bytes_by_table(warehouse).values()),
            }
        )

    return prune


def forgetting(clock: Callable[[], datetime]) -> dg.OpDefinition:
    """Delete what Meta told too long ago by the time of `clock`; says how much that was."""

    @dg.op(
        name=META_OP_NAME,
        description=f"Delete events that Meta told more than {meta_events.KEPT.days} days ago.",
    )
    def forget(context: dg.OpExecutionContext, postgres: WarehouseResource) -> None:
        context.add_output_metadata(
            {"events": meta_events.forget(postgres.warehouse(), now=clock())}
        )

    return forget


def utc_now() -> datetime:
    """Now."""
    return datetime.now(UTC)
