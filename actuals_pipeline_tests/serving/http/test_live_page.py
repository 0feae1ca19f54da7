"""The page of `actuals serve`, what it asks for, and who may see it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import requests

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
