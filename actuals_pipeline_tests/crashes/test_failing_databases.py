"""A `sync` whose database takes no more: one sentence, no half day, and the next sync heals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from actuals_pipeline_tests.crashes.hindered_syncs import BROKE, HinderedSync, wire

READ_ONLY = (
    r"gave up \(cannot execute \w+ in a read-only transaction\): "
    "let DATABASE_URL name a server that takes writes, then run it again"
)


def alter(database: str, change: LiteralString) -> None:
    """Change a setting for the connections that are made from now on."""
    name = sql.Identifier(str(conninfo_to_dict(database)["dbname"]))
    statement = sql.SQL("ALTER DATABASE {} {}").format(name, sql.SQL(change))
    writing = "-c default_transaction_read_only=off"
    with psycopg.connect(database, autocommit=True, options=writing) as connection:
        connection.execute(statement)


def cut_the_wire(database: str) -> None:
    raise ConnectionAbortedError


def end_the_backend(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'COPY \"staged\\_%'"
        ).fetchall()
    assert ended == [(True,)]


@pytest.mark.parametrize(
    ("copied", "break_it"),
    [
        ("raw_meta_insights", end_the_backend),
        pytest.param("raw_meta_insights", cut_the_wire, marks=pytest.mark.slow),
        pytest.param("meta_account_totals", cut_the_wire, marks=pytest.mark.slow),
        pytest.param("ad_actuals", cut_the_wire, marks=pytest.mark.slow),
        pytest.param("ad_actuals", end_the_backend, marks=pytest.mark.slow),
    ],
)
def test_a_connection_that_breaks_while_rows_are_copied(
    copied: str, break_it: Callable[[str], None], hindered: HinderedSync, tmp_path: Path
) -> None:
    def break_in_the_middle() -> None:
        break_it(hindered.database)

    with wire(hindered.database, tmp_path, copied, break_in_the_middle) as database:
        sentence = hindered.sentence(hindered.begin(database))
    assert re.search(BROKE, sentence)
    hindered.is_whole()
    hindered.heal()


@pytest.mark.slow
@pytest.mark.parametrize("table", ["ad_actuals", "meta_account_totals"])
def test_a_statement_that_takes_longer_than_it_may(table: str, hindered: HinderedSync) -> None:
    alter(hindered.database, "SET statement_timeout = '2s'")
    sync = hindered.begin()
    with hindered.held_at(table, sync):
        sentence = hindered.sentence(sync)
    assert "gave up (canceling statement due to statement timeout): raise the time" in sentence
    hindered.is_whole()
    alter(hindered.database, "RESET statement_timeout")
    hindered.heal()


def test_a_database_that_becomes_read_only_in_the_middle(hindered: HinderedSync) -> None:
    sync = hindered.begin()
    with hindered.held_at("meta_account_totals", sync):
        alter(hindered.database, "SET default_transaction_read_only = on")
    assert re.search(READ_ONLY, hindered.sentence(sync))
    hindered.is_whole()
    alter(hindered.database, "RESET default_transaction_read_only")
    hindered.heal()


@pytest.mark.slow
def test_a_database_that_is_read_only_from_the_start(hindered: HinderedSync) -> None:
    alter(hindered.database, "SET default_transaction_read_only = on")
    assert re.search(READ_ONLY, hindered.sentence(hindered.begin()))
    hindered.is_whole()
    alter(hindered.database, "RESET default_transaction_read_only")
    hindered.heal()
