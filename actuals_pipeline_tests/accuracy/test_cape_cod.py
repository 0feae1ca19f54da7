"""The ROAS of ads whose revenue is still coming in, by hand."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.cape_cod import launch_to_date


def test_revenue_is_held_against_the_spend_that_had_its_time() -> None:
    got = launch_to_date(
        ["b", "a", "b", "b"],
        pd.Series([Decimal(100), Decimal(50), Decimal(200), Decimal(0)]),
        pd.Series([Decimal(300), Decimal(75), Decimal(150), Decimal(30)]),
        [1.0, 0.5, 0.6, 0.5],
        [0.0, 0.1, 0.05, 0.1],
    )
    assert got.ads.tolist() == ["a", "b"]
    assert got.roas.tolist() == pytest.approx([75 / 25, 480 / 220])
    assert got.completeness.tolist() == pytest.approx([0.5, 220 / 300])
    assert got.relative_error.tolist() == pytest.approx([5 / 25, 10 / 220])


def test_what_is_known_whole_is_left_as_it_is() -> None:
    got = launch_to_date(["a", "a"], [10, 20], [30, 30], 1.0)
    assert (got.roas[0], got.completeness[0], got.relative_error[0]) == (2, 1, 0)


def test_an_ad_that_spent_nothing_has_no_roas() -> None:
    got = launch_to_date(["a"], [0], [30], [0.5])
    assert np.isnan([got.roas[0], got.completeness[0], got.relative_error[0]]).all()
    assert len(launch_to_date([], [], [], []).roas) == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [("spend", ([-1], [1], [1], [0])), ("shares", ([1], [1], [-1], [0]))],
)
def test_what_cannot_be_is_refused(name: str, values: tuple[list[float], ...]) -> None:
    with pytest.raises(ValueError, match=name):
        launch_to_date(["a"], *values)


def test_a_hundred_thousand_days_take_no_time() -> None:
    n = 100_000
    ads = np.repeat(np.arange(n // 20), 20)
    got = launch_to_date(ads, np.ones(n), np.full(n, 2.0), np.full(n, 0.8), np.full(n, 0.01))
    assert got.roas.tolist() == pytest.approx([2.5] * (n // 20))
