"""The JSON of the command line: the specification's keys and units, and a few of our own.

A key that is taken away or renamed breaks a program that reads it, so each set is written out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers, json_numbers
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.serving.conftest import Command, Insert

SUMMARY_OF_A_SYNC = {
    *("total_ads", "successful", "failed", "rate_limited", "no_data"),
    *("total_spend", "total_conversions", "total_revenue", "duration_seconds", "timestamp"),
    # Of our own.
    "currency",
}
FETCHER_STATS = {
    *("total_fetches", "successful_fetches", "success_rate", "rate_limits_hit"),
    *("total_spend_tracked", "total_conversions_tracked"),
    # Of our own.
    *("failed_fetches", "spend_tracked_by_currency", "currency"),
}
AMOUNTS = {
    *("currency", "spend", "revenue", "roas", "conversions", "cpa", "impressions", "clicks"),
    *("ctr_percent", "settled_spend_share", "conversion_rate"),
}
FIGURES = {
    *("spend", "revenue", "roas", "conversions", "cpa", "impressions", "clicks"),
    *("conversion_rate", "link_conversion_rate"),
}
INVESTMENT = {
    *("as_of", "since", "currency", "total", "spent", "spent_at_least", "spent_share"),
    *("remaining", "settled_spend_share", "burn_per_day", "outlook", "days_left"),
    *("projected_end", "projected_end_ci95", "to_date", "last_7_days", "last_28_days"),
    *("by_currency", "accounts_covered", "accounts_missing", "unconverted", "is_reconstructed"),
}
ML_ACCURACY = {
    *("ctr_mae", "roas_mae", "prediction_accuracy"),
    # Of our own: whose it is, as of when, over what, and what it leaves out.
    *("model_name", "model_version", "basis", "weighting", "protocol", "as_of", "n_ads", "n_ctr"),
    *("n_roas", "n_predicted", "coverage_ads", "coverage_spend", "matured_share_spend"),
    *("prediction_accuracy_ci95", "noise_ceiling", "baseline_accuracy", "accuracy_of_achievable"),
    *("is_provisional", "is_attested", "n_clusters", "n_reconstructed", "unresolved_share"),
    *("excluded", "window", "attribution", "n_unattested", "ctr_calibration", "leaky_accuracy"),
}
DASHBOARD = {
    *("total_spend", "total_revenue", "overall_roas", "total_conversions", "avg_cpa"),
    "ml_accuracy",
    # Of our own.
    *("status", "source", "window", "missing", "currency", "by_currency", "models"),
    *("reconciliation", "advice", "as_of", "provisional"),
    *("overall", "daily", "investment", "conversion_rate", "budgets"),
}


BUDGET = {
    *("level", "id", "name", "account_id", "kind", "status", "currency", "daily_budget", "budget"),
    *("limit", "spent", "spent_by_whole_days", "expected_by_whole_days", "projected"),
    *("highest_day_share", "days_missing", "verdict", "reason", "is_reconstructed"),
}


def contract(answer: Any) -> Any:
    """The keys of an answer and of what is nested in it; of a list those of its first entry."""
    if isinstance(answer, dict):
        return {key: contract(value) for key, value in answer.items()}
    return [contract(answer[0])] if isinstance(answer, list) and answer else None


def plain(*keys: str) -> dict[str, None]:
    return dict.fromkeys(keys)


def test_reading_commands_answer_with_exactly_their_keys(command: Command, insert: Insert) -> None:
    insert("meta_account_totals")
    insert("ad_actuals", spend=Decimal(2), impressions=100, clicks=2)
    insert("model_accuracy")
    insert("spend_reconciliation")
    insert(
        "investment_summary", scope="overall", outlook="projected", projected_end=date(2027, 3, 7),
        projected_end_low=date(2027, 2, 7), accounts_missing=Jsonb({"43": 1}),
        unconverted=Jsonb({"JPY": 1}),
    )  # fmt: skip
    insert("investment_summary", scope="currency", outlook="no_total")
    insert(
        "budget_pacing", kind="plan", level="plan", budget_id="p", verdict="on_track",
        projected_spend_low=1.5, projected_spend_high=2.5,
    )  # fmt: skip
    insert("fetch_log", duration_seconds=1.5)
    insert("meta_events", event_key="0" * 64, field="effective_status", value=Jsonb(1))

    def answered(name: str) -> Any:
        return contract(json.loads(command(name, "--json").stdout))

    fetcher_stats = {**plain(*FETCHER_STATS), "spend_tracked_by_currency": plain("EUR")}
    assert answered("stats") == {
        **plain("status", "source"),
        "stats": {**fetcher_stats, "meta_api_configured": None},
    }
    assert answered("status") == {
        **plain("status", "source"),
        "problems": [None],
        "alerts": [plain("rule", "subject", "severity", "message", "advice")],
        "processes": None,
        "scheduler": {
            **plain("is_running", "interval_hours", "last_run"),
            "last_summary": plain(*SUMMARY_OF_A_SYNC),
            "fetcher_stats": fetcher_stats,
        },
        "meta_events": {
            **plain("last_24_hours"),
            "newest": [
                plain(
                    *("received_at", "happened_at", "account_id", "field", "object_level"),
                    *("object_id", "value"),
                )
            ],
        },
    }
    reasons = {
        *("leaky", "no_prediction", "no_delivery", "invalid", "too_young", "too_old"),
        *("incomplete_history", "unscored", "immature", "ambiguous", "unmatched"),
    }
    ml_accuracy = {
        **plain(*ML_ACCURACY),
        "excluded": plain(*reasons),
        "window": [None],
        "protocol": plain("ctr", "roas"),
    }
    completeness = ("revenue_completeness", "conversions_completeness")
    assert answered("summary") == {
        **plain(*DASHBOARD),
        "window": plain("since", "until"),
        "missing": [plain("account_id", "days", "of_days")],
        "by_currency": [plain(*AMOUNTS)],
        "overall": {**plain(*AMOUNTS), "unconverted": None},
        "daily": [
            plain(
                *("report_date", "currency", "spend", "revenue", "roas", "conversions", "cpa"),
                "conversion_rate",
            )
        ],
        "investment": {
            **plain(*INVESTMENT),
            "burn_per_day": plain("last_7_days", "last_28_days", "settled_28_days"),
            "projected_end_ci95": [None],
            **dict.fromkeys(("to_date", "last_7_days", "last_28_days"), plain(*FIGURES)),
            "by_currency": [plain("currency", *FIGURES)],
            "accounts_missing": [plain("account_id", "days")],
            "unconverted": [plain("currency", "days")],
        },
        "budgets": {
            **plain("as_of"),
            "verdicts": plain("overspending", "underspending", "on_track", "paused", "unknown"),
            "listed": [
                {
                    **plain(*BUDGET),
                    "period": plain("since", "until"),
                    "projected_ci95": [None],
                }
            ],
        },
        "ml_accuracy": ml_accuracy,
        "models": [ml_accuracy],
        "reconciliation": [plain("currency", "verdict", "account_days", "spend_difference")],
        "provisional": [
            {
                **plain("account_id", "days", *completeness),
                "by_day": [plain("report_date", "age_days", *completeness)],
            }
        ],
    }


def test_nothing_known_keeps_every_key(command: Command) -> None:
    summary = json.loads(command("summary", "--json").stdout)
    assert set(summary) == DASHBOARD
    status = json.loads(command("status", "--json").stdout)
    assert set(status["scheduler"]["fetcher_stats"]) == FETCHER_STATS
    assert status["scheduler"]["last_summary"] is None
    assert status["scheduler"]["fetcher_stats"]["success_rate"] is None


def test_a_fetch_answers_with_exactly_its_keys(
    command: Command, graph: GraphStandIn, product: None
) -> None:
    window = DayWindow.trailing(graph.world.today("42"), 7)
    ad_id = max(graph.world.truth("42", window), key=lambda row: row["impressions"])["ad_id"]
    answer = json.loads(command("fetch", ad_id, "--json").stdout)
    actuals = {
        *("impressions", "clicks", "ctr", "spend", "conversions", "roas", "revenue", "reach"),
        *("cpm", "cpc"),
        # Of our own.
        *("frequency", "currency"),
    }
    assert contract(answer) == {
        **plain("status", "ad_id", "video_id", "saved_to_db", "fetched_at", "source"),
        "actuals": plain(*actuals),
        "window": plain("since", "until"),
    }
    figures = answer["actuals"]
    assert figures["ctr"] == pytest.approx(100 * figures["clicks"] / figures["impressions"], 1e-3)
    assert datetime.fromisoformat(answer["fetched_at"]).utcoffset() is not None


def test_a_sync_answers_with_exactly_its_keys(
    actuals: Actuals, environment: dict[str, str], product: None
) -> None:
    environment["META_AD_ACCOUNT_ID"] = "act_42"
    start = datetime.now(UTC).date() - timedelta(days=3)
    environment["ACTUALS_START_DATE"] = str(start)
    done = actuals("sync", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert contract(answer) == {
        **plain("status", "source"),
        "summary": plain(*SUMMARY_OF_A_SYNC),
        "window": plain("since", "until"),
        "by_currency": [plain(*AMOUNTS)],
        "accounts": [plain("account_id", "outcome", "error_class", "error_message")],
        "run_ids": [None],
    }
    assert answer["window"]["since"] == str(start), "of the trailing week what there is"
    (euros,) = answer["by_currency"]
    assert answer["summary"]["total_spend"] == euros["spend"]
    assert not done.stderr, "no bar and no warning where stderr is no terminal"


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=18, min_value=-(10**20), max_value=10**20
    )
)
def test_an_amount_keeps_its_digits_on_the_way_through_json(amount: Decimal) -> None:
    text = answers.as_json({"amount": json_numbers.number(amount)})
    assert json.loads(text, parse_float=Decimal, parse_int=Decimal) == {"amount": amount}


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("250.00", "250"),
        ("0.10", "0.1"),
        ("-12.34", "-12.34"),
        ("12345678.1234567890123", "12345678.1234567890123"),
        ("0.000000000000000001", "1e-18"),
        ("9007199254740993", "9007199254740993"),
        ("1E+3", "1000"),
    ],
)
def test_an_amount_is_a_json_number(amount: str, text: str) -> None:
    assert answers.as_json([json_numbers.number(Decimal(amount))]) == f"[\n  {text}\n]"


def test_names_days_and_instants_are_text_as_they_are() -> None:
    answer = {"a": 'Größe \ue000 "1"', "b": date(2026, 3, 7), "c": datetime(2026, 3, 7, tzinfo=UTC)}
    assert json.loads(answers.as_json(answer)) == {
        "a": answer["a"], "b": "2026-03-07", "c": "2026-03-07T00:00:00+00:00",
    }  # fmt: skip
    with pytest.raises(ValueError, match="not JSON compliant"):
        answers.as_json({"a": float("nan")})
    with pytest.raises(TypeError, match="set has no JSON form"):
        answers.as_json({"a": {1}})


def test_a_sum_of_many_digits_is_printed_whole(command: Command, insert: Insert) -> None:
    insert("meta_account_totals")
    for ad_id, revenue in (("1", "1234567890.123456789"), ("2", "0.000000001")):
        insert("ad_actuals", ad_id=ad_id, revenue=Decimal(revenue), spend=Decimal("0.01"))
    result = command("summary", "--json")
    shown = json.loads(result.stdout, parse_float=Decimal)
    assert shown["total_revenue"] == Decimal("1234567890.123456790")
    assert "1,234,567,890.12" in command("summary").stdout


READ = """
import sys
from contextlib import suppress
from actuals_pipeline.serving.cli import main

for name in ("status", "stats", "summary"):
    with suppress(SystemExit):  # of `status`: nobody runs the daemon here
        main([name, "--json"], standalone_mode=False)
    with suppress(SystemExit):
        main([name], standalone_mode=False)
heavy = {"dagster", "pandas", "numpy", "sqlalchemy", "alembic", "facebook_business"}
sys.exit(f"loaded: {sorted(heavy & sys.modules.keys())}")
"""


def test_reading_commands_load_neither_dagster_nor_pandas(
    environment: dict[str, str], insert: Insert, in_own_folder: None
) -> None:
    insert("meta_account_totals")
    insert("fetch_log", duration_seconds=1.0)
    done = subprocess.run(
        [sys.executable, "-c", READ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "loaded: []\n"


def test_unknown_is_null_in_every_answer(warehouse: Warehouse, insert: Insert) -> None:
    """An ad without impressions, clicks, spend and purchases has no rate at all."""
    insert("meta_account_totals")
    insert("ad_actuals", attribution_setting="7d_click_1d_view")
    insert("model_accuracy")
    window = DayWindow.inclusive(date(2026, 3, 7), date(2026, 3, 7))
    settings = Settings.from_environment({})
    answer = answers.summary(warehouse, window, settings, datetime(2026, 3, 8, 12, tzinfo=UTC))
    (euros,) = answer["by_currency"]
    names = ("roas", "cpa", "ctr_percent", "settled_spend_share")
    assert [euros[name] for name in names] == [None] * 4
    accuracy = answer["ml_accuracy"]
    scores = ("ctr_mae", "roas_mae", "prediction_accuracy", "coverage_ads", "coverage_spend")
    assert [accuracy[name] for name in scores] == [None] * 5
    assert accuracy["window"] == [date(2026, 2, 5), date(2026, 3, 7)]
    assert accuracy["attribution"] == "7d_click_1d_view"
    counts = answers.stats(warehouse, settings)["stats"]
    assert counts["success_rate"] is None
