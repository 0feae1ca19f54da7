"""What may be said of a pair: the reference's examples, and what never may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.contract import VERDICTS
from actuals_pipeline.accuracy.false_discovery import discoveries
from actuals_pipeline.accuracy.intervals import Interval, shrunken_order_value
from actuals_pipeline.accuracy.verdict import ctr_verdicts, roas_verdicts, verdicts

NAN = float("nan")


def judged(low: float, high: float, *, predicted: float = 1.0, tolerance: float = 0.25) -> Any:
    interval = Interval(np.array([low]), np.array([high]))
    [row] = verdicts([predicted], interval, tolerance=tolerance).to_dict("records")
    return row


@pytest.mark.parametrize(
    ("low", "high", "verdict", "direction"),
    [
        (0.8, 1.25, "within_tolerance", None),
        (1.01, 1.25, "within_tolerance", "under"),
        (0.8, 0.99, "within_tolerance", "over"),
        (0.79, 1.25, "unresolved", None),
        (0.8, 1.26, "unresolved", None),
        (1.01, 1.26, "under", "under"),
        (0.79, 0.99, "over", "over"),
        (1.0, 1.3, "unresolved", None),
        (0.7, 1.0, "unresolved", None),
        (0.0, 9.0, "unresolved", None),
        (2.0, 3.0, "under", "under"),
    ],
)
def test_where_the_interval_lies_is_the_verdict(
    *, low: float, high: float, verdict: str, direction: str | None
) -> None:
    row = judged(low, high)
    assert row["verdict"] == verdict
    assert verdict in VERDICTS
    assert row["is_within_tolerance"] == (verdict == "within_tolerance")
    assert (None if pd.isna(row["direction"]) else row["direction"]) == direction


@pytest.mark.parametrize(("low", "high", "predicted"), [(NAN, 1, 1), (0, NAN, 1), (0, 1, NAN)])
def test_without_interval_or_prediction_there_is_no_verdict(
    *, low: float, high: float, predicted: float
) -> None:
    row = judged(low, high, predicted=predicted)
    assert pd.isna(row["verdict"])
    assert pd.isna(row["direction"])
    assert not row["is_within_tolerance"]


def test_an_interval_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="low end"):
        judged(2, 1)


@pytest.mark.parametrize("tolerance", [-0.1, NAN, np.inf])
def test_a_tolerance_is_at_least_zero(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        judged(1, 2, tolerance=tolerance)


@pytest.mark.parametrize(
    ("impressions", "low", "high", "verdict", "direction"),
    [
        (5_000, 0.0233, 0.0324, "unresolved", None),
        (15_000, 0.02500, 0.03024, "under", "under"),
        (50_000, 0.02610, 0.02897, "within_tolerance", "under"),
    ],
)
def test_a_tenth_too_low_is_told_by_enough_impressions(
    *, impressions: int, low: float, high: float, verdict: str, direction: str | None
) -> None:
    [row] = ctr_verdicts(0.025, impressions, [0.0275 * impressions]).to_dict("records")
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=5e-5)
    assert row["verdict"] == verdict
    assert (None if pd.isna(row["direction"]) else row["direction"]) == direction


def test_an_unresolved_pair_says_how_many_impressions_more_it_needs() -> None:
    frame = ctr_verdicts(0.025, [5_000, 50_000], [137.5, 1375])
    assert frame["n_more"].tolist() == pytest.approx([14_982 - 5_000, NAN], nan_ok=True)


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("actual", [0.0256, 0.0275, 0.0215])
def test_so_many_impressions_more_settle_it(actual: float, factor: float) -> None:
    def row(impressions: float) -> dict[str, Any]:
        frame = ctr_verdicts(0.025, impressions, [actual * impressions], overdispersion=factor)
        return {str(name): value for name, value in frame.to_dict("records")[0].items()}

    first = row(2_000)
    assert first["verdict"] == "unresolved"
    told = 2_000 + first["n_more"]
    assert pd.isna(row(0.99 * told)["direction"])
    assert pd.notna(row(1.01 * told)["direction"])
    within = 2_000 + first["n_more_within_tolerance"]
    assert not row(0.99 * within)["is_within_tolerance"]
    assert row(1.01 * within)["is_within_tolerance"]


@pytest.mark.parametrize("actual", [3.1, 2.8])
def test_so_many_purchases_more_settle_it(actual: float) -> None:
    def row(purchases: float) -> dict[str, Any]:
        revenue = 20 * purchases
        frame = roas_verdicts(3, [revenue / actual], revenue, purchases, order_value=20)
        return {str(name): value for name, value in frame.to_dict("records")[0].items()}

    first = row(50)
    assert first["verdict"] == "unresolved"
    told = 50 + first["n_more"]
    assert pd.isna(row(0.9 * told)["direction"])
    assert pd.notna(row(1.1 * told)["direction"])
    within = 50 + first["n_more_within_tolerance"]
    assert not row(0.95 * within)["is_within_tolerance"]
    assert row(1.05 * within)["is_within_tolerance"]


def test_an_actual_outside_tolerance_never_gets_within_by_more_of_the_same() -> None:
    frame = ctr_verdicts(0.025, [300], [10])
    assert frame["verdict"].tolist() == ["unresolved"]
    assert frame["n_more"].notna().all()
    assert frame["n_more_within_tolerance"].isna().all()


def test_an_actual_as_predicted_never_is_told_from_it_but_gets_within_tolerance() -> None:
    frame = ctr_verdicts(0.025, [1000], [25])
    assert frame["n_more"].isna().all()
    assert frame["n_more_within_tolerance"].notna().all()


def test_overdispersion_takes_a_verdict_back() -> None:
    frame = ctr_verdicts(0.025, [15_000] * 2, [412.5] * 2, overdispersion=[1, 2])
    assert frame["verdict"].tolist() == ["under", "unresolved"]
    assert frame["n_more"].tolist()[1] == pytest.approx(2 * 14_982 - 15_000, abs=1)


def test_a_pair_that_cannot_be_compared_has_nothing_said_of_it() -> None:
    frame = ctr_verdicts([0.1, 0.1, NAN, 1.2], [0, 1, 10, 10], [0, 2, 1, 1])
    assert frame[["verdict", "direction", "n_more", "z", "p_value"]].isna().all(axis=None)
    assert not frame["is_within_tolerance"].any()
    assert frame["actual"].isna().tolist() == [True, True, False, False]


def test_the_specifications_roas_is_unresolved() -> None:
    value = shrunken_order_value(800, 45, account_order_value=800 / 45)
    [row] = roas_verdicts(3.0, 250, 800, [45], order_value=value).to_dict("records")
    assert row["actual"] == 3.2
    assert (row["low"], row["high"]) == pytest.approx((2.1641, 4.5729), abs=5e-5)
    assert row["verdict"] == "unresolved"
    # An error of a fifteenth takes 225 times 1.96^2 * 1.64 purchases.
    assert row["n_more"] == pytest.approx(1417.5 - 45, abs=1)


@pytest.mark.parametrize(
    ("predicted", "verdict"), [(3.2, "within_tolerance"), (2.5, "under"), (4.5, "over")]
)
def test_a_thousand_purchases_resolve_a_roas(predicted: float, verdict: str) -> None:
    frame = roas_verdicts(predicted, 6250, 20_000, [1000], order_value=20)
    assert frame["verdict"].tolist() == [verdict]
    assert frame[["n_more", "n_more_within_tolerance"]].isna().all(axis=None)


def test_refunds_leave_a_roas_without_a_verdict_but_known() -> None:
    frame = roas_verdicts(3.0, [100.0, 0.0], [-20.0, 20.0], 1, order_value=20)
    assert frame["actual"].tolist() == pytest.approx([-0.2, NAN], nan_ok=True)
    assert frame["verdict"].isna().all()
    assert frame["z"].isna().tolist() == [False, True]


def test_of_perfect_predictions_hardly_any_is_called_wrong() -> None:
    rng = np.random.default_rng(12)
    p = np.clip(0.02 * np.exp(rng.normal(0, 0.4, 20_000)), 0.001, 0.2)
    n = rng.integers(500, 40_000, len(p))
    frame = ctr_verdicts(p, n, rng.binomial(n, p))
    assert np.mean(frame["p_value"] < 0.05) == pytest.approx(0.05, abs=0.006)
    assert discoveries(frame["p_value"]).sum() <= 3
    told = frame["direction"].notna().mean()
    assert told == pytest.approx(0.05, abs=0.007)


def test_a_prediction_half_of_what_came_is_found() -> None:
    rng = np.random.default_rng(13)
    n = np.full(3000, 20_000)
    p = np.full(3000, 0.02)
    p[:300] /= 2
    found = discoveries(ctr_verdicts(p, n, rng.binomial(n, 0.02))["p_value"])
    assert found[:300].all()
    assert found[300:].sum() / found.sum() < 0.13
