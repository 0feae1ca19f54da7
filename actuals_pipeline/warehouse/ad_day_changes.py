"""By how much the figures of ads' days changed when more of them came to be known.

A revision adds its figures and takes away those of the one before it: a row each, because an
account may have changed its currency in between.  Summed up to any day, they are what was known at
its end.  So what was known then is also what is stored now, less the changes that came later, which
are few.  `accuracy/as_known.py` does the same in pandas and is its definition.
"""

from __future__ import annotations

from typing import Final, LiteralString

CHANGES: Final[LiteralString] = """
    SELECT
        account_id, ad_id, report_date, as_of_date, currency, 1 AS listed,
        coalesce(impressions, 0) AS impressions, coalesce(clicks, 0) AS clicks,
        coalesce(link_clicks, 0) AS link_clicks, coalesce(spend, 0) AS spend,
        coalesce(conversions, 0) AS conversions, coalesce(revenue, 0) AS revenue,
        impressions > 0 AS is_shown
    FROM revisions
    WHERE is_listed
    UNION ALL
    SELECT
        since.account_id, since.ad_id, since.report_date, since.as_of_date, before.currency, -1,
        -coalesce(before.impressions, 0), -coalesce(before.clicks, 0),
        -coalesce(before.link_clicks, 0), -coalesce(before.spend, 0),
        -coalesce(before.conversions, 0), -coalesce(before.revenue, 0), false
    FROM revisions AS since
    CROSS JOIN LATERAL (
        SELECT *
        FROM actuals.ad_actuals_revisions AS earlier
        WHERE earlier.account_id = since.account_id AND earlier.ad_id = since.ad_id
          AND earlier.report_date = since.report_date AND earlier.as_of_date < since.as_of_date
        ORDER BY earlier.as_of_date DESC
        LIMIT 1
    ) AS before
    WHERE before.is_listed
"""
"""Of the `revisions` that a query has; `listed` counts the rows that Meta had of an ad's day."""
