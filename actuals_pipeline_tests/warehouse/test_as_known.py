"""What the database adds up of past knowledge is what `accuracy/as_known.py` defines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.as_known import Knowledge, changes_of
from actuals_pipeline.accuracy.contract import ASKED_WINDOWS, REVISIONS
from actuals_pipeline.accuracy.launch_to_date import launch_to_date
from actuals_pipeline.frames import conform
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import as_known, store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import ad_actuals, meta_account_totals

RowsOf = Callable[..., pd.DataFrame]

FIRST = date(2025, 11, 1)
LENGTH = 70
ADS = list("abcd")
FETCHES = st.lists(
    st.tuples(
        st.integers(1, 12),  # days since the fetch before
        st.integers(2, 40),  # days that are fetched
        st.dictionaries(
            st.tuples(st.sampled_from("abc"), st.integers(0, LENGTH)),
            st.none() | st.integers(0, 300),
            max_size=14,
        ),
    ),
    min_size=1,
    max_size=7,
)
"""What each fetch brings: cents by ad and day; a day of none is listed no more, of 0 not shown."""


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


class Past:
    """A warehouse that was filled on one day after the other."""

    def __init__(self, warehouse: Warehouse, rows_of: RowsOf) -> None:
        self.warehouse, self.rows_of = warehouse, rows_of

    def fetch(
        self, known_on: date, n_days: int, cents: Mapping[tuple[str, date], int | None]
    ) -> None:
        window = DayWindow.trailing(known_on, n_days)
        rows = [
            {
                "ad_id": ad,
                "report_date": on,
                "impressions": 10 * amount + 1 if amount else 0,
                "clicks": amount,
                "spend": Decimal(amount) / 100,
                "conversions": amount // 7,
                "revenue": Decimal(3 * amount) / 100,
            }
            for (ad, on), amount in cents.items()
            if on in window and amount is not None
        ]
        fetched_at = datetime(known_on.year, known_on.month, known_on.day, 12, tzinfo=UTC)
        totals = [{"report_date": each, "fetched_at": fetched_at} for each in window]
        for table, given_rows in ((ad_actuals, rows), (meta_account_totals, totals)):
            content = CoveredRows(
                self.rows_of(table, *given_rows), (Slice(window, known_on=known_on),)
            )
            store.replace_in_transaction(self.warehouse, table, content)


def revisions(connection: psycopg.Connection) -> pd.DataFrame:
    """All that was ever known; of an ad that Meta listed no more, zeros."""
    rows = connection.execute(
        """
        SELECT account_id, ad_id, report_date, as_of_date, coalesce(currency, 'EUR'),
               coalesce(impressions, 0), coalesce(clicks, 0), coalesce(spend, 0),
               coalesce(conversions, 0), coalesce(revenue, 0)
        FROM actuals.ad_actuals_revisions
        """
    ).fetchall()
    return conform(pd.DataFrame(rows, columns=REVISIONS.names, dtype=object), REVISIONS)


def ads() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ad_id": pd.Series(ADS, dtype="str"),
            "video_id": pd.Series(list("wxyz"), dtype="str"),
            "created_at": pd.Series(
                [datetime(2025, 10, 1, tzinfo=UTC)] * 4, dtype="datetime64[us, UTC]"
            ),
        }
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FETCHES, st.integers(0, LENGTH + 20), st.integers(1, 12))
def test_totals_as_of_a_day_are_what_the_revisions_up_to_it_say(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    rows_of: RowsOf,
    fetches: list[tuple[int, int, dict[tuple[str, int], int | None]]],
    first_as_of: int,
    n_days: int,
) -> None:
    connection.execute(
        "TRUNCATE actuals.ad_actuals, actuals.ad_actuals_revisions, actuals.meta_account_totals,"
        " actuals.known_days"
    )
    past, known_on, cents = Past(warehouse, rows_of), day(20), dict[tuple[str, date], int | None]()
    for later, n_fetched, brought in fetches:
        known_on += timedelta(days=later)
        cents |= {(ad, day(number)): amount for (ad, number), amount in brought.items()}
        past.fetch(known_on, n_fetched, cents)
    as_of_days = DayWindow(day(first_as_of), day(first_as_of + n_days))
    known_days = as_known.known_days(warehouse)
    seen = Knowledge.of(known_days, {}, "UTC").seen_since
    got, want = (
        launch_to_date(
            ads(), changes, {}, list(as_of_days), default_zone="UTC", seen_since=seen
        ).map(plain)
        for changes in (
            as_known.known_changes(warehouse, ADS, as_of_days, seen),
            changes_of(revisions(connection), seen),
        )
    )
    assert_frame_equal(got, want)


def plain(cell: Any) -> Any:
    """Amounts without the zeros at their end, which adding up in another order may leave."""
    return cell.normalize() if isinstance(cell, Decimal) else cell


def test_a_restatement_changes_what_is_known_from_its_day_on_and_no_day_before(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    past = Past(warehouse, rows_of)
    past.fetch(day(1), 3, {("a", day(1)): 100})
    past.fetch(day(4), 5, {("a", day(1)): 130, ("a", day(3)): 20})
    got = as_of(warehouse, 1, 5)
    assert got["spend"].map(float).tolist() == [1, 1, 1, 1.5, 1.5]
    assert not got["is_reconstructed"].any()


def test_days_before_an_account_was_seen_show_the_earliest_known_figures_and_say_so(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    past = Past(warehouse, rows_of)
    past.fetch(day(4), 5, {("a", day(1)): 130, ("a", day(3)): 20})
    past.fetch(day(6), 7, {("a", day(1)): 150, ("a", day(3)): 20})
    got = as_of(warehouse, 1, 6)
    assert got["spend"].map(float).tolist() == [1.3, 1.3, 1.5, 1.5, 1.5, 1.7]
    assert got["is_reconstructed"].tolist() == [True, True, True, False, False, False]


def test_an_ad_that_is_listed_no_more_is_known_up_to_then(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    past = Past(warehouse, rows_of)
    past.fetch(day(1), 3, {("a", day(1)): 100})
    past.fetch(day(3), 3, {})
    assert as_of(warehouse, 1, 4)["spend"].map(float).tolist() == [1, 1, 0, 0]


def test_a_day_once_shown_counts_as_shown_whichever_days_are_asked_for(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    past = Past(warehouse, rows_of)
    past.fetch(day(2), 3, {("a", day(1)): 100, ("a", day(2)): 50})
    past.fetch(day(3), 3, {("a", day(1)): 0, ("a", day(2)): 50})
    past.fetch(day(5), 6, {("a", day(2)): 50})
    among, alone = as_of(warehouse, 2, 6).tail(1), as_of(warehouse, 6, 6)
    assert among["first_delivery_on"].tolist() == alone["first_delivery_on"].tolist() == [day(1)]
    assert alone["spend"].map(float).tolist() == [0.5]


def as_of(warehouse: Warehouse, since: int, until: int) -> pd.DataFrame:
    days = DayWindow.inclusive(day(since), day(until))
    seen = Knowledge.of(as_known.known_days(warehouse), {}, "UTC").seen_since
    changes = as_known.known_changes(warehouse, ["a"], days, seen)
    known = launch_to_date(ads(), changes, {}, list(days), default_zone="UTC", seen_since=seen)
    return known[known["ad_id"] == "a"].reset_index(drop=True)


def test_a_report_day_is_known_since_it_was_first_fetched_whatever_follows(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    past = Past(warehouse, rows_of)
    past.fetch(day(2), 2, {("a", day(1)): 100})
    past.fetch(day(5), 5, {("a", day(1)): 120})
    known = as_known.known_days(warehouse)
    since = dict(zip(known["report_date"], known["known_since"], strict=True))
    assert since == {day(1): day(2), day(2): day(2)} | {day(n): day(5) for n in (3, 4, 5)}


def test_a_window_holds_what_was_known_by_its_day_or_the_earliest_where_nothing_was(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    past = Past(warehouse, rows_of)
    past.fetch(day(2), 3, {("a", day(1)): 100, ("a", day(2)): 10})
    past.fetch(day(5), 6, {("a", day(1)): 120, ("a", day(2)): 15})
    asked = conform(
        pd.DataFrame(
            [
                {
                    "as_of_date": day(9),
                    "protocol": f"from {known_by}",
                    "account_id": "42",
                    "ad_id": "a",
                    "since": day(1),
                    "until": day(2),
                    "known_by": day(known_by),
                    "learnt_by": learnt_by,
                    "reading": known_by,
                    "is_reconstructed": known_by < 2,
                    "matures_on": day(known_by),
                }
                for known_by, learnt_by in ((1, date.max), (4, day(4)), (5, day(5)))
            ]
        ),
        ASKED_WINDOWS,
    )
    got = as_known.window_days(warehouse, asked).sort_values(["reading", "report_date"])
    assert got["spend"].map(float).tolist() == [1, 0.1, 1, 0.1, 1.2, 0.15]
    assert got["known_on"].tolist() == [day(2)] * 4 + [day(5)] * 2


def test_what_an_account_did_before_a_launch_is_told_as_it_was_known(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    past = Past(warehouse, rows_of)
    past.fetch(day(2), 3, {("a", day(1)): 100, ("b", day(1)): 50})
    past.fetch(day(5), 6, {("a", day(1)): 120, ("b", day(1)): 50})
    days = DayWindow.inclusive(day(3), day(6))
    got = as_known.known_account_days(warehouse, day(0), days, {"42": day(2)})
    assert got[["report_date", "known_on", "clicks"]].to_numpy().tolist() == [
        [day(1), day(3), 150],
        [day(1), day(5), 20],
    ]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FETCHES, st.integers(15, LENGTH + 20))
def test_days_of_ads_that_run_are_those_that_were_known(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    rows_of: RowsOf,
    fetches: list[tuple[int, int, dict[tuple[str, int], int]]],
    as_of_day: int,
) -> None:
    connection.execute(
        "TRUNCATE actuals.ad_actuals, actuals.ad_actuals_revisions, actuals.meta_account_totals,"
        " actuals.known_days"
    )
    past, known_on, cents = Past(warehouse, rows_of), day(20), dict[tuple[str, date], int]()
    for later, n_fetched, brought in fetches:
        known_on += timedelta(days=later)
        cents |= {(ad, day(number)): amount for (ad, number), amount in brought.items()}
        past.fetch(known_on, n_fetched, cents)
    on = day(as_of_day)
    # All ads are of one ad set, which runs if any of them does.
    want = connection.execute(
        """
        SELECT ad_id, report_date, impressions, clicks, spend::float8, conversions, revenue::float8
        FROM actuals.ad_actuals_as_of(%(on)s)
        WHERE report_date >= %(on)s - 30 AND report_date < %(on)s
        ORDER BY ad_id, report_date
        """,
        {"on": on},
    ).fetchall()
    runs = any(report_date >= on - timedelta(days=7) for _, report_date, *_ in want)
    known = as_known.running_ad_days(warehouse, on, days=30, active_days=7)
    names = ["ad_id", "report_date", "impressions", "clicks", "spend", "conversions", "revenue"]
    got = list(known[names].itertuples(index=False, name=None))
    assert got == (want if runs else [])
    assert set(known["adset_id"]) <= {"8001"}


def test_of_a_time_before_an_account_was_seen_only_what_was_learnt_by_the_as_of_day_counts(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    past = Past(warehouse, rows_of)
    past.fetch(day(4), 4, {("a", day(1)): 100})
    past.fetch(day(6), 6, {("a", day(1)): 120, ("a", day(2)): 15})
    window = {
        "protocol": "launch_d7", "account_id": "42", "ad_id": "a", "since": day(1),
        "until": day(2), "known_by": day(2), "is_reconstructed": True, "matures_on": day(2),
    }  # fmt: skip
    asked = conform(
        pd.DataFrame(
            [
                window | {"as_of_date": each, "learnt_by": each, "reading": number}
                for number, each in enumerate((day(5), day(6)))
            ]
        ),
        ASKED_WINDOWS,
    )
    got = as_known.window_days(warehouse, asked).sort_values(["reading", "report_date"])
    assert got["spend"].map(float).tolist() == [1, 1, 0.15]


def test_where_an_ad_belongs_is_known_when_it_is_listed_no_more(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    row = {"ad_id": "a", "report_date": day(1), "campaign_id": "c1", "adset_id": "s1"}
    window = DayWindow.inclusive(day(1), day(1))
    for rows in ([row], []):
        content = CoveredRows(rows_of(ad_actuals, *rows), (Slice(window, known_on=day(1)),))
        store.replace_in_transaction(warehouse, ad_actuals, content)
    places = as_known.places_of_ads(warehouse, ["a", "b"])
    assert places.to_numpy().tolist() == [["a", "c1", "s1"]]
