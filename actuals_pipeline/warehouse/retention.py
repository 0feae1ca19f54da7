"""Forget payloads that are older than anybody needs; the figures made of them stay.

Payloads (`raw_meta_insights`) take most of the space and are what figures are made of.  Whole
months of them are dropped, and `pruned_months` remembers up to which fetch an account's payloads
of a month are gone.  So figures are never made anew, that is deleted, for want of payloads, not
even when some days of a pruned month are fetched again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd
import psycopg
from psycopg import errors, sql

from actuals_pipeline.errors import InputError, WarehouseUnavailable
from actuals_pipeline.report_days import MOST_RETENTION_MONTHS, DayWindow, retention_floor
from actuals_pipeline.warehouse import months, store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.tables import raw_meta_insights

PATIENCE_SECONDS = 10.0
"""How long the table is waited for, and with it everybody who comes after us.

Chosen: longer than a part takes to be stored, shorter than anybody's patience.
"""


@dataclass(frozen=True, slots=True)
class Pruned:
    """The months (first days) of payloads that were removed, in order, with all that was in them.

    `bytes` is on disk, indexes included.
    """

    months: tuple[date, ...]
    rows: int
    bytes: int


def prune(
    warehouse: Warehouse,
    keep_months: int,
    today: date,
    *,
    dry_run: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Pruned:
    """Drop the months of payloads that lie wholly before the last `keep_months`, seen on `today`.

    One transaction, under the lock of those who write payloads; nothing else is touched.  With
    `dry_run` nothing is removed and the answer is what would be.  `InputError` unless `keep_months`
    is 1 to 1200; `WarehouseUnavailable` when somebody uses the payloads all the while.
    """
    if not 1 <= keep_months <= MOST_RETENTION_MONTHS:
        raise InputError(
            f"{keep_months} months of payloads cannot be kept: give a number from 1 (what Meta "
            f"still restates) to {MOST_RETENTION_MONTHS}."
        )
    floor = retention_floor(today, keep_months)
    with warehouse.transaction() as connection:
        old = _before(connection, floor)
        if dry_run or not old:
            return _content(connection, old)
        _wait_for_the_table(connection, patience_seconds)
        # Looked up again, because others may have pruned or stored while we waited.
        old = _before(connection, floor)
        pruned = _content(connection, old)
        _remember(connection, old)
        months.drop(connection, raw_meta_insights, old)
    return pruned


def with_payloads(warehouse: Warehouse, totals: pd.DataFrame) -> pd.DataFrame:
    """Those of some `meta_account_totals` of whose account-days the payloads are kept.

    Of the others no figure may be made anew.  To be asked after payloads were read: what was
    pruned in between has not been read whole.
    """
    with warehouse.transaction() as connection:
        stored = set(months.stored(connection, raw_meta_insights))
        pruned = {
            (account_id, month): fetched_until
            for account_id, month, fetched_until in connection.execute(_PRUNED).fetchall()
        }

    def has_payloads(account_id: str, day: date, fetched_at: datetime) -> bool:
        month = months.first_of_month(day)
        gone_until = pruned.get((account_id, month))
        return month in stored and (gone_until is None or fetched_at > gone_until)

    facts = totals[["account_id", "report_date", "fetched_at"]]
    kept = [has_payloads(*fact) for fact in facts.itertuples(index=False, name=None)]
    return totals[pd.Series(kept, index=totals.index, dtype="bool")]


_PRUNED = "SELECT account_id, month, fetched_until FROM actuals.pruned_months"


def _before(connection: psycopg.Connection, floor: date) -> list[date]:
    """The months that the table has and that end before `floor`."""
    stored = months.stored(connection, raw_meta_insights)
    return [month for month in stored if months.next_month(month) <= floor]


def _wait_for_the_table(connection: psycopg.Connection, seconds: float) -> None:
    """Keep everybody off the payloads.

    First and at once, as dropping a month demands it: a writer has looked at the table before it
    waits for its months, and would never get them from somebody who waits for the table.
    """
    milliseconds = str(round(seconds * 1000))
    connection.execute("SELECT set_config('lock_timeout', %s, true)", [milliseconds])
    try:
        connection.execute("LOCK TABLE ONLY actuals.raw_meta_insights IN ACCESS EXCLUSIVE MODE")
    except errors.LockNotAvailable as error:
        raise WarehouseUnavailable(
            f"Somebody has been using {raw_meta_insights.fullname} for {seconds:g} s, "
            "perhaps a backup: nothing was removed; run it again later."
        ) from error


def _content(connection: psycopg.Connection, old: Sequence[date]) -> Pruned:
    """What is in some months; nothing is changed."""
    rows = size = 0
    for month in old:
        name = months.partition_name(raw_meta_insights, month)
        partition = sql.Identifier(str(raw_meta_insights.schema), name)
        query = sql.SQL("SELECT count(*), pg_total_relation_size({}) FROM {}").format(
            partition.as_string(connection), partition
        )
        for n_rows, n_bytes in connection.execute(query).fetchall():
            rows, size = rows + n_rows, size + n_bytes
    return Pruned(tuple(old), rows, size)


def _remember(connection: psycopg.Connection, old: Sequence[date]) -> None:
    """Note up to which fetch the payloads of each account are gone."""
    store.hold(
        connection,
        raw_meta_insights,
        [DayWindow(month, months.next_month(month)) for month in old],
    )
    for month in old:
        connection.execute(_REMEMBER, {"month": month, "end": months.next_month(month)})


# Whoever stores payloads stores the account's totals with them, so that these tell the fetch.
_REMEMBER = """
INSERT INTO actuals.pruned_months (account_id, month, rows, fetched_until, pruned_at)
SELECT account_id, %(month)s, coalesce(payloads.rows, 0), fetched_until, clock_timestamp()
FROM (
    SELECT account_id, max(fetched_at) AS fetched_until
    FROM actuals.meta_account_totals
    WHERE report_date >= %(month)s AND report_date < %(end)s
    GROUP BY account_id
) AS fetched
LEFT JOIN (
    SELECT account_id, count(*) AS rows
    FROM actuals.raw_meta_insights
    WHERE report_date >= %(month)s AND report_date < %(end)s
    GROUP BY account_id
) AS payloads USING (account_id)
ON CONFLICT (account_id, month) DO UPDATE
SET rows = excluded.rows, fetched_until = excluded.fetched_until, pruned_at = excluded.pruned_at
"""
