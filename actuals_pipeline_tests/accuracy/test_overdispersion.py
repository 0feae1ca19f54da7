"""How much more clicks vary than a binomial says: measured, pooled, and enough to cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from actuals_pipeline.accuracy.intervals import wilson
from actuals_pipeline.accuracy.overdispersion import overdispersion_by_campaign, widened

Counts = npt.NDArray[np.int64]


def daily_clicks(
    factor: float, *, campaigns: int, ads: int, days: int, seed: int = 3
) -> tuple[Counts, Counts]:
    """Impressions and clicks by campaign, ad and day, with `factor` times a binomial's variance."""
    rng = np.random.default_rng(seed)
    shown = np.full((campaigns, ads, days), 1000)
    weather = np.ones(shown.shape)
    if factor > 1:
        spread = (factor - 1) / (1000 * 0.02)
        weather = rng.gamma(1 / spread, spread, shown.shape)
    return shown, rng.binomial(shown, np.minimum(0.02 * weather, 1))


def labels(shown: Counts) -> dict[str, Counts]:
    campaigns, ads, days = shown.shape
    ad = np.repeat(np.arange(campaigns * ads), days)
    return {"ads": ad, "campaigns": ad // ads}


def covered(shown: Counts, clicks: Counts) -> npt.NDArray[np.bool_]:
    """Of each ad whether its interval holds the true rate, by campaign and ad."""
    frame = overdispersion_by_campaign(shown.ravel(), clicks.ravel(), **labels(shown))
    factors = widened(frame["overdispersion"].to_numpy(), frame["freedom"].to_numpy())
    found = np.repeat(factors, shown.shape[1])
    low, high = wilson(clicks.sum(2).ravel(), shown.sum(2).ravel(), overdispersion=found)
    return ((low <= 0.02) & (high >= 0.02)).reshape(shown.shape[:2])


def test_one_ad_by_hand() -> None:
    # 10 % of 100 three times: expected 10; chi-square (14^2 + 8^2 + 6^2) / 9; the median of
    # chi-square with two degrees is 2 ln 2.
    frame = overdispersion_by_campaign(
        [100, 100, 100, 0], [24, 2, 4, 0], ads=["a"] * 4, campaigns=["c"] * 4
    )
    chi_square = (14**2 + 8**2 + 6**2) / 9
    assert frame.to_dict("records") == [
        {
            "campaign": "c",
            "overdispersion": pytest.approx(chi_square / (2 * np.log(2))),
            # Its own two, and as many as two ads like it in common.
            "freedom": pytest.approx(2 + 2 * 2),
            "n_ads": 1,
        }
    ]


def test_a_median_of_many_ads_tells_two_thirds_of_what_their_days_would() -> None:
    shown, clicks = daily_clicks(2.0, campaigns=1, ads=20, days=7)
    frame = overdispersion_by_campaign(shown.ravel(), clicks.ravel(), **labels(shown))
    # Each has six degrees of freedom; two ads more stand for what campaigns have in common.
    assert frame["freedom"].item() == pytest.approx((20 + 2) * 6 * 2 / np.pi)


def test_two_days_have_one_degree_of_freedom_however_uneven_they_are() -> None:
    frame = overdispersion_by_campaign([100, 900], [28, 72], ads=["a"] * 2, campaigns=["c"] * 2)
    chi_square = 18**2 / 9 + 18**2 / 81
    assert frame["overdispersion"].item() == pytest.approx(chi_square / stats.chi2.median(1))


def test_large_days_count_for_more_than_small_ones() -> None:
    # Squared, they are off by 1,200 and by 600 together; by Pearson it would be 3.7 and 6.7.
    days, usual = [100, 100, 100, 2700], np.array([10, 10, 10, 270])
    large, small = (
        overdispersion_by_campaign(days, usual + off, ads=["a"] * 4, campaigns=["c"] * 4)
        for off in ([-10, -10, -10, 30], [20, -10, -10, 0])
    )
    assert large["overdispersion"].item() == pytest.approx(2 * small["overdispersion"].item())


@pytest.mark.parametrize("days", [3, 7, 28])
@pytest.mark.parametrize("factor", [1.5, 2.0, 3.0])
def test_the_factor_is_found_again(factor: float, days: int) -> None:
    shown, clicks = daily_clicks(factor, campaigns=1, ads=4000, days=days)
    frame = overdispersion_by_campaign(shown.ravel(), clicks.ravel(), **labels(shown))
    assert frame["overdispersion"].item() == pytest.approx(factor, rel=0.06)


@pytest.mark.parametrize("factor", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("days", [3, 7])
def test_with_the_factor_found_intervals_cover_as_often_as_they_promise(
    factor: float, days: int
) -> None:
    shown, clicks = daily_clicks(factor, campaigns=300, ads=20, days=days)
    assert 0.93 < covered(shown, clicks).mean() < 0.97


@pytest.mark.parametrize("ads", [1, 4])
@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_intervals_of_small_campaigns_cover_too(factor: float, ads: int) -> None:
    shown, clicks = daily_clicks(factor, campaigns=4000 // ads, ads=ads, days=7)
    assert 0.935 < covered(shown, clicks).mean() < 0.97


def test_intervals_cover_also_where_some_days_are_much_larger_than_others() -> None:
    rng = np.random.default_rng(3)
    shown = np.rint(np.exp(rng.normal(7.3, 0.5, (300, 20, 7)))).astype(np.int64)
    clicks = rng.binomial(shown, rng.beta(0.02 * 999, 0.98 * 999, shown.shape))
    assert 0.93 < covered(shown, clicks).mean() < 0.97


@pytest.mark.parametrize(("ads", "least"), [(1, 0.87), (4, 0.91), (8, 0.92), (20, 0.925)])
def test_campaigns_that_scatter_four_times_as_much_as_most_are_covered(
    ads: int, least: float
) -> None:
    """Until an ad or two are all that is known of them; nor is it at the cost of the others."""
    (shown, calm), (_, wild) = (
        daily_clicks(factor, campaigns=8000 // ads, ads=ads, days=7) for factor in (1.0, 4.0)
    )
    is_wild = np.arange(len(shown)) % 5 == 0
    found = covered(shown, np.where(is_wild[:, None, None], wild, calm))
    assert least < found[is_wild].mean() < 0.97
    assert 0.94 < found[~is_wild].mean() < 0.985


def test_ads_with_a_broken_day_do_not_make_the_others_uncertain() -> None:
    shown, clicks = daily_clicks(2.0, campaigns=100, ads=20, days=7)
    clicks[:, 7, 3] += 200
    frame = overdispersion_by_campaign(shown.ravel(), clicks.ravel(), **labels(shown))
    assert frame["overdispersion"].median() == pytest.approx(2.0, rel=0.1)
    assert 0.93 < np.delete(covered(shown, clicks), 7, axis=1).mean() < 0.97


def test_no_campaign_varies_less_than_a_binomial() -> None:
    frame = overdispersion_by_campaign([1000] * 4, [20] * 4, ads=["a"] * 4, campaigns=["c"] * 4)
    assert frame["overdispersion"].tolist() == [1.0]


def test_a_campaign_that_tells_nothing_has_the_median_of_all_ads() -> None:
    frame = overdispersion_by_campaign(
        [100, 100, 100, 100, 50, 90, 90],
        [30, 2, 25, 5, 1, 0, 0],
        ads=["a", "a", "b", "b", "single day", "no click", "no click"],
        campaigns=["x", "x", "y", "y", "z", "z", "z"],
    )
    alone = [
        overdispersion_by_campaign([100, 100], clicks, ads=["a"] * 2, campaigns=["c"] * 2)
        for clicks in ([30, 2], [25, 5])
    ]
    x, y = (frame["overdispersion"].item() for frame in alone)
    assert frame["n_ads"].tolist() == [1, 1, 0]
    # In the middle of their logarithms; each is drawn there by as much as two ads would.
    z = np.sqrt(x * y)
    assert frame["overdispersion"].tolist() == pytest.approx([(x + 2 * z) / 3, (y + 2 * z) / 3, z])
    assert frame["freedom"].tolist() == pytest.approx([3, 3, 2])


def test_where_no_ad_tells_anything_nothing_is_known() -> None:
    frame = overdispersion_by_campaign([100], [3], ads=["a"], campaigns=["x"])
    assert frame["overdispersion"].isna().all()
    assert frame["n_ads"].tolist() == [0]


@pytest.mark.parametrize(
    ("impressions", "clicks", "campaigns", "law"),
    [
        ([10, 10], [1, 11], ["x", "x"], "clicks"),
        ([-1, 10], [0, 1], ["x", "x"], "impressions"),
        ([10, 10], [1, 1], ["x", "y"], "ad a is in more than one"),
    ],
)
def test_impossible_days_are_refused(
    impressions: list[int], clicks: list[int], campaigns: list[str], law: str
) -> None:
    with pytest.raises(ValueError, match=law):
        overdispersion_by_campaign(impressions, clicks, ads=["a", "a"], campaigns=campaigns)
