"""A backfill that was killed goes on where it was: settled days that are stored are not asked for.

The Graph API's own record of its calls says which were.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.orchestration.fetching import FETCHED_DAYS
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.crashes.generations import Generations
from actuals_pipeline_tests.crashes.killing import Instant, Killer
from actuals_pipeline_tests.crashes.restated_world import RestatedWorld
from actuals_pipeline_tests.crashes.victims import KILLED, Victims

Kill = Callable[[DayWindow, DayWindow], None]

ACCOUNTS = {"42", "43"}


@pytest.fixture
def settled(world: RestatedWorld) -> DayWindow:
    """Three months, none of which Meta restates any more."""
    return DayWindow.trailing(world.now.date() - timedelta(days=30), 3 * FETCHED_DAYS)


@pytest.fixture
def kill_in(victims: Victims, graph: GraphStandIn, database: str) -> Kill:
    """Start a backfill of a window and kill it while Meta is asked for a part of it."""

    def kill(window: DayWindow, days: DayWindow) -> None:
        graph.faults.add(
            Fault({"delay_seconds": 60}, kind="insights", params=f"{days.since}", times=None)
        )
        graph.calls.clear()
        victim = victims.start(window, "backfill")
        while all(since != days.since for _, since in asked(graph)):
            assert not victim.ended_within(0.01), victims.output.read_text()
        assert Killer(database).kill(victim, Instant(0)) == ""
        assert victim.exit_code() == KILLED
        graph.faults.clear()
        graph.calls.clear()

    return kill


def asked(graph: GraphStandIn) -> set[tuple[str | None, date]]:
    """The accounts and first days of which Meta was asked for insights."""
    return {
        (call.account_id, date.fromisoformat(json.loads(call.params["time_range"])["since"]))
        for call in graph.calls
        if call.kind == "insights"
    }


def everything(pieces: Sequence[DayWindow]) -> set[tuple[str | None, date]]:
    return {(account_id, days.since) for account_id in ACCOUNTS for days in pieces}


def lineage(instance: dg.DagsterInstance) -> list[tuple[str | None, str | None]]:
    """Parent and root of each run, oldest first, as numbers of the runs in that order."""
    runs = [*reversed(instance.get_runs())]
    numbers = {run.run_id: str(number) for number, run in enumerate(runs)}
    tags = ("dagster/parent_run_id", "dagster/root_run_id")
    return [tuple(numbers.get(run.tags.get(tag, "")) for tag in tags) for run in runs]  # type: ignore[misc]


def test_a_month_that_any_of_the_killed_runs_stored_is_not_asked_for_again(
    victims: Victims,
    kill_in: Kill,
    graph: GraphStandIn,
    generations: Generations,
    settled: DayWindow,
    dagster_instance: dg.DagsterInstance,
    database: str,
) -> None:
    _, second, third = settled.pieces(FETCHED_DAYS)
    generations.remember(settled)
    kill_in(settled, second)
    kill_in(settled, third)
    assert generations.broken_laws(database) == []
    victims.run(settled, "backfill")
    assert asked(graph) == everything([third])
    assert generations.behind(database, settled) == []
    assert generations.broken_laws(database) == []
    assert lineage(dagster_instance) == [(None, None), ("0", "0"), ("1", "0")]


def test_days_that_meta_may_restate_are_asked_for_again_and_so_is_what_failed(
    victims: Victims,
    kill_in: Kill,
    graph: GraphStandIn,
    world: RestatedWorld,
    generations: Generations,
    database: str,
) -> None:
    window = DayWindow.trailing(world.now.date(), 3 * FETCHED_DAYS)
    first, second, third = window.pieces(FETCHED_DAYS)
    generations.remember(window)
    refusal = Fault({"error": {"code": 200}}, account_id="43", params=f"{first.since}", times=None)
    graph.faults.add(refusal)
    victim = victims.start(window, "backfill")
    assert Killer(database).kill(victim, Instant(0, "ad_actuals")) is not None
    assert victim.exit_code() == KILLED
    assert everything([first, second, third]) == asked(graph)

    graph.faults.clear()
    graph.calls.clear()
    victims.run(window, "backfill")
    assert asked(graph) == {("43", first.since), *everything([third])}
    assert generations.behind(database, window) == []
    assert generations.broken_laws(database) == []


@pytest.mark.slow
def test_the_command_line_says_that_it_goes_on_and_what_is_stored_already(
    actuals: Actuals,
    environment: dict[str, str],
    graph: GraphStandIn,
    settled: DayWindow,
    tmp_path: Path,
) -> None:
    first, second, _ = settled.pieces(FETCHED_DAYS)
    days = ("--since", str(first.since), "--until", str(second.until))
    graph.faults.add(
        Fault({"delay_seconds": 60}, kind="insights", params=f"{second.since}", times=None)
    )
    begun = subprocess.Popen(
        [sys.executable, "-m", "actuals_pipeline", "backfill", *days],
        cwd=tmp_path,
        env={**os.environ, **environment},
    )
    while all(since != second.since for _, since in asked(graph)):
        with pytest.raises(subprocess.TimeoutExpired):
            begun.wait(0.05)
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    graph.faults.clear()
    graph.calls.clear()

    done = actuals("backfill", *days)
    assert done.returncode == 0
    assert done.stderr == (
        "actuals: going on where an earlier run over these days ended; 31 of 62 days are stored "
        "already.\n"
    )
    assert asked(graph) == everything([second])
