"""Run the processes of an installation under one command: start, watch, restart, stop.

    code_server    loads the project and starts its runs; on a Unix socket that only we may enter,
                   for whoever reaches it may launch what he likes
    daemon         the schedule, the sensors, the queue
    ui             Dagster's webserver behind a gate (`ui_gate.py`)
    http           the interface of `actuals serve`

A process that ends is started again, after a pause that grows; a signal ends all of them.  Nothing
outlives us: a guardian ends the others even if this process is killed (`guardian.py`).  Each
writes a log file of its own, and sees only the secrets that it needs.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from actuals_pipeline.serving import guardian, up_state
from actuals_pipeline.serving.child_processes import ChildProcess, Guard, Place, Plan
from actuals_pipeline.serving.installation import OF_A_RUN, Installation
from actuals_pipeline.serving.listening import address_of
from actuals_pipeline.serving.process_logs import ProcessLog
from actuals_pipeline.settings import PROJECT_ROOT, SECRETS
from actuals_pipeline.warehouse.alerts import begin_to_watch

POLL_SECONDS = 0.2
"""How soon the end of a process, or a signal, is noticed."""

STOP_SECONDS = 30.0
"""Longest that the processes may take to stop by themselves; measured: 2 to 5 s."""

CODE_LOCATION = "actuals_pipeline"
"""As in workspace.yaml: the state of schedules is kept under it."""

_OF_THE_UI = frozenset({"ACTUALS_UI_PASSWORD"})
_OF_THE_HTTP = frozenset({"ACTUALS_API_TOKEN", "META_WEBHOOK_VERIFY_TOKEN"})
_OF_THE_CODE = SECRETS - _OF_THE_UI - _OF_THE_HTTP
"""What fetches, and tells others."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets that were bound before anything was started."""

    ui: socket.socket
    http: socket.socket | None = None


def run(
    installation: Installation, listeners: Listeners, *, read_only: bool = False, echo: bool = False
) -> None:
    """Run everything until a signal; with `echo` also show what is logged.

    `InputError` when it runs for this home already.
    """
    home = installation.settings.home
    with ExitStack() as stack:
        # The handlers first: a shell starts background jobs with SIGINT ignored, Dagster would
        # inherit that and could not be interrupted.
        caught = stack.enter_context(_signals_caught())
        held = [stack.enter_context(up_state.only_one(home))]
        if installation.lock_fd is not None:
            # They hold the embedded database too, should this process be killed.
            held.append(installation.lock_fd)
        begin_to_watch(
            installation.warehouse, installation.settings.meta_ad_account_ids, datetime.now(UTC)
        )
        environment = installation.child_environment(SECRETS)
        if read_only:
            environment["ACTUALS_UI_READ_ONLY"] = "1"
        if listeners.http and not environment.get("ACTUALS_REPORT_URL"):
            environment["ACTUALS_REPORT_URL"] = f"{address_of(listeners.http)}/"
        # Not in the home, whose path may be longer than that of a socket may be (108 characters).
        place = Place(Path(tempfile.mkdtemp(prefix="actuals-up-")), environment, held)
        processes = stack.enter_context(_Processes.begun(home, place))
        for plan in _plans(place.folder, listeners):
            processes.add(plan, echo=echo)
        click.echo(f"Dagster UI: {address_of(listeners.ui)} (Ctrl-C stops it)", err=True)
        if listeners.http:
            click.echo(f"HTTP interface: {address_of(listeners.http)}", err=True)
        click.echo(f"Logs: {home / 'logs'}", err=True)
        while not caught:
            processes.look()
            time.sleep(POLL_SECONDS)


def _plans(folder: Path, listeners: Listeners) -> Iterator[Plan]:
    """The processes, in the order of their start."""
    # Warnings are for who develops Dagster's jobs, not for who operates them.
    python = (sys.executable, "-W", "ignore", "-m")
    code_socket, workspace = folder / "code.sock", folder / "workspace.json"
    server = {"socket": str(code_socket), "host": "localhost", "location_name": CODE_LOCATION}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), "utf-8")
    yield Plan(
        "code_server",
        [
            *(*python, "dagster", "api", "grpc", "--socket", str(code_socket)),
            *("--module-name", "actuals_pipeline.definitions", "--attribute", "defs"),
            *("--working-directory", str(PROJECT_ROOT), "--location-name", CODE_LOCATION),
            "--use-python-environment-entry-point",
        ],
        _OF_THE_CODE,
        is_ready=lambda: _answers(code_socket),
    )
    daemon = [*python, "dagster._daemon", "run", "--workspace", str(workspace)]
    yield Plan("daemon", daemon, frozenset({"DATABASE_URL"}))
    yield _served(
        "ui",
        [*python, "actuals_pipeline.orchestration.webserver", str(workspace)],
        frozenset({"DATABASE_URL"}) | _OF_THE_UI,
        listeners.ui,
    )
    if listeners.http:
        command = [*python, "actuals_pipeline", "serve", "--listener"]
        yield _served("http", command, OF_A_RUN | _OF_THE_HTTP, listeners.http)


def _served(
    name: str, command: Sequence[str], secrets: frozenset[str], listener: socket.socket
) -> Plan:
    """A process whose command ends with the descriptor of its socket."""
    return Plan(name, [*command, str(listener.fileno())], secrets, listener)


class _Processes:
    """All processes of one home."""

    def __init__(self, home: Path, place: Place) -> None:
        self._home = home
        self._place = place
        self._processes: list[ChildProcess] = []
        self._orphans: set[int] = set()
        """Process groups whose first process ended: runs go on when the code server dies."""
        self._guard = Guard(place)

    @classmethod
    @contextmanager
    def begun(cls, home: Path, place: Place) -> Iterator[_Processes]:
        """None of them yet; at the end of the block all have ended."""
        processes = cls(home, place)
        try:
            yield processes
        finally:
            processes.stop()

    def add(self, plan: Plan, *, echo: bool) -> None:
        """Have one more, which `look` starts."""
        path = self._home / "logs" / f"{plan.name}.log"
        self._processes.append(ChildProcess(plan, ProcessLog(path, echoed=echo)))

    def look(self) -> None:
        """Notice what ended, start what is to run."""
        self._guard.look()
        self._forget_orphans()
        is_changed = False
        for process in self._processes:
            is_changed |= self._look_at(process)
            if process.is_awaited:
                break
        if is_changed:
            self._write_down()

    def stop(self) -> None:
        """End all of them, the code server and its runs last, for the others ask it."""
        now = time.monotonic()
        server, others = self._processes[:1], self._processes[1:]
        _end([each.running for each in others if each.running], set(), now + STOP_SECONDS / 2)
        _end([each.running for each in server if each.running], self._orphans, now + STOP_SECONDS)
        for process in self._processes:
            process.log.close()
        self._guard.dismiss()

    def _look_at(self, process: ChildProcess) -> bool:
        """Whether it ended or was started."""
        group = process.running.pid if process.running else 0
        if (end := process.ended()) is not None:
            self._orphans.add(group)
            click.echo(
                f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {process.plan.name} {end} and is "
                f"started again in {end.pause_seconds:g} s; see {process.log.path}.",
                err=True,
            )
            return True
        if process.may_start:
            self._guard.began(process.start(self._place))
            return True
        return False

    def _forget_orphans(self) -> None:
        for group in [each for each in self._orphans if not guardian.is_alive(each)]:
            self._orphans.discard(group)
            self._guard.ended(group)

    def _write_down(self) -> None:
        listed = [
            {
                "name": each.plan.name,
                "pid": each.running.pid if each.running else None,
                "since": each.since.isoformat(timespec="seconds"),
                "restarts": each.restarts,
            }
            for each in self._processes
        ]
        try:
            up_state.write_down(self._home, listed)
        except OSError as error:
            # A full disk is no reason to end what runs.
            click.echo(f"`actuals status` cannot be told of the processes: {error}.", err=True)


def _answers(path: Path) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def _end(processes: Sequence[subprocess.Popen[bytes]], orphans: Set[int], deadline: float) -> None:
    """End processes with all of their groups, and groups that have lost theirs."""
    groups = {*(each.pid for each in processes), *orphans}
    for group in groups:
        guardian.interrupt(group)
    while time.monotonic() < deadline:
        # Each is asked, for a zombie that nobody waited for keeps its group alive.
        exits = [each.poll() for each in processes]
        if None not in exits and not any(map(guardian.is_alive, groups)):
            return
        time.sleep(POLL_SECONDS / 4)
    for group in groups:
        guardian.kill(group)
    for process in processes:
        process.wait()


@contextmanager
def _signals_caught() -> Iterator[list[int]]:
    """Inside the block the signals that stop us do nothing but append their number to the list."""
    # A list and no Event, whose lock the interrupted code may hold.
    caught: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    stopping = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # The terminal was closed, and not under nohup.
        stopping.append(signal.SIGHUP)
    before = {number: signal.signal(number, remember) for number in stopping}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
