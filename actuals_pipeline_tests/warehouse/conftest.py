"""Rows of the warehouse's tables, built from the few values that a test is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote

import pandas as pd
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, Column, Table
from sqlalchemy.dialects.postgresql import JSONB

from actuals_pipeline.warehouse import embedded, months, tables

Row = dict[str, Any]

_USUAL: Row = {
    "account_id": "42",
    "ad_id": "6001",
    "report_date": date(2026, 3, 7),
    "as_of_date": date(2026, 3, 7),
    "payload": {"ad_id": "6001", "spend": "250.00"},
    "api_version": "v26.0",
    "run_id": "run-1",
    "fetched_at": datetime(2026, 3, 8, 6, tzinfo=UTC),
    "account_name": "Shoes",
    "currency": "EUR",
    "time_zone": "Europe/Berlin",
    "campaign_id": "7001",
    "campaign_name": "Spring",
    "adset_id": "8001",
    "adset_name": "Runners",
    "ad_name": "Blue shoe",
    "attribution_setting": "7d_click_1d_view",
    "purchase_action_type": "omni_purchase",
    "impressions": 50_000,
    "clicks": 750,
    "link_clicks": 600,
    "reach": 35_000,
    "spend": Decimal("250.00"),
    "conversions": 45,
    "revenue": Decimal("800.00"),
    "ctr": 0.015,
    "roas": 3.2,
    "cpm": 5.0,
    "cpc": 1 / 3,
    "frequency": 50 / 35,
    "is_settled": False,
    "is_reported": True,
    "is_stand_in": False,
    "n_ads": 1,
    "ads_spend": Decimal("250.00"),
    "meta_spend": Decimal("250.10"),
    "spend_difference": Decimal("0.10"),
    "ads_impressions": 50_000,
    "meta_impressions": 50_000,
    "impressions_difference": 0,
    "tolerance_share": Decimal("0.005"),
    "verdict": "within_tolerance",
    "model_name": "ctr",
    "model_version": "1",
    "protocol": "launch_to_date",
    "video_id": "11111111-2222-3333-4444-555555555555",
    "prediction_id": "1",
    "status": "eligible",
    "predicted_ctr": 0.025,
    "predicted_roas": 3.0,
    "predicted_at": datetime(2026, 3, 1, tzinfo=UTC),
    "days_since_prediction": 6,
    "is_attested": True,
    "ctr_status": "ok",
    "roas_status": "ok",
    "prediction_accuracy": 92.5,
    "source": "assumed",
    "dating": "unknown",
    "pace": "unknown",
    "computed_at": datetime(2026, 3, 8, 6, tzinfo=UTC),
    "scope": "currency",
    "outlook": "never",
    "basis": "observational",
    "is_winner": False,
    "kind": "account",
    "since": date(2026, 3, 7),
    "until": date(2026, 3, 7),
    "started_at": datetime(2026, 3, 8, 6, tzinfo=UTC),
    "outcome": "complete",
}


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., pd.DataFrame]:
    """A frame for a table: `rows_of(ad_actuals, {"ad_id": "1"}, {"ad_id": "2"})`."""

    def build(table: Table, *rows: Row) -> pd.DataFrame:
        filled = [_USUAL | row for row in rows]
        return pd.DataFrame(
            {
                column.name: pd.Series(
                    [row.get(column.name, None if column.nullable else 0) for row in filled],
                    dtype=_dtype(column),
                )
                for column in table.columns
            }
        )

    return build


def _dtype(column: Column[Any]) -> str:
    """The pandas dtype of a column, told apart from the store's own choice."""
    return {
        "TEXT": "str",
        "BIGINT": "Int64" if column.nullable else "int64",
        "DOUBLE": "float64",
        "BOOLEAN": "bool",
        "DATETIME": "datetime64[us, UTC]",
    }.get(str(column.type), "object")


@pytest.fixture(scope="session")
def shared_database(postgres_server: embedded.EmbeddedPostgres, database_template: str) -> str:
    """A copy of the template for all tests of this folder, one after the other."""
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        copy = sql.SQL("CREATE DATABASE shared TEMPLATE {}")
        connection.execute(copy.format(sql.Identifier(database_template)))
    return postgres_server.url("shared")


@pytest.fixture
def database(shared_database: str) -> str:
    """The shared database without a row: a tenth of what a database of one's own takes."""
    with psycopg.connect(shared_database, autocommit=True) as connection:
        emptied = [
            sql.Identifier(str(table.schema), table.name)
            for metadata in (tables.warehouse, tables.product)
            for table in metadata.sorted_tables
        ]
        # The logs of predictions and videos refuse to be emptied, as it should.
        connection.execute("SET session_replication_role = replica")
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(emptied)))
        connection.execute("ALTER DATABASE shared RESET ALL")
    return shared_database


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    """A connection of the test's own, where each statement is a transaction."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def insert(connection: psycopg.Connection) -> Callable[..., None]:
    """Add one row without the store's help: `insert(ad_actuals, ad_id="2")`."""

    def add(table: Table, **values: Any) -> None:
        names = [column.name for column in table.columns if column.name != "id"]
        nothing = {
            name: False if isinstance(table.columns[name].type, Boolean) else 0
            for name in names
            if not table.columns[name].nullable
        }
        row = nothing | _USUAL | values
        if table.info.get("by_month"):
            months.make(connection, table, months.months_of([row["report_date"]]))
        given = [
            Jsonb(row[name]) if isinstance(table.columns[name].type, JSONB) else row.get(name)
            for name in names
        ]
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(str(table.schema), table.name),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(sql.Placeholder() * len(names)),
        )
        connection.execute(query, given)

    return add


@pytest.fixture
def stored(connection: psycopg.Connection) -> Callable[[Table], list[Row]]:
    """A table's rows by key; `xmin` and `ctid` tell one version of a row from the next."""

    def rows(table: Table) -> list[Row]:
        query = sql.SQL("SELECT xmin::text, ctid::text, * FROM {} ORDER BY {}").format(
            sql.Identifier(str(table.schema), table.name),
            sql.SQL(", ").join(sql.Identifier(key.name) for key in table.primary_key.columns),
        )
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query).fetchall()

    return rows


@pytest.fixture
def odd_password() -> str:
    """A password with everything that an address gives a meaning to."""
    return "p@ss:w/rd#?%&+ 'ü\"\\"


@pytest.fixture
def password_url(
    database: str, connection: psycopg.Connection, odd_password: str
) -> Iterator[Callable[[str], str]]:
    """`database` for a role that must give `odd_password`; called with the password to give."""
    role = sql.Identifier("with_password")
    access = Path(str(_only(connection, "SHOW hba_file")))
    open_to_all = access.read_text()
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, odd_password))
    try:
        # Nobody else's access changes, so that the tests' one server serves here too.
        access.write_text(f"local all with_password scram-sha-256\n{open_to_all}")
        _reload(connection)
        yield (
            lambda password: (
                f"postgresql://with_password:{quote(password, safe='')}"
                + database.partition("//postgres")[2]
            )
        )
    finally:
        access.write_text(open_to_all)
        _reload(connection)
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def _reload(connection: psycopg.Connection) -> None:
    before = _only(connection, "SELECT pg_conf_load_time()")
    connection.execute("SELECT pg_reload_conf()")
    while _only(connection, "SELECT pg_conf_load_time()") == before:
        connection.execute("SELECT pg_sleep(0.01)")


def _only(connection: psycopg.Connection, query: LiteralString) -> object:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
