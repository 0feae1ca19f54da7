"""Rows for the page, and where its charts' script is kept, for it takes seconds to make."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actuals_pipeline.serving.report import reading
from actuals_pipeline.serving.report.contents import contents_of
from actuals_pipeline.serving.report.page import page_of
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.serving.conftest import Insert

Render = Callable[..., str]

HOSTILE = "</script><script>alert('ad')</script> <b>[x](javascript:alert(1))</b> <!-- =1+1"
DAYS = [date(2026, 3, day) for day in range(1, 8)]


@pytest.fixture(scope="session")
def drawing_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawing")


@pytest.fixture
def render(warehouse: Warehouse, drawing_home: Path) -> Render:
    """The page of what is in the database."""

    def rendered(**options: Any) -> str:
        return page_of(contents_of(reading.read(warehouse)), drawing_home, **options).html

    return rendered


@pytest.fixture
def week(insert: Insert) -> None:
    """Two ads of two currencies over a week, one of them with a hostile name, and a prediction."""
    for day in DAYS:
        for account, currency in (("42", "EUR"), ("43", "JPY")):
            insert("meta_account_totals", account_id=account, report_date=day, currency=currency)
            insert(
                "ad_actuals", account_id=account, ad_id=f"ad-{account}", report_date=day,
                currency=currency, ad_name=HOSTILE, campaign_id=f"c{account}",
                campaign_name=HOSTILE, spend=Decimal("0.10"), revenue=Decimal("0.33"),
                conversions=1, impressions=1000, clicks=20, is_settled=day < DAYS[3],
            )  # fmt: skip
    insert(
        "spend_reconciliation", account_id="42", report_date=DAYS[0], ads_spend=Decimal("0.10"),
        meta_spend=Decimal("0.37"), spend_difference=Decimal("0.27"), verdict="gap",
    )  # fmt: skip
    insert(
        "prediction_accuracy", ad_id="ad-42", account_id="42", campaign_id="c42", video_id="v",
        prediction_id="p", currency="EUR", status="eligible", ctr_status="ok", roas_status="ok",
        predicted_ctr=0.02, actual_ctr=0.02, ctr_low=0.019, ctr_high=0.021, ctr_accuracy=1.0,
        ctr_verdict="within_tolerance", predicted_roas=3.0, actual_roas=3.3, roas_accuracy=0.9,
        roas_verdict="unresolved", impressions=7000, clicks=140, spend=Decimal("0.70"),
        predicted_at="2026-02-27T00:00:00Z",
    )  # fmt: skip


def data_of(html: str) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data
