"""Odd values of Meta's, from the text of a payload to the tables: kept exactly, or refused by name.

What single stages make of them is tested beside each (`test_insights_parse`, `test_store`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Table

from actuals_pipeline.actuals.normalize import normalize
from actuals_pipeline.errors import UnexpectedPayload
from actuals_pipeline.frames import empty_frame
from actuals_pipeline.meta.parse import parse_insights
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.videos import VIDEOS
from actuals_pipeline.warehouse import store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import ad_actuals, ad_actuals_revisions

DAY = date(2026, 3, 7)
FETCHED_AT = datetime(2026, 3, 8, 12, tzinfo=UTC)
LONG = "Größe " * 13_000
"""64 KB and more of what a person may call an ad: far above what an index entry holds."""

Stored = Callable[[Table], list[dict[str, Any]]]


def store_text(warehouse: Warehouse, text: str) -> None:
    """What the pipeline does with the text of one payload."""
    insights = parse_insights(
        [json.loads(text)], purchase_action_type=lambda _: "omni_purchase", fetched_at=FETCHED_AT
    )
    figures = normalize(insights, empty_frame(VIDEOS), {("42", DAY): date(2026, 3, 8)})
    content = CoveredRows(figures, (Slice(DayWindow.inclusive(DAY, DAY), "42"),))
    store.replace_in_transaction(warehouse, ad_actuals, content)


def text_of(**members: str) -> str:
    """The text of a payload, each member of it as given."""
    usual = {
        "account_id": '"42"',
        "account_currency": '"EUR"',
        "ad_id": '"7"',
        "date_start": f'"{DAY}"',
        "date_stop": f'"{DAY}"',
    }
    return "{" + ", ".join(f'"{name}": {text}' for name, text in (usual | members).items()) + "}"


@pytest.mark.parametrize(
    ("members", "kept"),
    [
        (
            {"clicks": '"12"', "impressions": '"5"'},
            {"clicks": 12, "impressions": 5, "ctr": 2.4},
        ),
        ({"clicks": '"12"'}, {"clicks": 12, "impressions": 0, "ctr": None}),
        ({"ad_id": '"98765432109876543210"'}, {"ad_id": "98765432109876543210"}),
        ({"impressions": '"9007199254740993"'}, {"impressions": 2**53 + 1}),
        (
            {"spend": '"999999999999999999.123456789"'},
            {"spend": Decimal("999999999999999999.123456789")},
        ),
        ({"spend": '"12.50"'}, {"spend": Decimal("12.50")}),
        ({"ad_name": json.dumps(LONG)}, {"ad_name": LONG}),
        ({"ad_name": r'"a\u0000b"'}, {"ad_name": "a\ufffdb"}),
        ({"ad_name": r'"a\ud83db"'}, {"ad_name": "a?b"}),
        ({"ad_name": r'"\ud83d\ude00"'}, {"ad_name": "\N{GRINNING FACE}"}),
    ],
    ids=[
        "clicks above impressions", "clicks alone", "an id above 2^64", "a count above 2^53",
        "18 + 9 digits of money", "a last zero", "64 KB of name", "NUL", "half a pair", "a pair",
    ],
)  # fmt: skip
def test_what_can_be_stored_is_stored_exactly(
    warehouse: Warehouse, stored: Stored, members: dict[str, str], kept: dict[str, Any]
) -> None:
    store_text(warehouse, text_of(**members))
    (row,) = stored(ad_actuals)
    (revision,) = stored(ad_actuals_revisions)
    for name, value in kept.items():
        assert row[name] == value
        assert str(row[name]) == str(value)
        assert name not in revision or revision[name] == value


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"spend": "NaN"}, "spend"),
        ({"spend": '"NaN"'}, "spend"),
        ({"spend": "Infinity"}, "spend"),
        ({"spend": '"-0.01"'}, "spend"),
        ({"spend": "12.5"}, "spend"),
        ({"spend": '"1000000000000000000000000000000"'}, "spend"),
        ({"clicks": '"-1"'}, "clicks"),
        ({"impressions": '"9223372036854775808"'}, "impressions"),
        ({"account_currency": '"EURO"'}, "account_currency"),
        ({"account_currency": '"€"'}, "account_currency"),
        ({"ad_id": "6142546123068123"}, "ad_id"),
    ],
    ids=[
        "NaN", "NaN as text", "infinity", "negative money", "money as a float",
        "more money than there is", "negative count",
        "a count above 2^63", "four letters", "a sign", "an id as a number",
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_ad_day_and_field(
    warehouse: Warehouse, stored: Stored, members: dict[str, str], named: str
) -> None:
    store_text(warehouse, text_of(spend='"1.00"'))
    before = stored(ad_actuals)
    with pytest.raises(UnexpectedPayload, match=named) as caught:
        store_text(warehouse, text_of(**members))
    assert "act_42" in str(caught.value)
    assert str(DAY) in str(caught.value)
    assert stored(ad_actuals) == before
