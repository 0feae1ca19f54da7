"""What every test may ask for: a real Postgres, a fresh database, a clean environment."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.warehouse import embedded


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's shell reaches a test."""
    for name in list(os.environ):
        if name == "DATABASE_URL" or name.startswith(("META_", "ACTUALS_", "DAGSTER_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[embedded.EmbeddedPostgres]:
    """One server for the whole run; it ends with the run, even with a killed one."""
    # Not tmp_path: below pytest's private folder the server's account could not reach the data
    # when the tests run as root.
    home = Path(tempfile.mkdtemp(prefix="actuals-tests-"))
    home.chmod(0o711)
    try:
        with embedded.hold(home, durable=False) as server:
            yield server
        embedded.stop(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def empty_database(postgres_server: embedded.EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database that nobody used before; dropped afterwards."""
    name = f"test_{uuid4().hex}"
    embedded.ensure_database(postgres_server, name)
    yield postgres_server.url(name)
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
