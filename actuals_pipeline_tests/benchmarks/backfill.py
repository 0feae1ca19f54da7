"""A backfill of 2,000 ads: rows per second from the Graph API to accuracy, and peak memory.

    python -m actuals_pipeline_tests.benchmarks.backfill [--ads 2000] [--days 90 365] [--videos 200]

One Dagster run over all days, in a process of its own for each length, so that what is printed
for 365 days beside 90 shows whether memory grows.  Every ad delivers on every day; a tenth of the
ads are the product's, with a video and two predictions each.  The Graph API answers from ready
texts without delay, on the same machine: its processor time is in the seconds.

Memory is the process's peak (Linux: `VmHWM`), with interpreter, Dagster and pandas; `before` is
what it held before the first call.  A row is one ad's report day in `ad_actuals`.
"""

from __future__ import annotations

import cProfile
import multiprocessing
import pstats
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Final

import click
import dagster as dg
import psycopg
from dagster import DagsterEventType

from actuals_pipeline.orchestration.runs import run_window
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline_tests.benchmarks.fast_graph import serving
from actuals_pipeline_tests.benchmarks.measuring import peak_megabytes
from actuals_pipeline_tests.benchmarks.own_installation import add_product, own_installation

_CONTEXT: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Measured:
    """One backfill: rows stored, seconds by the wall and of processor, megabytes, by step."""

    rows: int
    seconds: float
    cpu_seconds: float
    megabytes_before: float
    megabytes: float
    steps: dict[str, float]


def backfill(ads: int, days: int, videos: int, profiles: bool) -> Measured:
    now = datetime.now(UTC)
    window = DayWindow.trailing(now.date(), days)
    with (
        serving(ads, latency_seconds=0) as url,
        own_installation(url, now - timedelta(days=days)) as installation,
    ):
        add_product(installation, videos, window)
        before, wall, cpu = peak_megabytes(), time.perf_counter(), time.process_time()
        profiler = cProfile.Profile()
        if profiles:
            profiler.enable()
        result = run_window(installation.settings, window, tier="backfill")
        profiler.disable()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = peak_megabytes()
        if profiles:
            pstats.Stats(profiler).sort_stats("cumtime").print_stats("actuals_pipeline/", 60)
        if not result.succeeded:
            raise RuntimeError(result.failures)
        return Measured(
            _count(installation), wall, cpu, before, peak, _seconds_by_step(result.run_id)
        )


def _count(installation: Installation) -> int:
    with psycopg.connect(installation.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM actuals.ad_actuals").fetchone()
    return int(row[0]) if row else 0


def _seconds_by_step(run_id: str) -> dict[str, float]:
    with dg.DagsterInstance.get() as instance:
        began, ended = (
            {
                str(record.event_log_entry.step_key): record.event_log_entry.timestamp
                for record in instance.get_records_for_run(run_id, of_type=kind).records
            }
            for kind in (DagsterEventType.STEP_START, DagsterEventType.STEP_SUCCESS)
        )
    return {step: ended[step] - began[step] for step in ended}


def _send(ads: int, days: int, videos: int, profiles: bool, found: Connection) -> None:
    found.send(asdict(backfill(ads, days, videos, profiles)))


def measured(ads: int, days: int, videos: int, *, profiles: bool) -> Measured:
    """One backfill in a process of its own."""
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_send, args=(ads, days, videos, profiles, theirs))
    process.start()
    theirs.close()
    facts = ours.recv()
    process.join()
    return Measured(**facts)


@click.command()
@click.option("--ads", default=2_000, show_default=True)
@click.option("--days", default=(90, 365), show_default=True, multiple=True)
@click.option("--videos", default=200, show_default=True, help="Ads with a video.")
@click.option("--profile", "profiles", is_flag=True, help="Show where the time goes, too.")
def main(*, ads: int, days: tuple[int, ...], videos: int, profiles: bool) -> None:
    """Print a row for each length, and the seconds of each step."""
    click.echo(
        f"{'days':>5}{'rows':>10}{'wall s':>8}{'rows/s':>8}{'CPU s':>7}{'peak MB':>9}{'before':>8}"
    )
    for length in days:
        it = measured(ads, length, videos, profiles=profiles)
        click.echo(
            f"{length:>5}{it.rows:>10,}{it.seconds:>8.1f}{it.rows / it.seconds:>8,.0f}"
            f"{it.cpu_seconds:>7.1f}{it.megabytes:>9.0f}{it.megabytes_before:>8.0f}"
        )
        for step, seconds in it.steps.items():
            click.echo(f"{'':>15}{seconds:>8.1f}  {step}")


if __name__ == "__main__":
    main()
