"""Models that say ranges: documented values, and ranges that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from actuals_pipeline.accuracy.quantiles import (
    conformal_factor,
    coverage,
    pinball_loss,
    winkler_score,
)


@pytest.mark.parametrize(
    ("predicted", "quantile", "want"),
    [
        ([0, 2, 3], 0.1, 1 / 30),
        ([1, 2, 4], 0.1, 0.3),
        ([0, 2, 3], 0.9, 0.3),
        ([1, 2, 4], 0.9, 1 / 30),
    ],
)
def test_the_documented_values_of_scikit_learn(
    predicted: list[float], quantile: float, want: float
) -> None:
    assert pinball_loss(predicted, [1, 2, 3], quantile=quantile).value == pytest.approx(want)


def test_the_true_quantile_loses_least() -> None:
    actual = np.random.default_rng(1).normal(size=20_000)
    losses = [
        pinball_loss(guess, actual, quantile=0.9).value for guess in (1.0, 1.2, 1.2816, 1.4, 1.6)
    ]
    assert np.argmin(losses) == 2


def test_coverage_counts_the_ends() -> None:
    assert coverage([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, -0.1, 1.1]).value == 0.5
    assert coverage([0, 0], [1, 1], [0.5, 2], [3, 1]).value == 0.75


def test_winkler_fines_misses_by_their_distance() -> None:
    got = winkler_score([0, 0, 0], [2, 2, 2], [1, 2.5, -1], promised=0.8)
    assert got.value == pytest.approx((2 + (2 + 10 * 0.5) + (2 + 10 * 1)) / 3)


def test_the_honest_range_scores_best() -> None:
    actual = np.random.default_rng(2).normal(size=20_000)
    scores = [winkler_score(-half, half, actual, promised=0.8).value for half in (0.9, 1.2816, 1.8)]
    assert np.argmin(scores) == 1


@pytest.mark.parametrize("promised", [0.8, 0.95])
def test_a_conformal_range_holds_the_next_actual(promised: float) -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(2000):
        actual = np.exp(rng.standard_t(3, 40))
        factor = conformal_factor([1.0] * 39, actual[:39], promised=promised)
        held.append(1 / factor <= actual[39] <= factor)
    assert np.mean(held) == pytest.approx(promised, abs=0.02)


def test_nineteen_pairs_are_enough_for_95_percent_and_eighteen_are_not() -> None:
    actual = np.exp(np.linspace(0.1, 1.9, 19))
    assert conformal_factor([1] * 19, actual, promised=0.95) == pytest.approx(np.exp(1.9))
    assert np.isnan(conformal_factor([1] * 18, actual[:18], promised=0.95))
    assert np.isnan(conformal_factor([], [], promised=0.5))


def test_an_actual_of_zero_is_infinitely_far_off() -> None:
    actual = np.ones(39)
    actual[0] = 0
    assert conformal_factor(np.ones(39), actual, promised=0.95) == 1
    actual[1] = 0
    assert np.isnan(conformal_factor(np.ones(39), actual, promised=0.95))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="quantile"):
        pinball_loss([1], [1], quantile=90)
    with pytest.raises(ValueError, match="promised"):
        winkler_score([0], [1], [1], promised=1)
    with pytest.raises(ValueError, match="low"):
        coverage([2], [1], [1])
    with pytest.raises(ValueError, match="predicted"):
        conformal_factor([0], [1], promised=0.5)
    with pytest.raises(ValueError, match="actual"):
        conformal_factor([1], [-1], promised=0.5)
