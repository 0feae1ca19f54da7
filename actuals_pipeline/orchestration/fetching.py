"""A run's fetches: month by month, account by account, each stored as soon as it is complete.

A killed run has stored what it fetched until then.  The run that takes its place (Dagster says
so in its tags) does not ask again for settled days that were stored: Meta changes them no more.
Nor does a step that waited for Meta and began again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import dagster as dg
from dagster._core.events import EngineEventData

from actuals_pipeline.errors import FrameMismatch, MetaThrottled, UnexpectedPayload
from actuals_pipeline.meta.accounts import AccountFetch, raw_frame, totals_frame
from actuals_pipeline.meta.budgets import budgets_frame
from actuals_pipeline.orchestration.dagster_connections import keep_connections
from actuals_pipeline.orchestration.dead_runs import this_process
from actuals_pipeline.orchestration.jobs import ACCOUNTS_TAG, PROCESS_TAG, WORKER_TAG
from actuals_pipeline.orchestration.partitions import window_of
from actuals_pipeline.orchestration.resources import MetaApi, WarehouseResource
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import history, store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.fetch_memory import StoredFetchMemory
from actuals_pipeline.warehouse.store import (
    NOTHING_WRITTEN,
    PART_ROWS,
    CoveredRows,
    Slice,
    Tally,
    WriteCounts,
    append,
    slices_of,
)
from actuals_pipeline.warehouse.tables import (
    budget_snapshots,
    fetch_log,
    meta_account_totals,
    raw_meta_insights,
)

FETCHED_DAYS: Final = 31
"""Days asked for at once: the month that a daily sweep covers is one request an account."""

PARENT_RUN_TAG: Final = "dagster/parent_run_id"
ROOT_RUN_TAG: Final = "dagster/root_run_id"

DAYS_FETCHED: Final = "days_fetched"
"""Says in the metadata of an engine event how many days of its window a run has done with."""


@dataclass
class RunOfFetches:
    """What a run fetches of its window, and what became of it so far."""

    context: dg.AssetExecutionContext
    settings: Settings
    meta: MetaApi
    postgres: WarehouseResource
    raw: Tally = field(default_factory=Tally)
    totals: Tally = field(default_factory=Tally)
    budgets: Tally = field(default_factory=Tally)
    log: list[dict[str, Any]] = field(default_factory=list)
    """The rows of `fetch_log` that this step wrote."""

    def fetch(self) -> None:
        """Fetch and store the run's window.

        Raises when no account could be fetched for some days, after storing those before.
        """
        window = window_of(self.context.partition_keys)
        if PROCESS_TAG not in self.context.run.tags:
            self._settle_in()
        memory = StoredFetchMemory(self.postgres.warehouse())
        limits = self.meta.recalled_limits(memory)
        for days in window.pieces(FETCHED_DAYS):
            fetches = self.meta.fetch(
                days, memory, limits, self.settings.purchase_action_type_of, self._wanted(days)
            )
            _raise_if_all_failed([self._stored(fetch) for fetch in fetches])
            self._tell_progress(days, (days.end - window.start).days)

    def _settle_in(self) -> None:
        """What a run of the command line has done before it began: this one is Dagster's own."""
        keep_connections(self.context.instance)
        # So that others can see when the process is gone.
        self.context.instance.add_run_tags(self.context.run.run_id, {WORKER_TAG: this_process()})

    def _wanted(self, days: DayWindow) -> list[str]:
        """The accounts whose `days` neither this run nor one before it in its place has fetched."""
        done = history.settled_fetches(self.postgres.warehouse(), self._lineage, days)
        only = self.context.run.tags.get(ACCOUNTS_TAG)
        return [
            account
            for account in self.meta.account_ids
            if account not in done and only in {None, account}
        ]

    @cached_property
    def _lineage(self) -> set[str]:
        run = self.context.run
        return {run.run_id, *runs_before(self.context.instance, run.tags)}

    def _tell_progress(self, days: DayWindow, n_days: int) -> None:
        """Show in the run's events how far it is; a year of a large account takes a while."""
        self.context.instance.report_engine_event(
            f"Done with {days}.", self.context.run, EngineEventData({DAYS_FETCHED: n_days})
        )

    def _stored(self, fetch: AccountFetch) -> AccountFetch:
        """The fetch, its parts stored and itself logged; failed if they cannot be stored."""
        counts = NOTHING_WRITTEN
        try:
            for part in fetch.parts(PART_ROWS):
                counts += self._store_part(part)
        except (FrameMismatch, UnexpectedPayload) as error:
            fetch = replace(fetch, error=error)
        fetch = self._budgets_stored(fetch)
        with self.postgres.warehouse().transaction() as connection:
            row = fetch.log_row(self.context.run.run_id)
            row |= {} if fetch.error else counts.log_row()
            append(connection, fetch_log, row)
        self.log.append(row)
        return fetch

    def _budgets_stored(self, fetch: AccountFetch) -> AccountFetch:
        """The fetch, its budgets stored if any were read; those that cannot be are not read."""
        reading, account = fetch.budgets, fetch.account
        if reading is None or reading.error is not None or account is None:
            return fetch
        frame = budgets_frame(reading, account, self.postgres.clock())
        covered = (Slice(DayWindow.inclusive(reading.day, reading.day), account.account_id),)
        try:
            counts = store.replace_in_transaction(
                self.postgres.warehouse(), budget_snapshots, CoveredRows(frame, covered)
            )
        except FrameMismatch as error:
            return replace(fetch, budgets=replace(reading, budgets=(), error=error))
        self.budgets.add(frame["snapshot_date"], counts)
        return fetch

    def _store_part(self, part: AccountFetch) -> WriteCounts:
        """Rows and control totals of the same days, both or neither."""
        provenance = {
            "run_id": self.context.run.run_id,
            "api_version": self.settings.meta_api_version,
        }
        raw = raw_frame([part], **provenance)
        totals = totals_frame(
            [part], purchase_action_type=self.settings.purchase_action_type_of, **provenance
        )
        covered = slices_of(totals, self.postgres.clock())
        with self.postgres.warehouse().transaction() as connection:
            of_raw = store.replace(connection, raw_meta_insights, CoveredRows(raw, covered))
            of_totals = store.replace(connection, meta_account_totals, CoveredRows(totals, covered))
        self.raw.add(raw["report_date"], of_raw)
        self.totals.add(totals["report_date"], of_totals)
        return of_raw


def runs_before(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> set[str]:
    """The runs whose place a run of these tags takes: the first, and all that took it since."""
    root = tags.get(ROOT_RUN_TAG)
    if root is None:
        return set()
    later = instance.get_runs(dg.RunsFilter(tags={ROOT_RUN_TAG: root}))
    return {root, *(run.run_id for run in later)}


def days_stored(
    warehouse: Warehouse, run_ids: Collection[str], window: DayWindow, account_ids: Sequence[str]
) -> int:
    """How many days of `window` a run in the place of `run_ids` asks no account for again."""
    return sum(
        len(days)
        for days in window.pieces(FETCHED_DAYS)
        if set(account_ids) <= history.settled_fetches(warehouse, run_ids, days)
    )


def _raise_if_all_failed(fetches: list[AccountFetch]) -> None:
    """A run in which no account was fetched failed; with throttling, the longest wait counts."""
    errors = [fetch.error for fetch in fetches if fetch.error is not None]
    if not errors or len(errors) < len(fetches):
        return
    throttled = [error for error in errors if isinstance(error, MetaThrottled)]
    raise max(throttled, key=lambda error: error.retry_after or 0) if throttled else errors[0]
