"""The noise ceiling is what a perfect model scores, and corrected errors are the model's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.accuracy.achievable import (
    accuracy_of_achievable,
    ctr_ceiling,
    excess_ctr_error,
    excess_roas_error,
    noise_corrected_ctr_error,
    noise_corrected_roas_error,
    roas_ceiling,
)
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline_tests.accuracy.test_noise import Floats, binomial

NAN = float("nan")


def accuracy(predicted: Floats | float, actual: Floats) -> Floats:
    """The dashboard's."""
    return np.clip(1 - np.abs(actual - predicted) / predicted, 0, 1)


@pytest.mark.parametrize(
    ("impressions", "want"),
    [(300, 0.71150388), (5000, 0.92957974), (1000, 0.843), (15_000, 0.959), (50_000, 0.978)],
)
def test_the_score_of_a_true_prediction(impressions: int, want: float) -> None:
    digits = len(str(want)) - 2
    assert float(ctr_ceiling(0.025, impressions)) == pytest.approx(want, abs=0.51 * 10**-digits)


@given(n=st.integers(1, 400), p=st.floats(1e-6, 1))
@settings(max_examples=150)
def test_the_ceiling_is_the_sum_over_every_outcome(n: int, p: float) -> None:
    rates, chances = binomial(n, p)
    want = float(np.sum(chances * accuracy(p, rates)))
    assert float(ctr_ceiling(p, n)) == pytest.approx(want, rel=1e-8, abs=1e-9)


def test_below_half_an_expected_click_even_a_true_prediction_scores_nothing() -> None:
    assert float(ctr_ceiling(0.025, 19)) == pytest.approx(0, abs=1e-12)
    assert float(ctr_ceiling(0.025, 21)) > 0.01


def test_a_prediction_of_nothing_has_no_ceiling() -> None:
    assert np.isnan(ctr_ceiling([0, 0.1, NAN, 1.1], [10, 0, 10, 10])).all()
    assert np.isnan(roas_ceiling(0))


@pytest.mark.parametrize(("purchases", "want"), [(10, 0.677), (45, 0.848), (200, 0.928)])
def test_the_score_of_a_true_roas(purchases: int, want: float) -> None:
    assert float(roas_ceiling(purchases)) == pytest.approx(want, abs=5e-4)
    assert float(roas_ceiling(0.01)) == 0


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_a_perfect_model_scores_at_the_ceiling(factor: float) -> None:
    rng = np.random.default_rng(8)
    n = np.rint(np.exp(rng.uniform(np.log(300), np.log(50_000), 60_000)))
    p = np.clip(0.02 * np.exp(rng.normal(0, 0.5, len(n))), 0.001, 0.3)
    spread = (factor - 1) / (n * p)
    weather = rng.gamma(1 / spread, spread) if factor > 1 else 1.0
    clicks = rng.binomial(n.astype(np.int64), np.minimum(p * weather, 1))
    scored = accuracy(p, clicks / n).mean()
    ceiling = ctr_ceiling(p, n, overdispersion=factor).mean()
    assert scored == pytest.approx(ceiling, abs=0.003 if factor == 1 else 0.02)


def test_kags_ads_score_a_perfect_model_as_low_as_they_did() -> None:
    """A statistical twin of 1,143 real ads: 59.1 % a pair, 89.7 % by impressions."""
    rng = np.random.default_rng(9)
    at = rng.random(40_000)
    n = np.rint(
        np.exp(np.interp(at, [0, 0.1, 0.5, 0.9, 1], np.log([300, 1542, 51509, 572100, 3e6])))
    )
    rate = rng.beta(14.805, 82_676.6, len(n))
    ceiling = ctr_ceiling(rate, n)
    assert ceiling.mean() == pytest.approx(0.591, abs=0.04)
    assert np.average(ceiling, weights=n) == pytest.approx(0.897, abs=0.02)


@pytest.mark.parametrize(
    ("accuracy_pct", "want"), [(92.5, 0.8913), (88.4, 0), (93.0, 1), (80.0, -1.826)]
)
def test_where_an_accuracy_lies_between_baseline_and_ceiling(
    accuracy_pct: float, want: float
) -> None:
    got = accuracy_of_achievable(accuracy_pct, baseline=88.4, ceiling=93.0)
    assert got == pytest.approx(want, abs=5e-4)


@pytest.mark.parametrize("ceiling", [88.8, 88.4, 80.0, NAN])
def test_without_room_above_the_baseline_there_is_no_share_of_it(ceiling: float) -> None:
    assert np.isnan(accuracy_of_achievable(88.6, baseline=88.4, ceiling=ceiling))


def simulated(
    error: float, *, seed: int, factor: float = 1.0, size: int = 30_000
) -> tuple[CtrPairs, RoasPairs, Floats]:
    """Pairs of predictions whose logs are off by `error`, and the true CTRs; true ROAS is 3."""
    rng = np.random.default_rng(seed)
    n = rng.integers(400, 5000, size)
    true = np.clip(0.02 * np.exp(rng.normal(0, 0.3, size)), 0, 0.1)
    off = np.exp(rng.normal(0, error, size))
    spread = (factor - 1) / (n * true)
    weather = rng.gamma(1 / spread, spread) if factor > 1 else 1.0
    clicks = rng.binomial(n, np.minimum(true * weather, 1))
    ctr = CtrPairs.of(true * off, n, clicks, factor)
    spend = n / 10.0
    purchases = rng.poisson(3 * spend / 20)
    # Orders worth 20 or nothing much: 10 and 40, two to one; cv^2 is 0.5.
    large = rng.binomial(purchases, 1 / 3)
    revenue = 40.0 * large + 10.0 * (purchases - large)
    roas = RoasPairs.of(3 * off, spend, revenue, order_value=20, order_value_cv=np.sqrt(0.5))
    return ctr, roas, true


def test_a_perfect_model_errs_by_no_more_than_chance() -> None:
    ctr, roas, _ = simulated(0, seed=10)
    raw = np.abs(ctr.predicted - ctr.actual).mean()
    assert excess_ctr_error(ctr).value == pytest.approx(0, abs=0.01 * raw)
    assert noise_corrected_ctr_error(ctr).value < 0.2 * raw
    raw_roas = np.abs(roas.predicted - roas.actual).mean()
    assert excess_roas_error(roas).value == pytest.approx(0, abs=0.015 * raw_roas)
    assert noise_corrected_roas_error(roas).value < 0.2 * raw_roas


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_corrected_error_is_that_against_the_true_rates(factor: float) -> None:
    ctr, roas, true = simulated(0.25, seed=11, factor=factor)
    for by_impressions in (True, False):
        weights = ctr.impressions if by_impressions else None
        want = np.sqrt(np.average((ctr.predicted - true) ** 2, weights=weights))
        got = noise_corrected_ctr_error(ctr, by_impressions=by_impressions).value
        assert got == pytest.approx(want, rel=0.03)
    for by_spend in (True, False):
        weights = roas.spend if by_spend else None
        want = np.sqrt(np.average((roas.predicted - 3) ** 2, weights=weights))
        got = noise_corrected_roas_error(roas, by_spend=by_spend).value
        assert got == pytest.approx(want, rel=0.03)


def test_the_corrected_error_by_hand() -> None:
    pairs = CtrPairs.of([0.3, 0.5], [11, 1], [2.2, 1])
    # (0.3 - 0.2)^2 - 0.2 * 0.8 / 10 is below 0, and one impression says nothing of its variance.
    assert noise_corrected_ctr_error(pairs).value == 0
    pairs = CtrPairs.of([0.6, 0.5], [11, 1], [2.2, 1])
    assert noise_corrected_ctr_error(pairs).value == pytest.approx(np.sqrt(0.16 - 0.016))
    assert np.isnan(noise_corrected_ctr_error(CtrPairs.of([0.5], [1], [1])).value)


def test_net_refunds_are_no_negative_noise() -> None:
    pairs = RoasPairs.of([1.0], [10.0], [-10.0], order_value=20, order_value_cv=0.8)
    assert noise_corrected_roas_error(pairs).value == pytest.approx(2)
