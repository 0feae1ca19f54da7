"""Run the job from the command line, on the instance that the UI and the schedule use.

The run is executed in this process, so that no daemon needs to be up.  A process that is killed
leaves a run that looks alive and a place in the pool that is never given back; the next run
clears both away first.  If that run was over the same days it goes on where the dead one ended.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any, cast
from uuid import uuid4

import dagster as dg
from dagster import DagsterEventType
from dagster._serdes import ConfigurableClassData

from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.dagster_connections import keep_connections
from actuals_pipeline.orchestration.dead_runs import clear_dead_runs, this_process
from actuals_pipeline.orchestration.fetching import (
    DAYS_FETCHED,
    FETCHED_DAYS,
    PARENT_RUN_TAG,
    ROOT_RUN_TAG,
    runs_before,
)
from actuals_pipeline.orchestration.jobs import (
    JOB_NAME,
    MAX_RUN_SECONDS,
    MAX_RUNTIME_TAG,
    PROCESS_TAG,
    TIER_TAG,
)
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.run_failures import (
    STORAGE_ERRORS,
    StepFailure,
    step_failures,
    storage_errors_told,
    was_interrupted,
)
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings

POLL_SECONDS = 0.3
"""How often the progress of a run is read; chosen: smooth to the eye, nothing to Postgres."""

RESUMED_WITHIN = timedelta(hours=24)
"""How long after its end a run is gone on with; after that settled days are worth a new look."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The event log keeps everything; a terminal gets the progress and one sentence instead."""

Progress = Callable[[float, str], None]
"""Told which share of the run is done (all steps being equal), and which step is under way."""

Resumption = Callable[[Collection[str]], None]
"""Told the ids of the runs whose place a run takes, before it begins."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended, and what failed its steps."""

    run_id: str
    succeeded: bool
    failures: tuple[StepFailure, ...]


def run_window(
    settings: Settings,
    window: DayWindow,
    *,
    tier: str,
    on_progress: Progress | None = None,
    on_resumption: Resumption | None = None,
    resources: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    assets: Collection[str] | None = None,
) -> RunResult:
    """Run the job over `window` in this process and wait for its end.

    `resources` replaces resources by name; the run is called `run_id`, a new UUID; of the job's
    assets those named are materialized (None: all).
    `WarehouseError` when Dagster's own tables, which are in the same database, cannot be read or
    written.
    """
    job = build_definitions(settings, resources=resources).resolve_job_def(JOB_NAME)
    steps = len(job.graph.node_defs if assets is None else assets)
    with storage_errors_told(), _instance() as instance:
        clear_dead_runs(instance)
        lineage = _lineage(instance, window)
        if lineage and on_resumption:
            on_resumption(runs_before(instance, lineage))
        tags = {
            **range_tags(window),
            **lineage,
            TIER_TAG: tier,
            PROCESS_TAG: this_process(),
            MAX_RUNTIME_TAG: str(MAX_RUN_SECONDS * len(window.pieces(FETCHED_DAYS))),
        }
        run_id = run_id or str(uuid4())
        with _watched(instance, run_id, window, steps, on_progress):
            result = job.execute_in_process(
                instance=instance,
                tags=tags,
                run_id=run_id,
                run_config=_QUIET,
                raise_on_error=False,
                asset_selection=None if assets is None else [dg.AssetKey(each) for each in assets],
            )
    if was_interrupted(result.all_events):
        raise KeyboardInterrupt
    return RunResult(run_id, result.success, tuple(step_failures(result.all_events)))


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    """The configured instance, without the processes that copy each step's output to a file.

    The terminal shows the output; and its Ctrl-C would end them with a traceback each.
    """
    with dg.DagsterInstance.get() as configured:
        ref = configured.get_ref()
    silent = ConfigurableClassData(
        "dagster._core.storage.noop_compute_log_manager", "NoOpComputeLogManager", "{}"
    )
    with dg.DagsterInstance.from_ref(ref._replace(compute_logs_data=silent)) as instance:
        keep_connections(instance)
        yield instance


def _lineage(instance: dg.DagsterInstance, window: DayWindow) -> dict[str, str]:
    """The tags of a run that takes the place of the last one over `window`, if that came to grief.

    The same tags as Dagster's own retries have.
    """
    wanted = dg.RunsFilter(job_name=JOB_NAME, tags=range_tags(window))
    for last in instance.get_run_records(wanted, limit=1):
        run, ended = last.dagster_run, last.end_time
        is_recent = ended and datetime.now(UTC).timestamp() - ended < RESUMED_WITHIN.total_seconds()
        if run.status in _CAME_TO_GRIEF and is_recent:
            return {
                PARENT_RUN_TAG: run.run_id,
                ROOT_RUN_TAG: run.tags.get(ROOT_RUN_TAG, run.run_id),
            }
    return {}


_CAME_TO_GRIEF = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@contextmanager
def _watched(
    instance: dg.DagsterInstance,
    run_id: str,
    window: DayWindow,
    steps: int,
    on_progress: Progress | None,
) -> Iterator[None]:
    """Tell `on_progress` of the run from a thread until the block ends."""
    if on_progress is None:
        yield
        return
    ended = Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            # The run itself says what is wrong with the database, if it does not pass.
            with suppress(*STORAGE_ERRORS):
                on_progress(*_progress(instance, run_id, window, steps))

    watcher = Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    on_progress(1, "")


def _progress(
    instance: dg.DagsterInstance, run_id: str, window: DayWindow, steps: int
) -> tuple[float, str]:
    of_type = {
        DagsterEventType.STEP_START,
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.ENGINE_EVENT,
    }
    records = instance.get_records_for_run(run_id, of_type=of_type).records
    events = [event for each in records if (event := each.event_log_entry.dagster_event)]
    done: float = sum(event.is_step_success for event in events)
    begun = [event.step_key for event in events if event.is_step_start]
    if begun and not done:
        told = [event.engine_event_data.metadata for event in events if event.is_engine_event]
        fetched = [cast("int", each[DAYS_FETCHED].value) for each in told if DAYS_FETCHED in each]
        done = max(fetched, default=0) / len(window)
    return done / steps, str(begun[-1]) if begun else ""
