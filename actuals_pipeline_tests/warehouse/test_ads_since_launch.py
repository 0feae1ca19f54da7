"""A long past is read as a few rows an ad, and says the same as all of its days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.launch_to_date import launch_to_date
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import history, store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice
from actuals_pipeline.warehouse.tables import ad_actuals

RowsOf = Callable[..., pd.DataFrame]

FIRST = date(2025, 11, 1)
EVERYTHING = DayWindow(FIRST, FIRST + timedelta(days=160))
PASTS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(0, 110)),
    st.tuples(st.sampled_from([0, 0, 1000]), st.integers(0, 300)),
    max_size=25,
)
"""Impressions and cents by ad and day since FIRST; a day without delivery may have revenue."""


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(PASTS, st.integers(60, 120), st.integers(1, 5))
def test_what_an_ad_did_up_to_a_day_is_what_all_its_days_say(
    warehouse: Warehouse,
    connection: psycopg.Connection,
    rows_of: RowsOf,
    past: dict[tuple[str, int], tuple[int, int]],
    first_as_of: int,
    n_days: int,
) -> None:
    connection.execute("TRUNCATE actuals.ad_actuals, actuals.ad_actuals_revisions")
    rows = rows_of(
        ad_actuals,
        *(
            {
                "ad_id": ad,
                "report_date": FIRST + timedelta(days=day),
                "impressions": impressions,
                "clicks": impressions // 100,
                "spend": Decimal(cents if impressions else 0) / 100,
                "revenue": Decimal(cents) / 100,
            }
            for (ad, day), (impressions, cents) in past.items()
        ),
    )
    store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows, (Slice(EVERYTHING),)))
    start = FIRST + timedelta(days=first_as_of)
    as_of_days = DayWindow(start, start + timedelta(days=n_days))
    ads = pd.DataFrame(
        {
            "ad_id": pd.Series(list("abcd"), dtype="str"),
            "video_id": pd.Series(list("wxyz"), dtype="str"),
            "created_at": pd.Series(
                [datetime(2025, 10, 1, tzinfo=UTC)] * 4, dtype="datetime64[us, UTC]"
            ),
        }
    )
    got, want = (
        launch_to_date(ads, known, {"42": "Asia/Tokyo"}, list(as_of_days), default_zone="UTC")
        for known in (history.ads_since_launch(warehouse, list("abcd"), as_of_days), rows)
    )
    assert_frame_equal(got, want)


def test_a_long_past_is_at_most_three_rows_an_ad_beside_the_days_that_may_not_be_settled(
    warehouse: Warehouse, rows_of: RowsOf
) -> None:
    lived = DayWindow(FIRST, FIRST + timedelta(days=150))
    rows = rows_of(
        ad_actuals,
        *(
            {"ad_id": ad, "report_date": day, "impressions": 10 * (5 < n < 90)}
            for ad in "ab"
            for n, day in enumerate(lived)
        ),
    )
    store.replace_in_transaction(warehouse, ad_actuals, CoveredRows(rows, (Slice(EVERYTHING),)))
    as_of_days = DayWindow.trailing(lived.until, 2)
    known = history.ads_since_launch(warehouse, ["a"], as_of_days)
    daily = 2 + 28 + 1
    assert len(known) == 3 + daily
    assert known["impressions"].tolist()[:3] == [10, 83 * 10, 0]
