"""Intervals by campaign: the same on every machine, as wide as they must be, or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from actuals_pipeline.accuracy.bootstrap import (
    N_RESAMPLES,
    BootstrapInterval,
    bootstrap_difference,
    bootstrap_intervals,
    seed_of,
)
from actuals_pipeline.accuracy.point_errors import rmse
from actuals_pipeline.accuracy.sums import Summed, mean_of, ratio_of_sums

Floats = npt.NDArray[np.float64]
TWENTY = np.repeat([f"campaign {i:02d}" for i in range(20)], 3)


def interval(figure: Summed, clusters: Any, seed_text: str = "t") -> BootstrapInterval:
    return bootstrap_intervals({"it": figure}, clusters, seed_text=seed_text)["it"]


def column(seed: int, n: int = 60) -> Floats:
    return np.random.default_rng(seed).normal(10, 2, n)


def test_a_seed_follows_from_its_text_alone() -> None:
    """These very numbers, or what was published cannot be made again."""
    assert seed_of("model_accuracy 2026-03-08") == 2144241478696835117
    assert seed_of("") == 16476032584258269876
    assert seed_of("a") != seed_of("b")


def test_what_was_published_can_be_made_again() -> None:
    """On any later NumPy: its bit generators are kept, what it makes of the bits is not."""
    got = interval(mean_of(np.arange(60.0) ** 2), TWENTY, "model_accuracy 2026-03-08")
    assert (got.low, got.high) == pytest.approx((671.0361035727966, 1686.069243031025), rel=1e-12)


def test_the_same_text_gives_the_same_interval_and_another_text_another() -> None:
    figure = mean_of(column(1))
    assert interval(figure, TWENTY, "a") == interval(figure, TWENTY, "a")
    assert interval(figure, TWENTY, "a") != interval(figure, TWENTY, "b")


def test_what_other_figures_are_asked_for_changes_nothing() -> None:
    figures = {"one": mean_of(column(1)), "two": rmse(column(2), column(3))}
    together = bootstrap_intervals(figures, TWENTY, seed_text="t")
    assert together == {name: interval(figure, TWENTY) for name, figure in figures.items()}


def test_the_order_of_rows_and_the_names_of_clusters_change_nothing_but_last_digits() -> None:
    values = column(4)
    want = interval(mean_of(values), TWENTY)
    order = np.random.default_rng(5).permutation(60)
    got = interval(mean_of(values[order]), TWENTY[order])
    assert (got.value, got.low, got.high) == pytest.approx((want.value, want.low, want.high))
    renamed = interval(mean_of(values), np.repeat(np.arange(20), 3))
    assert renamed == want


def test_resamples_draw_every_cluster_alike_and_with_replacement() -> None:
    """What a figure is asked for, if each cluster has a sum of its own: how often it was drawn."""
    asked: list[Floats] = []

    def of_sums(sums: Floats) -> Floats:
        asked.append(np.atleast_2d(sums))
        return np.asarray(sums.sum(axis=-1))

    interval(Summed(np.repeat(np.eye(20), 3, axis=0) / 3, of_sums), TWENTY)
    counts = np.concatenate([part for part in asked if len(part) > 1])
    assert counts.shape == (N_RESAMPLES, 20)
    np.testing.assert_allclose(counts.sum(axis=1), 20)
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.13)
    # Multinomial: variance 1 - 1/20, covariance -1/20.
    covariance = np.cov(counts.T)
    assert np.diag(covariance).mean() == pytest.approx(0.95, abs=0.03)
    assert covariance[~np.eye(20, dtype=bool)].mean() == pytest.approx(-0.05, abs=0.005)
    # And resamples do not know of each other.
    assert np.corrcoef(counts[:-1].ravel(), counts[1:].ravel())[0, 1] == pytest.approx(0, abs=0.03)


def test_the_interval_is_where_the_resampled_figures_are() -> None:
    values = column(5)
    got = interval(mean_of(values), TWENTY)
    error = values.reshape(20, 3).mean(axis=1).std() / np.sqrt(20)
    # Twenty clusters: t with 19 degrees, and the spread of 20 over 19 of them.
    reach = 2.093 * np.sqrt(20 / 19) * error
    assert got.low == pytest.approx(values.mean() - reach, abs=0.15 * reach)
    assert got.high == pytest.approx(values.mean() + reach, abs=0.15 * reach)


def test_with_nothing_between_clusters_there_is_no_width() -> None:
    got = interval(mean_of(np.tile([1.0, 2.0, 3.0], 20)), TWENTY)
    assert (got.value, got.low, got.high) == pytest.approx((2, 2, 2))
    assert (got.n_clusters, got.why_none) == (20, None)


@pytest.mark.parametrize("n_clusters", [0, 1, 9])
def test_below_ten_clusters_there_is_none_and_it_says_so(n_clusters: int) -> None:
    clusters = np.repeat(np.arange(n_clusters), 3)
    got = interval(mean_of(column(6, 3 * n_clusters)), clusters)
    assert np.isnan([got.low, got.high]).all()
    assert got.n_clusters == n_clusters
    assert got.why_none == f"{n_clusters} clusters, fewer than 10"
    assert np.isnan(got.value) == (n_clusters == 0)


def test_an_undefined_figure_has_none() -> None:
    got = interval(ratio_of_sums(np.ones(60), np.zeros(60)), TWENTY)
    assert got.why_none == "the figure is undefined"


def test_a_figure_that_resamples_often_lack_has_none() -> None:
    """One campaign in twenty has all the clicks: a third of the resamples have none."""
    clicks = np.zeros(60)
    clicks[:3] = 5
    got = interval(ratio_of_sums(np.ones(60), clicks), TWENTY)
    assert np.isnan(got.low)
    missed = int((got.why_none or "").split()[2])
    assert missed / N_RESAMPLES == pytest.approx(0.95**20, abs=0.06)


def test_a_figure_that_resamples_hardly_ever_lack_has_one() -> None:
    clicks = np.zeros(60)
    clicks[::6] = 5
    got = interval(ratio_of_sums(np.ones(60), clicks), TWENTY)
    assert got.why_none is None
    assert got.low < got.value < got.high


@pytest.mark.parametrize(("n_clusters", "least"), [(10, 0.925), (30, 0.93), (100, 0.93)])
def test_intervals_cover_as_often_as_they_promise(n_clusters: int, least: float) -> None:
    rng = np.random.default_rng(7)
    sizes = rng.poisson(10, n_clusters) + 1
    clusters = np.repeat(np.arange(n_clusters), sizes)
    weights = rng.gamma(2, 1, len(clusters))
    n_worlds = 400
    figures = {}
    for world in range(n_worlds):
        values = rng.normal(size=n_clusters)[clusters] + rng.normal(size=len(clusters))
        figures[str(world)] = mean_of(values, weights)
    # One set of draws for all worlds: the worlds are independent, and it takes less time.
    got = bootstrap_intervals(figures, clusters, seed_text="coverage")
    covered = np.mean([each.low <= 0 <= each.high for each in got.values()])
    assert least < covered < 0.975


def test_a_wider_promise_is_a_wider_interval() -> None:
    figures = {"it": mean_of(column(8))}
    low, high = (
        bootstrap_intervals(figures, TWENTY, seed_text="t", confidence=c)["it"] for c in (0.8, 0.99)
    )
    assert high.low < low.low < low.high < high.high
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_intervals(figures, TWENTY, seed_text="t", confidence=95)


def test_rows_and_labels_belong_together() -> None:
    with pytest.raises(ValueError, match="60 rows for 59 cluster labels"):
        interval(mean_of(column(9)), TWENTY[:59])
    with pytest.raises(ValueError, match="second: 59 rows"):
        bootstrap_difference(mean_of(column(9)), mean_of(column(9, 59)), TWENTY, seed_text="t")
    with pytest.raises(ValueError, match="clusters: the label of row 0 is missing"):
        interval(mean_of(column(9, 1)), np.array([None]))


def test_what_moves_both_models_cancels() -> None:
    """Good and bad campaigns make each figure uncertain, and their difference not at all."""
    hard = np.repeat(column(10, 20), 3)
    slightly_worse = hard + 0.1 + 0.01 * column(11)
    alone = interval(mean_of(hard), TWENTY)
    both = bootstrap_difference(mean_of(hard), mean_of(slightly_worse), TWENTY, seed_text="t")
    assert both.verdict == "first_lower"
    assert both.interval.value == pytest.approx(-0.2, abs=0.01)
    assert both.interval.high - both.interval.low < 0.02 * (alone.high - alone.low)
    turned = bootstrap_difference(mean_of(slightly_worse), mean_of(hard), TWENTY, seed_text="t")
    assert turned.verdict == "first_higher"
    assert (turned.interval.low, turned.interval.high) == pytest.approx(
        (-both.interval.high, -both.interval.low)
    )


def test_equal_models_are_not_told_apart() -> None:
    figure = mean_of(column(12))
    same = bootstrap_difference(figure, figure, TWENTY, seed_text="t")
    assert same.verdict == "unresolved"
    assert (same.interval.low, same.interval.high) == (0, 0)


def test_models_on_few_campaigns_have_no_verdict() -> None:
    figure = mean_of([1.0, 2.0])
    none = bootstrap_difference(figure, figure, ["x", "y"], seed_text="t")
    assert none.verdict is None
    assert none.interval.why_none == "2 clusters, fewer than 10"


def test_many_clusters_are_drawn_in_parts_that_join() -> None:
    """Above 4,000 clusters not all resamples fit at once."""
    values = column(13, 9000)
    got = interval(mean_of(values), np.arange(9000))
    error = 2 / np.sqrt(9000)
    assert (got.low, got.high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.15 * error
    )
