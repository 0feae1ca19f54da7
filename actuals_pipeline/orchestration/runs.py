"""Run the job from the command line, on the instance that the UI and the schedule use.

The run is executed in this process, so that no daemon needs to be up.  A process that is killed
leaves a run that looks alive and a place in the pool that is never given back; the next run
clears both away first.
"""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import dagster as dg
from dagster import DagsterEventType
from dagster._serdes import ConfigurableClassData

from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.descriptions import META_POOL
from actuals_pipeline.orchestration.jobs import JOB_NAME, PROCESS_TAG
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.schedules import LIVE, TIER_TAG
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings

POLL_SECONDS = 0.3
"""How often the progress of a run is read; chosen: smooth to the eye, nothing to Postgres."""

_CONNECTION_SECONDS = 600
"""How long a connection to Dagster's tables is kept; chosen: less than firewalls forget them in."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The event log keeps everything; a terminal gets the progress and one sentence instead."""

Progress = Callable[[int, int, str], None]
"""Told how many of how many steps of the run have ended, and which one is under way."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended; `failures` has one sentence per failed step."""

    run_id: str
    succeeded: bool
    failures: tuple[str, ...]


def run_window(
    settings: Settings, window: DayWindow, *, tier: str, on_progress: Progress | None = None
) -> RunResult:
    """Run the job over `window` in this process and wait for its end."""
    job = build_definitions(settings).resolve_job_def(JOB_NAME)
    tags = {**range_tags(window), TIER_TAG: tier, PROCESS_TAG: _this_process()}
    steps = len(job.graph.node_defs)
    with _instance() as instance:
        clear_dead_runs(instance)
        run_id = str(uuid4())
        with _watched(instance, run_id, steps, on_progress):
            result = job.execute_in_process(
                instance=instance,
                tags=tags,
                run_id=run_id,
                run_config=_QUIET,
                raise_on_error=False,
            )
    if _was_interrupted(result.all_events):
        raise KeyboardInterrupt
    return RunResult(run_id, result.success, tuple(_failures(result.all_events)))


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
        # Dagster's name for keeping its connections: a run of six steps opens 250 otherwise.
        instance.optimize_for_webserver(
            statement_timeout=0, pool_recycle=_CONNECTION_SECONDS, max_overflow=5
        )
        yield instance


def clear_dead_runs(instance: dg.DagsterInstance) -> None:
    """Fail live runs whose process on this host is gone, and free places of ended runs."""
    for run in instance.get_runs(dg.RunsFilter(job_name=JOB_NAME, statuses=LIVE)):
        process = run.tags.get(PROCESS_TAG)
        if process is not None and _has_ended(process):
            instance.report_run_failed(run, "The process that executed this run ended before it.")
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        for run_id in storage.get_concurrency_info(META_POOL).active_run_ids:
            holder = instance.get_run_by_id(run_id)
            if holder is None or holder.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


@contextmanager
def _watched(
    instance: dg.DagsterInstance, run_id: str, steps: int, on_progress: Progress | None
) -> Iterator[None]:
    """Tell `on_progress` of the run's steps from a thread until the block ends."""
    if on_progress is None:
        yield
        return
    ended = Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            on_progress(*_progress(instance, run_id, steps))

    watcher = Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    on_progress(steps, steps, "")


def _progress(instance: dg.DagsterInstance, run_id: str, steps: int) -> tuple[int, int, str]:
    of_type = {DagsterEventType.STEP_START, DagsterEventType.STEP_SUCCESS}
    records = instance.get_records_for_run(run_id, of_type=of_type).records
    events = [record.event_log_entry.dagster_event for record in records]
    done = sum(event is not None and event.is_step_success for event in events)
    begun = [event.step_key for event in events if event is not None and event.is_step_start]
    return done, steps, str(begun[-1]) if begun else ""


def _was_interrupted(events: Sequence[dg.DagsterEvent]) -> bool:
    """Whether somebody at the terminal ended the run; Dagster makes a failed step of it."""
    errors = [event.step_failure_data.error for event in events if event.is_step_failure]
    return any(error and error.cls_name == "DagsterExecutionInterruptedError" for error in errors)


def _failures(events: Sequence[dg.DagsterEvent]) -> Iterator[str]:
    """One sentence per failed step: what our own error said, else what Dagster says."""
    for event in events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            yield data.user_failure_data.description
            continue
        error = data.error
        while error is not None and error.cause is not None:
            error = error.cause
        name, _, said = (error.message if error else "").strip().partition(": ")
        yield f"{event.step_key}: {said or name}"


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _has_ended(process: str) -> bool:
    """Whether a process of this host is gone; one of another host is left to its own."""
    host, pid, started = process.rsplit(":", 2)
    return host == socket.gethostname() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """A mark that tells this process from a later one of the same number; "" when it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text("ascii", errors="replace").rpartition(")")[2].split()
        # A killed process is kept as a zombie until its parent asks, which in a container without
        # an init nobody does.
        return "" if fields[0] == "Z" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "alive"
    return "alive"
