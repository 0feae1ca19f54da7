"""Read an account's ads and its totals so that they agree, or so that they are known not to.

Meta restates days at any moment, also between two calls: figures of two moments do not add up
although nothing is missing.  The totals are read before the ads, so that what comes meanwhile makes
no day fall short.  Where the ads of a day still differ from its total, the total is read anew: has
it moved, the ads of that day are older or half older and are read anew too; has it not, they were
read while nothing moved, and the difference is Meta's own.  Rows of a report that an earlier
worker had computed are older than any total, so those that differ are read anew at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.parse import DaySums, sums_by_day
from actuals_pipeline.meta.spool import RawInsight, Rows, Spool, joined
from actuals_pipeline.report_days import DayWindow

logger = logging.getLogger(__name__)

RECHECKS: Final = 3
"""Times that totals are read anew.  Chosen: Meta refreshes every 15 minutes, we read in less."""


class AccountReading:
    """The ads' `rows` and the `totals` of one account over `window`, as `read` leaves them.

    `have` is what the rows of each day add up to, `want` what its total says.
    """

    def __init__(
        self,
        client: InsightsClient,
        account_id: str,
        window: DayWindow,
        *,
        purchase_action_type: Callable[[str], str],
    ) -> None:
        self.rows: Rows = Spool()
        self.totals: Sequence[RawInsight] = ()
        self.have: dict[str, DaySums] = {}
        self.want: dict[str, DaySums] = {}
        self._client = client
        self._account_id = account_id
        self._window = window
        self._chosen = purchase_action_type

    def read(self) -> None:
        """Read both, and what differs anew until it agrees or is known to differ."""
        self.totals = self._client.account_totals(self._account_id, self._window)
        self.rows = self._client.ads_insights(self._account_id, self._window)
        self.want, self.have = self._sums(self.totals), self._sums(self.rows)
        if outdated := self._differing() & set(self._client.resumed_days):
            self._read_rows_anew(outdated)
        for _ in range(RECHECKS):
            differing = self._differing()
            if not differing:
                return
            moved = self._read_totals_anew(differing) & self._differing()
            if not moved:
                return
            self._read_rows_anew(moved)

    def _differing(self) -> set[date]:
        """Days whose ads do not add up to the total, to the last digit, in any figure."""
        return self._changed(self.have, self.want)

    def _changed(self, one: Mapping[str, DaySums], other: Mapping[str, DaySums]) -> set[date]:
        nothing = DaySums()
        return {
            day
            for day in self._window
            if one.get(str(day), nothing) != other.get(str(day), nothing)
        }

    def _read_totals_anew(self, days: Collection[date]) -> set[date]:
        """Read the totals from the first to the last of `days` anew; the days that moved."""
        span, before = DayWindow.inclusive(min(days), max(days)), self.want
        logger.info("checking account=act_%s window=%s again", self._account_id, span)
        others = [row for row in self.totals if row["date_start"] not in _names(span)]
        self.totals = [*others, *self._client.account_totals(self._account_id, span)]
        self.want = self._sums(self.totals)
        return self._changed(before, self.want)

    def _read_rows_anew(self, days: Collection[date]) -> None:
        logger.info("reading account=act_%s anew on %d days", self._account_id, len(days))
        kept = _names(self._window) - _names(days)
        parts = [
            self._client.ads_insights_anew(self._account_id, window)
            for window in DayWindow.adjoining(days)
        ]
        self.rows = joined([self.rows.of_days(kept), *parts])
        self.have = {day: sums for day, sums in self.have.items() if day in kept}
        for part in parts:
            self.have |= self._sums(part)

    def _sums(self, rows: Iterable[RawInsight]) -> dict[str, DaySums]:
        return sums_by_day(rows, purchase_action_type=self._chosen)


def _names(days: Iterable[date]) -> set[str]:
    """The days as Meta writes them."""
    return {day.isoformat() for day in days}
