"""How much Dagster's own tables grow with each run and in a year, pruned every week and not.

    python -m actuals_pipeline_tests.benchmarks.dagster_growth [--weeks 52]

Each kind of scheduled run is made once by a real installation: `actuals demo --keep`, whose daemon
launches it as it launches the schedule's.  Then a year of them is replayed by the hour: the rows
of the run that was made are copied with the days, times and ids of the hour, into a database that
is pruned every Sunday and into one that is not.  Takes about ten minutes.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.request import urlopen
from uuid import uuid4

import click
import psycopg
from dagster_graphql import DagsterGraphQLClient
from psycopg import sql

from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.schedules import HEALTH_HOUR, due
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving.demo import DATABASE
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import embedded
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.dagster_events import bytes_by_table, prune_events

DAYS: Final = {"recent": 3, "week": 8, "month": 31}
"""Days in the window of each tier, the day more for western accounts included."""

DAYS_OF_DEMO: Final = 35
"""More than any window, so that a replayed run finds days that were made before."""

TABLES: Final = ("runs", "run_tags", "event_logs", "asset_event_tags", "asset_check_executions")
"""Where a run leaves rows."""

UP_SECONDS: Final = 300.0
RUN_SECONDS: Final = 120.0
MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Demonstration:
    """A demonstration whose daemon takes runs, and its database."""

    port: int
    server: embedded.EmbeddedPostgres

    @property
    def url(self) -> str:
        return self.server.url(DATABASE)

    def launched(self, job: str, window: DayWindow | None) -> str:
        """A run of `job`, launched as the UI launches one and waited for."""
        client = DagsterGraphQLClient("127.0.0.1", port_number=self.port)
        run_id = client.submit_job_execution(
            job,
            repository_location_name="actuals_pipeline",
            repository_name="__repository__",
            tags=range_tags(window) if window else {},
        )
        deadline = time.monotonic() + RUN_SECONDS
        while (status := client.get_run_status(run_id).value) != "SUCCESS":
            if status in {"FAILURE", "CANCELED"} or time.monotonic() > deadline:
                raise RuntimeError(f"{job} ended as {status}")
            time.sleep(0.5)
        return str(run_id)


@contextmanager
def demonstration(home: Path) -> Iterator[Demonstration]:
    """`actuals demo --keep` in a process of its own, its UI answering."""
    with (
        socket.create_server(("127.0.0.1", 0)) as ui,
        socket.create_server(("127.0.0.1", 0)) as http,
    ):
        port, http_port = ui.getsockname()[1], http.getsockname()[1]
    command = [sys.executable, "-m", "actuals_pipeline", "demo", "--keep"]
    log = home / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *command,
                *("--days", str(DAYS_OF_DEMO)),
                *("--port", str(port), "--http-port", str(http_port)),
            ],
            cwd=home,
            env={**os.environ, "ACTUALS_HOME": str(home), "DATABASE_URL": ""},
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for(lambda: _answers(port), process)
        with embedded.hold(home / "demo") as server:
            yield Demonstration(port, server)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _answers(port: int) -> bool:
    """Whether the UI does, which is started when the code is loaded."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _wait_for(is_so: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while not is_so():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the demonstration did not come up")
        time.sleep(0.5)


@dataclass(frozen=True)
class Made:
    """A run that was made: its id, and its rows and their bytes by table."""

    run_id: str
    rows: Mapping[str, int]
    bytes: Mapping[str, int]

    @classmethod
    def of(cls, connection: psycopg.Connection, run_id: str) -> Made:
        found = {
            table: connection.execute(
                sql.SQL("SELECT count(*), coalesce(sum(pg_column_size(t.*)), 0)::bigint {}").format(
                    _of_run("dagster", table)
                ),
                {"template": run_id},
            ).fetchall()[0]
            for table in TABLES
        }
        return cls(
            run_id,
            {table: n for table, (n, _) in found.items()},
            {table: n for table, (_, n) in found.items()},
        )


def _of_run(schema: str, table: str) -> sql.Composed:
    """FROM and WHERE of the rows that a run has in a table, named t."""
    query = (
        "FROM {schema}.{table} AS t WHERE event_id IN "
        "(SELECT id FROM {schema}.event_logs WHERE run_id = %(template)s)"
        if table == "asset_event_tags"
        else "FROM {schema}.{table} AS t WHERE run_id = %(template)s"
    )
    return sql.SQL(query).format(schema=sql.Identifier(schema), table=sql.Identifier(table))


class Replay:
    """Copies the rows of runs that were made, as if they had been made at other times."""

    def __init__(self, connection: psycopg.Connection, made_on: datetime) -> None:
        self._connection = connection
        self._made_on = made_on
        self._columns = {table: self._columns_of(table) for table in TABLES}
        # Apart, because what was made grows old too and is pruned.
        connection.execute("CREATE SCHEMA made")
        for table in TABLES:
            keep = sql.SQL("CREATE TABLE made.{0} AS TABLE dagster.{0}")
            connection.execute(keep.format(sql.Identifier(table)))

    def run(self, made: Made, at: datetime) -> None:
        """Copy a run to `at`: its partitions move by as many days, its events get new ids."""
        moved = {
            "template": made.run_id,
            "run_id": str(uuid4()),
            "days": (at.date() - self._made_on.date()).days,
            "at": at.replace(tzinfo=None),
            "epoch": at.timestamp(),
            "offset": self._offset(made.run_id),
        }
        for table in TABLES:
            names = self._columns[table]
            query = sql.SQL("INSERT INTO dagster.{} ({}) SELECT {} {}").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join(_moved(table, name) for name in names),
                _of_run("made", table),
            )
            self._connection.execute(query, moved)

    def _columns_of(self, table: str) -> list[str]:
        query = """
            SELECT attname FROM pg_attribute
            WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
            ORDER BY attnum
        """
        found = self._connection.execute(query, [f"dagster.{table}"]).fetchall()
        return [name for (name,) in found if name != "id" or table == "event_logs"]

    def _offset(self, template: str) -> int:
        """What makes the ids of a run's events the next ones."""
        query = """
            SELECT (SELECT max(id) FROM dagster.event_logs) + 1 - min(id)
            FROM made.event_logs WHERE run_id = %s
        """
        return int(self._connection.execute(query, [template]).fetchall()[0][0])


_MOVED: Final[Mapping[str, str]] = {
    "run_id": "%(run_id)s",
    "id": "id + %(offset)s",
    "event_id": "event_id + %(offset)s",
    "evaluation_event_storage_id": "evaluation_event_storage_id + %(offset)s",
    "partition": "(partition::date + %(days)s)::text",
    "timestamp": "%(at)s",
    "event_timestamp": "%(at)s",
    "evaluation_event_timestamp": "%(at)s",
    "create_timestamp": "%(at)s",
    "update_timestamp": "%(at)s",
    "start_time": "%(epoch)s",
    "end_time": "%(epoch)s",
}


def _moved(table: str, column: str) -> sql.Composable:
    # The partition of a run is one that the job page shows, and none here.
    if column in _MOVED and (table, column) != ("runs", "partition"):
        return sql.SQL(_MOVED[column])
    return sql.Identifier(column)


def runs_of(hour: datetime) -> Iterator[tuple[str, datetime]]:
    """What the schedules start in an hour."""
    yield due(hour, Settings.from_environment({}))[0], hour + timedelta(minutes=7)
    if hour.hour == HEALTH_HOUR:
        yield "health", hour + timedelta(minutes=37)


@dataclass(frozen=True)
class State:
    """A database after some weeks."""

    weeks: int
    bytes: int
    events: int
    seconds: float


def replayed(
    url: str, made: Mapping[str, Made], start: datetime, weeks: int, *, is_pruned: bool
) -> Iterator[State]:
    """Replay the schedules week by week; the state after each, and how long its prune took."""
    with psycopg.connect(url, autocommit=True) as connection:
        replay = Replay(connection, start)
        for week in range(weeks):
            for hours in range(7 * 24):
                hour = start + timedelta(weeks=week, hours=hours)
                with connection.transaction():
                    for kind, at in runs_of(hour):
                        replay.run(made[kind], at)
            seconds = 0.0
            if is_pruned:
                seconds = pruned(url, start + timedelta(weeks=week + 1))
            yield state(connection, url, week + 1, seconds)


def pruned(url: str, now: datetime) -> float:
    """Prune and say how long that took."""
    begun = time.perf_counter()
    prune_events(Warehouse(url), now=now)
    return time.perf_counter() - begun


def state(connection: psycopg.Connection, url: str, weeks: int, seconds: float) -> State:
    size = sum(bytes_by_table(Warehouse(url)).values())
    events = connection.execute("SELECT count(*) FROM dagster.event_logs").fetchall()[0][0]
    return State(weeks, size, events, seconds)


def copied(server: embedded.EmbeddedPostgres, name: str) -> str:
    """A copy of the demonstration's database."""
    query = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(query.format(sql.Identifier(name), sql.Identifier(DATABASE)))
    return server.url(name)


def show_runs(made: Mapping[str, Made]) -> None:
    click.echo(f"{'run':<8}{'days':>6}" + "".join(f"{table:>24}" for table in TABLES))
    for kind, run in made.items():
        cells = [f"{run.rows[table]:,} ({run.bytes[table] / 1000:,.0f} kB)" for table in TABLES]
        click.echo(f"{kind:<8}{DAYS.get(kind, ''):>6}" + "".join(f"{cell:>24}" for cell in cells))


def show(states: Iterator[State], title: str) -> State:
    click.echo(f"\n{title}\n{'weeks':>6}{'events':>12}{'MB':>10}{'prune s':>10}")
    last = None
    for last in states:
        if last.weeks in {1, 2, 4, 6, 8} or last.weeks % 13 == 0:
            click.echo(
                f"{last.weeks:>6}{last.events:>12,}{last.bytes / MEGABYTE:>10,.1f}"
                f"{last.seconds:>10.2f}"
            )
    assert last is not None
    return last


@click.command()
@click.option("--weeks", default=52, show_default=True, type=click.IntRange(8))
def main(*, weeks: int) -> None:
    """Print what each kind of run leaves, and a year of them."""
    home = Path(tempfile.mkdtemp(prefix="actuals-growth-"))
    home.chmod(0o711)
    try:
        with demonstration(home) as demo:
            today = datetime.now(UTC).date()
            run_ids = {
                tier: demo.launched("actuals_job", DayWindow.trailing(today, days))
                for tier, days in DAYS.items()
            }
            run_ids["health"] = demo.launched("health_job", None)
        with embedded.hold(home / "demo", durable=False) as server:
            with psycopg.connect(server.url(DATABASE)) as connection:
                made = {kind: Made.of(connection, run_id) for kind, run_id in run_ids.items()}
            show_runs(made)
            start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            kept, not_kept = copied(server, "kept"), copied(server, "pruned")
            show(replayed(not_kept, made, start, weeks, is_pruned=True), "pruned every Sunday")
            show(replayed(kept, made, start, weeks, is_pruned=False), "never pruned")
            seconds = pruned(kept, start + timedelta(weeks=weeks))
            click.echo(f"\nall of it pruned at once: {seconds:.1f} s")
        embedded.stop(home / "demo")
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
