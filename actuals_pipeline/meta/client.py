"""Insights of ad accounts and ads, complete or not at all.

A fetch returns every row that Meta has for the window, or raises: the caller may replace whole
days with it.  Rows are handed on exactly as received; only their keys are checked at the door.

Sources: Insights best practices and reference, Marketing API v26.0, read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self

from actuals_pipeline.errors import AdNotFound, InputError, MetaError
from actuals_pipeline.meta import failures, fields
from actuals_pipeline.meta.graph import (
    STAND_IN_HEADER,
    FetchUsage,
    Graph,
    GraphSession,
    MetaCredentials,
)
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.memory import FetchMemory, ProcessMemory, RequestSize
from actuals_pipeline.meta.pages import Pages
from actuals_pipeline.meta.queries import Query, account_node, not_an_id
from actuals_pipeline.meta.reports import Reports
from actuals_pipeline.meta.splitting import Splitter
from actuals_pipeline.meta.spool import RawInsight, Spool
from actuals_pipeline.report_days import DayWindow, parse_day, time_zone

__all__ = [
    "FetchUsage",
    "InsightsClient",
    "MetaAccount",
    "MetaCredentials",
    "RawInsight",
]


@dataclass(frozen=True, slots=True)
class MetaAccount:
    """An ad account: `currency` as three capital letters, `time_zone` as its IANA name."""

    account_id: str
    name: str
    currency: str
    time_zone: str
    is_stand_in: bool


class InsightsClient:
    """Reads the insights of one ad account at a time.

    `graph_url` and `api_version` make the address, `timeout` is (connect, read) in seconds.
    `limits` may be shared by the clients of a run; `memory` holds what earlier fetches left;
    `now` gives the instant, aware.  `size` is what to begin with where nothing is remembered.
    `on_page` is told the number of rows of each page.  Without `filter_statuses` no filter names
    the statuses of ads.  Not for use by two threads at a time.
    """

    def __init__(
        self,
        credentials: MetaCredentials,
        *,
        graph_url: str,
        api_version: str,
        timeout: tuple[float, float] = (10, 120),
        limits: Limits | None = None,
        memory: FetchMemory | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        size: RequestSize | None = None,
        filter_statuses: bool = True,
        on_page: Callable[[int], None] | None = None,
    ) -> None:
        session = GraphSession(
            credentials, graph_url=graph_url, api_version=api_version, timeout=timeout
        )
        self._graph = Graph(session, limits or Limits())
        self._memory = memory or ProcessMemory()
        self._reports = Reports(self._graph, self._memory, now=now)
        self._size = size or RequestSize()
        self._filter_statuses = filter_statuses
        self._on_page = on_page

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._graph.close()

    @property
    def usage(self) -> FetchUsage:
        """What this client's calls have cost so far."""
        return self._graph.usage

    @property
    def limits(self) -> Limits:
        """What is known of the limits of the app and of its accounts."""
        return self._graph.limits

    @property
    def size(self) -> RequestSize:
        """How much of an account was asked for at once, as far as Meta answered."""
        return self._size

    def known_ads(self, account_id: str, window: DayWindow) -> Sequence[str]:
        """Ads that earlier fetches saw in the window or shortly before it, the latest first."""
        return self._memory.known_ads(account_id, window)

    def fruitless_ads(self, account_id: str, window: DayWindow) -> Collection[str]:
        """Ads that had nothing in such a window when they were asked for by id, not long ago."""
        return self._memory.fruitless_ads(account_id, window)

    def remember_fruitless(
        self, account_id: str, window: DayWindow, ad_ids: Collection[str]
    ) -> None:
        """Let later fetches know which ads had nothing when they were asked for by id."""
        if ad_ids:
            self._memory.remember_fruitless(account_id, window, ad_ids)

    @property
    def reported_at(self) -> Mapping[date, datetime]:
        """For each day that was read from report runs, when the oldest of them was submitted."""
        return self._reports.submitted_at

    @property
    def resumed_days(self) -> Collection[date]:
        """Days read from a report run that an earlier worker had submitted."""
        return self._reports.resumed_days

    def forget_reports(self) -> None:
        """Let no later fetch go on with what was read: all that was asked for has come."""
        self._reports.forget_what_was_read()

    def account(self, account_id: str) -> MetaAccount:
        """The ad account; one call.  `MetaRefused` when there is none or it may not be seen."""
        answer = self._graph.call(
            "GET",
            (account_node(account_id),),
            {"fields": ",".join(fields.ACCOUNT_NODE_FIELDS)},
            kind="account",
            account_id=account_id,
        )
        return _account(answer.body, account_id, is_stand_in=STAND_IN_HEADER in answer.headers)

    def ad_account_id(self, ad_id: str) -> str:
        """The ad account that an ad belongs to; one call.  `AdNotFound` when it is no ad.

        `InputError`, without a call, when the id is not digits: nobody else's text gets into a URL.
        """
        if not fields.is_number(ad_id):
            raise not_an_id(ad_id, "ad")
        not_found = AdNotFound(f"{ad_id} is not an ad: check the id of the ad.")
        try:
            answer = self._graph.call(
                "GET",
                (ad_id,),
                {"fields": ",".join(fields.AD_NODE_FIELDS)},
                kind="ad",
                account_id=None,
                ad_id=ad_id,
            )
        except MetaError as error:
            # A node of another kind has no field of this name, and Meta says only "100".
            if type(error) is MetaError and error.code == failures.MISSING_OBJECT[0]:
                raise not_found from error
            raise
        account_id = answer.body.get("account_id")
        if not fields.is_id(account_id):
            raise not_found
        return str(account_id)

    def campaigns(self, account_id: str) -> list[dict[str, Any]]:
        """The account's campaigns with their budgets, archived and deleted ones left out."""
        return self._edge(account_id, "campaigns", fields.CAMPAIGN_FIELDS)

    def ad_sets(self, account_id: str) -> list[dict[str, Any]]:
        """The account's ad sets with their budgets, archived and deleted ones left out."""
        return self._edge(account_id, "adsets", fields.AD_SET_FIELDS)

    def needs_budgets(self, account_id: str, day: date) -> bool:
        """Whether the account's budgets are still to be read on its calendar day `day`."""
        return self._memory.needs_budgets(account_id, day)

    def _edge(self, account_id: str, edge: str, names: Sequence[str]) -> list[dict[str, Any]]:
        return Pages(self._graph).listed(
            (account_node(account_id), edge),
            {"fields": ",".join(names)},
            Query.of_account(account_id),
            kind=edge,
        )

    def ads_insights(self, account_id: str, window: DayWindow) -> Spool:
        """One row per ad and report day of the account, in any order.

        A day on which an ad neither delivered nor converted has no row.  Archived and deleted ads
        are included where Meta lists them.  Never a part: `MetaError` or one of its kinds when not
        every row could be read.
        """
        self._size = self._memory.request_size(account_id, window) or self._size
        splitter = self._splitter(self._size)
        rows = Spool()
        try:
            splitter.read_into(rows, self._query_of_ads(account_id), window)
        finally:
            # What was refused as too large need not be tried again by who goes on with this.
            self._size = splitter.size
        return rows

    def ads_insights_anew(self, account_id: str, window: DayWindow) -> Spool:
        """Rows of days that were read before, to be used instead of those."""
        self._reports.begin_anew(window)
        return self._rows(self._query_of_ads(account_id), window, self._size)

    def listed_ads_insights(
        self, account_id: str, window: DayWindow, ad_ids: Sequence[str]
    ) -> Spool:
        """As `ads_insights`, of these ads alone, whatever their status; one request, so not many.

        Every status is named, whether or not the account's own listing names them.
        """
        query = Query.of_ads(account_id, filter_statuses=True).for_ads(ad_ids)
        return self._rows(query, window)

    def ad_insights(self, account_id: str, window: DayWindow, ad_id: str) -> Spool:
        """One row per report day of one ad, asked for directly, whatever its status."""
        return self._rows(Query.of_ad(ad_id, account_id), window)

    def account_totals(self, account_id: str, window: DayWindow) -> list[RawInsight]:
        """One row per report day of the account: Meta's own totals, deleted ads included."""
        return list(self._rows(Query.of_account(account_id), window))

    def ad_reach(self, account_id: str, window: DayWindow, ad_id: str) -> list[RawInsight]:
        """The ad's one row for all days of the window together, or none; it holds `reach` only."""
        query = Query.of_ad(ad_id, account_id, names=fields.REACH_FIELDS, is_daily=False)
        return list(self._rows(query, window))

    def ad_lifetime(self, ad_id: str) -> tuple[date, date] | None:
        """First and last report day on which Meta has anything of the ad; None for never.

        Reaches back over the 37 months that Meta keeps.
        """
        query = Query.of_ad(ad_id, None, names=fields.LIFETIME_FIELDS)
        params = query.without_days() | {"date_preset": fields.DATE_PRESET_MAXIMUM}
        rows = Spool()
        self._pages(self._size).read_into(
            rows, (ad_id, "insights"), params, query, None, kind="insights"
        )
        days = [parse_day(row["date_start"]) for row in rows]
        return (min(days), max(days)) if days else None

    def _query_of_ads(self, account_id: str) -> Query:
        return Query.of_ads(account_id, filter_statuses=self._filter_statuses)

    def _rows(self, query: Query, window: DayWindow, size: RequestSize | None = None) -> Spool:
        rows = Spool()
        splitter = self._splitter(size or RequestSize(self._size.page_size))
        splitter.read_into(rows, query, window)
        return rows

    def _splitter(self, size: RequestSize) -> Splitter:
        return Splitter(self._graph, self._pages(size), self._reports, size)

    def _pages(self, size: RequestSize) -> Pages:
        return Pages(self._graph, size=size.page_size, on_page=self._on_page)


def _account(node: Mapping[str, Any], account_id: str, *, is_stand_in: bool) -> MetaAccount:
    query = Query.of_account(account_id)
    values = [node.get(name) for name in fields.ACCOUNT_NODE_FIELDS]
    for name, value in zip(fields.ACCOUNT_NODE_FIELDS, values, strict=True):
        if not isinstance(value, str):
            raise query.unexpected(f"{name} is {value!r}")
    answered_id, name, currency, zone = map(str, values)
    if answered_id != account_id:
        raise query.unexpected(f"it answered for account {answered_id!r}")
    try:
        time_zone(zone)
    except InputError:
        raise query.unexpected(f"timezone_name {zone!r} is no known time zone") from None
    return MetaAccount(account_id, name, currency, zone, is_stand_in)
