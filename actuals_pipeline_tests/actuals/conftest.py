"""Builders of frames from the few values that a test is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from actuals_pipeline.actuals.contract import INSIGHTS, TOTALS
from actuals_pipeline.frames import Contract, conform

Frames = Callable[..., pd.DataFrame]

_AD = {
    "account_id": "42",
    "ad_id": "6001",
    "report_date": date(2026, 3, 7),
    "campaign_id": "7001",
    "campaign_name": "Spring",
    "adset_id": "8001",
    "adset_name": "Runners",
    "ad_name": "Blue shoe",
    "currency": "EUR",
    "attribution_setting": "7d_click_1d_view",
    "purchase_action_type": "omni_purchase",
    "impressions": 50_000,
    "clicks": 750,
    "link_clicks": 600,
    "reach": 35_000,
    "spend": Decimal("250.00"),
    "conversions": 45,
    "revenue": Decimal("800.00"),
    "fetched_at": datetime(2026, 3, 8, 6, tzinfo=UTC),
}
_TOTAL = {
    "account_id": "42",
    "report_date": date(2026, 3, 7),
    "account_name": "Shoes",
    "currency": "EUR",
    "time_zone": "Europe/Berlin",
    "impressions": 50_000,
    "clicks": 750,
    "reach": 35_000,
    "spend": Decimal("250.00"),
    "conversions": 45,
    "revenue": Decimal("800.00"),
    "purchase_action_type": "omni_purchase",
    "is_reported": True,
    "fetched_at": datetime(2026, 3, 8, 6, tzinfo=UTC),
}


def _frame(contract: Contract, usual: dict[str, Any], rows: tuple[dict[str, Any], ...]) -> Any:
    return conform(pd.DataFrame([usual | row for row in rows], columns=contract.names), contract)


@pytest.fixture(scope="session")
def insights_of() -> Frames:
    """An INSIGHTS frame: the specification's example ad, with each row's own values."""
    return lambda *rows: _frame(INSIGHTS, _AD, rows)


@pytest.fixture(scope="session")
def totals_of() -> Frames:
    """A TOTALS frame, with each row's own values."""
    return lambda *rows: _frame(TOTALS, _TOTAL, rows)


@pytest.fixture(scope="session")
def videos_of() -> Frames:
    """A `videos` frame from (video_id, ad_id, created_at) rows."""

    def build(*rows: tuple[str, str | None, datetime | None]) -> pd.DataFrame:
        columns = ["video_id", "ad_id", "created_at"]
        return pd.DataFrame(list(rows), columns=columns).astype(
            {"video_id": "str", "ad_id": "str", "created_at": "datetime64[us, UTC]"}
        )

    return build
