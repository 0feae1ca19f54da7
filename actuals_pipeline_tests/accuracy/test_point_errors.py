"""The usual measures of error, against documented values and by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from actuals_pipeline.accuracy.comparable import CtrPairs
from actuals_pipeline.accuracy.point_errors import (
    log_ratio_quantile,
    mae,
    mape,
    poisson_deviance,
    r_squared,
    revenue_deviance,
    rmse,
    skill,
    smape,
    wape,
)
from actuals_pipeline.accuracy.sums import Summed
from actuals_pipeline_tests.accuracy.test_entropy import TOY

PREDICTED = [2.5, 0.0, 2, 8]
ACTUAL = [3, -0.5, 2, 7]


@pytest.mark.parametrize(
    ("measure", "want"),
    [(mae, 0.5), (rmse, 0.6123724357), (r_squared, 0.9486081370), (mape, 0.3273809524)],
)
def test_the_documented_values_of_scikit_learn(measure: Callable[..., Summed], want: float) -> None:
    assert measure(PREDICTED, ACTUAL).value == pytest.approx(want, abs=5e-11)


def test_the_toy_of_the_reference() -> None:
    assert 100 * mae(TOY.predicted, TOY.actual).value == pytest.approx(0.15)
    weighted = mae(TOY.predicted, TOY.actual, TOY.impressions)
    assert 100 * weighted.value == pytest.approx(0.114286, abs=5e-7)
    assert wape(TOY.predicted, TOY.actual, TOY.impressions).value == pytest.approx(
        0.0727273, abs=5e-8
    )


def test_wape_is_the_sum_of_all_errors_over_all_that_came() -> None:
    spend, revenue, predicted = (
        np.array([10, 20, 5.0]),
        np.array([30, 0, 10.0]),
        np.array([2, 1, 3]),
    )
    want = (abs(20 - 30) + 20 + abs(15 - 10)) / 40
    assert wape(predicted, revenue / spend, spend).value == pytest.approx(want)
    assert np.isnan(wape([1.0], [0.0], [10]).value)
    assert wape([0.0, 0.0], [1.0, 3.0], [10, 2]).value == 1


def test_smape_knows_zeros() -> None:
    assert smape([0.3], [0.1]).value == pytest.approx(1)
    assert smape([0.3], [0]).value == 2
    assert smape([0, 0.3], [0, 0]).value == 1


@pytest.mark.parametrize("measure", [smape, log_ratio_quantile])
def test_a_relative_measure_takes_nothing_below_zero(measure: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="actual"):
        measure([1.0], [-1.0])
    with pytest.raises(ValueError, match="predicted"):
        measure([-1.0], [1.0])


def test_an_error_relative_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="actual: 0"):
        mape([0.1, 0.1], [0.1, 0])


def test_r_squared_of_the_mean_is_zero_and_of_the_truth_one() -> None:
    actual, weights = np.array([1.0, 2, 4]), np.array([1.0, 1, 2])
    mean = np.full(3, np.average(actual, weights=weights))
    assert r_squared(mean, actual, weights).value == pytest.approx(0, abs=1e-12)
    assert r_squared(actual, actual, weights).value == 1
    assert r_squared(actual + 9, actual, weights).value < 0
    assert np.isnan(r_squared([0.1, 0.3], [0.2, 0.2]).value)
    assert np.isnan(r_squared([0.1 + 1e6] * 3, [0.1] * 3, [1, 2, 3]).value)


def test_skill_is_measured_against_the_baseline() -> None:
    actual, predicted, baseline = [1.0, 2, 3], [1.1, 2, 3.1], [2.0, 2, 2]
    assert skill(predicted, actual, baseline=baseline).value == pytest.approx(0.9)
    assert skill(baseline, actual, baseline=baseline).value == 0
    assert skill(actual, actual, baseline=baseline).value == 1
    assert skill(baseline, actual, baseline=predicted).value == pytest.approx(-9)
    assert np.isnan(skill(predicted, actual, baseline=actual).value)
    weights = [5.0, 1, 2]
    ratio = wape(predicted, actual, weights).value / wape(baseline, actual, weights).value
    got = skill(predicted, actual, baseline=baseline, weights=weights).value
    assert got == pytest.approx(1 - ratio)


def test_the_log_ratio_is_the_same_both_ways() -> None:
    actual = np.exp(np.arange(10.0))
    off = np.log(np.arange(1, 11))
    up = log_ratio_quantile(actual * np.exp(off), actual)
    assert up == pytest.approx(np.log(9))
    assert log_ratio_quantile(actual / np.exp(off), actual) == pytest.approx(up)
    assert log_ratio_quantile(actual, actual) == 0
    assert log_ratio_quantile([2.0, 1.0], [1.0, 1.0], weights=[1, 99]) == 0
    assert log_ratio_quantile([2.0], [1.0], quantile=0.5) == pytest.approx(np.log(2))


def test_a_tenth_of_zeros_is_too_many_for_a_finite_ninth_decile() -> None:
    predicted = np.full(20, 0.02)
    actual = np.full(20, 0.01)
    actual[:2] = 0
    assert log_ratio_quantile(predicted, actual) == pytest.approx(np.log(2))
    actual[2] = 0
    assert np.isnan(log_ratio_quantile(predicted, actual))
    predicted[:3] = 0
    assert log_ratio_quantile(predicted, actual) == pytest.approx(np.log(2))
    assert np.isnan(log_ratio_quantile([], []))


@pytest.mark.parametrize("quantile", [0, 1, 90])
def test_a_quantile_is_a_fraction(quantile: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        log_ratio_quantile([1], [1], quantile=quantile)


def test_deviances_by_hand() -> None:
    want = 2 * (6 * np.log(6 / 4) - 2) + 2 * 3
    assert poisson_deviance([4, 3], [6, 0]).value == pytest.approx(want)
    assert poisson_deviance([0, 4], [0, 4]).value == 0
    assert np.isnan(poisson_deviance([0, 4], [1, 4]).value)
    assert revenue_deviance([4, 9], [9, 0]).value == pytest.approx(4 * 1 / 2 + 4 * 9 / 3)
    assert revenue_deviance([0, 4], [0, 4]).value == 0
    assert np.isnan(revenue_deviance([0], [1]).value)


def test_revenue_deviance_is_tweedies_of_three_halves() -> None:
    m, y, power = 7.0, 3.0, 1.5
    tweedie = 2 * (
        y ** (2 - power) / ((1 - power) * (2 - power))
        - y * m ** (1 - power) / (1 - power)
        + m ** (2 - power) / (2 - power)
    )
    assert revenue_deviance([m], [y]).value == pytest.approx(tweedie)


def test_the_poisson_deviance_of_a_true_model_is_one_a_row() -> None:
    rng = np.random.default_rng(1)
    expected = rng.uniform(20, 200, 5000)
    got = poisson_deviance(expected, rng.poisson(expected)).value / 5000
    assert got == pytest.approx(1, abs=0.06)


def test_without_rows_nothing_is_known() -> None:
    for measure in (mae, rmse, smape, mape, r_squared, poisson_deviance, revenue_deviance):
        assert np.isnan(measure([], []).value)


def test_a_table_of_pairs_and_columns_are_measured_alike() -> None:
    pairs = CtrPairs.of([0.1, 0.2], [10, 40], [2, 4])
    assert mae(pairs.predicted, pairs.actual).value == pytest.approx(0.1)
