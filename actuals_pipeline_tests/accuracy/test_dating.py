"""On which day purchases stand: what tells it, and what is too little to tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from actuals_pipeline.accuracy.dating import Dating, evidence

Floats = npt.NDArray[np.float64]

GROWING = np.append([0.45, 0.6, 0.7, 0.76, 0.8, 0.85, 0.9, 1.0], np.ones(21))
STABLE = np.append([0.7, 0.9, 0.97, 0.99], np.ones(25))


def revenue(shares: Floats, n_days: int = 40, scatter: float = 0.05) -> Floats:
    rng = np.random.default_rng(1)
    daily = rng.uniform(500, 1500, (n_days, 1))
    return np.asarray(daily * shares * rng.lognormal(0, scatter, (n_days, len(shares))))


def dating(known: Floats, *, undelivered: float = 0.0, purchases: float = 10.0) -> Dating:
    counts = np.where(np.isfinite(known), purchases, np.nan)
    return evidence(known, undelivered * known, counts).dating


def test_days_that_grow_for_a_week_are_dated_by_impression() -> None:
    got = evidence(revenue(GROWING), 0 * revenue(GROWING), np.full((40, 29), 10.0))
    assert got.dating == "impression"
    assert got.late_growth == pytest.approx(1 / 0.76 - 1, abs=0.05)
    assert 0 < got.late_growth_error < 0.03
    assert (got.n_cohorts, got.n_purchases, got.undelivered_share) == (40, 400, 0)


def test_days_that_are_whole_after_three_days_are_dated_by_purchase() -> None:
    assert dating(revenue(STABLE)) == "conversion"


def test_revenue_of_ads_that_were_not_shown_is_dated_by_purchase_however_days_grow() -> None:
    assert dating(revenue(GROWING), undelivered=0.02) == "conversion"
    assert dating(revenue(GROWING), undelivered=0.005) == "impression"
    assert dating(revenue(GROWING, n_days=12), undelivered=0.02) == "conversion"


@pytest.mark.parametrize(
    ("known", "purchases"),
    [
        (revenue(GROWING, n_days=19), 10.0),
        (revenue(GROWING), 2.0),
        (revenue(np.where(np.arange(29) < 7, 0.95, 1.0), scatter=0.3), 10.0),
        (np.where(np.arange(29) < 7, revenue(GROWING), np.nan), 10.0),
        (np.zeros((40, 29)), 10.0),
        (np.full((40, 29), np.nan), 10.0),
    ],
    ids=[
        "few days",
        "few purchases",
        "between the two",
        "not yet a week old",
        "no sale",
        "nothing known",
    ],
)
def test_what_is_too_little_is_unknown(known: Floats, purchases: float) -> None:
    assert dating(known, undelivered=0.5 if purchases < 10 else 0.0, purchases=purchases) == (
        "unknown"
    )
