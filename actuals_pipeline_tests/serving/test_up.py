"""Dagster as one child: what it serves, and that nothing of it outlives us, however we end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.serving.conftest import eventually, processes_of

STATE = """
query ($schedule: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $schedule) {
    ... on Schedule { scheduleState { id status } }
  }
}
"""

SWITCH_OFF = """
mutation ($id: String!) {
  stopRunningSchedule(id: $id) { ... on ScheduleStateResult { scheduleState { status } } }
}
"""

SCHEDULE = {
    "repositoryLocationName": "actuals_pipeline",
    "repositoryName": "__repository__",
    "scheduleName": "hourly_actuals",
}

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@dataclass(frozen=True)
class Up:
    """`actuals up` in a process of its own."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int
    log: Path

    @property
    def children(self) -> list[int]:
        """The processes of Dagster, the one that starts the others first."""
        return sorted(set(processes_of(self.home)) - {self.process.pid})

    def answers(self) -> bool:
        """Whether the UI does; a failure when the process has ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return "dagster_version" in self.asked("/server_info")
        except OSError:
            return False

    def asked(self, path: str, query: dict[str, Any] | None = None) -> Any:
        """The UI's JSON under `path`."""
        url = f"http://127.0.0.1:{self.port}{path}"
        body = json.dumps(query).encode() if query else None
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def ended(self, number: int) -> str:
        """What is in its log after it was sent a signal; nothing of it may be left."""
        self.process.send_signal(number)
        # Dagster stops in 2 to 5 s; one that has to be killed takes 30.
        assert self.process.wait(20) == 0, self.log.read_text()
        # Dagster's code server takes a moment longer than Dagster.
        eventually(lambda: not processes_of(self.home), seconds=5)
        return self.log.read_text()


Start = Callable[..., AbstractContextManager[Up]]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Start:
    """Start `actuals up`, on a free port unless one is named; it ends with the block."""
    # Far away, so that a tick that falls into the test starts no run.
    environment["ACTUALS_START_DATE"] = "2900-01-01"
    home = Path(environment["ACTUALS_HOME"])
    log = tmp_path / "up.log"

    @contextmanager
    def up(*prefix: str, port: int | None = None) -> Iterator[Up]:
        port = port or free_port()
        command = [sys.executable, "-m", "actuals_pipeline", "up", "--port", str(port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*prefix, *command],
                cwd=tmp_path,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
            )
        try:
            yield Up(process, home, port, log)
        finally:
            process.kill()
            process.wait()
            for left in processes_of(home):
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)

    return up


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_dagster_is_served_with_its_schedule_running_and_ends_with_all_its_children(
    start: Start, actuals: Actuals
) -> None:
    # As a shell without job control starts what stands before an ampersand.
    with start("/bin/sh", "-c", """trap '' INT; exec "$@" """, "sh") as up:
        eventually(up.answers, seconds=60)
        query = {"query": STATE, "variables": {"schedule": SCHEDULE}}
        state = up.asked("/graphql", query)["data"]["scheduleOrError"]["scheduleState"]
        assert state["status"] == "RUNNING"
        with socket.socket() as outside, pytest.raises(ConnectionRefusedError):
            # Another address of this computer: whoever could come from outside.
            outside.connect(("127.0.0.2", up.port))

        def scheduler() -> Any:
            return json.loads(actuals("status", "--json").stdout)["scheduler"]

        eventually(lambda: bool(scheduler()["is_running"]))
        switched = {"query": SWITCH_OFF, "variables": {"id": state["id"]}}
        answer = up.asked("/graphql", switched)["data"]["stopRunningSchedule"]
        assert answer["scheduleState"]["status"] == "STOPPED"
        assert scheduler()["is_running"] is False

        assert len(up.children) >= 4
        log = up.ended(signal.SIGTERM)
        assert f"Dagster UI: http://127.0.0.1:{up.port} (Ctrl-C stops it)" in log
        assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "hang-up"])
def test_a_signal_ends_what_has_only_begun_to_start(number: int, start: Start) -> None:
    with start() as up:
        # Dagster itself, and the first of those that it starts.
        eventually(lambda: len(up.children) >= 2)
        up.ended(number)


def test_a_hang_up_is_nothing_where_it_is_ignored(start: Start) -> None:
    with start("nohup") as up:
        eventually(lambda: len(up.children) >= 1)
        up.process.send_signal(signal.SIGHUP)
        # It goes on starting.
        eventually(lambda: len(up.children) >= 3)
        up.ended(signal.SIGTERM)


def test_when_dagster_is_killed_its_children_go_too(start: Start) -> None:
    with start() as up:
        # Of the later ones, which do not notice by themselves.
        eventually(lambda: len(up.children) >= 3)
        os.kill(up.children[0], signal.SIGKILL)
        assert up.process.wait(60) == 1
        assert "Dagster ended by itself with exit code -9" in up.log.read_text()
        eventually(lambda: not processes_of(up.home), seconds=2)


def test_a_taken_port_is_said_before_anything_starts(start: Start, taken_port: int) -> None:
    with start(port=taken_port) as up:
        assert up.process.wait(60) == 2
        (sentence,) = up.log.read_text().splitlines()
    assert sentence.startswith(f"actuals: Port {taken_port} of 127.0.0.1 cannot be used")
    assert "choose another with --port" in sentence
    assert not up.home.exists()
