from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from psycopg import sql
from sqlalchemy import Table

from actuals_pipeline.errors import FrameMismatch, WarehouseUnavailable
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice, WriteCounts
from actuals_pipeline.warehouse.tables import (
    ad_actuals,
    fetch_log,
    meta_account_totals,
    prediction_accuracy,
    raw_meta_insights,
)

RowsOf = Callable[..., pd.DataFrame]
Stored = Callable[[Table], list[dict[str, Any]]]
Insert = Callable[..., None]

Key = tuple[str, str, int]
"""Account, ad, day of March."""
Known = dict[Key, int]
"""What a payload says, by key."""

EVERYTHING = DayWindow.inclusive(date(2026, 1, 1), date(2026, 12, 31))
HOSTILE = "'; DROP TABLE actuals.ad_actuals; --\" %s {} $$ \\N"


def march(day: int) -> date:
    return date(2026, 3, day)


def days(first: int, last: int | None = None) -> DayWindow:
    return DayWindow.inclusive(march(first), march(last or first))


def raw_rows(rows_of: RowsOf, known: Known, run_id: str = "run-1") -> pd.DataFrame:
    return rows_of(
        raw_meta_insights,
        *(
            {
                "account_id": account,
                "ad_id": ad,
                "report_date": march(day),
                "payload": {"n": number},
                "run_id": run_id,
            }
            for (account, ad, day), number in known.items()
        ),
    )


def known_in(rows: Iterable[dict[str, Any]]) -> Known:
    return {
        (row["account_id"], row["ad_id"], row["report_date"].day): row["payload"]["n"]
        for row in rows
    }


BEFORE: Known = {("42", "a", 1): 1, ("42", "b", 1): 1, ("42", "a", 2): 1, ("43", "a", 1): 1}


@pytest.mark.parametrize(
    ("covered", "rows", "left", "counts"),
    [
        (
            [Slice(days(1), "42")],
            {("42", "a", 1): 2, ("42", "c", 1): 1},
            {("42", "a", 2): 1, ("43", "a", 1): 1},
            WriteCounts(inserted=1, updated=1, unchanged=0, deleted=1, restated={march(1): 2}),
        ),
        (
            [Slice(days(1), "42")],
            {},
            {("42", "a", 2): 1, ("43", "a", 1): 1},
            WriteCounts(inserted=0, updated=0, unchanged=0, deleted=2, restated={march(1): 2}),
        ),
        (
            [Slice(days(1, 2), "42")],
            {("42", "a", 1): 1, ("42", "b", 1): 2, ("42", "b", 2): 1},
            {("43", "a", 1): 1},
            WriteCounts(
                inserted=1, updated=1, unchanged=1, deleted=1, restated={march(1): 1, march(2): 1}
            ),
        ),
        (
            [Slice(days(1), "42", "a")],
            {},
            {("42", "a", 2): 1, ("42", "b", 1): 1, ("43", "a", 1): 1},
            WriteCounts(inserted=0, updated=0, unchanged=0, deleted=1, restated={march(1): 1}),
        ),
        (
            [Slice(days(1))],
            {("44", "a", 1): 1},
            {("42", "a", 2): 1},
            WriteCounts(inserted=1, updated=0, unchanged=0, deleted=3, restated={march(1): 3}),
        ),
        (
            [Slice(days(2), "42"), Slice(days(1), "43")],
            {("43", "a", 1): 1},
            {("42", "a", 1): 1, ("42", "b", 1): 1},
            WriteCounts(inserted=0, updated=0, unchanged=1, deleted=1, restated={march(2): 1}),
        ),
        (
            [Slice(days(3), "42")],
            {("42", "a", 3): 1},
            BEFORE,
            WriteCounts(inserted=1, updated=0, unchanged=0, deleted=0, restated={}),
        ),
        (
            [],
            {},
            BEFORE,
            WriteCounts(inserted=0, updated=0, unchanged=0, deleted=0, restated={}),
        ),
    ],
    ids=[
        "an account-day",
        "an account-day that became empty",
        "two days",
        "an ad's day",
        "a day of all accounts",
        "slices apart",
        "a new day",
        "nothing",
    ],
)
def test_exactly_the_covered_slices_become_equal_to_the_rows(
    warehouse: Warehouse,
    rows_of: RowsOf,
    stored: Stored,
    *,
    covered: Sequence[Slice],
    rows: Known,
    left: Known,
    counts: WriteCounts,
) -> None:
    everywhere = (Slice(EVERYTHING),)
    store.replace_in_transaction(
        warehouse, raw_meta_insights, CoveredRows(raw_rows(rows_of, BEFORE), everywhere)
    )
    content = CoveredRows(raw_rows(rows_of, rows), tuple(covered))
    assert store.replace_in_transaction(warehouse, raw_meta_insights, content) == counts
    assert known_in(stored(raw_meta_insights)) == {**left, **rows}
    again = store.replace_in_transaction(warehouse, raw_meta_insights, content)
    assert again == WriteCounts(0, 0, unchanged=len(rows), deleted=0, restated={})


SLICES = st.builds(
    lambda first, length, whose: Slice(days(first, first + length), *whose),
    st.integers(1, 4),
    st.integers(0, 2),
    st.tuples(st.sampled_from(["42", "43", None]), st.sampled_from([None, None, "a", "b"])),
)
REPLACEMENTS = st.tuples(
    st.lists(SLICES, min_size=1, max_size=3),
    st.dictionaries(
        st.tuples(st.sampled_from(["42", "43"]), st.sampled_from("abc"), st.integers(1, 6)),
        st.integers(1, 2),
        max_size=12,
    ),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(replacements=st.lists(REPLACEMENTS, min_size=1, max_size=4))
def test_any_replacements_leave_what_a_plain_model_says(
    connection: psycopg.Connection,
    rows_of: RowsOf,
    replacements: list[tuple[list[Slice], Known]],
) -> None:
    model: dict[Key, tuple[int, str]] = {}
    # Undone at the end, so that every example starts with an empty table.
    with connection.transaction(force_rollback=True):
        for step, (slices, drawn) in enumerate(replacements):
            run = f"run-{step}"
            rows = {key: n for key, n in drawn.items() if is_covered(key, slices)}
            content = CoveredRows(raw_rows(rows_of, rows, run), tuple(slices))
            got = store.replace(connection, raw_meta_insights, content)

            vanished = [key for key in model if is_covered(key, slices) and key not in rows]
            updated = [key for key in rows if key in model and model[key][0] != rows[key]]
            inserted = [key for key in rows if key not in model]
            restated = Counter(march(day) for _, _, day in (*vanished, *updated))
            want = WriteCounts(
                inserted=len(inserted),
                updated=len(updated),
                unchanged=len(rows) - len(inserted) - len(updated),
                deleted=len(vanished),
                restated=restated,
            )
            assert got == want
            for key in vanished:
                del model[key]
            model.update({key: (rows[key], run) for key in (*updated, *inserted)})
            found = connection.execute(
                "SELECT account_id, ad_id, report_date, payload, run_id FROM "
                "actuals.raw_meta_insights"
            ).fetchall()
            assert {(a, b, day.day): (n["n"], run) for a, b, day, n, run in found} == model


def is_covered(key: Key, slices: Sequence[Slice]) -> bool:
    account, ad, day = key
    return any(
        march(day) in part.window
        and part.account_id in {None, account}
        and part.ad_id in {None, ad}
        for part in slices
    )


def test_an_unchanged_row_keeps_its_provenance_and_its_version(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    covered = (Slice(days(7), "42"),)
    old = {"run_id": "run-1", "fetched_at": datetime(2026, 3, 8, tzinfo=UTC)}
    new = {"run_id": "run-2", "fetched_at": datetime(2026, 3, 9, tzinfo=UTC)}
    payloads = ({"spend": "1"}, {"spend": "2"}, {"spend": "3"})

    for provenance, given_ in ((old, payloads), (new, ({"spend": "1.5"}, *payloads[1:]))):
        rows = rows_of(
            raw_meta_insights,
            *({"ad_id": str(n), "payload": each} | provenance for n, each in enumerate(given_)),
        )
        before = stored(raw_meta_insights)
        store.replace_in_transaction(warehouse, raw_meta_insights, CoveredRows(rows, covered))
    restated, *unchanged = stored(raw_meta_insights)
    assert len(unchanged) == 2
    assert unchanged == before[1:]
    assert (restated["run_id"], restated["fetched_at"]) == ("run-2", new["fetched_at"])
    assert restated["xmin"] != before[0]["xmin"]


def test_a_change_of_any_one_figure_is_a_restatement(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    others: dict[str, tuple[object, ...]] = {
        "currency": ("USD",),
        "purchase_action_type": ("",),
        "is_settled": (True,),
        **{name: (name, "", None) for name in (
            "video_id", "campaign_id", "campaign_name", "adset_id", "adset_name", "ad_name",
            "attribution_setting")},
        **dict.fromkeys(("impressions", "clicks", "link_clicks", "conversions"), (0, 1)),
        **dict.fromkeys(("ctr", "roas", "cpm", "cpc", "frequency"), (0.5, None)),
        "reach": (0, None),
        "spend": (Decimal("250.001"),),
        "revenue": (Decimal("-800.00"),),
    }  # fmt: skip
    key = {"account_id", "ad_id", "report_date"}
    assert {column.name for column in ad_actuals.columns} == {*others, *key, "fetched_at"}
    for name, values in others.items():
        for value in (*values, rows_of(ad_actuals, {})[name][0]):
            content = CoveredRows(rows_of(ad_actuals, {name: value}), (Slice(days(7)),))
            counts = store.replace_in_transaction(warehouse, ad_actuals, content)
            assert counts.updated + counts.inserted == 1, (name, value)
            assert stored(ad_actuals)[0][name] == value


def test_the_same_amount_written_with_more_digits_is_no_restatement(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    covered = (Slice(days(7), "42"),)
    for spend in ("1.50", "1.5"):
        rows = rows_of(ad_actuals, {"spend": Decimal(spend), "reach": None, "roas": None})
        before = stored(ad_actuals)
        store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows, covered))
    assert len(before) == 1
    assert stored(ad_actuals) == before


def test_the_totals_say_when_the_day_was_last_fetched_even_without_news(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    for hour in (6, 7):
        fetched = {"fetched_at": datetime(2026, 3, 8, hour, tzinfo=UTC), "run_id": f"run-{hour}"}
        content = CoveredRows(rows_of(meta_account_totals, fetched), (Slice(days(7), "42"),))
        counts = store.replace_in_transaction(warehouse, meta_account_totals, content)
    (total,) = stored(meta_account_totals)
    assert (total["fetched_at"].hour, total["run_id"]) == (7, "run-7")
    # That is no restatement.
    assert (counts.updated, counts.unchanged, dict(counts.restated)) == (0, 1, {})


def with_cell(frame: pd.DataFrame, column: str, cell: object) -> pd.DataFrame:
    """The frame with another last cell in one column, of whatever type."""
    return frame.assign(**{column: [*frame[column].astype(object)[:-1], cell]})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rows: with_cell(rows, "report_date", march(8)), r"ad_id=4, report_date=2026-03-08"),
        (lambda rows: with_cell(rows, "account_id", "43"), "account_id=43.* no covered slice"),
        (lambda rows: with_cell(rows, "ad_id", "1"), "account_id=42, ad_id=1, .* comes twice"),
        (lambda rows: rows.drop(columns="spend"), r"missing columns \['spend'\]"),
        (lambda rows: rows.assign(extra=1), r"unknown \['extra'\]"),
        (lambda rows: with_cell(rows, "spend", Decimal("-0.01")), "_spend_check"),
        (lambda rows: with_cell(rows, "spend", Decimal("Infinity")), "spend_finite_check"),
        (lambda rows: with_cell(rows, "spend", Decimal("NaN")), 'null value in column "spend"'),
        (lambda rows: with_cell(rows, "currency", "eur"), "_currency_check"),
        (lambda rows: with_cell(rows, "currency", None), 'null value in column "currency"'),
        (lambda rows: with_cell(rows, "clicks", 2**63), "out of range"),
        (lambda rows: with_cell(rows, "clicks", "many"), "invalid input syntax.*many"),
        (lambda rows: with_cell(rows, "ad_name", "a\0b"), "NUL"),
        (lambda rows: with_cell(rows, "ad_name", "\ud83d"), "surrogates not allowed"),
    ],
    ids=[
        "uncovered day",
        "uncovered account",
        "key given twice",
        "missing column",
        "unknown column",
        "negative money",
        "infinite money",
        "no money",
        "bad currency",
        "no currency",
        "too large a count",
        "a count that is none",
        "NUL",
        "half a surrogate pair",
    ],
)
def test_a_failed_write_leaves_the_old_day(
    warehouse: Warehouse,
    rows_of: RowsOf,
    insert: Insert,
    stored: Stored,
    *,
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    reason: str,
) -> None:
    for ad in ("1", "2"):
        insert(ad_actuals, ad_id=ad)
    before = stored(ad_actuals)
    # Row 1 would be updated, row 2 deleted and row 3 inserted before or beside the spoilt one.
    good = rows_of(ad_actuals, {"ad_id": "1", "clicks": 1}, {"ad_id": "3"}, {"ad_id": "4"})
    content = CoveredRows(spoil(good), (Slice(days(7), "42"),))
    with pytest.raises(FrameMismatch, match=rf"(?s)ad_actuals: .*{reason}"):
        store.replace_in_transaction(warehouse, ad_actuals, content)
    assert stored(ad_actuals) == before


@pytest.mark.parametrize("moment", ["before", "half-way", "after"])
def test_a_killed_connection_leaves_the_old_day_and_the_next_write_heals_it(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    rows_of: RowsOf,
    insert: Insert,
    stored: Stored,
    moment: str,
) -> None:
    for ad in ("1", "2"):
        insert(ad_actuals, ad_id=ad)
    before = stored(ad_actuals)
    content = CoveredRows(rows_of(ad_actuals, {"ad_id": "2", "clicks": 1}), (Slice(days(7)),))

    def write_and_die() -> None:
        with warehouse.transaction() as writer:
            if moment == "before":
                terminate(connection, writer.info.backend_pid)
            store.replace(writer, ad_actuals, content)
            if moment == "after":
                terminate(connection, writer.info.backend_pid)

    if moment == "half-way":
        # Holding row 2 stops the writer at its update, after it deleted row 1.
        with connection.transaction():
            connection.execute("SELECT FROM actuals.ad_actuals WHERE ad_id = '2' FOR UPDATE")
            victim = Background(write_and_die)
            terminate(connection, waiting_backend(connection))
            error = victim.error()
    else:
        error = Background(write_and_die).error()
    assert isinstance(error, WarehouseUnavailable)
    assert "stored whole or not at all" in str(error)
    assert stored(ad_actuals) == before

    counts = store.replace_in_transaction(warehouse, ad_actuals, content)
    assert (counts.updated, counts.deleted) == (1, 1)
    assert [(row["ad_id"], row["clicks"]) for row in stored(ad_actuals)] == [("2", 1)]


class Background(threading.Thread):
    """`work` in a thread; `error` waits for its end."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._work = work
        self._caught: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self._caught = error

    def error(self) -> Exception | None:
        self.join(timeout=20)
        assert not self.is_alive()
        return self._caught


def terminate(connection: psycopg.Connection, backend: int) -> None:
    # Waits up to a second for its end.
    connection.execute("SELECT pg_terminate_backend(%s, 1000)", [backend])


def waiting_backend(connection: psycopg.Connection) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE '%UPDATE \"actuals\"%'"
        ).fetchone()
        if found is not None:
            return int(found[0])
        # The view is frozen within a transaction.
        connection.execute("SELECT pg_stat_clear_snapshot()")
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_writers_of_overlapping_days_follow_one_another(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    rows_of: RowsOf,
    stored: Stored,
    isolation: str,
) -> None:
    # What a database's owner may have chosen as its default.
    connection.execute(
        sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(
            sql.Identifier(connection.info.dbname), isolation
        )
    )
    contents = [
        CoveredRows(
            raw_rows(rows_of, {("42", ad, day): number for ad in ads for day in (day_1, day_2)}),
            (Slice(days(day_1, day_2), "42"),),
        )
        for ads, number, day_1, day_2 in (("wx", 1, 1, 2), ("xy", 2, 2, 3))
    ]
    start = threading.Barrier(4)

    def write(content: CoveredRows) -> None:
        start.wait()
        for _ in range(8):
            store.replace_in_transaction(warehouse, raw_meta_insights, content)

    writers = [Background(partial(write, content)) for content in contents * 2]
    assert [writer.error() for writer in writers] == [None] * 4
    got = known_in(stored(raw_meta_insights))
    outer: Known = {("42", "w", 1): 1, ("42", "x", 1): 1, ("42", "x", 3): 2, ("42", "y", 3): 2}
    shared = [
        {("42", "w", 2): 1, ("42", "x", 2): 1},
        {("42", "x", 2): 2, ("42", "y", 2): 2},
    ]
    assert got in [outer | day for day in shared]


def test_readers_see_the_old_day_until_the_new_one_is_whole(
    warehouse: Warehouse, rows_of: RowsOf, insert: Insert
) -> None:
    insert(ad_actuals, ad_id="1")
    content = CoveredRows(rows_of(ad_actuals, {"ad_id": "2"}), (Slice(days(7)),))
    with warehouse.transaction() as writer:
        store.replace(writer, ad_actuals, content)
        assert store.read(warehouse, ad_actuals, days(7))["ad_id"].tolist() == ["1"]
    assert store.read(warehouse, ad_actuals, days(7))["ad_id"].tolist() == ["2"]


def test_one_transaction_may_replace_several_tables_and_the_same_one_twice(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    covered = (Slice(days(7), "42", "1"),)
    with warehouse.transaction() as writer:
        for clicks in (1, 2):
            rows = rows_of(ad_actuals, {"ad_id": "1", "clicks": clicks})
            store.replace(writer, ad_actuals, CoveredRows(rows, covered))
        raw = rows_of(raw_meta_insights, {"ad_id": "1"})
        store.replace(writer, raw_meta_insights, CoveredRows(raw, covered))
    assert [row["clicks"] for row in stored(ad_actuals)] == [2]
    assert len(stored(raw_meta_insights)) == 1


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (ad_actuals, {"spend": Decimal("0.1"), "revenue": Decimal("0.10")}),
        (ad_actuals, {"spend": Decimal("0.000000000000000001"), "revenue": Decimal("-3.10")}),
        (ad_actuals, {"spend": Decimal("999999999999999999.999999999999999999")}),
        (ad_actuals, {"spend": Decimal(0), "revenue": Decimal("0.00")}),
        (ad_actuals, {"impressions": 2**63 - 1, "reach": None}),
        (ad_actuals, {"conversions": -1, "reach": 2**53 + 1}),
        (ad_actuals, {"ctr": 0.1 + 0.2, "roas": None, "cpm": 5e-324, "cpc": 1.797e308}),
        (ad_actuals, {"campaign_name": "", "adset_name": None, "ad_name": " "}),
        (ad_actuals, {"campaign_name": "\\N", "adset_name": "a\tb\nc\rd\\.", "ad_name": "NULL"}),
        (ad_actuals, {"campaign_name": "Größe 👩🏽‍🚀 \u2028 \ufeff", "ad_name": HOSTILE}),
        (ad_actuals, {"account_id": HOSTILE, "ad_id": HOSTILE}),
        (ad_actuals, {"is_settled": True, "report_date": date(2024, 2, 29)}),
        (ad_actuals, {"fetched_at": datetime(2026, 3, 8, 23, 59, 59, 999999, tzinfo=UTC)}),
        (ad_actuals, {"fetched_at": datetime(
            2026, 3, 9, 13, 59, tzinfo=timezone(timedelta(hours=14)))}),
        (prediction_accuracy, {"account_id": None, "currency": None, "first_delivery_on": None}),
        (prediction_accuracy, {"predicted_ctr": float("inf"), "first_delivery_on": march(1)}),
    ],
    ids=[
        "tenths", "tiny and negative", "18 + 18 digits", "zeroes", "largest count", "refund",
        "floats", "empty and missing text", "what COPY escapes", "unicode", "SQL as a key",
        "leap day", "microseconds", "another time zone", "missing days", "an infinite claim",
    ],
)  # fmt: skip
def test_every_value_comes_back_as_it_was(
    warehouse: Warehouse, rows_of: RowsOf, table: Table, row: dict[str, Any]
) -> None:
    rows = rows_of(table, row)
    window = DayWindow.inclusive(date(2024, 1, 1), date(2026, 12, 31))
    account = row.get("account_id", "42")
    covered = (Slice(window, account),) if account else (Slice(window),)
    store.replace_in_transaction(warehouse, table, CoveredRows(rows, covered))
    got = store.read(warehouse, table, window, account_ids=[account] if account else None)
    assert_frame_equal(got, rows, check_exact=True)
    for name in ("spend", "revenue"):
        # Equal is not enough: 0.10 has a digit that 0.1 lacks.
        assert str(got[name][0]) == str(rows[name][0])
    again = store.replace_in_transaction(warehouse, table, CoveredRows(rows, covered))
    assert (again.unchanged, again.updated) == (1, 0)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"é": "Größe 👩🏽‍🚀 \u2028", "n": None}, {"é": "Größe 👩🏽‍🚀 \u2028", "n": None}),
        ({"ad_name": "a\0b", "\0": ["\0\0"]}, {"ad_name": "a\ufffdb", "\ufffd": ["\ufffd\ufffd"]}),
        ({"ad_name": "a\\u0000b \\\0"}, {"ad_name": "a\\u0000b \\\ufffd"}),
        ({"ad_name": "cut \ud83d"}, {"ad_name": "cut ?"}),
        ({"ad_name": "\\ud83d \\N \t\n\r\" ' \\"}, {"ad_name": "\\ud83d \\N \t\n\r\" ' \\"}),
        ({"n": 2**64, "f": 0.1, "b": [True, {}]}, {"n": 2**64, "f": 0.1, "b": [True, {}]}),
        ({"ad_name": HOSTILE}, {"ad_name": HOSTILE}),
    ],
    ids=["unicode", "NUL", "NUL spelt out", "half a pair", "escapes", "numbers", "SQL"],
)  # fmt: skip
def test_a_payload_is_stored_verbatim_but_for_what_postgres_cannot_store(
    warehouse: Warehouse, rows_of: RowsOf, sent: dict[str, Any], kept: dict[str, Any]
) -> None:
    content = CoveredRows(rows_of(raw_meta_insights, {"payload": sent}), (Slice(days(7)),))
    store.replace_in_transaction(warehouse, raw_meta_insights, content)
    (text,) = store.read(warehouse, raw_meta_insights, days(7))["payload"]
    assert json.loads(text) == kept
    for payload in (sent, text):
        content = CoveredRows(rows_of(raw_meta_insights, {"payload": payload}), (Slice(days(7)),))
        again = store.replace_in_transaction(warehouse, raw_meta_insights, content)
        assert (again.unchanged, again.updated) == (1, 0)


def test_json_that_only_looks_different_is_no_restatement(
    warehouse: Warehouse, rows_of: RowsOf, stored: Stored
) -> None:
    for text in ('{"b": 1.0, "a": [1]}', '{"a":[1],"b":1.00}', '{"b":0,"b":1,"a":[1.0]}'):
        content = CoveredRows(rows_of(raw_meta_insights, {"payload": text}), (Slice(days(7)),))
        before = stored(raw_meta_insights)
        counts = store.replace_in_transaction(warehouse, raw_meta_insights, content)
    assert (counts.unchanged, counts.updated) == (1, 0)
    assert stored(raw_meta_insights) == before


def test_what_is_read_lies_in_the_window_belongs_to_the_accounts_and_is_ordered(
    warehouse: Warehouse, insert: Insert
) -> None:
    for account, ad, day in (("43", "1", 2), ("42", "2", 3), ("42", "1", 3), ("42", "1", 2),
                             ("42", "1", 1), ("42", "1", 4)):  # fmt: skip
        insert(ad_actuals, account_id=account, ad_id=ad, report_date=march(day))

    def keys(**only: Any) -> list[tuple[str, str, int]]:
        got = store.read(warehouse, ad_actuals, days(2, 3), **only)
        key = got[["account_id", "ad_id", "report_date"]]
        return [(a, b, day.day) for a, b, day in key.itertuples(index=False, name=None)]

    of_42 = [("42", "1", 2), ("42", "1", 3), ("42", "2", 3)]
    assert keys() == [*of_42, ("43", "1", 2)]
    assert keys(account_ids=["42", "44"]) == of_42
    assert keys(account_ids=[]) == []


DTYPES = {
    "account_id": "str",
    "report_date": "object",
    "reach": "Int64",
    "clicks": "int64",
    "spend": "object",
    "ctr": "float64",
    "is_settled": "bool",
    "fetched_at": "datetime64[us, UTC]",
}


@pytest.mark.parametrize("has_row", [False, True], ids=["no row", "a row"])
def test_a_frame_has_the_dtypes_of_its_columns(
    warehouse: Warehouse, insert: Insert, *, has_row: bool
) -> None:
    if has_row:
        insert(ad_actuals, reach=None, ctr=None, video_id=None)
    got = store.read(warehouse, ad_actuals, EVERYTHING)
    assert len(got) == has_row
    assert {name: str(got[name].dtype) for name in DTYPES} == DTYPES


def test_a_row_is_appended_as_it_is_or_not_at_all(warehouse: Warehouse, stored: Stored) -> None:
    logged = {
        "run_id": HOSTILE,
        "kind": "account",
        "account_id": None,
        "since": march(1),
        "until": march(7),
        "started_at": datetime(2026, 3, 8, tzinfo=UTC),
        "outcome": "failed",
        **dict.fromkeys(("calls", "pages", "rows", "retries", "rate_limits_hit"), 0),
        "error_message": "",
        "is_stand_in": False,
    }

    def append(*rows: dict[str, Any]) -> None:
        with warehouse.transaction() as connection:
            for row in rows:
                store.append(connection, fetch_log, row)

    append(logged)
    with pytest.raises(psycopg.errors.CheckViolation, match="fetch_log_outcome_check"):
        append(logged, logged | {"outcome": "unknown"})
    append(logged)
    first, second = stored(fetch_log)
    assert logged.items() <= first.items()
    assert (first["duration_seconds"], first["ad_id"]) == (None, None)
    assert first["id"] < second["id"]


def account_days(*rows: tuple[str, date]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "account_id": pd.Series([account for account, _ in rows], dtype="str"),
            "report_date": pd.Series([day for _, day in rows], dtype="object"),
        }
    )


def totals(*rows: tuple[str, date, datetime, str]) -> pd.DataFrame:
    fetched = pd.Series([instant for _, _, instant, _ in rows], dtype="datetime64[us, UTC]")
    return account_days(*((account, day) for account, day, _, _ in rows)).assign(
        fetched_at=fetched, time_zone=pd.Series([zone for *_, zone in rows], dtype="str")
    )


def test_adjoining_days_of_one_fetch_are_one_slice_known_since_today_of_its_account() -> None:
    early, late = datetime(2026, 3, 6, 5, tzinfo=UTC), datetime(2026, 3, 6, 6, tzinfo=UTC)
    given_ = totals(
        ("43", march(2), early, "Pacific/Auckland"),
        ("42", march(5), early, "America/Los_Angeles"),
        ("42", march(1), early, "America/Los_Angeles"),
        ("42", march(2), early, "America/Los_Angeles"),
        ("42", march(3), late, "America/Los_Angeles"),
    )
    now = datetime(2026, 3, 6, 20, tzinfo=UTC)
    assert store.slices_of(given_, now) == (
        Slice(days(1, 2), "42", None, early, march(6)),
        Slice(days(5), "42", None, early, march(6)),
        Slice(days(3), "42", None, late, march(6)),
        Slice(days(2), "43", None, early, march(7)),
    )
    assert store.slices_of(totals(), now) == ()


@given(st.lists(st.tuples(st.sampled_from(["42", "43"]), st.integers(0, 40))))
def test_slices_hold_exactly_the_days_given(drawn: list[tuple[str, int]]) -> None:
    instant = datetime(2026, 3, 6, 5, tzinfo=UTC)
    given_ = {(account, march(1) + timedelta(days=day)) for account, day in drawn}
    rows = totals(*((account, day, instant, "UTC") for account, day in given_))
    slices = store.slices_of(rows, instant)
    held = [(part.account_id, day) for part in slices for day in part.window]
    assert sorted(held, key=str) == sorted(given_, key=str)
    for part, following in pairwise(slices):
        assert part.account_id != following.account_id or part.window.end < following.window.start


def test_rows_of_days_that_were_not_fetched_whole_are_left_out() -> None:
    fetched = account_days(("42", march(1)), ("43", march(2)))
    rows = account_days(("42", march(1)), ("42", march(2)), ("43", march(2)), ("44", march(1)))
    rows = rows.assign(clicks=[1, 2, 3, 4])
    got = store.on_account_days(rows, fetched)
    assert got["clicks"].tolist() == [1, 3]
    assert got.index.tolist() == [0, 1]
    assert store.on_account_days(rows, account_days()).empty
    assert_frame_equal(store.on_account_days(rows[:0], fetched), rows[:0])
