"""How long people take to buy, and what it makes of the revenue of a day."""

from __future__ import annotations

import numpy as np
import pytest

from actuals_pipeline.accuracy.purchase_delay import (
    AGES,
    Maturing,
    assumed,
    of_click_windows,
    reported_late,
)


def delay(days: np.ndarray, within_1: float, within_7: float) -> np.ndarray:
    """The share of purchases within so many days of the click, told apart from the product's."""
    knots = [1e-9, 1 / 24, 1, 7, 28]
    heights = [0.7 * within_1 * 24e-9, 0.7 * within_1, within_1, within_7, 1]
    in_logs = np.interp(np.log(np.maximum(days, 1e-9)), np.log(knots), heights)
    return np.where(days < 1 / 24, 0.7 * within_1 * days * 24, in_logs)


@pytest.mark.parametrize(
    ("window", "within_1", "within_7"), [(28, 0.5, 0.85), (7, 0.5 / 0.85, 1.0), (1, 1.0, 1.0)]
)
def test_an_age_has_the_mean_of_the_delay_over_the_clicks_of_a_day(
    window: int, within_1: float, within_7: float
) -> None:
    curve = assumed(window)
    within_a_day = (np.arange(20_000) + 0.5) / 20_000
    want = [delay(age + within_a_day, within_1, within_7).mean() for age in AGES]
    assert curve.shares.tolist() == pytest.approx(want, abs=1e-4)
    assert (np.diff(curve.shares) >= -1e-12).all()
    assert curve.shares[-1] == pytest.approx(1)
    assert curve.errors[-1] == pytest.approx(0)


def test_with_the_usual_window_of_seven_days_the_assumed_curve_ends_with_it() -> None:
    curve = assumed()
    assert curve.shares[7:].tolist() == pytest.approx([1.0] * 22)
    assert curve.shares[6] < 1
    assert 0.1 < curve.errors[0] < 0.2


def test_the_windows_of_settled_days_tell_the_same() -> None:
    revenue = np.array([100.0, 300, 200])
    got = of_click_windows(0.5 * revenue, 0.85 * revenue, revenue, revenue)
    assert got.shares.tolist() == pytest.approx(assumed(28).shares.tolist())
    assert got.errors.tolist() == pytest.approx([0.0] * 29)


def test_what_is_bought_after_a_view_comes_within_a_day() -> None:
    # 50 within a day of a click, 30 later, 20 after a view.
    got = of_click_windows(*map(np.atleast_1d, (50.0, 80.0, 80.0, 100.0)))
    assert got.shares[1:].tolist() == pytest.approx(
        of_click_windows(*map(np.atleast_1d, (70.0, 100.0, 100.0, 100.0))).shares[1:].tolist()
    )


def test_its_errors_are_those_of_other_days() -> None:
    rng = np.random.default_rng(4)
    curves = []
    for _ in range(400):
        at_once, in_a_week, later = 10.0 * rng.poisson([[20], [12], [8]], (3, 60))
        week = at_once + in_a_week
        curves.append(of_click_windows(at_once, week, week + later, week + later))
    for age in (0, 1, 4, 10):
        scatter = np.std([curve.shares[age] for curve in curves])
        said = np.mean([curve.errors[age] for curve in curves])
        assert 0.9 * scatter < said < 1.8 * scatter, age


def test_without_revenue_nothing_is_known() -> None:
    got = of_click_windows(*[np.zeros(5)] * 4)
    assert np.isnan(got.shares[:-1]).all()


def test_late_reports_come_on_top_of_late_purchases() -> None:
    steps = np.array([0.6, 0.9, 1.0])
    reporting = Maturing(np.append(steps, np.ones(26)), np.zeros(29))
    made = Maturing(np.append([0.5, 0.7], np.ones(27)), np.full(29, 0.01))
    got = reported_late(made, reporting)
    assert got.shares[:4].tolist() == pytest.approx(
        [0.5 * 0.6, 0.5 * 0.9 + 0.2 * 0.6, 0.5 + 0.2 * 0.9 + 0.3 * 0.6, 0.5 + 0.2 + 0.3 * 0.9]
    )
    assert got.shares[4:].tolist() == pytest.approx([1.0] * 25)
    at_once = Maturing(np.ones(29), np.zeros(29))
    assert reported_late(made, at_once).shares.tolist() == pytest.approx(made.shares.tolist())


def test_an_error_is_never_below_zero_by_a_rounding() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        whole = rng.uniform(50, 150, 22)
        seven = whole * rng.uniform(0.9, 1, 22)
        one = seven * rng.uniform(0.4, 0.8, 22)
        assert (of_click_windows(one, seven, whole, whole).errors >= 0).all()
