"""How many calls, seconds and megabytes a refresh of one account takes, and how near to the floor.

    python -m actuals_pipeline_tests.benchmarks.fetch_month [--quick] [--profile]

From the Graph API to spooled rows, through `fetch_account`; `--quick` leaves out the largest
account, `--profile` shows where a month of 2,000 ads spends its time.  Takes about five minutes.

Every ad delivers on every day.  The rows are the stand-in's own, answered to our own request and
then given out again under other ads and days, because the stand-in would need longer to invent
280,000 of them than the client to fetch them.  A process of its own serves them from texts that
are ready, 50 ms after each request; each measurement has a process of its own, too.

The floor reads the same pages one after another with `requests` and `json.loads`, checks nothing
and keeps nothing.  Memory is the process's peak (Linux: `VmHWM`), interpreter and pandas included.
"""

from __future__ import annotations

import cProfile
import json
import multiprocessing
import pstats
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import click
import requests

from actuals_pipeline.graph_stand_in.graph import Graph, Request
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.accounts import AccountFetch, fetch_account
from actuals_pipeline.meta.client import InsightsClient, MetaCredentials
from actuals_pipeline.meta.graph import STAND_IN_HEADER
from actuals_pipeline.meta.memory import PAGE_SIZE
from actuals_pipeline.meta.parse import sums_by_day
from actuals_pipeline.meta.queries import Query
from actuals_pipeline.report_days import DayWindow

ACCOUNT: Final = "42"
NOW: Final = datetime(2026, 3, 8, 15, tzinfo=UTC)
TODAY: Final = date(2026, 3, 8)
LATENCY_SECONDS: Final = 0.05

MONTHS: Final = ((150, 28), (2_000, 28), (10_000, 28))
DAYS: Final = ((2_000, 7), (2_000, 28), (2_000, 90))
"""Ads and days to measure; the second list shows what a longer window costs."""


@dataclass(frozen=True)
class Account:
    """An account whose ads all deliver on all days, and its answers."""

    ads: int
    days: int

    @property
    def window(self) -> DayWindow:
        return DayWindow.trailing(TODAY, self.days)

    @cached_property
    def patterns(self) -> list[dict[str, Any]]:
        """Rows as the stand-in answers them, to be used for one ad after the other."""
        plan = AccountPlan(ACCOUNT, "Benchmark", "EUR", "Europe/Berlin", 60)
        graph = Graph(World(now=NOW, accounts=[plan]), access_token="t")
        query = Query.of_ads(ACCOUNT, filter_statuses=True).params(DayWindow.trailing(TODAY, 14))
        sent = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in query.items()
        }
        params = sent | {"access_token": "t", "limit": "500"}
        answer = graph.answer(Request("GET", f"/v26.0/act_{ACCOUNT}/insights", params, ""))
        rows: list[dict[str, Any]] = json.loads(answer.body)["data"]
        return [row for row in rows if "impressions" in row]

    @cached_property
    def texts(self) -> list[list[str]]:
        """The patterns as JSON text, cut where the ad and the days belong."""
        marked = {"ad_id": "@@", "date_start": "@@", "date_stop": "@@"}
        return [json.dumps(row | marked).split("@@") for row in self.patterns]

    @cached_property
    def day_texts(self) -> list[str]:
        return [day.isoformat() for day in self.window]

    def page(self, offset: int, limit: int) -> bytes:
        """The answer that holds the rows from `offset` on."""
        end = min(offset + limit, self.ads * self.days)
        data = ",".join(map(self._row, range(offset, end)))
        paging = {"cursors": {"before": str(offset), "after": str(end)}}
        if end < self.ads * self.days:
            paging |= {"next": "https://graph.facebook.com/next"}  # type: ignore[dict-item]
        return f'{{"data":[{data}],"paging":{json.dumps(paging)}}}'.encode()

    def _row(self, number: int) -> str:
        ad, day = divmod(number, self.days)
        parts = self.texts[ad % len(self.texts)]
        ad_id = f"1203{ad:014d}"
        # The stand-in's fields come in this order.
        return ad_id.join(parts[:2]) + self.day_texts[day].join(["", *parts[2:]])

    def totals(self) -> bytes:
        """The answer that holds what the ads of each day add up to."""
        n = len(self.patterns)
        shares = [self.ads // n + (number < self.ads % n) for number in range(n)]
        sums = [
            next(iter(sums_by_day([row], purchase_action_type=omni).values()))
            for row in self.patterns
        ]
        figures = {
            name: sum(getattr(each, name) * share for each, share in zip(sums, shares, strict=True))
            for name in ("impressions", "clicks", "conversions", "spend", "revenue")
        }
        total = {
            "account_id": ACCOUNT,
            "account_currency": "EUR",
            **{name: str(figures[name]) for name in ("impressions", "clicks", "spend")},
            "actions": [action("conversions", figures)],
            "action_values": [action("revenue", figures)],
        }
        rows = [{**total, "date_start": day, "date_stop": day} for day in self.day_texts]
        return json.dumps({"data": rows}).encode()


def action(name: str, figures: dict[str, Any]) -> dict[str, str]:
    return {"action_type": "omni_purchase", "value": str(figures[name])}


def omni(_account_id: str) -> str:
    return "omni_purchase"


def serve(account: Account, port: Connection) -> None:
    """Answer for `account` until the process is ended; tells its port when it can."""
    with server_of(account) as server:
        port.send(server.server_address[1])
        server.serve_forever()


def server_of(account: Account) -> ThreadingHTTPServer:
    """A server that answers for `account` on a port of this computer, once it is run."""
    totals = account.totals()
    node = {"account_id": ACCOUNT, "name": "B", "currency": "EUR", "timezone_name": "Europe/Berlin"}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            arrived, url = time.perf_counter(), urlsplit(self.path)
            params = {name: values[0] for name, values in parse_qs(url.query).items()}
            if not url.path.endswith("/insights"):
                body = json.dumps(node).encode()
            elif params["level"] == "account":
                body = totals
            else:
                body = account.page(int(params.get("after", 0)), int(params["limit"]))
            time.sleep(max(LATENCY_SECONDS - (time.perf_counter() - arrived), 0))
            self.send_response(200)
            self.send_header(STAND_IN_HEADER, "benchmark")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a line for each request would be measured too."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextmanager
def served(account: Account) -> Iterator[str]:
    """The URL of a server of `account` in a process of its own."""
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=serve, args=(account, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


_CONTEXT: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Measured:
    """One refresh: seconds by the wall, megabytes at the peak and before the first call."""

    rows: int
    calls: int
    seconds: float
    floor_seconds: float
    megabytes_before: float
    megabytes: float


def fetch(url: str, window: DayWindow) -> AccountFetch:
    with InsightsClient(MetaCredentials("t"), graph_url=url, api_version="v26.0") as client:
        fetched = fetch_account(
            ACCOUNT,
            window,
            client,
            purchase_action_type=omni,
            expects_stand_in=True,
            clock=lambda: NOW,
        )
    if fetched.error or fetched.missing_ads:
        raise RuntimeError("the benchmark's server and the client do not agree") from fetched.error
    return fetched


def read_floor(url: str, window: DayWindow) -> int:
    """Read the same pages and keep nothing; the number of rows."""
    query = Query.of_ads(ACCOUNT, filter_statuses=True).params(window)
    params = {k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()}
    params |= {"limit": str(PAGE_SIZE)}
    rows, more = 0, True
    with requests.Session() as session:
        for _ in ("account", "totals"):
            json.loads(session.get(f"{url}/v26.0/act_{ACCOUNT}", timeout=60).content)
        while more:
            answer = session.get(
                f"{url}/v26.0/act_{ACCOUNT}/insights", params=params, timeout=60
            ).content
            page = json.loads(answer)
            rows += len(page["data"])
            params["after"] = page["paging"]["cursors"]["after"]
            more = "next" in page["paging"]
    return rows


def measure(url: str, window: DayWindow, found: Connection) -> None:
    """Fetch once and send what it took."""
    before, start = peak_megabytes(), time.perf_counter()
    fetched = fetch(url, window)
    seconds, peak = time.perf_counter() - start, peak_megabytes()
    start = time.perf_counter()
    rows = read_floor(url, window)
    floor_seconds = time.perf_counter() - start
    assert rows == len(fetched.rows)
    found.send(asdict(Measured(rows, fetched.usage.calls, seconds, floor_seconds, before, peak)))


def measured(account: Account) -> Measured:
    ours, theirs = _CONTEXT.Pipe()
    with served(account) as url:
        process = _CONTEXT.Process(target=measure, args=(url, account.window, theirs))
        process.start()
        theirs.close()
        facts = ours.recv()
        process.join()
    return Measured(**facts)


def peak_megabytes() -> float:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def profile(account: Account) -> None:
    with served(account) as url, cProfile.Profile() as profiler:
        fetch(url, account.window)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


_HEADINGS: Final = (
    *("ads", "days", "rows", "calls", "wall s", "rows/s", "floor s", "ratio", "peak MB"),
)


@click.command()
@click.option("--quick", is_flag=True, help="Leave out the account of 10,000 ads.")
@click.option("--profile", "profiles", is_flag=True, help="Profile a month of 2,000 ads instead.")
def main(*, quick: bool, profiles: bool) -> None:
    """Print a row for each refresh."""
    if profiles:
        profile(Account(2_000, 28))
        return
    click.echo("".join(f"{heading:>9}" for heading in _HEADINGS) + "  of which fetch")
    wanted = [each for each in dict.fromkeys(MONTHS + DAYS) if not (quick and each[0] > 2_000)]
    for ads, days in wanted:
        it = measured(Account(ads, days))
        click.echo(
            f"{ads:>9,}{days:>9}{it.rows:>9,}{it.calls:>9}{it.seconds:>9.1f}"
            f"{it.rows / it.seconds:>9,.0f}{it.floor_seconds:>9.1f}"
            f"{it.seconds / it.floor_seconds:>9.2f}{it.megabytes:>9.0f}"
            f"{it.megabytes - it.megabytes_before:>16.0f}"
        )


if __name__ == "__main__":
    main()
