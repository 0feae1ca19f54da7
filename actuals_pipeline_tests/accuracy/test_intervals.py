"""Intervals: known values, the edges, and that they cover as often as they promise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from actuals_pipeline.accuracy.intervals import (
    Interval,
    jeffreys,
    normal_quantile,
    revenue_unit,
    scaled_gamma,
    shrunken_order_value,
    wilson,
)

NAN = float("nan")
Floats = npt.NDArray[np.float64]


def ends(interval: Interval) -> tuple[float, float]:
    return float(interval.low), float(interval.high)


def share_covered(interval: Interval, truth: Floats | float) -> float:
    return float(np.mean((interval.low <= truth) & (truth <= interval.high)))


@pytest.mark.parametrize(
    ("clicks", "impressions", "want"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (18, 20, (0.698966, 0.972134)),
        (4, 20, (0.080658, 0.416017)),
        (4, 200, (0.007804, 0.050287)),
        (7, 50, (0.0695083343, 0.2618619371)),
    ],
)
def test_wilsons_published_values(clicks: int, impressions: int, want: tuple[float, float]) -> None:
    digits = len(f"{want[1]:.10f}".rstrip("0")) - 2
    assert ends(wilson(clicks, impressions)) == pytest.approx(want, abs=0.5001 * 10**-digits)


@pytest.mark.parametrize(
    ("clicks", "want"),
    [
        (10, (0.0552285416, 0.1743673044)),
        (25, (0.1754509400, 0.3430464637)),
        (0, (0, 0.0369948075)),
    ],
)
def test_wilsons_values_at_exactly_1_96_deviations(clicks: int, want: tuple[float, float]) -> None:
    confidence = math.erf(1.96 / math.sqrt(2))
    assert ends(wilson(clicks, 100, confidence=confidence)) == pytest.approx(want, abs=1e-10)


@pytest.mark.parametrize(
    ("clicks", "impressions", "want"),
    [
        (18, 20, (0.716147, 0.978628)),
        (4, 20, (0.071520, 0.408226)),
        (4, 200, (0.006788, 0.046847)),
        (1, 30, (0.00362, 0.14542)),
    ],
)
def test_jeffreys_published_values(
    clicks: int, impressions: int, want: tuple[float, float]
) -> None:
    assert ends(jeffreys(clicks, impressions)) == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("interval", [wilson, jeffreys])
def test_no_clicks_allow_a_rate_of_zero_and_clicks_alone_a_rate_of_one(
    interval: Callable[..., Interval],
) -> None:
    low, high = interval([0, 300], 300)
    assert low[0] == 0
    assert high[1] == 1
    assert 0.007 < high[0] < 0.013
    assert low[1] == pytest.approx(1 - high[0])


@pytest.mark.parametrize("interval", [wilson, jeffreys])
def test_a_rate_that_cannot_be_has_no_interval(interval: Callable[..., Interval]) -> None:
    low, high = interval([0, 2, -1, NAN, 1], [0, 1, 10, 10, NAN])
    assert np.isnan(low).all()
    assert np.isnan(high).all()


@pytest.mark.parametrize("interval", [wilson, jeffreys])
def test_overdispersed_impressions_count_as_so_many_fewer(
    interval: Callable[..., Interval],
) -> None:
    got = interval([30], [1200], overdispersion=3.0)
    want = interval([10], [400])
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, NAN])
def test_a_confidence_is_a_chance(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        normal_quantile(confidence)


def test_the_normal_quantile_of_95_percent() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.959963984540054)


def test_the_specifications_own_fetch() -> None:
    """Revenue 800, spend 250, 45 purchases: a ROAS of 3.2 that may be 2.16 or 4.57."""
    value = shrunken_order_value(800, 45, account_order_value=800 / 45)
    assert ends(scaled_gamma(800, 250, order_value=value)) == pytest.approx(
        (2.1641, 4.5729), abs=5e-5
    )


def test_the_scaled_gamma_is_where_the_gamma_law_has_its_tails() -> None:
    revenue, spend = np.array([20.0, 100.0, 3000.0]), 50.0
    unit = 20 * (1 + 0.8**2)
    low, high = scaled_gamma(revenue, spend, order_value=20)
    shape = revenue / unit + 0.5
    np.testing.assert_allclose(special.gammainc(shape, low * spend / unit), 0.025)
    np.testing.assert_allclose(special.gammainc(shape, high * spend / unit), 0.975)


def test_without_a_sale_the_account_tells_what_a_sale_would_be_worth() -> None:
    value = shrunken_order_value(0, 0, account_order_value=25)
    assert float(value) == 25
    low, high = ends(scaled_gamma(0, 100, order_value=value))
    assert low == 0
    # Half of chi-square's upper tail with one degree: 2.51 units of 41.
    assert high == pytest.approx(2.5119 * 41 / 100, rel=1e-4)


def test_an_order_value_is_drawn_to_its_accounts_by_ten_purchases() -> None:
    value = shrunken_order_value([1000, 0], [10, 30], account_order_value=20)
    assert value.tolist() == [60, 5]


@pytest.mark.parametrize(
    ("revenue", "spend", "order_value"),
    [(-5, 100, 20), (10, 0, 20), (10, 100, 0), (10, 100, NAN), (NAN, 100, 20)],
    ids=["refunds", "no spend", "no value", "value unknown", "revenue unknown"],
)
def test_a_roas_that_cannot_be_judged_has_no_interval(
    *, revenue: float, spend: float, order_value: float
) -> None:
    low, high = scaled_gamma(revenue, spend, order_value=order_value)
    assert np.isnan([low, high]).all()


def test_refunds_that_leave_no_positive_value_leave_it_unknown() -> None:
    assert np.isnan(shrunken_order_value(-500, 3, account_order_value=20))
    assert np.isnan(shrunken_order_value(500, -3, account_order_value=20))


def test_a_spread_of_order_values_is_at_least_zero() -> None:
    with pytest.raises(ValueError, match="order_value_cv"):
        revenue_unit(20, -0.1)


@pytest.mark.parametrize("interval", [wilson, jeffreys])
def test_click_intervals_cover_as_often_as_they_promise(interval: Callable[..., Interval]) -> None:
    rng = np.random.default_rng(1)
    impressions = np.rint(np.exp(rng.uniform(np.log(300), np.log(50_000), 40_000)))
    rate = np.clip(0.02 * np.exp(rng.normal(0, 0.5, 40_000)), 0.001, 0.2)
    clicks = rng.binomial(impressions.astype(np.int64), rate)
    assert 0.945 < share_covered(interval(clicks, impressions), rate) < 0.965


@pytest.mark.parametrize("mean_purchases", [2, 5, 15, 45])
@pytest.mark.parametrize(("cv", "most"), [(0.8, 0.975), (1.5, 0.985)])
def test_roas_intervals_cover_as_often_as_they_promise(
    *, mean_purchases: int, cv: float, most: float
) -> None:
    rng = np.random.default_rng(2)
    n, spend, order_value = 20_000, 100.0, 20.0
    purchases = rng.poisson(mean_purchases, n)
    sigma = math.sqrt(math.log1p(cv**2))
    orders = order_value * np.exp(rng.normal(-(sigma**2) / 2, sigma, purchases.sum()))
    revenue = np.bincount(np.repeat(np.arange(n), purchases), orders, n)
    value = shrunken_order_value(revenue, purchases, account_order_value=order_value)
    interval = scaled_gamma(revenue, spend, order_value=value, order_value_cv=cv)
    assert 0.945 < share_covered(interval, mean_purchases * order_value / spend) < most
