"""What fetches leave for later ones in Postgres, and for whom and how long each of it counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from actuals_pipeline.meta.memory import OpenReport, RequestSize
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.fetch_memory import StoredFetchMemory
from actuals_pipeline.warehouse.tables import (
    fetch_log,
    fruitless_ads,
    open_reports,
    raw_meta_insights,
)
from actuals_pipeline_tests.warehouse.conftest import Row

Insert = Callable[..., None]
Stored = Callable[..., list[Row]]
Log = Callable[..., None]

WEEK = DayWindow.inclusive(date(2026, 3, 1), date(2026, 3, 7))
A_DAY = timedelta(hours=24)
MOMENT = timedelta(minutes=1)


@pytest.fixture
def memory(warehouse: Warehouse) -> StoredFetchMemory:
    return StoredFetchMemory(warehouse)


@pytest.fixture
def log(insert: Insert) -> Log:
    """Note a complete fetch of account 42 over `WEEK` that ended just now and had to be split."""

    def add(*, ago: timedelta = MOMENT, window: DayWindow = WEEK, **values: Any) -> None:
        usual = {
            "since": window.since,
            "until": window.until,
            "started_at": datetime.now(UTC) - ago,
            "splits": {"report": 1},
            "page_size": 100,
            "days_per_request": 4,
            "as_report": True,
        }
        insert(fetch_log, **usual | values)

    return add


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_nothing_is_known_before_the_first_fetch(memory: StoredFetchMemory) -> None:
    assert memory.request_size("42", WEEK) is None
    assert memory.rests() == {}
    assert memory.known_ads("42", WEEK) == []
    assert memory.open_report("42", "a request") is None
    assert memory.fruitless_ads("42", WEEK) == set()


def test_the_size_that_worked_is_the_next_fetchs(memory: StoredFetchMemory, log: Log) -> None:
    log()
    assert memory.request_size("42", WEEK) == RequestSize(100, days=4, as_report=True)
    # The order of writing counts: a report gone on with has begun long before.
    older = timedelta(hours=1)
    log(page_size=25, days_per_request=None, as_report=False, splits={"days": 2}, ago=older)
    assert memory.request_size("42", WEEK) == RequestSize(25, days=None, as_report=False)
    # Who waited too long for what it asked for last is gone on with, not begun anew.
    log(page_size=500, days_per_request=2, as_report=True, outcome="rate_limited")
    assert memory.request_size("42", WEEK) == RequestSize(500, days=2, as_report=True)


@pytest.mark.parametrize(
    "values",
    [
        {"account_id": "43"},
        {"kind": "ad", "ad_id": "6001"},
        {"outcome": "failed"},
        {"outcome": "refused"},
        {"splits": {}},
        {"ago": A_DAY + MOMENT},
    ],
    ids=[
        "of another account",
        "of a single ad",
        "that failed",
        "that was refused",
        "that needed no splitting",
        "of more than a day ago",
    ],
)
def test_no_size_is_learned_from_a_fetch(
    values: dict[str, Any], memory: StoredFetchMemory, log: Log
) -> None:
    log(**values)
    assert memory.request_size("42", WEEK) is None
    log(page_size=50, ago=A_DAY - MOMENT)
    assert memory.request_size("42", WEEK) == RequestSize(50, days=4, as_report=True)
    log(**values)
    assert memory.request_size("42", WEEK) == RequestSize(50, days=4, as_report=True)


@pytest.mark.parametrize(
    ("days", "is_known"), [(1, True), (6, True), (7, True), (8, False), (30, False)]
)
def test_a_size_holds_for_windows_as_long_as_its_own_or_longer(
    *, days: int, is_known: bool, memory: StoredFetchMemory, log: Log
) -> None:
    # Other days, and as many or as few of them.
    log(window=DayWindow.trailing(date(2025, 12, 31), days))
    size = RequestSize(100, days=4, as_report=True)
    assert memory.request_size("42", WEEK) == (size if is_known else None)
    assert memory.request_size("42", DayWindow.trailing(WEEK.until, days)) == size


def test_rests_are_told_in_seconds_from_now_by_account_and_for_the_app(
    memory: StoredFetchMemory, log: Log
) -> None:
    log(account_rests_until=in_seconds(600), app_rests_until=in_seconds(60))
    log(account_id="43", account_rests_until=in_seconds(-5), app_rests_until=in_seconds(90))
    log(account_id="44", kind="ad", ad_id="6001", account_rests_until=in_seconds(30))
    rests = memory.rests()
    assert rests == {
        "42": pytest.approx(600, abs=5),
        "44": pytest.approx(30, abs=5),
        None: pytest.approx(90, abs=5),
    }
    assert rests["42"] < 600, "time has passed"


def test_of_an_accounts_fetches_the_latest_says_whether_it_rests(
    memory: StoredFetchMemory, log: Log
) -> None:
    log(account_rests_until=in_seconds(600), app_rests_until=in_seconds(600))
    log(account_id="43", account_rests_until=in_seconds(60))
    log()
    assert set(memory.rests()) == {"43"}
    log(account_rests_until=in_seconds(20), ago=timedelta(hours=1))
    assert set(memory.rests()) == {"42", "43"}


@pytest.mark.parametrize(
    ("values", "is_known"),
    [
        ({"ago": A_DAY - MOMENT}, True),
        ({"ago": A_DAY + MOMENT}, False),
        ({"account_id": None}, False),
        ({"outcome": "rate_limited"}, True),
    ],
    ids=["of today", "of more than a day ago", "of no known account", "that was throttled"],
)
def test_rests_are_those_of_accounts_fetched_within_a_day(
    *, values: dict[str, Any], is_known: bool, memory: StoredFetchMemory, log: Log
) -> None:
    until = in_seconds(600)
    log(account_rests_until=until, app_rests_until=until, **values)
    assert set(memory.rests()) == ({"42", None} if is_known else set())


def test_known_ads_are_those_with_figures_in_the_window_or_shortly_before_the_latest_first(
    memory: StoredFetchMemory, insert: Insert
) -> None:
    oldest = WEEK.since - timedelta(days=SETTLED_AFTER_DAYS)
    days_of = {
        "6005": [WEEK.until, oldest],
        "6001": [WEEK.until],
        "6003": [WEEK.since],
        "6002": [WEEK.since - timedelta(days=1)],
        "6009": [oldest],
        "6010": [oldest - timedelta(days=1)],
        "6011": [WEEK.until + timedelta(days=1)],
    }
    for ad_id, days in days_of.items():
        for day in days:
            insert(raw_meta_insights, ad_id=ad_id, report_date=day)
    insert(raw_meta_insights, account_id="43", ad_id="7001", report_date=WEEK.until)
    assert memory.known_ads("42", WEEK) == ["6001", "6005", "6003", "6002", "6009"]
    assert memory.known_ads("43", WEEK) == ["7001"]
    assert memory.known_ads("44", WEEK) == []


@pytest.fixture
def asked_ago(connection: psycopg.Connection) -> Callable[[str, timedelta], None]:
    """Let an ad have been asked for so long ago."""

    def changed(ad_id: str, ago: timedelta) -> None:
        connection.execute(
            "UPDATE actuals.fruitless_ads SET asked_at = now() - %s WHERE ad_id = %s", [ago, ad_id]
        )
        connection.commit()

    return changed


def test_an_ad_that_had_nothing_rests_for_a_day_and_is_then_forgotten(
    memory: StoredFetchMemory,
    stored: Stored,
    asked_ago: Callable[[str, timedelta], None],
) -> None:
    memory.remember_fruitless("42", WEEK, ["6001", "6002", "6003"])
    memory.remember_fruitless("43", WEEK, ["6001"])
    asked_ago("6002", A_DAY - MOMENT)
    asked_ago("6003", A_DAY + MOMENT)
    assert memory.fruitless_ads("42", WEEK) == {"6001", "6002"}
    assert memory.fruitless_ads("44", WEEK) == set()
    memory.remember_fruitless("42", WEEK, ["6004"])
    assert {(row["account_id"], row["ad_id"]) for row in stored(fruitless_ads)} == {
        ("42", "6001"), ("42", "6002"), ("42", "6004"), ("43", "6001"),
    }  # fmt: skip


def test_an_ad_rests_in_days_as_early_as_those_in_which_it_had_nothing(
    memory: StoredFetchMemory, asked_ago: Callable[[str, timedelta], None]
) -> None:
    month = DayWindow.trailing(WEEK.until, 28)
    tomorrow = DayWindow.trailing(WEEK.until + timedelta(days=1), 7)
    memory.remember_fruitless("42", WEEK, ["6001"])
    assert memory.fruitless_ads("42", tomorrow) == {"6001"}
    assert memory.fruitless_ads("42", month) == set(), "it may have had something before"
    asked_ago("6001", A_DAY - MOMENT)
    memory.remember_fruitless("42", month, ["6001"])
    assert memory.fruitless_ads("42", month) == memory.fruitless_ads("42", WEEK) == {"6001"}
    asked_ago("6001", A_DAY - MOMENT)
    memory.remember_fruitless("42", WEEK, ["6001"])
    assert memory.fruitless_ads("42", WEEK) == {"6001"}, "a day from now on"


def test_an_open_report_is_found_by_any_worker_that_asks_the_same(
    memory: StoredFetchMemory, database: str
) -> None:
    submitted_at = datetime(2026, 3, 8, 15, 4, 5, 678901, tzinfo=UTC)
    # A filter may name thousands of ads.
    request = "a request" * 100_000
    memory.remember_report("42", request, OpenReport("1277", submitted_at))
    memory.remember_report("43", request, OpenReport("1278", submitted_at))
    memory.remember_report("42", request + "!", OpenReport("1279", submitted_at))

    another = StoredFetchMemory(Warehouse(database))
    assert another.open_report("42", request) == OpenReport("1277", submitted_at)
    assert another.open_report("43", request) == OpenReport("1278", submitted_at)
    assert another.open_report("42", request + "!") == OpenReport("1279", submitted_at)
    assert another.open_report("44", request) is None
    assert another.open_report("42", "another request") is None


def test_a_report_submitted_anew_takes_the_place_of_the_old_one(
    memory: StoredFetchMemory, stored: Stored
) -> None:
    second = datetime.now(UTC)
    first = second - timedelta(hours=1)
    memory.remember_report("42", "a request", OpenReport("1277", first))
    memory.remember_report("42", "a request", OpenReport("1278", second))
    assert memory.open_report("42", "a request") == OpenReport("1278", second)
    assert len(stored(open_reports)) == 1
    memory.forget_report("1277")
    assert memory.open_report("42", "a request") == OpenReport("1278", second)


def test_forgetting_a_report_leaves_the_others_but_those_that_meta_has_dropped(
    memory: StoredFetchMemory,
) -> None:
    now = datetime.now(UTC)
    ages = {"new": MOMENT, "kept": timedelta(days=30) - MOMENT, "old": timedelta(days=30) + MOMENT}
    for run_id, age in ages.items():
        memory.remember_report("42", run_id, OpenReport(run_id, now - age))
    memory.remember_report("43", "read", OpenReport("read", now))

    def left() -> set[str]:
        return {
            run_id
            for account_id, run_id in [*(("42", each) for each in ages), ("43", "read")]
            if memory.open_report(account_id, run_id) is not None
        }

    assert left() == {"new", "kept", "old", "read"}
    memory.forget_report("read")
    assert left() == {"new", "kept"}
    memory.forget_report("never heard of")
    assert left() == {"new", "kept"}


def test_what_is_remembered_is_committed_at_once(
    memory: StoredFetchMemory, connection: psycopg.Connection
) -> None:
    memory.remember_report("42", "a request", OpenReport("1277", datetime.now(UTC)))
    (count,) = connection.execute("SELECT count(*) FROM actuals.open_reports").fetchone() or (0,)
    assert count == 1
