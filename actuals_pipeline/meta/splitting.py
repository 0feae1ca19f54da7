"""Ask Meta for less at a time when it refuses a request as too large.

Cheapest lever first: smaller pages (`pages.py`), then a report run instead of a direct answer,
then half of the days, then half of the ads, then half of the fields.  Every part is read to its
end before the next, and the parts do not overlap, so no row is lost and none comes twice.  The
size that worked is handed back, for the account's next fetch to begin with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from actuals_pipeline.errors import MetaError, RequestTooLarge
from actuals_pipeline.meta import failures, fields
from actuals_pipeline.meta.graph import Graph, Unanswered
from actuals_pipeline.meta.memory import RequestSize
from actuals_pipeline.meta.pages import Pages
from actuals_pipeline.meta.queries import Query
from actuals_pipeline.meta.reports import Reports
from actuals_pipeline.meta.spool import RawInsight, Spool
from actuals_pipeline.report_days import DayWindow

Item = TypeVar("Item")


class Splitter:
    """Reads a query over a window in as many parts as Meta needs it.

    `size` is where it begins and, after a reading, what worked.
    """

    def __init__(self, graph: Graph, pages: Pages, reports: Reports, size: RequestSize) -> None:
        self._graph = graph
        self._pages = pages
        self._reports = reports
        self._as_report = size.as_report
        self._days = size.days

    @property
    def size(self) -> RequestSize:
        """The largest request that worked."""
        return RequestSize(self._pages.size, self._days, self._as_report)

    def read_into(self, spool: Spool, query: Query, window: DayWindow) -> None:
        """Add every row to `spool`; raises with what it then holds being of no use."""
        for part in _parts(window, self._days):
            if not self._read_directly(spool, query, part):
                self._read_report(spool, query, part)

    def _read_directly(self, spool: Spool, query: Query, window: DayWindow) -> bool:
        """Whether Meta answered at once."""
        if self._as_report:
            return False
        path, params = (query.node, "insights"), query.params(window)
        try:
            self._pages.read_into(spool, path, params, query, window, kind="insights")
        except MetaError as error:
            if not _calls_for_report(error):
                raise
            self._graph.usage.splits["report"] += 1
            self._as_report = True
            return False
        return True

    def _read_report(self, spool: Spool, query: Query, window: DayWindow) -> None:
        """All rows by report runs, in halves while one is too large."""

        def read_result(run_id: str) -> None:
            self._pages.read_into(spool, (run_id, "insights"), {}, query, window, kind="report")

        try:
            self._reports.read(query, window, read_result)
        except RequestTooLarge as error:
            self._read_halves(spool, query, window, error)

    def _read_halves(
        self, spool: Spool, query: Query, window: DayWindow, refusal: RequestTooLarge
    ) -> None:
        if len(window) > 1:
            self._graph.usage.splits["days"] += 1
            self._days = (len(window) + 1) // 2
            for part in _parts(window, self._days):
                self._read_report(spool, query, part)
            return
        ad_ids = self._ads_of(query, window) if query.lists_ads and query.measures else ()
        if len(ad_ids) > 1:
            self._graph.usage.splits["ads"] += 1
            for half in _halves(ad_ids):
                self._read_report(spool, query.for_ads(half), window)
        elif len(query.measures) > 1:
            self._graph.usage.splits["fields"] += 1
            for row in self._joined_halves(query, window):
                spool.add(row)
        else:
            raise _unsplittable(query, window, refusal) from refusal

    def _ads_of(self, query: Query, window: DayWindow) -> tuple[str, ...]:
        """The ads that have rows in the window: a much smaller question."""
        if query.ad_ids is not None:
            return query.ad_ids
        found = Spool()
        names = replace(query, names=fields.KEY_FIELDS)
        splitter = Splitter(self._graph, self._pages, self._reports, RequestSize())
        splitter.read_into(found, names, window)
        return tuple(sorted({row["ad_id"] for row in found}))

    def _joined_halves(self, query: Query, window: DayWindow) -> list[RawInsight]:
        """The rows of both halves of the measures, joined; a row may lack all of one half."""
        joined: dict[tuple[str, str], RawInsight] = {}
        for half in _halves(query.measures):
            rows = Spool()
            self._read_report(rows, query.for_measures(half), window)
            for row in rows:
                joined.setdefault((row.get("ad_id", ""), row["date_start"]), {}).update(row)
        return list(joined.values())


def _calls_for_report(error: MetaError) -> bool:
    """Whether a report run may do what a direct answer did not.

    Meta's advice: "use async calls in cases where sync calls timeout" (best practices).
    """
    return failures.may_be_too_large(error) or isinstance(error, Unanswered)


def _parts(window: DayWindow, days: int | None) -> Iterator[DayWindow]:
    """`window` in consecutive parts of at most `days` days."""
    rest: DayWindow | None = window
    while rest is not None:
        length = min(days or len(rest), len(rest))
        part = DayWindow.trailing(rest.until, length)
        yield part
        rest = DayWindow(rest.start, part.start) if rest.start < part.start else None


def _halves(items: Iterable[Item]) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    listed = tuple(items)
    middle = (len(listed) + 1) // 2
    return listed[:middle], listed[middle:]


def _unsplittable(query: Query, window: DayWindow, refusal: RequestTooLarge) -> RequestTooLarge:
    ad_id = query.ad_id or (query.ad_ids[0] if query.ad_ids else None)
    field = f"the one field {query.measures[0]!r} of " if query.measures else ""
    subject = f"ad {ad_id} of account" if ad_id else "account"
    return RequestTooLarge(
        f"Meta refuses even {field}the one day {window.since} of {subject} "
        f"act_{query.account_id} as too large.",
        account_id=query.account_id,
        code=refusal.code,
        subcode=refusal.subcode,
        http_status=refusal.http_status,
        request_id=refusal.request_id,
    )
