"""The command line in this process, rows put straight into the tables, and what is stored."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import Table

from actuals_pipeline.serving.cli import main
from actuals_pipeline.warehouse import embedded, months, schema, tables

Row = dict[str, Any]
Command = Callable[..., Result]
Insert = Callable[..., None]
Stored = Callable[..., list[Row]]

SHARED = "shared_by_serving"

VIDEO_ID = UUID("11111111-2222-3333-4444-555555555555")

_USUAL: Row = {
    "account_id": "42",
    "account_name": "Shoes",
    "ad_id": "6001",
    "api_version": "v26.0",
    "as_of_date": date(2026, 3, 7),
    "currency": "EUR",
    "fetched_at": datetime(2026, 3, 8, 6, tzinfo=UTC),
    "kind": "account",
    "model_name": "ranker",
    "model_version": "1",
    "outcome": "complete",
    "period_start": date(2026, 3, 1),
    "protocol": "launch_to_date",
    "purchase_action_type": "omni_purchase",
    "reason": "as_planned",
    "report_date": date(2026, 3, 7),
    "run_id": "run-1",
    "since": date(2026, 3, 7),
    "started_at": datetime(2026, 3, 8, 6, tzinfo=UTC),
    "time_zone": "Europe/Berlin",
    "tolerance_share": Decimal("0.005"),
    "until": date(2026, 3, 7),
    "verdict": "exact",
}


@pytest.fixture(scope="session")
def shared_database(postgres_server: embedded.EmbeddedPostgres, database_template: str) -> str:
    """A copy of the template for all tests of this folder, one after the other."""
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        names = (sql.Identifier(SHARED), sql.Identifier(database_template))
        connection.execute(copy.format(*names))
    return postgres_server.url(SHARED)


@pytest.fixture
def database(shared_database: str) -> str:
    """The shared database as it was at first: a tenth of what one of a test's own takes."""
    with psycopg.connect(shared_database, autocommit=True) as connection:
        filled = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables "
            "WHERE schemaname IN ('actuals', 'public', 'dagster') AND tablename NOT IN "
            "('schema_version', 'alembic_version', 'secondary_indexes', 'instance_info')"
        ).fetchall()
        # All of them go, so foreign keys need no order.
        connection.execute("SET session_replication_role = replica")
        deletes = [sql.SQL("DELETE FROM {}").format(sql.Identifier(*names)) for names in filled]
        connection.execute(sql.SQL("; ").join(deletes))
        newest = schema.revisions()[-1]
        connection.execute("UPDATE actuals.schema_version SET version_num = %s", [newest])
        connection.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(sql.Identifier(SHARED)))
    return shared_database


@pytest.fixture
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is the test's, so that no .env of the developer's is read."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(environment: dict[str, str], in_own_folder: None) -> Command:
    """Run what needs no Dagster in this process: `command("stats", DATABASE_URL="...")`.

    Without Dagster, because that is configured by this process's own environment.
    """

    def run(*arguments: str, **variables: str) -> Result:
        return CliRunner().invoke(main, arguments, env={**environment, **variables})

    return run


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody listens, so that `up` starts nothing even when it should refuse."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.fixture
def insert(database: str) -> Insert:
    """Add one row: `insert("ad_actuals", spend=Decimal("1.50"))`; what is not given is usual or 0.

    `videos` and `predictions` are the product's, every other table is the warehouse's.
    """

    def add(name: str, /, **values: Any) -> None:
        with psycopg.connect(database) as connection:
            insert_row(connection, name, values)

    return add


def insert_row(connection: psycopg.Connection, name: str, values: Row) -> None:
    """Add one row of a table; what is not given is usual or 0."""
    table = _table(name)
    required = [
        column.name
        for column in table.columns
        if not column.nullable and column.identity is None and column.server_default is None
    ]
    row = {column: _USUAL.get(column, 0) for column in required} | values
    row = {
        column: bool(value) if str(table.columns[column].type) == "BOOLEAN" else value
        for column, value in row.items()
    }
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(str(table.schema), table.name),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    if table.info.get("by_month"):
        months.make(connection, table, months.months_of([row["report_date"]]))
    connection.execute(query, list(row.values()))


@pytest.fixture
def stored(database: str) -> Stored:
    """The rows of a table, by key: `stored("videos", "title")`; all columns if none is named."""

    def rows(name: str, *columns: str) -> list[Row]:
        table = _table(name)
        query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)) if columns else sql.SQL("*"),
            sql.Identifier(str(table.schema), table.name),
            sql.SQL(", ").join(sql.Identifier(key.name) for key in table.primary_key.columns),
        )
        with psycopg.connect(database, row_factory=dict_row) as connection:
            return connection.execute(query).fetchall()

    return rows


@pytest.fixture
def home() -> Iterator[Path]:
    """A home for an embedded Postgres, reachable for its account; nothing of it may be left."""
    folder = Path(tempfile.mkdtemp(prefix="actuals-home-"))
    folder.chmod(0o711)
    try:
        yield folder
        eventually(lambda: not processes_of(folder))
    finally:
        for place in (folder, folder / "demo"):
            embedded.stop(place)
        shutil.rmtree(folder)


def rows_anywhere(database: str) -> Mapping[str, int]:
    """How many rows each table of ours, of the product's and of Dagster's runs has, if any."""
    names = [
        *((str(table.schema), table.name) for table in tables.warehouse.sorted_tables),
        *((str(table.schema), table.name) for table in tables.product.sorted_tables),
        *(("dagster", name) for name in ("runs", "event_logs", "bulk_actions")),
    ]
    counts = {}
    with psycopg.connect(database) as connection:
        for schema, name in names:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, name))
            (count,) = connection.execute(query).fetchone() or (0,)
            counts[name] = count
    return {name: count for name, count in counts.items() if count}


def processes_of(home: Path) -> dict[int, str]:
    """Processes, other than this one, that name `home` in their arguments or environment."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
            named = str(home).encode() in arguments + b"\0" + (process / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if named and int(process.name) != os.getpid():
            found[int(process.name)] = arguments.replace(b"\0", b" ").decode(errors="replace")
    return found


def eventually(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until `holds`; a failure when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def sentence_of(result: Result) -> str:
    """The one sentence for which a command was refused."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("actuals: ")
    return line.removeprefix("actuals: ")


def _table(name: str) -> Table:
    return tables.TABLES[name] if name in tables.TABLES else tables.product.tables[f"public.{name}"]
