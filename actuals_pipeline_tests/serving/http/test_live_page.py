"""The page of `actuals serve`, what it asks for, and who may see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
import requests

from actuals_pipeline.serving.http.live_page import FRESH_SECONDS, LivePages
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.serving.conftest import Insert
from actuals_pipeline_tests.serving.http.conftest import (
    STATS,
    SUMMARY,
    SYNC,
    TOKEN,
    Api,
    Serve,
)


@pytest.fixture
def page_api(serve: Serve, insert: Insert, drawing_home: Path) -> Iterator[Api]:
    """One ad's day, served."""
    insert("meta_account_totals")
    insert("ad_actuals", spend=Decimal("1.50"))
    with serve(ACTUALS_HOME=str(drawing_home)) as api:
        yield api


def test_the_page_is_served_with_its_policy_and_kept_for_a_minute(page_api: Api) -> None:
    got = page_api.get("/")
    assert (got.status, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "What the ads did" in got.body
    policy = got.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    known = {"If-None-Match": got.headers["etag"]}
    assert page_api.asked("GET", "/", headers=known).status == 304
    plain = page_api.asked("GET", "/", headers={"Accept-Encoding": "identity"})
    assert plain.body == got.body
    other = page_api.get("/", since="2026-03-07", until="2026-03-07")
    assert '"since":"2026-03-07"' in other.body
    assert page_api.get("/", since="2026-03-08", until="2026-03-07").status == 422


@contextmanager
def slow_to_make(database: str) -> Iterator[None]:
    """Inside the block no page can be made, for a table that it needs is held."""
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE actuals.winners IN ACCESS EXCLUSIVE MODE")
        yield


def test_readers_are_answered_while_pages_are_made(page_api: Api, database: str) -> None:
    with ThreadPoolExecutor(12) as callers:
        with slow_to_make(database):
            # More than there are readers' threads, of the same days and of others.
            days = [{}, {"since": "2026-03-07", "until": "2026-03-07"}] * 6
            pages = [callers.submit(page_api.get, "/", **each) for each in days]
            for _ in range(3):
                assert page_api.get(STATS).status == 200
            assert not any(page.done() for page in pages)
        assert [page.result().status for page in pages] == [200] * 12


def test_the_last_page_is_shown_with_its_age_while_a_new_one_is_made(
    page_api: Api, warehouse: Warehouse, database: str, drawing_home: Path
) -> None:
    async def shown() -> None:
        now = 1000.0
        pages = LivePages(
            warehouse, drawing_home, clock=lambda: now, make_seconds=10, patience_seconds=0.1
        )
        first = await pages.answer(None, None, {})
        now += FRESH_SECONDS + 1
        with slow_to_make(database):
            older = await pages.answer(None, None, {})
            assert (older.body, older.headers["Age"]) == (first.body, "61")
        newer = await asyncio.gather(*(pages.answer(None, None, {}) for _ in range(5)))
        deadline = time.monotonic() + 30
        while newer[0].headers["Age"] != "0" and time.monotonic() < deadline:
            newer = [await pages.answer(None, None, {})]
        assert newer[0].headers["Age"] == "0"

    asyncio.run(shown())


def test_a_page_that_cannot_be_made_is_a_plain_page_that_says_so_and_is_kept_when_it_comes_late(
    page_api: Api, warehouse: Warehouse, database: str, drawing_home: Path
) -> None:
    async def shown() -> None:
        pages = LivePages(warehouse, drawing_home, make_seconds=0.2)
        with slow_to_make(database):
            refused = await pages.answer(None, None, {})
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.headers["Content-Type"] == "text/html; charset=utf-8"
        assert b"The page cannot be made now: No answer within 0.2 s." in refused.body
        # Made meanwhile, for who waits is not the one who makes it.
        deadline = time.monotonic() + 30
        while (late := await pages.answer(None, None, {})).status_code != 200:
            assert time.monotonic() < deadline
        assert b"What the ads did" in late.body
        gone = Warehouse("postgresql://some%3Cbody@127.0.0.1:1/nothing")
        dead = await LivePages(gone, drawing_home).answer(None, None, {})
        assert (dead.status_code, b"<body" in dead.body) == (503, False)

    asyncio.run(shown())


def test_an_ads_story_is_told_over_http(page_api: Api) -> None:
    got = page_api.get("/api/ml/ads/6001/story")
    assert got.status == 200
    assert [part["title"] for part in got.body["parts"]][2] == "Day by day"
    assert got.body["parts"][2]["rows"][0]["spend"] == "1.50"
    assert page_api.get("/api/ml/ads/7/story").body["error"]["code"] == "ad_not_found"


def test_a_browser_may_give_the_token_as_a_password_for_the_page_alone(
    serve: Serve, drawing_home: Path
) -> None:
    password = requests.auth.HTTPBasicAuth("anybody", TOKEN)
    with serve(ACTUALS_API_TOKEN=TOKEN, ACTUALS_HOME=str(drawing_home)) as api:
        asked = api.get("/")
        assert asked.status == 401
        assert asked.headers["www-authenticate"].startswith("Basic ")
        assert api.asked("GET", "/", auth=password).status == 200
        assert api.asked("GET", "/api/ml/ads/7/story", auth=password).status == 404
        wrong = requests.auth.HTTPBasicAuth("anybody", "wrong")
        assert api.asked("GET", "/", auth=wrong).status == 401
        foreign = {"Origin": "https://elsewhere.example"}
        assert api.asked("GET", "/", auth=password, headers=foreign).status == 403
        for path in (SUMMARY, STATS, "/docs", "/metrics"):
            refused = api.asked("GET", path, auth=password)
            assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert api.asked("POST", SYNC, auth=password).status == 401
