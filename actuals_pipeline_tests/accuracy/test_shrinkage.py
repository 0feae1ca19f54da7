"""Estimates drawn to their mean: the baseball players, and nearer the truth than before."""

from __future__ import annotations

import numpy as np
import pytest

from actuals_pipeline.accuracy.comparable import RoasPairs
from actuals_pipeline.accuracy.shrinkage import shrunken_roas, toward_the_mean

HITS_OF_45 = np.array([18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7])
LATER = np.array(
    [
        *(0.346, 0.298, 0.276, 0.222, 0.273, 0.270, 0.263, 0.210, 0.269),
        *(0.230, 0.264, 0.256, 0.303, 0.264, 0.226, 0.286, 0.316, 0.200),
    ]
)
"""Efron and Morris, 1975: batting of 18 players, from Clemente to Alvis."""


def test_efrons_and_morris_players() -> None:
    averages = HITS_OF_45 / 45
    mean = averages.mean()
    error = np.sqrt(mean * (1 - mean) / 45)
    shrunken = toward_the_mean(averages, error)
    assert 1 - shrunken.shares == pytest.approx(np.full(18, 0.2117), abs=5e-5)
    assert shrunken.values[0] == pytest.approx(0.294, abs=5e-4)
    assert shrunken.values[-1] == pytest.approx(0.242, abs=5e-4)
    assert np.sum((averages - LATER) ** 2) == pytest.approx(0.0753, abs=5e-4)
    assert np.sum((shrunken.values - LATER) ** 2) == pytest.approx(0.0213, abs=5e-4)


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("k", [6, 30])
def test_shrunken_estimates_are_nearer_and_their_errors_cover(k: int, spread: float) -> None:
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(400), k)
    error = rng.uniform(0.5, 1.7, len(group))
    true = 5 + np.sqrt(spread) * rng.normal(size=len(group))
    seen = true + error * rng.normal(size=len(group))
    shrunken = toward_the_mean(seen, error, group)
    assert np.mean((shrunken.values - true) ** 2) < 0.9 * np.mean((seen - true) ** 2)
    covered = np.mean(np.abs(shrunken.values - true) < 1.96 * shrunken.errors)
    assert 0.93 < covered < (1.0 if spread == 0 else 0.985)


def test_what_is_less_certain_is_drawn_further() -> None:
    shrunken = toward_the_mean([1, 2, 3, 4, 10], [0.1, 1, 0.1, 1, 3])
    assert shrunken.shares[0] < shrunken.shares[1] < shrunken.shares[4] < 1
    assert 4 < shrunken.values[4] < 10
    assert (shrunken.errors <= [0.1, 1, 0.1, 1, 3]).all()


def test_fewer_than_four_teach_nothing() -> None:
    shrunken = toward_the_mean([1, 2, 9, 5], [1, 1, 1, 2], ["x", "x", "x", "y"])
    assert shrunken.values.tolist() == [1, 2, 9, 5]
    assert shrunken.errors.tolist() == [1, 1, 1, 2]
    assert shrunken.shares.tolist() == [0, 0, 0, 0]
    assert len(toward_the_mean([], []).values) == 0


def test_groups_are_drawn_each_to_its_own_mean() -> None:
    values, errors = [1.0, 2, 3, 4, 101, 102, 103, 104], [2.0] * 8
    both = toward_the_mean(values, errors, ["x"] * 4 + ["y"] * 4)
    one = toward_the_mean(values[:4], errors[:4])
    assert both.values[:4].tolist() == pytest.approx(one.values.tolist())
    assert both.values[4:].tolist() == pytest.approx((one.values + 100).tolist())


def test_a_certain_estimate_is_refused() -> None:
    with pytest.raises(ValueError, match="errors"):
        toward_the_mean([1, 2], [0, 1])


def test_an_ad_that_sold_nothing_is_no_certain_zero() -> None:
    spend, revenue = [100.0, 100, 10, 1000, 50], [300.0, 250, 0, 3100, 140]
    pairs = RoasPairs.of(1, spend, revenue, order_value=20, order_value_cv=0.8)
    got = shrunken_roas(pairs, ["x"] * 5)
    assert 0.5 < got[2] < 3
    assert abs(got[3] - 3.1) < 0.1


def test_shrunken_roas_is_nearer_the_truth() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(100), 20)
    true = 3 * np.exp(rng.normal(0, 0.3, len(group)))
    spend = rng.uniform(20, 400, len(group))
    revenue = 20.0 * rng.poisson(true * spend / 20)
    pairs = RoasPairs.of(1, spend, revenue, order_value=20, order_value_cv=0)
    got = shrunken_roas(pairs, group)
    assert np.mean((got - true) ** 2) < 0.7 * np.mean((pairs.actual - true) ** 2)


def test_where_nothing_was_sold_nothing_is_known() -> None:
    pairs = RoasPairs.of([1.0] * 4, [10.0] * 4, [0, 0, -5, 20], order_value=20, order_value_cv=0.8)
    got = shrunken_roas(pairs, ["x", "x", "y", "z"])
    assert np.isnan(got).tolist() == [True, True, True, False]
    assert got[3] == 2
