"""What holds of every fetch: of any small world, any page size and any sequence of faults.

Each example has a Graph API of its own on a real port, called through the SDK's session; nothing
really waits.  HYPOTHESIS_PROFILE=slow tries twenty times as many examples.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pandas as pd
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from actuals_pipeline.errors import MetaError
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta import splitting
from actuals_pipeline.meta.accounts import AccountFetch, fetch_account, raw_frame, totals_frame
from actuals_pipeline.meta.client import InsightsClient, MetaCredentials
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.memory import ProcessMemory, RequestSize
from actuals_pipeline.meta.parse import parse_insights, parse_totals
from actuals_pipeline.meta.spool import Spool
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import raw_meta_insights

NOW: Final = datetime(2026, 3, 8, 15, tzinfo=UTC)
KEY: Final = ["ad_id", "report_date"]
SUMS: Final = ["impressions", "clicks", "spend", "conversions", "revenue"]
FIGURES: Final = [*SUMS, "link_clicks"]
TOO_LARGE: Final = {"error": {"code": 100, "subcode": 1487534}}


def examples(number: int) -> settings:
    """How often a property is tried; `number` in the ordinary profile."""
    factor = 20 if os.environ.get("HYPOTHESIS_PROFILE") == "slow" else 1
    return settings(
        max_examples=number * factor,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


@dataclass(frozen=True)
class Case:
    """A world, what is asked of it, and how the client and the Graph API are set up.

    `sync_rows` and `async_rows` are the most rows that a request may cost, None any number.
    """

    plan: AccountPlan
    seed: int
    days: int
    days_ago: int
    size: RequestSize
    page_limit_max: int = 500
    sync_rows: int | None = None
    async_rows: int | None = None
    hides_deleted: bool = False
    filter_statuses: bool = True
    faults: tuple[Fault, ...] = field(default=())

    @property
    def window(self) -> DayWindow:
        """It ends up to two days after the world's today."""
        return DayWindow.trailing(date(2026, 3, 10) - timedelta(days=self.days_ago), self.days)

    @property
    def account_id(self) -> str:
        return self.plan.account_id


plans = st.builds(
    AccountPlan,
    account_id=st.sampled_from(["42", "880000000000001"]),
    name=st.just("Stand-in"),
    currency=st.sampled_from(["EUR", "JPY"]),
    time_zone=st.sampled_from(["Europe/Berlin", "Asia/Tokyo", "Pacific/Honolulu"]),
    ads=st.integers(0, 16),
)
sizes = st.builds(
    RequestSize,
    page_size=st.integers(3, 150),
    days=st.none() | st.integers(1, 9),
    as_report=st.booleans(),
)
cases = st.builds(
    Case,
    plan=plans,
    seed=st.integers(0, 99),
    days=st.integers(1, 16),
    days_ago=st.integers(0, 30),
    size=sizes,
    page_limit_max=st.sampled_from([500, 40, 9]),
)


def answer(effect: dict[str, Any]) -> st.SearchStrategy[Fault]:
    """A fault of one answer somewhere in the fetch."""
    return st.builds(
        Fault,
        st.just(effect),
        kind=st.sampled_from(["account", "insights", "insights_async", "run", "run_insights"]),
        params=st.sampled_from([None, "level=ad", "level=account"]),
    ).map(lambda fault: fault if fault.kind not in _WITHOUT_LEVEL else replace(fault, params=None))


def page(effect: dict[str, Any]) -> st.SearchStrategy[Fault]:
    """A fault of one page of rows."""
    return st.builds(
        Fault,
        st.just(effect),
        kind=st.sampled_from(["insights", "run_insights"]),
        page=st.none() | st.integers(1, 4),
    )


def answers(*effects: dict[str, Any]) -> st.SearchStrategy[Fault]:
    return st.one_of(*(answer(effect) for effect in effects))


def pages(*effects: dict[str, Any]) -> st.SearchStrategy[Fault]:
    return st.one_of(*(page(effect) for effect in effects))


def poll(status: str | dict[str, Any]) -> st.SearchStrategy[Fault]:
    return st.just(Fault({"job_status": status}, kind="run"))


_WITHOUT_LEVEL: Final = {"account", "run", "run_insights"}

# Each group heals as often as it says, and apart from the other groups: per call, per reading of
# the pages, or per report.
PASSING: Final = answers(
    {"truncate": True},
    {"drop_connection": True},
    {"raw_body": "<html>Service Unavailable</html>", "status": 200},
    {"raw_body": "<html>success</html>", "status": 502},
    {"raw_body": ""},
    {"error": {"code": 1}},
    {"error": {"code": 2}, "status": 500},
    {"error": {"code": 104}, "status": 503},
    {"error": {"code": 4711, "is_transient": True}},
    {"error": {"code": 2601, "subcode": 1815107}},
)
RESTING: Final = answers(
    {
        "error": {"code": 80000},
        "headers": {"X-Ad-Account-Usage": '{"acc_id_util_pct": 100, "reset_time_duration": 2}'},
    },
    {"headers": {"X-Ad-Account-Usage": '{"acc_id_util_pct": 95, "reset_time_duration": 3}'}},
    {"headers": {"X-App-Usage": '{"call_count": 80}', "x-ad-account-usage": "nonsense"}},
)
HARMLESS: Final = st.one_of(
    page({"empty_page": True}),
    page({"duplicate_row": True}),
    poll({"async_status": "Job Running", "async_percent_completion": 100}),
    poll({"async_status": "Job Completed", "async_percent_completion": 99}),
    st.just(Fault({"error": {"code": 100, "subcode": 33}}, kind="run")),
)
SHIFTED: Final = pages(
    {"error": {"code": 2642}},
    {"repeat_cursor": True},
    {"raw_body": "{}", "content_type": "application/json"},
    {"duplicate_row": {"spend": "0.01"}},
)
ENDED: Final = st.one_of(
    poll("Job Skipped"),
    poll("Job Failed"),
    poll({"async_status": "Job Failed", "error_code": -2, "error_subcode": 2490547}),
    poll({"async_status": "Job Failed", "error_code": 2}),
)
LARGE: Final = st.one_of(
    page(TOO_LARGE),
    st.just(Fault(TOO_LARGE, kind="insights", times=2)),
    st.just(Fault({"error": {"code": 1}}, kind="insights", times=4)).map(
        lambda fault: replace(fault, effect={**fault.effect, "status": 500})
    ),
    st.just(Fault(TOO_LARGE, kind="insights_async")),
    poll({"async_status": "Job Failed", "error_code": 100, "error_subcode": 1487534}),
)

TOO_MANY_FIELDS: Final = st.sampled_from(["spend.*impressions", "actions.*action_values"]).map(
    lambda together: Fault(TOO_LARGE, params=together, times=None)
)


@st.composite
def healable_cases(draw: st.DrawFn) -> Case:
    """A case whose every fault the client is to heal."""
    case = draw(cases)
    groups = [(PASSING, 3), (RESTING, 2), (HARMLESS, 4), (SHIFTED, 1), (ENDED, 2)]
    limits: tuple[int | None, int | None] = (None, None)
    if draw(st.booleans()):
        # Of a day with more rows than a report may have, its ads can be listed at once.
        limits = draw(st.sampled_from([(None, 1), (None, 4), (0, 1000), (60, 60), (9, 60)]))
    elif draw(st.integers(0, 9)) == 0:
        # Each ad of each day in several parts: a small world has enough of them.
        plan = replace(case.plan, ads=min(case.plan.ads, 4))
        case = replace(case, days=min(case.days, 3), plan=plan)
        groups = [(TOO_MANY_FIELDS, 1), (HARMLESS, 2)]
    elif draw(st.booleans()):
        # A call that is refused as too large is not asked again in the same way.
        groups = [(LARGE, 1), (HARMLESS, 2)]
    drawn = [draw(st.lists(group, max_size=most)) for group, most in groups]
    faults = draw(st.permutations([fault for group in drawn for fault in group]))
    return replace(
        case,
        sync_rows=limits[0],
        async_rows=limits[1],
        hides_deleted=draw(st.booleans()),
        filter_statuses=draw(st.booleans()),
        faults=tuple(faults),
    )


@contextmanager
def stand_in_of(case: Case) -> Iterator[GraphStandIn]:
    world = World(
        now=NOW,
        seed=case.seed,
        accounts=[case.plan],
        deleted_in_lists=not case.hides_deleted,
    )
    with running_stand_in(
        world, sync_row_limit=case.sync_rows, async_row_limit=case.async_rows
    ) as stand_in:
        stand_in.graph.page_limit_max = case.page_limit_max
        stand_in.faults.add(*case.faults)
        yield stand_in


def fetched(stand_in: GraphStandIn, case: Case) -> AccountFetch:
    """One fetch of the case by a client that knows every ad and really waits for nothing."""
    sleeps: list[float] = []
    ads = [ad.ad_id for ad in stand_in.world.ads(case.account_id)]
    with InsightsClient(
        MetaCredentials(stand_in.access_token, "1", stand_in.app_secret),
        graph_url=stand_in.url,
        api_version="v26.0",
        limits=Limits(
            clock=lambda: sum(sleeps), sleep=sleeps.append, jitter=lambda: 0.0, budget_seconds=10**6
        ),
        memory=ProcessMemory(ads={case.account_id: ads}),
        now=lambda: NOW + timedelta(seconds=sum(sleeps)),
        size=case.size,
        filter_statuses=case.filter_statuses,
    ) as client:
        return fetch_account(
            case.account_id,
            case.window,
            client,
            purchase_action_type=omni,
            expects_stand_in=True,
            clock=lambda: NOW,
        )


def omni(_account_id: str) -> str:
    return "omni_purchase"


def records(frame: pd.DataFrame, columns: list[str]) -> list[dict[Any, Any]]:
    return [] if frame.empty else frame.sort_values(columns[:2])[columns].to_dict("records")


def with_figures(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame[SUMS].astype(float).any(axis=1)] if len(frame) else frame


def assert_complete(stand_in: GraphStandIn, case: Case, fetch: AccountFetch) -> None:
    """Rows and totals say exactly what is true, every key once."""
    assert fetch.error is None
    truth = pd.DataFrame(stand_in.world.truth(case.account_id, case.window))
    keys = Counter((row["ad_id"], row["date_start"]) for row in fetch.rows)
    assert not [key for key, times in keys.items() if times > 1]
    got = parse_insights(fetch.rows, purchase_action_type=omni, fetched_at=NOW)
    seen = truth
    if case.hides_deleted or not case.filter_statuses:
        # A hidden ad's day is found by the figures that the days lack, so not one without any.
        got, seen = with_figures(got), with_figures(truth)
    assert records(got, [*KEY, *FIGURES]) == records(seen, [*KEY, *FIGURES])
    totals = parse_totals(fetch.totals, purchase_action_type=omni)
    days = truth.groupby("report_date")[SUMS].sum().reset_index() if len(truth) else truth
    assert records(totals, ["report_date", *SUMS]) == records(days, ["report_date", *SUMS])


@given(case=healable_cases())
@examples(110)
def test_whatever_heals_the_rows_are_the_truth(case: Case) -> None:
    with stand_in_of(case) as stand_in:
        fetch = fetched(stand_in, case)
        event(f"faults met: {len(case.faults) - len(stand_in.faults.pending())}")
        assert_complete(stand_in, case, fetch)


UNHEALABLE: Final[Sequence[dict[str, Any]]] = (
    {"truncate": True},
    {"drop_connection": True},
    {"raw_body": "[]", "content_type": "application/json"},
    {"raw_body": "null", "status": 302},
    {"error": {"code": 2}, "status": 500},
    {"error": {"code": 190, "subcode": 463}},
    {"error": {"code": 200}},
    {"error": {"code": 100}},
    {"error": {"code": 4711}},
    {"error": {"code": 368}},
    {"error": {"code": 2601}},
    {"error": {"code": 80000}},
)
"""What no repetition heals, wherever it stays."""

UNHEALABLE_IN_ROWS: Final[Sequence[dict[str, Any]]] = (
    {"foreign_row": True},
    {"drop_field": "account_id"},
    {"drop_field": "date_start"},
    {"duplicate_row": {"spend": "0.01"}},
    {"duplicate_row": {"date_start": "2025-01-01", "date_stop": "2025-01-01"}},
    {"duplicate_row": {"date_stop": "2027-01-01"}},
    {"raw_body": '{"data": {}}'},
    {"raw_body": '{"data": [1]}'},
    {"empty_page": True},
    {"error": {"code": 2642}},
)
"""What no repetition heals where there are rows."""

UNHEALABLE_RUNS: Final[Sequence[dict[str, Any]]] = (
    {"job_status": "Job Skipped"},
    {"job_status": "Job Failed"},
    {"job_status": "Job Started"},
    {"job_status": {"async_status": "Job Failed", "error_code": 190}},
    {"job_status": {"async_status": "Job Failed", "error_code": 100}},
)


@st.composite
def unhealable_cases(draw: st.DrawFn) -> Case:
    """A case in which one kind of call goes wrong, from some page on, for as long as we ask."""
    kinds = st.sampled_from(["account", "insights", "insights_async", "run", "run_insights"])
    anywhere = st.builds(Fault, st.sampled_from(UNHEALABLE), kind=kinds, times=st.none())
    in_rows = st.builds(
        Fault,
        st.sampled_from(UNHEALABLE_IN_ROWS),
        kind=st.just("insights"),
        page=st.none() | st.integers(1, 3),
        params=st.sampled_from(["level=ad", "level=account"]),
        times=st.none(),
    )
    in_results = in_rows.map(lambda fault: replace(fault, kind="run_insights", params=None))
    of_runs = st.builds(
        Fault, st.sampled_from(UNHEALABLE_RUNS), kind=st.just("run"), times=st.none()
    )
    everywhere = st.just(Fault(TOO_LARGE, path="insights", times=None))
    fault = draw(st.one_of(anywhere, in_rows, in_results, of_runs, everywhere))
    return replace(draw(cases), faults=(fault,))


def is_met(stand_in: GraphStandIn, fault: Fault) -> bool:
    return any(fault.matches(call) for call in stand_in.calls)


@given(case=unhealable_cases())
@examples(130)
def test_whatever_does_not_heal_is_an_error_that_names_its_account(case: Case) -> None:
    with stand_in_of(case) as stand_in:
        assume(stand_in.world.truth(case.account_id, case.window))
        fetch = fetched(stand_in, case)
        met = is_met(stand_in, case.faults[0])
        event(f"met: {met}")
        if not met:
            assert_complete(stand_in, case, fetch)
            return
        assert isinstance(fetch.error, MetaError)
        assert fetch.error.account_id == case.account_id
        assert fetch.outcome != "complete"
        assert (fetch.rows, fetch.totals, fetch.covered) == ((), (), None)


def test_old_rows_stand_until_a_complete_fetch_replaces_them(warehouse: Warehouse) -> None:
    """Of any two fetches the second replaces the first's days if it is complete, or nothing."""

    @given(before=cases, after=unhealable_cases() | healable_cases())
    @examples(20)
    def holds(before: Case, after: Case) -> None:
        whole = DayWindow.trailing(date(2026, 3, 10), 60)
        clear(warehouse, whole)
        after = replace(after, plan=replace(after.plan, account_id=before.account_id))
        with stand_in_of(before) as stand_in:
            stored(warehouse, fetched(stand_in, before), "run-1")
        old = store.read(warehouse, raw_meta_insights, whole)
        with stand_in_of(after) as stand_in:
            fetch = fetched(stand_in, after)
            stored(warehouse, fetch, "run-2")
        new = store.read(warehouse, raw_meta_insights, whole)
        event(fetch.outcome)
        covered = [] if fetch.covered is None else list(fetch.covered)
        kept = old[~old["report_date"].isin(covered)]
        pd.testing.assert_frame_equal(
            new[~new["report_date"].isin(covered)].reset_index(drop=True),
            kept.reset_index(drop=True),
        )
        assert len(new) - len(kept) == len(fetch.rows)
        if fetch.error is not None:
            pd.testing.assert_frame_equal(new, old)

    holds()


def stored(warehouse: Warehouse, fetch: AccountFetch, run_id: str) -> None:
    """As the asset stores it: what the totals cover is replaced, and nothing else."""
    rows = raw_frame([fetch], run_id=run_id, api_version="v26.0")
    totals = totals_frame([fetch], run_id=run_id, api_version="v26.0", purchase_action_type=omni)
    content = CoveredRows(rows, store.slices_of(totals, fetch.finished_at))
    store.replace_in_transaction(warehouse, raw_meta_insights, content)


def clear(warehouse: Warehouse, window: DayWindow) -> None:
    nothing = store.read(warehouse, raw_meta_insights, window).iloc[:0]
    content = CoveredRows(nothing, (Slice(window),))
    store.replace_in_transaction(warehouse, raw_meta_insights, content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
spool_rows = st.lists(
    st.builds(
        lambda more, day: {**more, "date_start": day},
        st.dictionaries(st.text(st.characters(exclude_categories=())), json_values, max_size=4),
        st.sampled_from(["2026-03-01", "2026-03-02", "2026-03-03"]),
    ),
    max_size=12,
)


@given(rows=spool_rows, more=spool_rows, kept=st.integers(0, 12), pad=st.booleans())
@examples(150)
def test_a_spool_gives_back_what_was_put_in(
    rows: list[dict[str, Any]], more: list[dict[str, Any]], kept: int, *, pad: bool
) -> None:
    if pad:  # large enough to go to the disk
        rows = [*rows, {"date_start": "2026-03-01", "name": "ä" * 500_000}]
    spool = Spool()
    for row in rows:
        spool.add(row)
    assert (len(spool), list(spool)) == (len(rows), rows)
    spool.rewind(kept)
    half_read = iter(spool)
    next(half_read, None)
    for row in more:
        spool.add(row)
    want = [*rows[:kept], *more]
    assert (len(spool), list(spool)) == (len(want), want)
    assert [spool[place] for place in range(len(want))] == want
    days = {"2026-03-01", "2026-03-03"}
    assert list(spool.of_days(days)) == [row for row in want if row["date_start"] in days]
    assert list(half_read) == want[1:] if kept and rows else True


@given(rows=spool_rows, more=spool_rows, kept=st.integers(0, 12), indent=st.none() | st.just(1))
@examples(100)
def test_a_spool_hands_on_the_texts_as_they_came(
    rows: list[dict[str, Any]], more: list[dict[str, Any]], kept: int, *, indent: int | None
) -> None:
    spool = Spool()

    def added(given: list[dict[str, Any]]) -> list[tuple[str, str]]:
        texts = [json.dumps(row, ensure_ascii=False, indent=indent) for row in given]
        for row, text in zip(given, texts, strict=True):
            spool.add(row, text)
        return [(row["date_start"], text) for row, text in zip(given, texts, strict=True)]

    want = added(rows)
    assert list(zip(spool.days, spool.texts(), strict=True)) == want
    spool.rewind(kept)
    want = [*want[:kept], *added(more)]
    assert list(zip(spool.days, spool.texts(), strict=True)) == want
    assert list(spool) == [json.loads(text) for _, text in want]


windows = st.builds(
    DayWindow.trailing, st.dates(date(2024, 1, 1), date(2026, 3, 8)), st.integers(1, 120)
)


@given(window=windows, days=st.none() | st.integers(1, 130))
@examples(150)
def test_the_parts_of_a_window_are_its_days_each_once(window: DayWindow, days: int | None) -> None:
    parts = list(splitting._parts(window, days))
    assert sorted(day for part in parts for day in part) == list(window)
    assert all(len(part) <= (days or len(window)) for part in parts)
    assert sum(len(part) < (days or len(window)) for part in parts) <= 1


@given(items=st.lists(st.integers()))
@examples(50)
def test_halves_are_the_whole_and_both_smaller(items: list[int]) -> None:
    first, second = splitting._halves(items)
    assert [*first, *second] == items
    assert len(first) - len(second) in {0, 1}
