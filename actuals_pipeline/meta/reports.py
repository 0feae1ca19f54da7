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
from datetime import UTC, datetime
from typing import Any, Final

from actuals_pipeline.errors import MetaError, Reaction, ReportFailed
from actuals_pipeline.meta import failures, fields
from actuals_pipeline.meta.graph import Graph
from actuals_pipeline.meta.memory import FetchMemory, OpenReport
from actuals_pipeline.meta.queries import Query
from actuals_pipeline.report_days import DayWindow

logger = logging.getLogger(__name__)

DEADLINE_SECONDS: Final = 3600.0
"""Longest wait for one report run: "up to an hour including retry attempts" (best practices)."""

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

    `now` gives the instant, aware.  `oldest_submitted_at` is that of the oldest run read so far:
    its figures are of then.  `has_resumed` says whether any was an earlier worker's.
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
        self.oldest_submitted_at: datetime | None = None
        self.has_resumed = False

    def read(self, query: Query, window: DayWindow, read_result: Callable[[str], None]) -> None:
        """Have a run computed, and `read_result` called with its id.

        A run that Meta skipped, or that passing trouble ended, is submitted again unchanged.
        Raises `ReportFailed` when none completes, and what Meta says against the request.
        """
        runs_left = RUNS
        report = self._resumed(query, window)
        while True:
            if report is None:
                report, runs_left = self._submitted(query, window), runs_left - 1
            try:
                self._await_end(report, query)
                self._read_result(report, read_result)
            except MetaError as error:
                if error.reaction in _LEFT_OPEN:
                    raise
                self._memory.forget_report(report.run_id)
                is_gone = report.is_resumed and error.reaction is Reaction.STOP_ACCOUNT
                if not is_gone and (error.reaction not in _ANOTHER_RUN or not runs_left):
                    raise
                self._graph.usage.retries_by_class[type(error).__name__] += 1
                report = None
            else:
                break
        self._memory.forget_report(report.run_id)
        earliest = self.oldest_submitted_at or report.submitted_at
        self.oldest_submitted_at = min(earliest, report.submitted_at)
        self.has_resumed |= report.is_resumed

    def forget_what_was_read(self) -> None:
        """Begin anew: what was read so far is not used."""
        self.oldest_submitted_at, self.has_resumed = None, False

    def _resumed(self, query: Query, window: DayWindow) -> _Report | None:
        """The run that an earlier worker submitted for the same request, if it is young."""
        known = self._memory.open_report(query.account_id or "", query.fingerprint(window))
        if known is None:
            return None
        age = (self._now() - known.submitted_at).total_seconds()
        if not 0 <= age < DEADLINE_SECONDS:
            return None
        logger.info("resuming account=act_%s report=%s", query.account_id, known.run_id)
        started = self._graph.limits.clock() - age
        return _Report(known.run_id, known.submitted_at, started, is_resumed=True)

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
            self._graph.limits.sleep(distance)
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

    def _read_result(self, report: _Report, read_result: Callable[[str], None]) -> None:
        """Read the run; a result that is announced but not ready is asked for a few times."""
        distance = FIRST_POLL_SECONDS
        for reading in range(RESULT_READS):
            try:
                return read_result(report.run_id)
            except MetaError as error:
                if error.reaction is not Reaction.REPOLL or reading == RESULT_READS - 1:
                    raise
                self._graph.usage.retries_by_class[type(error).__name__] += 1
            self._graph.limits.sleep(distance)
            distance *= 4
        return None


@dataclass(frozen=True, slots=True)
class _Report:
    """A run under way; `started` is its submission by the graph's clock, in seconds."""

    run_id: str
    submitted_at: datetime
    started: float
    is_resumed: bool = False


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
