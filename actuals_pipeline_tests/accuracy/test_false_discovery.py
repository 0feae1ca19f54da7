"""Of what is reported no more than promised is chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.accuracy.false_discovery import adjusted_p, discoveries
from actuals_pipeline.accuracy.noise import two_sided_p

NAN = float("nan")


def test_benjaminis_and_hochbergs_own_example() -> None:
    """15 tests of a heart attack trial, in their paper: four are discoveries at 5 %."""
    p = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
    ]
    assert discoveries(p, rate=0.05).tolist() == [True] * 4 + [False] * 11


def test_a_later_rank_may_lift_an_earlier_one() -> None:
    # The last: 0.05 * 3 / 3; the first two would be 0.12 and 0.0675 by themselves.
    assert adjusted_p([0.04, 0.045, 0.05]).tolist() == pytest.approx([0.05] * 3)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(NAN)), max_size=12), st.floats(0.01, 0.5))
@settings(max_examples=200)
def test_discoveries_are_those_up_to_the_last_rank_below_the_line(
    p: list[float], rate: float
) -> None:
    tests = sorted(value for value in p if not np.isnan(value))
    cuts = [v for i, v in enumerate(tests, 1) if v * len(tests) / i <= rate]
    cut = max(cuts, default=-1.0)
    assert discoveries(p, rate=rate).tolist() == [value <= cut for value in p]


def test_what_was_not_tested_does_not_count() -> None:
    got = adjusted_p([0.01, NAN, 0.02, NAN])
    assert got[[0, 2]].tolist() == pytest.approx([0.02, 0.02])
    assert np.isnan(got[[1, 3]]).all()
    assert adjusted_p([]).tolist() == []


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_p_value_is_a_chance(p: float) -> None:
    with pytest.raises(ValueError, match="p_values"):
        adjusted_p([0.5, p])


def test_the_share_of_false_discoveries_is_held() -> None:
    rng = np.random.default_rng(14)
    shares, power = [], []
    for _ in range(300):
        z = rng.normal(size=400)
        z[:80] += 3
        found = discoveries(two_sided_p(z), rate=0.10)
        shares.append(found[80:].sum() / max(found.sum(), 1))
        power.append(found[:80].mean())
    assert 0.06 < np.mean(shares) < 0.10
    assert np.mean(power) > 0.6


def test_with_nothing_wrong_a_run_in_ten_reports_something() -> None:
    rng = np.random.default_rng(15)
    runs = [discoveries(two_sided_p(rng.normal(size=200)), rate=0.10).any() for _ in range(1000)]
    assert 0.07 < np.mean(runs) < 0.13
