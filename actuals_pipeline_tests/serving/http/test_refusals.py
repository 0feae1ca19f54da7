"""What is no success: one shape, a status and a code for each thing, and nothing secret in it."""

from __future__ import annotations

import socket
from typing import Any

import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline_tests.serving.conftest import Stored, rows_anywhere
from actuals_pipeline_tests.serving.http.conftest import (
    ACCURACY,
    FETCH,
    STATS,
    STATUS,
    SUMMARY,
    SYNC,
    TOKEN,
    Answer,
    Api,
    Serve,
)


def told(answer: Answer) -> tuple[int, str]:
    """Status and code of a refusal, which must have the one shape."""
    assert answer.body.keys() == {"status", "error"}
    assert answer.body["status"] == "error"
    error = answer.body["error"]
    assert error.keys() == {"code", "message", "what_to_do"}
    assert all(error.values())
    # Callers have no command line.
    assert "--" not in f"{error['message']} {error['what_to_do']}"
    return answer.status, error["code"]


def test_without_credentials_what_is_stored_can_be_read_but_nothing_fetched(serve: Serve) -> None:
    with serve(META_ACCESS_TOKEN="") as api:
        for answer in (api.post(f"{FETCH}/6001"), api.post(SYNC)):
            assert told(answer) == (503, "not_configured")
            assert "META_ACCESS_TOKEN is missing" in answer.body["error"]["message"]
        assert api.get(STATS).body["stats"]["meta_api_configured"] is False


def test_what_is_no_ad_of_ours_is_not_found(serve: Serve, world: World, database: str) -> None:
    with serve(META_AD_ACCOUNT_ID="act_42") as api:
        for ad_id, words in (
            ("129999999999999999", "Meta found nothing for ad"),
            (world.ads("42")[0].campaign_id, "is not an ad"),
            (world.ads("43")[0].ad_id, "belongs to account act_43"),
        ):
            answer = api.post(f"{FETCH}/{ad_id}")
            assert told(answer) == (404, "ad_not_found")
            assert words in answer.body["error"]["message"]
    assert not rows_anywhere(database)


@pytest.mark.parametrize(
    ("effect", "status", "code"),
    [
        ({"error": {"code": 200}}, 403, "refused_by_meta"),
        ({"error": {"code": 190}}, 403, "refused_by_meta"),
        ({"error": {"code": 80000}}, 429, "rate_limited"),
        ({"error": {"code": 99_999}}, 502, "unexpected_of_meta"),
    ],
    ids=["no permission", "expired token", "rate limited", "unknown error"],
)
def test_what_meta_refuses_is_told_apart_and_logged(
    effect: dict[str, Any],
    status: int,
    code: str,
    api: Api,
    graph: GraphStandIn,
    world: World,
    stored: Stored,
) -> None:
    graph.faults.add(Fault(effect, kind="insights", times=None))
    answer = api.post(f"{FETCH}/{world.ads('42')[0].ad_id}")
    assert told(answer) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 429)
    if status == 429:
        assert int(answer.headers["retry-after"]) >= 1
    (log,) = stored("fetch_log")
    assert log["error_message"] == answer.body["error"]["message"]
    assert not stored("ad_actuals")


@pytest.mark.parametrize(
    ("method", "path", "parameters", "named"),
    [
        ("POST", f"{FETCH}/6001", {"days_back": "0"}, "days_back"),
        ("POST", f"{FETCH}/6001", {"days_back": "seven"}, "days_back"),
        ("POST", f"{FETCH}/6001", {"daysback": "3"}, "daysback"),
        ("POST", f"{FETCH}/act_42", {}, "ad_id"),
        ("POST", SYNC, {"min_age_hours": "-1"}, "min_age_hours"),
        ("POST", SYNC, {"wait": "perhaps"}, "wait"),
        ("GET", f"{SYNC}/1", {}, "run_id"),
        ("GET", SUMMARY, {"since": "yesterday"}, "since"),
        ("GET", SUMMARY, {"since": "1700000000"}, "since"),
        ("GET", SUMMARY, {"as_of": "0001-01-01"}, "as_of"),
        ("GET", SUMMARY, {"as_of": "2900-01-01"}, "lies in the future"),
        ("GET", SUMMARY, {"since": "2026-03-08", "until": "2026-03-07"}, "before it starts"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(
    method: str, path: str, parameters: dict[str, str], named: str, api: Api, database: str
) -> None:
    answer = api.asked(method, path, parameters)
    assert told(answer) == (422, "bad_parameter")
    assert named in answer.body["error"]["message"]
    assert not rows_anywhere(database)


def test_paths_and_methods_that_are_not_there_are_told_in_the_same_shape(api: Api) -> None:
    assert told(api.get("/api")) == (404, "not_found")
    assert told(api.get(f"{FETCH}/6001")) == (405, "method_not_allowed")
    run = f"{SYNC}/11111111-2222-3333-4444-555555555555"
    assert told(api.get(run)) == (404, "run_not_found")


def test_a_database_that_is_down_is_said_and_nothing_of_it_to_strangers(
    serve: Serve, database: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gone = f"postgresql://somebody:sesame@127.0.0.1:{port}/actuals"
    with serve(DATABASE_URL=gone, ACTUALS_API_TOKEN=TOKEN) as api:
        for path in (STATS, STATUS, SUMMARY, f"{ACCURACY}/ranker", "/metrics"):
            ours = {"Authorization": f"Bearer {TOKEN}"}
            answer = api.asked("GET", path, headers=ours)
            assert told(answer) == (503, "database_unavailable"), path
            assert "sesame" not in str(answer)
            assert int(answer.headers["retry-after"]) >= 1
        ready = api.get("/readyz")
        assert told(ready) == (503, "database_unavailable")
        assert "somebody" not in str(ready)
        assert str(port) not in str(ready)
        assert api.get("/healthz").status == 200


def test_a_database_of_another_version_is_not_ready(api: Api, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(sql.SQL("UPDATE actuals.schema_version SET version_num = '0001'"))
    assert told(api.get("/readyz")) == (503, "schema_out_of_date")


def test_with_a_token_everything_but_the_probes_asks_for_it(serve: Serve) -> None:
    with serve(ACTUALS_API_TOKEN=TOKEN) as api:
        wrong: list[dict[str, str]] = [
            {},
            {"Authorization": TOKEN},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer é".encode().decode("latin-1")},
        ]
        closed = [("POST", f"{FETCH}/6001"), ("POST", SYNC), ("GET", f"{SYNC}/1"), ("GET", "/api")]
        closed += [("GET", each) for each in (STATS, STATUS, SUMMARY, f"{ACCURACY}/a")]
        closed += [("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "//healthz")]
        for method, path in closed:
            answer = api.asked(method, path)
            assert told(answer) == (401, "unauthorized"), path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in str(answer)
        for headers in wrong:
            assert told(api.asked("GET", STATS, headers=headers)) == (401, "unauthorized"), headers
        for scheme in ("Bearer", "bearer"):
            headers = {"Authorization": f"{scheme} {TOKEN}"}
            assert api.asked("GET", STATS, headers=headers).status == 200
        assert (api.get("/healthz").status, api.get("/readyz").status) == (200, 200)


def test_without_a_token_no_web_page_gets_an_answer(api: Api) -> None:
    port = api.url.rsplit(":", 1)[1]
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        # A name that was made to point here.
        {"Host": f"evil.example:{port}"},
        {"Host": f"127.0.0.1.evil.example:{port}"},
        {"Host": "[::1"},
    ):
        answer = api.asked("POST", SYNC, headers=headers)
        assert told(answer) == (403, "foreign_origin"), headers
    for headers in ({"Host": f"localhost:{port}"}, {"Origin": api.url}):
        assert api.asked("GET", STATS, headers=headers).status == 200


def test_each_address_has_an_allowance_and_is_told_when_it_has_one_again(serve: Serve) -> None:
    with serve(ACTUALS_API_TOKEN=TOKEN, ACTUALS_API_REQUESTS_PER_MINUTE="3") as api:
        ours = {"Authorization": f"Bearer {TOKEN}"}
        # Who guesses tokens, and what asks by the clock, take from allowances of their own.
        guessed = [told(api.asked("GET", STATS)) for _ in range(4)]
        assert guessed == [(401, "unauthorized")] * 3 + [(429, "too_many_requests")]
        metrics = [api.asked("GET", "/metrics", headers=ours).status for _ in range(4)]
        assert metrics == [200, 200, 200, 429]
        for path in ("/healthz", "/readyz"):
            assert [api.get(path).status for _ in range(4)] == [200] * 4, path
        got = [api.asked("GET", STATS, headers=ours) for _ in range(4)]
        assert [answer.status for answer in got] == [200, 200, 200, 429]
        assert told(got[-1]) == (429, "too_many_requests")
        assert 1 <= int(got[-1].headers["retry-after"]) <= 20


def test_large_bodies_are_refused_unread(api: Api) -> None:
    path = f"{FETCH}/129999999999999999"
    assert told(api.asked("POST", path, data=b"x" * 65_537)) == (413, "body_too_large")
    assert told(api.asked("POST", path, data=iter([b"x"]))) == (411, "length_required")
    assert told(api.asked("POST", path, data=b"x" * 65_536)) == (404, "ad_not_found")
