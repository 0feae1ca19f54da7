"""What was known of ads and accounts on past days, read from the revisions of their figures.

The frames are those of `accuracy/as_known.py`, which says in plain pandas what the statements here
add up where the rows are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, LiteralString

import pandas as pd
from psycopg import sql

from actuals_pipeline.accuracy.contract import (
    KNOWN_ACCOUNT_DAYS,
    KNOWN_AD_DAYS,
    KNOWN_CHANGES,
    KNOWN_DAYS,
    READ,
    WINDOW_DAYS,
)
from actuals_pipeline.frames import Contract, conform
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse.ad_day_changes import CHANGES
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import frame_of
from actuals_pipeline.warehouse.tables import ads


def known_changes(
    warehouse: Warehouse,
    ad_ids: Sequence[str],
    as_of_days: DayWindow,
    seen_since: Mapping[str, date],
) -> pd.DataFrame:
    """By how much the totals of the given ads changed, for totals as of each of `as_of_days`.

    The KNOWN_CHANGES frame of `accuracy/as_known.py`, with everything up to the first as-of day
    added up into one row an ad, so that a long history takes no memory: what is stored now, less
    what came to be known later.  Accounts that were first seen after that day (`seen_since`) have
    their reconstructed changes beside.
    """
    values = {"ads": list(ad_ids), "since": as_of_days.since, "until": as_of_days.until}
    unseen = [each for each, day in seen_since.items() if day > as_of_days.since]
    with warehouse.transaction() as connection:
        rows = connection.execute(_KNOWN_CHANGES, values).fetchall()
        if unseen:
            values["accounts"] = unseen
            rows += connection.execute(_RECONSTRUCTED_CHANGES, values).fetchall()
    return _framed(KNOWN_CHANGES, rows)


_REVISIONS: LiteralString = """
WITH revisions AS (
    SELECT * FROM actuals.ad_actuals_revisions
    WHERE as_of_date > %(since)s"""

_KNOWN_CHANGES = sql.SQL("""{revisions} AND ad_id = ANY(%(ads)s)
), later AS ({changes}
), known_by_day AS (
    SELECT
        account_id, ad_id, report_date, max(currency) AS currency,
        sum(impressions) AS impressions, sum(clicks) AS clicks, sum(spend) AS spend,
        sum(conversions) AS conversions, sum(revenue) AS revenue
    FROM (
        SELECT account_id, ad_id, report_date, currency, 1 AS listed, impressions, clicks, spend,
               conversions, revenue
        FROM actuals.ad_actuals
        WHERE ad_id = ANY(%(ads)s)
        UNION ALL
        SELECT account_id, ad_id, report_date, currency, -listed, -impressions, -clicks, -spend,
               -conversions, -revenue
        FROM later
    ) AS stored_less_later
    GROUP BY account_id, ad_id, report_date
    HAVING sum(listed) > 0
), taken_back AS (
    -- A day once shown counts as shown, although Meta lists it without impressions by now, or no
    -- more: else a past day would say something else when it is asked for among earlier ones.
    SELECT DISTINCT
        once.account_id, once.ad_id, once.currency,
        CASE WHEN once.impressions > 0 THEN once.report_date END AS shown_on
    FROM actuals.ad_actuals_revisions AS since
    JOIN actuals.ad_actuals_revisions AS once
      ON once.account_id = since.account_id AND once.ad_id = since.ad_id
      AND once.report_date = since.report_date AND once.as_of_date < since.as_of_date
    WHERE since.ad_id = ANY(%(ads)s) AND since.as_of_date <= %(since)s
      AND (NOT since.is_listed OR since.impressions = 0) AND once.is_listed
), changes AS (
    SELECT
        account_id, ad_id, %(since)s::date AS known_on, currency, impressions, clicks, spend,
        conversions, revenue,
        CASE WHEN report_date + 29 <= %(since)s THEN spend ELSE 0 END AS settled_spend,
        CASE WHEN impressions > 0 THEN report_date END AS shown_on
    FROM known_by_day
    UNION ALL
    SELECT account_id, ad_id, %(since)s, currency, 0, 0, 0, 0, 0, 0, shown_on
    FROM taken_back
    UNION ALL
    SELECT account_id, ad_id, report_date + 29, currency, 0, 0, 0, 0, 0, spend, NULL
    FROM known_by_day
    WHERE report_date + 29 > %(since)s AND report_date + 29 <= %(until)s
    UNION ALL
    SELECT
        account_id, ad_id, as_of_date, currency, impressions, clicks, spend, conversions, revenue,
        0, CASE WHEN is_shown THEN report_date END
    FROM later
    WHERE as_of_date <= %(until)s
    UNION ALL
    SELECT account_id, ad_id, greatest(as_of_date, report_date + 29), currency, 0, 0, 0, 0, 0,
           spend, NULL
    FROM later
    WHERE greatest(as_of_date, report_date + 29) <= %(until)s
)
SELECT
    false, account_id, ad_id, known_on, max(currency), sum(impressions)::bigint,
    sum(clicks)::bigint, sum(spend), sum(conversions)::bigint, sum(revenue), sum(settled_spend),
    min(shown_on), max(shown_on)
FROM changes
GROUP BY account_id, ad_id, known_on
ORDER BY account_id, ad_id, known_on
""").format(revisions=sql.SQL(_REVISIONS), changes=sql.SQL(CHANGES))

_EARLIEST: LiteralString = """
WITH earliest AS (
    SELECT DISTINCT ON (account_id, ad_id, report_date)
        account_id, ad_id, report_date, is_listed, currency,
        coalesce(impressions, 0) AS impressions,
        coalesce(clicks, 0) AS clicks, coalesce(spend, 0) AS spend,
        coalesce(conversions, 0) AS conversions, coalesce(revenue, 0) AS revenue
    FROM actuals.ad_actuals_revisions
    WHERE account_id = ANY(%(accounts)s) AND report_date <= %(until)s"""

_RECONSTRUCTED_CHANGES = sql.SQL("""{earliest} AND ad_id = ANY(%(ads)s)
    ORDER BY account_id, ad_id, report_date, as_of_date
), changes AS (
    SELECT
        account_id, ad_id, greatest(report_date, %(since)s) AS known_on, currency, impressions,
        clicks, spend, conversions, revenue, 0 AS settled_spend,
        CASE WHEN impressions > 0 THEN report_date END AS shown_on
    FROM earliest
    WHERE is_listed
    UNION ALL
    SELECT account_id, ad_id, greatest(report_date + 29, %(since)s), currency, 0, 0, 0, 0, 0, spend,
           NULL
    FROM earliest
    WHERE is_listed AND report_date + 29 <= %(until)s
)
SELECT
    true, account_id, ad_id, known_on, max(currency), sum(impressions)::bigint,
    sum(clicks)::bigint, sum(spend), sum(conversions)::bigint, sum(revenue), sum(settled_spend),
    min(shown_on), max(shown_on)
FROM changes
GROUP BY account_id, ad_id, known_on
ORDER BY account_id, ad_id, known_on
""").format(earliest=sql.SQL(_EARLIEST))


def window_days(warehouse: Warehouse, asked: pd.DataFrame) -> pd.DataFrame:
    """The report days of the `asked` windows as they were known: WINDOW_DAYS of `asked_windows`."""
    windows = asked.drop_duplicates("reading")[["reading", *READ]]
    values = {name: windows[name].tolist() for name in windows.columns}
    with warehouse.transaction() as connection:
        rows = connection.execute(_WINDOW_DAYS, values).fetchall()
    return _framed(WINDOW_DAYS, rows)


_WINDOW_DAYS: LiteralString = """
SELECT asked.reading, day.*
FROM unnest(
    %(reading)s::bigint[], %(account_id)s::text[], %(ad_id)s::text[], %(since)s::date[],
    %(until)s::date[], %(known_by)s::date[], %(learnt_by)s::date[]
) AS asked (reading, account_id, ad_id, since, until, known_by, learnt_by)
CROSS JOIN LATERAL (
    SELECT report_date, as_of_date, impressions, clicks, spend, conversions, revenue
    FROM (
        SELECT DISTINCT ON (known.report_date) known.*
        FROM actuals.ad_actuals_revisions AS known
        WHERE known.account_id = asked.account_id AND known.ad_id = asked.ad_id
          AND known.report_date >= asked.since AND known.report_date <= asked.until
          AND known.as_of_date <= asked.learnt_by
        -- The latest of what was known; of what was not, the earliest.
        ORDER BY
            known.report_date,
            greatest(known.as_of_date, asked.known_by),
            known.as_of_date DESC
    ) AS latest
    WHERE is_listed
) AS day
"""


def known_account_days(
    warehouse: Warehouse,
    oldest: date,
    as_of_days: DayWindow,
    seen_since: Mapping[str, date],
) -> pd.DataFrame:
    """By how much each account's days from `oldest` on changed: KNOWN_ACCOUNT_DAYS.

    As `known_changes`, of all the ads of an account together and kept apart by report day.
    """
    values: dict[str, Any] = {
        "oldest": oldest,
        "since": as_of_days.since,
        "until": as_of_days.until,
    }
    unseen = [each for each, day in seen_since.items() if day > as_of_days.since]
    with warehouse.transaction() as connection:
        rows = connection.execute(_KNOWN_ACCOUNT_DAYS, values).fetchall()
        if unseen:
            values["accounts"] = unseen
            rows += connection.execute(_RECONSTRUCTED_ACCOUNT_DAYS, values).fetchall()
    return _framed(KNOWN_ACCOUNT_DAYS, rows)


_KNOWN_ACCOUNT_DAYS = sql.SQL("""{revisions} AND report_date >= %(oldest)s
), later AS ({changes}
), changes AS (
    SELECT account_id, report_date, %(since)s::date AS known_on, impressions, clicks, spend, revenue
    FROM actuals.ad_actuals
    WHERE report_date >= %(oldest)s
    UNION ALL
    SELECT account_id, report_date, %(since)s, -impressions, -clicks, -spend, -revenue FROM later
    UNION ALL
    SELECT account_id, report_date, as_of_date, impressions, clicks, spend, revenue
    FROM later
    WHERE as_of_date <= %(until)s
)
SELECT false, account_id, report_date, known_on, sum(impressions)::bigint, sum(clicks)::bigint,
       sum(spend), sum(revenue)
FROM changes
GROUP BY account_id, report_date, known_on
ORDER BY account_id, report_date, known_on
""").format(revisions=sql.SQL(_REVISIONS), changes=sql.SQL(CHANGES))

_RECONSTRUCTED_ACCOUNT_DAYS = sql.SQL("""{earliest} AND report_date >= %(oldest)s
    ORDER BY account_id, ad_id, report_date, as_of_date
)
SELECT true, account_id, report_date, greatest(report_date, %(since)s), sum(impressions)::bigint,
       sum(clicks)::bigint, sum(spend), sum(revenue)
FROM earliest
GROUP BY account_id, report_date
ORDER BY account_id, report_date
""").format(earliest=sql.SQL(_EARLIEST))


def places_of_ads(warehouse: Warehouse, ad_ids: Sequence[str]) -> pd.DataFrame:
    """`ad_id`, `campaign_id` and `adset_id` of the given ads; Meta never moves an ad."""
    query = """
        SELECT ad_id, campaign_id, adset_id FROM actuals.ads WHERE ad_id = ANY(%(ads)s)
        ORDER BY ad_id
    """
    with warehouse.transaction() as connection:
        rows = connection.execute(query, {"ads": list(ad_ids)}).fetchall()
    columns = [ads.columns[name] for name in ("ad_id", "campaign_id", "adset_id")]
    return frame_of(columns, rows)


def known_days(warehouse: Warehouse) -> pd.DataFrame:
    """Which report days of each account were fetched whole, and since when: KNOWN_DAYS."""
    query = "SELECT account_id, report_date, known_since FROM actuals.known_days"
    with warehouse.transaction() as connection:
        return _framed(KNOWN_DAYS, connection.execute(query).fetchall())


def running_ad_days(
    warehouse: Warehouse, as_of: date, *, days: int, active_days: int
) -> pd.DataFrame:
    """The last `days` whole days before a day, of ad sets that run, as known at that day's end.

    A KNOWN_AD_DAYS frame of all ads of the ad sets of which one was shown within the last
    `active_days` of them.  Before any account was seen there are none.
    """
    values = {
        "as_of": as_of,
        "since": as_of - timedelta(days=days),
        "active_since": as_of - timedelta(days=active_days),
    }
    with warehouse.transaction() as connection:
        rows = connection.execute(_RUNNING_AD_DAYS, values, binary=True).fetchall()
    return _framed(KNOWN_AD_DAYS, rows)


# What is stored now, but of what became known later, what was known before; where an ad stands is
# told by its figures only, and does not change.
_RUNNING_AD_DAYS: LiteralString = """
WITH later AS MATERIALIZED (
    SELECT DISTINCT account_id, ad_id, report_date
    FROM actuals.ad_actuals_revisions
    WHERE as_of_date > %(as_of)s AND report_date >= %(since)s AND report_date < %(as_of)s
      AND EXISTS (SELECT FROM actuals.known_days WHERE known_since <= %(as_of)s)
), known AS MATERIALIZED (
    SELECT account_id, ad_id, report_date, currency, impressions, clicks, spend, conversions,
           revenue
    FROM actuals.ad_actuals AS stored
    WHERE report_date >= %(since)s AND report_date < %(as_of)s
      AND EXISTS (SELECT FROM actuals.known_days WHERE known_since <= %(as_of)s)
      AND NOT EXISTS (
          SELECT FROM later
          WHERE later.account_id = stored.account_id AND later.ad_id = stored.ad_id
            AND later.report_date = stored.report_date
      )
    UNION ALL
    SELECT later.account_id, later.ad_id, later.report_date, before.currency, before.impressions,
           before.clicks, before.spend, before.conversions, before.revenue
    FROM later
    CROSS JOIN LATERAL (
        SELECT *
        FROM actuals.ad_actuals_revisions AS earlier
        WHERE earlier.account_id = later.account_id AND earlier.ad_id = later.ad_id
          AND earlier.report_date = later.report_date AND earlier.as_of_date <= %(as_of)s
        ORDER BY earlier.as_of_date DESC
        LIMIT 1
    ) AS before
    WHERE before.is_listed
), place AS (
    SELECT ad_id, max(campaign_id) AS campaign_id, max(adset_id) AS adset_id
    FROM actuals.ad_actuals
    WHERE report_date >= %(since)s AND adset_id IS NOT NULL
    GROUP BY ad_id
)
SELECT account_id, adset_id, campaign_id, currency, ad_id, report_date, impressions, clicks,
       spend::float8, conversions, revenue::float8
FROM known
JOIN place USING (ad_id)
WHERE adset_id IN (
    SELECT adset_id
    FROM known
    JOIN place USING (ad_id)
    WHERE impressions > 0 AND report_date >= %(active_since)s
)
ORDER BY ad_id COLLATE "C", report_date
"""


def _framed(contract: Contract, rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    values = list(zip(*rows, strict=True)) or [()] * len(contract.columns)
    index = pd.RangeIndex(len(rows))
    series = {
        name: pd.Series(given, index=index, dtype="object")
        for name, given in zip(contract.names, values, strict=True)
    }
    return conform(pd.DataFrame(series, index=index), contract)
