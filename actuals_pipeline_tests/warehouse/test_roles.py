"""The writer runs a whole sync and changes no schema; the reader selects, and nothing else."""

from __future__ import annotations

import hmac
import json
import os
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import date
from hashlib import pbkdf2_hmac, sha256
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from actuals_pipeline.errors import WarehouseHindered
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse import months, roles, schema
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.embedded import postgres_programs
from actuals_pipeline.warehouse.tables import TABLES
from actuals_pipeline_tests.conftest import Actuals

ACCOUNTS = {"test_pipeline": roles.WRITER, "test_bi": roles.READER}

OF_COMPOSE = "pipeline"
"""The account that deploy/postgres-accounts.sh makes."""

As = Callable[[str], str]


@pytest.fixture
def account(database: str) -> Iterator[As]:
    """The address of `database` for an account in a role; the roles are gone afterwards."""
    user = psycopg.conninfo.conninfo_to_dict(database)["user"]
    try:
        yield lambda name: database.replace(f"//{user}@", f"//{name}@", 1)
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            for name in (*ACCOUNTS, OF_COMPOSE, *ACCOUNTS.values()):
                role = sql.Identifier(name)
                if connection.execute("SELECT to_regrole(%s)", [name]).fetchone() != (None,):
                    connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
                    connection.execute(sql.SQL("DROP ROLE {}").format(role))


def make_accounts(database: str) -> None:
    with psycopg.connect(database) as connection:
        for name, role in ACCOUNTS.items():
            create = sql.SQL("CREATE ROLE {} LOGIN IN ROLE {}")
            connection.execute(create.format(sql.Identifier(name), sql.Identifier(role)))


def tell_events(database: str, days_ago: list[int]) -> None:
    with psycopg.connect(database) as connection:
        for days in days_ago:
            connection.execute(
                "INSERT INTO actuals.meta_events (event_key, account_id, field, received_at, value)"
                " VALUES (%s, '42', 'effective_status', now() - %s * interval '1 day', '{}')",
                [sha256(str(days).encode()).hexdigest(), days],
            )


def denied(url: str, *statements: LiteralString) -> list[str]:
    """Those that were not refused for want of a right."""
    done = []
    for statement in statements:
        with psycopg.connect(url) as connection:
            try:
                connection.execute(statement)
            except errors.InsufficientPrivilege:
                continue
            done.append(statement)
            connection.rollback()
    return done


NOT_THE_WRITERS: tuple[LiteralString, ...] = (
    "CREATE TABLE actuals.mine ()",
    "CREATE TABLE dagster.mine ()",
    "CREATE SCHEMA mine",
    "ALTER TABLE actuals.ad_actuals ADD mine int",
    "ALTER TABLE actuals.prediction_log DISABLE TRIGGER ALL",
    "DROP TABLE actuals.ad_actuals",
    "DROP TABLE dagster.runs",
    "TRUNCATE actuals.prediction_log",
    "TRUNCATE actuals.ad_actuals",
    "UPDATE actuals.prediction_log SET predicted_ctr = 1",
    "DELETE FROM actuals.prediction_log",
    "DELETE FROM actuals.video_log",
    "UPDATE actuals.fetch_log SET rows = 0",
    "DELETE FROM actuals.fetch_log",
    "DELETE FROM actuals.known_days",
    "DELETE FROM actuals.ads",
    "UPDATE actuals.meta_events SET field = 'mine'",
    "DELETE FROM actuals.meta_events",
    "UPDATE actuals.schema_version SET version_num = '0001'",
    "CREATE FUNCTION actuals.make_month(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "SET session_replication_role = replica",
    "INSERT INTO public.predictions (model_name) VALUES ('mine')",
    "UPDATE public.videos SET title = 'mine'",
)

NOT_THE_READERS: tuple[LiteralString, ...] = (
    *NOT_THE_WRITERS,
    "INSERT INTO actuals.ad_actuals DEFAULT VALUES",
    "DELETE FROM actuals.ad_actuals",
    "SELECT actuals.make_month('ad_actuals', '2031-01-01')",
    "SELECT actuals.forget_meta_events('2031-01-01')",
    "SELECT * FROM dagster.runs",
    "SELECT * FROM dagster.event_logs",
)


def test_a_whole_sync_needs_only_the_writer_and_reading_only_the_reader(
    database: str,
    environment: dict[str, str],
    actuals: Actuals,
    account: As,
    product: None,
) -> None:
    made = actuals("db", "roles")
    assert made.returncode == 0, made.stderr
    assert "actuals_writer and actuals_reader have their rights" in made.stdout
    make_accounts(database)
    writer, reader = map(account, ACCOUNTS)

    environment["DATABASE_URL"] = writer
    synced = actuals("sync", "--json")
    assert synced.returncode == 0, synced.stderr
    assert json.loads(synced.stdout)["summary"]["successful"] > 0
    assert denied(writer, *NOT_THE_WRITERS) == []
    tell_events(database, days_ago=[0, 29, 31])
    with psycopg.connect(writer) as connection:
        # Even who asks for more can forget only what is old.
        forgot = connection.execute("SELECT actuals.forget_meta_events('infinity')").fetchone()
        assert forgot == (1,)
    for command in ("upgrade", "roles"):
        refused = actuals("db", command)
        assert refused.returncode == 2, (command, refused.stderr)
        assert len(refused.stderr.splitlines()) == 1, (command, refused.stderr)

    with psycopg.connect(reader) as connection:
        readable = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'actuals' "
            "UNION SELECT schemaname || '.' || viewname FROM pg_views WHERE schemaname = 'actuals'"
        ).fetchall()
        assert len(readable) > len(TABLES)
        names = [*(name for (name,) in readable), "public.videos", "public.performance_metrics"]
        for name in names:
            part = sql.Identifier(*name.split("."))
            connection.execute(sql.SQL("SELECT count(*) FROM {}").format(part))
        rows = connection.execute("SELECT count(*) FROM actuals.ad_actuals_as_of('2999-01-01')")
        assert rows.fetchone() != (0,)
    assert denied(reader, *NOT_THE_READERS) == []


def test_an_upgrade_gives_the_roles_their_rights_only_where_they_had_some(
    database: str, account: As
) -> None:
    def may_read() -> bool:
        with psycopg.connect(database) as connection:
            asked = "SELECT has_table_privilege('actuals_reader', 'actuals.winners', 'SELECT')"
            return connection.execute(asked).fetchone() == (True,)

    with psycopg.connect(database) as connection:
        connection.execute(roles.CREATE)
    schema.upgrade(database)
    assert not may_read()
    assert roles.make(Warehouse(database)) == []
    assert may_read()
    with psycopg.connect(database) as connection:
        # As a table that an upgrade has made.
        connection.execute("REVOKE ALL ON actuals.winners FROM actuals_reader")
    schema.upgrade(database)
    assert may_read()


def test_months_are_made_for_tables_of_the_schema_alone(database: str) -> None:
    month, table = date(2031, 2, 1), TABLES["ad_actuals"]
    with psycopg.connect(database) as connection:
        months.make(connection, table, [month])
        months.make(connection, table, [month])
        assert month in months.stored(connection, table)
        for parent, first in (
            ("ad_actuals", date(2031, 2, 2)),
            ("ad_actuals", date(3000, 1, 1)),
            ("winners", month),
            ("no_such_table", month),
            ('ad_actuals" (); DROP TABLE actuals.winners; --', month),
            (None, month),
            ("ad_actuals", None),
        ):
            with (
                pytest.raises(errors.InvalidParameterValue, match="make_month wants a table"),
                connection.transaction(),
            ):
                connection.execute("SELECT actuals.make_month(%s, %s)", [parent, first])
        connection.rollback()


def test_what_an_account_may_not_do_is_said_in_one_sentence(database: str, account: As) -> None:
    roles.make(Warehouse(database))
    make_accounts(database)
    with (
        pytest.raises(WarehouseHindered, match=r"permission denied for table winners.*db roles"),
        Warehouse(account("test_bi")).transaction() as connection,
    ):
        connection.execute("DELETE FROM actuals.winners")
    with pytest.raises(WarehouseHindered, match="Only postgres, who owns the schema"):
        roles.make(Warehouse(account("test_pipeline")))


def test_the_container_of_postgres_gets_its_accounts_with_the_password_of_a_file(
    database: str, account: As, tmp_path: Path
) -> None:
    secret = tmp_path / "writer_password"
    # No shell and no SQL may read it.
    secret.write_text("it's $HOME \\ %s")
    script = (PROJECT_ROOT / "deploy" / "postgres-accounts.sh").read_text("utf-8")
    parts = psycopg.conninfo.conninfo_to_dict(database)
    done = subprocess.run(
        ["/bin/sh", "-c", script.replace("/run/secrets/writer_password", str(secret))],
        env={
            "PATH": f"{postgres_programs()}:{os.defpath}",
            "POSTGRES_USER": str(parts["user"]),
            "POSTGRES_DB": str(parts["dbname"]),
            "PGHOST": str(parts["host"]),
            "PGPORT": str(parts["port"]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with psycopg.connect(database) as connection:
        (stored, may_log_in, is_in) = connection.execute(
            "SELECT rolpassword, rolcanlogin, pg_has_role(oid, 'actuals_writer', 'USAGE') "
            "FROM pg_authid WHERE rolname = %s",
            [OF_COMPOSE],
        ).fetchone() or ("", False, False)
    assert (may_log_in, is_in) == (True, True)
    # SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey (RFC 5803).
    iterations, salt = stored.split("$")[1].split(":")
    salted = pbkdf2_hmac("sha256", secret.read_bytes(), b64decode(salt), int(iterations))
    stored_key = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    assert b64encode(stored_key).decode() in stored
