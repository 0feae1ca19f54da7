"""Figures outlive the payloads that they were made of, whatever is materialized or fetched anew."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import single_ad
from actuals_pipeline.warehouse import retention
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.orchestration.conftest import (
    DAILY_ASSETS,
    FIGURES,
    Pipeline,
    Row,
    checks_of,
)

DERIVED = [name for name in DAILY_ASSETS if not name.startswith(("raw", "meta"))]


def newest_day_of(rows: Iterable[Row]) -> date:
    day: date = max(row["report_date"] for row in rows)
    return day


@pytest.fixture
def window(today: date) -> DayWindow:
    return DayWindow.trailing(today, 4)


@pytest.fixture
def pruned(pipeline: Pipeline, window: DayWindow) -> Pipeline:
    """Four days of figures without a payload."""
    assert pipeline.run(window).success
    warehouse = Warehouse(pipeline.environment["DATABASE_URL"])
    told = retention.prune(warehouse, 1, window.until + timedelta(days=90))
    assert told.rows == len(pipeline.rows("ad_actuals")) > 0
    assert pipeline.rows("raw_meta_insights") == []
    return pipeline


def test_materializing_pruned_days_changes_no_figure(pruned: Pipeline, window: DayWindow) -> None:
    tables = (*DERIVED, "ad_actuals_revisions", "meta_account_totals")
    before = {table: pruned.versions(table) for table in tables}
    run = pruned.run(window, assets=DERIVED)
    assert run.success
    assert {table: pruned.versions(table) for table in tables} == before
    assert all(check.passed for check in checks_of(run).values())


def test_a_day_that_is_fetched_again_takes_no_figure_from_the_days_beside_it(
    pruned: Pipeline, window: DayWindow
) -> None:
    before = pruned.versions("ad_actuals")
    assert pruned.run(DayWindow.inclusive(window.since, window.since)).success
    assert {row["report_date"] for row in pruned.rows("raw_meta_insights")} == {window.since}
    assert pruned.run(window, assets=DERIVED).success
    assert pruned.versions("ad_actuals") == before


def test_an_ad_that_is_fetched_alone_takes_no_figure_from_the_others(
    pruned: Pipeline, window: DayWindow
) -> None:
    before = pruned.versions("ad_actuals")
    (account_id, ad_id, _), *_ = before
    warehouse = Warehouse(pruned.environment["DATABASE_URL"])
    answer = single_ad.fetch(warehouse, pruned.settings, ad_id, days_back=len(window))
    assert answer["status"] == "success"
    assert {(row["account_id"], row["ad_id"]) for row in pruned.rows("raw_meta_insights")} == {
        (account_id, ad_id)
    }
    assert pruned.run(window, assets=DERIVED).success
    others = {key: version for key, version in before.items() if key[1] != ad_id}
    after = pruned.versions("ad_actuals")
    assert {key: version for key, version in after.items() if key[1] != ad_id} == others != {}
    assert after.keys() == before.keys()


def test_pruned_days_that_are_fetched_again_are_brought_up_to_date(
    pruned: Pipeline, window: DayWindow
) -> None:
    known = pruned.rows("ad_actuals", *FIGURES)
    pruned.graph.world.now += timedelta(days=2)
    assert pruned.run(window).success
    assert pruned.rows("ad_actuals", *FIGURES) == pruned.truth(window) != known
    assert newest_day_of(pruned.rows("raw_meta_insights")) == window.until
