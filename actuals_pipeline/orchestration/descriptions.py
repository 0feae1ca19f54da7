"""What each asset says about itself in the UI, taken from the declared tables."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql.base import PGDialect

from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.tables import TABLES

OWNERS = ["team:actuals"]

STAND_IN_NOTICE = "**Stand-in data: made up by the local Graph API stand-in, not by Meta.**\n\n"

META_POOL = "meta_api"
"""Pool that bounds the steps which call Meta, over all runs of the instance."""


def described(name: str, settings: Settings, *, group: str, kinds: set[str]) -> dict[str, Any]:
    """Description, schema, owners and tags of the asset called `name`, for its decorator."""
    table = TABLES[name]
    return {
        "description": _description(table, settings),
        "group_name": group,
        "kinds": {"postgres", *kinds},
        "owners": OWNERS,
        "tags": source_tags(settings),
        "metadata": {
            "dagster/table_name": table.fullname,
            "dagster/column_schema": column_schema(table),
        },
        "freshness_policy": dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=3), warn_window=timedelta(hours=2)
        ),
    }


def source_tags(settings: Settings) -> Mapping[str, str]:
    """Tags that mark assets and runs whose data the stand-in made up."""
    return {"actuals/source": "stand-in"} if settings.is_stand_in else {}


def column_schema(table: Table) -> dg.TableSchema:
    """Every column with its type, meaning and unit."""
    postgres = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy annotates no dialect
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type.compile(dialect=postgres).lower(),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in table.columns
        ]
    )


def _description(table: Table, settings: Settings) -> str:
    key = ", ".join(column.name for column in table.primary_key.columns)
    day = table.info["day"]
    return (
        (STAND_IN_NOTICE if settings.is_stand_in else "")
        + f"{table.comment}\n\nKey: {key}.\n\n"
        + f"```sql\nSELECT * FROM {table.fullname} WHERE {day} = CURRENT_DATE;\n```"
    )
