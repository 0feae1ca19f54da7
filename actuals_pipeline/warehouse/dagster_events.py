"""What Dagster remembers of old runs, kept from growing without bound.

Every run writes several events a step, two an asset and day, and an execution a check and day.
Days are fetched again for a month, so nearly all of it is soon superseded, and Dagster deletes
none of it.  Deleting runs would: but with them the newest materialization of days that nobody
fetches any more, which then look as if they had never been made.

`prune_events` deletes of runs that ended longer ago than the retention, and of nothing else:

* events of an asset's partition that a newer event of the same kind supersedes, with their tags;
* executions of a check on a partition that a newer one supersedes, with their events;
* events that only say how a run went about it, and lines logged at INFO or below;
* of runs that succeeded also the start and the end of each step;
* steps that still wait for a place in a pool.

What stays is what is read again: each run with its tags, start and end; the newest event of each
kind of each partition, from which the state of partitions, its cache, staleness and the plots
come; the newest execution of each check and the newest completed one; every failure, warning and
error, and of runs that failed the steps, from which one retries; whatever a live run or an
unfinished backfill may look at.  Lost is the history of a partition's materializations.

Read in dagster 1.13.27: `_core/storage/event_log/sql_event_log.py` (what is looked up, nearly
always by the largest id of a kind and partition), `partition_status_cache.py` (a planned
materialization without a later one is a failed or running one), `_core/execution/plan/state.py`
(retries), `asset_backfill.py` (a backfill under way counts its runs' materializations).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from actuals_pipeline.errors import InputError
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.urls import DAGSTER_SCHEMA

RETENTION: Final = timedelta(days=30)
"""Chosen: longer than Meta restates figures (28 days), so that what a day went through is there
for as long as it can change."""

SHORTEST_RETENTION: Final = timedelta(days=1)
"""Within a day Dagster may retry a run that failed, from its events."""

BATCH_ROWS: Final = 5_000
"""Rows that one transaction deletes; chosen: a few tenths of a second."""

_OF_PARTITIONS: Final = (
    "ASSET_MATERIALIZATION",
    "ASSET_MATERIALIZATION_PLANNED",
    "ASSET_OBSERVATION",
    "FRESHNESS_STATE_CHANGE",
)
"""Of each the newest of an asset and partition (or of no partition) is what counts."""

_UNIMPORTANT: Final = (
    "ASSET_CHECK_EVALUATION_PLANNED",
    "ENGINE_EVENT",
    "HANDLED_OUTPUT",
    "LOADED_INPUT",
    "PIPELINE_CANCELING",
    "PIPELINE_DEQUEUED",
    "PIPELINE_ENQUEUED",
    "PIPELINE_STARTING",
    "RESOURCE_INIT_STARTED",
    "RESOURCE_INIT_SUCCESS",
    "STEP_INPUT",
    "STEP_OUTPUT",
    "STEP_WORKER_STARTED",
    "STEP_WORKER_STARTING",
)
"""How a run went about it.  The executions of checks hold a copy of what was planned."""

_OF_SUCCESS: Final = ("LOGS_CAPTURED", "STEP_START", "STEP_SUCCESS")
"""Unimportant too when all went well: most of what would be left of a run."""

_INFO: Final = 20
"""INFO's number in Python's logging; what is louder is kept."""

_ADVISORY_LOCK: Final = 6_118_204_977
"""Held by one batch at a time; any constant of our own (chosen at random)."""

_RECLAIM_LOCK: Final = 6_118_204_978
"""Held while space is reclaimed; another one, or the batches of others would wait for that."""

_DELETE: Final = sql.SQL("""
WITH ended AS (
    SELECT run.run_id, run.status
    FROM dagster.runs AS run
    WHERE run.status IN ('SUCCESS', 'FAILURE', 'CANCELED')
      AND coalesce(to_timestamp(run.end_time), run.update_timestamp AT TIME ZONE 'UTC')
          < %(before)s
      AND NOT EXISTS (
          SELECT FROM dagster.bulk_actions AS backfill
          WHERE backfill.key = run.backfill_id
            AND backfill.status NOT IN
                ('COMPLETED', 'COMPLETED_SUCCESS', 'COMPLETED_FAILED', 'FAILED', 'CANCELED')
      )
), doomed AS (
    {doomed} ORDER BY id LIMIT %(rows)s
), gone AS (
    DELETE FROM {table} AS old USING doomed WHERE old.id = doomed.id
    RETURNING old.id, doomed.kind, pg_column_size(old.*) AS bytes
)
SELECT kind, count(*), sum(bytes)::bigint, max(id) FROM gone GROUP BY kind
""")

_CHECK_EXECUTIONS: Final = """
SELECT execution.id, 'check_executions' AS kind
FROM dagster.asset_check_executions AS execution
LEFT JOIN ended ON ended.run_id = execution.run_id
WHERE execution.id > %(after)s
  AND (
      ended.run_id IS NOT NULL
      OR coalesce(execution.run_id, '') = ''
         AND execution.evaluation_event_timestamp AT TIME ZONE 'UTC' < %(before)s
  )
  AND execution.id NOT IN (
      -- A newer one that is only planned leaves the last verdict standing.
      SELECT unnest(array_remove(ARRAY[
          max(id), max(id) FILTER (WHERE execution_status <> 'PLANNED')
      ], NULL))
      FROM dagster.asset_check_executions
      GROUP BY asset_key, check_name, partition
  )
"""

_EVENTS: Final = """
SELECT event.id, verdict.kind
FROM dagster.event_logs AS event
LEFT JOIN ended ON ended.run_id = event.run_id
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN event.dagster_event_type = ANY(%(of_partitions)s) THEN
            -- Two questions: an index answers each, and none answers both in one.
            CASE WHEN EXISTS (
                SELECT FROM dagster.event_logs AS newer
                WHERE newer.asset_key = event.asset_key
                  AND newer.dagster_event_type = event.dagster_event_type
                  AND newer.partition = event.partition AND newer.id > event.id
            ) OR event.partition IS NULL AND EXISTS (
                SELECT FROM dagster.event_logs AS newer
                WHERE newer.asset_key = event.asset_key
                  AND newer.dagster_event_type = event.dagster_event_type
                  AND newer.partition IS NULL AND newer.id > event.id
            ) THEN 'superseded_events' END
        WHEN event.dagster_event_type = 'ASSET_CHECK_EVALUATION' THEN
            CASE WHEN event.id NOT IN (
                SELECT evaluation_event_storage_id FROM dagster.asset_check_executions
                WHERE evaluation_event_storage_id IS NOT NULL
            ) THEN 'superseded_events' END
        -- The last "level" is the event's own: after it come texts and numbers only.
        WHEN substring(event.event FROM '.*"level": (\\d+)')::integer > %(info)s THEN NULL
        WHEN event.dagster_event_type IS NULL THEN 'log_lines'
        WHEN event.dagster_event_type = ANY(%(unimportant)s) THEN 'unimportant_events'
        WHEN event.dagster_event_type = ANY(%(of_success)s) AND ended.status = 'SUCCESS'
            THEN 'unimportant_events'
    END AS kind
) AS verdict
WHERE event.id > %(after)s AND event.id <= %(last)s
  AND (
      ended.run_id IS NOT NULL
      -- Reported by the daemon or by a person, in no run.
      OR coalesce(event.run_id, '') = '' AND event.timestamp AT TIME ZONE 'UTC' < %(before)s
  )
  AND verdict.kind IS NOT NULL
"""

_EVENT_TAGS: Final = """
SELECT tag.id, 'event_tags' AS kind
FROM dagster.asset_event_tags AS tag
WHERE tag.id > %(after)s
  AND NOT EXISTS (SELECT FROM dagster.event_logs AS event WHERE event.id = tag.event_id)
"""

_PENDING_STEPS: Final = """
SELECT step.id, 'pending_steps' AS kind
FROM dagster.pending_steps AS step JOIN ended ON ended.run_id = step.run_id
WHERE step.id > %(after)s
"""

_UNFINISHED_INDEXES: Final = """
SELECT index.relname
FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
WHERE indrelid = %s::regclass AND NOT indisvalid AND index.relname ~ '_cc(new|old)[0-9]*$'
"""
"""What a rebuild leaves that was interrupted: written at each insert, read by nobody."""

_DOOMED: Final = {
    # The executions first: an evaluation is superseded when none of them refers to it.
    "asset_check_executions": sql.SQL(_CHECK_EXECUTIONS),
    "event_logs": sql.SQL(_EVENTS),
    "asset_event_tags": sql.SQL(_EVENT_TAGS),
    "pending_steps": sql.SQL(_PENDING_STEPS),
}
"""By table, in the order of the prune: the rows to delete, each with what it counts as."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows of each kind a prune deleted, and how many bytes they took."""

    superseded_events: int
    unimportant_events: int
    log_lines: int
    event_tags: int
    check_executions: int
    pending_steps: int
    bytes: int


def prune_events(
    warehouse: Warehouse,
    older_than: timedelta = RETENTION,
    *,
    now: datetime,
    batch_rows: int = BATCH_ROWS,
) -> Pruned:
    """Delete what runs that ended before `now - older_than` left behind and nobody reads again.

    `now` is aware.  Each batch is a transaction of its own, so that nobody waits for long, and a
    prune that is interrupted is finished by the next.  Indexes are rebuilt and give their space
    back to the disk, that of rows becomes free for new ones.  Does nothing where Dagster has no
    tables yet.  Raises `InputError` if `older_than` is less than a day.
    """
    if older_than < SHORTEST_RETENTION:
        raise InputError(
            "Events of the last day are always kept, because Dagster may retry from them: prune "
            "what is older than a day or more."
        )
    values = {
        "before": now - older_than,
        "last": _last_event(warehouse),
        "rows": batch_rows,
        "of_partitions": list(_OF_PARTITIONS),
        "unimportant": list(_UNIMPORTANT),
        "of_success": list(_OF_SUCCESS),
        "info": _INFO,
    }
    pruned = Counter(dict.fromkeys(Pruned.__slots__, 0))
    if values["last"] is not None:
        for table in _DOOMED:
            _prune_table(warehouse, table, values, pruned)
    if pruned.total():
        _reclaim(warehouse)
    return Pruned(**pruned)


def bytes_by_table(warehouse: Warehouse) -> dict[str, int]:
    """Bytes on disk of each table of Dagster's with its indexes, the largest first."""
    query = """
        SELECT relname, pg_total_relation_size(oid) AS bytes
        FROM pg_class
        WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'
        ORDER BY bytes DESC, relname
    """
    with warehouse.transaction() as connection:
        return dict(connection.execute(query, [DAGSTER_SCHEMA]).fetchall())


def _last_event(warehouse: Warehouse) -> int | None:
    """The newest event, behind which a prune does not look; None before Dagster's first start."""
    with warehouse.transaction() as connection:
        known = connection.execute("SELECT to_regclass('dagster.event_logs')").fetchone()
        if known is None or known[0] is None:
            return None
        newest = connection.execute("SELECT coalesce(max(id), 0) FROM dagster.event_logs")
        return int(newest.fetchall()[0][0])


def _prune_table(
    warehouse: Warehouse, table: str, values: Mapping[str, Any], pruned: Counter[str]
) -> None:
    """Delete the doomed rows of `table` in batches, by id, and add them to `pruned`."""
    query = _DELETE.format(doomed=_DOOMED[table], table=sql.Identifier(DAGSTER_SCHEMA, table))
    after, n_rows = 0, values["rows"]
    while n_rows == values["rows"]:
        with warehouse.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            found = connection.execute(query, {**values, "after": after}).fetchall()
        n_rows = 0
        for kind, n_of_kind, n_bytes, newest in found:
            pruned[kind] += n_of_kind
            pruned["bytes"] += n_bytes
            n_rows += n_of_kind
            after = max(after, newest)


def _reclaim(warehouse: Warehouse) -> None:
    """Make the space of deleted rows free for new ones, while everybody reads and writes."""
    # Two rebuilds of an index at once wait for one another; whoever comes second need not.
    # Without parameters: those would leave a portal open whose snapshot the rebuild waits for.
    query = sql.SQL("SELECT pg_try_advisory_xact_lock({})").format(sql.Literal(_RECLAIM_LOCK))
    with warehouse.transaction() as guard:
        (is_ours,) = guard.execute(query).fetchall()
        if is_ours == (True,):
            with warehouse.autocommit() as connection:
                for table in _DOOMED:
                    _reclaim_table(connection, table)


def _reclaim_table(connection: psycopg.Connection, name: str) -> None:
    table = sql.Identifier(DAGSTER_SCHEMA, name)
    connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(table))
    for (index,) in connection.execute(_UNFINISHED_INDEXES, [f"{DAGSTER_SCHEMA}.{name}"]):
        drop = sql.SQL("DROP INDEX CONCURRENTLY {}")
        connection.execute(drop.format(sql.Identifier(DAGSTER_SCHEMA, index)))
    # Their keys only grow, so that the few rows that stay would keep nearly every page.
    connection.execute(sql.SQL("REINDEX TABLE CONCURRENTLY {}").format(table))
