"""Runs whose process is gone: they look alive, hold their days and keep a place in the pool.

Dagster notices a worker that dies under its code server.  It does not notice one that dies with
the code server, as in a power cut, nor one of the command line: such a run would hold its days
until its maximum runtime is over.  So a run names its process, and whoever starts a run or
decides about one, on the same host, looks whether that process still lives.
"""

import os
import socket
from pathlib import Path

import dagster as dg

from actuals_pipeline.orchestration.descriptions import META_POOL
from actuals_pipeline.orchestration.jobs import PROCESS_TAG, WORKER_TAG

LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def clear_dead_runs(instance: dg.DagsterInstance) -> None:
    """Fail live runs whose process on this host is gone, and free places of ended runs."""
    for run in instance.get_runs(dg.RunsFilter(statuses=LIVE)):
        process = run.tags.get(PROCESS_TAG) or run.tags.get(WORKER_TAG)
        if process is not None and _has_ended(process):
            instance.report_run_failed(run, "The process that executed this run ended before it.")
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        pool = storage.get_concurrency_info(META_POOL)
        # A place is promised before it is taken, and a run may die in between.
        for run_id in pool.active_run_ids | pool.assigned_run_ids | pool.pending_run_ids:
            holder = instance.get_run_by_id(run_id)
            if holder is None or holder.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


def this_process() -> str:
    """The name of this process, that tells it from every other of this and any other host."""
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
