"""Read every page of an answer, and admit each row once.

Paging is ours, because the SDK's cursor stops at an empty page that has a next one.  It ends by
the absence of `next` and by nothing else.  A page that Meta finds too large is asked for in
smaller pages, from where we are; when the pages shift under the reader, reading starts again.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from actuals_pipeline.errors import InputError, MetaError, Reaction
from actuals_pipeline.meta import failures, fields
from actuals_pipeline.meta.graph import Graph
from actuals_pipeline.meta.memory import PAGE_SIZE
from actuals_pipeline.meta.queries import Query
from actuals_pipeline.meta.spool import RawInsight, Spool
from actuals_pipeline.report_days import DayWindow, parse_day

SMALLER_PAGES: Final = (100, 25)
"""Rows in a page when Meta refuses the usual number.  Chosen; 25 is its default."""

READINGS: Final = 2
"""Times that the pages are read from the first one when they shift or a cursor expires."""

FRUITLESS_PAGES: Final = 100
"""Pages in a row without a new row after which there is no end in sight.

Chosen: a filter leaves a few pages empty, and each costs a call.
"""

_NOWHERE: Final = -1

Page = list[tuple[object, str]]
"""The rows of a page, each with its JSON text."""


class Pages:
    """Reads pages over one `graph`; `size` is the number of rows asked for at first.

    `on_page` is told the number of rows of each page.
    """

    def __init__(
        self, graph: Graph, *, size: int = PAGE_SIZE, on_page: Callable[[int], None] | None = None
    ) -> None:
        self._graph = graph
        self._on_page = on_page
        self.size = size

    def read_into(
        self,
        spool: Spool,
        path: Sequence[str],
        params: Mapping[str, Any],
        query: Query,
        window: DayWindow | None,
        *,
        kind: str,
    ) -> None:
        """Add the checked rows of every page to `spool`, all of them or none.

        `window` None means that the days are not known beforehand; `kind` is what calls count as.
        """
        length = len(spool)
        for reading in range(READINGS):
            try:
                _Door(query, window).admit(self._pages(path, params, query, kind), spool)
            except MetaError as error:
                spool.rewind(length)
                is_last = reading == READINGS - 1
                if error.reaction is not Reaction.RESTART_PAGING or is_last:
                    raise
                self._graph.usage.retries_by_class[type(error).__name__] += 1
            else:
                return

    def listed(
        self, path: Sequence[str], params: Mapping[str, Any], query: Query, *, kind: str
    ) -> list[dict[str, Any]]:
        """The objects of every page of an edge, each once by its `id`: all of them or none."""
        for reading in range(READINGS):
            try:
                return _objects(self._pages(path, params, query, kind), query)
            except MetaError as error:
                is_last = reading == READINGS - 1
                if error.reaction is not Reaction.RESTART_PAGING or is_last:
                    raise
                self._graph.usage.retries_by_class[type(error).__name__] += 1
        raise AssertionError("the last reading returns or raises")

    def _pages(
        self, path: Sequence[str], params: Mapping[str, Any], query: Query, kind: str
    ) -> Iterator[Page]:
        """Pages up to the one without `next`; one without rows may come before others."""
        size, after, seen = self.size, None, set[str]()
        while True:
            place = {"limit": size} | ({"after": after} if after else {})
            try:
                answer = self._graph.call(
                    "GET",
                    path,
                    {**params, **place},
                    kind=kind,
                    account_id=query.account_id,
                    ad_id=query.ad_id,
                )
            except MetaError as error:
                size = _smaller(size, error)
                self._graph.usage.splits["page size"] += 1
                continue
            rows = answer.body.get("data")
            if not isinstance(rows, list):
                raise _shifted(query, "a page has no list of rows")
            self._count(rows)
            yield list(zip(rows, answer.row_texts, strict=True))
            after = _next_cursor(answer.body, query)
            if after is None:
                self.size = size
                return
            if after in seen:
                raise _shifted(query, "paging came back to a page it had left")
            seen.add(after)

    def _count(self, rows: list[object]) -> None:
        self._graph.usage.pages += 1
        self._graph.usage.rows += len(rows)
        if self._on_page is not None:
            self._on_page(len(rows))


class _Door:
    """Admits each row once, if it is one that was asked for."""

    def __init__(self, query: Query, window: DayWindow | None) -> None:
        self._query = query
        self._days = {day.isoformat() for day in window} if window else None
        self._ad_ids = {query.ad_id} if query.ad_id else query.ad_ids and set(query.ad_ids)
        self._seen = _Places()

    def admit(self, pages: Iterable[Page], spool: Spool) -> None:
        """Add the new rows of every page to `spool`; pages must not go on without any."""
        fruitless = 0
        for page in pages:
            length = len(spool)
            for row, text in page:
                self._admit(row, text, spool)
            fruitless = fruitless + 1 if len(spool) == length else 0
            if fruitless >= FRUITLESS_PAGES:
                raise self._query.unexpected(f"{fruitless} pages in a row have nothing new")

    def _admit(self, row: object, text: str, spool: Spool) -> None:
        """Add a row if it is new; `UnexpectedPayload` when it does not belong.

        Meta may list a row twice when the pages shift under the reader.
        """
        if not isinstance(row, dict):
            raise self._query.unexpected("a row is no object")
        ad_id, day = self._key(row)
        before = self._seen.place(ad_id, day, len(spool))
        if before == len(spool):
            spool.add(row, text)
        elif spool[before] != row:
            subject = f"ad {ad_id}" if ad_id else f"act_{self._query.account_id}"
            raise _shifted(self._query, f"day {day} of {subject} came twice and differs")

    def _key(self, row: RawInsight) -> tuple[str | None, str]:
        """The ad and the day that the row is about; no ad in an account's totals."""
        query, day, last = self._query, row.get("date_start"), row.get("date_stop")
        if query.account_id is not None and row.get("account_id") != query.account_id:
            raise query.unexpected(f"a row is of account {row.get('account_id')!r}")
        if not isinstance(day, str) or (query.is_daily and day != last):
            raise query.unexpected(f"a row runs from {day!r} to {last!r}")
        if day not in self._days if self._days is not None else not _is_day(day):
            raise query.unexpected(f"a row of {day!r} was not asked for")
        return None if query.level == fields.LEVEL_ACCOUNT else self._ad_id(row), day

    def _ad_id(self, row: RawInsight) -> str:
        ad_id = row.get("ad_id")
        if isinstance(ad_id, str) and (ad_id in self._seen or self._is_asked_for(ad_id)):
            return ad_id
        raise self._query.unexpected(f"a row of {row.get('date_start')} is of ad {ad_id!r}")

    def _is_asked_for(self, ad_id: str) -> bool:
        return fields.is_id(ad_id) and (self._ad_ids is None or ad_id in self._ad_ids)


class _Places:
    """Where in a spool the row of each ad and day lies: a few bytes for a row.

    A month of a large account has hundreds of thousands of rows, but not as many ads or days.
    """

    def __init__(self) -> None:
        self._days: dict[str, int] = {}
        self._places: defaultdict[str | None, array[int]] = defaultdict(lambda: array("q"))

    def __contains__(self, ad_id: str) -> bool:
        """Whether any day of the ad has a place."""
        return ad_id in self._places

    def place(self, ad_id: str | None, day: str, new: int) -> int:
        """The place of a row that came before; otherwise `new`, which is then its place."""
        number = self._days.setdefault(day, len(self._days))
        places = self._places[ad_id]
        if number >= len(places):
            places.extend([_NOWHERE] * (number + 1 - len(places)))
        if places[number] == _NOWHERE:
            places[number] = new
        return places[number]


def _objects(pages: Iterable[Page], query: Query) -> list[dict[str, Any]]:
    """The objects of some pages; of one that comes twice the last counts."""
    found: dict[str, dict[str, Any]] = {}
    fruitless = 0
    for page in pages:
        n_before = len(found)
        for each, _ in page:
            if not isinstance(each, dict) or not fields.is_id(each.get("id")):
                raise query.unexpected("an object of a list has no id")
            found[each["id"]] = each
        fruitless = fruitless + 1 if len(found) == n_before else 0
        if fruitless >= FRUITLESS_PAGES:
            raise query.unexpected(f"{fruitless} pages in a row have nothing new")
    return list(found.values())


def _smaller(size: int, error: MetaError) -> int:
    """The next smaller page when `error` may come of the size; raises `error` otherwise."""
    smaller = next((each for each in SMALLER_PAGES if each < size), None)
    if smaller is None or not failures.may_be_too_large(error):
        raise error
    return smaller


def _next_cursor(body: Mapping[str, Any], query: Query) -> str | None:
    """Where the next page starts; None on the last page.

    The cursor, not the URL in `next`: that holds the token and leads to Meta's own host.
    """
    paging = body.get("paging") or {}
    if not isinstance(paging, Mapping) or not paging.get("next"):
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, Mapping) else None
    if not isinstance(after, str) or not after:
        raise query.unexpected("a page has a next one but no cursor to it")
    return after


def _shifted(query: Query, what: str) -> MetaError:
    """What reading again from the first page may heal."""
    return query.unexpected(what, reaction=Reaction.RESTART_PAGING)


def _is_day(text: str) -> bool:
    try:
        parse_day(text)
    except InputError:
        return False
    return True
