"""Faults, the control over HTTP, and the stand-in as a program."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from facebook_business.exceptions import FacebookRequestError

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.graph import appsecret_proof
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow

Get = Callable[..., Any]
Rows = Callable[..., list[dict[str, Any]]]

ADS = {"fields": "account_id,ad_id,spend", "level": "ad", "limit": 4}


def control(stand_in: GraphStandIn, method: str, name: str, **more: Any) -> Any:
    answer = requests.request(method, f"{stand_in.url}/_stand_in/{name}", timeout=10, **more)
    answer.raise_for_status()
    return answer.json()


def raw(stand_in: GraphStandIn, path: str = "/v26.0/act_42/insights") -> requests.Response:
    token = stand_in.access_token
    proof = appsecret_proof(stand_in.app_secret, token)
    params = {"access_token": token, "appsecret_proof": proof}
    return requests.get(stand_in.url + path, params=params, timeout=10)


def test_an_error_comes_as_often_as_told_and_then_no_more(stand_in: GraphStandIn, get: Get) -> None:
    error = {"code": 190, "subcode": 463, "message": "Session has expired", "is_transient": True}
    stand_in.faults.add(Fault({"error": error, "status": 401}, kind="insights", times=2))
    get("act_42")
    for _ in range(2):
        with pytest.raises(FacebookRequestError) as refused:
            get("act_42", "insights")
        failure: Any = refused.value
        assert (failure.api_error_code(), failure.api_error_subcode()) == (190, 463)
        assert failure.api_transient_error()
        assert failure.http_status() == 401
    assert get("act_42", "insights")["data"]
    assert stand_in.faults.pending() == []


def test_rules_are_used_up_in_order_and_only_by_what_they_match(
    stand_in: GraphStandIn, get: Get
) -> None:
    stand_in.faults.add(
        Fault({"drop_field": "spend"}, account_id="43"),
        Fault({"drop_field": "ad_id"}, path=r"/act_42/insights$", method="GET", page=2),
        Fault({"drop_field": "account_id"}, times=None),
    )
    first = get("act_42", "insights", **ADS)
    assert first["data"][0].keys() >= {"ad_id", "spend"}
    second = get("act_42", "insights", **ADS, after=first["paging"]["cursors"]["after"])
    assert "ad_id" not in second["data"][0]
    assert "account_id" not in get("act_42", "insights", **ADS)["data"][0]
    assert "spend" not in get("act_43", "insights", **ADS)["data"][0]
    assert "account_id" not in get("act_43", "insights", **ADS)["data"][0]


def test_a_hollow_page_hides_nothing(stand_in: GraphStandIn, rows: Rows, get: Get) -> None:
    want = rows("act_42", "insights", **ADS)
    stand_in.faults.add(Fault({"empty_page": True}, page=2), Fault({"empty_page": True}, page=3))
    stand_in.calls.clear()
    assert rows("act_42", "insights", **ADS) == want
    after = [call.params["after"] for call in stand_in.calls[1:]]
    assert len(set(after)) == len(after) == -(-len(want) // 4) + 1


def test_a_repeated_cursor_leads_back(stand_in: GraphStandIn, get: Get) -> None:
    first = get("act_42", "insights", **ADS)
    after = first["paging"]["cursors"]["after"]
    stand_in.faults.add(Fault({"repeat_cursor": True}))
    second = get("act_42", "insights", **ADS, after=after)
    assert second["paging"]["cursors"]["after"] == after
    assert "next" in second["paging"]
    assert second["data"] != first["data"]


def test_a_row_can_come_twice_or_from_a_stranger(stand_in: GraphStandIn, get: Get) -> None:
    want = get("act_42", "insights", **ADS)["data"]
    stand_in.faults.add(
        Fault({"duplicate_row": True}),
        Fault({"duplicate_row": {"spend": "1.11"}}),
        Fault({"foreign_row": True}),
    )
    assert get("act_42", "insights", **ADS)["data"] == [*want, want[-1]]
    assert get("act_42", "insights", **ADS)["data"] == [*want, want[-1] | {"spend": "1.11"}]
    *own, stranger = get("act_42", "insights", **ADS)["data"]
    assert own == want
    assert stranger["account_id"] not in {"42", "43", "44"}
    assert get("act_42", "insights", **ADS)["data"] == want


def test_a_report_run_can_fail(stand_in: GraphStandIn, api: Any, get: Get) -> None:
    answer = api.call("POST", ("act_42", "insights"))
    run_id = answer.json()["report_run_id"]
    failed = {"async_status": "Job Failed", "error_code": 2, "error_subcode": 2490547}
    stand_in.faults.add(
        Fault({"job_status": "Job Skipped"}, kind="run"), Fault({"job_status": failed}, kind="run")
    )
    assert get(run_id)["async_status"] == "Job Skipped"
    assert failed.items() <= get(run_id).items()
    assert get(run_id)["async_status"] == "Job Completed"


def test_the_wire_itself_can_fail(stand_in: GraphStandIn) -> None:
    whole = raw(stand_in).content
    stand_in.faults.add(
        Fault({"raw_body": "<h1>Bad Gateway</h1>", "status": 502}),
        Fault({"raw_body": "{}", "content_type": "application/json"}),
        Fault({"truncate": True}),
        Fault({"drop_connection": True}),
        Fault({"raw_answer": "HTTP/1.1 299 Odd\r\nX-No-Colon\r\n\r\nto the end"}),
        Fault({"headers": {"X-App-Usage": '{"call_count": 99}'}}),
        Fault({"delay_seconds": 0.15}),
    )
    html = raw(stand_in)
    assert (html.status_code, html.text) == (502, "<h1>Bad Gateway</h1>")
    assert html.headers["content-type"].startswith("text/html")
    assert raw(stand_in).json() == {}
    assert raw(stand_in).content == whole[: len(whole) // 2]
    with pytest.raises(requests.ConnectionError):
        raw(stand_in)
    odd = raw(stand_in)
    assert (odd.status_code, odd.reason, odd.text) == (299, "Odd", "to the end")
    assert json.loads(raw(stand_in).headers["x-app-usage"]) == {"call_count": 99}
    started = time.monotonic()
    assert raw(stand_in).content == whole
    assert time.monotonic() - started >= 0.15
    assert [call.status for call in stand_in.calls] == [200, 502, 200, 200, 200, 200, 200, 200]


def test_an_unknown_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown effects"):
        Fault({"explode": True})


def test_clock_and_truth_over_http(stand_in: GraphStandIn, world: World) -> None:
    later = world.now + timedelta(days=2)
    assert control(stand_in, "POST", "clock", json={"now": later.isoformat()}) == {
        "now": later.isoformat()
    }
    assert world.now == later
    back = requests.post(
        f"{stand_in.url}/_stand_in/clock", json={"now": "2020-01-01T00:00:00+00:00"}, timeout=10
    )
    assert (back.status_code, world.now) == (400, later)
    query = {"account_id": "42", "since": "2026-03-20", "until": "2026-03-31"}
    got = control(stand_in, "GET", "truth", params=query)["data"]
    want = world.truth("42", DayWindow.inclusive(date(2026, 3, 20), date(2026, 3, 31)))
    assert [(row["ad_id"], row["report_date"], row["spend"], row["revenue"]) for row in got] == [
        (row["ad_id"], row["report_date"].isoformat(), str(row["spend"]), str(row["revenue"]))
        for row in want
    ]
    assert len(control(stand_in, "GET", "videos")["data"]) == len(world.videos())
    assert len(control(stand_in, "GET", "predictions")["data"]) == len(world.predictions())


def test_faults_and_limits_over_http(stand_in: GraphStandIn) -> None:
    rule = {"effect": {"error": {"code": 2}, "status": 500}, "kind": "insights", "times": 3}
    control(stand_in, "POST", "faults", json=rule)
    assert raw(stand_in).status_code == 500
    assert control(stand_in, "GET", "faults")["data"][0]["times"] == 2
    assert control(stand_in, "DELETE", "faults") == {"data": []}
    assert raw(stand_in).status_code == 200
    assert control(stand_in, "POST", "limits", json={"sync_row_limit": 0}) == {
        "sync_row_limit": 0, "async_row_limit": None, "page_limit_max": 500,
    }  # fmt: skip
    assert raw(stand_in).json()["error"]["error_subcode"] == 1487534


def test_calls_are_recorded_without_secrets(stand_in: GraphStandIn) -> None:
    raw(stand_in, "/v26.0/act_42/insights?level=ad")
    [call] = control(stand_in, "GET", "calls")["data"]
    assert call == {
        "method": "GET",
        "path": "/v26.0/act_42/insights",
        "kind": "insights",
        "params": {"level": "ad"},
        "account_id": "42",
        "page": 1,
        "status": 200,
        "via": "query",
    }
    assert control(stand_in, "DELETE", "calls") == {"data": []}
    assert stand_in.calls == []


@pytest.mark.parametrize("clock", ["fixed", "real"])
def test_as_a_program_it_says_where_it_is_and_ends_when_told(clock: str) -> None:
    start = "2026-03-29T12:00:00+00:00"
    command = [sys.executable, "-m", "actuals_pipeline.graph_stand_in"]
    with subprocess.Popen(
        [*command, "--now", start, "--clock", clock], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        ready = json.loads(program.stdout.readline())
        now = requests.get(f"{ready['url']}/_stand_in/clock", timeout=10).json()["now"]
        program.send_signal(signal.SIGTERM if clock == "real" else signal.SIGINT)
        assert program.wait(10) == 0
        assert program.stdout.read() == ""
    assert ready.keys() == {"url", "access_token", "app_secret", "account_ids"}
    assert len(ready["account_ids"]) == 3
    assert (now == start) == (clock == "fixed")


def test_a_rule_may_be_about_parameters_or_about_where_the_token_is(
    stand_in: GraphStandIn, get: Get
) -> None:
    error = {"error": {"code": 104}}
    stand_in.faults.add(
        Fault(error, via="header"), Fault({"drop_rows": 2}, params="^level=ad$", times=None)
    )
    want = get("act_42", "insights", **ADS | {"level": "adset"})["data"]
    assert len(want) == 4
    assert len(get("act_42", "insights", **ADS)["data"]) == 2
    refused = requests.get(
        f"{stand_in.url}/v26.0/act_42",
        headers={"Authorization": f"Bearer {stand_in.access_token}"},
        timeout=10,
    )
    assert refused.json()["error"]["code"] == 104
    assert [call.via for call in stand_in.calls] == ["query", "query", "header"]


def test_actions_can_be_changed_and_objects_merged(stand_in: GraphStandIn, get: Get) -> None:
    query = {"fields": "actions", "action_attribution_windows": ["1d_click", "7d_click"]}

    def clicks() -> dict[str, str]:
        (row,) = get("act_42", "insights", **query)["data"]
        (found,) = [each for each in row["actions"] if each["action_type"] == "link_click"]
        return dict(found)

    want = clicks()
    changed = {"action_type": "link_click", "value": "7", "1d_click": None}
    stand_in.faults.add(
        Fault({"set_action": changed}),
        Fault({"drop_window": "7d_click"}),
        Fault({"merge": {"name": "Other", "data": {"a": 1}}}),
    )
    assert clicks() == {"action_type": "link_click", "value": "7", "7d_click": want["7d_click"]}
    assert clicks().keys() == want.keys() - {"7d_click"}
    assert get("act_42", fields="name") == {"id": "act_42", "name": "Other", "data": {"a": 1}}


def test_answers_are_dated_by_the_real_clock_unless_told_otherwise(stand_in: GraphStandIn) -> None:
    other = "Sat, 07 Mar 2026 12:00:00 GMT"
    stand_in.faults.add(Fault({"headers": {"Date": other}}))
    assert raw(stand_in).headers.get("date") == other
    dated = parsedate_to_datetime(raw(stand_in).headers["date"])
    assert abs(datetime.now(UTC) - dated) < timedelta(seconds=5)
