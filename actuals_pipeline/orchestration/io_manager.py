"""Frames into and out of Postgres, slice by slice.

An asset hands over `Parts`: rows, window by window, each with the slices that they are all there
is of.  A transaction each makes those slices equal to the rows.  The table is the one named like
the asset.  The asset that fetches has written already, with what belongs to it in the same
transactions, and hands over its `Tally`.
"""

from datetime import date

import dagster as dg
import pandas as pd

from actuals_pipeline.orchestration.partitions import window_of
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import Parts, StoredDays, Tally, replace_in_transaction
from actuals_pipeline.warehouse.tables import TABLES


class PostgresIOManager(dg.ConfigurableIOManager):
    """Replaces exactly the covered slices of an asset's table; loads the partitions of a run."""

    postgres: dg.ResourceDependency[WarehouseResource]

    def handle_output(self, context: dg.OutputContext, obj: Parts | Tally) -> None:
        """Write `obj`, part by part, and say, run-wide and by day, what changed."""
        tally = obj if isinstance(obj, Tally) else self._written(context, obj)
        context.add_output_metadata(
            {
                "run_rows": tally.rows.total(),
                "run_rows_inserted": tally.counts.inserted,
                "run_rows_updated": tally.counts.updated,
                "run_rows_unchanged": tally.counts.unchanged,
                "run_rows_deleted": tally.counts.deleted,
                "run_rows_superseded": tally.counts.superseded,
            }
        )
        self._add_by_day(context, tally)

    def load_input(self, context: dg.InputContext) -> StoredDays | pd.DataFrame:
        """The upstream table on the run's partitions, with exact types.

        A frame, unless the asset asks for `StoredDays`, to read it in parts.
        """
        table = TABLES[context.asset_key.path[-1]]
        days = StoredDays(self._warehouse(), table, window_of(context.asset_partition_keys))
        return days if context.dagster_type.typing_type is StoredDays else days.read()

    def _warehouse(self) -> Warehouse:
        return self.postgres.warehouse()

    def _written(self, context: dg.OutputContext, parts: Parts) -> Tally:
        table = TABLES[context.asset_key.path[-1]]
        tally = Tally()
        for content in parts:
            counts = replace_in_transaction(self._warehouse(), table, content)
            tally.add(content.rows[str(table.info["day"])], counts)
        return tally

    @staticmethod
    def _add_by_day(context: dg.OutputContext, tally: Tally) -> None:
        """`rows_restated` for each day: rows that a refresh changed or removed."""
        for key in context.asset_partition_keys:
            day = date.fromisoformat(key)
            # Output metadata lands on every partition of a range run alike; only the step
            # context can tell the days apart.
            context.step_context.add_asset_metadata(
                {
                    "dagster/partition_row_count": tally.rows[day],
                    "rows": tally.rows[day],
                    "rows_restated": tally.counts.restated.get(day, 0),
                },
                context.asset_key,
                key,
            )
