"""Ads that were said to earn their spend, against those that did."""

from __future__ import annotations

import numpy as np
import pytest

from actuals_pipeline.accuracy.break_even import BreakEven, against_the_bar
from actuals_pipeline.accuracy.intervals import Interval

NAN = float("nan")


def judged(rows: list[tuple[float, float, float]], weights: list[float] | None = None) -> BreakEven:
    """Rows of predicted value and interval against a bar of 2."""
    predicted, low, high = (np.array(column) for column in zip(*rows, strict=True))
    return against_the_bar(predicted, Interval(low, high), bar=2.0, weights=weights)


GOOD, BAD = (2.0, 3.0), (1.0, 1.9)


def test_each_corner_of_the_table() -> None:
    rows = [
        *[(2.0, *GOOD)] * 3,  # said good and was
        *[(2.5, *BAD)] * 1,  # said good and was not
        *[(1.9, *GOOD)] * 2,  # not said good, but was
        *[(1.0, *BAD)] * 4,  # neither
    ]
    table = judged(rows)
    assert (table.n_resolved, table.n_unresolved) == (10, 0)
    assert table.precision.value == pytest.approx(3 / 4)
    assert table.recall.value == pytest.approx(3 / 5)
    want = (3 * 4 - 1 * 2) / np.sqrt(4 * 5 * 5 * 6)
    assert table.correlation.value == pytest.approx(want)


def test_the_correlation_is_that_of_the_two_columns() -> None:
    rng = np.random.default_rng(1)
    said, was = rng.random(200) < 0.4, rng.random(200) < 0.5
    rows = [(3.0 if s else 1.0, *(GOOD if w else BAD)) for s, w in zip(said, was, strict=True)]
    want = np.corrcoef(said, was)[0, 1]
    assert judged(rows).correlation.value == pytest.approx(want)


def test_what_is_unresolved_does_not_count() -> None:
    clear = [(3.0, *GOOD), (1.0, *BAD), (3.0, *BAD)]
    open_ones = [(3.0, 1.0, 2.0), (3.0, 1.9, 2.1), (1.0, NAN, NAN)]
    got, want = judged(clear + open_ones), judged(clear)
    assert (got.n_resolved, got.n_unresolved) == (3, 3)
    assert got.precision.value == want.precision.value == 0.5
    assert got.correlation.value == want.correlation.value


def test_money_is_what_counts() -> None:
    rows = [(3.0, *GOOD), (3.0, *BAD)]
    assert judged(rows, [900, 100]).precision.value == pytest.approx(0.9)


def test_with_all_alike_nothing_is_told() -> None:
    table = judged([(1.0, *BAD)])
    assert np.isnan(table.precision.value)
    assert np.isnan(table.recall.value)
    assert np.isnan(table.correlation.value)


@pytest.mark.parametrize("bar", [0, -1, NAN, np.inf])
def test_a_bar_is_a_multiple(bar: float) -> None:
    with pytest.raises(ValueError, match="bar"):
        against_the_bar([1], Interval(np.array([0.0]), np.array([1.0])), bar=bar)


def test_an_interval_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="low end"):
        judged([(1.0, 3.0, 2.0)])
