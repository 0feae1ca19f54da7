"""What every test may ask for: a real Postgres, a fresh database, a clean environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import dagster as dg
import hypothesis
import psycopg
import pytest
import yaml  # type: ignore[import-untyped]
from psycopg import sql

from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.orchestration.dagster_connections import keep_connections
from actuals_pipeline.settings import PROJECT_ROOT, Settings
from actuals_pipeline.warehouse import embedded, schema
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.embedded_place import data_directory
from actuals_pipeline.warehouse.urls import dagster_url
from actuals_pipeline_tests import other_postgres

# What is started under nohup ignores it, and so would the processes that tests end by it.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

hypothesis.settings.register_profile("machines_are_noisy", deadline=None)
hypothesis.settings.load_profile("machines_are_noisy")

Actuals = Callable[..., subprocess.CompletedProcess[str]]
"""What the fixture `actuals` is: arguments in, how the command ended out."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's shell reaches a test."""
    for name in list(os.environ):
        if name in {"DATABASE_URL", "ALERT_URLS"} or name.startswith(
            ("META_", "ACTUALS_", "DAGSTER_")
        ):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[embedded.EmbeddedPostgres]:
    """One server for the whole run; it ends with the run, even with a killed one."""
    if programs := other_postgres.other_programs():
        with other_postgres.started(programs) as server:
            yield server
        return
    # Not tmp_path: below pytest's private folder the server's account could not reach the data
    # when the tests run as root.
    home = Path(tempfile.mkdtemp(prefix="actuals-tests-"))
    home.chmod(0o711)
    try:
        with embedded.hold(home, durable=False) as server:
            yield server
        embedded.stop(home)
    finally:
        # Outside of the home, if TMPDIR is closed to the server's account.
        shutil.rmtree(data_directory(home), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def empty_database(postgres_server: embedded.EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database that nobody used before; dropped afterwards."""
    name = f"test_{uuid4().hex}"
    embedded.ensure_database(postgres_server, name)
    yield postgres_server.url(name)
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def database_template(postgres_server: embedded.EmbeddedPostgres) -> str:
    """Name of a database with this version's schema, and Dagster's, to be copied."""
    name = "migrated"
    embedded.ensure_database(postgres_server, name)
    url = postgres_server.url(name)
    schema.upgrade(url)
    # Opening the instance once makes Dagster create its tables.
    with tempfile.TemporaryDirectory() as folder, _dagster_instance(url, Path(folder)):
        return name


@pytest.fixture(scope="session")
def drawing_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the script of the page's charts is kept: it takes seconds to make."""
    return tmp_path_factory.mktemp("drawing")


@pytest.fixture
def database(postgres_server: embedded.EmbeddedPostgres, database_template: str) -> Iterator[str]:
    """The URL of a database with the whole schema and no rows; dropped afterwards."""
    with copied(postgres_server, database_template) as url:
        yield url


@contextmanager
def copied(server: embedded.EmbeddedPostgres, template: str) -> Iterator[str]:
    """The URL of a copy of the template, which is dropped in the end."""
    name = sql.Identifier(f"test_{uuid4().hex}")
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(copy.format(name, sql.Identifier(template)))
        yield server.url(name.as_string().strip('"'))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def warehouse(database: str) -> Warehouse:
    """The warehouse in a database of its own."""
    return Warehouse(database)


@pytest.fixture
def dagster_instance(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """A real Dagster instance whose tables are in `database`; DATABASE_URL points there too."""
    monkeypatch.setenv("DATABASE_URL", database)
    # As in every process that the command line starts.
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "100")
    with _dagster_instance(database, tmp_path) as instance:
        yield instance


@pytest.fixture
def world() -> World:
    """Two made-up accounts, of different time zones and currencies; its clock stands at now."""
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 20),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 8),
    )
    return World(now=datetime.now(UTC), accounts=accounts)


@pytest.fixture
def graph(world: World) -> Iterator[GraphStandIn]:
    """A Graph API on a real port over `world`."""
    with running_stand_in(world) as stand_in:
        yield stand_in


@pytest.fixture
def environment(database: str, graph: GraphStandIn, tmp_path: Path) -> dict[str, str]:
    """The variables of an installation over `graph` and `database`; a test may change them."""
    return environment_of(graph, database, tmp_path)


def environment_of(graph: GraphStandIn, database: str, folder: Path) -> dict[str, str]:
    """The variables of an installation over these two whose home is in `folder`."""
    return {
        "ACTUALS_HOME": str(folder / "home"),
        "ACTUALS_STAND_IN": "1",
        "DATABASE_URL": database,
        "META_ACCESS_TOKEN": graph.access_token,
        "META_AD_ACCOUNT_ID": ",".join(f"act_{each}" for each in graph.world.account_ids),
        "META_APP_SECRET": graph.app_secret,
        "META_GRAPH_URL": graph.url,
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """The settings of `environment`."""
    return Settings.from_environment(environment)


@pytest.fixture
def product(database: str, world: World) -> None:
    """The product's videos and predictions of `world`, in `database`, as history."""
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET actuals.importing_history = on")
        for table, rows in (("videos", world.videos()), ("predictions", world.predictions())):
            names = list(rows[0])
            insert = sql.SQL("INSERT INTO public.{} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join(map(sql.Placeholder, names)),
            )
            cursor.executemany(insert, rows)


@pytest.fixture
def actuals(environment: dict[str, str], tmp_path: Path) -> Actuals:
    """Run the command line in a process of its own: `actuals("sync", "--json")`."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "actuals_pipeline", *arguments],
            # No .env of the developer's: it is read from the working directory.
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@contextmanager
def _dagster_instance(database: str, folder: Path) -> Iterator[dg.DagsterInstance]:
    # The storage of an installation, in another database.
    told = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text("utf-8"))
    storages = {name: told[name] for name in told if name.endswith("_storage")}
    del storages["local_artifact_storage"]
    for each in storages.values():
        each["config"]["postgres_url"] = dagster_url(database)
    overrides = {
        **storages,
        "concurrency": {"pools": {"default_limit": 1, "granularity": "op"}},
        "telemetry": {"enabled": False},
        # As in a run of the command line: no processes that copy each step's output to a file, and
        # connections that are kept.
        "compute_logs": {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        },
    }
    with dg.instance_for_test(overrides=overrides, temp_dir=str(folder)) as instance:
        keep_connections(instance)
        yield instance
