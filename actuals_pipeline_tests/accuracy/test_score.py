from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from actuals_pipeline.accuracy.contract import PAIRS, SCORED_PAIRS
from actuals_pipeline.accuracy.score import score
from actuals_pipeline.frames import check_frame, empty_frame

Frames = Callable[..., pd.DataFrame]

SCORES = SCORED_PAIRS.names[len(PAIRS.names) :]
NAN = float("nan")
INF = float("inf")
NOT_SHOWN = {"impressions": 0, "clicks": 0}
UNPAID = {"spend": Decimal(0)}


def one(frame: pd.DataFrame) -> dict[str, Any]:
    [row] = frame.to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_the_specifications_two_examples(pairs_of: Frames) -> None:
    row = one(score(pairs_of({})))
    assert f"{row['ctr_error']:.2f}%" == "-10.00%"
    assert (row["ctr_direction"], f"{row['ctr_accuracy']:.2%}") == ("under", "90.00%")
    assert f"{row['roas_error']:+.2f}%" == "+5.00%"
    assert (row["roas_direction"], f"{row['roas_accuracy']:.2%}") == ("over", "95.00%")
    assert (row["ctr_status"], row["roas_status"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("pair", "status", "error", "accuracy"),
    [
        ({"predicted_ctr": NAN}, "no_prediction", None, None),
        (NOT_SHOWN, "no_delivery", None, None),
        ({"clicks": 0}, "ok", 100, 0),
        ({"clicks": 0, "predicted_ctr": 0}, "degenerate_pred", None, 1),
        ({"predicted_ctr": 0}, "degenerate_pred", None, 0),
        ({"predicted_ctr": 1e-310}, "degenerate_pred", None, 0),
        ({"clicks": 600}, "ok", -140, 0),
        ({"predicted_ctr": -0.01}, "invalid_prediction", None, None),
        ({"predicted_ctr": 1.01}, "invalid_prediction", None, None),
        ({"predicted_ctr": INF}, "invalid_prediction", None, None),
        ({"predicted_ctr": 1.0, "clicks": 10_000}, "ok", 0, 1),
        (UNPAID, "ok", -10, 0.9),
    ],
)
def test_each_case_of_ctr(
    pairs_of: Frames,
    *,
    pair: dict[str, Any],
    status: str,
    error: float | None,
    accuracy: float | None,
) -> None:
    row = one(score(pairs_of(pair)))
    assert row["ctr_status"] == status
    assert row["ctr_error"] == pytest.approx(NAN if error is None else error, nan_ok=True)
    assert row["ctr_accuracy"] == pytest.approx(NAN if accuracy is None else accuracy, nan_ok=True)


@pytest.mark.parametrize(
    ("pair", "status", "error", "accuracy"),
    [
        ({"predicted_roas": NAN}, "no_prediction", None, None),
        (NOT_SHOWN, "no_delivery", None, None),
        (UNPAID, "no_spend", None, None),
        ({"revenue": Decimal(0)}, "ok", 100, 0),
        ({"revenue": Decimal(0), "predicted_roas": 0}, "degenerate_pred", None, 1),
        ({"predicted_roas": 0}, "degenerate_pred", None, 0),
        ({"revenue": Decimal(660)}, "ok", -120, 0),
        ({"revenue": Decimal(-30)}, "ok", 110, 0),
        ({"predicted_roas": -3.0}, "invalid_prediction", None, None),
        ({"predicted_roas": INF}, "invalid_prediction", None, None),
        ({"predicted_roas": -INF}, "invalid_prediction", None, None),
    ],
)
def test_each_case_of_roas(
    pairs_of: Frames,
    *,
    pair: dict[str, Any],
    status: str,
    error: float | None,
    accuracy: float | None,
) -> None:
    row = one(score(pairs_of(pair)))
    assert row["roas_status"] == status
    assert row["roas_error"] == pytest.approx(NAN if error is None else error, nan_ok=True)
    assert row["roas_accuracy"] == pytest.approx(NAN if accuracy is None else accuracy, nan_ok=True)


def test_an_accuracy_that_was_held_at_zero_keeps_its_raw_value(pairs_of: Frames) -> None:
    row = one(score(pairs_of({"clicks": 600})))
    assert (row["ctr_accuracy"], row["ctr_accuracy_raw"]) == (0, pytest.approx(-0.4))


@pytest.mark.parametrize(
    ("predicted", "clicks", "impressions", "direction"),
    [
        (0.025, 25, 1000, "exact"),
        (0.1 + 0.2, 3, 10, "exact"),
        (0.3333, 1, 3, "under"),
        (0.33333333334, 1, 3, "over"),
        (0.333333333333, 1, 3, "exact"),
        (0.02499999999, 25, 1000, "under"),
        (0.0, 0, 1000, "exact"),
    ],
)
def test_exact_means_equal_to_twelve_digits(
    pairs_of: Frames, *, predicted: float, clicks: int, impressions: int, direction: str
) -> None:
    figures = {"predicted_ctr": predicted, "clicks": clicks, "impressions": impressions}
    row = one(score(pairs_of(figures)))
    assert row["ctr_direction"] == direction
    if direction == "exact" and predicted:
        assert (row["ctr_error"], row["ctr_accuracy"]) == (0, 1)


def test_nothing_is_said_of_a_direction_where_nothing_was_compared(pairs_of: Frames) -> None:
    scored = score(pairs_of(NOT_SHOWN, {"ad_id": "a2", "predicted_ctr": NAN} | UNPAID))
    assert scored[["ctr_direction", "roas_direction"]].isna().all(axis=None)


def test_no_pairs_are_no_scores() -> None:
    scored = score(empty_frame(PAIRS))
    check_frame(scored, SCORED_PAIRS)
    assert scored.empty


counts = st.integers(0, 10**6)
amounts = st.decimals(0, 10**9, places=2, allow_nan=False)


@settings(max_examples=25)
@given(
    figures=st.fixed_dictionaries(
        {
            "predicted_ctr": st.floats(0, 1),
            "predicted_roas": st.floats(0, 1e6),
            "impressions": counts,
            "clicks": counts,
            "spend": amounts,
            "revenue": amounts,
        }
    ),
    volume=st.integers(1, 1000),
    currency=st.sampled_from([Decimal("0.01"), Decimal(100), Decimal("161.73")]),
)
def test_neither_the_volume_nor_the_currency_changes_a_score(
    pairs_of: Frames, *, figures: dict[str, Any], volume: int, currency: Decimal
) -> None:
    scaled = figures | {
        "impressions": figures["impressions"] * volume,
        "clicks": figures["clicks"] * volume,
        "spend": figures["spend"] * currency,
        "revenue": figures["revenue"] * currency,
    }
    got, want = score(pairs_of(scaled)), score(pairs_of(figures))
    assert_frame_equal(got[SCORES], want[SCORES], rtol=1e-12)


@settings(max_examples=25)
@given(predicted=st.floats(1e-6, 1), actual=st.integers(0, 10**6))
def test_error_and_accuracy_say_the_same(
    pairs_of: Frames, *, predicted: float, actual: int
) -> None:
    assume(abs(predicted - actual / 10**6) > 1e-9)
    figures = {"predicted_ctr": predicted, "clicks": actual, "impressions": 10**6}
    row = one(score(pairs_of(figures)))
    assert row["ctr_accuracy_raw"] == pytest.approx(1 - abs(row["ctr_error"]) / 100)
    assert row["ctr_accuracy"] == max(0, row["ctr_accuracy_raw"])
    assert (row["ctr_error"] > 0) == (row["ctr_direction"] == "over")
    assert row["ctr_error"] <= 100
