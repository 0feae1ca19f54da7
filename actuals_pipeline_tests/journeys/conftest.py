"""What is stored, beside what the made-up world knows to be true."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow

Row = dict[str, Any]
Rows = Callable[..., list[Row]]

FIGURES = (
    "account_id",
    "ad_id",
    "report_date",
    "currency",
    "impressions",
    "clicks",
    "link_clicks",
    "reach",
    "spend",
    "conversions",
    "revenue",
)


@pytest.fixture
def stored(database: str) -> Rows:
    """All rows of a table of the warehouse, by key; `stored("ad_actuals")`."""

    def rows(table: str, *columns: str) -> list[Row]:
        chosen = sql.SQL(", ").join(map(sql.Identifier, columns)) if columns else sql.SQL("*")
        query = sql.SQL("SELECT {} FROM actuals.{} ORDER BY 1, 2, 3").format(
            chosen, sql.Identifier(table)
        )
        with psycopg.connect(database, row_factory=dict_row) as connection:
            return connection.execute(query).fetchall()

    return rows


@pytest.fixture
def truth(world: World) -> Rows:
    """What the world did on the days of a window, in all its accounts, in the form of `stored`."""

    def rows(window: DayWindow, account_ids: tuple[str, ...] = world.account_ids) -> list[Row]:
        found = [row for account_id in account_ids for row in world.truth(account_id, window)]
        for row in found:
            # A day with purchases alone: Meta leaves reach out, which is unknown and no zero.
            row["reach"] = row["reach"] or None
        return sorted(
            ({name: row[name] for name in FIGURES} for row in found),
            key=lambda row: (row["account_id"], row["ad_id"], row["report_date"]),
        )

    return rows


@pytest.fixture
def versions(database: str) -> Callable[[str], set[tuple[Any, ...]]]:
    """Which versions of rows a table holds; a rewritten row has another one, equal or not."""

    def of(table: str) -> set[tuple[Any, ...]]:
        query = sql.SQL("SELECT ctid::text, xmin::text FROM actuals.{}").format(
            sql.Identifier(table)
        )
        with psycopg.connect(database) as connection:
            return set(connection.execute(query).fetchall())

    return of


@pytest.fixture(scope="session")
def today() -> date:
    """The day on which the tests began, in the time zone of the settings."""
    return datetime.now(UTC).date()
