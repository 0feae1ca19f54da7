"""Where a model is off: found where it is, not claimed where chance did it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline.accuracy.segments import segment_calibration


def model(
    n_segments: int, *, off: npt.NDArray[np.float64] | float = 0.0, seed: int, ads: int = 10
) -> tuple[CtrPairs, npt.NDArray[np.int64]]:
    """Predictions whose log is too high by `off`, by segment."""
    rng = np.random.default_rng(seed)
    segment = np.repeat(np.arange(n_segments), ads)
    n = rng.integers(200, 5000, len(segment))
    true = np.clip(0.02 * np.exp(rng.normal(0, 0.3, len(segment))), 0, 0.1)
    too_high = np.exp(np.broadcast_to(off, (n_segments,))[segment])
    return CtrPairs.of(true * too_high, n, rng.binomial(n, true)), segment


def test_a_segment_by_hand() -> None:
    pairs = CtrPairs.of([0.2, 0.2, 0.5], [100, 300, 50], [10, 30, 0], 2.0)
    frame = segment_calibration(pairs, ["b", "b", "a"])
    assert frame["segment"].tolist() == ["a", "b"]
    assert frame["n_pairs"].tolist() == [1, 2]
    assert frame["expected"].tolist() == [25, 80]
    assert frame["observed"].tolist() == [0, 40]
    assert frame["calibration"].tolist() == pytest.approx([np.nan, 2], nan_ok=True)
    z = [-25 / np.sqrt(2 * 12.5), -40 / np.sqrt(2 * 64)]
    assert frame["z"].tolist() == pytest.approx(z)
    assert frame["is_off"].all()
    # Two segments are not pooled; half a unit of 2 * 0.8 is added to both sides.
    assert frame["pooled_calibration"][1] == pytest.approx(80.8 / 40.8)
    width = np.log(frame["pooled_high"][1] / frame["pooled_low"][1])
    assert width == pytest.approx(2 * 1.96 * np.sqrt(1.6 / 40.8), rel=1e-4)
    assert frame["pooled_calibration"][0] == pytest.approx((25 + 0.5) / 0.5)


def test_of_revenue_too() -> None:
    pairs = RoasPairs.of([3, 3], [100, 200], [150, 300], order_value=20, order_value_cv=0.5)
    frame = segment_calibration(pairs, ["a", "a"])
    assert frame["calibration"].tolist() == [2]
    assert frame["z"].tolist() == pytest.approx([-450 / np.sqrt(900 * 25)])


def test_a_calibrated_model_has_hardly_a_bad_segment() -> None:
    reported = [segment_calibration(*model(40, seed=seed))["is_off"].sum() for seed in range(60)]
    assert np.mean(np.array(reported) > 0) < 0.2


def test_what_is_off_is_found_and_named() -> None:
    off = np.zeros(40)
    off[[3, 17]] = 0.5, -0.5
    frame = segment_calibration(*model(40, off=off, seed=1))
    assert {3, 17} <= set(frame.loc[frame["is_off"], "segment"])
    assert frame["pooled_calibration"][3] > 1.2
    assert frame["pooled_calibration"][17] < 0.8


def test_of_what_is_called_off_one_in_ten_is_chance() -> None:
    off = np.zeros(40)
    off[[3, 17]] = 0.5, -0.5
    shares = []
    for seed in range(100):
        is_off = segment_calibration(*model(40, off=off, seed=seed, ads=3))["is_off"].to_numpy()
        assert is_off[[3, 17]].any()
        shares.append((is_off.sum() - is_off[[3, 17]].sum()) / is_off.sum())
    assert 0.04 < np.mean(shares) < 0.14


def test_pooled_calibrations_are_nearer_the_truth_and_cover_it() -> None:
    rng = np.random.default_rng(2)
    raw, pooled, covered = [], [], []
    for seed in range(40):
        off = rng.normal(0.1, 0.1, 30)
        frame = segment_calibration(*model(30, off=off, seed=seed, ads=3))
        raw.append(np.mean((np.log(frame["calibration"]) - off) ** 2))
        pooled.append(np.mean((np.log(frame["pooled_calibration"]) - off) ** 2))
        low, high = np.log(frame["pooled_low"]), np.log(frame["pooled_high"])
        covered.append(np.mean((low <= off) & (off <= high)))
    assert np.mean(pooled) < 0.75 * np.mean(raw)
    assert 0.93 < np.mean(covered) < 0.97


def test_a_segment_without_a_click_is_pulled_in_and_still_found() -> None:
    pairs, segment = model(10, seed=3)
    clicks = np.where(segment == 4, 0, pairs.clicks)
    frame = segment_calibration(CtrPairs.of(pairs.predicted, pairs.impressions, clicks), segment)
    assert np.isnan(frame["calibration"][4])
    assert frame["is_off"].tolist() == [at == 4 for at in range(10)]
    assert frame["pooled_calibration"][4] > 5


def test_where_nothing_was_expected_nothing_is_said() -> None:
    frame = segment_calibration(CtrPairs.of([0, 0.1], [100, 100], [5, 10]), ["a", "b"])
    said = frame[["pooled_calibration", "pooled_low", "pooled_high", "z", "p_value"]]
    assert said.isna().all(axis=1).tolist() == [True, False]
    assert frame["calibration"].tolist() == [0, 1]
    assert not frame["is_off"].any()


def test_net_refunds_have_no_ratio_and_are_found() -> None:
    pairs = RoasPairs.of([3.0], [1000.0], [-50.0], order_value=20, order_value_cv=0.5)
    frame = segment_calibration(pairs, ["a"])
    assert frame["calibration"].isna().all()
    assert frame["is_off"].all()


def test_without_pairs_there_are_no_segments() -> None:
    assert len(segment_calibration(CtrPairs.of([], [], []), [])) == 0
