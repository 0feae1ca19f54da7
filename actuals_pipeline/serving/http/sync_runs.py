"""The Dagster job for callers over HTTP: one run at a time, in a process of its own.

A process, because loading Dagster and scoring would hold up this one, and because a run can be
interrupted there.  It is `actuals sync`; its answer is read from what that prints.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

from actuals_pipeline.serving.http.failures import stopping
from actuals_pipeline.serving.installation import OF_A_RUN, Installation

logger = logging.getLogger(__name__)

STOP_SECONDS = 20.0
"""Longest that an interrupted run may take to write down that it was."""

REMEMBERED = 20
"""Runs whose answers can be asked for after their end."""

_SAYS = "actuals: "
"""How the command line begins a sentence on stderr."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the command ended: its answer, if it printed one, and its last sentence."""

    answer: dict[str, Any] | None
    sentence: str


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One run, and the task that ends with it."""

    run_id: str
    ended: asyncio.Task[Ended]


class SyncRuns:
    """The runs that callers asked for; who asks while one is under way shares it."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._runs: OrderedDict[str, SyncRun] = OrderedDict()
        self._process: asyncio.subprocess.Process | None = None
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_stopping = False

    def current(self) -> SyncRun:
        """The run under way, or one that begins now.  `Refusal` when the service is stopping."""
        if self.is_stopping:
            raise stopping()
        newest = next(reversed(self._runs.values()), None)
        if newest is not None and not newest.ended.done():
            return newest
        self._loop = asyncio.get_running_loop()
        run_id = str(uuid4())
        run = SyncRun(run_id, asyncio.create_task(self._executed(run_id)))
        self._runs[run_id] = run
        while len(self._runs) > REMEMBERED:
            self._runs.popitem(last=False)
        return run

    async def wait(self, run: SyncRun, seconds: float) -> None:
        """Until the run's end or that many seconds; `Refusal` when the service stops before it."""
        stopped = asyncio.create_task(self._stopped.wait())
        done = asyncio.FIRST_COMPLETED
        await asyncio.wait({run.ended, stopped}, timeout=seconds, return_when=done)
        stopped.cancel()
        if self.is_stopping and not run.ended.done():
            raise stopping()

    def known(self, run_id: str) -> SyncRun | None:
        """The run of this id, if it was begun here and is remembered."""
        return self._runs.get(run_id)

    def interrupt(self) -> None:
        """Begin no more runs and interrupt the one under way; safe in a signal handler."""
        self.is_stopping = True
        if self._loop is not None:
            # From a signal handler, which must not touch what the loop is at.
            self._loop.call_soon_threadsafe(self._stopped.set)
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    async def stop(self) -> None:
        """Interrupt the run under way and wait for its end."""
        self.interrupt()
        under_way = [run.ended for run in self._runs.values() if not run.ended.done()]
        if not under_way:
            return
        _, pending = await asyncio.wait(under_way, timeout=STOP_SECONDS)
        if pending and self._process is not None and self._process.returncode is None:
            self._process.kill()
            await asyncio.wait(pending, timeout=STOP_SECONDS)

    async def _executed(self, run_id: str) -> Ended:
        folder = self._installation.settings.home / "dagster"
        folder.mkdir(parents=True, exist_ok=True)
        lock = self._installation.lock_fd
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "actuals_pipeline", "sync", "--json", "--run-id", run_id),
            # Not where a .env lies; its variables are in the environment already.
            cwd=folder,
            env=self._installation.child_environment(OF_A_RUN),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Its own session: a signal reaches it once, from us, and not also from the terminal.
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )
        self._process = process
        if self.is_stopping:
            self.interrupt()
        printed, said = await process.communicate()
        sentences = [
            line.removeprefix(_SAYS)
            for line in said.decode(errors="replace").splitlines()
            if line.startswith(_SAYS)
        ]
        logger.info("sync run=%s exit_code=%s", run_id, process.returncode)
        return Ended(
            json.loads(printed, parse_float=Decimal) if printed.strip() else None,
            sentences[-1] if sentences else f"The run ended with exit code {process.returncode}.",
        )
