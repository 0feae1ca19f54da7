"""What fetches learned, kept in Postgres: any worker goes on where another one stopped.

Sizes and limits come from `fetch_log`, known ads from `raw_meta_insights` and `ad_actuals`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from hashlib import sha256
from threading import Lock
from typing import Final

from actuals_pipeline.meta.memory import OpenReport, RequestSize
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow
from actuals_pipeline.warehouse.connection import Warehouse

_SIZE: Final = """
SELECT page_size, days_per_request, as_report
FROM actuals.fetch_log
-- One that waited for Meta too long had learned what is too large, and is gone on with.
WHERE kind = 'account' AND account_id = %(account_id)s AND outcome IN ('complete', 'rate_limited')
  AND splits <> '{}' AND until - since < %(days)s
  -- After a day the whole is tried again: what was too large may be no more.
  AND started_at > now() - interval '24 hours'
ORDER BY id DESC
LIMIT 1
"""

_RESTS: Final = """
WITH latest AS (
    SELECT DISTINCT ON (account_id) account_id, account_rests_until, app_rests_until
    FROM actuals.fetch_log
    -- No limit of Meta's lasts longer than a day.
    WHERE started_at > now() - interval '24 hours' AND account_id IS NOT NULL
    ORDER BY account_id, id DESC
), rests AS (
    SELECT account_id, account_rests_until AS until FROM latest
    UNION ALL
    SELECT NULL, max(app_rests_until) FROM latest
)
SELECT account_id, extract(epoch FROM until - now())::double precision
FROM rests
WHERE until > now()
"""

_KNOWN_ADS: Final = """
SELECT ad_id
FROM (
    SELECT account_id, ad_id, report_date FROM actuals.raw_meta_insights
    UNION ALL
    -- Of a month whose payloads were pruned, the ads are known from their figures.
    SELECT account_id, ad_id, report_date FROM actuals.ad_actuals
) AS known
WHERE account_id = %(account_id)s AND report_date >= %(since)s AND report_date <= %(until)s
GROUP BY ad_id
ORDER BY max(report_date) DESC, ad_id
"""

_FRUITLESS_ADS: Final = """
SELECT ad_id
FROM actuals.fruitless_ads
WHERE account_id = %(account_id)s AND since <= %(since)s
  AND asked_at > now() - interval '24 hours'
"""

_REMEMBER_FRUITLESS: Final = """
INSERT INTO actuals.fruitless_ads (account_id, ad_id, since, asked_at)
SELECT %(account_id)s, ad_id, %(since)s, now() FROM unnest(%(ad_ids)s::text[]) AS ad_id
ON CONFLICT (account_id, ad_id) DO UPDATE
SET since = excluded.since, asked_at = excluded.asked_at
"""

_FORGET_FRUITLESS: Final = """
DELETE FROM actuals.fruitless_ads WHERE asked_at <= now() - interval '24 hours'
"""

_NEEDS_BUDGETS: Final = """
SELECT NOT EXISTS (
    SELECT FROM actuals.fetch_log
    WHERE account_id = %(account_id)s AND budgets_on >= %(day)s
)
"""

_OPEN_REPORT: Final = """
SELECT report_run_id, submitted_at
FROM actuals.open_reports
WHERE account_id = %(account_id)s AND fingerprint = %(fingerprint)s
"""

_REMEMBER_REPORT: Final = """
INSERT INTO actuals.open_reports (account_id, fingerprint, report_run_id, submitted_at)
VALUES (%(account_id)s, %(fingerprint)s, %(run_id)s, %(submitted_at)s)
ON CONFLICT (account_id, fingerprint) DO UPDATE
SET report_run_id = excluded.report_run_id, submitted_at = excluded.submitted_at
"""

_FORGET_REPORT: Final = """
DELETE FROM actuals.open_reports
WHERE report_run_id = %(run_id)s OR submitted_at < now() - interval '30 days'
"""


class StoredFetchMemory:
    """The `FetchMemory` of a warehouse; each call is a transaction of its own.

    May be shared by threads: their calls follow one another over one connection at a time,
    because a run has many accounts and a database few connections.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._turn = Lock()

    def request_size(self, account_id: str, window: DayWindow) -> RequestSize | None:
        """The size that worked within a day for a window as long as this one or shorter."""
        values = {"account_id": account_id, "days": len(window)}
        with self._turn, self._warehouse.transaction() as connection:
            found = connection.execute(_SIZE, values).fetchone()
        return RequestSize(*found) if found else None

    def rests(self) -> Mapping[str | None, float]:
        """Seconds for which limits still have to rest, by account; None stands for the app."""
        with self._turn, self._warehouse.transaction() as connection:
            return dict(connection.execute(_RESTS).fetchall())

    def known_ads(self, account_id: str, window: DayWindow) -> Sequence[str]:
        """Ads with figures in the window or up to 28 days before it, the latest first.

        So long may a deleted ad's figures still change (Manage your ad object's status).
        """
        earlier = DayWindow.trailing(window.until, len(window) + SETTLED_AFTER_DAYS)
        values = {"account_id": account_id, "since": earlier.since, "until": earlier.until}
        with self._turn, self._warehouse.transaction() as connection:
            return [ad_id for (ad_id,) in connection.execute(_KNOWN_ADS, values).fetchall()]

    def fruitless_ads(self, account_id: str, window: DayWindow) -> Collection[str]:
        """Ads asked for by id within a day that had nothing in days as early as these."""
        values = {"account_id": account_id, "since": window.since}
        with self._turn, self._warehouse.transaction() as connection:
            return {ad_id for (ad_id,) in connection.execute(_FRUITLESS_ADS, values).fetchall()}

    def remember_fruitless(
        self, account_id: str, window: DayWindow, ad_ids: Collection[str]
    ) -> None:
        """Keep which ads had nothing in `window`, and drop what was kept for more than a day."""
        values = {"account_id": account_id, "since": window.since, "ad_ids": sorted(ad_ids)}
        with self._turn, self._warehouse.transaction() as connection:
            connection.execute(_FORGET_FRUITLESS)
            connection.execute(_REMEMBER_FRUITLESS, values)

    def needs_budgets(self, account_id: str, day: date) -> bool:
        """Whether nobody read the account's budgets on that day, or found that it cannot be."""
        values = {"account_id": account_id, "day": day}
        with self._turn, self._warehouse.transaction() as connection:
            found = connection.execute(_NEEDS_BUDGETS, values).fetchone()
        return bool(found and found[0])

    def open_report(self, account_id: str, fingerprint: str) -> OpenReport | None:
        """The report run submitted last for the same request, if nobody has read it."""
        values = {"account_id": account_id, "fingerprint": _digest(fingerprint)}
        with self._turn, self._warehouse.transaction() as connection:
            found = connection.execute(_OPEN_REPORT, values).fetchone()
        return OpenReport(*found) if found else None

    def remember_report(self, account_id: str, fingerprint: str, report: OpenReport) -> None:
        """Keep a report run, committed at once: the worker may be killed the next moment."""
        values = {
            "account_id": account_id,
            "fingerprint": _digest(fingerprint),
            "run_id": report.run_id,
            "submitted_at": report.submitted_at,
        }
        with self._turn, self._warehouse.transaction() as connection:
            connection.execute(_REMEMBER_REPORT, values)

    def forget_report(self, run_id: str) -> None:
        """Drop a report run, and with it those that Meta has dropped after 30 days."""
        with self._turn, self._warehouse.transaction() as connection:
            connection.execute(_FORGET_REPORT, {"run_id": run_id})


def _digest(fingerprint: str) -> str:
    return sha256(fingerprint.encode()).hexdigest()
