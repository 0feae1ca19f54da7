"""Checks that pass when a query finds nothing: what it finds is what breaks the sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import dagster as dg

from actuals_pipeline.orchestration.asset_checks import Check, Verdict
from actuals_pipeline.orchestration.partitions import window_of
from actuals_pipeline.orchestration.resources import WarehouseResource

_SHOWN = 50
"""Offending rows listed in a check's metadata; the rest is counted."""


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A sentence about a table, and the query of the rows that break it.

    The query takes the run's days as `%(since)s` and `%(until)s`.  A blocking check that fails
    keeps everything downstream of its asset as it was.
    """

    asset: str
    name: str
    description: str
    query: LiteralString
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN
    is_blocking: bool = False

    def check(self) -> Check:
        """The check for the asset's step."""
        return Check(self.asset, self.name, self.description, self._verdict, self.is_blocking)

    def _verdict(self, context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Verdict:
        broken = found(postgres, self.query, days_of(context))
        return Verdict(not broken, self.severity, listed(broken))


def days_of(context: dg.AssetExecutionContext) -> dict[str, Any]:
    """The first and the last day of the run, as parameters of a query."""
    window = window_of(context.partition_keys)
    return {"since": window.since, "until": window.until}


def found(
    postgres: WarehouseResource, query: LiteralString, values: dict[str, Any]
) -> list[dict[str, Any]]:
    """The rows that a query finds, as they are named there."""
    with postgres.warehouse().transaction() as connection:
        cursor = connection.execute(query, values)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def listed(rows: Sequence[dict[str, Any]]) -> dict[str, dg.MetadataValue[Any]]:
    """How many rows offend, and the first of them as a table."""
    listed: dict[str, dg.MetadataValue[Any]] = {"offending_rows": dg.MetadataValue.int(len(rows))}
    if rows:
        listed["examples"] = dg.MetadataValue.table(
            [
                dg.TableRecord({name: str(value) for name, value in row.items()})
                for row in rows[:_SHOWN]
            ]
        )
    return listed
