"""What the warehouse knows about ads and accounts over all their days."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import pandas as pd

from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import frame_of
from actuals_pipeline.warehouse.tables import ad_actuals

_HISTORY_COLUMNS = (
    "account_id",
    "ad_id",
    "report_date",
    "currency",
    "impressions",
    "clicks",
    "spend",
    "conversions",
    "revenue",
)


def ads_since_launch(warehouse: Warehouse, ad_ids: Sequence[str], until: date) -> pd.DataFrame:
    """Every known report day up to and including `until` of the given ads, by ad and day."""
    columns = [ad_actuals.columns[name] for name in _HISTORY_COLUMNS]
    query = """
        SELECT account_id, ad_id, report_date, currency, impressions, clicks, spend, conversions,
               revenue
        FROM actuals.ad_actuals
        WHERE ad_id = ANY(%s) AND report_date <= %s
        ORDER BY ad_id, report_date, account_id
    """
    with warehouse.transaction() as connection:
        rows = connection.execute(query, [list(ad_ids), until]).fetchall()
    return frame_of(columns, rows)


def account_time_zones(warehouse: Warehouse) -> dict[str, str]:
    """IANA time zone of every account ever fetched, as last seen."""
    query = """
        SELECT DISTINCT ON (account_id) account_id, time_zone
        FROM actuals.meta_account_totals
        ORDER BY account_id, report_date DESC
    """
    with warehouse.transaction() as connection:
        return dict(connection.execute(query).fetchall())


def fetched_days(warehouse: Warehouse) -> dict[str, list[date]]:
    """The report days of each account that were fetched whole."""
    query = """
        SELECT account_id, array_agg(report_date)
        FROM actuals.meta_account_totals
        GROUP BY account_id
    """
    with warehouse.transaction() as connection:
        return dict(connection.execute(query).fetchall())


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
