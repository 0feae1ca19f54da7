"""The figures of all ads by report day and currency, and what came to be known of them when.

Three small answers instead of one large one: `actuals.ad_actuals_as_of` looks at every revision
for every as-of day, while only the newest few revisions make a difference to what is stored now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection, sql

from actuals_pipeline.warehouse.ad_day_changes import CHANGES
from actuals_pipeline.warehouse.connection import Warehouse

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class MoneyByDay:
    """Figures of account-days that were fetched whole: day, currency, impressions, clicks, ...

    `current` has one row a report day and currency.  `changes` are (known_on, *figures): what
    became known after the first as-of day, as what it added.  What the first fetch of an
    account's day brought is no change; `first_known` is (day, currency, known_on) of those.
    """

    current: Sequence[Row]
    changes: Sequence[Row]
    first_known: Sequence[Row]


# An account's day of which only a single ad was ever fetched is not known whole.
_CURRENT = """
SELECT report_date, actual.currency, sum(impressions)::bigint, sum(clicks)::bigint,
       sum(link_clicks)::bigint, sum(conversions)::bigint, sum(spend), sum(revenue)
FROM (
    SELECT account_id, report_date, currency, sum(impressions) AS impressions,
           sum(clicks) AS clicks, sum(link_clicks) AS link_clicks,
           sum(conversions) AS conversions, sum(spend) AS spend, sum(revenue) AS revenue
    FROM actuals.ad_actuals
    WHERE report_date <= %(last)s
    GROUP BY account_id, report_date, currency
) AS actual
WHERE (account_id, report_date) IN (
    SELECT account_id, report_date FROM actuals.meta_account_totals
)
GROUP BY report_date, actual.currency
"""

_REVISIONS = """
CREATE TEMPORARY TABLE revisions ON COMMIT DROP AS
SELECT * FROM actuals.ad_actuals_revisions
WHERE as_of_date > %(first)s AND report_date <= %(last)s
"""

# Accounts' days whose first revision of all is a later one.
_NEW_DAYS = """
CREATE TEMPORARY TABLE new_days ON COMMIT DROP AS
SELECT account_id, report_date, min(as_of_date) AS known_on
FROM actuals.ad_actuals_revisions
WHERE report_date >= (SELECT min(report_date) FROM revisions)
  AND report_date <= (SELECT max(report_date) FROM revisions)
GROUP BY account_id, report_date
HAVING min(as_of_date) > %(first)s
"""

_CHANGES = sql.SQL("""
SELECT as_of_date, report_date, currency, sum(impressions)::bigint, sum(clicks)::bigint,
       sum(link_clicks)::bigint, sum(conversions)::bigint, sum(spend), sum(revenue)
FROM ({changes}) AS change
LEFT JOIN new_days AS new USING (account_id, report_date)
WHERE new.known_on IS DISTINCT FROM as_of_date
  AND (account_id, report_date) IN (
      SELECT account_id, report_date FROM actuals.meta_account_totals
  )
GROUP BY as_of_date, report_date, currency
""").format(changes=sql.SQL(CHANGES))

_FIRST_KNOWN = """
SELECT new.report_date, total.currency, max(new.known_on)
FROM new_days AS new
JOIN actuals.meta_account_totals AS total USING (account_id, report_date)
GROUP BY new.report_date, total.currency
"""

_ACCOUNTS = """
SELECT account_id, max(currency), array_agg(report_date)
FROM actuals.meta_account_totals
GROUP BY account_id
ORDER BY account_id
"""


def money_by_day(warehouse: Warehouse, first: date, last: date) -> MoneyByDay:
    """All report days up to `last`, with what it takes to know them as of any day from `first`."""
    values = {"first": first, "last": last}
    with warehouse.transaction() as connection:
        # One picture of the warehouse for all of the answers.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        current = connection.execute(_CURRENT, values).fetchall()
        connection.execute(_REVISIONS, values)
        connection.execute(_NEW_DAYS, values)
        return MoneyByDay(current, _all(connection, _CHANGES), _all(connection, _FIRST_KNOWN))


def accounts(warehouse: Warehouse) -> list[Row]:
    """(account_id, currency, report days fetched whole) of every account ever fetched."""
    with warehouse.transaction() as connection:
        return connection.execute(_ACCOUNTS).fetchall()


def _all(connection: Connection, query: Any) -> list[Row]:
    return connection.execute(query).fetchall()
