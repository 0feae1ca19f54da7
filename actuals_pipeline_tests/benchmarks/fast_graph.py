"""A Graph API that costs next to nothing: ready texts of rows, for whichever days are asked.

One account whose ads all deliver on all days, in ad sets and campaigns of usual sizes.  The rows
are the stand-in's own, given out again under other ads and days; with each fetch (each reading of
the account's node) the ads exchange their figures, so that every row of a refresh is restated.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from actuals_pipeline.meta.graph import STAND_IN_HEADER
from actuals_pipeline.meta.parse import DaySums, sums_by_day
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.benchmarks.fetch_month import ACCOUNT, Account, action, omni

_CONTEXT: Final = multiprocessing.get_context("spawn")


ADS_OF_ADSET: Final = 8
ADSETS_OF_CAMPAIGN: Final = 5


def ad_id(number: int) -> str:
    """The id of the account's ad of this number."""
    return f"1203{number:014d}"


def _place(ad: int) -> tuple[str, str, str]:
    """The ids of the campaign, of the ad set and of the ad of this number."""
    adset = ad // ADS_OF_ADSET
    return f"1201{adset // ADSETS_OF_CAMPAIGN:014d}", f"1202{adset:014d}", ad_id(ad)


@dataclass
class FastAccount:
    """The account, ready to answer; `changes` says whether each fetch finds other figures."""

    ads: int
    changes: bool
    fetches: int = 0
    texts: list[list[str]] = field(default_factory=list)
    sums: list[DaySums] = field(default_factory=list)

    def __post_init__(self) -> None:
        usual = Account(1, 1)
        # The stand-in's fields come in this order.
        varying = ("campaign_id", "adset_id", "ad_id", "date_start", "date_stop")
        marks = dict.fromkeys(varying, "@@")
        self.texts = [json.dumps(row | marks).split("@@") for row in usual.patterns]
        self.sums = [
            next(iter(sums_by_day([row], purchase_action_type=omni).values()))
            for row in usual.patterns
        ]

    def node(self) -> dict[str, Any]:
        self.fetches += self.changes
        zone = {"currency": "EUR", "timezone_name": "Europe/Berlin"}
        return {"account_id": ACCOUNT, "name": "Benchmark", **zone}

    def page(self, window: DayWindow, offset: int, limit: int) -> bytes:
        """The rows of `window` from `offset` on, day by day within each ad."""
        days = [day.isoformat() for day in window]
        n_rows = self.ads * len(days)
        end = min(offset + limit, n_rows)
        data = ",".join(self._row(*divmod(n, len(days)), days) for n in range(offset, end))
        paging: dict[str, Any] = {"cursors": {"before": str(offset), "after": str(end)}}
        if end < n_rows:
            paging["next"] = "https://graph.facebook.com/next"
        return f'{{"data":[{data}],"paging":{json.dumps(paging)}}}'.encode()

    def _row(self, ad: int, day: int, days: list[str]) -> str:
        texts = self.texts[(ad + self.fetches) % len(self.texts)]
        varying = (*_place(ad), days[day], days[day], "")
        return "".join(chain.from_iterable(zip(texts, varying, strict=True)))

    def totals(self, window: DayWindow) -> bytes:
        """What the ads add up to on each day of `window`."""
        n = len(self.sums)
        shares = [0] * n
        for ad in range(self.ads):
            shares[(ad + self.fetches) % n] += 1
        figures = {
            name: sum(
                getattr(each, name) * share for each, share in zip(self.sums, shares, strict=True)
            )
            for name in ("impressions", "clicks", "conversions", "spend", "revenue")
        }
        total = {
            "account_id": ACCOUNT,
            "account_currency": "EUR",
            **{name: str(figures[name]) for name in ("impressions", "clicks", "spend")},
            "actions": [action("conversions", figures)],
            "action_values": [action("revenue", figures)],
        }
        days = [day.isoformat() for day in window]
        return json.dumps(
            {"data": [{**total, "date_start": day, "date_stop": day} for day in days]}
        ).encode()


@contextmanager
def serving(ads: int, *, latency_seconds: float, changes: bool = False) -> Iterator[str]:
    """The URL of a server in a process of its own; no answer comes before `latency_seconds`."""
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(
        target=_serve, args=(ads, latency_seconds, changes, theirs), daemon=True
    )
    process.start()
    # So that its end is noticed here, should it not come up.
    theirs.close()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(ads: int, latency_seconds: float, changes: bool, port: Connection) -> None:
    account = FastAccount(ads, changes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            arrived, url = time.perf_counter(), urlsplit(self.path)
            params = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path.endswith(("/campaigns", "/adsets")):
                body = b'{"data": []}'
            elif not url.path.endswith("/insights"):
                body = json.dumps(account.node()).encode()
            elif params["level"] == "account":
                body = account.totals(_asked(params))
            else:
                after, limit = int(params.get("after", 0)), int(params["limit"])
                body = account.page(_asked(params), after, limit)
            time.sleep(max(latency_seconds - (time.perf_counter() - arrived), 0))
            self.send_response(200)
            self.send_header(STAND_IN_HEADER, "benchmark")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a line for each request would be measured too."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port.send(server.server_address[1])
        server.serve_forever()


def _asked(params: dict[str, str]) -> DayWindow:
    days = json.loads(params["time_range"])
    return DayWindow.inclusive(date.fromisoformat(days["since"]), date.fromisoformat(days["until"]))
