"""The asset graph as people know it, written out: a change here is a change for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest
from dagster import TableSchema

from actuals_pipeline.orchestration.build import build_definitions
from actuals_pipeline.orchestration.column_sources import sources_of
from actuals_pipeline.orchestration.descriptions import STAND_IN_NOTICE
from actuals_pipeline.settings import Settings

GRAPH = {
    "videos": ("product", "postgres", ""),
    "predictions": ("product", "postgres", ""),
    "budgets": ("product", "postgres", ""),
    "raw_meta_insights": ("meta", "meta postgres", ""),
    "meta_account_totals": ("meta", "meta postgres", ""),
    "budget_snapshots": ("meta", "meta postgres", ""),
    "plan_snapshots": ("investment", "pandas postgres", "budgets"),
    "budget_pacing": (
        "investment",
        "pandas postgres",
        "ad_actuals budget_snapshots meta_account_totals plan_snapshots",
    ),
    "ad_actuals": ("actuals", "pandas postgres", "meta_account_totals raw_meta_insights videos"),
    "spend_reconciliation": ("actuals", "pandas postgres", "ad_actuals meta_account_totals"),
    "revenue_development": ("accuracy", "pandas postgres", "ad_actuals"),
    "prediction_accuracy": (
        "accuracy",
        "pandas postgres",
        "ad_actuals predictions revenue_development videos",
    ),
    "model_accuracy": ("accuracy", "pandas postgres", "ad_actuals prediction_accuracy videos"),
    "model_statistics": ("accuracy", "pandas postgres", "prediction_accuracy"),
    "investment_summary": ("investment", "pandas postgres", "ad_actuals meta_account_totals"),
    "winners": ("advice", "pandas postgres", "ad_actuals revenue_development"),
    "budget_advice": ("advice", "pandas postgres", "ad_actuals revenue_development"),
    "model_drift": ("accuracy", "pandas postgres", "prediction_accuracy"),
    "retrain_states": ("accuracy", "pandas postgres", "model_drift"),
    "accuracy_report": (
        "report",
        "altair",
        (
            "ad_actuals budget_pacing investment_summary meta_account_totals model_accuracy"
            " model_drift prediction_accuracy retrain_states revenue_development"
            " spend_reconciliation winners"
        ),
    ),
}
"""By asset: its group, its kinds, and what it is made of."""

OF_THE_PRODUCT = {"videos", "predictions", "budgets"}

WITHOUT_DAYS = OF_THE_PRODUCT | {"accuracy_report"}
"""Assets that no run of the daily ones makes."""

CHECKS = {
    ("raw_meta_insights", "every_account_was_fetched"),
    ("raw_meta_insights", "the_purchase_action_type_occurs"),
    ("spend_reconciliation", "ads_add_up_to_metas_total"),
    ("revenue_development", "revenue_matures_as_before"),
    ("prediction_accuracy", "every_prediction_is_usable"),
    ("prediction_accuracy", "no_late_prediction_counts"),
    ("prediction_accuracy", "predicted_ctr_is_in_the_unit_of_the_actual"),
    ("ad_actuals", "an_account_counts_one_type_of_purchase"),
    ("model_accuracy", "no_model_is_better_than_chance_allows"),
    ("model_accuracy", "a_headline_covers_most_of_the_spend"),
    ("model_accuracy", "a_headline_rests_on_what_was_known"),
    ("model_accuracy", "a_headline_tells_more_than_chance"),
    ("model_accuracy", "most_of_a_headline_has_a_final_roas"),
    ("revenue_development", "it_is_known_on_which_day_purchases_stand"),
    ("model_drift", "models_predict_for_ads_like_those_before"),
    ("model_statistics", "predictions_are_kept_on_the_whole"),
    ("model_drift", "no_model_has_drifted"),
    ("retrain_states", "every_retrain_request_was_handed_over"),
    ("investment_summary", "no_currency_is_left_out_of_the_investment"),
    ("investment_summary", "the_investment_is_not_overspent"),
    ("budget_snapshots", "every_accounts_budgets_were_read"),
    ("plan_snapshots", "every_planned_budget_is_usable"),
    ("budget_pacing", "no_budget_is_overspent"),
}

ONCE_A_DAY = ("raw_meta_insights", "the_installation_is_healthy")
"""The check that no run of the assets makes."""


def definitions(**environment: str) -> dg.Definitions:
    return build_definitions(Settings.from_environment(environment))


def specs(defs: dg.Definitions) -> Mapping[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_assets_their_groups_kinds_and_upstreams_are_these() -> None:
    defs = definitions()
    graph = defs.resolve_asset_graph()
    got = {
        key.to_user_string(): (
            graph.get(key).group_name,
            " ".join(sorted(graph.get(key).kinds or ())),
            " ".join(sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)),
        )
        for key in graph.get_all_asset_keys()
    }
    assert got == GRAPH
    # Two ticks missed are worth a look, three an alarm.
    stale = dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=3), warn_window=timedelta(hours=2)
    )
    policies = {name: spec.freshness_policy for name, spec in specs(defs).items()}
    report = dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=19), warn_window=timedelta(hours=13)
    )
    assert policies == {
        **dict.fromkeys(GRAPH, stale),
        **dict.fromkeys(OF_THE_PRODUCT),
        "accuracy_report": report,
    }
    external = {key.to_user_string() for key in graph.external_asset_keys}
    assert external == OF_THE_PRODUCT
    assert {tuple(spec.owners) for spec in specs(defs).values()} == {("team:actuals",)}
    assert {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys} == {
        *CHECKS,
        ONCE_A_DAY,
    }


def test_one_job_runs_every_asset_and_check_and_one_step_at_a_time_asks_meta() -> None:
    defs = definitions()
    job = defs.resolve_job_def("actuals_job")
    assert {node.name for node in job.graph.nodes} == {
        "meta_insights_fetch",
        *GRAPH.keys()
        - WITHOUT_DAYS
        - {"raw_meta_insights", "meta_account_totals", "budget_snapshots"},
    }
    # A step makes the checks of its own tables: one for each cost an hour a second.
    made = job.asset_layer.asset_graph.asset_check_keys
    assert {(key.asset_key.to_user_string(), key.name) for key in made} == CHECKS
    pools = {node.name: node.definition.pools for node in job.graph.nodes if node.definition.pools}
    assert pools == {"meta_insights_fetch": {"meta_api"}}
    assert job.executor_def.name == "in_process"
    assert job.tags["dagster/max_runtime"] == "7200"
    # Unless whoever launches it says otherwise, as the schedule and the sensor do.
    assert job.tags["actuals/tier"] == "by hand"
    schedules = [schedule.name for schedule in defs.schedules or ()]
    assert schedules == ["hourly_actuals", "daily_health", "weekly_maintenance", "regular_report"]
    schedule = defs.resolve_schedule_def("hourly_actuals")
    assert (schedule.job_name, schedule.cron_schedule) == ("actuals_job", "7 * * * *")


@pytest.mark.parametrize("name", ["winners", "budget_advice"])
def test_advice_has_no_means_to_reach_meta(name: str) -> None:
    graph = definitions().resolve_asset_graph()
    needed = graph.assets_def_for_key(dg.AssetKey(name)).required_resource_keys
    assert needed == {"postgres", "io_manager"}


def test_a_job_of_its_own_checks_the_health_once_a_day() -> None:
    """In a run of the assets it would be skipped when the fetch fails, as with a dead token."""
    defs = definitions(ACTUALS_TIMEZONE="Europe/Berlin")
    job = defs.resolve_job_def("health_job")
    (node,) = job.graph.nodes
    assert node.name == "_".join(ONCE_A_DAY)
    assert node.definition.pools == {"meta_api"}
    schedule = defs.resolve_schedule_def("daily_health")
    assert (schedule.job_name, schedule.cron_schedule) == ("health_job", "37 5 * * *")
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_job_without_assets_prunes_dagsters_events_and_metas_once_a_week() -> None:
    defs = definitions(ACTUALS_TIMEZONE="Europe/Berlin")
    job = defs.resolve_job_def("maintenance_job")
    nodes = {node.name: node for node in job.graph.nodes}
    assert nodes.keys() == {"prune_dagster_events", "forget_meta_events"}
    assert not any(node.definition.pools for node in nodes.values())
    schedule = defs.resolve_schedule_def("weekly_maintenance")
    assert (schedule.job_name, schedule.cron_schedule) == ("maintenance_job", "47 4 * * 0")
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_sensor_hands_over_requests_to_do_something_about_a_model() -> None:
    defs = definitions()
    sensor = defs.resolve_sensor_def("retrain_requests")
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.job_name == "retrain_request"
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    job = defs.resolve_job_def("retrain_request")
    assert [node.name for node in job.graph.nodes] == ["hand_over_retrain_request"]
    assert job.tags["dagster/max_runtime"] == "600"


def test_a_sensor_asks_an_account_early_of_which_meta_told_something() -> None:
    defs = definitions()
    sensor = defs.resolve_sensor_def("webhook_refreshes")
    assert sensor.job_name == "actuals_job"
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_a_sensor_watches_and_starts_nothing() -> None:
    defs = definitions()
    assert [each.name for each in defs.sensors or ()] == [
        *("webhook_refreshes", "retrain_requests", "alert_watch")
    ]
    watch = defs.resolve_sensor_def("alert_watch")
    assert not watch.has_jobs
    assert watch.default_status == dg.DefaultSensorStatus.RUNNING


def test_all_daily_assets_share_one_definition_of_their_days() -> None:
    zone, start = "Pacific/Kiritimati", "2026-02-03"
    defs = definitions(ACTUALS_TIMEZONE=zone, ACTUALS_START_DATE=start)
    graph = defs.resolve_asset_graph()
    daily = [graph.get(dg.AssetKey(name)) for name in GRAPH.keys() - WITHOUT_DAYS]
    partitions = daily[0].partitions_def
    # Two that are equal make two runs of what a backfill should do in one.
    assert all(asset.partitions_def is partitions for asset in daily)
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert partitions.get_first_partition_key() == start
    assert (
        partitions.timezone
        == zone
        == defs.resolve_schedule_def("hourly_actuals").execution_timezone
    )
    # Fourteen hours ahead of Greenwich, the day after has begun and can be fetched.
    noon = datetime(2026, 3, 7, 12, tzinfo=UTC)
    with dg.partition_loading_context(effective_dt=noon):
        assert partitions.get_partition_keys()[-2:] == ["2026-03-07", "2026-03-08"]
    with dg.partition_loading_context(effective_dt=noon - timedelta(hours=3)):
        assert partitions.get_last_partition_key() == "2026-03-07"


@pytest.mark.parametrize(
    ("environment", "policy"),
    [
        ({}, dg.BackfillPolicy.single_run()),
        ({"ACTUALS_BACKFILL_DAYS": "4"}, dg.BackfillPolicy.multi_run(4)),
    ],
    ids=["unset", "4 days"],
)
def test_all_daily_assets_are_backfilled_in_runs_of_as_many_days_as_are_set(
    environment: dict[str, str], policy: dg.BackfillPolicy
) -> None:
    graph = definitions(**environment).resolve_asset_graph()
    daily = GRAPH.keys() - WITHOUT_DAYS
    got = {name: graph.get(dg.AssetKey(name)).backfill_policy for name in daily}
    assert got == dict.fromkeys(daily, policy)


@pytest.mark.parametrize("is_stand_in", [False, True], ids=["of Meta", "of the stand-in"])
def test_each_asset_says_what_one_row_is_and_whether_it_is_made_up(is_stand_in: bool) -> None:
    defs = definitions(ACTUALS_STAND_IN="1") if is_stand_in else definitions()
    for name, spec in specs(defs).items():
        text = spec.description or ""
        has_notice = is_stand_in and name not in OF_THE_PRODUCT
        # Lists show the beginning of a description, which is what a row is; there is a badge.
        assert (STAND_IN_NOTICE in text) == has_notice, name
        assert ("stand-in" in spec.kinds) == has_notice, name
        is_table = name != "accuracy_report"
        assert text.startswith("One row is ") == is_table, name
        source = spec.tags.get("actuals/source")
        assert source == ("stand-in" if is_stand_in else None), name
    job = defs.resolve_job_def("actuals_job")
    assert ("actuals/source" in job.tags) == is_stand_in


def test_the_columns_shown_are_the_columns_of_the_database(database: str) -> None:
    query = """
        SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull,
               col_description(attrelid, attnum)
        FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
    """
    shown = specs(definitions())
    with psycopg.connect(database) as connection:
        for name in GRAPH.keys() - {"accuracy_report"}:
            table = f"{'public' if name in OF_THE_PRODUCT else 'actuals'}.{name}"
            metadata = shown[name].metadata
            assert metadata["dagster/table_name"] == table
            schema = metadata["dagster/column_schema"]
            assert isinstance(schema, TableSchema)
            sources = sources_of(name)
            got = [
                (
                    *(column.name, column.type, column.constraints.nullable),
                    # What follows is where it comes from.
                    column.description.partition(" From `")[0]
                    if column.name in sources and column.description
                    else column.description,
                )
                for column in schema.columns
            ]
            assert got == connection.execute(query, [table]).fetchall(), name
            if name not in OF_THE_PRODUCT:
                assert all(column.description for column in schema.columns), name
                assert metadata["report"].value == "http://127.0.0.1:8003/"


def test_columns_come_from_columns_of_assets_that_are_upstream() -> None:
    shown = specs(definitions())
    columns = {
        name: [column.name for column in spec.metadata["dagster/column_schema"].columns]
        for name, spec in shown.items()
        if name != "accuracy_report"
    }
    told = 0
    for name, spec in shown.items():
        lineage = spec.metadata.get("dagster/column_lineage")
        for column, deps in lineage.deps_by_column.items() if lineage else ():
            assert column in columns[name], (name, column)
            for dep in deps:
                upstream = dep.asset_key.to_user_string()
                assert upstream in GRAPH[name][2].split(), (name, column, upstream)
                assert dep.column_name in columns[upstream], (name, column, dep)
                told += 1
    assert told > 100


def test_the_question_of_each_assets_page_can_be_asked(database: str) -> None:
    shown = specs(definitions())
    with psycopg.connect(database) as connection:
        for name in GRAPH.keys() - {"accuracy_report"}:
            _, query, _ = (shown[name].description or "").split("```")
            connection.execute(query.removeprefix("sql\n").encode())
