"""What one ad's fetch over HTTP takes beyond the Graph API, whose calls are made again, bare.

    python -m actuals_pipeline_tests.benchmarks.single_fetch

`POST /api/ml/actuals/fetch/{ad_id}`, from the caller's request to its answer, over the embedded
Postgres, with figures that are stored already.  The Graph API answers each call after 50 ms.  In
turn with each fetch the same calls are made one after another with `requests` over one connection;
the difference is ours: asking, checking, storing, answering.  Service, caller and Graph API share
one process here, so it is no less than what a user has.  The processor's milliseconds are this
process's, without Postgres's; unlike those of the clock they do not show what else the machine
does.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

import click
import requests
import uvicorn

from actuals_pipeline.graph_stand_in.faults import Call, Fault
from actuals_pipeline.graph_stand_in.graph import appsecret_proof
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving.http.app import create_app
from actuals_pipeline.serving.installation import Installation, opened
from actuals_pipeline.serving.listening import address_of, listening
from actuals_pipeline.warehouse import embedded
from actuals_pipeline.warehouse.embedded_place import data_directory

ACCOUNT: Final = "42"
LATENCY_SECONDS: Final = 0.05
GOAL_MS: Final = 150


@contextmanager
def own_installation(graph: GraphStandIn) -> Iterator[Installation]:
    """An installation that exists for the block and asks `graph`."""
    home = Path(tempfile.mkdtemp(prefix="actuals-benchmark-"))
    # Run by root, the server is another account's.
    home.chmod(0o711)
    environment = {
        "ACTUALS_HOME": str(home),
        "ACTUALS_STAND_IN": "1",
        "ACTUALS_API_REQUESTS_PER_MINUTE": "1000000",
        "META_ACCESS_TOKEN": graph.access_token,
        "META_AD_ACCOUNT_ID": ACCOUNT,
        "META_APP_SECRET": graph.app_secret,
        "META_GRAPH_URL": graph.url,
    }
    try:
        with opened(environment) as installation:
            yield installation
        embedded.stop(home)
    finally:
        shutil.rmtree(data_directory(home), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def served(installation: Installation) -> Iterator[str]:
    """The URL of the interface, in a thread of this process."""
    with listening("127.0.0.1", 0, "", "") as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(installation), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield address_of(listener)
        finally:
            server.should_exit = True
            thread.join()


class Taken(NamedTuple):
    """Milliseconds by the clock, and of this process's processor."""

    clock: float
    cpu: float


def taken(step: Callable[[], None]) -> Taken:
    """What `step` takes."""
    clock, cpu = time.perf_counter(), time.process_time()
    step()
    return Taken(1000 * (time.perf_counter() - clock), 1000 * (time.process_time() - cpu))


def make_again(calls: list[Call], graph: GraphStandIn, session: requests.Session) -> None:
    """Make `calls`, one after another."""
    secrets = {
        "access_token": graph.access_token,
        "appsecret_proof": appsecret_proof(graph.app_secret, graph.access_token),
    }
    for call in calls:
        params = {**call.params, **secrets}
        session.get(f"{graph.url}{call.path}", params=params, timeout=60).raise_for_status()


def fetch(url: str, ad_id: str) -> None:
    """Fetch the ad as a caller does who has no connection yet."""
    answer = requests.post(f"{url}/api/ml/actuals/fetch/{ad_id}", timeout=60)
    answer.raise_for_status()
    if answer.json()["status"] != "success":
        raise RuntimeError(answer.text)


@click.command()
@click.option("--repetitions", default=40, show_default=True)
def main(*, repetitions: int) -> None:
    """Print the median fetch, the same calls bare, and the difference beside the goal."""
    plan = AccountPlan(ACCOUNT, "Benchmark", "EUR", "Europe/Berlin", 20)
    world = World(now=datetime.now(UTC), accounts=[plan])
    week = DayWindow.trailing(world.today(ACCOUNT), 7)
    ad_id = max(world.truth(ACCOUNT, week), key=lambda row: int(row["impressions"]))["ad_id"]
    with (
        running_stand_in(world) as graph,
        own_installation(graph) as installation,
        served(installation) as url,
        requests.Session() as session,
    ):
        graph.faults.add(Fault({"delay_seconds": LATENCY_SECONDS}, times=None))
        fetch(url, ad_id)
        before = len(graph.calls)
        fetch(url, ad_id)
        calls = list(graph.calls)[before:]
        pairs = [
            (
                taken(lambda: fetch(url, ad_id)),
                taken(lambda: make_again(calls, graph, session)),
            )
            for _ in range(repetitions)
        ]
    fetched, bare = (median(pair[side].clock for pair in pairs) for side in (0, 1))
    ours = [fetch.clock - calls.clock for fetch, calls in pairs]
    cpu = median(fetch.cpu - calls.cpu for fetch, calls in pairs)
    click.echo(f"{'calls':>6}{'fetch':>8}{'bare':>6}{'ratio':>7}{'ours':>6}{'p95':>6}{'CPU':>6}")
    click.echo(
        f"{len(calls):>6}{fetched:>8.0f}{bare:>6.0f}{fetched / bare:>7.2f}"
        f"{median(ours):>6.0f}{quantiles(ours, n=20)[-1]:>6.0f}{cpu:>6.0f}"
        f"  ms (goal: ours below {GOAL_MS})"
    )


if __name__ == "__main__":
    main()
