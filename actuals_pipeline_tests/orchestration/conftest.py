"""The real job on a real instance, over a made-up world: what a run did, and what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.jobs import JOB_NAME
from actuals_pipeline.orchestration.partitions import range_tags
from actuals_pipeline.orchestration.resources import MetaApi, WarehouseResource
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.tables import TABLES

Row = dict[str, Any]

DAILY_ASSETS = (
    "raw_meta_insights",
    "meta_account_totals",
    "ad_actuals",
    "spend_reconciliation",
    "revenue_development",
    "prediction_accuracy",
    "model_accuracy",
    "model_statistics",
    "investment_summary",
    "winners",
    "budget_advice",
)

RECONCILED = ("raw_meta_insights", "meta_account_totals", "ad_actuals", "spend_reconciliation")
"""The assets up to whether every cent is there: a test of those needs no run of the others."""

FIGURES = (
    "account_id",
    "ad_id",
    "report_date",
    "currency",
    "impressions",
    "clicks",
    "link_clicks",
    "reach",
    "spend",
    "conversions",
    "revenue",
)


@dataclass(frozen=True)
class Pipeline:
    """An installation: its environment, its instance and the Graph API that it asks."""

    environment: Mapping[str, str]
    instance: dg.DagsterInstance
    graph: GraphStandIn

    @property
    def settings(self) -> Settings:
        """The settings of its environment."""
        return Settings.from_environment(self.environment)

    def run(
        self,
        window: DayWindow,
        *,
        meta: Callable[[Settings], MetaApi] | None = None,
        assets: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        **environment: str,
    ) -> dg.ExecuteInProcessResult:
        """Run the job over `window`, its fetches at the world's clock, and wait for its end.

        A single day is asked for as a partition, several as a range, as the UI does.  `assets`
        leaves out all others; `environment` replaces variables of the installation.
        """
        variables = {**self.environment, **environment}
        settings = Settings.from_environment(variables)
        resource = (meta or self.meta_at_the_clock_of_the_world)(settings)
        postgres = self.warehouse_at_the_clock_of_the_world()
        resources = {"meta": resource, "postgres": postgres}
        job = build_definitions(settings, resources=resources).resolve_job_def(JOB_NAME)
        with exported(variables):
            return job.execute_in_process(
                instance=self.instance,
                tags={**(range_tags(window) if len(window) > 1 else {}), **(tags or {})},
                partition_key=str(window.since) if len(window) == 1 else None,
                asset_selection=[dg.AssetKey(name) for name in assets] or None,
                raise_on_error=False,
            )

    def meta_at_the_clock_of_the_world(self, settings: Settings) -> MetaApi:
        world = self.graph.world

        class MetaApiAtTheWorldsClock(MetaApi):
            def clock(self) -> datetime:
                return world.now

        return MetaApiAtTheWorldsClock.of(settings)

    def warehouse_at_the_clock_of_the_world(self) -> WarehouseResource:
        world = self.graph.world

        class WarehouseAtTheWorldsClock(WarehouseResource):
            def clock(self) -> datetime:
                return world.now

        return WarehouseAtTheWorldsClock(database_url=dg.EnvVar("DATABASE_URL"))

    def asking(self, graph: GraphStandIn, **environment: str) -> Self:
        """The same installation after META_GRAPH_URL was pointed at another stand-in."""
        changed = {**self.environment, "META_GRAPH_URL": graph.url, **environment}
        return type(self)(changed, self.instance, graph)

    def rows(self, table: str, *columns: str) -> list[Row]:
        """What is stored in a table of the warehouse, by key."""
        return [dict(zip(names, row, strict=True)) for names, row in self._rows(table, columns)]

    def versions(self, table: str) -> dict[tuple[Any, ...], str]:
        """The version of each row by its key; a row written anew has another, equal or not."""
        key = self._key(table)
        rows = self._rows(table, (*key, "xmin"))
        return {tuple(row[: len(key)]): str(row[-1]) for _, row in rows}

    def truth(self, window: DayWindow) -> list[Row]:
        """What Meta has to say about every ad, in the form of `rows("ad_actuals", *FIGURES)`."""
        world = self.graph.world
        found = [row for account in world.account_ids for row in world.truth(account, window)]
        for row in found:
            # Meta leaves out a reach of zero, and what it leaves out is unknown.
            row["reach"] = row["reach"] or None
        picked = ({name: row[name] for name in FIGURES} for row in found)
        return sorted(picked, key=lambda row: tuple(row[name] for name in self._key("ad_actuals")))

    def metadata(self, asset: str, day: date) -> dict[str, Any]:
        """What the newest materialization of a partition says of itself."""
        wanted = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[str(day)])
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization is not None
        return {name: each.value for name, each in record.asset_materialization.metadata.items()}

    def table(self, asset: str, day: date, name: str) -> list[dict[str, Any]]:
        """The rows of a table in the metadata of a partition's newest materialization."""
        shown = self.metadata(asset, day)[name]
        assert isinstance(shown, dg.TableMetadataValue)
        return [dict(record.data) for record in shown.records]

    @staticmethod
    def _key(table: str) -> tuple[str, ...]:
        return tuple(column.name for column in TABLES[table].primary_key.columns)

    def _rows(
        self, table: str, columns: Sequence[str]
    ) -> Iterator[tuple[Sequence[str], tuple[Any, ...]]]:
        names = columns or [column.name for column in TABLES[table].columns]
        query = sql.SQL("SELECT {} FROM actuals.{} ORDER BY {}").format(
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, self._key(table))),
        )
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            for row in connection.execute(query).fetchall():
                yield names, row


@pytest.fixture
def pipeline(
    environment: dict[str, str],
    dagster_instance: dg.DagsterInstance,
    graph: GraphStandIn,
    product: None,
) -> Pipeline:
    """An installation of its own, with the product's videos and predictions and no figures."""
    return Pipeline(environment, dagster_instance, graph)


@pytest.fixture(scope="session")
def today() -> date:
    """The newest partition's day when the tests began, in the time zone of the settings."""
    return datetime.now(UTC).date()


@contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """The process environment with `variables`, where resources look for secrets."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def checks_of(run: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """The evaluations of a run by the name of the check."""
    return {each.check_name: each for each in run.get_asset_check_evaluations()}


def examples(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    """The offending rows that a check lists."""
    table = check.metadata.get("examples")
    return [dict(record.data) for record in table.records] if table else []  # type: ignore[attr-defined]
