"""Frames out of Postgres for the partitions that a run asks for."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from dagster import PythonObjectDagsterType

from actuals_pipeline.orchestration.io_manager import PostgresIOManager
from actuals_pipeline.orchestration.partitions import daily_partitions
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests.orchestration.conftest import FIGURES, Pipeline, Row

DTYPES = {
    "account_id": "str",
    "report_date": "object",
    "video_id": "str",
    "impressions": "int64",
    "reach": "Int64",
    "spend": "object",
    "revenue": "object",
    "ctr": "float64",
    "is_settled": "bool",
    "fetched_at": "datetime64[us, UTC]",
}


@pytest.fixture
def stored(pipeline: Pipeline, today: date) -> Pipeline:
    """Three days of `ad_actuals` and what they are made of."""
    window = DayWindow.trailing(today, 3)
    assets = ("raw_meta_insights", "meta_account_totals", "ad_actuals")
    assert pipeline.run(window, assets=assets).success
    return pipeline


def test_a_day_and_a_range_and_all_days_are_loaded_with_exact_types(
    stored: Pipeline, today: date
) -> None:
    stored_rows = stored.rows("ad_actuals", *FIGURES)
    yesterday = today - timedelta(days=1)
    for days in ([yesterday], [yesterday, today], [today - timedelta(days=9)]):
        frame = loaded(stored, "ad_actuals", days)
        assert {name: str(frame[name].dtype) for name in DTYPES} == DTYPES
        assert records(frame) == [row for row in stored_rows if row["report_date"] in days]
        assert {type(value) for value in frame["spend"]} <= {Decimal}
        assert {type(value) for value in frame["report_date"]} <= {date}

    raw = loaded(stored, "raw_meta_insights", [yesterday])
    assert list(map(json.loads, raw["payload"])) == [
        row["payload"]
        for row in stored.rows("raw_meta_insights")
        if row["report_date"] == yesterday
    ]
    assert records(asked_for_all_days(stored)) == stored_rows


def test_a_table_that_is_not_ours_is_never_asked_for() -> None:
    nowhere = WarehouseResource(database_url="postgresql://nobody@127.0.0.1:1/none")
    context = dg.build_input_context(
        asset_key=dg.AssetKey("pg_authid"),
        asset_partitions_def=daily_partitions(Settings.from_environment({})),
        partition_key="2026-01-01",
    )
    with pytest.raises(KeyError, match="pg_authid"):
        PostgresIOManager(postgres=nowhere).load_input(context)


def loaded(pipeline: Pipeline, asset: str, days: list[date]) -> pd.DataFrame:
    partitions = daily_partitions(pipeline.settings)
    context = dg.build_input_context(
        asset_key=dg.AssetKey(asset),
        asset_partitions_def=partitions,
        asset_partition_key_range=dg.PartitionKeyRange(str(days[0]), str(days[-1])),
        dagster_type=PythonObjectDagsterType(pd.DataFrame),
    )
    frame = io_manager(pipeline).load_input(context)
    assert isinstance(frame, pd.DataFrame)
    return frame


def asked_for_all_days(pipeline: Pipeline) -> pd.DataFrame:
    """What an asset without partitions gets of one that has them."""

    @dg.asset(io_manager_key="memory")
    def consumer(ad_actuals: pd.DataFrame) -> pd.DataFrame:
        return ad_actuals

    upstream = dg.AssetSpec("ad_actuals", partitions_def=daily_partitions(pipeline.settings))
    result = dg.materialize(
        [upstream, consumer],
        instance=pipeline.instance,
        resources={"io_manager": io_manager(pipeline), "memory": dg.mem_io_manager},
    )
    frame: pd.DataFrame = result.output_for_node("consumer")
    return frame


def io_manager(pipeline: Pipeline) -> PostgresIOManager:
    url = pipeline.environment["DATABASE_URL"]
    return PostgresIOManager(postgres=WarehouseResource(database_url=url))


def records(frame: pd.DataFrame) -> list[Row]:
    plain = frame[list(FIGURES)].astype(object)
    rows: list[dict[Any, Any]] = plain.where(plain.notna(), None).to_dict("records")
    return rows
