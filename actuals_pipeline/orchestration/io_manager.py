"""Frames into and out of Postgres, slice by slice.

An asset hands over `Parts`: rows, window by window, each with the slices that they are all there
is of.  A transaction each makes those slices equal to the rows.  The table is the one named like
the asset.  The asset that fetches has written already, with what belongs to it in the same
transactions, and hands over its `Tally`.
"""

from datetime import date
from typing import Any

import dagster as dg
import pandas as pd

from actuals_pipeline.orchestration.asset_pages import preview
from actuals_pipeline.orchestration.partitions import window_of
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import Parts, Tally, read, replace_in_transaction
from actuals_pipeline.warehouse.tables import TABLES


class PostgresIOManager(dg.ConfigurableIOManager):
    """Replaces exactly the covered slices of an asset's table; loads the partitions of a run."""

    postgres: dg.ResourceDependency[WarehouseResource]

    def handle_output(self, context: dg.OutputContext, obj: Parts | Tally) -> None:
        """Write `obj`, part by part, and say, run-wide and by day, what changed."""
        written = (obj, pd.DataFrame()) if isinstance(obj, Tally) else self._written(context, obj)
        self._tell(context, *written)

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """The upstream table on the run's partitions, with exact types.

        For whom an asset is handed over whole; ours read the days of a part at a time.
        """
        table = TABLES[context.asset_key.path[-1]]
        return read(self._warehouse(), table, window_of(context.asset_partition_keys))

    def _warehouse(self) -> Warehouse:
        return self.postgres.warehouse()

    def _written(self, context: dg.OutputContext, parts: Parts) -> tuple[Tally, pd.DataFrame]:
        """What was written, and the rows of the newest day of the run."""
        table = TABLES[context.asset_key.path[-1]]
        day_column, newest = str(table.info["day"]), _newest(context)
        tally, newest_rows = Tally(), pd.DataFrame()
        for content in parts:
            counts = replace_in_transaction(self._warehouse(), table, content)
            days = content.rows[day_column]
            tally.add(days, counts)
            # Parts come in the order of their days, so that the last one has the newest.
            newest_rows = content.rows[days.eq(newest)]
        return tally, newest_rows

    @staticmethod
    def _tell(context: dg.OutputContext, tally: Tally, newest_rows: pd.DataFrame) -> None:
        """For each day its rows and how many a refresh changed or removed; of the run, in words.

        What is of the run stands on its newest day alone: said on every day it would be stored
        as often, and plotted as a line of one height.
        """
        asset, newest = context.asset_key, _newest(context)
        for key in context.asset_partition_keys:
            day = date.fromisoformat(key)
            shown: dict[str, Any] = {
                "rows": tally.rows[day],
                "rows_restated": tally.counts.restated.get(day, 0),
            }
            if day == newest:
                shown |= {"run_wrote": _told(tally), **preview(asset.path[-1], newest_rows)}
            # Output metadata lands on every partition of a range run alike; only the step
            # context can tell the days apart.
            context.step_context.add_asset_metadata(shown, asset, key)


def _newest(context: dg.OutputContext) -> date:
    return date.fromisoformat(max(context.asset_partition_keys))


def _told(tally: Tally) -> str:
    """Such as `643 rows: 12 new, 3 changed, 628 unchanged, 0 removed`."""
    counts = tally.counts
    left_aside = f", {counts.superseded} older than what was there" if counts.superseded else ""
    return (
        f"{tally.rows.total()} rows: {counts.inserted} new, {counts.updated} changed, "
        f"{counts.unchanged} unchanged, {counts.deleted} removed{left_aside}"
    )
