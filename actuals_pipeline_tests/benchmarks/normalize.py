"""How long payloads take to become `ad_actuals`, and a page's rows to become a raw frame.

    python -m actuals_pipeline_tests.benchmarks.normalize [--rows 100000] [--repetitions 5]

The payloads are the stand-in's answers to our own request, with its figures and names.  The floor
is `json.loads` of each payload's text, one after the other and none kept.  Every step runs once in
each repetition, so that a busy moment of the machine meets all of them; the medians are printed,
of processor time, in microseconds per row and as multiples of the floor.  100,000 rows take 2 GB.

Normalizing starts from payloads that are decoded already, all of them in memory, and ends with an
AD_ACTUALS frame that was held against its contract; a second line starts from texts that are
decoded on the way.  Fetching starts from the bytes of an answer and ends with the raw frame; the
calls themselves are left out (`fetch_month.py` measures them).
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final, TypeVar

import click
import pandas as pd

from actuals_pipeline.actuals.contract import AD_ACTUALS, INSIGHTS
from actuals_pipeline.actuals.normalize import normalize
from actuals_pipeline.frames import check_frame
from actuals_pipeline.graph_stand_in.graph import Graph, Request
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.accounts import AccountFetch, raw_frame
from actuals_pipeline.meta.decoding import decoded
from actuals_pipeline.meta.graph import FetchUsage
from actuals_pipeline.meta.pages import _Door
from actuals_pipeline.meta.parse import parse_insights, sums_by_day
from actuals_pipeline.meta.queries import Query
from actuals_pipeline.meta.spool import Spool
from actuals_pipeline.report_days import DayWindow

Result = TypeVar("Result")

ACCOUNT: Final = "42"
NOW: Final = datetime(2026, 3, 8, 15, tzinfo=UTC)
WINDOW: Final = DayWindow.trailing(date(2026, 3, 8), 90)
ROWS_OF_A_LAUNCHED_AD: Final = 18
"""Rows in the window for each ad that the stand-in is told to launch in 60 days, roughly."""


def answers(rows: int) -> Iterator[str]:
    """Pages of insights, as the stand-in answers them, that hold `rows` rows or a few more."""
    plan = AccountPlan(ACCOUNT, "Benchmark", "EUR", "Europe/Berlin", rows // ROWS_OF_A_LAUNCHED_AD)
    graph = Graph(World(now=NOW, accounts=[plan]), access_token="t")
    query = Query.of_ads(ACCOUNT, filter_statuses=True).params(WINDOW)
    sent = {k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()}
    sent |= {"access_token": "t", "limit": "500"}
    while rows > 0:
        answer = graph.answer(Request("GET", f"/v26.0/act_{ACCOUNT}/insights", sent, "")).body
        page = json.loads(answer)
        rows -= len(page["data"])
        sent["after"] = page["paging"]["cursors"]["after"]
        yield answer


class Stopwatch(defaultdict[str, float]):
    """Seconds that each step took in one repetition."""

    def __init__(self) -> None:
        super().__init__(float)

    def time(self, step: str, work: Callable[..., Result], *given: Any) -> Result:
        start = time.process_time()
        result = work(*given)
        self[step] += time.process_time() - start
        return result


def normalizing(watch: Stopwatch, texts: list[str], payloads: list[dict[str, Any]]) -> None:
    """Measure the way from payloads to the AD_ACTUALS frame, and the floor beside it."""
    fetched_on = {(ACCOUNT, day): WINDOW.until for day in WINDOW}
    ad_ids = pd.Series(sorted({row["ad_id"] for row in payloads}), dtype="str")
    videos = pd.DataFrame({"video_id": "video-" + ad_ids, "ad_id": ad_ids})
    fetched_at = pd.Series([NOW] * len(payloads), dtype="datetime64[us, UTC]")

    def parsed(given: Iterable[dict[str, Any]]) -> pd.DataFrame:
        return parse_insights(given, purchase_action_type=omni, fetched_at=fetched_at)

    watch.time("floor", decode_all, texts)
    insights = watch.time("parse", parsed, payloads)
    actuals = watch.time("normalize", normalize, insights, videos, fetched_on)
    watch.time("check insights", check_frame, insights, INSIGHTS)
    watch.time("check actuals", check_frame, actuals, AD_ACTUALS)
    watch.time("decode, parse", parsed, map(json.loads, texts))
    if len(actuals) != len(payloads):
        raise RuntimeError("rows were lost")


def fetching(watch: Stopwatch, contents: list[bytes]) -> None:
    """Measure the way from answers to the raw frame, page by page as they come."""
    door, spool = _Door(Query.of_ads(ACCOUNT, filter_statuses=True), WINDOW), Spool()
    for content in contents:
        watch.time("json.loads", json.loads, content)
        body, texts = watch.time("decoded", decoded, content)
        page = list(zip(body["data"], texts, strict=True))
        watch.time("door, spool", door.admit, [page], spool)
    watch.time("sums by day", partial(sums_by_day, spool, purchase_action_type=omni))
    fetch = AccountFetch(ACCOUNT, WINDOW, NOW, NOW, FetchUsage(), rows=spool)
    frame = watch.time("raw frame", partial(raw_frame, [fetch], run_id="r", api_version="v26.0"))
    if len(frame) != len(spool):
        raise RuntimeError("rows were lost")


def omni(_account_id: str) -> str:
    return "omni_purchase"


def decode_all(texts: list[str]) -> None:
    for text in texts:
        json.loads(text)


_LINES: Final = {
    "json.loads of each payload (floor)": ["floor"],
    "parse": ["parse"],
    "normalize": ["normalize"],
    "  of which both contract checks": ["check insights", "check actuals"],
    "payloads to ad_actuals": ["parse", "normalize"],
    "texts to ad_actuals": ["decode, parse", "normalize"],
    "json.loads of each page": ["json.loads"],
    "decode each page and cut out its rows": ["decoded"],
    "check and spool the rows": ["door, spool"],
    "read them and add up the days": ["sums by day"],
    "read them into the raw frame": ["raw frame"],
    "answers to raw frame": ["decoded", "door, spool", "sums by day", "raw frame"],
}
"""What is printed, and the steps that it adds up."""


@click.command()
@click.option("--rows", default=100_000, show_default=True, help="Payloads to measure with.")
@click.option("--repetitions", default=5, show_default=True, help="Times that each step runs.")
def main(*, rows: int, repetitions: int) -> None:
    """Print a line for each step and for each way as a whole."""
    contents = [answer.encode() for answer in answers(rows)]
    payloads = [row for content in contents for row in json.loads(content)["data"]]
    texts = [json.dumps(row) for row in payloads]
    # These stay, and what stays is no garbage to look through again and again.
    gc.freeze()
    watches = [Stopwatch() for _ in range(repetitions)]
    for watch in watches:
        normalizing(watch, texts, payloads)
        fetching(watch, contents)
    click.echo(f"{len(payloads):,} rows of {sum(map(len, texts)) / len(texts):,.0f} characters")
    click.echo(f"{'':40}{'us/row':>8}{'floors':>8}")
    floor = statistics.median(watch["floor"] for watch in watches)
    for line, steps in _LINES.items():
        seconds = statistics.median(sum(watch[step] for step in steps) for watch in watches)
        click.echo(f"{line:40}{seconds / len(payloads) * 1e6:>8.2f}{seconds / floor:>8.2f}")


if __name__ == "__main__":
    main()
