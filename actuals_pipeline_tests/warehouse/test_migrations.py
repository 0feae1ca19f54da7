"""Migrations on a database in use: from every earlier revision forward, and no row is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from actuals_pipeline.errors import SchemaOutOfDate
from actuals_pipeline.warehouse import months, schema, sealed_logs
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.urls import sqlalchemy_url
from actuals_pipeline_tests.warehouse.conftest import _USUAL

EARLIER = schema.revisions()[:-1]

DAYS = (date(2025, 1, 31), date(2025, 2, 1), date(2026, 3, 7))
"""Of three rows in each table: neighbours in different months, and another year."""

Tables = dict[str, list[dict[str, Any]]]

COLUMNS = """
SELECT attname AS name, attnotnull AS is_required, typname AS kind,
       atthasdef OR attidentity <> '' AS is_given
FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""

ALLOWED_WORDS = r"""
SELECT attname, substring(pg_get_constraintdef(pg_constraint.oid) FROM 'ANY \(\(?ARRAY\[''([^'']*)')
FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY(conkey)
WHERE conrelid = %s::regclass AND contype = 'c' AND cardinality(conkey) = 1
  AND pg_get_constraintdef(pg_constraint.oid) LIKE '%%= ANY (%%ARRAY[%%'
"""
"""For each column that takes certain words only, the first of them."""

CURRENCIES = {"from_currency": "USD", "to_currency": "EUR"}

_WITHOUT_DAY = {
    "actuals.ads": "ad_id",
    "actuals.fruitless_ads": "ad_id",
    "actuals.health_findings": "subject",
    "actuals.heartbeats": "run_id",
    "actuals.retrain_states": "model_name",
    "actuals.watched_since": "subject",
}
"""Tables that have no day in the key, and a column of it in which rows can differ."""

OF_KIND: Mapping[str, Any] = {
    "text": "some",
    "bool": True,
    "int8": 7,
    "int4": 7,
    "float8": 0.5,
    "numeric": 7,
    "jsonb": Jsonb({"some": 1}),
    "uuid": uuid4(),
    "date": DAYS[0],
    "timestamptz": datetime(2026, 3, 8, 6, tzinfo=UTC),
}


def make_months(connection: psycopg.Connection, table: str, days: Iterable[date]) -> None:
    """As an earlier version did, which had no function for it."""
    for month in months.months_of(days):
        create = sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier("actuals", f"{table}_{month:%Y_%m}"),
            sql.Identifier("actuals", table),
            sql.Literal(month),
            sql.Literal(months.next_month(month)),
        )
        connection.execute(create)


def upgraded_to(url: str, revision: str) -> None:
    """The database as the version was that ended with `revision`."""
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with create_engine(sqlalchemy_url(url), poolclass=NullPool).begin() as connection:
        schema.create_schemas(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def tables_of(connection: psycopg.Connection) -> list[str]:
    """The tables that hold rows of their own, as schema.name."""
    found = connection.execute(
        "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class "
        "WHERE relnamespace::regnamespace::text IN ('actuals', 'public') "
        "AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'schema_version' "
        "ORDER BY 1"
    )
    return [name for (name,) in found]


def fill(connection: psycopg.Connection, table: str) -> None:
    """Add three rows of different days, with something in every column.

    The logs of the product write themselves: at the end of the transaction, of what is added.
    The table of ads has the one of `ad_actuals` already.
    """
    if table in ("actuals.prediction_log", "actuals.video_log"):
        return
    with connection.cursor(row_factory=dict_row) as cursor:
        columns = cursor.execute(COLUMNS, [table]).fetchall()
    words: dict[str, Any] = dict(connection.execute(ALLOWED_WORDS, [table]).fetchall())
    if _is_partitioned(connection, table):
        make_months(connection, table.split(".")[1], DAYS)
    for number, day in enumerate(DAYS):
        if table == "actuals.ads" and number == 0:
            continue
        row: dict[str, Any] = {}
        for column in columns:
            name = column["name"]
            if column["is_given"] and name not in _USUAL:
                continue
            value = (_USUAL | words | CURRENCIES).get(name, OF_KIND[column["kind"]])
            if isinstance(value, dict):
                value = Jsonb(value)
            elif column["kind"] == "uuid":
                value = uuid4()
            row[name] = day if column["kind"] == "date" else value
        _tell_apart(row, table, number, day)
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(*table.split(".")),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        connection.execute(insert, list(row.values()))


def _tell_apart(row: dict[str, Any], table: str, number: int, day: date) -> None:
    """Make a row different from the table's others, and such as its constraints allow."""
    # Where no day is in the key, something else must tell the rows apart.
    for name in ("fingerprint", "title", "request_key", _WITHOUT_DAY.get(table)):
        if name in row:
            row[name] = f"{name} {number}"
    if "event_key" in row:
        row["event_key"] = f"{number:064x}"
    if table == "actuals.budget_snapshots":
        # What has a budget has one of two.
        del row["lifetime_budget"]
    monday = day - timedelta(days=day.weekday())
    row |= {name: monday for name in ("week", "breach_start") if name in row}


def _is_partitioned(connection: psycopg.Connection, table: str) -> bool:
    query = "SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass"
    return connection.execute(query, [table]).fetchall() == [(True,)]


def rows_of(connection: psycopg.Connection, table: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        query = sql.SQL("TABLE {}").format(sql.Identifier(*table.split(".")))
        return sorted(cursor.execute(query).fetchall(), key=str)


@pytest.mark.parametrize("revision", EARLIER)
def test_every_row_of_an_earlier_revision_is_there_after_the_upgrade(
    empty_database: str, revision: str
) -> None:
    upgraded_to(empty_database, revision)
    with psycopg.connect(empty_database) as connection:
        for table in tables_of(connection):
            fill(connection, table)
        connection.commit()
        before = contents(connection)
        seen_before = rows_of(connection, "public.performance_metrics")
    assert {len(rows) for rows in before.values()} == {len(DAYS)}
    with pytest.raises(SchemaOutOfDate, match=f"is at revision {revision}, this version needs"):
        schema.check(empty_database)

    assert schema.upgrade(empty_database) == (revision, schema.revisions()[-1])

    schema.check(empty_database)
    with psycopg.connect(empty_database) as connection:
        for table, rows in before.items():
            after = rows_of(connection, table)
            # A new column is no business of an old row.
            known = [{name: row[name] for name in rows[0]} for row in after]
            assert sorted(known, key=str) == rows, table
        assert rows_of(connection, "public.performance_metrics") == seen_before
    verification = sealed_logs.verify(Warehouse(empty_database))
    assert (verification.videos.rows, verification.videos.broken) == (len(DAYS), None)
    assert verification.predictions.broken is None


def test_an_upgrade_that_fails_halfway_leaves_a_populated_database_as_it_was(
    empty_database: str,
) -> None:
    upgraded_to(empty_database, "0001")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        for table in tables_of(connection):
            # The logs fill themselves with what the product says, when that is committed.
            if table not in ("actuals.prediction_log", "actuals.video_log"):
                fill(connection, table)
        connection.commit()
        before = contents(connection)
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET lock_timeout = '50ms'").format(name))
        with psycopg.connect(empty_database) as reader:
            # A report that takes long.  0002 gets through, 0003 wants this table.
            reader.execute("SELECT count(*) FROM actuals.prediction_accuracy")
            with pytest.raises(OperationalError, match="lock timeout"):
                schema.upgrade(empty_database)
        assert contents(connection) == before
        assert schema.upgrade(empty_database) == ("0001", schema.revisions()[-1])


def contents(connection: psycopg.Connection) -> Tables:
    return {table: rows_of(connection, table) for table in tables_of(connection)}


def test_click_windows_of_earlier_days_are_read_from_the_payloads_that_are_kept(
    empty_database: str,
) -> None:
    upgraded_to(empty_database, "0007")
    chosen = {"action_type": "omni_purchase", "value": "9"}
    payloads = [
        {"action_values": [chosen | {"1d_click": "1.50", "7d_click": "2", "28d_click": "4"}]},
        {
            "action_values": [
                chosen | {"28d_click": "3"},
                {"action_type": "purchase", "value": "9", "1d_click": "9"},
            ]
        },
        {"actions": [chosen]},
    ]
    with psycopg.connect(empty_database) as connection:
        fill(connection, "actuals.meta_account_totals")
        make_months(connection, "raw_meta_insights", DAYS[:1])
        for ad, payload in enumerate(payloads):
            connection.execute(
                "INSERT INTO actuals.raw_meta_insights VALUES ('42', %s, %s, %s, 'v26.0', 'r', %s)",
                [str(ad), DAYS[0], Jsonb(payload), datetime(2026, 3, 8, tzinfo=UTC)],
            )
    schema.upgrade(empty_database)
    query = """
        SELECT report_date, revenue_1d_click::text, revenue_7d_click::text, revenue_28d_click::text
        FROM actuals.meta_account_totals ORDER BY report_date
    """
    with psycopg.connect(empty_database) as connection:
        assert connection.execute(query).fetchall() == [
            (DAYS[0], "1.50", "2", "7"),
            *((day, None, None, None) for day in DAYS[1:]),
        ]
