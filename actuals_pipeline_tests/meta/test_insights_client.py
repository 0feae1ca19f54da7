from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from actuals_pipeline.errors import (
    AdNotFound,
    InputError,
    MetaError,
    MetaRefused,
    MetaUnavailable,
    ReportFailed,
    RequestTooLarge,
    UnexpectedPayload,
)
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta import fields
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.memory import RequestSize
from actuals_pipeline.meta.parse import parse_insights, parse_reach, parse_totals
from actuals_pipeline.meta.spool import Rows
from actuals_pipeline.report_days import DayWindow

FIGURES = ["impressions", "clicks", "link_clicks", "spend", "conversions", "revenue"]
KEY = ["ad_id", "report_date"]
NewClient = Callable[..., InsightsClient]
TOO_LARGE = {"code": 100, "subcode": 1487534}


def omni(_account_id: str) -> str:
    return "omni_purchase"


def figures(rows: Rows) -> list[dict[str, Any]]:
    frame = parse_insights(
        rows, purchase_action_type=omni, fetched_at=datetime(2026, 3, 8, tzinfo=UTC)
    )
    return records(frame)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = frame[[*KEY, *FIGURES]].to_dict("records")  # type: ignore[assignment]
    return sorted(kept, key=lambda row: (row["ad_id"], row["report_date"]))


def truth(stand_in: GraphStandIn, account_id: str, window: DayWindow) -> list[dict[str, Any]]:
    return records(pd.DataFrame(stand_in.world.truth(account_id, window)))


def kinds_called(stand_in: GraphStandIn) -> Counter[str]:
    return Counter(call.kind for call in stand_in.calls)


def test_a_month_of_a_large_account_is_exact_and_takes_few_calls(
    stand_in: GraphStandIn, new_client: NewClient, account_id: str
) -> None:
    window = DayWindow.trailing(date(2026, 3, 8), 28)
    plan = AccountPlan(account_id, "Stand-in", "EUR", "Europe/Berlin", 150)
    with running_stand_in(World(now=stand_in.world.now, accounts=[plan])) as large:
        client = new_client(graph_url=large.url)
        account = client.account(account_id)
        rows = client.ads_insights(account_id, window)
        totals = client.account_totals(account_id, window)
        want = truth(large, account_id, window)

    assert len({row["ad_id"] for row in want}) > 100
    assert figures(rows) == want
    total = parse_totals(totals, purchase_action_type=omni)
    for name in ("impressions", "clicks", "conversions", "spend", "revenue"):
        assert total[name].sum() == sum(row[name] for row in want), name
    assert all(isinstance(spend, Decimal) for spend in total["spend"])
    assert len(large.calls) <= 12
    assert client.usage.calls == len(large.calls)
    assert client.usage.rows == len(rows) + len(totals)
    assert (account.currency, account.time_zone) == ("EUR", "Europe/Berlin")
    assert account.is_stand_in


def test_archived_deleted_and_no_longer_delivering_ads_are_in_it(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    today = stand_in.world.today(account_id)
    gone = {
        ad.ad_id
        for ad in stand_in.world.ads(account_id)
        if ad.status(today) in {"ARCHIVED", "DELETED"}
    }
    rows = figures(client.ads_insights(account_id, window))
    assert gone & {row["ad_id"] for row in rows}
    assert any(row["conversions"] and not row["impressions"] for row in rows)


def test_without_the_status_filter_archived_ads_are_missing(
    new_client: NewClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    rows = new_client(filter_statuses=False).ads_insights(account_id, window)
    assert len(rows) < len(truth(stand_in, account_id, window))
    assert "filtering" not in stand_in.calls[-1].params


def test_the_request_says_everything_that_meta_would_otherwise_choose(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    client.ads_insights(account_id, window)
    params = stand_in.calls[0].params
    assert params["time_range"] == '{"since":"2026-02-23","until":"2026-03-08"}'
    assert (params["level"], params["time_increment"], params["limit"]) == ("ad", "1", "500")
    assert params["fields"] == ",".join(fields.AD_FIELDS)
    assert "impressions" not in params["filtering"]
    for attribution_window in fields.ATTRIBUTION_WINDOWS:
        assert f'"{attribution_window}"' in params["action_attribution_windows"]


def test_one_ad_is_asked_for_directly_even_when_deleted(
    stand_in: GraphStandIn, new_client: NewClient, account_id: str, window: DayWindow
) -> None:
    plan = AccountPlan(account_id, "Stand-in", "USD", "Europe/Berlin", 30)
    world = World(now=stand_in.world.now, accounts=[plan], deleted_in_lists=False)
    with running_stand_in(world) as other:
        client = new_client(graph_url=other.url)
        want = truth(other, account_id, window)
        listed = {row["ad_id"] for row in client.ads_insights(account_id, window)}
        deleted = next(row["ad_id"] for row in want if row["ad_id"] not in listed)
        got = figures(client.ad_insights(account_id, window, deleted))
        assert client.ad_account_id(deleted) == account_id
    assert got == [row for row in want if row["ad_id"] == deleted]


def test_people_reached_over_several_days_are_asked_of_meta_and_not_added_up(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    want = truth(stand_in, account_id, window)
    ad_id = Counter(row["ad_id"] for row in want).most_common(1)[0][0]
    daily = client.ad_insights(account_id, window, ad_id)
    (row,) = client.ad_reach(account_id, window, ad_id)
    reached = [int(day["reach"]) for day in daily if "reach" in day]
    assert max(reached) < (parse_reach([row]) or 0) < sum(reached)
    assert "time_increment" not in stand_in.calls[-1].params
    assert parse_reach([]) is None
    assert parse_reach([row, row]) is None


def test_a_lifetime_tells_never_delivered_from_outside_the_window(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str
) -> None:
    ads = stand_in.world.ads(account_id)
    delivered = next(ad for ad in ads if ad.fate.n_days)
    whole = DayWindow.inclusive(date(2025, 12, 1), date(2026, 3, 8))
    rows = truth(stand_in, account_id, whole)
    days = [row["report_date"] for row in rows if row["ad_id"] == delivered.ad_id]
    assert client.ad_lifetime(delivered.ad_id) == (min(days), max(days))
    never = next(ad for ad in ads if ad.fate.n_days == 0)
    assert client.ad_lifetime(never.ad_id) is None


def test_an_id_that_is_no_ad_is_told_from_one_that_is(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str
) -> None:
    ad = stand_in.world.ads(account_id)[0]
    for object_id in ("129999999999999999", ad.campaign_id, ad.adset_id):
        with pytest.raises(AdNotFound, match=object_id):
            client.ad_account_id(object_id)
    with pytest.raises(InputError, match="write its digits"):
        client.ad_account_id("../me")


def test_an_account_that_the_token_cannot_see_needs_a_person(client: InsightsClient) -> None:
    with pytest.raises(MetaRefused, match=r"act_77 .*META_AD_ACCOUNT_ID"):
        client.account("77")


def test_pages_are_reported_as_they_come(
    new_client: NewClient, account_id: str, window: DayWindow
) -> None:
    pages: list[int] = []
    client = new_client(size=RequestSize(page_size=40), on_page=pages.append)
    rows = client.ads_insights(account_id, window)
    assert sum(pages) == len(rows)
    assert set(pages[:-1]) == {40}
    assert client.usage.pages == len(pages)


@pytest.mark.parametrize(
    "effect",
    [
        {"empty_page": True},
        {"duplicate_row": True},
        {"truncate": True},
        {"drop_connection": True},
        {"raw_body": "<html>Service Unavailable</html>", "status": 200},
        {"raw_body": "<html>success</html>", "status": 502},
        {"raw_body": "", "status": 200},
        {"error": {"code": 2}, "status": 500},
        {"error": {"code": 2642}},
    ],
    ids=lambda effect: "-".join(map(str, effect)),
)
def test_what_heals_leaves_every_row_exactly_once(
    effect: dict[str, Any],
    new_client: NewClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.faults.add(Fault(effect, kind="insights", page=3))
    rows = new_client(size=RequestSize(page_size=40)).ads_insights(account_id, window)
    assert not stand_in.faults.pending()
    assert figures(rows) == truth(stand_in, account_id, window)


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        ({"truncate": True}, MetaUnavailable),
        ({"drop_connection": True}, MetaUnavailable),
        ({"raw_body": "[]", "content_type": "application/json"}, UnexpectedPayload),
        ({"raw_body": "{}", "content_type": "application/json"}, UnexpectedPayload),
        ({"raw_body": '{"data": {}}'}, UnexpectedPayload),
        ({"raw_body": '{"data": [1]}'}, UnexpectedPayload),
        ({"raw_body": '{"error": "oops"}'}, MetaError),
        ({"raw_body": "null", "status": 302}, MetaUnavailable),
        ({"raw_body": "{}", "status": 404}, MetaUnavailable),
        ({"repeat_cursor": True}, UnexpectedPayload),
        ({"empty_page": True}, UnexpectedPayload),
        ({"duplicate_row": {"spend": "0.01"}}, UnexpectedPayload),
        ({"duplicate_row": {"date_stop": "2026-03-09"}}, UnexpectedPayload),
        ({"duplicate_row": {"date_start": "2026-01-01", "date_stop": "2026-01-01"}},
         UnexpectedPayload),
        ({"foreign_row": True}, UnexpectedPayload),
        ({"drop_field": "ad_id"}, UnexpectedPayload),
        ({"drop_field": "account_id"}, UnexpectedPayload),
        ({"error": {"code": 2642}}, MetaUnavailable),
        ({"error": {"code": 190, "subcode": 463}}, MetaRefused),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_heal_gives_no_rows_at_all(
    *,
    effect: dict[str, Any],
    error: type[MetaError],
    new_client: NewClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.faults.add(Fault(effect, kind="insights", page=2, times=None))
    with pytest.raises(error) as caught:
        new_client(size=RequestSize(page_size=40)).ads_insights(account_id, window)
    assert type(caught.value) is error
    assert caught.value.account_id == account_id


ROW = {"ad_id": "123", "date_start": "2026-03-07", "date_stop": "2026-03-07"}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"account_id": "77"}, "a row is of account '77'"),
        ({"date_start": 20260307}, "a row runs from 20260307 to '2026-03-07'"),
        ({"date_stop": "2026-03-08"}, "a row runs from '2026-03-07' to '2026-03-08'"),
        ({"date_start": "2026-03-09", "date_stop": "2026-03-09"}, "'2026-03-09' was not asked for"),
        ({"ad_id": "124"}, "a row of 2026-03-07 is of ad '124'"),
        ({"ad_id": 123}, "a row of 2026-03-07 is of ad 123"),
        ({"ad_id": ["123"]}, "is of ad ['123']"),
        ({"ad_id": None}, "is of ad None"),
    ],
)
def test_a_row_that_was_not_asked_for_is_refused(
    client: InsightsClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    change: dict[str, Any],
    what: str,
) -> None:
    rows = [ROW | {"account_id": account_id}, ROW | {"account_id": account_id} | change]
    stand_in.faults.add(Fault({"raw_body": json.dumps({"data": rows}), "status": 200}))
    with pytest.raises(UnexpectedPayload, match=re.escape(what)):
        client.ad_insights(account_id, window, "123")


def test_an_ad_with_an_id_that_could_not_be_asked_for_again_is_refused(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    row = ROW | {"account_id": account_id, "ad_id": "1/2"}
    stand_in.faults.add(Fault({"raw_body": json.dumps({"data": [row]}), "status": 200}))
    with pytest.raises(UnexpectedPayload, match="is of ad '1/2'"):
        client.ads_insights(account_id, window)


def test_a_request_too_large_to_wait_for_becomes_a_report(
    client: InsightsClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
) -> None:
    stand_in.graph.sync_row_limit = 100
    rows = client.ads_insights(account_id, window)
    assert figures(rows) == truth(stand_in, account_id, window)
    called = kinds_called(stand_in)
    # The pages were made smaller twice before.
    assert (called["insights"], called["insights_async"], called["run"]) == (3, 1, 3)
    assert sleeps == [1, 2]


def test_a_report_too_large_is_made_in_halves(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    want = truth(stand_in, account_id, window)
    stand_in.graph.sync_row_limit = 100
    stand_in.graph.async_row_limit = len(want) // 3
    assert figures(client.ads_insights(account_id, window)) == want
    assert kinds_called(stand_in)["insights_async"] == 1 + 2 + 4


@pytest.fixture
def small(
    stand_in: GraphStandIn, new_client: NewClient, account_id: str
) -> Iterator[tuple[GraphStandIn, InsightsClient]]:
    """An account of a few ads, and a client of it."""
    plan = AccountPlan(account_id, "Stand-in", "EUR", "Europe/Berlin", 4)
    with running_stand_in(World(now=stand_in.world.now, accounts=[plan])) as few:
        yield few, new_client(graph_url=few.url)


def by_key(rows: Rows) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["ad_id"], row["date_start"]): row for row in rows}


TWO_DAYS = DayWindow.trailing(date(2026, 3, 8), 2)


def test_a_day_too_large_is_asked_for_in_halves_of_its_ads(
    small: tuple[GraphStandIn, InsightsClient], account_id: str
) -> None:
    few, client = small
    want = truth(few, account_id, TWO_DAYS)
    assert len({row["ad_id"] for row in want}) > 2
    # The listing of the day's ads itself is small enough to be answered directly.
    few.faults.add(
        Fault({"error": TOO_LARGE}, kind="insights", params="fields=.*spend", times=None)
    )
    few.graph.async_row_limit = 1
    assert figures(client.ads_insights(account_id, TWO_DAYS)) == want
    splits = client.usage.splits
    assert (splits["report"], splits["days"], splits["fields"]) == (1, 1, 0)
    assert splits["ads"]
    assert client.size == RequestSize(days=1, as_report=True)


def test_an_ad_too_large_is_asked_for_in_halves_of_its_fields(
    small: tuple[GraphStandIn, InsightsClient], account_id: str
) -> None:
    few, client = small
    whole = client.ads_insights(account_id, TWO_DAYS)
    few.faults.add(Fault({"error": TOO_LARGE}, params="spend.*impressions", times=None))
    rows = client.ads_insights(account_id, TWO_DAYS)
    assert client.usage.splits["fields"]
    by_key = [
        sorted(each, key=lambda row: (row["ad_id"], row["date_start"])) for each in (whole, rows)
    ]
    assert by_key[0] == by_key[1]


def test_what_cannot_be_made_smaller_is_named_to_the_field(
    small: tuple[GraphStandIn, InsightsClient], account_id: str
) -> None:
    few, client = small
    ads = {row["ad_id"] for row in truth(few, account_id, TWO_DAYS)}
    few.faults.add(Fault({"error": TOO_LARGE}, params="fields=.*action_values", times=None))
    with pytest.raises(RequestTooLarge, match="'action_values'") as caught:
        client.ads_insights(account_id, TWO_DAYS)
    told = str(caught.value)
    assert any(f"day {day} of ad" in told for day in TWO_DAYS)
    assert any(ad_id in told for ad_id in ads)
    assert f"act_{account_id}" in told
    assert (caught.value.code, caught.value.subcode) == (100, 1487534)


@pytest.mark.parametrize(
    ("status", "reports"),
    [
        ("Job Skipped", 2),
        ("Job Failed", 2),
        ({"async_status": "Job Failed", "error_code": -2, "error_subcode": 2490547}, 2),
        ({"async_status": "Job Failed", "error_code": 100, "error_subcode": 1487534}, 3),
        ({"async_status": "Job Running", "async_percent_completion": 100}, 1),
        ({"async_status": "Job Completed", "async_percent_completion": 99}, 1),
    ],
    ids=["skipped", "failed", "failed in passing", "too large", "100 % but running", "99 %"],
)
def test_only_a_completed_report_is_read(
    *,
    status: str | dict[str, Any],
    reports: int,
    client: InsightsClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.graph.sync_row_limit = 100
    stand_in.faults.add(Fault({"job_status": status}, kind="run"))
    assert figures(client.ads_insights(account_id, window)) == truth(stand_in, account_id, window)
    assert kinds_called(stand_in)["insights_async"] == reports


@pytest.mark.parametrize(
    ("status", "error", "reports"),
    [
        ("Job Skipped", ReportFailed, 3),
        ("Job Failed", ReportFailed, 3),
        ({"async_status": "Job Failed", "error_code": 190}, MetaRefused, 1),
        ({"async_status": "Job Failed", "error_code": 100}, MetaError, 1),
    ],
    ids=["skipped", "failed", "token refused", "wrong request"],
)
def test_a_report_that_never_completes_is_given_up(
    *,
    status: str | dict[str, Any],
    error: type[MetaError],
    reports: int,
    client: InsightsClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.graph.sync_row_limit = 100
    stand_in.faults.add(Fault({"job_status": status}, kind="run", times=None))
    with pytest.raises(error) as caught:
        client.ads_insights(account_id, window)
    assert type(caught.value) is error
    assert kinds_called(stand_in)["insights_async"] == reports


def test_a_report_that_does_not_end_is_given_up_at_the_deadline(
    new_client: NewClient,
    new_limits: Callable[..., Limits],
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
) -> None:
    stand_in.graph.sync_row_limit = 100
    stand_in.faults.add(Fault({"job_status": "Job Started"}, kind="run", times=None))
    client = new_client(limits=new_limits(clock=lambda: 10 * sum(sleeps), budget_seconds=7200))
    with pytest.raises(ReportFailed, match=r"'Job Started' after 60 minutes"):
        client.ads_insights(account_id, window)
    assert 360 <= sum(sleeps) < 400


def test_a_report_just_created_may_be_unknown_for_a_moment(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    stand_in.graph.sync_row_limit = 100
    unknown = Fault({"error": {"code": 100, "subcode": 33}}, kind="run", times=2)
    stand_in.faults.add(unknown)
    assert figures(client.ads_insights(account_id, window)) == truth(stand_in, account_id, window)


def test_a_report_that_stays_unknown_is_an_error(
    client: InsightsClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
) -> None:
    stand_in.graph.sync_row_limit = 100
    stand_in.faults.add(Fault({"error": {"code": 100, "subcode": 33}}, kind="run", times=None))
    with pytest.raises(MetaRefused):
        client.ads_insights(account_id, window)
    assert 60 <= sum(sleeps) < 120
