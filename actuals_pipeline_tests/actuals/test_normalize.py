from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from actuals_pipeline.actuals.contract import AD_ACTUALS, INSIGHTS
from actuals_pipeline.actuals.normalize import normalize
from actuals_pipeline.errors import FrameMismatch
from actuals_pipeline.frames import check_frame, empty_frame

Frames = Callable[..., pd.DataFrame]

REPORT_DAY = date(2026, 3, 7)
TODAY = {("42", REPORT_DAY): date(2026, 3, 8)}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_rates_are_recomputed_from_counts(insights_of: Frames, videos_of: Frames) -> None:
    [row] = normalize(insights_of({}), videos_of(), TODAY).to_dict("records")
    assert (row["ctr"], row["roas"], row["cpm"]) == (0.015, 3.2, 5.0)
    assert row["cpc"] == pytest.approx(250 / 750)
    assert row["frequency"] == pytest.approx(50 / 35)


def test_a_late_purchase_without_delivery_is_kept_and_its_rates_are_undefined(
    insights_of: Frames, videos_of: Frames
) -> None:
    late = {"impressions": 0, "clicks": 0, "link_clicks": 0, "reach": 0, "spend": Decimal(0)}
    [row] = normalize(insights_of(late), videos_of(), TODAY).to_dict("records")
    assert row["revenue"] == Decimal("800.00")
    assert all(pd.isna(row[rate]) for rate in ("ctr", "roas", "cpm", "cpc", "frequency"))


def test_unknown_reach_stays_unknown(insights_of: Frames, videos_of: Frames) -> None:
    [row] = normalize(insights_of({"reach": None}), videos_of(), TODAY).to_dict("records")
    assert pd.isna(row["reach"])
    assert pd.isna(row["frequency"])


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_of_two_videos_that_name_an_ad_the_oldest_holds_it(
    insights_of: Frames, videos_of: Frames, order: tuple[int, ...]
) -> None:
    rows = [
        ("a-undated", "6001", None),
        ("z-oldest", "6001", NOON),
        ("zz-as-old", "6001", NOON),
        ("b-younger", "6001", NOON + timedelta(seconds=1)),
    ]
    videos = videos_of(*(rows[i] for i in order))
    assert normalize(insights_of({}), videos, TODAY)["video_id"].tolist() == ["z-oldest"]
    undated = videos.drop(columns="created_at")
    assert normalize(insights_of({}), undated, TODAY)["video_id"].tolist() == ["a-undated"]


def test_an_ad_that_no_video_names_has_none(insights_of: Frames, videos_of: Frames) -> None:
    videos = videos_of(("v1", "9999", NOON), ("v2", None, NOON), ("v3", "", NOON))
    assert normalize(insights_of({}), videos, TODAY)["video_id"].isna().all()


def test_a_day_is_settled_by_the_calendar_of_its_own_account(
    insights_of: Frames, videos_of: Frames
) -> None:
    insights = insights_of({"account_id": "1"}, {"account_id": "2"})
    fetched_on = {("1", REPORT_DAY): date(2026, 4, 5), ("2", REPORT_DAY): date(2026, 4, 4)}
    got = normalize(insights, videos_of(), fetched_on).set_index("account_id")["is_settled"]
    assert got.to_dict() == {"1": True, "2": False}


def test_a_day_is_settled_by_its_own_fetch_and_not_by_that_of_another_day(
    insights_of: Frames, videos_of: Frames
) -> None:
    insights = insights_of({}, {"report_date": date(2026, 3, 6)})
    fetched_on = {("42", REPORT_DAY): date(2026, 3, 8), ("42", date(2026, 3, 6)): date(2026, 5, 1)}
    got = normalize(insights, videos_of(), fetched_on).set_index("report_date")["is_settled"]
    assert got.to_dict() == {REPORT_DAY: False, date(2026, 3, 6): True}


def test_an_account_day_without_a_day_of_fetch_is_refused(
    insights_of: Frames, videos_of: Frames
) -> None:
    with pytest.raises(FrameMismatch, match=r"report_date.*'has a day of fetch' at account_id=42"):
        normalize(insights_of({}), videos_of(), {})


def test_no_insights_are_no_actuals(videos_of: Frames) -> None:
    actuals = normalize(empty_frame(INSIGHTS), videos_of(("v", "6001", NOON)), {})
    check_frame(actuals, AD_ACTUALS)
    assert actuals.empty


@settings(max_examples=20)
@given(st.permutations(range(6)), st.decimals(0, 10**15, allow_nan=False, places=6))
def test_neither_row_order_nor_arithmetic_changes_what_meta_sent(
    insights_of: Frames, videos_of: Frames, order: list[int], spend: Decimal
) -> None:
    rows = [{"ad_id": str(ad), "spend": spend, "revenue": spend} for ad in range(6)]
    straight = normalize(insights_of(*rows), videos_of(), TODAY)
    shuffled = normalize(insights_of(*(rows[i] for i in order)), videos_of(), TODAY)
    assert_frame_equal(straight, shuffled)
    assert {str(cell) for cell in straight["spend"]} == {str(spend)}
