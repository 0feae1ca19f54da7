"""A frame that keeps its contract fits its table, and what is read back keeps the contract."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, DateTime, Double, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB

from actuals_pipeline.accuracy import contract as accuracy
from actuals_pipeline.accuracy.drift import contract as drift
from actuals_pipeline.accuracy.drift.retraining import Action
from actuals_pipeline.actuals import contract as actuals
from actuals_pipeline.frames import Contract, Kind, check_frame
from actuals_pipeline.spend import contract as spend
from actuals_pipeline.warehouse.store import frame_of
from actuals_pipeline.warehouse.tables import TABLES

STORED = [
    actuals.AD_ACTUALS,
    actuals.TOTALS,
    actuals.RECONCILIATION,
    accuracy.JUDGED_PAIRS,
    accuracy.MODEL_ACCURACY,
    accuracy.MODEL_STATISTICS,
    accuracy.REVENUE_DEVELOPMENT,
    accuracy.WINNERS,
    accuracy.BUDGET_ADVICE,
    drift.MODEL_DRIFT,
    spend.INVESTMENT_SUMMARY,
    spend.BUDGET_PACING,
]
"""The contracts of the frames that assets store; each has the name of its table."""

TYPES = {
    Kind.TEXT: Text,
    Kind.DAY: Date,
    Kind.INSTANT: DateTime,
    Kind.DECIMAL: Numeric,
    Kind.COUNT: BigInteger,
    Kind.NUMBER: Double,
    Kind.CLAIM: Double,
    Kind.FLAG: Boolean,
    Kind.TALLY: JSONB,
}


def test_every_table_that_is_computed_from_frames_has_a_contract() -> None:
    # The payloads are Meta's own, and budgets stand as they were read.  The logs, the fetch memory,
    # the pruned months, the exchange rates and the alerts are written row by row, and the revisions
    # by the database, of what changes.
    assert {contract.name for contract in STORED} == set(TABLES) - {
        "raw_meta_insights",
        "fetch_log",
        "alerts",
        "alert_messages",
        "watched_since",
        "heartbeats",
        "health_findings",
        "open_reports",
        "fruitless_ads",
        "ad_actuals_revisions",
        "pruned_months",
        "known_days",
        "ads",
        "prediction_log",
        "video_log",
        "exchange_rates",
        "budget_snapshots",
        "plan_snapshots",
        "meta_events",
        "retrain_states",
        "retrain_requests",
    }


@pytest.mark.parametrize("contract", STORED, ids=lambda contract: contract.name)
def test_a_table_has_its_contracts_columns_and_beyond_them_provenance_only(
    contract: Contract,
) -> None:
    table = TABLES[contract.name]
    names = {column.name for column in table.columns}
    provenance = {column.name for column in table.columns if column.info.get("provenance")}
    assert set(contract.names) <= names
    assert names - set(contract.names) <= provenance
    assert tuple(column.name for column in table.primary_key.columns) == contract.key


@pytest.mark.parametrize("contract", STORED, ids=lambda contract: contract.name)
def test_a_column_is_of_the_same_kind_and_as_nullable_in_both(contract: Contract) -> None:
    columns = TABLES[contract.name].columns
    got = {
        name: (type(column.type), column.nullable)
        for name, column in columns.items()
        if name in contract.names
    }
    want = {column.name: (TYPES[column.kind], column.nullable) for column in contract.columns}
    assert got == want


@pytest.mark.parametrize("contract", STORED, ids=lambda contract: contract.name)
def test_what_is_read_back_has_the_dtypes_of_the_contract(contract: Contract) -> None:
    columns = [TABLES[contract.name].columns[name] for name in contract.names]
    check_frame(frame_of(columns, []), contract)


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("spend_reconciliation", "verdict", actuals.VERDICTS),
        ("prediction_accuracy", "status", accuracy.PAIR_STATUSES),
        ("prediction_accuracy", "ctr_verdict", accuracy.VERDICTS),
        ("prediction_accuracy", "roas_verdict", accuracy.VERDICTS),
        ("revenue_development", "source", accuracy.CURVE_SOURCES),
        ("revenue_development", "dating", accuracy.DATINGS),
        ("revenue_development", "pace", accuracy.PACES),
        ("winners", "metric", accuracy.METRICS),
        ("winners", "basis", (accuracy.OBSERVATIONAL,)),
        ("model_drift", "metric", drift.METRICS),
        ("model_drift", "state", drift.STATES),
        ("model_drift", "versus_previous", drift.VERSUS_PREVIOUS),
        ("retrain_states", "state", drift.STATES),
        ("retrain_states", "action", tuple(Action)),
        ("retrain_requests", "action", tuple(Action)),
        ("investment_summary", "scope", spend.SCOPES),
        ("investment_summary", "outlook", spend.OUTLOOKS),
        ("budget_pacing", "level", spend.LEVELS),
        ("budget_pacing", "kind", spend.BUDGET_KINDS),
        ("budget_pacing", "verdict", spend.PACING_VERDICTS),
        ("budget_pacing", "reason", spend.PACING_REASONS),
    ],
)
def test_postgres_takes_the_words_of_the_contract_and_no_other(
    table: str, column: str, words: tuple[str, ...]
) -> None:
    (check,) = (
        str(constraint.sqltext)
        for constraint in TABLES[table].constraints
        if isinstance(constraint, CheckConstraint) and constraint.name == f"{table}_{column}_check"
    )
    assert sorted(re.findall(r"'(\w+)'", check)) == sorted(words)
