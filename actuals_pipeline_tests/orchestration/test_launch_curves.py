"""By which curve a window is told to be complete: its own day's, and never a later one's."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.contract import REVENUE_DEVELOPMENT
from actuals_pipeline.frames import conform
from actuals_pipeline.orchestration.launches import curves_by_day, shares_of

MAY_1, MAY_2, MAY_3 = (date(2026, 5, number) for number in (1, 2, 3))


def curves(*stored: tuple[date, float], dating: str = "unknown") -> pd.DataFrame:
    """Curves of account 42 on some days, which know a share of each day at every age."""
    rows = [
        {
            "as_of_date": day, "account_id": "42", "age_days": age,
            "revenue_share": share if age == 0 else 1.0, "revenue_share_se": 0.0,
            "clicks_share": None, "source": "revisions", "dating": dating, "n_cohorts": 60,
            "pace": "as_before",
        }
        for day, share in stored
        for age in range(29)
    ]  # fmt: skip
    return conform(pd.DataFrame(rows, columns=REVENUE_DEVELOPMENT.names), REVENUE_DEVELOPMENT)


def share(development: pd.DataFrame, known_by: date, as_of: date, last: int, learnt: int) -> float:
    account = pd.Series(["42"], dtype="str")
    window = pd.DataFrame({"as_of_date": [as_of], "known_by": [known_by], "account_id": account})
    by_day = curves_by_day(development, (MAY_1, MAY_2, MAY_3))
    found, _ = shares_of(by_day)(window, np.array([last]), np.array([learnt]))
    return float(found[0])


@pytest.mark.parametrize(
    ("stored", "want"),
    [
        ([(MAY_1, 0.5), (MAY_2, 0.6), (MAY_3, 0.7)], 0.5),
        ([(MAY_2, 0.6), (MAY_3, 0.7)], 0.6),
    ],
    ids=["of its own day", "else of the as-of day"],
)
def test_a_window_has_the_curve_of_the_day_by_which_it_was_known(
    stored: list[tuple[date, float]], want: float
) -> None:
    assert share(curves(*stored), MAY_1, MAY_2, last=0, learnt=0) == want


def test_a_later_days_curve_never_counts() -> None:
    assert share(curves((MAY_3, 0.7)), MAY_1, MAY_2, last=0, learnt=0) == share(
        curves(), MAY_1, MAY_2, last=0, learnt=0
    )


@pytest.mark.parametrize(("dating", "want"), [("impression", 1.0), ("conversion", 0.5)])
def test_what_was_learnt_later_makes_a_day_older_only_where_purchases_come_to_stand_on_it(
    dating: str, want: float
) -> None:
    development = curves((MAY_1, 0.5), dating=dating)
    assert share(development, MAY_1, MAY_1, last=0, learnt=20) == want
