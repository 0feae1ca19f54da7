"""Processes that run the job and are there to be killed.

    python -m actuals_pipeline_tests.crashes.victims

imports everything once and then forks a process for each order that it reads: one line of JSON,
in which the process finds its environment, window and clock.  It answers with a line when the
process has begun (its id) and one when it has ended (its exit code; minus the signal that ended
it).  A process so made is at work at once, where one that starts Python takes seconds.  The first
order is a rehearsal, obeyed without a fork: the others inherit what libraries look up once.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

import dagster as dg

from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.orchestration.resources import MetaApi, WarehouseResource
from actuals_pipeline.orchestration.runs import run_window
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.settings import PROJECT_ROOT, Settings

Tier = Literal["sync", "backfill"]

SUCCEEDED, FAILED, BROKEN, KILLED = 0, 1, 3, -signal.SIGKILL
"""How a process ended: with a good run, a failed one, an error, or killed."""


@dataclass(frozen=True)
class Victim:
    """A process at work; `output` is where it writes."""

    pid: int
    started: float
    answers: IO[str]

    def ended_within(self, seconds: float) -> bool:
        """Whether it ends in that time; returns when it does."""
        ready, _, _ = select.select([self.answers], [], [], max(0, seconds))
        return bool(ready)

    def exit_code(self) -> int:
        """How it ended, once it has."""
        return int(json.loads(self.answers.readline())["exit_code"])


@dataclass(frozen=True)
class Victims:
    """Where processes come from that run the job of one installation."""

    mother: subprocess.Popen[str]
    environment: Mapping[str, str]
    graph: GraphStandIn
    output: Path

    def start(self, window: DayWindow, tier: Tier) -> Victim:
        """A process that runs the job over `window`, its clock the world's of this moment."""
        order = {
            "environment": dict(self.environment),
            "since": str(window.since),
            "until": str(window.until),
            "tier": tier,
            "now": self.graph.world.now.isoformat(),
            "output": str(self.output),
        }
        assert self.mother.stdin is not None
        assert self.mother.stdout is not None
        self.mother.stdin.write(json.dumps(order) + "\n")
        pid = json.loads(self.mother.stdout.readline())["pid"]
        return Victim(pid, time.monotonic(), self.mother.stdout)

    def run(self, window: DayWindow, tier: Tier) -> float:
        """Let one run to its end, which must be a good one; the seconds that it took."""
        victim = self.start(window, tier)
        exit_code = victim.exit_code()
        assert exit_code == SUCCEEDED, self.output.read_text()
        return time.monotonic() - victim.started


@contextmanager
def mother_of_victims() -> Iterator[subprocess.Popen[str]]:
    """The process that forks the others; they end with the block."""
    command = [sys.executable, "-W", "ignore", "-m", "actuals_pipeline_tests.crashes.victims"]
    # A process with threads cannot be forked safely, and numpy's are not needed.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # One line at a time, so that `select` tells whether there is another.
        bufsize=1,
    ) as mother:
        yield mother
        mother.kill()


def main() -> None:
    """Obey the first order, then fork a process for each, one after the other."""
    _answer(pid=os.getpid())
    _answer(exit_code=_run(json.loads(sys.stdin.readline())))
    assert threading.active_count() == 1, "a process with threads cannot be forked safely"
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _obey(order)
        _answer(pid=pid)
        _, status = os.waitpid(pid, 0)
        _answer(exit_code=os.waitstatus_to_exitcode(status))


def _answer(**facts: int) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _obey(order: Mapping[str, Any]) -> NoReturn:
    """Run the job as ordered; this is the forked process, which never returns."""
    exit_code = BROKEN
    try:
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream, descriptor in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
            os.dup2(descriptor, stream)
        exit_code = _run(order)
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


def _run(order: Mapping[str, Any]) -> int:
    environment, now = order["environment"], datetime.fromisoformat(order["now"])

    class MetaApiAt(MetaApi):
        def clock(self) -> datetime:
            return now

    class WarehouseAt(WarehouseResource):
        def clock(self) -> datetime:
            return now

    settings = Settings.from_environment(environment)
    Installation(settings, environment, environment["DATABASE_URL"], None).enter_dagster()
    window = DayWindow.inclusive(
        date.fromisoformat(order["since"]), date.fromisoformat(order["until"])
    )
    resources = {
        "meta": MetaApiAt.of(settings),
        "postgres": WarehouseAt(database_url=dg.EnvVar("DATABASE_URL")),
    }
    result = run_window(settings, window, tier=order["tier"], resources=resources)
    sys.stderr.write("".join(f"{failure.sentence}\n" for failure in result.failures))
    return SUCCEEDED if result.succeeded else FAILED


if __name__ == "__main__":
    main()
