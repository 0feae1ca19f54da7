"""Which of two rates is higher: closed forms against quadrature and draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from actuals_pipeline.accuracy.two_rates import BetaLaw, chance_above, expected_loss

A = BetaLaw(51, 951)
B = BetaLaw(66, 936)


def by_quadrature(first: BetaLaw, second: BetaLaw) -> float:
    x, step = np.linspace(0, 1, 200_001, retstep=True)
    x = x[1:-1]
    log_density = (
        (first.alpha - 1) * np.log(x) + (first.beta - 1) * np.log1p(-x) - special.betaln(*first)
    )
    return float(np.sum(np.exp(log_density) * special.betainc(*second, x)) * step)


def test_the_reference_case() -> None:
    assert chance_above(B, A) == pytest.approx(0.9244803789, abs=5e-11)
    assert expected_loss(B, A) == pytest.approx(0.000354969, abs=5e-10)
    assert expected_loss(A, B) == pytest.approx(0.015325028, abs=5e-10)


@pytest.mark.parametrize(
    ("first", "second"),
    [(A, B), (BetaLaw(2, 5), BetaLaw(3, 4)), (BetaLaw(2.5, 7.5), BetaLaw(1, 3))],
)
def test_the_chance_is_that_of_quadrature(first: BetaLaw, second: BetaLaw) -> None:
    assert chance_above(first, second) == pytest.approx(by_quadrature(first, second), abs=1e-7)


def test_one_of_two_is_above() -> None:
    assert chance_above(A, B) + chance_above(B, A) == pytest.approx(1)
    assert chance_above(A, A) == pytest.approx(0.5)


def test_the_loss_is_the_mean_of_what_is_given_away() -> None:
    rng = np.random.default_rng(1)
    chosen, other = BetaLaw(8, 40), BetaLaw(6, 50)
    draws = rng.beta(*other, 400_000) - rng.beta(*chosen, 400_000)
    want = np.maximum(draws, 0)
    assert expected_loss(chosen, other) == pytest.approx(want.mean(), abs=4 * want.std() / 632)
    gap = expected_loss(chosen, other) - expected_loss(other, chosen)
    assert gap == pytest.approx(other.mean - chosen.mean)


def test_the_closed_form_needs_whole_clicks() -> None:
    with pytest.raises(ValueError, match="whole"):
        chance_above(A, BetaLaw(1.5, 3))
    with pytest.raises(ValueError, match="above 0"):
        chance_above(BetaLaw(0, 3), A)
