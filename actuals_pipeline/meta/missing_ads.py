"""Find the ads that Meta's listing leaves out although its totals include them.

An account's ad-level insights may lack deleted and archived ads, whatever the filter.  Where the
ads of a day do not add up to the account's total, the ads that are known from earlier fetches and
were not listed are asked for, the latest first, until the days add up: in lists of ids, which cost
a call for many ads, and those of whom a list says nothing by their own node, which answers for a
deleted ad too (Manage your ad object's status, 2026-09-12).  What is missing then stays missing,
and the reconciliation names it; an ad that had nothing is left alone for a day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from actuals_pipeline.errors import AdNotFound
from actuals_pipeline.meta.agreement import AccountReading
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.parse import DaySums, sums_by_day
from actuals_pipeline.meta.spool import Spool
from actuals_pipeline.report_days import DayWindow

logger = logging.getLogger(__name__)

ADS_IN_A_LIST: Final = 100
"""Most ids in one request.  Chosen: they make an address of 4 kB, and proxies may take 8 kB."""

LISTS_ASKED: Final = 5
ADS_ASKED_ALONE: Final = 50
"""Most calls of each kind in one fetch.  Chosen: as many as a large account's pages."""


class MissingAds:
    """Asks for the ads that `reading` lacks; `found` has what came, `asked` who was asked for."""

    def __init__(
        self,
        client: InsightsClient,
        account_id: str,
        window: DayWindow,
        reading: AccountReading,
        *,
        purchase_action_type: Callable[[str], str],
    ) -> None:
        self.found = Spool()
        self.asked: set[str] = set()
        self._client = client
        self._account_id = account_id
        self._window = window
        self._listed = reading.rows
        self._have: Mapping[str, DaySums] = dict(reading.have)
        self._want: Mapping[str, DaySums] = reading.want
        self._chosen = purchase_action_type

    def ask(self) -> None:
        """Ask for known ads that are not listed until the days add up to their totals."""
        if not self._falls_short():
            return
        resting = self._client.fruitless_ads(self._account_id, self._window)
        left_out = {*self._listed.ad_ids, *resting}
        known = self._client.known_ads(self._account_id, self._window)
        missing = [ad_id for ad_id in known if ad_id not in left_out]
        self._ask_in_lists(missing)
        self._ask_alone(missing)
        logger.info(
            "asked account=act_%s for %d ads that its listing lacks, %d are left alone today",
            self._account_id,
            len(self.asked),
            len(resting),
        )

    def _ask_in_lists(self, missing: Sequence[str]) -> None:
        for start in range(0, min(len(missing), LISTS_ASKED * ADS_IN_A_LIST), ADS_IN_A_LIST):
            if not self._falls_short():
                return
            ad_ids = missing[start : start + ADS_IN_A_LIST]
            self.asked.update(ad_ids)
            self._add(self._client.listed_ads_insights(self._account_id, self._window, ad_ids))

    def _ask_alone(self, missing: Sequence[str]) -> None:
        """Ask those that no list answered for at their own node, and note who had nothing."""
        answered = set(self.found.ad_ids)
        fruitless = []
        for ad_id in [each for each in missing if each not in answered][:ADS_ASKED_ALONE]:
            if not self._falls_short():
                break
            self.asked.add(ad_id)
            rows = self._rows_of(ad_id)
            self._add(rows)
            if not len(rows):
                fruitless.append(ad_id)
        self._client.remember_fruitless(self._account_id, self._window, fruitless)

    def _rows_of(self, ad_id: str) -> Spool:
        try:
            return self._client.ad_insights(self._account_id, self._window, ad_id)
        except AdNotFound:
            # Known once and no longer visible: the gap it leaves is named by the reconciliation.
            return Spool()

    def _add(self, rows: Spool) -> None:
        for row in rows:
            self.found.add(row)
        self._have = sums_by_day(rows, purchase_action_type=self._chosen, onto=self._have)

    def _falls_short(self) -> bool:
        """Whether the total of some day is above what its ads add up to."""
        nothing = DaySums()
        return any(total.exceeds(self._have.get(day, nothing)) for day, total in self._want.items())
