"""What chance alone does: closed forms against sums over every outcome, and against simulation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from actuals_pipeline.accuracy.noise import (
    any_error_p,
    ctr_noise,
    ctr_z,
    expected_purchases,
    impressions_needed,
    purchases_needed,
    roas_noise,
    roas_relative_error,
    roas_z,
    two_sided_p,
)

NAN = float("nan")
Floats = npt.NDArray[np.float64]


def binomial(n: int, p: float) -> tuple[Floats, Floats]:
    """Every outcome of n draws, and its probability."""
    k = np.arange(n + 1)
    ways = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return k / n, np.exp(ways + special.xlogy(k, p) + special.xlog1py(n - k, -p))


@pytest.mark.parametrize(
    ("impressions", "want"),
    [(300, 0.0072350995), (5000, 0.0017605066), (50_000, 0.00055705541)],
)
def test_the_mean_deviation_of_a_true_prediction(impressions: int, want: float) -> None:
    assert float(ctr_noise(0.025, impressions)) == pytest.approx(want, rel=2e-8)


@given(n=st.integers(1, 400), p=st.floats(0, 1))
@settings(max_examples=150)
def test_the_mean_deviation_is_the_sum_over_every_outcome(n: int, p: float) -> None:
    rates, chances = binomial(n, p)
    want = float(np.sum(chances * np.abs(rates - p)))
    assert float(ctr_noise(p, n)) == pytest.approx(want, rel=1e-9, abs=1e-300)


def test_overdispersed_clicks_deviate_by_the_root_of_the_factor() -> None:
    assert float(ctr_noise(0.02, 1000, overdispersion=4)) == 2 * float(ctr_noise(0.02, 1000))


def test_a_certain_prediction_leaves_nothing_to_chance() -> None:
    assert ctr_noise([0, 1], 100).tolist() == [0, 0]


def test_half_an_impression_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        ctr_noise(0.1, [10, 10.5])


@pytest.mark.parametrize(
    ("predicted", "impressions", "clicks"),
    [(0.1, 0, 0), (0.1, 1, 2), (NAN, 10, 1), (1.5, 10, 1), (-0.1, 10, 1), (0, 10, 1), (1, 10, 9)],
)
def test_without_chance_or_delivery_there_is_no_z(
    *, predicted: float, impressions: float, clicks: float
) -> None:
    assert np.isnan(ctr_z(predicted, impressions, clicks))


def test_z_by_hand() -> None:
    # 2,500 at 20 %: 500 expected, a standard deviation of 20.
    z = ctr_z(0.2, 2500, [500, 540, 460])
    assert z.tolist() == pytest.approx([0, 2, -2])
    assert float(ctr_z(0.2, 2500, 540, overdispersion=4)) == pytest.approx(1)
    # Revenue of 900 expected in units of 20 * 1.64.
    z_roas = roas_z(3, 300, [900, 600], order_value=20)
    assert z_roas.tolist() == pytest.approx([0, -300 / np.sqrt(900 * 20 * 1.64)])


@pytest.mark.parametrize(("predicted", "spend"), [(0, 10), (-1, 10), (3, 0), (np.inf, 10)])
def test_without_expected_revenue_there_is_no_z(predicted: float, spend: float) -> None:
    assert np.isnan(roas_z(predicted, spend, 5, order_value=20))


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_z_of_a_perfect_model_is_standard(factor: float) -> None:
    rng = np.random.default_rng(4)
    n, p = rng.integers(2000, 50_000, 20_000), 0.02
    spread = (factor - 1) / (n * p)
    weather = rng.gamma(1 / spread, spread) if factor > 1 else 1.0
    z = ctr_z(p, n, rng.binomial(n, p * weather), overdispersion=factor)
    assert z.mean() == pytest.approx(0, abs=0.03)
    assert np.mean(z**2) == pytest.approx(1, abs=0.05)
    assert 0.04 < np.mean(two_sided_p(z) < 0.05) < 0.06


def test_two_sided_p_by_the_table() -> None:
    p = two_sided_p([0, 1.959963984540054, -1.959963984540054, 2.5758293035489, NAN])
    assert p[:4].tolist() == pytest.approx([1, 0.05, 0.05, 0.01])
    assert np.isnan(p[4])


def test_whether_any_prediction_is_wrong() -> None:
    rng = np.random.default_rng(5)
    right = np.array([any_error_p(rng.normal(size=50)) for _ in range(400)])
    assert 0.02 < np.mean(right < 0.05) < 0.08
    assert any_error_p([*rng.normal(size=50), 8.0, NAN]) < 1e-4
    assert any_error_p(rng.normal(size=500) / 10) > 0.999
    assert np.isnan(any_error_p([NAN]))
    # Chi-square with two degrees has the tail exp(-x / 2).
    assert any_error_p([1.0, NAN, 2.0]) == pytest.approx(np.exp(-2.5))


@pytest.mark.parametrize(
    ("error", "want"), [(0.10, 14_982), (0.05, 59_927), (0.20, 3_746), (-0.10, 14_982)]
)
def test_how_many_impressions_an_error_takes(error: float, want: int) -> None:
    assert float(impressions_needed(0.025, error)) == pytest.approx(want, abs=1)


def test_how_many_impressions_it_takes_to_see_an_error_four_times_in_five() -> None:
    needed = float(impressions_needed(0.025, 0.1, power=0.8))
    assert needed == pytest.approx(30_611, abs=1)
    rng = np.random.default_rng(6)
    n = round(needed)
    z = ctr_z(0.025, n, rng.binomial(n, 0.0275, 20_000))
    assert np.mean(z > 1.959964) == pytest.approx(0.8, abs=0.02)


def test_overdispersed_impressions_are_needed_so_many_more() -> None:
    assert float(impressions_needed(0.025, 0.1, overdispersion=3)) == pytest.approx(3 * 14_981.7)


@pytest.mark.parametrize(("error", "want"), [(0.05, 2520), (0.10, 630), (0.20, 158)])
def test_how_many_purchases_an_error_takes(error: float, want: int) -> None:
    assert float(purchases_needed(error)) == pytest.approx(want, abs=0.6)


def test_no_error_is_never_told_from_chance() -> None:
    assert np.isinf(impressions_needed(0.025, 0))
    assert np.isinf(purchases_needed(0))
    assert np.isnan(impressions_needed(0, 0.1))


@pytest.mark.parametrize("power", [0.4, 1, NAN])
def test_a_power_is_at_least_a_half(power: float) -> None:
    with pytest.raises(ValueError, match="power"):
        impressions_needed(0.025, 0.1, power=power)


def test_the_error_of_a_roas() -> None:
    assert float(roas_relative_error(45)) == pytest.approx(0.191, abs=5e-4)
    assert np.isnan(roas_relative_error([0, -1, NAN])).all()


def test_purchases_that_a_prediction_implies() -> None:
    got = expected_purchases([3, 3, 3, -1], [100, 0, 100, 100], order_value=[20, 20, 0, 20])
    assert got[0] == 15
    assert np.isnan(got[1:]).all()


@pytest.mark.parametrize(("mean_purchases", "slack"), [(1, 0.10), (5, 0.035), (45, 0.02)])
def test_the_noise_of_a_roas_is_what_orders_make_of_it(mean_purchases: int, slack: float) -> None:
    rng = np.random.default_rng(7)
    n, spend, cv = 40_000, 100.0, 0.8
    purchases = rng.poisson(mean_purchases, n)
    sigma = np.sqrt(np.log1p(cv**2))
    orders = 20 * np.exp(rng.normal(-(sigma**2) / 2, sigma, purchases.sum()))
    actual = np.bincount(np.repeat(np.arange(n), purchases), orders, n) / spend
    true = mean_purchases * 20 / spend
    got = float(roas_noise(true, spend, order_value=20, order_value_cv=cv))
    assert got == pytest.approx(np.mean(np.abs(actual - true)), rel=slack)
    assert got / true == pytest.approx(
        np.sqrt(2 / np.pi) * float(roas_relative_error(mean_purchases))
    )
