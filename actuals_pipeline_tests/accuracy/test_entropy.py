"""Log loss, normalised entropy and their floor, against numbers that others computed."""

from __future__ import annotations

import numpy as np
import pytest

from actuals_pipeline.accuracy.comparable import CtrPairs
from actuals_pipeline.accuracy.entropy import (
    brier,
    entropy_floor,
    explained_share,
    information_gain,
    log_loss,
    n_clipped,
    normalized_entropy,
)

TOY = CtrPairs.of([0.02, 0.03, 0.01], [10_000, 5_000, 20_000], [220, 140, 190])


def made(seed: int, *, size: int = 400, noise: float = 0.3) -> CtrPairs:
    rng = np.random.default_rng(seed)
    n = rng.integers(500, 20_000, size)
    true = np.clip(0.02 * np.exp(rng.normal(0, 0.5, size)), 0, 0.2)
    return CtrPairs.of(true * np.exp(rng.normal(0, noise, size)), n, rng.binomial(n, true))


def scaled(pairs: CtrPairs, factor: float) -> CtrPairs:
    return CtrPairs.of(pairs.predicted * factor, pairs.impressions, pairs.clicks)


def test_the_toy_of_the_reference() -> None:
    assert log_loss(TOY).value == pytest.approx(0.0791787680, abs=5e-11)
    assert normalized_entropy(TOY).value == pytest.approx(0.9792747085, abs=5e-11)
    assert entropy_floor(TOY).value == pytest.approx(0.9787104636, abs=1e-10)
    assert brier(TOY).value == pytest.approx(0.0154142857, abs=5e-11)
    assert information_gain(TOY).value == pytest.approx(1 - 0.9792747085, abs=5e-11)
    want = (1 - 0.9792747085) / (1 - 0.9787104636)
    assert explained_share(TOY).value == pytest.approx(want, abs=1e-8)


def test_the_toy_impression_by_impression() -> None:
    shown = TOY.impressions.astype(int)
    p = np.repeat(TOY.predicted, shown)
    clicked = np.concatenate(
        [np.arange(n) < c for n, c in zip(shown, TOY.clicks, strict=True)]
    ).astype(float)
    losses = -(clicked * np.log(p) + (1 - clicked) * np.log(1 - p))
    assert log_loss(TOY).value == pytest.approx(losses.mean(), rel=1e-12)
    assert brier(TOY).value == pytest.approx(np.mean((clicked - p) ** 2), rel=1e-12)


def test_the_documented_values_of_scikit_learn() -> None:
    spam = CtrPairs.of([0.9, 0.1, 0.2, 0.65], 1, [1, 0, 0, 1])
    assert log_loss(spam).value == pytest.approx(0.2161618747, abs=5e-11)
    assert brier(CtrPairs.of([0.1, 0.9, 0.8, 0.3], 1, [0, 1, 1, 0])).value == pytest.approx(0.0375)


def test_one_rate_for_all_is_worth_one() -> None:
    pairs = made(1)
    common = np.full(len(pairs), pairs.clicks.sum() / pairs.impressions.sum())
    constant = CtrPairs.of(common, pairs.impressions, pairs.clicks)
    assert normalized_entropy(constant).value == pytest.approx(1, abs=1e-13)
    assert information_gain(constant).value == pytest.approx(0, abs=1e-13)
    assert explained_share(constant).value == pytest.approx(0, abs=1e-9)
    assert normalized_entropy(constant, background=common).value == pytest.approx(1, abs=1e-13)


def test_each_ads_own_rate_is_the_floor() -> None:
    pairs = made(2)
    knowing = CtrPairs.of(pairs.actual, pairs.impressions, pairs.clicks)
    assert normalized_entropy(knowing).value == pytest.approx(entropy_floor(pairs).value)
    assert explained_share(knowing).value == pytest.approx(1)
    assert entropy_floor(pairs).value < normalized_entropy(pairs).value < 1
    assert 0 < explained_share(pairs).value < 1


def test_a_background_that_was_known_is_less_of_a_challenge() -> None:
    pairs = made(3)
    known = normalized_entropy(pairs, background=0.03)
    assert known.value < normalized_entropy(pairs).value
    assert known.value == pytest.approx(
        log_loss(pairs).value / log_loss(CtrPairs.of(0.03, pairs.impressions, pairs.clicks)).value
    )
    by_pair = np.where(np.arange(len(pairs)) % 2, 0.02, 0.03)
    own = CtrPairs.of(by_pair, pairs.impressions, pairs.clicks)
    assert normalized_entropy(own, background=by_pair).value == pytest.approx(1, abs=1e-13)
    assert entropy_floor(pairs, background=0.03).value < known.value
    assert explained_share(pairs, background=0.03).value > explained_share(pairs).value


def test_taking_back_an_overprediction_lowers_the_entropy() -> None:
    pairs = made(4)
    assert normalized_entropy(scaled(pairs, 2)).value > normalized_entropy(pairs).value
    assert normalized_entropy(scaled(scaled(pairs, 2), 0.5)).value == pytest.approx(
        normalized_entropy(pairs).value, abs=1e-14
    )


def test_the_true_rates_have_the_lowest_log_loss_of_all_scalings() -> None:
    pairs = made(5, noise=0.0, size=4000)
    losses = [log_loss(scaled(pairs, f)).value for f in (0.8, 0.95, 1.0, 1.05, 1.25)]
    assert np.argmin(losses) == 2


def test_a_click_that_was_said_to_be_impossible_costs_much_but_no_infinity() -> None:
    pairs = CtrPairs.of([0, 1, 1e-7, 0.5], [10, 10, 10, 10], [1, 9, 0, 5])
    assert n_clipped(pairs) == 3
    assert n_clipped(TOY) == 0
    cost = -(2 * np.log(1e-6) + 28 * np.log1p(-1e-6) - 10 * np.log(2)) / 40
    assert log_loss(pairs).value == pytest.approx(cost, rel=1e-9)


@pytest.mark.parametrize("clicks", [[0, 0], [10, 10]], ids=["no click", "clicks alone"])
def test_without_anything_to_predict_entropy_is_undefined(clicks: list[int]) -> None:
    pairs = CtrPairs.of([0.1, 0.2], [10, 10], clicks)
    for figure in (normalized_entropy, entropy_floor, explained_share, information_gain):
        assert np.isnan(figure(pairs).value)
    assert log_loss(pairs).value > 0


def test_ads_that_do_not_differ_leave_nothing_to_explain() -> None:
    pairs = CtrPairs.of([0.1, 0.2], [10_000, 30_000], [1000, 3000])
    assert np.isnan(explained_share(pairs).value)


def test_without_pairs_nothing_is_known() -> None:
    none = CtrPairs.of([], [], [])
    for figure in (log_loss, normalized_entropy, entropy_floor, explained_share, brier):
        assert np.isnan(figure(none).value)
    assert n_clipped(none) == 0


def test_a_background_is_a_fraction() -> None:
    with pytest.raises(ValueError, match="background"):
        normalized_entropy(TOY, background=2.5)
