"""A small world on a real port, and the real SDK pointed at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World

# Noon of the day on which Berlin's clocks go forward.
NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 24),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 12),
        AccountPlan("44", "Stand-in without ads", "USD", "America/New_York", 0),
    )
    return World(now=NOW, accounts=accounts)


@pytest.fixture
def stand_in(world: World) -> Iterator[GraphStandIn]:
    with running_stand_in(world) as running:
        yield running


@pytest.fixture
def api(stand_in: GraphStandIn) -> Iterator[Any]:
    # Any, because the SDK ships no annotations.
    session = FacebookSession(  # type: ignore[no-untyped-call]
        app_secret=stand_in.app_secret, access_token=stand_in.access_token, timeout=10
    )
    session.GRAPH = stand_in.url
    yield FacebookAdsApi(session, api_version="v26.0")  # type: ignore[no-untyped-call]
    session.requests.close()


@pytest.fixture
def get(api: Any) -> Callable[..., Any]:
    """One answer: `get("act_42", "insights", limit=5)`."""

    def one(*path: str, **params: Any) -> Any:
        return api.call("GET", path, params=params).json()

    return one


@pytest.fixture
def rows(get: Callable[..., Any]) -> Callable[..., list[dict[str, Any]]]:
    """All rows of a list, page by page until there is no `next`."""

    def all_pages(*path: str, **params: Any) -> list[dict[str, Any]]:
        page = get(*path, **params)
        found = list(page["data"])
        while "next" in page.get("paging", {}):
            page = get(*path, **params | {"after": page["paging"]["cursors"]["after"]})
            found += page["data"]
        return found

    return all_pages
