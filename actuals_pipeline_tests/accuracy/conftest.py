"""Builders of frames from the few values that a test is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from actuals_pipeline.accuracy.as_known import changes_of
from actuals_pipeline.accuracy.contract import (
    DELIVERED_ADS,
    KNOWN_DAYS,
    PAIRS,
    PREDICTIONS,
    REVISIONS,
)
from actuals_pipeline.frames import Contract, conform
from actuals_pipeline.videos import VIDEOS

Frames = Callable[..., pd.DataFrame]

_PREDICTION = {
    "prediction_id": "p1",
    "video_id": "v1",
    "model_name": "ranker",
    "model_version": "1",
    "predicted_ctr": 0.025,
    "predicted_roas": 3.0,
    "logged_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "is_attested": True,
    "claimed_at": None,
    "received_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
}
_VIDEO = {"video_id": "v1", "ad_id": "a1", "created_at": datetime(2026, 3, 1, 10, tzinfo=UTC)}
_DAY = {
    "account_id": "42",
    "ad_id": "a1",
    "report_date": date(2026, 3, 3),
    "currency": "EUR",
    "impressions": 1000,
    "clicks": 25,
    "spend": Decimal("10.00"),
    "conversions": 2,
    "revenue": Decimal("30.00"),
}
_PAIR = {
    "as_of_date": date(2026, 3, 10),
    "ad_id": "a1",
    "model_name": "ranker",
    "model_version": "1",
    "protocol": "launch_to_date",
    "status": "eligible",
    "account_id": "42",
    "currency": "EUR",
    "video_id": "v1",
    "prediction_id": "p1",
    "predicted_ctr": 0.025,
    "predicted_roas": 3.0,
    "predicted_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "days_since_prediction": 9,
    "is_attested": True,
    "impressions": 10_000,
    "clicks": 275,
    "spend": Decimal("100.00"),
    "conversions": 20,
    "revenue": Decimal("285.00"),
    "first_delivery_on": date(2026, 3, 3),
    "last_delivery_on": date(2026, 3, 9),
    "settled_spend_share": 0.0,
    "matures_on": None,
    "completeness": None,
    "completeness_se": None,
    "is_provisional": True,
    "is_reconstructed": False,
}
_DELIVERED = {
    "as_of_date": date(2026, 3, 10),
    "protocol": "launch_to_date",
    "ad_id": "a1",
    "video_id": "v1",
    "account_id": "42",
    "currency": "EUR",
    "spend": Decimal("100.00"),
}


def _builder(contract: Contract, usual: dict[str, Any]) -> Frames:
    def build(*rows: dict[str, Any]) -> pd.DataFrame:
        return conform(
            pd.DataFrame([usual | row for row in rows], columns=contract.names), contract
        )

    return build


@pytest.fixture(scope="session")
def predictions_of() -> Frames:
    """Predictions of video v1, logged at noon of 2026-03-01, with each row's own values."""
    build = _builder(PREDICTIONS, _PREDICTION)
    return lambda *rows: build(*({"sequence": i} | row for i, row in enumerate(rows, 1)))


@pytest.fixture(scope="session")
def videos_of() -> Frames:
    """Videos made on 2026-03-01, shown by ad a1, with each row's own values."""
    return _builder(VIDEOS, _VIDEO)


@pytest.fixture(scope="session")
def revisions_of() -> Frames:
    """Days of ad a1 in account 42, known on the day itself, with each row's own values."""
    build = _builder(REVISIONS, _DAY)

    def built(*rows: dict[str, Any]) -> pd.DataFrame:
        return build(*({"as_of_date": (_DAY | row)["report_date"]} | row for row in rows))

    return built


@pytest.fixture(scope="session")
def actuals_of(revisions_of: Frames) -> Frames:
    """What is known of days of ad a1, each known on the day itself, with each row's own values."""
    return lambda *rows: changes_of(revisions_of(*rows))


@pytest.fixture(scope="session")
def pairs_of() -> Frames:
    """Eligible pairs with the specification's two examples, with each row's own values."""
    return _builder(PAIRS, _PAIR)


@pytest.fixture(scope="session")
def delivered_of() -> Frames:
    """Delivered ads, with each row's own values."""
    return _builder(DELIVERED_ADS, _DELIVERED)


@pytest.fixture(scope="session")
def known_days_of() -> Frames:
    """Report days of account 42, known on the day itself unless a row says otherwise."""
    build = _builder(KNOWN_DAYS, {"account_id": "42"})
    return lambda *rows: build(*({"known_since": row["report_date"]} | row for row in rows))
