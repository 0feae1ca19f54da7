"""What an hourly sync of 150 ads takes beyond the Graph API: from its first call to accuracy.

    python -m actuals_pipeline_tests.benchmarks.hourly_sync [--profile]

The job of the schedule, through Dagster's own instance, over three days (the window of the hourly
tier where accounts lie east and west), in a process that has started and has run it once.  Every
row is restated in every run, and every ad has a video with two predictions.  The Graph API
answers each call after 50 ms, which are taken off; what is left is ours: asking, checking, storing,
computing, and Dagster's events.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

import click
import psycopg

from actuals_pipeline.orchestration.runs import run_window
from actuals_pipeline.report_days import DayWindow, report_day, time_zone
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline_tests.benchmarks.fast_graph import serving
from actuals_pipeline_tests.benchmarks.own_installation import add_product, own_installation

ADS: Final = 150
DAYS: Final = 3
LATENCY_SECONDS: Final = 0.05


def run(installation: Installation, window: DayWindow) -> tuple[str, float, float]:
    """Sync once: the run, seconds by the wall, seconds of processor of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run_window(installation.settings, window, tier="hourly")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if not result.succeeded:
        raise RuntimeError(result.failures)
    return result.run_id, wall, cpu


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
    wall, cpu = median(each[1] for each in runs), median(each[2] for each in runs)
    click.echo(f"{'wall s':>8}{'Graph s':>9}{'ours s':>8}{'goal':>6}{'CPU s':>7}")
    click.echo(f"{wall:>8.2f}{graph:>9.2f}{wall - graph:>8.2f}{'1.0':>6}{cpu:>7.2f}")


if __name__ == "__main__":
    main()
