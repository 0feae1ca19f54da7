"""The measures of the rules in `alerts/rules.py`: one query a rule, each row one subject.

A query gives `subject`, `value` in the rule's unit (null: unknown, and nothing changes) and `why`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple, Protocol

import psycopg
from psycopg.rows import class_row

from actuals_pipeline.alerts.rules import Measurement

logger = logging.getLogger(__name__)


class Watchable(Protocol):
    """The settings that say what is watched."""

    @property
    def meta_ad_account_ids(self) -> tuple[str, ...]:
        """Digits without act_."""

    @property
    def time_zone_name(self) -> str:
        """Of the schedule."""

    @property
    def week_days(self) -> int:
        """Days refreshed every six hours."""

    @property
    def min_age_hours(self) -> int:
        """Age from which a video's ad should have figures."""

    @property
    def max_age_days(self) -> int:
        """Age up to which it should."""


class Watched(NamedTuple):
    """What of the settings the measures depend on."""

    account_ids: tuple[str, ...]
    """Digits without act_."""
    time_zone: str
    """Of the schedule."""
    schedule: str
    week_days: int
    min_age: timedelta
    max_age: timedelta

    @classmethod
    def of(cls, settings: Watchable, schedule: str) -> Watched:
        """What the settings say."""
        return cls(
            settings.meta_ad_account_ids,
            settings.time_zone_name,
            schedule,
            settings.week_days,
            timedelta(hours=settings.min_age_hours),
            timedelta(days=settings.max_age_days),
        )


def measure(
    connection: psycopg.Connection, watched: Watched, now: datetime
) -> tuple[list[Measurement], set[str]]:
    """Every measurement, and the rules that could be measured.

    Some cannot without Dagster, or where the product's tables may not be read; that blinds no
    other rule.
    """
    known = connection.execute("SELECT to_regclass('dagster.runs')").fetchone()
    queries = {**MEASURES, **(OF_DAGSTER if known and known[0] is not None else {})}
    values = _values(watched, now)
    found: list[Measurement] = []
    rules = set()
    for rule, query in queries.items():
        try:
            # A savepoint, or one that fails would take those after it along.
            with connection.transaction(), connection.cursor(row_factory=class_row(_Row)) as cursor:
                found += [Measurement(rule, *row) for row in cursor.execute(query, values)]
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            logger.error("Alerts of %s cannot be judged: %s", rule, error.diag.message_primary)  # noqa: TRY400 - the story is the database's sentence
        else:
            rules.add(rule)
    return found, rules


class _Row(NamedTuple):
    subject: str
    value: float | None
    why: str | None


def _values(watched: Watched, now: datetime) -> dict[str, Any]:
    return {
        "now": now,
        "accounts": list(watched.account_ids),
        "zone": watched.time_zone,
        "schedule": watched.schedule,
        "days": watched.week_days,
        # public.videos.created_at is in UTC, without zone.
        "youngest": _utc(now - watched.min_age),
        "oldest": _utc(now - watched.max_age),
    }


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


# A fetch is of "today" if it reached the day of the schedule, or of the account where that is
# earlier; one of past days, however late it ran, does not count.  An account that was never fetched
# counts from when it was first to be.
_NO_RECENT_ACTUALS: LiteralString = """
SELECT 'act_' || asked.account_id AS subject,
       extract(epoch FROM %(now)s - coalesce(
           max(fetched.started_at + coalesce(fetched.duration_seconds, 0) * interval '1 second')
               FILTER (WHERE fetched.outcome = 'complete' AND fetched.until >= least(
                   (fetched.started_at AT TIME ZONE %(zone)s)::date,
                   (fetched.started_at AT TIME ZONE coalesce(known.time_zone, %(zone)s))::date
               )),
           min(fetched.started_at),
           known.fetched_at,
           watched.since
       ))::double precision / 3600 AS value,
       NULL AS why
FROM unnest(%(accounts)s::text[]) AS asked (account_id)
LEFT JOIN actuals.watched_since AS watched ON watched.subject = asked.account_id
LEFT JOIN LATERAL (
    SELECT max(time_zone) AS time_zone, max(fetched_at) AS fetched_at
    FROM actuals.meta_account_totals
    WHERE account_id = asked.account_id
) AS known ON TRUE
LEFT JOIN actuals.fetch_log AS fetched
    ON fetched.account_id = asked.account_id AND fetched.kind = 'account'
    AND fetched.started_at > %(now)s - interval '35 days' -- so that the whole log is not read
GROUP BY asked.account_id, known.fetched_at, watched.since
"""

# A day that was left out counts from its beginning.
_STALE_ACTUALS: LiteralString = """
SELECT 'act_' || known.account_id AS subject,
       max(extract(epoch FROM %(now)s - coalesce(
           total.fetched_at, day::timestamp AT TIME ZONE known.time_zone
       )))::double precision / 3600 AS value,
       (array_agg(day::date::text ORDER BY coalesce(
           total.fetched_at, day::timestamp AT TIME ZONE known.time_zone
       ), day))[1] AS why
FROM (
    SELECT account_id, max(time_zone) AS time_zone, min(report_date) AS first_day
    FROM actuals.meta_account_totals
    WHERE account_id = ANY(%(accounts)s)
    GROUP BY account_id
) AS known
CROSS JOIN LATERAL generate_series(
    greatest(
        known.first_day,
        (%(now)s::timestamptz AT TIME ZONE known.time_zone)::date - %(days)s::integer + 1
    )::timestamp,
    (%(now)s::timestamptz AT TIME ZONE known.time_zone)::date::timestamp,
    interval '1 day'
) AS day
LEFT JOIN actuals.meta_account_totals AS total
    ON total.account_id = known.account_id AND total.report_date = day::date
GROUP BY known.account_id
"""

_SUCCESS_RATE: LiteralString = """
SELECT '' AS subject,
       CASE WHEN count(*) >= 5
           THEN 100.0 * count(*) FILTER (WHERE outcome = 'complete') / count(*)
       END::double precision AS value,
       format('%%s of %%s were not', count(*) FILTER (WHERE outcome <> 'complete'), count(*)) AS why
FROM actuals.fetch_log
WHERE kind <> 'ad' AND started_at > %(now)s - interval '24 hours' AND started_at <= %(now)s
"""

_FAILED_FETCHES: LiteralString = """
SELECT 'act_' || asked.account_id AS subject,
       CASE WHEN count(fetched.id) >= 5 THEN
           100.0 * count(*) FILTER (WHERE fetched.outcome IN ('failed', 'refused'))
               / count(fetched.id)
       END::double precision AS value,
       (array_agg(fetched.error_class ORDER BY fetched.id DESC)
           FILTER (WHERE fetched.outcome IN ('failed', 'refused')))[1] AS why
FROM unnest(%(accounts)s::text[]) AS asked (account_id)
LEFT JOIN actuals.fetch_log AS fetched
    ON fetched.account_id = asked.account_id AND fetched.kind <> 'ad'
    AND fetched.started_at > %(now)s - interval '24 hours' AND fetched.started_at <= %(now)s
GROUP BY asked.account_id
"""

_RATE_LIMITS: LiteralString = """
SELECT 'act_' || asked.account_id AS subject,
       coalesce(sum(fetched.rate_limits_hit), 0)::double precision AS value, NULL AS why
FROM unnest(%(accounts)s::text[]) AS asked (account_id)
LEFT JOIN actuals.fetch_log AS fetched
    ON fetched.account_id = asked.account_id
    AND fetched.started_at > %(now)s - interval '24 hours' AND fetched.started_at <= %(now)s
GROUP BY asked.account_id
"""

_COVERAGE: LiteralString = """
SELECT '' AS subject,
       (100.0 * count(*) FILTER (WHERE has_rows) / count(*))::double precision AS value,
       format('%%s of %%s have none', count(*) FILTER (WHERE NOT has_rows), count(*)) AS why
FROM (
    SELECT DISTINCT trim(video.meta_platform_id::text) AS ad_id,
           known.account_id IS NOT NULL AS has_rows
    FROM public.videos AS video
    LEFT JOIN LATERAL (
        -- Of all its rows: to stop at the first, Postgres would read all ads' days until it comes.
        SELECT max(account_id) AS account_id FROM actuals.ad_actuals
        WHERE ad_id = trim(video.meta_platform_id::text)
    ) AS known ON TRUE
    WHERE trim(video.meta_platform_id::text) <> ''
      AND video.created_at <= %(youngest)s AND video.created_at >= %(oldest)s
) AS ads
HAVING count(*) > 0
"""

_ACCESS_ENDING: LiteralString = """
SELECT name AS subject, (verdict <> 'ok')::integer::double precision AS value,
       seen || '.' AS why
FROM actuals.health_findings
WHERE name IN ('token', 'data_access')
"""

_SPEND_NOT_RECONCILING: LiteralString = """
SELECT 'act_' || account_id || ' ' || report_date AS subject,
       (verdict = 'gap')::integer::double precision AS value,
       format('%%s %%s of %%s', spend_difference, currency, meta_spend) AS why
FROM actuals.spend_reconciliation
WHERE report_date > (%(now)s AT TIME ZONE %(zone)s)::date - 30
"""

# Of the newest day: a backfill judges earlier ones anew, which is no news of any budget.  Which
# of the reasons it was is said as budget_pacing has it.
_OVERSPEND: LiteralString = """
SELECT level || ' ' || budget_id AS subject,
       CASE verdict WHEN 'overspending' THEN 1.0 WHEN 'unknown' THEN NULL ELSE 0.0
       END::double precision AS value,
       format('%%s, %%s of %%s %%s spent by %%s', replace(reason, '_', ' '), spend, budget,
              currency, as_of_date) AS why
FROM actuals.budget_pacing
WHERE as_of_date = (
    SELECT max(as_of_date) FROM actuals.budget_pacing
    WHERE as_of_date <= (%(now)s AT TIME ZONE %(zone)s)::date + 1
)
UNION ALL
SELECT 'the investment', (spent_share > 1)::integer::double precision,
       format('%%s of %%s %%s spent by %%s', spend, investment_total, currency, as_of_date)
FROM actuals.investment_summary
WHERE scope = 'overall' AND investment_total IS NOT NULL AND as_of_date = (
    SELECT max(as_of_date) FROM actuals.investment_summary
    WHERE as_of_date <= (%(now)s AT TIME ZONE %(zone)s)::date + 1
)
"""

_DRIFT: LiteralString = """
SELECT model_name || ' ' || model_version || ' ' || metric AS subject,
       (breach_start IS NOT NULL)::integer::double precision AS value, reason AS why
FROM actuals.retrain_states
"""

_RETRAIN_REQUESTED: LiteralString = """
SELECT DISTINCT ON (request.model_name, request.model_version)
       request.model_name || ' ' || request.model_version AS subject,
       EXISTS (
           SELECT FROM actuals.retrain_states AS state
           WHERE state.model_name = request.model_name
             AND state.model_version = request.model_version AND state.breach_start IS NOT NULL
       )::integer::double precision AS value,
       replace(request.action, '_', ' ') || '. ' || request.reason AS why
FROM actuals.retrain_requests AS request
ORDER BY request.model_name, request.model_version, request.requested_at DESC
"""

_HEARTBEAT_FAILED: LiteralString = """
SELECT '' AS subject,
       CASE WHEN last_error IS NULL AND delivered_at IS NULL THEN NULL
            WHEN delivered_at IS NULL THEN attempts ELSE 0
       END::double precision AS value,
       last_error AS why
FROM actuals.heartbeats
ORDER BY created_at DESC
LIMIT 1
"""

_ALERTS_UNDELIVERED: LiteralString = """
SELECT channel AS subject,
       coalesce(extract(epoch FROM %(now)s - min(created_at)
           FILTER (WHERE delivered_at IS NULL))::double precision / 3600, 0) AS value,
       (array_agg(last_error ORDER BY id)
           FILTER (WHERE delivered_at IS NULL AND last_error IS NOT NULL))[1] AS why
FROM actuals.alert_messages
GROUP BY channel
"""

MEASURES: Final[Mapping[str, LiteralString]] = {
    "no_recent_actuals": _NO_RECENT_ACTUALS,
    "stale_actuals": _STALE_ACTUALS,
    "success_rate": _SUCCESS_RATE,
    "failed_fetches": _FAILED_FETCHES,
    "rate_limits": _RATE_LIMITS,
    "coverage": _COVERAGE,
    "token_expiring": _ACCESS_ENDING,
    "spend_not_reconciling": _SPEND_NOT_RECONCILING,
    "overspend": _OVERSPEND,
    "drift": _DRIFT,
    "retrain_requested": _RETRAIN_REQUESTED,
    "heartbeat_failed": _HEARTBEAT_FAILED,
    "alerts_undelivered": _ALERTS_UNDELIVERED,
}
"""By the name of the rule."""

_SCHEDULER_STOPPED: LiteralString = """
SELECT '' AS subject,
       extract(epoch FROM %(now)s - coalesce(
           max(to_timestamp((tick_body::jsonb ->> 'timestamp')::double precision)),
           (SELECT since FROM actuals.watched_since WHERE subject = '')
       ))::double precision / 3600 AS value,
       NULL AS why
FROM dagster.job_ticks -- its column `timestamp` is in the time zone of the session
WHERE type = 'SCHEDULE' AND status IN ('SUCCESS', 'SKIPPED')
  AND tick_body::jsonb ->> 'job_name' = %(schedule)s
"""

# It is mended by any later run that brought all of its days.
_BACKFILL_FAILED: LiteralString = """
WITH ranged AS (
    SELECT run.id, run.run_id, run.status, run.create_timestamp,
           coalesce(max(tag.value) FILTER (WHERE tag.key = 'dagster/asset_partition_range_start'),
                    run.partition) AS since,
           coalesce(max(tag.value) FILTER (WHERE tag.key = 'dagster/asset_partition_range_end'),
                    run.partition) AS until,
           bool_or(tag.key = 'dagster/backfill' OR tag.key = 'actuals/tier'
                   AND tag.value = 'backfill') AS is_backfill
    FROM dagster.runs AS run
    JOIN dagster.run_tags AS tag USING (run_id)
    WHERE run.create_timestamp > %(now)s::timestamptz AT TIME ZONE 'UTC' - interval '7 days'
      AND run.status IN ('SUCCESS', 'FAILURE')
    GROUP BY run.id
)
SELECT failed.run_id AS subject,
       (NOT EXISTS (
           SELECT FROM ranged AS later
           WHERE later.id > failed.id AND later.status = 'SUCCESS'
             AND later.since <= failed.since AND later.until >= failed.until
       ))::integer::double precision AS value,
       failed.since || '..' || failed.until AS why
FROM ranged AS failed
WHERE failed.is_backfill AND failed.status = 'FAILURE'
"""

OF_DAGSTER: Final[Mapping[str, LiteralString]] = {
    "scheduler_stopped": _SCHEDULER_STOPPED,
    "backfill_failed": _BACKFILL_FAILED,
}
"""Those that read Dagster's own tables, which may not be there yet."""
