"""The stability index, and what chance alone makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from actuals_pipeline.accuracy.drift.input_shift import stability, stability_index


def test_the_index_by_hand() -> None:
    index = stability_index((0.1, 0.2, 0.4, 0.2, 0.1), (0.08, 0.15, 0.42, 0.22, 0.13))
    assert index == pytest.approx(0.029599909, abs=1e-9)


def test_counts_are_as_good_as_shares() -> None:
    assert stability_index((10, 20, 40), (4, 10, 6)) == pytest.approx(
        stability_index((1 / 7, 2 / 7, 4 / 7), (0.2, 0.5, 0.3))
    )


def test_an_empty_bin_is_refused_in_the_index_and_counted_a_half_in_the_test() -> None:
    with pytest.raises(ValueError, match="reference"):
        stability_index((0, 1), (0.5, 0.5))
    assert np.isfinite(stability(np.arange(100), np.full(50, 200)).index)


def test_without_a_change_the_chance_is_uniform() -> None:
    random = np.random.default_rng(3)
    chances = np.array(
        [stability(random.gamma(2, 1, 800), random.gamma(2, 1, 400)).chance for _ in range(400)]
    )
    assert (chances < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert chances.mean() == pytest.approx(0.5, abs=0.06)


def test_a_change_that_the_usual_bar_misses_is_none_of_chance() -> None:
    random = np.random.default_rng(4)
    found = stability(random.normal(0, 1, 20_000), random.normal(0.2, 1, 20_000))
    assert found.index < 0.1
    assert found.chance < 1e-12


@pytest.mark.parametrize(("reference", "current"), [([], [1.0]), ([1.0], []), ([1, 1], [1, 1])])
def test_without_values_or_spread_nothing_is_said(
    reference: list[float], current: list[float]
) -> None:
    assert np.isnan(stability(reference, current).chance)
