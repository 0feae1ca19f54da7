"""Find the ads that Meta's listing leaves out although its totals include them.

An account's ad-level insights may lack deleted and archived ads, whatever the filter; asked for
by its id, such an ad is still answered for (Manage your ad object's status, 2026-09-12).  Where
the ads of a day do not add up to the account's total, the ads that are known from earlier fetches
and were not listed are asked for one by one, the latest first, until the days add up.  What is
missing then stays missing, and the reconciliation names it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from actuals_pipeline.errors import AdNotFound
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.parse import DaySums, sums_by_day
from actuals_pipeline.meta.spool import RawInsight, Spool
from actuals_pipeline.report_days import DayWindow

logger = logging.getLogger(__name__)

ADS_ASKED: Final = 50
"""Most ads asked for one by one in one fetch.  Chosen: as many calls as a large account's pages."""


def add_missing_ads(
    client: InsightsClient,
    account_id: str,
    window: DayWindow,
    rows: Spool,
    totals: Iterable[RawInsight],
    *,
    purchase_action_type: Callable[[str], str],
) -> int:
    """Add rows of known ads that the listing `rows` lacks; returns how many ads were asked for."""
    want = sums_by_day(totals, purchase_action_type=purchase_action_type)
    have = sums_by_day(rows, purchase_action_type=purchase_action_type)
    if not _falls_short(have, want):
        return 0
    listed = set(rows.ad_ids)
    missing = [ad_id for ad_id in client.known_ads(account_id, window) if ad_id not in listed]
    asked = 0
    for ad_id in missing[:ADS_ASKED]:
        asked += 1
        found = _rows_of(client, account_id, window, ad_id)
        for row in found:
            rows.add(row)
        have = sums_by_day(found, purchase_action_type=purchase_action_type, onto=have)
        if not _falls_short(have, want):
            break
    logger.info("asked account=act_%s for %d ads that its listing lacks", account_id, asked)
    return asked


def _falls_short(have: Mapping[str, DaySums], want: Mapping[str, DaySums]) -> bool:
    """Whether the total of some day is above what its ads add up to."""
    return any(total.exceeds(have.get(day, DaySums())) for day, total in want.items())


def _rows_of(client: InsightsClient, account_id: str, window: DayWindow, ad_id: str) -> Spool:
    try:
        return client.ad_insights(account_id, window, ad_id)
    except AdNotFound:
        # Known once and no longer visible: the gap it leaves is named by the reconciliation.
        return Spool()
