"""An installation whose runs are killed: a restated world, and processes to kill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.graph_stand_in.world import AccountPlan
from actuals_pipeline_tests.crashes.generations import Generations
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
def mother() -> Iterator[subprocess.Popen[str]]:
    """The process that forks those to be killed."""
    with mother_of_victims() as process:
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
