"""Which ad ran which video is logged by the database, and read back as it was known on any day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actuals_pipeline.accuracy.contract import VIDEO_LOG
from actuals_pipeline.accuracy.linked import videos_known_by
from actuals_pipeline.frames import check_frame
from actuals_pipeline.videos import one_video_per_ad
from actuals_pipeline.warehouse import video_log
from actuals_pipeline.warehouse.connection import Warehouse

MADE = datetime(2026, 3, 1, tzinfo=UTC)


def logged(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT right(video_id, 1), ad_id, created_at, is_removed, is_attested"
        " FROM actuals.video_log ORDER BY sequence"
    ).fetchall()


def add(connection: psycopg.Connection, number: int, ad_id: str | None) -> None:
    connection.execute(
        "INSERT INTO public.videos (id, meta_platform_id, created_at) VALUES (%s, %s, %s)",
        [UUID(int=number), ad_id, MADE.replace(tzinfo=None)],
    )


def test_all_that_scoring_reads_of_a_video_is_logged_when_it_is_said(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    before = datetime.now(UTC)
    add(connection, 1, " 6001 ")
    connection.execute("UPDATE public.videos SET title = 'another'")
    connection.execute("UPDATE public.videos SET meta_platform_id = '6002'")
    connection.execute("UPDATE public.videos SET created_at = created_at + interval '1 hour'")
    connection.execute("UPDATE public.videos SET id = %s", [UUID(int=2)])
    connection.execute("DELETE FROM public.videos")
    add(connection, 3, " ")
    connection.execute("TRUNCATE public.videos")
    later = MADE + timedelta(hours=1)
    assert logged(connection) == [
        ("1", "6001", MADE, False, True),
        ("1", "6002", MADE, False, True),
        ("1", "6002", later, False, True),
        ("1", None, None, True, True),
        ("2", "6002", later, False, True),
        ("2", None, None, True, True),
        ("3", None, MADE, False, True),
        ("3", None, None, True, True),
    ]
    found = video_log.entries(warehouse)
    check_frame(found, VIDEO_LOG)
    assert found["logged_at"].is_monotonic_increasing
    assert before <= found["logged_at"].min() <= datetime.now(UTC)
    assert video_log.catch_up(warehouse) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE actuals.video_log SET ad_id = 'x'",
        "DELETE FROM actuals.video_log",
        "TRUNCATE actuals.video_log",
    ],
)
def test_the_log_refuses_to_be_changed(connection: psycopg.Connection, statement: str) -> None:
    add(connection, 1, "6001")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="is append-only"):
        connection.execute(statement.encode())


def test_whoever_writes_into_the_log_itself_is_numbered_and_dated_all_the_same(
    connection: psycopg.Connection,
) -> None:
    connection.execute(
        "INSERT INTO actuals.video_log (sequence, video_id, is_removed, logged_at, is_attested)"
        " VALUES (900, 'x', false, '2020-01-01', true)"
    )
    ((sequence, is_now),) = connection.execute(
        "SELECT sequence, logged_at > now() - interval '1 hour' FROM actuals.video_log"
    ).fetchall()
    assert (sequence, is_now) == (1, True)


def test_what_no_trigger_saw_is_logged_once_and_unattested(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    for number in (1, 2):
        add(connection, number, f"600{number}")
    connection.execute("SET session_replication_role = replica")
    add(connection, 3, "6003")
    connection.execute(
        "UPDATE public.videos SET meta_platform_id = NULL WHERE id = %s", [UUID(int=1)]
    )
    connection.execute("DELETE FROM public.videos WHERE id = %s", [UUID(int=2)])
    assert video_log.catch_up(warehouse) == 3
    assert video_log.catch_up(warehouse) == 0
    assert sorted(logged(connection)[2:], key=lambda row: str(row[0])) == [
        ("1", None, MADE, False, False),
        ("2", None, None, True, False),
        ("3", "6003", MADE, False, False),
    ]


def test_a_video_is_logged_when_its_transaction_ends(connection: psycopg.Connection) -> None:
    with connection.transaction():
        add(connection, 1, "6001")
        connection.execute("UPDATE public.videos SET meta_platform_id = '6002'")
        assert logged(connection) == []
    assert [row[1] for row in logged(connection)] == ["6001", "6002"]


def test_what_was_removed_and_is_there_again_or_has_another_date_is_found(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    for number in (1, 2):
        add(connection, number, f"600{number}")
    connection.execute("DELETE FROM public.videos WHERE id = %s", [UUID(int=1)])
    connection.execute("SET session_replication_role = replica")
    add(connection, 1, "6001")
    connection.execute(
        "UPDATE public.videos SET created_at = %s WHERE id = %s",
        [(MADE - timedelta(days=1)).replace(tzinfo=None), UUID(int=2)],
    )
    # Removed, as is known already.
    assert video_log.catch_up(warehouse) == 2
    assert video_log.catch_up(warehouse) == 0
    # The older one first.
    assert logged(connection)[3:] == [
        ("2", "6002", MADE - timedelta(days=1), False, False),
        ("1", "6001", MADE, False, False),
    ]


def test_an_id_that_comes_twice_says_what_the_older_row_says_and_one_that_comes_back_is_there(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    connection.execute("ALTER TABLE public.videos RENAME TO ours")
    try:
        connection.execute(
            "CREATE TABLE public.videos (id int, meta_platform_id text, created_at timestamptz)"
        )
        connection.execute(
            "INSERT INTO public.videos VALUES (7, 'newer', '2026-03-02'),"
            " (7, 'b', '2026-03-01 00:00+00'), (7, 'a', '2026-03-01 00:00+00')"
        )
        assert [video_log.catch_up(warehouse) for _ in range(2)] == [1, 0]
        assert logged(connection) == [("7", "a", MADE, False, False)]
        # Of one that never had ad nor date, being there is all that is known.
        for statement in (
            "INSERT INTO public.videos VALUES (8)",
            "DELETE FROM public.videos WHERE id = 8",
            "INSERT INTO public.videos VALUES (8)",
        ):
            connection.execute(statement.encode())
            assert video_log.catch_up(warehouse) == 1
        assert logged(connection)[-1] == ("8", None, None, False, False)
    finally:
        connection.execute("DROP TABLE public.videos")
        connection.execute("ALTER TABLE public.ours RENAME TO videos")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT actuals.catch_up_videos()",
        (
            "INSERT INTO actuals.video_log (video_id, is_removed, is_attested)"
            " VALUES ('x', true, true)"
        ),
    ],
)
def test_who_adds_to_the_log_waits_for_whoever_does(
    database: str, connection: psycopg.Connection, statement: str
) -> None:
    with psycopg.connect(database) as writer:
        add(writer, 1, "6001")
        writer.execute("SET CONSTRAINTS ALL IMMEDIATE")
        connection.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute(statement.encode())
    connection.execute(statement.encode())


def test_the_product_needs_no_right_to_the_log(connection: psycopg.Connection) -> None:
    connection.execute("CREATE ROLE the_product_of_videos")
    try:
        connection.execute("GRANT USAGE ON SCHEMA public TO the_product_of_videos")
        connection.execute("GRANT INSERT ON public.videos TO the_product_of_videos")
        connection.execute("SET ROLE the_product_of_videos")
        add(connection, 1, "6001")
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY the_product_of_videos")
        connection.execute("DROP ROLE the_product_of_videos")
    assert logged(connection) == [("1", "6001", MADE, False, True)]


def test_the_logs_clock_never_goes_back(connection: psycopg.Connection) -> None:
    add(connection, 1, "6001")
    connection.execute("SET session_replication_role = replica")
    connection.execute("UPDATE actuals.video_log SET logged_at = '2999-01-01'")
    connection.execute("SET session_replication_role = DEFAULT")
    add(connection, 2, "6002")
    times = connection.execute("SELECT logged_at FROM actuals.video_log ORDER BY sequence")
    (first,), (second,) = times.fetchall()
    assert second - first == timedelta(microseconds=1)


@pytest.mark.parametrize("is_there_before", [True, False])
def test_the_products_own_table_is_watched_whatever_its_types(
    warehouse: Warehouse, connection: psycopg.Connection, *, is_there_before: bool
) -> None:
    connection.execute("ALTER TABLE public.videos RENAME TO ours")
    row = "INSERT INTO public.videos VALUES (7, 120210000000000001, '2026-03-01 01:00+01')"
    try:
        connection.execute(
            "CREATE TABLE public.videos (id int, meta_platform_id bigint, created_at timestamptz)"
        )
        if is_there_before:
            connection.execute(row.encode())
        assert video_log.watch(warehouse) is None
        if not is_there_before:
            connection.execute(row.encode())
        assert video_log.catch_up(warehouse) == int(is_there_before)
        assert logged(connection) == [("7", "120210000000000001", MADE, False, not is_there_before)]
    finally:
        connection.execute("DROP TABLE public.videos")
        connection.execute("ALTER TABLE public.ours RENAME TO videos")


def test_triggers_that_are_gone_or_asleep_are_put_back(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    connection.execute("DROP TRIGGER video_log ON public.videos")
    connection.execute("ALTER TABLE public.videos DISABLE TRIGGER video_log_emptied")
    assert video_log.watch(warehouse) is None
    add(connection, 1, "6001")
    connection.execute("TRUNCATE public.videos")
    assert [row[3:] for row in logged(connection)] == [(False, True), (True, True)]


def test_a_video_that_cannot_be_logged_is_the_products_all_the_same(
    warehouse: Warehouse, connection: psycopg.Connection
) -> None:
    notices: list[str] = []
    connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
    connection.execute("ALTER TABLE actuals.video_log RENAME TO elsewhere")
    try:
        add(connection, 1, "6001")
    finally:
        connection.execute("ALTER TABLE actuals.elsewhere RENAME TO video_log")
    assert ["is not in actuals.video_log yet" in notice for notice in notices] == [True]
    assert video_log.catch_up(warehouse) == 1


FIRST = date(2026, 3, 1)
SAID = st.lists(
    st.tuples(
        st.integers(0, 3),  # days since what was said before
        st.sampled_from("vwxyz"),
        st.none() | st.sampled_from("abcd"),
        st.none() | st.integers(-3, 6),  # created so many days after the first
    ),
    min_size=1,
    max_size=12,
)

_KNOWN = """
    SELECT DISTINCT ON (ad_id) ad_id, video_id, created_at
    FROM (
        SELECT DISTINCT ON (video_id) *
        FROM actuals.video_log
        WHERE (logged_at AT TIME ZONE 'Europe/Berlin')::date <= greatest(%s, (
            SELECT min((logged_at AT TIME ZONE 'Europe/Berlin')::date) FROM actuals.video_log
        ))
        ORDER BY video_id, sequence DESC
    ) AS latest
    WHERE ad_id IS NOT NULL
    ORDER BY ad_id, created_at NULLS LAST, video_id
"""


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SAID, st.booleans())
def test_which_video_runs_as_an_ad_is_what_was_known_at_the_end_of_the_day(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    said: list[tuple[int, str, str | None, int | None]],
    at_night: bool,
) -> None:
    at = datetime(2026, 3, 1, 22 + at_night, 30, tzinfo=UTC)
    connection.execute("SET session_replication_role = replica")
    connection.execute("TRUNCATE actuals.video_log")
    for sequence, (later, video, ad, made) in enumerate(said, start=1):
        at += timedelta(days=later, microseconds=1)
        connection.execute(
            "INSERT INTO actuals.video_log (sequence, video_id, ad_id, created_at, is_removed,"
            " logged_at, is_attested, previous_hash, hash)"
            " VALUES (%s, %s, %s, %s, false, %s, true, sha256('\\x00'), sha256('\\x00'))",
            [sequence, video, ad, None if made is None else MADE + timedelta(days=made), at],
        )
    days = [FIRST + timedelta(days=number) for number in range(-2, 24)]
    got = {
        day: known_on_day(videos, day)
        for run, videos in videos_known_by(
            video_log.entries(warehouse), days, default_zone="Europe/Berlin"
        )
        for day in run
    }
    want = {day: set(connection.execute(_KNOWN, [day]).fetchall()) for day in days}
    assert got == want


def known_on_day(videos: pd.DataFrame, day: date) -> set[tuple[Any, ...]]:
    """What a run of days says of one of them: an ad, its oldest video, and when that was made."""
    oldest = one_video_per_ad(videos)
    known = oldest[oldest["known_on"] <= day]
    return {
        (row["ad_id"], row["video_id"], None if pd.isna(row["created_at"]) else row["created_at"])
        for row in known.to_dict("records")
    }


def test_new_ads_of_every_day_are_one_run_and_what_touches_old_ones_begins_another() -> None:
    rows = [
        (sequence, f"v{sequence}", f"a{sequence}", MADE + timedelta(days=sequence))
        for sequence in range(20)
    ]
    rows.append((20, "v3", "a99", MADE + timedelta(days=20)))
    log = pd.DataFrame(rows, columns=["sequence", "video_id", "ad_id", "logged_at"]).assign(
        created_at=MADE, video_id=lambda of: of["video_id"].astype("str")
    )
    log["ad_id"] = log["ad_id"].astype("str")
    for name in ("logged_at", "created_at"):
        log[name] = log[name].astype("datetime64[us, UTC]")
    days = [FIRST + timedelta(days=number) for number in range(25)]
    runs = [run for run, _ in videos_known_by(log, days, default_zone="UTC")]
    assert runs == [days[:20], days[20:]]
