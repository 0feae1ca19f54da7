"""How much of the final figures was known at each age, of histories that the eye can check."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from actuals_pipeline.warehouse.tables import ad_actuals_revisions, meta_account_totals

Insert = Callable[..., None]

DAY = date(2026, 1, 10)
SHARES = ("spend_share", "clicks_share", "conversions_share", "revenue_share")

Known = tuple[int, int, int, int]
"""Spend, clicks, conversions and revenue."""


@pytest.fixture
def know(insert: Insert) -> Callable[..., None]:
    """What came to be known of an ad's day at an age; None: that Meta lists it no more."""

    def add(ad_id: str, age: int, known: Known | None, day: date = DAY, **values: Any) -> None:
        names = ("spend", "clicks", "conversions", "revenue")
        nothing = dict.fromkeys(("currency", "impressions", "link_clicks", "reach", *names))
        figures = dict(zip(names, known, strict=True)) if known else nothing
        as_of = day + timedelta(days=age)
        insert(
            ad_actuals_revisions, ad_id=ad_id, report_date=day, as_of_date=as_of,
            is_listed=known is not None, **figures, **values,
        )  # fmt: skip

    return add


@pytest.fixture
def fetched(insert: Insert) -> Callable[..., None]:
    """That an account's day was last fetched at an age, at noon where the account is."""

    def add(day: date = DAY, age: int = 29, **values: Any) -> None:
        at = datetime(day.year, day.month, day.day, 11, tzinfo=UTC) + timedelta(days=age)
        insert(meta_account_totals, report_date=day, **{"fetched_at": at, **values})

    return add


def curve(connection: psycopg.Connection, account_id: str = "42") -> list[dict[str, Any]]:
    """The rows of the view for an account, by age."""
    query = "SELECT * FROM actuals.completeness_by_age WHERE account_id = %s ORDER BY age_days"
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query, [account_id]).fetchall()
    assert [row["age_days"] for row in rows] == list(range(29))
    return rows


def shares(connection: psycopg.Connection, age: int) -> tuple[float | None, ...]:
    return tuple(curve(connection)[age][name] for name in SHARES)


def test_a_curve_adds_up_what_was_known_of_every_ad_at_each_age(
    connection: psycopg.Connection, know: Callable[..., None], fetched: Callable[..., None]
) -> None:
    fetched()
    know("a", 0, (10, 100, 1, 20))
    know("a", 2, (10, 100, 3, 50))
    know("a", 30, (10, 100, 4, 60))
    # Bought late, by people who saw the ad before: the day's first row for it.
    know("b", 1, (0, 0, 1, 40))
    # Taken back by Meta.
    know("c", 0, (5, 0, 0, 10))
    know("c", 3, None)
    fetched(DAY + timedelta(days=1))
    know("a", 0, (10, 100, 0, 0), DAY + timedelta(days=1))

    assert {row["n_ad_days"] for row in curve(connection)} == {4}
    # Final: 20 spent, 200 clicks, 5 purchases worth 100.
    assert shares(connection, 0) == pytest.approx((25 / 20, 1, 1 / 5, 30 / 100))
    assert shares(connection, 1) == pytest.approx((25 / 20, 1, 2 / 5, 70 / 100))
    assert shares(connection, 2) == pytest.approx((25 / 20, 1, 4 / 5, 100 / 100))
    assert shares(connection, 3) == pytest.approx((1, 1, 4 / 5, 90 / 100))
    assert shares(connection, 28) == shares(connection, 3)


@pytest.mark.parametrize(
    ("values", "first_age", "counts"),
    [
        ({"age": 29}, 0, True),
        ({"age": 28}, 0, False),
        ({"age": 29}, 1, False),
        # Half past midnight of the 29th day in Berlin, the evening of the 28th in UTC.
        ({"fetched_at": datetime(2026, 2, 7, 23, 30, tzinfo=UTC)}, 0, True),
        (
            {"fetched_at": datetime(2026, 2, 7, 23, 30, tzinfo=UTC), "time_zone": "Etc/UTC"},
            0,
            False,
        ),
    ],
    ids=[
        "settled and followed",
        "not settled",
        "first known a day later",
        "settled where the account is",
        "not settled where the account is",
    ],
)
def test_only_settled_days_that_were_known_from_the_first_day_on_count(
    connection: psycopg.Connection,
    know: Callable[..., None],
    fetched: Callable[..., None],
    values: dict[str, Any],
    first_age: int,
    *,
    counts: bool,
) -> None:
    fetched(**values)
    know("a", first_age, (10, 1, 1, 20))
    know("a", 5, (10, 1, 2, 40))
    row = curve(connection)[2]
    assert row["n_ad_days"] == int(counts)
    assert row["revenue_share"] == (0.5 if counts else None)


def test_an_account_without_such_days_has_every_age_and_no_share(
    connection: psycopg.Connection, fetched: Callable[..., None]
) -> None:
    fetched(account_id="43")
    for row in curve(connection, "43"):
        assert [row[name] for name in ("n_ad_days", *SHARES)] == [0, None, None, None, None]


def test_a_figure_that_never_came_has_no_share(
    connection: psycopg.Connection, know: Callable[..., None], fetched: Callable[..., None]
) -> None:
    fetched()
    know("a", 0, (10, 0, 1, -5))
    know("b", 0, (0, 0, 1, 1))
    assert shares(connection, 0) == (1, None, 1, None)


def test_the_last_ninety_settled_days_count_and_each_account_for_itself(
    connection: psycopg.Connection, know: Callable[..., None], fetched: Callable[..., None]
) -> None:
    newest = DAY + timedelta(days=118)
    fetched(newest, 0, account_id="44")
    for account_id, day in (("42", DAY - timedelta(days=1)), ("42", DAY), ("43", DAY)):
        fetched(day, account_id=account_id)
        know("a", 0, (1, 1, 1, 1), day, account_id=account_id)
        if account_id == "43":
            know("a", 9, (2, 1, 1, 1), day, account_id=account_id)
    assert [curve(connection, each)[0]["n_ad_days"] for each in ("42", "43", "44")] == [1, 1, 0]
    assert curve(connection, "43")[8]["spend_share"] == 0.5
    assert curve(connection, "42")[8]["spend_share"] == 1


def test_purchases_of_another_type_are_nothing_that_came(
    connection: psycopg.Connection, know: Callable[..., None], fetched: Callable[..., None]
) -> None:
    know("a", 0, (10, 100, 4, 40), purchase_action_type="omni_purchase")
    # Only what was bought on the web counts from here on.
    know("a", 2, (10, 100, 3, 30), purchase_action_type="offsite_conversion.fb_pixel_purchase")
    know("a", 3, (10, 100, 4, 50), purchase_action_type="offsite_conversion.fb_pixel_purchase")
    fetched()
    rows = curve(connection)
    shares = [(row["conversions_share"], row["revenue_share"]) for row in rows[1:4]]
    assert shares == [(4 / 5, 40 / 60), (4 / 5, 40 / 60), (1.0, 1.0)]
