"""A report run outlives the worker that submitted it: who goes on with it, and when nobody does.

A worker is killed where it would wait for its report: what it raises there nothing catches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actuals_pipeline.errors import MetaError, MetaRefused, MetaThrottled, ReportFailed
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.accounts import fetch_account, raw_frame
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.memory import OpenReport, ProcessMemory, RequestSize
from actuals_pipeline.meta.parse import parse_insights
from actuals_pipeline.meta.reports import DEADLINE_SECONDS, RUN_UNKNOWN_SECONDS, RUNS
from actuals_pipeline.meta.spool import Rows
from actuals_pipeline.report_days import DayWindow

NewClient = Callable[..., InsightsClient]
NewLimits = Callable[..., Limits]
Figures = dict[tuple[str, date], tuple[int, Decimal, int]]

SUBMITTED_AT = datetime(2026, 3, 8, 15, tzinfo=UTC)
GONE = {"error": {"code": 100, "subcode": 33}}
A_WHILE = timedelta(minutes=30)


class Killed(BaseException):
    """What ends a worker without its doing anything more."""


@pytest.fixture
def stand_in(account_id: str) -> Iterator[GraphStandIn]:
    """A stand-in of the test's own, because its clock moves on."""
    plan = AccountPlan(account_id, "Stand-in Berlin (EUR)", "EUR", "Europe/Berlin", 12)
    with running_stand_in(World(now=SUBMITTED_AT, accounts=[plan])) as own:
        yield own


@pytest.fixture
def memory() -> ProcessMemory:
    """What the killed worker leaves to the next one."""
    return ProcessMemory()


@pytest.fixture
def new_worker(new_client: NewClient, memory: ProcessMemory) -> NewClient:
    """A client that gets its rows by report runs, over the common memory."""

    def new(**options: Any) -> InsightsClient:
        settings = {"memory": memory, "size": RequestSize(as_report=True)}
        return new_client(**settings | options)

    return new


@pytest.fixture
def left_open(
    new_worker: NewClient,
    new_limits: NewLimits,
    memory: ProcessMemory,
    account_id: str,
    window: DayWindow,
) -> OpenReport:
    """The report run of a worker that was killed while it waited for it."""

    def killed(_seconds: float) -> None:
        raise Killed

    worker = new_worker(limits=new_limits(sleep=killed))
    with pytest.raises(Killed):
        worker.ads_insights(account_id, window)
    (report,) = memory.reports.values()
    return report


def figures(rows: Rows) -> Figures:
    frame = parse_insights(
        rows, purchase_action_type=lambda _: "omni_purchase", fetched_at=SUBMITTED_AT
    )
    columns = frame[["ad_id", "report_date", "impressions", "spend", "conversions"]]
    return {
        (ad_id, day): (impressions, spend, conversions)
        for ad_id, day, impressions, spend, conversions in columns.itertuples(index=False)
    }


def truth(stand_in: GraphStandIn, account_id: str, window: DayWindow) -> Figures:
    return {
        (row["ad_id"], row["report_date"]): (row["impressions"], row["spend"], row["conversions"])
        for row in stand_in.world.truth(account_id, window)
    }


def submissions(stand_in: GraphStandIn) -> int:
    return Counter(call.kind for call in stand_in.calls)["insights_async"]


def runs_asked(stand_in: GraphStandIn) -> set[str]:
    """The report runs whose state or rows were asked for."""
    return {
        call.path.split("/")[2] for call in stand_in.calls if call.kind in {"run", "run_insights"}
    }


def test_a_killed_workers_report_is_gone_on_with_and_its_figures_are_of_its_submission(
    left_open: OpenReport,
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    as_submitted = truth(stand_in, account_id, window)
    assert left_open.submitted_at == SUBMITTED_AT
    stand_in.world.now += A_WHILE
    assert truth(stand_in, account_id, window) != as_submitted != {}

    worker = new_worker()
    assert figures(worker.ads_insights(account_id, window)) == as_submitted
    assert submissions(stand_in) == 1
    assert runs_asked(stand_in) == {left_open.run_id}
    assert worker.oldest_report_at == SUBMITTED_AT
    assert memory.reports == {}, "what was read is read once"

    later = new_worker()
    assert figures(later.ads_insights(account_id, window)) == truth(stand_in, account_id, window)
    assert later.oldest_report_at is not None
    assert later.oldest_report_at >= stand_in.world.now


@pytest.mark.parametrize("has_moved_on", [False, True], ids=["nothing new", "figures moved on"])
def test_an_old_reports_rows_are_used_where_they_still_add_up_to_the_totals(
    left_open: OpenReport,
    new_worker: NewClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    *,
    has_moved_on: bool,
) -> None:
    # The clock of the fetch moves on in any case, the world's figures only sometimes.
    if has_moved_on:
        stand_in.world.now += A_WHILE
    fetch = fetch_account(
        account_id,
        window,
        new_worker(),
        purchase_action_type=lambda _: "omni_purchase",
        expects_stand_in=True,
        clock=lambda: SUBMITTED_AT + A_WHILE,
    )
    assert fetch.outcome == "complete"
    assert not isinstance(fetch.rows, tuple)
    assert figures(fetch.rows) == truth(stand_in, account_id, window)
    assert fetch.started_at == (SUBMITTED_AT + A_WHILE if has_moved_on else SUBMITTED_AT)
    raw = raw_frame([fetch], run_id="run-2", api_version="v26.0")
    assert set(raw["fetched_at"]) == {fetch.started_at}
    assert submissions(stand_in) == 1 + has_moved_on


@pytest.mark.parametrize(
    ("age", "is_resumed"),
    [
        (timedelta(0), True),
        (timedelta(seconds=DEADLINE_SECONDS - 1), True),
        (timedelta(seconds=DEADLINE_SECONDS), False),
        (timedelta(days=2), False),
        (timedelta(seconds=-1), False),
    ],
    ids=["just submitted", "before the deadline", "at the deadline", "old", "of the future"],
)
def test_only_a_report_younger_than_the_deadline_is_gone_on_with(
    *,
    age: timedelta,
    is_resumed: bool,
    left_open: OpenReport,
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    key = next(iter(memory.reports))
    memory.reports[key] = replace(left_open, submitted_at=stand_in.world.now - age)
    worker = new_worker()
    assert figures(worker.ads_insights(account_id, window)) == truth(stand_in, account_id, window)
    assert submissions(stand_in) == (1 if is_resumed else 2)
    assert (left_open.run_id in runs_asked_after_the_kill(stand_in)) is is_resumed
    assert memory.reports == {}


def runs_asked_after_the_kill(stand_in: GraphStandIn) -> set[str]:
    """As `runs_asked`, without the one poll after which the first worker was killed."""
    first = next(place for place, call in enumerate(stand_in.calls) if call.kind == "run")
    return {
        call.path.split("/")[2]
        for call in stand_in.calls[first + 1 :]
        if call.kind in {"run", "run_insights"}
    }


@pytest.mark.parametrize(
    "age",
    [timedelta(seconds=10), timedelta(seconds=RUN_UNKNOWN_SECONDS), A_WHILE],
    ids=["perhaps not known yet", "a minute", "half an hour"],
)
@pytest.mark.parametrize("kind", ["run", "run_insights"])
def test_a_report_that_meta_has_dropped_is_submitted_anew(
    *,
    kind: str,
    age: timedelta,
    left_open: OpenReport,
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.world.now += age
    stand_in.faults.add(Fault(GONE, kind=kind, path=left_open.run_id, times=None))
    worker = new_worker()
    rows = worker.ads_insights(account_id, window)
    assert figures(rows) == truth(stand_in, account_id, window)
    assert submissions(stand_in) == 2
    assert worker.oldest_report_at is not None
    assert worker.oldest_report_at >= SUBMITTED_AT + age
    assert memory.reports == {}


def test_an_account_that_may_not_be_read_any_more_is_not_asked_for_report_after_report(
    left_open: OpenReport,
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.world.now += A_WHILE
    stand_in.faults.add(Fault({"error": {"code": 200}}, account_id=account_id, times=None))
    with pytest.raises(MetaRefused):
        new_worker().ads_insights(account_id, window)
    assert submissions(stand_in) == 2, "the killed worker's, and one that was refused"
    assert memory.reports == {}
    assert left_open.run_id in runs_asked(stand_in)


def test_a_report_for_other_days_another_filter_or_another_account_is_not_used(
    left_open: OpenReport,
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.calls.clear()
    shorter = DayWindow.trailing(window.until, len(window) - 1)
    rows = new_worker().ads_insights(account_id, shorter)
    assert figures(rows) == truth(stand_in, account_id, shorter)

    listed = figures(new_worker(filter_statuses=False).ads_insights(account_id, window))
    assert {ad_id for ad_id, _ in listed} < {
        ad_id for ad_id, _ in truth(stand_in, account_id, window)
    }

    with pytest.raises(MetaRefused):
        new_worker().ads_insights("77", window)
    assert submissions(stand_in) == 2
    assert left_open.run_id not in runs_asked(stand_in)
    assert list(memory.reports.values()) == [left_open], "it waits for who asks the same"


@pytest.mark.parametrize(
    ("status", "submitted"),
    [
        ("Job Failed", RUNS),
        ("Job Skipped", RUNS),
        ({"async_status": "Job Failed", "error_code": 100}, 1),
        ({"async_status": "Job Failed", "error_code": 190}, 1),
    ],
    ids=["failed", "skipped", "wrong request", "dead token"],
)
def test_a_report_that_failed_or_was_skipped_is_forgotten(
    *,
    status: Any,
    submitted: int,
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.faults.add(Fault({"job_status": status}, kind="run", times=None))
    with pytest.raises(MetaError):
        new_worker().ads_insights(account_id, window)
    assert submissions(stand_in) == submitted
    assert memory.reports == {}

    stand_in.faults.clear()
    ended = runs_asked(stand_in)
    rows = new_worker().ads_insights(account_id, window)
    assert figures(rows) == truth(stand_in, account_id, window)
    assert len(runs_asked(stand_in) - ended) == 1, "of a new run"


@pytest.mark.parametrize("status", ["Job Failed", "Job Skipped"])
def test_a_killed_workers_report_that_failed_meanwhile_is_submitted_anew(
    *,
    status: str,
    left_open: OpenReport,
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.world.now += A_WHILE
    stand_in.faults.add(
        Fault({"job_status": status}, kind="run", path=left_open.run_id, times=None)
    )
    rows = new_worker().ads_insights(account_id, window)
    assert figures(rows) == truth(stand_in, account_id, window)
    assert submissions(stand_in) == 2
    assert memory.reports == {}


def test_a_report_too_large_is_forgotten_and_so_are_its_halves_once_they_are_read(
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    too_large = {"async_status": "Job Failed", "error_code": 100, "error_subcode": 1487534}
    stand_in.faults.add(Fault({"job_status": too_large}, kind="run"))
    worker = new_worker()
    rows = worker.ads_insights(account_id, window)
    assert figures(rows) == truth(stand_in, account_id, window)
    assert worker.usage.splits["days"] == 1
    assert submissions(stand_in) == 3
    assert memory.reports == {}


LIMIT = {"error": {"code": 80000}, "headers": {"X-Ad-Account-Usage": '{"acc_id_util_pct": 100}'}}


@pytest.mark.parametrize("kind", ["run", "run_insights"])
@pytest.mark.parametrize(
    "effect",
    [
        {"error": {"code": 2}, "status": 503},
        {"raw_body": "<html>Bad gateway</html>", "status": 502},
        {"drop_connection": True},
        LIMIT,
        {"error": {"code": 4}},
    ],
    ids=["unavailable", "bad gateway", "cut", "account limit", "app limit"],
)
def test_passing_trouble_leaves_the_report_open_for_the_next_fetch(
    *,
    kind: str,
    effect: dict[str, Any],
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.faults.add(Fault(effect, kind=kind, times=None))
    with pytest.raises(MetaError):
        new_worker().ads_insights(account_id, window)
    (left,) = memory.reports.values()
    as_submitted = truth(stand_in, account_id, window)

    stand_in.faults.clear()
    stand_in.world.now += A_WHILE
    worker = new_worker()
    assert figures(worker.ads_insights(account_id, window)) == as_submitted
    assert worker.oldest_report_at == left.submitted_at
    assert runs_asked(stand_in) == {left.run_id}
    assert submissions(stand_in) == 1
    assert memory.reports == {}


def test_trouble_in_the_midst_of_a_reports_pages_repeats_no_row_and_loses_none(
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    small_pages = RequestSize(page_size=40, as_report=True)
    stand_in.faults.add(Fault(LIMIT, kind="run_insights", page=2, times=None))
    with pytest.raises(MetaThrottled):
        new_worker(size=small_pages).ads_insights(account_id, window)
    assert len(memory.reports) == 1

    stand_in.faults.clear()
    rows = new_worker(size=small_pages).ads_insights(account_id, window)
    want = truth(stand_in, account_id, window)
    assert len(rows) == len(want) > 40
    assert figures(rows) == want
    assert submissions(stand_in) == 1


def test_a_report_that_outlasts_the_deadline_is_named_and_given_up_by_the_next_fetch(
    new_worker: NewClient,
    new_limits: NewLimits,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
) -> None:
    slow = Fault({"job_status": "Job Running"}, kind="run", times=None)
    stand_in.faults.add(slow)
    with pytest.raises(ReportFailed, match="after 60 minutes"):
        new_worker(limits=new_limits()).ads_insights(account_id, window)
    assert DEADLINE_SECONDS <= sum(sleeps) < DEADLINE_SECONDS + 60
    first = runs_asked(stand_in)

    stand_in.faults.clear()
    rows = new_worker().ads_insights(account_id, window)
    assert figures(rows) == truth(stand_in, account_id, window)
    assert submissions(stand_in) == 2
    assert len(runs_asked(stand_in) - first) == 1
    assert memory.reports == {}


def test_the_deadline_of_a_report_counts_from_its_submission_whoever_waits_for_it(
    left_open: OpenReport,
    new_worker: NewClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
) -> None:
    stand_in.world.now += A_WHILE
    stand_in.faults.add(Fault({"job_status": "Job Running"}, kind="run", times=None))
    with pytest.raises(ReportFailed, match=left_open.run_id):
        new_worker().ads_insights(account_id, window)
    left = DEADLINE_SECONDS - A_WHILE.total_seconds()
    assert left <= sum(sleeps) < left + 60


def test_a_submission_that_was_refused_leaves_nothing_open(
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.faults.add(Fault({"error": {"code": 200}}, kind="insights_async"))
    with pytest.raises(MetaRefused):
        new_worker().ads_insights(account_id, window)
    assert memory.reports == {}
