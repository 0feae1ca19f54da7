"""What a real account says beside what we assume: each probe in every form of its answer."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.graph import appsecret_proof
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.meta import probes
from actuals_pipeline.meta.graph import MetaCredentials
from actuals_pipeline.meta.health import MetaAccess
from actuals_pipeline.meta.probes import Assumptions, Measurement
from actuals_pipeline.report_days import DayWindow, parse_day

Measure = Callable[..., dict[str, Measurement]]

TOKEN = "EAA" + "tokenThatMustNotLeak"
SECRET = "appSecretThatMustNotLeak"

ASSUMED = Assumptions("omni_purchase", page_size=100)
"""A page that the made-up account fills, unlike one of 500."""


@pytest.fixture
def access(
    stand_in: GraphStandIn,
    credentials: MetaCredentials,
    account_id: str,
    sleeps: list[float],
) -> MetaAccess:
    return MetaAccess(
        credentials,
        (account_id,),
        stand_in.url,
        "v26.0",
        expects_stand_in=True,
        sleep=sleeps.append,
    )


@pytest.fixture
def measure(stand_in: GraphStandIn, access: MetaAccess, account_id: str) -> Measure:
    """All measurements by name, after `faults`; every call is counted."""

    def measured(
        *faults: Fault, assumptions: Assumptions = ASSUMED, access: MetaAccess = access
    ) -> dict[str, Measurement]:
        before = len(stand_in.calls)
        stand_in.faults.add(*faults)
        found, calls = probes.measure(access, account_id, assumptions, stand_in.world.now)
        assert calls == len(stand_in.calls) - before
        return {each.assumption: each for each in found}

    return measured


@pytest.fixture
def small_pages(stand_in: GraphStandIn) -> Iterator[None]:
    stand_in.graph.page_limit_max = 50
    yield
    stand_in.graph.page_limit_max = 500


def test_everything_that_is_assumed_holds_for_the_stand_in(
    measure: Measure, stand_in: GraphStandIn, account_id: str
) -> None:
    found = measure()
    assert list(found) == [
        *("bearer header", "largest page", "status filter", "deleted ads", "windows"),
        *("default windows", "dating", "action_report_time", "purchase types", "purchase_roas"),
        "access tier",
    ]
    assert {each.verdict for each in found.values()} == {"as assumed"}
    assert not any(each.change for each in found.values())
    assert len(stand_in.calls) <= probes.MAX_CALLS
    posts = [call.kind for call in stand_in.calls if call.method == "POST"]
    assert posts == ["insights_async"]
    assert [call.via for call in stand_in.calls if call.kind == "account"] == ["header", "header"]
    # The days are whole: up to yesterday in Berlin, where it is the afternoon of the eighth.
    days = {call.params["time_range"] for call in stand_in.calls if call.kind == "insights"}
    assert days == {'{"since":"2026-02-08","until":"2026-03-07"}'}

    total = sum(
        row["spend"] for row in stand_in.world.truth(account_id, DayWindow.inclusive(*DAYS))
    )
    assert f"all: 18 ads, {total:,.2f} of {total:,.2f}; none:" in found["status filter"].found
    assert found["largest page"].assumed == "100 rows"
    assert found["windows"].found == "1d_click, 7d_click, 28d_click, 1d_view, 1d_ev came"


DAYS = (parse_day("2026-02-08"), parse_day("2026-03-07"))

DAILY = "^time_increment=1$"
TOTAL = "^fields=.*purchase_roas"
PURCHASE = {"action_type": "omni_purchase"}
TIERS = ("X-FB-Ads-Insights-Throttle", "X-Business-Use-Case-Usage", "X-Ad-Account-Usage")


def always(effect: dict[str, Any], **criteria: Any) -> Fault:
    return Fault(effect, times=None, **criteria)


def page_of(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"raw_body": json.dumps({"data": rows}), "content_type": "application/json"}


def bought(**by_type: tuple[int, int]) -> dict[str, Any]:
    """A row with the number and the value of purchases of each action type."""
    return {
        "spend": "1",
        **{
            name: [
                {"action_type": each, "value": str(pair[place])} for each, pair in by_type.items()
            ]
            for place, name in enumerate(("actions", "action_values"))
        },
    }


DELIVERED = {
    "impressions": "7",
    "date_start": "2026-03-01",
    "actions": [{"action_type": "omni_purchase", "value": "1"}],
}

CASES: dict[str, tuple[list[Fault], str, str, str, str]] = {
    "bearer refused": (
        [always({"error": {"code": 104}}, params="^fields=account_id$")],
        *("bearer header", "differs", r"HTTP 400, code 104", "kept out of logs"),
    ),
    "bearer met an outage": (
        [always({"error": {"code": 2}, "status": 500}, params="^fields=account_id$")],
        *("bearer header", "not measured", "HTTP 500", "^$"),
    ),
    "bearer answered in another form": (
        [always({"raw_body": "[1]"}, params="^fields=account_id$")],
        *("bearer header", "differs", "HTTP 200, code None", "query"),
    ),
    "bearer sent elsewhere": (
        [
            Fault(
                {"raw_body": "{}", "status": 302, "headers": {"Location": "/v26.0/act_1"}},
                params="^fields=account_id$",
            )
        ],
        *("bearer header", "differs", "HTTP 302, code None", "query"),
    ),
    "bearer cut off": (
        [always({"drop_connection": True}, params="^fields=account_id$")],
        *("bearer header", "not measured", r"no usable answer \(ConnectionError\)", "^$"),
    ),
    "larger page refused": (
        [always({"error": {"code": 100, "subcode": 1487534}}, params="^limit=1000$")],
        *("largest page", "as assumed", "1000 are refused as too large", "^$"),
    ),
    "one page holds all": (
        [always(page_of(DELIVERED), params=DAILY)],
        *("largest page", "not measured", "all 1 rows", "^$"),
    ),
    "filter hides ads": (
        [always({"drop_rows": 10}, params="^filtering=.*effective_status")],
        *("status filter", "differs", "all: 8 ads.*none: 15 ads", "STATUS_FILTER=none$"),
    ),
    "no deleted ads": (
        [always({"drop_rows": 25}, params=r'^filtering=.*\["DELETED"\]')],
        *("deleted ads", "not measured", "none came", "spend_reconciliation"),
    ),
    "dead window": (
        [always({"set_action": {"action_type": "link_click", "7d_view": "1"}})],
        *("windows", "differs", "7d_view came", "report it"),
    ),
    "click window silent": (
        [always({"drop_window": "28d_click"})],
        *("windows", "differs", "1d_click, 7d_click, 1d_view, 1d_ev came", "28d_click stays"),
    ),
    "view window silent": (
        [always({"drop_window": "1d_ev"})],
        *("windows", "as assumed", "1d_click, 7d_click, 28d_click, 1d_view came", "^$"),
    ),
    "no actions": (
        [always(page_of({"spend": "1"}), params=TOTAL)],
        *("windows", "not measured", "no actions", "^$"),
    ),
    "report counts other windows": (
        [always({"set_action": {**PURCHASE, "value": "1"}}, kind="run_insights")],
        *("default windows", "differs", r"named: \d+ .*GET: \d+ .*POST: 1 worth", "names its"),
    ),
    "sync counts other windows": (
        [always({"set_action": {**PURCHASE, "value": "1"}}, kind="insights",
                params=r"\A(?![\s\S]*windows)[\s\S]*purchase_roas")],
        *("default windows", "differs", "GET: 1 worth", "names its"),
    ),
    "report never ready": (
        [always({"job_status": "Job Running"}, kind="run")],
        *("default windows", "not measured", "not ready", "^$"),
    ),
    "report at 100 but running": (
        [always({"job_status": {"async_percent_completion": 100}}, kind="run")],
        *("default windows", "as assumed", "POST", "^$"),
    ),
    "no purchases": (
        [always({"drop_field": "actions"}, params=TOTAL)],
        *("default windows", "not measured", "no purchases", "^$"),
    ),
    "every purchase with delivery": (
        [always(page_of(DELIVERED), params=DAILY)],
        *("dating", "not measured", "0 of 1 ad-days", "^$"),
    ),
    "no purchases by day": (
        [always({"drop_field": "actions"}, params=DAILY)],
        *("dating", "not measured", "no purchases", "^$"),
    ),
    "report time acts": (
        [always({"set_action": {**PURCHASE, "value": "1"}}, params="report_time=impression")],
        *("action_report_time", "differs", r"\d+ of 28 days differ", "report it"),
    ),
    "report time on nothing": (
        [always({"drop_field": "actions"}, params=DAILY)],
        *("action_report_time", "not measured", "no purchases", "^$"),
    ),
    "another type holds more": (
        [always({"set_action": {"action_type": "purchase", "value": "99999999"}}, params=TOTAL)],
        *("purchase types", "differs", "purchase: 99999999", "TYPE, if purchase is what"),
    ),
    "another type counts more": (
        [always(page_of(bought(omni_purchase=(5, 9), purchase=(6, 8))), params=TOTAL)],
        *("purchase types", "differs", "purchase: 6 worth 8.00", "TYPE, if purchase is what"),
    ),
    "another type is worth more": (
        [always(page_of(bought(omni_purchase=(5, 9), purchase=(4, 10))), params=TOTAL)],
        *("purchase types", "differs", "purchase: 4 worth 10.00", "TYPE, if purchase is what"),
    ),
    "other types hold less": (
        [always(page_of(bought(omni_purchase=(5, 9), purchase=(4, 8))), params=TOTAL)],
        *("purchase types", "as assumed", "purchase: 4 worth 8.00", "^$"),
    ),
    "no purchase types": (
        [always({"drop_field": "actions"}, params=TOTAL)],
        *("purchase types", "not measured", "no purchases", "^$"),
    ),
    "roas is a percent": (
        [always({"set_action": {**PURCHASE, "value": "300"}}, params=TOTAL)],
        *("purchase_roas", "differs", r"theirs 300.0000, value / spend 0\.\d+", "computed"),
    ),
    "no roas": (
        [always({"drop_field": "purchase_roas"})],
        *("purchase_roas", "not measured", "no purchase_roas under omni_purchase", "^$"),
    ),
    "tier renamed": (
        [always({"headers": {TIERS[0]: '{"ads_api_access_tier": "full_access"}'}})],
        *("access tier", "differs", "full_access, standard_access", "percentages"),
    ),
    "no tier": (
        [always({"headers": dict.fromkeys(TIERS, "{}")})],
        *("access tier", "not measured", "no header", "^$"),
    ),
    "refused": (
        [always({"error": {"code": 12345}}, params="action_report_time")],
        *("action_report_time", "not measured", "12345, not known to this program", "^$"),
    ),
    "no rows but text": (
        [always({"raw_body": '{"data": ["x"]}'}, params="^limit=25$")],
        *("deleted ads", "not measured", "no list of rows", "^$"),
    ),
    "spend is no number": (
        [always(page_of({"spend": "1e9"}), params="^fields=account_id,ad_id,spend$")],
        *("status filter", "not measured", "no number", "^$"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_answer_is_put_beside_the_assumption(case: str, measure: Measure) -> None:
    faults, name, verdict, seen, change = CASES[case]
    found = measure(*faults)[name]
    assert found.verdict == verdict, found
    assert re.search(seen, found.found), found
    assert re.search(change, found.change), found


@pytest.mark.usefixtures("small_pages")
def test_a_page_that_meta_cuts_short_is_told(measure: Measure) -> None:
    found = measure()["largest page"]
    assert (found.verdict, found.found) == ("differs", "50 rows came although 100 were asked for")
    assert "pages are followed" in found.change


def test_settings_that_the_account_speaks_against_are_named(
    measure: Measure, account_id: str
) -> None:
    other = replace(ASSUMED, status_filter="none", purchase_action_type="purchase.of.nothing")
    found = measure(assumptions=other)
    assert found["status filter"].assumed == "ACTUALS_STATUS_FILTER=none gives most"
    assert found["status filter"].verdict == "differs"
    assert found["status filter"].change == "ACTUALS_STATUS_FILTER=all"
    types = found["purchase types"]
    assert (types.verdict, types.found[:30]) == ("differs", "none under purchase.of.nothing")
    assert types.change == (
        f"ACTUALS_PURCHASE_ACTION_TYPE=purchase.of.nothing,act_{account_id}=omni_purchase"
    )


@pytest.mark.parametrize("chosen", ["all", "none"])
def test_a_filter_that_changes_nothing_speaks_against_nothing(
    chosen: probes.StatusFilter, measure: Measure
) -> None:
    same = always(page_of({"spend": "1"}), params="^fields=account_id,ad_id,spend$")
    found = measure(same, assumptions=replace(ASSUMED, status_filter=chosen))
    assert found["status filter"].verdict == "as assumed"


def test_ads_are_summed_over_pages(measure: Measure) -> None:
    want = measure()["status filter"].found
    assert measure(assumptions=replace(ASSUMED, page_size=10))["status filter"].found == want


def test_more_ads_than_a_few_pages_are_not_summed(measure: Measure) -> None:
    found = measure(assumptions=replace(ASSUMED, page_size=5))["status filter"]
    assert (found.verdict, found.found) == ("not measured", "more than 3 pages of ads")


def test_no_more_calls_than_promised_whatever_happens(
    measure: Measure, stand_in: GraphStandIn
) -> None:
    found = measure(always({"error": {"code": 2}, "status": 500}, path="insights"))
    assert len(stand_in.calls) == probes.MAX_CALLS
    assert any("calls are used up" in each.found for each in found.values())
    assert {each.verdict for each in found.values()} == {"as assumed", "not measured"}


def test_the_longest_measurement_fits_into_the_calls(
    measure: Measure, stand_in: GraphStandIn, sleeps: list[float]
) -> None:
    found = measure(
        always({"job_status": "Job Running"}, kind="run"), assumptions=replace(ASSUMED, page_size=5)
    )
    assert len(stand_in.calls) == probes.MAX_CALLS - 1
    assert not any("used up" in each.found for each in found.values())
    assert sum(sleeps) == sum(probes.POLL_DELAYS_SECONDS)


def test_an_account_that_cannot_be_read_is_asked_once(
    measure: Measure, stand_in: GraphStandIn
) -> None:
    found = measure(always({"error": {"code": 200}}))
    assert len(stand_in.calls) == 1
    assert {each.verdict for each in found.values()} == {"not measured"}
    assert all("200, permission denied" in each.found for each in found.values())


@pytest.mark.parametrize(
    "effect",
    [
        {"error": {"code": 12345, "message": f"{TOKEN} {SECRET}"}},
        {"raw_body": f"<html>{TOKEN} {SECRET}</html>"},
        {"drop_connection": True},
    ],
    ids=["quoted", "quoted raw", "cut"],
)
def test_no_secret_is_in_a_measurement_or_a_log(
    effect: dict[str, Any],
    stand_in: GraphStandIn,
    access: MetaAccess,
    account_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secretive = replace(access, credentials=MetaCredentials(TOKEN, "1", SECRET))
    # The account itself can be read, so that everything is tried.
    node = page_of() | {"raw_body": json.dumps({"timezone_name": "Europe/Berlin"})}
    stand_in.faults.add(always(node, kind="account", params="timezone_name"), always(effect))
    found, _ = probes.measure(secretive, account_id, ASSUMED, stand_in.world.now)
    assert {each.verdict for each in found} <= {"not measured", "differs"}
    logged = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")
    )
    assert "/insights" in logged or "Starting new HTTP connection" in logged
    for secret in (TOKEN, SECRET, appsecret_proof(SECRET, TOKEN)):
        assert secret not in f"{found!r} {logged}"
