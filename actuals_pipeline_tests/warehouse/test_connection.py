from __future__ import annotations

import socket
import traceback
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from actuals_pipeline.errors import (
    SchemaOutOfDate,
    SettingsError,
    WarehouseHindered,
    WarehouseUnavailable,
)
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.urls import dagster_url, sqlalchemy_url


def count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM public.videos").fetchone()
    assert row is not None
    return int(row[0])


def raising(state: str) -> str:
    return f"RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'so it is';"


def test_a_block_is_committed_at_its_end_and_the_connection_closed(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    with warehouse.transaction() as writer:
        writer.execute("INSERT INTO public.videos DEFAULT VALUES")
        assert count(connection) == 0
    assert count(connection) == 1
    assert writer.closed


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT 1 / 0", psycopg.errors.DivisionByZero),
        ("INSERT INTO public.videos (created_at) VALUES (NULL)", psycopg.errors.NotNullViolation),
        # An OperationalError, but of a connection that lives.
        (f"DO $$ BEGIN {raising('55006')} END $$", psycopg.errors.ObjectInUse),
        ("SET statement_timeout = 1; SELECT pg_sleep(5)", WarehouseHindered),
        ("SELECT FROM actuals.nothing", SchemaOutOfDate),
        # With Postgres all is well, so that nothing but the exception speaks against a commit.
        ("SELECT 1", KeyError),
    ],
    ids=["calculation", "constraint", "in use", "timeout", "schema", "our own"],
)
def test_a_block_that_fails_writes_nothing_and_says_what_happened(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    statement: str,
    error: type[Exception],
) -> None:
    used: list[psycopg.Connection] = []

    def write() -> None:
        with warehouse.transaction() as writer:
            used.append(writer)
            writer.execute("INSERT INTO public.videos DEFAULT VALUES")
            writer.execute(statement.encode())
            raise KeyError

    with pytest.raises(error) as caught:
        write()
    assert type(caught.value) is error
    assert count(connection) == 0
    assert used[0].closed


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT FROM actuals.nothing", 'relation "actuals.nothing" does not exist'),
        ("SELECT nothing FROM actuals.ad_actuals", 'column "nothing" does not exist'),
        ("CREATE TABLE nowhere.nothing ()", 'schema "nowhere" does not exist'),
    ],
    ids=["table", "column", "schema"],
)
def test_what_the_schema_lacks_is_named_with_what_to_do(
    warehouse: Warehouse, statement: str, reason: str
) -> None:
    with pytest.raises(SchemaOutOfDate) as caught, warehouse.transaction() as reader:
        reader.execute(statement.encode())
    assert str(caught.value) == (
        f"The database lacks what this version needs ({reason}): run `actuals db upgrade`."
    )


def test_a_connection_that_breaks_is_no_failure_of_ours(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    def write() -> None:
        with warehouse.transaction() as writer:
            writer.execute("INSERT INTO public.videos DEFAULT VALUES")
            backend = writer.info.backend_pid
            connection.execute("SELECT pg_terminate_backend(%s, 1000)", [backend])

    with pytest.raises(WarehouseUnavailable, match="stored whole or not at all"):
        write()
    assert count(connection) == 0


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("25006", "let DATABASE_URL name a server that takes writes"),
        ("25P03", "raise the time limit"),
        ("25P04", "raise the time limit"),
        ("40001", "wait for the other writer"),
        ("40P01", "wait for the other writer"),
        ("53000", "give the server more of it"),
        ("53100", "make room on its disk"),
        ("53200", "give the server more of it"),
        ("55P03", "raise the time limit"),
        ("57014", "raise the time limit"),
        ("58030", "look into the server's log"),
        ("XX000", "look into the server's log"),
    ],
)
def test_what_hinders_the_database_is_named_with_what_to_do(
    warehouse: Warehouse, state: str, remedy: str
) -> None:
    with (
        pytest.raises(WarehouseHindered, match=rf" gave up \(so it is\): {remedy}.*, then run it"),
        warehouse.transaction() as writer,
    ):
        writer.execute(f"DO $$ BEGIN {raising(state)} END $$".encode())


def test_a_mistake_of_ours_is_not_called_a_broken_connection(warehouse: Warehouse) -> None:
    def read() -> None:
        with warehouse.transaction() as reader:
            cursor = reader.cursor()
            cursor.close()
            cursor.execute("SELECT 1")

    with pytest.raises(psycopg.InterfaceError, match="the cursor is closed"):
        read()


def test_a_database_that_does_not_answer_is_named_without_its_password(database: str) -> None:
    with socket.socket() as closed:
        # Bound but not listening, so that nobody else takes the port meanwhile.
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        missing_database = database.replace("shared", "nobody_made_this")
        for url, shown, reason in (
            (
                f"postgres://me:geheim@127.0.0.1:{port}/x",
                f"postgresql://me:***@127.0.0.1:{port}/x",
                "Connection refused",
            ),
            (
                "postgresql+psycopg://me:geheim@/x?host=/nowhere",
                "postgresql://me:***@/x?host=/nowhere",
                "No such file or directory",
            ),
            (
                missing_database,
                missing_database,
                'FATAL:  database "nobody_made_this" does not exist',
            ),
        ):
            with pytest.raises(WarehouseUnavailable) as caught, Warehouse(url).transaction():
                pass
            assert str(caught.value) == (
                f"The database {shown} does not answer ({reason}): check DATABASE_URL and that "
                "the server runs."
            )
            assert "geheim" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("geheim", "password authentication failed for user"),
        ("geh@im/ü%zz'", "password authentication failed for user"),
        ("", "no password supplied"),
    ],
    ids=["wrong", "odd", "none"],
)
def test_a_wrong_password_is_refused_and_never_shown(
    password_url: Callable[[str], str], given: str, reason: str
) -> None:
    url = password_url(given)
    with pytest.raises(WarehouseUnavailable, match=reason) as caught, Warehouse(url).transaction():
        pass
    told = "".join(traceback.format_exception(caught.value))
    assert "geh" not in told


def test_a_password_of_odd_characters_opens_every_door(
    password_url: Callable[[str], str], odd_password: str
) -> None:
    url = password_url(odd_password)
    with Warehouse(url).transaction() as connection:
        user = connection.execute("SELECT current_user").fetchone()
    assert user == ("with_password",)
    for spelt in (sqlalchemy_url(url), dagster_url(url)):
        with create_engine(spelt, poolclass=NullPool).connect() as other:
            assert other.exec_driver_sql("SELECT current_user").scalar() == "with_password"


def test_an_option_that_postgres_does_not_know_is_a_mistake_in_the_address() -> None:
    url = "postgresql://me:geheim@127.0.0.1:1/x?charset=utf8"
    with pytest.raises(SettingsError) as caught, Warehouse(url).transaction():
        pass
    assert str(caught.value) == (
        'DATABASE_URL cannot be used: invalid URI query parameter: "charset".'
    )
    assert "geheim" not in "".join(traceback.format_exception(caught.value))


def test_transactions_follow_one_another_on_a_connection_that_is_kept_open(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    with warehouse.kept_open():
        with warehouse.transaction() as first:
            first.execute("INSERT INTO public.videos DEFAULT VALUES")
        assert count(connection) == 1
        with warehouse.transaction() as second, warehouse.transaction() as beside:
            assert second is first
            assert beside is not first
            assert second.execute("SHOW TIME ZONE").fetchone() == ("UTC",)
        # Of two that are free one is kept.
        assert [first.closed, beside.closed].count(True) == 1
    assert first.closed
    assert beside.closed
    with warehouse.transaction() as later:
        pass
    assert later.closed


def test_a_kept_connection_that_died_is_replaced_unnoticed(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    with warehouse.kept_open():
        with warehouse.transaction() as first:
            backend = first.info.backend_pid
        connection.execute("SELECT pg_terminate_backend(%s, 1000)", [backend])
        with warehouse.transaction() as second:
            second.execute("INSERT INTO public.videos DEFAULT VALUES")
    assert first.closed
    assert count(connection) == 1


def test_a_connection_whose_block_failed_is_not_used_again(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    used: list[psycopg.Connection] = []

    def write() -> None:
        with warehouse.transaction() as writer:
            used.append(writer)
            writer.execute("INSERT INTO public.videos DEFAULT VALUES")
            raise KeyError

    with warehouse.kept_open():
        with pytest.raises(KeyError):
            write()
        assert used[0].closed
        assert count(connection) == 0
        with warehouse.transaction() as writer:
            assert count(writer) == 0
