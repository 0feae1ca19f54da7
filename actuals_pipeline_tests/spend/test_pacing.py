"""How budgets are spent: Meta's own rules, the user's plans, and what nobody can know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.spend.budgets import Plan, Snapshot, week_of
from actuals_pipeline.spend.exchange import ExchangeRates, Rate
from actuals_pipeline.spend.pacing import AccountBudgets, Terms, budget_pacing
from actuals_pipeline.spend.spending import AdSetDay, SpendChange, Spending

SUNDAY = date(2026, 3, 29)
AS_OF = date(2026, 4, 2)
"""A Thursday: Sunday to Wednesday of its week are over."""

EVER = DayWindow.trailing(AS_OF + timedelta(days=40), 400)
few = settings(max_examples=50)
Row = Mapping[str, Any]


def before(days: int, day: date = AS_OF) -> date:
    return day - timedelta(days=days)


def snapshot(day: date, budget: str | int = 100, **others: Any) -> Snapshot:
    usual: dict[str, Any] = {
        "account_id": "42",
        "level": "adset",
        "budget_id": "7",
        "campaign_id": "1",
        "name": "Broad",
        "status": "ACTIVE",
        "currency": "EUR",
        "daily_budget": Decimal(budget),
        "lifetime_budget": None,
        "starts_on": date(2026, 1, 1),
        "ends_on": None,
    }
    return Snapshot(day, **(usual | others))


def read_daily(
    budgets: Mapping[date, str | int] | str | int = 100, last: date = AS_OF, **others: Any
) -> list[Snapshot]:
    """A snapshot a day for 60 days; `budgets` by the first day of each."""
    amounts = budgets if isinstance(budgets, Mapping) else {before(60): budgets}
    return [
        snapshot(day, amounts[max(each for each in amounts if each <= day)], **others)
        for day in DayWindow.inclusive(before(60), last)
    ]


def spent(
    amounts: Mapping[date, str | int] | None = None, usual: str | int = 100, **others: Any
) -> list[AdSetDay]:
    """The spend of each of the 60 days up to the as-of day, `amounts` of some instead."""
    place = {"account_id": "42", "campaign_id": "1", "adset_id": "7", "currency": "EUR"} | others
    return [
        AdSetDay(day=day, spend=Decimal((amounts or {}).get(day, usual)), **place)
        for day in DayWindow.inclusive(before(60), AS_OF)
    ]


def account(snapshots: Sequence[Snapshot], **others: Any) -> AccountBudgets:
    days = sorted({each.day for each in snapshots})
    return AccountBudgets(**({
        "account_id": "42", "readings": days, "snapshots": snapshots, "fetched_days": set(EVER)
    } | others))  # fmt: skip


def paced(
    accounts: Sequence[AccountBudgets],
    current: Sequence[AdSetDay],
    *,
    plans: Sequence[Plan] = (),
    changes: Sequence[SpendChange] = (),
    as_of: date = AS_OF,
    rates: ExchangeRates | None = None,
) -> list[Row]:
    terms = Terms(Decimal("0.1"), rates or ExchangeRates([]))
    frame = budget_pacing(accounts, plans, Spending(current, changes), [as_of], terms)
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def one(accounts: Sequence[AccountBudgets], current: Sequence[AdSetDay], **others: Any) -> Row:
    (row,) = paced(accounts, current, **others)
    return row


def test_metas_week_begins_on_a_sunday() -> None:
    assert week_of(SUNDAY) == (SUNDAY, SUNDAY + timedelta(days=6))
    assert week_of(before(1, SUNDAY)) == (before(7, SUNDAY), before(1, SUNDAY))


def test_a_budget_that_is_spent_as_meant_is_on_track() -> None:
    row = one([account(read_daily())], spent({AS_OF: 30}))
    assert (row["period_start"], row["period_end"]) == (SUNDAY, date(2026, 4, 4))
    assert (row["budget"], row["spend_limit"], row["daily_budget"]) == (700, 700, 100)
    # Four whole days, and what has been spent of the fifth.
    assert (row["spend_whole_days"], row["spend"]) == (400, 430)
    assert (row["expected_spend"], row["projected_spend"]) == (400, 700)
    assert (row["verdict"], row["reason"]) == ("on_track", "as_planned")
    assert (row["highest_day_share"], row["days_missing"]) == (1, 0)


@pytest.mark.parametrize(
    ("day_spend", "verdict"), [("175.00", "on_track"), ("175.01", "overspending")]
)
def test_meta_may_exceed_a_day_by_three_quarters_and_no_more(day_spend: str, verdict: str) -> None:
    row = one([account(read_daily())], spent({before(2): day_spend, before(3): 25}))
    assert row["verdict"] == verdict
    assert (row["reason"] == "a_day_beyond_its_limit") == (verdict == "overspending")


@pytest.mark.parametrize(
    ("last_day", "verdict"), [("100.00", "on_track"), ("100.01", "overspending")]
)
def test_over_a_whole_week_meta_keeps_to_seven_budgets(last_day: str, verdict: str) -> None:
    """No day is beyond its own limit; the week is judged on the Sunday after, when it is over."""
    row = one(
        [account(read_daily(last=SUNDAY))], spent({before(1, SUNDAY): last_day}), as_of=SUNDAY
    )
    assert (row["period_start"], row["period_end"]) == (before(7, SUNDAY), before(1, SUNDAY))
    assert row["verdict"] == verdict
    assert (row["reason"] == "beyond_the_limit") == (verdict == "overspending")


def test_the_day_that_is_not_over_is_not_judged() -> None:
    """Its budget may have been raised after it was read."""
    assert one([account(read_daily())], spent({AS_OF: 900}))["verdict"] == "on_track"


def test_a_budget_that_was_changed_in_the_course_of_a_day_allows_the_larger() -> None:
    raised = read_daily({before(60): 100, before(1): 500})
    row = one([account(raised)], spent({before(2): 400, before(1): 500}))
    assert row["verdict"] == "on_track"
    # Sunday 100, Monday 100, Tuesday 500 (raised later that day), then 500 a day.
    assert row["spend_limit"] == 2 * 100 + 5 * 500
    assert row["budget"] == 3 * 100 + 4 * 500
    # Two weeks later nobody raised it: then the same spend is too much.
    assert one([account(read_daily())], spent({before(2): 400}))["verdict"] == "overspending"


def test_a_budget_that_was_doubled_is_expected_to_be_spent_like_the_one_before() -> None:
    row = one([account(read_daily({before(60): 100, before(1): 200}))], spent({before(1): 200}))
    assert (row["verdict"], row["projected_spend"]) == ("on_track", 3 * 100 + 4 * 200)


def test_a_budget_that_is_not_reached_is_underspent_and_a_paused_one_is_paused() -> None:
    row = one([account(read_daily())], spent(usual=50))
    assert (row["verdict"], row["reason"]) == ("underspending", "projected_below")
    assert row["projected_spend"] == 350
    paused = [*read_daily(last=before(1)), snapshot(AS_OF, status="PAUSED")]
    row = one([account(paused)], spent({AS_OF: 0}, usual=50))
    assert (row["verdict"], row["reason"], row["status"]) == ("paused", "not_active", "PAUSED")
    assert not paced([account(read_daily(status="PAUSED"))], spent(usual=0))


def test_days_on_which_it_was_paused_neither_count_nor_tell() -> None:
    days = {before(back): "PAUSED" for back in range(1, 4)}
    snapshots = [each._replace(status=days.get(each.day, "ACTIVE")) for each in read_daily()]
    row = one([account(snapshots)], spent(dict.fromkeys(days, 0)))
    assert (row["expected_spend"], row["budget"]) == (100, 400)
    assert (row["verdict"], row["projected_spend"]) == ("on_track", 400)


def test_a_budget_for_life_has_its_own_days_and_needs_an_end() -> None:
    life: dict[str, Any] = {
        "daily_budget": None,
        "lifetime_budget": Decimal(3000),
        "starts_on": before(10),
    }
    read = read_daily(**life, ends_on=before(-19))
    row = one([account(read)], spent())
    assert (row["kind"], row["period_start"], row["period_end"]) == (
        "lifetime", before(10), before(-19),
    )  # fmt: skip
    assert (row["budget"], row["spend_whole_days"], row["expected_spend"]) == (3000, 1000, 1000)
    assert row["verdict"] == "unknown", "ten days tell no interval"
    longer = {**life, "starts_on": before(20)}
    row = one([account(read_daily(**longer, ends_on=before(-9)))], spent())
    assert (row["verdict"], row["projected_spend"]) == ("on_track", 3000)
    row = one([account(read_daily(**longer))], spent())
    assert (row["verdict"], row["reason"], row["period_end"]) == ("unknown", "no_end", None)
    row = one([account(read_daily(**longer))], spent(usual=151))
    assert (row["verdict"], row["reason"]) == ("overspending", "beyond_the_limit")


def test_a_budget_for_life_that_was_cut_holds_from_then_on() -> None:
    def read(amounts: Mapping[date, int]) -> list[Snapshot]:
        life: dict[str, Any] = {
            "daily_budget": None,
            "starts_on": before(20),
            "ends_on": before(-9),
        }
        return [
            each._replace(lifetime_budget=each.daily_budget, **life) for each in read_daily(amounts)
        ]

    def limit_of(cut_to: int, usual: int = 100) -> tuple[Any, str]:
        row = one([account(read({before(60): 3000, before(10): cut_to}))], spent(usual=usual))
        return row["spend_limit"], row["reason"]

    assert limit_of(2100)[0] == 2100
    assert limit_of(2100, usual=110) == (2100, "beyond_the_limit"), "3000 would have allowed it"
    # Ten days had cost more than that before anybody cut it: what came after is too much.
    assert limit_of(500) == (10 * 100, "beyond_the_limit")
    assert limit_of(500, usual=0) == (500, "projected_below")


def test_it_is_judged_once_more_when_its_last_day_is_over() -> None:
    read = read_daily(ends_on=before(1))
    row = one([account(read)], spent(usual=60))
    assert (row["period_end"], row["projected_spend"]) == (before(1), 240)
    assert (row["verdict"], row["reason"]) == ("underspending", "ended_below")
    assert not paced([account(read_daily(ends_on=before(2)))], spent(usual=60))


def test_nothing_is_said_of_days_before_a_budget_was_known() -> None:
    first = [snapshot(AS_OF)]
    assert not paced([account(first)], spent(), as_of=before(1))
    row = one([account(first)], spent())
    assert row["is_reconstructed"]
    # It may have been higher on Monday: what nobody knows is no breach.
    row = one([account(first)], spent({before(3): 900}))
    assert row["verdict"] != "overspending"


def test_what_meta_lists_no_more_has_no_row() -> None:
    gone = account(read_daily(last=before(3)), readings=[*DayWindow.inclusive(before(60), AS_OF)])
    assert not paced([gone], spent())
    assert paced([gone], spent(), as_of=before(3))


def test_days_that_were_never_fetched_leave_it_unknown_but_no_breach_unseen() -> None:
    fetched = set(EVER) - {before(1)}
    row = one([account(read_daily(), fetched_days=fetched)], spent({before(1): 0}))
    assert (row["verdict"], row["reason"], row["days_missing"]) == ("unknown", "days_missing", 1)
    row = one([account(read_daily(), fetched_days=fetched)], spent({before(2): 200}))
    assert row["verdict"] == "overspending"


def test_spend_that_came_to_be_known_later_does_not_change_a_past_row() -> None:
    added = AdSetDay("42", "1", "7", before(2), "EUR", Decimal(300))
    current = spent({before(2): 400})
    assert one([account(read_daily())], current)["verdict"] == "overspending"
    late = [SpendChange(AS_OF + timedelta(days=1), added)]
    assert one([account(read_daily())], current, changes=late) == one(
        [account(read_daily())], spent()
    )


def plan(**others: Any) -> Plan:
    usual: dict[str, Any] = {
        "day": AS_OF,
        "plan_id": "p",
        "name": "Spring",
        "account_id": None,
        "campaign_id": None,
        "currency": "EUR",
        "amount": Decimal(6000),
        "starts_on": before(30),
        "ends_on": before(-29),
    }
    return Plan(**(usual | others))


def test_a_plan_is_spent_by_everything_that_it_is_for() -> None:
    others = account([], account_id="43")
    both = [*spent(), *spent(account_id="43", campaign_id="2", adset_id="8")]
    accounts = [account([]), others]
    row = one(accounts, both, plans=[plan(amount=Decimal(12_000))])
    assert (row["level"], row["spend_whole_days"], row["verdict"]) == ("plan", 6000, "on_track")
    row = one(accounts, both, plans=[plan(account_id="43")])
    assert (row["spend_whole_days"], row["verdict"]) == (3000, "on_track")
    row = one(accounts, both, plans=[plan(campaign_id="2")])
    assert (row["spend_whole_days"], row["verdict"]) == (3000, "on_track")
    row = one(accounts, both, plans=[plan(amount=Decimal(6300))])
    assert (row["verdict"], row["reason"]) == ("overspending", "projected_beyond")
    row = one(accounts, both, plans=[plan(amount=Decimal(6050))])
    assert (row["verdict"], row["reason"]) == ("overspending", "beyond_the_limit"), "today counts"
    assert row["spend"] == 6200


def test_a_plan_over_currencies_needs_their_rates() -> None:
    accounts = [account([]), account([], account_id="43")]
    yen = spent(usual=16_500, account_id="43", campaign_id="2", adset_id="8", currency="JPY")
    row = one(accounts, [*spent(), *yen], plans=[plan()])
    assert (row["verdict"], row["reason"], row["spend"]) == ("unknown", "no_rate", None)
    known = ExchangeRates(
        Rate(day, "EUR", "JPY", Decimal(165)) for day in DayWindow.inclusive(before(60), AS_OF)
    )
    row = one(accounts, [*spent(), *yen], plans=[plan(amount=Decimal(12_000))], rates=known)
    assert row["verdict"] == "on_track"
    assert float(row["spend"]) == pytest.approx(6200)


def test_a_plan_that_was_deleted_has_no_row() -> None:
    looked = account(read_daily(status="PAUSED"))
    assert paced([looked], spent(usual=0), plans=[plan(day=before(1))])
    assert not paced([looked], spent(usual=0), plans=[plan(day=before(2))])


@few
@given(
    st.lists(st.decimals(0, 175, places=2), min_size=60, max_size=60),
    st.sampled_from([1, 30, 100, 101, 10_000]),
)
def test_the_projection_lies_between_what_is_spent_and_the_limit(
    amounts: list[Decimal], budget: int
) -> None:
    by_day = dict(zip(DayWindow.inclusive(before(59), AS_OF), amounts, strict=True))
    row = one(
        [account(read_daily(budget))], spent({day: str(each) for day, each in by_day.items()})
    )
    assert row["projected_spend"] >= float(row["spend"])
    assert row["projected_spend"] <= float(max(row["spend"], row["spend_limit"]))
    assert row["projected_spend_low"] <= row["projected_spend"] <= row["projected_spend_high"]
    assert row["spend"] >= row["spend_whole_days"]
