"""One run over a range of days: what it stores, and what it shows of each day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import psycopg
import pytest

from actuals_pipeline.graph_stand_in.server import running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse.tables import TABLES
from actuals_pipeline_tests.orchestration.conftest import (
    DAILY_ASSETS,
    FIGURES,
    RECONCILED,
    Pipeline,
    Row,
    checks_of,
)

ADVICE = ("winners", "budget_advice")
WRITTEN = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_deleted")
Versions = dict[tuple[Any, ...], str]
SUMMED = ("impressions", "clicks", "conversions", "spend", "revenue")


def sums(rows: Iterable[Row], *names: str) -> dict[str, Any]:
    total: dict[str, Any] = dict.fromkeys(names, 0)
    for row in rows:
        total = {name: total[name] + row[name] for name in names}
    return total


def test_a_run_stores_what_meta_has_to_the_cent_and_materializes_every_day_at_once(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 4)
    run = pipeline.run(window)

    assert run.success
    want = pipeline.truth(window)
    assert {row["currency"] for row in want} == {"EUR", "JPY"}
    assert pipeline.rows("ad_actuals", *FIGURES) == want
    by_account_day = defaultdict(list)
    for row in want:
        by_account_day[row["account_id"], row["report_date"]].append(row)
    totals = pipeline.rows("meta_account_totals")
    assert {(row["account_id"], row["report_date"]) for row in totals} == {
        (account_id, day) for account_id in ("42", "43") for day in window
    }
    for row in totals:
        told = {name: row[name] for name in SUMMED}
        assert told == sums(by_account_day[row["account_id"], row["report_date"]], *SUMMED)
    for table in ("raw_meta_insights", "meta_account_totals"):
        assert pipeline.rows(table, "run_id", "api_version") == [
            {"run_id": run.run_id, "api_version": "v26.0"}
        ] * len(pipeline.rows(table))
    assert {row["verdict"] for row in pipeline.rows("spend_reconciliation")} == {"exact"}
    assert {name: check.passed for name, check in checks_of(run).items()} == {
        "every_account_was_fetched": True,
        "the_purchase_action_type_occurs": True,
        "ads_add_up_to_metas_total": True,
        "revenue_matures_as_before": True,
        "every_prediction_is_usable": True,
        "an_account_counts_one_type_of_purchase": True,
        "no_late_prediction_counts": True,
        "predicted_ctr_is_in_the_unit_of_the_actual": True,
        "no_model_is_better_than_chance_allows": True,
        "a_headline_covers_most_of_the_spend": True,
        "a_headline_rests_on_what_was_known": True,
        "a_headline_tells_more_than_chance": True,
        "most_of_a_headline_has_a_final_roas": True,
        "it_is_known_on_which_day_purchases_stand": True,
        "models_predict_for_ads_like_those_before": True,
        "predictions_are_kept_on_the_whole": True,
        "no_model_has_drifted": True,
        "every_retrain_request_was_handed_over": True,
        "no_currency_is_left_out_of_the_investment": True,
        "the_investment_is_not_overspent": True,
        "every_accounts_budgets_were_read": True,
        "every_planned_budget_is_usable": True,
        "no_budget_is_overspent": True,
    }

    days = {str(day) for day in window}
    for asset in DAILY_ASSETS:
        key = dg.AssetKey(asset)
        assert pipeline.instance.get_materialized_partitions(key) == days, asset
        records = pipeline.instance.fetch_materializations(key, limit=100).records
        assert Counter(record.partition_key for record in records) == Counter(days), asset
        assert {record.run_id for record in records} == {run.run_id}, asset


def test_a_run_keeps_its_connections_to_dagsters_tables(pipeline: Pipeline, today: date) -> None:
    # As the daemon's worker has it, which keeps none by itself.
    with dg.DagsterInstance.from_ref(pipeline.instance.get_ref()) as instance:
        before = connections_so_far(pipeline)
        run = replace(pipeline, instance=instance).run(
            DayWindow.inclusive(today, today), assets=RECONCILED
        )
        made = connections_so_far(pipeline) - before
    assert run.success
    # One a statement would be hundreds.
    assert 0 < made < 120


def connections_so_far(pipeline: Pipeline) -> int:
    query = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def test_each_day_of_a_range_shows_its_own_figures(pipeline: Pipeline, today: date) -> None:
    # As long as a video is compared, so that whole histories are known on its last days.
    window = DayWindow.trailing(today, 33)
    assert pipeline.run(window).success
    want = pipeline.truth(window)
    n_stored = {
        asset: Counter(row[str(TABLES[asset].info["day"])] for row in pipeline.rows(asset))
        for asset in DAILY_ASSETS
    }
    for day in DayWindow.trailing(today, 3):
        shown = {asset: pipeline.metadata(asset, day) for asset in DAILY_ASSETS}
        for asset in DAILY_ASSETS:
            assert shown[asset]["rows"] == n_stored[asset][day], (asset, day)
            # Of days before the first fetch nothing was known, and nothing is advised.
            assert n_stored[asset][day] > 0 or (asset in ADVICE and day < today), (asset, day)
            assert shown[asset]["rows_restated"] == 0
            # What is of the run, and not of a day, is told once.
            told = f"{n_stored[asset].total()} rows: {n_stored[asset].total()} new, 0 changed"
            assert str(shown[asset].get("run_wrote", "")).startswith(told) == (day == today)
        assert shown["raw_meta_insights"]["accounts_not_fetched"] == 0
        figures = expected_figures([row for row in want if row["report_date"] == day])
        for asset in ("ad_actuals", "meta_account_totals"):
            got = {name: shown[asset].get(name) for name in figures}
            assert got == pytest.approx(figures, rel=1e-5)
        for row in pipeline.rows("model_accuracy"):
            if row["as_of_date"] == day and row["protocol"] == "launch_to_date":
                version = f"{row['model_name']} {row['model_version']}"
                accuracy = f"accuracy of {version} (%)"
                assert shown["model_accuracy"][f"pairs of {version}"] == row["n_pairs"] > 0
                got = shown["model_accuracy"][accuracy]
                assert got == pytest.approx(row["prediction_accuracy"], rel=1e-5)
    fetches = pipeline.table("raw_meta_insights", today, "fetches")
    assert sum(row["calls"] for row in fetches) == len(pipeline.graph.calls)
    # A few rows of the newest day, and none of any other, for each run's are stored.
    shown_rows = pipeline.table("ad_actuals", today, "preview")
    newest = [row for row in want if row["report_date"] == today]
    newest.sort(key=lambda row: -int(row["impressions"]))
    assert [Decimal(row["spend"]) for row in shown_rows] == [row["spend"] for row in newest[:5]]
    assert "preview" not in pipeline.metadata("ad_actuals", today - timedelta(days=1))
    settled = [pipeline.metadata("ad_actuals", day)["settled_share"] for day in window]
    assert (settled[0], settled[-1]) == (1, 0)


def expected_figures(rows: list[Row]) -> dict[str, float]:
    """The day's figures over all accounts; money by currency, never added up."""
    figures = sums(rows, "impressions", "clicks", "conversions")
    figures["ctr"] = figures["clicks"] / figures["impressions"]
    for currency in ("EUR", "JPY"):
        money = sums((row for row in rows if row["currency"] == currency), "spend", "revenue")
        code = currency.lower()
        figures |= {f"spend_{code}": float(money["spend"])}
        figures |= {f"revenue_{code}": float(money["revenue"])}
        figures |= {f"roas_{code}": float(money["revenue"] / money["spend"])}
    return figures


def test_a_refresh_writes_only_what_meta_restated_and_says_how_much_that_was(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today - timedelta(days=1), 4)
    first = pipeline.run(window)
    assert first.success
    before = {asset: pipeline.versions(asset) for asset in DAILY_ASSETS}
    known = by_key(pipeline.rows("ad_actuals"))
    assert logged(pipeline, first) == written({}, before["raw_meta_insights"])

    second = pipeline.run(window)
    assert second.success
    # That nothing was written is told by the versions, which are those of before.
    assert logged(pipeline, second) == written(*[before["raw_meta_insights"]] * 2)
    for asset in set(DAILY_ASSETS) - {"meta_account_totals"}:
        assert pipeline.versions(asset) == before[asset]
    # The totals say when their account-day was last fetched, which is no restatement either.
    run_ids = {row["run_id"] for row in pipeline.rows("meta_account_totals", "run_id")}
    assert run_ids == {second.run_id}
    for asset in DAILY_ASSETS:
        shown = [pipeline.metadata(asset, day) for day in window]
        assert {each["rows_restated"] for each in shown} == {0}, asset
        n_rows = len(before[asset])
        told = f"{n_rows} rows: 0 new, 0 changed, {n_rows} unchanged, 0 removed"
        assert shown[-1]["run_wrote"] == told, asset

    pipeline.graph.world.now += timedelta(days=3)
    third = pipeline.run(window)
    assert third.success
    counts = logged(pipeline, third)
    assert counts == written(before["raw_meta_insights"], pipeline.versions("raw_meta_insights"))
    assert all(each["rows_updated"] and each["rows_unchanged"] for each in counts.values())
    assert pipeline.rows("ad_actuals", *FIGURES) == pipeline.truth(window)
    now_known = by_key(pipeline.rows("ad_actuals"))
    # A purchase that comes late may give an ad a row on a day on which it had none.
    restated = {key for key, row in known.items() if now_known[key] != row}
    assert 0 < len(restated) < len(known)
    after = pipeline.versions("ad_actuals")
    assert {key for key in known if after[key] != before["ad_actuals"][key]} == restated
    for day in window:
        n_restated = sum(report_date == day for _, _, report_date in restated)
        assert pipeline.metadata("ad_actuals", day)["rows_restated"] == n_restated


def logged(pipeline: Pipeline, run: dg.ExecuteInProcessResult) -> dict[str, dict[str, int]]:
    """By account, what the log of fetches says that the run wrote; one fetch of each."""
    fetches = [row for row in pipeline.rows("fetch_log") if row["run_id"] == run.run_id]
    told = {row["account_id"]: {name: row[name] for name in WRITTEN} for row in fetches}
    assert len(told) == len(fetches)
    return told


def written(before: Versions, after: Versions) -> dict[str, dict[str, int]]:
    """By account, the rows that came, changed, stayed and went from one state to the next."""
    told: dict[str, dict[str, int]] = {}
    for key in before.keys() | after.keys():
        if key not in before:
            name = "rows_inserted"
        elif key not in after:
            name = "rows_deleted"
        else:
            name = "rows_unchanged" if before[key] == after[key] else "rows_updated"
        told.setdefault(key[0], dict.fromkeys(WRITTEN, 0))[name] += 1
    return told


def by_key(rows: list[Row]) -> dict[tuple[Any, ...], Row]:
    return {
        (row["account_id"], row["ad_id"], row["report_date"]): {
            # When and by which run a figure became known does not make it another figure.
            name: value
            for name, value in row.items()
            if name != "fetched_at"
        }
        for row in rows
    }


def test_a_day_that_became_empty_is_emptied_and_the_days_beside_it_are_not(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 3)
    emptied = today - timedelta(days=1)
    assert pipeline.run(window, assets=RECONCILED).success
    kept = {
        table: {key: row for key, row in pipeline.versions(table).items() if emptied not in key}
        for table in ("raw_meta_insights", "ad_actuals")
    }
    n_lost = len(pipeline.rows("ad_actuals")) - len(kept["ad_actuals"])

    world = World(
        now=pipeline.graph.world.now,
        accounts=[
            AccountPlan("42", "Stand-in Berlin", "EUR", "Europe/Berlin", 0),
            AccountPlan("43", "Stand-in Tokyo", "JPY", "Asia/Tokyo", 0),
        ],
    )
    with running_stand_in(world) as without_ads:
        run = pipeline.asking(without_ads).run(DayWindow.inclusive(emptied, emptied))

    assert run.success
    assert {table: pipeline.versions(table) for table in kept} == kept
    assert pipeline.metadata("ad_actuals", emptied)["rows"] == 0
    assert pipeline.metadata("ad_actuals", emptied)["rows_restated"] == n_lost > 0
    for total in pipeline.rows("meta_account_totals"):
        assert total["is_reported"] == (total["report_date"] != emptied)
        assert bool(total["spend"]) == (total["report_date"] != emptied)
    verdicts = pipeline.rows("spend_reconciliation", "report_date", "n_ads", "verdict")
    assert [row for row in verdicts if row["report_date"] == emptied] == [
        {"report_date": emptied, "n_ads": 0, "verdict": "exact"}
    ] * 2


def test_a_day_that_has_begun_in_no_account_is_not_taken_for_an_empty_one(
    pipeline: Pipeline, today: date
) -> None:
    # The partition exists by the clock of the settings; in New York it is still the evening before.
    world = World(
        now=datetime.fromisoformat(f"{today}T00:30:00+00:00"),
        accounts=[AccountPlan("42", "Stand-in New York", "USD", "America/New_York", 20)],
    )
    window = DayWindow.inclusive(today, today)
    with running_stand_in(world) as western:
        run = pipeline.asking(western).run(window, META_AD_ACCOUNT_ID="act_42")
    assert run.success
    assert all(check.passed for check in checks_of(run).values())
    assert pipeline.rows("meta_account_totals") == []
    assert pipeline.rows("ad_actuals") == []
    assert [row["outcome"] for row in pipeline.rows("fetch_log")] == ["complete"]
