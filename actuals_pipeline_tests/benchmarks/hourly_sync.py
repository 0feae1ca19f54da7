"""What an hourly sync of 150 ads takes beyond the Graph API: from its first call to accuracy.

    python -m actuals_pipeline_tests.benchmarks.hourly_sync [--profile]

The job of the schedule, through Dagster's own instance, over three days (the window of the hourly
tier where accounts lie east and west), in a process that has started and has run it once.  Every
row is restated in every run, and every ad has a video with two predictions.  The Graph API
answers each call after 50 ms, which are taken off; what is left is ours: asking, checking, storing,
computing, and Dagster's events.

Seconds by the wall depend on what else the machine does; those of the processor, of this process
and of Postgres, hardly do, and neither do the numbers of commits and of waits for the disk.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

import click
import psycopg

from actuals_pipeline.orchestration.runs import run_window
from actuals_pipeline.report_days import DayWindow, report_day, time_zone
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline_tests.benchmarks.fast_graph import serving
from actuals_pipeline_tests.benchmarks.measuring import postmaster_of, server_cpu
from actuals_pipeline_tests.benchmarks.own_installation import add_product, own_installation

ADS: Final = 150
DAYS: Final = 3
LATENCY_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Cost:
    """Of one sync: seconds by the wall, of this process, of Postgres; commits; disk waits."""

    wall: float
    cpu: float
    server_cpu: float
    commits: float
    fsyncs: float


@dataclass(frozen=True)
class Counters:
    """What Postgres has counted since it was started."""

    cpu: float
    commits: int
    fsyncs: int

    @classmethod
    def of(cls, database_url: str) -> Counters:
        # What a connection did is counted when it has ended, by the server and by its parent.
        time.sleep(1)
        with psycopg.connect(database_url) as connection:
            row = connection.execute(_COUNTERS).fetchone() or (0, 0)
            return cls(server_cpu(postmaster_of(connection.info.backend_pid)), *map(int, row))


_COUNTERS: Final = """
SELECT (SELECT sum(xact_commit) FROM pg_stat_database),
       (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal')
"""


def run(installation: Installation, window: DayWindow) -> tuple[str, Cost]:
    """Sync once: the run, and what it took."""
    before = Counters.of(installation.database_url)
    wall, cpu = time.perf_counter(), time.process_time()
    result = run_window(installation.settings, window, tier="hourly")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    after = Counters.of(installation.database_url)
    if not result.succeeded:
        raise RuntimeError(result.failures)
    server = after.cpu - before.cpu, after.commits - before.commits, after.fsyncs - before.fsyncs
    return result.run_id, Cost(wall, cpu, *server)


def calls(installation: Installation, run_id: str) -> int:
    with psycopg.connect(installation.database_url) as connection:
        query = "SELECT sum(calls)::bigint FROM actuals.fetch_log WHERE run_id = %s"
        row = connection.execute(query, [run_id]).fetchone()
    return int(row[0]) if row else 0


@click.command()
@click.option("--repetitions", default=7, show_default=True)
@click.option("--profile", "profiles", is_flag=True, help="Profile one sync instead.")
def main(*, repetitions: int, profiles: bool) -> None:
    """Print the median sync, with and without what the Graph API takes."""
    now = datetime.now(UTC)
    window = DayWindow.trailing(report_day(now, time_zone("Europe/Berlin")), DAYS)
    # Berlin's today may be a day that UTC, the installation's time zone, has not begun.
    window = window.clipped(until=now.date()) or window
    with (
        serving(ADS, latency_seconds=LATENCY_SECONDS, changes=True) as url,
        own_installation(url, now - timedelta(days=DAYS)) as installation,
    ):
        add_product(installation, ADS, window)
        run(installation, window)
        if profiles:
            with cProfile.Profile() as profiler:
                run(installation, window)
            pstats.Stats(profiler).sort_stats("cumtime").print_stats(70)
            return
        runs = [run(installation, window) for _ in range(repetitions)]
        n_calls = calls(installation, runs[-1][0])
    graph = n_calls * LATENCY_SECONDS
    costs = [astuple(cost) for _, cost in runs]
    usual = Cost(*map(median, zip(*costs, strict=True)))
    click.echo(
        f"{'wall s':>8}{'Graph s':>9}{'ours s':>8}{'goal':>6}"
        f"{'CPU s':>7}{'Postgres CPU s':>16}{'commits':>9}{'fsyncs':>8}"
    )
    click.echo(
        f"{usual.wall:>8.2f}{graph:>9.2f}{usual.wall - graph:>8.2f}{'1.0':>6}"
        f"{usual.cpu:>7.2f}{usual.server_cpu:>16.2f}{usual.commits:>9.0f}{usual.fsyncs:>8.0f}"
    )


if __name__ == "__main__":
    main()
