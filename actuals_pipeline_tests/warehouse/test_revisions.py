"""What was known of an ad's day on any day, and that nobody's newer figures are overwritten."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from sqlalchemy import Table

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import months, store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import (
    ad_actuals,
    ad_actuals_revisions,
    fetch_log,
    meta_account_totals,
    raw_meta_insights,
    spend_reconciliation,
)

RowsOf = Callable[..., pd.DataFrame]
Stored = Callable[[Table], list[dict[str, Any]]]
Insert = Callable[..., None]

REVENUES = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(1, 3)), st.integers(0, 2), max_size=6
)
"""Revenue by ad and day of March: everything that one fetch has to say."""


def march(day: int) -> date:
    return date(2026, 3, day)


def instant(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def days(first: int, last: int | None = None) -> DayWindow:
    return DayWindow.inclusive(march(first), march(last or first))


def actuals(rows_of: RowsOf, known: dict[tuple[str, int], int], at: datetime) -> pd.DataFrame:
    return rows_of(
        ad_actuals,
        *(
            {"ad_id": ad, "report_date": march(day), "revenue": Decimal(n), "fetched_at": at}
            for (ad, day), n in known.items()
        ),
    )


def revenues(connection: psycopg.Connection, query: str, *values: object) -> dict[Any, int]:
    rows = connection.execute(query.encode(), values).fetchall()
    return {(ad, day.day): int(revenue) for ad, day, revenue in rows}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), REVENUES), min_size=1, max_size=6))
def test_the_table_of_any_day_is_what_was_stored_at_its_end(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    rows_of: RowsOf,
    fetches: list[tuple[int, dict[tuple[str, int], int]]],
) -> None:
    connection.execute("TRUNCATE actuals.ad_actuals, actuals.ad_actuals_revisions")
    today, truth = 10, {}
    for later, known in fetches:
        today += later
        covered = (Slice(days(1, 3), "42", None, instant(today), march(today)),)
        content = CoveredRows(actuals(rows_of, known, instant(today)), covered)
        store.replace_in_transaction(warehouse, ad_actuals, content)
        truth[today] = known
    stood: dict[tuple[str, int], int] = {}
    for day in range(9, today + 2):
        stood = truth.get(day, stood)
        as_of = "SELECT ad_id, report_date, revenue FROM actuals.ad_actuals_as_of(%s)"
        assert revenues(connection, as_of, march(day)) == stood
        history = """
            SELECT ad_id, report_date, revenue FROM actuals.ad_actuals_history
            WHERE is_listed AND %s >= known_since AND (known_until IS NULL OR %s < known_until)
        """
        assert revenues(connection, history, march(day), march(day)) == stood
    now = "SELECT ad_id, report_date, revenue FROM actuals.ad_actuals"
    assert revenues(connection, now) == stood


def test_only_changed_figures_are_remembered(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    for day, changes in ((10, {}), (11, {}), (12, {"ad_name": "renamed"}), (13, {"clicks": 1})):
        rows = rows_of(ad_actuals, {"fetched_at": instant(day), **changes})
        covered = (Slice(days(7), "42", None, instant(day), march(day)),)
        store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows, covered))
    remembered = [(row["as_of_date"], row["clicks"]) for row in stored(ad_actuals_revisions)]
    assert remembered == [(march(10), 750), (march(13), 1)]


def test_an_ad_that_is_listed_no_more_leaves_a_revision_without_figures(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    listed: tuple[tuple[int, list[dict[str, Any]]], ...] = ((10, [{}]), (11, []))
    for day, rows in listed:
        covered = (Slice(days(7), "42", None, instant(day), march(day)),)
        content = CoveredRows(rows_of(ad_actuals, *rows), covered)
        store.replace_in_transaction(warehouse, ad_actuals, content)
    first, last = stored(ad_actuals_revisions)
    assert (first["is_listed"], first["spend"]) == (True, Decimal("250.00"))
    assert (last["is_listed"], last["spend"], last["as_of_date"]) == (False, None, march(11))


def test_the_last_word_of_a_day_stands_for_it(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    for hour, clicks in ((8, 1), (9, 2), (10, 3)):
        rows = rows_of(ad_actuals, {"clicks": clicks})
        covered = (Slice(days(7), "42", None, instant(10, hour), march(10)),)
        store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows, covered))
    assert [row["clicks"] for row in stored(ad_actuals_revisions)] == [3]


def test_a_revision_is_stored_with_its_actual_or_not_at_all(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    content = CoveredRows(rows_of(ad_actuals, {}), (Slice(days(7)),))

    def write_and_fail() -> None:
        with warehouse.transaction() as writer:
            store.replace(writer, ad_actuals, content)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert stored(ad_actuals_revisions) == stored(ad_actuals) == []


def test_what_was_believed_on_a_day_is_one_plain_statement(
    warehouse: Warehouse, connection: psycopg.Connection, rows_of: RowsOf
) -> None:
    for day, spend in ((8, "10.10"), (9, "10.12")):
        rows = rows_of(ad_actuals, {"spend": Decimal(spend), "revenue": Decimal("20.20")})
        covered = (Slice(days(7), "42", None, instant(day), march(day)),)
        store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows, covered))
    with connection.cursor(row_factory=dict_row) as cursor:
        then = cursor.execute("SELECT * FROM actuals.ad_actuals_as_of('2026-03-08')").fetchone()
        later = cursor.execute("SELECT * FROM actuals.ad_actuals_as_of('2026-04-05')").fetchone()
    assert then is not None
    assert later is not None
    assert (then["spend"], then["roas"], then["is_settled"]) == (Decimal("10.10"), 2.0, False)
    assert (later["spend"], later["known_since"], later["is_settled"]) == (
        Decimal("10.12"),
        march(9),
        True,
    )


def test_the_figures_of_a_newer_fetch_are_not_overwritten_by_an_older_one(
    warehouse: Warehouse, rows_of: RowsOf, insert: Insert, stored: Stored
) -> None:
    """Day 1 was fetched at eight by somebody who was faster; day 2 was not."""
    insert(meta_account_totals, report_date=march(1), fetched_at=instant(9, 8))
    insert(meta_account_totals, report_date=march(2), fetched_at=instant(9, 6))
    for table in (ad_actuals, spend_reconciliation):
        for day in (1, 2):
            insert(table, ad_id="a", report_date=march(day), currency="USD")
        rows = rows_of(table, *({"ad_id": "a", "report_date": march(day)} for day in (1, 2)))
        covered = (Slice(days(1, 2), "42", None, instant(9, 7), march(9)),)
        counts = store.replace_in_transaction(warehouse, table, CoveredRows(rows, covered))
        assert (counts.updated, counts.superseded) == (1, 1)
        assert [row["currency"] for row in stored(table)] == ["USD", "EUR"]


def test_a_row_of_a_newer_fetch_is_not_taken_for_a_vanished_one(
    warehouse: Warehouse, rows_of: RowsOf, insert: Insert, stored: Stored
) -> None:
    insert(meta_account_totals, report_date=march(1), fetched_at=instant(9, 8))
    insert(ad_actuals, ad_id="a", report_date=march(1))
    covered = (Slice(days(1, 2), "42", None, instant(9, 7), march(9)),)
    store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows_of(ad_actuals), covered))
    assert [row["ad_id"] for row in stored(ad_actuals)] == ["a"]


@pytest.mark.parametrize(
    ("logged", "is_newer"),
    [
        ({}, True),
        ({"started_at": instant(9, 7)}, False),
        ({"outcome": "failed"}, False),
        ({"kind": "account"}, False),
        ({"account_id": "43"}, False),
        ({"since": march(8), "until": march(9)}, False),
    ],
    ids=["newer", "the same instant", "failed", "an account", "another account", "other days"],
)
def test_the_days_of_an_ad_that_was_fetched_alone_later_are_left_to_that_fetch(
    warehouse: Warehouse,
    rows_of: RowsOf,
    insert: Insert,
    stored: Stored,
    *,
    logged: dict[str, Any],
    is_newer: bool,
) -> None:
    usual = {"kind": "ad", "ad_id": "a", "started_at": instant(9, 8), "since": march(6)}
    insert(fetch_log, **{**usual, **logged})
    for ad in ("a", "b"):
        insert(raw_meta_insights, ad_id=ad, run_id="alone")
    payload = {"payload": {"spend": "1"}}
    rows = rows_of(raw_meta_insights, *({"ad_id": ad, **payload} for ad in ("a", "b")))
    covered = (Slice(days(7), "42", None, instant(9, 7), march(9)),)
    counts = store.replace_in_transaction(warehouse, raw_meta_insights, CoveredRows(rows, covered))
    assert counts.superseded == int(is_newer)
    assert [row["run_id"] for row in stored(raw_meta_insights)] == (
        ["alone", "run-1"] if is_newer else ["run-1", "run-1"]
    )


def test_whatever_the_order_of_commits_the_newest_fetch_stands(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    """Fetches of overlapping days, each stored as a run stores it, at once and in any order."""
    chance = random.Random(7)  # noqa: S311 - one order, whichever
    fetches = [(hour, chance.randint(1, 25), chance.randint(0, 9)) for hour in range(24)]
    start = threading.Barrier(4)
    failures: list[Exception] = []

    def store_some(mine: list[tuple[int, int, int]]) -> None:
        start.wait()
        for hour, first, length in mine:
            try:
                store_one(hour, days(first, min(first + length, 31)))
            except Exception as error:  # noqa: BLE001 - told below
                failures.append(error)

    def store_one(hour: int, window: DayWindow) -> None:
        at = datetime(2026, 4, 2, hour, tzinfo=UTC)
        covered = (Slice(window, "42", None, at, date(2026, 4, 2)),)
        given_ = [{"report_date": day, "fetched_at": at, "clicks": hour} for day in window]
        raw = [row | {"payload": {"hour": hour}} for row in given_]
        with warehouse.transaction() as connection:
            for table, rows in ((raw_meta_insights, raw), (meta_account_totals, given_)):
                store.replace(connection, table, CoveredRows(rows_of(table, *rows), covered))
        content = CoveredRows(rows_of(ad_actuals, *given_), covered)
        store.replace_in_transaction(warehouse, ad_actuals, content)

    chance.shuffle(fetches)
    writers = [threading.Thread(target=store_some, args=(fetches[n::4],)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert failures == []
    newest = {
        march(day): max(hour for hour, first, length in fetches if first <= day <= first + length)
        for day in range(1, 32)
        if any(first <= day <= first + length for _, first, length in fetches)
    }
    assert {row["report_date"]: row["clicks"] for row in stored(ad_actuals)} == newest
    assert {row["report_date"]: row["clicks"] for row in stored(meta_account_totals)} == newest
    assert {row["report_date"]: row["payload"]["hour"] for row in stored(raw_meta_insights)} == (
        newest
    )


def test_months_are_made_as_their_first_row_comes_and_only_then(
    warehouse: Warehouse, connection: psycopg.Connection, rows_of: RowsOf
) -> None:
    for table in (ad_actuals, ad_actuals_revisions):
        months.drop(connection, table, months.stored(connection, table))
    window = DayWindow.inclusive(date(2025, 11, 30), date(2026, 3, 1))
    rows = rows_of(
        ad_actuals, {"report_date": date(2025, 12, 31)}, {"report_date": date(2026, 2, 28)}
    )
    store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows, (Slice(window),)))
    want = [date(2025, 12, 1), date(2026, 2, 1)]
    assert months.stored(connection, ad_actuals) == want
    assert months.stored(connection, ad_actuals_revisions) == want
    assert store.read(warehouse, ad_actuals, window)["report_date"].tolist() == [
        date(2025, 12, 31),
        date(2026, 2, 28),
    ]


def test_a_query_over_some_days_reads_their_months_only(
    warehouse: Warehouse, connection: psycopg.Connection, rows_of: RowsOf
) -> None:
    each_month = [date(2026, month, 5) for month in range(1, 7)]
    rows = rows_of(ad_actuals, *({"report_date": day} for day in each_month))
    window = DayWindow.inclusive(date(2026, 1, 1), date(2026, 6, 30))
    store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows, (Slice(window),)))
    plan = connection.execute(
        "EXPLAIN SELECT * FROM actuals.ad_actuals WHERE report_date >= '2026-03-04'"
        " AND report_date < '2026-03-09'"
    ).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "ad_actuals_2026_03" in text
    assert "ad_actuals_2026_02" not in text
    of_one_day = connection.execute(
        "EXPLAIN SELECT * FROM actuals.ad_actuals_as_of('2026-05-01') WHERE report_date = %s",
        [date(2026, 3, 5)],
    ).fetchall()
    text = "\n".join(line for (line,) in of_one_day)
    assert "revisions_2026_03" in text
    assert "revisions_2026_04" not in text


def test_writers_that_need_new_months_of_several_tables_do_not_wait_for_each_other_for_ever(
    warehouse: Warehouse, connection: psycopg.Connection, rows_of: RowsOf, stored: Stored
) -> None:
    for table in (raw_meta_insights, ad_actuals, ad_actuals_revisions):
        months.drop(connection, table, months.stored(connection, table))
    start = threading.Barrier(6)
    failures: list[Exception] = []

    def write(number: int) -> None:
        start.wait()
        shift = timedelta(days=20 * (number % 3))
        window = DayWindow.inclusive(date(2024, 1, 15) + shift, date(2024, 4, 15) + shift)
        given_ = [{"report_date": day, "ad_id": str(number)} for day in window]
        covered = (Slice(window, "42", str(number)),)
        try:
            with warehouse.transaction() as writer:
                for table in (raw_meta_insights, ad_actuals):
                    store.replace(writer, table, CoveredRows(rows_of(table, *given_), covered))
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert failures == []
    assert len(stored(ad_actuals)) == len(stored(raw_meta_insights)) == 6 * 92
