"""What the page reads, all of it as of one instant.

Each row set is bounded by the window, by the newest as-of day or by a number that is named here,
so that the page's size follows from the account's and never from its history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from actuals_pipeline.accuracy.protocols import BY_WORTH
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow
from actuals_pipeline.warehouse.connection import Warehouse

Row = dict[str, Any]

DEFAULT_DAYS = 90
"""Report days on the page unless others are asked for.  Chosen: a quarter."""

RESTATED_DAYS = SETTLED_AFTER_DAYS + 1
"""Newest report days whose revisions are shown: today, and those that Meta still restates."""

MOST_ADS = 10_000
"""Ads on the page, those with most spend first."""

MOST_AD_DAYS = 30_000
"""Days of ads on the page, a megabyte; where there are more, its ads are of all its days."""

MOST_FETCHES = 300
"""Newest fetches on the page."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows by what they are of; `window` is None, and there are none, before the first fetch."""

    window: DayWindow | None
    rows: dict[str, list[Row]]

    def __getitem__(self, name: str) -> list[Row]:
        return self.rows.get(name, [])


_KNOWN_DAYS: LiteralString = """
SELECT min(report_date) AS since, max(report_date) AS until FROM actuals.meta_account_totals
"""

_ACCOUNTS: LiteralString = """
SELECT DISTINCT ON (account_id)
       account_id, account_name, currency, time_zone, fetched_at, is_stand_in,
       count(*) OVER (PARTITION BY account_id) AS days
FROM actuals.meta_account_totals
WHERE report_date BETWEEN %(since)s AND %(until)s
ORDER BY account_id, report_date DESC
"""

# A single ad's fetch may have stored days on which its account was never fetched whole.
_DAYS: LiteralString = """
SELECT report_date, account_id, campaign_id, currency, max(campaign_name) AS campaign_name,
       sum(spend) AS spend,
       sum(revenue) AS revenue, sum(conversions)::bigint AS conversions,
       sum(impressions)::bigint AS impressions, sum(clicks)::bigint AS clicks,
       bool_and(is_settled) AS is_settled
FROM actuals.ad_actuals AS actual
WHERE report_date BETWEEN %(since)s AND %(until)s
  AND EXISTS (
      SELECT FROM actuals.meta_account_totals AS total
      WHERE total.account_id = actual.account_id AND total.report_date = actual.report_date
  )
GROUP BY report_date, account_id, campaign_id, currency
ORDER BY report_date, account_id, campaign_id, currency
"""

# The newest name and campaign are the greatest of texts that begin with the day.
_ADS: LiteralString = """
SELECT account_id, ad_id, currency, sum(spend) AS spend, sum(revenue) AS revenue,
       sum(conversions)::bigint AS conversions, sum(impressions)::bigint AS impressions,
       sum(clicks)::bigint AS clicks,
       (max(ARRAY[report_date::text, coalesce(ad_name, '')]))[2] AS ad_name,
       (max(ARRAY[report_date::text, coalesce(campaign_id, '')]))[2] AS campaign_id,
       count(*) OVER () AS ads
FROM actuals.ad_actuals AS actual
WHERE report_date BETWEEN %(since)s AND %(until)s
  AND EXISTS (
      SELECT FROM actuals.meta_account_totals AS total
      WHERE total.account_id = actual.account_id AND total.report_date = actual.report_date
  )
GROUP BY account_id, ad_id, currency
ORDER BY sum(spend) DESC, account_id, ad_id, currency
LIMIT %(most_ads)s
"""

# In no order, so that nothing is sorted where there are too many.
_AD_DAYS: LiteralString = """
SELECT account_id, ad_id, currency, report_date, spend, revenue, conversions, impressions, clicks
FROM actuals.ad_actuals AS actual
WHERE report_date BETWEEN %(since)s AND %(until)s
  AND EXISTS (
      SELECT FROM actuals.meta_account_totals AS total
      WHERE total.account_id = actual.account_id AND total.report_date = actual.report_date
  )
LIMIT %(most_ad_days)s + 1
"""

_PAIRS: LiteralString = """
SELECT ad_id, model_name, model_version, protocol, account_id, campaign_id, currency,
       predicted_ctr, actual_ctr, ctr_low, ctr_high, ctr_verdict, ctr_accuracy, impressions, clicks,
       predicted_roas, actual_roas, roas_low, roas_high, roas_verdict, roas_accuracy, spend
FROM actuals.prediction_accuracy
WHERE as_of_date = (
    SELECT max(as_of_date) FROM actuals.model_accuracy WHERE as_of_date <= %(until)s
) AND status = 'eligible'
ORDER BY spend DESC NULLS LAST, ad_id, model_name, model_version, protocol
LIMIT 6 * %(most_ads)s
"""

_MODELS: LiteralString = """
SELECT *
FROM actuals.model_accuracy
WHERE as_of_date = (
    SELECT max(as_of_date) FROM actuals.model_accuracy WHERE as_of_date <= %(until)s
) AND n_pairs > 0
ORDER BY array_position(%(by_worth)s::text[], protocol), n_pairs DESC, model_name,
         model_version DESC
"""

# Each day in the order of the models, so that what is told of it first is the same.
_ACCURACY: LiteralString = """
SELECT as_of_date, model_name, model_version, protocol, prediction_accuracy,
       prediction_accuracy_low, prediction_accuracy_high, noise_ceiling, baseline_accuracy, n_pairs
FROM actuals.model_accuracy
WHERE as_of_date BETWEEN %(since)s AND %(until)s AND prediction_accuracy IS NOT NULL
ORDER BY as_of_date, array_position(%(by_worth)s::text[], protocol), n_pairs DESC, model_name,
         model_version DESC
"""

_DRIFT: LiteralString = """
SELECT model_name, model_version, metric, week, ln_calibration, lower, upper, is_eligible,
       is_alarm, changed_since, state, causes, n_pairs
FROM actuals.model_drift
WHERE as_of_date = (
    SELECT max(as_of_date) FROM actuals.model_drift WHERE as_of_date <= %(until)s
)
ORDER BY model_name, model_version, metric, week
"""

_STATES: LiteralString = """
SELECT model_name, model_version, metric, state, state_since, action, reason
FROM actuals.retrain_states
ORDER BY model_name, model_version, metric
"""

_DEVELOPMENT: LiteralString = """
SELECT as_of_date, account_id, age_days, revenue_share, revenue_share_se, source, n_cohorts
FROM actuals.revenue_development
WHERE as_of_date = (
    SELECT max(as_of_date) FROM actuals.revenue_development WHERE as_of_date <= %(until)s
)
ORDER BY account_id, age_days
"""

# What each revision added to what was known before it, from which a running sum gives what was
# known of the day on each day.
_RESTATED: LiteralString = """
WITH added AS (
    SELECT account_id, report_date, as_of_date,
           coalesce(revenue, 0) - coalesce(lag(revenue) OVER ad_day, 0) AS revenue
    FROM actuals.ad_actuals_revisions
    WHERE report_date BETWEEN %(restated_since)s AND %(until)s
    WINDOW ad_day AS (PARTITION BY account_id, ad_id, report_date ORDER BY as_of_date)
), by_day AS (
    SELECT account_id, report_date, as_of_date, sum(revenue) AS revenue
    FROM added
    GROUP BY account_id, report_date, as_of_date
)
SELECT account_id, report_date, as_of_date, sum(revenue) OVER account_day AS revenue
FROM by_day
WINDOW account_day AS (PARTITION BY account_id, report_date ORDER BY as_of_date)
ORDER BY account_id, report_date, as_of_date
"""

_RECONCILED: LiteralString = """
SELECT account_id, report_date, currency, meta_spend, ads_spend, spend_difference, verdict
FROM actuals.spend_reconciliation
WHERE report_date BETWEEN %(since)s AND %(until)s
ORDER BY account_id, report_date
"""

_INVESTMENT: LiteralString = """
SELECT as_of_date, since, currency, spend, spend_at_least, investment_total, spent_share, outlook,
       projected_end, projected_end_low, projected_end_high, unconverted
FROM actuals.investment_summary
WHERE scope = 'overall' AND as_of_date = (
    SELECT max(as_of_date) FROM actuals.investment_summary WHERE as_of_date <= %(until)s
)
"""

_PACING: LiteralString = """
SELECT as_of_date, level, budget_id, account_id, campaign_id, name, currency, kind,
       period_start, period_end, budget, spend_limit, spend, spend_whole_days, expected_spend,
       projected_spend, projected_spend_low, projected_spend_high, verdict, reason
FROM actuals.budget_pacing
WHERE as_of_date = (
    SELECT max(as_of_date) FROM actuals.budget_pacing WHERE as_of_date <= %(until)s
)
ORDER BY (verdict IN ('on_track', 'paused')), budget DESC, level, budget_id
LIMIT 100
"""

_FETCHES: LiteralString = """
SELECT id, kind, account_id, started_at, duration_seconds, outcome, calls, pages, rows, retries,
       rate_limits_hit, throttled_seconds, account_quota_percent, app_quota_percent, error_message
FROM actuals.fetch_log
ORDER BY id DESC
LIMIT %(most_fetches)s
"""

_WINNERS: LiteralString = """
WITH newest AS (
    SELECT *, row_number() OVER (
        PARTITION BY adset_id, metric ORDER BY is_winner DESC, p_best DESC NULLS LAST, ad_id
    ) AS place, count(*) OVER (PARTITION BY adset_id, metric) AS rivals
    FROM actuals.winners
    WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.winners WHERE as_of_date <= %(until)s)
)
SELECT as_of_date, adset_id, metric, ad_id, account_id, n_days, rate, low, high, p_best,
       expected_loss, is_winner, missing, rivals
FROM newest
WHERE place = 1 AND rivals > 1 AND p_best IS NOT NULL
ORDER BY is_winner DESC, p_best DESC, adset_id, metric
LIMIT 100
"""

_QUERIES: dict[str, LiteralString] = {
    "accounts": _ACCOUNTS,
    "days": _DAYS,
    "ads": _ADS,
    "ad_days": _AD_DAYS,
    "pairs": _PAIRS,
    "models": _MODELS,
    "accuracy": _ACCURACY,
    "drift": _DRIFT,
    "states": _STATES,
    "development": _DEVELOPMENT,
    "restated": _RESTATED,
    "reconciled": _RECONCILED,
    "investment": _INVESTMENT,
    "pacing": _PACING,
    "winners": _WINNERS,
}
"""Of the window; the fetches are told also before anything came of them."""


def read(warehouse: Warehouse, window: DayWindow | None = None) -> Reading:
    """The rows of `window`, or of the newest `DEFAULT_DAYS` report days, as of one instant."""
    with warehouse.transaction() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Sums of each campaign's days then fit into memory; Postgres's own 4 MB send them to disk.
        connection.execute("SET LOCAL work_mem = '64MB'")
        shown = window or _newest_days(connection)
        values: dict[str, Any] = {
            "most_ads": MOST_ADS,
            "most_ad_days": MOST_AD_DAYS,
            "most_fetches": MOST_FETCHES,
            "by_worth": list(BY_WORTH),
        }
        rows = {"fetches": _all(connection, _FETCHES, values)}
        if shown is not None:
            values |= {"since": shown.since, "until": shown.until}
            restated = DayWindow.trailing(shown.until, RESTATED_DAYS)
            values["restated_since"] = max(restated.since, shown.since)
            rows |= {name: _all(connection, each, values) for name, each in _QUERIES.items()}
            rows["campaigns"] = _campaigns(rows["days"])
    return Reading(shown, rows)


def _newest_days(connection: psycopg.Connection) -> DayWindow | None:
    (known,) = _all(connection, _KNOWN_DAYS, {})
    if known["since"] is None:
        return None
    newest = DayWindow.trailing(known["until"], DEFAULT_DAYS)
    return newest.clipped(since=known["since"])


def _campaigns(days: list[Row]) -> list[Row]:
    """Each campaign by its newest name; the days come in their order."""
    newest = {row["campaign_id"]: row for row in days if row["campaign_id"] is not None}
    names = ("campaign_id", "campaign_name", "account_id")
    return [{name: row[name] for name in names} for _, row in sorted(newest.items())]


def _all(connection: psycopg.Connection, query: LiteralString, values: Row) -> list[Row]:
    return connection.cursor(row_factory=dict_row).execute(query, values).fetchall()
