"""Order within groups: against documented values, against counting every pair, and pooled."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.accuracy.ranking import (
    ByGroup,
    disattenuated,
    hit_at,
    kendall,
    ndcg_at,
    regret_at,
    reliability,
    spearman,
)

Floats = npt.NDArray[np.float64]
SIX = ["x"] * 6
values = st.integers(0, 4).map(float)
rows = st.lists(st.tuples(values, values, st.sampled_from("abc")), min_size=1, max_size=24)


def of(figure: ByGroup) -> dict[Any, float]:
    return dict(zip(figure.groups.tolist(), figure.values.tolist(), strict=True))


def split(drawn: list[tuple[float, float, str]]) -> dict[str, tuple[Floats, Floats]]:
    groups = {group for _, _, group in drawn}
    return {
        g: (
            np.array([p for p, _, group in drawn if group == g]),
            np.array([a for _, a, group in drawn if group == g]),
        )
        for g in groups
    }


def columns(drawn: list[tuple[float, float, str]]) -> tuple[list[float], list[float], list[str]]:
    predicted, actual, groups = zip(*drawn, strict=True)
    return list(predicted), list(actual), list(groups)


def tau_b(p: Floats, a: Floats) -> float:
    signs = [
        (np.sign(p[i] - p[j]), np.sign(a[i] - a[j])) for i, j in combinations(range(len(p)), 2)
    ]
    untied = np.sqrt(sum(s != 0 for s, _ in signs) * sum(s != 0 for _, s in signs))
    return sum(s * t for s, t in signs) / untied if untied else float("nan")


def mean_ranks(x: Floats) -> Floats:
    return np.array([(x < v).sum() + ((x == v).sum() + 1) / 2 for v in x])


def rho(p: Floats, a: Floats) -> float:
    if np.ptp(p) == 0 or np.ptp(a) == 0:
        return float("nan")
    return float(np.corrcoef(mean_ranks(p), mean_ranks(a))[0, 1])


def test_the_documented_values_of_scipy() -> None:
    got = spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], ["x"] * 5)
    assert got.values.tolist() == pytest.approx([0.8207826817], abs=5e-11)
    got = kendall([12, 2, 1, 12, 2], [1, 4, 7, 1, 0], ["x"] * 5)
    assert got.values.tolist() == pytest.approx([-0.4714045208], abs=5e-11)


def test_the_documented_values_of_scikit_learn() -> None:
    relevance = [10, 0, 0, 1, 5]
    for scores, want in (
        ([0.1, 0.2, 0.3, 4, 70], 0.695694),
        ([0.05, 1.1, 1.0, 0.5, 0.0], 0.493680),
    ):
        got = ndcg_at(None, scores, relevance, ["x"] * 5)
        assert got.values.tolist() == pytest.approx([want], abs=5e-7)


@pytest.mark.parametrize(("figure", "oracle"), [(spearman, rho), (kendall, tau_b)])
@given(drawn=rows)
@settings(max_examples=50)
def test_correlations_are_those_of_each_group_by_itself(
    figure: Callable[..., ByGroup],
    oracle: Callable[[Floats, Floats], float],
    drawn: list[tuple[float, float, str]],
) -> None:
    want = {g: oracle(p, a) for g, (p, a) in split(drawn).items() if len(p) >= 5}
    want = {g: value for g, value in want.items() if not np.isnan(value)}
    assert of(figure(*columns(drawn))) == pytest.approx(want, abs=1e-12)


def test_long_groups_are_counted_right_too() -> None:
    rng = np.random.default_rng(1)
    p, a = rng.integers(0, 40, 300).astype(float), rng.normal(size=300).round(1)
    groups = np.repeat(["x", "y"], 150)
    got = of(kendall(p, a, groups))
    assert got == pytest.approx({g: tau_b(p[groups == g], a[groups == g]) for g in ("x", "y")})


def test_without_ties_tau_is_right_pairs_less_wrong_ones() -> None:
    for order in permutations(range(5)):
        right = sum(order[i] < order[j] for i, j in combinations(range(5), 2))
        got = kendall(range(5), order, ["x"] * 5).values.tolist()
        assert got == pytest.approx([(2 * right - 10) / 10])


def top(x: Floats, k: int) -> list[tuple[frozenset[int], float]]:
    """Every set of k rows that could be the top ones, and its chance when ties are drawn."""
    sets = [
        frozenset(chosen)
        for chosen in combinations(range(len(x)), k)
        if min(x[list(chosen)]) >= max(np.delete(x, list(chosen)), default=-np.inf)
    ]
    return [(chosen, 1 / len(sets)) for chosen in sets]


@given(drawn=st.lists(st.tuples(values, values), min_size=2, max_size=7), k=st.integers(1, 6))
@settings(max_examples=50)
def test_hits_and_regret_are_means_over_every_way_to_draw_ties(
    drawn: list[tuple[float, float]], k: int
) -> None:
    p, a = (np.array(column) for column in zip(*drawn, strict=True))
    groups = ["x"] * len(p)
    hits, regret = hit_at(k, p, a, groups), regret_at(k, p, a, groups)
    if k >= len(p):
        assert len(hits.values) == len(regret.values) == 0
        return
    picks, best = top(p, k), top(a, k)
    want = sum(u * v * len(one & other) / k for one, u in picks for other, v in best)
    assert hits.values.tolist() == pytest.approx([want])
    mean = sum(chance * a[list(chosen)].mean() for chosen, chance in picks)
    if a.max() > 0:
        assert regret.values.tolist() == pytest.approx([(a.max() - mean) / a.max()])
    else:
        assert len(regret.values) == 0


@given(drawn=st.lists(st.tuples(values, values), min_size=2, max_size=5), k=st.integers(1, 6))
@settings(max_examples=40)
def test_gain_is_the_mean_over_every_order_of_ties(
    drawn: list[tuple[float, float]], k: int
) -> None:
    p, a = (np.array(column) for column in zip(*drawn, strict=True))
    got = ndcg_at(k, p, a, ["x"] * len(p))

    def gain(order: tuple[int, ...]) -> float:
        return float(sum(a[row] / np.log2(at + 2) for at, row in enumerate(order[:k])))

    orders = [o for o in permutations(range(len(p))) if (np.diff(p[list(o)]) <= 0).all()]
    best = gain(tuple(np.argsort(-a)))
    if best == 0:
        assert len(got.values) == 0
    else:
        want = np.mean([gain(order) for order in orders]) / best
        assert got.values.tolist() == pytest.approx([want])


def test_a_model_that_is_always_right_and_one_that_never_is() -> None:
    actual = [6.0, 5, 4, 3, 2, 1]
    worst = actual[::-1]
    assert hit_at(2, actual, actual, SIX).pooled.value == 1
    assert hit_at(2, worst, actual, SIX).pooled.value == 0
    assert regret_at(1, actual, actual, SIX).pooled.value == 0
    assert regret_at(1, worst, actual, SIX).pooled.value == pytest.approx(5 / 6)
    assert ndcg_at(3, actual, actual, SIX).pooled.value == 1
    assert spearman(worst, actual, SIX).values.tolist() == pytest.approx([-1])
    assert kendall(worst, actual, SIX).values.tolist() == pytest.approx([-1])


def test_a_constant_model_scores_what_guessing_does() -> None:
    actual = [6.0, 5, 4, 3, 2, 1]
    assert hit_at(2, [1] * 6, actual, SIX).pooled.value == pytest.approx(2 / 6)
    assert regret_at(2, [1] * 6, actual, SIX).pooled.value == pytest.approx((6 - 3.5) / 6)
    assert len(spearman([1] * 6, actual, SIX).values) == 0


def test_pooling_weighs_by_size_on_fishers_scale() -> None:
    rng = np.random.default_rng(2)
    sizes = {"x": 8, "y": 20, "too small": 4}
    groups = np.repeat(list(sizes), list(sizes.values()))
    p = rng.normal(size=len(groups))
    a = p + rng.normal(size=len(groups))
    for figure, lost in ((spearman, 3), (kendall, 4)):
        got = figure(p, a, groups)
        assert got.groups.tolist() == ["x", "y"]
        assert got.n_ads.tolist() == [8, 20]
        weights = [8 - lost, 20 - lost]
        want = np.tanh(np.average(np.arctanh(got.values), weights=weights))
        assert got.pooled.value == pytest.approx(want)


def test_a_perfect_small_group_does_not_outweigh_all_others() -> None:
    perfect = np.arange(5.0)
    alone = spearman(perfect, perfect, ["x"] * 5)
    assert alone.values.tolist() == pytest.approx([1])
    # One swap of neighbours among five is 0.9; a perfect order counts as half of one.
    assert alone.pooled.value == pytest.approx(0.95)
    # One swap of ten pairs is 0.8.
    assert kendall(perfect, perfect, ["x"] * 5).pooled.value == pytest.approx(0.9)


def test_order_across_groups_is_no_skill() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(200), 10)
    p, a = groups + rng.random(2000), groups + rng.random(2000)
    assert spearman(p, a, groups).pooled.value == pytest.approx(0, abs=0.08)
    assert hit_at(3, p, a, groups).pooled.value == pytest.approx(0.3, abs=0.03)


def test_without_a_group_that_tells_nothing_is_known() -> None:
    none = spearman([1, 2, 3], [1, 2, 3], ["x", "x", "y"])
    assert len(none.groups) == 0
    assert np.isnan(none.pooled.value)
    assert np.isnan(ndcg_at(1, [], [], []).pooled.value)
    assert np.isnan(kendall([], [], []).pooled.value)


@pytest.mark.parametrize("figure", [hit_at, regret_at, ndcg_at])
def test_at_least_one_ad_is_picked(figure: Callable[..., ByGroup]) -> None:
    with pytest.raises(ValueError, match="At least one ad"):
        figure(0, [1, 2], [1, 2], ["x", "x"])


def test_a_gain_is_not_below_zero() -> None:
    with pytest.raises(ValueError, match="actual"):
        ndcg_at(1, [1, 2], [1, -1], ["x", "x"])


def test_what_noise_hides_is_found_again() -> None:
    """Days give noisy actuals; disattenuated, the correlation is that with the true values."""
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(400), 25)
    true = rng.normal(size=10_000)
    predicted = true + rng.normal(size=10_000)
    odd, even = (true + 1.5 * rng.normal(size=10_000) for _ in range(2))
    raw = spearman(predicted, (odd + even) / 2, groups).pooled.value
    want = spearman(predicted, true, groups).pooled.value
    reliable = reliability(odd, even, groups)
    assert raw < want - 0.15
    assert disattenuated(raw, reliable) == pytest.approx(want, abs=0.03)


def test_noise_alone_is_not_reliable() -> None:
    assert np.isnan(reliability([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], ["x"] * 5))
    assert np.isnan(disattenuated(0.5, float("nan")))
    assert disattenuated(0.9, 0.5) == 1
    assert disattenuated(-0.9, 0.5) == -1
    assert disattenuated(0.3, 0.25) == pytest.approx(0.6)
