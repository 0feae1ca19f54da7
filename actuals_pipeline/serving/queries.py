"""The read models: what readers ask of the warehouse, and the only SQL for readers.

Amounts of different currencies are never added: each answer that holds money has one entry per
currency, and single totals only where there is a single currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from actuals_pipeline.accuracy.protocols import BY_WORTH
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow, report_day, time_zone
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse

Row = dict[str, Any]

Source = Literal["meta", "stand-in", "mixed"]
"""Who gave figures: Meta, the local stand-in, or both."""

ScheduleState = Literal["running", "no_daemon", "switched_off"]
"""Whether the hourly schedule fires, or why not."""


@dataclass(frozen=True, slots=True)
class Money:
    """What was spent and earned in one currency, major units."""

    currency: str
    spend: Decimal
    revenue: Decimal
    conversions: int
    impressions: int
    clicks: int
    settled_spend: Decimal

    @property
    def roas(self) -> Decimal | None:
        """Revenue / spend, a multiple; None without spend."""
        return self.revenue / self.spend if self.spend else None

    @property
    def cpa(self) -> Decimal | None:
        """Spend / conversions; None without conversions."""
        return self.spend / self.conversions if self.conversions else None

    @property
    def conversion_rate(self) -> Decimal | None:
        """Conversions / clicks (all), a fraction; None without clicks."""
        return Decimal(self.conversions) / self.clicks if self.clicks else None

    @property
    def ctr(self) -> Decimal | None:
        """Clicks / impressions, a fraction; None without impressions."""
        return Decimal(self.clicks) / self.impressions if self.impressions else None

    @property
    def settled_share(self) -> Decimal | None:
        """Share of the spend on days that Meta restates no more; None without spend."""
        return self.settled_spend / self.spend if self.spend else None


@dataclass(frozen=True, slots=True)
class DayOfMoney:
    """The money of one report day in one currency."""

    report_date: date
    money: Money


_MONEY = """
SELECT {day}currency, sum(spend) AS spend, sum(revenue) AS revenue,
       sum(conversions)::bigint AS conversions, sum(impressions)::bigint AS impressions,
       sum(clicks)::bigint AS clicks,
       coalesce(sum(spend) FILTER (WHERE is_settled), 0) AS settled_spend
FROM {figures} AS actual
WHERE report_date >= %(since)s AND report_date <= %(until)s
  -- A single ad's fetch may have stored days on which its account was never fetched whole.
  AND EXISTS (
      SELECT FROM {fetched} AS total
      WHERE total.account_id = actual.account_id AND total.report_date = actual.report_date
  )
GROUP BY {day}currency
ORDER BY {day}currency
"""

_BY_DAY = sql.SQL("report_date, ")

_INVESTMENT: LiteralString = """
SELECT *
FROM actuals.investment_summary
WHERE as_of_date = (
    SELECT max(as_of_date) FROM actuals.investment_summary WHERE as_of_date <= %(until)s
)
ORDER BY scope, currency
"""

_BUDGETS: LiteralString = """
SELECT *
FROM actuals.budget_pacing
WHERE as_of_date = (
    SELECT max(as_of_date) FROM actuals.budget_pacing
    WHERE as_of_date <= coalesce(%(until)s, as_of_date)
)
ORDER BY
    array_position(
        ARRAY['overspending', 'underspending', 'unknown', 'on_track', 'paused'], verdict
    ),
    level DESC, name, budget_id
"""

_NOW = {
    "figures": sql.SQL("actuals.ad_actuals"),
    "fetched": sql.SQL("actuals.meta_account_totals"),
}

# Fetched whole by the end of a day, and the figures of its ads, if it has any, made of it by then.
_FETCHED_BY = """
SELECT total.account_id, total.report_date
FROM actuals.meta_account_totals AS total
LEFT JOIN (
    SELECT account_id, report_date, min(as_of_date) AS known_on
    FROM actuals.ad_actuals_revisions
    WHERE report_date >= %(since)s AND report_date <= %(until)s
    GROUP BY account_id, report_date
) AS ads USING (account_id, report_date)
WHERE total.report_date >= %(since)s AND total.report_date <= %(until)s
  AND (ads.known_on IS NULL OR ads.known_on <= %(as_of)s)
  AND EXISTS (
      SELECT FROM actuals.fetch_log AS logged
      WHERE logged.kind = 'account' AND logged.outcome = 'complete'
        AND logged.since <= %(until)s AND logged.until >= %(since)s
        AND logged.account_id = total.account_id
        AND total.report_date BETWEEN logged.since AND logged.until
        AND (logged.started_at AT TIME ZONE total.time_zone)::date
            BETWEEN total.report_date AND %(as_of)s
  )
"""

_THEN = {
    "figures": sql.SQL("actuals.ad_actuals_as_of(%(as_of)s)"),
    "fetched": sql.SQL("({})").format(sql.SQL(_FETCHED_BY)),
}

_DAYS_KNOWN = """
SELECT account_id, count(report_date) AS days
FROM (SELECT DISTINCT account_id FROM actuals.meta_account_totals) AS account
LEFT JOIN {fetched} AS fetched USING (account_id)
GROUP BY account_id
ORDER BY account_id
"""

_FIRST_FETCH: LiteralString = """
SELECT min((started_at AT TIME ZONE time_zone)::date) AS day
FROM (
    SELECT account_id, min(started_at) AS started_at
    FROM actuals.fetch_log
    WHERE kind = 'account' AND outcome = 'complete'
    GROUP BY account_id
) AS logged
JOIN (
    SELECT account_id, max(time_zone) AS time_zone
    FROM actuals.meta_account_totals
    GROUP BY account_id
) AS account USING (account_id)
"""

_PROVISIONAL: LiteralString = """
SELECT total.account_id, total.report_date, total.age_days,
       coalesce(ads.revenue, 0) AS revenue, coalesce(ads.conversions, 0) AS conversions,
       expected.revenue_share, expected.conversions_share
FROM (
    SELECT account_id, report_date,
           (fetched_at AT TIME ZONE time_zone)::date - report_date AS age_days
    FROM actuals.meta_account_totals
    WHERE report_date >= %(since)s AND report_date <= %(until)s
) AS total
LEFT JOIN (
    SELECT account_id, report_date, sum(revenue) AS revenue,
           sum(conversions)::bigint AS conversions
    FROM actuals.ad_actuals
    WHERE report_date >= %(since)s AND report_date <= %(until)s
    GROUP BY account_id, report_date
) AS ads USING (account_id, report_date)
-- Of a day that is not over the shares say nothing: they are of its end.
LEFT JOIN actuals.completeness_by_age AS expected
    ON expected.account_id = total.account_id AND expected.age_days = nullif(total.age_days, 0)
WHERE total.age_days <= %(settled_after)s
ORDER BY total.account_id, total.report_date
"""

_MODELS: LiteralString = """
WITH last_scored AS (
    SELECT max(as_of_date) AS as_of_date FROM actuals.model_accuracy WHERE as_of_date <= %(until)s
), counted AS (
    SELECT string_agg(DISTINCT attribution_setting, ', ') AS attribution
    FROM actuals.ad_actuals
    WHERE report_date > (SELECT as_of_date FROM last_scored) - 28
      AND report_date <= (SELECT as_of_date FROM last_scored)
)
SELECT model_accuracy.*, attribution, ctr_calibration
FROM actuals.model_accuracy
CROSS JOIN counted
LEFT JOIN (
    SELECT as_of_date, model_name, model_version, protocol, value AS ctr_calibration
    FROM actuals.model_statistics
    WHERE statistic = 'ctr_calibration' AND segment = ''
) AS calibration USING (as_of_date, model_name, model_version, protocol)
WHERE as_of_date = (SELECT as_of_date FROM last_scored)
  AND (protocol <> 'headline_unattested' OR n_pairs > 0)
ORDER BY
    -- A headline of nothing says only what it left out, and comes last.
    protocol = 'headline' AND n_pairs = 0,
    array_position(%(by_worth)s::text[], protocol), n_pairs DESC, model_name, model_version DESC
"""

_RECONCILED: LiteralString = """
SELECT currency, verdict, count(*) AS account_days, sum(spend_difference) AS spend_difference
FROM actuals.spend_reconciliation
WHERE report_date >= %(since)s AND report_date <= %(until)s
GROUP BY currency, verdict
ORDER BY currency, verdict
"""

_KNOWN_DAYS: LiteralString = """
SELECT min(report_date) AS since, max(report_date) AS until FROM actuals.meta_account_totals
"""

_SOURCE: LiteralString = """
SELECT bool_or(is_stand_in) AS any_stand_in, bool_and(is_stand_in) AS only_stand_in
FROM actuals.meta_account_totals
WHERE report_date >= %(since)s AND report_date <= %(until)s
"""

_FETCH_STATS: LiteralString = """
SELECT count(*) AS total_fetches,
       count(*) FILTER (WHERE outcome = 'complete') AS successful_fetches,
       count(*) FILTER (WHERE outcome <> 'complete') AS failed_fetches,
       coalesce(sum(rate_limits_hit), 0)::bigint AS rate_limits_hit
FROM actuals.fetch_log
"""

_FETCHES_BY_OUTCOME: LiteralString = """
SELECT outcome, count(logged.id) AS fetches
FROM unnest(ARRAY['complete', 'rate_limited', 'refused', 'failed']) AS outcome
LEFT JOIN actuals.fetch_log AS logged USING (outcome)
GROUP BY outcome
ORDER BY outcome
"""

_NEWEST_FETCHES: LiteralString = """
SELECT DISTINCT ON (account_id) account_id, fetched_at
FROM actuals.meta_account_totals
ORDER BY account_id, report_date DESC
"""

_LAST_RUN: LiteralString = """
SELECT run_id, min(since) AS since, max(until) AS until, min(started_at) AS started_at,
       max(started_at + duration_seconds * interval '1 second') AS finished_at
FROM actuals.fetch_log
WHERE kind = 'account'
GROUP BY run_id
ORDER BY started_at DESC
LIMIT 1
"""

_SPAN_OF_RUN: LiteralString = """
SELECT to_timestamp(start_time) AS started_at, to_timestamp(end_time) AS finished_at
FROM dagster.runs
WHERE run_id = %(run_id)s AND start_time IS NOT NULL AND end_time IS NOT NULL
"""

_FETCHES_OF_RUNS: LiteralString = """
SELECT DISTINCT ON (account_id) account_id, outcome, error_class, error_message
FROM (
    -- A step that waited for Meta and began again has fetched the same days more than once.
    SELECT DISTINCT ON (run_id, account_id, since) *
    FROM actuals.fetch_log
    WHERE run_id = ANY(%(run_ids)s)
    ORDER BY run_id, account_id, since, id DESC
) AS latest
ORDER BY account_id, (outcome = 'complete'), id DESC
"""

_ELIGIBLE_ADS: LiteralString = """
SELECT DISTINCT trim(video.meta_platform_id::text) AS ad_id, known.account_id,
       coalesce(known.has_rows, FALSE) AS has_rows
FROM public.videos AS video
LEFT JOIN LATERAL (
    -- Every row of the ad: to stop at the first, Postgres would read all ads' days until it comes.
    SELECT max(account_id) AS account_id,
           bool_or(report_date >= %(since)s AND report_date <= %(until)s) AS has_rows
    FROM actuals.ad_actuals
    WHERE ad_id = trim(video.meta_platform_id::text)
) AS known ON TRUE
WHERE trim(video.meta_platform_id::text) <> ''
  AND video.created_at <= %(youngest)s AND video.created_at >= %(oldest)s
"""

_SCHEDULER: LiteralString = """
SELECT max(to_timestamp((body::jsonb ->> 'timestamp')::double precision)) AS heartbeat
FROM dagster.daemon_heartbeats -- its column `timestamp` is in the time zone of the session
WHERE daemon_type = 'SCHEDULER'
"""

_LAST_OUTCOMES: LiteralString = """
SELECT DISTINCT ON (account_id) account_id, outcome, error_message, started_at
FROM actuals.fetch_log
WHERE kind = 'account' AND account_id = ANY(%(account_ids)s)
ORDER BY account_id, id DESC
"""

_SCHEDULE_STATE: LiteralString = """
SELECT status FROM dagster.instigators
WHERE instigator_body::jsonb -> 'origin' ->> 'job_name' = %(schedule)s
ORDER BY update_timestamp DESC LIMIT 1
"""

_LAST_TICK: LiteralString = """
SELECT to_timestamp((tick_body::jsonb ->> 'timestamp')::double precision) AS ticked_at, status
FROM dagster.job_ticks -- its column `timestamp` is in the time zone of the session
WHERE type = 'SCHEDULE' AND tick_body::jsonb ->> 'job_name' = %(schedule)s
ORDER BY id DESC LIMIT 1
"""

HEARTBEAT_TOLERANCE = timedelta(seconds=120)
"""The daemon writes every 30 s; Dagster itself calls one dead after 5 minutes."""


_FETCHED_DAYS: LiteralString = """
SELECT account_id, max(time_zone) AS time_zone,
       count(*) FILTER (WHERE report_date >= %(since)s AND report_date <= %(until)s) AS days
FROM actuals.meta_account_totals
GROUP BY account_id
ORDER BY account_id
"""


def known_window(warehouse: Warehouse) -> DayWindow | None:
    """The first to the last report day that was ever fetched, or None before the first fetch."""
    row = _one(warehouse, _KNOWN_DAYS)
    return DayWindow.inclusive(row["since"], row["until"]) if row["since"] else None


def missing_days(
    warehouse: Warehouse, window: DayWindow, account_ids: Sequence[str], now: datetime
) -> list[Row]:
    """The accounts of which days of the window were never fetched whole, and how many.

    Accounts asked about and those known from earlier count; a day that has not begun for an
    account is not missing.
    """
    known = {row["account_id"]: row for row in _all(warehouse, _FETCHED_DAYS, _days(window))}
    missing = []
    for account_id in dict.fromkeys((*account_ids, *known)):
        fetched, begun = known.get(account_id), window
        if fetched is not None:
            today = report_day(now, time_zone(fetched["time_zone"]))
            begun = window.clipped(until=today) or window
        days = len(begun) - (fetched["days"] if fetched else 0)
        if days > 0:
            missing.append({"account_id": account_id, "days": days, "of_days": len(begun)})
    return missing


def source(warehouse: Warehouse, window: DayWindow) -> Source | None:
    """Who gave the window's figures; None when nobody did yet."""
    row = _all(warehouse, _SOURCE, _days(window))[0]
    if row["any_stand_in"] is None:
        return None
    if row["only_stand_in"]:
        return "stand-in"
    return "mixed" if row["any_stand_in"] else "meta"


def money(warehouse: Warehouse, window: DayWindow, as_of: date | None = None) -> list[Money]:
    """Spend and revenue of the window, one entry a currency.

    With `as_of` as they were known at the end of that day, on the days that were fetched by then.
    """
    return [Money(**row) for row in _money(warehouse, window, as_of, sql.SQL(""))]


def money_by_day(
    warehouse: Warehouse, window: DayWindow, as_of: date | None = None
) -> list[DayOfMoney]:
    """The same day by day, one entry a day and currency, oldest first."""
    return [
        DayOfMoney(row.pop("report_date"), Money(**row))
        for row in _money(warehouse, window, as_of, _BY_DAY)
    ]


def _money(warehouse: Warehouse, window: DayWindow, as_of: date | None, day: sql.SQL) -> list[Row]:
    query = sql.SQL(_MONEY).format(day=day, **(_THEN if as_of else _NOW))
    return _all(warehouse, query, {**_days(window), "as_of": as_of})


def budgets(warehouse: Warehouse, until: date | None) -> list[Row]:
    """How every budget is spent as of the last day up to `until` on which that was judged.

    The ones to look at first come first.
    """
    return _all(warehouse, _BUDGETS, {"until": until})


def investment(warehouse: Warehouse, until: date) -> list[Row]:
    """The rows of the last as-of day up to `until` on which the investment was summed up."""
    return _all(warehouse, _INVESTMENT, {"until": until})


def days_known(warehouse: Warehouse, window: DayWindow, as_of: date) -> dict[str, int]:
    """How many days of the window were known whole at the end of `as_of`, by account.

    Accounts that came later have none.
    """
    query = sql.SQL(_DAYS_KNOWN).format(**_THEN)
    found = _all(warehouse, query, {**_days(window), "as_of": as_of})
    return {row["account_id"]: row["days"] for row in found}


def first_fetch(warehouse: Warehouse) -> date | None:
    """The account-local day on which an account was first fetched whole; None for never."""
    day: date | None = _one(warehouse, _FIRST_FETCH)["day"]
    return day


def provisional(warehouse: Warehouse, window: DayWindow) -> list[Row]:
    """Every account-day of the window that Meta may still restate, and how complete it should be.

    `age_days` is its age when it was last fetched; `revenue_share` and `conversions_share` are
    what is known at that age of the final figures, as a rule; None where there is no rule yet.
    """
    values = {**_days(window), "settled_after": SETTLED_AFTER_DAYS}
    return _all(warehouse, _PROVISIONAL, values)


def models(warehouse: Warehouse, until: date) -> list[Row]:
    """Accuracy of each model version and protocol as of the last scored day.

    In the order of `protocols.BY_WORTH`: final, attested comparisons first, then final ones of
    imports, then those of everything since launch; of each the version with most pairs first.
    `attribution` is what the ad sets of the 28 days before count as a purchase; `ctr_calibration`
    predicted over observed clicks, of headlines alone.
    """
    return _all(warehouse, _MODELS, {"until": until, "by_worth": list(BY_WORTH)})


def reconciliation(warehouse: Warehouse, window: DayWindow) -> list[Row]:
    """Account-days and spend difference by currency and verdict."""
    return _all(warehouse, _RECONCILED, _days(window))


def fetch_stats(warehouse: Warehouse) -> Row:
    """Counts over the whole fetch log; `success_rate` in percent, None before the first fetch."""
    row = _one(warehouse, _FETCH_STATS)
    total = row["total_fetches"]
    rate = round(100 * row["successful_fetches"] / total, 2) if total else None
    return {**row, "success_rate": rate}


def fetches_by_outcome(warehouse: Warehouse) -> dict[str, int]:
    """How many fetches ended in each way, those included in which none did."""
    return {row["outcome"]: row["fetches"] for row in _all(warehouse, _FETCHES_BY_OUTCOME)}


def newest_fetches(warehouse: Warehouse) -> list[Row]:
    """When the newest report day of each account was last fetched: account_id, fetched_at."""
    return _all(warehouse, _NEWEST_FETCHES)


def last_run(warehouse: Warehouse) -> Row | None:
    """The last run that fetched accounts: run_id, since, until, started_at, finished_at.

    The whole run, scoring included, or its fetches alone until Dagster knows of its end.
    """
    rows = _all(warehouse, _LAST_RUN)
    if not rows:
        return None
    span = (
        _all(warehouse, _SPAN_OF_RUN, {"run_id": rows[0]["run_id"]})
        if _knows_runs(warehouse)
        else []
    )
    return rows[0] | (span[0] if span else {})


def account_outcomes(warehouse: Warehouse, run_ids: Sequence[str]) -> list[Row]:
    """How each account's fetch ended over some runs; a failure outweighs a success."""
    return _all(warehouse, _FETCHES_OF_RUNS, {"run_ids": list(run_ids)})


def last_outcomes(warehouse: Warehouse, account_ids: Sequence[str]) -> list[Row]:
    """How each account's latest fetch ended: account_id, outcome, error_message, started_at."""
    return _all(warehouse, _LAST_OUTCOMES, {"account_ids": list(account_ids)})


def ad_outcomes(
    warehouse: Warehouse,
    window: DayWindow,
    run_ids: Sequence[str],
    settings: Settings,
    now: datetime,
) -> dict[str, int]:
    """The ads of videos of eligible age, counted by what the runs brought for them.

    `successful` have figures stored in the window, `no_data` delivered nothing in it;
    `rate_limited` and `failed` are of an account whose fetch ended so.  An ad that was never seen
    may be of any account, so while one failed it counts there.
    """
    outcomes = {row["account_id"]: row["outcome"] for row in account_outcomes(warehouse, run_ids)}
    worst = next((outcome for outcome in outcomes.values() if outcome != "complete"), "complete")
    ads = _all(
        warehouse,
        _ELIGIBLE_ADS,
        {
            **_days(window),
            # public.videos.created_at is in UTC, without zone.
            "youngest": _utc(now - timedelta(hours=settings.min_age_hours)),
            "oldest": _utc(now - timedelta(days=settings.max_age_days)),
        },
    )
    counts = {"successful": 0, "failed": 0, "rate_limited": 0, "no_data": 0}
    for ad in ads:
        outcome = outcomes.get(ad["account_id"], worst)
        if outcome == "complete":
            counts["successful" if ad["has_rows"] else "no_data"] += 1
        else:
            counts["rate_limited" if outcome == "rate_limited" else "failed"] += 1
    return {"total_ads": len(ads), **counts}


_NEWEST_RUN: LiteralString = """
SELECT run_id, status
FROM dagster.runs
WHERE pipeline_name = %(job)s AND status IN ('SUCCESS', 'FAILURE', 'CANCELED')
ORDER BY id DESC
LIMIT 1
"""


def schedule_state(warehouse: Warehouse, schedule: str, now: datetime) -> ScheduleState:
    """Whether Dagster's scheduler lives and the schedule is not switched off.

    Read from Dagster's own tables, so that asking needs no Dagster.
    """
    with warehouse.transaction() as connection:
        known = connection.execute("SELECT to_regclass('dagster.daemon_heartbeats')").fetchone()
    if known is None or known[0] is None:
        return "no_daemon"
    heartbeat = _one(warehouse, _SCHEDULER)["heartbeat"]
    if heartbeat is None or now - heartbeat > HEARTBEAT_TOLERANCE:
        return "no_daemon"
    state = _all(warehouse, _SCHEDULE_STATE, {"schedule": schedule})
    return "switched_off" if state and state[0]["status"] == "STOPPED" else "running"


def failed_run(warehouse: Warehouse, job: str) -> str | None:
    """The id of the job's newest run, if that failed; None also where Dagster has no tables."""
    if not _knows_runs(warehouse):
        return None
    newest = _all(warehouse, _NEWEST_RUN, {"job": job})
    return str(newest[0]["run_id"]) if newest and newest[0]["status"] == "FAILURE" else None


def _knows_runs(warehouse: Warehouse) -> bool:
    """Whether Dagster has its tables here."""
    with warehouse.transaction() as connection:
        known = connection.execute("SELECT to_regclass('dagster.runs')").fetchone()
    return known is not None and known[0] is not None


def last_tick(warehouse: Warehouse, schedule: str) -> Row | None:
    """The schedule's last tick: ticked_at, and Dagster's word for how it ended; None for never."""
    with warehouse.transaction() as connection:
        known = connection.execute("SELECT to_regclass('dagster.job_ticks')").fetchone()
    if known is None or known[0] is None:
        return None
    rows = _all(warehouse, _LAST_TICK, {"schedule": schedule})
    return rows[0] if rows else None


def _days(window: DayWindow) -> dict[str, Any]:
    return {"since": window.since, "until": window.until}


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


def _one(warehouse: Warehouse, query: LiteralString) -> Row:
    return _all(warehouse, query)[0]


def _all(
    warehouse: Warehouse,
    query: LiteralString | sql.Composed,
    values: Mapping[str, Any] | None = None,
) -> list[Row]:
    with warehouse.transaction() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        return cursor.execute(query, values).fetchall()
