"""The monthly partitions of the large tables: made when a month's first row comes, dropped whole.

Readers see one table; Postgres reads only the months that a query's days lie in, and forgetting
an old month costs no more than dropping a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import psycopg
from psycopg import sql
from sqlalchemy import Table

_MISSING = """
SELECT month
FROM unnest(%s::date[], %s::text[]) AS wanted (month, name)
WHERE to_regclass(name) IS NULL
ORDER BY month
"""

_MAKE = "SELECT actuals.make_month(%s, %s)"
"""By a function with the rights of the tables' owner: the role that writes rows has none."""

_STORED = """
SELECT to_date(right(child.relname, 7), 'YYYY_MM')
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = to_regclass(%s)
ORDER BY 1
"""


def first_of_month(day: date) -> date:
    """The first day of the month of `day`."""
    return day.replace(day=1)


def next_month(month: date) -> date:
    """The first day of the month after that of `month`."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def months_of(days: Iterable[date]) -> list[date]:
    """The first days of the months in which `days` lie, in order."""
    return sorted({first_of_month(day) for day in set(days)})


def make(connection: psycopg.Connection, table: Table, months: Iterable[date]) -> None:
    """Give `table` a partition for each of `months` (first days) that it lacks.

    The caller holds the writers' lock of each month (`store.hold`), so that nobody makes the same
    partition at the same time.
    """
    listed = list(months)
    names = [f"{table.schema}.{partition_name(table, month)}" for month in listed]
    for (month,) in connection.execute(_MISSING, [listed, names]).fetchall():
        connection.execute(_MAKE, [table.name, month])


def stored(connection: psycopg.Connection, table: Table) -> list[date]:
    """The months (first days) for which `table` has a partition, in order."""
    return [month for (month,) in connection.execute(_STORED, [table.fullname]).fetchall()]


def drop(connection: psycopg.Connection, table: Table, months: Iterable[date]) -> None:
    """Drop whole partitions of `table`, with all their rows."""
    for month in months:
        partition = sql.Identifier(str(table.schema), partition_name(table, month))
        connection.execute(sql.SQL("DROP TABLE {}").format(partition))


def partition_name(table: Table, month: date) -> str:
    """The name of the table's partition for a month, such as `ad_actuals_2026_03`."""
    return f"{table.name}_{month:%Y_%m}"
