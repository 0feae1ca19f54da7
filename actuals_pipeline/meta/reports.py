"""Asynchronous report runs: submitted, polled until they end, read, resumed by a later worker.

A run may be read when its status is exactly `Job Completed` and its percentage 100; read earlier
it gives a part, or nothing, without an error.  Meta keeps a run for 30 days, so that a worker
that takes over from a killed one goes on with its run instead of paying for another.

Source: Insights best practices, Marketing API v26.0, read 2026-11-22.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from actuals_pipeline.errors import MetaError, MetaThrottled, Reaction, ReportFailed
from actuals_pipeline.meta import failures, fields
from actuals_pipeline.meta.graph import Graph
from actuals_pipeline.meta.memory import FetchMemory, OpenReport
from actuals_pipeline.meta.queries import Query
from actuals_pipeline.report_days import DayWindow

logger = logging.getLogger(__name__)

DEADLINE_SECONDS: Final = 3600.0
"""Longest wait for one report run: "up to an hour including retry attempts" (best practices)."""

RESUMED_WITHIN_SECONDS: Final = 2 * DEADLINE_SECONDS
"""Age up to which a later fetch goes on with a run: the next hourly one still finds it."""

REPORT_REST_SECONDS: Final = 300.0
"""Wait that is left to the caller when a run's budget ends before a report.  Chosen: with Dagster's
three repetitions half of the hour after which the next run comes anyway."""

RUNS: Final = 3
"""Runs submitted for one window when Meta skips them or passing trouble ends them.  Chosen."""

RESULT_READS: Final = 3
"""Times that a completed run's result is asked for while Meta says that it is not ready."""

FIRST_POLL_SECONDS: Final = 1.0
LONGEST_POLL_SECONDS: Final = 30.0
"""Polls of a report run start close together and double in distance.  Chosen; undocumented."""

RUN_UNKNOWN_SECONDS: Final = 60.0
"""A run just created may be unknown for this long (seen by public connectors as 100/33)."""

_ANOTHER_RUN: Final = frozenset({Reaction.RESUBMIT, Reaction.REPOLL})
_LEFT_OPEN: Final = frozenset({Reaction.WAIT_APP, Reaction.WAIT_ACCOUNT, Reaction.RETRY})
"""Trouble that is not the run's own: it goes on at Meta, and a later fetch may find it done."""


class Reports:
    """Reads windows through report runs over one `graph`.

    `now` gives the instant, aware.  `submitted_at` is when the oldest run was submitted of those
    that were read for a day: its figures are of then.  `resumed_days` are those for which an
    earlier worker's run was read.
    """

    def __init__(
        self,
        graph: Graph,
        memory: FetchMemory,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._graph = graph
        self._memory = memory
        self._now = now
        self.submitted_at: dict[date, datetime] = {}
        self.resumed_days: set[date] = set()
        self._read: list[str] = []

    def read(self, query: Query, window: DayWindow, read_result: Callable[[str], None]) -> None:
        """Have a run computed, and `read_result` called with its id.

        A run that Meta skipped, or that passing trouble ended, is submitted again unchanged.  One
        that was read is remembered until `forget_what_was_read`: should what else was asked for not
        come, the next fetch reads it again instead of having it computed again.

        Raises `ReportFailed` when none completes, what Meta says against the request, and
        `MetaThrottled` when the time that the whole run may wait ends before the report.
        """
        runs_left = RUNS
        report = self._resumed(query, window)
        while True:
            if report is None:
                report, runs_left = self._submitted(query, window), runs_left - 1
            try:
                self._await_end(report, query)
                self._read_result(report, query, read_result)
            except MetaError as error:
                is_late = report.is_late and isinstance(error, ReportFailed)
                if error.reaction in _LEFT_OPEN and not is_late:
                    raise
                self._memory.forget_report(report.run_id)
                is_gone = is_late or (report.is_resumed and error.reaction is Reaction.STOP_ACCOUNT)
                if not is_gone and (error.reaction not in _ANOTHER_RUN or not runs_left):
                    raise
                self._graph.usage.retries_by_class[type(error).__name__] += 1
                report = None
            else:
                break
        self._read.append(report.run_id)
        for day in window:
            earliest = self.submitted_at.get(day, report.submitted_at)
            self.submitted_at[day] = min(earliest, report.submitted_at)
        if report.is_resumed:
            self.resumed_days.update(window)

    def forget_what_was_read(self) -> None:
        """Let no later fetch read again what was read: all that belongs to it has come."""
        while self._read:
            self._memory.forget_report(self._read.pop())

    def begin_anew(self, window: DayWindow) -> None:
        """Days whose rows so far are not used."""
        self.resumed_days.difference_update(window)
        for day in window:
            self.submitted_at.pop(day, None)

    def _resumed(self, query: Query, window: DayWindow) -> _Report | None:
        """The run that an earlier worker submitted for the same request, if it is young."""
        known = self._memory.open_report(query.account_id or "", query.fingerprint(window))
        if known is None:
            return None
        age = (self._now() - known.submitted_at).total_seconds()
        if not 0 <= age < RESUMED_WITHIN_SECONDS:
            return None
        logger.info("resuming account=act_%s report=%s", query.account_id, known.run_id)
        started = self._graph.limits.clock() - age
        is_late = age >= DEADLINE_SECONDS
        return _Report(known.run_id, known.submitted_at, started, is_resumed=True, is_late=is_late)

    def _submitted(self, query: Query, window: DayWindow) -> _Report:
        submitted_at, started = self._now(), self._graph.limits.clock()
        body = self._graph.call(
            "POST",
            (query.node, "insights"),
            query.params(window) | {"fields": list(query.names)},
            kind="submit",
            account_id=query.account_id,
            ad_id=query.ad_id,
        ).body
        # Documented once as a number and once as text.
        run_id = str(body.get("report_run_id"))
        if not fields.is_id(run_id):
            raise query.unexpected("a report was accepted without an id")
        self._memory.remember_report(
            query.account_id or "", query.fingerprint(window), OpenReport(run_id, submitted_at)
        )
        return _Report(run_id, submitted_at, started)

    def _await_end(self, report: _Report, query: Query) -> None:
        """Poll until the run completed; raises what ended it otherwise, or at the deadline."""
        distance = FIRST_POLL_SECONDS
        while True:
            run = self._polled(report, query)
            if _is_complete(run):
                return
            if run.get("async_status") in {fields.JOB_FAILED, fields.JOB_SKIPPED}:
                raise _ending(run, query)
            if self._graph.limits.clock() - report.started >= DEADLINE_SECONDS:
                raise ReportFailed(
                    f"Meta's report {report.run_id} for account act_{query.account_id} is still "
                    f"{run.get('async_status')!r} after {DEADLINE_SECONDS / 60:.0f} "
                    "minutes: ask again later, for fewer days.",
                    account_id=query.account_id,
                    reaction=Reaction.WAIT_ACCOUNT,
                )
            self._wait(distance, report, query)
            distance = min(2 * distance, LONGEST_POLL_SECONDS)

    def _polled(self, report: _Report, query: Query) -> Mapping[str, Any]:
        """The run's node; empty while Meta does not know the run it has just created."""
        try:
            return self._graph.call(
                "GET",
                (report.run_id,),
                {"fields": ",".join(fields.REPORT_RUN_FIELDS)},
                kind="poll",
                account_id=query.account_id,
            ).body
        except MetaError as error:
            age = self._graph.limits.clock() - report.started
            if age < RUN_UNKNOWN_SECONDS and failures.is_unknown_yet(error):
                return {}
            raise

    def _wait(self, seconds: float, report: _Report, query: Query) -> None:
        if not self._graph.await_report(seconds):
            raise MetaThrottled(
                f"Meta is still computing report {report.run_id} for account "
                f"act_{query.account_id}: ask again in {REPORT_REST_SECONDS / 60:.0f} minutes, and "
                "it is gone on with.",
                account_id=query.account_id,
                retry_after=REPORT_REST_SECONDS,
            )

    def _read_result(
        self, report: _Report, query: Query, read_result: Callable[[str], None]
    ) -> None:
        """Read the run; a result that is announced but not ready is asked for a few times."""
        distance = FIRST_POLL_SECONDS
        for reading in range(RESULT_READS):
            try:
                return read_result(report.run_id)
            except MetaError as error:
                if error.reaction is not Reaction.REPOLL or reading == RESULT_READS - 1:
                    raise
                self._graph.usage.retries_by_class[type(error).__name__] += 1
            self._wait(distance, report, query)
            distance *= 4
        return None


@dataclass(frozen=True, slots=True)
class _Report:
    """A run under way; `started` is its submission by the graph's clock, in seconds.

    One that is late was past its deadline already when it was resumed: done by now, or given up.
    """

    run_id: str
    submitted_at: datetime
    started: float
    is_resumed: bool = False
    is_late: bool = False


def _is_complete(run: Mapping[str, Any]) -> bool:
    """Whether a run may be read: a run may be at 100 % and still running, and the reverse."""
    is_completed = run.get("async_status") == fields.JOB_COMPLETED
    return is_completed and str(run.get("async_percent_completion")) == "100"


def _ending(run: Mapping[str, Any], query: Query) -> MetaError:
    account_id = query.account_id or ""
    if run["async_status"] == fields.JOB_FAILED:
        failure = failures.report_failure(run, account_id=account_id)
        if failure.reaction in {Reaction.RETRY, Reaction.REPOLL}:
            # Nothing to ask again for: this run has ended.
            failure.reaction = Reaction.RESUBMIT
        return failure
    return ReportFailed(
        f"Meta skipped the report for account act_{account_id} {RUNS} times: ask again later.",
        account_id=account_id,
    )
