"""What each asset says about itself in the UI, taken from the declared tables."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql.base import PGDialect

from actuals_pipeline.orchestration.asset_pages import PAGES
from actuals_pipeline.orchestration.column_sources import lineage_of, sources_of
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
        "description": description(table, is_stand_in=settings.is_stand_in),
        "group_name": group,
        "kinds": {"postgres", *kinds, *source_kinds(settings)},
        "owners": OWNERS,
        "tags": source_tags(settings),
        "metadata": {
            "dagster/table_name": table.fullname,
            "dagster/column_schema": column_schema(table),
            **lineage_of(name),
            "report": dg.MetadataValue.url(settings.report_url),
        },
        "freshness_policy": dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=3), warn_window=timedelta(hours=2)
        ),
    }


def source_tags(settings: Settings) -> Mapping[str, str]:
    """Tags that mark assets and runs whose data the stand-in made up."""
    return {"actuals/source": "stand-in"} if settings.is_stand_in else {}


def source_kinds(settings: Settings) -> set[str]:
    """A badge for such assets, in the graph and in every list."""
    return {"stand-in"} if settings.is_stand_in else set()


def column_schema(table: Table) -> dg.TableSchema:
    """Every column with its type, meaning and unit, and where it comes from."""
    postgres = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy annotates no dialect
    sources = sources_of(table.name)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type.compile(dialect=postgres).lower(),
                description=_said_of(column, sources.get(column.name, [])),
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in table.columns
        ]
    )


def _said_of(column: Column[Any], sources: Sequence[str]) -> str | None:
    if not sources:
        return column.comment
    return f"{column.comment} From {', '.join(f'`{source}`' for source in sources)}."


def description(table: Table, *, is_stand_in: bool = False) -> str:
    """What one row is, its key, and a question that the table answers, in Markdown."""
    key = ", ".join(f"`{column.name}`" for column in table.primary_key.columns)
    page = PAGES[table.name]
    # What a row is comes first: lists show the beginning alone.
    return (
        f"{table.comment}\n\n{STAND_IN_NOTICE if is_stand_in else ''}Key: {key}.\n\n"
        f"{page.question}:\n\n```sql\n{page.query};\n```"
    )
