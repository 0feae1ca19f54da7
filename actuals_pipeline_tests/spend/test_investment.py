"""The investment as of a day: per currency and overall, with what is left and what is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.spend.exchange import ExchangeRates, Rate
from actuals_pipeline.spend.investment import Account, Terms, investment_summary
from actuals_pipeline.spend.ledger import Change, Figures, FirstKnown, Ledger

AS_OF = date(2026, 3, 30)
"""A Monday; the 28 whole days before it begin on a Monday too."""

MONTH = DayWindow.trailing(AS_OF, 29)
EVER = DayWindow.trailing(AS_OF, 400)

EUROS = Account("42", "EUR", list(EVER))
YEN = Account("43", "JPY", list(EVER))

few = settings(max_examples=50)
Row = Mapping[str, Any]


def before(days: int) -> date:
    return AS_OF - timedelta(days=days)


def figures(
    day: date, spend: str | int | Decimal = 100, currency: str = "EUR", **others: Any
) -> Figures:
    usual = {"impressions": 1000, "clicks": 20, "link_clicks": 10, "conversions": 2}
    revenue = others.pop("revenue", 300)
    counts = usual | others
    return Figures(day, currency, **counts, spend=Decimal(spend), revenue=Decimal(revenue))


def rates(*given: tuple[date, str, str, str]) -> ExchangeRates:
    return ExchangeRates(Rate(day, one, other, Decimal(rate)) for day, one, other, rate in given)


def summed_up(
    current: Sequence[Figures],
    terms: Terms | None = None,
    *,
    accounts: Sequence[Account] = (EUROS,),
    known_rates: ExchangeRates | None = None,
    as_of: date = AS_OF,
    ledger: Ledger | None = None,
) -> dict[tuple[str, str], Row]:
    """The rows as of a day by scope and currency."""
    summary = investment_summary(
        ledger or Ledger(current),
        accounts,
        [as_of],
        terms or Terms("EUR", Decimal(10_000)),
        known_rates or rates(),
    )
    rows = summary.astype(object).where(summary.notna(), None).to_dict("records")
    return {
        (row["scope"], row["currency"]): {str(name): each for name, each in row.items()}
        for row in rows
    }


def overall(*arguments: Any, **named: Any) -> Row:
    (row,) = (
        row for (scope, _), row in summed_up(*arguments, **named).items() if scope == "overall"
    )
    return row


def test_the_specifications_example() -> None:
    """150,000 spent, 480,000 earned, 12,000 conversions: ROAS 3.2, 12.50 a conversion."""
    example = figures(before(1), 150_000, revenue=480_000, conversions=12_000, clicks=400_000)
    row = overall([example], Terms("EUR", Decimal(5_000_000)))
    assert (row["roas"], row["cpa"], row["conversion_rate"]) == (3.2, 12.5, 0.03)
    assert (row["investment_total"], row["spent_share"]) == (5_000_000, 0.03)


def test_to_date_has_the_day_itself_and_trailing_days_are_whole() -> None:
    row = overall([figures(day, 2**at) for at, day in enumerate(reversed(list(MONTH)))])
    assert row["spend"] == 2**29 - 1
    assert row["spend_7d"] == 2**8 - 2
    assert row["spend_28d"] == 2**29 - 2
    assert (row["impressions"], row["clicks_7d"], row["link_clicks_28d"]) == (29_000, 140, 280)
    assert (row["conversion_rate_7d"], row["link_conversion_rate_28d"]) == (0.1, 0.2)
    assert row["since"] == MONTH.since
    assert row["burn_per_day_7d"] == (2**8 - 2) / 7


def test_an_even_burn_is_projected() -> None:
    row = overall([figures(day) for day in MONTH], Terms("EUR", Decimal(5000)))
    # 2800 of whole days are spent, and 22 days like them bring the other 2200.
    assert row["outlook"] == "projected"
    assert row["projected_end"] == row["projected_end_low"] == AS_OF + timedelta(days=21)
    assert (row["spend"], row["burn_per_day_7d"], row["burn_per_day_28d"]) == (2900, 100, 100)
    assert row["burn_per_day_settled"] is None


def test_settled_days_have_a_burn_of_their_own() -> None:
    days = [figures(day, 100) for day in MONTH]
    days += [figures(before(29 + back), 50) for back in range(28)]
    row = overall(days)
    assert (row["burn_per_day_28d"], row["burn_per_day_settled"]) == (100, 50)
    assert row["settled_spend_share"] == pytest.approx(1400 / 4300)


@pytest.mark.parametrize(
    ("total", "outlook", "end"),
    [
        (250, "spent", before(26)),
        (2900, "spent", AS_OF),
        # The day itself may bring more than it has so far.
        (2901, "projected", AS_OF + timedelta(days=1)),
    ],
)
def test_what_is_spent_has_the_day_on_which_it_was(total: int, outlook: str, end: date) -> None:
    row = overall([figures(day) for day in MONTH], Terms("EUR", Decimal(total)))
    assert (row["outlook"], row["projected_end"]) == (outlook, end)
    assert row["spent_share"] == 2900 / total


def test_money_that_is_spent_no_more_never_ends() -> None:
    row = overall([figures(before(60)), *(figures(day, 0, impressions=0) for day in MONTH)])
    assert (row["outlook"], row["projected_end"], row["burn_per_day_28d"]) == ("never", None, 0)


def test_without_a_total_there_is_neither_share_nor_end() -> None:
    row = overall([figures(day) for day in MONTH], Terms())
    assert (row["currency"], row["outlook"]) == ("EUR", "no_total")
    for name in ("investment_total", "spent_share", "projected_end", "projected_end_low"):
        assert row[name] is None


def test_two_currencies_without_total_have_no_overall_row() -> None:
    rows = summed_up(
        [figures(AS_OF), figures(AS_OF, currency="JPY")], Terms(), accounts=[EUROS, YEN]
    )
    assert set(rows) == {("currency", "EUR"), ("currency", "JPY")}


def test_two_currencies_with_rates_add_up() -> None:
    days = [each for day in MONTH for each in (figures(day), figures(day, 1000, "JPY", revenue=0))]
    known = rates(*((day, "JPY", "EUR", "0.006") for day in MONTH))
    rows = summed_up(days, accounts=[EUROS, YEN], known_rates=known)
    row = rows["overall", "EUR"]
    assert (row["spend"], row["revenue"], row["spend_at_least"]) == (29 * 106, 29 * 300, 29 * 106)
    assert (row["conversions"], row["unconverted"]) == (116, {})
    assert row["burn_per_day_28d"] == 106
    assert rows["currency", "JPY"]["spend"] == 29_000
    assert rows["currency", "EUR"]["spend"] == 2900
    assert rows["currency", "EUR"]["outlook"] == "no_total"


def test_a_currency_without_rate_is_named_and_leaves_the_totals_unknown() -> None:
    days = [each for day in MONTH for each in (figures(day), figures(day, 1000, "JPY"))]
    row = overall(
        days, accounts=[EUROS, YEN], known_rates=rates((before(20), "JPY", "EUR", "0.006"))
    )
    # A rate holds for its own day and seven more.
    assert row["unconverted"] == {"JPY": 29 - 8}
    for name in ("spend", "revenue", "roas", "cpa", "spent_share", "spend_7d"):
        assert row[name] is None, name
    assert row["spend_at_least"] == 2900 + 8 * 6
    assert (row["outlook"], row["conversions"]) == ("unconverted", 116)
    assert row["burn_per_day_28d"] == 106, "of the days whose rate is known"


def test_what_is_spent_for_certain_is_spent_even_without_rates() -> None:
    days = [each for day in MONTH for each in (figures(day), figures(day, 1000, "JPY"))]
    row = overall(days, Terms("EUR", Decimal(2000)), accounts=[EUROS, YEN])
    assert (row["outlook"], row["projected_end"]) == ("spent", before(9))


def test_days_of_accounts_that_were_never_fetched_are_named_and_burn_nothing() -> None:
    known_days = [day for day in EVER if day not in {before(3), before(4)}]
    asked = Terms("EUR", Decimal(10_000), None, ("42", "44", "45"))
    accounts = [EUROS, Account("44", "EUR", known_days)]
    row = overall([figures(day) for day in MONTH], asked, accounts=accounts)
    assert row["accounts_missing"] == {"44": 2, "45": 28}
    assert row["n_accounts_covered"] == 1
    spent = {day: 100 if day != before(3) else 9999 for day in MONTH}
    row = overall([figures(day, each) for day, each in spent.items()], asked, accounts=accounts)
    assert row["burn_per_day_7d"] == 100


def test_an_account_that_is_asked_no_more_does_not_stop_the_burn() -> None:
    gone = Account("44", "EUR", [day for day in EVER if day < before(10)])
    days = [figures(day) for day in MONTH]
    asked = Terms("EUR", Decimal(10_000), None, ("42",))
    row = overall(days, asked, accounts=[EUROS, gone])
    assert (row["burn_per_day_7d"], row["accounts_missing"]) == (100, {"44": 10})
    row = overall(days, Terms("EUR", Decimal(10_000)), accounts=[EUROS, gone])
    assert row["burn_per_day_7d"] is None, "where nobody says who is asked, all are"


def test_an_investment_may_begin_later_than_its_accounts() -> None:
    row = overall([figures(day) for day in MONTH], Terms("EUR", Decimal(10_000), before(3)))
    assert (row["since"], row["spend"], row["spend_7d"]) == (before(3), 400, 300)
    assert (row["outlook"], row["burn_per_day_7d"]) == ("too_few_days", 100)
    assert summed_up([figures(day) for day in MONTH], Terms(start=AS_OF + timedelta(days=1))) == {}


def test_before_the_first_spend_there_is_no_row() -> None:
    assert summed_up([figures(before(2), 0), figures(AS_OF)], as_of=before(1)) == {}
    assert summed_up([]) == {}


def test_each_day_has_what_was_known_at_its_end() -> None:
    day = before(5)
    ledger = Ledger(
        [figures(day, 103, conversions=7)],
        [
            Change(before(3), figures(day, 2, conversions=1)),
            Change(before(1), figures(day, 1, conversions=4)),
        ],
    )
    spends = {
        as_of: overall([], ledger=ledger, as_of=as_of)
        for as_of in (before(5), before(3), before(1), AS_OF)
    }
    assert [row["spend"] for row in spends.values()] == [100, 102, 103, 103]
    assert [row["conversions"] for row in spends.values()] == [2, 3, 7, 7]


def test_what_was_first_known_later_is_reconstructed() -> None:
    ledger = Ledger([figures(day) for day in MONTH], (), [FirstKnown(before(9), "EUR", before(3))])
    for back, is_reconstructed in ((10, False), (9, True), (4, True), (3, False), (0, False)):
        row = overall([], ledger=ledger, as_of=before(back))
        assert row["is_reconstructed"] == is_reconstructed, back


days_of_figures = st.lists(
    st.builds(
        figures,
        st.sampled_from(list(MONTH)),
        st.decimals(0, 10**6, places=2),
        st.just("EUR"),
        revenue=st.decimals(-100, 10**6, places=2),
        clicks=st.integers(0, 1000),
    ),
    max_size=40,
    unique_by=lambda each: each.day,
)


@few
@given(days_of_figures, st.randoms(use_true_random=False))
def test_sums_are_exact_and_the_order_of_days_does_not_matter(
    days: list[Figures], random: Any
) -> None:
    shuffled = list(days)
    random.shuffle(shuffled)
    assert summed_up(shuffled) == summed_up(days)
    if any(each.spend for each in days):
        row = overall(days)
        since = min(each.day for each in days if each.spend)
        counted = [each for each in days if each.day >= since]
        assert row["spend"] == sum((each.spend for each in counted), Decimal(0))
        assert row["revenue"] == sum((each.revenue for each in counted), Decimal(0))
        assert row["clicks"] == sum(each.clicks for each in counted)


@few
@given(days_of_figures)
def test_a_rate_of_one_gives_what_one_currency_would(days: list[Figures]) -> None:
    dollars = [each._replace(currency="USD") for each in days]
    known = rates(*((day, "USD", "EUR", "1") for day in MONTH))
    converted = summed_up(dollars, accounts=[EUROS._replace(currency="USD")], known_rates=known)
    own = summed_up(days)
    assert converted.get(("overall", "EUR")) == own.get(("overall", "EUR"))
