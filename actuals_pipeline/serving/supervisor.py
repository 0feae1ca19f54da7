"""Run `dagster dev` (UI, daemon, code server) as one child and end with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click

from actuals_pipeline.errors import ActualsError, InputError
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.settings import PROJECT_ROOT

HOST = "127.0.0.1"
"""Dagster's UI has no login, so it listens on this computer only."""

POLL_SECONDS = 0.2
"""How soon the end of Dagster, or a signal, is noticed."""

STOP_SECONDS = 30.0
"""Longest that Dagster may take to stop by itself; measured: 2 to 5 s."""


def run_dagster(installation: Installation, port: int) -> None:
    """Serve the UI on `port` with the daemon and the schedule, until a signal or its own end."""
    _refuse_taken(port)
    # The handlers first: a shell starts background jobs with SIGINT ignored, Dagster would inherit
    # that and then ignore SIGTERM too.
    with _signals_caught() as caught, _dagster(installation, port) as process:
        click.echo(f"Dagster UI: http://{HOST}:{port} (Ctrl-C stops it)", err=True)
        while process.poll() is None and not caught:
            time.sleep(POLL_SECONDS)
        if not caught:
            raise ActualsError(
                f"Dagster ended by itself with exit code {process.returncode}; its log says why."
            )


@contextmanager
def _dagster(installation: Installation, port: int) -> Iterator[subprocess.Popen[bytes]]:
    folder = installation.settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        # Dagster announces the successor of this command; that tells an operator nothing.
        *(sys.executable, "-W", "ignore", "-m", "dagster", "dev"),
        *("-w", str(PROJECT_ROOT / "workspace.yaml")),
        *("--host", HOST, "--port", str(port)),
    ]
    process = subprocess.Popen(
        command,
        # Not where a .env lies: Dagster would let it override the environment that it is given.
        cwd=folder,
        env=installation.child_environment(),
        # Its own session: a signal reaches it once, from us, and not also from the terminal.
        start_new_session=True,
        # It holds the embedded database too, should this process be killed.
        pass_fds=() if installation.lock_fd is None else (installation.lock_fd,),
    )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    ended_by_itself = process.poll() is not None
    if not ended_by_itself:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        _kill_session(process)
        process.wait()
    if ended_by_itself:
        # Killed, for lack of memory say, it took nobody with it.
        _kill_session(process)


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill Dagster with its children: alone it would leave the webserver and the daemon behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


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


def _refuse_taken(port: int) -> None:
    """`InputError` when the port is in use: Dagster itself notices only after starting the rest."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(
                f"Port {port} of {HOST} cannot be used ({error.strerror}): stop what listens "
                "there, or choose another with --port."
            ) from error
