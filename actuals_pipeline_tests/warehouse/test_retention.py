"""Old payloads go, month by month, and nothing else does; no figure is lost for want of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.errors import InputError, WarehouseUnavailable
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import months, retention, store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.fetch_memory import StoredFetchMemory
from actuals_pipeline.warehouse.retention import Pruned, prune
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import (
    TABLES,
    ad_actuals,
    ad_actuals_revisions,
    fetch_log,
    meta_account_totals,
    pruned_months,
    raw_meta_insights,
)
from actuals_pipeline_tests.warehouse.conftest import Row

RowsOf = Callable[..., pd.DataFrame]
Insert = Callable[..., None]
Stored = Callable[..., list[Row]]

TODAY = date(2026, 3, 15)
DAYS = [date(2025, 11, 30), date(2025, 12, 1), date(2025, 12, 31), date(2026, 1, 1), TODAY]


@pytest.fixture
def insert(connection: psycopg.Connection, insert: Insert) -> Insert:
    """As everywhere, into a database without the months of other tests."""
    for table in (raw_meta_insights, ad_actuals, ad_actuals_revisions):
        months.drop(connection, table, months.stored(connection, table))
    return insert


@pytest.fixture
def payloads(insert: Insert) -> None:
    """Payloads, totals, figures and their history of five days of four months."""
    for day in DAYS:
        for ad_id in ("1", "2"):
            insert(raw_meta_insights, ad_id=ad_id, report_date=day)
            insert(ad_actuals, ad_id=ad_id, report_date=day)
            insert(
                ad_actuals_revisions, ad_id=ad_id, report_date=day, as_of_date=day, is_listed=True
            )
        insert(meta_account_totals, report_date=day)
        insert(fetch_log, since=day, until=day)


def kept_days(stored: Stored) -> list[date]:
    return sorted({row["report_date"] for row in stored(raw_meta_insights)})


@pytest.mark.parametrize(
    ("keep", "today", "gone"),
    [
        (37, TODAY, 0),
        (4, date(2026, 3, 30), 0),
        (4, date(2026, 3, 31), 1),
        (3, date(2026, 3, 31), 1),
        (2, date(2026, 2, 28), 1),
        (2, date(2026, 3, 1), 3),
        (1, date(2026, 2, 28), 3),
        (1, date(2026, 3, 1), 4),
        (1, date(2026, 4, 30), 4),
        (1, date(2026, 5, 1), 5),
    ],
)
@pytest.mark.usefixtures("payloads")
def test_the_months_wholly_before_the_retention_go(
    warehouse: Warehouse, stored: Stored, *, keep: int, today: date, gone: int
) -> None:
    pruned = prune(warehouse, keep, today)
    assert kept_days(stored) == DAYS[gone:]
    assert pruned.rows == 2 * gone
    assert pruned.months == tuple(months.months_of(DAYS[:gone]))
    again = prune(warehouse, keep, today)
    assert again == Pruned((), 0, 0)


@pytest.mark.parametrize("day", [date(2026, month, 1) for month in range(1, 13)])
def test_what_meta_still_restates_is_kept_whatever_is_asked(
    warehouse: Warehouse, insert: Insert, stored: Stored, day: date
) -> None:
    for age in range(32):
        today = day + timedelta(days=age)
        insert(raw_meta_insights, report_date=today - timedelta(days=28), ad_id=str(age))
        prune(warehouse, 1, today)
        assert str(age) in {row["ad_id"] for row in stored(raw_meta_insights)}


@pytest.mark.usefixtures("payloads")
def test_nothing_but_the_payloads_is_touched_and_it_is_noted_what_went(
    warehouse: Warehouse, stored: Stored
) -> None:
    others = [table for table in TABLES.values() if table not in {raw_meta_insights, pruned_months}]
    before = {table.name: stored(table) for table in others}
    left = [row for row in stored(raw_meta_insights) if row["report_date"] >= date(2026, 1, 1)]
    prune(warehouse, 3, date(2026, 4, 1))
    assert {table.name: stored(table) for table in others} == before
    assert stored(raw_meta_insights) == left != []
    noted = [
        {name: row[name] for name in ("account_id", "month", "rows", "fetched_until")}
        for row in stored(pruned_months)
    ]
    until = {"account_id": "42", "fetched_until": before["meta_account_totals"][0]["fetched_at"]}
    assert noted == [
        {"month": date(2025, 11, 1), "rows": 2, **until},
        {"month": date(2025, 12, 1), "rows": 4, **until},
    ]


@pytest.mark.usefixtures("payloads")
def test_a_dry_run_tells_the_same_and_removes_nothing(
    warehouse: Warehouse, connection: psycopg.Connection, stored: Stored
) -> None:
    def size() -> int:
        query = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(%s)"
        ((total,),) = connection.execute(query, [raw_meta_insights.fullname]).fetchall()
        return int(total)

    told = prune(warehouse, 1, TODAY, dry_run=True)
    assert kept_days(stored) == DAYS
    assert stored(pruned_months) == []
    before = size()
    assert prune(warehouse, 1, TODAY) == told
    assert told.bytes == before - size() > 0
    assert told.rows == 8


@pytest.mark.parametrize("keep", [0, -1, 1201])
def test_a_number_of_months_that_makes_no_sense_is_refused(
    warehouse: Warehouse, stored: Stored, insert: Insert, keep: int
) -> None:
    insert(raw_meta_insights, report_date=date(1990, 1, 1))
    with pytest.raises(InputError, match=rf"^{keep} months of payloads cannot be kept: .*\.$"):
        prune(warehouse, keep, TODAY)
    assert len(stored(raw_meta_insights)) == 1


@pytest.mark.usefixtures("payloads")
def test_whoever_reads_the_payloads_is_waited_for_and_not_for_ever(
    warehouse: Warehouse, connection: psycopg.Connection, stored: Stored
) -> None:
    with connection.transaction():
        connection.execute("SELECT FROM actuals.raw_meta_insights LIMIT 1")
        with pytest.raises(
            WarehouseUnavailable, match=r"using actuals\.raw_meta_insights for 0\.1"
        ):
            prune(warehouse, 1, TODAY, patience_seconds=0.1)
    assert kept_days(stored) == DAYS
    assert prune(warehouse, 1, TODAY, patience_seconds=0.1).rows


def raw_of(rows_of: RowsOf, days: DayWindow, at: datetime, **values: Any) -> CoveredRows:
    rows = rows_of(
        raw_meta_insights, *({"report_date": day, "fetched_at": at, **values} for day in days)
    )
    return CoveredRows(rows, (Slice(days, "42", None, at),))


def totals_of(rows_of: RowsOf, days: DayWindow, at: datetime) -> CoveredRows:
    rows = rows_of(meta_account_totals, *({"report_date": day, "fetched_at": at} for day in days))
    return CoveredRows(rows, (Slice(days, "42", None, at),))


def test_a_writer_of_a_month_that_is_about_to_go_is_waited_for(
    warehouse: Warehouse, rows_of: RowsOf, insert: Insert, stored: Stored
) -> None:
    insert(raw_meta_insights, report_date=date(2025, 11, 1))
    days = DayWindow.inclusive(date(2025, 11, 2), date(2025, 11, 9))
    told: list[Pruned] = []
    with warehouse.transaction() as writer:
        store.replace(writer, raw_meta_insights, raw_of(rows_of, days, datetime.now(UTC)))
        pruning = threading.Thread(
            target=lambda: told.append(prune(warehouse, 1, TODAY)), daemon=True
        )
        pruning.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
        deadline = time.monotonic() + 10
        while writer.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline, "it does not wait"
            time.sleep(0.01)
        store.replace(writer, meta_account_totals, totals_of(rows_of, days, datetime.now(UTC)))
    pruning.join(timeout=20)
    assert [each.rows for each in told] == [1 + len(days)]
    assert stored(raw_meta_insights) == []
    assert [row["rows"] for row in stored(pruned_months)] == [1 + len(days)]


def test_writers_and_pruners_at_once_do_not_block_each_other_for_ever(
    warehouse: Warehouse, rows_of: RowsOf, insert: Insert, stored: Stored
) -> None:
    """Writers of old months and new ones, and two who prune the old ones again and again."""
    insert(raw_meta_insights, report_date=date(2025, 11, 1))
    failures: list[Exception] = []
    removed: list[int] = []
    start = threading.Barrier(6)

    def at_once(work: Callable[[], object]) -> None:
        start.wait()
        try:
            for _ in range(12):
                work()
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    def write(first: date) -> None:
        days, at = DayWindow.inclusive(first, first + timedelta(days=40)), datetime.now(UTC)
        with warehouse.transaction() as writer:
            store.replace(writer, raw_meta_insights, raw_of(rows_of, days, at))
            store.replace(writer, meta_account_totals, totals_of(rows_of, days, at))

    work: list[Callable[[], object]] = [
        *([lambda: removed.append(prune(warehouse, 1, TODAY).rows)] * 2),
        *([lambda: write(date(2025, 11, 20))] * 2),
        *([lambda: write(date(2026, 1, 5))] * 2),
    ]
    threads = [threading.Thread(target=at_once, args=(each,), daemon=True) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert sum(removed) > 0
    removed.append(prune(warehouse, 1, TODAY).rows)
    assert min(kept_days(stored)) == date(2026, 2, 1)


def fetched(*days: date, at: datetime, account_id: str = "42") -> pd.DataFrame:
    """Account-days as they are in `meta_account_totals`, as far as it matters."""
    return pd.DataFrame(
        {
            "account_id": pd.Series([account_id] * len(days), dtype="str"),
            "report_date": pd.Series(days, dtype="object"),
            "fetched_at": pd.Series([at] * len(days), dtype="datetime64[us, UTC]"),
        }
    )


def test_days_of_a_pruned_month_have_payloads_from_the_next_fetch_on(
    warehouse: Warehouse, insert: Insert
) -> None:
    """Each day for itself, and each account: one day that came back says nothing of the others."""
    early, late = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC)
    old, new = date(2025, 12, 30), date(2026, 3, 1)
    for day in (old, new):
        insert(raw_meta_insights, report_date=day)
        insert(meta_account_totals, report_date=day, fetched_at=early)
    known = pd.concat(
        [fetched(old, new, at=early), fetched(old, at=early, account_id="43")], ignore_index=True
    )
    assert len(retention.with_payloads(warehouse, known)) == 3
    prune(warehouse, 1, TODAY)
    assert retention.with_payloads(warehouse, known)["report_date"].tolist() == [new]

    # A single ad was fetched, or another day: the month is there again, the day's payloads not.
    insert(raw_meta_insights, report_date=old + timedelta(days=1))
    left = retention.with_payloads(warehouse, known)
    assert left[["account_id", "report_date"]].values.tolist() == [["42", new], ["43", old]]
    again = retention.with_payloads(warehouse, fetched(old, new, at=late))
    assert again["report_date"].tolist() == [old, new]
    assert retention.with_payloads(warehouse, fetched(at=late)).empty


@pytest.mark.usefixtures("payloads")
def test_the_ads_of_a_pruned_month_are_known_from_their_figures(warehouse: Warehouse) -> None:
    window = DayWindow.inclusive(date(2025, 12, 1), date(2025, 12, 31))
    memory = StoredFetchMemory(warehouse)
    before = memory.known_ads("42", window)
    prune(warehouse, 1, TODAY)
    assert memory.known_ads("42", window) == before == ["1", "2"]


def test_a_view_of_the_figures_is_none_the_poorer(
    warehouse: Warehouse, connection: psycopg.Connection, insert: Insert
) -> None:
    for table in (ad_actuals, raw_meta_insights):
        insert(table, report_date=DAYS[0])
    query = sql.SQL("SELECT date, spend, raw_data IS NULL FROM public.performance_metrics")
    ((day, spend, is_without),) = connection.execute(query).fetchall()
    assert not is_without
    prune(warehouse, 1, TODAY)
    assert connection.execute(query).fetchall() == [(day, spend, True)]
