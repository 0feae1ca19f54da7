"""Read and replace slices of the warehouse's tables.

A *slice* is what one fetch or computation covers: an account's report days, or every row of some
as-of days.  `replace` makes exactly the covered slices equal to the rows it is given, in one
transaction: the rows are copied to a staging table, then those that vanished are deleted, those
that differ updated and those that are new inserted.  A row that did not change is not touched, so
a refresh without news costs no row version, and a killed process leaves every slice as it was.
Most rows of a refresh are no news: they are found and set aside in one comparison.

Several writers at once: each holds the months that it writes, from the copied rows to its commit,
so overlapping replacements follow one another.  Whoever comes last does not win by that: a slice
says by `known_at` of which fetch its figures are, and gives way where the warehouse holds those of
a newer one.  Two transactions replace rows of several tables: an account's fetch replaces
`raw_meta_insights`, then `meta_account_totals`; a single ad's fetch replaces `raw_meta_insights`,
then `ad_actuals`, then holds `spend_reconciliation`.  Both follow the flow of the figures, and
whatever writes several more must too, so that no two of them ever wait for each other.

What changes in a table with revisions is remembered there in the same transaction.

Here: frames in and out with exact types (money as Decimal).  Not here: what readers ask
(`serving/queries.py`), the schema (`tables.py`, `schema.py`), partitions (`months.py`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_values
from datetime import date, datetime
from typing import Any, cast

import pandas as pd
import psycopg
from pandas.api.types import pandas_dtype
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Numeric, Table
from sqlalchemy.dialects.postgresql import JSONB

from actuals_pipeline.errors import FrameMismatch
from actuals_pipeline.report_days import DayWindow, report_day, time_zone
from actuals_pipeline.storable import storable_json
from actuals_pipeline.warehouse import months
from actuals_pipeline.warehouse.connection import Warehouse

PART_ROWS = 10_000
"""Rows written in one transaction.  Chosen: 20 MB of payloads, and a commit every other second."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a table that some rows replace: days, of one account, of one ad.

    `known_at` is the instant of the fetch that the figures are of, and `known_on` the
    account-local day on which they came to be known; None where neither matters.
    """

    window: DayWindow
    account_id: str | None = None
    ad_id: str | None = None
    known_at: datetime | None = None
    known_on: date | None = None


@dataclass(frozen=True, slots=True)
class CoveredRows:
    """Rows together with the slices that they are all there is of.

    A covered day without a row is a day without rows; a day that is not covered is not touched.
    """

    rows: pd.DataFrame
    covered: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """What one replacement did, in rows; `restated` has updated and deleted rows by day.

    `superseded` rows were left aside because figures of a newer fetch were there already.
    """

    inserted: int
    updated: int
    unchanged: int
    deleted: int
    restated: Mapping[date, int]
    superseded: int = 0

    def log_row(self) -> dict[str, int]:
        """The counts as columns of `fetch_log`."""
        return {
            "rows_inserted": self.inserted,
            "rows_updated": self.updated,
            "rows_unchanged": self.unchanged,
            "rows_deleted": self.deleted,
            "rows_superseded": self.superseded,
        }

    def __add__(self, other: WriteCounts) -> WriteCounts:
        return WriteCounts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.deleted + other.deleted,
            Counter(self.restated) + Counter(other.restated),
            self.superseded + other.superseded,
        )


NOTHING_WRITTEN = WriteCounts(0, 0, 0, 0, {})


@dataclass(frozen=True, slots=True)
class Parts:
    """What `rows_of` gives for one window after another: made, written and forgotten in turn.

    A year of a large account does not fit into memory, and what is written of it stays written.
    """

    windows: Sequence[DayWindow]
    rows_of: Callable[[DayWindow], CoveredRows]

    def __iter__(self) -> Iterator[CoveredRows]:
        return map(self.rows_of, self.windows)


@dataclass(slots=True)
class Tally:
    """What a run has written into one table so far; `rows` by day, as given."""

    counts: WriteCounts = NOTHING_WRITTEN
    rows: Counter[date] = field(default_factory=Counter)

    def add(self, days: Iterable[date], counts: WriteCounts) -> None:
        """Count one replacement of rows of these days, one day a row."""
        self.rows.update(days)
        self.counts += counts


@dataclass(frozen=True, slots=True)
class StoredDays:
    """The rows of `table` on the days of `window`, read when they are wanted."""

    warehouse: Warehouse
    table: Table
    window: DayWindow

    def read(self, window: DayWindow | None = None) -> pd.DataFrame:
        """All rows, or those of a part of the window, ordered by key, with exact types."""
        return read(self.warehouse, self.table, window or self.window)

    def parts(self, most: int = PART_ROWS) -> list[DayWindow]:
        """The window in parts whose rows fit into memory: at most `most`, or a single day."""
        day = sql.Identifier(self.table.info["day"])
        query = sql.SQL(
            "SELECT {day}, count(*) FROM {table} WHERE {day} >= {start} AND {day} < {end}"
            " GROUP BY {day}"
        ).format(
            day=day,
            table=_identifier(self.table),
            start=self.window.start,
            end=self.window.end,
        )
        with self.warehouse.transaction() as connection:
            rows = dict(connection.execute(query).fetchall())
        return self.window.parts(lambda each: rows.get(each, 0), most)


def replace_in_transaction(warehouse: Warehouse, table: Table, content: CoveredRows) -> WriteCounts:
    """Make the covered slices of `table` equal to the rows, in a transaction of their own."""
    with warehouse.transaction() as connection:
        return replace(connection, table, content)


def read(
    warehouse: Warehouse,
    table: Table,
    window: DayWindow,
    *,
    account_ids: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The rows of `table` whose days lie in `window`, ordered by key, with exact types.

    JSON is given as its text, a fifth of what it takes once it is read.
    """
    day = sql.Identifier(table.info["day"])
    conditions = [sql.SQL("{} >= {} AND {} < {}").format(day, window.start, day, window.end)]
    if account_ids is not None:
        conditions.append(sql.SQL("account_id = ANY({})").format(list(account_ids)))
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(map(_read_as, table.columns)),
        _identifier(table),
        sql.SQL(" AND ").join(conditions),
        _names(table.primary_key.columns),
    )
    with warehouse.transaction() as connection:
        rows = connection.execute(query).fetchall()
    return frame_of(table.columns, rows)


def _read_as(column: Column[Any]) -> sql.Composable:
    as_text = isinstance(column.type, JSONB)
    return sql.SQL("{}::text" if as_text else "{}").format(sql.Identifier(column.name))


def append(connection: psycopg.Connection, table: Table, row: dict[str, Any]) -> None:
    """Add one row to an append-only table, inside the caller's transaction."""
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        _identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    values = [
        Jsonb(value) if isinstance(table.columns[name].type, JSONB) else value
        for name, value in row.items()
    ]
    connection.execute(query, values)


def replace(connection: psycopg.Connection, table: Table, content: CoveredRows) -> WriteCounts:
    """Make the covered slices of `table` equal to the rows, inside the caller's transaction.

    `FrameMismatch` when a row lies in no covered slice, breaks a constraint or comes twice.
    """
    _refuse_other_columns(table, content.rows)
    try:
        staging = _stage(connection, table, content.rows)
        hold(connection, table, (part.window for part in content.covered))
        _refuse_uncovered(connection, table, staging, content.covered)
        newer = _newer_than(connection, table, content.covered)
        superseded = _leave_aside(connection, table, staging, newer)
        if table.info.get("by_month"):
            days: Iterable[date] = content.rows[str(table.info["day"])]
            months.make(connection, table, months.months_of(days))
        given = len(content.rows) - superseded
        counts = _merge(connection, table, staging, content.covered, newer, n_given=given)
    except (errors.IntegrityError, errors.DataError, UnicodeEncodeError) as error:
        raise FrameMismatch(f"{table.name}: {_diagnosis(error)}") from error
    connection.execute(sql.SQL("DROP TABLE {}").format(staging))
    return with_values(counts, superseded=superseded)


def hold(connection: psycopg.Connection, table: Table, windows: Iterable[DayWindow]) -> None:
    """Wait until no other writer holds the table's months in `windows`, then hold them.

    They are given back with the transaction.  Readers are not held up.
    """
    held = months.months_of(day for window in windows for day in window)
    names = [f"{table.fullname} {month:%Y-%m}" for month in held]
    # One statement a month, because a set of rows need not be locked in order.
    for name in names:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def slices_of(totals: pd.DataFrame, now: datetime) -> tuple[Slice, ...]:
    """The account-days of some `meta_account_totals`, as slices of adjoining days of one fetch.

    `now` is when what is derived from them comes to be known.
    """
    slices: list[Slice] = []
    facts = ["account_id", "fetched_at", "time_zone"]
    for fact, days in totals.groupby(facts)["report_date"]:
        account_id, fetched_at, zone = cast("tuple[str, datetime, str]", fact)
        known_on = report_day(now, time_zone(zone))
        slices.extend(
            Slice(window, account_id, None, fetched_at, known_on)
            for window in DayWindow.adjoining(days)
        )
    return tuple(slices)


def on_account_days(rows: pd.DataFrame, account_days: pd.DataFrame) -> pd.DataFrame:
    """The rows of `rows` whose account and report day occur in `account_days`.

    A single ad's fetch may store rows of days on which its account was never fetched whole.
    """
    key = ["account_id", "report_date"]
    known = pd.MultiIndex.from_frame(account_days[key])
    return rows[pd.MultiIndex.from_frame(rows[key]).isin(known)].reset_index(drop=True)


_NEWER = """
WITH given AS (
    SELECT * FROM unnest(
        %(accounts)s::text[], %(ads)s::text[], %(starts)s::date[], %(ends)s::date[],
        %(instants)s::timestamptz[]
    ) AS slice (account_id, ad_id, first_day, after_last, known_at)
)
SELECT account_id, NULL, report_date, report_date + 1
FROM given JOIN actuals.meta_account_totals AS total USING (account_id)
WHERE report_date >= first_day AND report_date < after_last AND fetched_at > known_at
UNION ALL
SELECT account_id, single.ad_id, greatest(since, first_day), least(until + 1, after_last)
FROM given JOIN actuals.fetch_log AS single USING (account_id)
WHERE single.kind = 'ad' AND outcome = 'complete' AND started_at > known_at
  AND since < after_last AND until >= first_day
  AND (given.ad_id IS NULL OR given.ad_id = single.ad_id)
"""


def _newer_than(
    connection: psycopg.Connection, table: Table, slices: Sequence[Slice]
) -> list[Slice]:
    """The parts of `slices` of which the warehouse holds the figures of a newer fetch.

    A single ad's fetch makes no account's day older than it was.
    """
    dated = [part for part in slices if part.known_at is not None]
    if not dated:
        return []
    values = {
        "accounts": [part.account_id for part in dated],
        "ads": [part.ad_id for part in dated],
        "starts": [part.window.start for part in dated],
        "ends": [part.window.end for part in dated],
        "instants": [part.known_at for part in dated],
    }
    return [
        Slice(DayWindow(start, end), account_id, ad_id)
        for account_id, ad_id, start, end in connection.execute(_NEWER, values).fetchall()
        if ad_id is None or "ad_id" in table.columns
    ]


def _leave_aside(
    connection: psycopg.Connection,
    table: Table,
    staging: sql.Identifier,
    newer: Sequence[Slice],
) -> int:
    """Take the staged rows that lie in `newer` slices away; returns how many."""
    if not newer:
        return 0
    query = sql.SQL("DELETE FROM {} WHERE {}").format(staging, _covered(table, newer))
    return connection.execute(query).rowcount


def _merge(
    connection: psycopg.Connection,
    table: Table,
    staging: sql.Identifier,
    covered: Sequence[Slice],
    newer: Sequence[Slice],
    *,
    n_given: int,
) -> WriteCounts:
    """Delete what vanished, update what differs, insert what is new of the `n_given` rows."""
    parts: dict[str, sql.Composable] = {
        "target": _identifier(table),
        "staging": staging,
        "covered": sql.SQL("{} AND NOT {}").format(
            _covered(table, covered, "kept"), _covered(table, newer, "kept")
        ),
        "key": _same_key(table),
        "day": sql.Identifier(table.info["day"]),
        "names": _names(table.columns),
        "same": _same([*_compared(table), *_latest(table)]),
    }
    delete = _DELETE_VANISHED
    if "revisions" in table.info:
        parts |= _remembering(connection, table, covered)
        delete = _DELETE_AND_REMEMBER_VANISHED
    deleted = _by_day(connection, sql.SQL(delete).format(**parts))
    unchanged = connection.execute(sql.SQL(_SET_UNCHANGED_ASIDE).format(**parts)).rowcount
    updated, inserted = Counter[date](), 0
    if unchanged < n_given:
        updated, inserted = _write_news(connection, table, parts, n_given - unchanged)
    return WriteCounts(
        inserted,
        updated.total(),
        n_given - inserted - updated.total(),
        deleted.total(),
        updated + deleted,
    )


def _write_news(
    connection: psycopg.Connection,
    table: Table,
    parts: Mapping[str, sql.Composable],
    n_news: int,
) -> tuple[Counter[date], int]:
    """Update and insert the `n_news` rows still staged; the updated by day, and the inserted."""
    if "revisions" in table.info:
        connection.execute(sql.SQL(_REMEMBER_CHANGED).format(**parts))
    assigned = {"assignments": _assignments(_other_than_key(table)), **_versions(_compared(table))}
    update = sql.SQL(_UPDATE_DIFFERING)
    updated = _by_day(connection, update.format(**{**parts, **assigned}))
    if latest := _latest(table):
        assigned = {"assignments": _assignments(latest), **_versions(latest)}
        connection.execute(update.format(**{**parts, **assigned}))
    if updated.total() == n_news:
        return updated, 0
    return updated, connection.execute(sql.SQL(_INSERT_NEW).format(**parts)).rowcount


def _by_day(connection: psycopg.Connection, counting: sql.Composed) -> Counter[date]:
    return Counter(dict(connection.execute(counting).fetchall()))


# Each repeats the covered slices, whose days are constants: Postgres then reads their months only.
_DELETE_VANISHED = """
WITH kept AS (
    DELETE FROM {target} AS kept
    WHERE {covered} AND NOT EXISTS (SELECT FROM {staging} AS given WHERE {key})
    RETURNING *
)
SELECT {day}, count(*) FROM kept GROUP BY {day}
"""

_DELETE_AND_REMEMBER_VANISHED = """
WITH kept AS (
    DELETE FROM {target} AS kept
    WHERE {covered} AND NOT EXISTS (SELECT FROM {staging} AS given WHERE {key})
    RETURNING *
), remembered AS (
    INSERT INTO {revisions} ({keys}, as_of_date, is_listed)
    SELECT {keys}, {vanished_on}, false FROM kept
    ON CONFLICT ({keys}, as_of_date) DO UPDATE SET {anew}
)
SELECT {day}, count(*) FROM kept GROUP BY {day}
"""

_SET_UNCHANGED_ASIDE = """
DELETE FROM {staging} AS given USING {target} AS kept
WHERE {key} AND {covered} AND {same}
"""

_REMEMBER_CHANGED = """
INSERT INTO {revisions} ({keys}, as_of_date, is_listed, {figures})
SELECT {new_keys}, {changed_on}, true, {new_figures}
FROM {staging} AS given LEFT JOIN {target} AS kept ON {key} AND {covered}
WHERE ({old_compared}) IS DISTINCT FROM ({new_compared})
ON CONFLICT ({keys}, as_of_date) DO UPDATE SET {anew}
"""

_UPDATE_DIFFERING = """
WITH differing AS (
    UPDATE {target} AS kept SET {assignments} FROM {staging} AS given
    WHERE {key} AND {covered} AND ({old}) IS DISTINCT FROM ({new})
    RETURNING kept.{day}
)
SELECT {day}, count(*) FROM differing GROUP BY {day}
"""

_INSERT_NEW = """
INSERT INTO {target} ({names}) SELECT {names} FROM {staging} AS given
WHERE NOT EXISTS (SELECT FROM {target} AS kept WHERE {key} AND {covered})
"""


def _remembering(
    connection: psycopg.Connection, table: Table, covered: Sequence[Slice]
) -> dict[str, sql.Composable]:
    """What the statements need that write what changes into the table's revisions.

    A day's last word stands for the day.  The months of the revisions are made.
    """
    revisions: Table = table.info["revisions"]
    compared = [table.columns[name] for name in table.info["figures"]]
    figures = [*compared, table.columns["fetched_at"]]
    touched = months.months_of(day for part in covered for day in part.window)
    made = set(months.stored(connection, table)).intersection(touched)
    months.make(connection, revisions, sorted(made))
    return {
        "revisions": _identifier(revisions),
        "keys": _names(table.primary_key.columns),
        "new_keys": _names(table.primary_key.columns, "given"),
        "figures": _names(figures),
        "new_figures": _names(figures, "given"),
        "old_compared": _names(compared, "kept"),
        "new_compared": _names(compared, "given"),
        "changed_on": _known_on(table, covered, "given"),
        "vanished_on": _known_on(table, covered, "kept"),
        "anew": _assignments(
            [revisions.columns[name] for name in ("is_listed", *(each.name for each in figures))],
            "excluded",
        ),
    }


def _known_on(table: Table, covered: Sequence[Slice], alias: str) -> sql.Composable:
    """The day on which a row's figures came to be known; the database's own day where unsaid."""
    days = {part.known_on for part in covered if part.known_on is not None}
    cases = [
        sql.SQL("WHEN {} THEN {}::date").format(
            _covered(table, [part for part in covered if part.known_on == day], alias), day
        )
        for day in sorted(days)
    ]
    if not cases:
        return sql.SQL("current_date")
    return sql.SQL("CASE {} ELSE current_date END").format(sql.SQL(" ").join(cases))


def frame_of(columns: Iterable[Column[Any]], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Fetched rows as a frame whose dtypes follow the columns' declared types."""
    listed = list(columns)
    values = list(zip(*rows, strict=True)) or [()] * len(listed)
    # One index and ready dtypes: to look for them takes longer than a few hundred values.
    index = pd.RangeIndex(len(rows))
    series = {
        column.name: pd.Series(given, index=index, dtype=_dtype(column))
        for column, given in zip(listed, values, strict=True)
    }
    return pd.DataFrame(series, index=index)


def _dtype(column: Column[Any]) -> Any:
    kind = column.type
    if isinstance(kind, BigInteger):
        return _NULLABLE_COUNT if column.nullable else _COUNT
    if isinstance(kind, Double):
        return _NUMBER
    if isinstance(kind, Boolean):
        return _NULLABLE_FLAG if column.nullable else _FLAG
    if isinstance(kind, DateTime):
        return _INSTANT
    if isinstance(kind, Numeric | Date | JSONB):
        return _OBJECT
    return _TEXT


_COUNT, _NULLABLE_COUNT = pandas_dtype("int64"), pandas_dtype("Int64")
_FLAG, _NULLABLE_FLAG = pandas_dtype("bool"), pandas_dtype("boolean")
_NUMBER, _OBJECT = pandas_dtype("float64"), pandas_dtype("object")
_INSTANT, _TEXT = pandas_dtype("datetime64[us, UTC]"), pandas_dtype("str")


# What holds for the statements of a replacement, until its transaction ends.  Nobody has counted
# the staged rows, nor those that a large load has just stored; believing that there are few of
# either, Postgres would compare each with each.  Hashing is as fast for few and linear for many.
# A part's rows (`PART_ROWS`) then fit into memory; its own 4 MB would send them to disk.
_JOIN_BY_HASHING = """
SELECT
    set_config('enable_nestloop', 'off', true),
    set_config(
        'work_mem', greatest(pg_size_bytes(current_setting('work_mem')) / 1024, 65536)::text, true
    )
"""

# Payloads are not compressed on their way: most are compared and forgotten.
_CREATE_STAGING = """
CREATE TEMPORARY TABLE {staging} (LIKE {target}) WITH (toast_tuple_target = 8160) ON COMMIT DROP
"""


def _stage(connection: psycopg.Connection, table: Table, rows: pd.DataFrame) -> sql.Identifier:
    """Copy `rows` into a temporary twin of `table`; a key given twice is refused."""
    _refuse_repeated(table, rows)
    staging = sql.Identifier(f"staged_{table.name}")
    connection.execute(_JOIN_BY_HASHING)
    connection.execute(sql.SQL(_CREATE_STAGING).format(staging=staging, target=_identifier(table)))
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(staging, _names(table.columns))
    values = [_copied(column, rows[column.name]) for column in table.columns]
    with connection.cursor() as cursor, cursor.copy(copy) as destination:
        for row in zip(*values, strict=True):
            destination.write_row(row)
    return staging


def _copied(column: Column[Any], values: pd.Series[Any]) -> list[Any]:
    """The column's values as COPY takes them: None for missing, JSON and instants as text.

    JSON that is text already is taken as it is.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        # The same few instants come again and again; each is spelt out once.
        numbers, instants = pd.factorize(values)
        texts = [*map(str, instants), None]
        return [texts[number] for number in numbers]
    plain = values.tolist()
    if values.hasnans:
        plain = [None if gone else value for value, gone in zip(plain, values.isna(), strict=True)]
    if isinstance(column.type, JSONB):
        return [None if value is None else _json_text(value) for value in plain]
    return plain


def _json_text(value: object) -> str:
    return value if isinstance(value, str) else storable_json(json.dumps(value, ensure_ascii=False))


def _covered(table: Table, slices: Sequence[Slice], alias: str | None = None) -> sql.Composable:
    """The condition that a row, of the target or staged, lies in one of the slices."""
    qualifier = (alias,) if alias else ()
    day = sql.Identifier(*qualifier, table.info["day"])
    conditions: list[sql.Composable] = []
    for part in slices:
        one: list[sql.Composable] = [
            sql.SQL("{} >= {} AND {} < {}").format(day, part.window.start, day, part.window.end)
        ]
        for name, value in (("account_id", part.account_id), ("ad_id", part.ad_id)):
            if value is not None:
                one.append(sql.SQL("{} = {}").format(sql.Identifier(*qualifier, name), value))
        conditions.append(sql.SQL("({})").format(sql.SQL(" AND ").join(one)))
    joined = sql.SQL(" OR ").join(conditions) if conditions else sql.SQL("FALSE")
    return sql.SQL("({})").format(joined)


def _refuse_repeated(table: Table, rows: pd.DataFrame) -> None:
    keys = [column.name for column in table.primary_key.columns]
    repeated = rows[rows.duplicated(subset=keys)]
    if len(repeated):
        key = _key_text(table, repeated.iloc[0][keys].tolist())
        raise FrameMismatch(f"{table.name}: the row {key} comes twice.")


def _refuse_uncovered(
    connection: psycopg.Connection,
    table: Table,
    staging: sql.Identifier,
    covered: Sequence[Slice],
) -> None:
    query = sql.SQL("SELECT {} FROM {} WHERE NOT {} LIMIT 1").format(
        _names(table.primary_key.columns), staging, _covered(table, covered)
    )
    stray = connection.execute(query).fetchone()
    if stray is not None:
        raise FrameMismatch(
            f"{table.name}: the row {_key_text(table, stray)} lies in no covered slice."
        )


def _refuse_other_columns(table: Table, rows: pd.DataFrame) -> None:
    want, got = {column.name for column in table.columns}, set(rows.columns)
    if want != got:
        raise FrameMismatch(
            f"{table.name}: missing columns {sorted(want - got)}, unknown {sorted(got - want)}."
        )


def _compared(table: Table) -> list[Column[Any]]:
    """Columns that make a row differ: neither key nor provenance."""
    return [column for column in _other_than_key(table) if not column.info.get("provenance")]


def _latest(table: Table) -> list[Column[Any]]:
    """Columns that say where a row came from last, even where nothing else changed."""
    return [column for column in table.columns if column.info.get("provenance") == "latest"]


def _other_than_key(table: Table) -> list[Column[Any]]:
    keys = set(table.primary_key.columns)
    return [column for column in table.columns if column not in keys]


def _assignments(columns: Iterable[Column[Any]], source: str = "given") -> sql.Composable:
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(column.name), sql.Identifier(source, column.name))
        for column in columns
    )


def _versions(columns: Sequence[Column[Any]]) -> dict[str, sql.Composable]:
    """Some columns as they are kept and as they are given."""
    return {"old": _names(columns, "kept"), "new": _names(columns, "given")}


def _same(columns: Iterable[Column[Any]]) -> sql.Composable:
    """The condition that a row is kept as it is given.

    JSON is held against JSON byte by byte, at half the cost of understanding both; what only
    looks different (1.0 and 1.00) is understood later, before it is written.
    """
    conditions = [
        sql.SQL(
            "record_image_eq(ROW(kept.{0}), ROW(given.{0}))"
            if isinstance(column.type, JSONB)
            else "kept.{0} IS NOT DISTINCT FROM given.{0}"
        ).format(sql.Identifier(column.name))
        for column in columns
    ]
    return sql.SQL(" AND ").join(conditions)


def _same_key(table: Table) -> sql.Composable:
    return sql.SQL(" AND ").join(
        sql.SQL("kept.{} = given.{}").format(sql.Identifier(name), sql.Identifier(name))
        for name in (column.name for column in table.primary_key.columns)
    )


def _names(columns: Iterable[Column[Any]], alias: str | None = None) -> sql.Composable:
    qualifier = (alias,) if alias else ()
    return sql.SQL(", ").join(sql.Identifier(*qualifier, column.name) for column in columns)


def _identifier(table: Table) -> sql.Identifier:
    return sql.Identifier(str(table.schema), table.name)


def _key_text(table: Table, values: Sequence[object]) -> str:
    names = (column.name for column in table.primary_key.columns)
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def _diagnosis(error: psycopg.Error | UnicodeEncodeError) -> str:
    if isinstance(error, UnicodeEncodeError) or error.diag.message_primary is None:
        # Refused on our side, before Postgres saw it.
        return str(error)
    parts = (error.diag.message_primary, error.diag.message_detail, error.diag.context)
    return "; ".join(part for part in parts if part)
