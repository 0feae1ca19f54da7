"""What somebody without a model would have predicted of each launch."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from actuals_pipeline.accuracy.baseline import account_rates
from actuals_pipeline.accuracy.contract import KNOWN_ACCOUNT_DAYS
from actuals_pipeline.frames import conform

AS_OF = date(2026, 3, 10)
NAN = float("nan")


def test_each_launch_has_the_rates_of_its_accounts_28_days_before_it() -> None:
    def known(account_id: str, days_ago: int, clicks: int, revenue: str) -> dict[str, object]:
        return {
            "is_reconstructed": False, "account_id": account_id, "impressions": 100,
            "report_date": AS_OF - timedelta(days=days_ago), "known_on": AS_OF, "clicks": clicks,
            "spend": Decimal(10), "revenue": Decimal(revenue),
        }  # fmt: skip

    days = conform(
        pd.DataFrame(
            [
                known("42", 31, 50, "90.00"),
                known("42", 30, 1, "10.00"),
                known("42", 9, 3, "30.00"),
                known("43", 9, 7, "70.00"),
            ]
        ),
        KNOWN_ACCOUNT_DAYS,
    )
    launches = [("42", 2), ("42", 9), ("43", 2), ("42", 2), ("42", None), ("42", 31)]
    pairs = pd.DataFrame(
        {
            "as_of_date": pd.Series([AS_OF] * len(launches), dtype=object),
            "account_id": [account_id for account_id, _ in launches],
            "first_delivery_on": pd.Series(
                [None if ago is None else AS_OF - timedelta(days=ago) for _, ago in launches],
                dtype=object,
            ),
        }
    ).set_axis([5, 1, 9, 3, 2, 7])
    got = account_rates(pairs, days, {})
    assert got.index.tolist() == [5, 1, 9, 3, 2, 7]
    # From the thirtieth day before on, of the launch two days ago; the launch day is none of them.
    assert got["baseline_ctr"].tolist() == pytest.approx(
        [(1 + 3) / 200, (50 + 1) / 200, 0.07, (1 + 3) / 200, NAN, NAN], nan_ok=True
    )
    assert got["baseline_roas"].tolist() == pytest.approx([2, 5, 7, 2, NAN, NAN], nan_ok=True)
