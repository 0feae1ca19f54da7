"""The assets that watch the models: their weeks and charts, and what is to be done about them.

    prediction_accuracy -> model_drift -> retrain_states (and retrain_requests)

Everything decided follows from `model_drift` as of one day.  What is asked of others is asked of
the newest day alone, and only while that is not long ago: a backfill asks for nothing.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pandas as pd

from actuals_pipeline.accuracy.drift.assessment import drift_as_of
from actuals_pipeline.accuracy.drift.decisions import Decisions, decisions
from actuals_pipeline.accuracy.drift.weeks import model_weeks
from actuals_pipeline.orchestration.asset_checks import results
from actuals_pipeline.orchestration.assets import Daily, daily_asset
from actuals_pipeline.orchestration.checks import checks_of
from actuals_pipeline.orchestration.descriptions import described
from actuals_pipeline.orchestration.partitions import window_of
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.report_days import DayWindow, report_day
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import drift
from actuals_pipeline.warehouse.drift import NewRequest, RetrainState
from actuals_pipeline.warehouse.store import PART_ROWS, CoveredRows, Parts, Slice, read
from actuals_pipeline.warehouse.tables import TABLES

MOST_DAYS_LATE = 14
"""Days that an as-of day may lie back for something to be asked for."""


def drifted(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """Whether each model version still predicts as it did, week by week, as of each day."""

    @daily_asset("model_drift", settings, daily, group="accuracy", deps=["prediction_accuracy"])
    def model_drift(context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Parts:
        window, warehouse = window_of(context.partition_keys), postgres.warehouse()
        pairs = drift.matured_pairs(warehouse, window.until)
        weeks = model_weeks(pairs, as_of=window.until)
        # The days of a week have the same closed weeks before them.
        by_sunday: dict[date, pd.DataFrame] = {}

        def of_day(day: date) -> pd.DataFrame:
            sunday = day - timedelta(days=(day.weekday() + 1) % 7)
            if sunday not in by_sunday:
                by_sunday[sunday] = drift_as_of(weeks, pairs, sunday)
            rows = by_sunday[sunday]
            return rows.assign(as_of_date=pd.Series([day] * len(rows), dtype=object))

        def of_days(days: DayWindow) -> CoveredRows:
            rows = pd.concat([of_day(day) for day in days], ignore_index=True)
            return CoveredRows(rows, (Slice(days),))

        return Parts(window.parts(lambda _: len(weeks) + 1, PART_ROWS), of_days)

    return model_drift


def decided(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """What is thought of each model version now, and what is asked to be done about it."""
    checks = checks_of("retrain_states", settings)
    look = described("retrain_states", settings, group="accuracy", kinds={"pandas"})

    def retrain_states(
        context: dg.AssetExecutionContext, postgres: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        as_of, now = window_of(context.partition_keys).until, postgres.clock()
        found = decisions(
            read(postgres.warehouse(), TABLES["model_drift"], DayWindow.inclusive(as_of, as_of))
        )
        is_lately = (report_day(now, settings.zone) - as_of).days < MOST_DAYS_LATE
        with postgres.warehouse().transaction() as connection:
            is_newest = drift.keep_states(connection, _states(found, as_of), as_of, now)
            requests = _requests(found, as_of) if is_newest and is_lately else []
            written = drift.write_requests(connection, requests, now)
        for key in written:
            context.log.warning("Asked that something be done about a model: %s.", key)
        yield dg.MaterializeResult(
            metadata={"states": len(found.metrics), "requests_written": len(written)}
        )
        yield from results(checks, context, postgres)

    thought: dg.AssetsDefinition = dg.asset(
        deps=["model_drift"], check_specs=[check.spec for check in checks], **daily, **look
    )(retrain_states)
    return thought


def _states(found: Decisions, as_of: date) -> list[RetrainState]:
    return [
        RetrainState(
            model_name=each.model_name,
            model_version=each.model_version,
            metric=each.metric,
            as_of_date=as_of,
            week=each.standing.week,
            state=each.standing.state.value,
            state_since=each.standing.since,
            breach_start=each.standing.breach_start,
            causes=", ".join(sorted(each.standing.causes)) or None,
            action=each.action.value,
            reason=each.reason,
            evidence=each.evidence,
        )
        for each in found.metrics
    ]


def _requests(found: Decisions, as_of: date) -> list[NewRequest]:
    return [
        NewRequest(
            request_key=each.key,
            model_name=each.model_name,
            model_version=each.model_version,
            breach_start=each.breach_start,
            week=each.week,
            as_of_date=as_of,
            action=each.action.value,
            reason=each.reason,
            evidence=each.evidence,
        )
        for each in found.requests
    ]
