"""Readers see one table: its months have all that it has, and nobody needs to know of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Table, create_engine
from sqlalchemy.pool import NullPool

from actuals_pipeline.warehouse import months, schema
from actuals_pipeline.warehouse.embedded import postgres_programs
from actuals_pipeline.warehouse.tables import TABLES, ad_actuals
from actuals_pipeline.warehouse.urls import sqlalchemy_url

Insert = Callable[..., None]

BY_MONTH = [table for table in TABLES.values() if table.info.get("by_month")]

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attcompression,
       pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = %s::regclass AND attnum > 0
ORDER BY attnum
"""
CONSTRAINTS = """
SELECT contype, pg_get_constraintdef(oid), convalidated
FROM pg_constraint WHERE conrelid = %s::regclass
ORDER BY 1, 2
"""
INDEXES = """
SELECT pg_get_indexdef(indexrelid), indisunique, indisprimary, indisvalid
FROM pg_index WHERE indrelid = %s::regclass
"""


def anatomy(connection: psycopg.Connection, relation: str) -> dict[str, list[Any]]:
    """Everything that readers and writers of a relation rely on, without its name."""
    indexes = connection.execute(INDEXES, [relation]).fetchall()
    return {
        "columns": connection.execute(COLUMNS, [relation]).fetchall(),
        "constraints": connection.execute(CONSTRAINTS, [relation]).fetchall(),
        "indexes": sorted((said.partition(" USING ")[2], *flags) for said, *flags in indexes),
    }


def months_of(connection: psycopg.Connection, table: Table) -> list[str]:
    found = months.stored(connection, table)
    return [f"{table.schema}.{months.partition_name(table, month)}" for month in found]


@pytest.mark.parametrize("table", BY_MONTH, ids=lambda table: table.name)
def test_a_month_lacks_nothing_that_its_table_has(
    connection: psycopg.Connection, table: Table
) -> None:
    months.make(connection, table, [date(2024, 2, 1), date(2024, 12, 1)])
    whole = anatomy(connection, table.fullname)
    assert all(whole.values())
    made = months_of(connection, table)
    assert len(made) >= 2
    for month in made:
        assert anatomy(connection, month) == whole, month


@pytest.fixture
def upgraded(empty_database: str) -> Iterator[psycopg.Connection]:
    """A database that was filled before there were months, and then brought to this version."""
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with create_engine(sqlalchemy_url(empty_database), poolclass=NullPool).begin() as connection:
        schema.create_schemas(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    with psycopg.connect(empty_database, autocommit=True) as filling:
        for day in (date(2025, 12, 31), date(2026, 1, 1)):
            filling.execute(
                "INSERT INTO actuals.raw_meta_insights VALUES ('42', '1', %s, '{}', '', '', now())",
                [day],
            )
            filling.execute(
                "INSERT INTO actuals.ad_actuals (account_id, ad_id, report_date, currency,"
                " purchase_action_type, impressions, clicks, link_clicks, spend, conversions,"
                " revenue, is_settled, fetched_at)"
                " VALUES ('42', '1', %s, 'EUR', '', 1, 1, 1, 1, 1, 1, false, now())",
                [day],
            )
        schema.upgrade(empty_database)
        yield filling


@pytest.mark.parametrize("table", BY_MONTH, ids=lambda table: table.name)
def test_a_month_that_a_migration_made_is_like_one_that_a_row_made(
    upgraded: psycopg.Connection, table: Table
) -> None:
    months.make(upgraded, table, [date(2026, 2, 1)])
    made = months_of(upgraded, table)
    assert len(made) == 3
    whole = anatomy(upgraded, table.fullname)
    for month in made:
        assert anatomy(upgraded, month) == whole, month
        said = upgraded.execute("SELECT obj_description(%s::regclass)", [month]).fetchone()
        assert said == (f"One month of {table.fullname}.",)


def test_who_may_read_the_table_may_read_its_months_whenever_they_are_made(
    connection: psycopg.Connection, insert: Insert
) -> None:
    connection.execute("CREATE ROLE reader")
    try:
        connection.execute("GRANT USAGE ON SCHEMA actuals TO reader")
        connection.execute("GRANT SELECT ON actuals.ad_actuals TO reader")
        for day in (date(2031, 1, 31), date(2031, 2, 1)):
            insert(ad_actuals, report_date=day)
        with connection.transaction():
            connection.execute("SET LOCAL ROLE reader")
            (count,) = connection.execute(
                "SELECT count(*) FROM actuals.ad_actuals WHERE report_date >= '2031-01-01'"
            ).fetchone() or (0,)
        assert count == 2
    finally:
        connection.execute("DROP OWNED BY reader")
        connection.execute("DROP ROLE reader")


def described(url: str, relation: str) -> list[str]:
    """What `\\d+` of psql says of a relation, but for the list of its months."""
    told = subprocess.run(
        [postgres_programs() / "psql", "--no-psqlrc", "--command", rf"\d+ {relation}", url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    listing = r"^(Number of partitions|Partitions): (.*\n)(            .*\n)*"
    listed = re.search(listing, told, re.MULTILINE)
    assert listed
    return told.replace(listed[0], "").splitlines()


def test_what_psql_says_of_the_table_is_the_same_with_and_without_months(
    connection: psycopg.Connection, database: str, insert: Insert
) -> None:
    months.drop(connection, ad_actuals, months.stored(connection, ad_actuals))
    without = described(database, ad_actuals.fullname)
    for day in (date(2026, 2, 28), date(2026, 3, 1)):
        insert(ad_actuals, report_date=day)
    assert described(database, ad_actuals.fullname) == without
    for column in ad_actuals.columns:
        (line,) = [each for each in without if each.split("|")[0].strip() == column.name]
        assert str(column.comment) in line
