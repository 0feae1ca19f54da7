"""The stand-in seen through the real SDK: what it answers is the truth, put as Meta puts it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adsinsights import AdsInsights
from facebook_business.exceptions import FacebookRequestError

from actuals_pipeline.graph_stand_in.graph import appsecret_proof
from actuals_pipeline.graph_stand_in.insights import FIELDS, PURCHASE_ALIASES
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow

Rows = Callable[..., list[dict[str, Any]]]
Get = Callable[..., Any]

WINDOW = DayWindow.trailing(date(2026, 3, 29), 28)
TIME_RANGE = {"since": WINDOW.since.isoformat(), "until": WINDOW.until.isoformat()}
STATUSES = [
    "ACTIVE", "ADSET_PAUSED", "ARCHIVED", "CAMPAIGN_PAUSED", "DELETED", "DISAPPROVED",
    "PAUSED", "PENDING_REVIEW", "WITH_ISSUES",
]  # fmt: skip
EVERY_STATUS = {"field": "ad.effective_status", "operator": "IN", "value": STATUSES}
DAILY: dict[str, Any] = {
    "level": "ad",
    "time_increment": 1,
    "time_range": TIME_RANGE,
    "fields": "account_id,ad_id,impressions,clicks,inline_link_clicks,reach,spend,actions,"
    "action_values",
    "filtering": [EVERY_STATUS],
    "action_attribution_windows": ["1d_click", "7d_click", "28d_click", "1d_view", "1d_ev"],
    "limit": 40,
}
SPEND = DAILY | {"fields": "ad_id,campaign_id,spend", "limit": 500}


def purchased(row: dict[str, Any], field: str, window: str = "value") -> Decimal:
    entries = [e for e in row.get(field, []) if e["action_type"] == "omni_purchase"]
    return sum((Decimal(entry.get(window, "0")) for entry in entries), Decimal(0))


def spend_of(rows: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row.get("spend", "0")) for row in rows), Decimal(0))


def as_truth(row: dict[str, Any], currency: str) -> dict[str, Any]:
    counts = ("impressions", "clicks", "reach")
    return {
        "account_id": row["account_id"],
        "ad_id": row["ad_id"],
        "report_date": date.fromisoformat(row["date_start"]),
        "currency": currency,
        **{name: int(row.get(name, "0")) for name in counts},
        "link_clicks": int(row.get("inline_link_clicks", "0")),
        "spend": Decimal(row.get("spend", "0")),
        "conversions": int(purchased(row, "actions")),
        "revenue": purchased(row, "action_values"),
    }


def error_of(error: Any) -> tuple[int, int | None]:
    return error.api_error_code(), error.api_error_subcode()


def refusal(get: Get, *path: str, **params: Any) -> tuple[int, int | None]:
    with pytest.raises(FacebookRequestError) as refused:
        get(*path, **params)
    return error_of(refused.value)


@pytest.mark.parametrize(("account_id", "currency"), [("42", "EUR"), ("43", "JPY")])
def test_every_page_together_is_the_truth_to_the_cent(
    world: World, rows: Rows, account_id: str, currency: str
) -> None:
    got = rows(f"act_{account_id}", "insights", **DAILY)
    assert len(got) > 40
    assert [as_truth(row, currency) for row in got] == world.truth(account_id, WINDOW)


def test_an_account_without_ads_has_no_rows(get: Get) -> None:
    assert get("act_44", "insights", **DAILY) == {"data": []}


def test_account_totals_include_the_ads_that_lists_leave_out(world: World, rows: Rows) -> None:
    truth = world.truth("42", WINDOW)
    listed = rows("act_42", "insights", **SPEND | {"filtering": []})
    totals = rows("act_42", "insights", **SPEND | {"level": "account", "filtering": []})
    assert spend_of(listed) < spend_of(totals) == sum(row["spend"] for row in truth)
    today = world.today("42")
    hidden = {a.ad_id for a in world.ads("42") if a.status(today) in {"ARCHIVED", "DELETED"}}
    assert {row["ad_id"] for row in listed} == {row["ad_id"] for row in truth} - hidden


def test_a_deleted_ad_still_answers_for_itself(world: World, rows: Rows, get: Get) -> None:
    today = world.today("42")
    deleted = next(ad for ad in world.ads("42") if ad.status(today) == "DELETED")
    assert get(deleted.ad_id, fields="effective_status")["effective_status"] == "DELETED"
    maximum = {**SPEND, "time_range": None, "date_preset": "maximum", "filtering": []}
    assert spend_of(rows(deleted.ad_id, "insights", **maximum)) > 0


def test_deleted_ads_can_be_kept_out_of_lists_altogether(world: World, rows: Rows) -> None:
    with_deleted = spend_of(rows("act_42", "insights", **SPEND))
    world.deleted_in_lists = False
    # The answer of the same instant is kept, so the clock has to move for a new one.
    world.now += timedelta(seconds=1)
    assert spend_of(rows("act_42", "insights", **SPEND)) < with_deleted


def test_late_purchases_are_listed_without_delivery(rows: Rows) -> None:
    late = [row for row in rows("act_42", "insights", **DAILY) if "impressions" not in row]
    assert any(purchased(row, "actions") > 0 for row in late)
    assert not any("spend" in row or "reach" in row for row in late)


def test_moving_the_clock_restates_the_past(world: World, rows: Rows) -> None:
    week = {"since": "2026-03-20", "until": "2026-03-26"}
    request = DAILY | {"level": "account", "time_range": week}
    before = rows("act_42", "insights", **request)
    world.now += timedelta(days=5)
    after = rows("act_42", "insights", **request)
    assert spend_of(before) == spend_of(after)
    revenues = [sum(purchased(r, "action_values") for r in seen) for seen in (before, after)]
    assert revenues[0] < revenues[1]


def test_pages_stay_consistent_while_the_clock_moves(world: World, get: Get) -> None:
    truth = world.truth("42", WINDOW)
    page = get("act_42", "insights", **DAILY)
    got = list(page["data"])
    while "next" in page["paging"]:
        world.now += timedelta(hours=7)
        page = get("act_42", "insights", **DAILY, after=page["paging"]["cursors"]["after"])
        got += page["data"]
    assert [as_truth(row, "EUR") for row in got] == truth


def test_a_report_run_gives_what_a_direct_request_gives(api: Any, get: Get, rows: Rows) -> None:
    answer = api.call("POST", ("act_42", "insights"), params=DAILY)
    run_id = answer.json()["report_run_id"]
    assert isinstance(run_id, str)
    seen: list[tuple[str, int]] = []
    while not seen or seen[-1] != ("Job Completed", 100):
        # Read too early, a run looks like an empty result.
        assert get(run_id, "insights") == {"data": []}
        poll = get(run_id)
        seen.append((poll["async_status"], poll["async_percent_completion"]))
    assert seen == [("Job Not Started", 0), ("Job Running", 50), ("Job Completed", 100)]
    assert rows(run_id, "insights", limit=33) == rows("act_42", "insights", **DAILY)


def test_nothing_that_is_zero_is_mentioned(rows: Rows) -> None:
    def leaves(value: Any) -> Iterator[str]:
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, str):
                yield inner
            else:
                assert inner
                yield from leaves(inner)

    texts = list(leaves(rows("act_42", "insights", **DAILY | {"fields": ",".join(FIELDS)})))
    assert not [text for text in texts if re.fullmatch(r"-?0*\.?0*", text)]


def test_every_field_is_one_that_the_sdk_knows() -> None:
    known = {value for name, value in vars(AdsInsights.Field).items() if name[0] != "_"}
    assert set(FIELDS) <= known


def test_ratios_are_metas_percent_and_ratio(rows: Rows) -> None:
    fields = "impressions,clicks,spend,ctr,frequency,reach,action_values,purchase_roas"
    request = DAILY | {"level": "account", "fields": fields, "time_increment": "all_days"}
    [row] = rows("act_42", "insights", **request)
    clicks, impressions = Decimal(row["clicks"]), Decimal(row["impressions"])
    assert abs(Decimal(row["ctr"]) - 100 * clicks / impressions) < Decimal("0.000001")
    roas = purchased(row, "action_values") / Decimal(row["spend"])
    assert abs(purchased(row, "purchase_roas") - roas) < Decimal("0.000001")
    assert (row["date_start"], row["date_stop"]) == (TIME_RANGE["since"], TIME_RANGE["until"])


def test_windows_are_nested_and_only_those_asked_for(rows: Rows) -> None:
    for row in rows("act_42", "insights", **DAILY):
        one, seven, month = (purchased(row, "actions", f"{n}d_click") for n in (1, 7, 28))
        assert one <= seven <= month
        assert purchased(row, "actions") == seven + purchased(row, "actions", "1d_view")
    asked = DAILY | {"action_attribution_windows": ["1d_view", "7d_view"]}
    entries = [e for row in rows("act_42", "insights", **asked) for e in row.get("actions", [])]
    assert set().union(*entries) == {"action_type", "value", "1d_view"}


def test_one_set_of_purchases_appears_under_many_names(rows: Rows) -> None:
    request = DAILY | {"level": "account", "time_increment": "all_days"}
    [row] = rows("act_42", "insights", **request)
    counts = {entry["action_type"]: int(entry["value"]) for entry in row["actions"]}
    on_meta = counts["onsite_conversion.purchase"]
    assert on_meta > 0
    assert counts["purchase"] == counts["omni_purchase"]
    for alias in PURCHASE_ALIASES.keys() - {"purchase", "omni_purchase"}:
        if not alias.startswith("onsite_conversion"):
            assert counts[alias] == counts["omni_purchase"] - on_meta


@pytest.mark.parametrize("increment", [1, 7, 90, "monthly", "all_days"])
@pytest.mark.parametrize("level", ["account", "campaign", "adset", "ad"])
def test_any_cut_of_the_same_days_has_the_same_sum(
    world: World, rows: Rows, increment: Any, level: str
) -> None:
    got = rows("act_42", "insights", **SPEND | {"level": level, "time_increment": increment})
    assert spend_of(got) == sum(row["spend"] for row in world.truth("42", WINDOW))
    assert len({json.dumps(row, sort_keys=True) for row in got}) == len(got)


def test_reach_counts_nobody_twice(rows: Rows) -> None:
    request = DAILY | {"level": "account", "fields": "reach,impressions"}
    days = rows("act_42", "insights", **request)
    [whole] = rows("act_42", "insights", **request | {"time_increment": "all_days"})
    reaches = [int(day["reach"]) for day in days]
    assert max(reaches) <= int(whole["reach"]) < sum(reaches)


@pytest.mark.parametrize(
    ("preset", "since", "until"),
    [
        ("today", "2026-03-29", "2026-03-29"),
        ("yesterday", "2026-03-28", "2026-03-28"),
        ("last_7d", "2026-03-22", "2026-03-28"),
        ("last_month", "2026-02-01", "2026-02-28"),
        ("this_week_mon_today", "2026-03-23", "2026-03-29"),
        (None, "2026-02-27", "2026-03-28"),
    ],
)
def test_presets_are_days_of_the_accounts_calendar(
    rows: Rows, preset: str | None, since: str, until: str
) -> None:
    [row] = rows("act_42", "insights", fields="spend", date_preset=preset)
    assert (row["date_start"], row["date_stop"]) == (since, until)


def test_ranges_may_overlap(rows: Rows) -> None:
    twice = [TIME_RANGE, {"since": "2026-03-20", "until": "2026-03-29"}]
    request = SPEND | {"level": "account"}
    got = rows("act_42", "insights", **request, time_ranges=twice)
    assert [row["date_start"] for row in got] == ["2026-03-02", "2026-03-20"]


@pytest.mark.parametrize(
    ("rule", "keeps"),
    [
        (("ad.impressions", "GREATER_THAN", 5000), lambda row: row["impressions"] > 5000),
        (("spend", "LESS_THAN", "20.5"), lambda row: row["spend"] < Decimal("20.5")),
        (("clicks", "IN_RANGE", [50, 80]), lambda row: 50 <= row["clicks"] <= 80),
        (("impressions", "EQUAL", 0), lambda row: row["impressions"] == 0),
    ],
)
def test_filters_on_metrics_choose_rows(
    world: World, rows: Rows, rule: tuple[str, str, Any], keeps: Callable[[Any], bool]
) -> None:
    given = dict(zip(("field", "operator", "value"), rule, strict=True))
    got = rows("act_42", "insights", **DAILY | {"filtering": [EVERY_STATUS, given]})
    want = [row for row in world.truth("42", WINDOW) if keeps(row)]
    assert want
    assert [as_truth(row, "EUR") for row in got] == want


@pytest.mark.parametrize("name", ["ad", "adset", "campaign"])
def test_filters_on_ids_choose_ads(world: World, rows: Rows, name: str) -> None:
    chosen = getattr(world.ads("42")[8], f"{name}_id")
    ids = {ad.ad_id for ad in world.ads("42") if getattr(ad, f"{name}_id") == chosen}
    rule = {"field": f"{name}.id", "operator": "IN", "value": [chosen]}
    got = rows("act_42", "insights", **SPEND | {"filtering": [EVERY_STATUS, rule]})
    want = sum(row["spend"] for row in world.truth("42", WINDOW) if row["ad_id"] in ids)
    assert spend_of(got) == want
    assert want > 0
    assert spend_of(rows(chosen, "insights", **SPEND)) == want


def test_names_arrive_as_they_were_given(world: World, rows: Rows) -> None:
    given = {ad.ad_id: ad.name for ad in world.ads("42")}
    request = SPEND | {"fields": "ad_id,ad_name", "time_increment": "all_days"}
    got = {row["ad_id"]: row["ad_name"] for row in rows("act_42", "insights", **request)}
    assert got == {ad_id: given[ad_id] for ad_id in got}
    told = "".join(got.values())
    assert all(part in told for part in ("\n", "\t", "\u202e", "<script>", "DROP TABLE", "=HYPER"))


def test_only_the_fields_asked_for_come_back(get: Get) -> None:
    [row] = get("act_42", "insights", **DAILY | {"fields": "spend", "limit": 1})["data"]
    assert row.keys() == {"spend", "date_start", "date_stop"}
    [row] = get("act_42", "insights", level="ad", limit=1)["data"]
    ids = {"account_id", "campaign_id", "adset_id", "ad_id"}
    assert row.keys() == ids | {"impressions", "spend", "date_start", "date_stop"}
    assert len(get("act_42", "insights", level="ad", time_increment=1)["data"]) == 25


def test_an_account_says_where_and_in_what_it_counts(get: Get) -> None:
    fields = "name,currency,timezone_name,timezone_offset_hours_utc,account_status"
    assert get("act_42", fields=fields) == {
        "id": "act_42",
        "name": "Stand-in Berlin",
        "currency": "EUR",
        "timezone_name": "Europe/Berlin",
        "timezone_offset_hours_utc": 2,
        "account_status": 1,
    }
    assert [account["id"] for account in get("me", "adaccounts")["data"]] == [
        "act_42", "act_43", "act_44",
    ]  # fmt: skip


def test_ads_lead_to_their_creatives_and_videos(world: World, rows: Rows, get: Get) -> None:
    listed = rows("act_42", "ads", fields="name,effective_status,creative{id,video_id}", limit=4)
    assert {ad["effective_status"] for ad in listed}.isdisjoint({"ARCHIVED", "DELETED"})
    archived = rows("act_42", "ads", effective_status=["ARCHIVED"])
    assert archived
    assert refusal(get, "act_42", "ads", effective_status=["DELETED"])[0] == 100
    ad = world.ads("42")[0]
    node = get(ad.ad_id, fields="account_id,creative{object_story_spec}")
    assert node["account_id"] == "42"
    spec = get(node["creative"]["id"], fields="object_story_spec")["object_story_spec"]
    assert get(spec["video_data"]["video_id"], fields="length")["id"] == ad.video_id


def test_the_sdks_own_objects_work(world: World, api: Any) -> None:
    account: Any = AdAccount("act_42", api=api)  # type: ignore[no-untyped-call]
    params = {name: value for name, value in DAILY.items() if name != "fields"}
    got = list(account.get_insights(fields=["ad_id", "spend"], params=params))
    assert spend_of(got) == sum(row["spend"] for row in world.truth("42", WINDOW))


@pytest.mark.parametrize(
    ("path", "params", "want"),
    [
        (("act_999", "insights"), {}, (100, 33)),
        (("123456789012345678",), {}, (100, 33)),
        (("act_42", "insights"), {"fields": "spend,no_such_field"}, (100, None)),
        (("act_42",), {"fields": "no_such_field"}, (100, None)),
        (("act_42", "insights"), {"level": "page"}, (100, None)),
        (("act_42", "insights"), {"breakdowns": ["age"]}, (100, None)),
        (("act_42", "insights"), {"limit": 0}, (100, None)),
        (("act_42", "insights"), {"time_increment": 91}, (100, None)),
        (("act_42", "insights"), {"filtering": "nonsense"}, (100, None)),
        (("act_42", "insights"), {"filtering": ["nonsense"]}, (100, None)),
        (("act_42", "insights"), {"action_attribution_windows": ["3d_click"]}, (100, None)),
        (
            ("act_42", "insights"),
            {"time_range": {"since": "2023-02-28", "until": "2026-03-01"}},
            (3018, None),
        ),
        (
            ("act_42", "insights"),
            {"time_range": {"since": "2026-03-02", "until": "2026-03-01"}},
            (100, None),
        ),
        (("act_42", "insights"), {"after": "nonsense"}, (2642, None)),
    ],
)
def test_what_meta_refuses_is_refused(
    get: Get, path: tuple[str, ...], params: dict[str, Any], want: tuple[int, int | None]
) -> None:
    assert refusal(get, *path, **params) == want


def test_nothing_can_be_written(world: World, api: Any) -> None:
    with pytest.raises(FacebookRequestError) as refused:
        api.call("POST", (world.ads("42")[0].ad_id,), params={"status": "PAUSED"})
    assert error_of(refused.value) == (100, None)


def test_a_cursor_of_another_request_is_refused(get: Get) -> None:
    page = get("act_42", "insights", **DAILY)
    after = page["paging"]["cursors"]["after"]
    assert refusal(get, "act_43", "insights", **DAILY, after=after)[0] == 2642


def test_a_request_for_too_many_rows_is_refused(stand_in: GraphStandIn, api: Any, get: Get) -> None:
    stand_in.graph.sync_row_limit = 50
    assert refusal(get, "act_42", "insights", **DAILY) == (100, 1487534)
    day = {"since": "2026-03-20", "until": "2026-03-20"}
    assert get("act_42", "insights", **DAILY | {"time_range": day})["data"]
    api.call("POST", ("act_42", "insights"), params=DAILY)
    stand_in.graph.async_row_limit = 50
    with pytest.raises(FacebookRequestError) as refused:
        api.call("POST", ("act_42", "insights"), params=DAILY)
    assert error_of(refused.value) == (100, 1487534)


def test_only_the_right_token_with_the_right_proof_is_answered(stand_in: GraphStandIn) -> None:
    token, proof = (
        stand_in.access_token,
        appsecret_proof(stand_in.app_secret, stand_in.access_token),
    )
    assert not token.startswith("EAA")

    def ask(headers: dict[str, str] | None = None, **params: str) -> tuple[int, int | None]:
        url = f"{stand_in.url}/v26.0/act_42"
        answer = requests.get(url, params=params, headers=headers, timeout=10)
        return answer.status_code, answer.json().get("error", {}).get("code")

    assert ask(access_token=token, appsecret_proof=proof) == (200, None)
    assert ask({"Authorization": f"Bearer {token}"}, appsecret_proof=proof) == (200, None)
    assert ask(appsecret_proof=proof) == (400, 190)
    assert ask(access_token="wrong", appsecret_proof=proof) == (400, 190)
    assert ask(access_token=token) == (400, 100)
    assert ask(access_token=token, appsecret_proof="0" * 64) == (400, 104)


def test_without_an_app_secret_no_proof_is_needed(world: World) -> None:
    with running_stand_in(world, app_secret="") as stand_in:
        params = {"access_token": stand_in.access_token}
        url = f"{stand_in.url}/v26.0/act_42"
        assert requests.get(url, params=params, timeout=10).status_code == 200


def test_a_token_can_be_examined(stand_in: GraphStandIn, get: Get) -> None:
    facts = get("debug_token", input_token=stand_in.access_token)["data"]
    assert facts["is_valid"]
    assert facts["scopes"] == ["ads_read"]
    assert not get("debug_token", input_token="another")["data"]["is_valid"]


def test_a_batch_answers_each_part_on_its_own(
    world: World, stand_in: GraphStandIn, api: Any
) -> None:
    batch = api.new_batch()
    answers: list[Any] = []
    for path in (["act_42"], ["act_999"], [world.ads("42")[0].ad_id, "insights"]):
        batch.add("GET", path, {"limit": 3}, success=answers.append, failure=answers.append)
    assert batch.execute() is None
    assert [answer.status() for answer in answers] == [200, 400, 200]
    assert answers[1].error().api_error_subcode() == 33
    kinds = [call.kind for call in stand_in.calls]
    assert kinds == ["account", "unknown", "insights", "batch"]


def test_a_batch_holds_at_most_fifty(api: Any) -> None:
    batch = api.new_batch()
    for _ in range(51):
        batch.add("GET", ["act_42"])
    with pytest.raises(FacebookRequestError):
        batch.execute()


def test_every_answer_says_that_it_is_not_meta(stand_in: GraphStandIn) -> None:
    paths = [("GET", "/"), ("GET", "/v26.0/act_42"), ("PUT", "/v26.0"), ("GET", "/_stand_in/clock")]
    for method, path in paths:
        answer = requests.request(method, stand_in.url + path, timeout=10)
        assert answer.headers["x-graph-stand-in"] == "actuals_pipeline"


def test_insights_answers_carry_usage(api: Any) -> None:
    answer = api.call("GET", ("act_42", "insights"))
    usage = {name.lower(): value for name, value in answer.headers().items()}
    assert json.loads(usage["x-fb-ads-insights-throttle"])["acc_id_util_pct"] < 75
    assert len(json.loads(usage["x-business-use-case-usage"])["42"]) == 2
    assert json.loads(usage["x-ad-account-usage"])["reset_time_duration"] == 0
    assert json.loads(usage["x-app-usage"])["call_count"] < 75


def test_nothing_runs_on_after_the_stand_in_is_stopped(world: World) -> None:
    before = threading.enumerate()
    with running_stand_in(world) as stand_in:
        url = stand_in.url
    assert threading.enumerate() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=1)
