"""`actuals up` in a process of its own, and whatever it starts: gone when the block ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Up:
    """`actuals up` in a process of its own."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int
    log: Path

    @property
    def children(self) -> list[int]:
        """Its processes but itself and its guardian, the code server first."""
        return sorted(set(processes_of(self.home)) - {self.process.pid})

    def pid_of(self, name: str) -> int | None:
        """Of one of its processes; None while it is down."""
        with suppress(OSError):
            listed = json.loads((self.home / "up.json").read_text())
            return next((each["pid"] for each in listed if each["name"] == name), None)
        return None

    def answers(self) -> bool:
        """Whether the UI does; a failure when the process has ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return "dagster_version" in self.asked("/server_info")
        except OSError:
            return False

    def asked(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Any:
        """The UI's JSON under `path`."""
        url = f"http://127.0.0.1:{self.port}{path}"
        body = json.dumps(query).encode() if query else None
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"} | headers)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def switch_schedule_off(self) -> None:
        """So that no tick falls into a test that has no use for one."""
        asked = {"query": STATE, "variables": {"schedule": SCHEDULE}}
        state = self.asked("/graphql", asked)["data"]["scheduleOrError"]["scheduleState"]
        switched = {"query": SWITCH_OFF, "variables": {"id": state["id"]}}
        answer = self.asked("/graphql", switched)["data"]["stopRunningSchedule"]
        assert answer["scheduleState"]["status"] == "STOPPED"

    def ended(self, number: int) -> str:
        """What is in its log after it was sent a signal; nothing of it may be left."""
        self.process.send_signal(number)
        # Dagster stops in 2 to 5 s; one that has to be killed takes 30.
        assert self.process.wait(60) == 0, self.log.read_text()
        # Dagster's code server takes a moment longer than Dagster.
        eventually(lambda: not processes_of(self.home), seconds=5)
        return self.log.read_text()


@contextmanager
def started(
    environment: Mapping[str, str],
    folder: Path,
    *prefix: str,
    port: int | None = None,
    http_port: int | None = None,
) -> Iterator[Up]:
    """`actuals up` in `folder`, on a free port unless one is named; it ends with the block."""
    port = port or free_port()
    home, log = Path(environment["ACTUALS_HOME"]), folder / "up.log"
    http = ["--no-http"] if http_port is None else ["--http-port", str(http_port)]
    command = [sys.executable, "-m", "actuals_pipeline", "up", "--port", str(port), *http]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*prefix, *command],
            cwd=folder,
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


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
