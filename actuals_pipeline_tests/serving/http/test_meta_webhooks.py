"""`/webhooks/meta` on a real port: confirmed, proven, stored once, and answered in plain words."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from starlette.requests import Request

from actuals_pipeline.serving.http.failures import Refusal
from actuals_pipeline.serving.http.gate import MOST_WEBHOOK_BYTES
from actuals_pipeline.serving.http.webhooks import body_of
from actuals_pipeline.warehouse.embedded import EmbeddedPostgres
from actuals_pipeline_tests.serving.conftest import Stored, rows_anywhere
from actuals_pipeline_tests.serving.http.conftest import STATUS, TOKEN, Answer, Api, Serve
from actuals_pipeline_tests.serving.http.test_refusals import told

PATH = "/webhooks/meta"
SECRET = "app-secret-of-the-webhooks"
VERIFY = "verify-token-of-the-webhooks"

FATIGUE = {
    "field": "creative_fatigue",
    "value": {"ad_account_id": "42", "adgroup_id": "6001", "creative_fatigue_level": "HIGH"},
}


def message(*changes: dict[str, Any], time: int = 1_772_900_000) -> bytes:
    entry = {"id": "42", "time": time, "changes": list(changes or (FATIGUE,))}
    return json.dumps({"object": "ad_account", "entry": [entry]}).encode()


def post(api: Api, body: bytes, secret: str = SECRET, **headers: str) -> Answer:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    usual = {"X-Hub-Signature-256": f"sha256={digest}", "Content-Type": "application/json"}
    return api.asked("POST", PATH, data=body, headers=usual | headers)


def confirm(api: Api, token: str = VERIFY, mode: str = "subscribe", challenge: str = "1158") -> Any:
    parameters = {"hub.mode": mode, "hub.challenge": challenge, "hub.verify_token": token}
    return api.asked("GET", PATH, parameters)


@pytest.fixture
def api(serve: Serve) -> Iterator[Api]:
    """As Meta finds it: behind another name, with a token that Meta does not have."""
    with serve(
        META_APP_SECRET=SECRET, META_WEBHOOK_VERIFY_TOKEN=VERIFY, ACTUALS_API_TOKEN=TOKEN
    ) as served:
        yield served


def test_the_challenge_is_given_back_to_who_knows_the_verify_token(api: Api) -> None:
    answer = confirm(api)
    assert (answer.status, answer.body) == (200, "1158")
    assert answer.headers["content-type"].startswith("text/plain")
    for wrong in (
        confirm(api, token="another-token-of-the-same"),
        confirm(api, token=""),
        confirm(api, mode="unsubscribe"),
        confirm(api, challenge="<script>"),
        api.get(PATH),
    ):
        assert told(wrong) == (403, "not_meta")
        assert VERIFY not in json.dumps(wrong.body)


def test_an_event_is_stored_once_however_often_it_comes(api: Api, stored: Stored) -> None:
    answer = post(api, message(), Host="hooks.example.com", Origin="https://www.facebook.com")
    assert (answer.status, answer.body) == (200, {"status": "success", "events": 1, "new": 1})
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(lambda _: post(api, message()), range(16)))
    assert {(each.status, each.body["new"]) for each in again} == {(200, 0)}
    issue = {"field": "with_issues_ad_objects", "value": {"id": "12", "level": "AD_SET"}}
    assert post(api, message(issue, FATIGUE)).body["new"] == 1
    rows = stored("meta_events", "account_id", "field", "object_level", "object_id", "value")
    assert sorted(tuple(row.values())[:4] for row in rows) == [
        ("42", "creative_fatigue", "ad", "6001"),
        ("42", "with_issues_ad_objects", "adset", "12"),
    ]
    assert FATIGUE["value"] in [row["value"] for row in rows]
    shown = api.asked("GET", STATUS, headers={"Authorization": f"Bearer {TOKEN}"}).body
    assert shown["meta_events"]["last_24_hours"] == 2
    assert {each["object_id"] for each in shown["meta_events"]["newest"]} == {"12", "6001"}


def test_a_thousand_changes_at_once_are_stored(api: Api, stored: Stored) -> None:
    changes = [
        {"field": "with_issues_ad_objects", "value": {"id": str(at), "level": "AD", "a": "x" * 300}}
        for at in range(1, 1001)
    ]
    assert post(api, message(*changes)).body == {"status": "success", "events": 1000, "new": 1000}
    assert len(stored("meta_events", "event_key")) == 1000


def test_what_meta_did_not_sign_is_refused_and_leaves_nothing(api: Api, database: str) -> None:
    for answer in (
        post(api, message(), secret="another-secret"),
        api.asked("POST", PATH, data=message()),
        post(api, message(), **{"X-Hub-Signature-256": "sha1=abc"}),
    ):
        assert told(answer) == (403, "not_meta")
    assert told(post(api, b"{")) == (422, "bad_parameter")
    assert told(post(api, b"x" * (MOST_WEBHOOK_BYTES + 1))) == (413, "body_too_large")
    assert told(api.asked("POST", PATH, data=iter([message()]))) == (411, "length_required")
    # What is signed and none of ours is taken and forgotten, or Meta would say it for 36 hours.
    assert post(api, b'{"object": "page", "entry": []}').body["events"] == 0
    assert not rows_anywhere(database)


def test_who_never_ends_a_message_is_not_waited_for() -> None:
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Any:
        for part in parts:
            return part
        return await asyncio.Event().wait()

    request = Request({"type": "http", "method": "POST", "path": PATH, "headers": []}, receive)
    with pytest.raises(Refusal) as refused:
        asyncio.run(body_of(request, most_seconds=0.01))
    assert (refused.value.status, refused.value.code) == (408, "body_too_slow")


def test_without_what_it_takes_it_says_so(serve: Serve, database: str) -> None:
    with serve(META_APP_SECRET="") as api:
        for answer, name in (
            (confirm(api), "META_WEBHOOK_VERIFY_TOKEN"),
            (post(api, message()), "META_APP_SECRET"),
        ):
            assert told(answer) == (503, "not_configured")
            assert name in answer.body["error"]["message"]
    assert not rows_anywhere(database)


def test_the_way_in_is_for_webhooks_alone(api: Api) -> None:
    for path in ("/webhooks", f"{PATH}/", f"{PATH}/../..{STATUS}", STATUS):
        assert told(api.get(path)) == (401, "unauthorized")


def test_while_the_database_is_away_meta_is_told_to_come_again(
    api: Api, database: str, postgres_server: EmbeddedPostgres
) -> None:
    name = sql.Identifier(str(conninfo_to_dict(database)["dbname"]))
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        try:
            connection.execute(allow.format(name, sql.SQL("false")))
            answer = post(api, message())
        finally:
            connection.execute(allow.format(name, sql.SQL("true")))
    assert answer.status == 503
    assert post(api, message()).body["new"] == 1
