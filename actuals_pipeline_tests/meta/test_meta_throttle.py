from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuals_pipeline.meta.throttle import (
    DEFAULT_PAUSE_SECONDS,
    LONGEST_WAIT_SECONDS,
    SLOWEST_STEP_SECONDS,
    seconds_to_wait,
)

INSIGHTS = "X-FB-Ads-Insights-Throttle"
BUSINESS = "X-Business-Use-Case-Usage"
ACCOUNT = "X-Ad-Account-Usage"
APP = "X-App-Usage"


def _wait(name: str, usage: object) -> float:
    return seconds_to_wait({name: json.dumps(usage)})


@pytest.mark.parametrize(
    ("name", "usage", "want"),
    [
        (INSIGHTS, {"app_id_util_pct": 74.9, "acc_id_util_pct": 3}, 0),
        (INSIGHTS, {"app_id_util_pct": 10, "acc_id_util_pct": 90}, DEFAULT_PAUSE_SECONDS),
        (INSIGHTS, {"app_id_util_pct": "100"}, DEFAULT_PAUSE_SECONDS),
        (APP, {"call_count": 28, "total_time": 25, "total_cputime": 95}, DEFAULT_PAUSE_SECONDS),
        (APP, {"call_count": 250}, DEFAULT_PAUSE_SECONDS),
        (ACCOUNT, {"acc_id_util_pct": 95, "reset_time_duration": 17}, 17),
        (ACCOUNT, {"acc_id_util_pct": 9, "reset_time_duration": 17}, 0),
        (
            BUSINESS,
            {"42": [{"type": "ads_insights", "estimated_time_to_regain_access": 3}]},
            180,
        ),
    ],
    ids=[
        "room",
        "account nearly full",
        "number as text",
        "cpu time nearly full",
        "over 100 %",
        "reset in seconds",
        "reset without need",
        "regain access in minutes",
    ],
)
def test_each_header_is_read_in_its_own_unit(name: str, usage: dict[str, Any], want: float) -> None:
    assert _wait(name, usage) == want
    assert _wait(name.lower(), usage) == want


def test_every_element_under_every_id_counts() -> None:
    calm = {"type": "ads_management", "call_count": 1, "estimated_time_to_regain_access": 0}
    full = {"type": "ads_insights", "call_count": 100, "estimated_time_to_regain_access": 2}
    assert _wait(BUSINESS, {"1": [calm], "2": [calm, calm, full]}) == 120


def test_the_longest_wait_of_all_headers_wins() -> None:
    headers = {
        APP: json.dumps({"call_count": 95}),
        ACCOUNT: json.dumps({"acc_id_util_pct": 95, "reset_time_duration": 300}),
    }
    assert seconds_to_wait(headers) == 300


def test_calls_slow_down_before_they_stop() -> None:
    waits = [_wait(APP, {"call_count": percent}) for percent in (75, 80, 85, 89.9)]
    assert waits == sorted(waits)
    assert waits[0] == 0
    assert 0 < waits[1] < waits[-1] < SLOWEST_STEP_SECONDS


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not json",
        "[]",
        "null",
        '{"call_count": null}',
        '{"call_count": "many"}',
        '{"call_count": NaN}',
        '{"call_count": -5}',
        '{"call_count": [99]}',
        '{"42": {"call_count": 99}}',
        '{"42": [99, null, "99"]}',
    ],
)
def test_a_malformed_header_is_no_reason_to_wait(value: str) -> None:
    assert seconds_to_wait({APP: value, BUSINESS: value}) == 0


def test_other_headers_are_not_read() -> None:
    assert _wait("X-Elsewhere", {"call_count": 100}) == 0


@given(st.text() | st.floats() | st.integers(), st.floats() | st.integers())
def test_the_wait_is_always_a_sane_number(regain: object, used: float) -> None:
    usage = {"estimated_time_to_regain_access": regain, "call_count": used}
    assert 0 <= _wait(BUSINESS, {"42": [usage]}) <= LONGEST_WAIT_SECONDS
