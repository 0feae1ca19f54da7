"""Budgets as they stood, when they were read, and what was spent on each campaign and ad set."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from psycopg import sql

from actuals_pipeline.warehouse.ad_day_changes import CHANGES
from actuals_pipeline.warehouse.connection import Warehouse

Row = tuple[Any, ...]

LOOKED_BACK = timedelta(days=42)
"""Days before the first as-of day of which snapshots are read one by one: the 28 that tell how it
goes on, and the week before them."""

# Of what is older only how each budget stood when it was first known; a budget that was never
# active lately spends nothing.
_SNAPSHOTS = """
WITH lately AS (
    SELECT * FROM actuals.budget_snapshots
    WHERE snapshot_date >= %(since)s AND snapshot_date <= %(last)s
), wanted AS (
    SELECT account_id, level, budget_id FROM lately
    GROUP BY account_id, level, budget_id
    HAVING bool_or(status = 'ACTIVE')
), first_known AS (
    SELECT DISTINCT ON (account_id, level, budget_id) *
    FROM actuals.budget_snapshots
    WHERE snapshot_date < %(since)s
    ORDER BY account_id, level, budget_id, snapshot_date
)
SELECT snapshot_date, account_id, level, budget_id, campaign_id, name, status, currency,
       daily_budget, lifetime_budget, starts_on, ends_on
FROM (SELECT * FROM lately UNION ALL SELECT * FROM first_known) AS known
JOIN wanted USING (account_id, level, budget_id)
ORDER BY account_id, level, budget_id, snapshot_date
"""

_READINGS = """
SELECT account_id, array_agg(DISTINCT budgets_on ORDER BY budgets_on)
FROM actuals.fetch_log
WHERE budgets IS NOT NULL AND budgets_on >= %(since)s AND budgets_on <= %(last)s
GROUP BY account_id
"""

_PLANS = """
SELECT snapshot_date, plan_id, name, account_id, campaign_id, currency, amount, starts_on, ends_on
FROM actuals.plan_snapshots
WHERE snapshot_date >= %(since)s AND snapshot_date <= %(last)s
ORDER BY plan_id, snapshot_date
"""

# An account's day of which only a single ad was ever fetched is not known whole.
_SPEND = """
SELECT account_id, coalesce(place.campaign_id, actual.campaign_id),
       coalesce(place.adset_id, actual.adset_id), report_date, actual.currency, sum(spend)
FROM actuals.ad_actuals AS actual
LEFT JOIN actuals.ads AS place USING (ad_id)
WHERE report_date >= %(since)s AND report_date <= %(last)s
  AND EXISTS (
      SELECT FROM actuals.meta_account_totals AS total
      WHERE total.account_id = actual.account_id AND total.report_date = actual.report_date
  )
GROUP BY 1, 2, 3, 4, 5
HAVING sum(spend) <> 0
"""

# What an account's first fetch of a day brought is no change.
_CHANGES = sql.SQL("""
WITH revisions AS (
    SELECT revision.*
    FROM actuals.ad_actuals_revisions AS revision
    JOIN actuals.known_days AS known USING (account_id, report_date)
    WHERE as_of_date > %(first)s AND as_of_date > known_since
      AND report_date >= %(since)s AND report_date <= %(last)s
), change AS ({changes}
)
SELECT as_of_date, account_id, campaign_id, adset_id, report_date, currency, sum(spend)
FROM change
LEFT JOIN actuals.ads USING (ad_id)
GROUP BY 1, 2, 3, 4, 5, 6
HAVING sum(spend) <> 0
""").format(changes=sql.SQL(CHANGES))


def snapshots(warehouse: Warehouse, first: date, last: date) -> list[Row]:
    """The budgets at Meta that count for the as-of days `first` to `last`, as they stood.

    (day, account_id, level, budget_id, campaign_id, name, status, currency, daily_budget,
    lifetime_budget, starts_on, ends_on), a row a budget and day.
    """
    return _all(warehouse, _SNAPSHOTS, {"since": first - LOOKED_BACK, "last": last})


def readings(warehouse: Warehouse, first: date, last: date) -> dict[str, list[date]]:
    """For each account the days on which its budgets were read, in order."""
    rows = _all(warehouse, _READINGS, {"since": first - LOOKED_BACK, "last": last})
    return {account_id: list(days) for account_id, days in rows}


def plans(warehouse: Warehouse, first: date, last: date) -> list[Row]:
    """(day, plan_id, name, account_id, campaign_id, currency, amount, starts_on, ends_on)."""
    return _all(warehouse, _PLANS, {"since": first - LOOKED_BACK, "last": last})


def spend(warehouse: Warehouse, since: date, last: date) -> list[Row]:
    """(account_id, campaign_id, adset_id, day, currency, spend) of the days, as known now."""
    return _all(warehouse, _SPEND, {"since": since, "last": last})


def spend_changes(warehouse: Warehouse, since: date, first: date, last: date) -> list[Row]:
    """(known_on, account_id, campaign_id, adset_id, day, currency, added) known after `first`."""
    return _all(warehouse, _CHANGES, {"since": since, "first": first, "last": last})


def _all(warehouse: Warehouse, query: Any, values: dict[str, date]) -> list[Row]:
    with warehouse.transaction() as connection:
        return connection.execute(query, values).fetchall()
