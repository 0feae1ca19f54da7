"""How fast money is spent, and when it is gone: known cases, and intervals that cover."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.spend.burn import Projection, burn_per_day, project, spent_on

LAST = date(2026, 3, 29)
"""A Sunday, so that the week to come begins on a Monday."""

few = settings(max_examples=50)
spends = st.lists(st.decimals(0, 10_000, places=2), min_size=7, max_size=28)


def ahead(days: int) -> date:
    return LAST + timedelta(days=days)


def ending(amounts: Sequence[Decimal | int | float], last: date = LAST) -> dict[date, Decimal]:
    """The amounts as the spend of the days up to `last`."""
    first = last - timedelta(days=len(amounts) - 1)
    return {first + timedelta(days=at): Decimal(str(each)) for at, each in enumerate(amounts)}


def test_the_burn_is_the_mean_of_the_days_that_are_known() -> None:
    spent = ending([1, 2, 3, 4, 5, 6, 7, 8])
    assert burn_per_day(spent, LAST, 7) == 5
    assert burn_per_day(spent, LAST, 28) == 4.5
    del spent[LAST]
    assert burn_per_day(spent, LAST, 7) == 4.5
    assert burn_per_day(spent, LAST - timedelta(days=30), 7) is None


@pytest.mark.parametrize(("remaining", "days"), [(1, 1), (100, 1), (101, 2), (5000, 50)])
def test_an_even_burn_ends_on_a_certain_day(remaining: int, days: int) -> None:
    end = ahead(days)
    assert project(ending([100] * 28), LAST, Decimal(remaining)) == Projection(
        "projected", end, end, end
    )


def test_weekends_are_expected_as_they_were() -> None:
    week = [100, 100, 100, 100, 100, 0, 0]
    spent = ending(week * 4)
    # Monday to Friday, then nothing until Monday.
    assert project(spent, LAST, Decimal(500)).end == ahead(5)
    assert project(spent, LAST, Decimal(501)).end == ahead(8)
    friday = LAST - timedelta(days=2)
    assert project(
        ending(week[-2:] + week * 3 + week[:5], friday), friday, Decimal(1)
    ).end == ahead(1)


def test_a_weekday_without_a_day_is_like_all_of_them() -> None:
    spent = ending([100] * 14)
    for day in (LAST, LAST - timedelta(days=7)):
        del spent[day]
    assert project(spent, LAST, Decimal(700)).end == ahead(7)


def test_only_the_last_four_weeks_count() -> None:
    assert project(ending([9999] * 50 + [100] * 28), LAST, Decimal(5000)).end == ahead(50)


def test_without_spend_it_never_ends() -> None:
    assert project(ending([0] * 28), LAST, Decimal(1)) == Projection("never")
    assert project(ending([Decimal("0.01")] * 28), LAST, Decimal(1000)) == Projection("never")


def test_a_burn_that_may_be_none_has_no_latest_end() -> None:
    projection = project(ending([0] * 27 + [100]), LAST, Decimal(100_000))
    assert projection.outlook == "projected"
    assert projection.end is not None
    assert projection.low is not None
    assert (projection.low < projection.end, projection.high) == (True, None)


@pytest.mark.parametrize(
    ("days", "outlook"), [(0, "too_few_days"), (6, "too_few_days"), (7, "projected")]
)
def test_a_week_is_the_least(days: int, outlook: str) -> None:
    assert project(ending([100] * days), LAST, Decimal(1)).outlook == outlook


def test_less_than_two_weeks_have_no_interval() -> None:
    assert project(ending([100] * 13), LAST, Decimal(100)) == Projection("projected", ahead(1))
    assert project(ending([100] * 14), LAST, Decimal(100)).low == ahead(1)


@pytest.mark.parametrize("remaining", ["0", "-1"])
def test_nothing_left_cannot_be_projected(remaining: str) -> None:
    with pytest.raises(ValueError, match="Nothing remains"):
        project(ending([100] * 28), LAST, Decimal(remaining))


def test_the_day_on_which_it_was_spent() -> None:
    spent = ending([10, 0, 10, 5])
    assert spent_on(spent, Decimal(20)) == LAST - timedelta(days=1)
    assert spent_on(spent, Decimal("20.01")) == LAST
    assert spent_on(spent, Decimal("25.01")) is None
    assert spent_on({}, Decimal(1)) is None


@few
@given(spends, st.integers(1, 10**6), st.randoms(use_true_random=False))
def test_an_interval_holds_its_end_and_the_order_of_days_does_not_matter(
    amounts: list[Decimal], remaining: int, random: object
) -> None:
    spent = ending(amounts)
    projection = project(spent, LAST, Decimal(remaining))
    shuffled = list(spent.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert project(dict(shuffled), LAST, Decimal(remaining)) == projection
    if projection.low is not None and projection.end is not None:
        assert LAST < projection.low <= projection.end
        assert projection.high is None or projection.end <= projection.high
    more = project(spent, LAST, Decimal(remaining + 1))
    assert None in {more.end, projection.end} or more.end >= projection.end  # type: ignore[operator]


@few
@given(spends, st.integers(1, 10**5))
def test_another_unit_of_money_gives_the_same_end(amounts: list[Decimal], remaining: int) -> None:
    cents = {day: 128 * spend for day, spend in ending(amounts).items()}
    assert project(cents, LAST, Decimal(128 * remaining)) == project(
        ending(amounts), LAST, Decimal(remaining)
    )


@pytest.mark.parametrize(("shared", "least"), [(0.0, 0.93), (0.3, 0.91), (0.5, 0.85)])
@pytest.mark.parametrize("weeks", [1, 3, 14])
def test_intervals_cover_the_end_that_comes(shared: float, least: float, weeks: int) -> None:
    """With a weekday pattern and days that have something in common with the one before."""
    random = np.random.default_rng(20260329)
    n_histories, n_ahead = 300, 7 * weeks * 4 + 28
    chance = random.standard_normal((n_histories, 28 + n_ahead))
    for at in range(1, chance.shape[1]):
        chance[:, at] = shared * chance[:, at - 1] + np.sqrt(1 - shared**2) * chance[:, at]
    pattern = np.array([1.0, 1.1, 1.2, 1.1, 1.0, 0.7, 0.6])
    mean = 1000 * np.resize(pattern, chance.shape[1])
    spends = np.maximum(0, mean * (1 + 0.3 * chance)).round(2)
    left = 1000 * 7 * weeks * float(pattern.mean())
    covered = 0
    for spend in spends:
        projection = project(ending(spend[:28].tolist()), LAST, Decimal(str(left)))
        came = ahead(int((np.cumsum(spend[28:]) >= left).argmax()) + 1)
        assert projection.low is not None
        covered += projection.low <= came and (projection.high is None or came <= projection.high)
    assert covered / n_histories >= least
