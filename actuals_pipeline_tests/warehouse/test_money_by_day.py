"""Figures by day and currency as of any day: the same as the database's own function says."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from actuals_pipeline.spend.ledger import Change, Figures, FirstKnown, Ledger
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.money_by_day import accounts, money_by_day
from actuals_pipeline.warehouse.tables import (
    ad_actuals,
    ad_actuals_revisions,
    meta_account_totals,
)

FIRST, LAST = date(2026, 2, 25), date(2026, 3, 8)

Insert = Callable[..., None]

AS_OF = """
    SELECT report_date, currency, sum(impressions)::bigint, sum(clicks)::bigint,
           sum(link_clicks)::bigint, sum(conversions)::bigint, sum(spend), sum(revenue)
    FROM actuals.ad_actuals_as_of(%(day)s) WHERE report_date <= %(day)s
    GROUP BY report_date, currency ORDER BY report_date, currency
"""


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def ledger_of(database: str, first: date, last: date = LAST) -> Ledger:
    known = money_by_day(Warehouse(database), first, last)
    return Ledger(
        (Figures(*row) for row in known.current),
        (Change(known_on, Figures(*row)) for known_on, *row in known.changes),
        (FirstKnown(*row) for row in known.first_known),
    )


@pytest.fixture
def know(insert: Insert) -> Callable[..., None]:
    """The revisions of an ad's day as (known on, figures or None), and what is stored of them."""

    def add(report_date: date, *revisions: tuple[date, dict[str, Any] | None], **key: Any) -> None:
        for known_on, figures in revisions:
            values = figures or dict.fromkeys(FIGURES)
            insert(
                ad_actuals_revisions, report_date=report_date, as_of_date=known_on,
                is_listed=figures is not None, **key, **values,
            )  # fmt: skip
        newest = revisions[-1][1]
        if newest is not None:
            # What is stored of a day lacks nothing.
            known = {name: 0 if value is None else value for name, value in newest.items()}
            insert(ad_actuals, report_date=report_date, **key, **known)

    return add


FIGURES = (
    *("currency", "attribution_setting", "purchase_action_type", "impressions", "clicks"),
    *("link_clicks", "reach", "spend", "conversions", "revenue", "fetched_at"),
)


def figures(spend: int | str, **others: Any) -> dict[str, Any]:
    return {"spend": Decimal(spend), "revenue": Decimal(3), **others}


@pytest.mark.parametrize("seed", range(3))
def test_any_day_is_what_the_database_says_of_it(
    database: str, connection: psycopg.Connection, insert: Insert, know: Any, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's own
    for account_id, currency in (("42", "EUR"), ("43", "JPY")):
        for number in range(10):
            insert(meta_account_totals, account_id=account_id, report_date=day(number))
            for ad in range(3):
                # One ad is known from the day on; others may come late, and go.
                late = 0 if ad == 0 else chance.randrange(3)
                dates = sorted(
                    {number + late, *(number + late + chance.randrange(6) for _ in "ab")}
                )
                revisions = [
                    (
                        day(known_on),
                        None
                        if at and chance.random() < 0.2
                        else figures(
                            f"{chance.randrange(1000)}.{chance.randrange(100):02}",
                            clicks=chance.randrange(9), conversions=chance.randrange(-1, 3),
                            currency=currency,
                        ),
                    )
                    for at, known_on in enumerate(dates)
                ]  # fmt: skip
                know(day(number), *revisions, account_id=account_id, ad_id=f"{account_id}{ad}")
    for first in (day(0), day(6), day(11)):
        ledger = ledger_of(database, first)
        for number in range((first - FIRST).days, 12):
            want = connection.execute(AS_OF, {"day": day(number)}).fetchall()
            got = [each for each in ledger.as_of(day(number)) if any(each[2:])]
            assert got == [Figures(*row) for row in want if any(row[2:])], (first, number)
            assert ledger.reconstructed(day(number)) == set()


def test_a_day_that_was_first_fetched_later_counts_with_its_first_figures(
    database: str, insert: Insert, know: Any
) -> None:
    insert(meta_account_totals, report_date=day(1))
    know(day(1), (day(5), figures(10)), (day(7), figures(12)))
    know(day(1), (day(7), figures(5)), ad_id="2")
    ledger = ledger_of(database, day(1))
    spends = {number: ledger.as_of(day(number))[0].spend for number in range(1, 8)}
    assert spends == dict.fromkeys(range(1, 7), Decimal(10)) | {7: Decimal(17)}
    is_made_up = {number: bool(ledger.reconstructed(day(number))) for number in range(1, 8)}
    assert is_made_up == dict.fromkeys(range(1, 5), True) | dict.fromkeys(range(5, 8), False)


def test_days_of_which_a_single_ad_alone_was_fetched_do_not_count(database: str, know: Any) -> None:
    know(day(1), (day(1), figures(10)), (day(3), figures(12)))
    known = money_by_day(Warehouse(database), day(1), LAST)
    assert (known.current, known.changes, known.first_known) == ([], [], [])


def test_days_after_the_last_one_do_not_count(database: str, insert: Insert, know: Any) -> None:
    for number in (1, 2):
        insert(meta_account_totals, report_date=day(number))
        know(day(number), (day(number), figures(10)), (day(number + 1), figures(12)))
    assert [each.day for each in ledger_of(database, day(1), day(1)).as_of(LAST)] == [day(1)]


def test_a_change_of_currency_takes_the_old_one_away(
    database: str, insert: Insert, know: Any
) -> None:
    insert(meta_account_totals, report_date=day(1))
    know(day(1), (day(1), figures(10)), (day(3), figures(12, currency="USD")))
    ledger = ledger_of(database, day(1))
    for number, want in ((2, {"EUR": 10}), (3, {"USD": 12})):
        known = ledger.as_of(day(number))
        assert {each.currency: each.spend for each in known if each.spend} == want


def test_a_figure_that_a_listed_revision_lacks_adds_nothing(
    database: str, insert: Insert, know: Any
) -> None:
    insert(meta_account_totals, report_date=day(1))
    lacking = figures(12, link_clicks=None)
    know(day(1), (day(1), lacking), (day(3), lacking | {"spend": Decimal(15)}), ad_id="2")
    ledger = ledger_of(database, day(1))
    told = {number: ledger.as_of(day(number))[0] for number in (2, 3)}
    assert {number: each.spend for number, each in told.items()} == {2: 12, 3: 15}
    assert {each.link_clicks for each in told.values()} == {0}


def test_accounts_have_their_currency_and_days(database: str, insert: Insert) -> None:
    assert accounts(Warehouse(database)) == []
    insert(meta_account_totals, report_date=day(1))
    insert(meta_account_totals, report_date=day(2))
    insert(meta_account_totals, report_date=day(2), account_id="43", currency="JPY")
    (first, second) = accounts(Warehouse(database))
    assert (*first[:2], sorted(first[2])) == ("42", "EUR", [day(1), day(2)])
    assert second == ("43", "JPY", [day(2)])
