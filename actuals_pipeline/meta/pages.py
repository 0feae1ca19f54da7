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

    def _pages(
        self, path: Sequence[str], params: Mapping[str, Any], query: Query, kind: str
    ) -> Iterator[list[object]]:
        """Pages up to the one without `next`; one without rows may come before others."""
        size, after, seen = self.size, None, set[str]()
        while True:
            place = {"limit": size} | ({"after": after} if after else {})
            try:
                body = self._graph.call(
                    "GET",
                    path,
                    {**params, **place},
                    kind=kind,
                    account_id=query.account_id,
                    ad_id=query.ad_id,
                ).body
            except MetaError as error:
                size = _smaller(size, error)
                self._graph.usage.splits["page size"] += 1
                continue
            rows = body.get("data")
            if not isinstance(rows, list):
                raise _shifted(query, "a page of insights has no list of rows")
            self._count(rows)
            yield rows
            after = _next_cursor(body, query)
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
        self._ad_ids = None if query.ad_ids is None else set(query.ad_ids)
        self._seen = _Places()

    def admit(self, pages: Iterable[list[object]], spool: Spool) -> None:
        """Add the new rows of every page to `spool`; pages must not go on without any."""
        fruitless = 0
        for page in pages:
            length = len(spool)
            for row in page:
                self._admit(row, spool)
            fruitless = fruitless + 1 if len(spool) == length else 0
            if fruitless >= FRUITLESS_PAGES:
                raise self._query.unexpected(f"{fruitless} pages in a row have nothing new")

    def _admit(self, row: object, spool: Spool) -> None:
        """Add a row if it is new; `UnexpectedPayload` when it does not belong.

        Meta may list a row twice when the pages shift under the reader.
        """
        if not isinstance(row, dict):
            raise self._query.unexpected("a row is no object")
        subject, day = self._key(row)
        before = self._seen.place(subject, day, len(spool))
        if before == len(spool):
            spool.add(row)
        elif spool[before] != row:
            raise _shifted(self._query, f"day {day} of {subject} came twice and differs")

    def _key(self, row: RawInsight) -> tuple[str, str]:
        query, day, last = self._query, row.get("date_start"), row.get("date_stop")
        if query.account_id is not None and row.get("account_id") != query.account_id:
            raise query.unexpected(f"a row is of account {row.get('account_id')!r}")
        if not isinstance(day, str) or (query.is_daily and day != last):
            raise query.unexpected(f"a row runs from {day!r} to {last!r}")
        if day not in self._days if self._days is not None else not _is_day(day):
            raise query.unexpected(f"a row of {day!r} was not asked for")
        if query.level == fields.LEVEL_ACCOUNT:
            return f"act_{query.account_id}", day
        return f"ad {self._ad_id(row)}", day

    def _ad_id(self, row: RawInsight) -> str:
        ad_id = row.get("ad_id")
        asked = {self._query.ad_id} if self._query.ad_id is not None else self._ad_ids
        if not fields.is_id(ad_id) or (asked is not None and ad_id not in asked):
            raise self._query.unexpected(f"a row of {row.get('date_start')} is of ad {ad_id!r}")
        return str(ad_id)


class _Places:
    """Where in a spool the row of each subject and day lies: a few bytes for a row.

    A month of a large account has hundreds of thousands of rows, but not as many ads or days.
    """

    def __init__(self) -> None:
        self._days: dict[str, int] = {}
        self._places: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))

    def place(self, subject: str, day: str, new: int) -> int:
        """The place of a row that came before; otherwise `new`, which is then its place."""
        number = self._days.setdefault(day, len(self._days))
        places = self._places[subject]
        if number >= len(places):
            places.extend([_NOWHERE] * (number + 1 - len(places)))
        if places[number] == _NOWHERE:
            places[number] = new
        return places[number]


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
