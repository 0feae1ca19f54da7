from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from actuals_pipeline.accuracy import contract as accuracy_contract
from actuals_pipeline.actuals import contract as actuals_contract
from actuals_pipeline.actuals.contract import INSIGHTS
from actuals_pipeline.errors import FrameMismatch
from actuals_pipeline.frames import (
    Column,
    Contract,
    Kind,
    at_least_zero,
    check_added,
    check_columns,
    check_frame,
    conform,
    empty_frame,
)

Frames = Callable[..., pd.DataFrame]

ALL_CONTRACTS = [
    value
    for module in (actuals_contract, accuracy_contract)
    for value in vars(module).values()
    if isinstance(value, Contract)
]


@pytest.mark.parametrize("contract", ALL_CONTRACTS, ids=lambda contract: contract.name)
def test_a_frame_without_rows_keeps_its_contract(contract: Contract) -> None:
    check_frame(empty_frame(contract), contract)


@pytest.mark.parametrize("contract", ALL_CONTRACTS, ids=lambda contract: contract.name)
def test_every_key_and_every_rule_is_about_a_declared_column(contract: Contract) -> None:
    assert {*contract.key, *(rule.column for rule in contract.rules)} <= set(contract.names)
    assert all(column.meaning for column in contract.columns)


def test_unknown_reach_and_a_refund_are_no_breach(insights_of: Frames) -> None:
    # Reach is an estimate, and Meta's estimate may lie above the impressions.
    check_frame(insights_of({"reach": 50_001}), INSIGHTS)
    refund = {"reach": None, "revenue": Decimal("-3.10"), "conversions": -1}
    check_frame(insights_of(refund), INSIGHTS)


@pytest.mark.parametrize(
    ("row", "column", "law"),
    [
        ({"impressions": -1, "reach": 0}, "impressions", "is at least 0"),
        ({"spend": Decimal("-0.01")}, "spend", "is at least 0"),
        ({"spend": 250.0}, "spend", "is a finite Decimal"),
        ({"revenue": Decimal("NaN")}, "revenue", "is never missing"),
        ({"revenue": Decimal("Infinity")}, "revenue", "is a finite Decimal"),
        ({"report_date": datetime(2026, 3, 7)}, "report_date", "is a datetime.date"),  # noqa: DTZ001
        ({"currency": "eur"}, "currency", "is three capital letters"),
        ({"currency": None}, "currency", "is never missing"),
    ],
)
def test_a_breach_names_frame_column_row_and_rule(
    insights_of: Frames, row: dict[str, Any], column: str, law: str
) -> None:
    frame = insights_of({"ad_id": "1"}, {"ad_id": "2"} | row, {"ad_id": "3"} | row)
    with pytest.raises(FrameMismatch) as caught:
        check_frame(frame, INSIGHTS)
    message = str(caught.value)
    assert message.startswith(f"insights.{column}: ")
    assert f"'{law}'" in message
    assert "account_id=42, ad_id=2, report_date=2026-03-07" in message


def test_a_repeated_key_is_refused(insights_of: Frames) -> None:
    with pytest.raises(FrameMismatch, match=r"unique key.*ad_id=6001"):
        check_frame(insights_of({}, {}), INSIGHTS)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda frame: frame.drop(columns="spend"), "insights.spend: declared once, but there 0"),
        (lambda frame: frame.assign(extra=1), "insights.extra: not declared"),
        (lambda frame: frame[["ad_id", *frame.columns.drop("ad_id")]], "insights.ad_id: not"),
        (
            lambda frame: frame.assign(fetched_at=frame["fetched_at"].dt.tz_localize(None)),
            r"insights.fetched_at: dtype datetime64\[us\]",
        ),
        (lambda frame: frame.astype({"clicks": "float64"}), "insights.clicks: dtype float64"),
        (lambda frame: frame.astype({"ad_id": "object"}), "insights.ad_id: dtype object"),
    ],
    ids=["missing", "extra", "order", "naive", "float count", "object id"],
)
def test_another_shape_is_refused(
    insights_of: Frames, change: Callable[[pd.DataFrame], pd.DataFrame], named: str
) -> None:
    with pytest.raises(FrameMismatch, match=named):
        check_frame(change(insights_of({})), INSIGHTS)


def test_what_is_read_may_have_further_columns_in_any_order(insights_of: Frames) -> None:
    frame = insights_of({}).assign(extra=1)
    check_frame(frame[sorted(frame.columns)], INSIGHTS, exact=False)


PRICED = Contract(
    "priced_insights",
    INSIGHTS.key,
    (*INSIGHTS.columns, Column("price", Kind.NUMBER, "Of a click", nullable=True)),
    (*INSIGHTS.rules, *at_least_zero("price")),
)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"price": -1.0}, "price: -1.0 breaks the rule 'is at least 0' at account_id=42, ad_id=2"),
        ({"price": float("inf")}, "price: inf breaks the rule 'is finite'"),
        ({"price": "1"}, "price: dtype str, declared float64"),
        ({"extra": 1.0}, "extra: not declared"),
    ],
)
def test_what_a_step_adds_is_checked_and_what_was_there_is_not_again(
    insights_of: Frames, change: dict[str, Any], named: str
) -> None:
    # Clicks below zero were for whoever made INSIGHTS of these rows to see.
    frame = insights_of({"ad_id": "2", "clicks": -1}).assign(price=1.0)
    check_added(frame, PRICED, INSIGHTS)
    with pytest.raises(FrameMismatch, match=re.escape(named)):
        check_added(frame.assign(**change), PRICED, INSIGHTS)


def test_of_what_was_checked_before_only_the_columns_are_looked_at(insights_of: Frames) -> None:
    frame = insights_of({"clicks": -1}).assign(extra=1)
    check_columns(frame, INSIGHTS)
    with pytest.raises(FrameMismatch, match=r"insights\.spend: declared once, but there 0"):
        check_columns(frame.drop(columns="spend"), INSIGHTS)
    with pytest.raises(FrameMismatch, match=r"insights\.clicks: dtype float64"):
        check_columns(frame.astype({"clicks": "float64"}), INSIGHTS)


def test_what_is_written_to_a_conformed_frame_stays_there(insights_of: Frames) -> None:
    given = insights_of({}, {"ad_id": "2"})
    conformed = conform(given, INSIGHTS)
    conformed.loc[0, "clicks"] = 123
    assert conformed["clicks"].tolist()[0] == 123 != given["clicks"].tolist()[0]


def test_conforming_gives_the_declared_dtypes(insights_of: Frames) -> None:
    loose = insights_of({"reach": None}).astype(
        {"ad_id": "object", "fetched_at": "datetime64[ns, UTC]", "clicks": "Int64"}
    )
    conformed = conform(loose, INSIGHTS)
    check_frame(conformed, INSIGHTS)
    assert conformed["report_date"][0] == date(2026, 3, 7)
    assert {str(conformed[name].dtype) for name in ("clicks", "reach")} == {"int64", "Int64"}


def test_what_is_missing_among_objects_is_none_however_it_was_said() -> None:
    contract = Contract("days", ("day",), (Column("day", Kind.DAY, "A day", nullable=True),))
    for missing in (None, pd.NaT, float("nan")):
        days = pd.DataFrame({"day": pd.Series([date(2026, 3, 7), missing], dtype="object")})
        assert conform(days, contract)["day"].tolist() == [date(2026, 3, 7), None]
