"""What a refresh leaves behind: nothing for rows that did not change, however many there are."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Table

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import (
    ad_actuals,
    ad_actuals_revisions,
    raw_meta_insights,
)

RowsOf = Callable[..., pd.DataFrame]

DAYS = DayWindow.inclusive(date(2026, 2, 27), date(2026, 3, 3))
ADS = 1_000
ROWS = ADS * len(DAYS)

LOGGED_KILOBYTES = 100
"""Three times what the staging table's own entries in Postgres's catalogue take (35 kB at most).

The rows would take 15 to 100 times as much: one alone logs its own 300 bytes and 3 index entries.
"""


@pytest.fixture(params=[raw_meta_insights, ad_actuals], ids=lambda table: str(table.name))
def table(request: pytest.FixtureRequest) -> Table:
    """Both large tables; the second has revisions."""
    given: Table = request.param
    return given


@pytest.fixture
def rows(table: Table, rows_of: RowsOf) -> pd.DataFrame:
    """Five thousand rows in two months."""
    return rows_of(
        table,
        *({"ad_id": str(n), "report_date": day} for n in range(ADS) for day in DAYS),
    )


def replaced(warehouse: Warehouse, table: Table, rows: pd.DataFrame) -> store.WriteCounts:
    fetched_at = datetime(2026, 3, 8, 6, tzinfo=UTC)
    covered = (Slice(DAYS, "42", None, fetched_at, date(2026, 3, 8)),)
    return store.replace_in_transaction(warehouse, table, CoveredRows(rows, covered))


def versions(connection: psycopg.Connection, table: Table) -> set[tuple[Any, ...]]:
    query = sql.SQL("SELECT tableoid, ctid::text, xmin::text, xmax::text FROM {}")
    return set(connection.execute(query.format(name_of(table))).fetchall())


def name_of(table: Table) -> sql.Identifier:
    return sql.Identifier(str(table.schema), table.name)


def logged_kilobytes(connection: psycopg.Connection, step: Callable[[], object]) -> float:
    """What is added to the log meanwhile; somebody else's part is in it."""
    (before,) = only(connection, "SELECT pg_current_wal_insert_lsn()")
    step()
    (added,) = only(connection, "SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before)
    return float(added) / 1024


def changes(connection: psycopg.Connection, table: Table) -> tuple[int, int]:
    """Updates ever, and dead versions, of the table's partitions, as Postgres counted them."""
    query = """
        SELECT sum(n_tup_upd)::bigint, sum(n_dead_tup)::bigint
        FROM pg_stat_user_tables JOIN pg_inherits ON inhrelid = relid
        WHERE inhparent = %s::regclass
    """
    updates, dead = only(connection, query, table.fullname)
    return int(updates), int(dead)


def only(connection: psycopg.Connection, query: str, *values: object) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


def test_a_refresh_without_news_writes_no_row_and_next_to_no_log(
    warehouse: Warehouse, connection: psycopg.Connection, table: Table, rows: pd.DataFrame
) -> None:
    assert replaced(warehouse, table, rows).inserted == ROWS
    tables = (table, ad_actuals_revisions)
    before = [versions(connection, each) for each in tables]
    logged = [
        logged_kilobytes(connection, lambda: replaced(warehouse, table, rows)) for _ in range(3)
    ]
    assert [versions(connection, each) for each in tables] == before
    assert min(logged) < LOGGED_KILOBYTES


def test_only_a_changed_row_leaves_a_dead_version(
    warehouse: Warehouse, connection: psycopg.Connection, table: Table, rows: pd.DataFrame
) -> None:
    replaced(warehouse, table, rows)
    updates_before, dead_before = changes(connection, table)
    for _ in range(3):
        replaced(warehouse, table, rows)
    one = {"payload": {"spend": "1"}} if table is raw_meta_insights else {"clicks": 1}
    name, value = next(iter(one.items()))
    changed = rows.assign(**{name: [value, *rows[name][1:]]}).astype({name: rows[name].dtype})
    assert replaced(warehouse, table, changed).updated == 1
    # Postgres counts when a connection has ended; this one was the last.
    deadline = time.monotonic() + 20
    while changes(connection, table)[0] == updates_before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert changes(connection, table) == (updates_before + 1, dead_before + 1)
