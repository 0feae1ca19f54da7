"""Runs of the schedule whose worker is killed, alone or with everything that Dagster runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.descriptions import META_POOL
from actuals_pipeline.orchestration.jobs import JOB_NAME, WORKER_TAG
from actuals_pipeline.orchestration.partitions import window_of_tags
from actuals_pipeline.orchestration.schedules import SCHEDULE_NAME
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests.crashes.generations import Generations
from actuals_pipeline_tests.crashes.restated_world import RestatedWorld
from actuals_pipeline_tests.orchestration.conftest import exported
from actuals_pipeline_tests.serving.conftest import eventually, processes_of
from actuals_pipeline_tests.serving.up import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc"),
]

LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


@dataclass(frozen=True)
class Up:
    """`actuals up` in a process of its own, with the daemon and a code server."""

    home: Path
    port: int
    log: Path

    def answers(self) -> bool:
        with suppress(OSError):
            return "dagster_version" in self.asked("/server_info")
        return False

    def asked(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        body = json.dumps(query).encode() if query else None
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def launch(self, tags: Mapping[str, str]) -> str:
        """What the daemon does with a tick's request; the id of the run."""
        selector = {
            "repositoryLocationName": "actuals_pipeline",
            "repositoryName": "__repository__",
            "jobName": JOB_NAME,
        }
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        params = {"selector": selector, "executionMetadata": {"tags": listed}}
        answer = self.asked("/graphql", {"query": LAUNCH, "variables": {"params": params}})
        return str(answer["data"]["launchRun"]["run"]["runId"])

    def kill_everything(self) -> None:
        """As a power cut does: no process gets to say anything."""
        while left := processes_of(self.home):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def up(environment: dict[str, str], tmp_path: Path) -> Iterator[Up]:
    up = Up(Path(environment["ACTUALS_HOME"]), free_port(), tmp_path / "up.log")
    command = [sys.executable, "-m", "actuals_pipeline", "up", "--no-http"]
    command += ["--port", str(up.port)]
    with up.log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        eventually(up.answers, seconds=180)
        yield up
    finally:
        up.kill_everything()
        process.wait()


def ticked(settings: Settings, instance: dg.DagsterInstance, now: datetime) -> Mapping[str, str]:
    """The tags of the run that the schedule asks for at an instant."""
    schedule = build_definitions(settings).resolve_schedule_def(SCHEDULE_NAME)
    tick = now.replace(hour=12, minute=7)
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=tick) as context:
        data = schedule.evaluate_tick(context)
    assert data.run_requests, data.skip_message
    return data.run_requests[0].tags


def run_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def worker_in_the_middle_of_a_fetch(
    instance: dg.DagsterInstance, run_id: str, graph: GraphStandIn
) -> int:
    """Its process id, once it waits for Meta."""
    eventually(lambda: any(call.kind == "account" for call in graph.calls), seconds=180)
    return int(run_of(instance, run_id).tags[WORKER_TAG].split(":")[-2])


def test_a_killed_worker_is_failed_and_tried_again_and_a_power_cut_holds_no_days(
    up: Up,
    environment: dict[str, str],
    settings: Settings,
    world: RestatedWorld,
    graph: GraphStandIn,
    generations: Generations,
    dagster_instance: dg.DagsterInstance,
    database: str,
    product: None,
) -> None:
    tags = ticked(settings, dagster_instance, world.now)
    window = window_of_tags(dict(tags))
    assert window is not None
    generations.remember(window)
    slow = Fault({"delay_seconds": 600}, kind="account", times=None)

    graph.faults.add(slow)
    killed = up.launch(tags)
    worker = worker_in_the_middle_of_a_fetch(dagster_instance, killed, graph)
    graph.faults.clear()
    os.kill(worker, signal.SIGKILL)
    status = dg.DagsterRunStatus
    eventually(lambda: run_of(dagster_instance, killed).status is status.FAILURE)
    of_its_place = dg.RunsFilter(tags={"dagster/parent_run_id": killed}, statuses=[status.SUCCESS])
    eventually(lambda: len(dagster_instance.get_runs(of_its_place)) == 1, seconds=180)
    assert generations.behind(database, window) == []

    graph.calls.clear()
    graph.faults.add(slow)
    dead = up.launch(tags)
    worker_in_the_middle_of_a_fetch(dagster_instance, dead, graph)
    graph.faults.clear()
    up.kill_everything()
    assert run_of(dagster_instance, dead).status is status.STARTED
    tags = ticked(settings, dagster_instance, world.now)
    assert run_of(dagster_instance, dead).status is status.FAILURE
    job = build_definitions(settings).resolve_job_def(JOB_NAME)
    with exported(environment):
        assert job.execute_in_process(instance=dagster_instance, tags=dict(tags)).success
    pool = dagster_instance.event_log_storage.get_concurrency_info(META_POOL)
    assert (pool.claimed_slots, pool.pending_steps) == ([], [])
    assert generations.behind(database, window) == []
