"""What watching the models reads and leaves: matured pairs, states, requests to do something.

A request is written once for each breach and never taken back; what is known of its delivery is
added to its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import pandas as pd
import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import frame_of
from actuals_pipeline.warehouse.tables import prediction_accuracy

HISTORY_WEEKS = 104
"""Weeks that are looked back; a version that is older is judged by these."""
LOOKED_FOR_DAYS = 7
"""Days from its maturity on in which a pair is looked for, should a day have been left out."""
PROTOCOLS = ("launch_d7", "launch_ltd28")
"""Those whose comparisons become final."""

DAYS_BETWEEN_REQUESTS = 14


_PAIR_COLUMNS = (
    *("ad_id", "model_name", "model_version", "protocol", "status", "ctr_status", "roas_status"),
    *("matures_on", "is_attested", "is_provisional", "currency", "campaign_id", "impressions"),
    *("clicks", "spend", "conversions", "predicted_ctr", "predicted_roas", "actual_ctr"),
    *("actual_roas", "baseline_ctr", "baseline_roas", "dispersion", "roas_relative_se"),
)


def matured_pairs(warehouse: Warehouse, until: date) -> pd.DataFrame:
    """Every pair of a launch window that matured up to `until`, as it was on that day.

    A pair that has matured does not change any more, so it is read as of the first day on which
    it is stored with its maturity.  Revenue that was grown by a curve which no longer held on
    that day is provisional.
    """
    columns = [prediction_accuracy.columns[name] for name in _PAIR_COLUMNS]
    values = {
        "since": until - timedelta(weeks=HISTORY_WEEKS),
        "until": until,
        "days": LOOKED_FOR_DAYS,
        "protocols": list(PROTOCOLS),
    }
    query = sql.SQL(_MATURED).format(
        sql.SQL(", ").join(
            sql.SQL(_IS_PROVISIONAL)
            if column.name == "is_provisional"
            else sql.Identifier(column.name)
            for column in columns
        )
    )
    with warehouse.transaction() as connection:
        rows = connection.execute(query, values).fetchall()
    return frame_of(columns, rows)


# By the days since maturity, of which there is an index: a pair is stored daily for months.
_MATURED = """
SELECT DISTINCT ON (model_name, model_version, ad_id, protocol) {}
FROM actuals.prediction_accuracy AS pair
WHERE as_of_date - matures_on >= 0 AND as_of_date - matures_on < %(days)s
  AND protocol = ANY(%(protocols)s)
  AND as_of_date >= %(since)s AND as_of_date <= %(until)s
ORDER BY model_name, model_version, ad_id, protocol, as_of_date
"""

_IS_PROVISIONAL = """
is_provisional OR protocol = 'launch_ltd28' AND EXISTS (
    SELECT FROM actuals.revenue_development AS curve
    WHERE curve.as_of_date = pair.as_of_date AND curve.account_id = pair.account_id
      AND curve.age_days = 0 AND curve.pace = 'changed'
)
"""


class RetrainState(NamedTuple):
    """One row of `actuals.retrain_states`, but for when it was written."""

    model_name: str
    model_version: str
    metric: str
    as_of_date: date
    week: date
    state: str
    state_since: date
    breach_start: date | None
    causes: str | None
    action: str
    reason: str
    evidence: Sequence[Any]


class NewRequest(NamedTuple):
    """One row of `actuals.retrain_requests` before it is written."""

    request_key: str
    model_name: str
    model_version: str
    breach_start: date
    week: date
    as_of_date: date
    action: str
    reason: str
    evidence: Sequence[Any]


class StoredRequest(NamedTuple):
    """One row of `actuals.retrain_requests`."""

    request_key: str
    model_name: str
    model_version: str
    breach_start: date
    week: date
    as_of_date: date
    action: str
    reason: str
    evidence: Sequence[Any]
    requested_at: datetime
    delivered_at: datetime | None
    attempts: int
    last_attempt_at: datetime | None
    last_error: str | None


def keep_states(
    connection: psycopg.Connection, states: Sequence[RetrainState], as_of: date, now: datetime
) -> bool:
    """Make `retrain_states` equal to the states as of `as_of`; False if it has newer ones."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('actuals.retrain_states', 0))"
    )
    newest = connection.execute("SELECT max(as_of_date) FROM actuals.retrain_states").fetchone()
    if newest and newest[0] is not None and newest[0] > as_of:
        return False
    connection.execute(
        "DELETE FROM actuals.retrain_states WHERE (model_name, model_version, metric) NOT IN "
        "(SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))",
        [[each[at] for each in states] for at in range(3)],
    )
    for each in states:
        connection.execute(_KEEP_STATE, [*each[:-1], Jsonb(each.evidence), now])
    return True


_KEEP_STATE = """
INSERT INTO actuals.retrain_states AS kept
    (model_name, model_version, metric, as_of_date, week, state, state_since, breach_start,
     causes, action, reason, evidence, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (model_name, model_version, metric) DO UPDATE
SET as_of_date = excluded.as_of_date, week = excluded.week, state = excluded.state,
    state_since = excluded.state_since, breach_start = excluded.breach_start,
    causes = excluded.causes, action = excluded.action, reason = excluded.reason,
    evidence = excluded.evidence, updated_at = excluded.updated_at
WHERE (kept.as_of_date, kept.week, kept.state, kept.state_since, kept.breach_start,
       kept.causes, kept.action, kept.reason, kept.evidence)
    IS DISTINCT FROM
      (excluded.as_of_date, excluded.week, excluded.state, excluded.state_since,
       excluded.breach_start, excluded.causes, excluded.action, excluded.reason,
       excluded.evidence)
"""


def write_requests(
    connection: psycopg.Connection, requests: Sequence[NewRequest], now: datetime
) -> list[str]:
    """Write down the requests that are new; returns their keys.

    Whatever was asked about the same version within `DAYS_BETWEEN_REQUESTS` is the same breach,
    even if restated figures let it begin in another week.
    """
    written = []
    for each in requests:
        values = {
            **each._asdict(),
            "evidence": Jsonb(each.evidence),
            "now": now,
            "days": DAYS_BETWEEN_REQUESTS,
        }
        if connection.execute(_WRITE_REQUEST, values).rowcount:
            written.append(each.request_key)
    return written


_WRITE_REQUEST = """
INSERT INTO actuals.retrain_requests
    (request_key, model_name, model_version, breach_start, week, as_of_date, action, reason,
     evidence, requested_at)
SELECT %(request_key)s, %(model_name)s, %(model_version)s, %(breach_start)s, %(week)s,
       %(as_of_date)s, %(action)s, %(reason)s, %(evidence)s, %(now)s
WHERE NOT EXISTS (
    SELECT FROM actuals.retrain_requests AS earlier
    WHERE earlier.model_name = %(model_name)s AND earlier.model_version = %(model_version)s
      AND abs(earlier.week - %(week)s::date) < %(days)s
)
ON CONFLICT (request_key) DO NOTHING
"""


def undelivered(warehouse: Warehouse, most: int) -> list[StoredRequest]:
    """The oldest requests that were not handed over yet, at most `most` of them."""
    with warehouse.transaction() as connection:
        cursor = connection.cursor(row_factory=class_row(StoredRequest))
        return cursor.execute(_UNDELIVERED, [most]).fetchall()


def stored_request(warehouse: Warehouse, key: str) -> StoredRequest | None:
    """The request with this key, or None."""
    with warehouse.transaction() as connection:
        cursor = connection.cursor(row_factory=class_row(StoredRequest))
        return cursor.execute(_REQUEST, [key]).fetchone()


def note_attempt(warehouse: Warehouse, key: str, now: datetime) -> None:
    """Remember that handing the request over is being tried."""
    with warehouse.transaction() as connection:
        connection.execute(
            "UPDATE actuals.retrain_requests SET attempts = attempts + 1, last_attempt_at = %s "
            "WHERE request_key = %s",
            [now, key],
        )


def note_outcome(warehouse: Warehouse, key: str, *, error: str | None, now: datetime) -> None:
    """Remember what became of it: handed over now, or why not."""
    with warehouse.transaction() as connection:
        connection.execute(
            "UPDATE actuals.retrain_requests SET last_error = %s, "
            "delivered_at = CASE WHEN %s::text IS NULL THEN %s ELSE delivered_at END "
            "WHERE request_key = %s",
            [error, error, now, key],
        )


_REQUESTS = """
SELECT request_key, model_name, model_version, breach_start, week, as_of_date, action, reason,
       evidence, requested_at, delivered_at, attempts, last_attempt_at, last_error
FROM actuals.retrain_requests
"""

_REQUEST: LiteralString = _REQUESTS + "WHERE request_key = %s"
_UNDELIVERED: LiteralString = (
    _REQUESTS + "WHERE delivered_at IS NULL ORDER BY requested_at, request_key LIMIT %s"
)
