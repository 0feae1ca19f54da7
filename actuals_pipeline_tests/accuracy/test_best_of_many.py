"""The best of several rates: quadrature against closed forms and against draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.accuracy.best_of_many import Best, best_of, beta_laws, gamma_laws
from actuals_pipeline.accuracy.two_rates import BetaLaw, chance_above, expected_loss

CASES = [
    (BetaLaw(51, 951), BetaLaw(66, 936)),
    (BetaLaw(1, 5), BetaLaw(1, 9)),
    (BetaLaw(5, 20), BetaLaw(20_000, 80_000)),
    (BetaLaw(2, 3), BetaLaw(30, 45)),
]


def of_betas(*laws: BetaLaw) -> Best:
    return best_of(beta_laws([law.alpha for law in laws], [law.beta for law in laws]))


def test_the_reference_case() -> None:
    best = of_betas(BetaLaw(51, 951), BetaLaw(66, 936))
    assert best.chance[1] == pytest.approx(0.9244803789, abs=1e-7)
    assert best.expected_loss == pytest.approx([0.015325028, 0.000354969], rel=2e-6)


@pytest.mark.parametrize(("first", "second"), CASES)
def test_of_two_it_is_what_the_closed_form_says(first: BetaLaw, second: BetaLaw) -> None:
    best = of_betas(first, second)
    assert best.chance[0] == pytest.approx(chance_above(first, second), abs=1e-6)
    want = [expected_loss(first, second), expected_loss(second, first)]
    assert best.expected_loss == pytest.approx(want, rel=2e-6)


def test_of_many_it_is_what_draws_say() -> None:
    rng = np.random.default_rng(1)
    a, b = np.array([0.5, 12.0, 700.0, 3.0]), np.array([8.0, 130.0, 8000.0, 40.0])
    shape, scale = np.array([0.5, 3.0, 40.0]), np.array([1.0, 0.5, 0.07])
    n = 300_000
    for best, drawn in [
        (best_of(beta_laws(a, b)), rng.beta(a, b, (n, 4))),
        (best_of(gamma_laws(shape, scale)), rng.gamma(shape, scale, (n, 3))),
    ]:
        lost = drawn.max(axis=1, keepdims=True) - drawn
        won = np.bincount(drawn.argmax(axis=1), minlength=drawn.shape[1]) / n
        assert best.chance == pytest.approx(won, abs=4 / np.sqrt(4 * n))
        assert np.all(
            np.abs(best.expected_loss - lost.mean(axis=0)) < 4.5 * lost.std(axis=0) / np.sqrt(n)
        )


def test_one_alone_is_the_best_and_equals_share_the_chance() -> None:
    alone = of_betas(BetaLaw(3, 50))
    assert (alone.chance[0], alone.expected_loss[0]) == (pytest.approx(1.0), pytest.approx(0.0))
    alike = of_betas(*[BetaLaw(3, 50)] * 5)
    assert alike.chance == pytest.approx([0.2] * 5)


laws = st.lists(
    st.tuples(st.floats(0.5, 1e5), st.floats(0.5, 1e6)).map(lambda pair: BetaLaw(*pair)),
    min_size=2,
    max_size=5,
)


@settings(max_examples=50)
@given(laws)
def test_the_order_of_the_ads_does_not_matter_and_losses_differ_as_means(
    given_laws: list[BetaLaw],
) -> None:
    best = of_betas(*given_laws)
    order = np.random.default_rng(len(given_laws)).permutation(len(given_laws))
    turned = of_betas(*(given_laws[at] for at in order))
    assert turned.chance == pytest.approx(best.chance[order], abs=1e-9)
    assert best.chance.sum() == pytest.approx(1)
    assert (best.expected_loss >= 0).all()
    means = np.array([law.mean for law in given_laws])
    assert best.expected_loss + means == pytest.approx(
        np.full(len(means), best.expected_loss[0] + means[0]), abs=1e-5
    )


def test_the_unit_of_a_roas_does_not_matter() -> None:
    shape, scale = np.array([3.0, 8.0]), np.array([0.4, 0.2])
    best, scaled = best_of(gamma_laws(shape, scale)), best_of(gamma_laws(shape, 165 * scale))
    assert scaled.chance == pytest.approx(best.chance)
    assert scaled.expected_loss == pytest.approx(165 * best.expected_loss)


def test_a_law_flatter_than_any_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha"):
        beta_laws([0.1], [3])
    with pytest.raises(ValueError, match="scale"):
        gamma_laws([1], [0])
