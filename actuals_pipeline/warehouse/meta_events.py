"""What Meta told of its own accord, each event once, and what it has not been asked about since."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg.rows import dict_row

from actuals_pipeline.warehouse.connection import Warehouse

MOST_HOURS_LATE = timedelta(hours=24)
"""An event that nobody asked about for so long is left to the hourly fetches."""


KEPT = timedelta(days=90)
"""How long events are kept; what they told of has long been fetched then."""


class Waiting(NamedTuple):
    """An account of which events came in after its last fetch began, and the first of them."""

    account_id: str
    since: datetime


_STORE = """
INSERT INTO actuals.meta_events
    (event_key, account_id, field, object_level, object_id, happened_at, value)
SELECT * FROM unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::jsonb[]
)
ON CONFLICT (event_key) DO NOTHING
"""

_WAITING = """
SELECT account_id, min(received_at)
FROM actuals.meta_events AS event
WHERE account_id = ANY(%(account_ids)s) AND received_at > %(oldest)s
  AND NOT EXISTS (
      SELECT FROM actuals.fetch_log AS logged
      WHERE logged.kind = 'account' AND logged.account_id = event.account_id
        AND logged.started_at >= event.received_at
  )
GROUP BY account_id
ORDER BY min(received_at), account_id
"""

_RECENT = """
SELECT received_at, happened_at, account_id, field, object_level, object_id, value
FROM actuals.meta_events
WHERE received_at > %(oldest)s
ORDER BY received_at DESC, event_key
LIMIT %(most)s
"""

_COUNT = """
SELECT count(*) FROM actuals.meta_events WHERE received_at > %(oldest)s
"""


def store(warehouse: Warehouse, events: Sequence[Any]) -> int:
    """Keep the events that are not kept yet; how many those are."""
    names = (
        "key", "account_id", "field", "object_level", "object_id", "happened_at", "value",
    )  # fmt: skip
    columns = [[getattr(event, name) for event in events] for name in names]
    with warehouse.transaction() as connection:
        return connection.execute(_STORE, columns).rowcount


def forget(warehouse: Warehouse, now: datetime) -> int:
    """Delete the events that came in longer than `KEPT` ago; how many those were."""
    with warehouse.transaction() as connection:
        query = "SELECT actuals.forget_meta_events(%s)"
        row = connection.execute(query, [now - KEPT]).fetchone()
    return row[0] if row else 0


def waiting(warehouse: Warehouse, account_ids: Collection[str], now: datetime) -> list[Waiting]:
    """The accounts to be asked early, those that have waited longest first."""
    values = {"account_ids": list(account_ids), "oldest": now - MOST_HOURS_LATE}
    with warehouse.transaction() as connection:
        return [Waiting(*row) for row in connection.execute(_WAITING, values).fetchall()]


def recent(warehouse: Warehouse, since: datetime, most: int) -> tuple[int, list[dict[str, Any]]]:
    """How many events came in after `since`, and the newest of them."""
    values = {"oldest": since, "most": most}
    with warehouse.transaction() as connection:
        count = connection.execute(_COUNT, values).fetchone()
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_RECENT, values).fetchall()
    return (count[0] if count else 0), rows
