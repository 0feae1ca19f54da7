from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import Table
from sqlalchemy.exc import ProgrammingError

from actuals_pipeline.errors import SchemaOutOfDate
from actuals_pipeline.warehouse import schema
from actuals_pipeline.warehouse.tables import (
    TABLES,
    ad_actuals,
    fetch_log,
    meta_account_totals,
    model_accuracy,
    prediction_accuracy,
    raw_meta_insights,
    spend_reconciliation,
)

Insert = Callable[..., None]

NEWEST = schema.revisions()[-1]


def relations(url: str) -> set[str]:
    """Every relation that people read, as schema.name."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class "
            "WHERE relkind = ANY('{r,v,m,f,p}') AND relnamespace::regnamespace::text = "
            "ANY('{actuals,public,dagster}')"
        )
        return {str(name) for (name,) in found}


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_an_empty_database_gets_every_table_and_again_nothing(empty_database: str) -> None:
    assert schema.is_older(empty_database)
    assert schema.upgrade(empty_database) == (None, NEWEST)
    made = relations(empty_database)
    assert made == {
        *(f"actuals.{name}" for name in (*TABLES, "schema_version")),
        *(
            f"actuals.{name}"
            for name in ("ad_actuals_history", "completeness_by_age", "latest_videos")
        ),
        *(f"public.{name}" for name in ("videos", "predictions", "budgets", "performance_metrics")),
    }
    schema.check(empty_database)
    assert not schema.is_older(empty_database)

    execute(empty_database, "INSERT INTO public.videos (title) VALUES ('kept')")
    assert schema.upgrade(empty_database) == (NEWEST, NEWEST)
    assert relations(empty_database) == made
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT title FROM public.videos").fetchall() == [("kept",)]
        namespaces = connection.execute("SELECT to_regnamespace('dagster') IS NOT NULL")
        assert namespaces.fetchone() == (True,)


def test_upgrades_at_once_wait_for_one_another(empty_database: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(schema.upgrade, [empty_database] * 3))
    assert sorted(got, key=str) == [(NEWEST, NEWEST), (NEWEST, NEWEST), (None, NEWEST)]
    schema.check(empty_database)


def test_a_failed_upgrade_leaves_nothing_behind(empty_database: str) -> None:
    # The last statements of the migration need a schema that is not there.
    execute(empty_database, "DROP SCHEMA public")
    with pytest.raises(ProgrammingError, match='schema "public" does not exist'):
        schema.upgrade(empty_database)
    assert relations(empty_database) == set()
    execute(empty_database, "CREATE SCHEMA public")
    assert schema.upgrade(empty_database) == (None, NEWEST)


@pytest.mark.parametrize("forgotten", [False, True], ids=["no schema", "no revision in it"])
def test_a_database_without_our_schema_is_refused_with_what_to_do(
    empty_database: str, *, forgotten: bool
) -> None:
    if forgotten:
        execute(
            empty_database,
            "CREATE SCHEMA actuals",
            "CREATE TABLE actuals.schema_version (version_num text PRIMARY KEY)",
        )
    with pytest.raises(SchemaOutOfDate) as caught:
        schema.check(empty_database)
    assert str(caught.value) == (
        f"The database has no actuals schema yet, this version needs {NEWEST}: "
        "run `actuals db upgrade`."
    )
    assert schema.is_older(empty_database)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(empty_database: str) -> None:
    schema.upgrade(empty_database)
    execute(
        empty_database,
        "DROP TABLE actuals.fetch_log",
        "UPDATE actuals.schema_version SET version_num = '9999'",
    )
    made = relations(empty_database)
    for refuse in (schema.check, schema.upgrade):
        with pytest.raises(SchemaOutOfDate) as caught:
            refuse(empty_database)
        assert str(caught.value) == (
            "The database is at revision 9999, which is newer than this version of "
            f"actuals_pipeline knows ({NEWEST}): install the newer version."
        )
    assert not schema.is_older(empty_database)
    assert relations(empty_database) == made


def test_revisions_are_numbered_without_a_gap() -> None:
    numbers = [int(revision) for revision in schema.revisions()]
    assert numbers == list(range(1, len(numbers) + 1))


PRODUCT_OF_ANOTHER_SHAPE = {
    "integer ids": (
        "CREATE TABLE public.videos (id serial PRIMARY KEY, meta_platform_id bigint)",
        "COMMENT ON COLUMN public.videos.id IS 'theirs'",
        "INSERT INTO public.videos (meta_platform_id) VALUES (6001)",
        "CREATE TABLE public.predictions (id bigint, video_id int, predicted_ctr numeric(5, 4))",
        "INSERT INTO public.predictions VALUES (1, 1, 2.5)",
        "CREATE TABLE public.performance_metrics (id uuid PRIMARY KEY, ctr numeric(5, 4))",
        "INSERT INTO public.performance_metrics VALUES (gen_random_uuid(), 1.5)",
    ),
    "views": (
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.films (id uuid DEFAULT gen_random_uuid(), ad text)",
        "INSERT INTO shop.films (ad) VALUES ('6001')",
        "CREATE VIEW public.videos AS SELECT id, ad AS meta_platform_id FROM shop.films",
        "CREATE MATERIALIZED VIEW public.predictions AS SELECT ad FROM shop.films",
        "CREATE MATERIALIZED VIEW public.performance_metrics AS SELECT 1 AS id",
    ),
    "foreign and partitioned tables": (
        "CREATE FOREIGN DATA WRAPPER elsewhere",
        "CREATE SERVER shop FOREIGN DATA WRAPPER elsewhere",
        "CREATE FOREIGN TABLE public.videos (id uuid, meta_platform_id text) SERVER shop",
        "CREATE TABLE public.predictions (id int, day date) PARTITION BY RANGE (day)",
        "CREATE FOREIGN TABLE public.performance_metrics (id uuid) SERVER shop",
    ),
}


@pytest.mark.parametrize("kind", PRODUCT_OF_ANOTHER_SHAPE)
def test_what_the_product_has_already_is_never_altered(empty_database: str, kind: str) -> None:
    execute(empty_database, *PRODUCT_OF_ANOTHER_SHAPE[kind])
    before = product_relations(empty_database)
    assert set(before) >= {"videos", "predictions", "performance_metrics"}
    assert schema.upgrade(empty_database) == (None, NEWEST)
    schema.upgrade(empty_database)
    assert product_relations(empty_database).items() >= before.items()


def product_relations(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Each relation in `public`: its identity, owner, columns and comments, and its rows."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            """
            SELECT relname, relkind, class.oid, relfilenode, relowner, relacl, attname,
                   format_type(atttypid, atttypmod), attnotnull, atthasdef,
                   col_description(class.oid, attnum), obj_description(class.oid)
            FROM pg_class AS class JOIN pg_attribute ON attrelid = class.oid
            WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND relkind <> 'i'
            ORDER BY relname, attnum
            """
        ).fetchall()
        found = {name: [*rows] for name, rows in groupby(columns, itemgetter(0))}
        for name, rows in found.items():
            if rows[0][1] != "f":
                query = sql.SQL("TABLE public.{}").format(sql.Identifier(name))
                rows.extend(connection.execute(query).fetchall())
    return found


@pytest.mark.parametrize("missing", ["videos", "predictions", "performance_metrics"])
def test_only_what_the_product_lacks_is_created(empty_database: str, missing: str) -> None:
    names = {"videos", "predictions", "performance_metrics"} - {missing}
    execute(empty_database, *(f"CREATE TABLE public.{name} (id int)" for name in names))
    schema.upgrade(empty_database)
    n_columns = {name: len(rows) for name, rows in product_relations(empty_database).items()}
    assert {name: n_columns[name] for name in names} == dict.fromkeys(names, 1)
    assert n_columns[missing] > 5


SPECIFIED = {
    "id": "uuid",
    "video_id": "uuid",
    "platform": "character varying",
    "date": "date",
    "impressions": "bigint",
    "clicks": "bigint",
    "spend": "numeric",
    "ctr": "numeric",
    "conversions": "bigint",
    "raw_data": "jsonb",
    "created_at": "timestamp without time zone",
}
"""The specification's columns; its integers and money without their ceilings."""


@pytest.mark.parametrize(("videos", "id_type"), [("uuid", "uuid"), ("integer", "text")])
def test_the_view_has_the_columns_of_the_specification(
    empty_database: str, videos: str, id_type: str
) -> None:
    execute(empty_database, f"CREATE TABLE public.videos (id {videos})")
    schema.upgrade(empty_database)
    with psycopg.connect(empty_database) as connection:
        columns = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'public.performance_metrics'::regclass ORDER BY attnum"
        ).fetchall()
    assert dict(columns) == SPECIFIED | {"video_id": id_type}
    assert [name for name, _ in columns] == list(SPECIFIED)


def metrics(connection: psycopg.Connection) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM public.performance_metrics ORDER BY date").fetchall()


def test_the_view_adds_up_a_videos_ads_and_gives_ctr_in_percent(
    connection: psycopg.Connection, insert: Insert
) -> None:
    video = "11111111-2222-3333-4444-555555555555"
    first, second = date(2026, 3, 7), date(2026, 3, 8)
    for ad, clicks, spend in (("1", 750, "250.00"), ("2", 250, "0.01")):
        insert(ad_actuals, ad_id=ad, clicks=clicks, spend=Decimal(spend), report_date=first)
        insert(raw_meta_insights, ad_id=ad, payload={"ad": ad}, report_date=first)
    late = {"impressions": 0, "clicks": 0, "spend": Decimal(0), "reach": None, "conversions": 2}
    insert(ad_actuals, ad_id="1", report_date=second, **late)
    insert(raw_meta_insights, ad_id="1", payload={"ad": "late"}, report_date=second)
    insert(ad_actuals, ad_id="3", video_id=None, report_date=second)

    day, after = metrics(connection)
    assert {name: value for name, value in day.items() if name != "id"} == {
        "video_id": UUID(video),
        "platform": "meta",
        "date": first,
        "impressions": 100_000,
        "clicks": 1000,
        "spend": Decimal("250.01"),
        "ctr": 1,
        "conversions": 90,
        "raw_data": [{"ad": "1"}, {"ad": "2"}],
        "created_at": datetime(2026, 3, 8, 6),  # noqa: DTZ001 - the specification's column
    }
    assert (after["date"], after["ctr"], after["conversions"]) == (second, None, 2)
    assert after["raw_data"] == {"ad": "late"}
    assert day["id"] != after["id"]


def test_a_row_of_the_view_is_the_same_to_every_session(
    connection: psycopg.Connection, insert: Insert
) -> None:
    insert(ad_actuals, fetched_at=datetime(2026, 3, 8, 6, tzinfo=UTC))
    rows = metrics(connection)
    connection.execute("SET DateStyle = 'SQL, DMY'")
    connection.execute("SET TimeZone = 'Pacific/Honolulu'")
    assert metrics(connection) == rows


@pytest.mark.parametrize(
    ("table", "values", "constraint"),
    [
        *(
            (table, {column: Decimal(amount)}, f"{table.name}_{column}{suffix}_check")
            for table, columns in (
                (ad_actuals, ("spend", "revenue")),
                (meta_account_totals, ("spend", "revenue")),
                (spend_reconciliation, ("ads_spend", "meta_spend")),
                (prediction_accuracy, ("spend", "revenue")),
            )
            for column in columns
            for amount, suffix in (("-0.01", ""), ("NaN", "_finite"), ("Infinity", "_finite"))
            # Refunds may exceed what was sold that day.
            if (column, amount) != ("revenue", "-0.01")
        ),
        (ad_actuals, {"revenue": Decimal("-Infinity")}, "ad_actuals_revenue_finite_check"),
        *(
            (ad_actuals, {column: -1}, f"ad_actuals_{column}_check")
            for column in ("impressions", "clicks", "link_clicks", "reach")
        ),
        *(
            (ad_actuals, {"currency": code}, "ad_actuals_currency_check")
            for code in ("eur", "EURO", "", "EU\n")
        ),
        (spend_reconciliation, {"currency": "?"}, "spend_reconciliation_currency_check"),
        (
            spend_reconciliation,
            {"spend_difference": Decimal("0.11")},
            "spend_reconciliation_spend_difference_check",
        ),
        (spend_reconciliation, {"verdict": "fine"}, "spend_reconciliation_verdict_check"),
        (prediction_accuracy, {"status": "fine"}, "prediction_accuracy_status_check"),
        (prediction_accuracy, {"ctr_accuracy": 1.01}, "prediction_accuracy_ctr_accuracy_check"),
        (prediction_accuracy, {"roas_accuracy": -0.1}, "prediction_accuracy_roas_accuracy_check"),
        (
            model_accuracy,
            {"prediction_accuracy": 100.1},
            "model_accuracy_prediction_accuracy_check",
        ),
        (fetch_log, {"outcome": "fine"}, "fetch_log_outcome_check"),
        (fetch_log, {"kind": "fine"}, "fetch_log_kind_check"),
    ],
    ids=lambda value: value.name if isinstance(value, Table) else str(value),
)
def test_a_row_that_cannot_be_true_is_refused(
    insert: Insert, table: Table, values: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        insert(table, **values)
    assert caught.value.diag.constraint_name == constraint
    # The rest of the row is fine.
    insert(table)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("predicted_ctr", 2),
        ("predicted_ctr", -0.1),
        ("predicted_ctr", "NaN"),
        ("predicted_roas", -1),
        ("predicted_roas", "NaN"),
        ("predicted_roas", "Infinity"),
    ],
)
def test_a_prediction_that_makes_no_sense_is_refused(
    connection: psycopg.Connection, column: str, value: object
) -> None:
    statement = sql.SQL("INSERT INTO public.predictions (video_id, {}) VALUES (%s, %s)").format(
        sql.Identifier(column)
    )
    video = UUID(int=1)
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        connection.execute(statement, [video, value])
    assert caught.value.diag.constraint_name == f"predictions_{column}_check"
    connection.execute(statement, [video, 1])


def test_every_table_and_column_of_the_warehouse_is_explained(
    connection: psycopg.Connection,
) -> None:
    explained = connection.execute(
        """
        SELECT relname, attname, col_description(class.oid, attnum), obj_description(class.oid)
        FROM pg_class AS class JOIN pg_attribute ON attrelid = class.oid
        WHERE relnamespace = 'actuals'::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND attnum > 0 AND NOT attisdropped
            AND relname <> 'schema_version'
        """
    ).fetchall()
    assert {table for table, *_ in explained} == set(TABLES)
    mute = [(table, name) for table, name, *texts in explained if not all(texts)]
    assert mute == []
