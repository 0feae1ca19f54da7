"""An installation whose runs are killed: a restated world, and processes to kill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import embedded
from actuals_pipeline_tests.conftest import environment_of
from actuals_pipeline_tests.crashes.generations import Generations
from actuals_pipeline_tests.crashes.hindered_syncs import HinderedSync
from actuals_pipeline_tests.crashes.restated_world import RestatedWorld
from actuals_pipeline_tests.crashes.victims import Victims, mother_of_victims


@pytest.fixture
def world() -> RestatedWorld:
    """Two accounts; its clock stands far enough in the past to be moved on hour by hour."""
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 30),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 12),
    )
    return RestatedWorld(
        now=datetime.now(UTC) - timedelta(days=90), accounts=accounts, history_days=120
    )


@pytest.fixture
def generations(world: RestatedWorld) -> Generations:
    """What `world` has said so far."""
    return Generations(world)


@pytest.fixture(scope="session")
def mother(
    postgres_server: embedded.EmbeddedPostgres,
    database_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[subprocess.Popen[str]]:
    """The process that forks those to be killed; it has rehearsed a run of its own."""
    name = "rehearsal"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(copy.format(*map(sql.Identifier, (name, database_template))))
    world = World(now=datetime.now(UTC), accounts=[AccountPlan("1", "", "EUR", "UTC", 5)])
    folder = tmp_path_factory.mktemp("rehearsal")
    with mother_of_victims() as process, running_stand_in(world) as graph:
        environment = environment_of(graph, postgres_server.url(name), folder)
        rehearsal = Victims(process, environment, graph, folder / "output")
        rehearsal.run(DayWindow.trailing(world.now.date(), 2), "sync")
        yield process


@pytest.fixture
def victims(
    mother: subprocess.Popen[str],
    environment: dict[str, str],
    graph: GraphStandIn,
    dagster_instance: dg.DagsterInstance,
    product: None,
    tmp_path: Path,
) -> Victims:
    """Processes that run the job of an installation with videos, predictions and no figures."""
    return Victims(mother, environment, graph, tmp_path / "output")


@pytest.fixture
def hindered(
    database: str,
    environment: dict[str, str],
    tmp_path: Path,
    world: RestatedWorld,
    generations: Generations,
    victims: Victims,
    dagster_instance: dg.DagsterInstance,
) -> HinderedSync:
    """A sync of days of which the old is stored already."""
    hindered = HinderedSync(
        database, environment, tmp_path, world, generations, victims, dagster_instance
    )
    hindered.store_the_old()
    return hindered
