"""Whether days still mature as they did: quiet while they do, and soon heard when they do not."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pytest

from actuals_pipeline.accuracy.curve_watch import pace

Floats = npt.NDArray[np.float64]

MONDAY = date(2026, 1, 5)
STEPS = np.append([20.0, 10, 4, 4, 3, 3, 3, 3], np.zeros(21))
"""Purchases that come to be known of a day at each age."""


def days(rng: np.random.Generator, steps: Floats = STEPS, n: int = 90) -> Floats:
    """Purchases known of `n` days by age, cumulative; of the newest not all ages have come."""
    known = rng.poisson(steps, (n, len(steps))).cumsum(axis=1).astype(float)
    known[np.arange(n, 0, -1)[:, np.newaxis] <= np.arange(len(steps))] = np.nan
    return known


def test_days_that_mature_alike_raise_no_alarm() -> None:
    rng = np.random.default_rng(1)
    paces = [pace(known * 40, known, MONDAY) for known in (days(rng) for _ in range(300))]
    # Four weeks are told, and a false alarm comes once in two years.
    assert set(paces) == {"as_before", "changed"}
    assert np.mean([each == "changed" for each in paces]) < 0.04


@pytest.mark.parametrize("weeks_ago", [1, 2, 3])
def test_an_outage_of_the_tracking_is_heard(weeks_ago: int) -> None:
    """For a while half of the purchases are reported three days late."""
    rng = np.random.default_rng(2)
    late = STEPS.copy()
    late[:4] = [10, 5, 2, 21]
    heard = []
    for _ in range(60):
        known = days(rng)
        # The last that have been known for eight days are in the week of the 78th.
        after = 77 - 7 * weeks_ago
        known[after:] = days(rng, late)[after:]
        heard.append(pace(known * 40, known, MONDAY) == "changed")
    assert np.mean(heard) > 0.8


def test_too_few_days_or_purchases_tell_nothing() -> None:
    rng = np.random.default_rng(3)
    known = days(rng)
    assert pace(known[-60:], known[-60:], MONDAY) == "as_before"
    assert pace(known[-45:], known[-45:], MONDAY) == "unknown"
    assert pace(known * 40, known * 0.05, MONDAY) == "unknown"
    assert pace(known * 0, known, MONDAY) == "unknown"
    assert pace(known[:0], known[:0], MONDAY) == "unknown"


def test_days_that_never_change_mature_as_before() -> None:
    known = np.full((90, 29), 50.0)
    assert pace(known, known, MONDAY) == "as_before"


def test_many_accounts_together_are_no_more_often_wrong() -> None:
    rng = np.random.default_rng(4)
    late = STEPS.copy()
    late[1:3] = [3, 11]
    known = days(rng)
    known[63:] = days(rng, late)[63:]
    alone = pace(known * 40, known, MONDAY)
    among = pace(known * 40, known, MONDAY, n_accounts=10_000)
    assert (alone, among) == ("changed", "as_before")
