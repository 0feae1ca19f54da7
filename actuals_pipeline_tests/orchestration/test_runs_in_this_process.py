"""Runs that the command line executes itself: seen by the UI, and cleared away when they die."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster import DagsterEventType, DagsterRunStatus

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.orchestration import dead_runs, runs
from actuals_pipeline.orchestration.dead_runs import clear_dead_runs
from actuals_pipeline.orchestration.descriptions import META_POOL
from actuals_pipeline.orchestration.jobs import JOB_NAME, PROCESS_TAG, WORKER_TAG
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.run_failures import StepFailure
from actuals_pipeline.orchestration.runs import POLL_SECONDS, run_window
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.orchestration.conftest import FIGURES, Pipeline, exported

with_proc = pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_run_of_the_command_line_is_one_of_the_instance_and_tells_how_far_it_is(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 2)
    told: list[tuple[float, str]] = []
    # Longer than it takes to look twice.
    pipeline.graph.faults.add(Fault({"delay_seconds": 3 * POLL_SECONDS}, kind="account"))
    with exported(pipeline.environment):
        result = run_window(
            pipeline.settings, window, tier="sync", on_progress=lambda *step: told.append(step)
        )

    assert (result.succeeded, result.failures) == (True, ())
    run = pipeline.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert (run.job_name, run.status) == (JOB_NAME, DagsterRunStatus.SUCCESS)
    assert run.tags.items() >= {**range_tags(window), "actuals/tier": "sync"}.items()
    assert run.tags[PROCESS_TAG].startswith(f"{socket.gethostname()}:{os.getpid()}:")
    key = dg.AssetKey("model_accuracy")
    assert pipeline.instance.get_materialized_partitions(key) == {str(day) for day in window}
    assert len(pipeline.rows("ad_actuals", *FIGURES)) == len(pipeline.truth(window)) > 0

    ended = pipeline.instance.get_records_for_run(
        result.run_id, of_type=DagsterEventType.STEP_SUCCESS
    ).records
    done = [share for share, _ in told]
    assert (done[-1], told[-1][1]) == (1, "")
    assert done == sorted(done)
    assert set(done) <= {step / len(ended) for step in range(len(ended) + 1)}
    assert len(told) > 1
    assert (0, "meta_insights_fetch") in told


def test_a_failure_is_one_sentence_in_the_words_of_our_own_error(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.inclusive(today, today)
    # Of several accounts any may be the first to be refused.
    pipeline = pipeline.asking(pipeline.graph, META_AD_ACCOUNT_ID="act_42")
    cases = (
        (
            Fault({"error": {"code": 190, "subcode": 463}}, times=None),
            "MetaRefused",
            (
                "Meta refused the token for account act_42 (190/463, session expired): create a "
                "new system user token and put it in META_ACCESS_TOKEN. (fbtrace_id StandInTraceId)"
            ),
        ),
        (
            Fault({"foreign_row": True}, kind="insights", times=None),
            "UnexpectedPayload",
            (
                "meta_insights_fetch: Meta's answer for account act_42 is not what it promises: a "
                "row is of account '999000000000009'."
            ),
        ),
    )
    for fault, error_class, sentence in cases:
        pipeline.graph.faults.clear()
        pipeline.graph.faults.add(fault)
        with exported(pipeline.environment):
            result = run_window(pipeline.settings, window, tier="sync")
        assert (result.succeeded, result.failures) == (False, (StepFailure(sentence, error_class),))
        run = pipeline.instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.status is DagsterRunStatus.FAILURE


@pytest.fixture
def other_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def started_run(instance: dg.DagsterInstance, process: str | None) -> str:
    """A run that `process` (or the daemon) began and that holds the one place of the pool."""
    run = dg.DagsterRun(
        JOB_NAME,
        tags={} if process is None else {PROCESS_TAG: process},
        status=DagsterRunStatus.STARTED,
    )
    instance.add_run(run)
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(META_POOL)
    storage.claim_concurrency_slot(META_POOL, run.run_id, "meta_insights_fetch")
    return run.run_id


def statuses(instance: dg.DagsterInstance) -> dict[str, DagsterRunStatus]:
    return {run.run_id: run.status for run in instance.get_runs()}


def holders(instance: dg.DagsterInstance) -> set[str]:
    return instance.event_log_storage.get_concurrency_info(META_POOL).active_run_ids


def named(process: subprocess.Popen[bytes]) -> str:
    return f"{socket.gethostname()}:{process.pid}:{dead_runs._started(process.pid)}"


@pytest.mark.parametrize(
    "is_reaped",
    [True, pytest.param(False, marks=with_proc)],
    ids=["gone", "waiting for its parent"],
)
def test_a_run_whose_process_was_killed_is_failed_and_gives_back_its_place(
    is_reaped: bool, other_process: subprocess.Popen[bytes], dagster_instance: dg.DagsterInstance
) -> None:
    run_id = started_run(dagster_instance, named(other_process))
    clear_dead_runs(dagster_instance)
    assert statuses(dagster_instance) == {run_id: DagsterRunStatus.STARTED}
    assert holders(dagster_instance) == {run_id}

    other_process.kill()
    # Waits for the end without taking notice of it, which is what makes a process go.
    os.waitid(os.P_PID, other_process.pid, os.WEXITED | os.WNOWAIT)
    if is_reaped:
        other_process.wait()
    clear_dead_runs(dagster_instance)
    assert statuses(dagster_instance) == {run_id: DagsterRunStatus.FAILURE}
    assert holders(dagster_instance) == set()
    (record,) = dagster_instance.get_records_for_run(
        run_id, of_type=DagsterEventType.RUN_FAILURE
    ).records
    event = record.event_log_entry.dagster_event
    assert event is not None
    assert event.message == "The process that executed this run ended before it."


@with_proc
def test_a_later_process_of_the_same_number_is_not_the_one_that_ran(
    other_process: subprocess.Popen[bytes], dagster_instance: dg.DagsterInstance
) -> None:
    earlier = dead_runs._started(os.getpid())
    run_id = started_run(dagster_instance, f"{socket.gethostname()}:{other_process.pid}:{earlier}")
    clear_dead_runs(dagster_instance)
    assert statuses(dagster_instance) == {run_id: DagsterRunStatus.FAILURE}


@pytest.mark.parametrize(
    "process", ["another-host:1:1", None], ids=["another host", "the daemon's run"]
)
def test_runs_that_are_not_ours_to_judge_are_left_alone(
    process: str | None, dagster_instance: dg.DagsterInstance
) -> None:
    run_id = started_run(dagster_instance, process)
    clear_dead_runs(dagster_instance)
    assert statuses(dagster_instance) == {run_id: DagsterRunStatus.STARTED}
    assert holders(dagster_instance) == {run_id}


@pytest.mark.parametrize("status", [DagsterRunStatus.FAILURE, None], ids=["ended", "deleted"])
def test_a_place_that_nobody_gave_back_is_freed(
    status: DagsterRunStatus | None, dagster_instance: dg.DagsterInstance
) -> None:
    run_id = started_run(dagster_instance, None)
    if status is None:
        dagster_instance.run_storage.delete_run(run_id)
    else:
        run = dagster_instance.get_run_by_id(run_id)
        assert run is not None
        dagster_instance.report_run_failed(run)
    assert holders(dagster_instance) == {run_id}
    clear_dead_runs(dagster_instance)
    assert holders(dagster_instance) == set()


def test_a_place_that_was_promised_to_a_run_that_died_before_it_took_it_is_freed(
    other_process: subprocess.Popen[bytes], dagster_instance: dg.DagsterInstance
) -> None:
    run = dg.DagsterRun(
        JOB_NAME, tags={PROCESS_TAG: named(other_process)}, status=DagsterRunStatus.STARTED
    )
    dagster_instance.add_run(run)
    storage = dagster_instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(META_POOL)
    storage.add_pending_step(META_POOL, run.run_id, "meta_insights_fetch", should_assign=True)  # type: ignore[attr-defined]
    other_process.kill()
    other_process.wait()
    clear_dead_runs(dagster_instance)
    claim = storage.claim_concurrency_slot(META_POOL, "the next", "meta_insights_fetch")
    assert claim.is_claimed


def test_a_run_of_the_daemon_names_its_process_and_is_failed_when_that_is_gone(
    pipeline: Pipeline, other_process: subprocess.Popen[bytes], today: date
) -> None:
    done = pipeline.run(DayWindow.inclusive(today, today))
    worker = pipeline.instance.get_runs()[0].tags[WORKER_TAG]
    assert worker.startswith(f"{socket.gethostname()}:{os.getpid()}:")
    # Of any job: a backfill from the UI runs under a job of Dagster's own.
    dead = dg.DagsterRun(
        "__ASSET_JOB", tags={WORKER_TAG: named(other_process)}, status=DagsterRunStatus.STARTED
    )
    pipeline.instance.add_run(dead)
    other_process.kill()
    other_process.wait()
    clear_dead_runs(pipeline.instance)
    assert statuses(pipeline.instance) == {
        done.run_id: DagsterRunStatus.SUCCESS,
        dead.run_id: DagsterRunStatus.FAILURE,
    }


def test_a_run_clears_away_what_died_before_it(
    pipeline: Pipeline, other_process: subprocess.Popen[bytes], today: date
) -> None:
    dead = started_run(pipeline.instance, named(other_process))
    # Else a run that forgets to clear would wait for the place for ever, and this test with it.
    pipeline.instance.event_log_storage.free_concurrency_slots_for_run(dead)
    other_process.kill()
    other_process.wait()
    with exported(pipeline.environment):
        result = run_window(pipeline.settings, DayWindow.inclusive(today, today), tier="sync")
    assert statuses(pipeline.instance) == {
        dead: DagsterRunStatus.FAILURE,
        result.run_id: DagsterRunStatus.SUCCESS,
    }


LAST = DayWindow.inclusive(date(2026, 3, 1), date(2026, 3, 7))

Ended = tuple[DagsterRunStatus, DayWindow, timedelta]

RECENTLY = timedelta(hours=23)


@pytest.mark.parametrize(
    ("runs_before", "goes_on"),
    [
        ([], None),
        ([(DagsterRunStatus.FAILURE, LAST, RECENTLY)], 0),
        ([(DagsterRunStatus.CANCELED, LAST, RECENTLY)], 0),
        ([(DagsterRunStatus.SUCCESS, LAST, RECENTLY)], None),
        ([(DagsterRunStatus.FAILURE, LAST, timedelta(hours=25))], None),
        ([(DagsterRunStatus.FAILURE, DayWindow(LAST.start, date(2026, 3, 9)), RECENTLY)], None),
        (
            [
                (DagsterRunStatus.FAILURE, LAST, RECENTLY),
                (DagsterRunStatus.SUCCESS, LAST, RECENTLY),
            ],
            None,
        ),
        (
            [
                (DagsterRunStatus.SUCCESS, LAST, RECENTLY),
                (DagsterRunStatus.FAILURE, LAST, RECENTLY),
            ],
            1,
        ),
        (
            [
                (DagsterRunStatus.FAILURE, LAST, RECENTLY),
                (DagsterRunStatus.STARTED, LAST, RECENTLY),
            ],
            None,
        ),
    ],
    ids=[
        "the first one",
        "failed",
        "canceled",
        "succeeded",
        "failed long ago",
        "of other days",
        "succeeded since",
        "succeeded before",
        "under way",
    ],
)
def test_a_run_takes_the_place_of_the_last_one_over_its_days_if_that_came_to_grief_of_late(
    runs_before: list[Ended],
    goes_on: int | None,
    dagster_instance: dg.DagsterInstance,
    database: str,
) -> None:
    run_ids = [ended_run(dagster_instance, database, *each) for each in runs_before]
    tags = runs._lineage(dagster_instance, LAST)
    assert [tags.get(name) for name in ("dagster/parent_run_id", "dagster/root_run_id")] == (
        [None, None] if goes_on is None else [run_ids[goes_on]] * 2
    )


def ended_run(
    instance: dg.DagsterInstance,
    database: str,
    status: DagsterRunStatus,
    window: DayWindow,
    ago: timedelta,
) -> str:
    """A run over `window` that came to that status so long ago."""
    run = dg.DagsterRun(JOB_NAME, tags=range_tags(window), status=status)
    instance.add_run(run)
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE dagster.runs SET end_time = %s WHERE run_id = %s",
            [(datetime.now(UTC) - ago).timestamp(), run.run_id],
        )
    return run.run_id
