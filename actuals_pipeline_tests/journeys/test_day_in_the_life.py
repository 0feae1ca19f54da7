"""A day of hourly ticks with everything that goes wrong in one, and every promise kept.

The clock is the test's own: it says when a tick is due and what Meta knows by then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg.rows import dict_row

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.orchestration.alert_watch import alert_watch_sensor
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.schedules import SCHEDULE_NAME, due
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.journeys.conftest import FIGURES, Row, Rows
from actuals_pipeline_tests.serving.conftest import eventually

AccountDay = tuple[str, date]

THROTTLED = {
    "error": {"code": 17},
    "headers": {
        "X-Ad-Account-Usage": json.dumps({"acc_id_util_pct": 100, "reset_time_duration": 1})
    },
}
SOME_HOURS = ("", "throttled", "errors", "token", "killed", "database", "")
A_WHOLE_DAY = tuple(
    {2: "throttled", 5: "errors", 8: "token", 9: "token", 13: "killed", 17: "database"}.get(
        hour, ""
    )
    for hour in range(24)
)


@dataclass
class Day:
    """An installation whose hours pass, and what may be stored of each account's days by now."""

    database: str
    settings: Settings
    environment: Mapping[str, str]
    folder: Path
    graph: GraphStandIn
    instance: dg.DagsterInstance
    stored: Rows
    truth: Rows
    known: dict[AccountDay, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        definitions = build_definitions(self.settings)
        self._schedule = definitions.resolve_schedule_def(SCHEDULE_NAME)
        self._job = definitions.resolve_job_def("actuals_job")

    def pass_hour(self, tick: datetime, trouble: str) -> None:
        """Let the hour's tick come, run into `trouble`, and leave every day whole."""
        self.graph.world.now = tick
        _, window = due(tick, self.settings)
        assert window is not None
        if trouble in {"killed", "database"}:
            self._break(window, trouble)
            is_stored = None
        else:
            self._trouble_meta(trouble)
            is_stored = self._run(tick)
            assert is_stored == (trouble != "token")
            assert trouble == "token" or not self.graph.faults.pending()
            self.graph.faults.clear()
        self._look(window, is_stored=is_stored)

    def _trouble_meta(self, trouble: str) -> None:
        effects: dict[str, list[Fault]] = {
            "throttled": [Fault(THROTTLED, kind="insights", times=2)],
            "errors": [Fault({"status": 500}, kind="insights", times=2)],
            "token": [Fault({"error": {"code": 190, "subcode": 463}}, times=None)],
        }
        self.graph.faults.add(*effects.get(trouble, []))

    def _run(self, tick: datetime) -> bool:
        """What the schedule asks for at `tick`, run to its end: whether it succeeded."""
        with dg.build_schedule_context(
            instance=self.instance, scheduled_execution_time=tick
        ) as context:
            (request,) = self._schedule.evaluate_tick(context).run_requests or ()
        tags = dict(request.tags)
        return self._job.execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False
        ).success

    def _break(self, window: DayWindow, trouble: str) -> None:
        """Run the window in a process of its own that is stopped in the middle of its writing."""
        with (
            closing(psycopg.connect(self.database)) as holder,
            closing(psycopg.connect(self.database, autocommit=True)) as observer,
        ):
            before = {pid for (pid,) in observer.execute(_CONNECTIONS).fetchall()}
            holder.execute("LOCK TABLE actuals.ad_actuals IN SHARE ROW EXCLUSIVE MODE")
            command = (sys.executable, "-m", "actuals_pipeline", "sync")
            days = ("--since", str(window.since), "--until", str(window.until))
            with subprocess.Popen(
                [*command, *days],
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ) as sync:

                def is_writing() -> bool:
                    assert sync.poll() is None, sync.communicate()
                    query = "SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
                    waiting = observer.execute(query, [holder.info.backend_pid])
                    return waiting.fetchone() is not None

                eventually(is_writing)
                if trouble == "killed":
                    sync.kill()
                else:
                    # As a restart is seen by whom it meets; others use this server too.
                    for (pid,) in observer.execute(_CONNECTIONS).fetchall():
                        if pid not in before:
                            observer.execute("SELECT pg_terminate_backend(%s)", [pid])
                _, said = sync.communicate(timeout=120)
                assert sync.returncode == (-9 if trouble == "killed" else 2), said

    def _look(self, window: DayWindow, *, is_stored: bool | None) -> None:
        """Each account's day is as it was or as Meta says now; `is_stored`: which."""
        now = by_account_day(self.stored("ad_actuals", *FIGURES))
        told = by_account_day(self.truth(window))
        days = [(each, day) for each in self.graph.world.account_ids for day in window]
        for key in {*days, *now, *self.known}:
            old, new = self.known.get(key, []), told.get(key, []) if key in days else None
            allowed = [old] if new is None or is_stored is False else [new]
            if is_stored is None and new is not None:
                allowed = [old, new]
            assert now.get(key, []) in allowed, key
        self.known = now


_CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"


def by_account_day(rows: list[Row]) -> dict[AccountDay, list[Row]]:
    found: dict[AccountDay, list[Row]] = {}
    for row in rows:
        found.setdefault((row["account_id"], row["report_date"]), []).append(row)
    return found


@pytest.fixture
def world() -> World:
    """Two accounts; the clock stands at the day before, for it cannot be put back."""
    accounts = (
        AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 20),
        AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 8),
    )
    return World(now=datetime.now(UTC) - timedelta(hours=30), accounts=accounts)


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize(
    "hours", [SOME_HOURS, pytest.param(A_WHOLE_DAY, marks=pytest.mark.slow)], ids=["some", "day"]
)
def test_a_day_in_the_life(
    hours: tuple[str, ...],
    database: str,
    settings: Settings,
    environment: dict[str, str],
    graph: GraphStandIn,
    dagster_instance: dg.DagsterInstance,
    stored: Rows,
    truth: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        # Resources read secrets from the environment when a run starts.
        monkeypatch.setenv(name, value)
    day = Day(database, settings, environment, tmp_path, graph, dagster_instance, stored, truth)
    last = datetime.now(UTC).replace(minute=7, second=0, microsecond=0) - timedelta(hours=1)
    ticks = [last - timedelta(hours=back) for back in reversed(range(len(hours)))]
    warehouse = Warehouse(database)
    for tick, trouble in zip(ticks, hours, strict=True):
        day.pass_hour(tick, trouble)
        look_for_alerts(dagster_instance, settings, datetime.now(UTC))
        problems = answers.scheduler_status(warehouse, settings, datetime.now(UTC))["problems"]
        assert any("session expired" in each for each in problems) == (trouble == "token")

    _, window = due(ticks[-1], settings)
    assert window is not None
    of_window = [row for row in stored("ad_actuals", *FIGURES) if row["report_date"] in window]
    assert of_window == truth(window) != []
    every_promise_holds(database, truth(window), window)

    # What the dead token broke was told once for each, and is told again a day later.
    refused = {"failed_fetches": len(graph.world.account_ids), "success_rate": 1}
    for rule, subjects in refused.items():
        assert lines_about(rule, stored) == {"WARNING": subjects}
    look_for_alerts(dagster_instance, settings, datetime.now(UTC) + timedelta(hours=25))
    for rule, subjects in refused.items():
        assert lines_about(rule, stored) == {"WARNING": subjects, "STILL OPEN": subjects}

    told = Counter(row["outcome"] for row in stored("fetch_log"))
    assert told["refused"] == hours.count("token") * len(graph.world.account_ids)
    assert set(told) == {"complete", "refused"}
    runs = Counter(run.status for run in dagster_instance.get_runs())
    whole = len(hours) - sum(each in {"token", "killed", "database"} for each in hours)
    assert runs[dg.DagsterRunStatus.SUCCESS] == whole
    assert sum(runs.values()) - whole == runs[dg.DagsterRunStatus.FAILURE]


def look_for_alerts(instance: dg.DagsterInstance, settings: Settings, now: datetime) -> None:
    sensor = alert_watch_sensor(settings, clock=lambda: now)
    with dg.build_sensor_context(instance=instance) as context:
        assert sensor.evaluate_tick(context).skip_message


def lines_about(rule: str, stored: Rows) -> dict[str, int]:
    """How often each way to tell an alert of the rule was used in messages."""
    lines = [line for row in stored("alert_messages") for line in row["body"].splitlines()]
    ways = ("CRITICAL", "WARNING", "STILL OPEN", "OVER")
    about = [line for line in lines if f" {rule}: " in line]
    counts = {way: sum(line.startswith(way) for line in about) for way in ways}
    return {way: count for way, count in counts.items() if count}


def every_promise_holds(database: str, want: list[Row], window: DayWindow) -> None:
    """Sums to the cent, once each, reconciled, and the newest revision is what is stored."""
    with psycopg.connect(database, row_factory=dict_row) as connection:

        def asked(query: str, *values: Any) -> list[Row]:
            return connection.execute(query.encode(), values).fetchall()

        days = (window.since, window.until)
        (sums,) = asked(
            "SELECT sum(spend) AS spend, sum(revenue) AS revenue FROM actuals.ad_actuals "
            "WHERE report_date BETWEEN %s AND %s",
            *days,
        )
        for name, total in sums.items():
            assert total == sum((row[name] for row in want), Decimal(0)), name
        verdicts = asked("SELECT DISTINCT verdict FROM actuals.spend_reconciliation")
        assert verdicts == [{"verdict": "exact"}]
        for table in ("ad_actuals", "raw_meta_insights"):
            twice = asked(
                f"SELECT FROM actuals.{table} GROUP BY account_id, ad_id, report_date "
                "HAVING count(*) > 1"
            )
            assert not twice
        names = ", ".join(FIGURES)
        newest = asked(
            f"SELECT {names} FROM actuals.ad_actuals_as_of(%s) ORDER BY 1, 2, 3",  # noqa: S608
            datetime.now(UTC).date() + timedelta(days=1),
        )
        stored = asked(f"SELECT {names} FROM actuals.ad_actuals ORDER BY 1, 2, 3")  # noqa: S608
        assert newest == stored
