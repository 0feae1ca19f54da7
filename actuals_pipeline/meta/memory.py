"""What one fetch leaves for later ones: sizes that worked, limits, ads, open reports.

A protocol, because this package knows no database; `warehouse/fetch_memory.py` keeps it in
Postgres, so that any worker can go on where another one stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Protocol

from actuals_pipeline.report_days import DayWindow

PAGE_SIZE: Final = 500
"""Rows asked for in a page; Meta's default is 25, its maximum undocumented, 500 in public use."""


@dataclass(frozen=True, slots=True)
class RequestSize:
    """How much of an account Meta answered at once: rows in a page, days (None: any number).

    `as_report` says that only asynchronous reports went through.
    """

    page_size: int = PAGE_SIZE
    days: int | None = None
    as_report: bool = False


@dataclass(frozen=True, slots=True)
class OpenReport:
    """A report run that was submitted, and that no complete fetch has used."""

    run_id: str
    submitted_at: datetime


class FetchMemory(Protocol):
    """What is remembered between fetches; `account_id` is bare digits."""

    def request_size(self, account_id: str, window: DayWindow) -> RequestSize | None:
        """The size that lately worked for a window as long as this one or shorter.

        None when nothing had to be made smaller, or when it is time to try the whole again.
        """

    def rests(self) -> Mapping[str | None, float]:
        """Seconds for which Meta still wants no calls, by account; None stands for the app."""

    def known_ads(self, account_id: str, window: DayWindow) -> Sequence[str]:
        """Ads that had figures in the window or shortly before it, the latest first."""

    def fruitless_ads(self, account_id: str, window: DayWindow) -> Collection[str]:
        """Ads that were asked for by id within a day and had nothing in days as early as these."""

    def remember_fruitless(
        self, account_id: str, window: DayWindow, ad_ids: Collection[str]
    ) -> None:
        """Keep which ads had nothing in `window` when they were asked for by id."""

    def needs_budgets(self, account_id: str, day: date) -> bool:
        """Whether the account's budgets are still to be read on its calendar day `day`."""

    def open_report(self, account_id: str, fingerprint: str) -> OpenReport | None:
        """The report run that was submitted for the same request not long ago."""

    def remember_report(self, account_id: str, fingerprint: str, report: OpenReport) -> None:
        """Keep a report run that was just submitted."""

    def forget_report(self, run_id: str) -> None:
        """Drop a report run that a complete fetch has used, or that is of no use any more."""


@dataclass(slots=True)
class ProcessMemory:
    """What is remembered for as long as the process lives; everything empty at first."""

    sizes: dict[str, RequestSize] = field(default_factory=dict)
    resting: dict[str | None, float] = field(default_factory=dict)
    ads: dict[str, list[str]] = field(default_factory=dict)
    fruitless: dict[tuple[str, str], date] = field(default_factory=dict)
    reports: dict[tuple[str, str], OpenReport] = field(default_factory=dict)
    keeps_budgets: bool = False

    def request_size(self, account_id: str, window: DayWindow) -> RequestSize | None:  # noqa: ARG002
        """As in `FetchMemory`, whatever the window."""
        return self.sizes.get(account_id)

    def rests(self) -> Mapping[str | None, float]:
        """As in `FetchMemory`."""
        return self.resting

    def known_ads(self, account_id: str, window: DayWindow) -> Sequence[str]:  # noqa: ARG002
        """As in `FetchMemory`, whatever the window."""
        return self.ads.get(account_id, [])

    def fruitless_ads(self, account_id: str, window: DayWindow) -> Collection[str]:
        """As in `FetchMemory`, for as long as the process lives."""
        return {
            ad_id
            for (of_account, ad_id), since in self.fruitless.items()
            if of_account == account_id and since <= window.since
        }

    def remember_fruitless(
        self, account_id: str, window: DayWindow, ad_ids: Collection[str]
    ) -> None:
        """As in `FetchMemory`."""
        self.fruitless |= {(account_id, ad_id): window.since for ad_id in ad_ids}

    def needs_budgets(self, account_id: str, day: date) -> bool:  # noqa: ARG002
        """As in `FetchMemory`; never, unless somebody keeps them."""
        return self.keeps_budgets

    def open_report(self, account_id: str, fingerprint: str) -> OpenReport | None:
        """As in `FetchMemory`."""
        return self.reports.get((account_id, fingerprint))

    def remember_report(self, account_id: str, fingerprint: str, report: OpenReport) -> None:
        """As in `FetchMemory`."""
        self.reports[account_id, fingerprint] = report

    def forget_report(self, run_id: str) -> None:
        """As in `FetchMemory`."""
        self.reports = {key: kept for key, kept in self.reports.items() if kept.run_id != run_id}
