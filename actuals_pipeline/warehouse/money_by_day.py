"""The figures of all ads by report day and currency, and what came to be known of them when.

Three small answers instead of one large one: `actuals.ad_actuals_as_of` looks at every revision
for every as-of day, while only the newest few revisions make a difference to what is stored now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection

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

_LATER = """
CREATE TEMPORARY TABLE later ON COMMIT DROP AS
SELECT * FROM actuals.ad_actuals_revisions
WHERE as_of_date > %(first)s AND report_date <= %(last)s
"""

# Accounts' days whose first revision of all is a later one.
_NEW_DAYS = """
CREATE TEMPORARY TABLE new_days ON COMMIT DROP AS
SELECT account_id, report_date, min(as_of_date) AS known_on
FROM actuals.ad_actuals_revisions
WHERE report_date >= (SELECT min(report_date) FROM later)
  AND report_date <= (SELECT max(report_date) FROM later)
GROUP BY account_id, report_date
HAVING min(as_of_date) > %(first)s
"""

# A revision adds its figures and takes away those of the one before it; of a listed one some may
# be unknown, which adds nothing.
_CHANGES = """
SELECT change.known_on, report_date, currency, coalesce(sum(impressions), 0)::bigint,
       coalesce(sum(clicks), 0)::bigint, coalesce(sum(link_clicks), 0)::bigint,
       coalesce(sum(conversions), 0)::bigint, coalesce(sum(spend), 0), coalesce(sum(revenue), 0)
FROM (
    SELECT account_id, as_of_date AS known_on, report_date, currency, impressions, clicks,
           link_clicks, conversions, spend, revenue
    FROM later
    WHERE is_listed
    UNION ALL
    SELECT later.account_id, later.as_of_date, later.report_date, before.currency,
           -before.impressions, -before.clicks, -before.link_clicks, -before.conversions,
           -before.spend, -before.revenue
    FROM later
    CROSS JOIN LATERAL (
        SELECT *
        FROM actuals.ad_actuals_revisions AS known
        WHERE known.account_id = later.account_id AND known.ad_id = later.ad_id
          AND known.report_date = later.report_date AND known.as_of_date < later.as_of_date
        ORDER BY known.as_of_date DESC
        LIMIT 1
    ) AS before
    WHERE before.is_listed
) AS change
LEFT JOIN new_days AS new USING (account_id, report_date)
WHERE new.known_on IS DISTINCT FROM change.known_on
  AND (account_id, report_date) IN (
      SELECT account_id, report_date FROM actuals.meta_account_totals
  )
GROUP BY change.known_on, report_date, currency
"""

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
        connection.execute(_LATER, values)
        connection.execute(_NEW_DAYS, values)
        return MoneyByDay(current, _all(connection, _CHANGES), _all(connection, _FIRST_KNOWN))


def accounts(warehouse: Warehouse) -> list[Row]:
    """(account_id, currency, report days fetched whole) of every account ever fetched."""
    with warehouse.transaction() as connection:
        return connection.execute(_ACCOUNTS).fetchall()


def _all(connection: Connection, query: Any) -> list[Row]:
    return connection.execute(query).fetchall()
