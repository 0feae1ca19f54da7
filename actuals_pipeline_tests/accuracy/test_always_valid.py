"""Looking every day: how often equals get a winner, and how often a better ad is found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from actuals_pipeline.accuracy.always_valid import half_width, log_evidence, p_value

Floats = npt.NDArray[np.float64]

N_RUNS, DAYS, A_DAY, RATE = 2000, 28, 2000, 0.02
EFFECT = 0.1 * RATE


def looks(lift: float, seed: int = 1) -> tuple[Floats, Floats]:
    """The difference and its variance after each day of a month, shape `(days, runs)`."""
    rates = np.array([RATE, RATE * (1 + lift)])[:, np.newaxis, np.newaxis]
    clicks = np.random.default_rng(seed).binomial(A_DAY, rates, (2, DAYS, N_RUNS)).cumsum(axis=1)
    shown = A_DAY * np.arange(1, DAYS + 1)[:, np.newaxis]
    pooled = clicks.mean(axis=0) / shown
    return (clicks[1] - clicks[0]) / shown, pooled * (1 - pooled) * 2 / shown


def p_after_a_month(lift: float) -> Floats:
    difference, variance = looks(lift)
    return p_value(log_evidence(difference.ravel(), variance.ravel(), EFFECT).reshape(DAYS, -1))


def test_equals_hardly_ever_get_a_winner_however_often_one_looks() -> None:
    difference, variance = looks(0.0)
    plain = (np.abs(difference) > 1.96 * np.sqrt(variance)).any(axis=0).mean()
    assert plain == pytest.approx(0.269, abs=0.03)
    assert (p_after_a_month(0.0) < 0.05).mean() < 0.016


def test_a_better_ad_is_found() -> None:
    assert (p_after_a_month(0.1) < 0.05).mean() == pytest.approx(0.32, abs=0.035)
    assert (p_after_a_month(0.2) < 0.05).mean() == pytest.approx(0.95, abs=0.02)


def test_the_truth_stays_within_the_half_width_at_every_look() -> None:
    difference, variance = looks(0.1)
    reach = half_width(variance.ravel(), EFFECT).reshape(variance.shape)
    missed = (np.abs(difference - 0.1 * RATE) > reach).any(axis=0)
    assert missed.mean() < 0.02


def test_p_is_at_its_level_where_the_difference_is_the_half_width() -> None:
    for variance in (1e-8, 1e-6, 1e-4):
        reach = half_width(variance, EFFECT, alpha=0.05)
        evidence = log_evidence(reach, variance, EFFECT)
        assert p_value(evidence[np.newaxis]) == pytest.approx(0.05)


def test_p_never_rises_again_and_is_one_without_a_look() -> None:
    evidence = np.array([0.0, 5.0, np.nan, 1.0])
    seen = [float(p_value(evidence[:n])) for n in range(5)]
    assert seen == [1.0, 1.0, pytest.approx(np.exp(-5)), pytest.approx(np.exp(-5)), seen[2]]
    assert p_value(np.full((3, 2), np.nan)).tolist() == [1.0, 1.0]


def test_the_unit_does_not_matter() -> None:
    here = log_evidence(0.003, 1e-6, EFFECT)
    assert log_evidence(0.3, 1e-2, 100 * EFFECT) == pytest.approx(here)
    assert half_width(1e-2, 100 * EFFECT) == pytest.approx(100 * half_width(1e-6, EFFECT))


def test_what_makes_no_sense_is_refused() -> None:
    for variance, effect in ((1.0, 0.0), (-1.0, 0.1)):
        with pytest.raises(ValueError, match=r"effect|variance"):
            log_evidence(0.1, variance, effect)
    for variance, alpha in ((0.0, 0.05), (1.0, 1.0)):
        with pytest.raises(ValueError, match=r"variance|alpha"):
            half_width(variance, 0.1, alpha=alpha)
