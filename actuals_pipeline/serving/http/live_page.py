"""The page of `serving/report/`, live: made at most once a minute for the same days."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fastapi import Response

from actuals_pipeline.serving.report import file, reading
from actuals_pipeline.serving.report.contents import contents_of
from actuals_pipeline.serving.report.page import page_of
from actuals_pipeline.warehouse.connection import Warehouse

FRESH_SECONDS = 60.0
"""A page that is younger is shown again.  Chosen: figures come once an hour."""

MOST_PAGES = 4
"""Pages of different days that are kept, each of a megabyte or less."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A page as it is sent, compressed."""

    made_at: float
    body: bytes
    tag: str
    policy: str


class LivePages:
    """The pages of an installation; thread-safe, and one at a time is made."""

    def __init__(
        self, warehouse: Warehouse, home: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._warehouse = warehouse
        self._home = home
        self._clock = clock
        self._making = threading.Lock()
        self._made: OrderedDict[tuple[date | None, date | None], _Made] = OrderedDict()

    def answer(
        self, since: date | None, until: date | None, headers: Mapping[str, str]
    ) -> Response:
        """The page of these days; 304 where the browser has it.  `InputError` for other days."""
        with self._making:
            made = self._fresh(since, until)
        sent = {
            "Content-Security-Policy": made.policy,
            "Cache-Control": "private, no-cache",
            "ETag": made.tag,
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept-Encoding, Authorization",
            "X-Content-Type-Options": "nosniff",
        }
        if made.tag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=sent)
        body = made.body
        if "gzip" in headers.get("accept-encoding", ""):
            sent["Content-Encoding"] = "gzip"
        else:
            body = gzip.decompress(body)
        return Response(body, headers=sent, media_type="text/html")

    def _fresh(self, since: date | None, until: date | None) -> _Made:
        key = (since, until)
        made = self._made.get(key)
        if made is None or self._clock() - made.made_at > FRESH_SECONDS:
            made = self._made[key] = self._make(since, until)
        self._made.move_to_end(key)
        if len(self._made) > MOST_PAGES:
            self._made.popitem(last=False)
        return made

    def _make(self, since: date | None, until: date | None) -> _Made:
        window = file.asked_days(self._warehouse, since, until)
        contents = contents_of(reading.read(self._warehouse, window))
        page = page_of(contents, self._home, is_live=True)
        html = page.html.encode()
        tag = f'W/"{hashlib.sha256(html).hexdigest()[:32]}"'
        return _Made(self._clock(), gzip.compress(html, 6, mtime=0), tag, page.policy)
