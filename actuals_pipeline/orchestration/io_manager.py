"""Frames into and out of Postgres, slice by slice.

An asset hands over `CoveredRows`: rows and the slices that they are all there is of.  One
transaction makes those slices equal to the rows.  The table is the one named like the asset.
"""

from collections import Counter
from datetime import date

import dagster as dg
import pandas as pd

from actuals_pipeline.orchestration.partitions import window_of
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import (
    CoveredRows,
    WriteCounts,
    read,
    replace_in_transaction,
)
from actuals_pipeline.warehouse.tables import TABLES


class PostgresIOManager(dg.ConfigurableIOManager):
    """Replaces exactly the covered slices of an asset's table; loads the partitions of a run."""

    postgres: dg.ResourceDependency[WarehouseResource]

    def handle_output(self, context: dg.OutputContext, obj: CoveredRows) -> None:
        """Write `obj` in one transaction and say, run-wide and by day, what changed."""
        counts = replace_in_transaction(self._warehouse(), TABLES[context.asset_key.path[-1]], obj)
        context.add_output_metadata(
            {
                "run_rows": len(obj.rows),
                "run_rows_inserted": counts.inserted,
                "run_rows_updated": counts.updated,
                "run_rows_unchanged": counts.unchanged,
                "run_rows_deleted": counts.deleted,
            }
        )
        self._add_restated(context, obj.rows, counts)

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """The rows of the upstream table on the run's partitions, with exact types."""
        table = TABLES[context.asset_key.path[-1]]
        return read(self._warehouse(), table, window_of(context.asset_partition_keys))

    def _warehouse(self) -> Warehouse:
        return self.postgres.warehouse()

    @staticmethod
    def _add_restated(context: dg.OutputContext, rows: pd.DataFrame, counts: WriteCounts) -> None:
        """`rows_restated` for each day: rows that a refresh changed or removed."""
        table = TABLES[context.asset_key.path[-1]]
        by_day: Counter[date] = Counter(rows[str(table.info["day"])].to_list())
        for key in context.asset_partition_keys:
            day = date.fromisoformat(key)
            # Output metadata lands on every partition of a range run alike; only the step
            # context can tell the days apart.
            context.step_context.add_asset_metadata(
                {
                    "dagster/partition_row_count": by_day[day],
                    "rows": by_day[day],
                    "rows_restated": counts.restated.get(day, 0),
                },
                context.asset_key,
                key,
            )
