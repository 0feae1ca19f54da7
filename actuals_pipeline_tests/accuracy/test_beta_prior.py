"""Click rates drawn to their campaign's: the rat tumours, and nearer the truth than before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from actuals_pipeline.accuracy.beta_prior import (
    BetaPriors,
    beta_of_moments,
    fit_beta_priors,
    shrunken_rates,
)

Floats = npt.NDArray[np.float64]

RAT_TUMOURS = """
    0/20 0/20 0/20 0/20 0/20 0/20 0/20 0/19 0/19 0/19 0/19 0/18 0/18 0/17 1/20 1/20 1/20 1/20 1/19
    1/19 1/18 1/18 2/25 2/24 2/23 2/20 2/20 2/20 2/20 2/20 2/20 1/10 5/49 2/19 5/46 3/27 2/17 7/49
    7/47 3/20 3/20 2/13 9/48 10/50 4/20 4/20 4/20 4/20 4/20 4/20 4/20 10/48 4/19 4/19 4/19 5/22
    11/46 12/49 5/20 5/20 6/23 5/19 6/22 6/20 6/20 6/20 16/52 15/47 15/46 9/24
"""
"""Gelman et al., "Bayesian data analysis", table 5.1: the 70 earlier experiments."""


def rats() -> tuple[Floats, Floats]:
    clicks, shown = np.array([pair.split("/") for pair in RAT_TUMOURS.split()], dtype=float).T
    return clicks, shown


def likelihood(a: float, b: float, c: Floats, n: Floats) -> float:
    return float(np.sum(special.betaln(a + c, b + n - c) - special.betaln(a, b)))


def test_the_moments_of_the_rat_tumours() -> None:
    clicks, shown = rats()
    rates = clicks / shown
    assert (len(rates), round(rates.mean(), 3), round(rates.std(ddof=1), 3)) == (70, 0.136, 0.103)
    alpha, beta = beta_of_moments(float(rates.mean()), float(rates.std(ddof=1)))
    assert (alpha, beta) == pytest.approx((1.356, 8.615), abs=5e-4)


def test_the_likeliest_law_of_the_rat_tumours() -> None:
    priors = fit_beta_priors(*rats(), ["rats"] * 70)
    got = (priors.alpha.item(), priors.beta.item())
    assert got == pytest.approx((2.304768, 14.079707), rel=1e-5)


@pytest.mark.parametrize(
    ("mean", "deviation"), [(0, 0.1), (1, 0.1), (0.5, 0), (0.5, 0.5), (0.1, 0.4)]
)
def test_some_moments_are_no_beta_laws(mean: float, deviation: float) -> None:
    with pytest.raises(ValueError, match="No beta law"):
        beta_of_moments(mean, deviation)


TRIFLE = 1e-3
"""Of a log likelihood: laws that differ by less cannot be told apart by any data."""

counts = st.lists(
    st.tuples(st.integers(1, 400), st.floats(0, 1)).map(lambda t: (round(t[0] * t[1]), t[0])),
    min_size=2,
    max_size=8,
)


@given(drawn=counts)
@settings(max_examples=40)
def test_no_law_nearby_is_likelier(drawn: list[tuple[int, int]]) -> None:
    c, n = (np.array(column, dtype=float) for column in zip(*drawn, strict=True))
    priors = fit_beta_priors(c, n, ["x"] * len(c))
    if np.isnan(priors.strength.item()):
        assert c.sum() in {0, n.sum()}
        return
    pooled = c.sum() / n.sum()
    binomial = float(np.sum(special.xlogy(c, pooled) + special.xlog1py(n - c, -pooled)))
    if np.isinf(priors.strength.item()):
        assert priors.mean.item() == pytest.approx(pooled)
        top = binomial
    else:
        a, b = priors.alpha.item(), priors.beta.item()
        top = likelihood(a, b, c, n)
        assert top >= binomial - TRIFLE
        for i in np.linspace(0, 2 * np.pi, 8, endpoint=False):
            near = likelihood(a * np.exp(0.02 * np.cos(i)), b * np.exp(0.02 * np.sin(i)), c, n)
            assert near <= top + TRIFLE
    # On a coarse grid of everything else, nothing is likelier by more than a trifle.
    for strength in 10.0 ** np.arange(-1, 7.1, 0.5):
        other = likelihood(pooled * strength, (1 - pooled) * strength, c, n)
        assert other <= top + 0.1


def test_one_giant_ad_does_not_hide_how_the_small_ones_differ() -> None:
    """Its clicks alone say that nothing differs; the likelihood has a higher top elsewhere."""
    small = np.array([50.0, 5, 45, 4, 2, 14])
    priors = fit_beta_priors([*small, 20_000], [1000] * 6 + [1_000_000], ["x"] * 7)
    assert 20 < priors.strength.item() < 400


def test_the_laws_of_many_groups_are_found_again_at_once() -> None:
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(40), 500)
    strength, mean = np.exp(rng.uniform(4, 8, 40)), rng.uniform(0.01, 0.05, 40)
    true = rng.beta((mean * strength)[group], ((1 - mean) * strength)[group])
    n = rng.integers(200, 20_000, len(group))
    c = rng.binomial(n, true)
    priors = fit_beta_priors(c, n, group)
    assert priors.groups.tolist() == list(range(40))
    np.testing.assert_allclose(priors.mean, mean, rtol=0.1)
    np.testing.assert_allclose(priors.strength, strength, rtol=0.35)
    one = fit_beta_priors(c[group == 7], n[group == 7], group[group == 7])
    np.testing.assert_allclose(one.strength, priors.strength[7], rtol=1e-6)
    shrunken = shrunken_rates(c, n, priors, group)
    raw = np.mean((c / n - true) ** 2)
    assert np.mean((shrunken - true) ** 2) < 0.8 * raw


def test_a_rate_is_drawn_to_the_mean_as_if_strength_were_impressions() -> None:
    """As KAG's: the prior of 1,143 real ads is worth 82,691 impressions."""
    prior = BetaPriors(np.array(["kag"]), np.array([14.805 / 82_691.4]), np.array([82_691.4]))
    got = shrunken_rates([13, 0], [12_264, 82_691.4], prior, ["kag", "kag"])
    assert got[0] == pytest.approx((14.805 + 13) / (82_691.4 + 12_264))
    assert got[0] == pytest.approx(0.00029, abs=5e-6)
    assert got[1] == pytest.approx(prior.mean.item() / 2)


def test_ads_that_differ_by_no_more_than_chance_all_get_the_mean() -> None:
    clicks = np.full(20, 20)
    priors = fit_beta_priors(clicks, np.full(20, 1000), ["x"] * 20)
    assert np.isinf(priors.strength).all()
    assert np.isinf(priors.alpha).all()
    assert np.isinf(priors.beta).all()
    assert shrunken_rates([0, 500, 0], [1000, 1000, 0], priors, ["x"] * 3).tolist() == [0.02] * 3


@pytest.mark.parametrize(
    ("clicks", "impressions"),
    [([0, 0], [10, 20]), ([10, 20], [10, 20]), ([3], [10]), ([3, 0], [10, 0])],
    ids=["no click", "clicks alone", "one ad", "one ad shown"],
)
def test_what_tells_nothing_has_no_law(clicks: list[int], impressions: list[int]) -> None:
    labels = ["x"] * len(clicks)
    priors = fit_beta_priors(clicks, impressions, labels)
    assert np.isnan(priors.strength).all()
    assert np.isnan(shrunken_rates(clicks, impressions, priors, labels)).all()


def test_a_group_without_a_law_leaves_the_others_theirs() -> None:
    clicks, shown = rats()
    labels = ["rats"] * 70 + ["mice"] * 2
    priors = fit_beta_priors([*clicks, 0, 0], [*shown, 9, 9], labels)
    assert priors.groups.tolist() == ["mice", "rats"]
    assert priors.alpha[1] == pytest.approx(2.304768, rel=1e-5)
    assert np.isnan(priors.alpha[0])


def test_an_ad_without_impressions_has_its_groups_mean_and_an_unknown_group_none() -> None:
    priors = fit_beta_priors(*rats(), ["rats"] * 70)
    got = shrunken_rates([0, 1], [0, 10], priors, ["rats", "cats"])
    assert got[0] == priors.mean.item()
    assert np.isnan(got[1])


def test_impossible_clicks_are_refused() -> None:
    with pytest.raises(ValueError, match="clicks"):
        fit_beta_priors([11, 1], [10, 10], ["x", "x"])
    with pytest.raises(ValueError, match="impressions"):
        fit_beta_priors([0, 1], [-1, 10], ["x", "x"])
