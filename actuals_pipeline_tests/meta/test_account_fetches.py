"""One account's fetch as a value: what it covers, how it ended, and the frames made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Thread

import pytest

from actuals_pipeline.errors import InputError, MetaRefused, SettingsError
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.accounts import (
    AccountFetch,
    fetch_account,
    fetch_accounts,
    fetch_ad,
    fetchable,
    raw_frame,
    totals_frame,
)
from actuals_pipeline.meta.client import FetchUsage, InsightsClient, MetaAccount
from actuals_pipeline.meta.limits import WAIT_BUDGET_SECONDS
from actuals_pipeline.meta.memory import ProcessMemory, RequestSize
from actuals_pipeline.meta.reports import LONGEST_POLL_SECONDS
from actuals_pipeline.meta.spool import Spool
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.benchmarks.fetch_month import Account, server_of
from actuals_pipeline_tests.benchmarks.fetch_month import fetch as fetch_month

PROVENANCE = {"run_id": "run-1", "api_version": "v26.0"}
NewClient = Callable[..., InsightsClient]
Fetch = Callable[[DayWindow], AccountFetch]


def omni(_account_id: str) -> str:
    return "omni_purchase"


@pytest.fixture
def fetch(client: InsightsClient, stand_in: GraphStandIn, account_id: str) -> Fetch:
    """Fetch a window of the stand-in's account, as of the stand-in's now."""

    def fetched(window: DayWindow) -> AccountFetch:
        return fetch_account(
            account_id,
            window,
            client,
            purchase_action_type=omni,
            expects_stand_in=True,
            clock=lambda: stand_in.world.now,
        )

    return fetched


def test_a_fetch_covers_only_days_that_have_begun_for_the_account(
    fetch: Fetch, window: DayWindow
) -> None:
    fetched = fetch(replace(window, end=window.end + timedelta(days=3)))
    assert fetched.covered == window
    assert fetched.outcome == "complete"
    tomorrow = fetch(DayWindow(window.end, window.end + timedelta(days=1)))
    assert (tomorrow.covered, tomorrow.rows, tomorrow.outcome) == (None, (), "complete")


def test_a_raw_frame_has_every_row_as_the_text_in_which_it_came(
    fetch: Fetch, window: DayWindow
) -> None:
    fetched = fetch(window)
    raw = raw_frame([fetched], **PROVENANCE)
    rows = list(fetched.rows)
    assert rows
    assert list(map(json.loads, raw["payload"])) == rows
    keys = raw[["account_id", "ad_id", "report_date"]].itertuples(index=False, name=None)
    assert list(keys) == [
        (row["account_id"], row["ad_id"], date.fromisoformat(row["date_start"])) for row in rows
    ]


def test_the_text_in_a_raw_frame_is_one_that_postgres_can_store(window: DayWindow) -> None:
    sent = r'{"ad_id": "1", "date_start": "2026-03-07", "ad_name": "a\u0000b", "n": 1.10}'
    spool = Spool()
    spool.add(json.loads(sent), sent)
    now = datetime(2026, 3, 8, tzinfo=UTC)
    fetched = AccountFetch("42", window, now, now, FetchUsage(), rows=spool)
    (text,) = raw_frame([fetched], **PROVENANCE)["payload"]
    assert text == sent.replace("u0000", "ufffd")


def test_ads_that_the_totals_have_and_the_listing_lacks_are_among_the_rows(
    new_client: NewClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    plan = stand_in.world.accounts[account_id].plan
    world = World(now=stand_in.world.now, accounts=[plan], deleted_in_lists=False)
    with running_stand_in(world) as other:
        listed = set(new_client(graph_url=other.url).ads_insights(account_id, window).ad_ids)
        ads = Counter(str(row["ad_id"]) for row in world.truth(account_id, window))
        missing = [ad_id for ad_id in ads if ad_id not in listed]
        unknown = [str(number) for number in range(9)]
        memory = ProcessMemory(ads={account_id: [*listed, *missing, *unknown]})
        fetched = fetch_account(
            account_id,
            window,
            new_client(graph_url=other.url, memory=memory),
            purchase_action_type=omni,
            expects_stand_in=True,
            clock=lambda: stand_in.world.now,
        )
    assert missing
    # All of them in one list, which this stand-in's answers for none, and some one by one.
    assert fetched.missing_ads == len([*missing, *unknown])
    assert Counter(row["ad_id"] for row in fetched.rows) == ads
    assert [len(part.rows) for part in fetched.parts(1)] == [
        sum(row["date_start"] == str(day) for row in fetched.rows) for day in window
    ]


def test_every_covered_day_has_a_total_and_one_without_delivery_is_a_known_zero(
    fetch: Fetch, window: DayWindow
) -> None:
    # The stand-in's account began with its oldest ads, weeks after this.
    empty = DayWindow.trailing(window.since - timedelta(days=200), 2)
    for days, is_reported in ((window, True), (empty, False)):
        totals = totals_frame([fetch(days)], purchase_action_type=omni, **PROVENANCE)
        assert totals["report_date"].tolist() == list(days)
        assert totals["is_reported"].tolist() == [is_reported] * len(days)
    assert totals["spend"].tolist() == [Decimal(0)] * 2
    assert totals["impressions"].tolist() == [0, 0]
    assert totals["reach"].isna().all()


def test_what_postgres_cannot_store_of_a_name_is_marked_and_the_rest_kept(
    fetch: Fetch, window: DayWindow
) -> None:
    fetched = fetch(window)
    assert fetched.account is not None
    hostile = replace(fetched, account=replace(fetched.account, name="a\0b\ud800 Größe"))
    totals = totals_frame([hostile], purchase_action_type=omni, **PROVENANCE)
    assert totals["account_name"].unique().tolist() == ["a\N{REPLACEMENT CHARACTER}b? Größe"]


def test_a_failed_fetch_is_a_value_without_rows_and_makes_no_frame(
    fetch: Fetch, stand_in: GraphStandIn, window: DayWindow
) -> None:
    stand_in.faults.add(Fault({"error": {"code": 200}}, kind="insights", page=1))
    failed = fetch(window)
    assert failed.outcome == "refused"
    assert isinstance(failed.error, MetaRefused)
    assert (failed.rows, failed.totals, failed.covered) == ((), (), None)
    assert raw_frame([failed], **PROVENANCE).empty
    assert totals_frame([failed], purchase_action_type=str, **PROVENANCE).empty
    logged = failed.log_row("run-1")
    assert (logged["outcome"], logged["error_class"]) == ("refused", "MetaRefused")
    assert logged["calls"] == 2


def test_made_up_and_real_data_never_take_each_others_place(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    fetched = fetch_account(
        account_id,
        window,
        client,
        purchase_action_type=omni,
        clock=lambda: stand_in.world.now,
    )
    assert isinstance(fetched.error, SettingsError)
    assert "made up" in str(fetched.error)
    assert [call.kind for call in stand_in.calls] == ["account"]


def test_a_window_that_meta_no_longer_keeps_is_refused_and_not_left_empty() -> None:
    account = MetaAccount("42", "A", "EUR", "Europe/Berlin", is_stand_in=False)
    now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    oldest = DayWindow.inclusive(date(2023, 2, 8), date(2023, 2, 9))
    assert fetchable(oldest, account, now) == oldest
    with pytest.raises(InputError, match="start on 2023-02-08 or later"):
        fetchable(DayWindow.inclusive(date(2023, 2, 7), date(2023, 2, 9)), account, now)


def test_one_ad_ends_with_its_accounts_own_today(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    ad_id = next(
        row["ad_id"] for row in stand_in.world.truth(account_id, window) if row["impressions"]
    )
    # Shortly before midnight in UTC it is tomorrow in Berlin.
    late = datetime(2026, 3, 7, 23, 30, tzinfo=UTC)
    fetched = fetch_ad(ad_id, account_id, 3, client, expects_stand_in=True, clock=lambda: late)
    assert fetched.window == DayWindow.trailing(date(2026, 3, 8), 3)
    assert {row["ad_id"] for row in fetched.rows} == {ad_id}
    assert fetched.log_row("run-1")["kind"] == "ad"


def test_accounts_come_back_in_the_order_asked_whatever_became_of_them(
    new_client: NewClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    fetches = list(
        fetch_accounts(
            ["77", account_id, "78"],
            window,
            new_client,
            purchase_action_type=omni,
            expects_stand_in=True,
            clock=lambda: stand_in.world.now,
        )
    )
    assert [fetch.account_id for fetch in fetches] == ["77", account_id, "78"]
    assert [fetch.outcome for fetch in fetches] == ["refused", "complete", "refused"]


def test_one_budget_bounds_limits_repetitions_and_reports_and_the_log_tells_them_apart(
    new_client: NewClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
) -> None:
    limit = {"acc_id_util_pct": 100, "reset_time_duration": 100}
    stand_in.faults.add(
        Fault({"headers": {"X-Ad-Account-Usage": json.dumps(limit)}}, kind="account"),
        Fault({"error": {"code": 2}, "status": 503}, kind="insights", times=2),
        Fault({"job_status": "Job Running"}, kind="run", times=None),
    )
    fetch = fetch_account(
        account_id,
        window,
        new_client(size=RequestSize(as_report=True)),
        purchase_action_type=omni,
        expects_stand_in=True,
        clock=lambda: stand_in.world.now,
    )
    assert fetch.outcome == "rate_limited"
    log = fetch.log_row("run-1")
    assert log["throttled_seconds"] == 100
    assert log["backoff_seconds"] == 1 + 2
    assert log["polling_seconds"] > 100
    waited = log["throttled_seconds"] + log["backoff_seconds"] + log["polling_seconds"]
    assert waited == sum(sleeps)
    assert WAIT_BUDGET_SECONDS - LONGEST_POLL_SECONDS < waited <= WAIT_BUDGET_SECONDS


KINDS = {
    "account": ("account",),
    "insights": ("insights", "unknown"),
    "submit": ("insights_async",),
    "poll": ("run",),
    "report": ("run_insights",),
}
"""What we call a call, and what the stand-in calls it; of an unknown ad it knows no kind."""


@pytest.mark.parametrize("ends_well", [True, False])
def test_every_call_is_counted_those_that_failed_and_those_by_id_too(
    *, ends_well: bool, new_client: NewClient, account_id: str, window: DayWindow
) -> None:
    plan = AccountPlan(account_id, "Stand-in Berlin (EUR)", "EUR", "Europe/Berlin", 60)
    world = World(now=datetime(2026, 3, 8, 15, tzinfo=UTC), accounts=[plan], deleted_in_lists=False)
    with running_stand_in(world) as other:
        too_large = {"error": {"code": 100, "subcode": 1487534}}
        other.faults.add(
            Fault({"error": {"code": 2}, "status": 503}, kind="account"),
            Fault({"drop_connection": True}, params="level=account"),
            Fault({"truncate": True}, params="level=ad"),
            Fault(too_large, kind="insights", params="level=ad", times=3),
            Fault({"error": {"code": 100, "subcode": 33}}, kind="run"),
            Fault({"error": {"code": 2601}}, kind="run_insights"),
        )
        if not ends_well:
            other.faults.add(Fault({"error": {"code": 98765}}, path="/120", kind="insights"))
        ads = [ad.ad_id for ad in world.ads(account_id)]
        memory = ProcessMemory(ads={account_id: [*ads, "120000000000000009"]})
        fetch = fetch_account(
            account_id,
            window,
            new_client(graph_url=other.url, memory=memory),
            purchase_action_type=omni,
            expects_stand_in=True,
            clock=lambda: world.now,
        )
        served = Counter(call.kind for call in other.calls)
    assert fetch.outcome == ("complete" if ends_well else "failed")
    log = fetch.log_row("run-1")
    assert log["calls_by_kind"] == {
        ours: sum(served[kind] for kind in theirs) for ours, theirs in KINDS.items()
    }
    assert log["calls"] == sum(served.values())
    assert sum(log["retries_by_class"].values()) == log["retries"] == 4


def test_a_month_of_150_ads_takes_eleven_calls_at_most_and_ten_as_it_usually_is(
    new_client: NewClient, account_id: str
) -> None:
    """Every ad delivering on every day fills nine pages of 500; node and totals are two more."""
    everything = Account(ads=150, days=28)
    with server_of(everything) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        month = fetch_month(f"http://127.0.0.1:{server.server_address[1]}", everything.window)
        server.shutdown()
    assert (len(month.rows), month.outcome) == (150 * 28, "complete")
    assert month.usage.calls_by_kind == {"account": 1, "insights": 10}

    plan = AccountPlan(account_id, "Stand-in Berlin (EUR)", "EUR", "Europe/Berlin", 150)
    world = World(now=datetime(2026, 3, 8, 15, tzinfo=UTC), accounts=[plan])
    with running_stand_in(world) as other:
        usual = fetch_account(
            account_id,
            everything.window,
            new_client(graph_url=other.url),
            purchase_action_type=omni,
            expects_stand_in=True,
            clock=lambda: world.now,
        )
        assert usual.outcome == "complete"
        assert len(usual.rows) == len(world.truth(account_id, everything.window)) > 1_500
        assert usual.usage.calls == len(other.calls) <= 10
