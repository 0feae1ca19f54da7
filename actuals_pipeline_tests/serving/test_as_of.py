"""A summary as it was known at the end of a day, and what is expected of young figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers, queries
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.serving.conftest import Command, Insert, sentence_of

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 7)
WEEK = DayWindow.inclusive(FIRST, LAST)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)

Summary = Callable[..., dict[str, Any]]


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


@pytest.fixture
def know(insert: Insert) -> Callable[..., None]:
    """What came to be known of an ad's day on another day, unless it says otherwise for 10 EUR."""

    def add(day: date, on: date, *, ad_id: str = "1", **figures: Any) -> None:
        usual = {"spend": Decimal(10), "impressions": 1, "currency": "EUR", "is_listed": True}
        zeroes = dict.fromkeys(("clicks", "conversions", "revenue"), 0)
        values = usual | zeroes | figures
        insert("ad_actuals_revisions", ad_id=ad_id, report_date=day, as_of_date=on, **values)

    return add


@pytest.fixture
def fetch(insert: Insert) -> Callable[..., None]:
    """That an account was fetched over some days, as the log and the totals have it."""

    def add(*days: date, on: date, **logged: Any) -> None:
        usual = {
            "account_id": "42",
            "since": min(days),
            "until": max(days),
            "started_at": noon(on),
        }
        insert("fetch_log", **usual | logged)
        for day in days:
            insert("meta_account_totals", report_date=day, fetched_at=NOW)

    return add


@pytest.fixture
def as_of(warehouse: Warehouse) -> Summary:
    """The summary of a window as it was known at the end of a day."""

    def summary(day: date, window: DayWindow | None = WEEK, **environment: str) -> dict[str, Any]:
        settings = Settings.from_environment(environment)
        return answers.summary_as_of(warehouse, window, settings, day)

    return summary


def told(command: Command, *arguments: str, **environment: str) -> str:
    """What a command prints for people, however wide their terminal is."""
    return " ".join(command(*arguments, **environment).stdout.split())


def spend_of(answer: Mapping[str, Any]) -> Any:
    return answer["total_spend"]


def test_each_day_shows_what_was_known_at_its_end(
    know: Callable[..., None], fetch: Callable[..., None], as_of: Summary
) -> None:
    second = FIRST + timedelta(days=1)
    fetch(FIRST, on=FIRST)
    know(FIRST, FIRST, revenue=20, conversions=2, clicks=1, impressions=4)
    know(FIRST, LAST, revenue=30, conversions=3, clicks=1, impressions=4)
    know(FIRST, LAST, ad_id="2", spend=Decimal("0.01"))
    for day in (FIRST, second, LAST - timedelta(days=1)):
        answer = as_of(day)
        (euros,) = answer["by_currency"]
        assert (euros["spend"], euros["revenue"], euros["conversions"]) == (10, 20, 2)
        assert (euros["roas"], euros["ctr_percent"], euros["settled_spend_share"]) == (2, 25, 0)
        assert (answer["total_spend"], answer["as_of"]) == (10, day)
    (euros,) = as_of(LAST)["by_currency"]
    assert (euros["spend"], euros["revenue"]) == (10.01, 30)
    (euros,) = as_of(FIRST + timedelta(days=29))["by_currency"]
    assert euros["settled_spend_share"] == 1


def test_an_ad_that_was_listed_no_more_counts_until_then(
    know: Callable[..., None], fetch: Callable[..., None], as_of: Summary
) -> None:
    fetch(FIRST, on=FIRST)
    know(FIRST, FIRST)
    nothing = dict.fromkeys(("spend", "impressions", "currency"))
    know(FIRST, LAST, is_listed=False, **nothing)
    assert [spend_of(as_of(day)) for day in (LAST - timedelta(days=1), LAST)] == [10, 0]


def test_before_the_first_figures_nothing_was_known(
    know: Callable[..., None], fetch: Callable[..., None], as_of: Summary, command: Command
) -> None:
    fetch(FIRST, on=LAST)
    know(FIRST, LAST)
    before = LAST - timedelta(days=1)
    answer = as_of(before)
    assert (answer["status"], answer["known_since"], answer["source"]) == ("empty", LAST, None)
    assert (answer["total_spend"], answer["total_conversions"]) == (None, None)
    assert answer["by_currency"] == []
    of_week = ("--since", str(FIRST), "--until", str(LAST))
    assert told(command, "summary", "--as-of", str(before), *of_week) == (
        "Nothing was known at the end of 2026-03-06 of 2026-03-01 to 2026-03-07: the first figures "
        "came on 2026-03-07."
    )
    assert told(command, "summary", "--as-of", "2020-01-01") == (
        "Nothing was known at the end of 2020-01-01: the first figures came on 2026-03-07."
    )


def test_where_nothing_was_ever_fetched_that_is_said(command: Command) -> None:
    assert told(command, "summary", "--as-of", "2026-03-06") == (
        "Nothing was known at the end of 2026-03-06: nothing was ever fetched."
    )
    answer = json.loads(command("summary", "--as-of", "2026-03-06", "--json").stdout)
    assert (answer["status"], answer["known_since"]) == ("empty", None)


@pytest.mark.parametrize(
    ("logged", "is_known"),
    [
        ({}, True),
        ({"outcome": "failed"}, False),
        ({"kind": "ad", "ad_id": "1"}, False),
        ({"account_id": "43"}, False),
        ({"since": FIRST + timedelta(days=1)}, False),
        ({"until": FIRST - timedelta(days=1), "since": FIRST - timedelta(days=9)}, False),
        ({"started_at": noon(LAST + timedelta(days=1))}, False),
        # Half past midnight of the next day in Berlin.
        ({"started_at": noon(LAST).replace(hour=23, minute=30)}, False),
        # Before the day had begun there.
        ({"started_at": noon(FIRST - timedelta(days=1))}, False),
    ],
    ids=[
        "fetched whole",
        "failed",
        "a single ad",
        "another account",
        "later days",
        "earlier days",
        "later",
        "later where the account is",
        "too early",
    ],
)
def test_a_day_was_known_once_its_account_was_fetched_whole(
    know: Callable[..., None],
    fetch: Callable[..., None],
    as_of: Summary,
    logged: dict[str, Any],
    *,
    is_known: bool,
) -> None:
    """Though an ad of it was known in any case."""
    know(FIRST, FIRST)
    fetch(FIRST, on=FIRST, **{"until": LAST, **logged})
    answer = as_of(LAST)
    assert answer["status"] == ("partial" if is_known else "empty")
    assert answer["total_spend"] == (10 if is_known else None)
    (missing,) = answer["missing"]
    assert (missing["days"], missing["of_days"]) == (6 if is_known else 7, 7)


def test_a_day_whose_figures_came_after_midnight_was_not_known_before(
    know: Callable[..., None], fetch: Callable[..., None], as_of: Summary
) -> None:
    fetch(FIRST, on=FIRST)
    know(FIRST, FIRST + timedelta(days=1))
    assert as_of(FIRST)["status"] == "empty"
    assert spend_of(as_of(FIRST + timedelta(days=1))) == 10


def test_a_fetched_day_without_an_ad_was_a_known_zero(
    fetch: Callable[..., None], as_of: Summary
) -> None:
    fetch(*WEEK, on=LAST)
    answer = as_of(LAST)
    assert (answer["status"], answer["total_spend"], answer["missing"]) == ("success", 0, [])


def test_days_that_had_not_begun_are_not_missing_and_accounts_that_came_later_are(
    know: Callable[..., None], fetch: Callable[..., None], as_of: Summary, insert: Insert
) -> None:
    third = FIRST + timedelta(days=2)
    fetch(FIRST, FIRST + timedelta(days=1), third, on=third)
    know(FIRST, third)
    assert as_of(third)["status"] == "success"
    insert("meta_account_totals", account_id="43", report_date=FIRST)
    answer = as_of(third, META_AD_ACCOUNT_ID="act_44")
    assert answer["status"] == "partial"
    assert answer["missing"] == [
        {"account_id": account_id, "days": 3, "of_days": 3} for account_id in ("44", "43")
    ]


def test_the_command_shows_the_days_known_then_and_says_what_it_shows(
    know: Callable[..., None], fetch: Callable[..., None], command: Command
) -> None:
    third = FIRST + timedelta(days=2)
    fetch(FIRST, on=third)
    fetch(LAST, on=LAST)
    know(FIRST, third, spend=Decimal("12.34"))
    know(LAST, LAST)
    accounts = {"META_AD_ACCOUNT_ID": "act_42"}
    text = told(command, "summary", "--as-of", str(third), **accounts)
    assert "Actuals, 2026-03-01 to 2026-03-03, as known at the end of 2026-03-03" in text
    assert "12.34" in text
    assert "Accuracy and reconciliation are not kept as they were known: left out." in text
    missing = "Not in these figures: 2 of 3 days of account act_42, of which nothing was known then"
    assert missing in text
    answer = json.loads(command("summary", "--as-of", str(third), "--json", **accounts).stdout)
    assert answer["as_of"] == str(third)
    assert answer["window"] == {"since": str(FIRST), "until": str(third)}
    assert (answer["total_spend"], answer["ml_accuracy"], answer["models"]) == (12.34, None, [])
    ordinary = json.loads(command("summary", "--json", **accounts).stdout)
    assert answer.keys() == {*ordinary, "known_since"}
    assert ordinary["as_of"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--as-of", "2900-01-01"), "2900-01-01 lies in the future: give today or an earlier day"),
        (("--as-of", "3 November"), "'3 November' is not a day; write it as YYYY-MM-DD"),
        (("--as-of", "2026-03-03", "--since", "2026-03-04"), "give an earlier `since`"),
    ],
    ids=["future", "no day", "window after it"],
)
def test_a_day_as_of_which_nothing_can_be_said_is_refused(
    command: Command, insert: Insert, arguments: tuple[str, ...], words: str
) -> None:
    insert("meta_account_totals", report_date=FIRST)
    assert words in sentence_of(command("summary", *arguments))


SETTLED = date(2026, 1, 10)


@pytest.fixture
def curve(know: Callable[..., None], insert: Insert) -> None:
    """What account 42 sold on a settled day was known by half after two days, whole after five."""
    insert("meta_account_totals", report_date=SETTLED, fetched_at=noon(FIRST))
    for age, revenue, conversions in ((0, 5, 0), (2, 50, 3), (5, 100, 4)):
        on = SETTLED + timedelta(days=age)
        know(SETTLED, on, revenue=Decimal(revenue), conversions=conversions)


def provisional(warehouse: Warehouse) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answers.summary(
        warehouse, WEEK, Settings.from_environment({}), NOW
    )["provisional"]
    return found


@pytest.mark.usefixtures("curve")
def test_a_provisional_day_says_how_complete_it_should_be(
    warehouse: Warehouse, insert: Insert
) -> None:
    for day, age, revenue, conversions in ((FIRST, 5, 30, 3), (LAST, 2, 30, 3)):
        insert("meta_account_totals", report_date=day, fetched_at=noon(day + timedelta(days=age)))
        for ad_id in ("1", "2"):
            insert(
                "ad_actuals", ad_id=ad_id, report_date=day, revenue=Decimal(revenue) / 2,
                conversions=conversions,
            )  # fmt: skip
    (account,) = provisional(warehouse)
    assert (account["account_id"], account["days"]) == ("42", 2)
    # Of 30 all is known, of 60 a half.
    assert account["revenue_completeness"] == pytest.approx(60 / 90, abs=1e-4)
    assert account["conversions_completeness"] == pytest.approx(12 / (6 + 6 / 0.75), abs=1e-4)
    assert account["by_day"] == [
        {
            "report_date": FIRST,
            "age_days": 5,
            "revenue_completeness": 1,
            "conversions_completeness": 1,
        },
        {
            "report_date": LAST,
            "age_days": 2,
            "revenue_completeness": 0.5,
            "conversions_completeness": 0.75,
        },
    ]


@pytest.mark.usefixtures("curve")
def test_of_a_day_that_was_not_over_and_of_another_account_completeness_is_unknown(
    warehouse: Warehouse, insert: Insert, command: Command
) -> None:
    insert("meta_account_totals", report_date=LAST, fetched_at=noon(LAST))
    insert("meta_account_totals", report_date=FIRST, account_id="43", fetched_at=noon(LAST))
    insert("ad_actuals", report_date=LAST, revenue=Decimal(5), conversions=1)
    insert("ad_actuals", report_date=FIRST, account_id="43", revenue=Decimal(5), conversions=1)
    for account in provisional(warehouse):
        for each in (account, *account["by_day"]):
            assert each["revenue_completeness"] is None
            assert each["conversions_completeness"] is None
    of_week = ("--since", str(FIRST), "--until", str(LAST))
    assert (
        "2 account-days may still change: how complete their revenue and conversions are is "
        "unknown yet." in told(command, "summary", *of_week)
    )


@pytest.mark.usefixtures("curve")
def test_what_is_expected_is_said_in_a_sentence_and_settled_days_are_not_spoken_of(
    insert: Insert, command: Command
) -> None:
    insert("meta_account_totals", report_date=LAST, fetched_at=noon(LAST + timedelta(days=2)))
    insert("ad_actuals", report_date=LAST, revenue=Decimal(7), conversions=0)
    assert (
        "1 day of account act_42 may still change: by now an expected 50% of the final revenue is "
        "known." in told(command, "summary")
    )
    settled = ("--since", str(SETTLED), "--until", str(SETTLED))
    assert "may still change" not in told(command, "summary", *settled)
    answer = json.loads(command("summary", "--json", *settled).stdout)
    assert answer["provisional"] == []


def test_no_revenue_has_no_completeness(warehouse: Warehouse) -> None:
    row = {"account_id": "42", "report_date": LAST, "age_days": 2, "revenue": Decimal(0)}
    shares = {"conversions": 0, "revenue_share": 0.5, "conversions_share": 0.0}
    (account,) = answers._provisional([row | shares])
    assert account["revenue_completeness"] is None
    assert account["conversions_completeness"] is None
    assert queries.provisional(warehouse, WEEK) == []
