"""Insights of ad accounts and ads, complete or not at all.

A fetch returns every row that Meta has for the window, or raises: the caller may replace whole
days with it.  Paging, report runs and splitting are ours, because the SDK's cursor stops at an
empty page that has a next one, and its report object is true in every state.

Rows are handed on exactly as received (`RawInsight`); only their keys are checked at the door.

Sources: Insights best practices and reference, Marketing API v26.0, read 2026-11-22.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Self

from actuals_pipeline.errors import (
    AdNotFound,
    InputError,
    MetaError,
    MetaUnavailable,
    ReportFailed,
    RequestTooLarge,
    UnexpectedPayload,
)
from actuals_pipeline.meta import failures, fields
from actuals_pipeline.meta.graph import (
    STAND_IN_HEADER,
    WAIT_BUDGET_SECONDS,
    FetchUsage,
    Graph,
    GraphSession,
    MetaCredentials,
)
from actuals_pipeline.report_days import DayWindow, parse_day, time_zone

__all__ = [
    "FetchUsage",
    "InsightsClient",
    "MetaAccount",
    "MetaCredentials",
    "RawInsight",
]

RawInsight = dict[str, Any]
"""One row of insights, exactly as Meta sent it."""

PAGE_SIZE: Final = 500
"""Rows asked for in a page; Meta's default is 25, its maximum undocumented, 500 in public use."""

REPORT_DEADLINE_SECONDS: Final = 3600.0
"""Longest wait for one report run: "up to an hour including retry attempts" (best practices)."""

REPORT_RUNS: Final = 3
"""Runs submitted for one window when Meta skips them or passing trouble ends them.  Chosen."""

FIRST_POLL_SECONDS: Final = 1.0
LONGEST_POLL_SECONDS: Final = 30.0
"""Polls of a report run start close together and double in distance.  Chosen; undocumented."""

RUN_UNKNOWN_SECONDS: Final = 60.0
"""A run just created may be unknown for this long (seen by public connectors as 100/33)."""


@dataclass(frozen=True, slots=True)
class MetaAccount:
    """An ad account: `currency` as three capital letters, `time_zone` as its IANA name."""

    account_id: str
    name: str
    currency: str
    time_zone: str
    is_stand_in: bool


@dataclass(frozen=True, slots=True)
class _Query:
    """What is asked, apart from the days: one node's insights at one level."""

    node: str
    level: str
    fields: tuple[str, ...]
    account_id: str | None
    ad_id: str | None = None
    filtering: tuple[Mapping[str, Any], ...] = ()
    is_daily: bool = True

    def params(self, window: DayWindow) -> dict[str, Any]:
        days = {"since": window.since.isoformat(), "until": window.until.isoformat()}
        return self.without_days() | {"time_range": days}

    def without_days(self) -> dict[str, Any]:
        params: dict[str, Any] = {
            "level": self.level,
            "fields": ",".join(self.fields),
            "action_attribution_windows": list(fields.ATTRIBUTION_WINDOWS),
        }
        if self.is_daily:
            params["time_increment"] = fields.DAILY
        if self.filtering:
            params["filtering"] = list(self.filtering)
        return params


class InsightsClient:
    """Reads the insights of one token's ad accounts.

    `graph_url` and `api_version` make the address, `timeout` is (connect, read) in seconds.
    `clock` gives seconds, `sleep` waits that many, `jitter` gives numbers in 0..1.  `on_page` is
    told the number of rows of each page.  Without `filter_statuses` no filter names the statuses,
    and archived and deleted ads are missing.  Not for use by two threads at a time.
    """

    def __init__(
        self,
        credentials: MetaCredentials,
        *,
        graph_url: str,
        api_version: str,
        timeout: tuple[float, float] = (10, 120),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        page_size: int = PAGE_SIZE,
        wait_budget_seconds: float = WAIT_BUDGET_SECONDS,
        filter_statuses: bool = True,
        on_page: Callable[[int], None] | None = None,
    ) -> None:
        session = GraphSession(
            credentials, graph_url=graph_url, api_version=api_version, timeout=timeout
        )
        self._graph = Graph(
            session, sleep=sleep, jitter=jitter, wait_budget_seconds=wait_budget_seconds
        )
        self._clock = clock
        self._sleep = sleep
        self._page_size = page_size
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

    def account(self, account_id: str) -> MetaAccount:
        """The ad account; one call.  `MetaRefused` when there is none or it may not be seen."""
        node = f"act_{_checked_id(account_id, 'ad account')}"
        answer = self._graph.call(
            "GET",
            (node,),
            {"fields": ",".join(fields.ACCOUNT_NODE_FIELDS)},
            account_id=account_id,
        )
        return _account(answer.body, account_id, is_stand_in=STAND_IN_HEADER in answer.headers)

    def ad_account_id(self, ad_id: str) -> str:
        """The ad account that an ad belongs to; one call.  `AdNotFound` when it is no ad."""
        _checked_id(ad_id, "ad")
        not_found = AdNotFound(f"{ad_id} is not an ad: check the id of the ad.")
        try:
            answer = self._graph.call(
                "GET",
                (ad_id,),
                {"fields": ",".join(fields.AD_NODE_FIELDS)},
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

    def ad_insights(
        self, account_id: str, window: DayWindow, *, ad_id: str | None = None
    ) -> list[RawInsight]:
        """One row per ad and report day of the account, or of its one ad `ad_id`, in any order.

        A day on which an ad neither delivered nor converted has no row.  Archived and deleted ads
        are included where Meta lists them; one ad is asked for directly, whatever its status.
        Never a part: `MetaError` or one of its kinds when not every row could be read.
        """
        if ad_id is None:
            return self._rows(self._ads_of(account_id), window)
        query = _Query(
            _checked_id(ad_id, "ad"), fields.LEVEL_AD, fields.AD_FIELDS, account_id, ad_id
        )
        return self._rows(query, window)

    def account_totals(self, account_id: str, window: DayWindow) -> list[RawInsight]:
        """One row per report day of the account: Meta's own totals, deleted ads included."""
        node = f"act_{_checked_id(account_id, 'ad account')}"
        query = _Query(node, fields.LEVEL_ACCOUNT, fields.ACCOUNT_FIELDS, account_id)
        return self._rows(query, window)

    def ad_reach(self, account_id: str, window: DayWindow, ad_id: str) -> list[RawInsight]:
        """The ad's one row for all days of the window together, or none; it holds `reach` only."""
        query = _Query(
            _checked_id(ad_id, "ad"),
            fields.LEVEL_AD,
            fields.REACH_FIELDS,
            account_id,
            ad_id,
            is_daily=False,
        )
        return self._rows(query, window)

    def ad_lifetime(self, ad_id: str) -> tuple[date, date] | None:
        """First and last report day on which Meta has anything of the ad; None for never.

        Reaches back over the 37 months that Meta keeps.
        """
        query = _Query(
            _checked_id(ad_id, "ad"), fields.LEVEL_AD, fields.LIFETIME_FIELDS, None, ad_id
        )
        params = query.without_days() | {"date_preset": fields.DATE_PRESET_MAXIMUM}
        gathered = self._gathered((ad_id, "insights"), params, query, None)
        days = [parse_day(row["date_start"]) for row in gathered]
        return (min(days), max(days)) if days else None

    def _ads_of(self, account_id: str) -> _Query:
        return _Query(
            f"act_{_checked_id(account_id, 'ad account')}",
            fields.LEVEL_AD,
            fields.AD_FIELDS,
            account_id,
            filtering=fields.ALL_STATUSES_FILTER if self._filter_statuses else (),
        )

    def _rows(self, query: _Query, window: DayWindow) -> list[RawInsight]:
        """All rows: asked directly, and through report runs when that is too much at once."""
        try:
            return self._gathered((query.node, "insights"), query.params(window), query, window)
        except RequestTooLarge:
            return self._rows_of_reports(query, window)

    def _rows_of_reports(self, query: _Query, window: DayWindow) -> list[RawInsight]:
        """All rows by report runs, of half the days at a time when one is still too large."""
        try:
            run_id = self._completed_run(query, window)
            return self._gathered((run_id, "insights"), {}, query, window)
        except RequestTooLarge as error:
            if len(window) == 1:
                raise RequestTooLarge(
                    f"Meta refuses even the one day {window.since} of account "
                    f"act_{query.account_id} as too large.",
                    account_id=query.account_id,
                    code=error.code,
                    subcode=error.subcode,
                    http_status=error.http_status,
                    request_id=error.request_id,
                ) from error
        first, second = _halves(window)
        return [*self._rows_of_reports(query, first), *self._rows_of_reports(query, second)]

    def _gathered(
        self,
        path: Sequence[str],
        params: Mapping[str, Any],
        query: _Query,
        window: DayWindow | None,
    ) -> list[RawInsight]:
        """The checked rows of every page; read again from the start once if a cursor expires."""
        try:
            return self._gathered_once(path, params, query, window)
        except MetaUnavailable as error:
            if error.code != failures.CURSOR_REFUSED:
                raise
        return self._gathered_once(path, params, query, window)

    def _gathered_once(
        self,
        path: Sequence[str],
        params: Mapping[str, Any],
        query: _Query,
        window: DayWindow | None,
    ) -> list[RawInsight]:
        door = _Door(query, window)
        for page in self._pages(path, params, query):
            door.admit(page)
        return door.rows()

    def _pages(
        self, path: Sequence[str], params: Mapping[str, Any], query: _Query
    ) -> Iterator[list[object]]:
        """Pages up to the one without `next`; one without rows may come before others."""
        page_params = dict(params) | {"limit": self._page_size}
        seen: set[str] = set()
        while True:
            body = self._graph.call(
                "GET", path, page_params, account_id=query.account_id, ad_id=query.ad_id
            ).body
            rows = body.get("data")
            if not isinstance(rows, list):
                raise _unexpected("a page of insights has no list of rows", query)
            self._count(rows)
            yield rows
            after = _next_cursor(body, query)
            if after is None:
                return
            if after in seen:
                raise _unexpected("paging came back to a page it had left", query)
            seen.add(after)
            page_params["after"] = after

    def _count(self, rows: list[object]) -> None:
        self.usage.pages += 1
        self.usage.rows += len(rows)
        if self._on_page is not None:
            self._on_page(len(rows))

    def _completed_run(self, query: _Query, window: DayWindow) -> str:
        """The id of a report run that completed.

        A run that Meta skipped, or that passing trouble ended, is submitted again unchanged.
        """
        failure: MetaError | None = None
        for _attempt in range(REPORT_RUNS):
            run_id = self._submitted_run(query, window)
            run = self._finished_run(run_id, query)
            if run["async_status"] == fields.JOB_COMPLETED:
                return run_id
            failure = _ending(run, query)
            if not isinstance(failure, ReportFailed | MetaUnavailable):
                break
        raise failure or ReportFailed()

    def _submitted_run(self, query: _Query, window: DayWindow) -> str:
        params = query.params(window) | {"fields": list(query.fields)}
        body = self._graph.call(
            "POST",
            (query.node, "insights"),
            params,
            account_id=query.account_id,
            ad_id=query.ad_id,
        ).body
        # Documented once as a number and once as text.
        run_id = str(body.get("report_run_id"))
        if not fields.is_id(run_id):
            raise _unexpected("a report was accepted without an id", query)
        return run_id

    def _finished_run(self, run_id: str, query: _Query) -> dict[str, Any]:
        """The run's node once it has ended, in whatever way; `ReportFailed` at the deadline."""
        submitted = self._clock()
        distance = FIRST_POLL_SECONDS
        while True:
            run = self._polled_run(run_id, query, submitted)
            if _has_ended(run):
                return run
            if self._clock() - submitted >= REPORT_DEADLINE_SECONDS:
                raise ReportFailed(
                    f"Meta's report {run_id} for account act_{query.account_id} is still "
                    f"{run.get('async_status')!r} after {REPORT_DEADLINE_SECONDS / 60:.0f} "
                    "minutes: ask again later, for fewer days.",
                    account_id=query.account_id,
                )
            self._sleep(distance)
            distance = min(2 * distance, LONGEST_POLL_SECONDS)

    def _polled_run(self, run_id: str, query: _Query, submitted: float) -> dict[str, Any]:
        """The run's node; empty while Meta does not know the run it has just created."""
        try:
            return self._graph.call(
                "GET",
                (run_id,),
                {"fields": ",".join(fields.REPORT_RUN_FIELDS)},
                account_id=query.account_id,
            ).body
        except MetaError as error:
            is_young = self._clock() - submitted < RUN_UNKNOWN_SECONDS
            if is_young and (error.code, error.subcode) == failures.MISSING_OBJECT:
                return {}
            raise


class _Door:
    """Admits each row once, if it is one that was asked for."""

    def __init__(self, query: _Query, window: DayWindow | None) -> None:
        self._query = query
        self._days = {day.isoformat() for day in window} if window else None
        self._by_key: dict[tuple[str, str], RawInsight] = {}

    def rows(self) -> list[RawInsight]:
        return list(self._by_key.values())

    def admit(self, page: list[object]) -> None:
        """Take the rows of a page; `UnexpectedPayload` for a row that does not belong.

        Meta may list a row twice when the pages shift under the reader.
        """
        for row in page:
            if not isinstance(row, dict):
                raise _unexpected("a row is no object", self._query)
            key = self._key(row)
            if self._by_key.setdefault(key, row) != row:
                raise _unexpected(f"day {key[1]} of {key[0]} came twice and differs", self._query)

    def _key(self, row: RawInsight) -> tuple[str, str]:
        query, day, last = self._query, row.get("date_start"), row.get("date_stop")
        if query.account_id is not None and row.get("account_id") != query.account_id:
            raise _unexpected(f"a row is of account {row.get('account_id')!r}", query)
        if not isinstance(day, str) or (query.is_daily and day != last):
            raise _unexpected(f"a row runs from {day!r} to {last!r}", query)
        if day not in self._days if self._days is not None else not _is_day(day):
            raise _unexpected(f"a row of {day!r} was not asked for", query)
        if query.level == fields.LEVEL_ACCOUNT:
            return f"act_{query.account_id}", day
        ad_id = row.get("ad_id")
        if not fields.is_id(ad_id) or (query.ad_id is not None and ad_id != query.ad_id):
            raise _unexpected(f"a row of {day} is of ad {ad_id!r}", query)
        return f"ad {ad_id}", day


def _account(node: Mapping[str, Any], account_id: str, *, is_stand_in: bool) -> MetaAccount:
    values = [node.get(name) for name in fields.ACCOUNT_NODE_FIELDS]
    query = _Query(f"act_{account_id}", fields.LEVEL_ACCOUNT, (), account_id)
    for name, value in zip(fields.ACCOUNT_NODE_FIELDS, values, strict=True):
        if not isinstance(value, str):
            raise _unexpected(f"{name} is {value!r}", query)
    answered_id, name, currency, zone = map(str, values)
    if answered_id != account_id:
        raise _unexpected(f"it answered for account {answered_id!r}", query)
    try:
        time_zone(zone)
    except InputError:
        raise _unexpected(f"timezone_name {zone!r} is no known time zone", query) from None
    return MetaAccount(account_id, name, currency, zone, is_stand_in)


def _next_cursor(body: Mapping[str, Any], query: _Query) -> str | None:
    """Where the next page starts; None on the last page.

    The cursor, not the URL in `next`: that holds the token and leads to Meta's own host.
    """
    paging = body.get("paging") or {}
    if not isinstance(paging, Mapping) or not paging.get("next"):
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, Mapping) else None
    if not isinstance(after, str) or not after:
        raise _unexpected("a page has a next one but no cursor to it", query)
    return after


def _has_ended(run: Mapping[str, Any]) -> bool:
    """Whether a run has ended.

    Neither sign is enough: a run may be at 100 % and still running, and reading it then gives a
    part without an error.
    """
    status = run.get("async_status")
    if status == fields.JOB_COMPLETED:
        return str(run.get("async_percent_completion")) == "100"
    return status in {fields.JOB_FAILED, fields.JOB_SKIPPED}


def _ending(run: Mapping[str, Any], query: _Query) -> MetaError:
    account_id = query.account_id or ""
    if run["async_status"] == fields.JOB_FAILED:
        return failures.report_failure(run, account_id=account_id)
    return ReportFailed(
        f"Meta skipped the report for account act_{account_id} {REPORT_RUNS} times: "
        "ask again later.",
        account_id=account_id,
    )


def _halves(window: DayWindow) -> tuple[DayWindow, DayWindow]:
    middle = window.start + (window.end - window.start) // 2
    return replace(window, end=middle), replace(window, start=middle)


def _unexpected(what: str, query: _Query) -> UnexpectedPayload:
    subject = f"account act_{query.account_id}" if query.account_id else f"ad {query.ad_id}"
    return UnexpectedPayload(
        f"Meta's answer for {subject} is not what it promises: {what}.",
        account_id=query.account_id,
    )


def _checked_id(value: str, kind: str) -> str:
    """`value` if it can stand in a path; `InputError` otherwise."""
    if not fields.is_id(value):
        raise InputError(
            f"{value!r} is no {kind} id: write its digits, such as 120330000000000001."
        )
    return value


def _is_day(text: str) -> bool:
    try:
        parse_day(text)
    except InputError:
        return False
    return True
