"""The dashboard over several currencies, and what it says of the investment."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.serving.conftest import Command, Insert

FIRST, LAST = date(2026, 3, 6), date(2026, 3, 7)

BUDGET = {"ACTUALS_INVESTMENT_BUDGET": "EUR 1,000"}

Told = Callable[..., str]
Summary = Callable[..., dict[str, Any]]


@pytest.fixture
def two_currencies(insert: Insert) -> None:
    """Two days of an account in euros and one in yen."""
    for day in (FIRST, LAST):
        insert("meta_account_totals", report_date=day)
        insert("meta_account_totals", report_date=day, account_id="43", currency="JPY")
        insert(
            "ad_actuals", report_date=day, spend=Decimal("10.01"), revenue=Decimal(30), clicks=50,
            conversions=1, impressions=1000, is_settled=True,
        )  # fmt: skip
        insert(
            "ad_actuals", report_date=day, account_id="43", ad_id="7", currency="JPY",
            spend=Decimal(1001), revenue=Decimal(5000), clicks=50, conversions=3, impressions=1000,
        )  # fmt: skip


@pytest.fixture
def invest(insert: Insert) -> Callable[..., None]:
    """Add the overall row of the last day; what is not given is of an investment half spent."""

    def add(**values: Any) -> None:
        usual = {
            "scope": "overall", "outlook": "projected", "spend": Decimal("500.004"),
            "spend_at_least": Decimal("500.004"), "investment_total": Decimal(1000),
            "spent_share": 0.500004, "burn_per_day_28d": 12.345, "as_of_date": LAST,
            "projected_end": LAST + timedelta(days=40),
            "projected_end_low": LAST + timedelta(days=30),
        }  # fmt: skip
        insert("investment_summary", **usual | values)

    return add


@pytest.fixture
def summary(command: Command) -> Summary:
    """The summary as JSON."""

    def answer(*arguments: str, **environment: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            command("summary", "--json", *arguments, **environment).stdout
        )
        return found

    return answer


@pytest.fixture
def told(command: Command) -> Told:
    """What the summary prints for people, however wide their terminal is."""

    def printed(*arguments: str, **environment: str) -> str:
        return " ".join(command("summary", *arguments, **environment).stdout.split())

    return printed


@pytest.fixture
def rate(command: Command, in_own_folder: None) -> Callable[[date, str], None]:
    """Import the euros that a yen is worth on a day."""

    def add(day: date, value: str) -> None:
        Path("rates.csv").write_text(f"date,from,to,rate\n{day},JPY,EUR,{value}\n")
        assert command("rates", "import", "rates.csv").exit_code == 0

    return add


@pytest.mark.usefixtures("two_currencies")
def test_without_an_investment_currencies_stay_apart(summary: Summary) -> None:
    answer = summary()
    for name in ("currency", "total_spend", "total_revenue", "overall_roas", "avg_cpa", "overall"):
        assert answer[name] is None, name
    assert (answer["total_conversions"], answer["conversion_rate"]) == (8, 0.04)
    assert [part["conversion_rate"] for part in answer["by_currency"]] == [0.02, 0.06]
    assert answer["investment"] is None


@pytest.mark.usefixtures("two_currencies")
def test_without_rates_the_totals_are_unknown_and_the_currency_is_named(
    summary: Summary, told: Told
) -> None:
    answer = summary(**BUDGET)
    assert (answer["currency"], answer["total_spend"], answer["avg_cpa"]) == (None, None, None)
    overall = answer["overall"]
    assert overall["unconverted"] == [{"currency": "JPY", "days": 2}]
    for name in ("spend", "revenue", "roas", "cpa", "settled_spend_share"):
        assert overall[name] is None, name
    assert (overall["conversions"], overall["conversion_rate"]) == (8, 0.04)
    assert "No total in EUR: no exchange rate for JPY on 2 days (`actuals rates import`)." in told(
        **BUDGET
    )


@pytest.mark.usefixtures("two_currencies")
def test_with_rates_the_totals_are_in_the_investments_currency(
    summary: Summary, told: Told, rate: Callable[[date, str], None]
) -> None:
    rate(FIRST, "0.01")
    rate(LAST, "0.02")
    answer = summary(**BUDGET)
    # 20.02 + 1001 * 0.01 + 1001 * 0.02
    assert (answer["currency"], answer["total_spend"], answer["total_revenue"]) == (
        "EUR",
        50.05,
        210,
    )
    assert (answer["overall_roas"], answer["avg_cpa"]) == (4.2, 6.26)
    overall = answer["overall"]
    assert (overall["spend"], overall["unconverted"]) == (50.05, [])
    assert overall["settled_spend_share"] == 0.4
    assert "all, in EUR 50.05 210 4.20x 8 6.26" in told(**BUDGET)
    # A rate holds for seven days and not for an eighth.
    assert summary("--until", str(FIRST), **BUDGET)["total_spend"] == 20.02
    assert summary(**BUDGET, ACTUALS_EXCHANGE_RATE_DAYS="0")["total_spend"] == 50.05


@pytest.mark.usefixtures("two_currencies")
def test_what_a_sync_brought_and_the_counts_are_converted_alike(
    warehouse: Warehouse, rate: Callable[[date, str], None]
) -> None:
    def totals(**variables: str) -> tuple[object, ...]:
        settings = Settings.from_environment(variables)
        window = DayWindow.inclusive(FIRST, LAST)
        now = datetime(2026, 3, 8, tzinfo=UTC)
        brought = answers.sync(warehouse, window, [], settings, now=now, duration_seconds=1)
        of_a_sync, counts = brought["summary"], answers.stats(warehouse, settings)["stats"]
        assert counts["currency"] == of_a_sync["currency"]
        assert counts["total_spend_tracked"] == of_a_sync["total_spend"]
        assert counts["total_conversions_tracked"] == of_a_sync["total_conversions"] == 8
        return of_a_sync["currency"], of_a_sync["total_spend"], of_a_sync["total_revenue"]

    rate(FIRST, "0.01")
    assert totals(**BUDGET, ACTUALS_EXCHANGE_RATE_DAYS="0") == (None, None, None), "a day has none"
    assert totals() == (None, None, None), "nothing says into which currency"
    rate(LAST, "0.02")
    assert totals(**BUDGET) == ("EUR", 50.05, 210)


@pytest.mark.usefixtures("two_currencies")
def test_each_day_is_a_point_of_the_trend(summary: Summary, told: Told) -> None:
    days = summary()["daily"]
    assert [(each["report_date"], each["currency"], each["revenue"]) for each in days] == [
        ("2026-03-06", "EUR", 30), ("2026-03-06", "JPY", 5000),
        ("2026-03-07", "EUR", 30), ("2026-03-07", "JPY", 5000),
    ]  # fmt: skip
    assert (days[0]["spend"], days[0]["roas"], days[0]["conversion_rate"]) == (10.01, 3, 0.02)
    assert "Revenue a day EUR JPY" in told()
    assert "2026-03-06 30 5,000 2026-03-07 30 5,000" in told().replace(" ─", "").replace("─", "")


@pytest.mark.usefixtures("two_currencies")
def test_the_investment_is_the_last_one_of_the_window(
    summary: Summary, told: Told, invest: Callable[..., None]
) -> None:
    invest()
    invest(as_of_date=LAST + timedelta(days=1), spend=Decimal(600), scope="overall")
    invest(scope="currency", currency="JPY", outlook="no_total", conversions=6, clicks=100)
    answer = summary()["investment"]
    assert (answer["as_of"], answer["spent"], answer["spent_share"]) == ("2026-03-07", 500, 0.5)
    assert (answer["total"], answer["remaining"], answer["days_left"]) == (1000, 500, 40)
    assert answer["burn_per_day"]["last_28_days"] == 12.34
    assert answer["projected_end"] == "2026-04-16"
    assert answer["projected_end_ci95"] == ["2026-04-06", None]
    assert [part["currency"] for part in answer["by_currency"]] == ["JPY"]
    assert (
        "Of the EUR 1,000 invested 500 (50.0%) were spent by 2026-03-07, 12.34 a day over the last "
        "28 days. It lasts until 2026-04-16 (95 %: 2026-04-06 to never), if the coming days are "
        "like the last 28." in told()
    )


@pytest.mark.usefixtures("two_currencies")
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"outlook": "spent", "projected_end": FIRST}, "It was spent on 2026-03-06."),
        ({"outlook": "never", "projected_end": None}, "of the last 28 days it never ends."),
        ({"outlook": "too_few_days", "projected_end": None}, "that takes a week of whole days."),
        ({"projected_end_low": None}, "It lasts until 2026-04-16, if the coming days"),
        (
            {"outlook": "unconverted", "spend": None, "unconverted": Jsonb({"JPY": 9})},
            "at least 500 were spent by 2026-03-07: no exchange rate for JPY on 9 days",
        ),
        (
            {"accounts_missing": Jsonb({"44": 3})},
            "Not in the investment: 3 days of account act_44, which were never fetched.",
        ),
        ({"is_reconstructed": True}, "It counts figures that were first known later"),
    ],
)
def test_a_person_is_told_how_the_investment_stands(
    invest: Callable[..., None], told: Told, values: dict[str, Any], sentence: str
) -> None:
    invest(**values)
    assert sentence in told()
    assert "Of the EUR 1,000 invested" in told()


@pytest.mark.usefixtures("two_currencies")
def test_without_a_total_nothing_is_said_of_an_investment(
    invest: Callable[..., None], summary: Summary, told: Told
) -> None:
    invest(investment_total=None, spent_share=None, outlook="no_total", projected_end=None)
    assert "invested" not in told()
    answer = summary()["investment"]
    assert (answer["total"], answer["remaining"], answer["spent_share"]) == (None, None, None)
    assert (answer["outlook"], answer["days_left"], answer["projected_end_ci95"]) == (
        "no_total", None, None,
    )  # fmt: skip


@pytest.mark.usefixtures("two_currencies")
def test_a_past_day_has_its_own_investment(
    insert: Insert, invest: Callable[..., None], summary: Summary
) -> None:
    invest()
    invest(as_of_date=FIRST, spend=Decimal(400))
    insert("fetch_log", since=FIRST, until=LAST, started_at="2026-03-06T12:00:00Z")
    assert summary("--as-of", str(FIRST))["investment"]["spent"] == 400
    assert summary("--as-of", str(FIRST - timedelta(days=1)))["investment"] is None
