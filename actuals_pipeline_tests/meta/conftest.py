"""A Graph API stand-in with one account, and clients of it that never really wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.client import InsightsClient, MetaCredentials
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.report_days import DayWindow


@pytest.fixture(scope="session")
def account_id() -> str:
    return "880000000000001"


@pytest.fixture(scope="session")
def window() -> DayWindow:
    """Two weeks that end with the stand-in's today."""
    return DayWindow.trailing(date(2026, 3, 8), 14)


@pytest.fixture(scope="session")
def shared_stand_in(account_id: str) -> Iterator[GraphStandIn]:
    plan = AccountPlan(account_id, "Stand-in Berlin (EUR)", "EUR", "Europe/Berlin", 25)
    world = World(now=datetime(2026, 3, 8, 15, tzinfo=UTC), accounts=[plan])
    with running_stand_in(world) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(shared_stand_in: GraphStandIn) -> Iterator[GraphStandIn]:
    shared_stand_in.calls.clear()
    yield shared_stand_in
    shared_stand_in.faults.clear()
    shared_stand_in.graph.sync_row_limit = None
    shared_stand_in.graph.async_row_limit = None


@pytest.fixture
def credentials(stand_in: GraphStandIn) -> MetaCredentials:
    return MetaCredentials(stand_in.access_token, "1", stand_in.app_secret)


@pytest.fixture
def sleeps() -> list[float]:
    """What clients slept, in seconds; nothing else moves their clock."""
    return []


@pytest.fixture
def new_limits(sleeps: list[float]) -> Callable[..., Limits]:
    """Limits whose waits are noted in `sleeps`, which is also their clock."""

    def new(**options: Any) -> Limits:
        settings: dict[str, Any] = {
            "clock": lambda: sum(sleeps),
            "sleep": sleeps.append,
            "jitter": lambda: 0.0,
        }
        return Limits(**settings | options)

    return new


@pytest.fixture
def new_client(
    stand_in: GraphStandIn,
    credentials: MetaCredentials,
    sleeps: list[float],
    new_limits: Callable[..., Limits],
) -> Iterator[Callable[..., InsightsClient]]:
    clients: list[InsightsClient] = []

    def new(**options: Any) -> InsightsClient:
        settings: dict[str, Any] = {
            "credentials": credentials,
            "graph_url": stand_in.url,
            "api_version": "v26.0",
            "limits": new_limits(),
            "now": lambda: stand_in.world.now + timedelta(seconds=sum(sleeps)),
        }
        clients.append(InsightsClient(**settings | options))
        return clients[-1]

    yield new
    for client in clients:
        client.close()


@pytest.fixture
def client(new_client: Callable[..., InsightsClient]) -> InsightsClient:
    return new_client()
