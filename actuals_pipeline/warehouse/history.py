"""What the warehouse knows about ads and accounts over all their days."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow
from actuals_pipeline.warehouse.connection import Warehouse


def cohorts(
    warehouse: Warehouse, report_days: DayWindow, known_before: date
) -> dict[str, list[tuple[Any, ...]]]:
    """How the report days of each account came to be known, as far as they were before a day.

    By account, a tuple for each report day in `report_days` with any figures: the day, the ages in
    days at which more of it came to be known, and what came with each: revenue, clicks, purchases,
    the revenue of ads that were not shown that day, the revenue of ad sets that count purchases
    for 1 and for 28 days after a click.  Money in the account's currency, as float.  What an ad's
    day gains or loses because purchases of another type count has not come: it is nothing.
    """
    values = {"start": report_days.start, "end": report_days.end, "known_before": known_before}
    by_account: dict[str, list[tuple[Any, ...]]] = {}
    with warehouse.transaction() as connection:
        rows = connection.execute(_COHORTS, values, binary=True).fetchall()
    for account_id, *cohort in rows:
        by_account.setdefault(account_id, []).append(tuple(cohort))
    return by_account


# The window follows the key of the revisions, so that they need not be sorted for it.
_COHORTS = """
WITH known AS (
    SELECT
        account_id, ad_id, report_date, as_of_date, purchase_action_type,
        coalesce(revenue, 0) AS revenue, coalesce(clicks, 0) AS clicks,
        coalesce(conversions, 0) AS purchases,
        CASE WHEN spend = 0 AND impressions = 0 THEN revenue ELSE 0 END AS undelivered,
        CASE
            WHEN attribution_setting LIKE '%%28d_click%%' THEN 28
            WHEN attribution_setting LIKE '%%7d_click%%' THEN 7
            WHEN attribution_setting LIKE '1d%%' THEN 1
        END AS click_window
    FROM actuals.ad_actuals_revisions
    WHERE report_date >= %(start)s AND report_date < %(end)s AND as_of_date < %(known_before)s
), added AS (
    SELECT
        account_id, report_date, as_of_date, click_window,
        CASE WHEN counts_others THEN 0 ELSE revenue - revenue_before END AS revenue,
        clicks - clicks_before AS clicks,
        CASE WHEN counts_others THEN 0 ELSE purchases - purchases_before END AS purchases,
        CASE WHEN counts_others THEN 0 ELSE undelivered - undelivered_before END AS undelivered
    FROM (
        SELECT
            *,
            coalesce(lag(revenue) OVER ad_day, 0) AS revenue_before,
            coalesce(lag(clicks) OVER ad_day, 0) AS clicks_before,
            coalesce(lag(purchases) OVER ad_day, 0) AS purchases_before,
            coalesce(lag(undelivered) OVER ad_day, 0) AS undelivered_before,
            -- After a change of ACTUALS_PURCHASE_ACTION_TYPE: nothing was bought for that.
            coalesce(
                purchase_action_type <> lag(purchase_action_type) OVER ad_day, false
            ) AS counts_others
        FROM known
        WINDOW ad_day AS (PARTITION BY account_id, ad_id, report_date ORDER BY as_of_date)
    ) AS successive
), by_age AS (
    SELECT
        account_id, report_date, as_of_date - report_date AS age,
        sum(revenue)::float8 AS revenue, sum(clicks)::float8 AS clicks,
        sum(purchases)::float8 AS purchases, sum(undelivered)::float8 AS undelivered,
        coalesce(sum(revenue) FILTER (WHERE click_window = 1), 0)::float8 AS within_1_day,
        coalesce(sum(revenue) FILTER (WHERE click_window = 28), 0)::float8 AS within_28_days
    FROM added
    GROUP BY account_id, report_date, as_of_date
)
SELECT
    account_id, report_date, array_agg(age ORDER BY age), array_agg(revenue ORDER BY age),
    array_agg(clicks ORDER BY age), array_agg(purchases ORDER BY age),
    array_agg(undelivered ORDER BY age), array_agg(within_1_day ORDER BY age),
    array_agg(within_28_days ORDER BY age)
FROM by_age
GROUP BY account_id, report_date
ORDER BY account_id, report_date
"""


def click_windows(
    warehouse: Warehouse, report_days: DayWindow
) -> dict[str, list[tuple[date, float, float, float, float]]]:
    """For each account the report days whose click windows were kept.

    Each with its revenue and the value of the purchases within 1, 7 and 28 days of a click, by
    Meta's own totals.  Money in the account's currency, as float.
    """
    query = """
        SELECT
            account_id, report_date, revenue::float8, revenue_1d_click::float8,
            revenue_7d_click::float8, revenue_28d_click::float8
        FROM actuals.meta_account_totals
        WHERE report_date >= %s AND report_date < %s AND revenue_28d_click IS NOT NULL
        ORDER BY account_id, report_date
    """
    by_account: dict[str, list[tuple[date, float, float, float, float]]] = {}
    with warehouse.transaction() as connection:
        rows = connection.execute(query, [report_days.start, report_days.end]).fetchall()
    for account_id, *day in rows:
        by_account.setdefault(account_id, []).append(tuple(day))
    return by_account


def lasting_curves(
    warehouse: Warehouse, time_zones: Mapping[str, str], as_of_days: DayWindow
) -> set[date]:
    """The as-of days whose curves stay as they are.

    Those were computed for all these accounts when the day had begun in each one's calendar; what
    they rest on was known by then, and is never written later.
    """
    query = """
        SELECT as_of_date
        FROM actuals.revenue_development
        JOIN unnest(%s::text[], %s::text[]) AS account (account_id, time_zone) USING (account_id)
        WHERE as_of_date >= %s AND as_of_date < %s
        GROUP BY as_of_date
        HAVING bool_and((computed_at AT TIME ZONE time_zone)::date >= as_of_date)
           AND count(DISTINCT account_id) = %s
    """
    values = [
        list(time_zones), list(time_zones.values()), as_of_days.start, as_of_days.end,
        len(time_zones),
    ]  # fmt: skip
    with warehouse.transaction() as connection:
        return {day for (day,) in connection.execute(query, values).fetchall()}


def account_time_zones(warehouse: Warehouse) -> dict[str, str]:
    """IANA time zone of every account ever fetched, as last seen."""
    query = """
        SELECT DISTINCT ON (account_id) account_id, time_zone
        FROM actuals.meta_account_totals
        ORDER BY account_id, report_date DESC
    """
    with warehouse.transaction() as connection:
        return dict(connection.execute(query).fetchall())


def first_seen_on(warehouse: Warehouse) -> date | None:
    """The day by whose end a report day of any account was known first."""
    query = "SELECT min(known_since) FROM actuals.known_days"
    with warehouse.transaction() as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def settled_fetches(warehouse: Warehouse, run_ids: Collection[str], window: DayWindow) -> set[str]:
    """The accounts of which one of these runs fetched every day of `window`, each when settled."""
    query = """
        SELECT account_id
        FROM actuals.meta_account_totals
        WHERE report_date >= %s AND report_date < %s AND run_id = ANY(%s)
          AND (fetched_at AT TIME ZONE time_zone)::date - report_date > %s
        GROUP BY account_id
        HAVING count(*) = %s
    """
    values = [window.start, window.end, list(run_ids), SETTLED_AFTER_DAYS, len(window)]
    with warehouse.transaction() as connection:
        return {account_id for (account_id,) in connection.execute(query, values).fetchall()}
