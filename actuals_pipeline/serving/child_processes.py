"""Processes of `actuals up`, one by one: how each is started, ends, and waits to start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from actuals_pipeline.serving import guardian
from actuals_pipeline.serving.installation import environment_with_secrets
from actuals_pipeline.serving.process_logs import ProcessLog

READY_SECONDS = 60.0
"""Longest that the others wait for one that they need before they start without it."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""Before a process is started again: each time twice as long, up to this."""

HEALTHY_SECONDS = 60.0
"""What ended after it lived for so long is started again as after its first failure."""


@dataclass(frozen=True, slots=True)
class Place:
    """What all processes share."""

    folder: Path
    """Theirs alone, for sockets; removed at the end."""
    environment: Mapping[str, str]
    held: Sequence[int]
    """Locks that last until all have ended."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a process is started; the later ones wait until it `is_ready`."""

    name: str
    command: Sequence[str]
    secrets: frozenset[str]
    """Variables with secrets that it needs; it sees no others."""
    listener: socket.socket | None = None
    is_ready: Callable[[], bool] = lambda: True


class End(NamedTuple):
    """How a process ended."""

    code: int
    """Its exit code, or the number of the signal that killed it, negative."""
    pause_seconds: float
    """Until it is started again."""

    def __str__(self) -> str:
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        return f"was killed by {signal.Signals(-self.code).name}"


class ChildProcess:
    """One of the processes, whether it runs at the moment or not."""

    def __init__(self, plan: Plan, log: ProcessLog) -> None:
        self.plan = plan
        self.log = log
        self.running: subprocess.Popen[bytes] | None = None
        self.since = datetime.now(UTC)
        self.restarts = 0
        self._started = -READY_SECONDS
        self._pause = FIRST_PAUSE_SECONDS
        self._not_before = 0.0

    @property
    def may_start(self) -> bool:
        """Whether it is to be started now."""
        return self.running is None and time.monotonic() >= self._not_before

    @property
    def is_awaited(self) -> bool:
        """Whether the later processes had better wait for it."""
        return time.monotonic() - self._started < READY_SECONDS and not self.plan.is_ready()

    def start(self, place: Place) -> int:
        """Start it; the number of its process group."""
        own = [] if self.plan.listener is None else [self.plan.listener.fileno()]
        reading, writing = os.pipe()
        try:
            self.running = subprocess.Popen(
                self.plan.command,
                # Not where a .env lies: Dagster would let it override its environment.
                cwd=place.folder,
                env=environment_with_secrets(place.environment, self.plan.secrets),
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                # Its own session: a signal reaches it once, from us, and not from the terminal.
                start_new_session=True,
                pass_fds=[*place.held, *own],
            )
        finally:
            os.close(writing)
            self.log.follow(os.fdopen(reading, "rb"))
        self._started, self.since = time.monotonic(), datetime.now(UTC)
        return self.running.pid

    def ended(self) -> End | None:
        """How it ended, if it ran at the last look and does no more."""
        code = self.running.poll() if self.running else None
        if self.running is None or code is None:
            return None
        now = time.monotonic()
        if now - self._started >= HEALTHY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        end = End(code, self._pause)
        self._not_before = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self.running, self.since = None, datetime.now(UTC)
        self.restarts += 1
        return end


class Guard:
    """The guardian process, told of process groups; one that was killed is replaced."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._groups: set[int] = set()
        self._begin()

    def look(self) -> None:
        """Replace the guardian if it is gone."""
        if self._process.poll() is not None:
            os.close(self._telling)
            self._begin()

    def began(self, group: int) -> None:
        """Tell that there is a process group."""
        self._groups.add(group)
        self._tell(f"+{group}")

    def ended(self, group: int) -> None:
        """Tell that there is one no more."""
        self._groups.discard(group)
        self._tell(f"-{group}")

    def dismiss(self) -> None:
        """Let it tidy up and end."""
        os.close(self._telling)
        self._process.wait()

    def _begin(self) -> None:
        reading, self._telling = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian.__file__, str(self._place.folder)],
                cwd="/",
                env={"PATH": os.defpath},
                stdin=reading,
                # Who starts anew waits until it has ended everything.
                pass_fds=self._place.held,
                start_new_session=True,
            )
        finally:
            os.close(reading)
        for group in self._groups:
            self._tell(f"+{group}")

    def _tell(self, line: str) -> None:
        # One that is gone is replaced at the next look, and told everything anew.
        with suppress(BrokenPipeError):
            os.write(self._telling, f"{line}\n".encode())
