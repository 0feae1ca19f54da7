"""A report run outlives the worker that submitted it: who goes on with it, and when nobody does.

A worker is killed where it would wait for its report: what it raises there nothing catches.
"""

from __future__ import annotations

import json
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
from actuals_pipeline.meta.accounts import (
    AccountFetch,
    fetch_account,
    raw_frame,
    totals_frame,
)
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.limits import WAIT_BUDGET_SECONDS, Limits
from actuals_pipeline.meta.memory import OpenReport, ProcessMemory, RequestSize
from actuals_pipeline.meta.parse import parse_insights
from actuals_pipeline.meta.reports import (
    DEADLINE_SECONDS,
    LONGEST_POLL_SECONDS,
    REPORT_REST_SECONDS,
    RESUMED_WITHIN_SECONDS,
    RUN_UNKNOWN_SECONDS,
    RUNS,
)
from actuals_pipeline.meta.spool import Rows
from actuals_pipeline.report_days import DayWindow, parse_day

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


def read(worker: InsightsClient, account_id: str, window: DayWindow) -> Rows:
    """The rows of a fetch that asks for nothing else."""
    rows = worker.ads_insights(account_id, window)
    worker.forget_reports()
    return rows


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
    assert figures(read(worker, account_id, window)) == as_submitted
    assert submissions(stand_in) == 1
    assert runs_asked(stand_in) == {left_open.run_id}
    assert set(worker.reported_at.values()) == {SUBMITTED_AT}
    assert set(worker.resumed_days) == set(worker.reported_at) == set(window)
    assert memory.reports == {}, "what was read is read once"

    later = new_worker()
    assert figures(read(later, account_id, window)) == truth(stand_in, account_id, window)
    assert min(later.reported_at.values()) >= stand_in.world.now
    assert not later.resumed_days


@pytest.mark.parametrize("has_moved_on", [False, True], ids=["nothing new", "figures moved on"])
def test_of_an_old_report_only_the_days_that_moved_since_are_read_anew(
    left_open: OpenReport,
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    *,
    has_moved_on: bool,
) -> None:
    as_submitted = truth(stand_in, account_id, window)
    # The clock of the fetch moves on in any case, the world's figures only sometimes.
    if has_moved_on:
        stand_in.world.now += A_WHILE
    now = truth(stand_in, account_id, window)
    changed = as_submitted.items() ^ now.items()
    moved = {day for (_, day), _ in changed}
    assert moved < set(window), "some days stayed as they were"
    stand_in.calls.clear()
    fetch = fetched(new_worker(), account_id, window, SUBMITTED_AT + A_WHILE)
    assert fetch.outcome == "complete"
    assert not isinstance(fetch.rows, tuple)
    assert figures(fetch.rows) == now
    assert days_submitted(stand_in) == sorted(moved)
    assert bool(moved) is has_moved_on

    raw = raw_frame([fetch], run_id="run-2", api_version="v26.0")
    read_at = dict(zip(raw["report_date"], raw["fetched_at"], strict=True))
    assert read_at == {
        day: SUBMITTED_AT + A_WHILE if day in moved else SUBMITTED_AT for day in window
    }
    totals = totals_frame(
        [fetch], run_id="run-2", api_version="v26.0", purchase_action_type=lambda _: "omni_purchase"
    )
    assert dict(zip(totals["report_date"], totals["fetched_at"], strict=True)) == read_at
    assert fetch.log_row("run-2")["started_at"] == SUBMITTED_AT
    assert memory.reports == {}


def fetched(
    worker: InsightsClient, account_id: str, window: DayWindow, now: datetime
) -> AccountFetch:
    return fetch_account(
        account_id,
        window,
        worker,
        purchase_action_type=lambda _: "omni_purchase",
        expects_stand_in=True,
        clock=lambda: now,
    )


def days_submitted(stand_in: GraphStandIn) -> list[date]:
    """The days for which reports were submitted, each as often as it was."""
    ranges = [
        json.loads(call.params["time_range"])
        for call in stand_in.calls
        if call.kind == "insights_async"
    ]
    windows = [DayWindow.inclusive(parse_day(r["since"]), parse_day(r["until"])) for r in ranges]
    return sorted(day for window in windows for day in window)


@pytest.mark.parametrize(
    ("age", "is_resumed"),
    [
        (timedelta(0), True),
        (timedelta(seconds=DEADLINE_SECONDS - 1), True),
        (timedelta(seconds=RESUMED_WITHIN_SECONDS - 1), True),
        (timedelta(seconds=RESUMED_WITHIN_SECONDS), False),
        (timedelta(days=2), False),
        (timedelta(seconds=-1), False),
    ],
    ids=["just submitted", "of the last run", "two hours", "too old", "old", "of the future"],
)
def test_a_report_is_gone_on_with_until_the_next_hourly_run_has_had_its_turn(
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
    # It was computed meanwhile.
    stand_in.graph._runs[left_open.run_id].polls = 3
    worker = new_worker()
    assert figures(read(worker, account_id, window)) == truth(stand_in, account_id, window)
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
    rows = read(worker, account_id, window)
    assert figures(rows) == truth(stand_in, account_id, window)
    assert submissions(stand_in) == 2
    assert min(worker.reported_at.values()) >= SUBMITTED_AT + age
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
        read(new_worker(), account_id, window)
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
    rows = read(new_worker(), account_id, shorter)
    assert figures(rows) == truth(stand_in, account_id, shorter)

    listed = figures(read(new_worker(filter_statuses=False), account_id, window))
    assert {ad_id for ad_id, _ in listed} < {
        ad_id for ad_id, _ in truth(stand_in, account_id, window)
    }

    with pytest.raises(MetaRefused):
        read(new_worker(), "77", window)
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
        read(new_worker(), account_id, window)
    assert submissions(stand_in) == submitted
    assert memory.reports == {}

    stand_in.faults.clear()
    ended = runs_asked(stand_in)
    rows = read(new_worker(), account_id, window)
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
    rows = read(new_worker(), account_id, window)
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
    rows = read(worker, account_id, window)
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
        read(new_worker(), account_id, window)
    (left,) = memory.reports.values()
    as_submitted = truth(stand_in, account_id, window)

    stand_in.faults.clear()
    stand_in.world.now += A_WHILE
    worker = new_worker()
    assert figures(read(worker, account_id, window)) == as_submitted
    assert set(worker.reported_at.values()) == {left.submitted_at}
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
        read(new_worker(size=small_pages), account_id, window)
    assert len(memory.reports) == 1

    stand_in.faults.clear()
    rows = read(new_worker(size=small_pages), account_id, window)
    want = truth(stand_in, account_id, window)
    assert len(rows) == len(want) > 40
    assert figures(rows) == want
    assert submissions(stand_in) == 1


@pytest.mark.parametrize("is_done_at_last", [True, False], ids=["done at last", "never done"])
def test_a_report_that_outlasts_the_deadline_is_named_and_used_or_given_up_by_the_next_fetch(
    new_worker: NewClient,
    new_limits: NewLimits,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
    *,
    is_done_at_last: bool,
) -> None:
    stand_in.faults.add(Fault({"job_status": "Job Running"}, kind="run", times=None))
    with pytest.raises(ReportFailed, match="after 60 minutes"):
        read(new_worker(limits=new_limits(budget_seconds=7200)), account_id, window)
    assert DEADLINE_SECONDS <= sum(sleeps) < DEADLINE_SECONDS + 60
    (first,) = runs_asked(stand_in)

    stand_in.faults.clear()
    if not is_done_at_last:
        stand_in.faults.add(Fault({"job_status": "Job Running"}, path=f"{first}$", times=None))
    rows = read(new_worker(), account_id, window)
    assert figures(rows) == truth(stand_in, account_id, window)
    assert submissions(stand_in) == (1 if is_done_at_last else 2)
    assert memory.reports == {}


def test_the_deadline_of_a_report_counts_from_its_submission_whoever_waits_for_it(
    left_open: OpenReport,
    new_worker: NewClient,
    new_limits: NewLimits,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
) -> None:
    stand_in.world.now += A_WHILE
    stand_in.faults.add(Fault({"job_status": "Job Running"}, kind="run", times=None))
    with pytest.raises(ReportFailed, match=left_open.run_id):
        read(new_worker(limits=new_limits(budget_seconds=7200)), account_id, window)
    left = DEADLINE_SECONDS - A_WHILE.total_seconds()
    assert left <= sum(sleeps) < left + 60


def test_a_report_that_takes_longer_than_a_run_may_wait_is_left_to_the_caller_and_gone_on_with(
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    sleeps: list[float],
) -> None:
    stand_in.faults.add(Fault({"job_status": "Job Running"}, kind="run", times=None))
    fetch = fetched(new_worker(), account_id, window, stand_in.world.now)
    assert isinstance(fetch.error, MetaThrottled)
    assert fetch.outcome == "rate_limited"
    (left,) = memory.reports.values()
    assert left.run_id in str(fetch.error)
    assert (fetch.error.retry_after, fetch.error.account_id) == (REPORT_REST_SECONDS, account_id)
    logged = fetch.log_row("run-1")
    assert WAIT_BUDGET_SECONDS - LONGEST_POLL_SECONDS < sum(sleeps) <= WAIT_BUDGET_SECONDS
    assert logged["polling_seconds"] == sum(sleeps)
    assert (logged["throttled_seconds"], logged["backoff_seconds"]) == (0, 0)

    stand_in.faults.clear()
    later = fetched(new_worker(), account_id, window, stand_in.world.now)
    assert later.outcome == "complete"
    assert submissions(stand_in) == 1
    assert memory.reports == {}


def test_parts_that_were_read_are_read_again_and_not_computed_again_when_a_later_one_is_awaited(
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    weeks = RequestSize(days=7, as_report=True)
    stand_in.faults.add(
        # The run of the second week.
        Fault({"job_status": "Job Running"}, kind="run", path="/127700000000000002$", times=None)
    )
    first = fetched(new_worker(size=weeks), account_id, window, stand_in.world.now)
    assert first.outcome == "rate_limited"
    assert len(memory.reports) == 2

    stand_in.faults.clear()
    second = fetched(new_worker(size=weeks), account_id, window, stand_in.world.now)
    assert second.outcome == "complete"
    assert not isinstance(second.rows, tuple)
    assert figures(second.rows) == truth(stand_in, account_id, window)
    assert submissions(stand_in) == 2
    assert memory.reports == {}


def test_a_submission_that_was_refused_leaves_nothing_open(
    new_worker: NewClient,
    memory: ProcessMemory,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
) -> None:
    stand_in.faults.add(Fault({"error": {"code": 200}}, kind="insights_async"))
    with pytest.raises(MetaRefused):
        read(new_worker(), account_id, window)
    assert memory.reports == {}
