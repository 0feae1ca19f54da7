"""Mean run lengths against Brook and Evans' Markov chain, and limits against run lengths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from actuals_pipeline.accuracy.drift.run_lengths import limit_for, quiet_steps, weekly_limit

KNOWN = [
    (0.5, 5, 465),
    (0.5, 6, 1_276),
    (0.5, 7, 3_483),
    (0.5, 8, 9_481),
    (0.25, 8, 368),
    (0.25, 10, 1_036),
]


def of_the_chain(limit: float, k: float, states: int = 400) -> float:
    """Brook and Evans: the chart's values in cells, and the mean steps until it leaves them."""
    width = 2 * limit / (2 * states - 1)
    middle = np.arange(states) * width
    ends = stats.norm.cdf(middle[None, :] + width / 2 - middle[:, None] + k)
    moves = np.diff(ends, axis=1, prepend=0)
    return float(np.linalg.solve(np.eye(states) - moves, np.ones(states))[0]) / 2


@pytest.mark.parametrize(("k", "limit", "want"), KNOWN)
def test_the_mean_run_length_is_that_of_the_chain(k: float, limit: float, want: float) -> None:
    got = quiet_steps(limit, k)
    assert got == pytest.approx(want, rel=2e-3)
    assert got == pytest.approx(of_the_chain(limit, k), rel=1e-3)


@pytest.mark.parametrize(("k", "limit", "_want"), KNOWN)
def test_the_limit_for_a_run_length_is_its_inverse(k: float, limit: float, _want: float) -> None:
    assert limit_for(quiet_steps(limit, k), k) == pytest.approx(limit, abs=1e-5)


def test_more_charts_take_a_higher_limit() -> None:
    limits = [weekly_limit(n) for n in (0, 1, 2, 20, 200)]
    assert limits == sorted(limits)
    # Twenty weekly charts for two years are 2,087 weeks, a limit between 6 and 7.
    assert quiet_steps(limits[3]) == pytest.approx(2 * 365.2425 / 7 * 20, rel=1e-4)
    assert 6 < limits[3] < 7


def test_limits_without_a_run_length_are_refused() -> None:
    with pytest.raises(ValueError, match="A limit"):
        quiet_steps(0)
    with pytest.raises(ValueError, match="No limit"):
        limit_for(1)
