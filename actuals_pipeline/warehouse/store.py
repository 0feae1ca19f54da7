"""Read and replace slices of the warehouse's tables.

A *slice* is what one fetch or computation covers: an account's report days, or every row of some
as-of days.  `replace` makes exactly the covered slices equal to the rows it is given, in one
transaction: the rows are copied to a staging table, then those that vanished are deleted, those
that differ updated and those that are new inserted.  A row that did not change is not touched, so
a refresh without news costs no row version, and a killed process leaves every slice as it was.

Here: frames in and out with exact types (money as Decimal).  Not here: what readers ask
(`serving/queries.py`), the schema (`tables.py`, `schema.py`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd
import psycopg
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Numeric, Table
from sqlalchemy.dialects.postgresql import JSONB

from actuals_pipeline.errors import FrameMismatch
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse.connection import Warehouse


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a table that some rows replace: days, of one account, of one ad."""

    window: DayWindow
    account_id: str | None = None
    ad_id: str | None = None


@dataclass(frozen=True, slots=True)
class CoveredRows:
    """Rows together with the slices that they are all there is of.

    A covered day without a row is a day without rows; a day that is not covered is not touched.
    """

    rows: pd.DataFrame
    covered: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """What one replacement did, in rows; `restated` has updated and deleted rows by day."""

    inserted: int
    updated: int
    unchanged: int
    deleted: int
    restated: Mapping[date, int]


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
    """The rows of `table` whose days lie in `window`, ordered by key, with exact types."""
    day = sql.Identifier(table.info["day"])
    conditions = [sql.SQL("{} >= {} AND {} < {}").format(day, window.start, day, window.end)]
    if account_ids is not None:
        conditions.append(sql.SQL("account_id = ANY({})").format(list(account_ids)))
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
        _names(table.columns),
        _identifier(table),
        sql.SQL(" AND ").join(conditions),
        _names(table.primary_key.columns),
    )
    with warehouse.transaction() as connection:
        rows = connection.execute(query).fetchall()
    return frame_of(table.columns, rows)


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
    """Make the covered slices of `table` equal to the rows, inside the caller's transaction."""
    _refuse_other_columns(table, content.rows)
    # Writers of one table follow one another, so that two replacements of overlapping slices
    # cannot interleave their deletes and inserts; readers are not held up.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [table.fullname])
    try:
        staging = _stage(connection, table, content.rows)
        covered = _covered(table, content.covered)
        _refuse_uncovered(connection, table, staging, covered)
        deleted, updated, inserted = _merge(connection, table, staging, covered)
    except (errors.IntegrityError, errors.DataError, UnicodeEncodeError) as error:
        raise FrameMismatch(f"{table.name}: {_diagnosis(error)}") from error
    connection.execute(sql.SQL("DROP TABLE {}").format(staging))
    n_updated, n_deleted = sum(updated.values()), sum(deleted.values())
    unchanged = len(content.rows) - inserted - n_updated
    return WriteCounts(inserted, n_updated, unchanged, n_deleted, restated=updated + deleted)


def slices_of(account_days: pd.DataFrame) -> tuple[Slice, ...]:
    """The account-days of a frame (`account_id`, `report_date`) as slices of adjoining days."""
    slices: list[Slice] = []
    for account_id, days in account_days.groupby("account_id")["report_date"]:
        ordered = sorted(set(days))
        starts = [ordered[0], *(b for a, b in pairwise(ordered) if b - a > timedelta(days=1))]
        ends = [*(a for a, b in pairwise(ordered) if b - a > timedelta(days=1)), ordered[-1]]
        slices.extend(
            Slice(DayWindow.inclusive(since, until), str(account_id))
            for since, until in zip(starts, ends, strict=True)
        )
    return tuple(slices)


def on_account_days(rows: pd.DataFrame, account_days: pd.DataFrame) -> pd.DataFrame:
    """The rows of `rows` whose account and report day occur in `account_days`.

    A single ad's fetch may store rows of days on which its account was never fetched whole.
    """
    key = ["account_id", "report_date"]
    known = pd.MultiIndex.from_frame(account_days[key])
    return rows[pd.MultiIndex.from_frame(rows[key]).isin(known)].reset_index(drop=True)


def _merge(
    connection: psycopg.Connection,
    table: Table,
    staging: sql.Identifier,
    covered: sql.Composable,
) -> tuple[Counter[date], Counter[date], int]:
    """Delete what vanished, update what differs, insert what is new; the first two by day."""
    latest = [column for column in table.columns if column.info.get("provenance") == "latest"]
    parts = {
        "target": _identifier(table),
        "staging": staging,
        "covered": covered,
        "key": _same_key(table),
        "day": sql.Identifier("kept", table.info["day"]),
        "names": _names(table.columns),
        "assignments": _assignments(_other_than_key(table)),
        "old": _names(_compared(table), "kept"),
        "new": _names(_compared(table), "given"),
    }
    deleted = connection.execute(sql.SQL(_DELETE_VANISHED).format(**parts)).fetchall()
    updated = connection.execute(sql.SQL(_UPDATE_DIFFERING).format(**parts)).fetchall()
    if latest:
        parts |= {"assignments": _assignments(latest)}
        parts |= {"old": _names(latest, "kept"), "new": _names(latest, "given")}
        connection.execute(sql.SQL(_UPDATE_DIFFERING).format(**parts))
    inserted = connection.execute(sql.SQL(_INSERT_NEW).format(**parts)).rowcount
    return Counter(dict(deleted)), Counter(dict(updated)), inserted


_DELETE_VANISHED = """
WITH vanished AS (
    DELETE FROM {target} AS kept
    WHERE ({covered}) AND NOT EXISTS (SELECT FROM {staging} AS given WHERE {key})
    RETURNING {day} AS day
)
SELECT day, count(*) FROM vanished GROUP BY day
"""

_UPDATE_DIFFERING = """
WITH differing AS (
    UPDATE {target} AS kept SET {assignments} FROM {staging} AS given
    WHERE {key} AND ({old}) IS DISTINCT FROM ({new})
    RETURNING {day} AS day
)
SELECT day, count(*) FROM differing GROUP BY day
"""

_INSERT_NEW = """
INSERT INTO {target} ({names}) SELECT {names} FROM {staging} AS given
WHERE NOT EXISTS (SELECT FROM {target} AS kept WHERE {key})
"""


def frame_of(columns: Iterable[Column[Any]], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Fetched rows as a frame whose dtypes follow the columns' declared types."""
    listed = list(columns)
    values = list(zip(*rows, strict=True)) or [()] * len(listed)
    return pd.DataFrame(
        {column.name: _series(column, given) for column, given in zip(listed, values, strict=True)}
    )


def _series(column: Column[Any], values: Sequence[Any]) -> pd.Series[Any]:
    kind = column.type
    if isinstance(kind, BigInteger):
        return pd.Series(values, dtype="Int64" if column.nullable else "int64")
    if isinstance(kind, Double):
        return pd.Series(values, dtype="float64")
    if isinstance(kind, Boolean):
        return pd.Series(values, dtype="boolean" if column.nullable else "bool")
    if isinstance(kind, DateTime):
        return pd.Series(values, dtype="datetime64[us, UTC]")
    if isinstance(kind, Numeric | Date | JSONB):
        return pd.Series(values, dtype="object")
    return pd.Series(values, dtype="str")


def _stage(connection: psycopg.Connection, table: Table, rows: pd.DataFrame) -> sql.Identifier:
    """Copy `rows` into a temporary twin of `table`; a key given twice is refused."""
    staging = sql.Identifier(f"staged_{table.name}")
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {}, PRIMARY KEY ({})) ON COMMIT DROP").format(
            staging, _identifier(table), _names(table.primary_key.columns)
        )
    )
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(staging, _names(table.columns))
    values = [_copied(column, rows[column.name]) for column in table.columns]
    with connection.cursor() as cursor, cursor.copy(copy) as destination:
        for row in zip(*values, strict=True):
            destination.write_row(row)
    return staging


def _copied(column: Column[Any], values: pd.Series[Any]) -> list[Any]:
    """The column's values as COPY takes them: None for missing, JSON as text."""
    missing = values.isna()
    plain = values.astype(object).where(~missing, None).tolist()
    if isinstance(column.type, JSONB):
        return [None if value is None else _json_text(value) for value in plain]
    return plain


_ESCAPE = re.compile(r"\\(u0000|.)")


def _json_text(value: object) -> str:
    """`value` as jsonb takes it, which stores neither NUL nor half of a surrogate pair.

    Both become what they become in labels (`meta/parse.py`): U+FFFD and a question mark.
    """
    text = json.dumps(value, ensure_ascii=False)
    if "\\u0000" in text:
        # Escape by escape, because a backslash that was sent before "u0000" is written twice.
        text = _ESCAPE.sub(lambda escape: "\\ufffd" if escape[1] == "u0000" else escape[0], text)
    return text.encode(errors="replace").decode()


def _covered(table: Table, slices: Sequence[Slice]) -> sql.Composable:
    """The condition that a row, of the target or staged, lies in one of the slices."""
    day = sql.Identifier(table.info["day"])
    conditions: list[sql.Composable] = []
    for part in slices:
        one: list[sql.Composable] = [
            sql.SQL("{} >= {} AND {} < {}").format(day, part.window.start, day, part.window.end)
        ]
        if part.account_id is not None:
            one.append(sql.SQL("account_id = {}").format(part.account_id))
        if part.ad_id is not None:
            one.append(sql.SQL("ad_id = {}").format(part.ad_id))
        conditions.append(sql.SQL("({})").format(sql.SQL(" AND ").join(one)))
    return sql.SQL(" OR ").join(conditions) if conditions else sql.SQL("FALSE")


def _refuse_uncovered(
    connection: psycopg.Connection,
    table: Table,
    staging: sql.Identifier,
    covered: sql.Composable,
) -> None:
    query = sql.SQL("SELECT {} FROM {} WHERE NOT ({}) LIMIT 1").format(
        _names(table.primary_key.columns), staging, covered
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


def _other_than_key(table: Table) -> list[Column[Any]]:
    keys = set(table.primary_key.columns)
    return [column for column in table.columns if column not in keys]


def _assignments(columns: Iterable[Column[Any]]) -> sql.Composable:
    return sql.SQL(", ").join(
        sql.SQL("{} = given.{}").format(sql.Identifier(column.name), sql.Identifier(column.name))
        for column in columns
    )


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
