"""The checks of a run: each passes when its sentence holds, and names what breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.graph_stand_in.server import running_stand_in
from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.orchestration.accuracy_checks import ACCURACY_CHECKS
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.orchestration.conftest import RECONCILED, Pipeline, checks_of, examples


@pytest.fixture
def hiding(pipeline: Pipeline) -> Iterator[Pipeline]:
    """An installation over one account, whose deleted ads are in no list of ads."""
    plans = [account.plan for account in pipeline.graph.world.accounts.values()]
    world = World(now=pipeline.graph.world.now, accounts=plans[:1], deleted_in_lists=False)
    with running_stand_in(world) as stand_in:
        yield pipeline.asking(stand_in, META_AD_ACCOUNT_ID=f"act_{plans[0].account_id}")


def test_spend_of_an_ad_that_meta_does_not_list_is_a_gap_or_a_warning_inside_the_tolerance(
    hiding: Pipeline,
) -> None:
    world = hiding.graph.world
    today = world.today("42")
    ad = next(ad for ad in world.ads("42") if ad.status(today) == "DELETED")
    # Every ad delivers on its first day.
    day = ad.launch_day
    window = DayWindow.inclusive(day, day)
    hidden = [row["spend"] for row in hiding.truth(window) if row["ad_id"] == ad.ad_id]
    meta_spend = sum(row["spend"] for row in hiding.truth(window))
    assert hidden[0] > 0

    just_too_little = str(hidden[0] / meta_spend * Decimal("0.999"))
    outside = hiding.run(
        window, assets=RECONCILED, ACTUALS_RECONCILIATION_TOLERANCE=just_too_little
    )
    gap = checks_of(outside)["ads_add_up_to_metas_total"]
    assert (gap.passed, gap.severity) == (False, dg.AssetCheckSeverity.ERROR)
    (named,) = examples(gap)
    assert (named["account_id"], named["report_date"], named["currency"]) == ("42", str(day), "EUR")
    assert Decimal(named["spend_difference"]) == hidden[0]
    assert Decimal(named["meta_spend"]) == meta_spend
    told = advice(gap)
    assert told is not None
    assert "ACTUALS_STATUS_FILTER=all is in force" in told
    assert "measures whether `none` lists more ads" in told

    inside = hiding.run(window, assets=RECONCILED, ACTUALS_RECONCILIATION_TOLERANCE="1")
    tolerated = checks_of(inside)["ads_add_up_to_metas_total"]
    assert (tolerated.passed, tolerated.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert [row["verdict"] for row in examples(tolerated)] == ["within_tolerance"]
    assert advice(tolerated) == told

    before = day - timedelta(days=1)
    other_day = hiding.run(DayWindow.inclusive(before, before), assets=RECONCILED)
    assert checks_of(other_day)["ads_add_up_to_metas_total"].passed, "only its own days count"


def advice(check: dg.AssetCheckEvaluation) -> str | None:
    found = check.metadata.get("advice")
    return str(found.value) if found else None


def test_a_gap_says_which_status_filter_is_in_force_and_that_the_other_may_close_it(
    pipeline: Pipeline,
) -> None:
    world = pipeline.graph.world
    archived = next(ad for ad in world.ads("42") if ad.status(world.today("42")) == "ARCHIVED")
    # Every ad delivers on its first day.
    window = DayWindow.inclusive(archived.launch_day, archived.launch_day)
    without = pipeline.run(window, assets=RECONCILED, ACTUALS_STATUS_FILTER="none")
    gap = checks_of(without)["ads_add_up_to_metas_total"]
    assert not gap.passed
    told = advice(gap)
    assert told is not None
    assert "ACTUALS_STATUS_FILTER=none is in force" in told
    assert "`actuals doctor --deep` measures whether `all` lists more ads" in told

    named = pipeline.run(window, assets=RECONCILED, ACTUALS_STATUS_FILTER="all")
    closed = checks_of(named)["ads_add_up_to_metas_total"]
    assert (closed.passed, advice(closed)) == (True, None)


def test_an_account_whose_purchases_all_have_other_types_is_warned_about(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 3)
    counted = pipeline.run(
        window,
        assets=("raw_meta_insights", "meta_account_totals"),
        ACTUALS_PURCHASE_ACTION_TYPE="omni_purchase,act_43=purchase.that.never.occurs",
    )
    check = checks_of(counted)["the_purchase_action_type_occurs"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert {row["account_id"] for row in examples(check)} == {"43"}
    types = {row["action_type"]: int(row["ad_days"]) for row in examples(check)}
    with_purchases = [
        row
        for row in pipeline.truth(window)
        if row["account_id"] == "43" and row["conversions"] > 0
    ]
    assert types["omni_purchase"] >= len(with_purchases) > 0


def test_a_prediction_that_is_no_fraction_is_named(pipeline: Pipeline, today: date) -> None:
    window = DayWindow.inclusive(today, today)
    delivered = next(row for row in pipeline.truth(window) if row["impressions"])
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        # The product's own table need not have our constraint.
        connection.execute(
            "ALTER TABLE predictions DROP CONSTRAINT predictions_predicted_ctr_check"
        )
        connection.execute(
            "INSERT INTO predictions"
            " (video_id, model_name, predicted_ctr, predicted_roas, logged_at)"
            " SELECT id, 'in_percent', 2.5, 3, created_at FROM videos WHERE meta_platform_id = %s",
            [delivered["ad_id"]],
        )
    run = pipeline.run(window)
    assert run.success
    check = checks_of(run)["every_prediction_is_usable"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert examples(check) == [
        {
            "ad_id": delivered["ad_id"],
            "model_name": "in_percent",
            "model_version": "1",
            "predicted_ctr": "2.5",
            "predicted_roas": "3.0",
        }
    ]


def test_a_model_that_speaks_in_percent_keeps_every_accuracy_as_it_was(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.inclusive(today, today)
    assert pipeline.run(window).success
    before = pipeline.versions("model_accuracy")
    delivered = [row["ad_id"] for row in pipeline.truth(window) if row["clicks"]]
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        # Half a percent of some hundred ads, meant as 0.005: a fraction, if not a likely one.
        connection.execute(
            "INSERT INTO predictions (video_id, model_name, predicted_ctr)"
            " SELECT id, 'in_percent', 0.9 FROM videos WHERE meta_platform_id = ANY(%s)",
            [delivered],
        )
    run = pipeline.run(window)
    assert not run.success
    check = checks_of(run)["predicted_ctr_is_in_the_unit_of_the_actual"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    [named] = examples(check)
    assert named["model_name"] == "in_percent"
    assert float(named["median"]) > 30
    assert pipeline.versions("model_accuracy") == before != {}


@pytest.mark.parametrize(
    ("figures", "is_named"),
    [
        ({"prediction_accuracy": 99, "noise_ceiling": 93}, True),
        ({"prediction_accuracy": 94, "noise_ceiling": 93}, False),
        ({"prediction_accuracy": 99, "noise_ceiling": 93, "n_pairs": 5}, False),
        ({"coverage_spend": 0.79}, True),
        ({"coverage_spend": 0.8}, False),
        ({"n_reconstructed": 1}, True),
        ({"unresolved_share": 0.81}, True),
        ({"unresolved_share": 0.81, "n_pairs": 29}, False),
        ({"settled_spend_share": 0.49}, True),
        ({"settled_spend_share": 0.49, "n_pairs": 29}, False),
    ],
)
def test_what_makes_a_headline_doubtful_is_named(
    pipeline: Pipeline, today: date, figures: dict[str, float], *, is_named: bool
) -> None:
    usual = {
        "as_of_date": today, "model_name": "ranker", "model_version": "1", "protocol": "headline",
        "prediction_accuracy": 90, "prediction_accuracy_low": 89, "prediction_accuracy_high": 91,
        "noise_ceiling": 93, "coverage_spend": 1, "n_pairs": 50,
    } | dict.fromkeys(COUNTS, 0)  # fmt: skip
    row = usual | figures
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        connection.execute(
            sql.SQL("INSERT INTO actuals.model_accuracy ({}) VALUES ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )
        days = {"since": today, "until": today}
        found = [
            check.name
            for check in ACCURACY_CHECKS
            if check.asset == "model_accuracy" and connection.execute(check.query, days).fetchall()
        ]
    assert len(found) == is_named


COUNTS = (
    *("n_ctr", "n_roas", "n_predicted", "n_leaked", "n_no_delivery", "n_invalid", "n_too_young"),
    *("n_too_old", "n_unscored", "n_no_prediction"),
)


def test_a_late_prediction_that_counted_would_stop_the_run(pipeline: Pipeline, today: date) -> None:
    window = DayWindow.trailing(today, 20)
    assert pipeline.run(window).success
    [check] = [each for each in ACCURACY_CHECKS if each.name == "no_late_prediction_counts"]
    assert check.is_blocking
    days = {"since": window.since, "until": window.until}
    with psycopg.connect(pipeline.environment["DATABASE_URL"]) as connection:
        assert not connection.execute(check.query, days).fetchall()
        late = connection.execute(
            "UPDATE actuals.prediction_accuracy SET status = 'eligible' WHERE status = 'leaked'"
        ).rowcount
        assert len(connection.execute(check.query, days).fetchall()) == late > 0
