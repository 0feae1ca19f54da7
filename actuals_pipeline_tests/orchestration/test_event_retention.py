"""A prune of Dagster's events: what people and Dagster look at stays as it was, the rest is gone.

What the UI shows is asked of Dagster's own GraphQL schema, through the code location; once with
the cache of the partitions' states and once without, which makes it anew from the events.
"""

import asyncio
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from threading import Event, Thread
from time import sleep
from typing import Any, LiteralString
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.asset_health.asset_check_health import AssetCheckHealthState
from dagster._core.definitions.asset_health.asset_materialization_health import (
    AssetMaterializationHealthState,
)
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.events import EngineEventData
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.test_utils import in_process_test_workspace
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceRequestContext
from dagster_graphql.schema import create_schema
from dagster_shared.error import SerializableErrorInfo
from psycopg import sql
from psycopg.rows import dict_row

from actuals_pipeline.errors import InputError
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.checks import HEALTH_CHECK
from actuals_pipeline.orchestration.jobs import (
    HEALTH_JOB_NAME,
    JOB_NAME,
    MAINTENANCE_JOB_NAME,
    maintenance_job,
)
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.dagster_events import Pruned, bytes_by_table, prune_events
from actuals_pipeline_tests.orchestration.conftest import (
    DAILY_ASSETS,
    RECONCILED,
    Pipeline,
    Row,
    exported,
)

NOTHING = Pruned(*[0] * len(Pruned.__slots__))

MONTH = timedelta(days=31)

LEVELS = ("debug", "info", "warning", "error")

OF_PARTITIONS = (
    "ASSET_MATERIALIZATION",
    "ASSET_MATERIALIZATION_PLANNED",
    "ASSET_OBSERVATION",
    "FRESHNESS_STATE_CHANGE",
)

SCHEMA = create_schema()

SHOWN = """
query Shown($daily: [AssetKeyInput!]!, $days: [String!]!) {
  daily: assetNodes(assetKeys: $daily) {
    assetKey { path }
    assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
    partitionStats { numMaterialized numFailed numMaterializing }
    latestMaterializationByPartition(partitions: $days) { ...materialization }
    staleStatusByPartition(partitions: $days)
    staleCausesByPartition(partitions: $days) { reason category key { path } }
    dataVersionByPartition(partitions: $days)
  }
  all: assetNodes {
    assetKey { path }
    assetMaterializations(limit: 1) { ...materialization }
    assetObservations(limit: 1) { runId timestamp tags { key value } }
    freshnessStatusInfo { freshnessStatus }
    assetChecksOrError {
      ... on AssetChecks { checks { name executionForLatestMaterialization { ...execution } } }
    }
  }
  runsOrError {
    ... on Runs {
      results {
        runId status jobName startTime endTime creationTime
        tags { key value }
        assetChecks { name assetKey { path } }
      }
    }
  }
}
fragment materialization on MaterializationEvent {
  runId timestamp partition
  tags { key value }
  metadataEntries {
    label
    ... on IntMetadataEntry { intValue }
    ... on FloatMetadataEntry { floatValue }
    ... on TextMetadataEntry { text }
  }
}
fragment execution on AssetCheckExecution {
  id runId status timestamp
  evaluation { success severity timestamp metadataEntries { label } }
}
"""


@contextmanager
def workspace_of(instance: dg.DagsterInstance) -> Iterator[WorkspaceRequestContext]:
    """What a request of the UI is answered from: the instance and the code location."""
    origin = LoadableTargetOrigin(module_name="actuals_pipeline.definitions", attribute="defs")
    with warnings.catch_warnings():
        # Dagster reads a property of its own that it calls deprecated.
        warnings.simplefilter("ignore")
        with in_process_test_workspace(instance, origin) as workspace:
            yield workspace


def shown(pipeline: Pipeline, days: DayWindow) -> dict[str, Any]:
    """What the UI shows of every asset, check and run, and the assets' health."""
    variables = {
        "daily": [{"path": [name]} for name in DAILY_ASSETS],
        "days": [str(day) for day in days],
    }
    with workspace_of(pipeline.instance) as workspace:
        answer = asyncio.run(
            SCHEMA.execute_async(SHOWN, context_value=workspace, variables=variables)
        )
        assert answer.errors is None, answer.errors
        return {**answer.data, "health": asyncio.run(health(workspace))}


async def health(workspace: WorkspaceRequestContext) -> dict[str, Any]:
    graph = workspace.asset_graph
    found: dict[str, Any] = {}
    for name in DAILY_ASSETS:
        key = dg.AssetKey(name)
        partitions = graph.get(key).partitions_def
        found[name] = (
            await AssetMaterializationHealthState.compute_for_asset(key, partitions, workspace),
            await AssetCheckHealthState.compute_for_asset_checks(
                set(graph.get(key).check_keys), workspace
            ),
        )
    return found


def shown_from_scratch(pipeline: Pipeline, days: DayWindow) -> dict[str, Any]:
    """The same with the cached states of partitions thrown away."""
    pipeline.instance.wipe_asset_cached_status([dg.AssetKey(name) for name in DAILY_ASSETS])
    return shown(pipeline, days)


def newest(pipeline: Pipeline) -> dict[str, Any]:
    """What Dagster itself looks up when it runs: the newest of each partition."""
    storage = pipeline.instance.event_log_storage
    unfinished = (
        storage.get_latest_asset_partition_materialization_attempts_without_materializations
    )
    keys = [dg.AssetKey(name) for name in DAILY_ASSETS]
    checks = [key for _, key in sorted(check_keys().items())]
    return {
        "events": pipeline.instance.get_latest_materialization_events(keys),
        "records": {
            (key, day): pipeline.instance.fetch_materializations(
                dg.AssetRecordsFilter(key, asset_partitions=[day]), limit=1
            ).records
            for key in keys
            for day in pipeline.instance.get_materialized_partitions(key)
        },
        "ids": {
            (key, kind): storage.get_latest_storage_id_by_partition(key, kind)
            for key in keys
            for kind in (
                dg.DagsterEventType.ASSET_MATERIALIZATION,
                dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
            )
        },
        "versions": {
            key: storage.get_latest_tags_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
            )
            for key in keys
        },
        "unfinished": {key: unfinished(key) for key in keys},
        "checks": storage.get_asset_check_summary_records(checks),
        "check partitions": sorted(map(str, storage.get_asset_check_partition_info(checks))),
        "freshness": storage.get_freshness_state_records(keys),
    }


def check_keys() -> dict[str, dg.AssetCheckKey]:
    graph = build_definitions(Settings.from_environment({})).resolve_asset_graph()
    return {key.name: key for key in graph.asset_check_keys}


@dataclass(frozen=True)
class Past:
    """Runs of a month ago and of today over the same days, by what became of them."""

    days: DayWindow
    first: str
    second: str
    failed: str
    upstream: str
    talk: str
    live: str
    young: str

    @property
    def kept_whole(self) -> set[str]:
        """The runs whose events nobody may touch."""
        return {self.live, self.young}


@dg.op
def talking(context: dg.OpExecutionContext) -> None:
    for level in LEVELS:
        # What it says looks like the mark by which the levels are told apart.
        text = f'{level} {{"level": 50, "level": 10}}'
        context.log.log(level.upper(), text)


@dg.job(executor_def=dg.in_process_executor)
def talk() -> None:
    talking()


@pytest.fixture
def past(pipeline: Pipeline, today: date) -> Past:
    """A month of runs, told short; a prune in a month's time finds all but two of them old."""
    instance = pipeline.instance
    days = DayWindow.trailing(today, 4)
    first = run(pipeline, days)
    # The days before today's are restated, one of them alone.
    second = run(pipeline, DayWindow.trailing(today, 3))
    run(pipeline, DayWindow.inclusive(days.since, days.since))
    # Two days fail, and one of them is mended.
    pipeline.graph.faults.add(Fault({"error": {"code": 190, "subcode": 463}}, times=None))
    failed = run(pipeline, DayWindow.trailing(today, 2), succeeds=False)
    pipeline.graph.faults.clear()
    run(pipeline, DayWindow.inclusive(today, today))
    # What is made of them is older than its sources.
    yesterday = today - timedelta(days=1)
    upstream = run(
        pipeline,
        DayWindow.inclusive(days.since, yesterday - timedelta(days=1)),
        assets=("raw_meta_insights", "meta_account_totals"),
    )
    told = talk.execute_in_process(instance=instance)
    report_crash(instance, told.run_id)
    report_outside_of_runs(instance)
    young = run(
        pipeline, DayWindow.inclusive(yesterday, yesterday), assets=("spend_reconciliation",)
    )
    end_later(pipeline, young, MONTH)
    return Past(
        days,
        first,
        second,
        failed,
        upstream,
        told.run_id,
        live_run(pipeline, DayWindow.inclusive(days.since, days.since + timedelta(days=1))),
        young,
    )


def run(
    pipeline: Pipeline,
    window: DayWindow,
    *,
    succeeds: bool = True,
    assets: Sequence[str] = RECONCILED,
) -> str:
    """Of the assets those of whose events all kinds come."""
    result = pipeline.run(window, assets=assets)
    assert result.success == succeeds
    return result.run_id


def live_run(pipeline: Pipeline, days: DayWindow, **tags: str) -> str:
    """A run that has begun, with all that it plans and nothing that it did."""
    job = build_definitions(pipeline.settings).resolve_job_def(JOB_NAME)
    with exported(pipeline.environment):
        begun = pipeline.instance.create_run_for_job(
            job, tags={**range_tags(days), **tags}, status=dg.DagsterRunStatus.STARTED
        )
    pipeline.instance.report_engine_event("Executing", begun, EngineEventData())
    return begun.run_id


def report_crash(instance: dg.DagsterInstance, run_id: str) -> None:
    """What the daemon writes when it finds that a worker died."""
    error = SerializableErrorInfo("ChildProcessCrashException\n", [], None)
    found = instance.get_run_by_id(run_id)
    instance.report_engine_event("It crashed", found, EngineEventData(error=error))


def report_outside_of_runs(instance: dg.DagsterInstance) -> None:
    for state in (FreshnessState.PASS, FreshnessState.WARN, FreshnessState.PASS):
        instance._report_runless_asset_event(
            FreshnessStateChange(
                key=dg.AssetKey("ad_actuals"),
                previous_state=FreshnessState.UNKNOWN,
                new_state=state,
                state_change_timestamp=datetime.now(UTC).timestamp(),
            )
        )
        instance.report_runless_asset_event(
            dg.AssetObservation("videos", tags={"dagster/data_version": state.value})
        )


def end_later(pipeline: Pipeline, run_id: str, later: timedelta) -> None:
    """Let a run have ended by so much later."""
    query = "UPDATE dagster.runs SET end_time = end_time + %s WHERE run_id = %s"
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        connection.execute(query, [later.total_seconds(), run_id])


def warehouse_of(pipeline: Pipeline) -> Warehouse:
    return Warehouse(pipeline.environment["DATABASE_URL"])


def told_by_meta(pipeline: Pipeline, at: datetime, field: str) -> None:
    with warehouse_of(pipeline).transaction() as connection:
        connection.execute(
            "INSERT INTO actuals.meta_events (event_key, account_id, field, received_at, value) "
            "VALUES (%s, '42', %s, %s, '{}')",
            [sha256(field.encode()).hexdigest(), field, at],
        )


def in_a_month() -> datetime:
    """When what has happened until now is older than the retention."""
    return datetime.now(UTC) + MONTH


def rows(pipeline: Pipeline, query: LiteralString, *values: object) -> list[Row]:
    url = pipeline.environment["DATABASE_URL"]
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query, values).fetchall()


def events(pipeline: Pipeline, *run_ids: str) -> list[Row]:
    """The stored events, of the given runs or of all."""
    return rows(
        pipeline,
        "SELECT * FROM dagster.event_logs WHERE run_id = ANY(%s) OR %s ORDER BY id",
        list(run_ids),
        not run_ids,
    )


def test_what_people_and_dagster_look_at_is_the_same_after_a_prune_and_the_superseded_is_gone(
    pipeline: Pipeline, past: Past
) -> None:
    before = (
        shown(pipeline, past.days),
        shown_from_scratch(pipeline, past.days),
        newest(pipeline),
        events(pipeline, *past.kept_whole),
    )
    states = {
        entry["status"]
        for node in before[0]["daily"]
        for entry in node["assetPartitionStatuses"]["ranges"]
    }
    assert states == {"MATERIALIZED", "FAILED", "MATERIALIZING"}, "the past is worth a look"
    stale = {each for node in before[0]["daily"] for each in node["staleStatusByPartition"]}
    # Missing are the assets that no run of this past had.
    assert stale == {"FRESH", "STALE", "MISSING"}
    n_before = Counter(event["dagster_event_type"] for event in events(pipeline))

    pruned = prune_events(warehouse_of(pipeline), now=in_a_month())

    assert pruned.superseded_events > 50
    after = (
        shown(pipeline, past.days),
        shown_from_scratch(pipeline, past.days),
        newest(pipeline),
        events(pipeline, *past.kept_whole),
    )
    for got, want in zip(after, before, strict=True):
        assert got == want
    of_partitions = Counter(
        (event["dagster_event_type"], event["asset_key"], event["partition"])
        for event in events(pipeline)
        if event["dagster_event_type"] in OF_PARTITIONS and event["run_id"] not in past.kept_whole
    )
    assert set(of_partitions.values()) == {1}
    assert {kind for kind, *_ in of_partitions} == set(OF_PARTITIONS)
    for kind in OF_PARTITIONS:
        left = {event["id"] for event in events(pipeline) if event["dagster_event_type"] == kind}
        assert 0 < len(left) < n_before[kind], kind


def test_a_second_prune_deletes_nothing_and_small_batches_delete_the_same(
    pipeline: Pipeline, past: Past
) -> None:
    with copied(pipeline) as in_batches:
        expected = prune_events(warehouse_of(pipeline), now=in_a_month())
        assert all(astuple(replace(expected, pending_steps=1))), "there was something of each kind"
        left = events(pipeline)
        assert prune_events(warehouse_of(pipeline), now=in_a_month()) == NOTHING
        assert events(pipeline) == left

        assert prune_events(warehouse_of(in_batches), now=in_a_month(), batch_rows=7) == expected
        assert events(in_batches) == left


@contextmanager
def copied(pipeline: Pipeline) -> Iterator[Pipeline]:
    """The same past in a database of its own."""
    url = pipeline.environment["DATABASE_URL"]
    name, copy = url.partition("?")[0].rpartition("/")[2], f"test_{uuid4().hex}"
    address = url.replace(name, "postgres", 1)
    create, drop = "CREATE DATABASE {} TEMPLATE {}", "DROP DATABASE {} WITH (FORCE)"
    instance = pipeline.instance
    for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        # Postgres copies no database that somebody is connected to.
        storage._engine.dispose()  # type: ignore[union-attr]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL(create).format(sql.Identifier(copy), sql.Identifier(name)))
        try:
            environment = {**pipeline.environment, "DATABASE_URL": url.replace(name, copy, 1)}
            yield replace(pipeline, environment=environment)
        finally:
            connection.execute(sql.SQL(drop).format(sql.Identifier(copy)))


def test_what_ended_within_the_retention_is_left_alone(pipeline: Pipeline, today: date) -> None:
    day = DayWindow.inclusive(today, today)
    report_outside_of_runs(pipeline.instance)
    older, newer = run(pipeline, day), run(pipeline, day)
    before = everything(pipeline)
    almost = datetime.now(UTC) + timedelta(days=30) - timedelta(minutes=1)
    assert prune_events(warehouse_of(pipeline), now=almost) == NOTHING
    assert everything(pipeline) == before

    end_later(pipeline, older, -timedelta(minutes=2))
    kept = events(pipeline, newer)
    assert prune_events(warehouse_of(pipeline), now=almost).superseded_events > 0
    assert events(pipeline, newer) == kept
    assert len(events(pipeline, older)) < len(kept) / 2


def everything(pipeline: Pipeline) -> dict[str, Any]:
    checks = rows(pipeline, "SELECT * FROM dagster.asset_check_executions ORDER BY id")
    tags = rows(pipeline, "SELECT * FROM dagster.asset_event_tags ORDER BY id")
    return {"events": events(pipeline), "checks": checks, "tags": tags}


def test_a_failed_run_keeps_its_failure_its_steps_and_its_way_to_be_retried(
    pipeline: Pipeline, today: date
) -> None:
    pipeline.graph.faults.add(Fault({"error": {"code": 190, "subcode": 463}}, times=None))
    failed = run(pipeline, DayWindow.trailing(today, 2), succeeds=False)
    report_crash(pipeline.instance, failed)
    retried = steps_to_retry(pipeline.instance, failed)
    assert "meta_insights_fetch" in retried
    n_before = kinds(pipeline, failed)

    assert prune_events(warehouse_of(pipeline), now=in_a_month()).unimportant_events > 0
    assert steps_to_retry(pipeline.instance, failed) == retried
    left = kinds(pipeline, failed)
    for kind in ("STEP_START", "STEP_FAILURE", "PIPELINE_START", "PIPELINE_FAILURE"):
        assert left[kind] == n_before[kind] > 0, kind
    # Of three only the one that tells of the crash.
    assert (n_before["ENGINE_EVENT"], left["ENGINE_EVENT"]) == (3, 1)
    assert "It crashed" in "".join(event["event"] for event in events(pipeline, failed))


def steps_to_retry(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    found = instance.get_run_by_id(run_id)
    assert found is not None
    steps, _ = KnownExecutionState.build_resume_retry_reexecution(instance, found)
    return sorted(steps)


def kinds(pipeline: Pipeline, *run_ids: str) -> Counter[str | None]:
    return Counter(event["dagster_event_type"] for event in events(pipeline, *run_ids))


def test_of_a_run_that_succeeded_its_start_its_end_and_what_was_loud_stay(
    pipeline: Pipeline,
) -> None:
    told = talk.execute_in_process(instance=pipeline.instance)
    # What it tells of looks loud, and it is not.
    quiet = EngineEventData(metadata={"seen": {"level": 50}})
    ended = pipeline.instance.get_run_by_id(told.run_id)
    pipeline.instance.report_engine_event("Quiet", ended, quiet)
    assert kinds(pipeline, told.run_id)[None] == 4
    assert kinds(pipeline, told.run_id)["STEP_START"] == 1

    pruned = prune_events(warehouse_of(pipeline), now=in_a_month())
    assert (pruned.log_lines, pruned.superseded_events) == (2, 0)
    assert kinds(pipeline, told.run_id) == {"PIPELINE_START": 1, "PIPELINE_SUCCESS": 1, None: 2}
    texts = [event["event"] for event in events(pipeline, told.run_id)]
    assert [sum(f"{level} {{" in text for text in texts) for level in LEVELS] == [0, 0, 1, 1]
    # The UI's page of the run finds the end, from which it knows how long it took.
    stats = pipeline.instance.get_run_stats(told.run_id)
    assert stats.start_time is not None
    assert stats.end_time is not None


def test_a_check_that_runs_again_keeps_its_last_verdict_meanwhile(pipeline: Pipeline) -> None:
    job = build_definitions(pipeline.settings).resolve_job_def(HEALTH_JOB_NAME)
    with exported(pipeline.environment):
        for _ in range(2):
            assert job.execute_in_process(instance=pipeline.instance).success
        pipeline.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)

    def verdicts() -> list[Any]:
        storage = pipeline.instance.event_log_storage
        (summary,) = storage.get_asset_check_summary_records([HEALTH_CHECK]).values()
        return [summary.last_completed_check_execution_record, summary.last_check_execution_record]

    before = verdicts()
    assert None not in before
    assert before[0] != before[1]
    assert prune_events(warehouse_of(pipeline), now=in_a_month()).check_executions == 1
    assert verdicts() == before


def test_runs_of_an_unfinished_backfill_are_left_alone_until_it_ends(pipeline: Pipeline) -> None:
    backfill = PartitionBackfill(
        "abcdefgh", BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=0.0
    )
    pipeline.instance.add_backfill(backfill)
    talk.execute_in_process(instance=pipeline.instance, tags={"dagster/backfill": "abcdefgh"})
    before = everything(pipeline)
    for status in (BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING):
        pipeline.instance.update_backfill(backfill._replace(status=status))
        assert prune_events(warehouse_of(pipeline), now=in_a_month()) == NOTHING
        assert everything(pipeline) == before

    pipeline.instance.update_backfill(
        backfill._replace(status=BulkActionStatus.COMPLETED_SUCCESS, backfill_end_timestamp=1.0)
    )
    assert prune_events(warehouse_of(pipeline), now=in_a_month()).unimportant_events > 0


def test_tags_without_their_event_and_steps_that_wait_for_ever_are_cleared_away(
    pipeline: Pipeline,
) -> None:
    ended = talk.execute_in_process(instance=pipeline.instance).run_id
    begun = live_run(pipeline, DayWindow.trailing(date(2026, 3, 7), 1))
    storage = pipeline.instance.event_log_storage
    storage.set_concurrency_slots("meta_api", 1)
    for run_id in (ended, begun):
        # The first takes the place and the second waits.
        storage.claim_concurrency_slot("meta_api", run_id, "meta_insights_fetch")
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        connection.execute(
            "INSERT INTO dagster.asset_event_tags (event_id, asset_key, key, value) "
            "VALUES (9999, 'gone', 'some', 'tag')"
        )
    pruned = prune_events(warehouse_of(pipeline), now=in_a_month())
    assert (pruned.event_tags, pruned.pending_steps) == (1, 1)
    assert rows(pipeline, "SELECT run_id FROM dagster.pending_steps") == [{"run_id": begun}]
    assert rows(pipeline, "SELECT * FROM dagster.asset_event_tags") == []


@pytest.mark.slow
def test_two_prunes_at_once_delete_what_one_would(pipeline: Pipeline, today: date) -> None:
    for _ in range(2):
        run(pipeline, DayWindow.inclusive(today, today))
    with copied(pipeline) as alone, ThreadPoolExecutor(2) as pool:
        expected = astuple(prune_events(warehouse_of(alone), now=in_a_month()))

        def prune() -> Pruned:
            return prune_events(warehouse_of(pipeline), now=in_a_month(), batch_rows=3)

        both = [pool.submit(prune) for _ in range(2)]
        counts = [astuple(each.result()) for each in both]
        assert tuple(map(sum, zip(*counts, strict=True))) == expected
        assert everything(pipeline) == everything(alone)


def test_a_prune_gives_the_space_of_indexes_back_whatever_an_earlier_one_left(
    pipeline: Pipeline,
) -> None:
    ended = talk.execute_in_process(instance=pipeline.instance).run_id
    url = pipeline.environment["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO dagster.event_logs (run_id, event, dagster_event_type, step_key) "
            "SELECT run_id, event, dagster_event_type, step_key FROM dagster.event_logs "
            "CROSS JOIN generate_series(1, 10000) WHERE dagster_event_type = 'STEP_OUTPUT'"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            # As a rebuild of an index leaves it that was interrupted.
            connection.execute(
                "CREATE UNIQUE INDEX CONCURRENTLY idx_step_key_ccnew ON dagster.event_logs (run_id)"
            )
    query: LiteralString = "SELECT pg_indexes_size('dagster.event_logs') AS bytes"
    (before,) = rows(pipeline, query)
    assert prune_events(warehouse_of(pipeline), now=in_a_month()).unimportant_events > 10_000
    (after,) = rows(pipeline, query)
    assert after["bytes"] < before["bytes"] / 5
    left = rows(pipeline, "SELECT indexname FROM pg_indexes WHERE indexname ~ '_cc(new|old)'")
    assert left == []
    assert kinds(pipeline, ended)["PIPELINE_SUCCESS"] == 1


def test_a_prune_does_not_wait_for_another_that_rebuilds_indexes(pipeline: Pipeline) -> None:
    url = pipeline.environment["DATABASE_URL"]
    with psycopg.connect(url) as report, ThreadPoolExecutor(2) as pool:
        # A rebuild waits for whoever may still read the old index.
        report.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        report.execute("SELECT count(*) FROM dagster.runs")
        talk.execute_in_process(instance=pipeline.instance)
        first = pool.submit(prune_events, warehouse_of(pipeline), now=in_a_month())
        rebuilding: LiteralString = (
            "SELECT 1 FROM pg_stat_activity WHERE query ~ '^REINDEX' AND wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        while not rows(pipeline, rebuilding):
            assert not first.done()
            sleep(0.05)
        talk.execute_in_process(instance=pipeline.instance)
        second = pool.submit(prune_events, warehouse_of(pipeline), now=in_a_month())
        try:
            assert second.result(timeout=30).unimportant_events > 0
            assert not first.done()
        finally:
            report.rollback()
        assert first.result(timeout=30).unimportant_events > 0


@pytest.mark.slow
def test_runs_go_on_while_a_prune_deletes(pipeline: Pipeline, today: date) -> None:
    window = DayWindow.trailing(today, 2)
    for _ in range(2):
        run(pipeline, window)
    ended = Event()
    pruned: list[Pruned] = []

    def prune_again_and_again() -> None:
        while not ended.is_set():
            pruned.append(prune_events(warehouse_of(pipeline), now=in_a_month(), batch_rows=3))

    pruner = Thread(target=prune_again_and_again)
    pruner.start()
    try:
        latest = [run(pipeline, window) for _ in range(2)][-1]
    finally:
        ended.set()
        pruner.join()
    assert sum(each.superseded_events for each in pruned) > 0
    # Its own check is the last that wrote, and each day is of the last run.
    prune_events(warehouse_of(pipeline), now=in_a_month())
    for name in DAILY_ASSETS:
        records = pipeline.instance.fetch_materializations(dg.AssetKey(name), limit=100).records
        assert {record.run_id for record in records} == {latest}
        assert Counter(record.partition_key for record in records) == Counter(map(str, window))


def test_without_tables_of_dagster_there_is_nothing_to_do(empty_database: str) -> None:
    assert prune_events(Warehouse(empty_database), now=in_a_month()) == NOTHING
    assert bytes_by_table(Warehouse(empty_database)) == {}


def test_the_last_day_is_never_pruned(pipeline: Pipeline) -> None:
    with pytest.raises(InputError, match="last day are always kept"):
        prune_events(warehouse_of(pipeline), timedelta(hours=23), now=datetime.now(UTC))
    assert prune_events(warehouse_of(pipeline), timedelta(days=1), now=datetime.now(UTC)) == NOTHING


def test_the_weekly_job_prunes_and_shows_what_that_freed(pipeline: Pipeline, today: date) -> None:
    for _ in range(2):
        run(pipeline, DayWindow.inclusive(today, today))
    job = maintenance_job(clock=in_a_month)
    postgres = WarehouseResource(database_url=pipeline.environment["DATABASE_URL"])
    on_disk = sum(bytes_by_table(warehouse_of(pipeline)).values())
    with copied(pipeline) as alone:
        expected = prune_events(warehouse_of(alone), now=in_a_month())
    told_by_meta(pipeline, datetime.now(UTC) - timedelta(days=50), "recent")
    told_by_meta(pipeline, datetime.now(UTC) - timedelta(days=70), "old")

    done = job.execute_in_process(instance=pipeline.instance, resources={"postgres": postgres})
    assert done.success
    outputs = {
        str(event.step_key): {
            name: each.value for name, each in event.step_output_data.metadata.items()
        }
        for event in done.all_events
        if event.is_successful_output
    }
    assert outputs["forget_meta_events"] == {"events": 1}
    left = rows(pipeline, "SELECT field FROM actuals.meta_events")
    assert [row["field"] for row in left] == ["recent"], "90 days, seen in a month"
    told: dict[str, Any] = outputs["prune_dagster_events"]
    # The run of the job itself has begun to write events.
    assert told.pop("bytes_on_disk_before") >= on_disk > expected.bytes > 0
    assert told.pop("bytes_on_disk_after") > 0
    assert told == asdict(expected)


def test_the_weekly_job_of_the_code_location_leaves_a_fresh_run_alone(
    pipeline: Pipeline, today: date
) -> None:
    run(pipeline, DayWindow.inclusive(today, today))
    before = everything(pipeline)
    job = build_definitions(pipeline.settings).resolve_job_def(MAINTENANCE_JOB_NAME)
    with exported(pipeline.environment):
        done = job.execute_in_process(instance=pipeline.instance)
    assert done.success
    kept = {
        name: [row for row in table if row in before[name]]
        for name, table in everything(pipeline).items()
    }
    assert kept == before
