"""Which ads are asked for by their id when a listing does not add up, and when that ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.memory import ProcessMemory
from actuals_pipeline.meta.missing_ads import ADS_ASKED, add_missing_ads
from actuals_pipeline.meta.parse import DaySums, sums_by_day
from actuals_pipeline.meta.spool import Rows
from actuals_pipeline.report_days import DayWindow

Add = Callable[[list[str]], tuple[Rows, int]]
NewClient = Callable[..., InsightsClient]


def omni(_account_id: str) -> str:
    return "omni_purchase"


@pytest.fixture
def stand_in(account_id: str) -> Iterator[GraphStandIn]:
    """A stand-in whose listings lack deleted ads, whatever the filter."""
    plan = AccountPlan(account_id, "Stand-in Berlin (EUR)", "EUR", "Europe/Berlin", 60)
    now = datetime(2026, 3, 8, 15, tzinfo=UTC)
    with running_stand_in(World(now=now, accounts=[plan], deleted_in_lists=False)) as own:
        yield own


@pytest.fixture
def hidden(stand_in: GraphStandIn, account_id: str, window: DayWindow) -> list[str]:
    """The deleted ads with figures in the window."""
    world = stand_in.world
    with_figures = {row["ad_id"] for row in world.truth(account_id, window)}
    deleted = [ad for ad in world.ads(account_id) if ad.status(window.until) == "DELETED"]
    found = [ad.ad_id for ad in deleted if ad.ad_id in with_figures]
    assert len(found) > 1
    return found


@pytest.fixture
def never_delivered(stand_in: GraphStandIn, account_id: str) -> list[str]:
    return [ad.ad_id for ad in stand_in.world.ads(account_id) if ad.fate.n_days == 0]


@pytest.fixture
def add(new_client: NewClient, account_id: str, window: DayWindow) -> Add:
    """Fetch rows, then what the listing lacks of the ads that are `known`."""

    def added(known: list[str]) -> tuple[Rows, int]:
        client = new_client(memory=ProcessMemory(ads={account_id: known}))
        rows = client.ads_insights(account_id, window)
        totals = client.account_totals(account_id, window)
        n = add_missing_ads(client, account_id, window, rows, totals, purchase_action_type=omni)
        return rows, n

    return added


def asked_by_id(stand_in: GraphStandIn) -> list[str]:
    paths = [call.path for call in stand_in.calls if call.kind == "insights"]
    return [path.split("/")[2] for path in paths if "/act_" not in path]


def days_that_lack(
    rows: Rows, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> set[str]:
    have = sums_by_day(rows, purchase_action_type=omni)
    want: dict[str, int] = {}
    for row in stand_in.world.truth(account_id, window):
        day = str(row["report_date"])
        want[day] = want.get(day, 0) + row["impressions"]
    return {day for day, impressions in want.items() if have[day].impressions != impressions}


def test_known_ads_are_asked_for_in_order_until_the_days_add_up(
    add: Add,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    hidden: list[str],
    never_delivered: list[str],
) -> None:
    known = [never_delivered[0], *hidden, *never_delivered[1:]]
    rows, asked = add(known)
    assert asked_by_id(stand_in) == known[: len(hidden) + 1]
    assert asked == len(hidden) + 1
    assert days_that_lack(rows, stand_in, account_id, window) == set()
    assert len({(row["ad_id"], row["date_start"]) for row in rows}) == len(rows)


def test_ads_that_the_listing_has_are_not_asked_for(
    add: Add, stand_in: GraphStandIn, account_id: str, window: DayWindow, hidden: list[str]
) -> None:
    everyone = [ad.ad_id for ad in stand_in.world.ads(account_id) if ad.fate.n_days]
    rows, asked = add(everyone)
    listed = {row["ad_id"] for row in rows} - set(hidden)
    assert listed
    assert not listed & set(asked_by_id(stand_in))
    assert asked == len(asked_by_id(stand_in))
    assert days_that_lack(rows, stand_in, account_id, window) == set()


def test_where_the_days_add_up_nobody_is_asked_for(
    new_client: NewClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    hidden: list[str],
    never_delivered: list[str],
) -> None:
    client = new_client(memory=ProcessMemory(ads={account_id: [*hidden, *never_delivered]}))
    rows = client.ads_insights(account_id, window)
    # Less than what is listed is no reason either: an ad's figures may move between two answers.
    totals = [*rows][:3]
    stand_in.calls.clear()
    assert not add_missing_ads(client, account_id, window, rows, totals, purchase_action_type=omni)
    assert stand_in.calls == []


def test_a_gap_that_no_known_ad_explains_costs_a_bounded_number_of_calls(
    add: Add,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    hidden: list[str],
    never_delivered: list[str],
) -> None:
    gone = never_delivered[0]
    stand_in.faults.add(Fault({"error": {"code": 100, "subcode": 33}}, path=f"/{gone}/"))
    strangers = [f"12{number:016d}" for number in range(2 * ADS_ASKED)]
    rows, asked = add([gone, hidden[0], *strangers])
    assert asked == ADS_ASKED
    assert asked_by_id(stand_in) == [gone, hidden[0]]
    assert [call.kind for call in stand_in.calls].count("unknown") == ADS_ASKED - 2
    ids = {row["ad_id"] for row in rows}
    assert hidden[0] in ids
    assert not {gone, *hidden[1:]} & ids
    assert days_that_lack(rows, stand_in, account_id, window)


@pytest.mark.parametrize("figure", [field.name for field in fields(DaySums)])
def test_a_day_lacks_something_when_any_of_its_figures_is_below_the_total(figure: str) -> None:
    ads = DaySums(impressions=9, clicks=9, conversions=9)
    total = replace(ads, **{figure: getattr(ads, figure) + 1})
    assert total.exceeds(ads)
    assert not ads.exceeds(total)
    assert not ads.exceeds(ads)
