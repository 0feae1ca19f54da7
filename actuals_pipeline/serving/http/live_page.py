"""The page of `serving/report/`, live: made by one worker of its own, and shown while it is young.

Who asks for a page that is not young gets the last one with its age, if making a new one takes
longer than a moment; so a slow page holds up neither its readers nor any other route.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import html
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import TypeAlias

from fastapi import Response
from fastapi.responses import HTMLResponse

from actuals_pipeline.errors import ActualsError, InputError
from actuals_pipeline.serving.http.failures import RETRY_SECONDS, Refusal, refusal
from actuals_pipeline.serving.http.workers import Workers
from actuals_pipeline.serving.report import file, reading
from actuals_pipeline.serving.report.contents import contents_of
from actuals_pipeline.serving.report.page import page_of
from actuals_pipeline.warehouse.connection import Warehouse

logger = logging.getLogger(__name__)

FRESH_SECONDS = 60.0
"""A page that is younger is shown again.  Chosen: figures come once an hour."""

PATIENCE_SECONDS = 2.0
"""How long a new page is waited for where an older one can be shown."""

MAKE_SECONDS = 30.0
"""Longest that a first page is waited for.  Chosen: a reader's patience."""

MOST_PAGES = 4
"""Pages of different days that are kept, each of a megabyte or less."""

_MOST_WAITING = 8
"""Pages of different days that wait for being made."""

Days: TypeAlias = tuple[date | None, date | None]
"""First and last day asked for."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A page as it is sent, compressed."""

    made_at: float
    body: bytes
    tag: str
    policy: str


class LivePages:
    """The pages of an installation; one at a time is made, and each for all who ask for it."""

    def __init__(
        self,
        warehouse: Warehouse,
        home: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        make_seconds: float = MAKE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._warehouse = warehouse
        self._home = home
        self._clock = clock
        self._patience = patience_seconds
        self._workers = Workers(1, _MOST_WAITING, make_seconds)
        self._making: dict[Days, asyncio.Task[_Made]] = {}
        self._kept: OrderedDict[Days, _Made] = OrderedDict()
        self._keeping = threading.Lock()

    async def answer(
        self, since: date | None, until: date | None, headers: Mapping[str, str]
    ) -> Response:
        """The page of these days, `Age` in seconds; 304 where the browser has it.

        A plain page with 503 where none can be made; `InputError` for days that cannot be.
        """
        days = (since, until)
        try:
            page = self._young(days) or await self._newer(days)
        except InputError:
            raise
        except ActualsError as error:
            return _plain(refusal(error))
        except Refusal as refused:
            return _plain(refused)
        return self._sent(page, headers)

    def give_up(self) -> None:
        """Tell all who wait that the service stops."""
        self._workers.give_up()

    async def _newer(self, days: Days) -> _Made:
        """A new page; the last one, if there is one, where that takes longer or fails."""
        last, making = self._newest(days), self._begun(days)
        # A first one is waited for until the worker gives up.
        await asyncio.wait({making}, timeout=self._patience if last else None)
        if last and (not making.done() or making.exception()):
            return last
        return making.result()

    def _begun(self, days: Days) -> asyncio.Task[_Made]:
        """What makes the page of these days, for whoever asks meanwhile."""
        if days not in self._making:
            task = asyncio.create_task(self._workers.run(lambda: self._remade(days)))
            self._making[days] = task
            task.add_done_callback(lambda ended: self._ended(days, ended))
        return self._making[days]

    def _ended(self, days: Days, task: asyncio.Task[_Made]) -> None:
        del self._making[days]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, InputError):
            # Whoever asked may have got the last page.
            is_known = isinstance(error, ActualsError | Refusal)
            logger.error("The page was not made: %s", error, exc_info=None if is_known else error)

    def _remade(self, days: Days) -> _Made:
        """The page, kept also where nobody has waited for it so long; in the worker's thread."""
        made = self._young(days)
        if made is None:
            made = self._make(*days)
            with self._keeping:
                self._kept[days] = made
                self._kept.move_to_end(days)
                if len(self._kept) > MOST_PAGES:
                    self._kept.popitem(last=False)
        return made

    def _newest(self, days: Days) -> _Made | None:
        with self._keeping:
            if days in self._kept:
                self._kept.move_to_end(days)
            return self._kept.get(days)

    def _young(self, days: Days) -> _Made | None:
        newest = self._newest(days)
        return newest if newest and self._age(newest) <= FRESH_SECONDS else None

    def _age(self, page: _Made) -> float:
        return self._clock() - page.made_at

    def _make(self, since: date | None, until: date | None) -> _Made:
        window = file.asked_days(self._warehouse, since, until)
        contents = contents_of(reading.read(self._warehouse, window))
        page = page_of(contents, self._home, is_live=True)
        text = page.html.encode()
        tag = f'W/"{hashlib.sha256(text).hexdigest()[:32]}"'
        return _Made(self._clock(), gzip.compress(text, 6, mtime=0), tag, page.policy)

    def _sent(self, page: _Made, headers: Mapping[str, str]) -> Response:
        sent = {
            "Age": str(math.floor(self._age(page))),
            "Content-Security-Policy": page.policy,
            "Cache-Control": "private, no-cache",
            "ETag": page.tag,
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept-Encoding, Authorization",
            "X-Content-Type-Options": "nosniff",
        }
        if page.tag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=sent)
        body = page.body
        if "gzip" in headers.get("accept-encoding", ""):
            sent["Content-Encoding"] = "gzip"
        else:
            body = gzip.decompress(body)
        return Response(body, headers=sent, media_type="text/html")


def _plain(why: Refusal) -> Response:
    """A page that says why there is no other."""
    said = html.escape(f"The page cannot be made now: {why.message}")
    again = html.escape("Load it again in a moment; the log of the service says more.")
    return HTMLResponse(
        f"<!doctype html><meta charset=utf-8><title>Not now</title><p>{said}</p><p>{again}</p>\n",
        HTTPStatus.SERVICE_UNAVAILABLE,
        {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Retry-After": str(why.retry_after or RETRY_SECONDS),
        },
    )
