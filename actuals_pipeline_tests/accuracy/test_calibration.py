"""Whether predicted rates are kept: the ratio, the line and the bins."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from actuals_pipeline.accuracy.calibration import (
    calibration_bins,
    calibration_line,
    calibration_ratio,
    expected_calibration_error,
    expected_calibration_noise,
)
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline_tests.accuracy.test_entropy import TOY

Floats = npt.NDArray[np.float64]


def roas(predicted: list[float], spend: list[float], revenue: list[float]) -> RoasPairs:
    return RoasPairs.of(predicted, spend, revenue, order_value=20, order_value_cv=0.8)


def with_line(alpha: float, beta: float, *, seed: int, size: int = 3000) -> CtrPairs:
    rng = np.random.default_rng(seed)
    x = rng.normal(-4, 0.7, size)
    n = rng.integers(500, 20_000, size)
    return CtrPairs.of(special.expit(x), n, rng.binomial(n, special.expit(alpha + beta * x)))


def test_the_toy_is_calibrated() -> None:
    assert calibration_ratio(TOY).value == pytest.approx(1.0, abs=1e-12)


def test_what_is_predicted_too_high_is_above_one() -> None:
    assert calibration_ratio(CtrPairs.of([0.3, 0.1], [100, 100], [15, 5])).value == 2
    assert calibration_ratio(roas([3, 1], [100, 100], [150, 50])).value == 2


def test_where_nothing_came_calibration_is_undefined() -> None:
    assert np.isnan(calibration_ratio(CtrPairs.of([0.3], [100], [0])).value)
    assert np.isnan(calibration_ratio(roas([3], [100], [0])).value)
    assert np.isnan(calibration_ratio(CtrPairs.of([], [], [])).value)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 1.0), (-1.0, 0.7), (0.8, 1.3), (-4.0, 0.0)])
def test_the_line_is_found_again(alpha: float, beta: float) -> None:
    line = calibration_line(with_line(alpha, beta, seed=1))
    assert line.slope == pytest.approx(beta, abs=4 * line.slope_error)
    assert line.intercept == pytest.approx(alpha, abs=0.15)
    assert 0.001 < line.slope_error < 0.02


def test_the_line_is_that_of_highest_likelihood() -> None:
    pairs = with_line(-0.5, 0.8, seed=2, size=50)
    line = calibration_line(pairs)
    x = special.logit(pairs.predicted)

    def likelihood(alpha: float, beta: float) -> float:
        rate = special.expit(alpha + beta * x)
        failures = pairs.impressions - pairs.clicks
        return float(np.sum(pairs.clicks * np.log(rate) + failures * np.log1p(-rate)))

    top = likelihood(line.intercept, line.slope)
    for i in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        assert likelihood(line.intercept + 0.01 * np.cos(i), line.slope + 0.01 * np.sin(i)) < top


def test_the_error_of_the_slope_is_what_repetition_shows() -> None:
    lines = [calibration_line(with_line(0, 1, seed=seed, size=60)) for seed in range(300)]
    slopes = np.array([line.slope for line in lines])
    assert np.std(slopes) == pytest.approx(np.mean([line.slope_error for line in lines]), rel=0.12)


def test_overdispersion_widens_the_error_and_leaves_the_slope() -> None:
    pairs = with_line(0, 1, seed=3)
    wide = CtrPairs.of(pairs.predicted, pairs.impressions, pairs.clicks, 4.0)
    assert calibration_line(wide).slope == pytest.approx(calibration_line(pairs).slope)
    assert calibration_line(wide).slope_error == pytest.approx(
        2 * calibration_line(pairs).slope_error
    )


@pytest.mark.parametrize(
    ("predicted", "clicks"),
    [([0.1, 0.1], [1, 2]), ([0.1, 0.2], [0, 0]), ([0.1, 0.2], [10, 10]), ([0.1, 0.2], [0, 10])],
    ids=["one prediction", "no click", "clicks alone", "separated"],
)
def test_some_pairs_have_no_line(predicted: list[float], clicks: list[int]) -> None:
    line = calibration_line(CtrPairs.of(predicted, [10, 10], clicks))
    assert np.isnan([line.intercept, line.slope, line.slope_error]).all()


def test_fewer_than_two_pairs_have_no_line() -> None:
    assert np.isnan(calibration_line(CtrPairs.of([], [], [])).slope)
    assert np.isnan(calibration_line(CtrPairs.of([0.1], [10], [1])).slope)


def test_bins_hold_equally_many_clicks() -> None:
    bins = calibration_bins(with_line(0, 1, seed=4))
    assert len(bins) == 10
    assert bins["clicks"].max() < 1.05 * bins["clicks"].min()
    assert bins["impressions"].is_monotonic_decreasing
    assert bins["predicted"].is_monotonic_increasing


def test_bins_by_hand() -> None:
    pairs = CtrPairs.of([0.1, 0.2, 0.2, 0.4], [100, 50, 50, 50], [10, 5, 15, 10])
    bins = calibration_bins(pairs, n_bins=2)
    # Clicks up to the middle of each rate: 5, 20, 35 of 40.
    assert bins["predicted"].tolist() == pytest.approx([0.1, (20 + 20) / 150])
    assert bins["actual"].tolist() == pytest.approx([0.1, 30 / 150])
    assert bins["impressions"].tolist() == [100, 150]
    assert bins["clicks"].tolist() == [10, 30]
    assert expected_calibration_error(bins) == pytest.approx((0 + 10) / 250)
    noise = np.sqrt(2 / np.pi) * np.array([np.sqrt(9) / 100, np.sqrt(16 + 12) / 150])
    assert bins["noise"].tolist() == pytest.approx(noise.tolist())
    assert expected_calibration_noise(bins) == pytest.approx(np.sum(noise * [100, 150]) / 250)


def test_without_clicks_there_is_one_bin_and_without_pairs_none() -> None:
    bins = calibration_bins(CtrPairs.of([0.1, 0.2], [10, 10], [0, 0]))
    assert bins["actual"].tolist() == [0]
    assert expected_calibration_error(bins) == pytest.approx(0.15)
    none = calibration_bins(CtrPairs.of([], [], []))
    assert len(none) == 0
    assert np.isnan(expected_calibration_error(none))


def test_there_is_at_least_one_bin() -> None:
    with pytest.raises(ValueError, match="at least one bin"):
        calibration_bins(TOY, n_bins=0)


def test_a_calibrated_model_has_the_error_that_chance_gives() -> None:
    errors, noises = [], []
    for seed in range(40):
        bins = calibration_bins(with_line(0, 1, seed=seed, size=400))
        errors.append(expected_calibration_error(bins))
        noises.append(expected_calibration_noise(bins))
    assert np.mean(errors) == pytest.approx(np.mean(noises), rel=0.12)
    off = calibration_bins(with_line(-0.5, 1, seed=0, size=400))
    assert expected_calibration_error(off) > 8 * expected_calibration_noise(off)
