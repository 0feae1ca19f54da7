"""Budgets as Meta tells them: minor units by its own table, days in the account's time zone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from actuals_pipeline.errors import MetaRefused, UnexpectedPayload
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.accounts import AccountFetch, fetch_account
from actuals_pipeline.meta.budgets import budgets_frame, read_budgets
from actuals_pipeline.meta.client import InsightsClient, MetaAccount
from actuals_pipeline.meta.memory import ProcessMemory
from actuals_pipeline.meta.minor_units import WITHOUT_MINOR_UNIT, major_units
from actuals_pipeline.report_days import DayWindow

NewClient = Callable[..., InsightsClient]

TODAY = date(2026, 3, 8)
BERLIN = MetaAccount("880000000000001", "Stand-in Berlin (EUR)", "EUR", "Europe/Berlin", True)


@pytest.mark.parametrize(
    ("minor", "currency", "major"),
    [
        ("5000", "USD", "50.00"),
        ("5", "EUR", "0.05"),
        ("5000", "JPY", "5000"),
        ("5000", "KRW", "5000"),
        ("5000", "CLP", "5000"),
        # By ISO 4217 these have hundredths, and this one thousandths.
        ("5000", "HUF", "5000"),
        ("5000", "TWD", "5000"),
        ("5000", "KWD", "50.00"),
        ("0", "EUR", "0.00"),
    ],
)
def test_minor_units_are_metas_own(minor: str, currency: str, major: str) -> None:
    assert str(major_units(minor, currency)) == major


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "٣", "None"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        major_units(text, "EUR")


def test_eleven_currencies_have_no_minor_unit() -> None:
    assert len(WITHOUT_MINOR_UNIT) == 11


def node(**given: Any) -> dict[str, Any]:
    usual = {
        "id": "12",
        "name": "Spring",
        "effective_status": "ACTIVE",
        "daily_budget": "5000",
        "start_time": "2026-03-01T00:00:00+0100",
    }
    return usual | given


class _Listing:
    """A client that was answered already."""

    def __init__(self, campaigns: list[dict[str, Any]], ad_sets: list[dict[str, Any]]) -> None:
        self._answers = campaigns, ad_sets

    def campaigns(self, _account_id: str) -> list[dict[str, Any]]:
        return self._answers[0]

    def ad_sets(self, _account_id: str) -> list[dict[str, Any]]:
        return self._answers[1]


def reading(*campaigns: dict[str, Any], ad_sets: tuple[dict[str, Any], ...] = ()) -> Any:
    listing: Any = _Listing(list(campaigns), list(ad_sets))
    return read_budgets(listing, BERLIN, TODAY)


def test_a_budget_is_the_campaigns_or_the_ad_sets() -> None:
    got = reading(
        node(daily_budget="0"),
        node(id="13", daily_budget="0", lifetime_budget="120000"),
        node(id="14", daily_budget=None),
        ad_sets=(node(id="21", campaign_id="12"),),
    )
    assert [(each.level, each.budget_id, each.campaign_id) for each in got.budgets] == [
        ("campaign", "13", "13"),
        ("adset", "21", "12"),
    ]
    lifetime, daily = got.budgets
    assert (lifetime.daily_budget, lifetime.lifetime_budget) == (None, Decimal(1200))
    assert (daily.daily_budget, daily.lifetime_budget) == (Decimal(50), None)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-03-01T00:00:00+0100", "2026-03-31T00:00:00+0200", ((2026, 3, 1), (2026, 3, 30))),
        # Seen from Berlin, where it is the day after already.
        ("2026-02-28T20:00:00-0500", "2026-03-30T12:00:00-0500", ((2026, 3, 1), (2026, 3, 30))),
        ("2026-03-01T09:00:00+0100", "1970-01-01T01:00:00+0100", ((2026, 3, 1), None)),
        (None, None, (None, None)),
        ("2026-03-01T09:00:00+0100", "2026-03-01T09:00:00+0100", ((2026, 3, 1), (2026, 3, 1))),
    ],
)
def test_its_days_are_the_accounts(start: str | None, end: str | None, days: Any) -> None:
    (budget,) = reading(node(start_time=start, stop_time=end)).budgets
    wanted = tuple(date(*each) if each else None for each in days)
    assert (budget.starts_on, budget.ends_on) == wanted


@pytest.mark.parametrize(
    "wrong",
    [
        {"daily_budget": "50.00"},
        {"daily_budget": "-1"},
        {"effective_status": None},
        {"start_time": "soon"},
        {"start_time": "2026-03-01T00:00:00"},
    ],
)
def test_what_is_not_as_promised_is_an_error_and_no_budget(wrong: dict[str, Any]) -> None:
    got = reading(node(), node(id="13", **wrong))
    assert isinstance(got.error, UnexpectedPayload)
    assert "of campaign 13" in str(got.error)
    assert not got.budgets


@pytest.fixture(scope="module")
def shared_tokyo() -> Iterator[GraphStandIn]:
    plan = AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 60)
    world = World(now=datetime(2026, 3, 8, 15, tzinfo=UTC), accounts=[plan])
    with running_stand_in(world) as stand_in:
        yield stand_in


@pytest.fixture
def tokyo(shared_tokyo: GraphStandIn) -> Iterator[GraphStandIn]:
    shared_tokyo.calls.clear()
    yield shared_tokyo
    shared_tokyo.faults.clear()


def fetched(tokyo: GraphStandIn, new_client: NewClient, **memory: Any) -> AccountFetch:
    return fetch_account(
        "43",
        DayWindow.trailing(TODAY, 2),
        new_client(graph_url=tokyo.url, memory=ProcessMemory(**memory)),
        purchase_action_type=lambda _: "omni_purchase",
        expects_stand_in=True,
        clock=lambda: tokyo.world.now,
    )


def test_a_fetch_reads_the_budgets_when_they_are_due_in_two_calls(
    tokyo: GraphStandIn, new_client: NewClient
) -> None:
    before = fetched(tokyo, new_client)
    assert (before.budgets, "budgets_on" in before.log_row("run")) == (None, False)
    fetch = fetched(tokyo, new_client, keeps_budgets=True)
    assert fetch.usage.calls == before.usage.calls + 2
    kinds = fetch.usage.calls_by_kind
    assert (kinds["campaigns"], kinds["adsets"]) == (1, 1)
    reading, account = fetch.budgets, fetch.account
    assert reading is not None
    assert account is not None
    # It is the ninth in Tokyo.
    assert reading.day == date(2026, 3, 9)
    log = fetch.log_row("run")
    assert (log["budgets_on"], log["budgets_error"]) == (reading.day, None)
    assert log["budgets"] == len(reading.budgets)
    by_kind = {(each.level, each.daily_budget is None) for each in reading.budgets}
    assert by_kind == {("campaign", True), ("campaign", False), ("adset", False)}
    # Every campaign spends a budget of its own, or its ad sets do.
    ads = tokyo.world.ads("43")
    owners = {each.budget_id for each in reading.budgets}
    assert all((ad.campaign_id in owners) != (ad.adset_id in owners) for ad in ads)
    frame = budgets_frame(reading, account, tokyo.world.now)
    assert set(frame["currency"]) == {"JPY"}
    assert len(frame) == len(reading.budgets)


def test_many_campaigns_are_read_page_by_page(tokyo: GraphStandIn, new_client: NewClient) -> None:
    everything = new_client(graph_url=tokyo.url).ad_sets("43")
    tokyo.graph.page_limit_max = 3
    try:
        client = new_client(graph_url=tokyo.url)
        tokyo.faults.add(Fault({"empty_page": True}, kind="adsets", page=2))
        assert client.ad_sets("43") == everything
        assert client.usage.calls > len(everything) / 3
    finally:
        tokyo.graph.page_limit_max = 500


@pytest.mark.parametrize(
    ("code", "is_over"), [(200, True), (4, False)], ids=["no permission", "rate limit"]
)
def test_what_hinders_it_hinders_nothing_else(
    tokyo: GraphStandIn, new_client: NewClient, code: int, *, is_over: bool
) -> None:
    error = {"code": code, "message": "(#1) no"}
    tokyo.faults.add(Fault({"error": error}, kind="campaigns", times=100))
    client_limits = {"keeps_budgets": True}
    fetch = fetched(tokyo, new_client, **client_limits)
    assert fetch.outcome == "complete"
    assert len(fetch.rows)
    reading = fetch.budgets
    assert reading is not None
    assert not reading.budgets
    # A refusal is not asked for again that day; what passes is.
    assert isinstance(reading.error, MetaRefused) == is_over
    log = fetch.log_row("run")
    assert (log["budgets_on"] is not None, log["budgets"]) == (is_over, None)
    assert log["budgets_error"]
