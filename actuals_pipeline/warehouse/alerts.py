"""Alerts as Postgres keeps them: what is open, and the messages that wait to be sent.

One transaction measures, decides, writes what changed and the messages that tell it, under a
lock: of any number of processes that look at once, one tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import class_row, dict_row

from actuals_pipeline.alerts.delivery import Waiting
from actuals_pipeline.alerts.rules import (
    Changes,
    Message,
    OpenAlert,
    decide,
    message_of,
)
from actuals_pipeline.findings import Finding
from actuals_pipeline.storable import storable
from actuals_pipeline.warehouse.alert_measures import Watched, measure
from actuals_pipeline.warehouse.connection import Warehouse

KEPT = timedelta(days=90)
"""How long messages and pings that were taken are kept."""

FINDINGS_KEPT = timedelta(days=7)
"""After which a check that is not made any more is forgotten."""

PING_RETRY = timedelta(minutes=5)
"""From one failed ping to the next of the same run, until the next good tick."""


def begin_to_watch(warehouse: Warehouse, account_ids: Iterable[str], now: datetime) -> None:
    """From now on the schedule is to tick, and these accounts are to be fetched; once for each.

    So that what never happened at all is noticed, too.
    """
    with warehouse.transaction() as connection:
        connection.execute(_WATCH, {"subjects": ["", *account_ids], "now": now})


def evaluate(
    warehouse: Warehouse,
    watched: Watched,
    channels: Sequence[str],
    now: datetime,
    *,
    repeat_after: timedelta,
) -> Changes:
    """Look at everything, write down what changed, and leave a message for each channel."""
    with warehouse.transaction() as connection:
        # Before measuring, so that nobody decides by what another has already told.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('actuals.alerts', 0))")
        measured, rules = measure(connection, watched, now)
        changes = decide(
            _open(connection), measured, now, repeat_after=repeat_after, measured_rules=rules
        )
        _keep(connection, changes, now)
        message = message_of(changes, now)
        if message is not None:
            leave(connection, message, channels, now)
        _forget(connection, channels, now)
    return changes


def look(warehouse: Warehouse, watched: Watched, now: datetime) -> list[OpenAlert]:
    """What is open now, told to nobody: those that were, and those that would be opened."""
    with warehouse.transaction() as connection:
        measured, rules = measure(connection, watched, now)
        never = timedelta.max
        changes = decide(_open(connection), measured, now, repeat_after=never, measured_rules=rules)
    return [*changes.kept, *changes.opened]


def open_alerts(warehouse: Warehouse) -> list[OpenAlert]:
    """The alerts that are open, oldest first."""
    with warehouse.transaction() as connection:
        return _open(connection)


def waiting(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Channels that have not taken messages: channel, messages, attempts, since, last_error."""
    with warehouse.transaction() as connection:
        return connection.cursor(row_factory=dict_row).execute(_WAITING).fetchall()


def leave(
    connection: psycopg.Connection, message: Message, channels: Iterable[str], now: datetime
) -> None:
    """Leave a message for each of some channels."""
    for channel in channels:
        connection.execute(_LEAVE, [channel, *map(storable, message), now, now])


class PostgresOutbox:
    """The messages that wait in `actuals.alert_messages`."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def claim(self, channel: str, now: datetime, until: datetime) -> Waiting | None:
        """The oldest message that is due for a channel, ours until `until`."""
        values = {"channel": channel, "now": now, "until": until}
        with self._warehouse.transaction() as connection:
            cursor = connection.cursor(row_factory=class_row(_Claimed))
            row = cursor.execute(_CLAIM, values).fetchone()
        if row is None:
            return None
        return Waiting(row.id, channel, Message(row.kind, row.title, row.body), row.attempts)

    def settle(
        self, waiting: Waiting, error: str | None, now: datetime, next_attempt_at: datetime
    ) -> None:
        """It was taken now, or why not and when to try again."""
        taken_at = now if error is None else None
        with self._warehouse.transaction() as connection:
            connection.execute(_SETTLE, [taken_at, error, next_attempt_at, waiting.id])


class _Claimed(NamedTuple):
    id: int
    kind: Any
    title: str
    body: str
    attempts: int


def claim_heartbeat(
    warehouse: Warehouse, job: str, tiers: Sequence[str], now: datetime
) -> str | None:
    """The newest good run of an hourly tick, if it is to be told now, and not by somebody else.

    Good: it succeeded, and every account of it was fetched whole.
    """
    with warehouse.transaction() as connection:
        known = connection.execute("SELECT to_regclass('dagster.runs')").fetchone()
        if known is None or known[0] is None:
            return None
        values = {"job": job, "tiers": list(tiers), "now": now, "retry": PING_RETRY}
        row = connection.execute(_CLAIM_HEARTBEAT, values).fetchone()
    return str(row[0]) if row else None


def settle_heartbeat(warehouse: Warehouse, run_id: str, error: str | None, now: datetime) -> None:
    """The ping was taken now, or why not."""
    taken_at = now if error is None else None
    with warehouse.transaction() as connection:
        connection.execute(
            "UPDATE actuals.heartbeats SET delivered_at = %s, last_error = %s WHERE run_id = %s",
            [taken_at, error, run_id],
        )


def give_up_heartbeats(warehouse: Warehouse) -> None:
    """Nobody is to be told any more: forget the pings that were not taken."""
    with warehouse.transaction() as connection:
        connection.execute("DELETE FROM actuals.heartbeats WHERE delivered_at IS NULL")


def keep_findings(warehouse: Warehouse, findings: Iterable[Finding], now: datetime) -> None:
    """Remember how the daily health check came out; what it could not check stays as it was."""
    with warehouse.transaction() as connection:
        for each in findings:
            told = [each.name, each.subject, each.verdict, each.seen, each.advice]
            connection.execute(_KEEP_FINDING, [*map(storable, told), now])
        connection.execute(
            "DELETE FROM actuals.health_findings WHERE checked_at < %s", [now - FINDINGS_KEPT]
        )


def _open(connection: psycopg.Connection) -> list[OpenAlert]:
    return connection.cursor(row_factory=class_row(OpenAlert)).execute(_OPEN).fetchall()


def _keep(connection: psycopg.Connection, changes: Changes, now: datetime) -> None:
    for alert in changes.opened:
        connection.execute(_OPEN_ONE, _stored(alert))
    for alert in (*changes.repeated, *changes.kept):
        connection.execute(_KEEP_OPEN, _stored(alert))
    for alert, _ in changes.cleared:
        connection.execute(_CLEAR, [now, alert.rule, alert.subject])


def _stored(alert: OpenAlert) -> dict[str, Any]:
    texts = {"subject": storable(alert.subject), "message": storable(alert.message)}
    return {**alert._asdict(), **texts}


def _forget(connection: psycopg.Connection, channels: Sequence[str], now: datetime) -> None:
    before = now - KEPT
    connection.execute("DELETE FROM actuals.alert_messages WHERE delivered_at < %s", [before])
    connection.execute("DELETE FROM actuals.heartbeats WHERE created_at < %s", [before])
    # A channel that was taken out of ALERT_URLS takes nothing any more.
    connection.execute(
        "DELETE FROM actuals.alert_messages WHERE delivered_at IS NULL AND channel <> ALL(%s)",
        [list(channels)],
    )


_WATCH: LiteralString = """
INSERT INTO actuals.watched_since (subject, since)
SELECT DISTINCT subject, %(now)s::timestamptz FROM unnest(%(subjects)s::text[]) AS subject
ON CONFLICT (subject) DO NOTHING
"""

_OPEN: LiteralString = """
SELECT rule, subject, severity, message, advice, opened_at, last_sent_at
FROM actuals.alerts
WHERE cleared_at IS NULL
ORDER BY id
"""

_OPEN_ONE: LiteralString = """
INSERT INTO actuals.alerts (rule, subject, severity, message, advice, opened_at, last_sent_at)
VALUES (%(rule)s, %(subject)s, %(severity)s, %(message)s, %(advice)s, %(opened_at)s,
        %(last_sent_at)s)
"""

_KEEP_OPEN: LiteralString = """
UPDATE actuals.alerts
SET severity = %(severity)s, message = %(message)s, advice = %(advice)s,
    last_sent_at = %(last_sent_at)s
WHERE rule = %(rule)s AND subject = %(subject)s AND cleared_at IS NULL
  AND (severity, message, advice, last_sent_at)
      IS DISTINCT FROM (%(severity)s, %(message)s, %(advice)s, %(last_sent_at)s::timestamptz)
"""

_CLEAR: LiteralString = """
UPDATE actuals.alerts SET cleared_at = greatest(opened_at, %s)
WHERE rule = %s AND subject = %s AND cleared_at IS NULL
"""

_LEAVE: LiteralString = """
INSERT INTO actuals.alert_messages (channel, kind, title, body, created_at, next_attempt_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""

_CLAIM: LiteralString = """
UPDATE actuals.alert_messages SET attempts = attempts + 1, next_attempt_at = %(until)s
WHERE id = (
    SELECT id FROM actuals.alert_messages
    WHERE channel = %(channel)s AND delivered_at IS NULL AND next_attempt_at <= %(now)s
    ORDER BY id LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, kind, title, body, attempts
"""

_SETTLE: LiteralString = """
UPDATE actuals.alert_messages SET delivered_at = %s, last_error = %s, next_attempt_at = %s
WHERE id = %s AND delivered_at IS NULL
"""

_WAITING: LiteralString = """
SELECT channel, count(*) AS messages, max(attempts) AS attempts, min(created_at) AS since,
       (array_agg(last_error ORDER BY id) FILTER (WHERE last_error IS NOT NULL))[1] AS last_error
FROM actuals.alert_messages
WHERE delivered_at IS NULL
GROUP BY channel
ORDER BY channel
"""

_CLAIM_HEARTBEAT: LiteralString = """
WITH good AS (
    SELECT run.run_id
    FROM dagster.runs AS run
    WHERE run.pipeline_name = %(job)s AND run.status = 'SUCCESS'
      AND EXISTS (
          SELECT FROM dagster.run_tags AS tag
          WHERE tag.run_id = run.run_id AND tag.key = 'actuals/tier' AND tag.value = ANY(%(tiers)s)
      )
      AND NOT EXISTS (
          SELECT FROM actuals.fetch_log AS fetched
          WHERE fetched.run_id = run.run_id AND fetched.outcome <> 'complete'
      )
    ORDER BY run.id DESC
    LIMIT 1
)
INSERT INTO actuals.heartbeats AS ping (run_id, created_at, attempts, next_attempt_at)
SELECT run_id, %(now)s, 1, %(now)s + %(retry)s FROM good
ON CONFLICT (run_id) DO UPDATE
SET attempts = ping.attempts + 1, next_attempt_at = excluded.next_attempt_at
WHERE ping.delivered_at IS NULL AND ping.next_attempt_at <= %(now)s
RETURNING run_id
"""

_KEEP_FINDING: LiteralString = """
INSERT INTO actuals.health_findings (name, subject, verdict, seen, advice, checked_at)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (name, subject) DO UPDATE
SET verdict = excluded.verdict, seen = excluded.seen, advice = excluded.advice,
    checked_at = excluded.checked_at
"""
