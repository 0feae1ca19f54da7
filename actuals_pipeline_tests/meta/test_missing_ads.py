"""Which ads are asked for by their id when a listing does not add up, and when that ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.agreement import AccountReading
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.memory import ProcessMemory
from actuals_pipeline.meta.missing_ads import (
    ADS_ASKED_ALONE,
    ADS_IN_A_LIST,
    LISTS_ASKED,
    MissingAds,
)
from actuals_pipeline.meta.parse import DaySums, sums_by_day
from actuals_pipeline.meta.spool import Rows, joined
from actuals_pipeline.report_days import DayWindow

Ask = Callable[..., tuple[Rows, set[str]]]
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
def ask(new_client: NewClient, account_id: str, window: DayWindow) -> Ask:
    """Fetch rows, then what the listing lacks of the ads that are `known`; who was asked for."""

    def asked(
        known: list[str], memory: ProcessMemory | None = None, **options: object
    ) -> tuple[Rows, set[str]]:
        remembered = memory or ProcessMemory()
        remembered.ads = {account_id: known}
        client = new_client(memory=remembered, **options)
        reading = AccountReading(client, account_id, window, purchase_action_type=omni)
        reading.read()
        missing = MissingAds(client, account_id, window, reading, purchase_action_type=omni)
        missing.ask()
        return joined([reading.rows, missing.found]), missing.asked

    return asked


def asked_alone(stand_in: GraphStandIn) -> list[str]:
    """The ads that were asked for at their own node, in order."""
    paths = [call.path for call in stand_in.calls if call.kind in {"insights", "unknown"}]
    return [path.split("/")[2] for path in paths if "/act_" not in path]


def asked_in_lists(stand_in: GraphStandIn) -> list[list[str]]:
    """The ids of each request that named some."""
    filters = [
        rule
        for call in stand_in.calls
        if call.kind == "insights"
        for rule in json.loads(call.params.get("filtering", "[]"))
    ]
    return [rule["value"] for rule in filters if rule["field"] == "ad.id"]


def days_that_lack(
    rows: Rows, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> set[str]:
    have = sums_by_day(rows, purchase_action_type=omni)
    want: dict[str, int] = {}
    for row in stand_in.world.truth(account_id, window):
        day = str(row["report_date"])
        want[day] = want.get(day, 0) + row["impressions"]
    return {day for day, impressions in want.items() if have[day].impressions != impressions}


def test_those_that_no_list_answers_for_are_asked_for_in_order_until_the_days_add_up(
    ask: Ask,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    hidden: list[str],
    never_delivered: list[str],
) -> None:
    known = [never_delivered[0], *hidden, *never_delivered[1:]]
    rows, asked = ask(known)
    assert asked_in_lists(stand_in) == [known]
    assert asked_alone(stand_in) == known[: len(hidden) + 1]
    assert asked == set(known)
    assert days_that_lack(rows, stand_in, account_id, window) == set()
    assert len({(row["ad_id"], row["date_start"]) for row in rows}) == len(rows)


def test_a_hundred_ads_are_one_call_where_lists_answer_for_them(
    ask: Ask, stand_in: GraphStandIn, account_id: str, window: DayWindow, strangers: list[str]
) -> None:
    # Of this host, archived and deleted ads are listed as soon as a filter names their statuses.
    stand_in.world.deleted_in_lists = True
    today = stand_in.world.today(account_id)
    ads = [ad for ad in stand_in.world.ads(account_id) if ad.fate.n_days]
    gone = [ad.ad_id for ad in ads if ad.status(today) in {"ARCHIVED", "DELETED"}]
    known = [*strangers[: 2 * ADS_IN_A_LIST + 7], *gone, *strangers[-ADS_IN_A_LIST:]]
    rows, asked = ask(known, filter_statuses=False)
    lists = asked_in_lists(stand_in)
    assert [len(ids) for ids in lists] == [ADS_IN_A_LIST] * 3
    assert [ad_id for ids in lists for ad_id in ids] == known[: 3 * ADS_IN_A_LIST]
    assert asked == set(known[: 3 * ADS_IN_A_LIST])
    assert asked_alone(stand_in) == [], "the days add up"
    assert days_that_lack(rows, stand_in, account_id, window) == set()
    assert len({(row["ad_id"], row["date_start"]) for row in rows}) == len(rows)


def test_ads_that_the_listing_has_are_not_asked_for(
    ask: Ask, stand_in: GraphStandIn, account_id: str, window: DayWindow, hidden: list[str]
) -> None:
    everyone = [ad.ad_id for ad in stand_in.world.ads(account_id) if ad.fate.n_days]
    rows, asked = ask(everyone)
    listed = {row["ad_id"] for row in rows} - set(hidden)
    assert listed
    assert not listed & asked
    (in_a_list,) = asked_in_lists(stand_in)
    assert {*asked_alone(stand_in)} <= asked == set(in_a_list)
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
    reading = AccountReading(client, account_id, window, purchase_action_type=omni)
    reading.read()
    # Less than what is listed is no reason either: an ad's figures may move between two answers.
    reading.want = {day: DaySums(impressions=1) for day in reading.want}
    stand_in.calls.clear()
    missing = MissingAds(client, account_id, window, reading, purchase_action_type=omni)
    missing.ask()
    assert (len(missing.found), missing.asked, stand_in.calls) == (0, set(), [])


@pytest.fixture
def strangers() -> list[str]:
    """Ads of which nothing is known to Meta."""
    return [f"12{number:016d}" for number in range(2 * LISTS_ASKED * ADS_IN_A_LIST)]


def test_a_gap_that_no_known_ad_explains_costs_a_bounded_number_of_calls(
    ask: Ask,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    hidden: list[str],
    never_delivered: list[str],
    strangers: list[str],
) -> None:
    gone = never_delivered[0]
    stand_in.faults.add(Fault({"error": {"code": 100, "subcode": 33}}, path=f"/{gone}/"))
    known = [gone, hidden[0], *strangers]
    rows, asked = ask(known)
    assert asked_alone(stand_in) == known[:ADS_ASKED_ALONE]
    assert [len(ids) for ids in asked_in_lists(stand_in)] == [ADS_IN_A_LIST] * LISTS_ASKED
    assert asked == set(known[: LISTS_ASKED * ADS_IN_A_LIST])
    ids = {row["ad_id"] for row in rows}
    assert hidden[0] in ids
    assert not {gone, *hidden[1:]} & ids
    assert days_that_lack(rows, stand_in, account_id, window)


def test_ads_that_had_nothing_are_left_alone_and_those_that_had_are_not(
    ask: Ask, stand_in: GraphStandIn, hidden: list[str], strangers: list[str]
) -> None:
    memory = ProcessMemory()
    known = [hidden[0], *strangers[: ADS_ASKED_ALONE - 1]]
    first, _ = ask(known, memory)
    assert asked_alone(stand_in) == known
    stand_in.calls.clear()
    second, asked = ask(known, memory)
    assert asked == {hidden[0]}
    assert (asked_in_lists(stand_in), asked_alone(stand_in)) == ([[hidden[0]]], [hidden[0]])
    assert list(second) == list(first)


def test_an_ad_that_had_nothing_in_some_days_is_asked_for_of_earlier_ones(
    new_client: NewClient, account_id: str, window: DayWindow
) -> None:
    client = new_client()
    client.remember_fruitless(account_id, window, ["1", "2"])
    day = timedelta(days=1)
    for start, resting in ((window.start, {"1", "2"}), (window.start - day, set())):
        earlier = DayWindow(start, window.end)
        assert client.fruitless_ads(account_id, earlier) == resting
    assert client.fruitless_ads(account_id, DayWindow.trailing(window.until, 1)) == {"1", "2"}
    assert client.fruitless_ads("43", window) == set()


@pytest.mark.parametrize("figure", [field.name for field in fields(DaySums)])
def test_a_day_lacks_something_when_any_of_its_figures_is_below_the_total(figure: str) -> None:
    ads = DaySums(impressions=9, clicks=9, conversions=9)
    total = replace(ads, **{figure: getattr(ads, figure) + 1})
    assert total.exceeds(ads)
    assert not ads.exceeds(total)
    assert not ads.exceeds(ads)
