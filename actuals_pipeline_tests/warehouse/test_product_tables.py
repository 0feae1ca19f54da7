from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

import pandas as pd
import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.accuracy.contract import KNOWN_CHANGES, KNOWN_DAYS
from actuals_pipeline.frames import check_frame
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.videos import VIDEOS
from actuals_pipeline.warehouse import as_known, history, product
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.tables import meta_account_totals

Insert = Callable[..., None]

MARCH_7 = DayWindow.inclusive(date(2026, 3, 7), date(2026, 3, 7))


@pytest.fixture
def shop(empty_database: str) -> Callable[..., Warehouse]:
    """A database with the product's own tables, in a time zone of its own."""

    def build(*statements: str) -> Warehouse:
        with psycopg.connect(empty_database, autocommit=True) as connection:
            name = sql.Identifier(connection.info.dbname)
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET timezone = 'Asia/Tokyo'").format(name)
            )
            for statement in statements:
                connection.execute(statement.encode())
        return Warehouse(empty_database)

    return build


Shop = Callable[..., Warehouse]


def records(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_videos_of_our_own_making_that_run_as_an_ad_oldest_first(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    for number, ad, made in (
        (1, " 120210000000000001 ", "2026-03-02"),
        (2, "120210000000000002", "2026-03-01"),
        (3, "", "2026-03-01"),
        (4, "  ", "2026-03-01"),
        (5, None, "2026-03-01"),
        (6, "120210000000000002", "2026-03-01"),
    ):
        connection.execute(
            "INSERT INTO public.videos (id, meta_platform_id, created_at) VALUES (%s, %s, %s)",
            [UUID(int=number), ad, made],
        )
    got = product.videos(warehouse)
    check_frame(got, VIDEOS)
    assert records(got) == [
        (str(UUID(int=2)), "120210000000000002", utc(2026, 3, 1)),
        (str(UUID(int=6)), "120210000000000002", utc(2026, 3, 1)),
        (str(UUID(int=1)), "120210000000000001", utc(2026, 3, 2)),
    ]


@pytest.mark.parametrize(
    ("created_at", "value", "want"),
    [
        ("timestamp", "2026-03-01 12:00:00.000001", utc(2026, 3, 1, 12, 0, 0, 1)),
        ("timestamptz", "2026-03-01 12:00:00+02", utc(2026, 3, 1, 10)),
        ("date", "2026-03-01", utc(2026, 3, 1)),
        ("timestamp", None, None),
    ],
    ids=["without time zone", "with time zone", "a day", "unknown"],
)
def test_videos_of_another_shape_are_read_as_text_and_utc(
    shop: Shop, created_at: str, value: str | None, want: datetime | None
) -> None:
    quoted = "NULL" if value is None else f"'{value}'"
    warehouse = shop(
        f"CREATE TABLE public.videos (id int, meta_platform_id bigint, created_at {created_at})",
        f"INSERT INTO public.videos VALUES (7, 120210000000000001, {quoted})",  # noqa: S608
        "INSERT INTO public.videos VALUES (8, NULL, NULL)",
    )
    got = product.videos(warehouse)
    check_frame(got, VIDEOS)
    assert records(got) == [("7", "120210000000000001", want)]


def test_tables_without_rows_keep_their_contracts(warehouse: Warehouse) -> None:
    check_frame(product.videos(warehouse), VIDEOS)
    check_frame(as_known.known_changes(warehouse, [], MARCH_7, {}), KNOWN_CHANGES)
    check_frame(as_known.known_days(warehouse), KNOWN_DAYS)
    assert history.account_time_zones(warehouse) == {}


def test_an_account_lives_in_the_time_zone_that_it_had_last(
    warehouse: Warehouse, insert: Insert
) -> None:
    for account, day, zone in (
        ("42", 2, "Europe/Berlin"),
        ("42", 3, "Asia/Tokyo"),
        ("42", 1, "UTC"),
        ("43", 1, "America/New_York"),
    ):
        insert(
            meta_account_totals, account_id=account, report_date=date(2026, 3, day), time_zone=zone
        )
    zones = history.account_time_zones(warehouse)
    assert zones == {"42": "Asia/Tokyo", "43": "America/New_York"}
