"""Charts against published examples and against the same, written out for one stream."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.accuracy.drift.charts import centered
from actuals_pipeline.accuracy.drift.control_charts import cusum, ewma

NAN = float("nan")
Z = st.lists(st.one_of(st.floats(-6, 6), st.just(NAN)), min_size=1, max_size=40)

NIST = [
    *(52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5),
    *(49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1),
]
"""The example of the NIST handbook, 6.3.2.4."""


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_the_moving_average_of_the_nist_handbook() -> None:
    chart = ewma(column(*NIST), weight=0.3, width=3, center=50, deviation=2.0539, settled=True)
    assert chart.value[-1, 0] == pytest.approx(51.99, abs=0.005)
    assert chart.upper[:, 0].tolist() == pytest.approx([52.5884] * 20, abs=5e-5)
    assert chart.lower[:, 0].tolist() == pytest.approx([47.4116] * 20, abs=5e-5)
    assert ((chart.value < chart.upper) & (chart.value > chart.lower)).all()


def test_the_limits_begin_narrow_and_widen_to_those_of_the_long_run() -> None:
    z = np.zeros((60, 1))
    growing, settled = ewma(z), ewma(z, settled=True)
    assert growing.upper[0, 0] == pytest.approx(2.86 * 0.2)
    assert growing.upper[-1, 0] == pytest.approx(settled.upper[-1, 0])
    assert (np.diff(growing.upper[:, 0]) > 0).all()


def test_a_cusum_by_hand() -> None:
    chart = cusum(column(0.2, 1.5, 1.0, 2.0, -3.0, 0), limit=2.9)
    assert chart.up[:, 0].tolist() == pytest.approx([0, 1.0, 1.5, 3.0, 0, 0])
    assert chart.down[:, 0].tolist() == pytest.approx([0, 0, 0, 0, 2.5, 2.0])
    assert chart.is_alarm[:, 0].tolist() == [False, False, False, True, False, False]
    # The rise to the alarm began at the second score; so did the fall at the fifth.
    assert chart.changed_at[:, 0].tolist() == [-1, 1, 1, 1, 4, 4]


def test_one_odd_score_adds_at_most_what_it_may() -> None:
    z = column(0, 40, 0, 0)
    assert cusum(z, limit=4).is_alarm.sum() == 1
    assert not cusum(z, limit=4, most_a_step=2.5).is_alarm.any()


def test_a_step_that_restarts_forgets_what_was_before() -> None:
    z = column(2, 2, 2, 2)
    restarts = np.array([[False], [False], [True], [False]])
    assert cusum(z, limit=9, restarts=restarts).up[:, 0].tolist() == [1.5, 3.0, 1.5, 3.0]


def written_out(z: list[float], k: float, limit: float) -> list[tuple[float, float, bool]]:
    up = down = 0.0
    is_alarm, rows = False, []
    for score in z:
        if not np.isnan(score):
            if is_alarm:
                up = down = 0.0
            up, down = max(0.0, up + score - k), max(0.0, down - score - k)
            is_alarm = max(up, down) > limit
            rows.append((up, down, is_alarm))
        else:
            rows.append((up, down, False))
    return rows


@given(first=Z, second=Z, k=st.floats(0, 2), limit=st.floats(0.5, 8))
@settings(max_examples=50)
def test_streams_together_are_as_each_alone(
    first: list[float], second: list[float], k: float, limit: float
) -> None:
    steps = min(len(first), len(second))
    z = np.array([first[:steps], second[:steps]]).T
    chart = cusum(z, limit=limit, k=k)
    for stream, scores in enumerate((first[:steps], second[:steps])):
        got = zip(
            chart.up[:, stream], chart.down[:, stream], chart.is_alarm[:, stream], strict=True
        )
        want = written_out(scores, k, limit)
        assert np.allclose([each[:2] for each in got], [each[:2] for each in want])
        assert chart.is_alarm[:, stream].tolist() == [each[2] for each in want]


def test_scores_of_no_stream_are_refused() -> None:
    with pytest.raises(ValueError, match="step and stream"):
        cusum(np.zeros(3), limit=4)
    with pytest.raises(ValueError, match="weight"):
        ewma(np.zeros((3, 1)), weight=0)


def test_scores_of_a_stable_version_are_independent_and_standard_normal() -> None:
    random = np.random.default_rng(7)
    errors = random.uniform(0.02, 0.08, (100, 2000))
    offsets = random.normal(0, 0.3, 2000)
    z, unit = centered(offsets + errors * random.standard_normal(errors.shape), errors)
    assert np.isnan(z[0]).all()
    # A hair less than 1: the unit follows the scatter upwards alone.
    assert 0.95 < np.std(z[1:]) < 1
    assert np.mean(z[1:]) == pytest.approx(0, abs=0.01)
    assert np.mean(z[1:-1] * z[2:]) == pytest.approx(0, abs=0.01)
    assert (unit[1:] > errors[1:]).all()


def test_weeks_that_scatter_more_than_they_should_widen_the_unit() -> None:
    random = np.random.default_rng(8)
    errors = np.full((100, 500), 0.03)
    z, _ = centered(0.06 * random.standard_normal(errors.shape), errors)
    assert np.std(z[40:]) == pytest.approx(1.1, abs=0.1)


def test_a_week_without_a_value_is_no_reference() -> None:
    values, errors = column(0, NAN, 0.5), column(0.1, NAN, 0.1)
    z, _ = centered(values, errors)
    assert np.isnan(z[:2]).all()
    assert z[2, 0] == pytest.approx(0.5 / np.sqrt(0.02))


class PageHinkley:
    """The oracle: the two-sided Page-Hinkley test of river 0.26, with its defaults."""

    def __init__(self) -> None:
        self.n, self.mean = 0, 0.0
        self.up = self.down = self.lowest = self.highest = 0.0

    def is_alarm(self, x: float) -> bool:
        self.n += 1
        self.mean += (x - self.mean) / self.n
        self.up = 0.9999 * self.up + x - self.mean - 0.005
        self.down = 0.9999 * self.down + x - self.mean + 0.005
        self.lowest, self.highest = min(self.lowest, self.up), max(self.highest, self.down)
        return self.n >= 30 and max(self.up - self.lowest, self.highest - self.down) > 50


def test_a_change_is_found_no_later_than_by_the_page_hinkley_test() -> None:
    """river's own example, in which its test fires at 1006; ours takes z, so scores come as z."""
    random = Random(12345)  # noqa: S311 - river's stream
    stream = random.choices([0, 1], k=1000) + random.choices(range(4, 8), k=1000)
    oracle = PageHinkley()
    assert next(at for at, x in enumerate(stream) if oracle.is_alarm(x)) == 1006
    before = np.array(stream[:1000])
    z = (np.array(stream, dtype=np.float64) - before.mean()) / before.std()
    # A limit at which a stable chart alarms once in 9,481 steps.
    alarms = np.flatnonzero(cusum(z[:, None], limit=8.0).is_alarm[:, 0])
    assert 1000 <= alarms[0] <= 1006
