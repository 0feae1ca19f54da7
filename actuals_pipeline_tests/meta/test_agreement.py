"""Figures that Meta restates while an account is read: no day may seem to lack what it has.

The stand-in's clock moves on before chosen calls, and with it the figures of the days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.accounts import AccountFetch, fetch_account
from actuals_pipeline.meta.agreement import RECHECKS
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.memory import ProcessMemory
from actuals_pipeline.meta.parse import parse_insights, sums_by_day
from actuals_pipeline.report_days import DayWindow

NOW = datetime(2026, 3, 8, 15, tzinfo=UTC)
NewClient = Callable[..., InsightsClient]
WITHOUT_TROUBLE = ["account", "account totals", "ads"]


def omni(_account_id: str) -> str:
    return "omni_purchase"


@contextmanager
def moving(account_id: str, moves: Callable[[int], bool], **world: bool) -> Iterator[GraphStandIn]:
    """A stand-in in which half an hour passes before each call whose number `moves`, from 1."""
    plan = AccountPlan(account_id, "Stand-in Berlin (EUR)", "EUR", "Europe/Berlin", 20)
    calls = 0
    now = NOW

    def clock() -> datetime:
        nonlocal calls, now
        calls += 1
        now += timedelta(minutes=30) * moves(calls)
        return now

    with running_stand_in(World(now=NOW, accounts=[plan], **world), clock=clock) as stand_in:
        yield stand_in


def fetched(client: InsightsClient, account_id: str, window: DayWindow) -> AccountFetch:
    return fetch_account(
        account_id,
        window,
        client,
        purchase_action_type=omni,
        expects_stand_in=True,
        clock=lambda: NOW,
    )


def asked(stand_in: GraphStandIn) -> list[str]:
    """What each call was for, in order."""
    words = {"ad": "ads", "account": "account totals"}
    return [
        words[call.params["level"]] if call.kind == "insights" else call.kind
        for call in stand_in.calls
    ]


def days_that_differ(fetch: AccountFetch) -> set[str]:
    rows = sums_by_day(fetch.rows, purchase_action_type=omni)
    totals = sums_by_day(fetch.totals, purchase_action_type=omni)
    return {day for day in rows.keys() | totals.keys() if rows.get(day) != totals.get(day)}


def figures(fetch: AccountFetch) -> dict[object, object]:
    frame = parse_insights(fetch.rows, purchase_action_type=omni, fetched_at=NOW)
    columns = frame[["ad_id", "report_date", "impressions", "spend", "revenue"]]
    return {(row[0], row[1]): tuple(row[2:]) for row in columns.itertuples(index=False)}


def truth(stand_in: GraphStandIn, account_id: str, window: DayWindow) -> dict[object, object]:
    return {
        (row["ad_id"], row["report_date"]): (row["impressions"], row["spend"], row["revenue"])
        for row in stand_in.world.truth(account_id, window)
    }


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_what_is_restated_between_two_calls_makes_no_day_fall_short(
    call: int, new_client: NewClient, account_id: str, window: DayWindow
) -> None:
    with moving(account_id, lambda number: number == call) as stand_in:
        ads = [ad.ad_id for ad in stand_in.world.ads(account_id)]
        memory = ProcessMemory(ads={account_id: ads})
        fetch = fetched(new_client(graph_url=stand_in.url, memory=memory), account_id, window)
        assert fetch.outcome == "complete"
        assert days_that_differ(fetch) == set()
        assert figures(fetch) == truth(stand_in, account_id, window)
        again = ["account totals"] if call == 3 else []
        assert asked(stand_in) == [*WITHOUT_TROUBLE, *again]
        assert fetch.missing_ads == 0, "nobody was missing"


def test_days_whose_total_moved_after_their_ads_were_read_are_read_anew_and_no_others(
    new_client: NewClient, account_id: str, window: DayWindow
) -> None:
    # Before the ads are read, and before the totals are checked.
    with moving(account_id, lambda number: number in {3, 4}) as stand_in:
        fetch = fetched(new_client(graph_url=stand_in.url), account_id, window)
        assert days_that_differ(fetch) == set()
        assert figures(fetch) == truth(stand_in, account_id, window)
        assert asked(stand_in)[:4] == [*WITHOUT_TROUBLE, "account totals"]
        anew = stand_in.calls[4:]
        assert {call.params["level"] for call in anew} == {"ad"}
        asked_for = Counter(call.params["time_range"] for call in anew)
        whole = f'{{"since":"{window.since}","until":"{window.until}"}}'
        assert asked_for
        assert whole not in asked_for


def test_a_difference_that_is_metas_own_costs_one_more_call_and_no_second_reading(
    new_client: NewClient, account_id: str, window: DayWindow
) -> None:
    with moving(account_id, lambda _: False, deleted_in_lists=False) as stand_in:
        fetch = fetched(new_client(graph_url=stand_in.url), account_id, window)
        assert fetch.outcome == "complete"
        assert days_that_differ(fetch)
        assert asked(stand_in) == [*WITHOUT_TROUBLE, "account totals"]


def test_an_account_that_never_stands_still_is_read_a_bounded_number_of_times(
    new_client: NewClient, account_id: str, window: DayWindow
) -> None:
    with moving(account_id, lambda _: True) as stand_in:
        fetch = fetched(new_client(graph_url=stand_in.url), account_id, window)
        assert fetch.outcome == "complete"
        assert asked(stand_in).count("account totals") <= 1 + RECHECKS
